"""A calendar month of the clinic, from its first instant to the next month's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
EARLIEST, LATEST = 1971, 2261
"""Years whose instants the store can hold."""


@dataclass(frozen=True)
class Month:
    """A month by the clinic's calendar; `first` is its first day."""

    first: date
    zone: ZoneInfo

    @classmethod
    def called(cls, name: str, zone: ZoneInfo) -> Month:
        """The month of a name such as 2026-03.  Raises ValueError for any other text."""
        found = MONTH.fullmatch(name)
        if found is None or not EARLIEST <= int(found[1]) <= LATEST:
            raise ValueError("a month is written like 2026-03")
        return cls(date(int(found[1]), int(found[2]), 1), zone)

    @classmethod
    def of(cls, when: datetime, zone: ZoneInfo) -> Month:
        """The month of an instant."""
        return cls(when.astimezone(zone).date().replace(day=1), zone)

    @property
    def name(self) -> str:
        """As it is written: 2026-03."""
        return f"{self.first:%Y-%m}"

    @property
    def title(self) -> str:
        """As people read it: March 2026."""
        return f"{self.first:%B %Y}"

    @property
    def before(self) -> Month:
        """The month before."""
        return Month((self.first - timedelta(days=1)).replace(day=1), self.zone)

    @property
    def after(self) -> Month:
        """The next month."""
        return Month((self.first + timedelta(days=31)).replace(day=1), self.zone)

    @cached_property
    def since(self) -> datetime:
        """Its first instant."""
        return datetime.combine(self.first, time(), self.zone)

    @cached_property
    def until(self) -> datetime:
        """The first instant that is of the next month."""
        return datetime.combine(self.after.first, time(), self.zone)

    @cached_property
    def since_ns(self) -> int:
        """The same in nanoseconds of UTC."""
        return int(self.since.timestamp()) * 10**9

    @cached_property
    def until_ns(self) -> int:
        """The same in nanoseconds of UTC."""
        return int(self.until.timestamp()) * 10**9

    @cached_property
    def days(self) -> tuple[date, ...]:
        """Its days in order."""
        count = (self.after.first - self.first).days
        return tuple(self.first + timedelta(days=k) for k in range(count))

    @cached_property
    def starts_ns(self) -> tuple[int, ...]:
        """The first instant of each day, and of the next month, in nanoseconds of UTC.

        Days have 23 or 25 hours where the clocks are changed.
        """
        begins = (datetime.combine(day, time(), self.zone) for day in self.days)
        return (*(int(begin.timestamp()) * 10**9 for begin in begins), self.until_ns)

    def utc_text(self, when: datetime) -> str:
        """An instant as the store writes its own times."""
        return when.astimezone(UTC).isoformat(timespec="milliseconds")
