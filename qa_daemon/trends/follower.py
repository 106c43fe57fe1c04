"""Follows the store: each new value is laid beside those before it, and what shows is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from qa_daemon.store import trend_signals
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.store import Store
from qa_daemon.store.trend_days import days_touched, rebuild, series_of
from qa_daemon.store.trend_series import BY_BEAM, LOOKED_BACK, SeriesName, names_in
from qa_daemon.store.trend_signals import Found
from qa_daemon.trends.charting import chart, signals_of
from qa_daemon.trends.series import NS_PER_DAY, Known, read, steps_of
from qa_daemon.trends.signals import ChartSeen, DriftSeen, Signal, StepSeen, drift, signals


class TrendFollower:
    """Looks at every series that new results add to.

    What it finds follows from the values that are there, not from their order of arrival: a value
    that comes late is laid where it belongs, and the newest of all is what is judged.  `metrics`
    are the quantities (analyzer, metric) that have limits; days are those of `zone`.
    """

    def __init__(self, store: Store, metrics: Collection[tuple[str, str]], zone: ZoneInfo) -> None:
        self._store = store
        self._zone = zone
        self._metrics = frozenset(metrics)

    def write(self, results: Sequence[StoredResult]) -> None:
        """Bring the days of these results up to date, and look at what they belong to."""
        rebuild(self._store, days_touched(self._store, results, self._zone), self._zone)
        touched: dict[SeriesName, int] = {}
        now_ns = int(self._store.instant().timestamp()) * 10**9
        for result in results:
            for name in names_in(result, self._metrics):
                touched[name] = max(touched.get(name, now_ns), result.point_ns)
        units: dict[SeriesName, int] = {}
        for name, until_ns in touched.items():
            if name.analyzer in BY_BEAM:
                unit = replace(name, place="")
                units[unit] = max(units.get(unit, until_ns), until_ns)
            else:
                self._look_at(name, until_ns)
        for unit, until_ns in units.items():
            self._look_at_beams(unit, until_ns)
        for name in touched:
            if name.analyzer in BY_BEAM and read(self._store, name, touched[name]) is None:
                trend_signals.keep(self._store, name, [])

    def _look_at(self, name: SeriesName, until_ns: int) -> None:
        """Bring the signals of one series up to date."""
        known = read(self._store, name, until_ns)
        seen = signals(known[1]) if known is not None else []
        self._keep(name, known, seen)

    def _look_at_beams(self, unit: SeriesName, until_ns: int) -> None:
        """The same of all beams of a kV unit, and of the unit as a whole."""
        since = self._store.instant().date() - LOOKED_BACK
        named = series_of(self._store, unit.machine, unit.analyzer, unit.metric, since)
        names = [name for name in named if name.judged_as == unit.judged_as]
        known = {name: found for name in names if (found := read(self._store, name, until_ns))}
        sessions: dict[int, list[SeriesName]] = {}
        for name, (points, _) in known.items():
            sessions.setdefault(points[-1].result, []).append(name)
        whole: list[tuple[Known, StepSeen | None]] = []
        for beams in sessions.values():
            steps = steps_of([known[name] for name in beams])
            for name, seen in zip(beams, steps.of_beams, strict=True):
                said = [one for one in (seen, drift(known[name][1])) if one is not None]
                self._keep(name, known[name], said)
            if len(beams) > 1:
                whole.append((known[beams[0]], steps.of_all))
        if whole:
            newest, step_of_all = max(whole, key=lambda one: one[0][0][-1].point_ns)
            of_unit = _found(newest, [step_of_all] if step_of_all is not None else [])
            trend_signals.keep(self._store, unit, of_unit)

    def _keep(self, name: SeriesName, known: Known | None, seen: Sequence[Signal]) -> None:
        charted = chart(self._store, name, *known) if known and known[1].limits else None
        on_chart = signals_of(charted) if charted is not None else []
        found = _found(known, [*seen, *on_chart]) if known is not None else []
        trend_signals.keep(self._store, name, found)


def _found(known: Known, seen: Sequence[Signal]) -> list[Found]:
    newest = known[0][-1]
    return [Found(one.kind, newest.result, newest.point_ns, _numbers(one)) for one in seen]


def _numbers(signal: Signal) -> dict[str, float | None]:
    """What is stored of a signal; times in nanoseconds."""
    match signal:
        case StepSeen(value, usual, reach):
            return {"value": value, "usual": usual, "reach": reach}
        case ChartSeen(_, value, low, high):
            return {"value": value, "low": low, "high": high}
        case DriftSeen(per_month, crossing):
            return {
                "per_month": per_month,
                "limit": crossing.limit,
                "at_ns": crossing.at * NS_PER_DAY,
                "earliest_ns": crossing.earliest * NS_PER_DAY,
                "latest_ns": crossing.latest * NS_PER_DAY,
            }
