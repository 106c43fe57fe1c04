"""Where an image plane lies in the patient, and whose it is: what CT and dose have in common.

PS3.3 C.7.6.2 (image plane), C.7.4.1 (frame of reference), C.7.1.1 (patient).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from analyzers.dicom.binary import finite_numbers
from analyzers.dicom.items import Item
from analyzers.dose_records import DoseIdentity, Placement

FARTHEST_MM = 10_000.0
SPACING_MM = (0.01, 100.0)
ROUNDED = 1e-3
"""Direction cosines are written with as few as four digits."""


def placement(root: Item) -> Placement:
    """Position, directions and spacing of the pixels, mm.

    Raises `ReadError` where one is absent or impossible: a spacing that is not above 0, directions
    that are not unit vectors at right angles.
    """
    origin_mm = finite_numbers(root, "ImagePositionPatient", 3, FARTHEST_MM)
    spacing_mm = finite_numbers(root, "PixelSpacing", 2, SPACING_MM[1])
    if spacing_mm.min() < SPACING_MM[0]:
        raise root.error("SPACING", f"a pixel spacing below {SPACING_MM[0]:g} mm")
    along_row, along_column = finite_numbers(root, "ImageOrientationPatient", 6, 2.0).reshape(2, 3)
    lengths = np.linalg.norm([along_row, along_column], axis=1)
    if np.abs(lengths - 1.0).max() > ROUNDED or abs(along_row @ along_column) > ROUNDED:
        raise root.error(
            "ORIENTATION", "ImageOrientationPatient is not two unit vectors at right angles"
        )
    return Placement(
        origin_mm=origin_mm,
        along_row=_unit(along_row),
        along_column=_unit(along_column - (along_column @ along_row) * along_row),
        spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1])),
    )


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exactly of length 1; without a negative zero."""
    return np.asarray(vector / np.linalg.norm(vector)) + 0.0


def identity(root: Item, *, label: str | None = None, plan_uid: str | None = None) -> DoseIdentity:
    """Whose this is.  Raises `ReadError` without patient, study, series or instance.

    Nothing that lacks one of them can be put together with what belongs to it.
    """
    patient_id = root.text("PatientID")
    if patient_id is None:
        raise root.missing("PatientID")
    return DoseIdentity(
        patient_id=patient_id,
        plan_uid=plan_uid,
        study_uid=required_code(root, "StudyInstanceUID"),
        series_uid=required_code(root, "SeriesInstanceUID"),
        sop_instance_uid=required_code(root, "SOPInstanceUID"),
        frame_of_reference_uid=root.code("FrameOfReferenceUID"),
        label=label,
    )


def required_code(item: Item, keyword: str) -> str:
    """A UI or CS attribute that has to be there."""
    found = item.code(keyword)
    if found is None:
        raise item.missing(keyword)
    return found


def moment(root: Item, *names: str) -> datetime | None:
    """The first of these dates and times (`Acquisition`: AcquisitionDate and -Time) that is there.

    None, with a warning, where one is there and is none.
    """
    for name in names:
        if root.code(f"{name}Date") is not None and root.code(f"{name}Time") is not None:
            return root.moment(f"{name}Date", f"{name}Time")
    return None
