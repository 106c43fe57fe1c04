"""From a clinic's own tables to sessions of the schema `qa_srt_output`, by the clinic's mappings.

A file is taken as a whole or refused as a whole; what it says then is the same as if it had come as
`srt-output-json`, and every session becomes such a file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from analyzers.core import Bundle, ReadError
from analyzers.output_checks import OutputCheck
from analyzers.output_columns import COLUMNS, Kind
from analyzers.output_rows import Cells, accepted
from analyzers.output_text import bundled
from analyzers.sheet_cells import Area, Broken, Serial, SheetRow, SheetTable, Spreadsheet, letters
from analyzers.sheet_mapping import SheetMapping, Target
from analyzers.sheet_text import read_table
from analyzers.sheet_units import READINGS
from analyzers.sheet_values import as_day, as_moment, as_number, as_text, as_time, in_zone
from analyzers.sheet_workbook import read_sheet

OCCASION = (
    *("unit_id", "datetime", "check_type", "kvp", "filter_id", "applicator_id", "ssd_cm"),
    *("timer_set_s", "mode", "exposures", "absorber_mm_al", "head_angle_deg", "chamber_model"),
)
POINT = ("depth_mm", "position_mm", "profile_axis")
"""What a row is known by that has no `record_id` of its own; `POINT` where it has one."""
REFUSED_AT = re.compile(r"^(?P<row>.*?row \d+), (?P<column>[a-z_]+):")


class ClinicSheet(BaseModel):
    """A mapping, with what the site file knows: the zone of its clock and whose table it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: SheetMapping
    time_zone: str
    unit_id: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """A table with its mapping, and where the mapped columns are."""

    sheet: ClinicSheet
    table: SheetTable
    columns: Mapping[str, int]
    merged: Sequence[Area]
    notes: list[str] = field(default_factory=list)

    @property
    def mapping(self) -> SheetMapping:
        return self.sheet.mapping

    def at(self, row: SheetRow, header: str) -> str:
        """`sheet 'Daily', row 7, column K (Temp)`."""
        return f"{self.table.row(row.number)}, column {letters(self.columns[header])} ({header})"


def sessions_of(file: Spreadsheet, sheets: Sequence[ClinicSheet]) -> tuple[OutputCheck, ...]:
    """All sessions of a file, the earliest first.  Raises `ReadError`."""
    return _sessions(_readers(file, sheets))


def bundle_of(file: Spreadsheet, sheets: Sequence[ClinicSheet]) -> Bundle:
    """The sessions of a file, each as an `srt-output-json` file.  Raises `ReadError`."""
    readers = _readers(file, sheets)
    found = _sessions(readers)
    return bundled(found, [note for reader in readers for note in reader.notes])


def _readers(file: Spreadsheet, sheets: Sequence[ClinicSheet]) -> list[_Reader]:
    named = [(s.mapping.sheet or "").casefold() for s in sheets]
    if len(set(named)) < len(named):
        raise ReadError(
            "SRT_MAPPING",
            "two [[spreadsheet]] entries of the site file claim this file and sheet: narrow down "
            "their files, or name another sheet",
        )
    return [_reader(file, sheet) for sheet in sheets]


def _sessions(readers: Sequence[_Reader]) -> tuple[OutputCheck, ...]:
    try:
        return accepted(row for reader in readers for row in _rows(reader))
    except ReadError as why:
        raise ReadError(why.code, _with_letter(str(why), readers)) from None


def _reader(file: Spreadsheet, sheet: ClinicSheet) -> _Reader:
    mapping = sheet.mapping
    if mapping.csv is not None:
        table = read_table(file.content, mapping.csv.separator, mapping.csv.encoding)
    else:
        table = read_sheet(file.content, mapping.sheet)
    columns = _columns(table, mapping)
    used = set(columns.values())
    over = [
        area
        for area in table.merged
        if used.intersection(range(area.first_column, area.last_column + 1))
        and area.last_row >= mapping.header_row
    ]
    return _Reader(sheet, table, columns, over, list(table.notes))


