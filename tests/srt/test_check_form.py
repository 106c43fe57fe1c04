"""The form of a check over HTTP: who may, what is refused where, and what it makes of readings."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from qa_daemon.model import Verdict
from qa_daemon.store import output_baselines, unit_blocks
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import audit as audit_rows
from tests.dashboards.visiting import Visitor
from tests.ingest.clinic import Clinic
from tests.srt.checked import (
    ANSWERS,
    BASELINE,
    BEAM,
    CHECK,
    READINGS,
    WITH_FACTOR,
    fields_of,
    filled,
    signed,
    text_of,
    therapist,
    unit_of,
)
from tests.srt.units import FACTOR, days_ago, row, table

WORKED = "2.345;2.347;2.344"
"""Readings of the worked example: 4.79373 Gy/min, +0.08 % of 4.79."""


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A therapist at a unit with a signed baseline, for what stores nothing."""
    with unit_of(tmp_path_factory.mktemp("unit"), BASELINE) as (clinic, served):
        signed(clinic)
        visitor = therapist(served)
        before = fingerprint_of(clinic)
        yield visitor
        assert fingerprint_of(clinic) == before


def fingerprint_of(clinic: Clinic) -> list[object]:
    """Everything that a check could change."""
    folder = clinic.site.state_dir
    with clinic.store.read() as connection:
        trail = connection.execute(select(audit_rows.c.seq)).all()
    names = sorted(p.name for p in (folder / "inbox").rglob("*")) if folder.exists() else []
    return [len(trail), clinic.queries.counts(), names]


def judged(clinic: Clinic, fmt: str) -> list[StoredResult]:
    clinic.process()
    return [r for r in clinic.queries.results_since() if r.format == fmt]


def _reading(off_percent: float) -> str:
    """Of an output so many percent above 4.79 Gy/min."""
    return f"{4.79 / 2.0 / FACTOR * (1 + off_percent / 100):.6f}"


def numbers_of(result: StoredResult) -> dict[str, float]:
    return {m.metric: m.value for a in result.analyses for m in a.measurements}


def test_therapists_and_physicists_enter_checks_and_readers_do_not(tmp_path: Path) -> None:
    with unit_of(tmp_path) as (_, served):
        stranger = Visitor(served).get(CHECK)
        assert stranger.status == 303
        assert stranger.headers["location"] == "/sign-in?next=%2Funits%2FSRT1%2Fcheck"
        for name in ("Therapist T", "Physicist A"):
            assert therapist(served, name).get(CHECK).status == 200
        reader = therapist(served, "Reader B")
        assert reader.get(CHECK).status == 403
        refused = reader.post(CHECK, {"token": reader.token(), "kind": "daily", "do": "save"})
        assert refused.status == 403 and "For therapists and physicists" in refused.text
        # A therapist decides nothing, and does not see who a patient is.
        visitor = therapist(served)
        form = {"token": visitor.token(), "block": "1", "reason": "r"}
        assert visitor.post("/units/SRT1/clear", form).status == 403
        assert visitor.get("/units/TB9/check").status == 404


def test_a_new_form_holds_what_the_last_check_was_made_with_and_no_reading(tmp_path: Path) -> None:
    with unit_of(tmp_path, BASELINE) as (clinic, served):
        visitor = therapist(served)
        fields = fields_of(visitor.get(CHECK))
        assert (fields["kind"], fields["chamber"]) == ("daily", "0123")
        assert fields["electrometer"] == ""  # the only one is out of calibration
        assert (fields["r1-is"], fields["r1-n"], fields["r1-timer"]) == ("70 kV F2", "3", "30")
        assert (fields["r0-is"], fields["r0-n"], fields["r0-timer"]) == ("50 kV F1", "3", "")
        assert fields["r1-applicator"] == "A30" and fields["at"] == "2026-03-02T10:00"
        typed = ("temperature", "pressure", "r1-m0", "r1-m1", "r1-m2")
        assert [fields[name] for name in typed] == [""] * 5 and "pressure-unit" not in fields
        assert "No signed baseline" in text_of(visitor.get(CHECK))
        signed(clinic)
        assert "Baseline 4.79 Gy/min (air kerma), 2026-02-25" in text_of(visitor.get(CHECK))


