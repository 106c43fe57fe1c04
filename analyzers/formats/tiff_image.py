"""TIFF: a scanned film.  Lengths are at the film, which is taken to be at the isocenter.

Film darkens with radiation, but a scan may have been turned into its negative: the picture says
which way values run.  No TIFF says which machine or patient it is of, or when it was exposed.

Pillow decodes; before it does, size and compression are known and bounded, and pages are counted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Format, NamedFile, ReadError, TruncatedError
from analyzers.numerics.picture_polarity import rises
from analyzers.portal_images import Polarity, PortalImage
from analyzers.regular_file import opened

if TYPE_CHECKING:
    from PIL.Image import Image

CODES = "TIFF"
SCAN_AGAIN = "scan the film again"
MAGICS = (b"II*\0", b"MM\0*")
LARGEST_FILE = 64 * 1024 * 1024
LARGEST_SIDE = 20_000
MOST_PIXELS = 40_000_000
COMPRESSIONS = ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate")
COLORS = {"L": 1, "LA": 1, "I;16": 1, "I;16B": 1, "RGB": 3, "RGBA": 3}
"""Pillow's modes that are read, and how many of their channels are color."""
BITS = {"I;16": 16, "I;16B": 16}
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
UNIT_MM = {2: 25.4, 3: 10.0}
SPACING_MM = (0.01, 2.0)
SCREENS_DPI = (72.0, 96.0)


def recognize(head: bytes) -> bool:
    """True for a file that begins as a TIFF does, whatever its name."""
    return head[:4] in MAGICS


def read(path: Path | str) -> PortalImage:
    """Read one scan; `stored` is the mean of its colors.

    Raises `ReadError`: damaged, more than one page, no resolution, all pixels equal.
    """
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own may quote what is in the file
        stored, bits, spacing_mm = _decoded(_content(Path(path)), said)
    if stored.min() == stored.max():
        raise _error("FLAT", "all pixels have the same value: this is no scan of a film")
    values = stored.astype(np.float64)
    seen = rises(values, no_signal=(0.0, 2.0**bits - 1.0))
    if seen is None:
        said.append("the picture does not tell which way its values run: film darkens")
    if not seen:
        values = (2.0**bits - 1.0) - values
    return PortalImage(
        stored=stored,
        values=values,
        spacing_mm=spacing_mm,
        polarity=Polarity.SEEN,
        texts={"ConversionType": "DF"},  # DICOM's word for digitized film
        warnings=tuple(said),
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> PortalImage:  # noqa: ARG001
    return read(file.path)


def _error(code: str, what: str) -> ReadError:
    return ReadError(f"{CODES}_{code}", f"{what}; {SCAN_AGAIN}")


def _content(path: Path) -> bytes:
    with opened(path) as (stream, size):
        if size > LARGEST_FILE:
            raise ReadError(f"{CODES}_SIZE", f"{size} bytes, {LARGEST_FILE} at most")
        content = stream.read(size)
    if not content:
        raise TruncatedError(f"{CODES}_EMPTY", f"the file is empty; {SCAN_AGAIN}")
    return content


def _decoded(content: bytes, said: list[str]) -> tuple[NDArray[Any], int, tuple[float, float]]:
    """Gray values `(rows, columns)`, bits of a channel, spacing in mm."""
    # Pillow takes a while: only who reads a scan imports it.
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(content), formats=["TIFF"]) as scan:
            _check(scan)
            spacing_mm = _spacing(scan, said)
            colors = np.asarray(scan)
            bits = BITS.get(scan.mode, 8)
            used = COLORS[scan.mode]
    except ReadError:
        raise
    except (Image.DecompressionBombError, UnidentifiedImageError, MemoryError):
        raise _error("UNREADABLE", "the scan is too large, or no TIFF that can be read") from None
    except Exception:  # noqa: BLE001 - Pillow's list of what damage raises is not closed
        raise TruncatedError(
            f"{CODES}_SHORT",
            f"the scan is damaged or ends early; wait for the copy to end or {SCAN_AGAIN}",
        ) from None
    if colors.ndim == 2:
        return colors, bits, spacing_mm
    total = sum(colors[:, :, k].astype(np.uint16) for k in range(used))
    return np.asarray(total) / float(used), bits, spacing_mm


def _check(scan: Image) -> None:
    """Refuse what is not to be decoded; nothing of the pixels has been read yet."""
    columns, rows = scan.size
    if not (1 <= columns <= LARGEST_SIDE and 1 <= rows <= LARGEST_SIDE):
        raise _error("RANGE", f"{rows} rows and {columns} columns, 1 to {LARGEST_SIDE} expected")
    if rows * columns > MOST_PIXELS:
        raise _error("RANGE", f"{rows * columns} pixels, {MOST_PIXELS} at most")
    if scan.mode not in COLORS:
        raise _error("COLORS", "the scan is neither gray of 8 or 16 bits nor in color of 8")
    if scan.info.get("compression") not in COMPRESSIONS:
        raise _error("COMPRESSION", "the scan is compressed in a way that may have changed it")
    if getattr(scan, "n_frames", 1) != 1:
        raise _error("PAGES", "more than one page; one scan a file is read")


def _spacing(scan: Any, said: list[str]) -> tuple[float, float]:
    """Spacing (row, column) in mm from the resolution that the scan states."""
    tags = scan.tag_v2
    unit_mm = UNIT_MM.get(tags.get(RESOLUTION_UNIT, 2))
    resolutions = [tags.get(tag) for tag in (Y_RESOLUTION, X_RESOLUTION)]
    if unit_mm is None or None in resolutions:
        raise _error("RESOLUTION", "the scan does not state its resolution, pixels per length")
    steps_mm = []
    for resolution in map(float, resolutions):
        step_mm = unit_mm / resolution if resolution > 0.0 else math.nan
        if not SPACING_MM[0] <= step_mm <= SPACING_MM[1]:
            raise _error("RESOLUTION", "the scan states a resolution beyond 0.01 to 2 mm a pixel")
        steps_mm.append(step_mm)
    if round(25.4 / steps_mm[0], 3) in SCREENS_DPI:
        said.append(
            f"the stated resolution, {25.4 / steps_mm[0]:g} dpi, is what programs write that do "
            "not know it: check it before a length of this scan is used"
        )
    return steps_mm[0], steps_mm[1]


FORMAT = Format(
    name="tiff-image",
    yields=PortalImage,
    recognize=recognize,
    read=_read,
    machine_class="truebeam",  # none is told: the one with the tightest limits
)
