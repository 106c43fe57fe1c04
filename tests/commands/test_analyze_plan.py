"""`qa-daemon analyze` with a plan: chosen with --plan, or given among the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qa_daemon.__main__ import app
from qa_daemon.simulate import rtplan
from qa_daemon.simulate.trajectory_log import simulate

FIELD = {"field": "sliding-window", "mu": 60.0}


def analyze(*words: object) -> tuple[int, list[dict[str, Any]]]:
    answer = CliRunner().invoke(app, ["analyze", *map(str, words), "--json"])
    return answer.exit_code, json.loads(answer.stdout)


def agreement(result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(a for a in result["analyses"] if a["analyzer"] == "plan_agreement")
    return found


def test_a_chosen_plan_is_judged_and_not_listed(tmp_path: Path) -> None:
    log = simulate(tmp_path / "x.bin", **FIELD)
    plan = rtplan.simulate(tmp_path / "CANARY.dcm", **FIELD)
    code, (result,) = analyze(log, "--plan", plan)
    assert (code, result["verdict"]) == (0, "PASS")
    found = agreement(result)
    assert found["verdict"] == "PASS"
    names = {m["metric"] for m in found["measurements"]}
    assert {
        "worst_leaf_rms",
        "gantry_largest_error",
        "meterset_error_percent",
        "gamma_pass",
    } <= names
    assert "meterset agrees" in found["notes"][0]
    for secret in ("CANARY", "QA_SIM_1", "1.2.826"):
        assert secret not in json.dumps(found)


def test_without_a_plan_it_does_not_apply(tmp_path: Path) -> None:
    code, (result,) = analyze(simulate(tmp_path / "x.bin", **FIELD))
    assert (code, result["verdict"]) == (0, "PASS")
    assert agreement(result)["not_applicable"] == "no plan was given"


def test_a_fault_against_the_plan_is_at_action(tmp_path: Path) -> None:
    log = simulate(tmp_path / "x.bin", **FIELD, leaf="A30=1")
    code, (result,) = analyze(log, "--plan", rtplan.simulate(tmp_path / "p.dcm", **FIELD))
    assert (code, agreement(result)["verdict"]) == (1, "ACTION")


def test_the_wrong_plan_is_at_action_and_the_others_are_still_told(tmp_path: Path) -> None:
    log = simulate(tmp_path / "x.bin", **FIELD)
    plan = rtplan.simulate(tmp_path / "p.dcm", field="vmat", mu=60.0)
    code, (result,) = analyze(log, "--plan", plan)
    assert (code, result["verdict"]) == (1, "ACTION")
    (said,) = agreement(result)["measurements"]
    assert (said["metric"], said["value"], said["verdict"]) == ("shape_agrees", 0.0, "ACTION")
    assert said["at"].startswith("delivered shape is not the plan's: leaves ")
    others = [a for a in result["analyses"] if a["analyzer"] not in ("plan_agreement",)]
    assert {a["verdict"] for a in others} == {"PASS", None}


@pytest.mark.parametrize("together", ["folder", "files"])
def test_a_plan_among_the_files_is_matched_by_evidence(tmp_path: Path, together: str) -> None:
    log = simulate(tmp_path / "QA_1_x_20260105073000.bin", **FIELD, companion=True)
    plan = rtplan.simulate(tmp_path / "p.dcm", **FIELD)
    side = log.with_suffix(".txt")
    code, found = analyze(*([tmp_path] if together == "folder" else [plan, side, log]))
    by_format = {result["format"]: result for result in found}
    assert (code, len(found)) == (0, 2)
    alone = by_format["dicom-rtplan"]
    assert (alone["verdict"], alone["analyses"]) == (None, [])
    assert "kept for matching" in alone["not_judged"]
    told = agreement(by_format["varian-trajectory-log"])
    assert told["verdict"] == "PASS"
    assert "plan agrees, patient agrees" in told["notes"][0]


def test_a_log_that_does_not_name_its_plan_needs_a_choice(tmp_path: Path) -> None:
    simulate(tmp_path / "x.bin", **FIELD)
    rtplan.simulate(tmp_path / "p.dcm", **FIELD)
    code, found = analyze(tmp_path)
    log = next(r for r in found if r["format"] == "varian-trajectory-log")
    assert (code, log["verdict"]) == (1, "INVALID")
    assert "choose its plan" in agreement(log)["failure"]


def test_a_plan_that_cannot_be_read_is_told_and_never_taken_for_none(tmp_path: Path) -> None:
    log = simulate(tmp_path / "x.bin", **FIELD)
    plan = rtplan.simulate(tmp_path / "CANARY.dcm", **FIELD)
    plan.write_bytes(plan.read_bytes()[:1000])
    code, found = analyze(log, "--plan", plan)
    assert (code, len(found)) == (65, 2)
    judged = next(r for r in found if r["format"])
    assert judged["verdict"] == "INVALID"
    assert "the plan cannot be read: RTPLAN_SHORT" in agreement(judged)["failure"]
    assert next(r for r in found if r["error"])["error"]["code"] == "RTPLAN_SHORT"
    assert "CANARY" not in agreement(judged)["failure"]


def test_what_is_no_plan_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    log = simulate(tmp_path / "x.bin", **FIELD)
    answer = CliRunner().invoke(app, ["analyze", str(log), "--plan", str(log)])
    assert answer.exit_code == 2


@pytest.mark.parametrize("named", [True, False])
def test_the_logs_of_an_interrupted_beam_are_one_result(tmp_path: Path, named: bool) -> None:
    field = {"field": "sliding-window", "mu": 60.0}
    first = tmp_path / "x_20260105073000.bin"
    rest = tmp_path / "x_20260105074200.bin"
    simulate(first, **field, interrupted_at_mu=31.0, companion=True)
    simulate(rest, **field, resumed_at_mu=31.0, companion=True, seed=3)
    plan = rtplan.simulate(tmp_path / "p.dcm", **field)
    code, found = analyze(*(["--plan", plan] if named else [plan]), rest, first, tmp_path)
    logs = [result for result in found if result["format"] == "varian-trajectory-log"]
    assert (code, [result["verdict"] for result in logs]) == (0, ["PASS"])
    assert logs[0]["file"] == str(first)
    assert str(rest) in logs[0]["companions"]
    code, found = analyze("--plan", plan, first)
    assert (code, found[0]["verdict"]) == (1, "ACTION")
