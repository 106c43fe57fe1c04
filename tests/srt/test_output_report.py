"""The printed report of a check: every factor that the report of TG-61 has, and who may have it."""

from __future__ import annotations

import hashlib
import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from analyzers.output_checks import CheckType
from dashboards.reports import check_record
from dashboards.reports.check_record import CannotReport, Source
from dashboards.reports.output_report import TITLES, output_report
from qa_daemon.__main__ import app
from qa_daemon.simulate import srt_output_csv
from qa_daemon.store import check_signatures, output_baselines, unit_blocks
from qa_daemon.store.schema import results
from tests.dashboards.visiting import LINE, PEOPLE, Visitor
from tests.ingest.clinic import Clinic
from tests.output_tables import EXAMPLE
from tests.reports.paper import facts_of, laid_out, pages_of
from tests.srt.units import SITE, clinic_of, days_ago, row, table
from tests.srt.visited import pages_of as served_of

HOSTILE = '#import "x": *'
SIMULATED = SITE.replace(
    'applicators = [{id = "A30", diameter_cm = 3.0, ssd_cm = 15}]\n', ""
).replace("2024-01-01\nexpires = 2025-12-31", "2025-01-01\nexpires = 2026-12-31")
"""With every applicator that is simulated, and an electrometer whose calibration holds."""
PERSON = '[[person]]\nname = "T"\npassword_file = "t"\nrole = "therapist"\ninitials = "AB"\n'
TO_WATER = {
    "n_k_gy_per_c": "4.500e7",
    "bsf": "1.137125",
    "mu_en_ratio": "1.0185",
    "p_ion": "1.001",
    "readings_nc": "2.000",
    "temperature_c": "24.0",
    "pressure_kpa": "98.5",
    "t_ref_c": "22.0",
    "timer_set_s": "60",
    "reference_output": "0.1080",
    "n_k_hvl_mm_al": "1.10",
}
"""The chain of standards.md 3.1 as a minute: M_raw 2.000e-9 C, P_TP 1.03565, 0.10806 Gy."""
CHECKS = (
    b'{"schema": "qa_srt_checks", "version": "1.0", "unit_id": "SRT1",'
    b'"datetime": "2026-03-01T07:31:00+01:00", "operator": "AB", "items": ['
    b'{"id": "SRT.D.SAF.DOOR", "passed": true}, {"id": "SRT.D.WARMUP", "passed": false},'
    b'{"id": "SRT.D.TIMER.BACKUP", "value": 1.5, "unit": "%"}]}'
)


def example(**changed: str) -> bytes:
    """The worked example of formats.md 7.1 as a file."""
    cells = {**EXAMPLE, **changed}
    return f"{','.join(cells)}\n{','.join(cells.values())}\n".encode()


def source_of(clinic: Clinic) -> Source:
    return Source(clinic.site, clinic.store, clinic.queries, clinic.archive)


def taken(clinic: Clinic, content: bytes, name: str = "c.csv") -> int:
    clinic.drop(name, content)
    clinic.process()
    return clinic.queries.last_result_id()


def text_of(clinic: Clinic, result: int, folder: Path) -> str:
    return " ".join(" ".join(pages_of(output_report(source_of(clinic), result), folder)).split())


def test_the_worked_example_with_every_factor(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path, SITE + PERSON)
    result = taken(clinic, example())
    said = text_of(clinic, result, tmp_path)
    sha256 = hashlib.sha256(example()).hexdigest()
    for part in (
        "Daily output check PASS",
        "Test Performed 2026-02-03 07:31 CET",
        "Performed by AB (therapist)",
        "70 kV F2 A30 SRT.D.OUT 4.7937 4.7900 +0.08",
        "mean / nC 2.34533",
        "room / °C 21.40",
        "room / kPa 99.620",
        "certificate / °C 20.00",
        "certificate / kPa 101.325",
        "air density 1.02197",
        "recombination 1.00000",
        "corrected / nC 2.39687",
        "air kerma / (Gy/C) 1.0000 \N{MULTIPLICATION SIGN} 10⁹",
        "Result / (Gy/min) 4.7937",
        "chamber PTW 23342 0123 2025-06-01 2027-06-01 in force, 483 days left",
        "electrometer any 4567 2024-01-01 2025-12-31 OUT OF CALIBRATION",
        "stated in the file, not signed",
        "Output constancy of each kV",
        f"File, SHA-256 {sha256}",
        "Not signed in QA Daemon.",
        "page 1 of 2",
    ):
        assert part in said, part
    assert "stem 1.00000 †" in said and "end effect / s 0.000 †" in said
    assert "SUPERSEDED" not in said and "CLEARED" not in said


