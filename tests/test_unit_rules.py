"""The unit of an output check that lies in no folder, and its instant in the clinic's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from qa_daemon.model import Report
from qa_daemon.site.site import Site, load, without_file
from qa_daemon.unit_rules import against_clinic, is_output_check

NOW = datetime(2026, 2, 3, 9, 0, tzinfo=UTC)
AT = datetime(2026, 2, 3, 7, 31, tzinfo=timezone(timedelta(hours=-6)))
TEXT = """
[site]
name = "Test"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "Skin room"
serial = "SRT1"
machine_class = "srt"
[[machine]]
name = "TB1"
machine_class = "truebeam"
"""


def site(folder: Path, now: datetime = NOW) -> Site:
    (folder / "site.toml").write_text(TEXT)
    return load(folder / "site.toml", (), lambda: now)


def check(unit: str, at: datetime | None = None) -> Report:
    return Report(format="srt-output-json", machine_serial=unit, machine_name=unit, performed_at=at)


@pytest.mark.parametrize(
    ("unit", "code"),
    [("SRT1", None), ("skin ROOM", None), ("SRT2", "OTHER_MACHINE"), ("TB1", "OTHER_MACHINE")],
)
def test_without_a_folder_the_unit_has_to_be_one_of_the_clinics(
    tmp_path: Path, unit: str, code: str | None
) -> None:
    judged = against_clinic(check(unit), None, site(tmp_path))
    assert judged.error_code == code
    assert unit not in str(judged.error_message)


@pytest.mark.parametrize("kind", ["srt-checks-json", "srt-output-csv", "srt-treatment-json"])
def test_whatever_people_write_of_a_unit_is_of_it_and_of_no_other(
    tmp_path: Path, kind: str
) -> None:
    clinic = site(tmp_path)
    of_folder = clinic.machine_named("Skin room")
    told = check("SRT2", NOW).model_copy(update={"format": kind})
    assert against_clinic(told, of_folder, clinic).error_code == "OTHER_MACHINE"
    to_come = check("SRT1", NOW + timedelta(days=300)).model_copy(update={"format": kind})
    assert against_clinic(to_come, of_folder, clinic).error_code == "SRT_TIME"


def test_without_a_site_file_only_the_clock_is_asked() -> None:
    nowhere = without_file((), lambda: NOW)
    report = check("SRT2", NOW + timedelta(minutes=5))
    assert against_clinic(report, None, nowhere) is report
    late = check("SRT2", NOW + timedelta(minutes=5, seconds=1))
    assert against_clinic(late, None, nowhere).error_code == "SRT_TIME"


def test_other_files_and_refused_ones_are_left_alone(tmp_path: Path) -> None:
    for report in (
        Report(format="varian-trajectory-log", machine_serial="SRT2"),
        Report(error_code="SRT_UNIT", error_message="row 3"),
    ):
        assert not is_output_check(report)
        assert against_clinic(report, None, site(tmp_path)) is report


def test_a_time_with_an_offset_is_an_instant_and_one_without_is_the_clinics(
    tmp_path: Path,
) -> None:
    berlin = site(tmp_path)
    assert str(berlin.zoned(AT)) == "2026-02-03 14:31:00+01:00"
    assert str(berlin.zoned(AT.replace(tzinfo=None))) == "2026-02-03 07:31:00+01:00"
    assert berlin.zoned(None) is None
