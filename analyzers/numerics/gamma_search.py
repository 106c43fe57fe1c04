"""From criteria to lengths: which points are searched, how far, and with which ones together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analyzers.numerics.gamma_criteria import LARGEST_DOSE, GammaCriteria
from analyzers.numerics.gamma_grid import (
    NO_AXIS,
    Axis,
    Flags,
    Floats,
    Indices,
    corner_extreme,
    visiting_orders,
)

ROUNDING = 1e-12
PRECISION = 32 * float(np.finfo(np.float64).eps)
"""Of a dose interpolated between others, as a share of the largest of them."""


@dataclass(frozen=True, eq=False)
class Sought:
    """One criterion, and which points of the reference it judges."""

    criteria: GammaCriteria
    normalization: float
    judged: Flags

    def mm_per_dose(self, expected: Floats) -> Floats:
        """Ratio of distance to dose criterion at points of these reference doses."""
        criteria = self.criteria
        unit = expected if criteria.local else np.full(len(expected), self.normalization)
        return criteria.distance_mm / (criteria.dose_percent / 100 * unit)

    @property
    def reach_mm(self) -> float:
        """As far as is searched."""
        return self.criteria.max_gamma * self.criteria.distance_mm


@dataclass(frozen=True, eq=False)
class Found:
    """By point that a criterion judges, in the order of the reference."""

    length_mm: Floats
    """Gamma times the distance criterion."""
    proven: Flags
    difference: Floats
    """Evaluated minus reference dose at the closest position in the evaluated grid."""


def sought_by(criteria: GammaCriteria, reference: Floats, most: float) -> Sought:
    """What a criterion asks of a reference; `most` is the largest dose on both sides.

    ValueError, naming the argument, where it asks for nothing that can be computed.
    """
    largest = float(reference.max())
    unit = largest if criteria.normalization is None else float(criteria.normalization)
    if criteria.normalization is None and unit < 1 / LARGEST_DOSE:
        raise ValueError("reference holds no dose, and normalization is its maximum")
    # 7 % of 100 is more than 7 in binary, and a point at the threshold is judged.
    judged = reference >= criteria.threshold_percent / 100 * unit * (1 - ROUNDING)
    if not judged.any():
        raise ValueError(
            f"reference has no point to judge: threshold_percent is {criteria.threshold_percent:g} "
            f"% of {unit:g}, and its largest dose {largest:g}"
        )
    least = float(reference[judged].min()) if criteria.local else unit
    if criteria.local and least == 0:
        raise ValueError("local gamma has no meaning at a dose of 0: raise threshold_percent")
    if criteria.dose_percent / 100 * least * criteria.tolerance < PRECISION * most:
        raise ValueError(
            f"doses up to {most:g} cannot be compared to {criteria.dose_percent:g} % of "
            f"{least:g}" + (": raise threshold_percent" if criteria.local else "")
        )
    return Sought(criteria, unit, judged)


def search(
    reference: Floats, evaluated: Floats, axes: Sequence[Axis], sought: Sequence[Sought]
) -> list[Found]:
    """What is found of each criterion, in their order; `axes` are those of both grids."""
    from analyzers.numerics import gamma_kernel as kernel

    axes = [*[NO_AXIS] * (3 - len(axes)), *axes]
    judged = np.logical_or.reduce([one.judged for one in sought])
    points, expected = np.flatnonzero(judged), reference[judged]
    positions = (
        np.array([len(axis.position) for axis in axes], dtype=np.int64),
        np.concatenate([axis.home for axis in axes]),
        np.concatenate([axis.fraction for axis in axes]),
    )
    # The kernels are compiled for arrays that may be written to, and only read.
    dose = evaluated if evaluated.flags.writeable else evaluated.copy()
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

    where = _Where(points, expected, positions, grid, axes)
    answers = {}
    for same in _same_searches(sought):
        mine = np.logical_or.reduce([one.judged for one in same])[judged]
        ratio = same[0].mm_per_dose(expected[mine])
        cap_mm = max(one.reach_mm for one in same)
        start = np.minimum(apart_mm2[mine] + (ratio * difference[mine]) ** 2, cap_mm**2)
        length_mm, proven = np.full(len(points), np.nan), np.zeros(len(points), dtype=np.bool_)
        length_mm[mine], proven[mine] = _lengths_mm(where.only(mine), ratio, start, same)
        for one in same:
            own = one.judged[judged]
            answers[id(one)] = Found(length_mm[own], proven[own], difference[own])
    return [answers[id(one)] for one in sought]


@dataclass(frozen=True, eq=False)
class _Where:
    """Reference points and their doses, and the evaluated grid that they are searched in."""

    points: Indices
    expected: Floats
    positions: tuple[Indices, Indices, Floats]
    grid: tuple[Floats, Floats, Floats, Floats, Floats]
    axes: list[Axis]

    def only(self, mine: Flags) -> _Where:
        """Some of the points."""
        return replace(self, points=self.points[mine], expected=self.expected[mine])


def _lengths_mm(
    where: _Where, ratio: Floats, start: Floats, same: Sequence[Sought]
) -> tuple[Floats, Flags]:
    """For each point the smallest length, and whether it is proven."""
    from analyzers.numerics.gamma_kernel import smallest_lengths

    length_mm, proven = np.sqrt(start), np.ones(len(start), dtype=np.bool_)
    todo = np.ones(len(start), dtype=np.bool_)
    for order, reached_mm in visiting_orders(where.axes, float(length_mm.max())):
        length_mm[todo], shell_proven = smallest_lengths(
            where.points[todo],
            (where.expected[todo], ratio[todo]),
            start[todo],
            np.array([one.criteria.distance_mm for one in same]),
            min(one.criteria.tolerance * one.criteria.distance_mm for one in same),
            any(one.criteria.certified for one in same),
            where.positions,
            where.grid,
            order,
        )
        proven[todo] &= shell_proven
        start = length_mm**2
        todo = length_mm > reached_mm
        if not todo.any():
            break
    return length_mm, proven


def _same_searches(sought: Sequence[Sought]) -> list[list[Sought]]:
    """Criteria of the same ratio of distance to dose: their gamma differs by the distance alone."""
    groups: dict[tuple[float, float], list[Sought]] = {}
    for one in sought:
        unit = 0.0 if one.criteria.local else one.normalization
        ratio = one.criteria.distance_mm / one.criteria.dose_percent
        groups.setdefault((ratio, unit), []).append(one)
    return list(groups.values())