def test_dose_to_water_has_backscatter_and_absorption(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path, SITE.replace("t_ref_c = 20.0", "t_ref_c = 22.0"))
    result = taken(clinic, example(**TO_WATER))
    said = text_of(clinic, result, tmp_path)
    for part in (
        "air density 1.03565",
        "recombination 1.00100",
        "air kerma / (Gy/C) 4.5000 \N{MULTIPLICATION SIGN} 10⁷",
        "its beam quality 1.1 mm Al",
        "backscatter 1.13712",
        "water to air 1.01850",
        "Quantity dose to water",
        "Result / (Gy/min) 0.1081",
        "Component of the dose to water rate",
    ):
        assert part in said, part


def test_equal_records_give_equal_bytes_and_a_signature_changes_them(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path)
    result = taken(clinic, example())
    first = output_report(source_of(clinic), result)
    assert output_report(source_of(clinic), result) == first
    check_signatures.sign(clinic.store, [result], "Physicist A", "reviewed")
    second = output_report(source_of(clinic), result)
    assert second != first == first
    said = " ".join(pages_of(second, tmp_path)[-1].split())
    assert "Signed in QA Daemon by Physicist A, 2026-03-02 10:00:00 CET: reviewed" in said
    letter = output_report(source_of(clinic), result, "us-letter")
    assert "612 x 792 pts (letter)" in facts_of(letter, tmp_path)["Page size"]


def test_blocked_cleared_and_superseded_stand_first(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path)
    result = taken(clinic, table(row(days_ago(1), -5.5), row(days_ago(0.9))))
    said = text_of(clinic, result, tmp_path)
    assert "NOT CLEARED: no treatment" in said and "a full calibration" in said
    (block,) = unit_blocks.open_blocks(clinic.store)
    later = taken(clinic, table(row(days_ago(0.1))), "d.csv")
    assert unit_blocks.open_blocks(clinic.store) == [block]
    unit_blocks.clear(clinic.store, block.id, "Physicist A", HOSTILE)
    said = text_of(clinic, result, tmp_path)
    assert f"Cleared by Physicist A, 2026-03-02 10:00:00 CET: {HOSTILE}" in said
    with clinic.store.write() as connection:
        values = {"active": False, "superseded_by": later}
        connection.execute(update(results).where(results.c.id == result).values(values))
    said = text_of(clinic, result, tmp_path)
    assert f"SUPERSEDED by result {later}" in said
    assert said.index("SUPERSEDED") < said.index("Outputs")


def test_a_signed_baseline_is_named_and_one_signed_later_is_not(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path)
    first = taken(clinic, table(row(days_ago(40), 1.0)))
    beam = ["70 kV F2 A30"]
    output_baselines.sign(clinic.store, first, beam, "Physicist A", "commissioned")
    second = taken(clinic, table(row(days_ago(2), 2.0)), "d.csv")
    said = text_of(clinic, second, tmp_path)
    assert f"signed by Physicist A, in force from 2026-01-21, from result {first}" in said
    assert "4.8858 4.8379 +0.99 " in said
    assert "stated in the file, not signed" in text_of(clinic, first, tmp_path)


def test_several_outputs_of_a_beam_each_have_their_own(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path)
    rows = [row(days_ago(1 - k / 100), off, record_id=f"R{k}") for k, off in enumerate((0, 4, 1))]
    result = taken(clinic, table(*rows))
    said = text_of(clinic, result, tmp_path)
    assert "+4.00 " in said and said.count("70 kV F2 A30 SRT.D.OUT") == 3
    assert "does not get the stored number" not in said


def test_every_kind_of_check_has_a_title() -> None:
    assert set(TITLES) == set(CheckType)


def test_every_other_kind_of_check_that_is_simulated_has_a_report(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path, SIMULATED)
    for number, kind in enumerate(k for k in CheckType if k is not CheckType.WARMUP):
        at = days_ago(250 - 10 * number)
        path = tmp_path / "made.csv"
        srt_output_csv.simulate(path, check=kind.value, kvp="70", begun_at=at.isoformat())
        result = taken(clinic, path.read_bytes(), f"{kind.value}.csv")
        said = text_of(clinic, result, tmp_path)
        assert TITLES[kind] in said, kind
        assert "does not get" not in said and "70 kV F2" in said, kind


