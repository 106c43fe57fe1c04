"""Which planned beam a log delivered: every piece of evidence, and one of three answers.

No single piece is enough.  The plan's UID in the log is decisive for the plan, and yet what was
delivered must have the plan's shape: where it has not, that is an answer of its own.  Whatever is
ambiguous, lacks evidence or contradicts itself needs a person.  Pure functions; reasons hold no
identity.  The shape is compared by the log's expected axes: they say what the machine was told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum

import numpy as np

from analyzers.plan_records import Beam, Plan
from analyzers.plan_shape import agrees, shape_of
from analyzers.records import Delivery, Meterset, SubBeam

SAME_MU, SAME_MU_SHARE = 0.2, 0.005
LEAST_SHARE = 0.9
"""Less of the planned meterset than this tells a plan only when the log names it."""


class Answer(StrEnum):
    """What matching says."""

    MATCHED = "matched"
    NEEDS_A_MATCH = "needs a match"
    OTHER_SHAPE = "delivered shape is not the plan's"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A planned beam that may be the one; `machine_name` in it is the planning system's name."""

    plan: Plan
    beam: Beam


@dataclass(frozen=True, slots=True)
class MachineNames:
    """What plans call the log's machine, and the clinic's other machines.

    `is_all` says that plans call the log's machine nothing else.
    """

    own: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    is_all: bool = False

    def agrees(self, planned: str | None) -> bool | None:
        """Whether a plan's machine is the log's; None: nothing is known of that name."""
        if planned is None:
            return None
        name = planned.strip().casefold()
        if name in {own.strip().casefold() for own in self.own}:
            return True
        elsewhere = name in {other.strip().casefold() for other in self.others}
        return False if elsewhere or self.is_all else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against one candidate; None: nothing is known of it.

    Errors are the log's expected axes against the plan at the same share of the meterset: RMS of
    the worst leaf and jaw in mm, largest of gantry, collimator and couch rotation in degrees;
    infinite where the heads differ.  `share` is how much of the planned meterset was compared,
    `not_logged` what the plan has and the log lacks.
    """

    same_plan: bool | None
    same_patient: bool | None
    same_beam: bool | None
    same_meterset: bool | None
    same_energy: bool | None
    same_machine: bool | None
    leaf_error_mm: float | None
    jaw_error_mm: float | None
    gantry_error_deg: float | None
    collimator_error_deg: float | None = None
    couch_error_deg: float | None = None
    share: float | None = None
    not_logged: tuple[str, ...] = ()
    from_mu: float = 0.0
    """The log agrees with the plan from here on: the rest of a beam that was interrupted, MU."""

    @property
    def same_shape(self) -> bool | None:
        """Whether all that can be compared agrees; None where neither leaves nor jaws can be."""
        angles_deg = [error_deg for _, error_deg in self.angle_errors_deg]
        return agrees(self.leaf_error_mm, self.jaw_error_mm, angles_deg)

    @property
    def angle_errors_deg(self) -> tuple[tuple[str, float | None], ...]:
        """The errors of all angles by name."""
        return (
            ("gantry", self.gantry_error_deg),
            ("collimator", self.collimator_error_deg),
            ("couch rotation", self.couch_error_deg),
        )

    def differences(self) -> tuple[str, ...]:
        """All that could be compared in words: `leaves 0.02 mm`."""
        parts = (
            ("leaves", self.leaf_error_mm, "mm"),
            ("jaws", self.jaw_error_mm, "mm"),
            *((name, error_deg, "deg") for name, error_deg in self.angle_errors_deg),
        )
        return tuple(
            f"{what} by {error:.2f} {unit}" for what, error, unit in parts if error is not None
        )

    @property
    def score(self) -> float:
        """How much speaks for this candidate, 0 to 1; the plan's UID and the shape weigh most."""
        weights = (
            (self.same_plan, 3.0),
            (self.same_shape, 3.0),
            (self.same_meterset, 2.0),
            (self.same_beam, 2.0),
            (self.same_patient, 1.0),
            (self.same_energy, 0.5),
            (self.same_machine, 0.5),
        )
        return sum(weight for same, weight in weights if same) / 12.0


