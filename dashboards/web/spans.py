"""Which time a page shows: the newest days, or those from one date to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query

from dashboards.web.draw_trend import Span
from dashboards.web.forms import Refusal
from dashboards.web.machine_page import RANGES_D

TEN_YEARS_D = 3653
RANGES = (*RANGES_D, TEN_YEARS_D)
FIRST, LAST = date(1980, 1, 1), date(2199, 12, 31)
"""No trend reaches back so far, and times beyond are no numbers for a store."""
Days = Annotated[int, Query(ge=1, le=TEN_YEARS_D)]
Day = Annotated[str, Query(max_length=10)]


@dataclass(frozen=True, slots=True)
class AskedTime:
    """`days` back from the end; with `since`, from that date on; `until`, a date, is shown too."""

    days: int
    since: date | None = None
    until: date | None = None

    @property
    def query(self) -> dict[str, str]:
        """The same as fields of an address."""
        dates = {"since": self.since, "until": self.until}
        said = {name: day.isoformat() for name, day in dates.items() if day is not None}
        return {"days": str(self.days)} | said

    def span(self, now: datetime, zone: ZoneInfo) -> Span:
        """From when to when; never later than now.  Raises `Refusal` where nothing is left."""
        until = now
        if self.until is not None:
            until = min(now, datetime.combine(self.until + timedelta(days=1), time(), zone))
        since = until - timedelta(days=self.days)
        if self.since is not None:
            since = datetime.combine(self.since, time(), zone)
        if since >= until:
            raise Refusal(422, "Not understood", "The first day is after the last, or to come.")
        return Span(since, until, zone)


def asked_time(days: int, since: str, until: str) -> AskedTime:
    """What an address or a form says; empty dates are none.  Raises `Refusal`."""
    return AskedTime(days, _date(since), _date(until))


def newest_days(usual: int) -> Callable[..., AskedTime]:
    """What a page shows of time: `usual` days where its address says nothing."""

    def wanted(days: Days = usual, since: Day = "", until: Day = "") -> AskedTime:
        return asked_time(days, since, until)

    return wanted


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not FIRST <= found <= LAST:
        raise Refusal(422, "Not understood", "A date is written as 2026-03-31.")
    return found
