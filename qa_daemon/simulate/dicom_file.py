"""What every simulated DICOM RT object has in common: header, patient, numbers as text.

pydicom is imported where it is used: no other command needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.8.498"


def new_object(sop_class: str, uid: str, modality: str, patient_id: str) -> Dataset:
    """A data set with the modules that all RT objects share; the patient is invented."""
    from pydicom.dataset import Dataset

    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = uid
    data.StudyDate, data.StudyTime = "20260105", "073000"
    data.Modality = modality
    data.Manufacturer = "QA Daemon"
    data.PatientName = "Simulated^Patient"
    data.PatientID = patient_id
    data.StudyInstanceUID = f"{ROOT}.2"
    data.SeriesInstanceUID = f"{ROOT}.3"
    return data


def write_object(
    path: Path, data: Dataset, *, preamble: bool = True, explicit: bool = False
) -> None:
    """Write the data set, implicit or explicit little-endian, as a file or bare.

    Without preamble there is no group 0002 either, as some planning systems write it.
    """
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    data.is_little_endian, data.is_implicit_VR = True, not explicit
    if not preamble:
        dcmwrite(path, data, write_like_original=True)
        return
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = UID(EXPLICIT if explicit else IMPLICIT)
    dcmwrite(path, data, write_like_original=False)


def decimal(value: float) -> str:
    """A number as DS text: 16 characters at most, exact to 1e-6."""
    return f"{round(float(value), 6) + 0.0:.10g}"


def decimals(values: Iterable[float]) -> list[str]:
    """Numbers as DS text."""
    return [decimal(value) for value in values]
