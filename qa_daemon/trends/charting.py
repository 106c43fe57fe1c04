"""The chart of a series as it is kept: its limits are found once, and then held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qa_daemon.store import chart_limits
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.store import Store
from qa_daemon.store.trend_series import Point, SeriesName
from qa_daemon.trends.chart import PHASE_ONE, Chart, Usual, chart_of, usual_of
from qa_daemon.trends.signals import ChartSeen, Kind, Series


@dataclass(frozen=True, slots=True)
class Charted:
    """A chart of the newest process; `first` is the index of its first value in the series."""

    chart: Chart
    limits: ChartLimits
    first: int


def chart(
    store: Store, name: SeriesName, points: Sequence[Point], series: Series
) -> Charted | None:
    """Bring the limits of a series up to date and lay its newest process against them.

    None where its values do not say yet what is usual.
    """
    first = int(np.argmax(series.now))
    begins_ns, values = points[first].point_ns, series.values[first:]
    known = _of_process(chart_limits.of(store, name), begins_ns, has_begun_before=first > 0)
    found = _found(begins_ns, values)
    if found is not None and (not known or begins_ns <= known[0].since_ns):
        chart_limits.keep_found(store, name, found)
        known = [found, *(each for each in known if each.signed_by is not None)]
    limits = chart_limits.in_force(known, points[-1].point_ns)
    if limits is None:
        return None
    at = np.array([point.point_ns for point in points[first:]])
    # Signed limits hold from their day on; what was found from first values, after those.
    begin = int(np.searchsorted(at, limits.since_ns))
    if limits.signed_by is None and limits.since_ns == begins_ns:
        begin = min(PHASE_ONE, at.size)
    return Charted(chart_of(values, usual_from(limits), begin), limits, first)


def signals_of(charted: Charted) -> list[ChartSeen]:
    """What the newest value says on its chart."""
    made, found = charted.chart, []
    if made.beyond.size and made.beyond[-1]:
        value = made.usual.center + float(made.offsets[-1])
        found.append(ChartSeen(Kind.BEYOND, value, made.low, made.high))
    if made.average_beyond.size and made.average_beyond[-1]:
        center, reach = made.usual.center, float(made.average_reach[-1])
        average = float(made.average[-1])
        found.append(ChartSeen(Kind.AVERAGE, average, center - reach, center + reach))
    return found


def usual_from(limits: ChartLimits) -> Usual:
    """The same for the chart."""
    return Usual(limits.center, limits.sigma, limits.n, limits.alike, limits.widened)


def _of_process(
    known: Sequence[ChartLimits], begins_ns: int, *, has_begun_before: bool
) -> list[ChartLimits]:
    """Limits of a process: those since it began; of one older than what was read, the newest."""
    since = [each for each in known if each.since_ns >= begins_ns]
    if has_begun_before:
        return since
    before = chart_limits.in_force(known, begins_ns - 1)
    return [before, *since] if before is not None else since


def _found(begins_ns: int, values: np.ndarray) -> ChartLimits | None:
    usual = usual_of(values)
    if usual is None:
        return None
    return ChartLimits(
        begins_ns, usual.center, usual.sigma, usual.values, usual.alike, usual.widened
    )
