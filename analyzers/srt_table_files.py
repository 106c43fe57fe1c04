"""Reading a table of a kV unit, schema `qa_srt_table` 1.0, from JSON or CSV: whole, or not at all.

JSON: `{"schema": "qa_srt_table", "version": "1.0", "kind": "pdd", "unit_id": "SRT1",
"valid_from": "2026-01-15", "source": "…", "rows": [{"kvp": 70, …}]}`.

CSV: a line with the names `schema,version,kind,unit_id,valid_from,source`, a line with their
values, then a line with the names of the columns and a line for each row.  Units are in the names;
decimals have a point.  A message names the row and the column and repeats numbers, never texts.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from datetime import date
from pathlib import Path
from typing import NoReturn

from analyzers.core import ReadError
from analyzers.regular_file import opened
from analyzers.srt_table_checks import check_rows
from analyzers.srt_tables import KINDS, SCHEMA, VERSION, Cell, TableColumn, TableKind, UnitTable
from analyzers.strict_json import Schema, called, is_number

HEAD = ("schema", "version", "kind", "unit_id", "valid_from", "source")
CODE = "SRT_TABLE"
MOST_BYTES = 1 << 20
MOST_ROWS = 5000
LONGEST_NAME, LONGEST_SOURCE = 64, 300
NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{0,12})?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
FIRST_YEAR, LAST_YEAR = 1990, 2199
DOCUMENT = Schema(
    SCHEMA,
    VERSION,
    keys=frozenset({*HEAD, "rows", *(c.name for kind in KINDS.values() for c in kind.columns)}),
    most_bytes=MOST_BYTES,
    deepest=3,
    code=CODE,
    text_code=CODE,
    size_code=CODE,
)


def read_table(path: Path) -> UnitTable:
    """Read and check one table.  Raises `ReadError`, code SRT_TABLE."""
    with opened(path) as (stream, size):
        if size > MOST_BYTES:
            _refuse(f"{size} bytes: a table has at most {MOST_BYTES}")
        return table_of(stream.read(size))


def table_of(content: bytes) -> UnitTable:
    """The table in a file's bytes.  Raises `ReadError`, code SRT_TABLE."""
    is_json = content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
    head, rows = _of_json(content) if is_json else _of_csv(content)
    if head["schema"] != SCHEMA or head["version"] != VERSION:
        _refuse(f'schema "{SCHEMA}", version "{VERSION}" expected')
    kind = KINDS.get(head["kind"])
    if kind is None:
        _refuse(f"kind is none of: {', '.join(KINDS)}")
    if not rows or len(rows) > MOST_ROWS:
        _refuse(f"{len(rows)} rows: 1 to {MOST_ROWS} expected")
    cells = [
        _cells(kind, row, f"row {number}", is_typed=is_json) for number, row in enumerate(rows, 1)
    ]
    check_rows(kind, cells)
    return UnitTable(
        kind.name,
        _text(head["unit_id"], "unit_id", LONGEST_NAME),
        _day(head["valid_from"]),
        _text(head["source"], "source", LONGEST_SOURCE),
        tuple(sorted(cells)),
    )


def _of_json(content: bytes) -> tuple[dict[str, str], list[dict[str, object]]]:
    told = DOCUMENT.of(content)
    if set(told) != {*HEAD, "rows"}:
        _refuse(f"an object with {', '.join(HEAD)} and rows expected, and nothing else")
    head = {}
    for name in HEAD:
        if not isinstance(told[name], str):
            _refuse(f"{name}: a text in quotes expected")
        head[name] = told[name]
    rows = told["rows"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        _refuse("rows: a list of objects expected")
    return head, rows


def _of_csv(content: bytes) -> tuple[dict[str, str], list[dict[str, object]]]:
    try:
        text = content.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except UnicodeDecodeError:
        _refuse("the file is not UTF-8; save it as UTF-8")
    except csv.Error:
        _refuse("this is no whole CSV text: a quote is not closed, or a line is too long")
    if len(lines) < 3 or tuple(lines[0]) != HEAD or len(lines[1]) != len(HEAD):
        semicolons = "; the file has semicolons, and commas are needed" if ";" in text else ""
        _refuse(f"the first line is to be {','.join(HEAD)}, the second their values{semicolons}")
    names = [name.strip() for name in lines[2]]
    if len(set(names)) != len(names):
        _refuse("line 3: a column stands there twice")
    rows: list[dict[str, object]] = []
    for number, line in enumerate(lines[3:], 1):
        if len(line) != len(names):
            _refuse(
                f"row {number}: {len(line)} cells, {len(names)} expected; decimals need a point"
            )
        rows.append({name: cell.strip() for name, cell in zip(names, line, strict=True)})
    return dict(zip(HEAD, (cell.strip() for cell in lines[1]), strict=True)), rows


def _cells(
    kind: TableKind, row: dict[str, object], where: str, *, is_typed: bool
) -> tuple[Cell, ...]:
    wanted = [column.name for column in kind.columns]
    if set(row) != set(wanted):
        missing = [name for name in wanted if name not in row]
        said = f"lacks {', '.join(missing)}" if missing else "has a column that the kind does not"
        _refuse(f"{where} {said}; a table of kind {kind.name} has {', '.join(wanted)}")
    return tuple(
        _cell(column, row[column.name], where, is_typed=is_typed) for column in kind.columns
    )


def _cell(column: TableColumn, value: object, where: str, *, is_typed: bool) -> Cell:
    at = f"{where}, {column.name}"
    if column.is_text:
        return _text(value, at, LONGEST_NAME)
    number = _typed(value, at) if is_typed else _written(str(value), at)
    low, high = column.low, column.high
    if low is not None and high is not None and not low <= number <= high:
        unit = f" {column.unit}" if column.unit else ""
        _refuse(f"{at}: {number:g}{unit}, {low:g} to {high:g}{unit} expected")
    return number


def _written(value: str, at: str) -> float:
    """A number as it stands in a CSV."""
    if DECIMAL_COMMA.fullmatch(value):
        _refuse(f"{at}: decimals need a point, not a comma")
    if not NUMBER.fullmatch(value):
        _refuse(f"{at}: no number; formulas, units and empty cells are not taken")
    return float(value)


def _typed(value: object, at: str) -> float:
    """A number of JSON; a text in quotes is none."""
    if not is_number(value) or not math.isfinite(value):
        _refuse(f"{at}: {called(value)}, a number expected")
    return float(value)


def _text(value: object, at: str, longest: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        _refuse(f"{at}: a text of 1 to {longest} characters expected")
    if not value.isprintable():
        _refuse(f"{at}: holds characters that cannot be printed")
    return value.strip()


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        _refuse("valid_from: a day like 2026-01-15 expected")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        _refuse("valid_from: lies before 1990 or far ahead")
    return day


def _refuse(message: str) -> NoReturn:
    raise ReadError(CODE, message)