@dataclass(frozen=True, slots=True)
class Match:
    """The answer, its reason, the best candidate, and all evidence in the candidates' order."""

    answer: Answer
    reason: str
    best: Candidate | None
    evidence: tuple[Evidence, ...]


def match(
    delivery: Delivery,
    candidates: Sequence[Candidate],
    *,
    sub_beam: SubBeam | None = None,
    machines: MachineNames | None = None,
) -> Match:
    """Find the planned beam of a log, or of one sub-beam of it.

    `machines` says what plans call the log's machine; None leaves the machine unchecked.
    """
    found = tuple(evidence(delivery, c, sub_beam, machines) for c in candidates)
    # Where the plan that the log names is here, the answer is about that plan and no other.
    named = [k for k, e in enumerate(found) if e.same_plan]
    ranked = sorted(named or range(len(found)), key=lambda k: _rank(found[k], candidates[k]))
    if not ranked:
        return Match(Answer.NEEDS_A_MATCH, "there is no plan", None, found)
    best = candidates[ranked[0]]
    records = _different([candidates[k].plan for k in named])
    if len(records) > 1:
        reason = f"{len(records)} different plans here have the UID that the log names"
        return Match(Answer.NEEDS_A_MATCH, reason, best, found)
    if named:
        # The same file given twice is one plan.
        ranked = [k for k in ranked if candidates[k].plan is records[0]]
        best = candidates[ranked[0]]
    answer, reason = _judged([found[k] for k in ranked], best)
    return Match(answer, reason, best, found)


def _different(plans: Sequence[Plan]) -> list[Plan]:
    """The first of each of these plans that say the same of patient and beams."""
    kept: list[Plan] = []
    for plan in plans:
        said = (_plain(plan.identity.patient_id), plan.beams)
        if not any(
            plan is other or _alike(said, (_plain(other.identity.patient_id), other.beams))
            for other in kept
        ):
            kept.append(plan)
    return kept


def _alike(one: object, other: object) -> bool:
    """Whether two records hold the same, arrays compared by value and NaN alike."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if is_dataclass(one):
        return all(_alike(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return one == other or (one != one and other != other)


def _rank(found: Evidence, candidate: Candidate) -> tuple[object, ...]:
    """Best first, and the same whatever order the candidates come in."""
    said = (
        found.same_shape,
        found.same_meterset,
        found.same_beam,
        found.same_patient,
        found.same_energy,
        found.same_machine,
    )
    beam = candidate.beam
    return (
        not _is_possible(found),
        -found.score,
        tuple((True, None, False).index(same) for same in said),
        found.leaf_error_mm or 0.0,
        found.jaw_error_mm or 0.0,
        tuple(error_deg or 0.0 for _, error_deg in found.angle_errors_deg),
        -(found.share or 0.0),
        found.not_logged,
        beam.meterset_mu or 0.0,
        beam.not_judged or "",
        candidate.plan.sop_instance_uid or "",
        beam.number,
    )


def is_ruled_out(delivery: Delivery, plan: Plan) -> bool:
    """Whether the log's own words name another plan, or, naming none, another patient."""
    same = same_plan(delivery, plan)
    if same is not None:
        return not same
    return same_patient(delivery, plan) is False


def _is_possible(found: Evidence) -> bool:
    """The log names another plan, patient or beam: never this one, whatever its shape."""
    return False not in (found.same_plan, found.same_patient, found.same_beam)


