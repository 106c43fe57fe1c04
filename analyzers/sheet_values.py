"""The cells of a clinic's own table as values of the schema: texts, numbers, moments.

A message says what is wrong and what to do; it never repeats what is in a cell.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from analyzers.core import ReadError
from analyzers.output_rows import FIRST_YEAR, LAST_YEAR
from analyzers.sheet_cells import Broken, Serial, Value
from analyzers.sheet_mapping import SERIAL, When

POINT = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?", re.ASCII)
COMMA = re.compile(r"[+-]?(?:\d{1,20}(?:,\d{0,20})?|,\d{1,20})(?:[eE][+-]?\d{1,3})?", re.ASCII)
SPACES = str.maketrans("\u00a0\u202f\u2212", "  -")


def as_text(value: Value, at: str) -> str:
    """A text; of a number its digits, for a serial number is often stored as one."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    raise ReadError("SRT_SCHEMA", f"{at}: {_called(value)}, a text expected")


def as_number(value: Value, decimal: str, at: str) -> float:
    """A number, or a text that is one with the stated decimal sign."""
    if isinstance(value, float):
        return value
    if not isinstance(value, str):
        raise ReadError("SRT_SCHEMA", f"{at}: {_called(value)}, a number expected")
    text = value.translate(SPACES).strip()
    form, other = (COMMA, POINT) if decimal == "," else (POINT, COMMA)
    if form.fullmatch(text):
        return float(text.replace(",", "."))
    if text.startswith("="):
        said = "a formula; write the table with values"
    elif other.fullmatch(text):
        sign = "point" if decimal == "," else "comma"
        said = (
            f"a text with a decimal {sign}; make it a number in the spreadsheet, or state the "
            "decimal sign in the mapping if all of the table has this one"
        )
    else:
        said = "a text that is no number; write digits alone, without a unit or a thousands sign"
    raise ReadError("SRT_SCHEMA", f"{at}: {said}")


def as_day(value: Value, form: str | None, since_1904: bool, at: str) -> date:
    """The day of a date cell, or of a text of the stated form."""
    found = as_moment(value, form, since_1904, at)
    if found.time() != time.min:
        raise ReadError(
            "SRT_TIME",
            f"{at}: the cell holds a time of day as well; map it with when.datetime instead",
        )
    return found.date()


def as_moment(value: Value, form: str | None, since_1904: bool, at: str) -> datetime:
    """The date and time of a date cell, or of a text of the stated form."""
    if isinstance(value, float) and form == SERIAL:
        value = Serial(value, since_1904)
    if isinstance(value, Serial):
        if not value.has_day:
            raise ReadError("SRT_TIME", f"{at}: a time of day without a date, a date expected")
        try:
            return value.moment
        except OverflowError:
            raise ReadError("SRT_TIME", f"{at}: a date that no calendar has") from None
    return _parsed(value, form, "a date", at)


def as_time(value: Value, form: str | None, since_1904: bool, at: str) -> time:
    """The time of day of a time cell, or of a text of the stated form."""
    if isinstance(value, float) and form == SERIAL:
        value = Serial(value, since_1904)
    if isinstance(value, Serial):
        if value.has_day:
            raise ReadError(
                "SRT_TIME",
                f"{at}: the cell holds a date as well, or more than a day; a time of day expected",
            )
        return (datetime(2000, 1, 1) + timedelta(milliseconds=value.time_ms)).time()  # noqa: DTZ001
    return _parsed(value, form, "a time of day", at).time()


def in_zone(wall: datetime, zone: ZoneInfo, when: When, at: str) -> datetime:
    """A wall time with its offset from UTC; one that says its own keeps it.

    A time that the clock skipped is refused, and one that came twice unless the mapping says which.
    """
    if wall.tzinfo is not None:
        return wall
    if not FIRST_YEAR <= wall.year < LAST_YEAR:
        raise ReadError(
            "SRT_TIME", f"{at}: the year {wall.year}, {FIRST_YEAR} to {LAST_YEAR - 1} expected"
        )
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        raise ReadError(
            "SRT_TIME", f"{at}: a time that the clock skipped when summer time began; correct it"
        )
    if first.utcoffset() != second.utcoffset() and when.ambiguous_hour == "refuse":
        raise ReadError(
            "SRT_TIME",
            f"{at}: a time that came twice when summer time ended; say in the mapping which is "
            'meant: when.ambiguous_hour = "first" or "second"',
        )
    chosen = second if when.ambiguous_hour == "second" else first
    return datetime.fromisoformat(chosen.isoformat())


def _parsed(value: Value, form: str | None, what: str, at: str) -> datetime:
    if not isinstance(value, str):
        hint = ' (a bare number of days needs the form "serial")' if value is not True else ""
        raise ReadError("SRT_TIME", f"{at}: {_called(value)}, {what} expected{hint}")
    if form is None or form == SERIAL:
        raise ReadError(
            "SRT_TIME",
            f"{at}: a text, {what} expected; state its form in the mapping, such as "
            'date_format = "%d.%m.%Y"',
        )
    try:
        return datetime.strptime(value.strip(), form)  # noqa: DTZ007 - a wall time
    except ValueError:
        raise ReadError("SRT_TIME", f"{at}: a text that is not of the form {form}") from None


def _called(value: Value) -> str:
    if isinstance(value, Broken):
        return value.why
    if isinstance(value, Serial):
        return "a date or a time"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, float) else "a text"
