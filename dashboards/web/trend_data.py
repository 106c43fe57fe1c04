"""What a page of one trend is made of: its days, what was done to the machine, what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Metric
from dashboards.web.clinic import Clinic
from dashboards.web.draw_trend import Span
from qa_daemon.store import chart_limits, service_events, trend_days
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.service_events import ServiceEvent
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.trends.series import baselines_of, read
from qa_daemon.trends.signals import Series

RUN_IN_D = 150
"""Days before those shown that an average is run in with: it forgets half in a week of them."""
MOST_OTHERS = 6


@dataclass(frozen=True, slots=True, eq=False)
class TrendData:
    """`days` are those shown, `before` those that the average is run in with.

    `limits` are those of its control chart, `now` the newest values as signals are found from.
    """

    name: SeriesName
    metric: Metric
    span: Span
    days: Sequence[TrendDay]
    before: Sequence[TrendDay]
    events: Sequence[ServiceEvent]
    baselines_ns: Sequence[int]
    limits: Sequence[ChartLimits]
    now: Series | None

    @property
    def values(self) -> NDArray[np.float64]:
        """Medians of the days shown, shape (n,)."""
        return np.array([day.median for day in self.days])


def load(clinic: Clinic, name: SeriesName, metric: Metric, days: int) -> TrendData:
    """Everything of a series over the newest `days`."""
    now = clinic.clock()
    span = Span(now - timedelta(days=days), now, clinic.site.zone)
    first = span.since.astimezone(clinic.site.zone).date()
    last = now.astimezone(clinic.site.zone).date()
    found = trend_days.days_of(
        clinic.store, name, first - timedelta(days=RUN_IN_D), last + timedelta(days=1)
    )
    since_ns = int(span.since.timestamp()) * 10**9
    events = service_events.in_force(
        service_events.every(clinic.store, name.machine, since_ns), name.analyzer
    )
    known = read(clinic.store, name, int(now.timestamp()) * 10**9)
    return TrendData(
        name=name,
        metric=metric,
        span=span,
        days=[day for day in found if day.day >= first],
        before=[day for day in found if day.day < first],
        events=events,
        baselines_ns=sorted(ns for ns in baselines_of(clinic.store, name) if ns >= since_ns),
        limits=chart_limits.of(clinic.store, name),
        now=known[1] if known is not None else None,
    )


def others(
    clinic: Clinic, name: SeriesName, machines: Sequence[str], since: date
) -> dict[str, list[TrendDay]]:
    """The same quantity of other machines."""
    found = {}
    for machine in machines[:MOST_OTHERS]:
        other = replace(name, machine=machine)
        found[machine] = trend_days.days_of(clinic.store, other, since)
    return found
