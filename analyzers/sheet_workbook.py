"""One sheet of an `.xlsx` workbook, as values (ECMA-376 part 1, SpreadsheetML).

Nothing is worked out: of a formula the value counts that the spreadsheet program stored with it,
and one that has none is `Broken`.  Texts stay texts whatever they begin with.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from analyzers.core import ReadError
from analyzers.sheet_cells import (
    LONGEST_TEXT,
    MOST_COLUMNS,
    MOST_ROWS,
    Area,
    Broken,
    Serial,
    SheetRow,
    SheetTable,
    Value,
)
from analyzers.sheet_container import AGAIN, WORKBOOK, Container, local, relation

RELATIONS = "xl/_rels/workbook.xml.rels"
STYLES = "xl/styles.xml"
STRINGS = "xl/sharedStrings.xml"
MOST_STRINGS = 500_000
MOST_STYLES = 65_536
MOST_MERGED = 5_000
LAST_ROW = 1 << 20
CELL = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})", re.ASCII)
INDEX = re.compile(r"\d{1,7}", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:\d{1,25}(?:\.\d{0,25})?|\.\d{1,25})(?:[eE][+-]?\d{1,3})?", re.ASCII)
DAMAGED = f"the sheet is damaged inside: {AGAIN}"
EAST_ASIAN_DATES = frozenset((*range(27, 37), *range(50, 59)))
"""Numbers of built-in formats that are dates where a program speaks Chinese, Japanese, Korean."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A sheet as the workbook lists it."""

    name: str
    relation: str
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class _Words:
    """What the cells of all sheets refer to."""

    strings: Sequence[str]
    dates: frozenset[int]
    since_1904: bool


def read_sheet(content: bytes, name: str | None) -> SheetTable:
    """The sheet of that name, in any case; None: the first.  Raises `ReadError`."""
    container = Container(content)
    entries, since_1904 = _listed(container)
    entry = _chosen(entries, name)
    called = "the first sheet" if name is None else f"sheet {name!r}"
    notes = [f"{called} is hidden and was read"] if entry.is_hidden else []
    words = _Words(_strings(container), _date_styles(container), since_1904)
    rows: list[SheetRow] = []
    merged: list[Area] = []
    with container.elements(_part_of(container, entry)) as events:
        for found in _sheet(events, words):
            (rows if isinstance(found, SheetRow) else merged).append(found)  # type: ignore[arg-type]
            if len(rows) > MOST_ROWS:
                raise ReadError(
                    "SRT_SIZE",
                    f"{called}, row {rows[-1].number}: more than {MOST_ROWS} rows hold something; "
                    "begin a new sheet, for instance every year",
                )
            if len(merged) > MOST_MERGED:
                raise ReadError("SRT_SIZE", f"{called}: more than {MOST_MERGED} merged cells")
    return SheetTable(called, rows, merged, notes, since_1904)


def _listed(container: Container) -> tuple[list[_Entry], bool]:
    entries: list[_Entry] = []
    since_1904 = False
    with container.elements(WORKBOOK) as events:
        for event, element in events:
            if event == "end":
                continue
            if local(element) == "workbookPr":
                since_1904 = element.get("date1904") in ("1", "true")
            elif local(element) == "sheet":
                state = element.get("state") or "visible"
                name = element.get("name") or ""
                entries.append(_Entry(name, relation(element), state != "visible"))
    return entries, since_1904


def _chosen(entries: Sequence[_Entry], name: str | None) -> _Entry:
    if name is None:
        if not entries:
            raise ReadError("SRT_SHEET", "the workbook has no sheet")
        if entries[0].is_hidden:
            raise ReadError(
                "SRT_MAPPING", "the first sheet is hidden: name the sheet that is meant in mapping"
            )
        return entries[0]
    found = [entry for entry in entries if entry.name.casefold() == name.casefold()]
    if len(found) != 1:
        raise ReadError(
            "SRT_MAPPING",
            f"the workbook has {'no' if not found else 'more than one'} sheet {name!r}, which the "
            "mapping names: correct the one or the other",
        )
    return found[0]


def _part_of(container: Container, entry: _Entry) -> str:
    with container.elements(RELATIONS) as events:
        for event, element in events:
            if event == "end" or local(element) != "Relationship":
                continue
            is_it = element.get("Id") == entry.relation
            kind, target = element.get("Type") or "", element.get("Target") or ""
            if is_it and kind.endswith("/worksheet"):
                return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
    raise ReadError("SRT_SHEET", "the sheet holds no cells (a chart or a macro sheet)")


def _strings(container: Container) -> list[str]:
    """The texts that cells refer to by number."""
    if STRINGS not in container.names:
        return []
    found: list[str] = []
    with container.elements(STRINGS) as events:
        top: Element | None = None
        for event, element in events:
            if event == "start":
                top = element if top is None else top
            elif local(element) == "si":
                found.append(_text(element))
                if top is not None:
                    top.clear()
                if len(found) > MOST_STRINGS:
                    raise ReadError("SRT_SIZE", f"the workbook has more than {MOST_STRINGS} texts")
    return found


