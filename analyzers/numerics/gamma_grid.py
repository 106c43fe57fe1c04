"""Where the points of a reference grid lie on an evaluated grid, axis by axis.

Positions on the evaluated grid are in its spacings, 0 at its first point.  A cell is what lies
between neighboring points; an axis with a single plane has one cell without thickness.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Shell = tuple[Indices, Floats]
"""Cells relative to the home cell, nearest first; mm² of distance below which none of them is."""


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

        Where both grids have a single plane there is no search along the axis: only the point
        itself can be off it.
        """
        flat = self.size == 1 and len(self.position) == 1
        margin = 0.0 if flat else reach_mm / self.spacing_mm
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


FARTHEST = 1e6
"""In spacings, that one grid may be from the other."""
MOST_CELLS = 2_000_000
"""Of one list of cells in the order of a search."""
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
    try:
        numbers = np.atleast_1d(np.asarray(values))
    except ValueError:
        numbers = np.zeros(0)
    if (
        numbers.dtype.kind not in "iuf"
        or numbers.shape != (ndim,)
        or not np.isfinite(numbers).all()
    ):
        raise ValueError(f"{name} needs one number per axis, {ndim} in all, not {values!r}")
    return [float(number) for number in numbers]


def _positive(numbers: Sequence[float], name: str) -> Sequence[float]:
    if min(numbers) <= 0:
        raise ValueError(f"{name} must be positive, not {numbers}")
    return numbers


def _on_planes(position: Floats) -> Floats:
    """Positions that are on a grid plane but for rounding: the search order is sharpest there."""
    whole = np.rint(position)
    return np.where(np.abs(position - whole) <= 1e-12 * (1 + np.abs(whole)), whole, position)


def visiting_orders(axes: Sequence[Axis], reach_mm: float) -> Iterator[tuple[Shell, float]]:
    """Offsets from the home cell that a point can reach, nearest first, shell by shell.

    With each shell comes how far it goes, in mm.  One list serves all points: with each cell stands
    the least square of its distance, in mm², to any of them; where the grids share their points it
    is the square itself.  A shell holds `MOST_CELLS` cells or so, however far the reach.
    """
    searched = sum(axis.size > 1 for axis in axes)
    if not _cells(axes, reach_mm):
        return
    farthest_mm = math.hypot(*(axis.offsets(reach_mm)[1].max() for axis in axes))
    first_mm = reach_mm = min(reach_mm, farthest_mm * (1 + 1e-9))
    while _cells(axes, first_mm) > MOST_CELLS and first_mm > max(a.spacing_mm for a in axes):
        first_mm *= 0.8
    from_mm, to_mm, number = -1.0, first_mm, 1
    while from_mm < reach_mm:
        yield _shell(axes, from_mm, to_mm), to_mm
        number += 1
        # Shells of equal volume.
        from_mm, to_mm = to_mm, min(first_mm * number ** (1 / max(searched, 1)), reach_mm)


def _cells(axes: Sequence[Axis], reach_mm: float) -> float:
    return math.prod(float(len(axis.offsets(reach_mm)[0])) for axis in axes)


def _shell(axes: Sequence[Axis], from_mm: float, to_mm: float) -> Shell:
    """Cells farther than `from_mm` (all, if negative) and not farther than `to_mm`."""
    (slowest, least), *others = (axis.offsets(to_mm) for axis in axes)
    plane = np.add.outer(*(distance**2 for _, distance in others))
    cells, squares = [], []
    for offset, distance in zip(slowest, least, strict=True):
        squared = plane + distance**2
        near = np.argwhere((squared <= to_mm**2) & ((squared > from_mm**2) | (from_mm < 0)))
        sides = [side[near[:, axis]] for axis, (side, _) in enumerate(others)]
        cells.append(np.column_stack([np.full(len(near), offset), *sides]))
        squares.append(squared[tuple(near.T)])
    squared = np.concatenate(squares)
    order = np.argsort(squared, kind="stable")
    return np.ascontiguousarray(np.concatenate(cells)[order]), squared[order]


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
