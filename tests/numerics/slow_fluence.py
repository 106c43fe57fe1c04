"""The slow, obvious twin of `delivered_fluence`: Simpson's rule between all events in time.

An event is a moving edge that meets a pixel edge, a leaf edge or another moving edge.  Between two
events the open part of a pixel is a rectangle whose sides change linearly, so its area is at most
quadratic in time and Simpson's rule is exact.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FAR_MM = 1e4


def slow_fluence(
    meterset_mu: Floats,
    left_mm: Floats,
    right_mm: Floats,
    leaf_edges_mm: Floats,
    *,
    x_edges_mm: Floats,
    y_edges_mm: Floats,
    jaw_x_mm: Floats | None = None,
    jaw_y_mm: Floats | None = None,
) -> Floats:
    """Mean open MU over each pixel, (ny, nx)."""
    still = np.tile([-FAR_MM, FAR_MM], (len(meterset_mu), 1))
    jaw_x_mm = still if jaw_x_mm is None else jaw_x_mm
    jaw_y_mm = still if jaw_y_mm is None else jaw_y_mm
    open_mu_mm2 = np.zeros((len(y_edges_mm) - 1, len(x_edges_mm) - 1))
    for k, mu in enumerate(np.diff(meterset_mu)):
        if mu <= 0:
            continue
        span = slice(k, k + 2)
        for p in range(left_mm.shape[1]):
            x_movers = [left_mm[span, p], right_mm[span, p], *jaw_x_mm[span].T]
            y_movers = [*jaw_y_mm[span].T]
            pair = leaf_edges_mm[p : p + 2]
            times = _events(x_movers, x_edges_mm) | _events(y_movers, [*y_edges_mm, *pair])
            for start, end in itertools.pairwise(sorted(times | {0.0, 1.0})):
                areas = [
                    _open_area(x_movers, y_movers, pair, x_edges_mm, y_edges_mm, time)
                    for time in (start, (start + end) / 2, end)
                ]
                open_mu_mm2 += mu * (end - start) * (areas[0] + 4 * areas[1] + areas[2]) / 6
    return open_mu_mm2 / np.outer(np.diff(y_edges_mm), np.diff(x_edges_mm))


def _open_area(x_movers, y_movers, pair, x_edges_mm, y_edges_mm, time):  # type: ignore[no-untyped-def]
    left, right, jaw_x1, jaw_x2 = (a + (b - a) * time for a, b in x_movers)
    jaw_y1, jaw_y2 = (a + (b - a) * time for a, b in y_movers)
    width = _overlap(x_edges_mm, max(left, jaw_x1), min(right, jaw_x2))
    height = _overlap(y_edges_mm, max(pair[0], jaw_y1), min(pair[1], jaw_y2))
    return np.outer(height, width)


def _overlap(edges: Floats, low: float, high: float) -> Floats:
    return np.maximum(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0)


def _events(movers, lines) -> set[float]:  # type: ignore[no-untyped-def]
    paths = [*movers, *([line, line] for line in lines)]
    times = set()
    for a, b in itertools.combinations(paths, 2):
        before, after = a[0] - b[0], a[1] - b[1]
        if before * after < 0:
            times.add(before / (before - after))
    return times
