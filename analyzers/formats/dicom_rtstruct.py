"""DICOM RT Structure Set (SOP class 1.2.840.10008.5.1.4.1.1.481.3): outlines of regions.

PS3.3 A.19 and C.8.8.5, C.8.8.6 and C.8.8.8.  Contours in mm, patient coordinates.  Contours and
observations of a region that is not defined are left out with a warning; a contour whose points are
not counted right, or that is said to be planar and is not, is refused.  Nothing announces the end
of a file: the observations, which every structure set has and which come after all contours, show
that it was not cut between two elements before.  Checked on real structure sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analyzers.core import Format, NamedFile, TruncatedError
from analyzers.dicom.binary import long_decimals
from analyzers.dicom.items import UNKNOWN, Item, last_tag, open_file
from analyzers.dicom.placement import identity, moment, required_code
from analyzers.dicom.structure import EXPORT_AGAIN, sop_class
from analyzers.dose_records import SAME_PLANE_MM, Contour, FloatArray, Structure, Structures

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
CODES = "RTSTRUCT"
LARGEST_FILE = 256 * 1024 * 1024
MOST_POINTS = 10_000_000
MOST_IN_ONE = 1_000_000
MOST_ROIS, MOST_CONTOURS, MOST_REFERENCES = 2000, 100_000, 1000
FARTHEST_MM = 10_000.0
OBSERVATIONS = 0x30060080
PLANAR = ("CLOSED_PLANAR", "OPEN_PLANAR", "CLOSEDPLANAR_XOR")
SHAPES = (*PLANAR, "POINT", "OPEN_NONPLANAR")
APPROVALS = ("APPROVED", "UNAPPROVED", "REJECTED")
KINDS = (  # PS3.3 C.8.8.8
    *("EXTERNAL", "PTV", "CTV", "GTV", "TREATED_VOLUME", "IRRAD_VOLUME", "OAR", "BOLUS"),
    *("AVOIDANCE", "ORGAN", "MARKER", "REGISTRATION", "ISOCENTER", "CONTRAST_AGENT", "CAVITY"),
    *("BRACHY_CHANNEL", "BRACHY_ACCESSORY", "BRACHY_SRC_APP", "BRACHY_CHNL_SHLD", "SUPPORT"),
    *("FIXATION", "DOSE_REGION", "CONTROL", "DOSE_MEASUREMENT", "DEVICE"),
)


@dataclass(slots=True)
class _Points:
    """How many points may still come: what was read counts, not what is announced."""

    left: int


def recognize(head: bytes) -> bool:
    """True for a file of this SOP class, with or without preamble, whatever its name."""
    return sop_class(head) == SOP_CLASS


def read(path: Path | str) -> Structures:
    """Read one structure set; a region without contours is there and has none.

    Raises `ReadError`, for a file that ends early `TruncatedError`.
    """
    root, reading = open_file(Path(path), CODES, SOP_CLASS, largest=LARGEST_FILE)
    if last_tag(root) < OBSERVATIONS:
        raise TruncatedError(
            f"{CODES}_SHORT",
            "the file ends before its observations, which may be empty but not absent; "
            f"wait for the copy to end or {EXPORT_AGAIN}",
        )
    regions = _regions(root)
    if not regions:
        raise root.error("ROIS", "the structure set defines no region")
    contours, kinds = _contours(root, regions), _kinds(root, regions)
    frames = [_frame_of(item) for item in regions.values()]
    referenced = root.items(
        "ReferencedFrameOfReferenceSequence", "frame of reference", most=MOST_REFERENCES
    )
    named = [item.code("FrameOfReferenceUID") for item in referenced]
    if not any(frames):
        reading.warn("no region says in which frame of reference it is")
    approval = root.word("ApprovalStatus", APPROVALS)
    return Structures(
        structures=tuple(
            Structure(
                number=number,
                name=item.text("ROIName"),
                kind=kinds.get(number, UNKNOWN),
                contours=contours.get(number, ()),
                frame_of_reference_uid=_frame_of(item),
            )
            for number, item in regions.items()
        ),
        series_uids=tuple(dict.fromkeys(uid for item in referenced for uid in _series(item))),
        frame_of_reference_uids=tuple(dict.fromkeys(uid for uid in (*frames, *named) if uid)),
        approval=None if approval == UNKNOWN else approval,
        performed_at=moment(root, "StructureSet", "InstanceCreation", "Study"),
        identity=identity(root, label=root.text("StructureSetLabel")),
        warnings=tuple(reading.warnings),
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Structures:  # noqa: ARG001
    return read(file.path)


def _number(item: Item, keyword: str) -> int:
    number = item.integer(keyword)
    if number is None:
        raise item.missing(keyword)
    return number


def _regions(root: Item) -> dict[int, Item]:
    regions: dict[int, Item] = {}
    for item in root.items("StructureSetROISequence", "region", most=MOST_ROIS):
        number = _number(item, "ROINumber")
        if number in regions:
            raise item.error("DUPLICATE", "two regions have the same number")
        regions[number] = item
    return regions


def _frame_of(region: Item) -> str | None:
    return region.code("ReferencedFrameOfReferenceUID")


def _series(reference: Item) -> list[str]:
    """The series of images that a frame of reference is said to be of."""
    return [
        required_code(series, "SeriesInstanceUID")
        for study in reference.items("RTReferencedStudySequence", "study", most=MOST_REFERENCES)
        for series in study.items("RTReferencedSeriesSequence", "series", most=MOST_REFERENCES)
    ]


def _contours(root: Item, regions: dict[int, Item]) -> dict[int, tuple[Contour, ...]]:
    found: dict[int, tuple[Contour, ...]] = {}
    points = _Points(MOST_POINTS)
    for item in root.items("ROIContourSequence", "outline of region", most=MOST_ROIS):
        number = _number(item, "ReferencedROINumber")
        if number in found:
            raise item.error("DUPLICATE", "a region is outlined twice")
        outlines = tuple(
            _contour(contour, points)
            for contour in item.items("ContourSequence", "contour", most=MOST_CONTOURS)
        )
        if number not in regions:
            root.reading.warn("contours of a region that is not defined are left out")
            continue
        found[number] = outlines
    return found


def _contour(item: Item, points: _Points) -> Contour:
    shape = item.word("ContourGeometricType", SHAPES)
    if shape == UNKNOWN:
        raise item.error("SHAPE", "ContourGeometricType is none of the standard's words")
    values = long_decimals(item, "ContourData", most=3 * min(points.left, MOST_IN_ONE))
    if values is None:
        raise item.missing("ContourData")
    if len(values) % 3:
        raise item.error("POINTS", f"{len(values)} coordinates are not three for each point")
    at_mm = values.reshape(-1, 3)
    points.left -= len(at_mm)
    said = item.integer("NumberOfContourPoints")
    if said is None:
        raise item.missing("NumberOfContourPoints")
    if said != len(at_mm):
        raise item.error("POINTS", f"{len(at_mm)} points, {said} announced")
    if np.abs(at_mm).max() > FARTHEST_MM:
        raise item.error("RANGE", f"a point beyond {FARTHEST_MM:g} mm")
    if shape == "POINT" and said != 1:
        raise item.error("POINTS", f"{said} points in what is one point")
    if shape in PLANAR and not _is_planar(at_mm):
        raise item.error("PLANE", f"a planar contour leaves its plane by over {SAME_PLANE_MM:g} mm")
    found = Contour(shape, _opened(at_mm) if shape.startswith("CLOSED") else at_mm)
    if shape.startswith("CLOSED") and not found.encloses:
        item.reading.warn("a closed contour has fewer than three points: it encloses nothing")
    return found


def _opened(points_mm: FloatArray) -> FloatArray:
    """Without a last point that repeats the first: a closed contour closes by itself."""
    repeats = len(points_mm) > 1 and bool((points_mm[0] == points_mm[-1]).all())
    return points_mm[:-1] if repeats else points_mm


def _is_planar(points_mm: FloatArray) -> bool:
    if np.ptp(points_mm, axis=0).min() <= SAME_PLANE_MM:
        return True  # across one of the patient's axes, as nearly all are
    centered = points_mm - points_mm.mean(axis=0)
    across = np.linalg.eigh(centered.T @ centered)[1][:, 0]
    return bool(np.ptp(centered @ across) <= 2.0 * SAME_PLANE_MM)


def _kinds(root: Item, regions: dict[int, Item]) -> dict[int, str]:
    """What each region is, by its observations; the first that says one counts."""
    kinds: dict[int, str] = {}
    for item in root.items("RTROIObservationsSequence", "observation", most=MOST_ROIS):
        number = _number(item, "ReferencedROINumber")
        kind = item.word("RTROIInterpretedType", KINDS)
        if number not in regions:
            root.reading.warn("an observation of a region that is not defined is left out")
        elif kind != UNKNOWN and kinds.setdefault(number, kind) != kind:
            item.reading.warn(f"{item.place}: a region is said to be of two kinds")
    return kinds


FORMAT = Format(
    name="dicom-rtstruct",
    yields=Structures,
    recognize=recognize,
    read=_read,
    machine_class="",  # a planning system writes it, for any machine
)
