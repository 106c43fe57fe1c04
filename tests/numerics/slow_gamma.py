"""The slow, obvious twin of `gamma_index`: sample all axes but one densely, then zoom in.

Along one axis the interpolated dose is a broken straight line, and the nearest point of a straight
segment is school geometry; the other axes are sampled.  Each axis takes its turn as the straight
one.  The answer is a value that is reached somewhere, so never below the true minimum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def slow_gamma(
    reference: Floats,
    evaluated: Floats,
    spacing_mm: tuple[float, ...],
    *,
    dose: Floats,
    distance_mm: float,
    max_gamma: float = 2.0,
    evaluated_spacing_mm: tuple[float, ...] | None = None,
    evaluated_offset_mm: tuple[float, ...] | None = None,
    samples_per_cell: int = 8,
) -> Floats:
    """Gamma at every reference point; `dose` is the dose criterion there, in dose units."""
    width = np.array(evaluated_spacing_mm or spacing_mm) / distance_mm
    offset = np.array(evaluated_offset_mm or np.zeros(reference.ndim)) / distance_mm
    gamma = np.full(reference.shape, np.inf)
    for straight in range(reference.ndim):
        sampled = [axis for axis in range(reference.ndim) if axis != straight]
        last = np.array([evaluated.shape[axis] - 1 for axis in sampled], dtype=float)
        lattice = _lattice(last, samples_per_cell)
        planes = np.moveaxis(evaluated, straight, -1)
        # Dose along the straight axis, (samples, planes), is the same for all reference points.
        profiles = interpolate(planes, lattice)
        for index in np.ndindex(*reference.shape):
            at = np.array(index) * spacing_mm / distance_mm - offset

            def lowest(x: Floats, doses: Floats, at: Floats = at, index=index) -> Floats:  # type: ignore[no-untyped-def] # noqa: B023
                aside = ((x * width[sampled] - at[sampled]) ** 2).sum(axis=1)  # noqa: B023
                s = (doses - reference[index]) / dose[index]
                return aside + nearest_on_profile(s, width[straight], at[straight])  # noqa: B023

            values = lowest(lattice, profiles)
            most = np.argsort(values)[:40]
            value = _zoomed(
                lattice[most],
                values[most],
                lambda x: lowest(x, interpolate(planes, x)),  # noqa: B023
                last,
                1.0 / samples_per_cell,
            )
            gamma[index] = min(gamma[index], np.sqrt(value))
    return np.minimum(gamma, max_gamma)


def nearest_on_profile(s: Floats, width: float, at: float) -> Floats:
    """Smallest x² + s² on broken lines (lines, planes), x from `at`, planes `width` apart."""
    x = np.arange(s.shape[1]) * width - at
    if s.shape[1] == 1:
        return x[0] ** 2 + s[:, 0] ** 2
    dx, ds = width, np.diff(s, axis=1)
    along = np.clip(-(x[:-1] * dx + s[:, :-1] * ds) / (dx**2 + ds**2), 0, 1)
    return ((x[:-1] + along * dx) ** 2 + (s[:, :-1] + along * ds) ** 2).min(axis=1)


def interpolate(planes: Floats, position: Floats) -> Floats:
    """Multilinear in all axes but the last: (points, axes - 1) cells to (points, planes)."""
    size = np.array(planes.shape[:-1])
    cell = np.clip(np.floor(position).astype(int), 0, np.maximum(size - 2, 0))
    fraction = position - cell
    total = np.zeros((len(position), planes.shape[-1]))
    for corner in itertools.product((0, 1), repeat=len(size)):
        weight = np.where(corner, fraction, 1 - fraction).prod(axis=1)
        total += weight[:, None] * planes[tuple(np.minimum(cell + corner, size - 1).T)]
    return total


def _lattice(last: Floats, samples_per_cell: int) -> Floats:
    axes = [np.linspace(0, n, int(n) * samples_per_cell + 1) for n in last]
    points = list(itertools.product(*axes))
    return np.array(points, dtype=float).reshape(len(points), len(axes))


def _zoomed(
    x: Floats, values: Floats, function: Callable[[Floats], Floats], last: Floats, step: float
) -> float:
    """Each candidate moves to its best neighbor; where none is better its step halves."""
    moves = np.array(list(itertools.product((-1, 0, 1), repeat=x.shape[1])), dtype=float)
    steps = np.full(len(x), step)
    everyone = np.arange(len(x))
    for _ in range(40 if x.shape[1] else 0):
        tried = np.clip(x[:, None] + moves * steps[:, None, None], 0, last)
        around = function(tried.reshape(-1, x.shape[1])).reshape(len(x), -1)
        best = around.argmin(axis=1)
        better = around[everyone, best] < values
        x = np.where(better[:, None], tried[everyone, best], x)
        values = np.minimum(values, around[everyone, best])
        steps = np.where(better, steps, steps / 2)
    return float(values.min())
