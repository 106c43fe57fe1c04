"""Maps in blocks, so that a figure holds as many points as a screen shows."""

from __future__ import annotations

import numpy as np

from dashboards.figures import Numbers

MOST_PIXELS = 400


def steps_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a block, so that there are at most `MOST_PIXELS` of either."""
    return -(-shape[0] // MOST_PIXELS), -(-shape[1] // MOST_PIXELS)


def largest_of(values: Numbers, steps: tuple[int, int]) -> Numbers:
    """The largest value of each block, NaN where none is known."""
    return np.asarray(np.fmax.reduce(np.fmax.reduce(blocks(values, steps, np.nan), axis=3), axis=1))


def row_height(x_mm: Numbers, y_mm: Numbers) -> int:
    """Height of a row of maps of this extent, four in a row."""
    aspect = max(float(np.ptp(y_mm)), 1.0) / max(float(np.ptp(x_mm)), 1.0)
    return int(np.clip(255 * aspect, 150, 520)) + 72


def blocks(values: Numbers, steps: tuple[int, int], fill: float) -> Numbers:
    """Shape `(rows, step, columns, step)`, filled up at the ends."""
    spare = [(0, -n % step) for n, step in zip(values.shape, steps, strict=True)]
    whole = np.pad(values, spare, constant_values=fill)
    rows, columns = whole.shape[0] // steps[0], whole.shape[1] // steps[1]
    return whole.reshape(rows, steps[0], columns, steps[1])


def mean_of(values: Numbers, steps: tuple[int, int]) -> Numbers:
    """The mean of each block, of what is known in it; a single column is not put together."""
    if values.shape[1] == 1:
        steps = (steps[0], 1)
    parts = blocks(values, steps, np.nan)
    known = np.isfinite(parts)
    total = np.where(known, parts, 0.0).sum(axis=(1, 3))
    return np.asarray(total / np.maximum(known.sum(axis=(1, 3)), 1))


def extreme_of(values: Numbers, steps: tuple[int, int]) -> Numbers:
    """Of each block the value that is furthest from zero: a thin line of error must show."""
    parts = blocks(values, steps, 0.0)
    highest, lowest = parts.max(axis=(1, 3)), parts.min(axis=(1, 3))
    return np.asarray(np.where(highest >= -lowest, highest, lowest))
