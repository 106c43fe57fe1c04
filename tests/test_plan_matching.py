"""Matching logs and plans: one of three answers, and never a match on thin evidence.

Logs and plans are simulated from the same shapes; each test changes one thing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzers.formats.dicom_rtplan import read
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.plan_matching import Answer, Candidate, MachineNames, Match, evidence, match
from analyzers.plan_records import Plan
from analyzers.records import Delivery, Identity
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS, sequence
from qa_daemon.simulate.plan_shapes import Plan as Shapes
from qa_daemon.simulate.rtplan import PlanOptions, write_rtplan
from qa_daemon.simulate.trajectory_log import IDENTITY

NAMELESS = Identity(patient_id=IDENTITY.patient_id)


def shapes(field: str = "vmat", mlc: str = "millennium120", mu: float = 200.0) -> Shapes:
    return FIELDS[field](mlc, mu)


@cache
def _log(field: str, mlc: str, mu: float, identity: Identity, errors: Errors | None) -> Delivery:
    return deliver(shapes(field, mlc, mu), errors, identity=identity)


def log(
    field: str = "vmat",
    mlc: str = "millennium120",
    mu: float = 200.0,
    identity: Identity = IDENTITY,
) -> Delivery:
    """A delivery; what is missing in `identity` is not known from the log."""
    delivery = _log(field, mlc, mu, identity, None)
    return replace(delivery, identity=identity)


def planned(
    plan: Shapes, identity: Identity = IDENTITY, options: PlanOptions | None = None
) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        write_rtplan(path, plan, identity, options)
        return read(path)


def candidates(*plans: Plan) -> list[Candidate]:
    return [Candidate(plan, beam) for plan in plans for beam in plan.beams]


def asked(delivery: Delivery, *plans: Plan, **more: Any) -> Match:
    return match(delivery, candidates(*plans), **more)


@pytest.mark.parametrize("mlc", sorted(LEAF_EDGES_MM))
@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_log_is_matched_with_its_plan(field: str, mlc: str) -> None:
    """Also where leaves move with the beam off, and with the beams' names unknown."""
    for identity in (IDENTITY, NAMELESS):
        found = asked(log(field, mlc, identity=identity), planned(shapes(field, mlc)))
        assert found.answer is Answer.MATCHED, found.reason
        (piece,) = found.evidence
        assert piece.leaf_error_mm is not None
        assert piece.leaf_error_mm < 0.2


def test_the_right_beam_of_several() -> None:
    plan = planned(sequence(*(shapes(field) for field in FIELDS)))
    for number, field in enumerate(FIELDS, start=1):
        delivery = log(field, identity=replace(IDENTITY, beam_number=number))
        found = asked(delivery, plan)
        assert found.answer is Answer.MATCHED, found.reason
        assert found.best is not None
        assert found.best.beam.number == number


def test_a_delivery_that_stopped_early_is_matched() -> None:
    delivery = deliver(shapes(), Errors(interrupted_at_mu=70.0), identity=IDENTITY)
    assert asked(delivery, planned(shapes())).answer is Answer.MATCHED


def test_each_sub_beam_of_a_log_is_matched_by_itself() -> None:
    both = sequence(shapes("sliding-window", mu=80.0), shapes("static", mu=40.0))
    delivery = deliver(both, identity=NAMELESS)
    plan = planned(both)
    for sub_beam, number in zip(delivery.sub_beams, (1, 2), strict=True):
        found = asked(delivery, plan, sub_beam=sub_beam)
        assert found.answer is Answer.MATCHED, found.reason
        assert found.best is not None
        assert found.best.beam.number == number


def _leaf_off(plan: Shapes) -> Shapes:
    """One leaf of the plan is 3 mm further out all the time."""
    (beam,) = plan.beams
    (bank_a_mm,) = beam.bank_a_mm
    moved = bank_a_mm.copy()
    moved[:, 30] += 3.0
    return replace(plan, beams=(replace(beam, bank_a_mm=(moved,)),))


