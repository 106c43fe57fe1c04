"""The chart of a series as it is kept: its limits are found once, and then held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qa_daemon.store import chart_limits
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
from qa_daemon.store.trend_days import TrendDay, count_between, newest_before
from qa_daemon.store.trend_series import InUnit, Made, Point, SeriesName, processes
from qa_daemon.trends.chart import PHASE_ONE, Chart, Usual, chart_of, usual_of
from qa_daemon.trends.series import Known
from qa_daemon.trends.signals import ChartSeen, Kind

Numbers = NDArray[np.floating[Any]]
Marks = NDArray[np.bool_]
Instants = NDArray[np.integer[Any]]
END_NS = 2**63 - 1


class Charted(Made, InUnit, Protocol):
    """A value on a chart: it has an instant, the version of its analyzer, and a unit."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Values of one process that are held against one set of limits.

    They are `first` to `end` (not included) of the series; the limits were found from those before
    `judged`, which are not held against them.  The process begins at `since_ns` and ends before
    `until_ns`, None: it is that of now.
    """

    limits: ChartLimits
    first: int
    end: int
    judged: int
    since_ns: int
    until_ns: int | None

    @property
    def rows(self) -> slice:
        """Its values in the series."""
        return slice(self.first, self.end)

    def chart(self, values: Numbers) -> Chart:
        """The chart of its values; `values` are those of the series, shape (n,)."""
        return chart_of(values[self.rows], usual_from(self.limits), self.judged - self.first)


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Days with their process, shape (n,), and what they are held against; `limits`: all known."""

    days: tuple[TrendDay, ...]
    process: Instants
    stretches: tuple[Stretch, ...]
    limits: Sequence[ChartLimits]

    @property
    def values(self) -> Numbers:
        """Medians, shape (n,)."""
        return np.array([day.median for day in self.days], dtype=np.float64)

    @property
    def now(self) -> Marks:
        """Which days are of the newest process, shape (n,)."""
        return np.asarray(self.process == self.process[-1:], dtype=np.bool_)

    @property
    def in_force(self) -> ChartLimits | None:
        """What the newest process is held against; None where that is not known yet."""
        last = self.stretches[-1] if self.stretches else None
        return last.limits if last is not None and last.until_ns is None else None


@dataclass(frozen=True, slots=True)
class Older:
    """What is known of the time before the first value read.

    `cut_ns`: when something was last done to the series, 0 for never; `values`: how many there are
    since the limits in force then were found, `PHASE_ONE` at most.
    """

    cut_ns: int
    values: int = PHASE_ONE

    def carried(self, limits: Sequence[ChartLimits], first: Charted) -> ChartLimits | None:
        """What the first value is held against, if that was known before it."""
        last = chart_limits.in_force(limits, first.point_ns - 1)
        if last is None or last.since_ns <= self.cut_ns:
            return None
        return last if _is_for(last, first) else None


def stretches(
    limits: Sequence[ChartLimits], points: Sequence[Charted], process: Instants, older: Older
) -> list[Stretch]:
    """What each value of a series is held against, in order; `limits` are all that are known.

    `points` and `process` have shape (n,).  Limits hold for the process in which they were found
    or signed, in the unit and by the analyzer they were found with, and for no other.
    """
    found: list[Stretch] = []
    point_ns = np.array([point.point_ns for point in points], dtype=np.int64)
    firsts = np.flatnonzero(np.diff(process, prepend=process[:1] - 1))
    for k, first in enumerate(firsts.tolist()):
        end = int(firsts[k + 1]) if k + 1 < firsts.size else point_ns.size
        since_ns = int(point_ns[first])
        until_ns = int(point_ns[end]) if end < point_ns.size else None
        known = [c for c in limits if since_ns <= c.since_ns < (until_ns or END_NS)]
        own = [c for c in known if _is_for(c, points[first])]
        carried = older.carried(limits, points[first]) if first == 0 else None
        own = [carried, *own] if carried is not None else own
        starts = [max(first, int(np.searchsorted(point_ns, c.since_ns))) for c in own]
        for limit, start, after in zip(own, starts, [*starts, end][1:], strict=True):
            judged = min(start + _phase_one_left(limit, since_ns, older), after)
            found.append(Stretch(limit, start, after, judged, since_ns, until_ns))
    return found


