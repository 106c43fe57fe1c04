"""The bytes of an Elekta TRF: header, item list, rows.

All numbers are little-endian.  The header is four strings (date in UTC, time zone, field, machine),
each with its length in front as .NET writes it, the prescribed MU times ten, the version, and the
list of logged items as pairs (item, part).  One row every 40 ms follows until the end of the file:
the items' values as 16-bit numbers, 32-bit from version 4 on, after a time stamp of 8 bytes from
version 2 on (milliseconds since 1970, UTC).  Versions 1 and 3 as checked on real machine files,
2 and 4 as public readers have them.  The format has no checksum and does not say how many rows
there are: only a row cut in two and the last state of the machine tell a file that is cut.
Nothing is allocated by a count before the count fits the file's size.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError

DATE_BYTES = 19
DATE = re.compile(
    r"(\d\d)[/-](\d\d)[/-](\d\d) (\d\d):(\d\d):(\d\d) Z",
    re.ASCII,
)
ZONE = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)
NUMBERS = struct.Struct("<dii")  # prescribed MU x 10, version, items
LONGEST_TEXT = 256
FEWEST_ITEMS, MOST_ITEMS = 8, 2000
MOST_ROWS = 2_000_000
MOST_MU = 1e6
LARGEST_FILE = 256 * 1024 * 1024
LARGEST_HEADER = 4 * (2 + LONGEST_TEXT) + NUMBERS.size + 4 * MOST_ITEMS
FARTHEST_ZONE = timedelta(hours=14)
COPY_AGAIN = "copy the file from the machine again"
WAIT = f"wait for the copy to end or {COPY_AGAIN}"

Code = tuple[int, int]
"""Item and part, as (2224, 129): the gantry, its actual value."""
Values = NDArray[np.signedinteger]


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the rows; every count is checked."""

    performed_at: datetime
    """The machine's local wall time: the date is UTC and the header states the offset."""
    utc_ms: int
    """The same instant in milliseconds since 1970."""
    field_text: str = field(repr=False)
    """Label and name of the field: stays inside `Identity`."""
    machine: str
    planned_mu: float
    version: int
    columns: Mapping[Code, int]
    """Item and part -> column of a row."""
    bytes: int

    @property
    def stamp_bytes(self) -> int:
        """Bytes of the time stamp in front of a row's values."""
        return 8 if self.version >= 2 else 0

    @property
    def value_bytes(self) -> int:
        """Bytes of one value."""
        return 4 if self.version >= 4 else 2

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.stamp_bytes + self.value_bytes * len(self.columns)


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log's content in the maker's own items and units.

    `values` has the shape `(rows, items)`; `stamps_ms` `(rows,)` is None in version 1.
    """

    header: Header
    values: Values
    stamps_ms: NDArray[np.int64] | None


def read_raw(file: BinaryIO, size: int) -> RawLog:
    """Read a whole log of `size` bytes; raises `ReadError` with a TRF code."""
    header = read_header(file.read(LARGEST_HEADER))
    rows = _rows(header, size)
    file.seek(header.bytes)
    content = file.read(rows * header.row_bytes)
    if len(content) < rows * header.row_bytes:
        raise TruncatedError("TRF_ROWS", f"the file became shorter while it was read; {COPY_AGAIN}")
    table = np.frombuffer(content, f"<i{header.value_bytes}").reshape(rows, -1)
    stamp_columns = header.stamp_bytes // header.value_bytes
    stamps_ms = None
    if stamp_columns:
        stamps_ms = np.ascontiguousarray(table[:, :stamp_columns]).view("<i8")[:, 0]
    return RawLog(header, table[:, stamp_columns:], stamps_ms)


def read_header(head: bytes) -> Header:
    """Read the header from a file's first `LARGEST_HEADER` bytes, or from all of a shorter file."""
    if not head:
        raise TruncatedError("TRF_HEADER", f"the file is empty; {COPY_AGAIN}")
    if head[0] != DATE_BYTES:
        raise ReadError(
            "TRF_HEADER",
            f"the first byte is {head[0]}, {DATE_BYTES} expected: the length of a TRF's date; "
            "check that this is a TRF",
        )
    date, offset = _text(head, 0, "date")
    zone, offset = _text(head, offset, "time zone")
    field_text, offset = _text(head, offset, "field")
    machine, offset = _text(head, offset, "machine")
    utc, local = _times(date, zone)
    if len(head) < offset + NUMBERS.size:
        raise _cut(offset, "the header's numbers")
    tenfold_mu, version, items = NUMBERS.unpack_from(head, offset)
    # Comparisons with NaN are false.
    if not 0.0 <= tenfold_mu <= MOST_MU:
        raise ReadError(
            "TRF_MU",
            f"prescribed MU x 10 is {tenfold_mu:g} at offset {offset}, 0 to {MOST_MU:g} expected; "
            f"{COPY_AGAIN}",
        )
    if not 1 <= version <= 4:
        raise ReadError(
            "TRF_VERSION",
            f"version {version} at offset {offset + 8}, 1 to 4 known; ask us to add this version",
        )
    offset += NUMBERS.size
    return Header(
        performed_at=local,
        utc_ms=math.floor((utc - datetime(1970, 1, 1)).total_seconds()) * 1000,  # noqa: DTZ001
        field_text=field_text,
        machine=machine,
        planned_mu=tenfold_mu / 10.0,
        version=version,
        columns=_columns(head, offset, items),
        bytes=offset + 4 * items,
    )


