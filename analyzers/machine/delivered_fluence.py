"""Delivered fluence: what came through the leaves and jaws, against what the controller wanted.

For each sub-beam an expected map is built from the expected meterset, leaves and jaws, and an
actual map from the actual ones; they are compared at absolute scale by the continuous definition of
gamma (reference = expected, normalization = maximum of expected) and by the MU-weighted open area.
Maps lie in the frame of the collimator; where its angle is wrong or changes with the beam on, in
the frame of the gantry.  Definition of gamma: Low 1998; limits: product defaults.

A small error of the collimator's angle moves only the edge of a field: of a large one it passes
gamma, and the open area stays the same.  It is `axes` that judges the angle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Metric,
    NotApplicable,
    Settings,
)
from analyzers.field_shape import (
    ACTUAL,
    EXPECTED,
    OPEN_MM,
    beam_on_samples,
    no_leaves,
    sub_beam_samples,
)
from analyzers.numerics.gamma import GammaResult, gamma_index
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
from analyzers.records import Delivery, Meterset, delivers

_SOURCE = "product default"
_TRUEBEAM_GAMMA = Limits.at_least(tolerance=99.0, action=95.0, source=_SOURCE)
_CLINAC_GAMMA = Limits.at_least(tolerance=97.0, action=90.0, source=_SOURCE)
_AREA = Limits.within(tolerance=1.0, action=2.0, source="product default")

GAMMA_PASS = Metric(
    "gamma_pass",
    "%",
    "Share of the field's points with gamma at most 1, in the worst sub-beam",
    {
        "truebeam": _TRUEBEAM_GAMMA,
        "halcyon": _TRUEBEAM_GAMMA,
        "clinac": _CLINAC_GAMMA,
        "elekta": _CLINAC_GAMMA,
    },
)
GAMMA_MEAN = Metric("gamma_mean", "1", "Mean gamma of the field's points, in the worst sub-beam")
FLUENCE_ERROR = Metric(
    "fluence_error",
    "%",
    "Delivered minus expected MU-weighted open area over the expected, in the worst sub-beam",
    {"truebeam": _AREA, "halcyon": _AREA, "clinac": _AREA, "elekta": _AREA},
)


class Criterion(Settings):
    """A gamma criterion; the dose is a share of the maximum of the expected map."""

    dose_percent: PositiveFloat = 1.0
    distance_mm: PositiveFloat = 1.0


class DeliveredFluenceSettings(Settings):
    """Settings of this analyzer."""

    criteria: Mapping[str, Criterion] = {
        "clinac": Criterion(dose_percent=2.0, distance_mm=2.0),
        "elekta": Criterion(dose_percent=2.0, distance_mm=2.0),
    }
    """Gamma criterion by machine class; a class that is missing is judged at 1 %/1 mm."""
    threshold_percent: PositiveFloat = 10.0
    """Points below this share of the maximum of the expected map are left out."""
    x_mm: PositiveFloat = 0.25
    """Pixel size along the leaves: well below the narrowest gap, 1 mm in a picket fence.

    A pixel as wide as the gap turns 0.03 mm of position into 3 % of dose.
    """
    y_mm: PositiveFloat = 1.0
    """Pixel size across the leaves."""
    margin_mm: PositiveFloat = 5.0
    """The maps reach this far beyond the open field."""
    collimator_reach_deg: PositiveFloat = 0.05
    """Up to this much, the collimator counts as standing where it should."""
    sector_deg: PositiveFloat = 0.5
    """A turning collimator is taken in steps of this."""
    closed_mm2: PositiveFloat = 25.0
    """A mean opening up to this is a closed field: leaves at rest stray by 0.03 mm."""
    fewest_samples: PositiveInt = 5
    """A beam logged more briefly than this is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """One sub-beam."""

    at: str | None
    error_percent: float
    gamma: GammaResult
    traces: Mapping[str, NDArray[np.float32]]


def analyze(delivery: Delivery, context: Context[DeliveredFluenceSettings]) -> Analysis:
    """Compare the actual with the expected fluence, sub-beam by sub-beam; report the worst."""
    if not delivery.mlc:
        raise no_leaves(delivery, context.machine_class)
    beam_on_samples(delivery, context.settings.fewest_samples)

    beams = []
    for at, samples in sub_beam_samples(delivery):
        # The sample before the first one goes along, so that the first increment counts.
        motion = slice(max(samples.start - 1, 0), samples.stop)
        expected = opening(delivery, motion, EXPECTED)
        actual = opening(delivery, motion, ACTUAL)
        if not _is_closed(expected, actual, context.settings.closed_mm2):
            beams.append(_compare(at, expected, actual, context))
    if not beams:
        raise NotApplicable("the field was never open")

    worst = min(beams, key=lambda beam: (beam.gamma.pass_percent, -beam.gamma.mean))
    furthest = max(beams, key=lambda beam: abs(beam.error_percent))
    return Analysis(
        measurements=[
            GAMMA_PASS.measured(worst.gamma.pass_percent, at=worst.at),
            GAMMA_MEAN.measured(worst.gamma.mean, at=worst.at),
            FLUENCE_ERROR.measured(furthest.error_percent, at=furthest.at),
        ],
        traces={**worst.traces, **_unit(delivery)},
        notes=[*_notes(delivery), str(worst.gamma).rstrip(".")],
    )


