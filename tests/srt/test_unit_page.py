"""The page of a kV unit: what it says, and what a physicist decides there."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

from analyzers.srt_routine import ROUTINE, Frequency
from qa_daemon.store import check_signatures, output_baselines, routine_done, unit_blocks
from tests.dashboards.visiting import Visitor
from tests.srt.units import SITE, days_ago, row, table
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


def test_a_name_with_a_slash_has_every_page_of_a_unit(tmp_path: Path) -> None:
    site = SITE.replace('name = "SRT1"', 'name = "Skin 1/2"\nserial = "SRT1"')
    bad = table(row(days_ago(1), -4.0, check_type="monthly"))
    with pages_of(tmp_path, bad, site=site) as (clinic, served):
        physicist = Visitor(served)
        physicist.sign_in()
        link = re.search(r'<a href="(/units/[^"]+)">What was found', physicist.get("/").text)
        assert link is not None
        for address in (link[1], "/units/Skin%201%2F2"):
            assert "Clear for use" in physicist.get(address).text
            assert physicist.get(f"{address}/check").status == 200
            assert physicist.get(f"{address}/output.svg?beam=70%20kV%20F2%20A30").status == 200
        (block,) = unit_blocks.open_blocks(clinic.store)
        form = {"token": physicist.token(), "block": str(block.id), "reason": "repeated"}
        assert physicist.post(f"{link[1]}/clear", form).status == 303
        assert unit_blocks.open_blocks(clinic.store) == []


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
        checked = text_of(served.get("/results/1").text)
        assert "the calibration of this electrometer was not in force on that day" in checked


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


def state_of(answer: str) -> str:
    """What stands on top of a unit's page."""
    return text_of(answer.partition('<section class="banner')[2].partition("</section>")[0])


def every_daily_test(at: datetime, value: float = 0.2) -> bytes:
    """A list in which each daily test was done."""
    items = [
        {"id": test.id, "passed": True}
        if test.is_functional
        else {"id": test.id, "value": value, "unit": test.unit}
        for test in ROUTINE
        if test.frequency is Frequency.DAILY and test.check_type is None
    ]
    told = {"schema": "qa_srt_checks", "version": "1.0", "unit_id": "SRT1"}
    more = {"datetime": at.isoformat(), "operator": "AB", "items": items}
    return json.dumps(told | more).encode()


def test_the_state_of_today_comes_first(tmp_path: Path) -> None:
    with pages_of(tmp_path, table(row(days_ago(1)))) as (clinic, served):
        said = state_of(served.get("/units/SRT1").text)
        assert "Today's checks are missing" in said.replace("&#39;", "'")
        assert "Output constancy of each kV (70 kV F2 A30)" in said

        clinic.drop("2.csv", table(row(days_ago(0.1))))
        clinic.process()
        said = state_of(served.get("/units/SRT1").text)
        assert "Checks are missing" in said and "Mandatory warm-up completed" in said
        assert "Output constancy" not in said

        clinic.drop("3.json", every_daily_test(days_ago(0.09)))
        clinic.process()
        page = served.get("/units/SRT1").text
        assert re.search(r"May treat\s+Today's checks", state_of(page).replace("&#39;", "'"))
        assert '<section class="banner pass' in page
        assert re.search(r"70 kV F2 A30 .*PASS .*today, 2026-03-02 07:36", text_of(page))

        clinic.drop("4.csv", table(row(days_ago(0.08), 3.5)))
        clinic.process()
        page = served.get("/units/SRT1").text
        assert "May treat, beyond tolerance" in state_of(page)
        assert '<section class="banner tolerance' in page

        clinic.drop("5.csv", table(row(days_ago(0.07), -5.5)))
        clinic.process()
        assert "Blocked No treatment until" in state_of(served.get("/units/SRT1").text)

        clinic.drop("6.csv", table(row(days_ago(0.06), 0.1)))
        clinic.drop("7.json", every_daily_test(days_ago(0.05), 2.5))
        clinic.process()
        for block in unit_blocks.open_blocks(clinic.store):
            unit_blocks.clear(clinic.store, block.id, "Physicist A", "looked")
        page = served.get("/units/SRT1").text
        assert "Out of limits" in state_of(page) and '<section class="banner action' in page


def test_what_happened_to_the_unit_is_in_its_trends(tmp_path: Path) -> None:
    absolute = row(days_ago(20), check_type="absolute", electrometer_sn="E2")
    other = row(days_ago(10), -4.0, kvp=50, filter_id="F1", check_type="monthly")
    site = SITE.replace('serial = "4567"', 'serial = "E2"').replace("2025-12-31", "2026-12-31")
    site = site.replace("2024-01-01", "2025-01-01")
    files = (table(absolute), table(other), table(row(days_ago(2))))
    with pages_of(tmp_path, *files, site=site) as (clinic, served):
        (block,) = unit_blocks.open_blocks(clinic.store)
        unit_blocks.clear(clinic.store, block.id, "Physicist A", "new tube <b>")
        first = min(r.id for r in clinic.queries.results_since() if r.analyses)
        output_baselines.sign(clinic.store, first, ["70 kV F2 A30"], "Physicist A", "new")
        chart = json.loads(served.get("/units/SRT1/output.json?beam=70+kV+F2+A30&days=30").text)
        said = {
            trace["name"]: trace["text"]
            for trace in chart["data"]
            if trace.get("mode") == "markers"
        }
        assert said["calibration"] == ["2026-02-10 10:00: calibration, PASS"]
        assert said["baseline signed"] == [
            "2026-02-10 10:00: baseline signed, 4.79 Gy/min, Physicist A"
        ]
        assert said["blocked"] == [
            "2026-02-20 10:00: blocked, output_deviation at 50 kV F1 A30: -4 %"
        ]
        assert said["cleared"] == ["2026-03-02 10:00: cleared, Physicist A: new tube &lt;b&gt;"]
        short = served.get("/units/SRT1/output.json?beam=70+kV+F2+A30&days=5").text
        names = {trace["name"] for trace in json.loads(short)["data"]}
        assert "cleared" in names and not names & {"calibration", "blocked", "baseline signed"}
        assert served.get("/units/SRT1/output.svg?beam=70+kV+F2+A30&days=30").status == 200


def test_a_test_of_applicators_is_no_monthly_check(tmp_path: Path) -> None:
    site = SITE.replace(
        "ssd_cm = 15}]", 'ssd_cm = 15}, {id = "A20", diameter_cm = 2, ssd_cm = 15}]'
    )
    cones = [row(days_ago(3), check_type="applicator_factor")]
    more = {"applicator_id": "A20", "applicator_diameter_cm": 2.0, "record_id": "A20"}
    cones += [row(days_ago(2.99), check_type="applicator_factor", **more)]
    with pages_of(tmp_path, table(*cones), site=site) as (clinic, served):
        assert [d.test for d in routine_done.newest(clinic.store, "SRT1")] == ["SRT.A.AF"]
        clinic.drop("2.csv", table(row(days_ago(1), check_type="monthly")))
        clinic.process()
        done = {(d.test, d.beam) for d in routine_done.newest(clinic.store, "SRT1")}
        assert done == {("SRT.A.AF", ""), ("SRT.M.OUT", "70 kV F2 A30")}
        assert "A20" not in text_of(served.get("/units/SRT1").text)