def _jaw_off(plan: Shapes) -> Shapes:
    (beam,) = plan.beams
    assert beam.jaws_mm is not None
    jaws_mm = beam.jaws_mm + np.array([0.0, 4.0, 0.0, 0.0])
    return replace(plan, beams=(replace(beam, jaws_mm=jaws_mm),))


def _other_way_round(plan: Shapes) -> Shapes:
    """The same angles at both ends, over 180 instead of over 0."""
    (beam,) = plan.beams
    points = len(beam.gantry_deg)
    return replace(plan, beams=(replace(beam, gantry_deg=np.linspace(270.0, 90.0, points)),))


@pytest.mark.parametrize(
    "change", [_leaf_off, _jaw_off, _other_way_round], ids=["leaf", "jaw", "gantry"]
)
def test_another_shape_under_the_plans_uid_is_an_answer_of_its_own(
    change: Callable[[Shapes], Shapes],
) -> None:
    found = asked(log(), planned(change(shapes())))
    assert found.answer is Answer.OTHER_SHAPE
    assert "differs from its plan" in found.reason


def test_the_size_of_the_difference_is_the_difference() -> None:
    (piece,) = asked(log(), planned(_leaf_off(shapes()))).evidence
    assert piece.leaf_error_mm == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"planned_mu": 190.0}, "the same shape with another meterset"),
        ({"planned_mu": None}, "cannot be compared"),
        ({"energy": "10x"}, "another energy"),
        ({"energy": "6x-FFF"}, "another energy"),
        ({"mlc": ()}, "cannot be compared"),
    ],
)
def test_a_log_that_differs_needs_a_person(change: dict[str, Any], reason: str) -> None:
    found = asked(replace(log(), **change), planned(shapes()))
    assert found.answer is Answer.NEEDS_A_MATCH
    assert reason in found.reason


@pytest.mark.parametrize(("mu", "answer"), [(200.9, Answer.MATCHED), (201.1, Answer.NEEDS_A_MATCH)])
def test_a_meterset_is_the_same_within_half_a_percent(mu: float, answer: Answer) -> None:
    """The greater of 0.2 MU and 0.5 % of 200 MU, which is 1 MU."""
    assert asked(log(mu=mu), planned(shapes())).answer is answer


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (replace(IDENTITY, plan_uid="1.2.3"), "plan that the log names"),
        (replace(IDENTITY, patient_id="OTHER"), "the log's patient"),
        (replace(IDENTITY, beam_number=2), "the one that the log names"),
        (Identity(), "neither the plan nor the patient"),
    ],
)
def test_whoever_is_not_known_or_another_needs_a_person(identity: Identity, reason: str) -> None:
    found = asked(log(identity=identity), planned(shapes()))
    assert found.answer is Answer.NEEDS_A_MATCH
    assert reason in found.reason
    assert "QA_SIM" not in found.reason and "1.2" not in found.reason


def test_ids_are_compared_without_case_and_spaces() -> None:
    identity = replace(IDENTITY, plan_uid=None, patient_id="qa_sim_1 ")
    assert asked(log(identity=identity), planned(shapes())).answer is Answer.MATCHED


def test_a_replan_of_the_named_plan_is_matched_by_patient_and_shape() -> None:
    plan = planned(shapes(), replace(IDENTITY, plan_uid="1.2.3"))
    assert asked(log(), plan).answer is Answer.NEEDS_A_MATCH
    assert IDENTITY.plan_uid is not None
    replan = replace(plan, identity=replace(plan.identity, earlier_plan_uids=(IDENTITY.plan_uid,)))
    found = asked(log(), replan)
    assert (found.answer, found.reason[:7]) == (Answer.MATCHED, "patient")


