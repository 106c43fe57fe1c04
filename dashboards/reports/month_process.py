"""What a series of a month says of its process: center, spread, room to the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from analyzers.numerics.capability import capability
from qa_daemon.model import Verdict
from qa_daemon.store import chart_limits, trend_days
from qa_daemon.store.chart_limits import ChartLimits, in_force
from qa_daemon.store.months import Month
from qa_daemon.store.service_events import ServiceEvent, StoredEvent
from qa_daemon.store.service_events import in_force as events_in_force
from qa_daemon.store.store import Store
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import Point, SeriesName, processes
from qa_daemon.trends.chart import PHASE_ONE, chart_of
from qa_daemon.trends.charting import usual_from
from qa_daemon.trends.series import baselines_of

RUN_IN_D = 150
"""Days before the month that a weighted average is run in with; it forgets half in a week."""
FEWEST_DAYS = 10
"""Fewer values say little of a process."""


@dataclass(frozen=True, slots=True)
class Process:
    """A series over the month; values are medians of days.

    `n` counts the days since the last change (`cut`: there was one in the month); `limits` are the
    control limits in force at the end, `beyond` the days outside of those of their day and
    `average_beyond` those with the weighted average outside.  `cpk` and `ppk` hold `n` days against
    the newest tolerance; None for too few, or without limits or spread.
    """

    name: SeriesName
    unit: str
    days: Sequence[TrendDay]
    before: Sequence[TrendDay]
    events: Sequence[ServiceEvent]
    baselines_ns: Sequence[int]
    known: Sequence[ChartLimits]
    limits: ChartLimits | None
    n: int
    cut: bool
    mean: float
    sd: float | None
    cpk: float | None
    ppk: float | None
    beyond: int
    average_beyond: int

    @property
    def worst(self) -> Verdict | None:
        """The worst verdict of all results."""
        return max((d.verdict for d in self.days if d.verdict is not None), default=None)


def process_of(
    store: Store,
    month: Month,
    name: SeriesName,
    days: Sequence[TrendDay],
    events: Sequence[StoredEvent],
) -> Process:
    """Work one series out; `days` are those of the month, in order, `events` of its machine."""
    known = [c for c in chart_limits.of(store, name) if c.since_ns < month.until_ns]
    first = month.first
    before = trend_days.days_of(
        store, name, first - timedelta(days=RUN_IN_D), first - timedelta(days=1)
    )
    mine = [
        event
        for event in events_in_force(events, name.analyzer)
        if month.since_ns <= event.point_ns < month.until_ns
    ]
    baselines = sorted(
        ns for ns in baselines_of(store, name) if month.since_ns <= ns < month.until_ns
    )
    points = [
        Point(
            d.result,
            d.point_ns,
            d.median,
            d.limits.tolerance_low,
            d.limits.tolerance_high,
            d.version,
        )
        for d in days
    ]
    changes = processes(points, [*(event.point_ns for event in mine), *baselines])
    now = [day for day, change in zip(days, changes, strict=True) if change == changes[-1]]
    values = np.array([day.median for day in now])
    newest = now[-1].limits
    low, high = newest.tolerance_low, newest.tolerance_high
    found = capability(values, low, high) if len(now) >= FEWEST_DAYS else None
    beyond, average_beyond = _outside(month, [*before, *days], known)
    return Process(
        name=name,
        unit=now[-1].unit,
        days=days,
        before=before,
        events=mine,
        baselines_ns=baselines,
        known=known,
        limits=in_force(known, month.until_ns - 1),
        n=len(now),
        cut=len(now) < len(days),
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(now) > 1 else None,
        cpk=found.cpk if found else None,
        ppk=found.ppk if found else None,
        beyond=beyond,
        average_beyond=average_beyond,
    )


def _outside(
    month: Month, days: Sequence[TrendDay], known: Sequence[ChartLimits]
) -> tuple[int, int]:
    """Days of the month outside the control limits of their day, by value and by average."""
    grouped: dict[int, tuple[ChartLimits, list[TrendDay]]] = {}
    for day in days:
        limits = in_force(known, day.point_ns)
        if limits is not None:
            grouped.setdefault(id(limits), (limits, []))[1].append(day)
    beyond = average_beyond = 0
    for limits, held in grouped.values():
        # What limits were found from is not held against them.
        is_first = limits.signed_by is None and held[0].point_ns <= limits.since_ns
        values = np.array([day.median for day in held])
        made = chart_of(values, usual_from(limits), PHASE_ONE if is_first else 0)
        of_month = np.array([day.day >= month.first for day in held])
        beyond += int((made.beyond & of_month).sum())
        average_beyond += int((made.average_beyond & of_month).sum())
    return beyond, average_beyond
