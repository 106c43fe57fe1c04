"""The blocks of a Varian XIM image: header, pixels, histogram, properties; little-endian.

The maker publishes no description.  Layout and names are those of public readers, checked against
pylinac's; that the compressed pixels fill their block, that the table has one entry more than is
used and that the size before compression is stated after them was seen by others in real files.

Compressed pixels are the first row and one pixel more as they are, then the difference of each
from what its three neighbors before foretell, `p[i-1] + p[i-w] - p[i-w-1]`, counted along the rows
without a break.  A table of two bits a pixel says in how many bytes the difference is written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError

MAGIC = b"VMS.XI\0\0"
CODES = "XIM"
EXPORT_AGAIN = "export the file again"
HEADER = struct.Struct("<8s6i")
LARGEST_SIDE = 8192
MOST_PIXELS = 4096 * 4096
MOST_BINS = 1_000_000
MOST_PROPERTIES = 10_000
LONGEST_NAME = 1024
LONGEST_TEXT = 1_000_000
MOST_VALUES = 100_000
PIXEL_TYPES = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}
WIDTHS = np.array([1, 2, 4, 0], np.uint8)
LARGEST_STEP = 2**33
INTEGER, DOUBLE, TEXT, DOUBLES, INTEGERS = 0, 1, 2, 4, 5

Property = int | float | str | NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """`stored` has the shape `(rows, columns)`; `properties` by the maker's names."""

    stored: NDArray[Any]
    properties: dict[str, Property]
    spare_bytes: int


def blocks(content: bytes) -> Blocks:
    """Take a whole file apart.  Raises `ReadError`, `TruncatedError` where it ends early."""
    walk = _Walk(content)
    magic, _, columns, rows, bits, size, compressed = HEADER.unpack(walk.take(HEADER.size))
    if magic != MAGIC:
        raise error("MAGIC", "the file does not begin as an XIM image does")
    if not (1 <= columns <= LARGEST_SIDE and 1 <= rows <= LARGEST_SIDE):
        raise error("RANGE", f"{rows} rows and {columns} columns, 1 to {LARGEST_SIDE} expected")
    if rows * columns > MOST_PIXELS:
        raise error("RANGE", f"{rows * columns} pixels, {MOST_PIXELS} at most")
    if size not in PIXEL_TYPES or bits != 8 * size:
        raise error("BITS", f"{bits} bits in {size} bytes a pixel")
    if compressed not in (0, 1):
        raise error("COMPRESSION", f"the kind of compression is {compressed}, 0 or 1 expected")
    read = _compressed if compressed else _plain
    stored = read(walk, (rows, columns), size)
    walk.take(4 * walk.count("bins of the histogram", MOST_BINS))
    return Blocks(stored, _properties(walk), walk.left)


def error(code: str, what: str) -> ReadError:
    """The error to raise: what was found."""
    return ReadError(f"{CODES}_{code}", f"{what}; {EXPORT_AGAIN}")


