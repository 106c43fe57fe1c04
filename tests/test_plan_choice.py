"""A planned beam put on a log: sub-beams of logs read from a file, and what a choice overrides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzers.core import NamedFile
from analyzers.formats import varian_trajectory_log
from analyzers.machine.plan_agreement import ANALYZER
from analyzers.plan_choice import with_plan
from analyzers.plan_matching import MachineNames
from analyzers.plan_records import PlanMatch
from analyzers.records import Delivery
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS, sequence
from qa_daemon.simulate.plan_shapes import Plan as Shapes
from qa_daemon.simulate.rtplan import PlanOptions
from qa_daemon.simulate.trajectory_log import (
    IDENTITY,
    PERFORMED_AT,
    write_companion,
    write_trajectory_log,
)
from tests.machine.judging import measured, worst
from tests.test_plan_matching import log, planned, shapes

SEQUENCES = {
    "window, static": (("sliding-window", 40.0), ("static", 60.0)),
    "static, window, arc": (("static", 33.0), ("sliding-window", 47.5), ("vmat", 80.0)),
    "arc, static, static": (("vmat", 90.0), ("static", 25.0), ("static", 60.0)),
}


def written_and_read(plan: Shapes, folder: Path) -> Delivery:
    delivery = replace(deliver(plan, Errors(), identity=IDENTITY), performed_at=PERFORMED_AT)
    path = folder / "x.bin"
    write_trajectory_log(path, delivery)
    beside = path.with_suffix(".txt")
    write_companion(beside, delivery)
    companions = [NamedFile(beside, beside.name)]
    return varian_trajectory_log.FORMAT.read(NamedFile(path, path.name), companions)


def match_of(delivery: Delivery) -> PlanMatch:
    assert delivery.planned is not None
    return delivery.planned


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("name", SEQUENCES)
def test_sub_beams_of_a_log_that_was_read_find_their_beams(
    name: str, chosen: bool, tmp_path: Path
) -> None:
    """The log counts to the next sub-beam before the last pulses of the one before have come."""
    plan = sequence(*(FIELDS[field]("millennium120", mu) for field, mu in SEQUENCES[name]))
    delivery = written_and_read(plan, tmp_path)
    starts = [beam.start for beam in delivery.sub_beams[1:]]
    assert any(delivery.beam_on[start] for start in starts)
    matched = with_plan(delivery, [planned(plan)], chosen=chosen)
    found = match_of(matched)
    assert [part.beam.number for part in found.parts] == [1, 2, 3][: len(SEQUENCES[name])]
    assert worst(measured(ANALYZER, matched)) == "PASS"


CHOSEN = MachineNames(frozenset({"SIM"}), frozenset({"TB2"}))


def test_a_chosen_plan_says_what_differs_and_is_used_all_the_same() -> None:
    identity = replace(IDENTITY, patient_id="OTHER", plan_uid="1.2.3")
    plan = planned(shapes(), identity, PlanOptions(machine="TB2"))
    found = match_of(with_plan(log(), [plan], chosen=True, machines=CHOSEN))
    assert found.plan is plan and len(found.parts) == 1
    note, said = found.evidence
    assert note == "chosen by a person although the log names another plan and another patient"
    for words in ("plan differs", "patient differs", "energy agrees", "machine differs"):
        assert words in said
    assert "OTHER" not in said and "TB2" not in said


def test_a_chosen_plan_that_is_the_log_s_own_says_so() -> None:
    plan = planned(shapes(), options=PlanOptions(machine="SIM"))
    found = match_of(with_plan(log(), [plan], chosen=True, machines=CHOSEN))
    (said,) = found.evidence
    for kind in ("plan", "patient", "beam", "meterset", "energy", "machine"):
        assert f"{kind} agrees" in said
    nameless = replace(log(), identity=replace(IDENTITY, plan_uid=None, patient_id=None))
    (said,) = match_of(with_plan(nameless, [plan], chosen=True)).evidence
    for words in ("plan unknown", "patient unknown", "machine unknown"):
        assert words in said


@pytest.mark.parametrize(
    ("change", "what"), [({"plan_uid": "1.2.3"}, "plan"), ({"patient_id": "OTHER"}, "patient")]
)
def test_each_part_of_a_log_says_it_once(change: dict[str, str], what: str) -> None:
    both = sequence(shapes("sliding-window", mu=80.0), shapes("static", mu=40.0))
    delivery = deliver(both, identity=IDENTITY)
    plan = planned(both, replace(IDENTITY, **change))
    note, *said = match_of(with_plan(delivery, [plan], chosen=True)).evidence
    assert note == f"chosen by a person although the log names another {what}"
    assert len(said) == 2
    assert all(f"{what} differs" in words for words in said)
