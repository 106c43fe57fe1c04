"""The one way to pylinac: an image goes in as a stream without a name, and nothing else comes out.

pylinac reads a DICOM stream that is built from the record alone, so that one way serves every
format and no patient data gets near it.  What it prints, warns and logs is dropped, and what it
raises is said in our words: its own may hold anything that a file holds.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.portal_images import PortalImage

RT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.481.1"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
TALKATIVE = ("pylinac", "pydicom", "matplotlib", "PIL")
SILENT = logging.CRITICAL + 1


@contextmanager
def pylinac_at_work(cannot: str) -> Iterator[None]:
    """Run pylinac in silence; what it raises becomes an `AnalysisError` that begins with `cannot`.

    A lack of memory goes through: it is the worker's, not the image's.
    """
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    nowhere = io.StringIO()
    try:
        for logger in loggers:
            logger.setLevel(SILENT)
        with (
            warnings.catch_warnings(),
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            yield
    except (AnalysisError, MemoryError, RecursionError):
        raise
    except Exception as why:  # noqa: BLE001 - whatever a library thinks of
        raise AnalysisError(f"{cannot} ({type(why).__name__})") from None
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def dicom_stream(image: PortalImage, **more: Any) -> io.BytesIO:
    """The image as a DICOM stream: what the file stored, its scale and its geometry; no identity.

    `more` are further elements by keyword, or other values of those given here.  What the record
    does not know is left out.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(RT_IMAGE_STORAGE)
    meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_ENDIAN)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = FileDataset(stream, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.SOPClassUID, dataset.SOPInstanceUID = UID(RT_IMAGE_STORAGE), UID("2.25.1")
        dataset.Modality = "RTIMAGE"
        for keyword, value in {**_pixels(image), **_geometry(image), **more}.items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.save_as(stream, write_like_original=False)
    stream.seek(0)
    return stream


def _pixels(image: PortalImage) -> dict[str, Any]:
    stored = _storable(image.stored)
    bits = stored.dtype.itemsize * 8
    told: dict[str, Any] = {
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "PixelIntensityRelationshipSign": image.sign,
    }
    if (image.slope, image.intercept) != (1.0, 0.0):
        told["RescaleSlope"] = _decimal(image.slope)
        told["RescaleIntercept"] = _decimal(image.intercept)
    data = stored.tobytes()
    if stored.dtype.kind == "f":
        return told | {"FloatPixelData" if bits == 32 else "DoubleFloatPixelData": data}
    told |= {"BitsStored": bits, "HighBit": bits - 1}
    told["PixelRepresentation"] = int(stored.dtype.kind == "i")
    return told | {"PixelData": data + b"\0" * (len(data) % 2)}


def _storable(stored: NDArray[Any]) -> NDArray[Any]:
    """Little-endian, of a type that a DICOM image may have."""
    kind, size = stored.dtype.kind, stored.dtype.itemsize
    if kind in "iu" and size <= 4:
        return np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    return np.ascontiguousarray(stored, "<f4" if (kind, size) == ("f", 4) else "<f8")


def _geometry(image: PortalImage) -> dict[str, Any]:
    shift_mm = image.panel_shift_mm
    return {
        "ImagePlanePixelSpacing": [_decimal(step) for step in image.spacing_mm],
        "RTImageSID": _decimal(image.sid_mm),
        "RadiationMachineSAD": _decimal(image.sad_mm),
        "XRayImageReceptorTranslation": shift_mm and [*map(_decimal, shift_mm), "0"],
        "GantryAngle": _decimal(image.gantry_deg),
        "BeamLimitingDeviceAngle": _decimal(image.collimator_deg),
        "PatientSupportAngle": _decimal(image.couch_rotation_deg),
    }


def _decimal(value: float | None) -> str | None:
    """A decimal string of DICOM: 16 characters at most, as close as they allow."""
    if value is None:
        return None
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(value))
