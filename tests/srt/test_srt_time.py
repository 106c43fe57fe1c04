"""The treatment-time calculator: the closed form, and no time where something is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analyzers.srt_table_files import table_of
from qa_daemon.__main__ import app
from qa_daemon.store import srt_tables
from tests.srt.test_treatment_service import WATER_GY_PER_MIN
from tests.srt.treating import TREATING, tables
from tests.srt.units import clinic_of, row, table

PLAN = ("--kvp", "70", "--applicator", "A30", "--dose", "2.5", "--depth", "2")


def asked(tmp_path: Path, *words: str, off_percent: float = 0.0, days: float = 0.1) -> Any:
    """The command on a unit whose output was checked so many real days ago."""
    # The command reads the real clock; the clinic of the tests lives in March.
    clinic = clinic_of(tmp_path, TREATING)
    for told in tables().values():
        number = srt_tables.enter(clinic.store, "SRT1", table_of(json.dumps(told).encode()), "A")
        srt_tables.sign(clinic.store, "SRT1", number, "P", "checked")
    object.__setattr__(clinic.site, "clock", lambda: datetime.now(UTC))
    at = datetime.now(UTC) - timedelta(days=days)
    clinic.store._clock = lambda: datetime.now(UTC)
    clinic.drop("check.csv", table(row(at, off_percent)))
    clinic.process()
    clinic.close()
    config = str(tmp_path / "site.toml")
    return CliRunner().invoke(app, ["srt", "time", "--config", config, "--unit", "SRT1", *words])


def test_the_time_is_the_closed_form_and_every_factor_is_shown(tmp_path: Path) -> None:
    words = ("--gap", "1", "--shield", "0.8", "--end-effect", "0.5", "--json")
    answer = asked(tmp_path, *PLAN, *words)
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    rate = WATER_GY_PER_MIN * (14.5 / 15.5) ** 2 * 0.8
    assert told["time_s"] == pytest.approx(60.0 * 2.5 / (rate * 0.92) - 0.5, rel=1e-6)
    assert told["inverse_square"] == pytest.approx((14.5 / 15.5) ** 2)
    assert sum("SHA-256" in note for note in told["notes"]) == 5


def test_people_read_the_factors_in_lines(tmp_path: Path) -> None:
    answer = asked(tmp_path, *PLAN, "--end-effect", "0.5")
    assert (
        f"{60.0 * 2.5 / (WATER_GY_PER_MIN * 0.92) - 0.5:.2f} s for 2.5 Gy at 2 mm" in answer.output
    )
    assert "applicator factor 1" in answer.output and "B_w 1.085" in answer.output


@pytest.mark.parametrize(
    ("words", "off", "days", "sentence"),
    [
        ((*PLAN,), 0.0, 0.1, "end effect: state it"),
        ((*PLAN, "--end-effect", "0.5"), -6.0, 0.1, "the unit is blocked"),
        ((*PLAN, "--end-effect", "0.5"), 0.0, 40.0, "40 days old"),
        ((*PLAN[:2], "--applicator", "A99", *PLAN[4:]), 0.0, 0.1, "none of the unit's"),
        (("--kvp", "60", *PLAN[2:]), 0.0, 0.1, "60 kV has 0 filters"),
        ((*PLAN[:6], "--depth", "11", "--end-effect", "0.5"), 0.0, 0.1, "above the table"),
        (("--kvp", "50", *PLAN[2:], "--end-effect", "0.5"), 0.0, 0.1, "no output check"),
    ],
)
def test_what_is_missing_gives_no_time(
    tmp_path: Path, words: tuple[str, ...], off: float, days: float, sentence: str
) -> None:
    answer = asked(tmp_path, *words, off_percent=off, days=days)
    assert answer.exit_code == 1
    assert sentence in answer.stderr and answer.stdout == ""
