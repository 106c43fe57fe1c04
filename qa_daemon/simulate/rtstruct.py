"""Write DICOM RT Structure Sets of the simulated phantom: body, target and cord."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzers.records import Identity
from qa_daemon.simulate import phantom
from qa_daemon.simulate.ct import SOP_CLASS as CT_CLASS
from qa_daemon.simulate.dicom_file import decimals, new_object, write_object
from qa_daemon.simulate.options import known
from qa_daemon.simulate.phantom import Array
from qa_daemon.simulate.trajectory_log import IDENTITY

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KIND = "dicom-rtstruct"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
TARGETS = ("sphere", "box")
MOST_CONTOURS, MOST_POINTS = 1000, 10_000


@dataclass(frozen=True, slots=True)
class StructureOptions:
    """The target, and the slices that all is drawn on.

    The box has twice `radius_mm` on each side; `x_shift_mm` moves the target alone.
    """

    target: str = "sphere"
    radius_mm: float = 20.0
    x_shift_mm: float = 0.0
    points: int = 72
    slices: int = 16
    thickness_mm: float = 5.0


def dataset(options: StructureOptions, identity: Identity = IDENTITY) -> Dataset:
    """The structure set as a pydicom data set."""
    data = new_object(SOP_CLASS, phantom.STRUCTURE_SET, "RTSTRUCT", identity.patient_id or "")
    data.StructureSetLabel = "Simulated"
    data.StructureSetDate, data.StructureSetTime = "20260105", "070000"
    regions = [
        ("BODY", "EXTERNAL", _body(options)),
        ("PTV", "PTV", _target(options)),
        ("Cord", "ORGAN", _cord(options)),
    ]
    data.ReferencedFrameOfReferenceSequence = [_frame(options)]
    data.StructureSetROISequence = [
        _item(
            ROINumber=number,
            ReferencedFrameOfReferenceUID=phantom.FRAME_OF_REFERENCE,
            ROIName=name,
            ROIGenerationAlgorithm="",
        )
        for number, (name, _, _) in enumerate(regions, start=1)
    ]
    data.ROIContourSequence = [
        _item(ReferencedROINumber=number, ContourSequence=[_contour(points) for points in outlines])
        for number, (_, _, outlines) in enumerate(regions, start=1)
    ]
    data.RTROIObservationsSequence = [
        _item(
            ObservationNumber=number,
            ReferencedROINumber=number,
            RTROIInterpretedType=kind,
            ROIInterpreter="",
        )
        for number, (_, kind, _) in enumerate(regions, start=1)
    ]
    data.ApprovalStatus = "UNAPPROVED"
    return data


def _planes_mm(options: StructureOptions) -> list[float]:
    return [float(z) for z in phantom.centers_mm(options.slices, options.thickness_mm)]


def _body(options: StructureOptions) -> list[Array]:
    half_mm = phantom.BOX_MM / 2.0
    return [phantom.rectangle_mm(half_mm, half_mm, 0.0, z) for z in _planes_mm(options)]


def _cord(options: StructureOptions) -> list[Array]:
    return [
        phantom.circle_mm(phantom.CORD_AT_MM, phantom.CORD_RADIUS_MM, options.points, z)
        for z in _planes_mm(options)
    ]


def _target(options: StructureOptions) -> list[Array]:
    """Where the target reaches into a slice's middle, its outline there."""
    radius_mm, center_mm = options.radius_mm, (options.x_shift_mm, 0.0)
    inside = [z for z in _planes_mm(options) if abs(z) < radius_mm]
    if options.target == "box":
        return [phantom.rectangle_mm(radius_mm, radius_mm, center_mm[0], z) for z in inside]
    return [
        phantom.circle_mm(center_mm, float(np.sqrt(radius_mm**2 - z**2)), options.points, z)
        for z in inside
    ]


def _contour(points_mm: Array) -> Dataset:
    return _item(
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(points_mm),
        ContourData=decimals(points_mm.ravel()),
    )


def _frame(options: StructureOptions) -> Dataset:
    images = [
        _item(ReferencedSOPClassUID=CT_CLASS, ReferencedSOPInstanceUID=phantom.slice_uid(number))
        for number in range(1, options.slices + 1)
    ]
    series = _item(SeriesInstanceUID=phantom.CT_SERIES, ContourImageSequence=images)
    study = _item(RTReferencedSeriesSequence=[series])
    return _item(FrameOfReferenceUID=phantom.FRAME_OF_REFERENCE, RTReferencedStudySequence=[study])


def _item(**values: object) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def simulate(
    out: Path,
    *,
    target: str = "sphere",
    radius_mm: float = 20.0,
    x_shift_mm: float = 0.0,
    points: int = 72,
    slices: int = 16,
    thickness_mm: float = 5.0,
) -> Path:
    """Write the phantom's structures and return the path; `out` is a file or a folder.

    Raises ValueError for another target, a radius or a thickness that is not above 0, and for
    fewer than three points.
    """
    known("target", target, TARGETS)
    if min(float(radius_mm), float(thickness_mm)) <= 0.0:
        raise ValueError("a radius and a thickness are above 0 mm")
    if not (1 <= int(slices) <= MOST_CONTOURS and 3 <= int(points) <= MOST_POINTS):
        raise ValueError(f"1 to {MOST_CONTOURS} slices, 3 to {MOST_POINTS} points expected")
    path = out / "RS.dcm" if out.is_dir() else out
    options = StructureOptions(
        target=target,
        radius_mm=float(radius_mm),
        x_shift_mm=float(x_shift_mm),
        points=int(points),
        slices=int(slices),
        thickness_mm=float(thickness_mm),
    )
    write_object(path, dataset(options))
    return path