def test_the_worked_example_is_judged_before_anything_is_stored(tmp_path: Path) -> None:
    with unit_of(tmp_path, BASELINE) as (clinic, served):
        signed(clinic)
        visitor = therapist(served)
        fields = filled(visitor, READINGS, ANSWERS)
        before = fingerprint_of(clinic)
        answer = visitor.post(CHECK, fields | {"do": "check"})
        shown = text_of(answer)
        assert answer.status == 200
        assert "PASS for what was checked" in shown and "+0.078 %" in shown.replace("\u202f", " ")
        assert "M_raw 2.345333 nC mean reading of 3" in shown
        assert "P_TP 1.021972 air density: 21.4 °C, 99.62 kPa; certificate 20 °C" in shown
        assert "N_K 1e+09 Gy/C" in shown and "tolerance ±" in shown
        assert "Not measured: 50 kV F1. Do not treat with it today." in shown
        assert "Not answered" not in shown and "Backup timer shows the set time: +0.333" in shown
        assert "calibration of this electrometer was not in force" in shown
        clinic.process()
        assert fingerprint_of(clinic) == before
        # All that was typed still stands in the form.
        assert {name: fields_of(answer)[name] for name in fields} == fields


@pytest.mark.parametrize("kind", ["daily", "monthly"])
def test_an_instrument_out_of_calibration_is_told_before_saving(unit: Visitor, kind: str) -> None:
    """What a daily check only says refuses a monthly one, which has to be traceable."""
    fields = filled(unit, READINGS) | {"kind": kind, "do": "check"}
    shown = text_of(unit.post(CHECK, fields))
    assert "the calibration of this electrometer was not in force on that day" in shown
    is_refused = "a check of kind monthly needs one that holds" in shown
    assert is_refused == ("This is no pass." in shown) == (kind == "monthly")
    assert ("PASS for what was checked" in shown) == (kind == "daily")


def test_saved_it_is_what_the_table_of_the_same_readings_gives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with unit_of(tmp_path, BASELINE) as (clinic, served):
        signed(clinic)
        visitor = therapist(served)
        fields = filled(visitor, READINGS, ANSWERS, {"comment": "CANARY REMARK"})
        saved = visitor.post(CHECK, fields | {"do": "save"})
        assert saved.status == 303
        page = saved.headers["location"]
        waiting = visitor.get(page).text
        assert "Being judged" in waiting
        # By its address: with the form's fragment in it, a browser would load nothing again.
        (again,) = re.findall(r'http-equiv="refresh" content="1; url=([^"]+)"', waiting)
        assert html.unescape(again) == page
        (output,) = judged(clinic, "srt-output-json")
        (checks,) = judged(clinic, "srt-checks-json")
        numbers = numbers_of(output)
        assert numbers["output"] == pytest.approx(4.79373, abs=5e-6)
        assert numbers["output_deviation"] == pytest.approx(0.08, abs=0.005)
        assert (output.machine, output.verdict) == ("SRT1", Verdict.PASS)
        assert numbers_of(checks)["backup_timer_error"] == pytest.approx(100 / 300, abs=1e-4)
        clinic.drop("same.csv", table(row(days_ago(0), readings_nc=WORKED)))
        of_table = judged(clinic, "srt-output-csv")[0]
        assert numbers_of(of_table) == pytest.approx(numbers, rel=1e-12)
        shown = text_of(visitor.get(page))
        assert shown.count("PASS") == 2 and "Being judged" not in shown
        assert f"Result {output.id}" in shown and "Still due" not in shown
        # Who entered it is in the record by initials, and by name in the audit trail alone.
        record = json.loads(clinic.archive.path_of(output.sha256).read_bytes())["records"][0]
        assert (record["operator"], record["comment"]) == ("TT", "CANARY REMARK")
        assert "reference_output" not in record  # the signed baseline is the reference
        with clinic.store.read() as connection:
            done = connection.execute(select(audit_rows).order_by(audit_rows.c.seq.desc())).all()
        (entered,) = [r for r in done if r.action == "check entered"]
        assert entered.actor == "Therapist T" and output.sha256 in entered.detail
    for secret in ("CANARY", "Therapist", "TT", "0123", "2.345"):
        assert not any(secret in r.getMessage() for r in caplog.records), secret