def _unit(delivery: Delivery) -> dict[str, NDArray[np.float32]]:
    """Marks maps in percent of the planned meterset; without it they are in MU."""
    if delivery.meterset is Meterset.MU:
        return {}
    return {"percent_of_plan": np.array(1.0, dtype=np.float32)}


def _notes(delivery: Delivery) -> list[str]:
    """What the two maps cannot differ in, because the log has no expected values of it."""
    if delivery.meterset is Meterset.MU:
        return []
    same = ["meterset"]
    same += [f"jaw {name}" for name, axis in delivery.jaws_mm.items() if not axis.has_expected]
    turn = delivery.collimator_deg
    same += ["collimator"] if turn is not None and not turn.has_expected else []
    return [
        "maps are in percent of the planned meterset; the log has no expected values of "
        f"{', '.join(same)}: only the leaves are compared"
    ]


def _is_closed(expected: Opening, actual: Opening, closed_mm2: float) -> bool:
    """Whether nothing was to come through, and nothing did; refuses what had no reference.

    Closed pairs are logged up to a smallest gap apart, or a digit of the log's resolution.
    """
    if expected.bounds_mm(OPEN_MM) is not None:
        return False
    delivered_mu = actual.meterset_mu[-1] - actual.meterset_mu[0]
    if actual.area_mu_mm2() - expected.area_mu_mm2() > closed_mm2 * delivered_mu:
        raise AnalysisError("the field was expected closed, and it was open")
    return True


def _compare(
    at: str | None,
    expected: Opening,
    actual: Opening,
    context: Context[DeliveredFluenceSettings],
) -> _Compared:
    settings = context.settings
    turns = _collimator_turns(expected, actual, settings.collimator_reach_deg)
    grid, expected_mu, actual_mu = _maps(expected, actual, settings, turns=turns)
    criterion = settings.criteria.get(context.machine_class, Criterion())
    gamma = gamma_index(
        expected_mu,
        actual_mu,
        (settings.y_mm, settings.x_mm),
        dose_percent=criterion.dose_percent,
        distance_mm=criterion.distance_mm,
        threshold_percent=settings.threshold_percent,
        max_gamma=2.0,
        names=("expected fluence", "actual fluence"),
    )
    expected_area, actual_area = expected.area_mu_mm2(), actual.area_mu_mm2()
    return _Compared(
        at,
        error_percent=100.0 * (actual_area - expected_area) / expected_area,
        gamma=gamma,
        traces={
            **_drawn(expected_mu, actual_mu, gamma.map, grid),
            "gantry_frame": np.array(turns, dtype=np.float32),
        },
    )


def _drawn(
    expected_mu: Array, actual_mu: Array, gamma: Array, grid: Grid
) -> dict[str, NDArray[np.float32]]:
    """The maps with the pixels of a row drawn together until they are about square.

    Fluence is averaged, gamma is the worst of them; what is left over at the right is margin.
    """
    together = max(1, round(np.diff(grid.y_mm[:2])[0] / np.diff(grid.x_mm[:2])[0]))

    def blocks(values: Array) -> Array:
        whole = values.shape[-1] // together * together
        return values[..., :whole].reshape(*values.shape[:-1], -1, together)

    drawn = {
        "expected": blocks(expected_mu).mean(axis=-1),
        "actual": blocks(actual_mu).mean(axis=-1),
        # fmax takes the number where the other is NaN: outside the field all are.
        "gamma": np.fmax.reduce(blocks(gamma), axis=-1),
        "x_mm": blocks(grid.x_mm).mean(axis=-1),
        "y_mm": grid.y_mm,
    }
    return {name: values.astype(np.float32) for name, values in drawn.items()}


def _maps(
    expected: Opening, actual: Opening, settings: DeliveredFluenceSettings, *, turns: bool
) -> tuple[Grid, Array, Array]:
    """Both maps on one grid, in the frame of the gantry where the collimator turns."""
    spacing_mm, step_deg = (settings.y_mm, settings.x_mm), settings.sector_deg
    if turns:
        boxes = [*rotated_bounds_mm(expected, step_deg), *rotated_bounds_mm(actual, step_deg)]
        grid = Grid.around(boxes, spacing_mm, settings.margin_mm)
        return (
            grid,
            rotated_fluence_mu(expected, grid, spacing_mm, step_deg),
            rotated_fluence_mu(actual, grid, spacing_mm, step_deg),
        )
    boxes = [box for box in (expected.bounds_mm(), actual.bounds_mm()) if box is not None]
    grid = Grid.around(boxes, spacing_mm, settings.margin_mm)
    return grid, fluence_mu(expected, grid), fluence_mu(actual, grid)


def _collimator_turns(expected: Opening, actual: Opening, reach_deg: float) -> bool:
    """Whether the angle is wrong or changes while meterset is delivered."""
    if expected.collimator_deg is None or actual.collimator_deg is None:
        return False
    used = delivers(actual.meterset_mu, actual.interval_s)
    expected_deg, actual_deg = expected.collimator_deg[used], actual.collimator_deg[used]
    if not used.any():
        return False
    error_deg = np.abs(angle_difference_deg(actual_deg, expected_deg)).max()
    moved_deg = max(np.ptp(expected_deg), np.ptp(actual_deg))
    return bool(max(error_deg, moved_deg) > reach_deg)


ANALYZER = Analyzer(
    name="delivered_fluence",
    title="Delivered fluence",
    version="1",
    accepts=Delivery,
    settings=DeliveredFluenceSettings,
    metrics=(GAMMA_PASS, GAMMA_MEAN, FLUENCE_ERROR),
    analyze=analyze,
)