def _columns(table: SheetTable, mapping: SheetMapping) -> dict[str, int]:
    """Where each header of the mapping stands, once."""
    where = table.row(mapping.header_row)
    header = next((row for row in table.rows if row.number == mapping.header_row), None)
    places: dict[str, list[int]] = {}
    for column, value in (header.cells if header else {}).items():
        if not isinstance(value, Broken | Serial | bool):
            places.setdefault(_plain(as_text(value, where)), []).append(column)
    found: dict[str, int] = {}
    for name in mapping.headers:
        at = places.get(_plain(name), [])
        if len(at) != 1:
            said = "is not there" if not at else f"is there {len(at)} times"
            raise ReadError(
                "SRT_MAPPING",
                f"{where}: the column {name!r} of the mapping {said}; correct the mapping "
                "(columns, header_row), or the header of the table",
            )
        found[name] = at[0]
    if len(set(found.values())) < len(found):
        raise ReadError("SRT_MAPPING", f"{where}: the mapping names a column in two ways")
    return found


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(reader: _Reader) -> Iterator[tuple[str, Cells]]:
    hidden = left_out = 0
    for row in reader.table.rows:
        if row.number <= reader.mapping.header_row:
            continue
        if _is_skipped(reader, row):
            left_out += _has_reading(reader, row)
            continue
        _check_merged(reader, row)
        if _is_blank(reader, row):
            continue
        hidden += row.is_hidden
        moment = _moment(reader, row)
        earliest = reader.mapping.not_before
        if earliest is not None and moment.date() < earliest:
            continue
        yield reader.table.row(row.number), _cells(reader, row, moment)
    of = reader.table.called or "the table"
    if hidden:
        reader.notes.append(f"{of}: hidden rows were read as well, {hidden} of them")
    if left_out:
        reader.notes.append(f"{of}: {left_out} rows that the mapping leaves out hold readings")


def _is_skipped(reader: _Reader, row: SheetRow) -> bool:
    """Whether the mapping says that the row is none."""
    if any(_is_empty(reader, row, header) for header in reader.mapping.skip_where_empty or ()):
        return True
    for header, words in reader.mapping.skip_where.items():
        value = row.cells.get(reader.columns[header], "")
        text = value.strip().casefold() if isinstance(value, str) else None
        if text in {word.strip().casefold() for word in words}:
            return True
    return False


def _is_blank(reader: _Reader, row: SheetRow) -> bool:
    """Whether the row holds neither a date nor a reading."""
    date = reader.mapping.when.headers[0]
    return _is_empty(reader, row, date) and not _has_reading(reader, row)


def _has_reading(reader: _Reader, row: SheetRow) -> bool:
    return any(not _is_empty(reader, row, header) for header in reader.mapping.readings)


def _is_empty(reader: _Reader, row: SheetRow, header: str) -> bool:
    value = row.cells.get(reader.columns[header], "")
    return isinstance(value, str) and not value.strip()


def _check_merged(reader: _Reader, row: SheetRow) -> None:
    for area in reader.merged:
        if area.first_row <= row.number <= area.last_row:
            raise ReadError(
                "SRT_SHEET",
                f"{reader.table.row(row.number)}: the cells {area} are merged, so that nobody can "
                "tell whose value they hold; split them and fill in every row",
            )


def _moment(reader: _Reader, row: SheetRow) -> datetime:
    when, zone = reader.mapping.when, ZoneInfo(reader.sheet.time_zone)
    header = reader.mapping.when.headers[0]
    at = reader.at(row, header)
    value = row.cells.get(reader.columns[header])
    if value is None or _is_empty(reader, row, header):
        raise ReadError(
            "SRT_TIME",
            f"{at}: empty, and the row holds readings; fill it in, or say in the mapping with "
            "skip_where or skip_where_empty which rows are none",
        )
    since_1904 = reader.table.since_1904
    if when.datetime is not None:
        return in_zone(as_moment(value, when.datetime_format, since_1904, at), zone, when, at)
    day = as_day(value, when.date_format, since_1904, at)
    if when.time is None:
        clock = datetime.strptime(when.time_of_day or "", "%H:%M").time()  # noqa: DTZ007
    else:
        at = reader.at(row, when.time)
        told = row.cells.get(reader.columns[when.time])
        if told is None:
            raise ReadError("SRT_TIME", f"{at}: empty, and every row has to say it")
        clock = as_time(told, when.time_format, since_1904, at)
    return in_zone(datetime.combine(day, clock), zone, when, at)