def test_sent_twice_it_is_one_check(tmp_path: Path) -> None:
    with unit_of(tmp_path, BASELINE) as (clinic, served):
        visitor = therapist(served)
        fields = filled(visitor, READINGS) | {"do": "save"}
        first, second = visitor.post(CHECK, fields), visitor.post(CHECK, fields)
        assert first.headers["location"] == second.headers["location"]
        clinic.process()
        due = text_of(visitor.get(first.headers["location"])).partition("Still due")[2]
        assert "Door interlock" in due and "70 kV" in due  # no baseline, no judged output
        third = visitor.post(CHECK, fields)  # the answer was lost, and it is sent again
        assert third.headers["location"] == first.headers["location"]
        assert len(judged(clinic, "srt-output-json")) == 1
        # A check that is really repeated is another one.
        visitor.post(CHECK, filled(visitor, READINGS) | {"do": "save"})
        assert len(judged(clinic, "srt-output-json")) == 2


@pytest.mark.parametrize(
    ("off_percent", "word", "sentence"),
    [
        (1.0, "PASS", "In its limits."),
        (-4.0, "TOLERANCE", "repeat once what is marked, and tell the physicist"),
        (5.5, "ACTION", "More than 5 % off: unless a repeat is in its limits, a full calibration"),
    ],
)
def test_the_verdict_says_what_to_do(
    unit: Visitor, off_percent: float, word: str, sentence: str
) -> None:
    fields = filled(unit, READINGS, {f"r1-m{k}": _reading(off_percent) for k in range(3)})
    shown = text_of(unit.post(CHECK, fields | {"do": "check"}))
    assert f"70 kV F2 A30 {word}" in shown and sentence in shown


def test_a_pass_that_is_not_as_usual_is_told_before_it_is_saved(tmp_path: Path) -> None:
    """2.6 % is in the limit of 3 %, and 0.2 % is what this beam was for a month."""
    days = [
        table(row(days_ago(30 - k), readings_nc=";".join([_reading(0.2 * (-1) ** k)] * 3)))
        for k in range(26)
    ]
    with unit_of(tmp_path, *days) as (clinic, served):
        clinic.process()
        first = clinic.queries.results_since(limit=100)[-1]
        output_baselines.sign(clinic.store, first.id, [BEAM], "Physicist A", "as new")
        visitor = therapist(served)
        for off_percent, is_told in ((0.3, False), (2.6, True)):
            typed = {f"r1-m{k}": _reading(off_percent) for k in range(3)}
            fields = filled(visitor, READINGS, typed)
            shown = text_of(visitor.post(CHECK, fields | {"do": "check"}))
            assert f"{BEAM} PASS" in shown
            assert ("Not as usual" in shown) is is_told


def test_an_action_that_is_saved_blocks_the_unit(tmp_path: Path) -> None:
    with unit_of(tmp_path, BASELINE) as (clinic, served):
        signed(clinic)
        visitor = therapist(served)
        fields = filled(visitor, READINGS, {f"r1-m{k}": "2.55" for k in range(3)})
        visitor.post(CHECK, fields | {"do": "check"})
        assert unit_blocks.open_blocks(clinic.store) == []
        saved = visitor.post(CHECK, fields | {"do": "save"})
        (result,) = judged(clinic, "srt-output-json")
        assert result.verdict is Verdict.ACTION
        assert len(unit_blocks.open_blocks(clinic.store)) == 1
        assert "Do not treat: the unit is blocked" in text_of(
            visitor.get(saved.headers["location"])
        )


def test_without_a_baseline_nothing_is_passed(tmp_path: Path) -> None:
    with unit_of(tmp_path) as (clinic, served):
        visitor = therapist(served)
        fields = filled(visitor, READINGS, ANSWERS)
        shown = text_of(visitor.post(CHECK, fields | {"do": "check"}))
        banner = shown.partition("stores nothing")[2] or shown
        assert "not judged Nothing here was judged, so nothing is passed" in banner
        assert "Not judged: no signed baseline for this beam" in banner
        visitor.post(CHECK, fields | {"do": "save"})
        (result,) = judged(clinic, "srt-output-json")
        assert result.verdict is None


