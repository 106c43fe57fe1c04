"""What the columns of a clinic's own table mean: a mapping to the schema `qa_srt_output`.

Nothing is guessed.  A column that may be in several units says its own, a date its form; what the
table does not hold is stated as a constant.  A mapping that does not give every required column is
refused when it is read, long before a file comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from analyzers.core import ReadError
from analyzers.output_columns import COLUMNS, MOST_READINGS, REQUIRED, Kind, checked
from analyzers.sheet_units import AIR_KERMA_GY_PER_R, READINGS, Conversion, conversion

FROM_ELSEWHERE = ("record_id", "unit_id", "datetime", READINGS)
"""Required columns that need no entry: made of the row, of the site file, of `when`, of `readings`.
"""
NOT_COLUMNS = ("datetime", READINGS)
SERIAL = "serial"
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number or a text, not true or false")
    return value


Plain = Annotated[float | str, BeforeValidator(_no_truth)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """What a column of the table is."""

    to: str
    """A column of the schema."""
    unit: str | None = None
    """The unit that the table is in, where the schema's column may be in several."""
    values: dict[str, Plain] | None = None
    """What the table writes, and what that is in the schema, in the schema's unit."""


def _targets(value: object) -> object:
    """One column may tell several things (a beam: kV and filter); most tell one."""
    several = value if isinstance(value, list | tuple) else [value]
    return [{"to": one} if isinstance(one, str) else one for one in several]


class When(_Part):
    """`[when]`: how the table says when a row was measured, in the clinic's wall time.

    Forms are those of strptime (`%d.%m.%Y`); a cell that the spreadsheet knows to be a date needs
    none, and `serial` is for one that is a bare number of days.
    """

    date: str | None = None
    date_format: str | None = None
    time: str | None = None
    time_format: str | None = None
    time_of_day: str | None = None
    """Where the table has no time: the one to be written, such as "07:30"."""
    datetime: str | None = None
    """A column with both, instead of date and time."""
    datetime_format: str | None = None
    ambiguous_hour: Literal["refuse", "first", "second"] = "refuse"
    """What a time in the hour means that comes twice when summer time ends."""

    @property
    def headers(self) -> tuple[str, ...]:
        """The columns it needs."""
        return tuple(h for h in (self.datetime, self.date, self.time) if h is not None)

    @model_validator(mode="after")
    def _consistent(self) -> When:
        if (self.date is None) == (self.datetime is None):
            raise ValueError("when: give date and time, or datetime")
        has_time = (self.time is not None) + (self.time_of_day is not None)
        if has_time != (self.date is not None):
            raise ValueError(
                "when: a date goes with time, or with time_of_day where the table has no time"
            )
        if self.time_of_day is not None and not CLOCK.fullmatch(self.time_of_day):
            raise ValueError('when.time_of_day is written like "07:30"')
        for form in (self.date_format, self.time_format, self.datetime_format):
            if form is not None and form != SERIAL:
                _check_form(form)
        return self


class Csv(_Part):
    """`[csv]`: the table is a text; without this section it is a workbook."""

    separator: Literal[",", ";", "\t"]
    encoding: Literal["utf-8", "cp1252"] = "utf-8"


class ConstantsFor(_Part):
    """`[[constants_for]]`: constants of rows that have these values, such as an applicator's."""

    when: dict[str, Plain] = Field(min_length=1)
    """Columns of the schema, all of which are to be as said."""
    values: dict[str, Plain] = Field(min_length=1)


