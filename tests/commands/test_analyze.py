"""`qa-daemon analyze`: results as the contract says, exit codes, and files that belong together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qa_daemon.__main__ import app
from qa_daemon.simulate import dynalog, mpc_csv
from qa_daemon.simulate.trajectory_log import simulate

RUNNER = CliRunner()
FIELD = {"field": "sliding-window", "mu": 60.0}


def analyze(*paths: Path, config: Path | None = None) -> tuple[int, list[dict[str, Any]]]:
    words = ["analyze", *map(str, paths), "--json"]
    if config:
        words += ["--config", str(config)]
    answer = RUNNER.invoke(app, words)
    return answer.exit_code, json.loads(answer.stdout)


def number(result: dict[str, Any], name: str) -> dict[str, Any]:
    analyzer, metric = name.split(".")
    analysis = next(a for a in result["analyses"] if a["analyzer"] == analyzer)
    found: dict[str, Any] = next(m for m in analysis["measurements"] if m["metric"] == metric)
    return found


def test_a_clean_log_passes_and_says_all_the_contract_asks(tmp_path: Path) -> None:
    log = simulate(tmp_path / "a_20260105073000.bin", **FIELD)
    code, (result,) = analyze(log)
    assert code == 0
    assert result["verdict"] == "PASS"
    assert (result["file"], result["format"]) == (str(log), "varian-trajectory-log")
    assert len(result["sha256"]) == 64
    assert result["machine"] is None
    assert result["performed_at"] == "2026-01-05T07:30:00"  # no site, so no zone
    assert result["error"] is None
    assert {a["analyzer"] for a in result["analyses"]} == {
        "mlc_positions",
        "axes",
        "meterset",
        "beam_holds",
        "delivered_fluence",
        "plan_agreement",
        "machine_health",
        "leaf_trust",
    }
    rms = number(result, "mlc_positions.worst_leaf_rms")
    assert rms["unit"] == "mm" and rms["verdict"] == "PASS" and rms["at"]
    assert rms["limits"]["tolerance_high"] == 0.15
    assert rms["limits"]["action_high"] == 0.35
    assert number(result, "beam_holds.count")["limits"] is None
    assert number(result, "beam_holds.count")["verdict"] is None


@pytest.mark.parametrize(
    ("error", "metric"),
    [
        ({"bank_a_mm": 1.0}, "mlc_positions.worst_leaf_rms"),
        ({"bank_a_mm": 5.0}, "delivered_fluence.gamma_pass"),
        ({"mu_percent": -10.0}, "meterset.delivered_error"),
        ({"mu_percent": -50.0}, "delivered_fluence.gamma_pass"),
        ({"jaw": "X1=40"}, "axes.jaw_largest_error"),
        ({"interrupted_at_mu": 30.0}, "meterset.planned_error"),
    ],
)
def test_what_a_log_gamma_of_others_does_not_see_is_at_action(
    tmp_path: Path, error: dict[str, Any], metric: str
) -> None:
    code, (result,) = analyze(simulate(tmp_path / "x.bin", **FIELD, **error))
    assert (code, result["verdict"]) == (1, "ACTION")
    assert number(result, metric)["verdict"] == "ACTION"


@pytest.mark.parametrize("mlc", ["millennium120", "hd120", "millennium80", "halcyon"])
@pytest.mark.parametrize("field", ["static", "sliding-window", "vmat", "picket-fence"])
def test_every_machine_s_clean_log_passes(tmp_path: Path, mlc: str, field: str) -> None:
    log = simulate(tmp_path / "x.bin", mlc=mlc, field=field, mu=100.0)
    _, (result,) = analyze(log)
    assert (result["verdict"], result["warnings"]) == ("PASS", [])


def test_an_unreadable_file_goes_before_action_and_the_others_are_still_told(
    tmp_path: Path,
) -> None:
    bad = tmp_path / "CANARY_bad.bin"
    bad.write_bytes(b"VOSTL" + bytes(100))
    worse = simulate(tmp_path / "x.bin", **FIELD, bank_a_mm=5.0)
    code, found = analyze(bad, worse)
    assert code == 65
    unreadable = next(r for r in found if r["error"])
    assert (unreadable["verdict"], unreadable["format"]) == ("INVALID", None)
    assert unreadable["error"]["code"] == "TLOG_SHORT"
    assert "CANARY" not in unreadable["error"]["message"]
    assert {r["verdict"] for r in found} == {"INVALID", "ACTION"}


def test_what_is_no_file_is_refused_without_hanging(tmp_path: Path) -> None:
    fifo = tmp_path / "x.bin"
    os.mkfifo(fifo)
    code, (result,) = analyze(fifo)
    assert (code, result["error"]["code"]) == (65, "NOT_A_FILE")
    code, (result,) = analyze(tmp_path / "none.bin")
    assert (code, result["error"]["code"]) == (65, "UNREADABLE")


@pytest.mark.parametrize("together", ["folder", "files"])
def test_log_and_text_file_make_one_result(tmp_path: Path, together: str) -> None:
    log = simulate(tmp_path / "QA_1_Plan_Beam_20260105073000.bin", **FIELD, companion=True)
    side = log.with_suffix(".txt").rename(tmp_path / "QA_1_Plan_Beam_20260105073001.txt")
    code, (result,) = analyze(*([tmp_path] if together == "folder" else [side, log]))
    assert code == 0
    assert (result["file"], result["companions"]) == (str(log), [str(side)])


def test_a_text_file_alone_is_not_judged(tmp_path: Path) -> None:
    log = simulate(tmp_path / "QA_1_Plan_Beam_20260105073000.bin", **FIELD, companion=True)
    log.unlink()
    code, (result,) = analyze(tmp_path)
    assert (code, result["verdict"]) == (0, None)
    assert "main file" in result["not_judged"]


@pytest.mark.parametrize("together", ["folder", "files", "other way round"])
def test_two_dynalog_files_make_one_result(tmp_path: Path, together: str) -> None:
    a = dynalog.simulate(tmp_path / "A_x.dlg", mu=30.0)
    b = tmp_path / "B_x.dlg"
    code, (result,) = analyze(
        *{"folder": [tmp_path], "files": [a, b], "other way round": [b, a]}[together]
    )
    assert (code, result["verdict"], result["format"]) == (0, "PASS", "varian-dynalog")
    assert (result["file"], result["companions"]) == (str(a), [str(b)])
    assert number(result, "mlc_positions.worst_leaf_rms")["limits"]["tolerance_high"] == 1.0
    not_applicable = {a["analyzer"] for a in result["analyses"] if a["not_applicable"]}
    assert not_applicable == {"axes", "plan_agreement", "machine_health"}


def test_an_arc_s_dynalog_says_what_it_does_not_carry(tmp_path: Path) -> None:
    dynalog.simulate(tmp_path / "A_x.dlg", mu=30.0, field="vmat")
    code, (result,) = analyze(tmp_path)
    assert (code, result["verdict"]) == (0, "PASS")
    not_applicable = {a["analyzer"] for a in result["analyses"] if a["not_applicable"]}
    assert not_applicable == {
        "axes",
        "delivered_fluence",
        "meterset",
        "plan_agreement",
        "machine_health",
    }
    assert all(a["failure"] is None for a in result["analyses"])


@pytest.mark.parametrize("left", ["A_x.dlg", "B_x.dlg"])
def test_half_a_dynalog_is_refused(tmp_path: Path, left: str) -> None:
    dynalog.simulate(tmp_path / "A_x.dlg", mu=30.0)
    code, (result,) = analyze(tmp_path / left)
    assert (code, result["verdict"]) == (65, "INVALID")
    assert (result["format"], result["error"]["code"]) == (None, "DLG_PAIR")


def test_the_mlc_of_a_dynalog_may_be_told(tmp_path: Path) -> None:
    a = dynalog.simulate(tmp_path / "A_x.dlg", mu=30.0, mlc="hd120")
    assert any("millennium120" in warning for warning in analyze(tmp_path)[1][0]["warnings"])
    words = ["analyze", str(a), str(tmp_path / "B_x.dlg"), "--mlc", "hd120", "--json"]
    (result,) = json.loads(RUNNER.invoke(app, words).stdout)
    assert (result["verdict"], result["warnings"]) == ("PASS", [])


def test_the_site_names_machine_and_zone_and_its_limits_judge(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("""
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "TB1"
machine_class = "truebeam"
folders = ["in"]
[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine = "TB1"
tolerance = 2.0
action = 3.0
effective_from = 2025-01-01
author = "A"
reason = "test"
""")
    (tmp_path / "in").mkdir()
    log = simulate(tmp_path / "in" / "a_20260705073000.bin", **FIELD, bank_a_mm=1.0)
    _, (result,) = analyze(log, config=site)
    assert result["machine"] == "TB1"
    assert result["performed_at"] == "2026-07-05T07:30:00+02:00"
    rms = number(result, "mlc_positions.worst_leaf_rms")
    assert rms["verdict"] == "PASS"
    assert rms["limits"]["source"] == "site: A, 2025-01-01, test"


def test_a_wrong_site_file_ends_with_78(tmp_path: Path) -> None:
    import subprocess
    import sys

    site = tmp_path / "site.toml"
    site.write_text('[site]\nname = "x"\n')
    words = [sys.executable, "-m", "qa_daemon", "status", "--config", str(site)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 78
    assert "site.time_zone" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_fault_of_ours_is_told_as_one_and_the_file_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = simulate(tmp_path / "x.bin", **FIELD)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("qa_daemon.commands.analyze.measure", fail)
    code, (result,) = analyze(log)
    assert (code, result["verdict"], result["error"]["code"]) == (70, "INVALID", "BUG")


def test_a_machine_check_gets_machine_and_time_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = mpc_csv.simulate(tmp_path)
    monkeypatch.chdir(table.parent)
    for path in (table, tmp_path, Path(table.name)):
        code, (result,) = analyze(path)
        assert (code, result["verdict"]) == (0, "PASS")
        assert (result["machine"], result["performed_at"]) == ("1234", "2026-01-05T06:45:00")
    table.write_text(table.read_text().splitlines()[0])
    code, (result,) = analyze(table)
    assert (code, result["verdict"]) == (1, "INVALID")
    assert "aborted" in result["analyses"][0]["failure"]