def test_a_no_is_at_action(unit: Visitor) -> None:
    answers = ANSWERS | {"t-SRT.D.SAF.DOOR": "no"}
    shown = text_of(unit.post(CHECK, filled(unit, answers) | {"do": "check"}))
    assert "ACTION Do not treat." in shown
    assert re.search(r"ACTION Door interlock[^:]*: no", shown)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("pressure", "760", "That looks like mmHg: choose mmHg."),
        ("pressure", "1013", "That looks like hPa: choose hPa."),
        ("pressure", "29.92", "That looks like inHg: choose inHg."),
        ("pressure", "", "Type a number here."),
        ("pressure-unit", "", "Choose the unit that the barometer shows."),
        ("pressure-unit", "mmHg", "That looks like kPa: choose kPa."),
        ("temperature", "74", "74 °C cannot be: 15 to 35 °C. That looks like °F: type 23.3."),
        ("temperature", "295", "That looks like K: type 21.9."),
        ("temperature", "21.4 C", "This is no number"),
        ("r1-m0", "1,234.5", "without a mark for thousands"),
        ("r1-m0", "-2.345", "without its sign"),
        ("r1-m0", "23.45", "The largest reading is 10 times the smallest"),
        ("r1-m0", "0", "more than 0 nC"),
        ("r1-m2", "", "Type this reading too, or take the field away."),
        ("r1-timer", "0.2", "0.2 s cannot be: 0.6 to 3600 s."),
        ("r1-timer", "nan", "This is no number"),
        ("r1-applicator", "B9", "Choose the applicator."),
        ("electrometer", "", "Choose the electrometer that was used."),
        ("chamber", "9999", "Choose the chamber that was used."),
        ("at", "2026-03-02T10:06", "That is still to come"),
        ("at", "2026-02-01T10:00", "more than a week ago"),
        ("at", "yesterday", "Type when it was measured"),
        ("t-SRT.D.TIMER.BACKUP-set", "30", "Type a number here."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    unit: Visitor, name: str, text: str, sentence: str
) -> None:
    fields = filled(unit, READINGS, {name: text})
    for do in ("check", "save"):
        answer = unit.post(CHECK, fields | {"do": do})
        assert answer.status == 422
        beside = re.findall(r'id="([^"]+)-said" aria-live="polite">([^<]+)</p>', answer.text)
        said = {where: what for where, what in beside if what.strip()}
        (where,) = said
        assert sentence in said[where]
        assert where.partition("-")[0] == name.partition("-")[0]
        assert f'id="{where}" name="{where}"' in answer.text
        listed = ("r1-applicator", "chamber")  # what is no choice cannot stay chosen
        kept = fields | ({name: ""} if name in listed else {})
        assert {key: fields_of(answer).get(key, "") for key in kept} == kept


@pytest.mark.parametrize(
    ("text", "in_unit", "kpa"),
    [("996,2", "hPa", "99.62"), ("747", "mmHg", "99.5915"), ("29.42", "inHg", "99.6276")],
)
def test_pressure_in_other_units(unit: Visitor, text: str, in_unit: str, kpa: str) -> None:
    fields = filled(unit, READINGS, {"pressure": text, "pressure-unit": in_unit})
    assert f"21.4 °C, {kpa} kPa" in text_of(unit.post(CHECK, fields | {"do": "check"}))


def test_760_hpa_is_doubted(unit: Visitor) -> None:
    fields = filled(unit, READINGS, {"pressure": "760", "pressure-unit": "hPa"})
    shown = text_of(unit.post(CHECK, fields | {"do": "check"}))
    assert "If the barometer shows mmHg, choose mmHg." in shown


def test_buttons_without_javascript_add_and_take_away_fields(unit: Visitor) -> None:
    fields = filled(unit, READINGS)
    more = fields_of(unit.post(CHECK, fields | {"do": "add:1"}))
    assert more == fields | {"r1-n": "4", "r1-m3": ""}
    fewer = fields_of(unit.post(CHECK, more | {"do": "drop:1"}))
    assert fewer == fields
    settings = filled(unit, kind="linearity")
    assert "r3-m0" in settings and "r4-m0" not in settings
    assert "r4-m0" in fields_of(unit.post(CHECK, settings | {"do": "more"}))


def test_a_form_that_is_not_ours_is_refused(unit: Visitor) -> None:
    fields = filled(unit, READINGS) | {"do": "save"}
    for more, status in (
        ({"key": "x"}, 400),
        ({"r1-m7": "9.9"}, 400),  # a reading that no field shows
        ({"r1-is": "100 kV F3"}, 409),
        ({"kind": "warm"}, 404),
        ({"token": "x"}, 403),
        ({f"x{k}": "" for k in range(601)}, 400),
    ):
        assert unit.post(CHECK, fields | more).status == status, more
    assert unit.get(f"{CHECK}/saved?of=../x").status == 404
    assert unit.get(f"{CHECK}?kind=x").status == 404


