"""The clinic's own spreadsheet of SRT output checks: an `.xlsx` workbook, or a table as text.

A workbook is told by its first bytes.  A table as text looks like any other: it is read only where
the clinic says that a file is one.  What the cells mean is said by the clinic's mapping.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzers.core import Format, NamedFile, ReadError
from analyzers.regular_file import opened
from analyzers.sheet_cells import Spreadsheet
from analyzers.sheet_container import MOST_BYTES, OLE_START, ZIP_START, Container

OFFICE_PARTS = (b"[Content_Types].xml", b"docProps/", b"xl/", b"_rels/.rels")


def recognize(head: bytes) -> bool:
    """An archive with the parts of an office file, or an office file of the old kind."""
    if head.startswith(OLE_START):
        return True
    return head.startswith(ZIP_START) and any(part in head for part in OFFICE_PARTS)


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Spreadsheet:  # noqa: ARG001
    with opened(file.path) as (stream, size):
        if size > MOST_BYTES:
            raise ReadError("SRT_SIZE", f"{size} bytes, at most {MOST_BYTES} expected")
        content = stream.read(size)
    if content.startswith((ZIP_START, OLE_START)):
        Container(content)
        return Spreadsheet(content)
    return Spreadsheet(content, is_text=True)


FORMAT = Format(
    name="srt-spreadsheet",
    yields=Spreadsheet,
    recognize=recognize,
    read=_read,
    machine_class="srt",
    may_bundle=True,
)
