"""DICOM RT Dose (SOP class 1.2.840.10008.5.1.4.1.1.481.2): a grid of dose, or one plane of it.

PS3.3 A.18 and C.8.8.3.  Dose = pixel x DoseGridScaling.  Frames are put in rising order along the
normal of the first; offsets may be relative to it or absolute z (C.8.8.3.2).  A grid that is not
along the axes of the patient, negative dose, and frames whose places are not told are refused.
Relative, effective and error grids are read, and say so: `DoseGrid.dose_gy` gives physical dose
alone.  DVHs in the file are not read.  Checked on real grids of two makers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Format, NamedFile
from analyzers.dicom import binary
from analyzers.dicom.binary import Picture
from analyzers.dicom.items import UNKNOWN, Item, Reading, open_file
from analyzers.dicom.placement import identity, moment, placement, required_code
from analyzers.dicom.structure import sop_class
from analyzers.dose_records import KEPT_DOSE, DoseGrid, DoseReferences, FloatArray, Placement

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.2"
CODES = "RTDOSE"
MOST_PIXELS = 64 * 1024 * 1024
LARGEST_FILE = 4 * MOST_PIXELS + 16 * 1024 * 1024
"""So many pixels of 32 bits, and what is said beside them."""
MOST_GY = 1e5
MOST_PLANS, MOST_BEAMS, MOST_GROUPS = 100, 500, 100
FARTHEST_MM = 10_000.0
ALONG_AN_AXIS = 0.999
SAME_Z_MM = 0.01
UNITS = ("GY", "RELATIVE")
KINDS = ("PHYSICAL", "EFFECTIVE", "ERROR")
SUMMATIONS = (
    *("PLAN", "MULTI_PLAN", "PLAN_OVERVIEW", "FRACTION", "BEAM", "BRACHY", "FRACTION_SESSION"),
    *("BEAM_SESSION", "BRACHY_SESSION", "CONTROL_POINT", "RECORD"),
)
CORRECTIONS = ("IMAGE", "ROI_OVERRIDE", "WATER")


def recognize(head: bytes) -> bool:
    """True for a file of this SOP class, with or without preamble, whatever its name."""
    return sop_class(head) == SOP_CLASS


def read(path: Path | str) -> DoseGrid:
    """Read one grid.  Raises `ReadError`, for a file that ends early `TruncatedError`."""
    root, reading = open_file(Path(path), CODES, SOP_CLASS, largest=LARGEST_FILE)
    if root.has("DVHSequence") and not root.has("Rows"):
        raise root.error("GRID", "the file holds volume histograms alone, no grid of dose")
    binary.check_end(root)
    unit, kind = _known(root, "DoseUnits", UNITS), _known(root, "DoseType", KINDS)
    layout = binary.picture(root, allocated=(16, 32), most_pixels=MOST_PIXELS)
    required_code(root, "FrameOfReferenceUID")
    where = _along_axes(root, placement(root))
    offsets_mm = _offsets_mm(root, where, layout.frames)
    scaling = binary.positive_number(root, "DoseGridScaling")
    stored = binary.pixels(root, layout)
    if kind != "ERROR" and layout.signed:
        _check_signs(root, stored)
    values = _scaled(root, stored, scaling, layout)
    if offsets_mm[-1] < offsets_mm[0]:
        values, offsets_mm = values[::-1].copy(), offsets_mm[::-1]
    references = _references(root)
    _warn(reading, root, references)
    return DoseGrid(
        values=values,
        placement=_moved(where, float(offsets_mm[0])),
        offsets_mm=offsets_mm - offsets_mm[0],
        unit=unit,
        kind=kind,
        summation=root.word("DoseSummationType", SUMMATIONS),
        references=references,
        heterogeneity=_corrections(root),
        performed_at=moment(root, "InstanceCreation", "Content", "Series", "Study"),
        identity=identity(
            root, plan_uid=references.plan_uids[0] if len(references.plan_uids) == 1 else None
        ),
        warnings=tuple(reading.warnings),
        not_judged=KEPT_DOSE,
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> DoseGrid:  # noqa: ARG001
    return read(file.path)


def _known(root: Item, keyword: str, words: Sequence[str]) -> str:
    """One of the standard's words: a dose in a unit nobody knows is no dose."""
    required_code(root, keyword)
    found = root.word(keyword, words)
    if found == UNKNOWN:
        raise root.error("UNIT", f"{keyword} is none of {', '.join(words)}")
    return found