def test_other_kinds_are_measured_as_their_tables_are(tmp_path: Path) -> None:
    room = {name: READINGS[name] for name in READINGS if not name.startswith("r1-")}
    # In logarithms: 100, 71.5, 54.2, 42.9 behind 0, 0.5, 1, 1.5 mm Al are 1.1725 mm Al.
    layers = {"beam": "70 kV F2"} | {f"r{k}-timer": "30" for k in range(4)}
    for k, (absorber, charge) in enumerate(((0, 100), (0.5, 71.5), (1, 54.2), (1.5, 42.9))):
        layers |= {f"r{k}-absorber_mm_al": str(absorber)}
        layers |= {f"r{k}-m{m}": str(charge) for m in range(3)}
    # By the algebra of two times: M(1 min) = 24.00, M(2 min) = 48.02 give eps = -0.000833 min.
    times = {"beam": "70 kV F2", "r0-timer": "60", "r1-timer": "120"}
    times |= {f"r0-m{m}": "24.00" for m in range(3)} | {f"r1-m{m}": "48.02" for m in range(3)}
    factors = {"beam": "70 kV F2", "r0-timer": "30", "r1-timer": "30"}
    factors |= {f"r0-m{m}": "2.0" for m in range(3)} | {f"r1-m{m}": "2.1" for m in range(3)}
    in_force = "2025-01-01\nexpires = 2026-12-31"
    site = WITH_FACTOR.replace("2024-01-01\nexpires = 2025-12-31", in_force)
    with unit_of(tmp_path, site=site) as (clinic, served):
        visitor = therapist(served)
        found: dict[str, float] = {}
        for kind, typed in (("hvl", layers), ("timer", times), ("applicator_factor", factors)):
            fields = filled(visitor, room, typed, kind=kind) | {"do": "save"}
            answer = visitor.post(CHECK, fields)
            assert answer.status == 303, text_of(answer)
        for result in judged(clinic, "srt-output-json"):
            found |= numbers_of(result)
        assert found["hvl"] == pytest.approx(1.1725, abs=5e-5)
        assert found["end_effect"] == pytest.approx(-0.000833 * 60, abs=5e-5)
        assert found["applicator_factor"] == pytest.approx(1.05)


def test_the_factors_are_those_of_the_check_that_was_signed(tmp_path: Path) -> None:
    reading = "2.341234"
    lines = table(row(days_ago(5), readings_nc=reading, reference_output="")).decode().splitlines()
    lines[0] += ",p_ion,p_elec,timer_end_effect_s"
    lines[1] += ",1.005,1.002,0.06"
    with unit_of(tmp_path, "\n".join([*lines, ""]).encode()) as (clinic, served):
        signed(clinic)
        visitor = therapist(served)
        fields = filled(visitor, READINGS, {"r1-n": "1", "r1-m0": reading})
        fields = {name: text for name, text in fields.items() if name not in ("r1-m1", "r1-m2")}
        shown = text_of(visitor.post(CHECK, fields | {"do": "check"}))
        assert "70 kV F2 A30 PASS 0 %" in shown.replace("\u202f", " ")
        assert "P_ion 1.005 recombination P_pol 1 polarity; not stated P_elec 1.002" in shown
        assert "eps 0.06 s" in shown


def test_a_factor_of_another_instrument_is_not_taken_over(tmp_path: Path) -> None:
    lines = table(row(days_ago(5), electrometer_sn="9", reference_output="")).decode().splitlines()
    lines[0] += ",p_elec"
    lines[1] += ",1.002"
    with unit_of(tmp_path, "\n".join([*lines, ""]).encode()) as (clinic, served):
        signed(clinic)
        visitor = therapist(served)
        fields = filled(visitor, READINGS, {"r1-n": "3"}) | {"do": "check"}
        shown = text_of(visitor.post(CHECK, fields))
        assert "P_elec 1 electrometer; not stated" in shown
        assert "p_elec of the signed check belong to another instrument" in shown


def test_a_unit_without_registry_says_what_is_missing(tmp_path: Path) -> None:
    bare = re.sub(r"\[machine\.srt\].*", "", BARE, flags=re.DOTALL)
    with unit_of(tmp_path, site=bare) as (_, served):
        visitor = therapist(served)
        shown = text_of(visitor.get(CHECK))
        assert "Readings cannot be typed in yet" in shown and "n_k_gy_per_c" in shown
        answers = visitor.post(CHECK, filled(visitor, ANSWERS) | {"do": "check"})
        assert "PASS" in text_of(answers)  # the tests of the routine can be answered


BARE = """
[site]
name = "Test"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "SRT1"
machine_class = "srt"
folders = ["in"]
[machine.srt]
"""
