"""Where the points of a reference grid lie on an evaluated grid, axis by axis.

Positions on the evaluated grid are in its spacings, 0 at its first point.  A cell is what lies
between neighboring points; an axis with a single plane has one cell without thickness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis: the reference points' positions on the evaluated grid."""

    position: Floats
    size: int
    """Evaluated points."""
    spacing_mm: float
    """Of the evaluated points."""
    first_mm: float
    """Position of the first of them; the first reference point is the origin."""
    reference_spacing_mm: float

    @property
    def home(self) -> Indices:
        """The cell that starts at or before each point; it need not exist."""
        whole = np.floor(self.position) if self.size > 1 else np.zeros(len(self.position))
        return whole.astype(np.int64)

    @property
    def fraction(self) -> Floats:
        """The rest of the way, in cells."""
        return self.position - self.home

    def outside(self, reach_mm: float) -> Flags:
        """Whether a search as far as `reach_mm` leaves the evaluated grid.

        A single plane is not searched along its axis: only the point itself can be off it.
        """
        margin = reach_mm / self.spacing_mm if self.size > 1 else 0.0
        rounding = 1e-9
        return (self.position < margin - rounding) | (
            self.position > self.size - 1 - margin + rounding
        )

    def offsets(self, reach_mm: float) -> tuple[Indices, Floats]:
        """Cells relative to the home cell, and how many mm each is at least from a point."""
        home, fraction = self.home, self.fraction
        if self.size == 1:
            return np.zeros(1, dtype=np.int64), np.array([np.abs(fraction).min() * self.spacing_mm])
        most = int(min(reach_mm / self.spacing_mm, self.size + np.abs(self.position).max())) + 2
        first, last = max(-most, -int(home.max())), min(most, self.size - 2 - int(home.min()))
        offset = np.arange(first, last + 1, dtype=np.int64)
        closest = np.maximum(offset - fraction.max(), fraction.min() - offset - 1)
        return offset, np.maximum(closest, 0.0) * self.spacing_mm


FARTHEST = 1e9
"""In spacings; beyond, a position is no longer a cell and a fraction."""
NO_AXIS = Axis(np.zeros(1), 1, 1.0, 0.0, 1.0)
"""Completes a grid of fewer dimensions to three."""


def match_grids(
    reference: tuple[int, ...],
    evaluated: tuple[int, ...],
    spacing_mm: ArrayLike,
    evaluated_spacing_mm: ArrayLike | None,
    evaluated_offset_mm: ArrayLike | None,
) -> list[Axis]:
    """The axes of two grids of these shapes; ValueError where they do not fit together."""
    ndim = len(reference)
    if len(evaluated) != ndim:
        raise ValueError(f"reference has {ndim} dimensions, evaluated {len(evaluated)}")
    if reference != evaluated and evaluated_offset_mm is None:
        raise ValueError(
            f"reference is {reference}, evaluated {evaluated}: evaluated_offset_mm must"
            " say where the evaluated grid lies"
        )
    other = spacing_mm if evaluated_spacing_mm is None else evaluated_spacing_mm
    offset = np.zeros(ndim) if evaluated_offset_mm is None else evaluated_offset_mm
    along = zip(
        reference,
        evaluated,
        _positive(_per_axis(spacing_mm, ndim, "spacing_mm"), "spacing_mm"),
        _positive(_per_axis(other, ndim, "evaluated_spacing_mm"), "evaluated_spacing_mm"),
        _per_axis(offset, ndim, "evaluated_offset_mm"),
        strict=True,
    )
    axes = [
        Axis(
            _on_planes((np.arange(points, dtype=np.float64) * mm - first_mm) / evaluated_mm),
            size,
            evaluated_mm,
            first_mm,
            mm,
        )
        for points, size, mm, evaluated_mm, first_mm in along
    ]
    if max(np.abs(axis.position).max() for axis in axes) > FARTHEST:
        raise ValueError("reference and evaluated grid are too far apart to be one geometry")
    return axes


def _per_axis(values: ArrayLike, ndim: int, name: str) -> list[float]:
    numbers = [float(value) for value in np.atleast_1d(np.asarray(values, dtype=np.float64))]
    if len(numbers) != ndim or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} needs one number per axis, {ndim} in all, not {numbers}")
    return numbers


def _positive(numbers: Sequence[float], name: str) -> Sequence[float]:
    if min(numbers) <= 0:
        raise ValueError(f"{name} must be positive, not {numbers}")
    return numbers


def _on_planes(position: Floats) -> Floats:
    """Positions that are on a grid plane but for rounding: the search order is sharpest there."""
    whole = np.rint(position)
    return np.where(np.abs(position - whole) <= 1e-12 * (1 + np.abs(whole)), whole, position)


def visiting_order(axes: Sequence[Axis], reach_mm: float) -> tuple[Indices, Floats]:
    """Offsets from the home cell that a point can reach, nearest first, and mm² to them.

    The distance is the least over all points, so that one list serves them all; where the grids
    share their points it is the distance itself.
    """
    offsets, closest = zip(*(axis.offsets(reach_mm) for axis in axes), strict=True)
    total = np.zeros(())
    for distance in closest:
        total = np.add.outer(total, distance**2)
    near = np.argwhere(total <= reach_mm**2)
    squared = total[tuple(near.T)]
    order = np.argsort(squared, kind="stable")
    cells = np.stack([offset[near[order, axis]] for axis, offset in enumerate(offsets)], axis=1)
    return np.ascontiguousarray(cells), squared[order]


def corner_extreme(dose: Floats, extreme: np.ufunc) -> Floats:
    """Smallest (np.minimum) or largest (np.maximum) corner of each cell."""
    for axis, size in enumerate(dose.shape):
        if size > 1:
            planes = np.moveaxis(dose, axis, 0)
            dose = np.moveaxis(extreme(planes[:-1], planes[1:]), 0, axis)
    return np.ascontiguousarray(dose)


def on_any_axis(flags: Sequence[Flags]) -> Flags:
    """From flags on the indices of each axis to the grid: whether any axis has one."""
    holds = np.zeros((), dtype=np.bool_)
    for along in flags:
        holds = np.logical_or.outer(holds, along)
    return holds
