"""Tables of equal bytes are the same check only where their folder says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzers import catalogue
from qa_daemon.model import Verdict
from qa_daemon.simulate.mpc_csv import simulate
from tests.ingest.clinic import Clinic

FIRST = "NDS-WKS-SN1234-2026-01-05-06-45-00-0000-BeamCheckTemplate6x"
SECOND = "NDS-WKS-SN1234-2026-01-06-06-44-10-0000-BeamCheckTemplate6x"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    clinic = Clinic(tmp_path, catalogue=catalogue.load())
    yield clinic
    clinic.close()


def put(clinic: Clinic, *folders: str, rows: int | None = None) -> None:
    """The same table in each of these folders."""
    table = simulate(clinic.top / "made", rows=rows)
    for folder in folders:
        target = clinic.incoming / folder
        target.mkdir(parents=True)
        shutil.copy(table, target / "Results.csv")


def found(clinic: Clinic) -> list[tuple[str | None, Verdict | None]]:
    return [(r.performed_at, r.verdict) for r in clinic.queries.results_since()]


def test_two_daily_checks_of_equal_numbers_are_two_results(clinic: Clinic) -> None:
    put(clinic, FIRST, SECOND)
    clinic.process()
    assert found(clinic) == [
        ("2026-01-06T06:44:10+00:00", Verdict.PASS),
        ("2026-01-05T06:45:00+00:00", Verdict.PASS),
    ]
    assert {(r.energy, r.series) for r in clinic.queries.results_since()} == {
        ("6x", "BeamCheckTemplate6x")
    }
    points = clinic.queries.trend("TB1", "machine_performance_check", "output_change")
    assert [p.value for p in points] == [-0.17, -0.17]
    clinic.assert_sound()


def test_aborted_checks_are_alike_and_each_is_told(clinic: Clinic) -> None:
    put(clinic, FIRST, SECOND, rows=0)
    clinic.process()
    assert [verdict for _, verdict in found(clinic)] == [Verdict.INVALID] * 2


def test_a_copy_of_the_folder_is_the_same_check(clinic: Clinic) -> None:
    put(clinic, FIRST, f"backup/{FIRST}")
    clinic.process()
    assert found(clinic) == [("2026-01-05T06:45:00+00:00", Verdict.PASS)]
    assert sorted(state for _, state in clinic.rows()) == ["done", "duplicate"]
    clinic.assert_sound()


def test_a_folder_that_says_nothing_makes_no_check_of_a_copy(clinic: Clinic) -> None:
    put(clinic, "a", "b")
    clinic.process()
    assert found(clinic) == [(None, Verdict.PASS)]
    (result,) = clinic.queries.results_since()
    assert "none of them is known" in result.warnings[0]


def test_when_one_check_is_revised_the_other_stays(clinic: Clinic) -> None:
    put(clinic, FIRST, SECOND)
    clinic.process()
    shutil.copy(
        simulate(clinic.top / "made", values="BeamOutputChange=2.5"),
        clinic.incoming / FIRST / "Results.csv",
    )
    clinic.process()
    assert found(clinic) == [
        ("2026-01-06T06:44:10+00:00", Verdict.PASS),
        ("2026-01-05T06:45:00+00:00", Verdict.ACTION),
    ]
    clinic.assert_sound()