class SheetMapping(_Part):
    """The whole mapping file."""

    sheet: str | None = Field(default=None, min_length=1)
    """Left out: the first."""
    header_row: int = Field(default=1, ge=1, le=1000)
    decimal: Literal[".", ","] = "."
    """Of numbers that are written as text; numbers that the spreadsheet knows have none."""
    readings: tuple[str, ...] = Field(min_length=1, max_length=MOST_READINGS)
    """The columns of single readings; an empty one was not read."""
    readings_unit: str | None = None
    readings_are_negative: bool = False
    """The electrometer shows charges below zero; the schema has magnitudes."""
    when: When
    columns: dict[str, Annotated[tuple[Target, ...], BeforeValidator(_targets)]]
    constants: dict[str, Plain] = {}
    constants_for: tuple[ConstantsFor, ...] = ()
    skip_where_empty: tuple[str, ...] | None = None
    """A row where any of these is empty is left out, whatever else it holds.

    Not given: a row without a date and without a reading is left out, and one with a reading and
    no date refuses the file.
    """
    skip_where: dict[str, tuple[str, ...]] = {}
    """A row where a column holds one of these texts is left out."""
    not_before: date | None = None
    """Rows of days before are left out."""
    air_kerma_gy_per_r: float | None = Field(
        default=None, ge=AIR_KERMA_GY_PER_R[0], le=AIR_KERMA_GY_PER_R[1]
    )
    """The rule by which exposures in roentgen become air kerma: 0.00876."""
    csv: Csv | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """Every column of the table that is looked at, once."""
        named = (*self.when.headers, *self.columns, *self.readings)
        return tuple(dict.fromkeys((*named, *(self.skip_where_empty or ()), *self.skip_where)))

    def conversion(self, column: str, unit: str | None) -> Conversion:
        """As in `sheet_units`; roentgen only where the mapping states the rule."""
        found = conversion(column, unit)
        if found.is_exposure and self.air_kerma_gy_per_r is None:
            raise ValueError(
                f"{unit} is exposure: state by which rule it becomes air kerma, with "
                "air_kerma_gy_per_r = 0.00876"
            )
        return found

    @model_validator(mode="after")
    def _consistent(self) -> SheetMapping:
        if "?" in self.headers:
            raise ValueError('a column is still called "?": write its header as in the table')
        _in_unit(self, READINGS, self.readings_unit, "readings_unit")
        for header, targets in self.columns.items():
            for target in targets:
                _check_target(self, header, target)
        _check_constants(self.constants, "constants")
        for number, more in enumerate(self.constants_for, start=1):
            _check_constants(more.values, f"constants_for {number}")
            _check_names(more.when, f"constants_for {number}.when")
        _check_sources(self)
        for header in (h for h in self.readings if h in self.columns or h in self.when.headers):
            raise ValueError(f"column {header!r} is a reading and something else")
        if len({header.casefold() for header in self.readings}) < len(self.readings):
            raise ValueError("readings: a column is listed twice")
        return self


def _check_form(form: str) -> None:
    example = datetime(2026, 2, 3, 7, 31)  # noqa: DTZ001 - a wall time
    try:
        datetime.strptime(example.strftime(form), form)  # noqa: DTZ007 - likewise
    except ValueError:
        raise ValueError(f"when: {form!r} is no form such as %d.%m.%Y or %H:%M") from None


def _in_unit(mapping: SheetMapping, column: str, unit: str | None, where: str) -> None:
    try:
        mapping.conversion(column, unit)
    except ValueError as why:
        raise ValueError(f"{where}: {why}") from None


def _check_target(mapping: SheetMapping, header: str, target: Target) -> None:
    where = f"column {header!r}"
    _check_names({target.to: 0.0}, where)
    column = COLUMNS[target.to]
    if target.values is None:
        _in_unit(mapping, target.to, target.unit, where)
        return
    if target.unit is not None:
        raise ValueError(f"{where}: values are in the unit of {target.to}: leave unit out")
    if len({text.strip().casefold() for text in target.values}) < len(target.values):
        raise ValueError(f"{where}: a text stands twice in values")
    for value in target.values.values():
        _check_constants({column.name: value}, where)


def _check_names(named: dict[str, Plain], where: str) -> None:
    for name in named:
        if name in NOT_COLUMNS:
            other = "when" if name == "datetime" else "readings"
            raise ValueError(f"{where}: {name} is mapped by {other}")
        if name not in COLUMNS:
            raise ValueError(f"{where}: {name!r} is no column of the schema")


def _check_constants(constants: dict[str, Plain], where: str) -> None:
    _check_names(constants, where)
    for name, value in constants.items():
        if value == "?":
            raise ValueError(f'{where}: {name} is still "?": fill it in')
        is_number = COLUMNS[name].kind is Kind.NUMBER
        if is_number != isinstance(value, float):
            raise ValueError(f"{where}: {name} is a {'number' if is_number else 'text'}")
        try:
            checked(COLUMNS[name], value, where, frozenset())
        except ReadError as why:
            raise ValueError(str(why)) from None


def _check_sources(mapping: SheetMapping) -> None:
    """Every column of the schema comes from one source, and every required one from some."""
    found = list(_sources(mapping))
    for name in found:
        if found.count(name) > 1:
            raise ValueError(f"{name} comes from more than one column or constant")
    by_row = {name for more in mapping.constants_for for name in more.values}
    for name in by_row.intersection(found):
        raise ValueError(f"{name} comes from constants_for and from a column or constant")
    lacking = [n for n in REQUIRED if n not in {*found, *by_row, *FROM_ELSEWHERE}]
    if lacking:
        raise ValueError(
            f"nothing gives {', '.join(lacking)}: map a column to each, or state it in constants"
        )


def _sources(mapping: SheetMapping) -> Iterator[str]:
    yield from mapping.constants
    for targets in mapping.columns.values():
        yield from (target.to for target in targets)