class _Walk:
    """A place in the file that only moves on."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def take(self, length: int) -> memoryview:
        if length > self.left:
            raise TruncatedError(
                f"{CODES}_SHORT",
                f"{len(self._content)} bytes, and the block at offset {self._at} needs {length}; "
                f"wait for the copy to end or {EXPORT_AGAIN}",
            )
        self._at += length
        return self._content[self._at - length : self._at]

    def integer(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def count(self, what: str, most: int) -> int:
        found = self.integer()
        if not 0 <= found <= most:
            raise error("COUNTS", f"{found} {what}, 0 to {most} expected")
        return found


def _plain(walk: _Walk, shape: tuple[int, int], size: int) -> NDArray[Any]:
    wanted, said = shape[0] * shape[1] * size, walk.integer()
    if said != wanted:
        raise error("LENGTH", f"{said} bytes of pixels, {wanted} expected of their number")
    return np.frombuffer(walk.take(wanted), PIXEL_TYPES[size]).reshape(shape)


def _compressed(walk: _Walk, shape: tuple[int, int], size: int) -> NDArray[np.int64]:
    """The pixels as they were before compression, shape `(rows, columns)`."""
    rows, columns = shape
    if rows < 2:
        raise error("RANGE", "a compressed image of one row")
    differences = rows * columns - columns - 1
    said = walk.integer()
    # One entry is of no pixel; it takes a byte more where the others fill theirs.
    if said not in (-(-differences // 4), -(-(differences + 1) // 4)):
        raise error("LENGTH", f"{said} bytes in the table of {differences} differences")
    codes = _codes(walk.take(said), differences)
    first, said = 4 * (columns + 1), walk.integer()
    widths = WIDTHS[codes]
    wanted = first + int(widths.sum(dtype=np.int64))
    if said != wanted:
        raise error("LENGTH", f"{said} bytes of compressed pixels, {wanted} by their table")
    start = np.frombuffer(walk.take(first), "<i4").astype(np.int64)
    steps = _differences(walk.take(wanted - first), widths)
    said, wanted = walk.integer(), rows * columns * size
    if said != wanted:
        raise error("LENGTH", f"{said} bytes before compression, {wanted} by their number")
    pixels = _summed(start, steps, shape)
    low, high = -(2 ** (8 * size - 1)), 2 ** (8 * size) - 1
    if pixels.min() < low or pixels.max() > high:
        raise error("RANGE", f"a pixel that does not fit into {size} bytes")
    return pixels


def _codes(table: memoryview, differences: int) -> NDArray[np.uint8]:
    packed = np.frombuffer(table, np.uint8)
    codes = np.empty((packed.size, 4), np.uint8)
    for k in range(4):  # the lowest two bits first
        codes[:, k] = packed >> (2 * k) & 3
    used = codes.reshape(-1)[:differences]
    if (used == 3).any():
        raise error("TABLE", "an entry of the table that stands for no number of bytes")
    return used


def _differences(body: memoryview, widths: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Signed numbers of 1, 2 or 4 bytes each, as `widths` says."""
    spread = np.zeros((widths.size, 4), np.uint8)
    spread[widths[:, None] > np.arange(4)] = np.frombuffer(body, np.uint8)
    unused = (32 - 8 * widths.astype(np.int32)).astype(np.int32)
    return (spread.view("<i4")[:, 0] << unused >> unused).astype(np.int64)


def _summed(
    start: NDArray[np.int64], steps: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Pixels from their first row and one, and the differences.

    With `q[i] = p[i] - p[i-w]` the recurrence is `q[i] = q[i-1] + d[i]`: one sum along the flat
    image, then one down each column.
    """
    rows, columns = shape
    # Of as many numbers of 32 bits as are read here neither sum leaves 64 bits.
    down = np.cumsum(np.concatenate([[start[columns] - start[0]], steps]))
    if max(-int(down.min()), int(down.max())) > LARGEST_STEP:
        raise error("RANGE", "pixels that differ by more than they can")
    return np.cumsum(np.vstack([start[:columns], down.reshape(rows - 1, columns)]), axis=0)


def _properties(walk: _Walk) -> dict[str, Property]:
    found: dict[str, Property] = {}
    for _ in range(walk.count("properties", MOST_PROPERTIES)):
        name = _text(walk, LONGEST_NAME)
        if name in found:
            raise error("DUPLICATE", "two properties have the same name")
        found[name] = _value(walk)
    return found


def _value(walk: _Walk) -> Property:
    kind = walk.integer()
    if kind == INTEGER:
        return walk.integer()
    if kind == DOUBLE:
        return float(np.frombuffer(walk.take(8), "<f8")[0])
    if kind == TEXT:
        return _text(walk, LONGEST_TEXT)
    if kind not in (DOUBLES, INTEGERS):
        raise error("PROPERTY", f"a property of kind {kind}, 0, 1, 2, 4 or 5 expected")
    item = np.dtype("<f8" if kind == DOUBLES else "<i4")
    length = walk.count("bytes in a property", MOST_VALUES * item.itemsize)
    if length % item.itemsize:
        raise error("PROPERTY", f"{length} bytes of numbers of {item.itemsize}")
    return np.frombuffer(walk.take(length), item)


def _text(walk: _Walk, longest: int) -> str:
    length = walk.count("characters in a name", longest)
    return bytes(walk.take(length)).decode("utf-8", "replace").strip("\0 ")
