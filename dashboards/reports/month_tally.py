"""One pass over the judged numbers of a machine's month: counts, limits, days, and what was out.

What is kept grows with the tests and days of the month, not with its results.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from analyzers.core import Limits
from qa_daemon.model import Verdict
from qa_daemon.store.months import Month
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import BY_BEAM, SeriesName

MOST_EVENTS = 5000
"""Of one machine; all are in the table of every judged number."""
MOST_LIMITS = 6
"""More limits of one metric than these follow the reference value of each result."""

MetricKey = tuple[str, str, str]
"""Analyzer, metric, and the metric whose limits apply where they are not its own."""
Bounds = tuple[float | None, float | None, float | None, float | None]


@dataclass(slots=True)
class InForce:
    """Limits as results were judged by them, from the first to the last of these."""

    limits: Limits
    unit: str
    first_ns: int
    last_ns: int
    n: int = 0


@dataclass(frozen=True, slots=True)
class Out:
    """A number out of its limits, or a question without an answer (`value` is None)."""

    result: int
    point_ns: int
    analyzer: str
    metric: str
    value: float | None
    unit: str
    place: str
    energy: str
    verdict: Verdict
    limits: Limits
    why: str = ""


@dataclass(slots=True)
class Tally:
    """What is known of a machine's month after all rows have been added in order of time.

    `place_of` says what may be told of where a number was found.  `days` are of each series the
    lowest, middle and highest value of each day, where a result with several counts its worst.
    """

    month: Month
    machine: str
    place_of: Callable[[str | None], str]
    judged: int = 0
    counts: dict[MetricKey, Counter[int]] = field(default_factory=dict)
    limits: dict[MetricKey, dict[tuple[Bounds, str], InForce]] = field(default_factory=dict)
    days: dict[SeriesName, list[TrendDay]] = field(default_factory=dict)
    out: list[Out] = field(default_factory=list)
    out_count: Counter[int] = field(default_factory=Counter)
    _day: int = -1
    _open: dict[tuple[SeriesName, str], dict[int, Any]] = field(default_factory=dict)
    _names: dict[tuple[Any, ...], SeriesName] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        """One judged number."""
        day = bisect_right(self.month.starts_ns, row.point_ns) - 1
        if day != self._day:
            self._close_day()
            self._day = day
        self.judged += 1
        key = (row.analyzer, row.metric, row.judged_as or "")
        self.counts.setdefault(key, Counter())[row.verdict] += 1
        self._keep_limits(key, row)
        if row.verdict > Verdict.PASS:
            self._keep_out(row)
        same = self._open.setdefault((self._series(row), row.version), {})
        known = same.get(row.result)
        if known is None or row.verdict >= known.verdict:
            same[row.result] = row

    def close(self) -> None:
        """There are no more rows."""
        self._close_day()
        self._open.clear()

    def _series(self, row: Any) -> SeriesName:
        by_beam = row.analyzer in BY_BEAM
        place, energy = ((row.at or ""), "") if by_beam else ("", row.energy or "")
        key = (row.analyzer, row.metric, place, energy, row.judged_as or "")
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = SeriesName(self.machine, *key)
        return name

    def _keep_limits(self, key: MetricKey, row: Any) -> None:
        bounds = (row.tolerance_low, row.tolerance_high, row.action_low, row.action_high)
        known = self.limits.setdefault(key, {})
        found = known.get((bounds, row.limits_source or ""))
        if found is None:
            if len(known) > 10 * MOST_LIMITS:
                return  # they follow a reference value; the table of all numbers has each
            found = InForce(limits_of(row), row.unit, row.point_ns, row.point_ns)
            known[bounds, row.limits_source or ""] = found
        found.last_ns, found.n = row.point_ns, found.n + 1

    def _keep_out(self, row: Any) -> None:
        self.out_count[row.verdict] += 1
        if len(self.out) >= MOST_EVENTS:
            return
        self.out.append(
            Out(
                row.result,
                row.point_ns,
                row.analyzer,
                row.metric,
                row.value,
                row.unit,
                self.place_of(row.at),
                row.energy or "",
                Verdict(row.verdict),
                limits_of(row),
            )
        )

    def _close_day(self) -> None:
        for (name, version), by_result in self._open.items():
            if by_result:
                day = _day(self.month, self._day, version, list(by_result.values()))
                self.days.setdefault(name, []).append(day)
        self._open = {}


def limits_of(row: Any) -> Limits:
    """The limits that judged a number."""
    return Limits(
        row.tolerance_low,
        row.tolerance_high,
        row.action_low,
        row.action_high,
        source=row.limits_source or "",
    )


def _day(month: Month, index: int, version: str, rows: Iterable[Any]) -> TrendDay:
    kept = list(rows)
    values = [row.value for row in kept]
    newest = kept[-1]
    worst = max(reversed(kept), key=lambda row: row.verdict)
    return TrendDay(
        day=month.days[index],
        n=len(kept),
        lowest=min(values),
        median=median(values),
        highest=max(values),
        verdict=Verdict(worst.verdict),
        result=worst.result,
        point_ns=newest.point_ns,
        version=version,
        unit=newest.unit,
        limits=limits_of(newest),
    )
