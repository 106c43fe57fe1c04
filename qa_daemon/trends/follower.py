"""Follows the store: each new value is laid beside those before it, and what shows is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from zoneinfo import ZoneInfo

from qa_daemon.store import trend_signals
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.store import Store
from qa_daemon.store.trend_days import days_touched, rebuild
from qa_daemon.store.trend_series import SeriesName, names_in
from qa_daemon.store.trend_signals import Found
from qa_daemon.trends.charting import chart, signals_of
from qa_daemon.trends.series import NS_PER_DAY, read
from qa_daemon.trends.signals import ChartSeen, DriftSeen, Signal, StepSeen, signals


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
        for name, until_ns in touched.items():
            self.look_at(name, until_ns)

    def look_at(self, name: SeriesName, until_ns: int) -> None:
        """Bring the signals of one series up to date."""
        known = read(self._store, name, until_ns)
        found: list[Found] = []
        if known is not None:
            points, series = known
            newest = points[-1]
            charted = chart(self._store, name, points, series) if series.limits else None
            seen = signals(series) + (signals_of(charted) if charted is not None else [])
            found = [Found(one.kind, newest.result, newest.point_ns, _numbers(one)) for one in seen]
        trend_signals.keep(self._store, name, found)


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
