"""Output checks in the daemon: whose unit they are of, when they were made, and what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analyzers import catalogue
from qa_daemon.model import Verdict
from qa_daemon.sinks.points import lines_of
from qa_daemon.store.queries import StoredResult
from tests.ingest.clinic import SITE, Clinic
from tests.output_tables import EXAMPLE, document, row, table

OF_SRT = SITE.replace('"TB1"', '"Skin room"').replace('"truebeam"', '"srt"')
OTHERS = (
    '[[machine]]\nname = "SRT2"\nmachine_class = "srt"\n'
    '[[machine]]\nname = "TB1"\nmachine_class = "truebeam"\n[ingest]'
)
Start = Callable[[str], Clinic]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A clinic with a skin unit of this serial (none where empty), another unit and a linac."""
    clinics: list[Clinic] = []

    def clinic(serial: str) -> Clinic:
        line = f'folders = ["in"]\nserial = "{serial}"' if serial else 'folders = ["in"]'
        text = OF_SRT.replace('folders = ["in"]', line).replace("[ingest]", OTHERS)
        clinics.append(Clinic(tmp_path, text=text, catalogue=catalogue.load(), settle_time=0.0))
        return clinics[-1]

    yield clinic
    for each in clinics:
        each.close()


def judged(clinic: Clinic, text: str) -> StoredResult:
    clinic.drop("check", text.encode())
    clinic.process()
    (result,) = clinic.queries.results_since()
    return result


@pytest.mark.parametrize(
    ("serial", "unit", "code"),
    [
        ("SRT1", "SRT1", None),
        ("SRT1", "skin room", None),
        ("", "Skin room", None),
        ("", "SRT1", None),
        ("", "SRT2", "OTHER_MACHINE"),
        ("", "TB1", "OTHER_MACHINE"),
        ("0815", "SRT1", "OTHER_MACHINE"),
        ("0815", "SRT2", "OTHER_MACHINE"),
    ],
)
def test_a_check_is_of_the_unit_in_whose_folder_it_lies(
    start: Start, serial: str, unit: str, code: str | None
) -> None:
    clinic = start(serial)
    result = judged(clinic, table(row(unit_id=unit)))
    assert (result.error_code, result.machine) == (code, "Skin room")
    assert result.verdict is (Verdict.PASS if code is None else Verdict.INVALID)
    assert any("by another name" in w for w in result.warnings) == (serial == "" and unit == "SRT1")
    clinic.assert_sound()


def test_a_check_in_the_folder_of_a_linac_is_refused(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, catalogue=catalogue.load(), settle_time=0.0)
    try:
        assert judged(clinic, table(row(unit_id="TB1"))).error_code == "OTHER_MACHINE"
    finally:
        clinic.close()


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2026-03-02T10:05:00+01:00", None),
        ("2026-03-02T10:05:01+01:00", "SRT_TIME"),
        ("2026-03-02T10:00:00-01:00", "SRT_TIME"),
    ],
)
def test_a_clock_may_be_five_minutes_ahead(start: Start, at: str, code: str | None) -> None:
    """It is 09:00 UTC; the last row of a session counts."""
    rows = row(1, datetime="2026-03-02T08:00:00+00:00", unit_id="SRT1"), row(2, datetime=at)
    assert judged(start("SRT1"), document(*rows)).error_code == code


def test_what_is_stored_and_sent(start: Start) -> None:
    clinic = start("SRT1")
    result = judged(clinic, table(row(1), row(2, kvp="100", filter_id="F3", reference_output="")))
    assert (result.format, result.machine_class) == ("srt-output-csv", "srt")
    assert (result.performed_at, result.verdict) == (
        "2026-02-03T06:31:00+00:00",
        Verdict.TOLERANCE,
    )
    assert (result.energy, result.series) == (None, "daily 70+100 kV")
    limits = next(
        m.limits for m in result.analyses[0].measurements if m.metric == "output_deviation"
    )
    assert (limits.tolerance_high, limits.action_high) == (3.0, 5.0)
    lines = [line for line in lines_of(result, "Test") if "metric=output," in line]
    assert len({line.partition(" value")[0] for line in lines}) == 2
    assert any(r"at=70\ kV\ F2\ A30," in line for line in lines)
    private = [EXAMPLE[name] for name in ("operator", "chamber_sn", "electrometer_sn")]
    assert not any(f"{word}," in line for word in private for line in lines)


def test_no_reference_says_so_in_the_store(start: Start) -> None:
    result = judged(start("SRT1"), table(row(reference_output="")))
    assert (result.verdict, result.error_code) == (None, None)
    assert "no row names a reference output" in str(result.not_judged)


def test_a_file_that_breaks_a_rule_is_kept_as_a_whole_for_people(start: Start) -> None:
    clinic = start("SRT1")
    result = judged(clinic, table(row(1), row(2, pressure_kpa="760")))
    assert (result.error_code, result.analyses) == ("SRT_UNIT", ())
    assert "row 4" in str(result.error_message)
    assert clinic.states() == {"check": "quarantined"}


def test_the_clinics_own_limits_are_by_kind_of_check(tmp_path: Path) -> None:
    own = (
        '[[limits]]\nmetric = "srt_output.output_deviation_monthly"\ntolerance = 0.01\n'
        'action = 0.02\nauthor = "A"\nreason = "B"\neffective_from = 2026-01-01\n[ingest]'
    )
    text = OF_SRT.replace("[ingest]", own)
    clinic = Clinic(tmp_path, text=text, catalogue=catalogue.load(), settle_time=0.0)
    try:
        clinic.drop("daily", table(row(unit_id="Skin room")).encode())
        clinic.drop("monthly", table(row(unit_id="Skin room", check_type="monthly")).encode())
        clinic.process()
        found = {Path(r.path).name: r.verdict for r in clinic.queries.results_since()}
        assert found == {"daily": Verdict.PASS, "monthly": Verdict.ACTION}
    finally:
        clinic.close()
