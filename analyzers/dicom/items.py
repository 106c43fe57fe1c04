"""What a checked DICOM file says, attribute by attribute; no error repeats a value of it.

`structure` takes the data set apart and pydicom gives its dictionary and character sets; values are
decoded here, because pydicom's own decoding quotes them in warnings and exceptions.  An attribute
that is empty counts as absent.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError
from analyzers.dicom.structure import (
    EXPLICIT,
    EXPORT_AGAIN,
    IMPLICIT,
    LARGEST_FILE,
    REFUSED_SYNTAXES,
    Elements,
    StructureCheck,
    layout,
)
from analyzers.regular_file import opened

# PS3.5 section 6.2: DS and IS; Python itself would read more ("1_0", "nan", "infinity").
# Real plans write up to 35 characters where the standard allows 16.
_DECIMAL = rb"[ \0]*+[+-]?(?:\d{1,64}+(?:\.\d{0,64}+)?+|\.\d{1,64}+)(?:[eE][+-]?\d{1,3}+)?+[ \0]*+"
DECIMALS = re.compile(_DECIMAL + rb"(?:\\" + _DECIMAL + rb")*+")
INTEGER = re.compile(rb"[+-]?\d{1,12}")
BINARY = {"US": "<u2", "SS": "<i2", "UL": "<u4", "SL": "<i4", "FL": "<f4", "FD": "<f8"}
LONGEST_VALUE = 65536
LONGEST_TEXT = 1024
UNKNOWN = "unknown"
PADDING = b" \0"
TEXT_DELIMITERS = {0x09, 0x0A, 0x0C, 0x0D}  # a shift of character set ends there (PS3.5 6.1.2.5)


@dataclass(slots=True)
class Reading:
    """One file being read: its bytes, the prefix of its error codes, what there is to warn of."""

    content: bytes = field(repr=False)
    codes: str
    charsets: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)

    def warn(self, what: str) -> None:
        """Warn once."""
        if what not in self.warnings:
            self.warnings.append(what)


@dataclass(slots=True)
class Item:
    """One data set of the file, the `nth` `name` of the item that it is in."""

    data: Elements
    reading: Reading
    inside: Item | None = None
    name: str = ""
    nth: int = 0

    @property
    def place(self) -> str:
        """Where this is, without naming anything."""
        if self.inside is None:
            return ""
        before = self.inside.place
        return f"{before}, {self.name} {self.nth}" if before else f"{self.name} {self.nth}"

    def error(self, code: str, what: str) -> ReadError:
        """The error to raise: what was found, and where."""
        where = f"{self.place}: " if self.place else ""
        return ReadError(f"{self.reading.codes}_{code}", f"{where}{what}; {EXPORT_AGAIN}")

    def missing(self, keyword: str) -> ReadError:
        """The error for an attribute that has to be there."""
        return self.error("MISSING", f"{keyword} is absent or empty")

    def items(self, keyword: str, name: str, *, most: int) -> list[Item]:
        """The items of a sequence, placed by `name` and their position; empty when absent."""
        value = self.data.get(_tag(keyword))
        if value is None:
            return []
        if isinstance(value, tuple):
            if value[1] == 0:
                return []
            raise self.error("STRUCTURE", f"{keyword} is not a sequence")
        if len(value) > most:
            raise self.error("COUNTS", f"{len(value)} items of {keyword}, {most} at most")
        return [Item(data, self.reading, self, name, k) for k, data in enumerate(value, start=1)]

    def has(self, keyword: str) -> bool:
        """Whether the attribute is written here, be it empty."""
        return _tag(keyword) in self.data

    def numbers(self, keyword: str) -> NDArray[np.float64] | None:
        """All values of a DS attribute; None when absent."""
        values = self._floats(keyword)
        return None if values is None else np.array(values)

    def number(self, keyword: str) -> float | None:
        """The only value of a DS attribute; None when absent."""
        values = self._floats(keyword)
        if values is None:
            return None
        if len(values) != 1:
            raise self.error("NUMBER", f"{len(values)} values of {keyword}, one expected")
        return values[0]

    def _floats(self, keyword: str) -> list[float] | None:
        raw = self._raw(keyword)
        if raw is None:
            return None
        if not DECIMALS.fullmatch(raw):
            raise self.error("NUMBER", f"{keyword} holds what is not a decimal number")
        values = [float(part) for part in raw.replace(b"\0", b" ").split(b"\\")]
        if not all(map(math.isfinite, values)):
            raise self.error("NUMBER", f"{keyword} is too large for a number")
        return values

    def integer(self, keyword: str) -> int | None:
        """The only value of an IS attribute; None when absent."""
        raw = self._raw(keyword)
        if raw is None:
            return None
        if not INTEGER.fullmatch(raw.strip(PADDING)):
            raise self.error("NUMBER", f"{keyword} is not one whole number")
        return int(raw.strip(PADDING))

    def packed_integer(self, keyword: str) -> int | None:
        """The only value of a binary integer attribute (US, SS, UL, SL); None when absent."""
        values = self._packed(keyword)
        if values is None:
            return None
        if len(values) != 1 or values.dtype.kind not in "iu":
            raise self.error("NUMBER", f"{keyword} is not one whole number")
        return int(values[0])

    def packed_numbers(self, keyword: str) -> NDArray[np.float64] | None:
        """All values of a binary attribute (FL, FD, US, SS, UL, SL); None when absent."""
        values = self._packed(keyword)
        if values is None:
            return None
        if not np.isfinite(values).all():
            raise self.error("NUMBER", f"{keyword} holds what is not a number")
        return values.astype(np.float64)

    def _packed(self, keyword: str) -> NDArray[Any] | None:
        raw = self.content(keyword)
        if raw is None or not len(raw):
            return None
        if len(raw) > LONGEST_VALUE:
            raise self.error("SIZE", f"{len(raw)} bytes of {keyword}, {LONGEST_VALUE} at most")
        kind = _binary_type(keyword)
        if len(raw) % kind.itemsize:
            raise self.error(
                "NUMBER", f"{len(raw)} bytes of {keyword}, a multiple of {kind.itemsize} expected"
            )
        return np.frombuffer(raw, kind)

    def content(self, keyword: str) -> memoryview | None:
        """The bytes of a value of any length, not copied; None when absent."""
        value = self.data.get(_tag(keyword))
        if value is None:
            return None
        if not isinstance(value, tuple):
            raise self.error("STRUCTURE", f"{keyword} is a sequence, a value expected")
        start, length = value
        return memoryview(self.reading.content)[start : start + length]

    def code(self, keyword: str) -> str | None:
        """A CS, UI, DA or TM attribute; None when absent.  For comparing, never for a message."""
        raw = self._raw(keyword)
        return None if raw is None else raw.strip(PADDING).decode("ascii", "replace") or None

    def word(self, keyword: str, words: Sequence[str]) -> str:
        """One of the standard's words, or `unknown`: whatever else is there is not repeated."""
        found = self.code(keyword)
        return found if found is not None and found in words else UNKNOWN

    def text(self, keyword: str) -> str | None:
        """A name or label in the file's character set; None when absent.

        What does not fit the set is read byte by byte, with a warning.
        """
        raw = self._raw(keyword)
        if raw is None:
            return None
        raw = raw.strip(PADDING)[:LONGEST_TEXT]
        found = _decoded(raw, self.reading.charsets)
        if found is None:
            self.reading.warn(
                "names are not written in the character set that the file states; "
                "they are read byte by byte"
            )
            found = raw.decode("latin-1")
        return found.strip() or None

    def count(self, keyword: str, *, most: int) -> int | None:
        """A whole number from 0 to `most`; None when absent."""
        number = self.integer(keyword)
        if number is not None and not 0 <= number <= most:
            raise self.error("RANGE", f"{keyword} is {number}, 0 to {most} expected")
        return number

    def moment(self, date: str, time: str) -> datetime | None:
        """Local date and time from a DA and a TM attribute; None when either is absent.

        None as well, with a warning, when they are no date and time.
        """
        day, clock = self.code(date), self.code(time)
        if day is None or clock is None:
            return None
        whole, _, part = clock.partition(".")
        written = re.fullmatch(r"\d{8} (?:\d\d){1,3} \d{0,6}", f"{day} {whole} {part}", re.ASCII)
        try:
            if written is None:
                raise ValueError
            return datetime.strptime(day + whole.ljust(6, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            self.reading.warn(f"{date} and {time} are not a date and a time")
            return None

    def _raw(self, keyword: str) -> bytes | None:
        """The bytes of a value; None when absent or empty."""
        value = self.data.get(_tag(keyword))
        if value is None:
            return None
        if not isinstance(value, tuple):
            raise self.error("STRUCTURE", f"{keyword} is a sequence, a value expected")
        start, length = value
        if length > LONGEST_VALUE:
            raise self.error("SIZE", f"{length} bytes of {keyword}, {LONGEST_VALUE} at most")
        raw = self.reading.content[start : start + length]
        return raw if raw.strip(PADDING) else None


@cache
def _tag(keyword: str) -> int:
    # pydicom takes a quarter of a second: only who reads a file imports it.
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)


@cache
def _binary_type(keyword: str) -> np.dtype[Any]:
    """How the values of a binary attribute are written; files are little-endian here."""
    from pydicom.datadict import dictionary_VR

    return np.dtype(BINARY[str(dictionary_VR(_tag(keyword)))])


def open_file(
    path: Path, codes: str, wanted_class: str, *, largest: int = LARGEST_FILE
) -> tuple[Item, Reading]:
    """Read and check a whole file of one SOP class, `largest` bytes at most.

    Codes begin with `codes`.  Raises `ReadError`, `TruncatedError` for a file that ends early.
    """
    content = _content(path, codes, largest)
    found = layout(content)
    if found.syntax not in (None, IMPLICIT, EXPLICIT):
        kind = REFUSED_SYNTAXES.get(found.syntax or "", "compressed or of an unknown kind")
        raise ReadError(
            f"{codes}_TRANSFER",
            f"the transfer syntax is {kind}; export it as implicit or explicit little-endian",
        )
    reading = Reading(content, codes)
    root = Item(StructureCheck(content, codes).run(found), reading)
    if root.code("SOPClassUID") != wanted_class:
        raise root.error("SOP_CLASS", "the file is an object of another SOP class")
    reading.charsets = tuple(
        name.strip() for name in (root.code("SpecificCharacterSet") or "").split("\\")
    )
    if not any(reading.charsets):
        reading.charsets = ()
    return root, reading


def _decoded(raw: bytes, charsets: tuple[str, ...]) -> str | None:
    """Text in these character sets; None where it does not fit them, or one is not known."""
    from pydicom.charset import convert_encodings, decode_bytes

    if not charsets:
        return raw.decode("ascii") if raw.isascii() else None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = str(decode_bytes(raw, convert_encodings(list(charsets)), TEXT_DELIMITERS))
        except (LookupError, ValueError, TypeError):
            return None
    return None if told or "\ufffd" in found else found


def last_tag(item: Item) -> int:
    """The last tag of a data set; 0 when it is empty."""
    return max(item.data, default=0)


def _content(path: Path, codes: str, largest: int) -> bytes:
    with opened(path) as (stream, size):
        if size > largest:
            raise ReadError(f"{codes}_SIZE", f"{size} bytes, {largest} at most")
        content = stream.read(size)
    if not content:
        raise TruncatedError(f"{codes}_EMPTY", f"the file is empty; {EXPORT_AGAIN}")
    return content