def _text(head: bytes, offset: int, what: str) -> tuple[str, int]:
    """One string, and where the next begins; its length takes one byte below 128, else two."""
    length = 0
    for k in range(2):
        if offset + k >= len(head):
            raise _cut(offset, what)
        length |= (head[offset + k] & 0x7F) << (7 * k)
        if head[offset + k] < 0x80:
            start = offset + k + 1
            break
    else:
        length, start = LONGEST_TEXT + 1, offset
    if length > LONGEST_TEXT:
        raise ReadError(
            "TRF_HEADER",
            f"{what}: a text of more than {LONGEST_TEXT} bytes announced at offset {offset}; "
            f"{COPY_AGAIN}",
        )
    raw = head[start : start + length]
    if len(raw) < length:
        raise _cut(offset, what)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if not text.isprintable():
        raise ReadError(
            "TRF_HEADER", f"{what}: a character that is no text after offset {offset}; {COPY_AGAIN}"
        )
    return text, start + length


def _cut(offset: int, what: str) -> TruncatedError:
    return TruncatedError(
        "TRF_HEADER", f"the file ends within the header ({what}, at offset {offset}); {WAIT}"
    )


def _times(date: str, zone: str) -> tuple[datetime, datetime]:
    """The date in UTC, and as the machine's local wall time; neither carries a zone."""
    found, offset = DATE.fullmatch(date), ZONE.fullmatch(zone)
    if found is None or offset is None:
        raise ReadError(
            "TRF_HEADER",
            "the header does not begin with a date and a time zone as YY/MM/DD hh:mm:ss Z and "
            f"+hh:mm; {COPY_AGAIN}",
        )
    year, month, day, hour, minute, second = (int(number) for number in found.groups())
    ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    try:
        utc = datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001 - see above
        if ahead > FARTHEST_ZONE or int(offset[3]) > 59:
            raise ValueError
        return utc, utc + (ahead if offset[1] == "+" else -ahead)
    except (ValueError, OverflowError):
        raise ReadError(
            "TRF_HEADER",
            f"the header's date or time zone does not exist in any calendar; {COPY_AGAIN}",
        ) from None


def _columns(head: bytes, offset: int, items: int) -> dict[Code, int]:
    if not FEWEST_ITEMS <= items <= MOST_ITEMS:
        raise ReadError(
            "TRF_ITEMS",
            f"{items} items at offset {offset - 4}, {FEWEST_ITEMS} to {MOST_ITEMS} expected; "
            f"{COPY_AGAIN}",
        )
    if len(head) < offset + 4 * items:
        raise _cut(offset, f"the list of {items} items")
    numbers = struct.unpack_from(f"<{2 * items}H", head, offset)
    columns: dict[Code, int] = {}
    for column, code in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
        if code in columns:
            raise ReadError(
                "TRF_ITEMS",
                f"item {code[0]}/{code[1]} is listed twice, the second time at offset "
                f"{offset + 4 * column}; {COPY_AGAIN}",
            )
        columns[code] = column
    return columns


def _rows(header: Header, size: int) -> int:
    """How many rows the file holds; refuses a part of a row, no row, and more than is sane."""
    if size > LARGEST_FILE:
        raise ReadError("TRF_ROWS", f"{size} bytes, {LARGEST_FILE} at most; check what this is")
    rows, rest = divmod(max(size - header.bytes, 0), header.row_bytes)
    if rows > MOST_ROWS:
        raise ReadError("TRF_ROWS", f"{rows} rows, {MOST_ROWS} at most; check what this is")
    if rows == 0:
        raise TruncatedError(
            "TRF_ROWS",
            f"{rest} bytes after the header at offset {header.bytes}, one row has "
            f"{header.row_bytes}; {WAIT}",
        )
    if rest:
        raise TruncatedError(
            "TRF_ROWS",
            f"{rest} bytes left over after {rows} rows of {header.row_bytes} bytes "
            f"(header {header.bytes}, file {size}); {WAIT}",
        )
    return rows