def _judged(ranked: Sequence[Evidence], best: Candidate) -> tuple[Answer, str]:
    """The order of the `if`s is the policy; `ranked` is best first."""
    first, others = ranked[0], ranked[1:]
    conflict = _conflict(first)
    if conflict is not None:
        return Answer.NEEDS_A_MATCH, conflict
    if first.same_shape is False and first.same_plan:
        if any(other.same_shape for other in others):
            return Answer.NEEDS_A_MATCH, "the shape is that of another beam than the log names"
        if any(_is_possible(other) and other.same_shape is None for other in others):
            return Answer.NEEDS_A_MATCH, "a beam of the plan cannot be compared with the log"
        return (
            Answer.OTHER_SHAPE,
            f"the log differs from its plan: {', '.join(first.differences())}",
        )
    doubt = _doubt(first, best.beam) or (None if first.same_plan else _nameless_doubt(first))
    if doubt is not None:
        return Answer.NEEDS_A_MATCH, doubt
    rivals = [other for other in others if _is_rival(other)]
    if rivals:
        return Answer.NEEDS_A_MATCH, f"{len(rivals) + 1} planned beams fit about as well"
    known = "plan" if first.same_plan else "patient"
    return Answer.MATCHED, f"{known}, shape and meterset agree"


def _is_rival(other: Evidence) -> bool:
    """Nothing speaks against it: what is not known of a beam does not make it lose."""
    against = (other.same_shape, other.same_meterset, other.same_energy, other.same_machine)
    return _is_possible(other) and False not in against


def _conflict(first: Evidence) -> str | None:
    """What rules even the best candidate out."""
    conflicts = (
        (first.same_plan, "the plan that the log names is not among these"),
        (first.same_patient, "no plan here is of the log's patient"),
        (first.same_beam, "no beam here is the one that the log names"),
        (first.same_energy, "the plan has another energy"),
        (first.same_machine, "the plan is for another machine"),
    )
    return next((reason for same, reason in conflicts if same is False), None)


def _doubt(first: Evidence, beam: Beam) -> str | None:
    """What is missing for an answer that nobody has to confirm."""
    if first.same_shape is None:
        return "the log's shape cannot be compared with a plan"
    if not first.same_shape:
        return "no plan here has this shape"
    if beam.meterset_mu is None:
        return "the meterset of the planned beam is not known: choose its fraction group"
    if not first.same_meterset and not (first.from_mu and first.same_plan):
        return "the same shape with another meterset"
    if beam.not_judged is not None:
        return f"the planned beam is not judged: {beam.not_judged}"
    return None


def _nameless_doubt(first: Evidence) -> str | None:
    """What else has to be known where the log does not name its plan."""
    if not first.same_patient:
        return "neither the plan nor the patient is known from the log"
    if first.same_energy is None:
        return "the energy is not known from both the log and the plan"
    if first.not_logged:
        return f"the plan has what the log lacks: {', '.join(first.not_logged)}"
    if first.share is None or first.share < LEAST_SHARE:
        return f"only {100.0 * (first.share or 0.0):.0f} % of the planned meterset was delivered"
    return None


def evidence(
    delivery: Delivery,
    candidate: Candidate,
    sub_beam: SubBeam | None = None,
    machines: MachineNames | None = None,
) -> Evidence:
    """Everything that speaks for or against one planned beam."""
    plan, beam = candidate.plan, candidate.beam
    planned_mu = delivery.planned_mu if sub_beam is None else sub_beam.planned_mu
    shape, from_mu = shape_of(delivery, beam, sub_beam, planned_mu), 0.0
    rest_mu = _before(delivery, beam, planned_mu)
    if rest_mu is not None:
        resumed = shape_of(delivery, beam, sub_beam, beam.meterset_mu, rest_mu)
        if resumed.is_same:
            shape, from_mu = resumed, rest_mu
    return Evidence(
        same_plan=same_plan(delivery, plan),
        same_patient=same_patient(delivery, plan),
        same_beam=_same_beam(delivery, beam, sub_beam),
        same_meterset=_same_meterset(planned_mu, beam.meterset_mu),
        same_energy=_same(_energy(delivery.energy), _energy(beam.energy)),
        same_machine=None if machines is None else machines.agrees(beam.machine_name),
        leaf_error_mm=shape.leaf_mm,
        jaw_error_mm=shape.jaw_mm,
        gantry_error_deg=shape.angles_deg[0],
        collimator_error_deg=shape.angles_deg[1],
        couch_error_deg=shape.angles_deg[2],
        share=shape.share,
        not_logged=_not_logged(delivery, beam),
        from_mu=from_mu,
    )