def _text(item: Element) -> str:
    """A text of one or several runs; what is only how to pronounce it is left out."""
    runs = [e for e in item if local(e) == "r"]
    own = [e for e in item if local(e) == "t"]
    own += [e for run in runs for e in run if local(e) == "t"]
    return "".join(e.text or "" for e in own)


def _date_styles(container: Container) -> frozenset[int]:
    """The styles of cells that show a number as a date or a time."""
    if STYLES not in container.names:
        return frozenset()
    from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

    own: dict[str, str] = {}
    used: list[str] = []
    inside = False
    with container.elements(STYLES) as events:
        for event, element in events:
            name = local(element)
            if name == "cellXfs":
                inside = event == "start"
            elif event == "start" and name == "numFmt":
                code = element.get("formatCode") or ""
                own[element.get("numFmtId") or ""] = code[:255]
            elif event == "start" and name == "xf" and inside:
                used.append(element.get("numFmtId") or "0")
            if max(len(used), len(own)) > MOST_STYLES:
                raise ReadError("SRT_SIZE", f"the workbook has more than {MOST_STYLES} styles")
    asian = {str(number) for number in EAST_ASIAN_DATES}
    codes = {str(number): code for number, code in BUILTIN_FORMATS.items()} | own
    dates = {number for number, code in codes.items() if is_date_format(code)} | (asian - set(own))
    return frozenset(style for style, number in enumerate(used) if number in dates)


def _sheet(events: Iterator[tuple[str, Element]], words: _Words) -> Iterator[SheetRow | Area]:
    """Rows that hold something and merged areas, as they come."""
    data: Element | None = None
    last = 0
    for event, element in events:
        name = local(element)
        if event == "start":
            data = element if name == "sheetData" else data
            continue
        if name == "row":
            last = _row_number(element, last)
            cells = _cells(element, words, last)
            if cells:
                yield SheetRow(last, cells, element.get("hidden") in ("1", "true"))
            if data is not None:
                data.clear()
        elif name == "mergeCell":
            yield _area(element.get("ref") or "")
            element.clear()


def _row_number(row: Element, last: int) -> int:
    told = row.get("r")
    if told is not None and not re.fullmatch(r"[1-9]\d{0,6}", told, re.ASCII):
        raise ReadError("SRT_SHEET", DAMAGED)
    number = last + 1 if told is None else int(told)
    if not last < number <= LAST_ROW:
        raise ReadError("SRT_SHEET", DAMAGED)
    return number


def _cells(row: Element, words: _Words, number: int) -> dict[int, Value]:
    found: dict[int, Value] = {}
    column = 0
    for cell in row:
        if local(cell) != "c":
            continue
        told = cell.get("r")
        place = (number, column + 1) if told is None else _place(told)
        if place[0] != number or place[1] <= column:
            raise ReadError("SRT_SHEET", DAMAGED)
        column = place[1]
        value = _value(cell, words) if column <= MOST_COLUMNS else None
        if value is not None and value != "":
            found[column] = value
    return found


def _place(reference: str) -> tuple[int, int]:
    match = CELL.fullmatch(reference)
    if match is None:
        raise ReadError("SRT_SHEET", DAMAGED)
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(match[2]), column


def _area(reference: str) -> Area:
    first, _, last = reference.partition(":")
    (first_row, first_column), (last_row, last_column) = _place(first), _place(last or first)
    return Area(first_row, last_row, first_column, last_column)


def _value(cell: Element, words: _Words) -> Value | None:
    parts = {local(part): part for part in cell}
    kind = cell.get("t") or "n"
    if kind == "inlineStr":
        return _shortened(_text(parts["is"])) if "is" in parts else None
    text = (parts["v"].text or "") if "v" in parts else ""
    if not text:
        if "f" not in parts or (kind == "str" and "v" in parts):  # a formula may give an empty text
            return None
        return Broken(
            "a formula without a stored value; open the file in the spreadsheet program and save it"
        )
    if kind == "s":
        is_known = INDEX.fullmatch(text) and int(text) < len(words.strings)
        if not is_known:
            raise ReadError("SRT_SHEET", DAMAGED)
        return _shortened(words.strings[int(text)])
    if kind == "str":
        return _shortened(text)
    if kind == "b":
        return text == "1"
    if kind == "e":
        return Broken("an error of the spreadsheet, such as #DIV/0!; correct its formula")
    if kind == "d":
        return Broken("a date in a form that few programs write; save the file as usual .xlsx")
    return _number(cell, text, words)


def _number(cell: Element, text: str, words: _Words) -> Value:
    style = cell.get("s") or "0"
    if not NUMBER.fullmatch(text) or not INDEX.fullmatch(style):
        raise ReadError("SRT_SHEET", DAMAGED)
    value = float(text)
    if not math.isfinite(value):
        raise ReadError("SRT_SHEET", DAMAGED)
    return Serial(value, words.since_1904) if int(style) in words.dates else value


def _shortened(text: str) -> Value:
    if len(text) > LONGEST_TEXT:
        return Broken(f"a text of more than {LONGEST_TEXT} characters")
    return text
