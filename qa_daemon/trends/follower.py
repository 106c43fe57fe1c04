"""Follows the store: each new value is laid beside those before it, and what shows is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from qa_daemon.store import trend_cuts, trend_signals
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
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
        touched = {name: None for result in results for name in names_in(result, self._metrics)}
        touched |= dict.fromkeys(trend_signals.of_superseded(self._store, [r.id for r in results]))
        machines = {name.machine for name in touched}
        cuts = {machine: trend_cuts.read(self._store, machine) for machine in machines}
        units: dict[SeriesName, None] = {}
        for name in touched:
            if name.analyzer not in BY_BEAM:
                self._look_at(name, cuts[name.machine])
            else:
                units[replace(name, place="")] = None
        for unit in units:
            self._look_at_beams(unit, cuts[unit.machine])
        for name in touched:
            is_beam = name.analyzer in BY_BEAM and name.place
            if is_beam and read(self._store, name, cuts[name.machine]) is None:
                trend_signals.keep(self._store, name, [])

    def _look_at(self, name: SeriesName, cuts: Cuts) -> None:
        """Bring the signals of one series up to date."""
        known = read(self._store, name, cuts)
        seen = signals(known[1]) if known is not None else []
        self._keep(name, cuts, known, seen)

    def _look_at_beams(self, unit: SeriesName, cuts: Cuts) -> None:
        """The same of all beams of a kV unit, and of the unit as a whole."""
        since = self._store.instant().date() - LOOKED_BACK
        named = series_of(self._store, unit.machine, unit.analyzer, unit.metric, since)
        names = [name for name in named if name.judged_as == unit.judged_as]
        known = {name: found for name in names if (found := read(self._store, name, cuts))}
        sessions: dict[int, list[SeriesName]] = {}
        for name, (points, _) in known.items():
            sessions.setdefault(points[-1].result, []).append(name)
        whole: list[tuple[Known, StepSeen | None]] = []
        for beams in sessions.values():
            steps = steps_of([known[name] for name in beams])
            for name, seen in zip(beams, steps.of_beams, strict=True):
                said = [one for one in (seen, drift(known[name][1])) if one is not None]
                self._keep(name, cuts, known[name], said)
            if len(beams) > 1:
                whole.append((known[beams[0]], steps.of_all))
        if whole:
            newest, step_of_all = max(whole, key=lambda one: one[0][0][-1].point_ns)
            of_unit = _found(newest, [step_of_all] if step_of_all is not None else [])
            trend_signals.keep(self._store, unit, of_unit)
        elif not known:
            trend_signals.keep(self._store, unit, [])

    def _keep(
        self, name: SeriesName, cuts: Cuts, known: Known | None, seen: Sequence[Signal]
    ) -> None:
        found: list[Found] = []
        if known is not None:
            held = chart(self._store, name, cuts, known) if known[1].limits else None
            on_chart = signals_of(held.chart(known[1].values)) if held is not None else []
            found = _found(known, [*seen, *on_chart])
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
