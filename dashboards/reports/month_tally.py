"""One pass over the judged numbers of a machine's month: counts, limits, days, and what was out.

What is kept grows with the tests and days of the month, not with its results.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import Any

from analyzers.core import Limits
from qa_daemon.model import Verdict
from qa_daemon.store.months import Month
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import BY_BEAM, SeriesName

MOST_EVENTS = 5000
"""Of one machine; all are in the table of every judged number."""
MOST_LIMITS = 60
"""More limits of one metric than these follow the reference value of each result."""
REST = "further limits between these; the table of all numbers has them"

MetricKey = tuple[str, str, str]
"""Analyzer, metric, and the metric whose limits apply where they are not its own."""


@dataclass(slots=True)
class InForce:
    """Limits as results were judged by them, from the first to the last of these."""

    limits: Limits
    unit: str
    first_ns: int
    last_ns: int
    n: int = 0
    is_rest: bool = False
    """Stands for further limits, none wider or narrower than those that are told."""


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
class _Kind:
    """Numbers that are counted and charted together; `open` are those of the day, by result.

    `span` are the widths of the narrowest and the widest limits, as `limits` of all kinds of the
    metric.
    """

    counts: Counter[int]
    limits: dict[tuple[object, ...], InForce]
    span: list[float]
    name: SeriesName
    version: str
    open: dict[int, Any] = field(default_factory=dict)


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
    limits: dict[MetricKey, dict[tuple[object, ...], InForce]] = field(default_factory=dict)
    days: dict[SeriesName, list[TrendDay]] = field(default_factory=dict)
    out: list[Out] = field(default_factory=list)
    out_count: Counter[int] = field(default_factory=Counter)
    _spans: dict[MetricKey, list[float]] = field(default_factory=dict)
    _day: int = -1
    _ends_ns: int = -1
    _kinds: dict[tuple[object, ...], _Kind] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        """One judged number."""
        # A million of them in a large month: what is the same in many is looked up once.
        (result, point_ns, energy, analyzer, version, metric, _, _, at, verdict, *more) = row
        (*bounds, judged_as, technique) = more
        if point_ns >= self._ends_ns:
            self._begin_day(point_ns)
        beam = (at,) if analyzer in BY_BEAM else (energy, technique)
        key = (analyzer, metric, judged_as, version, *beam)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._new_kind(row)
        self.judged += 1
        kind.counts[verdict] += 1
        found = kind.limits.get(tuple(bounds)) or self._new_limits(kind, row, tuple(bounds))
        found.last_ns = point_ns
        found.n += 1
        if verdict:
            self._keep_out(row)
        known = kind.open.get(result)
        if known is None or verdict >= known.verdict:
            kind.open[result] = row

    def close(self) -> None:
        """There are no more rows."""
        self._close_day()

    def _new_kind(self, row: Any) -> _Kind:
        key = (row.analyzer, row.metric, row.judged_as or "")
        by_beam = row.analyzer in BY_BEAM
        place, energy, technique = (
            (row.at or "", "", "") if by_beam else ("", row.energy or "", row.technique or "")
        )
        return _Kind(
            counts=self.counts.setdefault(key, Counter()),
            limits=self.limits.setdefault(key, {}),
            span=self._spans.setdefault(key, [inf, -inf]),
            name=SeriesName(
                self.machine, row.analyzer, row.metric, place, energy, key[2], technique
            ),
            version=row.version,
        )

    def _new_limits(self, kind: _Kind, row: Any, bounds: tuple[object, ...]) -> InForce:
        limits = limits_of(row)
        wide, (narrowest, widest) = width(limits), kind.span
        if len(kind.limits) > MOST_LIMITS and narrowest <= wide <= widest:
            # They follow a reference value; the table of all numbers has each.
            rest = InForce(Limits(source=REST), row.unit, row.point_ns, row.point_ns, is_rest=True)
            return kind.limits.setdefault((REST,), rest)
        kind.span[:] = min(wide, narrowest), max(wide, widest)
        made = InForce(limits, row.unit, row.point_ns, row.point_ns)
        kind.limits[bounds] = made
        return made

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

    def _begin_day(self, point_ns: int) -> None:
        self._close_day()
        self._day = bisect_right(self.month.starts_ns, point_ns) - 1
        self._ends_ns = self.month.starts_ns[self._day + 1]

    def _close_day(self) -> None:
        for kind in self._kinds.values():
            if kind.open:
                made = _day(self.month, self._day, kind.version, kind.open.values())
                self.days.setdefault(kind.name, []).append(made)
                kind.open.clear()


def width(limits: Limits) -> float:
    """What limits are put in order by, from the narrowest to the widest."""
    return sum(abs(bound) for bound in limits.bounds)


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