def test_another_machine_needs_a_person() -> None:
    plan = planned(shapes(), options=PlanOptions(machine="TB1"))
    assert (
        asked(
            log(), plan, machines=MachineNames(frozenset({"TB1", "TrueBeam"}), is_all=True)
        ).answer
        is Answer.MATCHED
    )
    found = asked(log(), plan, machines=MachineNames(frozenset({"TB2"}), is_all=True))
    assert (found.answer, found.reason) == (
        Answer.NEEDS_A_MATCH,
        "the plan is for another machine",
    )


def test_two_plans_that_fit_alike_need_a_person() -> None:
    twins = [planned(shapes(), replace(IDENTITY, plan_uid=uid)) for uid in ("1.2.3", "1.2.4")]
    found = asked(log(identity=NAMELESS), *twins)
    assert found.answer is Answer.NEEDS_A_MATCH
    assert "2 planned beams fit" in found.reason


def test_the_named_one_of_two_plans_that_fit_alike() -> None:
    twins = [planned(shapes(), replace(IDENTITY, plan_uid=uid)) for uid in ("1.2.3", "1.2.4")]
    found = asked(log(identity=replace(IDENTITY, plan_uid="1.2.4")), *twins)
    assert found.answer is Answer.MATCHED
    assert found.best is not None
    assert found.best.plan is twins[1]


def test_a_beam_that_no_log_shows_needs_a_person() -> None:
    found = asked(log(), planned(shapes(), options=PlanOptions(wedge="motorized")))
    assert found.answer is Answer.NEEDS_A_MATCH
    assert "not judged: a motorized wedge" in found.reason


def test_fraction_groups_that_differ_need_a_choice() -> None:
    plan = planned(shapes(), options=PlanOptions(group_mu=(150.0,)))
    found = asked(log(), plan)
    assert "choose its fraction group" in found.reason
    assert asked(log(), plan.in_group(1)).answer is Answer.MATCHED
    assert "another meterset" in asked(log(), plan.in_group(2)).reason


def test_the_beam_that_the_log_names_and_the_one_it_looks_like() -> None:
    plan = planned(sequence(shapes("static"), shapes("vmat")))
    found = asked(log("vmat"), plan)  # the log says beam 1
    assert found.answer is Answer.NEEDS_A_MATCH
    assert "another beam" in found.reason


def test_heads_with_as_many_leaves_of_other_widths_are_different() -> None:
    """60 pairs each."""
    found = asked(log(mlc="millennium120"), planned(shapes(mlc="hd120")))
    assert found.answer is Answer.OTHER_SHAPE
    (piece,) = found.evidence
    assert piece.leaf_error_mm == np.inf


def test_a_field_planned_without_leaves_may_have_none_in_it() -> None:
    """Real dosimetry fields have jaws alone; the log's leaves are then parked outside."""
    plan = planned(shapes("static"))
    (beam,) = plan.beams
    bare = replace(beam, control_points=replace(beam.control_points, mlc=()))
    delivery = log("static")
    inside = evidence(delivery, Candidate(plan, bare))
    assert inside.leaf_error_mm == pytest.approx(0.0, abs=1e-3)
    (layer,) = delivery.mlc
    reaching = layer.bank_a_mm.expected.copy()
    reaching[:, 30] -= 5.0
    leaves = replace(layer, bank_a_mm=replace(layer.bank_a_mm, expected=reaching))
    found = match(replace(delivery, mlc=(leaves,)), [Candidate(plan, bare)])
    assert found.answer is Answer.OTHER_SHAPE
    assert found.evidence[0].leaf_error_mm == pytest.approx(5.0, abs=1e-3)


def test_no_plan_at_all() -> None:
    found = match(log(), [])
    assert (found.answer, found.best, found.evidence) == (Answer.NEEDS_A_MATCH, None, ())


@pytest.mark.parametrize(
    ("logged", "energy"), [("6x", "6X"), ("6 MV", "6X"), ("6X", "6X"), (None, None)]
)
def test_spellings_of_an_energy(logged: str | None, energy: str | None) -> None:
    piece = evidence(replace(log(), energy=logged), candidates(planned(shapes()))[0])
    assert piece.same_energy is (None if energy is None else True)
