"""The page of a kV unit: what it says, and what a physicist decides there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from qa_daemon.store import check_signatures, output_baselines, unit_blocks
from tests.dashboards.visiting import Visitor
from tests.srt.units import days_ago, row, table
from tests.srt.visited import pages_of


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_blocked_unit_is_on_every_page_until_a_physicist_clears_it(tmp_path: Path) -> None:
    bad = table(row(days_ago(1), -4.0, check_type="monthly"))
    with pages_of(tmp_path, table(row(days_ago(2))), bad) as (clinic, served):
        visitor = Visitor(served)
        for path in ("/", "/results", "/images", "/quarantine", "/about", "/units/SRT1"):
            answer = visitor.get(path)
            assert answer.status == 200
            assert "SRT1 is blocked: no treatment" in answer.text, path
        unit = text_of(visitor.get("/units/SRT1").text)
        assert "output_deviation at 70 kV F2 A30: -4 %" in unit
        assert "Clear for use" not in unit
        (block,) = unit_blocks.open_blocks(clinic.store)
        form = {"block": str(block.id), "reason": "chamber was not seated; repeated"}
        visitor.sign_in("Reader B")
        refused = visitor.post("/units/SRT1/clear", form | {"token": visitor.token()})
        assert refused.status == 403
        physicist = Visitor(served)
        physicist.sign_in()
        token = {"token": physicist.token()}
        without = physicist.post("/units/SRT1/clear", form | token | {"reason": " "})
        assert without.status == 400 and unit_blocks.open_blocks(clinic.store) == [block]
        done = physicist.post("/units/SRT1/clear", form | token)
        assert (done.status, done.headers["location"]) == (303, "/units/SRT1")
        shown = text_of(physicist.get("/units/SRT1").text)
        assert "is blocked" not in shown and "Cleared by Physicist A" in shown
        again = physicist.post("/units/SRT1/clear", form | token)
        assert again.status == 409


def test_five_percent_cannot_be_reasoned_away(tmp_path: Path) -> None:
    with pages_of(tmp_path, table(row(days_ago(1), 5.5))) as (clinic, served):
        (block,) = unit_blocks.open_blocks(clinic.store)
        physicist = Visitor(served)
        physicist.sign_in()
        assert "a full calibration is demanded" in physicist.get("/units/SRT1").text
        form = {"token": physicist.token(), "block": str(block.id), "reason": "no"}
        answer = physicist.post("/units/SRT1/clear", form)
        assert answer.status == 409 and "a later check of this beam" in answer.text


def test_a_physicist_signs_checks_and_baselines(tmp_path: Path) -> None:
    checks = table(row(days_ago(40), 1.0), row(days_ago(2), 1.0))
    with pages_of(tmp_path, checks) as (clinic, served):
        physicist = Visitor(served)
        physicist.sign_in()
        shown = text_of(physicist.get("/units/SRT1").text)
        assert "2 checks wait for a physicist&#39;s signature" in shown.replace("'", "&#39;")
        assert re.search(r"PASS overdue .* PASS waits", shown)
        waiting = [one.result for one in check_signatures.unsigned(clinic.store, "SRT1")]
        token = {"token": physicist.token()}
        numbers = ",".join(map(str, waiting))
        answer = physicist.post(
            "/units/SRT1/sign", token | {"results": numbers, "reason": "reviewed"}
        )
        assert answer.status == 303
        assert check_signatures.unsigned(clinic.store, "SRT1") == []
        assert "No check of the last 400 days waits" in physicist.get("/units/SRT1").text
        result = physicist.get(f"/results/{waiting[1]}").text
        assert "Signed by Physicist A" in result and "controller" not in result.split("<footer")[0]
        answer = physicist.post(
            "/units/SRT1/baseline",
            token | {"do": "sign", "result": str(waiting[1]), "reason": "commissioned"},
        )
        assert answer.status == 303
        (baseline,) = output_baselines.every(clinic.store, "SRT1")
        shown = text_of(physicist.get("/units/SRT1").text)
        assert "70 kV F2 A30, air kerma 4.838 Gy/min" in shown
        withdrawn = {"do": "withdraw", "baseline": str(baseline.id), "reason": "wrong chamber"}
        assert physicist.post("/units/SRT1/baseline", token | withdrawn).status == 303
        assert "withdrawn" in physicist.get("/units/SRT1").text


REFUSED: tuple[tuple[str, dict[str, str], int], ...] = (
    ("/units/SRT1/sign", {"results": "1,2,77", "reason": "r"}, 409),
    ("/units/SRT1/sign", {"results": "x", "reason": "r"}, 400),
    ("/units/SRT1/baseline", {"do": "sign", "result": "999", "reason": "r"}, 404),
    ("/units/SRT1/baseline", {"do": "withdraw", "baseline": "9", "reason": "r"}, 409),
    ("/units/SRT1/baseline", {"do": "", "reason": "r"}, 400),
    ("/units/TB1/sign", {"results": "1", "reason": "r"}, 404),
)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pages_of(tmp_path, table(row(days_ago(2)))) as (_, served):
        physicist = Visitor(served)
        physicist.sign_in()
        token = {"token": physicist.token()}
        found = [physicist.post(path, form | token).status for path, form, _ in REFUSED]
        assert found == [status for *_, status in REFUSED]


def test_what_is_due_and_which_calibration_is_over(tmp_path: Path) -> None:
    with pages_of(tmp_path, table(row(days_ago(1)))) as (_, served):
        shown = text_of(served.get("/units/SRT1").text)
        assert "due Output constancy of each kV 70 kV F2 A30 daily 2026-03-01" in shown
        assert "never done Half-value layer of each kV annual \N{EN DASH} now" in shown
        assert re.search(r"electrometer any 2024-01-01 2025-12-31 out of calibration", shown)
        assert "chamber PTW 23342 2025-06-01 2027-06-01 in force" in shown


def test_a_beams_chart_shows_its_own_points_alone(tmp_path: Path) -> None:
    other = row(days_ago(2), 3.5, kvp=50, filter_id="F1", reference_output=4.79)
    with pages_of(tmp_path, table(row(days_ago(3)), other)) as (_, served):
        chart = served.get("/units/SRT1/output.json?beam=70+kV+F2+A30&days=30").text
        names = {trace["name"] for trace in json.loads(chart)["data"]}
        assert names == {"tolerance", "action", "PASS"}
        chart = served.get("/units/SRT1/output.json?beam=50+kV+F1+A30&days=30").text
        assert {trace["name"] for trace in json.loads(chart)["data"]} >= {"TOLERANCE"}
        picture = served.get("/units/SRT1/output.svg?beam=70+kV+F2+A30&days=30")
        assert picture.status == 200 and picture.text.startswith("<svg")
        assert served.get("/units/TB9").status == 404
        assert served.get("/units/SRT1/output.svg?beam=x&days=99999").status == 422
