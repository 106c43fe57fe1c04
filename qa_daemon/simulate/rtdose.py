"""Write DICOM RT Dose grids: flat, or a Gaussian around the middle of the simulated phantom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzers.records import Identity
from qa_daemon.simulate import phantom
from qa_daemon.simulate.dicom_file import ROOT, decimals, new_object, write_object
from qa_daemon.simulate.options import is_on, known
from qa_daemon.simulate.phantom import Array
from qa_daemon.simulate.trajectory_log import IDENTITY

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KIND = "dicom-rtdose"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.2"
SHAPES = ("gaussian", "flat")
SUMMATIONS = ("PLAN", "BEAM", "FRACTION")
MOST_SIDE = 512


@dataclass(frozen=True, slots=True)
class DoseOptions:
    """The grid, and what is wrong with it.

    `scale_percent` is added to the dose, `x_shift_mm` moves it toward the patient's left.
    `absolute` writes z of the patient instead of offsets, `falling` begins at the head.
    """

    shape: str = "gaussian"
    peak_gy: float = 2.0
    sigma_mm: float = 25.0
    size: int = 32
    frames: int = 16
    spacing_mm: float = 5.0
    scale_percent: float = 0.0
    x_shift_mm: float = 0.0
    summation: str = "PLAN"
    bits: int = 32
    absolute: bool = False
    falling: bool = False


def dose_gy(options: DoseOptions) -> Array:
    """What the grid holds, frames from the feet upward: Gy, `(frames, rows, columns)`."""
    x_mm = phantom.centers_mm(options.size, options.spacing_mm)
    z_mm = phantom.centers_mm(options.frames, options.spacing_mm)
    peak_gy = options.peak_gy * (1.0 + options.scale_percent / 100.0)
    if options.shape == "flat":
        return np.full((options.frames, options.size, options.size), peak_gy)
    square = (
        z_mm[:, None, None] ** 2
        + x_mm[None, :, None] ** 2
        + (x_mm[None, None, :] - options.x_shift_mm) ** 2
    )
    return np.asarray(peak_gy * np.exp(-square / (2.0 * options.sigma_mm**2)))


def dataset(options: DoseOptions, identity: Identity = IDENTITY) -> Dataset:
    """The dose as a pydicom data set."""
    x_mm = phantom.centers_mm(options.size, options.spacing_mm)
    z_mm = phantom.centers_mm(options.frames, options.spacing_mm)
    values = dose_gy(options)
    if options.falling:
        values, z_mm = values[::-1], z_mm[::-1]
    data = new_object(SOP_CLASS, phantom.DOSE, "RTDOSE", identity.patient_id or "")
    data.InstanceCreationDate, data.InstanceCreationTime = "20260105", "071500"
    data.FrameOfReferenceUID = phantom.FRAME_OF_REFERENCE
    data.ImagePositionPatient = decimals([x_mm[0], x_mm[0], z_mm[0]])
    data.ImageOrientationPatient = decimals([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    data.PixelSpacing = decimals([options.spacing_mm] * 2)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = options.size
    data.NumberOfFrames, data.FrameIncrementPointer = options.frames, 0x3004000C
    data.GridFrameOffsetVector = decimals(z_mm if options.absolute else z_mm - z_mm[0])
    data.BitsAllocated = data.BitsStored = options.bits
    data.HighBit, data.PixelRepresentation = options.bits - 1, 0
    data.DoseUnits, data.DoseType, data.DoseSummationType = "GY", "PHYSICAL", options.summation
    # A scaling of few digits: what is written of it is what the pixels were divided by.
    scaling = float(f"{max(float(values.max()), 1e-6) / (2**options.bits - 2):.6e}")
    data.DoseGridScaling = f"{scaling:.6e}"
    data.ReferencedRTPlanSequence = [_reference(options, identity)]
    stored = np.rint(values / scaling)
    data.PixelData = (
        np.minimum(stored, 2**options.bits - 1).astype(f"<u{options.bits // 8}").tobytes()
    )
    data["PixelData"].VR = "OW"
    return data


def _reference(options: DoseOptions, identity: Identity) -> Dataset:
    from pydicom.dataset import Dataset

    plan = Dataset()
    plan.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.5"
    plan.ReferencedSOPInstanceUID = identity.plan_uid or f"{ROOT}.1"
    if options.summation == "PLAN":
        return plan
    group, beam = Dataset(), Dataset()
    group.ReferencedFractionGroupNumber, beam.ReferencedBeamNumber = 1, 1
    if options.summation == "BEAM":
        group.ReferencedBeamSequence = [beam]
    plan.ReferencedFractionGroupSequence = [group]
    return plan


def simulate(
    out: Path,
    *,
    shape: str = "gaussian",
    peak_gy: float = 2.0,
    sigma_mm: float = 25.0,
    size: int = 32,
    frames: int = 16,
    spacing_mm: float = 5.0,
    scale_percent: float = 0.0,
    x_shift_mm: float = 0.0,
    summation: str = "PLAN",
    bits: int = 32,
    absolute: bool | str = False,
    falling: bool | str = False,
) -> Path:
    """Write a dose grid and return its path; `out` is a file or a folder.

    Raises ValueError for another shape, sum or number of bits, and for what is not above 0.
    """
    known("shape", shape, SHAPES)
    known("summation", summation, SUMMATIONS)
    known("bits", str(bits), ("16", "32"))
    if min(float(peak_gy), float(sigma_mm), float(spacing_mm)) <= 0.0:
        raise ValueError("a peak, a sigma and a spacing are above 0")
    if not (1 <= int(size) <= MOST_SIDE and 1 <= int(frames) <= MOST_SIDE):
        raise ValueError(f"1 to {MOST_SIDE} pixels a side and frames expected")
    path = out / "RD.dcm" if out.is_dir() else out
    options = DoseOptions(
        shape=shape,
        peak_gy=float(peak_gy),
        sigma_mm=float(sigma_mm),
        size=int(size),
        frames=int(frames),
        spacing_mm=float(spacing_mm),
        scale_percent=float(scale_percent),
        x_shift_mm=float(x_shift_mm),
        summation=summation,
        bits=int(bits),
        absolute=is_on("absolute", absolute),
        falling=is_on("falling", falling),
    )
    write_object(path, dataset(options))
    return path
