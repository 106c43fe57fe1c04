"""Leaves over days: a heat map of every leaf, and which of them are likely to fail next.

A leaf is ranked by the day on which the line through its daily medians crosses the limit of the
worst leaf, then by how far it is from the others of its day.  A log is the controller's own word:
a leaf that slips unseen shows in `leaf_log_check`, which reads images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.forecast import crossing, fit_line
from dashboards.figures import Figure, GridPanel
from dashboards.web.clinic import Clinic
from dashboards.web.wording import quantity
from qa_daemon.store import trend_days
from qa_daemon.store.trend_days import LeafDay
from qa_daemon.trends.signals import HORIZON_D, SURE

SHADES = ((0.0, "#f4f7f9"), (0.35, "#9cc3d5"), (0.65, "#e0a341"), (1.0, "#b3141c"))
LIMITS = {
    ("leaf_trust", "rms_error_mm"): "mlc_positions.worst_leaf_rms",
    ("leaf_log_check", "offset_mm"): "leaf_log_check.largest_disagreement",
    ("picket_fence", "largest_error_mm"): "picket_fence.max_error",
}
"""The metric whose tolerance a leaf's own number is held against."""
MOST_RANKED = 12
RECENT = 10


@dataclass(frozen=True, slots=True, eq=False)
class Leaves:
    """One quantity of every leaf, magnitudes, shape (leaves, days); NaN: none that day."""

    names: tuple[str, ...]
    days: list[date]
    values: NDArray[np.float64]
    unit: str
    tolerance: float | None


@dataclass(frozen=True, slots=True)
class RankedLeaf:
    """A leaf and why it stands where it does; `crosses` in days from the newest."""

    name: str
    recent: str
    per_month: str
    crosses: float
    said: str


def read(clinic: Clinic, machine: str, analyzer: str, quantity_: str, days: int) -> Leaves | None:
    """The newest days; None where there are none, or no such quantity."""
    last = clinic.clock().astimezone(clinic.site.zone).date()
    found = trend_days.leaves_of(
        clinic.store, machine, analyzer, last - timedelta(days=days), last + timedelta(days=1)
    )
    found = [day for day in found if quantity_ in day.quantities]
    if not found:
        return None
    names = found[-1].leaves
    alike = [day for day in found if day.leaves == names]
    columns = [np.abs(_column(day, quantity_)) for day in alike]
    return Leaves(
        names,
        [day.day for day in alike],
        np.column_stack(columns),
        quantity_.rsplit("_", 1)[-1],
        _tolerance(clinic, machine, analyzer, quantity_),
    )


def quantities(clinic: Clinic, machine: str) -> list[tuple[str, str]]:
    """What is kept of a machine's leaves, by analyzer."""
    last = clinic.clock().astimezone(clinic.site.zone).date()
    found: dict[tuple[str, str], None] = {}
    for analyzer in ("leaf_trust", "leaf_log_check", "picket_fence"):
        since = last - timedelta(days=90)
        for day in trend_days.leaves_of(clinic.store, machine, analyzer, since, last)[-1:]:
            found |= {(analyzer, q): None for q in day.quantities if q.endswith(("_mm", "_ms"))}
    return list(found)


def figure(leaves: Leaves) -> Figure:
    """The heat map: a row for each leaf, a column for each day."""
    whole = [leaves.days[0] + timedelta(days=k) for k in range(_span(leaves.days))]
    at = {day: k for k, day in enumerate(whole)}
    grid = np.full((len(leaves.names), len(whole)), np.nan)
    grid[:, [at[day] for day in leaves.days]] = leaves.values
    high = leaves.tolerance or float(np.nanmax(leaves.values, initial=0.0)) or 1.0
    x = [datetime(d.year, d.month, d.day, 12, tzinfo=UTC).timestamp() * 1000.0 for d in whole]
    panel = GridPanel(
        title="",
        unit=leaves.unit,
        values=grid,
        x_mm=np.array(x),
        y_mm=np.arange(float(len(leaves.names))),
        colors=SHADES,
        low=0.0,
        high=high,
        names=leaves.names,
        y_title="leaf",
    )
    known = np.isfinite(leaves.values)
    said = "No leaf has a number in this time."
    if known.any():
        worst = np.unravel_index(np.nanargmax(leaves.values), leaves.values.shape)
        value = quantity(float(leaves.values[worst]), leaves.unit)
        said = f"Largest {value}: leaf {leaves.names[worst[0]]}, {leaves.days[worst[1]]}."
    title = f"Every leaf by day, median of its deliveries / {leaves.unit}"
    return Figure(title, said, [panel], row_height=700, width=1100, legend=False)


def ranked(leaves: Leaves) -> list[RankedLeaf]:
    """The leaves that are likely to fail next, the likeliest first."""
    t = np.array([(day - leaves.days[0]).days for day in leaves.days], dtype=np.float64)
    recent = np.array([_recent(row) for row in leaves.values])
    typical = float(np.nanmedian(recent)) if np.isfinite(recent).any() else 0.0
    found = []
    for name, row, now in zip(leaves.names, leaves.values, recent, strict=True):
        if np.isfinite(now):
            found.append(_rank(name, (t, row), float(now), leaves, typical))
    order = sorted(found, key=lambda pair: (pair[0].crosses, -pair[1]))
    return [leaf for leaf, _ in order[:MOST_RANKED]]


def _rank(
    name: str,
    of: tuple[NDArray[np.float64], NDArray[np.float64]],
    now: float,
    leaves: Leaves,
    typical: float,
) -> tuple[RankedLeaf, float]:
    t, row = of
    known = np.isfinite(row)
    line = fit_line(t[known], row[known])
    is_sure = line is not None and line.p_value < SURE and line.slope > 0.0
    slope = quantity(line.slope * 365.25 / 12.0, leaves.unit) if line and is_sure else "level"
    crosses, said = np.inf, "as the others" if now <= 2.0 * typical else "apart from the others"
    if leaves.tolerance is not None and now > leaves.tolerance:
        crosses, said = 0.0, "beyond tolerance now"
    elif line is not None and is_sure and leaves.tolerance is not None:
        ahead = crossing(line, leaves.tolerance, float(t[-1]))
        if ahead is not None and ahead.at - t[-1] <= HORIZON_D:
            crosses = ahead.at - float(t[-1])
            low, high = (max(0.0, end - float(t[-1])) for end in (ahead.earliest, ahead.latest))
            said = (
                f"reaches {quantity(leaves.tolerance, leaves.unit)} in {low:.0f} to {high:.0f} days"
            )
    return RankedLeaf(name, quantity(now, leaves.unit), slope, float(crosses), said), now


def _recent(row: NDArray[np.float64]) -> float:
    known = row[np.isfinite(row)][-RECENT:]
    return float(np.median(known)) if known.size else float("nan")


def _column(day: LeafDay, quantity_: str) -> NDArray[np.float64]:
    return np.asarray(day.numbers[day.quantities.index(quantity_)], dtype=np.float64)


def _tolerance(clinic: Clinic, machine: str, analyzer: str, quantity_: str) -> float | None:
    """The clinic's tolerance for the worst leaf, where a leaf's own number can be held to it."""
    metric = LIMITS.get((analyzer, quantity_))
    if metric is None or metric not in clinic.meanings:
        return None
    name, _, of = metric.partition(".")
    newest = clinic.queries.trend(machine, name, of, limit=1)
    if not newest:
        return None
    limits = newest[-1].limits
    return limits.tolerance_high


def _span(days: Sequence[date]) -> int:
    return (days[-1] - days[0]).days + 1
