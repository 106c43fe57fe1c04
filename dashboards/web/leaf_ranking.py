"""Which leaves are likely to fail next: pure functions over one quantity of every leaf by day.

A leaf is ranked by the day on which the line through its newest daily medians leaves tolerance,
with the interval in which a value will; then by how far it is from zero.  A line is told as trends
tell it: sure, near, no further ahead than it reaches back, and alike by two reckonings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.forecast import FEWEST
from dashboards.web.wording import number, quantity, unit
from qa_daemon.trends.signals import DAYS_PER_MONTH, SURE, Series, drift, line_of

MOST_RANKED = 12
RECENT = 10
"""Days whose median says where a leaf is now."""
UNSEEN_D = 30
"""A leaf without a number for so long is not told about as if it were of today."""


@dataclass(frozen=True, slots=True, eq=False)
class LeafTable:
    """One quantity of every leaf, signed, shape (leaves, days); NaN where none.

    Days are in order, each of them once.
    """

    names: tuple[str, ...]
    days: Sequence[date]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankedLeaf:
    """A leaf and why it stands where it does; `crosses` in days from today, inf where never."""

    name: str
    recent: str
    per_month: str
    crosses: float
    said: str
    size: float


def ranked(
    table: LeafTable, tolerance: float | None, of_unit: str, today: date
) -> list[RankedLeaf]:
    """The leaves that are likely to need a hand next, the likeliest first.

    `tolerance` is that of the worst leaf's magnitude, in `of_unit`.
    """
    t = np.array([(day - today).days for day in table.days], dtype=np.float64)
    found = [
        _leaf(name, t[known], row[known], tolerance, of_unit)
        for name, row in zip(table.names, table.values, strict=True)
        if (known := np.isfinite(row)).any()
    ]
    typical = float(np.median([leaf.size for leaf in found])) if found else 0.0
    told = [_beside(leaf, typical, table) for leaf in found]
    return sorted(told, key=lambda leaf: (leaf.crosses, -leaf.size))[:MOST_RANKED]


def enough(table: LeafTable) -> bool:
    """Whether there are days enough for a line."""
    return len(table.days) >= FEWEST


def _leaf(
    name: str,
    t: NDArray[np.float64],
    values: NDArray[np.float64],
    tolerance: float | None,
    of_unit: str,
) -> RankedLeaf:
    now, newest = float(np.median(values[-RECENT:])), float(values[-1])
    is_magnitude = bool((values >= 0.0).all())
    low = None if tolerance is None or is_magnitude else -tolerance
    series = Series(t, values, np.zeros(t.size, dtype=np.int64), low, tolerance)
    line = line_of(series)
    is_sure = line is not None and line.p_value < SURE
    per_month, crosses, said = "level", np.inf, ""
    if line is None:
        per_month = "too few days"
    elif is_sure:
        away = line.slope * (-1.0 if now < 0.0 else 1.0)
        per_month = number(away * DAYS_PER_MONTH, sign=True) + unit(of_unit)
    if tolerance is not None and max(abs(now), abs(newest)) > tolerance:
        crosses = 0.0
        said = "beyond tolerance now" if abs(now) > tolerance else "beyond tolerance, newest day"
    elif tolerance is not None and is_sure and (ahead := drift(series)) is not None:
        crossing = ahead.crossing
        crosses = max(0.0, crossing.at)
        first, last = max(0.0, crossing.earliest), max(0.0, crossing.latest)
        level = quantity(tolerance, of_unit)
        said = f"reaches {level} in {first:.0f} to {last:.0f} days"
    if -t[-1] > UNSEEN_D:
        said = f"{said}, no number for {-t[-1]:.0f} days".removeprefix(", ")
    return RankedLeaf(name, quantity(now, of_unit), per_month, float(crosses), said, abs(now))


def _beside(leaf: RankedLeaf, typical: float, table: LeafTable) -> RankedLeaf:
    """The same leaf; one of which nothing is told yet is told beside the others."""
    if leaf.said or len(table.names) == 1:
        return leaf
    apart = leaf.size > 2.0 * typical
    return replace(leaf, said="apart from the others" if apart else "as the others")
