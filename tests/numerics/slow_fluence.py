"""The slow, obvious twins of the functions of fluence.

In time: Simpson's rule between all events.  An event is a moving edge that meets a pixel edge, the
edge of a leaf or a strip, or another moving edge.  Between two events all edges keep their order,
so that the plane is cut into rectangles whose sides change linearly; what a pixel gets is at most
quadratic in time and Simpson's rule is exact.  In space: each rectangle gets what comes through at
its middle, straight from the definition.

In rotation: polygons clipped against each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FAR_MM = 1e4
ALL = np.array([-1.0, 1.0])
"""One range, for the coordinate 0."""


@dataclass
class Transmission:
    leaf: float
    jaw: float
    strip_mm: float
    strip: float


def slow_fluence(
    meterset_mu: Floats,
    left_mm: Floats,
    right_mm: Floats,
    leaf_edges_mm: Floats,
    *,
    coordinate: Floats | None = None,
    range_edges: Floats = ALL,
    **more,
) -> Floats:
    """Mean open MU over each pixel, (ny, nx); with a coordinate by range, (ranges, ny, nx)."""
    samples = len(meterset_mu)
    path = np.zeros(samples) if coordinate is None else coordinate
    jaws = {name: more.get(name) for name in ("jaw_x_mm", "jaw_y_mm")}
    jaws = {
        n: np.tile([-FAR_MM, FAR_MM], (samples, 1)) if j is None else j for n, j in jaws.items()
    }
    leaf = more.get("leaf_transmission", 0.0)
    strip = more.get("tongue_and_groove_transmission")
    transmission = Transmission(
        leaf,
        more.get("jaw_transmission", 0.0),
        more.get("tongue_and_groove_mm", 0.0),
        math.sqrt(leaf) if strip is None else strip,
    )
    x_edges_mm, y_edges_mm = more["x_edges_mm"], more["y_edges_mm"]
    half_mm = transmission.strip_mm / 2
    strips_mm = [e + d for e in leaf_edges_mm[1:-1] for d in (-half_mm, half_mm)]
    across_mm = [*leaf_edges_mm, *strips_mm, *y_edges_mm]
    mu_mm2 = np.zeros((len(range_edges) - 1, len(y_edges_mm) - 1, len(x_edges_mm) - 1))
    for k, mu in enumerate(np.diff(meterset_mu)):
        if mu <= 0:
            continue
        span = slice(k, k + 2)
        leaves = list(zip(left_mm[span].T, right_mm[span].T, strict=True))
        in_x = [*jaws["jaw_x_mm"][span].T, *itertools.chain(*leaves)]
        in_y = list(jaws["jaw_y_mm"][span].T)
        times = _events(in_x, x_edges_mm) | _events(in_y, across_mm)
        times |= _events([path[span]], range_edges) | {0.0, 1.0}
        for start, end in itertools.pairwise(sorted(times)):
            r = _range(_at(path[span], (start + end) / 2), range_edges)
            if r is None:
                continue
            areas = [
                _through(
                    [_at(path, time) for path in in_x],
                    [_at(path, time) for path in in_y],
                    leaf_edges_mm,
                    across_mm,
                    (x_edges_mm, y_edges_mm),
                    transmission,
                )
                for time in (start, (start + end) / 2, end)
            ]
            mu_mm2[r] += mu * (end - start) * (areas[0] + 4 * areas[1] + areas[2]) / 6
    fluence = mu_mm2 / np.outer(np.diff(y_edges_mm), np.diff(x_edges_mm))
    return fluence[0] if coordinate is None else fluence


def _through(in_x, in_y, leaf_edges_mm, across_mm, pixels_mm, transmission) -> Floats:
    x_edges_mm, y_edges_mm = pixels_mm
    xs = sorted({*in_x, *x_edges_mm})
    ys = sorted({*in_y, *across_mm})
    total = np.zeros((len(y_edges_mm) - 1, len(x_edges_mm) - 1))
    lefts, rights = in_x[2::2], in_x[3::2]
    for y1, y2 in itertools.pairwise(ys):
        y = (y1 + y2) / 2
        height = _overlap(y_edges_mm, y1, y2)
        if not height.any() or not leaf_edges_mm[0] < y < leaf_edges_mm[-1]:
            continue
        pairs = _pairs_over(y, leaf_edges_mm, transmission.strip_mm)
        for x1, x2 in itertools.pairwise(xs):
            x = (x1 + x2) / 2
            is_open = [lefts[p] < x < rights[p] for p in pairs]
            leaf = transmission.leaf
            if any(is_open):
                leaf = 1.0 if all(is_open) else transmission.strip
            in_jaws = in_x[0] < x < in_x[1] and in_y[0] < y < in_y[1]
            jaw = 1.0 if in_jaws else transmission.jaw
            total += leaf * jaw * np.outer(height, _overlap(x_edges_mm, x1, x2))
    return total


def _pairs_over(y: float, leaf_edges_mm: Floats, strip_mm: float) -> list[int]:
    """The pair over a point, or the two of them whose strip it is in."""
    for n, border in enumerate(leaf_edges_mm[1:-1]):
        if abs(y - border) < strip_mm / 2:
            return [n, n + 1]
    return [int(np.searchsorted(leaf_edges_mm, y)) - 1]


def _range(value: float, edges: Floats) -> int | None:
    if value == edges[-1]:
        return len(edges) - 2
    return next((n for n in range(len(edges) - 1) if edges[n] <= value < edges[n + 1]), None)


def _at(path, time: float) -> float:
    return float(path[0] + (path[1] - path[0]) * time)


def _overlap(edges: Floats, low: float, high: float) -> Floats:
    return np.maximum(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0)


def _events(movers, lines) -> set[float]:
    paths = [*movers, *([line, line] for line in lines)]
    times = set()
    for a, b in itertools.combinations(paths, 2):
        before, after = a[0] - b[0], a[1] - b[1]
        if before * after < 0:
            times.add(before / (before - after))
    return times


def slow_turned_fluence(
    fluence: Floats,
    x_edges_mm: Floats,
    y_edges_mm: Floats,
    angle_deg: float,
    *,
    to_x_edges_mm: Floats,
    to_y_edges_mm: Floats,
) -> Floats:
    """The mean over each pixel of the other grid of a map turned counterclockwise."""
    turn = np.exp(1j * math.radians(angle_deg))
    found = np.zeros((len(to_y_edges_mm) - 1, len(to_x_edges_mm) - 1))
    for (i, j), pixel in _pixels(x_edges_mm, y_edges_mm):
        for (m, n), other in _pixels(to_x_edges_mm, to_y_edges_mm):
            area = _area(_common([corner * turn for corner in pixel], other))
            found[m, n] += fluence[i, j] * area
    return found / np.outer(np.diff(to_y_edges_mm), np.diff(to_x_edges_mm))


def _pixels(x_edges, y_edges) -> Iterator[tuple[tuple[int, int], list[complex]]]:
    for i, (y1, y2) in enumerate(itertools.pairwise(y_edges)):
        for j, (x1, x2) in enumerate(itertools.pairwise(x_edges)):
            yield (i, j), [complex(x1, y1), complex(x2, y1), complex(x2, y2), complex(x1, y2)]


def _cross(a: complex, b: complex) -> float:
    return a.real * b.imag - a.imag * b.real


def _common(polygon: list[complex], window: list[complex]) -> list[complex]:
    """What two convex polygons with corners in counterclockwise order have in common."""
    for start, end in zip(window, [*window[1:], window[0]], strict=True):
        # Left of this side is inside.
        heights = [_cross(end - start, corner - start) for corner in polygon]
        corners = list(zip(polygon, heights, strict=True))
        polygon = []
        for (a, height_a), (b, height_b) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
            if height_a >= 0:
                polygon.append(a)
            if height_a * height_b < 0:
                polygon.append(a + (b - a) * height_a / (height_a - height_b))
    return polygon


def _area(polygon: list[complex]) -> float:
    return sum(_cross(a, b) for a, b in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True)) / 2
