"""Gamma index of Low et al. 1998 (Med. Phys. 25, 656), to a stated tolerance.

gamma(r) is the smallest root of |x - r|² / distance² + (D_e(x) - D_r(r))² / dose² over positions x
in the evaluated grid, D_e linear between its points along each axis.  The minimum is found on the
continuous distribution, not on samples of it (Ju et al. 2008, Med. Phys. 35, 879, do so on
simplices), and is certified by branch and bound: no value is more than `tolerance` above the true
minimum, none is below it, and whether a point passes does not depend on `tolerance`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.gamma_criteria import GammaCriteria
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
from analyzers.numerics.gamma_result import Distribution, GammaResult

__all__ = ["GammaCriteria", "GammaResult", "gamma_index", "gamma_indices"]


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
    certified: bool = True,
    evaluated_spacing_mm: ArrayLike | None = None,
    evaluated_offset_mm: ArrayLike | None = None,
    names: tuple[str, str] = ("reference", "evaluated"),
) -> GammaResult:
    """Gamma of each reference point against the continuous evaluated distribution.

    `reference` and `evaluated` are 1-, 2- or 3-D doses in one unit; spacings in mm, one per axis,
    in the order of the axes.  `evaluated_offset_mm` is the position of the first evaluated point
    minus that of the first reference point; it must be given when the shapes differ.  The dose
    criterion is `dose_percent` of `normalization` (None: the maximum of the reference), if `local`
    of the reference dose at the point.  Points of at least `threshold_percent` of the normalization
    are judged.  `names` say in the result which distribution had which role.

    ValueError, naming the argument: NaN, infinite or negative dose, no dose or no point to judge,
    dimensions that differ, spacings or criteria that are not positive, `max_gamma` of 1 or less, a
    reference dose of 0 to be judged locally.
    """
    criteria = GammaCriteria(
        dose_percent=dose_percent,
        distance_mm=distance_mm,
        threshold_percent=threshold_percent,
        local=local,
        normalization=normalization,
        max_gamma=max_gamma,
        tolerance=tolerance,
        certified=certified,
    )
    (result,) = gamma_indices(
        reference,
        evaluated,
        spacing_mm,
        [criteria],
        evaluated_spacing_mm=evaluated_spacing_mm,
        evaluated_offset_mm=evaluated_offset_mm,
        names=names,
    )
    return result


def gamma_indices(
    reference: ArrayLike,
    evaluated: ArrayLike,
    spacing_mm: ArrayLike,
    criteria: Sequence[GammaCriteria],
    *,
    evaluated_spacing_mm: ArrayLike | None = None,
    evaluated_offset_mm: ArrayLike | None = None,
    names: tuple[str, str] = ("reference", "evaluated"),
) -> list[GammaResult]:
    """`gamma_index` by several criteria at once, in their order.

    Each point is searched once: where one criterion has its minimum the next one starts.
    """
    if not criteria:
        raise ValueError("criteria must hold at least one criterion")
    wanted, found = _dose(reference, "reference"), _dose(evaluated, "evaluated")
    axes = match_grids(
        wanted.shape, found.shape, spacing_mm, evaluated_spacing_mm, evaluated_offset_mm
    )
    pair = _Pair(wanted, found, axes, names)
    sought = [_sought(one, pair.reference) for one in criteria]
    return _search(pair, sought)


@dataclass(frozen=True, eq=False)
class _Pair:
    """The two distributions on their grids."""

    reference: Floats
    evaluated: Floats
    axes: list[Axis]
    names: tuple[str, str]

    def distributions(self) -> tuple[Distribution, Distribution]:
        """Name and grid of each."""
        first_mm = tuple(axis.first_mm for axis in self.axes)
        return (
            Distribution(
                self.names[0],
                self.reference.shape,
                tuple(axis.reference_spacing_mm for axis in self.axes),
                (0.0,) * len(first_mm),
            ),
            Distribution(
                self.names[1],
                self.evaluated.shape,
                tuple(axis.spacing_mm for axis in self.axes),
                first_mm,
            ),
        )


@dataclass(frozen=True, eq=False)
class _Sought:
    """One criterion, and which points of the reference it judges."""

    criteria: GammaCriteria
    normalization: float
    judged: Flags

    def mm_per_dose(self, expected: Floats) -> Floats:
        """Ratio of distance to dose criterion at points of these reference doses."""
        criteria = self.criteria
        unit = expected if criteria.local else np.full(len(expected), self.normalization)
        return criteria.distance_mm / (criteria.dose_percent / 100 * unit)


def _dose(values: ArrayLike, name: str) -> Floats:
    if isinstance(values, np.ma.MaskedArray) or np.iscomplexobj(values):
        raise ValueError(f"{name} must be plain real numbers, not a masked or complex array")
    dose = np.asarray(values, dtype=np.float64, order="C")
    if np.ndim(values) not in (1, 2, 3) or dose.size == 0:
        raise ValueError(
            f"{name} must be a 1-, 2- or 3-D array with points, not {np.shape(values)}"
        )
    # Of NaN and infinity one of the two extremes always knows.
    low, high = float(dose.min()), float(dose.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} holds NaN or infinite dose")
    if low < 0:
        raise ValueError(f"{name} holds negative dose, down to {low:g}")
    return dose


def _sought(criteria: GammaCriteria, reference: Floats) -> _Sought:
    largest = float(reference.max())
    unit = largest if criteria.normalization is None else float(criteria.normalization)
    if unit == 0:
        raise ValueError("reference holds no dose, and normalization is its maximum")
    # Multiplied out: 7 % of 100 is more than 7 in binary.
    judged = 100.0 * reference >= criteria.threshold_percent * unit
    if not judged.any():
        raise ValueError(
            f"reference has no point to judge: threshold_percent is {criteria.threshold_percent:g} "
            f"% of {unit:g}, and its largest dose {largest:g}"
        )
    if criteria.local and criteria.dose_percent / 100 * float(reference[judged].min()) <= 0:
        raise ValueError("local gamma has no meaning at a dose of 0: raise threshold_percent")
    return _Sought(criteria, unit, judged)


def _search(pair: _Pair, sought: Sequence[_Sought]) -> list[GammaResult]:
    from analyzers.numerics import gamma_kernel as kernel

    axes = [NO_AXIS] * (3 - len(pair.axes)) + pair.axes
    judged = np.logical_or.reduce([one.judged for one in sought])
    points, expected = np.flatnonzero(judged), pair.reference[judged]
    positions = (
        np.array([len(axis.position) for axis in axes], dtype=np.int64),
        np.concatenate([axis.home for axis in axes]),
        np.concatenate([axis.fraction for axis in axes]),
    )
    # The kernels are compiled for arrays that may be written to, and only read.
    dose = pair.evaluated if pair.evaluated.flags.writeable else pair.evaluated.copy()
    dose = dose.reshape([axis.size for axis in axes])
    # Across a single plane nothing changes.
    width_mm = np.array([axis.spacing_mm for axis in axes])
    inverse = np.array([1 / axis.spacing_mm if axis.size > 1 else 0.0 for axis in axes])
    grid = (
        dose,
        corner_extreme(dose, np.minimum),
        corner_extreme(dose, np.maximum),
        width_mm,
        inverse,
    )
    found, apart_mm2 = kernel.start_values(points, positions, grid)
    difference = found - expected

    lengths_mm = {}
    for same in _same_searches(sought):
        mine = np.logical_or.reduce([one.judged for one in same])[judged]
        ratio = same[0].mm_per_dose(expected[mine])
        cap_mm = max(_reach_mm(one.criteria) for one in same)
        start = np.minimum(apart_mm2[mine] + (ratio * difference[mine]) ** 2, cap_mm**2)
        found_mm = np.full(len(points), np.nan)
        found_mm[mine] = kernel.smallest_lengths(
            points[mine],
            (expected[mine], ratio),
            start,
            np.array([one.criteria.distance_mm for one in same]),
            min(one.criteria.tolerance * one.criteria.distance_mm for one in same),
            any(one.criteria.certified for one in same),
            positions,
            grid,
            visiting_order(axes, math.sqrt(start.max())),
        )
        lengths_mm.update({id(one): found_mm for one in same})
    return [
        _result(pair, one, lengths_mm[id(one)][mine], difference[mine])
        for one in sought
        for mine in [one.judged[judged]]
    ]


def _same_searches(sought: Sequence[_Sought]) -> list[list[_Sought]]:
    """Criteria of the same ratio of distance to dose: their gamma differs by the distance alone."""
    groups: dict[tuple[float, float], list[_Sought]] = {}
    for one in sought:
        unit = 0.0 if one.criteria.local else one.normalization
        ratio = one.criteria.distance_mm / one.criteria.dose_percent
        groups.setdefault((ratio, unit), []).append(one)
    return list(groups.values())


def _reach_mm(criteria: GammaCriteria) -> float:
    return criteria.max_gamma * criteria.distance_mm


def _result(pair: _Pair, sought: _Sought, length_mm: Floats, difference: Floats) -> GammaResult:
    criteria, judged = sought.criteria, sought.judged
    outside = on_any_axis([axis.outside(0.0) for axis in pair.axes])
    border = on_any_axis([axis.outside(_reach_mm(criteria)) for axis in pair.axes])
    reference, evaluated = pair.distributions()
    gamma, percent = np.full(judged.shape, np.nan), np.full(judged.shape, np.nan)
    gamma[judged] = np.minimum(length_mm / criteria.distance_mm, criteria.max_gamma)
    percent[judged] = 100.0 * difference / sought.normalization
    percent[outside] = np.nan
    return GammaResult(
        reference=reference,
        evaluated=evaluated,
        criteria=criteria,
        normalization=sought.normalization,
        map=gamma,
        dose_difference_percent=percent,
        border_points=int(np.count_nonzero(judged & border)),
        outside_points=int(np.count_nonzero(judged & outside)),
    )
