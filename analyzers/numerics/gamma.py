"""Gamma index of Low et al. 1998 (Med. Phys. 25, 656), to a stated tolerance.

gamma(r) is the smallest root of |x - r|² / distance² + (D_e(x) - D_r(r))² / dose² over positions x
in the evaluated grid, D_e linear between its points along each axis.  The minimum is found on the
continuous distribution, not on samples of it (Ju et al. 2008, Med. Phys. 35, 879, do so on
simplices), and is certified by branch and bound: no value is more than `tolerance` above the true
minimum, and none is below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
PerAxis = float | Sequence[float] | NDArray[np.floating]

PASSES = 1.0 + 1e-12
"""The criterion is gamma <= 1; the rest is rounding."""
SMALLEST_TOLERANCE = 1e-9


@dataclass(frozen=True)
class GammaCriteria:
    """What a gamma map was computed with."""

    dose_percent: float
    distance_mm: float
    threshold_percent: float
    local: bool
    normalization: float
    """In the unit of the reference; thresholds and global differences are percent of it."""
    max_gamma: float
    tolerance: float

    def __post_init__(self) -> None:
        for name in ("dose_percent", "distance_mm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, not {value}")
        if not (math.isfinite(self.threshold_percent) and self.threshold_percent >= 0):
            raise ValueError(f"threshold_percent must be 0 or more, not {self.threshold_percent}")
        if not self.max_gamma > 1:
            # At a cap of 1 every point would pass.
            raise ValueError(f"max_gamma must be above 1, not {self.max_gamma}")
        if not SMALLEST_TOLERANCE <= self.tolerance < 1:
            raise ValueError(
                f"tolerance must be in [{SMALLEST_TOLERANCE:g}, 1), not {self.tolerance}"
            )


@dataclass(frozen=True, eq=False)
class GammaResult:
    """A gamma map and what is reported of it.

    With no point above the threshold `points` is 0 and every statistic is NaN.
    """

    map: Floats
    """Shape of the reference; NaN below the threshold; no value above `max_gamma`."""
    points: int
    """Reference points at or above the threshold."""
    pass_percent: float
    """Points with gamma <= 1, in percent of `points`."""
    mean: float
    percentile_95: float
    percentile_99: float
    maximum: float
    border_points: int
    """Points whose search region (`max_gamma` x distance) leaves the evaluated grid.

    They are judged on the part that is there; with nothing in reach they fail at `max_gamma`.
    """
    mean_dose_difference_percent: float
    """Evaluated minus reference, in percent of the normalization, over the judged points inside the
    evaluated grid; NaN if none is inside."""
    criteria: GammaCriteria


@dataclass(frozen=True)
class _Axis:
    """Where the reference points of one axis lie on the evaluated grid, in cells of it."""

    position: Floats
    size: int
    width: float
    """One evaluated spacing over the distance criterion."""

    @property
    def cells(self) -> int:
        return max(self.size - 1, 1)

    @property
    def home(self) -> Indices:
        # An axis with one plane has one cell, without thickness; all of the way to it is fraction.
        return np.floor(self.position if self.size > 1 else 0 * self.position).astype(np.int64)

    @property
    def fraction(self) -> Floats:
        return self.position - self.home

    def outside(self, reach: float) -> NDArray[np.bool_]:
        """Whether a search as far as `reach`, in distance criteria, leaves the grid.

        A single plane is not searched along its axis: there only the point itself can be off it.
        """
        margin = reach / self.width - 1e-9 if reach > 0 and self.size > 1 else 0.0
        return (self.position < margin) | (self.position > self.size - 1 - margin)

    def offsets(self, reach: float) -> tuple[Indices, Floats]:
        """Cells relative to the home cell, and how close each can at least come to a point."""
        home, fraction = self.home, self.fraction
        if self.size == 1:
            return np.zeros(1, dtype=np.int64), np.array([np.abs(fraction).min() * self.width])
        most = int(min(reach / self.width, self.size + np.abs(self.position).max())) + 2
        first, last = max(-most, -home.max()), min(most, self.cells - 1 - home.min())
        offset = np.arange(first, last + 1)
        closest = np.maximum(offset - fraction.max(), fraction.min() - offset - 1)
        return offset, np.maximum(closest, 0.0) * self.width


def gamma_index(
    reference: ArrayLike,
    evaluated: ArrayLike,
    spacing_mm: PerAxis,
    *,
    dose_percent: float = 3.0,
    distance_mm: float = 2.0,
    threshold_percent: float = 10.0,
    local: bool = False,
    normalization: float | None = None,
    max_gamma: float = 2.0,
    tolerance: float = 1e-3,
    evaluated_spacing_mm: PerAxis | None = None,
    evaluated_offset_mm: PerAxis | None = None,
) -> GammaResult:
    """Gamma of each reference point against the continuous evaluated distribution.

    `reference` and `evaluated` are 1-, 2- or 3-D doses in one unit; spacings in mm, one per axis,
    in the order of the axes.  `evaluated_offset_mm` is the position of the first evaluated point
    minus that of the first reference point; it must be given when the shapes differ.  The dose
    criterion is `dose_percent` of `normalization` (None: the maximum of the reference), if `local`
    of the reference dose at the point.  Points of at least `threshold_percent` of the normalization
    are judged.

    A reference without any dose has no points.  ValueError: NaN, infinite or negative dose,
    dimensions that differ, spacings or criteria that are not positive, `max_gamma` of 1 or less,
    a reference dose of 0 to be judged locally.
    """
    reference, evaluated = _dose(reference, "reference"), _dose(evaluated, "evaluated")
    axes_mm = _geometry(reference, evaluated, spacing_mm, evaluated_spacing_mm, evaluated_offset_mm)
    unit = float(reference.max()) if normalization is None else float(normalization)
    if not math.isfinite(unit) or unit < 0 or (unit == 0 and normalization is not None):
        raise ValueError(f"normalization must be a positive number, not {normalization}")
    criteria = GammaCriteria(
        dose_percent, distance_mm, threshold_percent, local, unit, max_gamma, tolerance
    )
    judged = 100.0 * reference >= threshold_percent * unit if unit > 0 else reference > unit
    axes = [
        _axis(size, evaluated_size, mm, distance_mm)
        for size, evaluated_size, mm in zip(reference.shape, evaluated.shape, axes_mm, strict=True)
    ]
    gamma, difference = _search(reference, evaluated, judged, axes, criteria)
    return _result(judged, gamma, difference, axes, criteria)


def _dose(values: ArrayLike, name: str) -> Floats:
    dose = np.array(values, dtype=np.float64, order="C")
    if np.ndim(values) not in (1, 2, 3) or dose.size == 0:
        raise ValueError(
            f"{name} must be a 1-, 2- or 3-D array with points, not {np.shape(values)}"
        )
    if not np.isfinite(dose).all():
        raise ValueError(f"{name} holds NaN or infinite dose")
    if dose.min() < 0:
        raise ValueError(f"{name} holds negative dose, down to {dose.min():g}")
    return dose


def _geometry(
    reference: Floats,
    evaluated: Floats,
    spacing_mm: PerAxis,
    evaluated_spacing_mm: PerAxis | None,
    evaluated_offset_mm: PerAxis | None,
) -> list[tuple[float, float, float]]:
    """Per axis: reference spacing, evaluated spacing, evaluated minus reference first point."""
    if reference.ndim != evaluated.ndim:
        raise ValueError(f"reference has {reference.ndim} dimensions, evaluated {evaluated.ndim}")
    if reference.shape != evaluated.shape and evaluated_offset_mm is None:
        raise ValueError(
            f"reference is {reference.shape}, evaluated {evaluated.shape}: evaluated_offset_mm must"
            " say where the evaluated grid lies"
        )
    ndim = reference.ndim
    spacing = _per_axis(spacing_mm, ndim, "spacing_mm", positive=True)
    other = evaluated_spacing_mm if evaluated_spacing_mm is not None else spacing
    evaluated_spacing = _per_axis(other, ndim, "evaluated_spacing_mm", positive=True)
    offset = evaluated_offset_mm if evaluated_offset_mm is not None else np.zeros(ndim)
    evaluated_offset = _per_axis(offset, ndim, "evaluated_offset_mm", positive=False)
    return list(zip(spacing, evaluated_spacing, evaluated_offset, strict=True))


def _per_axis(values: PerAxis, ndim: int, name: str, *, positive: bool) -> list[float]:
    numbers = [float(value) for value in np.atleast_1d(np.asarray(values, dtype=np.float64))]
    if len(numbers) != ndim:
        raise ValueError(f"{name} needs {ndim} numbers, one per axis, not {len(numbers)}")
    if not all(math.isfinite(number) and (number > 0 or not positive) for number in numbers):
        raise ValueError(f"{name} must be {'positive ' if positive else ''}numbers, not {numbers}")
    return numbers


def _axis(size: int, evaluated_size: int, mm: tuple[float, float, float], distance: float) -> _Axis:
    spacing, evaluated_spacing, offset = mm
    position = (np.arange(size) * spacing - offset) / evaluated_spacing
    # A point that is on a grid plane but for rounding is on it: the search order is sharpest there.
    whole = np.rint(position)
    position = np.where(np.abs(position - whole) <= 1e-12 * (1 + np.abs(whole)), whole, position)
    return _Axis(position, evaluated_size, evaluated_spacing / distance)


def _search(
    reference: Floats,
    evaluated: Floats,
    judged: NDArray[np.bool_],
    axes: list[_Axis],
    criteria: GammaCriteria,
) -> tuple[Floats, Floats]:
    """Gamma, and evaluated minus reference dose, at the judged points."""
    from analyzers.numerics import gamma_kernel as kernel

    axes = [_Axis(np.zeros(1), 1, 1.0)] * (3 - len(axes)) + axes
    planes = [len(axis.position) for axis in axes]
    points = np.argwhere(judged.reshape(planes))
    expected = reference[judged]
    if not points.size:
        return expected, expected
    criterion = (criteria.dose_percent / 100) * (
        expected if criteria.local else np.full(len(points), criteria.normalization)
    )
    if criterion.min() <= 0:
        raise ValueError("local gamma has no meaning at a dose of 0: raise threshold_percent")
    dose = evaluated.reshape([axis.size for axis in axes])
    widths = np.array([axis.width for axis in axes])
    grid = (dose, _cells(dose, np.minimum), _cells(dose, np.maximum), widths)
    positions = (tuple(axis.home for axis in axes), tuple(axis.fraction for axis in axes))
    difference, start = kernel.start_values(points, expected, criterion, positions, grid)
    start = np.minimum(start, criteria.max_gamma**2)
    order = _visiting_order(axes, math.sqrt(start.max()))
    gamma = kernel.smallest_gamma(
        points, expected, criterion, start, positions, grid, order, criteria.tolerance
    )
    return np.minimum(gamma, criteria.max_gamma), difference


def _cells(dose: Floats, extreme: np.ufunc) -> Floats:
    """Smallest or largest corner of each cell; an axis with one plane keeps it."""
    for axis, size in enumerate(dose.shape):
        if size > 1:
            low = dose.take(range(size - 1), axis=axis)
            high = dose.take(range(1, size), axis=axis)
            dose = extreme(low, high)
    return np.ascontiguousarray(dose)


def _visiting_order(axes: list[_Axis], reach: float) -> tuple[Indices, Floats]:
    """Offsets from the home cell that a point can reach, nearest first, and their squared distance.

    The distance is the least over all fractions, so that one list serves all points; on grids that
    share their points it is the distance itself.
    """
    offsets, closest = zip(*(axis.offsets(reach) for axis in axes), strict=True)
    squares = [distance**2 for distance in closest]
    total = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    near = np.argwhere(total <= reach**2)
    distances = total[tuple(near.T)]
    by_distance = np.argsort(distances, kind="stable")
    cells = np.stack([offset[near[:, k]] for k, offset in enumerate(offsets)], axis=1)
    return np.ascontiguousarray(cells[by_distance]), distances[by_distance]


def _result(
    judged: NDArray[np.bool_],
    gamma: Floats,
    difference: Floats,
    axes: list[_Axis],
    criteria: GammaCriteria,
) -> GammaResult:
    values = np.full(judged.shape, np.nan)
    values[judged] = gamma
    border = _any_axis([axis.outside(criteria.max_gamma) for axis in axes])[judged]
    inside = ~_any_axis([axis.outside(0.0) for axis in axes])[judged]
    points = len(gamma)
    mean_difference = difference[inside].mean() if inside.any() else math.nan
    percentile_95, percentile_99 = np.percentile(gamma, [95, 99]) if points else (np.nan, np.nan)
    return GammaResult(
        map=values,
        points=points,
        pass_percent=100.0 * np.count_nonzero(gamma <= PASSES) / points if points else math.nan,
        mean=float(gamma.mean()) if points else math.nan,
        percentile_95=float(percentile_95),
        percentile_99=float(percentile_99),
        maximum=float(gamma.max()) if points else math.nan,
        border_points=int(np.count_nonzero(border)),
        mean_dose_difference_percent=float(100.0 * mean_difference / criteria.normalization)
        if points
        else math.nan,
        criteria=criteria,
    )


def _any_axis(along: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Grid of the points for which a statement holds on at least one axis."""
    ndim = len(along)
    shaped = [
        flags.reshape([-1 if k == axis else 1 for k in range(ndim)])
        for axis, flags in enumerate(along)
    ]
    return np.logical_or.reduce(np.broadcast_arrays(*shaped))
