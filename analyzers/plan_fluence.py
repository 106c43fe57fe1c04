"""Fluence of a planned beam and of its delivery, at absolute meterset, compared by gamma.

The plan's map comes from its control points, all of them: what was not delivered is missing in the
delivered map.  Sectors are equal parts of the way that the gantry takes in the plan, and what was
delivered is sorted into them by its place in the plan; where the gantry itself was is judged apart.
Maps lie in the frame of the collimator; where it turns, or is not where the plan wants it, in the
frame of the gantry, and sectors are then left out.  Gamma: reference is the plan, normalization the
maximum of its map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.field_shape import ACTUAL, OPEN_MM
from analyzers.numerics.fluence_sectors import cuts_at, fluence_by_range
from analyzers.numerics.gamma import GammaCriteria, GammaResult, gamma_indices
from analyzers.numerics.statistics import angle_difference_deg
from analyzers.open_field import (
    Array,
    Grid,
    Opening,
    fluence_mu,
    opening,
    rotated_bounds_mm,
    rotated_fluence_mu,
)
from analyzers.plan_following import Place, planned_course
from analyzers.plan_records import ControlPoints, PlannedPart, angles_in_turn_deg
from analyzers.records import Delivery

NAMES = ("planned fluence", "delivered fluence")
BEYOND_MM = 300.0
"""No head opens so far from the axis; a grid around it would take all the memory there is."""
COLLIMATOR_REACH_DEG = 0.05
"""Up to this much, the collimator counts as standing where it should."""
TURN_STEP_DEG = 0.5
CLOSED_MM2 = 25.0
"""A mean opening up to this is a closed field: leaves at rest stray by 0.03 mm."""
LEAST_ARC_DEG = 5.0
"""A gantry that turns by less than this has no sectors."""
MOST_SECTORS = 80
"""Two full turns have 72.  A map is kept for each: a plan that swings to and fro could ask for all
the memory there is."""

OF_SECTORS = 2
"""So many of the criteria are for sectors too."""


@dataclass(frozen=True, slots=True)
class Grids:
    """Pixel sizes across and along the leaves, margin around the field, width of a sector."""

    spacing_mm: tuple[float, float]
    sector_spacing_mm: tuple[float, float]
    margin_mm: float
    sector_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class Sector:
    """A part of an arc: its planned gantry angles, and gamma by criterion."""

    from_deg: float
    to_deg: float
    gammas: Sequence[GammaResult]


@dataclass(frozen=True, slots=True, eq=False)
class PlanFluence:
    """Both maps of one part, `(rows, columns)`, gamma by criterion, and the worst sector."""

    grid: Grid
    planned: Array
    delivered: Array
    gammas: Sequence[GammaResult]
    error_percent: float
    """Delivered minus planned open area times meterset, over the planned."""
    worst_sector: Sector | None
    """That with the lowest pass rate at the last criterion; None where there are no sectors."""
    turns: bool
    remark: str | None = None
    """Why an arc has no sectors."""


def compare(
    delivery: Delivery,
    part: PlannedPart,
    place: Place,
    criteria: Sequence[GammaCriteria],
    grids: Grids,
) -> PlanFluence | None:
    """Compare one part of a log with its planned beam; None where the plan opens nothing.

    The first two of `criteria` judge sectors too.
    Raises `AnalysisError` where a position is missing or lies where no machine can go, and where
    something was delivered through a field that the plan keeps closed.
    """
    motion = slice(max(part.start - 1, 0), part.stop)
    delivered = _from_zero(opening(delivery, motion, ACTUAL))
    course = planned_course(delivery, part.beam)
    planned = opening(course, slice(0, course.samples), ACTUAL)
    planned_area, delivered_area = planned.area_mu_mm2(), delivered.area_mu_mm2()
    if planned.bounds_mm(OPEN_MM) is None:
        if delivered_area - planned_area > CLOSED_MM2 * delivered.meterset_mu[-1]:
            raise AnalysisError("the plan keeps the field closed, and it was open")
        return None
    turns = _collimator_differs(planned, delivered)
    grid, maps = _maps(planned, delivered, grids, turns=turns)
    gammas = gamma_indices(*maps, grids.spacing_mm, criteria, names=NAMES)
    edges, angles_deg = sector_edges(part.beam.control_points, grids.sector_deg)
    sector, remark = None, None
    if len(edges) > 2 and turns:
        remark = "no sectors: the collimator turns, or stands elsewhere than planned"
    elif len(edges) > MOST_SECTORS + 1:
        remark = "no sectors: the gantry turns too often"
    elif len(edges) > 2:
        before = place.position[: part.start - motion.start]
        position = np.concatenate([before, place.position])
        sector = _worst_sector(
            (planned, delivered), position, (edges, angles_deg), criteria[:OF_SECTORS], grids
        )
    return PlanFluence(
        grid=grid,
        planned=maps[0],
        delivered=maps[1],
        gammas=gammas,
        error_percent=100.0 * (delivered_area - planned_area) / planned_area,
        worst_sector=sector,
        turns=turns,
        remark=remark,
    )


def _from_zero(found: Opening) -> Opening:
    """Counted from the part's beginning."""
    return replace(found, meterset_mu=found.meterset_mu - found.meterset_mu[0])