def _before(delivery: Delivery, beam: Beam, planned_mu: float | None) -> float | None:
    """What was delivered before, if the log is the rest of a beam and counts anew; MU."""
    if planned_mu is None or beam.meterset_mu is None or delivery.meterset is not Meterset.MU:
        return None
    if len(delivery.sub_beams) > 1 or not np.isfinite(planned_mu):
        return None
    before_mu = beam.meterset_mu - planned_mu
    return before_mu if before_mu > max(SAME_MU, SAME_MU_SHARE * beam.meterset_mu) else None


def same_plan(delivery: Delivery, plan: Plan) -> bool | None:
    """Whether this is the plan that the log names; None: one of the two names none.

    A replan of the plan that the log names is neither that plan nor another one's.
    """
    uid = delivery.identity.plan_uid
    if uid is None or plan.sop_instance_uid is None:
        return None
    if uid != plan.sop_instance_uid and uid in plan.identity.earlier_plan_uids:
        return None
    return uid == plan.sop_instance_uid


def same_patient(delivery: Delivery, plan: Plan) -> bool | None:
    """Whether log and plan are one patient's; None: one of the two names none."""
    return _same(_plain(delivery.identity.patient_id), _plain(plan.identity.patient_id))


def _same(one: str | None, other: str | None) -> bool | None:
    return None if one is None or other is None else one == other


def _plain(patient_id: str | None) -> str | None:
    """Patient ids are compared without case and spaces."""
    return "".join((patient_id or "").casefold().split()) or None


def _energy(energy: str | None) -> str | None:
    """One spelling of each: `6x` of `06X`, `6 MV`, `6xfff` of `6FFF`, `6X-FFF`, `9e` of `9 MeV`.

    A number alone says neither photons nor electrons, and stays one; so does what is no energy.
    """
    if energy is None:
        return None
    plain = re.sub(r"[^0-9a-z.]", "", energy.casefold())
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(mev|mv|e|x)?(.*)", plain)
    if found is None or not (found[2] or found[3] == "fff"):
        return plain
    kind = "e" if found[2] in ("e", "mev") else "x"
    return f"{float(found[1]):g}{kind}{found[3]}"


def _same_beam(delivery: Delivery, beam: Beam, sub_beam: SubBeam | None) -> bool | None:
    """By number, else by name; the number in a log of several sub-beams is the first one's."""
    log = delivery.identity
    several = len(delivery.sub_beams) > 1
    first = sub_beam is None or delivery.sub_beams[:1] == (sub_beam,)
    if log.beam_number is not None and (first or not several):
        return log.beam_number == beam.number
    name = log.beam_name
    if several and sub_beam in delivery.sub_beams:
        assert sub_beam is not None
        place = delivery.sub_beams.index(sub_beam)
        name = log.beam_names[place] if place < len(log.beam_names) else None
    return _same(name or None, beam.name)


def _same_meterset(logged_mu: float | None, planned_mu: float | None) -> bool | None:
    if logged_mu is None or planned_mu is None or not np.isfinite([logged_mu, planned_mu]).all():
        return None
    return abs(logged_mu - planned_mu) <= max(SAME_MU, SAME_MU_SHARE * planned_mu)


def _not_logged(delivery: Delivery, beam: Beam) -> tuple[str, ...]:
    points = beam.control_points
    jaws = delivery.jaws_mm
    has = {
        "gantry": delivery.gantry_deg is not None,
        "X jaws": points.jaws_x_mm is None or {"X1", "X2"} <= jaws.keys(),
        "Y jaws": points.jaws_y_mm is None or {"Y1", "Y2"} <= jaws.keys(),
    }
    return tuple(name for name, is_there in has.items() if not is_there)
