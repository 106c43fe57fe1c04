"""Leaf errors: a bar for each leaf of both banks, against the limits, parked leaves marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Limits
from dashboards.figures import Figure, Numbers, Panel, Series
from dashboards.web.wording import number, plural
from qa_daemon.store.queries import StoredAnalysis

PAIRS_OF_LAYERS = {114: (("28", 28), ("29", 29))}
"""Layers by the number of leaves; a machine with one layer has as many pairs as halves."""
WITHIN, BEYOND_TOLERANCE, BEYOND_ACTION, PARKED = "#3d78ad", "#e08a00", "#b3141c", "#77838f"
ROWS = (
    ("RMS error", "leaf_rms_mm", "worst_leaf_rms"),
    ("Largest error", "leaf_largest_mm", "largest_error"),
)


def leaves(arrays: Mapping[str, NDArray[Any]], said: StoredAnalysis) -> Figure | None:
    """A row of panels for each statistic, a column for each bank; None where there are none."""
    rows = [row for row in ROWS if row[1] in arrays and arrays[row[1]].ndim == 1]
    if not rows or not len(arrays[rows[0][1]]):
        return None
    count = len(arrays[rows[0][1]])
    counted = np.asarray(arrays.get("leaf_counted", np.ones(count)), bool)
    if len(counted) != count or any(len(arrays[row[1]]) != count for row in rows):
        return None
    banks = list(_banks(count))
    panels = []
    for title, trace, metric in rows:
        values = np.asarray(arrays[trace], np.float64)
        limits = next((m.limits for m in said.measurements if m.metric == metric), Limits())
        top = _top(values, limits)
        panels += [
            Panel(
                f"{title}, bank {bank}",
                "leaf",
                "mm",
                [
                    *_bars(values[leaf], counted[leaf], limits),
                    *_levels(limits, leaf.stop - leaf.start, top),
                ],
                x_range=(0.0, leaf.stop - leaf.start + 1.0),
                y_range=(0.0, top),
            )
            for bank, leaf in banks
        ]
    values = np.asarray(arrays[rows[0][1]], np.float64)
    return Figure(
        "Leaf errors with the beam on",
        _summary(values, counted, rows[0][0], banks),
        panels,
        columns=len(banks),
        row_height=250,
    )


def _banks(count: int) -> Iterator[tuple[str, slice]]:
    start = 0
    for layer, pairs in PAIRS_OF_LAYERS.get(count, (("", count // 2),)):
        for bank in "AB":
            yield f"{layer}{bank}", slice(start, start + pairs)
            start += pairs


def _bars(values: Numbers, counted: NDArray[np.bool_], limits: Limits) -> Iterator[Series]:
    """Bars of the leaves that count; a cross at zero says that a leaf is parked."""
    at = np.arange(1.0, len(values) + 1.0)
    known = counted & np.isfinite(values)
    drawn = np.where(known, values, 0.0)
    tolerance = np.inf if limits.tolerance_high is None else limits.tolerance_high
    action = np.inf if limits.action_high is None else limits.action_high
    level = (drawn > tolerance).astype(int) + (drawn > action)
    for wanted, name, color in (
        (0, "leaf that shapes the field", WITHIN),
        (1, "beyond tolerance", BEYOND_TOLERANCE),
        (2, "beyond action", BEYOND_ACTION),
    ):
        of = known & (level == wanted)
        if of.any():
            # All leaves are named, so that each bar is as wide as any other.
            yield Series(name, at, np.where(of, values, np.nan), color, "bars")
    if (~counted).any():
        rest = np.where(np.isfinite(values), values, 0.0)[~counted]
        yield Series(
            "parked or behind the jaws, not counted",
            at[~counted],
            rest,
            PARKED,
            "points",
            symbol="x-thin-open",
        )


def _levels(limits: Limits, leaves_: int, top: float) -> Iterator[Series]:
    across = np.array([0.0, leaves_ + 1.0])
    dash: Literal["dash", "solid"]
    for name, level, color, dash in (
        ("tolerance", limits.tolerance_high, BEYOND_TOLERANCE, "dash"),
        ("action", limits.action_high, BEYOND_ACTION, "solid"),
    ):
        if level is not None and level <= top:
            yield Series(name, across, np.array([level, level]), color, "line", dash)


def _top(values: Numbers, limits: Limits) -> float:
    known = values[np.isfinite(values)]
    largest = float(known.max()) if known.size else 0.0
    # The action level is drawn when it is not so far up that the bars would vanish.
    levels = [level for level in (limits.tolerance_high, limits.action_high) if level is not None]
    shown = [level for level in levels if level <= 12 * max(largest, 1e-3)] or levels[:1]
    return 1.08 * max([largest, *shown]) or 1.0


def _summary(
    values: Numbers,
    counted: NDArray[np.bool_],
    statistic: str,
    banks: list[tuple[str, slice]],
) -> str:
    known = np.where(counted & np.isfinite(values), values, -1.0)
    parked = plural(int((~counted).sum()), "leaf is", "leaves are")
    if known.max() < 0:
        return f"No leaf shapes the field; {parked} parked or behind the jaws."
    worst, median = int(known.argmax()), float(np.median(known[known >= 0]))
    bank, leaf = next((b, s) for b, s in banks if s.start <= worst < s.stop)
    return (
        f"{statistic}: worst leaf {bank}{worst - leaf.start + 1} with "
        f"{number(float(known[worst]))} mm, median {number(median)} mm "
        f"over {plural(int((known >= 0).sum()), 'leaf', 'leaves')} that shape the field; "
        f"{parked} parked or behind the jaws."
    )
