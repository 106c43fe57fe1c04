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

from analyzers.numerics.gamma_criteria import LARGEST_DOSE, GammaCriteria
from analyzers.numerics.gamma_grid import Axis, Floats, match_grids, on_any_axis
from analyzers.numerics.gamma_result import Distribution, GammaResult
from analyzers.numerics.gamma_search import Found, Sought, search, sought_by

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

    Criteria of the same ratio of dose to distance are one search.
    """
    criteria = list(criteria)
    if not criteria or not all(isinstance(one, GammaCriteria) for one in criteria):
        raise ValueError("criteria must hold at least one GammaCriteria, and nothing else")
    if len(names) != 2 or names[0] == names[1]:
        raise ValueError(f"names must be two different names, not {names}")
    wanted, found = _dose(reference, "reference"), _dose(evaluated, "evaluated")
    axes = match_grids(
        wanted.shape, found.shape, spacing_mm, evaluated_spacing_mm, evaluated_offset_mm
    )
    pair = _Pair(wanted, found, axes, names)
    most = max(float(wanted.max()), float(found.max()))
    sought = [sought_by(one, wanted, most) for one in criteria]
    return [
        _result(pair, one, answer)
        for one, answer in zip(sought, search(wanted, found, axes, sought), strict=True)
    ]


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


def _dose(values: ArrayLike, name: str) -> Floats:
    rows = values if isinstance(values, list | tuple) else [values]
    try:
        found = np.asarray(values)
    except ValueError:  # rows of different length
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "iuf" or any(isinstance(row, np.ma.MaskedArray) for row in rows):
        raise ValueError(f"{name} must be plain real numbers, without a mask")
    if found.ndim not in (1, 2, 3) or found.size == 0:
        raise ValueError(f"{name} must be a 1-, 2- or 3-D array with points, not {found.shape}")
    dose = np.asarray(found, dtype=np.float64, order="C")
    # Of NaN and infinity one of the two extremes always knows.
    low, high = float(dose.min()), float(dose.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} holds NaN or infinite dose")
    if low < 0:
        raise ValueError(f"{name} holds negative dose, down to {low:g}")
    if high > LARGEST_DOSE:
        raise ValueError(f"{name} holds a dose of {high:g}, which is none in any unit")
    return dose


def _result(pair: _Pair, sought: Sought, found: Found) -> GammaResult:
    criteria, judged = sought.criteria, sought.judged
    outside = on_any_axis([axis.outside(0.0) for axis in pair.axes])
    border = on_any_axis([axis.outside(sought.reach_mm) for axis in pair.axes])
    reference, evaluated = pair.distributions()
    gamma, percent = np.full(judged.shape, np.nan), np.full(judged.shape, np.nan)
    gamma[judged] = np.minimum(found.length_mm / criteria.distance_mm, criteria.max_gamma)
    percent[judged] = 100.0 * found.difference / sought.normalization
    percent[outside] = np.nan
    unproven = ~found.proven if criteria.certified else np.ones_like(found.proven)
    return GammaResult(
        reference=reference,
        evaluated=evaluated,
        criteria=criteria,
        normalization=sought.normalization,
        map=gamma,
        dose_difference_percent=percent,
        border_points=int(np.count_nonzero(judged & border)),
        outside_points=int(np.count_nonzero(judged & outside)),
        unproven_points=int(np.count_nonzero(unproven)),
    )
