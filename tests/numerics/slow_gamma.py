"""The slow, obvious twin of `gamma_index`: sample all axes but one densely, then zoom in.

Along one axis the interpolated dose is a broken straight line, and the nearest point of a straight
segment is school geometry; the other axes are sampled.  Each axis takes its turn as the straight
one.  The answer is a value that is reached somewhere, so never below the true minimum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass
class Search:
    """Gamma squared of one reference point, minimized along one axis of the evaluated grid."""

    planes: Floats  # evaluated dose, the straight axis last
    width: Floats  # evaluated spacings over the distance criterion, in the same order
    at: Floats  # the reference point from the first evaluated point, in the same units
    expected: float
    dose: float

    def lowest(self, position: Floats, profiles: Floats) -> Floats:
        """At positions on the other axes, in cells, where the dose along the axis is `profiles`."""
        aside = ((position * self.width[:-1] - self.at[:-1]) ** 2).sum(axis=1)
        s = (profiles - self.expected) / self.dose
        return aside + nearest_on_profile(s, self.width[-1], self.at[-1])

    def at_positions(self, position: Floats) -> Floats:
        return self.lowest(position, interpolate(self.planes, position))


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
    squared = np.full(reference.shape, np.inf)
    for straight in range(reference.ndim):
        turned = [*(axis for axis in range(reference.ndim) if axis != straight), straight]
        planes = evaluated.transpose(turned)
        last = np.array(planes.shape[:-1], dtype=float) - 1
        lattice = _lattice(last, samples_per_cell)
        profiles = interpolate(planes, lattice)  # the same for all reference points
        for index in np.ndindex(*reference.shape):
            at = np.array(index) * spacing_mm / distance_mm - offset
            search = Search(planes, width[turned], at[turned], reference[index], dose[index])
            values = search.lowest(lattice, profiles)
            most = np.argsort(values)[:40]
            value = _zoomed(
                lattice[most], values[most], search.at_positions, last, 1.0 / samples_per_cell
            )
            squared[index] = min(squared[index], value)
    return np.minimum(np.sqrt(squared), max_gamma)


def nearest_on_profile(s: Floats, width: float, at: float) -> Floats:
    """Smallest x² + s² on broken lines (lines, planes), x from `at`, planes `width` apart."""
    x = np.arange(s.shape[1]) * width - at
    if s.shape[1] == 1:
        return x[0] ** 2 + s[:, 0] ** 2
    ds = np.diff(s, axis=1)
    along = np.clip(-(x[:-1] * width + s[:, :-1] * ds) / (width**2 + ds**2), 0, 1)
    return ((x[:-1] + along * width) ** 2 + (s[:, :-1] + along * ds) ** 2).min(axis=1)


def interpolate(planes: Floats, position: Floats) -> Floats:
    """Multilinear in all axes but the last: (points, axes - 1) in cells to (points, planes)."""
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
