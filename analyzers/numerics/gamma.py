"""Gamma index of Low et al. 1998 (Med. Phys. 25, 656), to a stated tolerance.

gamma(r) is the smallest root of |x - r|² / distance² + (D_e(x) - D_r(r))² / dose² over positions x
in the evaluated grid, D_e linear between its points along each axis.  The minimum is found on the
continuous distribution, not on samples of it (Ju et al. 2008, Med. Phys. 35, 879, do so on
simplices), and is certified by branch and bound: no value is more than `tolerance` above the true
minimum, none is below it, and whether a point passes does not depend on `tolerance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.gamma_grid import (
    NO_AXIS,
    Axis,
    Flags,
    Floats,
    corner_extreme,
    match_grids,
    on_any_axis,
    visiting_order,
)

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


def gamma_index(
    reference: ArrayLike,
    evaluated: ArrayLike,
    spacing_mm: ArrayLike,
    *,
    dose_percent: float = 3.0,
    distance_mm: float = 2.0,
    threshold_percent: float = 10.0,
    local: bool = False,
    normalization: float | None = None,
    max_gamma: float = 2.0,
    tolerance: float = 1e-3,
    evaluated_spacing_mm: ArrayLike | None = None,
    evaluated_offset_mm: ArrayLike | None = None,
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
    wanted, found = _dose(reference, "reference"), _dose(evaluated, "evaluated")
    unit = float(wanted.max()) if normalization is None else float(normalization)
    if not (math.isfinite(unit) and (unit > 0 or normalization is None)):
        raise ValueError(f"normalization must be a positive number, not {normalization}")
    criteria = GammaCriteria(
        dose_percent, distance_mm, threshold_percent, local, unit, max_gamma, tolerance
    )
    axes = match_grids(
        wanted, found, spacing_mm, evaluated_spacing_mm, evaluated_offset_mm, distance_mm
    )
    # Multiplied out: 7 % of 100 is more than 7 in binary.
    judged = (100.0 * wanted >= threshold_percent * unit) & (unit > 0)
    gamma, difference = _search(wanted, found, judged, axes, criteria)
    return _result(judged, gamma, difference, axes, criteria)


def _dose(values: ArrayLike, name: str) -> Floats:
    if isinstance(values, np.ma.MaskedArray) or np.iscomplexobj(values):
        raise ValueError(f"{name} must be plain real numbers, not a masked or complex array")
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


def _search(
    reference: Floats,
    evaluated: Floats,
    judged: Flags,
    axes: list[Axis],
    criteria: GammaCriteria,
) -> tuple[Floats, Floats]:
    """At the judged points: gamma, and evaluated minus reference in % of the normalization."""
    from analyzers.numerics import gamma_kernel as kernel

    axes = [NO_AXIS] * (3 - len(axes)) + axes
    points = np.flatnonzero(judged)
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
    grid = (dose, corner_extreme(dose, np.minimum), corner_extreme(dose, np.maximum), widths)
    positions = (
        np.array([len(axis.position) for axis in axes], dtype=np.int64),
        np.concatenate([axis.home for axis in axes]),
        np.concatenate([axis.fraction for axis in axes]),
    )
    difference, start = kernel.start_values(points, expected, criterion, positions, grid)
    start = np.minimum(start, criteria.max_gamma**2)
    order = visiting_order(axes, math.sqrt(start.max()))
    gamma = kernel.smallest_gamma(
        points, expected, criterion, start, positions, grid, order, criteria.tolerance
    )
    return np.minimum(gamma, criteria.max_gamma), 100.0 * difference / criteria.normalization


def _result(
    judged: Flags,
    gamma: Floats,
    difference: Floats,
    axes: list[Axis],
    criteria: GammaCriteria,
) -> GammaResult:
    values = np.full(judged.shape, np.nan)
    values[judged] = gamma
    border = on_any_axis([axis.outside(criteria.max_gamma) for axis in axes])[judged]
    inside = ~on_any_axis([axis.outside(0.0) for axis in axes])[judged]
    points = len(gamma)
    seen = gamma if points else np.full(1, np.nan)
    percentile_95, percentile_99 = np.percentile(seen, [95, 99])
    return GammaResult(
        map=values,
        points=points,
        pass_percent=100.0 * int(np.count_nonzero(gamma <= PASSES)) / points
        if points
        else math.nan,
        mean=float(seen.mean()),
        percentile_95=float(percentile_95),
        percentile_99=float(percentile_99),
        maximum=float(seen.max()),
        border_points=int(np.count_nonzero(border)),
        mean_dose_difference_percent=float(difference[inside].mean()) if inside.any() else math.nan,
        criteria=criteria,
    )
