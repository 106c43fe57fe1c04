"""Plans under one UID: the same twice is one plan, different ones need a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from analyzers.plan_choice import with_plan
from analyzers.plan_matching import Answer, MachineNames
from analyzers.plan_records import Beam, Plan
from qa_daemon.simulate.rtplan import PlanOptions
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests.test_plan_matching import _leaf_off, asked, log, planned, shapes
from tests.test_plan_matching_doubts import of_points, replan_of

MACHINES = MachineNames(frozenset({"SIM"}), frozenset({"TB2"}))


def _leaf_off_a_little(beam: Beam) -> Beam:
    """Less than what matching calls another shape."""
    (layer,) = beam.control_points.mlc
    bank_a_mm = np.array(layer.bank_a_mm)
    bank_a_mm[:, 30] += 0.3
    return of_points(beam, mlc=(replace(layer, bank_a_mm=bank_a_mm),))


def _with_beam(change: Callable[[Beam], Beam]) -> Plan:
    plan = planned(shapes())
    (beam,) = plan.beams
    return replace(plan, beams=(change(beam),))


OTHERS: dict[str, Callable[[], Plan]] = {
    "leaf 3 mm": lambda: planned(_leaf_off(shapes())),
    "leaf 0.3 mm": lambda: _with_beam(_leaf_off_a_little),
    "10 % more MU": lambda: planned(shapes(mu=220.0)),
    "other energy": lambda: planned(replace(shapes(), energy="10x")),
    "other patient": lambda: planned(shapes(), replace(IDENTITY, patient_id="OTHER")),
    "other machine": lambda: planned(shapes(), options=PlanOptions(machine="TB2")),
    "not judged": lambda: planned(shapes(), options=PlanOptions(wedge="motorized")),
    "no meterset": lambda: _with_beam(lambda beam: replace(beam, meterset_mu=None)),
}


@cache
def other_plan(name: str) -> Plan:
    return OTHERS[name]()


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("first", [False, True])
def test_two_plans_under_the_uid_that_the_log_names_need_a_person(other: str, first: bool) -> None:
    """Whichever fits: nobody knows which of them was approved."""
    plans = [other_plan(other), planned(shapes())]
    found = asked(log(), *(plans if first else plans[::-1]), machines=MACHINES)
    assert found.answer is Answer.NEEDS_A_MATCH
    assert found.reason == "2 different plans here have the UID that the log names"
    matched = with_plan(log(), plans, chosen=False, machines=MACHINES).planned
    assert matched is not None
    assert matched.needs_a_match and not matched.parts
    assert len(matched.rivals) == 2


def test_the_same_plan_given_twice_is_one_plan() -> None:
    """Read twice, each with arrays of its own, and numbers that are none."""
    plans = [planned(shapes()) for _ in range(3)]
    found = asked(log(), *plans, replan_of(plans[0]))
    assert found.answer is Answer.MATCHED, found.reason
    assert len(found.evidence) == 4
    assert found.best is not None and found.best.plan is plans[0]
    matched = with_plan(log(), plans, chosen=False).planned
    assert matched is not None
    assert len(matched.parts) == 1


def test_two_plans_under_a_uid_that_the_log_does_not_name_do_not_matter() -> None:
    other = replace(other_plan("leaf 3 mm").identity, plan_uid="1.2.8")
    twins = [replace(other_plan(name), identity=other) for name in ("leaf 3 mm", "10 % more MU")]
    assert asked(log(), planned(shapes()), *twins).answer is Answer.MATCHED
