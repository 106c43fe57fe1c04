"""Write DICOM CT slices of a water phantom with a rod.  Patients are invented."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzers.records import Identity
from qa_daemon.simulate import phantom
from qa_daemon.simulate.dicom_file import decimal, decimals, new_object, write_object
from qa_daemon.simulate.trajectory_log import IDENTITY, PERFORMED_AT

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KIND = "dicom-ct"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"
MOST_SLICES = 1000
MOST_PIXELS = 1024


@dataclass(frozen=True, slots=True)
class CtOptions:
    """The series: its size, what is in the rod, and what is wrong with it.

    `x_shift_mm` moves everything toward the patient's left, `hu_offset` is added everywhere.
    """

    slices: int = 16
    size: int = 32
    spacing_mm: float = 5.0
    thickness_mm: float = 5.0
    rod_hu: float = phantom.ROD_HU
    hu_offset: float = 0.0
    x_shift_mm: float = 0.0
    slope: float = 1.0
    intercept: float = -1024.0


def dataset(
    number: int,
    options: CtOptions,
    identity: Identity = IDENTITY,
    performed_at: datetime = PERFORMED_AT,
) -> Dataset:
    """One slice, counted from 1 at the feet, as a pydicom data set."""
    x_mm = phantom.centers_mm(options.size, options.spacing_mm)
    z_mm = phantom.centers_mm(options.slices, options.thickness_mm)
    data = new_object(SOP_CLASS, phantom.slice_uid(number), "CT", identity.patient_id or "")
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.AcquisitionDate, data.AcquisitionTime = f"{performed_at:%Y%m%d}", f"{performed_at:%H%M%S}"
    data.SeriesInstanceUID = phantom.CT_SERIES
    data.FrameOfReferenceUID = phantom.FRAME_OF_REFERENCE
    data.PatientPosition, data.InstanceNumber, data.KVP = "HFS", number, "120"
    data.SliceThickness = decimal(options.thickness_mm)
    data.ImagePositionPatient = decimals([x_mm[0], x_mm[0], z_mm[number - 1]])
    data.ImageOrientationPatient = decimals([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    data.PixelSpacing = decimals([options.spacing_mm] * 2)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = options.size
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = decimal(options.slope), decimal(options.intercept)
    data.RescaleType = "HU"
    hu = phantom.hounsfield(x_mm - options.x_shift_mm, x_mm, options.rod_hu) + options.hu_offset
    stored = np.rint((hu - options.intercept) / options.slope)
    data.PixelData = np.clip(stored, 0, 65535).astype("<u2").tobytes()
    data["PixelData"].VR = "OW"
    return data


def write_slice(path: Path, number: int, options: CtOptions, *, explicit: bool = False) -> Path:
    """Write one slice and return its path."""
    write_object(path, dataset(number, options), explicit=explicit)
    return path


def simulate(
    out: Path,
    *,
    slices: int = 16,
    size: int = 32,
    spacing_mm: float = 5.0,
    thickness_mm: float = 5.0,
    rod_hu: float = phantom.ROD_HU,
    hu_offset: float = 0.0,
    x_shift_mm: float = 0.0,
) -> Path:
    """Write the series into a folder, or its middle slice as a file; returns `out`.

    Raises ValueError for a series without slices or pixels, and for too many of them.
    """
    if not (1 <= int(slices) <= MOST_SLICES and 1 <= int(size) <= MOST_PIXELS):
        raise ValueError(f"1 to {MOST_SLICES} slices of 1 to {MOST_PIXELS} pixels a side expected")
    if min(float(spacing_mm), float(thickness_mm)) <= 0.0:
        raise ValueError("a spacing and a thickness are above 0 mm")
    options = CtOptions(
        slices=int(slices),
        size=int(size),
        spacing_mm=float(spacing_mm),
        thickness_mm=float(thickness_mm),
        rod_hu=float(rod_hu),
        hu_offset=float(hu_offset),
        x_shift_mm=float(x_shift_mm),
    )
    if not out.is_dir():
        return write_slice(out, options.slices // 2 + 1, options)
    for number in range(1, options.slices + 1):
        write_slice(out / f"CT.{number:04d}.dcm", number, options)
    return out
