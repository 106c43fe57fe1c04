"""What a workbook file may be made of: a ZIP archive of XML parts, looked at before it is unpacked.

Only parts that are asked for are unpacked, through a stream that ends at the size that the
archive's directory declares; those sizes are held against limits first.  Macros, links, pictures
and embedded objects are never opened.  XML with a document type or an entity is refused.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import Element, ParseError, iterparse

from analyzers.core import ReadError, TruncatedError

MOST_BYTES = 5 << 20
MOST_PARTS = 1_000
MOST_UNPACKED = 64 << 20
"""Bytes of all parts together."""
MOST_RATIO = 250
"""Unpacked over packed of a part above `SMALL`: the XML of sheets comes to 10 to 60."""
SMALL = 1 << 20
MOST_ELEMENTS = 2_500_000
"""XML elements of a part: a sheet of 10,000 rows and 100 columns has 2 million."""
WORKBOOK = "xl/workbook.xml"
AGAIN = "open it in the spreadsheet program and save it once more as .xlsx"

ZIP_START = b"PK\x03\x04"
OLE_START = bytes.fromhex("d0cf11e0a1b11ae1")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


class Container:
    """The parts of a workbook file.  Every method raises `ReadError`."""

    def __init__(self, content: bytes) -> None:
        if content.startswith(OLE_START):
            raise ReadError(
                "SRT_SHEET",
                "an encrypted workbook, or one of the old .xls kind: save it as .xlsx without a "
                "password",
            )
        if len(content) > MOST_BYTES:
            raise ReadError("SRT_SIZE", f"{len(content)} bytes, at most {MOST_BYTES} expected")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile:
            raise TruncatedError(
                "SRT_SHEET", f"the workbook's archive has no end or is damaged: {AGAIN}"
            ) from None
        except (*_UNREADABLE, ValueError):
            raise ReadError("SRT_SHEET", f"the workbook's archive is damaged: {AGAIN}") from None
        self._check(self._archive.infolist())
        if WORKBOOK not in self.names:
            raise ReadError(
                "SRT_SHEET", f"an office file that is no .xlsx workbook ({WORKBOOK} is not in it)"
            )

    @property
    def names(self) -> set[str]:
        """The names of the parts."""
        return set(self._archive.namelist())

    @contextmanager
    def elements(self, name: str) -> Iterator[Iterator[tuple[str, Element]]]:
        """Starts and ends of the elements of a part, as (`start` or `end`, element)."""
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import iterparse as careful

        try:
            # Entities come of a document type alone, and that stands before the first element: the
            # careful parser, which is slow, reads so far, and the quick one all of it.
            with self._archive.open(name) as stream:
                next(careful(stream, ("start",), forbid_dtd=True), None)
            with self._archive.open(name) as stream:
                yield _counted(iterparse(stream, ("start", "end")))  # noqa: S314 - see above
        except DefusedXmlException:
            raise ReadError(
                "SRT_SHEET",
                f"a document type or an entity stands in the workbook's XML, which no spreadsheet "
                f"program writes: {AGAIN}",
            ) from None
        except KeyError:
            raise ReadError("SRT_SHEET", f"the workbook lacks one of its parts: {AGAIN}") from None
        except (ParseError, UnicodeDecodeError, LookupError, *_UNREADABLE):
            raise ReadError("SRT_SHEET", f"the workbook is damaged inside: {AGAIN}") from None

    def _check(self, parts: list[zipfile.ZipInfo]) -> None:
        if len(parts) > MOST_PARTS:
            raise ReadError(
                "SRT_SIZE", f"the workbook has {len(parts)} parts, at most {MOST_PARTS}"
            )
        if len({part.filename for part in parts}) < len(parts):
            raise ReadError("SRT_SHEET", f"a part of the workbook is there twice: {AGAIN}")
        unpacked = sum(part.file_size for part in parts)
        if unpacked > MOST_UNPACKED:
            raise ReadError(
                "SRT_SIZE",
                f"the workbook is {unpacked} bytes unpacked, at most {MOST_UNPACKED} expected: "
                "keep the sheet of the checks in a workbook of its own",
            )
        for part in parts:
            if part.flag_bits & 0x1:
                raise ReadError(
                    "SRT_SHEET", "the workbook is encrypted: save it without a password"
                )
            if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ReadError("SRT_SHEET", f"the workbook is packed in an unusual way: {AGAIN}")
            if part.file_size > max(SMALL, MOST_RATIO * part.compress_size):
                raise ReadError(
                    "SRT_SIZE",
                    f"a part of the workbook unpacks to more than {MOST_RATIO} times its size: "
                    f"{AGAIN}",
                )


def _counted(events: Iterator[tuple[str, Element]]) -> Iterator[tuple[str, Element]]:
    for count, event in enumerate(events):
        if count > 2 * MOST_ELEMENTS:
            raise ReadError(
                "SRT_SIZE",
                f"a part of the workbook has more than {MOST_ELEMENTS} elements: keep the sheet of "
                "the checks in a workbook of its own, without formats in empty cells",
            )
        yield event


def local(element: Element) -> str:
    """An element's name without its namespace, of which there are two kinds."""
    return element.tag.rpartition("}")[2]


def relation(element: Element) -> str:
    """The number of the relation that an element names, the only attribute with a namespace."""
    found = [text for key, text in element.items() if key.endswith("}id")]
    return found[0] if found else ""
