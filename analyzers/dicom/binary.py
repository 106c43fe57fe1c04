"""Values of a checked DICOM file that are bytes: whole numbers (US, SS), pixels, long lists.

PS3.5 section 6.2 and 8.1.  Little-endian, as `structure` has made sure.  Pixels are counted before
they are looked at: nothing is allocated by what a file announces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import TruncatedError
from analyzers.dicom.items import DECIMALS, PADDING, Item, last_tag
from analyzers.dicom.structure import EXPORT_AGAIN, PIXELS

LARGEST_SIDE = 16_384
MOST_FRAMES = 10_000
PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")


def short(item: Item, keyword: str, *, signed: bool = False) -> int | None:
    """The only value of a US attribute, or (signed) an SS one; None when absent.

    Some attributes are the one or the other by PixelRepresentation, which no dictionary tells.
    """
    value = item.content(keyword)
    if not value:
        return None
    if len(value) != 2:
        raise item.error("NUMBER", f"{keyword} takes {len(value)} bytes, 2 expected")
    return int.from_bytes(value, "little", signed=signed)


def required_short(item: Item, keyword: str) -> int:
    """The only value of a US attribute that has to be there."""
    value = short(item, keyword)
    if value is None:
        raise item.missing(keyword)
    return value


def long_decimals(item: Item, keyword: str, *, most: int) -> NDArray[np.float64] | None:
    """All values of a DS attribute that may be longer than others; None when absent.

    Raises `ReadError` for more than `most`, and for what is not a decimal number.
    """
    value = item.content(keyword)
    if value is None:
        return None
    content = bytes(value)
    if not content.strip(PADDING):
        return None
    count = content.count(b"\\") + 1
    if count > most:
        raise item.error("COUNTS", f"{count} values of {keyword}, {most} at most")
    if not DECIMALS.fullmatch(content):
        raise item.error("NUMBER", f"{keyword} holds what is not a decimal number")
    parts = content.replace(b"\0", b" ").split(b"\\")
    values = np.fromiter(map(float, parts), np.float64, count)
    if not np.isfinite(values).all():
        raise item.error("NUMBER", f"{keyword} is too large for a number")
    return values


@dataclass(frozen=True, slots=True)
class Picture:
    """How the pixels of an object are stored: `bits` of `allocated` are in use."""

    frames: int
    rows: int
    columns: int
    allocated: int
    bits: int
    signed: bool

    @property
    def count(self) -> int:
        """How many pixels there are in all frames."""
        return self.frames * self.rows * self.columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """One pixel as it is stored."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.allocated // 8}")


def picture(item: Item, *, allocated: tuple[int, ...], most_pixels: int) -> Picture:
    """The layout of an object's pixels: one sample each, of `allocated` bits.

    Raises `ReadError` where an attribute is absent, contradicts another one or is not supported.
    """
    samples, bits_allocated = required_short(item, "SamplesPerPixel"), _bits(item, allocated)
    if samples != 1:
        raise item.error("PIXELS", f"{samples} samples per pixel, 1 expected")
    if item.code("PhotometricInterpretation") not in PHOTOMETRIC:
        raise item.error("PIXELS", "PhotometricInterpretation is not a gray scale")
    stored, high = required_short(item, "BitsStored"), required_short(item, "HighBit")
    if not 1 <= stored <= bits_allocated or high != stored - 1:
        raise item.error(
            "PIXELS", f"{stored} bits stored of {bits_allocated}, the highest is {high}"
        )
    signed = required_short(item, "PixelRepresentation")
    if signed not in (0, 1):
        raise item.error("PIXELS", f"PixelRepresentation is {signed}, 0 or 1 expected")
    found = Picture(
        frames=_frames(item),
        rows=_side(item, "Rows"),
        columns=_side(item, "Columns"),
        allocated=bits_allocated,
        bits=stored,
        signed=bool(signed),
    )
    if found.count > most_pixels:
        raise item.error("COUNTS", f"{found.count} pixels, {most_pixels} at most")
    return found


def _bits(item: Item, allocated: tuple[int, ...]) -> int:
    bits = required_short(item, "BitsAllocated")
    if bits not in allocated:
        expected = " or ".join(map(str, allocated))
        raise item.error("PIXELS", f"{bits} bits per pixel, {expected} expected")
    return bits


def _side(item: Item, keyword: str) -> int:
    side = required_short(item, keyword)
    if not 1 <= side <= LARGEST_SIDE:
        raise item.error("RANGE", f"{keyword} is {side}, 1 to {LARGEST_SIDE} expected")
    return side


def _frames(item: Item) -> int:
    frames = item.count("NumberOfFrames", most=MOST_FRAMES)
    if frames == 0:
        raise item.error("RANGE", "NumberOfFrames is 0")
    return 1 if frames is None else frames


def check_end(root: Item) -> None:
    """Refuse a file that was cut between two elements: its pixels come last."""
    if last_tag(root) < PIXELS:
        raise TruncatedError(
            f"{root.reading.codes}_SHORT",
            f"the file ends before its pixels; wait for the copy to end or {EXPORT_AGAIN}",
        )


def pixels(item: Item, layout: Picture) -> NDArray[Any]:
    """The pixels as they are stored, `(frames, rows, columns)`: a view of the file's bytes.

    Raises `ReadError` unless there are exactly as many bytes as the layout says and no pixel uses
    more bits than are stored.
    """
    value = item.content("PixelData")
    if not value:
        raise item.missing("PixelData")
    expected = layout.count * layout.allocated // 8
    if len(value) != expected:
        raise item.error("PIXELS", f"{len(value)} bytes of pixels, {expected} expected")
    stored = np.frombuffer(value, layout.dtype)
    if layout.bits < layout.allocated:
        low, high = _range(layout)
        if stored.min() < low or stored.max() > high:
            raise item.error("PIXELS", f"a pixel uses more than the {layout.bits} bits stored")
    return stored.reshape(layout.frames, layout.rows, layout.columns)


def _range(layout: Picture) -> tuple[int, int]:
    if layout.signed:
        return -(1 << layout.bits - 1), (1 << layout.bits - 1) - 1
    return 0, (1 << layout.bits) - 1


def finite_numbers(item: Item, keyword: str, count: int, largest: float) -> NDArray[np.float64]:
    """Exactly `count` values of a DS attribute that has to be there, none beyond `largest`."""
    values = item.numbers(keyword)
    if values is None:
        raise item.missing(keyword)
    if len(values) != count:
        raise item.error("NUMBER", f"{len(values)} values of {keyword}, {count} expected")
    if np.abs(values).max() > largest:
        raise item.error("RANGE", f"{keyword} is beyond {largest:g}")
    return values


def positive_number(item: Item, keyword: str, largest: float = math.inf) -> float:
    """The only value of a DS attribute that has to be there and above 0."""
    value = item.number(keyword)
    if value is None:
        raise item.missing(keyword)
    if not 0.0 < value <= largest:
        raise item.error(
            "RANGE", f"{keyword} is {value:g}, above 0 and at most {largest:g} expected"
        )
    return value
