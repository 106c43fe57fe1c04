"""The heat map of every leaf over days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from dashboards.figures import Figure, GridPanel
from dashboards.web.leaf_ranking import LeafTable
from dashboards.web.wording import quantity

SHADES = ((0.0, "#f4f7f9"), (0.35, "#9cc3d5"), (0.65, "#e0a341"), (1.0, "#b3141c"))
COLUMNS = 480
"""As many as a picture has room for: of a longer time each column is of several days."""
DAY_MS = 86_400_000.0


def leaf_map(
    table: LeafTable, unit: str, tolerance: float | None, marks: Sequence[tuple[float, str]]
) -> Figure:
    """A row for each leaf, a column for each day or stretch of days, magnitudes.

    `marks` are local times in ms since 1970 and what happened then.  Of a stretch of days the
    largest is drawn.  A full color is the tolerance, or the largest of all where there is none.
    """
    size = np.abs(table.values)
    first = table.days[0]
    span = (table.days[-1] - first).days + 1
    stretch = -(-span // COLUMNS)
    columns = -(-span // stretch)
    grid = np.full((len(table.names), columns), -1.0)
    for k, day in enumerate(table.days):
        at = (day - first).days // stretch
        grid[:, at] = np.fmax(grid[:, at], size[:, k])
    grid[grid < 0.0] = np.nan
    noon = datetime(first.year, first.month, first.day, 12, tzinfo=UTC).timestamp() * 1000.0
    x = noon + DAY_MS * (stretch * np.arange(columns) + (stretch - 1) / 2.0)
    low, high = x[0] - stretch * DAY_MS / 2.0, x[-1] + stretch * DAY_MS / 2.0
    panel = GridPanel(
        title="",
        unit=unit,
        values=grid,
        x_mm=x,
        y_mm=np.arange(float(len(table.names))),
        colors=SHADES,
        low=0.0,
        high=tolerance or float(np.nanmax(size, initial=0.0)) or 1.0,
        names=table.names,
        y_title="leaf",
        marks=[mark for mark in marks if low <= mark[0] <= high],
        column_ms=stretch * DAY_MS,
    )
    of = "" if stretch == 1 else f", the largest of {stretch} days"
    title = f"Every leaf by day, median of its deliveries{of} / {unit}"
    return Figure(title, _said(table, unit, stretch), [panel], 1, 700, 1100, legend=False)


def _said(table: LeafTable, unit: str, stretch: int) -> str:
    size = np.abs(table.values)
    if not np.isfinite(size).any():
        return "No leaf has a number in this time."
    leaf, day = (int(k) for k in np.unravel_index(np.nanargmax(size), size.shape))
    value = quantity(float(size[leaf, day]), unit)
    said = f"Largest {value}: leaf {table.names[leaf]}, {table.days[day]}."
    return said if stretch == 1 else f"{said} Each column is the largest of {stretch} days."
