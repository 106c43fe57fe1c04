"""Output checks of an SRT unit as a table: schema `qa_srt_output` 1.0, comma-separated.

UTF-8, RFC 4180, a header, a row for each group of readings; before the header at most one line
`#schema=qa_srt_output/1.0`.  Columns in any order; those of the schema and no other.  Rows are
counted as a spreadsheet counts them, the header among them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from analyzers.core import Bundle, Format, NamedFile, ReadError, TruncatedError
from analyzers.output_checks import OutputCheck
from analyzers.output_columns import COLUMNS, REQUIRED, SCHEMA, VERSION, Column, Kind
from analyzers.output_rows import (
    MOST_BYTES,
    MOST_COLUMNS,
    MOST_ROWS,
    Cells,
    accepted,
    check_columns,
    only_session,
)
from analyzers.output_text import one_or_bundle
from analyzers.regular_file import opened

COMMENT = f"#schema={SCHEMA}/{VERSION}"
KNOWN_BY = ("record_id", "unit_id", "check_type")
"""Columns by which a header without the comment line is told."""
NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
GROUPED = re.compile(r"[+-]?\d{1,3}(?:[,' \u00a0\u202f]\d{3})+(?:\.\d*)?", re.ASCII)
SPACES = str.maketrans("\u00a0\u202f", "  ")


def recognize(head: bytes) -> bool:
    """A table that names the schema in its first line, or has its columns there."""
    first = head.decode("utf-8-sig", "replace").partition("\n")[0].strip()
    if first.startswith(f"#schema={SCHEMA}"):
        return True
    names = {cell.strip().strip('"').strip() for cell in re.split(r"[,;\t]", first)}
    return names.issuperset(KNOWN_BY)


def read(path: Path | str) -> OutputCheck:
    """Read a file of one session.  Raises `ReadError`."""
    return only_session(read_sessions(Path(path)))


def read_sessions(path: Path) -> tuple[OutputCheck, ...]:
    """All sessions of a file, the earliest first.  Raises `ReadError`."""
    return accepted(_rows(_text(path)))


def _read(
    file: NamedFile,
    companions: Sequence[NamedFile],  # noqa: ARG001
) -> OutputCheck | Bundle:
    return one_or_bundle(read_sessions(file.path))


def _text(path: Path) -> str:
    with opened(path) as (stream, size):
        if size > MOST_BYTES:
            raise ReadError("SRT_SIZE", f"{size} bytes, at most {MOST_BYTES} expected")
        content = stream.read(size)
    if b"\0" in content:
        raise ReadError(
            "SRT_TEXT", "the table holds NUL bytes; export it as CSV in UTF-8 once more"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ReadError("SRT_TEXT", "the table is not UTF-8; export it as CSV in UTF-8") from None


def _rows(text: str) -> Iterator[tuple[str, Cells]]:
    lines = _lines(text)
    number, names = next(lines, (1, []))
    if names and names[0].startswith("#"):
        _check_comment(names)
        number, names = next(lines, (2, []))
    names = [name.strip() for name in names]
    _check_header(names, number)
    count = 0
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_ROWS:
            raise ReadError("SRT_SIZE", f"more than {MOST_ROWS} rows; write several files")
        where = f"row {number}"
        if len(cells) != len(names):
            raise ReadError(
                "SRT_SCHEMA",
                f"{where}: {len(cells)} cells, {len(names)} expected as in the header; a comma in "
                "a text needs quotes around the cell, and no number has one",
            )
        yield where, _cells(names, cells, where)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows as the spreadsheet counts them, with their cells."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as why:
            # The text of the error is the module's own and holds no cell.
            is_cut = "unexpected end" in str(why)
            raise (TruncatedError if is_cut else ReadError)(
                "SRT_TEXT",
                f"row {number}: quotes or line breaks are not as RFC 4180 has them ({why}); export "
                "the table once more",
            ) from None
        yield number, cells


def _check_comment(cells: Sequence[str]) -> None:
    # A spreadsheet fills the line up with empty cells; what is between them the header will tell.
    if cells[0].strip("; \t") != COMMENT or any(cells[1:]):
        raise ReadError("SRT_SCHEMA", f"row 1: {COMMENT} expected, or no comment line at all")


def _check_header(names: Sequence[str], number: int) -> None:
    where = f"row {number}"
    for mark, said in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) <= 2 and any(mark in name for name in names):
            raise ReadError(
                "SRT_SCHEMA",
                f"{where}: the cells are separated by {said}; export the table with commas between "
                "cells and a point in decimals",
            )
    if len(names) > MOST_COLUMNS:
        raise ReadError("SRT_SIZE", f"{where}: {len(names)} columns, at most {MOST_COLUMNS}")
    check_columns(names, where)
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ReadError("SRT_SCHEMA", f"{where}: column {name} is there twice")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise ReadError(
            "SRT_SCHEMA", f"{where}: the header lacks {', '.join(missing)}; every row has to say it"
        )


def _cells(names: Sequence[str], cells: Sequence[str], where: str) -> Cells:
    found: dict[str, object] = {}
    for name, cell in zip(names, cells, strict=True):
        text = cell.translate(SPACES).strip()
        if text:
            found[name] = _value(COLUMNS[name], text, f"{where}, {name}")
    return found


def _value(column: Column, text: str, at: str) -> object:
    if column.kind is Kind.NUMBER:
        return _number(text, at)
    if column.kind is Kind.READINGS:
        return tuple(_number(part.strip(), at) for part in text.split(";"))
    return text


def _number(text: str, at: str) -> float:
    if NUMBER.fullmatch(text):
        return float(text)
    if GROUPED.fullmatch(text) and not DECIMAL_COMMA.fullmatch(text):
        said = "a thousands separator; write digits and a decimal point alone"
    elif DECIMAL_COMMA.fullmatch(text):
        said = "a comma in a number; write a decimal point, and no thousands separator"
    elif not text:
        said = "an empty reading; write r1;r2;r3 without a separator at the end"
    elif text.startswith("="):
        said = "a formula; export the table with values"
    else:
        said = "not a number; write digits and a decimal point, without a unit"
    raise ReadError("SRT_SCHEMA", f"{at}: {said}")


FORMAT = Format(
    name="srt-output-csv",
    yields=OutputCheck,
    recognize=recognize,
    read=_read,
    machine_class="srt",
    may_bundle=True,
)
