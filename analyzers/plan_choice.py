"""Put the planned beam on a log: by evidence, or from the plan that a person has chosen.

A chosen plan overrides machine, UID and patient, and the evidence says where they differ; the beam
in it is found by its pattern, then by meterset, energy, beam number or name.  Plans that merely
came together with a log are matched by all evidence.  Whatever stays ambiguous is a failure that
says so, never a match.  A log may hold several sub-beams, or (Elekta) several fields that it does
not tell apart itself.  Reasons and evidence hold no identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from analyzers.field_shape import fields_of, sub_beam_samples
from analyzers.plan_matching import (
    Answer,
    Candidate,
    Evidence,
    MachineNames,
    evidence,
    is_ruled_out,
    match,
    same_patient,
    same_plan,
)
from analyzers.plan_records import Plan, PlanMatch, PlannedPart, Rival
from analyzers.records import Delivery, SubBeam

CHOOSE = "choose its plan, with --plan or among the logs that need a match"
MOST_FIELDS = 40
MOST_RIVALS = 10


@dataclass(frozen=True, slots=True)
class _Found:
    """What one part of a log is matched with; one of the reasons where with nothing."""

    candidate: Candidate | None = None
    evidence: Evidence | None = None
    failure: str | None = None
    other_shape: str | None = None
    absent: str | None = None
    rivals: tuple[Rival, ...] = ()
    needs_a_match: bool = False

    def as_match(self, before: str = "") -> PlanMatch:
        """The same of the whole log; `before` says which part of it this is."""
        return PlanMatch(
            failure=None if self.failure is None else f"{before}{self.failure}",
            other_shape=None if self.other_shape is None else f"{before}{self.other_shape}",
            absent=self.absent,
            rivals=self.rivals,
            needs_a_match=self.needs_a_match,
        )


_Chooser = Callable[[Delivery, Sequence[Candidate], SubBeam | None], _Found]


def with_plan(
    delivery: Delivery,
    plans: Sequence[Plan],
    *,
    chosen: bool,
    machines: MachineNames | None = None,
) -> Delivery:
    """The delivery with what is known of its plan; `chosen` says that a person named the plan.

    `machines` says what plans call the log's machine; None leaves the machine unchecked.  Without
    plans, and for a log that is not judged, the delivery as it is.
    """
    if not plans or delivery.not_judged is not None:
        return delivery
    by = _by_pattern if chosen else _by_evidence
    planned = _matched(delivery, plans, partial(by, machines=machines))
    if chosen and planned.plan is not None:
        overridden = _overridden(delivery, planned.plan)
        planned = replace(planned, evidence=(*overridden, *planned.evidence))
    return replace(delivery, planned=planned)


def _overridden(delivery: Delivery, plan: Plan) -> tuple[str, ...]:
    """What the log itself says against a plan that a person has chosen."""
    named = (("plan", same_plan(delivery, plan)), ("patient", same_patient(delivery, plan)))
    others = " and ".join(f"another {what}" for what, same in named if same is False)
    return (f"chosen by a person although the log names {others}",) if others else ()


def _matched(delivery: Delivery, plans: Sequence[Plan], choose: _Chooser) -> PlanMatch:
    if delivery.weight is None:
        return PlanMatch(absent="the log has no dose that would tell where in its plan it is")
    candidates = [Candidate(plan, beam) for plan in plans for beam in plan.beams]
    if not candidates:
        return PlanMatch(failure="the plan has no beams")
    delivered = [beam for beam in delivery.sub_beams if beam.delivered]
    if len(delivered) > 1:
        where = [samples for _, samples in sub_beam_samples(delivery)]
        return _by_parts(delivery, list(zip(delivered, where, strict=True)), candidates, choose)
    only = delivered[0] if delivered else None
    found = choose(delivery, candidates, only)
    if found.candidate is not None and found.evidence is not None:
        first = 0.0 if only is None else float(only.control_point)
        before_mu = found.evidence.from_mu
        logged_mu = _logged_mu(delivery, only)
        if logged_mu is not None:
            logged_mu += before_mu
        part = PlannedPart(
            found.candidate.beam, 0, delivery.samples, first, logged_mu, from_mu=before_mu
        )
        return PlanMatch((part,), evidence=(_said(found.evidence),), plan=found.candidate.plan)
    return _by_fields(delivery, candidates, choose, found)


def _by_fields(
    delivery: Delivery, candidates: Sequence[Candidate], choose: _Chooser, whole: _Found
) -> PlanMatch:
    """Where the log as a whole is no planned beam: as several fields, or why not."""
    as_whole = whole.as_match()
    fields = [] if delivery.sub_beams else list(delivery.fields) or fields_of(delivery)
    if not 1 < len(fields) <= MOST_FIELDS:
        return as_whole
    pieces = [(beam, slice(beam.start, beam.stop)) for beam in fields]
    apart = _by_parts(_apart(delivery, fields), pieces, candidates, choose, "field")
    if apart.parts:
        return apart
    if apart.absent:
        return as_whole
    before = (
        f"{whole.failure or whole.other_shape or whole.absent}; taken as {len(fields)} fields: "
    )
    if apart.other_shape is not None:
        return replace(apart, other_shape=f"{before}{apart.other_shape}")
    return replace(apart, failure=f"{before}{apart.failure}")


def _logged_mu(delivery: Delivery, sub_beam: SubBeam | None) -> float | None:
    return delivery.planned_mu if sub_beam is None else sub_beam.planned_mu


def _by_parts(
    delivery: Delivery,
    pieces: Sequence[tuple[SubBeam, slice]],
    candidates: Sequence[Candidate],
    choose: _Chooser,
    word: str = "sub-beam",
) -> PlanMatch:
    """Every part must find a beam of its own, all in one plan."""
    parts, said, taken = [], [], list[Candidate]()
    # The last pulses of a beam come after the log has begun to count the next one's.
    exact = {beam: replace(beam, start=where.start, stop=where.stop) for beam, where in pieces}
    delivery = replace(
        delivery, sub_beams=tuple(exact.get(beam, beam) for beam in delivery.sub_beams)
    )
    for number, (beam, where) in enumerate(pieces, start=1):
        found = choose(delivery, candidates, exact[beam])
        at = f"{word} {number}"
        if found.candidate is None or found.evidence is None:
            if found.absent and not taken:
                return PlanMatch(absent=found.absent)
            if found.absent:
                return PlanMatch(failure=f"{at}: {found.absent}")
            return found.as_match(f"{at}: ")
        if found.candidate in taken:
            return PlanMatch(failure=f"two parts of the log fit the same planned beam; {CHOOSE}")
        if taken and found.candidate.plan is not taken[0].plan:
            return PlanMatch(failure="the parts of the log fit beams of different plans")
        taken.append(found.candidate)
        # Later records give the last control point of the beam before.
        first = float(beam.control_point + (1 if beam.control_point else 0))
        logged_mu = beam.planned_mu if word == "sub-beam" else None
        beam_of_it = found.candidate.beam
        parts.append(PlannedPart(beam_of_it, where.start, where.stop, first, logged_mu, at))
        said.append(f"{at}: {_said(found.evidence)}")
    return PlanMatch(tuple(parts), evidence=tuple(said), plan=taken[0].plan)


def _by_pattern(
    delivery: Delivery,
    candidates: Sequence[Candidate],
    sub_beam: SubBeam | None,
    *,
    machines: MachineNames | None,
) -> _Found:
    """The beam of a chosen plan: the shape decides, the rest tells copies of it apart.

    Plan, patient and machine decide nothing here, and are said all the same.
    """
    found = [(c, evidence(delivery, c, sub_beam, machines)) for c in candidates]
    # A field without meterset is none that a log could be judged by.
    fits = [(c, e) for c, e in found if e.same_shape and _has_meterset(c)]
    if not fits:
        return _no_shape([e for c, e in found if _has_meterset(c)])
    for agrees in (
        lambda e: e.same_meterset,
        lambda e: e.same_energy is not False,
        lambda e: e.same_beam,
    ):
        fits = [pair for pair in fits if agrees(pair[1])] or fits
    candidate, piece = fits[0]
    if len(fits) > 1:
        return _Found(failure=f"{len(fits)} beams of the plan have the delivered shape")
    refused = _refusal(candidate, piece)
    return _Found(failure=refused) if refused else _Found(candidate, piece)


def _has_meterset(candidate: Candidate) -> bool:
    return float(candidate.beam.control_points.meterset_share[-1]) > 0.0


def _refusal(candidate: Candidate, piece: Evidence) -> str | None:
    """Why a beam of the right shape is none to judge by."""
    if candidate.beam.not_judged is not None:
        return f"the planned beam is not judged: {candidate.beam.not_judged}"
    if candidate.beam.meterset_mu is None:
        return "the meterset of the planned beam is not known: the plan has several fraction groups"
    if piece.same_energy is False:
        return "the plan has this shape for another energy"
    return None


def _no_shape(found: Sequence[Evidence]) -> _Found:
    """That no beam fits, and by how much the nearest does not."""
    known = [e for e in found if e.same_shape is False]
    if not known or len(known) < len(found):
        return _Found(failure="the log's shape cannot be compared with the plan")

    def away(e: Evidence) -> float:
        angles_deg = (error_deg or 0.0 for _, error_deg in e.angle_errors_deg)
        return max(e.leaf_error_mm or 0.0, e.jaw_error_mm or 0.0, *angles_deg)

    nearest = min(known, key=away)
    away_by = f"{_differences(nearest)} in the nearest beam"
    return _Found(other_shape=f"delivered shape is not the plan's: {away_by}")


def _by_evidence(
    delivery: Delivery,
    candidates: Sequence[Candidate],
    sub_beam: SubBeam | None,
    *,
    machines: MachineNames | None,
) -> _Found:
    """The beam by all evidence; no plan for this log is not the same as a doubt about one."""
    # A plan that the log rules out by name is not compared further.
    ours = [c for c in candidates if not is_ruled_out(delivery, c.plan)]
    if not ours:
        return _Found(absent="no plan: every plan given is another's than the log names")
    answer = match(delivery, ours, sub_beam=sub_beam, machines=machines)
    if answer.answer is Answer.MATCHED and answer.best is not None:
        piece = answer.evidence[next(k for k, c in enumerate(ours) if c is answer.best)]
        return _Found(answer.best, piece)
    rivals = _rivals(ours, answer.evidence)
    if answer.answer is Answer.OTHER_SHAPE:
        return _Found(other_shape=f"delivered shape is not the plan's: {answer.reason}")
    speaks = any(e.same_plan or e.same_patient or e.same_shape for e in answer.evidence)
    if speaks:
        said = f"needs a match: {answer.reason}; {CHOOSE}"
        return _Found(failure=said, rivals=rivals, needs_a_match=True)
    return _Found(absent=f"no plan: none of the plans given is this log's: {answer.reason}")


def _rivals(candidates: Sequence[Candidate], found: Sequence[Evidence]) -> tuple[Rival, ...]:
    """What a person may choose from, best first, the same whatever order they come in."""
    rivals = [
        Rival(c.plan, c.beam.number, e.score, _said(e))
        for c, e in zip(candidates, found, strict=True)
        if _has_meterset(c)
    ]
    rivals.sort(key=lambda r: (-r.score, r.said, r.plan.sop_instance_uid or "", r.beam_number))
    return tuple(rivals[:MOST_RIVALS])


def _apart(delivery: Delivery, fields: Sequence[SubBeam]) -> Delivery:
    """For matching alone: the log as one of several beams, whose names nobody knows."""
    identity = replace(delivery.identity, beam_name=None, beam_number=None, beam_names=())
    return replace(delivery, sub_beams=tuple(fields), identity=identity)


def _said(piece: Evidence) -> str:
    """The evidence for a planned beam in words."""
    words = {True: "agrees", False: "differs", None: "unknown"}
    kinds = (
        ("plan", piece.same_plan),
        ("patient", piece.same_patient),
        ("beam", piece.same_beam),
        ("meterset", piece.same_meterset),
        ("energy", piece.same_energy),
        ("machine", piece.same_machine),
    )
    said = ", ".join(f"{kind} {words[same]}" for kind, same in kinds)
    return f"planned beam found by {_differences(piece)}; {said}"


def _differences(piece: Evidence) -> str:
    return ", ".join(f"{said.replace(' by ', ' ')} off" for said in piece.differences())
