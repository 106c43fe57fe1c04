"""What a checked DICOM file says, attribute by attribute; no error repeats a value of it.

pydicom takes the data set apart; values are decoded here, because its own decoding quotes them in
warnings and exceptions.  An attribute that is empty counts as absent.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError
from analyzers.dicom.structure import (
    EXPLICIT,
    EXPORT_AGAIN,
    IMPLICIT,
    LARGEST_FILE,
    PIXELS,
    REFUSED_SYNTAXES,
    StructureCheck,
    layout,
)
from analyzers.regular_file import opened

if TYPE_CHECKING:  # pydicom takes a quarter of a second: only who reads a file imports it
    from pydicom.dataset import Dataset

# PS3.5 section 6.2: DS and IS; Python itself would read more ("1_0", "nan", "infinity").
# Real plans write up to 35 characters where the standard allows 16.
DECIMAL = re.compile(rb"[+-]?(?:\d{1,64}(?:\.\d{0,64})?|\.\d{1,64})(?:[eE][+-]?\d{1,3})?")
INTEGER = re.compile(rb"[+-]?\d{1,12}")
LONGEST_VALUE = 65536
LONGEST_TEXT = 1024
PADDING = b" \0"
TEXT_DELIMITERS = {0x09, 0x0A, 0x0C, 0x0D}  # a shift of character set ends there (PS3.5 6.1.2.5)


@dataclass(slots=True)
class Reading:
    """One file being read: the prefix of its error codes, and what there is to warn of."""

    codes: str
    charsets: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)

    def warn(self, what: str) -> None:
        """Warn once."""
        if what not in self.warnings:
            self.warnings.append(what)


@dataclass(frozen=True, slots=True)
class Item:
    """One data set of the file; `place` says where it is without naming anything."""

    data: Dataset
    place: str
    reading: Reading

    def error(self, code: str, what: str) -> ReadError:
        """The error to raise: what was found, and where."""
        where = f"{self.place}: " if self.place else ""
        return ReadError(f"{self.reading.codes}_{code}", f"{where}{what}; {EXPORT_AGAIN}")

    def missing(self, keyword: str) -> ReadError:
        """The error for an attribute that has to be there."""
        return self.error("MISSING", f"{keyword} is absent or empty")

    def items(self, keyword: str, name: str, *, most: int) -> list[Item]:
        """The items of a sequence, placed by `name` and their position; empty when absent."""
        from pydicom.sequence import Sequence as DicomSequence

        with _silent(self.reading.codes):
            value = self.data[keyword].value if keyword in self.data else None
        if value is None or (not value and not isinstance(value, DicomSequence)):
            return []
        if not isinstance(value, DicomSequence):
            raise self.error("STRUCTURE", f"{keyword} is not a sequence")
        if len(value) > most:
            raise self.error("COUNTS", f"{len(value)} items of {keyword}, {most} at most")
        before = f"{self.place}, " if self.place else ""
        return [
            Item(data, f"{before}{name} {k}", self.reading) for k, data in enumerate(value, start=1)
        ]

    def numbers(self, keyword: str) -> NDArray[np.float64] | None:
        """All values of a DS attribute; None when absent."""
        raw = self._raw(keyword)
        if raw is None:
            return None
        parts = [part.strip(PADDING) for part in raw.split(b"\\")]
        if not all(DECIMAL.fullmatch(part) for part in parts):
            raise self.error("NUMBER", f"{keyword} holds what is not a decimal number")
        values = np.array([float(part) for part in parts])
        if not np.isfinite(values).all():
            raise self.error("NUMBER", f"{keyword} is too large for a number")
        return values

    def number(self, keyword: str) -> float | None:
        """The only value of a DS attribute; None when absent."""
        values = self.numbers(keyword)
        if values is None:
            return None
        if len(values) != 1:
            raise self.error("NUMBER", f"{len(values)} values of {keyword}, one expected")
        return float(values[0])

    def integer(self, keyword: str) -> int | None:
        """The only value of an IS attribute; None when absent."""
        raw = self._raw(keyword)
        if raw is None:
            return None
        if not INTEGER.fullmatch(raw.strip(PADDING)):
            raise self.error("NUMBER", f"{keyword} is not one whole number")
        return int(raw.strip(PADDING))

    def code(self, keyword: str) -> str | None:
        """A CS, UI, DA or TM attribute; None when absent.  For comparing, never for a message."""
        raw = self._raw(keyword)
        return None if raw is None else raw.strip(PADDING).decode("ascii", "replace") or None

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

    def moment(self, date: str, time: str) -> datetime | None:
        """Local date and time from a DA and a TM attribute; None when absent or not sensible."""
        day, clock = self.code(date) or "", (self.code(time) or "").partition(".")[0]
        if not re.fullmatch(r"\d{8}", day, re.ASCII):
            return None
        if not re.fullmatch(r"(?:\d\d){0,3}", clock, re.ASCII):
            clock = ""
        try:
            return datetime.strptime(day + clock.ljust(6, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            return None

    def _raw(self, keyword: str) -> bytes | None:
        """The bytes of a value; None when absent or empty."""
        from pydicom.datadict import tag_for_keyword
        from pydicom.dataelem import RawDataElement

        tag = tag_for_keyword(keyword)
        if tag is None or tag not in self.data:
            return None
        element = self.data.get_item(tag)
        # What is empty may come decoded; anything else does only when it is a sequence.
        value = element.value
        if not isinstance(element, RawDataElement) and element.VR == "SQ":
            raise self.error("STRUCTURE", f"{keyword} is a sequence, a value expected")
        if not isinstance(value, bytes):
            return None
        if len(value) > LONGEST_VALUE:
            raise self.error("SIZE", f"{len(value)} bytes of {keyword}, {LONGEST_VALUE} at most")
        return value if value.strip(PADDING) else None


def open_file(path: Path, codes: str, wanted_class: str) -> tuple[Item, Reading]:
    """Read and check a whole file of one SOP class.

    Codes begin with `codes`.  Raises `ReadError`, `TruncatedError` for a file that ends early.
    """
    content = _content(path, codes)
    found = layout(content)
    if found.syntax not in (None, IMPLICIT, EXPLICIT):
        kind = REFUSED_SYNTAXES.get(found.syntax or "", "compressed or of an unknown kind")
        raise ReadError(
            f"{codes}_TRANSFER",
            f"the transfer syntax is {kind}; export it as implicit or explicit little-endian",
        )
    StructureCheck(content, codes).run(found)
    reading = Reading(codes)
    root = Item(_dataset(content, found.offset, not found.explicit(content), codes), "", reading)
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
    return max(map(int, item.data.keys()), default=0)


def _content(path: Path, codes: str) -> bytes:
    with opened(path) as (stream, size):
        if size > LARGEST_FILE:
            raise ReadError(f"{codes}_SIZE", f"{size} bytes, {LARGEST_FILE} at most")
        content = stream.read(size)
    if not content:
        raise TruncatedError(f"{codes}_EMPTY", f"the file is empty; {EXPORT_AGAIN}")
    return content


def _dataset(content: bytes, offset: int, implicit: bool, codes: str) -> Dataset:
    """Take the data set apart; pixels and what comes after them are left out."""
    from pydicom.filereader import read_dataset

    stream = BytesIO(content)
    stream.seek(offset)
    with _silent(codes):
        # Not "at the top level": there pydicom guesses whether the elements are explicit.
        return read_dataset(
            stream,
            implicit,
            True,
            stop_when=lambda tag, _form, _length: int(tag) >= PIXELS,
            at_top_level=False,
        )


@contextmanager
def _silent(codes: str) -> Iterator[None]:
    """pydicom's exceptions, warnings and log lines quote values: nothing of them is passed on."""
    log = logging.getLogger("pydicom")
    was_disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (MemoryError, ReadError):
        raise
    except Exception:  # noqa: BLE001 - the library raises anything on data that is not sound
        raise ReadError(
            f"{codes}_STRUCTURE", f"the elements cannot be taken apart; {EXPORT_AGAIN}"
        ) from None
    finally:
        log.disabled = was_disabled
