"""A metric over time: a mark for each result, shaped by its verdict, and the limits of each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Metric
from dashboards.figures import Figure, Numbers, Panel, Series
from dashboards.web.wording import LOOKS, badness, instant, local, number, plural, quantity
from qa_daemon.model import Verdict
from qa_daemon.store.queries import TrendPoint

MOST_STEPS = 6
COLUMNS = 700
"""As wide as a picture has pixels: of more marks than two for each, the outermost are drawn."""
BOUNDS = (
    ("tolerance", "#c77700", ("tolerance_low", "tolerance_high")),
    ("action", "#b3141c", ("action_low", "action_high")),
)


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a trend shows, in the clinic's zone."""

    since: datetime
    until: datetime
    zone: ZoneInfo

    @property
    def first(self) -> date:
        """The first day."""
        return self.since.astimezone(self.zone).date()

    @property
    def last(self) -> date:
        """The last day."""
        return (self.until - timedelta(microseconds=1)).astimezone(self.zone).date()

    def at(self, when: datetime) -> float:
        """Local time as milliseconds since 1970, as if it were UTC: charts know no zones."""
        return when.astimezone(self.zone).replace(tzinfo=UTC).timestamp() * 1000.0


def trend(metric: Metric, points: Sequence[TrendPoint], span: Span, cut: bool = False) -> Figure:
    """The figure; `cut` says that older points were left out."""
    x = np.array([span.at(instant(p.point_ns)) for p in points])
    y = np.array([p.value for p in points])
    series = [s for bound in BOUNDS for s in _limits(bound, points, x, span)]
    series += [s for verdict in LOOKS if (s := _marks(verdict, points, x, y, span)) is not None]
    name = f"{metric.meaning}{f' / {metric.unit}' if metric.unit != '1' else ''}"
    panel = Panel(
        title="",
        x_title="",
        y_title="" if metric.unit == "1" else metric.unit,
        series=series,
        x_is_time=True,
        x_range=_with_room(span.at(span.since), span.at(span.until)),
        y_range=y_range(series),
    )
    drawn = sum(len(one.x) for one in series if one.links)
    said = summary(metric, points, cut)
    if drawn < len(points):
        said += (
            f" {drawn} are drawn: the lowest and highest of each of {COLUMNS} stretches of time."
        )
    return Figure(name, said, [panel], row_height=250, width=760)


def y_range(series: Sequence[Series]) -> tuple[float, float] | None:
    """What holds all of them, with a little room; None where there is no number."""
    known = [line.y[np.isfinite(line.y)] for line in series]
    known = [row for row in known if row.size]
    if not known:
        return None
    low, high = min(float(r.min()) for r in known), max(float(r.max()) for r in known)
    room = 0.08 * (high - low) or max(0.1 * abs(high), 0.1)
    return low - room, high + room


def _with_room(since: float, until: float) -> tuple[float, float]:
    """A little more than the time itself, so that today's marks are whole."""
    room = 0.015 * (until - since)
    return since - room, until + room


def summary(metric: Metric, points: Sequence[TrendPoint], cut: bool) -> str:
    """The key numbers as a sentence."""
    if not points:
        return f"{metric.meaning}: no values in this time."
    low, high = min(p.value for p in points), max(p.value for p in points)
    reach = quantity(high, metric.unit)
    if low < high:
        reach = f"{number(low)} to {reach}"
    # A result may have several of one metric, one for each beam: the worst of them is told.
    latest = [p for p in points if p.point_ns == points[-1].point_ns]
    newest = max(reversed(latest), key=lambda p: badness(p.verdict))
    found = [
        f"{sum(p.verdict is verdict for p in points)} {LOOKS[verdict].word}"
        for verdict in (Verdict.ACTION, Verdict.TOLERANCE, Verdict.INVALID)
        if any(p.verdict is verdict for p in points)
    ]
    return (
        f"{plural(len(points), 'value')}{' (the newest only)' if cut else ''}, "
        f"{reach}; newest "
        f"{quantity(newest.value, metric.unit, newest.limits)} ({LOOKS[newest.verdict].word})"
        f"{'; ' + ', '.join(found) if found else ''}."
    )


def _marks(
    verdict: Verdict | None, points: Sequence[TrendPoint], x: Numbers, y: Numbers, span: Span
) -> Series | None:
    of_verdict = [k for k, point in enumerate(points) if point.verdict is verdict]
    if not of_verdict:
        return None
    chosen = outermost(np.array(of_verdict), x, y, (span.at(span.since), span.at(span.until)))
    look = LOOKS[verdict]
    hover = [
        f"{local(instant(p.point_ns), span.zone)}: {quantity(p.value, p.unit, p.limits)}"
        f"{f' at {p.at}' if p.at else ''}, {look.word}"
        for p in (points[k] for k in chosen)
    ]
    return Series(
        look.word,
        x[chosen],
        y[chosen],
        look.color,
        "points",
        symbol=look.symbol,
        hover=hover,
        links=[points[k].result for k in chosen],
    )


def outermost(
    chosen: NDArray[np.intp], x: Numbers, y: Numbers, reach: tuple[float, float]
) -> list[int]:
    """Of many points the lowest and highest of each stretch, in order; few are all kept.

    `chosen (n,)` are places in `x` and `y`, `reach` is the x axis.  What sticks out stays.
    """
    if len(chosen) <= 2 * COLUMNS:
        return [int(k) for k in chosen]
    low, high = reach
    column = np.clip((x[chosen] - low) / (high - low) * COLUMNS, 0, COLUMNS - 1).astype(int)
    order = np.lexsort((y[chosen], column))
    edges = np.flatnonzero(np.diff(column[order])) + 1
    first, last = np.concatenate([[0], edges]), np.concatenate([edges, [len(order)]]) - 1
    kept = np.unique(np.concatenate([order[first], order[last]]))
    return [int(k) for k in chosen[kept]]


def _limits(
    bound: tuple[str, str, tuple[str, str]],
    points: Sequence[TrendPoint],
    x: Numbers,
    span: Span,
) -> list[Series]:
    """A line that steps, or a dash for each result where nearly each has limits of its own."""
    name, color, sides = bound
    dash: Literal["dash", "solid"] = "dash" if name == "tolerance" else "solid"
    found = []
    for side in sides:
        levels = [getattr(p.limits, side) for p in points]
        if any(level is not None for level in levels):
            values = np.array([np.nan if level is None else level for level in levels])
            if _changes(levels) > max(MOST_STEPS, len(levels) // 5):
                found.append(Series(name, x, values, color, "points", symbol="line-ew-open"))
                continue
            # The last limit is in force until now, the first one was before the first result.
            turns = [k for k, (a, b) in enumerate(pairwise(levels), 1) if a != b]
            at = np.concatenate([[span.at(span.since)], x[turns], [span.at(span.until)]])
            values = np.concatenate([values[:1], values[turns], values[-1:]])
            found.append(Series(name, at, values, color, "step", dash))
    return found


def _changes(levels: Sequence[float | None]) -> int:
    return sum(before != after for before, after in pairwise(levels))
