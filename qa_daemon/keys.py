"""What a record says of itself by which records that belong together are found.

Plans are found for logs, and logs for plans and treatment records.  Keys hold identity: they go
into the store and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analyzers.plan_following import since_start
from analyzers.plan_records import Plan, PlanMatch
from analyzers.portal_images import PortalImage
from analyzers.records import Delivery, Meterset
from analyzers.srt_treatments import SrtTreatment
from analyzers.treatment_records import TreatmentRecord
from qa_daemon.image_keys import image_keys
from qa_daemon.model import (
    DeliveredBeam,
    DeliveryKeys,
    ImageKeys,
    KvFractionKeys,
    MatchReport,
    MatchState,
    PlanKeys,
    PlannedBeam,
    RecordedBeam,
    RecordKeys,
    RivalBeam,
)

Keys = DeliveryKeys | PlanKeys | RecordKeys | ImageKeys | KvFractionKeys
TREATED = ("TREATMENT", "CONTINUATION")
"""Recorded deliveries that treat: a beam, and the rest of one that was interrupted."""


def keys_of(record: object) -> Keys | None:
    """The keys of a record that others belong to; None for one that stands alone."""
    if isinstance(record, Delivery):
        return None if record.not_judged is not None else _delivery(record)
    if isinstance(record, Plan):
        return _plan(record)
    if isinstance(record, TreatmentRecord):
        return _record(record)
    if isinstance(record, PortalImage):
        return image_keys(record)
    if isinstance(record, SrtTreatment):
        return _fraction(record)
    return None


def _delivery(delivery: Delivery) -> DeliveryKeys:
    log = delivery.identity
    field = "/".join(part for part in (log.beam_label, log.beam_name) if part) or None
    planned_mu = delivery.planned_mu
    known = planned_mu is not None and math.isfinite(planned_mu) and planned_mu > 0.0
    return DeliveryKeys(
        plan_uid=log.plan_uid,
        patient_id=log.patient_id,
        plan_label=log.plan_label,
        beam_number=log.beam_number,
        field=field,
        planned_mu=planned_mu if known else None,
    )


def _plan(plan: Plan) -> PlanKeys:
    beams = [
        PlannedBeam(
            number=beam.number,
            name=beam.name,
            meterset_mu=beam.meterset_mu,
            energy=beam.energy,
            machine=beam.machine_name,
        )
        for beam in plan.beams
        if beam.control_points.meterset_share[-1] > 0.0 and beam.delivery_type == "TREATMENT"
    ]
    only = plan.fraction_groups[0] if len(plan.fraction_groups) == 1 else None
    return PlanKeys(
        plan_uid=plan.sop_instance_uid,
        earlier_plan_uids=plan.identity.earlier_plan_uids,
        patient_id=plan.identity.patient_id,
        label=plan.identity.plan_label,
        fractions=only.fractions if only else None,
        dose_per_fraction_gy=_dose_per_fraction_gy(plan),
        techniques=tuple(sorted({beam.technique for beam in plan.beams if beam.technique})),
        beams=tuple(beams),
    )


def _dose_per_fraction_gy(plan: Plan) -> float | None:
    """The highest that the plan may mean, by its targets or its beams: limits follow from it.

    Tighter limits on a plan that needs none cost a look, too wide ones cost more.  So with several
    fraction groups the one that gives most counts, all targets as if treated in the fewest
    fractions, and beams that state no dose as if they gave none.
    """
    fewest = min((g.fractions for g in plan.fraction_groups if g.fractions), default=None)
    targets = [
        reference.prescribed_gy / fewest
        for reference in plan.dose_references
        if reference.kind == "TARGET" and reference.prescribed_gy and fewest
    ]
    stated = [sum(group.beam_dose_gy.values()) for group in plan.fraction_groups]
    return max([*targets, *(dose_gy for dose_gy in stated if dose_gy)], default=None)


def _record(record: TreatmentRecord) -> RecordKeys:
    beams = [
        RecordedBeam(
            number=beam.number,
            fraction=beam.fraction_number,
            delivered_mu=_number(beam.delivered_mu),
            termination=beam.termination,
        )
        for beam in record.beams
        if beam.delivery_type in TREATED
    ]
    return RecordKeys(
        plan_uid=record.identity.plan_uid,
        patient_id=record.identity.patient_id,
        machine=record.machine_name,
        beams=tuple(beams),
    )


def _fraction(record: SrtTreatment) -> KvFractionKeys:
    whose = record.identity
    return KvFractionKeys(
        patient_id=whose.patient_id or "",
        course_id=whose.course_id or "",
        lesion=whose.lesion or "",
        fraction=record.fraction,
        fractions_planned=record.fractions_planned,
        kvp=record.setup.kvp,
        filter_id=record.setup.filter_id,
        prescribed_gy=record.prescribed_gy,
        prescribed_depth_mm=record.prescribed_depth_mm,
        day=record.performed_at.date(),
    )


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def match_report(delivery: Delivery, plans: Sequence[Plan | None]) -> MatchReport | None:
    """What was found of a log's plan; `plans` are the job's in its order, None: unreadable."""
    found = delivery.planned
    if found is None:
        return None
    return MatchReport(
        state=_state(found),
        reason=found.failure or found.other_shape or found.absent,
        plan=_plan(found.plan) if found.plan is not None else None,
        beams=_delivered(delivery, found, plans),
        rivals=tuple(
            RivalBeam(
                plan=_place(rival.plan, plans),
                number=rival.beam_number,
                score=rival.score,
                said=rival.said,
            )
            for rival in found.rivals
        ),
    )


def _state(found: PlanMatch) -> MatchState:
    if found.needs_a_match:
        return MatchState.NEEDS_A_MATCH
    if found.other_shape is not None:
        return MatchState.OTHER_SHAPE
    if found.failure is not None:
        return MatchState.FAILED
    return MatchState.MATCHED if found.parts else MatchState.ABSENT


def _delivered(
    delivery: Delivery, found: PlanMatch, plans: Sequence[Plan | None]
) -> tuple[DeliveredBeam, ...]:
    if found.plan is None:
        return ()
    beams = []
    for part in found.parts:
        since = since_start(delivery, part, lambda axis: axis.actual)
        planned_mu = float(part.beam.cumulative_mu[-1])
        # A log that counts in percent of its plan says how much of the plan's meterset it was.
        scale = planned_mu / 100.0 if delivery.meterset is Meterset.SHARE else 1.0
        on = np.flatnonzero(delivery.beam_on[part.start : part.stop])
        before = float(since[max(int(on[0]) - 1, 0)]) if on.size else 0.0
        beams.append(
            DeliveredBeam(
                plan=_place(found.plan, plans),
                number=part.beam.number,
                planned_mu=planned_mu,
                from_mu=before * scale,
                to_mu=float(since[-1]) * scale,
                joinable=(
                    len(delivery.sub_beams) <= 1
                    and not delivery.fields
                    and delivery.meterset is Meterset.MU
                ),
            )
        )
    return tuple(beams)


def _place(plan: Plan, plans: Sequence[Plan | None]) -> int:
    return next(place for place, other in enumerate(plans) if other is plan)