def _collimator_differs(planned: Opening, delivered: Opening) -> bool:
    if planned.collimator_deg is None or delivered.collimator_deg is None:
        return False
    used = np.diff(delivered.meterset_mu, prepend=delivered.meterset_mu[0]) > 0.0
    if not used.any():
        return False
    seen_deg = delivered.collimator_deg[used]
    moved_deg = max(np.ptp(planned.collimator_deg), np.ptp(seen_deg))
    away_deg = abs(float(angle_difference_deg(seen_deg.mean(), planned.collimator_deg.mean())))
    return bool(max(moved_deg, away_deg) > COLLIMATOR_REACH_DEG)


def _maps(
    planned: Opening, delivered: Opening, grids: Grids, *, turns: bool
) -> tuple[Grid, tuple[Array, Array]]:
    spacing_mm = grids.spacing_mm
    if turns:
        boxes = [*rotated_bounds_mm(planned, TURN_STEP_DEG)]
        boxes += rotated_bounds_mm(delivered, TURN_STEP_DEG)
        grid = _grid(boxes, spacing_mm, grids.margin_mm)
        return grid, (
            rotated_fluence_mu(planned, grid, spacing_mm, TURN_STEP_DEG),
            rotated_fluence_mu(delivered, grid, spacing_mm, TURN_STEP_DEG),
        )
    boxes = [box for box in (planned.bounds_mm(), delivered.bounds_mm()) if box is not None]
    grid = _grid(boxes, spacing_mm, grids.margin_mm)
    return grid, (fluence_mu(planned, grid), fluence_mu(delivered, grid))


def _grid(
    boxes: Sequence[tuple[float, float, float, float]],
    spacing_mm: tuple[float, float],
    margin_mm: float,
) -> Grid:
    furthest_mm = max((abs(edge) for box in boxes for edge in box), default=0.0)
    if furthest_mm > BEYOND_MM:
        raise AnalysisError(f"the field reaches {furthest_mm:.3g} mm off the axis")
    return Grid.around(boxes, spacing_mm, margin_mm)


def sector_edges(points: ControlPoints, sector_deg: float) -> tuple[Array, NDArray[np.float64]]:
    """Where the planned gantry comes from one sector into the next.

    Positions in control points from 0 to the last, and the gantry angles there; an arc that turns
    back crosses an edge again.  One sector where the gantry stands.
    """
    whole = np.array([0.0, points.count - 1.0])
    path_deg = angles_in_turn_deg(points.gantry_deg, points.gantry_turn)
    low_deg, width_deg = float(path_deg.min()), float(np.ptp(path_deg))
    if width_deg < LEAST_ARC_DEG:
        return whole, path_deg[[0, -1]]
    count = int(np.ceil(width_deg / sector_deg))
    # Without the ends: there an arc begins and ends.
    borders_deg = low_deg + width_deg * np.arange(1, count) / count
    cuts = cuts_at(path_deg, borders_deg)
    # A control point that stands on a border is not between two.
    standing = np.flatnonzero(np.isin(path_deg, borders_deg))
    edges = np.unique(np.concatenate([whole, standing, cuts.after + cuts.share]))
    return edges, np.interp(edges, np.arange(points.count), path_deg)


def _worst_sector(
    openings: tuple[Opening, Opening],
    position: Array,
    borders: tuple[Array, Array],
    criteria: Sequence[GammaCriteria],
    grids: Grids,
) -> Sector | None:
    """The sector with the lowest pass rate; where several have it, that with the highest gamma."""
    planned, delivered = openings
    edges, angles_deg = borders
    boxes = [box for box in (planned.bounds_mm(), delivered.bounds_mm()) if box is not None]
    grid = _grid(boxes, grids.sector_spacing_mm, grids.margin_mm)
    points = np.arange(len(planned.meterset_mu), dtype=np.float64)
    wanted = _by_range(planned, points, edges, grid)
    found = _by_range(delivered, position, edges, grid)
    worst: Sector | None = None
    for at in range(len(edges) - 1):
        if wanted[at].max() <= 0.0:
            continue  # what came through here all the same shows in the map of the beam
        gammas = gamma_indices(
            wanted[at], found[at], grids.sector_spacing_mm, criteria, names=NAMES
        )
        if worst is None or _rank(gammas) < _rank(worst.gammas):
            worst = Sector(float(angles_deg[at]), float(angles_deg[at + 1]), gammas)
    return worst


def _rank(gammas: Sequence[GammaResult]) -> tuple[float, float, float]:
    return gammas[-1].pass_percent, gammas[0].pass_percent, -gammas[0].mean


def _by_range(open_field: Opening, coordinate: Array, edges: Array, grid: Grid) -> Array:
    return np.asarray(
        fluence_by_range(
            open_field.meterset_mu,
            open_field.left_mm,
            open_field.right_mm,
            open_field.leaf_edges_mm,
            coordinate=coordinate,
            range_edges=edges,
            x_edges_mm=grid.x_edges_mm,
            y_edges_mm=grid.y_edges_mm,
            jaw_x_mm=open_field.jaw_x_mm,
            jaw_y_mm=open_field.jaw_y_mm,
        )
    )
