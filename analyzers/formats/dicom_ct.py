"""DICOM CT image (SOP class 1.2.840.10008.5.1.4.1.1.2): one file, one slice.

PS3.3 A.3 and C.8.2.1.  Values in Hounsfield units by RescaleSlope and RescaleIntercept, as int16
where that loses nothing.  What cannot be placed (no frame of reference, directions that are not at
right angles, no spacing) and what has no patient is refused.  Multi-frame CT is another SOP class
and is not read.  Checked on the slice that pydicom carries as a test file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Format, NamedFile
from analyzers.dicom import binary
from analyzers.dicom.binary import Picture, positive_number
from analyzers.dicom.items import UNKNOWN, Item, open_file
from analyzers.dicom.placement import identity, moment, placement, required_code
from analyzers.dicom.structure import sop_class
from analyzers.dose_records import CtSlice

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"
CODES = "CT"
MOST_PIXELS = 16_777_216
MOST_HU = 1e6
MOST_KVP = 30_000.0
MOST_TILT_DEG = 90.0
MOST_INSTANCES = 1_000_000
THICKEST_MM = 1000.0
POSITIONS = (  # PS3.3 C.7.3.1.1.2
    *("HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS"),
    *("LFP", "LFS", "RFP", "RFS", "AFDR", "AFDL", "PFDR", "PFDL"),
)


def recognize(head: bytes) -> bool:
    """True for a file of this SOP class, with or without preamble, whatever its name."""
    return sop_class(head) == SOP_CLASS


def read(path: Path | str) -> CtSlice:
    """Read one slice.  Raises `ReadError`, for a file that ends early `TruncatedError`."""
    root, reading = open_file(Path(path), CODES, SOP_CLASS)
    binary.check_end(root)
    layout = binary.picture(root, allocated=(16,), most_pixels=MOST_PIXELS)
    if layout.frames != 1:
        raise root.error("COUNTS", f"{layout.frames} frames in what is one slice")
    required_code(root, "FrameOfReferenceUID")
    is_localizer = "LOCALIZER" in (root.code("ImageType") or "").split("\\")
    unit = _unit(root)
    slope, intercept = _rescale(root)
    stored = binary.pixels(root, layout)[0]
    position = root.word("PatientPosition", POSITIONS)
    if position == UNKNOWN:
        reading.warn("the position of the patient is not stated")
    return CtSlice(
        values=_values(root, stored, slope, intercept),
        placement=placement(root),
        unit=unit,
        is_localizer=is_localizer,
        thickness_mm=_above_zero(root, "SliceThickness", THICKEST_MM),
        tilt_deg=_tilt_deg(root),
        padding=_padding(root, layout, slope, intercept),
        kvp=_above_zero(root, "KVP", MOST_KVP),
        patient_position=position,
        instance_number=root.count("InstanceNumber", most=MOST_INSTANCES),
        performed_at=moment(root, "Acquisition", "Content", "Series", "Study"),
        identity=identity(root),
        warnings=tuple(reading.warnings),
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> CtSlice:  # noqa: ARG001
    return read(file.path)


def _unit(root: Item) -> str:
    """HU unless the file says something else (PS3.3 C.11.1.1.2)."""
    said = root.code("RescaleType")
    if said in (None, "HU"):
        return "HU"
    root.reading.warn("the file says that its values are not in Hounsfield units")
    return UNKNOWN


def _rescale(root: Item) -> tuple[float, float]:
    slope, intercept = positive_number(root, "RescaleSlope"), root.number("RescaleIntercept")
    if intercept is None:
        raise root.missing("RescaleIntercept")
    return slope, intercept


def _values(
    root: Item, stored: NDArray[Any], slope: float, intercept: float
) -> NDArray[np.int16] | NDArray[np.float32]:
    """Rescaled, and a copy: nothing keeps the file's bytes alive."""
    low, high = int(stored.min()) * slope + intercept, int(stored.max()) * slope + intercept
    if max(abs(low), abs(high)) > MOST_HU:
        raise root.error("RANGE", f"values beyond {MOST_HU:g}: the rescale cannot be right")
    limits = np.iinfo(np.int16)
    if slope == 1.0 and intercept.is_integer() and limits.min <= low and high <= limits.max:
        return (stored.astype(np.int32) + int(intercept)).astype(np.int16)
    return (stored * slope + intercept).astype(np.float32)


def _padding(
    root: Item, layout: Picture, slope: float, intercept: float
) -> tuple[float, float] | None:
    """The lowest and the highest value that stand for no measurement (PS3.3 C.7.5.1.1.2)."""
    value = binary.short(root, "PixelPaddingValue", signed=layout.signed)
    if value is None:
        return None
    limit = binary.short(root, "PixelPaddingRangeLimit", signed=layout.signed)
    ends = sorted((value, value if limit is None else limit))
    return ends[0] * slope + intercept, ends[1] * slope + intercept


def _above_zero(root: Item, keyword: str, largest: float) -> float | None:
    """A DS attribute that may be empty; None, with a warning, where it is 0."""
    value = root.number(keyword)
    if value is None:
        return None
    if value == 0.0:
        root.reading.warn(f"{keyword} is 0: taken as not stated")
        return None
    return positive_number(root, keyword, largest)


def _tilt_deg(root: Item) -> float:
    tilt_deg = root.number("GantryDetectorTilt") or 0.0
    if abs(tilt_deg) > MOST_TILT_DEG:
        raise root.error("RANGE", f"GantryDetectorTilt is {tilt_deg:g} degrees")
    return tilt_deg


FORMAT = Format(
    name="dicom-ct",
    yields=CtSlice,
    recognize=recognize,
    read=_read,
    machine_class="",  # no treatment machine writes it
)
