"""The pixels of an RT Image, decoded from the bytes of the file.

PS3.3 C.7.6.3 and PS3.5 section 8: samples of 8, 16 or 32 bits of which `BitsStored` up to
`HighBit` are the value, two's complement where `PixelRepresentation` is 1; or floats (C.7.6.24).
The length of the pixels is known before any array is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import TruncatedError
from analyzers.dicom.items import Item, last_tag
from analyzers.dicom.structure import EXPORT_AGAIN, PIXELS

LARGEST_SIDE = 8192
MOST_FRAMES = 1_000_000_000
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
FLOATS = {"FloatPixelData": (32, "<f4"), "DoubleFloatPixelData": (64, "<f8")}


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What the file holds, shape `(rows, columns)`; `bits` of each are the value, 0 for floats."""

    stored: NDArray[Any]
    bits: int

    @property
    def ends(self) -> tuple[float, float] | None:
        """Smallest and largest value that can be stored; None for floats.

        A panel of 14 bits fills 14 of the 16 that are stored: an image that reaches the largest
        number of so many bits, and no higher, was made with as many.
        """
        if not self.bits:
            return None
        if self.stored.dtype.kind == "i":
            return -(2.0 ** (self.bits - 1)), 2.0 ** (self.bits - 1) - 1.0
        return 0.0, 2.0**self._used_bits - 1.0

    @property
    def _used_bits(self) -> int:
        needed = int(self.stored.max()).bit_length()
        return min(self.bits, next(n for n in (8, 10, 12, 14, 16, 24, 32) if n >= needed))


def samples(root: Item) -> Samples:
    """The one frame of the image.  Raises `ReadError`, `TruncatedError` where it ends before."""
    shape = _shape(root)
    allocated = root.packed_integer("BitsAllocated")
    if allocated is None:
        raise root.missing("BitsAllocated")
    for keyword, (bits, kind) in FLOATS.items():
        if root.has(keyword):
            if allocated != bits:
                raise root.error("PIXELS", f"{allocated} bits a sample of {keyword}")
            stored = _array(root, keyword, shape, kind)
            if not np.isfinite(stored).all():
                raise root.error("PIXELS", "pixels that are not a number")
            return Samples(stored, 0)
    if not root.has("PixelData"):
        if last_tag(root) < PIXELS:
            raise TruncatedError(
                f"{root.reading.codes}_SHORT",
                f"the file ends before its pixels; wait for the copy to end or {EXPORT_AGAIN}",
            )
        raise root.missing("PixelData")
    return _integers(root, shape, allocated)


def _shape(root: Item) -> tuple[int, int]:
    frames = root.integer("NumberOfFrames")
    if frames is not None and frames != 1:
        raise root.error(
            "FRAMES",
            f"{frames} frames; an image of one frame is read: export the integrated image"
            if 1 < frames <= MOST_FRAMES
            else f"NumberOfFrames is {frames}",
        )
    if (root.packed_integer("SamplesPerPixel") or 1) != 1:
        raise root.error("PIXELS", "a picture in color; an image of one value a pixel is expected")
    if root.code("PhotometricInterpretation") not in (*MONOCHROME, None):
        raise root.error("PIXELS", "PhotometricInterpretation is neither MONOCHROME1 nor 2")
    sides = []
    for keyword in ("Rows", "Columns"):
        side = root.packed_integer(keyword)
        if side is None:
            raise root.missing(keyword)
        if not 1 <= side <= LARGEST_SIDE:
            raise root.error("RANGE", f"{keyword} is {side}, 1 to {LARGEST_SIDE} expected")
        sides.append(side)
    return sides[0], sides[1]


def _array(root: Item, keyword: str, shape: tuple[int, int], kind: str) -> NDArray[Any]:
    content = root.content(keyword)
    assert content is not None
    rows, columns = shape
    wanted = rows * columns * np.dtype(kind).itemsize
    if len(content) != wanted + wanted % 2:  # values have an even length (PS3.5 7.1.1)
        raise root.error(
            "LENGTH",
            f"{len(content)} bytes of pixels, {wanted} expected of {rows} rows and {columns} "
            f"columns of {np.dtype(kind).itemsize} bytes",
        )
    return np.frombuffer(content[:wanted], kind).reshape(shape)


def _integers(root: Item, shape: tuple[int, int], allocated: int) -> Samples:
    if allocated not in (8, 16, 32):
        raise root.error("BITS", f"{allocated} bits a sample, 8, 16 or 32 expected")
    bits = root.packed_integer("BitsStored")
    bits = allocated if bits is None else bits
    high = root.packed_integer("HighBit")
    high = bits - 1 if high is None else high
    if not 1 <= bits <= allocated or not bits - 1 <= high < allocated:
        raise root.error("BITS", f"{bits} of {allocated} bits stored, the highest is {high}")
    signed = root.packed_integer("PixelRepresentation") or 0
    if signed not in (0, 1):
        raise root.error("BITS", f"PixelRepresentation is {signed}, 0 or 1 expected")
    stored = _array(root, "PixelData", shape, f"<u{allocated // 8}")
    # Bits above the value are not part of it; overlays were kept there once.
    above, below = allocated - 1 - high, high + 1 - bits
    if signed:
        stored = stored.view(f"<i{allocated // 8}")
    if above or below:
        stored = stored << above >> (above + below)
    return Samples(stored, bits)
