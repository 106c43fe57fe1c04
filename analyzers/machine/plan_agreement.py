"""The delivery against the RT plan: what was done, and what the controller was told to do.

Reads a `Delivery` whose planned beams are known (`plan_choice`).  Every sample with the beam on is
placed in its beam by the log's control-point axis, else by meterset (`plan_following`); errors are
actual minus planned.  The log's expected values are held against the plan apart: a plan that was
corrupted on its way to the machine is delivered as expected.  Pairs behind the planned Y jaws are
left out; the couch's translation too: the plan's table position is not the set-up position.
Criterion 1 %/1 mm global for logs; limits in `plan_metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from analyzers import plan_metrics as of
from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Measurement,
    NotApplicable,
    Settings,
)
from analyzers.field_shape import ACTUAL, EXPECTED, beam_on_samples
from analyzers.numerics.gamma import GammaCriteria
from analyzers.plan_differences import differences, told_differences
from analyzers.plan_fluence import Grids, PlanFluence, compare
from analyzers.plan_following import Place, beside_plan, places, since_start, total_of
from analyzers.plan_records import PlannedPart
from analyzers.records import Delivery, Meterset

WIDE, SMALL = (3.0, 2.0), (2.0, 1.0)
COUCH = (
    "the couch's translation is not judged: the plan's table position is not the set-up position"
)
SKIPPED_MU = 2.0
"""A log samples every 40 ms or faster: no machine gives so much between two samples."""


class Criterion(Settings):
    """A gamma criterion; the dose is a share of the maximum of the planned map."""

    dose_percent: PositiveFloat = 1.0
    distance_mm: PositiveFloat = 1.0


class PlanAgreementSettings(Settings):
    """Settings of this analyzer."""

    criteria: Mapping[str, Criterion] = {
        "clinac": Criterion(dose_percent=2.0, distance_mm=2.0),
        "elekta": Criterion(dose_percent=2.0, distance_mm=2.0),
    }
    """Judged gamma criterion by machine class; a class that is missing is judged at 1 %/1 mm."""
    threshold_percent: PositiveFloat = 10.0
    """Points below this share of the maximum of the planned map are left out."""
    x_mm: PositiveFloat = 0.25
    """Pixel size along the leaves: well below the narrowest gap, 1 mm in a picket fence."""
    y_mm: PositiveFloat = 1.0
    """Pixel size across the leaves; in sectors twice that."""
    margin_mm: PositiveFloat = 5.0
    """The maps reach this far beyond the open field."""
    sector_deg: PositiveFloat = 10.0
    """An arc is cut into equal sectors of at most this."""
    fewest_samples: PositiveInt = 5
    """A beam logged more briefly than this is not judged."""


def analyze(delivery: Delivery, context: Context[PlanAgreementSettings]) -> Analysis:
    """Hold each part of a delivery against its planned beam; report the worst."""
    planned = delivery.planned
    if planned is None:
        raise NotApplicable("no plan was given")
    if planned.absent is not None:
        raise NotApplicable(planned.absent)
    if planned.other_shape is not None:
        return _other_shape(planned.other_shape, planned.evidence)
    if planned.failure is not None or not planned.parts:
        raise AnalysisError(planned.failure or "no planned beam was found")
    beam_on_samples(delivery, context.settings.fewest_samples)
    measurements = [of.SHAPE_AGREES.measured(1.0)]
    notes = [*planned.evidence, COUCH]
    maps: list[PlanFluence] = []
    for part in planned.parts:
        found, fluence, said = _part(delivery, part, context)
        measurements += found
        notes += said
        maps += [fluence] if fluence is not None else []
    worst = min(maps, key=lambda m: (m.gammas[0].pass_percent, -m.gammas[0].mean), default=None)
    return Analysis(
        [_worst(group, context.machine_class) for group in _by_metric(measurements)],
        traces={} if worst is None else _drawn(worst),
        notes=notes,
    )


def _other_shape(reason: str, evidence: Sequence[str]) -> Analysis:
    """What was delivered is another beam than the plan's: no other number would mean anything."""
    return Analysis([of.SHAPE_AGREES.measured(0.0, at=reason)], notes=evidence)


def _part(
    delivery: Delivery, part: PlannedPart, context: Context[PlanAgreementSettings]
) -> tuple[list[Measurement], PlanFluence | None, list[str]]:
    """One planned beam and what the log shows of it."""
    settings = context.settings
    on = np.flatnonzero(delivery.beam_on[part.start : part.stop])
    if on.size < settings.fewest_samples:
        raise AnalysisError(f"{_where(part)}beam on in only {on.size} samples")
    place = places(delivery, part)
    seen = beside_plan(delivery, part, place, on, ACTUAL)
    found = differences(seen, part.at)
    told_place = places(delivery, part, EXPECTED)
    found += told_differences(beside_plan(delivery, part, told_place, on, EXPECTED), part.at)
    found += _meterset(delivery, part)
    found += _missing(part, place, on)
    notes = [] if place.is_logged else [f"{_where(part)}placed in the plan by meterset"]
    fluence = None
    if delivery.mlc:
        fluence = _fluence(delivery, part, place, context)
    else:
        notes.append("the log has no leaves: no fluence")
    if fluence is not None:
        found += _fluence_measured(fluence, part)
        notes += [f"{_where(part)}{gamma}".rstrip(".") for gamma in fluence.gammas]
        if fluence.remark is not None:
            notes.append(f"{_where(part)}{fluence.remark}")
    return found, fluence, notes


def _where(part: PlannedPart) -> str:
    return f"{part.at}: " if part.at else ""