def laid(
    store: Store, name: SeriesName, cuts: Cuts, days: Sequence[TrendDay], until_ns: int = END_NS
) -> Laid:
    """Days of a series in order, with what each is held against, as it was known at `until_ns`."""
    limits = [each for each in chart_limits.of(store, name) if each.since_ns < until_ns]
    if not days:
        return Laid((), np.zeros(0, dtype=np.int64), (), limits)
    cuts_ns = cuts.of(name)
    older = _older(store, name, cuts_ns, limits, days[0])
    process = processes(days, cuts_ns)
    return Laid(tuple(days), process, tuple(stretches(limits, days, process, older)), limits)


def chart(store: Store, name: SeriesName, cuts: Cuts, of: Known) -> Stretch | None:
    """Bring the limits of a series up to date; what its newest value is held against.

    None where its values do not say yet what is usual.
    """
    points, series = of
    first = int(np.argmax(series.now))
    begins = points[first]
    known = chart_limits.of(store, name)
    older = _older(store, name, cuts.of(name), known, points[0])
    last_ns, version = newest_before(store, name, begins.point_ns)
    last_ns = max(last_ns, points[first - 1].point_ns if first > 0 else 0)
    carried = older.carried(known, begins) if first == 0 else None
    is_older = version == begins.version
    if carried is not None and (carried.signed_by or (is_older and carried.since_ns <= last_ns)):
        # Of a process that is older than what was read, what was found stays as it is.
        chart_limits.drop_found(store, name, known, begins.point_ns)
        known = chart_limits.of(store, name)
    elif (found := _found(begins, series.values[first:])) is not None:
        chart_limits.keep_found(store, name, found, last_ns + 1)
        known = chart_limits.of(store, name)
    every = stretches(known, points, series.process, older)
    newest = (one for one in every if one.first < one.end == len(points))
    return next(newest, None)


def signals_of(made: Chart) -> list[ChartSeen]:
    """What the newest value says on its chart."""
    found = []
    if made.beyond.size and made.beyond[-1]:
        value = made.usual.center + float(made.offsets[-1])
        found.append(ChartSeen(Kind.BEYOND, value, made.low, made.high))
    if made.average_beyond.size and made.average_beyond[-1]:
        center, reach = made.usual.center, float(made.average_reach[-1])
        average = float(made.average[-1])
        found.append(ChartSeen(Kind.AVERAGE, average, center - reach, center + reach))
    return found


def limits_from(usual: Usual, since_ns: int, version: str, unit: str) -> ChartLimits:
    """What is usual, to be held against from an instant on."""
    return ChartLimits(
        since_ns,
        usual.center,
        usual.sigma,
        usual.values,
        usual.alike,
        usual.widened,
        version=version,
        unit=unit,
    )


def usual_from(limits: ChartLimits) -> Usual:
    """The same for the chart."""
    return Usual(limits.center, limits.sigma, limits.n, limits.alike, limits.widened)


def _older(
    store: Store,
    name: SeriesName,
    cuts_ns: Sequence[int],
    limits: Sequence[ChartLimits],
    first: Charted,
) -> Older:
    older = Older(max((ns for ns in cuts_ns if ns < first.point_ns), default=0))
    carried = older.carried(limits, first)
    if carried is None or carried.signed_by is not None:
        return older
    count = count_between(store, name, carried.since_ns - 1, first.point_ns, PHASE_ONE)
    return replace(older, values=count)


def _is_for(limits: ChartLimits, value: Charted) -> bool:
    return limits.version in ("", value.version) and limits.unit in ("", value.unit)


def _phase_one_left(limits: ChartLimits, since_ns: int, older: Older) -> int:
    """How many of the values read are among those that limits were found from."""
    if limits.signed_by is not None or limits.since_ns > since_ns:
        return 0
    return PHASE_ONE if limits.since_ns == since_ns else PHASE_ONE - older.values


def _found(begins: Point, values: np.ndarray) -> ChartLimits | None:
    usual = usual_of(values)
    if usual is None:
        return None
    return limits_from(usual, begins.point_ns, begins.version, begins.unit)
