"""The box around all that is open in a delivery, also for a moment between two samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.fluence_motion import Floats, Indices

Flags = NDArray[np.bool_]
Ends = tuple[Floats, Floats]
"""Positions at the beginnings and at the ends of intervals, (intervals, pairs or 1)."""
Box = tuple[float, float, float, float]
"""Low and high x, low and high y, in mm."""

BRIEFLY = 1e-12
"""Of an interval; what is open for less is lost in rounding."""


def open_bounds_mm(
    left_mm: Floats,
    right_mm: Floats,
    leaf_edges_mm: Floats,
    jaw_x_mm: Floats | None,
    jaw_y_mm: Floats | None,
    intervals: Indices,
) -> Box | None:
    """A box that holds all that is open at any time in these intervals, None where nothing is.

    Arguments as `delivered_fluence`, all positions at the samples; interval k ends at sample k + 1.
    The box holds both ends of each interval in which a pair is open at all.
    """
    bottom_mm, top_mm = leaf_edges_mm[:-1], leaf_edges_mm[1:]
    lows, highs = [_ends(left_mm, intervals)], [_ends(right_mm, intervals)]
    below, above = [(bottom_mm, bottom_mm)], [(top_mm, top_mm)]
    if jaw_x_mm is not None:
        lows.append(_ends(jaw_x_mm[:, :1], intervals))
        highs.append(_ends(jaw_x_mm[:, 1:], intervals))
    if jaw_y_mm is not None:
        below.append(_ends(jaw_y_mm[:, :1], intervals))
        above.append(_ends(jaw_y_mm[:, 1:], intervals))
    gaps = [*product(lows, highs), *product(below, above)]
    is_open = _open_at_once(gaps, (len(intervals), len(bottom_mm)))
    if not is_open.any():
        return None
    # What bounds is the innermost edge, and each is somewhere between its two ends.
    left, right, low, high = (
        np.broadcast_to(side, is_open.shape)[is_open]
        for side in (_lowest(lows), _highest(highs), _lowest(below), _highest(above))
    )
    return float(left.min()), float(right.max()), float(low.min()), float(high.max())


def _ends(positions_mm: Floats, intervals: Indices) -> Ends:
    return positions_mm[intervals], positions_mm[intervals + 1]


def _lowest(edges: Sequence[Ends]) -> Floats:
    return reduce(np.maximum, [np.minimum(*ends) for ends in edges])


def _highest(edges: Sequence[Ends]) -> Floats:
    return reduce(np.minimum, [np.maximum(*ends) for ends in edges])


def _open_at_once(gaps: Sequence[tuple[Ends, Ends]], shape: tuple[int, int]) -> Flags:
    """Where all gaps between a low and a high edge are open together for part of an interval.

    Edges move straight: a gap is open all the time, until its edges meet, since then, or never.
    """
    since, until = np.zeros(shape), np.ones(shape)
    for low, high in gaps:
        before, after = high[0] - low[0], high[1] - low[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            meet = before / (before - after)
        opens, closes = np.where(after > 0.0, meet, 1.0), np.where(before > 0.0, meet, 0.0)
        since = np.maximum(since, np.where(before > 0.0, 0.0, opens))
        until = np.minimum(until, np.where(after > 0.0, 1.0, closes))
    return np.asarray(until - since > BRIEFLY)
