"""Tables that people keep in a spreadsheet: cells as they are stored, before anybody says what they
mean.

Rows and columns are counted as a spreadsheet counts them, from 1; `A` is column 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

MOST_COLUMNS = 100
"""What lies to the right of them is not looked at."""
MOST_ROWS = 10_000
"""Of those that hold anything."""
LONGEST_TEXT = 32_767
_EPOCHS = {False: date(1899, 12, 30), True: date(1904, 1, 1)}
_MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Serial:
    """A number that the sheet shows as a date or a time: days since the workbook's first day."""

    days: float
    since_1904: bool

    @property
    def moment(self) -> datetime:
        """Date and time to the millisecond; OverflowError where there is no such date.

        Right from March 1900 on: before, one of the two systems of days counts a day too many.
        """
        first = _EPOCHS[self.since_1904]
        whole = timedelta(milliseconds=round(self.days * _MS_PER_DAY))
        return datetime(first.year, first.month, first.day) + whole  # noqa: DTZ001 - a wall time

    @property
    def time_ms(self) -> int:
        """The time of day, in ms."""
        return round(self.days * _MS_PER_DAY) % _MS_PER_DAY

    @property
    def has_day(self) -> bool:
        """Whether it is more than a time of day."""
        return round(self.days * _MS_PER_DAY) >= _MS_PER_DAY


@dataclass(frozen=True, slots=True)
class Broken:
    """A cell that has no value one could use; `why` ends a sentence that begins with its place."""

    why: str


Value = str | float | bool | Serial | Broken


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The cells of a row that hold something, by column."""

    number: int
    cells: dict[int, Value] = field(repr=False)
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """Cells that are merged into one."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int

    def __str__(self) -> str:
        first = f"{letters(self.first_column)}{self.first_row}"
        return f"{first}:{letters(self.last_column)}{self.last_row}"


@dataclass(frozen=True, slots=True)
class SheetTable:
    """A sheet; `called` is what messages call it, empty for a file that is one table."""

    called: str
    rows: Sequence[SheetRow] = field(repr=False)
    merged: Sequence[Area] = ()
    notes: Sequence[str] = ()
    since_1904: bool = False

    def row(self, number: int) -> str:
        """`sheet 'Daily', row 7`."""
        return f"{self.called}, row {number}" if self.called else f"row {number}"


@dataclass(frozen=True, slots=True, eq=False)
class Spreadsheet:
    """A file that is a workbook, or (`is_text`) a table with separators.

    What its cells mean is said by the clinic's mapping; until then it holds no record.
    """

    content: bytes = field(repr=False)
    is_text: bool = False


def letters(column: int) -> str:
    """`A` for 1, `AA` for 27."""
    found = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        found = chr(ord("A") + rest) + found
    return found
