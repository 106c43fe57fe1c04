"""Matching logs and plans: what is missing, unknown or named otherwise never decides a match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from analyzers.plan_choice import with_plan
from analyzers.plan_matching import Answer, Candidate, evidence, match
from analyzers.plan_records import Beam, Plan
from analyzers.records import Axis, Delivery, Identity
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.rtplan import PlanOptions
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests.test_plan_matching import (
    NAMELESS,
    _leaf_off,
    _other_way_round,
    asked,
    candidates,
    log,
    planned,
    shapes,
)


def copy_of(plan: Plan, uid: str = "1.2.9", **beam: Any) -> Plan:
    """The plan under another UID, its only beam changed."""
    (only,) = plan.beams
    identity = replace(plan.identity, plan_uid=uid)
    return replace(plan, beams=(replace(only, **beam),), identity=identity)


def of_points(beam: Beam, **points: Any) -> Beam:
    return replace(beam, control_points=replace(beam.control_points, **points))


def replan_of(plan: Plan) -> Plan:
    assert IDENTITY.plan_uid is not None
    new = copy_of(plan)
    return replace(new, identity=replace(new.identity, earlier_plan_uids=(IDENTITY.plan_uid,)))


@pytest.mark.parametrize(
    ("named", "answer"),
    [
        (planned(shapes()), Answer.MATCHED),
        (planned(_leaf_off(shapes())), Answer.OTHER_SHAPE),
        (planned(shapes(mu=150.0)), Answer.NEEDS_A_MATCH),
        (planned(shapes(), options=PlanOptions(wedge="motorized")), Answer.NEEDS_A_MATCH),
    ],
    ids=["same", "shape", "meterset", "wedge"],
)
def test_where_the_named_plan_is_here_the_answer_is_about_it_alone(
    named: Plan, answer: Answer
) -> None:
    """Its replan of the delivered shape, and one that names no patient, never take its place."""
    good = planned(shapes())
    nobody = replace(good, identity=replace(good.identity, plan_uid=None, patient_id=None))
    here = candidates(named, replan_of(good), nobody)
    for order in permutations(here):
        found = match(log(), order)
        assert found.answer is answer, found.reason
        assert found.best is not None and found.best.plan is named
        assert len(found.evidence) == 3


def test_the_named_plan_alone_is_asked_though_the_log_names_a_beam_it_lacks() -> None:
    delivery = log(identity=replace(IDENTITY, beam_number=2))
    replan = replan_of(planned(shapes()))
    replan = replace(replan, beams=(replace(replan.beams[0], number=2),))
    found = asked(delivery, planned(shapes()), replan)
    assert found.answer is Answer.NEEDS_A_MATCH
    assert found.reason == "no beam here is the one that the log names"


def test_the_order_of_the_candidates_does_not_matter() -> None:
    plan = planned(shapes())
    others = [
        copy_of(plan, "1.2.4"),
        copy_of(plan, "1.2.5", not_judged="a wedge"),
        copy_of(plan, "1.2.6", meterset_mu=None),
        copy_of(planned(_leaf_off(shapes())), "1.2.7", number=2),
    ]
    said = set()
    for order in permutations(candidates(*others)):
        found = match(log(identity=NAMELESS), order)
        assert found.best is not None
        said.add((found.answer, found.reason, found.best.plan.sop_instance_uid))
    assert len(said) == 1


@pytest.mark.parametrize(
    "unknown",
    [
        lambda plan: copy_of(plan, meterset_mu=None),
        lambda plan: copy_of(plan, name=None),
        lambda plan: replace(
            copy_of(plan), identity=replace(plan.identity, plan_uid="1.2.9", patient_id=None)
        ),
        lambda plan: replace(
            copy_of(plan, meterset_mu=None, name=None),
            identity=replace(plan.identity, plan_uid="1.2.9", patient_id=None),
        ),
        lambda plan: copy_of(plan, fluence_mode="unknown"),
    ],
    ids=["meterset", "name", "patient", "all", "fluence"],
)
def test_a_rival_does_not_lose_by_what_is_not_known_of_it(
    unknown: Callable[[Plan], Plan],
) -> None:
    plan = planned(shapes())
    name = plan.beams[0].name
    delivery = log(identity=replace(NAMELESS, beam_name=name))
    assert asked(delivery, plan).answer is Answer.MATCHED
    found = asked(delivery, plan, unknown(plan))
    assert found.answer is Answer.NEEDS_A_MATCH
    assert "2 planned beams fit" in found.reason
    # Named by the log, the plan has no rivals.
    assert asked(log(), plan, unknown(plan)).answer is Answer.MATCHED


def test_a_rival_loses_by_what_is_known_of_it() -> None:
    plan = planned(shapes())
    for other in (
        planned(shapes(mu=150.0)),
        planned(shapes(), options=PlanOptions(fff=True)),
        planned(_leaf_off(shapes())),
        planned(_other_way_round(shapes())),
    ):
        found = asked(log(identity=NAMELESS), plan, copy_of(other))
        assert found.answer is Answer.MATCHED, found.reason


def test_a_set_up_field_is_told_by_its_shape() -> None:
    """Of a static beam it has the very shape here, and no meterset that would speak against it."""
    unnumbered = replace(IDENTITY, beam_number=None, beam_name=None)
    options = PlanOptions(set_up_beam=True)
    found = asked(log(identity=unnumbered), planned(shapes(), options=options))
    assert found.answer is Answer.MATCHED, found.reason
    found = asked(log("static", identity=unnumbered), planned(shapes("static"), options=options))
    assert "2 planned beams fit" in found.reason


@pytest.mark.parametrize(
    ("stopped_mu", "answer"), [(178.0, Answer.NEEDS_A_MATCH), (183.0, Answer.MATCHED)]
)
def test_a_part_of_a_plan_that_the_log_does_not_name(stopped_mu: float, answer: Answer) -> None:
    """200 MU are planned."""
    delivery = deliver(shapes(), Errors(interrupted_at_mu=stopped_mu), identity=NAMELESS)
    plan = planned(shapes())
    found = asked(delivery, plan)
    assert found.answer is answer, found.reason
    assert found.evidence[0].share == pytest.approx(stopped_mu / 200.0, abs=0.01)
    if answer is Answer.NEEDS_A_MATCH:
        assert found.reason == "only 89 % of the planned meterset was delivered"
    assert asked(replace(delivery, identity=IDENTITY), plan).answer is Answer.MATCHED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"energy": None}, "the energy is not known"),
        ({"gantry_deg": None}, "lacks: gantry"),
        ({"jaw_x1_mm": None}, "lacks: X jaws"),
        ({"jaw_y1_mm": None, "jaw_y2_mm": None}, "lacks: Y jaws"),
    ],
)
def test_what_the_log_lacks_is_a_doubt_unless_it_names_the_plan(
    change: dict[str, Any], reason: str
) -> None:
    plan = planned(shapes())
    found = asked(replace(log(identity=NAMELESS), **change), plan)
    assert found.answer is Answer.NEEDS_A_MATCH
    assert reason in found.reason
    assert asked(replace(log(), **change), plan).answer is Answer.MATCHED


def test_an_energy_that_the_plan_lacks_is_a_doubt() -> None:
    plan = planned(shapes())
    (beam,) = plan.beams
    none = np.full(beam.control_points.count, np.nan)
    bare = replace(plan, beams=(of_points(beam, energy_mv=none),))
    found = asked(log(identity=NAMELESS), bare)
    assert found.reason == "the energy is not known from both the log and the plan"


@pytest.mark.parametrize("angle", ["collimator_deg", "couch_rotation_deg"])
def test_collimator_and_couch_are_part_of_the_shape(angle: str) -> None:
    plan = planned(shapes())
    (beam,) = plan.beams
    turned_deg = getattr(beam.control_points, angle) + 0.6
    turned = Candidate(plan, of_points(beam, **{angle: np.mod(turned_deg, 360.0)}))
    delivery = log(identity=replace(IDENTITY, beam_number=None, beam_name=None))
    found = match(delivery, [turned])
    assert found.answer is Answer.OTHER_SHAPE
    assert f"{angle[:5]}" in found.reason and "0.60 deg" in found.reason
    both = match(delivery, [turned, Candidate(plan, beam)])
    assert both.answer is Answer.MATCHED, both.reason
    assert both.best is not None and both.best.beam is beam
    # Without the axis nothing tells them apart.
    nothing: dict[str, Any] = {angle: None}
    blind = match(replace(delivery, **nothing), [turned, Candidate(plan, beam)])
    assert blind.answer is Answer.NEEDS_A_MATCH


def test_a_whole_turn_of_the_collimator_is_none() -> None:
    delivery = log()
    assert delivery.collimator_deg is not None
    axis = delivery.collimator_deg
    turned = replace(axis, expected=axis.expected + 360.0 - 0.2)
    (piece,) = asked(replace(delivery, collimator_deg=turned), planned(shapes())).evidence
    assert piece.same_shape
    assert piece.collimator_error_deg == pytest.approx(0.2, abs=0.05)


def test_a_log_that_has_only_what_was_is_matched_by_it() -> None:
    delivery = log()
    axes: dict[str, Any] = {
        name: Axis.actual_only(getattr(delivery, name).actual)
        for name in (
            "meterset_mu",
            "gantry_deg",
            "collimator_deg",
            "jaw_x1_mm",
            "jaw_x2_mm",
            "jaw_y1_mm",
            "jaw_y2_mm",
        )
    }
    assert asked(replace(delivery, **axes), planned(shapes())).answer is Answer.MATCHED


def _none_in(name: str, at: slice | int) -> Callable[[Delivery], Delivery]:
    def changed(delivery: Delivery) -> Delivery:
        axis = getattr(delivery, name)
        expected = np.array(axis.expected, dtype=np.float64)
        expected[at] = np.nan
        without: dict[str, Any] = {name: replace(axis, expected=expected)}
        return replace(delivery, **without)

    return changed


def _none_in_leaf(delivery: Delivery) -> Delivery:
    (layer,) = delivery.mlc
    expected = layer.bank_a_mm.expected.copy()
    expected[:, 30] = np.nan
    leaves = replace(layer, bank_a_mm=replace(layer.bank_a_mm, expected=expected))
    return replace(delivery, mlc=(leaves,))


@pytest.mark.parametrize(
    "change",
    [
        _none_in("meterset_mu", slice(None)),
        _none_in("meterset_mu", 100),
        _none_in("gantry_deg", slice(None)),
        _none_in("collimator_deg", 100),
        _none_in("jaw_y1_mm", 100),
        _none_in_leaf,
    ],
    ids=["meterset", "one meterset", "gantry", "collimator", "jaw", "leaf"],
)
def test_what_is_no_number_cannot_be_compared(change: Callable[[Delivery], Delivery]) -> None:
    delivery = change(log())
    assert delivery.beam_on[100]
    plan = planned(shapes())
    assert evidence(delivery, candidates(plan)[0]).same_shape is None
    found = asked(delivery, plan)
    assert (found.answer, found.reason) == (
        Answer.NEEDS_A_MATCH,
        "the log's shape cannot be compared with a plan",
    )
    for chosen in (False, True):
        matched = with_plan(delivery, [plan], chosen=chosen).planned
        assert matched is not None
        assert "cannot be compared" in str(matched.failure)


def test_a_planned_meterset_that_is_no_number() -> None:
    found = asked(replace(log(), planned_mu=float("nan")), planned(shapes()))
    assert found.reason == "the log's shape cannot be compared with a plan"
    assert found.evidence[0].same_meterset is None


def test_a_log_that_says_nothing_is_nobodys() -> None:
    found = asked(log(identity=Identity()), planned(shapes()))
    assert found.reason == "neither the plan nor the patient is known from the log"
