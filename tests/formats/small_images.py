"""Small simulated RT Images, and ways to spoil them."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.core import ReadError
from analyzers.formats.dicom_rtimage import read
from analyzers.portal_images import PortalImage
from qa_daemon.simulate.dicom_file import write_object
from qa_daemon.simulate.rtimage import FileOptions, dataset, image_of
from tests.formats.small_plans import refused as refused_by

SHAPE = (96, 128)
SPACING_MM = (2.0, 1.5)


def field(
    height: int = 48, width: int = 64, signal: float = 30000.0, ground: float = 300.0
) -> NDArray[np.float64]:
    """An open field in the middle of 96 by 128 pixels."""
    values = np.full(SHAPE, ground)
    top, left = (SHAPE[0] - height) // 2, (SHAPE[1] - width) // 2
    values[top : top + height, left : left + width] = signal
    return values


def small_image(values: NDArray[Any] | None = None, **said: Any) -> Dataset:
    """The data set of an image of these values, an open field where none are given."""
    image = image_of(field() if values is None else values, SPACING_MM, **said)
    return dataset(image, FileOptions())


def written(data: Dataset, folder: Path, *, preamble: bool = True, explicit: bool = False) -> Path:
    """The data set as a file; what pydicom thinks of bad values is not asked."""
    path = folder / "CANARY.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_object(path, data, preamble=preamble, explicit=explicit)
    return path


def image_in(data: Dataset, folder: Path, **how: bool) -> PortalImage:
    """The image that is read from this data set."""
    return read(written(data, folder, **how))


def refusal_of(data: Dataset, folder: Path, **how: bool) -> ReadError:
    """The error that reading this data set gives."""
    return refused(written(data, folder, **how).read_bytes(), folder)


refused = partial(refused_by, reader=read)
