"""The chart of a series as it is kept: its limits are found once, and then held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_daemon.store import chart_limits
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
from qa_daemon.store.trend_days import TrendDay, count_between, newest_before
from qa_daemon.store.trend_series import Point, SeriesName, processes
from qa_daemon.trends.chart import PHASE_ONE, Chart, Usual, chart_of, usual_of
from qa_daemon.trends.series import Known
from qa_daemon.trends.signals import ChartSeen, Kind

Numbers = NDArray[np.floating[Any]]
Marks = NDArray[np.bool_]
Instants = NDArray[np.integer[Any]]
END_NS = 2**63 - 1


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
    since then, `PHASE_ONE` at most.  `version` and `unit` are those of the first value: limits in
    another unit, or found by another analyzer, are not carried over to it.
    """

    cut_ns: int
    version: str
    unit: str
    values: int = PHASE_ONE

    def carried(self, limits: Sequence[ChartLimits], first_ns: int) -> ChartLimits | None:
        """What the first value is held against, if that was known before it."""
        last = chart_limits.in_force(limits, first_ns - 1)
        if last is None or last.since_ns <= self.cut_ns:
            return None
        is_alike = last.version in ("", self.version) and last.unit in ("", self.unit)
        return last if is_alike else None


def stretches(
    limits: Sequence[ChartLimits], point_ns: Instants, process: Instants, older: Older
) -> list[Stretch]:
    """What each value of a series is held against, in order; `limits` are all that are known.

    `point_ns` and `process` have shape (n,).  Limits hold for the process in which they were found
    or signed, and for no other.
    """
    found: list[Stretch] = []
    firsts = np.flatnonzero(np.diff(process, prepend=process[:1] - 1))
    for k, first in enumerate(firsts.tolist()):
        end = int(firsts[k + 1]) if k + 1 < firsts.size else point_ns.size
        since_ns = int(point_ns[first])
        until_ns = int(point_ns[end]) if end < point_ns.size else None
        own = [c for c in limits if since_ns <= c.since_ns < (until_ns or END_NS)]
        carried = older.carried(limits, since_ns) if first == 0 else None
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
    cuts_ns, first = cuts.of(name), days[0]
    cut_ns = max((ns for ns in cuts_ns if ns < first.point_ns), default=0)
    count = count_between(store, name, cut_ns, first.point_ns, PHASE_ONE)
    older = Older(cut_ns, first.version, first.unit, count)
    point_ns = np.array([day.point_ns for day in days], dtype=np.int64)
    process = processes(days, cuts_ns)
    return Laid(tuple(days), process, tuple(stretches(limits, point_ns, process, older)), limits)


def chart(store: Store, name: SeriesName, cuts: Cuts, of: Known) -> Stretch | None:
    """Bring the limits of a series up to date; what its newest value is held against.

    None where its values do not say yet what is usual.
    """
    points, series = of
    point_ns = np.array([point.point_ns for point in points], dtype=np.int64)
    first = int(np.argmax(series.now))
    begins = points[first]
    cut_ns = max((ns for ns in cuts.of(name) if ns < points[0].point_ns), default=0)
    older = Older(cut_ns, points[0].version, points[0].unit)
    known = chart_limits.of(store, name)
    last_ns = points[first - 1].point_ns if first > 0 else newest_before(store, name, begins)
    carried = older.carried(known, begins.point_ns) if first == 0 else None
    # Of a process that is older than what was read, what was found stays as it is.
    is_held = carried is not None and (carried.signed_by or carried.since_ns <= last_ns)
    found = None if is_held else _found(begins, series.values[first:])
    if found is not None:
        chart_limits.keep_found(store, name, found, last_ns + 1)
        known = chart_limits.of(store, name)
    every = stretches(known, point_ns, series.process, older)
    newest = (one for one in every if one.first < one.end == point_ns.size)
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
