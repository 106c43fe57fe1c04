"""What a page of one trend is made of: its days, what was done to the machine, what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Metric
from dashboards.web.clinic import Clinic
from dashboards.web.draw_trend import Span
from dashboards.web.spans import AskedTime
from qa_daemon.store import trend_cuts, trend_days
from qa_daemon.store.service_events import ServiceEvent
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import SeriesName, of_one_unit
from qa_daemon.trends.charting import Laid, laid
from qa_daemon.trends.series import read
from qa_daemon.trends.signals import Series

RUN_IN_D = 150
"""Days before those shown that an average is run in with: it forgets half in a week of them."""
MOST_OTHERS = 6


@dataclass(frozen=True, slots=True, eq=False)
class TrendData:
    """A series as a chart; `laid` holds the days shown, and before them `run_in` others.

    `now` are the newest values as signals are found from, None where the time shown ends before.
    `left_out` counts days shown whose values are in another unit than the newest.
    """

    name: SeriesName
    metric: Metric
    span: Span
    laid: Laid
    run_in: int
    events: Sequence[ServiceEvent]
    baselines_ns: Sequence[int]
    now: Series | None
    left_out: int = 0

    @property
    def days(self) -> Sequence[TrendDay]:
        """Those shown."""
        return self.laid.days[self.run_in :]

    @property
    def days_of_now(self) -> list[TrendDay]:
        """Those shown that are of the newest process."""
        marks = self.laid.now[self.run_in :]
        return [day for day, is_of_now in zip(self.days, marks, strict=True) if is_of_now]

    @property
    def of_now(self) -> NDArray[np.float64]:
        """Their medians."""
        return np.array([day.median for day in self.days_of_now])


def load(clinic: Clinic, name: SeriesName, metric: Metric, asked: AskedTime) -> TrendData:
    """Everything of a series over the time asked for.  Raises `Refusal` where that is none."""
    now = clinic.clock()
    span = asked.span(now, clinic.site.zone)
    first = span.first
    found = trend_days.days_of(clinic.store, name, first - timedelta(days=RUN_IN_D), span.last)
    days = of_one_unit(found)
    cuts = trend_cuts.read(clinic.store, name.machine)
    since_ns, until_ns = (int(at.timestamp()) * 10**9 for at in (span.since, span.until))
    known = read(clinic.store, name, cuts) if span.until == now else None
    return TrendData(
        name=name,
        metric=replace(metric, unit=days[-1].unit) if days else metric,
        span=span,
        laid=laid(clinic.store, name, cuts, days, until_ns + 10**9),
        run_in=sum(day.day < first for day in days),
        events=[e for e in cuts.events(name.analyzer) if since_ns <= e.point_ns < until_ns],
        baselines_ns=[ns for ns in cuts.signed(name) if since_ns <= ns < until_ns],
        now=known[1] if known is not None else None,
        left_out=sum(day.day >= first for day in found) - sum(day.day >= first for day in days),
    )


def others(clinic: Clinic, data: TrendData, machines: Sequence[str]) -> dict[str, list[TrendDay]]:
    """The same quantity of other machines, over the same time and in the same unit."""
    found = {}
    for machine in machines[:MOST_OTHERS]:
        other = replace(data.name, machine=machine)
        days = trend_days.days_of(clinic.store, other, data.span.first, data.span.last)
        found[machine] = [day for day in days if day.unit == data.metric.unit]
    return found