def _meterset(delivery: Delivery, part: PlannedPart) -> list[Measurement]:
    """Delivered against planned: in MU where the log has them, else in percent alone.

    What a log does not show itself was not delivered in it: it may be the rest of a beam.
    """
    since = since_start(delivery, part, ACTUAL)
    delivered = float(since[-1] - (since[0] if part.start == 0 else 0.0))
    total = total_of(delivery, part.beam)
    error = delivered - total
    found = [of.METERSET_ERROR_PERCENT.measured(100.0 * error / total, at=part.at)]
    if delivery.meterset is Meterset.MU:
        found.append(of.METERSET_ERROR.measured(error, at=part.at, reference=total))
        if part.logged_mu is not None:
            told_mu = part.logged_mu - total
            found.append(of.EXPECTED_METERSET_ERROR.measured(told_mu, at=part.at, reference=total))
    return found


def _missing(part: PlannedPart, place: Place, on: NDArray[np.intp]) -> list[Measurement]:
    """Control points that deliver something and have no sample on the way to them."""
    points = part.beam.control_points
    rise_mu = np.diff(part.beam.cumulative_mu)
    way = np.clip(np.ceil(place.position[on]).astype(np.int64) - 1, 0, points.count - 2)
    lacks = np.ones(points.count - 1, dtype=np.bool_)
    lacks[way] = False
    missing = int(np.count_nonzero(lacks & (rise_mu > SKIPPED_MU)))
    if place.is_logged and missing == 0:
        # The log's own axis tells the end exactly.
        missing = points.count - 1 - int(np.floor(place.position.max() + 0.01))
    return [of.MISSING_CONTROL_POINTS.measured(float(missing), at=part.at)]


def _fluence(
    delivery: Delivery,
    part: PlannedPart,
    place: Place,
    context: Context[PlanAgreementSettings],
) -> PlanFluence | None:
    settings = context.settings
    judged = settings.criteria.get(context.machine_class, Criterion())
    criteria = [
        GammaCriteria(
            dose_percent=dose_percent,
            distance_mm=distance_mm,
            threshold_percent=settings.threshold_percent,
        )
        for dose_percent, distance_mm in ((judged.dose_percent, judged.distance_mm), WIDE, SMALL)
    ]
    grids = Grids(
        (settings.y_mm, settings.x_mm),
        (2.0 * settings.y_mm, settings.x_mm),
        settings.margin_mm,
        settings.sector_deg,
    )
    return compare(delivery, part, place, criteria, grids)


def _fluence_measured(fluence: PlanFluence, part: PlannedPart) -> Iterator[Measurement]:
    judged, wide, small = fluence.gammas
    yield of.GAMMA_PASS.measured(judged.pass_percent, at=part.at)
    yield of.GAMMA_PASS_WIDE.measured(wide.pass_percent, at=part.at)
    yield of.GAMMA_PASS_SMALL.measured(small.pass_percent, at=part.at)
    yield of.FLUENCE_ERROR.measured(fluence.error_percent, at=part.at)
    yield of.MEAN_FLUENCE_DIFFERENCE.measured(judged.mean_dose_difference_percent, at=part.at)
    sector = fluence.worst_sector
    if sector is not None:
        angles = f"{sector.from_deg % 360.0:.0f} to {sector.to_deg % 360.0:.0f} deg"
        at = f"{part.at}, {angles}" if part.at else angles
        yield of.SECTOR_GAMMA_PASS.measured(sector.gammas[0].pass_percent, at=at)
        yield of.SECTOR_GAMMA_PASS_WIDE.measured(sector.gammas[1].pass_percent, at=at)


def _by_metric(measurements: Sequence[Measurement]) -> Iterator[list[Measurement]]:
    groups: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault(measurement.metric.name, []).append(measurement)
    yield from (groups[metric.name] for metric in of.METRICS if metric.name in groups)


LOW_IS_WORST = (
    of.GAMMA_PASS,
    of.GAMMA_PASS_WIDE,
    of.GAMMA_PASS_SMALL,
    of.SECTOR_GAMMA_PASS,
    of.SECTOR_GAMMA_PASS_WIDE,
)
"""Of these metrics the smallest value counts."""


def _worst(group: Sequence[Measurement], machine_class: str) -> Measurement:
    """Of the same metric in several parts.

    Of a meterset, the part that its class's limits judge worst: they widen with the meterset, and
    no other order is safe.  Where a site has limits of its own for it, they judge that part alone;
    the largest error in percent is always there too.
    """

    def away(measurement: Measurement) -> tuple[bool, float]:
        if any(measurement.metric is metric for metric in LOW_IS_WORST):
            return False, -measurement.value
        error = abs(measurement.value)
        limits = measurement.metric.limits.get(machine_class)
        if limits is None or measurement.reference is None:
            return False, error
        bounds = limits.resolved(measurement.reference)
        # The two widen from different metersets on: neither alone tells the order of verdicts.
        return error > (bounds.action_high or np.inf), error / (bounds.tolerance_high or 1.0)

    return max(group, key=away)


def _drawn(fluence: PlanFluence) -> dict[str, NDArray[np.float32]]:
    """The maps of the worst part, for the eye."""
    drawn = {
        "planned": fluence.planned,
        "delivered": fluence.delivered,
        "gamma": fluence.gammas[0].map,
        "x_mm": fluence.grid.x_mm,
        "y_mm": fluence.grid.y_mm,
        "gantry_frame": np.array(fluence.turns),
    }
    return {name: values.astype(np.float32) for name, values in drawn.items()}


ANALYZER = Analyzer(
    name="plan_agreement",
    title="Plan agreement",
    version="3",
    accepts=Delivery,
    settings=PlanAgreementSettings,
    metrics=of.METRICS,
    analyze=analyze,
)