def _along_axes(root: Item, where: Placement) -> Placement:
    axes = np.abs([where.along_row, where.along_column])
    if axes.max(axis=1).min() < ALONG_AN_AXIS:
        raise root.error("ORIENTATION", "the grid is not along the axes of the patient")
    return where


def _offsets_mm(root: Item, where: Placement, frames: int) -> FloatArray:
    """Of each frame along the normal, from ImagePositionPatient, rising or falling, `(frames,)`."""
    said = root.numbers("GridFrameOffsetVector")
    if said is None:
        if frames == 1:
            return np.zeros(1)
        raise root.missing("GridFrameOffsetVector")
    if len(said) != frames:
        raise root.error("COUNTS", f"{len(said)} values of GridFrameOffsetVector, {frames} frames")
    if np.abs(said).max() > FARTHEST_MM:
        raise root.error("RANGE", f"GridFrameOffsetVector is beyond {FARTHEST_MM:g} mm")
    steps_mm = np.diff(said)
    if not (steps_mm > 0.0).all() and not (steps_mm < 0.0).all():
        raise root.error("FRAMES", "the offsets of the frames neither rise nor fall throughout")
    if said[0] == 0.0:
        return said
    # Absolute: z of the patient, for transverse planes alone.
    toward_head = float(where.normal[2])
    if abs(toward_head) < ALONG_AN_AXIS or abs(said[0] - where.origin_mm[2]) > SAME_Z_MM:
        raise root.error(
            "FRAMES", "the offsets of the frames begin neither with 0 nor with the first one's z"
        )
    return np.asarray((said - said[0]) * np.sign(toward_head))


def _moved(where: Placement, offset_mm: float) -> Placement:
    return Placement(
        where.at(0.0, 0.0, offset_mm), where.along_row, where.along_column, where.spacing_mm
    )


def _check_signs(root: Item, stored: NDArray[Any]) -> None:
    """Some systems write dose as signed numbers; a dose below 0 is none."""
    if stored.min() < 0:
        raise root.error("NEGATIVE", "the grid holds negative dose")
    root.reading.warn("the grid is written as signed numbers, which only errors of dose should be")


def _scaled(
    root: Item, stored: NDArray[Any], scaling: float, layout: Picture
) -> NDArray[np.float32]:
    """Pixel times scaling, in double precision and then rounded once, a frame at a time."""
    highest = max(abs(int(stored.min())), int(stored.max())) * scaling
    if not highest <= MOST_GY:
        raise root.error("RANGE", f"a dose beyond {MOST_GY:g}: the scaling cannot be right")
    values = np.empty(stored.shape, dtype=np.float32)
    for frame in range(layout.frames):
        values[frame] = stored[frame] * scaling
    return values


def _references(root: Item) -> DoseReferences:
    plans = root.items("ReferencedRTPlanSequence", "plan reference", most=MOST_PLANS)
    uids = tuple(required_code(plan, "ReferencedSOPInstanceUID") for plan in plans)
    groups = [
        group
        for plan in plans
        for group in plan.items(
            "ReferencedFractionGroupSequence", "fraction group", most=MOST_GROUPS
        )
    ]
    numbers = [group.integer("ReferencedFractionGroupNumber") for group in groups]
    beams = [
        beam.integer("ReferencedBeamNumber")
        for group in groups
        for beam in group.items("ReferencedBeamSequence", "beam reference", most=MOST_BEAMS)
    ]
    return DoseReferences(
        plan_uids=uids,
        fraction_group=numbers[0] if len(numbers) == 1 else None,
        beam_numbers=tuple(number for number in beams if number is not None),
    )


def _corrections(root: Item) -> tuple[str, ...]:
    said = (root.code("TissueHeterogeneityCorrection") or "").split("\\")
    return tuple(word.strip() for word in said if word.strip() in CORRECTIONS)


def _warn(reading: Reading, root: Item, references: DoseReferences) -> None:
    summation = root.word("DoseSummationType", SUMMATIONS)
    if summation == UNKNOWN:
        reading.warn("the file does not say what the dose is the sum of")
    if not references.plan_uids:
        reading.warn("the dose does not say of which plan it is")
    elif summation.startswith("BEAM") and not references.beam_numbers:
        reading.warn("the dose of a beam does not say of which beam it is")


FORMAT = Format(
    name="dicom-rtdose",
    yields=DoseGrid,
    recognize=recognize,
    read=_read,
    machine_class="",  # a planning system writes it, for any machine
)