def _cells(reader: _Reader, row: SheetRow, moment: datetime) -> Cells:
    found: dict[str, object] = {"unit_id": reader.sheet.unit_id}
    found |= reader.mapping.constants
    for header, targets in reader.mapping.columns.items():
        if reader.columns[header] in row.cells:
            found |= _told(reader, row, header, targets)
    found |= _constants_for(reader, row, found)
    found["datetime"] = moment.isoformat()
    readings = _readings(reader, row)
    if readings:
        found[READINGS] = readings
    if "record_id" not in found:
        told = [found.get(name) for name in OCCASION]
        known = json.dumps(told + [f"{name} {found[name]}" for name in POINT if name in found])
        found["record_id"] = "row-" + hashlib.sha256(known.encode()).hexdigest()[:12]
    return found


def _told(
    reader: _Reader, row: SheetRow, header: str, targets: Sequence[Target]
) -> dict[str, object]:
    """What one cell says, by column of the schema; nothing where it is blank."""
    at = reader.at(row, header)
    value = row.cells[reader.columns[header]]
    if isinstance(value, str) and not value.strip():
        return {}
    found: dict[str, object] = {}
    for target in targets:
        if target.values is not None:
            words = {text.strip().casefold(): told for text, told in target.values.items()}
            key = as_text(value, at).casefold()
            if key not in words:
                raise ReadError(
                    "SRT_MAPPING",
                    f"{at}: a text that the mapping's values for {target.to} do not have; add it "
                    "there, or correct the cell",
                )
            found[target.to] = words[key]
        elif COLUMNS[target.to].kind is Kind.NUMBER:
            number = as_number(value, reader.mapping.decimal, at)
            way = reader.mapping.conversion(target.to, target.unit)
            found[target.to] = way.apply(number, reader.mapping.air_kerma_gy_per_r)
        else:
            found[target.to] = as_text(value, at)
    return found


def _constants_for(reader: _Reader, row: SheetRow, told: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for more in reader.mapping.constants_for:
        if any(told.get(name) != value for name, value in more.when.items()):
            continue
        for name, value in more.values.items():
            if found.setdefault(name, value) != value:
                raise ReadError(
                    "SRT_MAPPING",
                    f"{reader.table.row(row.number)}: two entries of constants_for give {name}, "
                    "and not the same; narrow down their when",
                )
    return found


def _readings(reader: _Reader, row: SheetRow) -> tuple[float, ...]:
    mapping = reader.mapping
    way = mapping.conversion(READINGS, mapping.readings_unit)
    sign = -1.0 if mapping.readings_are_negative else 1.0
    found = []
    for header in mapping.readings:
        value = row.cells.get(reader.columns[header])
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        number = sign * as_number(value, mapping.decimal, reader.at(row, header))
        if not number > 0.0:
            raise ReadError(
                "SRT_READINGS",
                f"{reader.at(row, header)}: not a charge above 0; leave out what was not read, and "
                "say readings_are_negative in the mapping if all of the table is below zero",
            )
        found.append(way.apply(number, None))
    return tuple(found)


def _with_letter(message: str, readers: Sequence[_Reader]) -> str:
    """The message of a rule of the schema, with the column of the table where it came from one."""
    match = REFUSED_AT.match(message)
    if match is None:
        return message
    name, row = match["column"], match["row"]
    for reader in readers:
        number = row.rpartition(" ")[2]
        if reader.table.row(int(number)) != row:
            continue
        columns = [
            f"{letters(reader.columns[header])} ({header})"
            for header in _headers_of(reader.mapping, name)
        ]
        if columns:
            word = "column" if len(columns) == 1 else "columns"
            return f"{row}, {word} {', '.join(columns)}, {message[len(row) + 2 :]}"
    return message


def _headers_of(mapping: SheetMapping, name: str) -> Sequence[str]:
    """The columns of the table that a column of the schema comes from."""
    if name == READINGS:
        return mapping.readings
    if name == "datetime":
        return mapping.when.headers
    named = mapping.columns.items()
    return [header for header, targets in named if any(target.to == name for target in targets)]