def test_what_cannot_be_recomputed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = clinic_of(tmp_path)
    result = taken(clinic, example())
    with monkeypatch.context() as patched:
        patched.setattr(check_record, "rate_gy_per_min", lambda _: 4.8)
        assert "does not get the stored number of: 70 kV F2 A30" in text_of(
            clinic, result, tmp_path
        )
    stored = clinic.queries.result(result)
    assert stored is not None
    path = clinic.archive.path_of(stored.sha256)
    path.chmod(0o600)
    path.write_bytes(example(readings_nc="2.345;2.347;2.345"))
    said = text_of(clinic, result, tmp_path)
    assert "or it was damaged" in said and "2.34567" not in said and "PASS" in said
    path.unlink()
    assert "is not in the archive any more" in text_of(clinic, result, tmp_path)


def test_a_list_of_routine_tests(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path, SITE + PERSON)
    result = taken(clinic, CHECKS, "c.json")
    said = text_of(clinic, result, tmp_path)
    assert "Routine checks" in said and "Performed by AB (therapist)" in said
    said = said.replace("\N{EN DASH}", "-")
    assert "SRT.D.WARMUP Mandatory warm-up completed - not in order - - ACTION" in said
    assert "SRT.D.TIMER.BACKUP" in said and "TOLERANCE" in said
    assert "NOT CLEARED" in said


def test_hostile_texts_and_500_rows(tmp_path: Path) -> None:
    site = SITE.replace('name = "Test"', "name = 'Clinic #eval(\"1\") $ \\\\ *b*'")
    clinic = clinic_of(tmp_path, site)
    rows = [
        row(days_ago(1 - k / 4000), record_id=f"#[{k}]$" + "W" * 40, operator="=cmd()")
        for k in range(500)
    ]
    result = taken(clinic, table(*rows))
    pages = laid_out(output_report(source_of(clinic), result), tmp_path)
    said = " ".join(" ".join(pages).replace("\u200b", "").split())
    assert len(pages) > 60
    assert 'Clinic #eval("1") $ \\\\ *b*' in said and "'=cmd()" in said
    assert said.count("70 kV F2 A30 SRT.D.OUT") == 500


def test_no_remark_is_printed_and_only_checks_have_a_report(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path)
    result = taken(clinic, example(comment="PATIENT4711 was here"))
    assert "PATIENT4711" not in text_of(clinic, result, tmp_path)
    for number in (result + 1, taken(clinic, b"no,check\n1,2\n", "e.csv")):
        with pytest.raises(CannotReport):
            output_report(source_of(clinic), number)


def test_people_who_are_signed_in_may_have_it(tmp_path: Path) -> None:
    with served_of(tmp_path, table(row(days_ago(1)))) as (clinic, served):
        path = f"/units/SRT1/report/{clinic.queries.last_result_id()}.pdf"
        visitor = Visitor(served)
        assert path in visitor.get(f"/results/{clinic.queries.last_result_id()}").text
        answer = visitor.get(path)
        assert answer.status == 303 and answer.headers["location"].startswith("/sign-in?next=")
        visitor.sign_in("Reader B")
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        connection.request("GET", path, headers={"Cookie": cookies})
        got = connection.getresponse()
        assert (got.status, got.headers["content-type"]) == (200, "application/pdf")
        assert "no-store" in got.headers["cache-control"]
        assert got.read() == output_report(source_of(clinic), clinic.queries.last_result_id())
        connection.close()
        for wrong in ("99", "x", "9" * 30):
            assert visitor.get(f"/units/SRT1/report/{wrong}.pdf").status in (400, 404, 422)


def test_the_command_writes_the_same(tmp_path: Path) -> None:
    for file in ("a.password", "b.password"):
        (tmp_path / file).write_text(LINE + "\n")
    clinic = clinic_of(tmp_path, SITE + PEOPLE)
    result = taken(clinic, example())
    content = output_report(source_of(clinic), result)
    clinic.close()
    config, out = str(tmp_path / "site.toml"), tmp_path / "r.pdf"
    command = ["srt", "report", str(result), "--config", config, "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == content
    assert CliRunner().invoke(app, command).exit_code == 2
    command[2], command[-1] = "99", str(tmp_path / "s.pdf")
    assert CliRunner().invoke(app, command).exit_code == 2
