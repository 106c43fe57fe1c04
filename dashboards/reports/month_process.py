"""What a series of a month says of its process: center, spread, room to the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from analyzers.numerics.capability import capability
from qa_daemon.model import Verdict
from qa_daemon.store import trend_days
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.months import Month
from qa_daemon.store.service_events import ServiceEvent
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import SeriesName, of_one_unit
from qa_daemon.trends.charting import Laid, laid

RUN_IN_D = 150
"""Days before the month that a weighted average is run in with; it forgets half in a week."""
FEWEST_DAYS = 10
"""Fewer values say little of a process."""


@dataclass(frozen=True, slots=True)
class Process:
    """A series over the month; values are medians of days.

    `laid` holds the days of the month, and before them `run_in` others.  `n` counts the days since
    the last change (`cut`: there was one in the month).  `beyond` are the days outside of the
    control limits of their day, `average_beyond` those with the weighted average outside.  `cpk`
    and `ppk` hold `n` days against the newest tolerance; None for too few, or without limits or
    spread.
    """

    name: SeriesName
    unit: str
    laid: Laid
    run_in: int
    events: Sequence[ServiceEvent]
    baselines_ns: Sequence[int]
    n: int
    cut: bool
    mean: float
    sd: float | None
    cpk: float | None
    ppk: float | None
    beyond: int
    average_beyond: int

    @property
    def days(self) -> Sequence[TrendDay]:
        """Those of the month."""
        return self.laid.days[self.run_in :]

    @property
    def limits(self) -> ChartLimits | None:
        """The control limits in force at the end."""
        return self.laid.in_force

    @property
    def worst(self) -> Verdict | None:
        """The worst verdict of all results."""
        return max((d.verdict for d in self.days if d.verdict is not None), default=None)


def process_of(
    store: Store, month: Month, name: SeriesName, days: Sequence[TrendDay], cuts: Cuts
) -> Process:
    """Work one series out; `days` are those of the month, in order."""
    first = month.first
    before = trend_days.days_of(
        store, name, first - timedelta(days=RUN_IN_D), first - timedelta(days=1)
    )
    every = of_one_unit([*before, *days])
    run_in = sum(day.day < first for day in every)
    made = laid(store, name, cuts, every, month.until_ns)
    now = [day for day, is_of_now in zip(every, made.now, strict=True) if is_of_now]
    now = [day for day in now if day.day >= first]
    values = np.array([day.median for day in now])
    newest = now[-1].limits
    low, high = newest.tolerance_low, newest.tolerance_high
    found = capability(values, low, high) if len(now) >= FEWEST_DAYS else None
    beyond, average_beyond = _outside(made, run_in)
    return Process(
        name=name,
        unit=now[-1].unit,
        laid=made,
        run_in=run_in,
        events=[e for e in cuts.events(name.analyzer) if _is_in(month, e.point_ns)],
        baselines_ns=[ns for ns in cuts.signed(name) if _is_in(month, ns)],
        n=len(now),
        cut=len(now) < len(every) - run_in,
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(now) > 1 else None,
        cpk=found.cpk if found else None,
        ppk=found.ppk if found else None,
        beyond=beyond,
        average_beyond=average_beyond,
    )


def _is_in(month: Month, point_ns: int) -> bool:
    return month.since_ns <= point_ns < month.until_ns


def _outside(made: Laid, run_in: int) -> tuple[int, int]:
    """Days of the month outside the control limits of their day, by value and by average."""
    beyond = average_beyond = 0
    for one in made.stretches:
        chart = one.chart(made.values)
        of_month = np.arange(one.first, one.end) >= run_in
        beyond += int((chart.beyond & of_month).sum())
        average_beyond += int((chart.average_beyond & of_month).sum())
    return beyond, average_beyond
