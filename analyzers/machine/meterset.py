"""Meterset: what was delivered, against what the controller expected and what was planned.

Both errors are taken at the last sample of the log, so that a delivery which stopped early is
found even where the log's own expected values stopped with it, as they do in every real case.
Limits are "the greater of" an absolute value and a share (product defaults); the
percent metrics are for the trend.  A log without MU that has a share of the planned meterset tells
whether all of it was delivered; one without any dose tells no more than that it is cut.
"""

from __future__ import annotations

import numpy as np
from pydantic import PositiveFloat

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Measurement,
    Metric,
    NotApplicable,
    Settings,
)
from analyzers.field_shape import sub_beam_samples
from analyzers.records import Delivery, Meterset
from analyzers.wholeness import CLINAC, TRUEBEAM, Pace, gaps, missing_parts

_TRUEBEAM = Limits.within(
    tolerance=0.1,
    tolerance_percent=0.2,
    action=0.5,
    action_percent=1.0,
    source="product default (from published TrueBeam-class distributions)",
)
_CLINAC = Limits.within(
    tolerance=0.5,
    tolerance_percent=0.5,
    action=1.0,
    action_percent=2.0,
    source="product default (from published Clinac-class distributions)",
)
_METERSET = {"truebeam": _TRUEBEAM, "halcyon": _TRUEBEAM, "clinac": _CLINAC, "elekta": _CLINAC}
WHOLE_PERCENT = 99.99
"""A share of the plan from here on is all of it; logs count in steps of 0.004 %."""
_WHOLE = Limits.at_least(tolerance=1.0, action=1.0, source="a delivery is whole or it is not")

DELIVERED_ERROR = Metric(
    "delivered_error", "MU", "Delivered minus expected meterset at the end of the log", _METERSET
)
DELIVERED_ERROR_PERCENT = Metric(
    "delivered_error_percent", "%", "Delivered minus expected meterset over the expected"
)
PLANNED_ERROR = Metric(
    "planned_error", "MU", "Delivered minus planned meterset at the end of the log", _METERSET
)
PLANNED_ERROR_PERCENT = Metric(
    "planned_error_percent", "%", "Delivered minus planned meterset over the planned"
)
SUB_BEAM_ERROR = Metric(
    "sub_beam_error",
    "MU",
    "Delivered minus planned meterset of the sub-beam that is furthest off",
    _METERSET,
)
COMPLETE = Metric(
    "complete",
    "1",
    "1 where the log holds the delivery from first to last control point without a gap, else 0",
    dict.fromkeys(_METERSET, _WHOLE),
)


class MetersetSettings(Settings):
    """Settings of this analyzer."""

    control_point_reach: PositiveFloat = 0.001
    """So close to a whole number, a control point is reached; completed logs end at one exactly."""


def analyze(delivery: Delivery, context: Context[MetersetSettings]) -> Analysis:
    """Compare the delivered meterset at the end of the log, and say whether the log is whole."""
    if delivery.samples == 0:
        raise AnalysisError("the log has no samples")
    if delivery.meterset is not Meterset.MU:
        return _without_mu(delivery, context.machine_class)
    meterset_mu = delivery.meterset_mu
    if not (np.isfinite(meterset_mu.actual).all() and np.isfinite(meterset_mu.expected).all()):
        raise AnalysisError("the meterset is not a number in some samples")

    delivered_mu = float(meterset_mu.actual[-1])
    pace = TRUEBEAM if context.machine_class == "truebeam" else Pace()
    missing = missing_parts(delivery, pace, context.settings.control_point_reach)
    if delivery.planned_mu is None and _has_a_plan(delivery, context.machine_class):
        missing.append("no planned meterset to compare with")
    return Analysis(
        [
            *_delivered_error(delivery, delivered_mu),
            *_planned_error(delivery, delivered_mu),
            *_sub_beam_error(delivery, context.machine_class),
            COMPLETE.measured(0.0 if missing else 1.0, at="; ".join(missing) or None),
        ],
        notes=_fields(delivery),
    )


def _fields(delivery: Delivery) -> list[str]:
    """What was delivered in each field of a log that states no meterset of its fields."""
    if not delivery.fields:
        return []
    each_mu = ", ".join(f"{field.planned_mu:.1f}" for field in delivery.fields)
    return [f"{len(delivery.fields)} fields of {each_mu} MU; the log states their sum alone"]


