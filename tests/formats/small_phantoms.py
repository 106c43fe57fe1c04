"""Small simulated CT slices, structure sets and doses, and ways to spoil them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from analyzers.dose_records import CtSlice, DoseGrid, Structures
from analyzers.formats import dicom_ct, dicom_rtdose, dicom_rtstruct
from qa_daemon.simulate import ct, rtdose, rtstruct
from tests.formats.small_plans import written

Change = Callable[[Dataset], None]
SMALL = rtdose.DoseOptions(size=6, frames=4)
READERS: dict[str, Callable[[Path], object]] = {
    "dicom-ct": dicom_ct.read,
    "dicom-rtstruct": dicom_rtstruct.read,
    "dicom-rtdose": dicom_rtdose.read,
}
CODES = {"dicom-ct": "CT", "dicom-rtstruct": "RTSTRUCT", "dicom-rtdose": "RTDOSE"}


def small(kind: str) -> Dataset:
    """A sound data set of that format, a few kilobytes."""
    if kind == "dicom-ct":
        return ct.dataset(2, ct.CtOptions(slices=4, size=8, spacing_mm=20.0))
    if kind == "dicom-rtdose":
        return rtdose.dataset(SMALL)
    return rtstruct.dataset(rtstruct.StructureOptions(points=12, slices=6))


def slice_of(data: Dataset, folder: Path, **how: bool) -> CtSlice:
    """The slice that is read from this data set."""
    return dicom_ct.read(written(data, folder, **how))


def dose_of(data: Dataset, folder: Path, **how: bool) -> DoseGrid:
    """The dose that is read from this data set."""
    return dicom_rtdose.read(written(data, folder, **how))


def structures_of(data: Dataset, folder: Path, **how: bool) -> Structures:
    """The structures that are read from this data set."""
    return dicom_rtstruct.read(written(data, folder, **how))


def changed(**values: Any) -> Change:
    """Set these attributes; None deletes one."""

    def change(data: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                del data[keyword]
            else:
                setattr(data, keyword, value)

    return change


def spoiled(kind: str, change: Change, folder: Path, *, explicit: bool = False) -> bytes:
    """The bytes of a sound file that was changed."""
    data = small(kind)
    change(data)
    # Group 0002 repeats the instance: without one there can be none.
    preamble = "SOPInstanceUID" in data
    return written(data, folder, explicit=explicit, preamble=preamble).read_bytes()
