"""A series with the events that cut it, ready to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from qa_daemon.store import service_events, trend_cuts
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
from qa_daemon.store.trend_days import days_of
from qa_daemon.store.trend_series import (
    BY_BEAM,
    LOOKED_BACK,
    MOST,
    Point,
    SeriesName,
    of_one_unit,
    points_of,
    processes,
)
from qa_daemon.trends.signals import Series, step
from qa_daemon.trends.together import Steps, steps_together

NS_PER_DAY = 86_400 * 10**9
AHEAD = timedelta(days=1)
"""Clocks of machines may be wrong by hours, and zones are told apart nowhere in some logs."""
Known = tuple[Sequence[Point], Series]
"""Values as they are stored, and as they are looked at."""


def read(store: Store, name: SeriesName, cuts: Cuts) -> Known | None:
    """The newest values of a series and what was done to it; None where there are none.

    Of a kV unit's output each check is a value.  All else has one value a day, the median of its
    results: a linac may deliver fifty fields a day, and a trend is about days.  What is dated later
    than tomorrow is of a clock that is wrong, and is left out.
    """
    until = store.instant() + AHEAD
    if name.analyzer in BY_BEAM:
        points = points_of(store, name, service_events.instant_of(until))
    else:
        points = _days(store, name, until.date())
    return (points, _series(cuts, name, points)) if points else None


def with_value(store: Store, name: SeriesName, point: Point) -> Known:
    """A series as it would be with a value that is not stored yet, as its newest."""
    points = of_one_unit([*points_of(store, name, point.point_ns), point])
    return points, _series(trend_cuts.read(store, name.machine), name, points)


def steps_of(beams: Sequence[Known]) -> Steps:
    """The steps of beams whose newest values are of one session."""
    if len(beams) == 1:
        return Steps((step(beams[0][1]),), None)
    shared = set.intersection(*({p.result for p in points} for points, _ in beams))
    cut = [_of_results(series, points, shared) for points, series in beams]
    return steps_together(cut)


def _of_results(series: Series, points: Sequence[Point], results: set[int]) -> Series:
    kept = np.array([point.result in results for point in points])
    return replace(
        series,
        times_d=series.times_d[kept],
        values=series.values[kept],
        process=series.process[kept],
    )


def _series(cuts: Cuts, name: SeriesName, points: Sequence[Point]) -> Series:
    newest = points[-1]
    before = [ns for ns in cuts.of(name) if ns < newest.point_ns]
    return Series(
        times_d=np.array([p.point_ns for p in points], dtype=np.float64) / NS_PER_DAY,
        values=np.array([p.value for p in points]),
        process=processes(points, before),
        low=newest.low,
        high=newest.high,
        # Right after its baseline was signed a deviation is none, whatever it was before.
        expected=0.0 if before and before[-1] in cuts.signed(name) else None,
    )


def _days(store: Store, name: SeriesName, until: date) -> list[Point]:
    since = store.instant().date() - LOOKED_BACK
    found = [
        Point(
            day.result,
            day.point_ns,
            day.median,
            day.limits.tolerance_low,
            day.limits.tolerance_high,
            day.version,
            day.unit,
        )
        for day in days_of(store, name, since, until, most=MOST)
    ]
    return of_one_unit(found)