def _without_mu(delivery: Delivery, machine_class: str) -> Analysis:
    """What a log without MU tells: percent of the plan, and whether it is whole."""
    share = delivery.meterset_percent
    pace = CLINAC if machine_class == "clinac" else Pace()
    missing = [*(["log truncated"] if delivery.truncated else []), *gaps(delivery, pace)]
    measured = []
    if share is not None:
        if not np.isfinite(share.actual).all():
            raise AnalysisError("the meterset is not a number in some samples")
        if not delivery.beam_on.any() and share.actual.max() > 0.0:
            missing.append("the dose rises and the beam was never on")
        delivered_percent = float(share.actual[-1])
        measured.append(PLANNED_ERROR_PERCENT.measured(delivered_percent - 100.0))
        if delivered_percent < WHOLE_PERCENT:
            missing.append(f"{delivered_percent:.2f} % of the planned meterset")
    elif not missing:
        raise NotApplicable("the log has no meterset: it does not tell whether all was delivered")
    complete = COMPLETE.measured(0.0 if missing else 1.0, at="; ".join(missing) or None)
    return Analysis([*measured, complete])


def _has_a_plan(delivery: Delivery, machine_class: str) -> bool:
    """Whether a log of this machine states a planned meterset; Elekta's service beams do not."""
    if machine_class == "elekta":
        return delivery.identity.beam_name is not None or delivery.identity.beam_label is not None
    return machine_class in ("truebeam", "halcyon")


def _delivered_error(delivery: Delivery, delivered_mu: float) -> list[Measurement]:
    # Some machines log no expected meterset: an error of zero would be true of any delivery.
    if not delivery.meterset_expected:
        return []
    expected_mu = float(delivery.meterset_mu.expected[-1])
    return _error(DELIVERED_ERROR, DELIVERED_ERROR_PERCENT, delivered_mu, expected_mu)


def _error(
    error: Metric, error_percent: Metric, delivered_mu: float, reference_mu: float
) -> list[Measurement]:
    error_mu = delivered_mu - reference_mu
    measured = [error.measured(error_mu, reference=reference_mu)]
    if reference_mu > 0.0:
        measured.append(error_percent.measured(100.0 * error_mu / reference_mu))
    return measured


def _planned_error(delivery: Delivery, delivered_mu: float) -> list[Measurement]:
    # A planned meterset of zero marks an image: there is nothing to compare with.
    if not delivery.planned_mu:
        return []
    if not np.isfinite(delivery.planned_mu):
        raise AnalysisError("the planned meterset is not a number")
    return _error(PLANNED_ERROR, PLANNED_ERROR_PERCENT, delivered_mu, delivery.planned_mu)


def _sub_beam_error(delivery: Delivery, machine_class: str) -> list[Measurement]:
    """The worst sub-beam of several: too much in one and too little in another can add up."""
    planned = [beam for beam in delivery.sub_beams if beam.delivered]
    if len(planned) < 2 or not delivery.planned_mu:
        return []
    actual_mu = np.asarray(delivery.meterset_mu.actual, dtype=np.float64)
    limits = _METERSET.get(machine_class, _TRUEBEAM)
    worst: tuple[float, Measurement] | None = None
    for beam, (name, samples) in zip(planned, sub_beam_samples(delivery), strict=True):
        before_mu = actual_mu[samples.start - 1] if samples.start else 0.0
        error_mu = float(actual_mu[samples.stop - 1] - before_mu - beam.planned_mu)
        share = abs(error_mu) / (limits.resolved(beam.planned_mu).action_high or 1.0)
        if worst is None or share > worst[0]:
            measured = SUB_BEAM_ERROR.measured(error_mu, at=name, reference=beam.planned_mu)
            worst = (share, measured)
    return [worst[1]] if worst else []


ANALYZER = Analyzer(
    name="meterset",
    title="Meterset",
    version="1",
    accepts=Delivery,
    settings=MetersetSettings,
    metrics=(
        DELIVERED_ERROR,
        DELIVERED_ERROR_PERCENT,
        PLANNED_ERROR,
        PLANNED_ERROR_PERCENT,
        SUB_BEAM_ERROR,
        COMPLETE,
    ),
    analyze=analyze,
)
