"""Fractions on a kV unit in the daemon: whatever comes first, the dose is of what was accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analyzers.srt_table_files import table_of
from qa_daemon.model import Verdict
from qa_daemon.store import srt_tables, unit_blocks
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import audit, kv_fractions, measurements, results
from tests.ingest.clinic import NOW, Clinic
from tests.srt.treating import TREATING, record, tables
from tests.srt.units import clinic_of, days_ago, row, table

WATER_GY_PER_MIN = 4.79 * 1.085 * 1.0185
"""4.79 Gy/min air kerma, B_w and mu_en halfway between 1.0 and 1.3 mm Al."""
NEEDED_S = 60.0 * 2.5 / (WATER_GY_PER_MIN * 0.92) - 0.5
TODAY = table(row(days_ago(0.1)))


@contextmanager
def unit(tmp_path: Path, *, signed: bool = True) -> Iterator[Clinic]:
    clinic = clinic_of(tmp_path, TREATING)
    try:
        for told in tables().values():
            number = srt_tables.enter(
                clinic.store, "SRT1", table_of(json.dumps(told).encode()), "import"
            )
            if signed:
                srt_tables.sign(clinic.store, "SRT1", number, "P", "checked")
        yield clinic
        clinic.assert_sound()
    finally:
        clinic.close()


def drop(clinic: Clinic, name: str, **said: Any) -> None:
    whole = record(**({"parts_s": [NEEDED_S]} | said))
    clinic.drop(name, json.dumps(whole).encode())
    clinic.process()


def treated(clinic: Clinic) -> list[StoredResult]:
    found = [r for r in clinic.queries.results_since() if r.format == "srt-treatment-json"]
    return sorted(found, key=lambda r: r.performed_at or "")


def error_of(result: StoredResult) -> float | None:
    (analysis,) = result.analyses
    return next((m.value for m in analysis.measurements if m.metric == "dose_error"), None)


def failure_of(result: StoredResult) -> str:
    (analysis,) = result.analyses
    return analysis.failure or ""


def test_a_fraction_is_held_against_its_prescription(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("check.csv", TODAY)
        clinic.process()
        drop(clinic, "1.json", datetime=later(0))
        drop(clinic, "2.json", fraction=2, parts_s=[NEEDED_S * 1.04], datetime=later(1))
        drop(clinic, "3.json", fraction=3, parts_s=[NEEDED_S * 1.06], datetime=later(2))
        first, second, third = treated(clinic)
        assert error_of(first) == pytest.approx(0.0, abs=1e-9)
        assert [r.verdict for r in (first, second, third)] == [
            Verdict.PASS,
            Verdict.TOLERANCE,
            Verdict.ACTION,
        ]
        # A fraction that was given wrongly is no fault of the unit.
        assert unit_blocks.open_blocks(clinic.store) == []


def later(hours: float) -> str:
    return (NOW - timedelta(hours=2.1) + timedelta(hours=hours)).isoformat()


def test_whatever_comes_first(tmp_path: Path) -> None:
    """The record, then a check of the day before, then that of the morning, then a wrong one."""
    with unit(tmp_path, signed=False) as clinic:
        drop(clinic, "1.json")
        assert "no output check of this beam" in failure_of(treated(clinic)[0])
        assert treated(clinic)[0].verdict is Verdict.INVALID
        clinic.drop("a.csv", table(row(days_ago(1), 2.0)))
        clinic.process()
        assert "no table of backscatter factors B_w is signed" in failure_of(treated(clinic)[0])
        for stored in srt_tables.every(clinic.store, "SRT1"):
            srt_tables.sign(clinic.store, "SRT1", stored.id, "P", "checked")
        clinic.process()
        assert error_of(treated(clinic)[0]) == pytest.approx(2.0, abs=1e-6)
        clinic.drop("b.csv", TODAY)
        clinic.process()
        assert error_of(treated(clinic)[0]) == pytest.approx(0.0, abs=1e-6)
        # Put right, the check is another one, and the fraction is judged by it.
        clinic.drop("b.csv", table(row(days_ago(0.1), -1.0)))
        clinic.process()
        assert error_of(treated(clinic)[0]) == pytest.approx(-1.0, abs=1e-6)
        # A later check says nothing of a fraction that was given before it.
        clinic.drop("c.csv", table(row(NOW + timedelta(minutes=2), 2.5)))
        clinic.process()
        assert error_of(treated(clinic)[0]) == pytest.approx(-1.0, abs=1e-6)
        (newest,) = [t for t in srt_tables.every(clinic.store, "SRT1") if t.kind == "pdd"]
        srt_tables.withdraw(clinic.store, "SRT1", newest.id, "P", "wrong film")
        clinic.process()
        assert "no table of percent depth doses is signed" in failure_of(treated(clinic)[0])


def test_an_output_that_is_not_accepted_counts_for_nothing(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("a.csv", table(row(days_ago(2), 1.0)))
        clinic.drop("b.csv", table(row(days_ago(1.5), 0.5, reference_output="")))
        clinic.drop("c.csv", table(row(days_ago(1), 0.5, kvp=50, filter_id="F1")))
        clinic.drop(
            "d.csv", table(row(days_ago(0.9), 2.0, applicator_id="A20", applicator_diameter_cm=2.0))
        )
        clinic.process()
        drop(clinic, "1.json")
        assert error_of(treated(clinic)[0]) == pytest.approx(1.0, abs=1e-6)


def test_a_unit_that_was_blocked_gives_no_dose(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        drop(clinic, "1.json", datetime=(NOW - timedelta(hours=10)).isoformat())
        clinic.drop("a.csv", table(row(days_ago(0.5))))
        clinic.process()
        assert error_of(treated(clinic)[0]) == pytest.approx(0.0, abs=1e-6)
        # Entered afterwards, but measured before the fraction.
        clinic.drop("b.csv", table(row(NOW - timedelta(hours=11), -6.0)))
        clinic.process()
        assert "the unit was blocked at that time (by result" in failure_of(treated(clinic)[0])
        clinic.drop("c.csv", table(row(NOW - timedelta(hours=1))))
        clinic.process()
        (block,) = unit_blocks.open_blocks(clinic.store)
        unit_blocks.clear(clinic.store, block.id, "P", "wrong chamber")
        drop(clinic, "2.json", fraction=2, datetime=(NOW + timedelta(seconds=1)).isoformat())
        before, after = treated(clinic)
        assert "blocked" in failure_of(before)
        assert error_of(after) == pytest.approx(0.0, abs=1e-6)


def test_records_of_one_fraction_on_one_day_are_parts_of_it(tmp_path: Path) -> None:
    half_s = (NEEDED_S + 0.5) / 2.0 - 0.5
    with unit(tmp_path) as clinic:
        clinic.drop("check.csv", TODAY)
        clinic.process()
        drop(clinic, "1.json", parts_s=[half_s], datetime=later(0))
        (first,) = treated(clinic)
        assert (error_of(first), first.verdict) == (pytest.approx(-50.0), Verdict.ACTION)
        drop(clinic, "2.json", parts_s=[half_s], datetime=later(0.2))
        assert [error_of(r) for r in treated(clinic)] == [pytest.approx(0.0, abs=1e-6)] * 2
        assert [r.verdict for r in treated(clinic)] == [Verdict.PASS] * 2
        # Another fraction, day, lesion, course or patient is none of them.
        drop(clinic, "3.json", parts_s=[half_s], datetime=later(0.4), fraction=2)
        drop(clinic, "4.json", parts_s=[half_s], datetime=later(0.5), lesion="other")
        drop(clinic, "5.json", parts_s=[half_s], datetime=later(0.6), course_id="other")
        drop(clinic, "6.json", parts_s=[half_s], datetime=later(0.7), patient_id="other")
        assert [error_of(r) for r in treated(clinic)[2:]] == [pytest.approx(-50.0)] * 4
        # One is put right: it was of another fraction, and both are judged again.
        drop(clinic, "2.json", parts_s=[half_s], datetime=later(0.2), fraction=9)
        assert [error_of(r) for r in treated(clinic)[:2]] == [pytest.approx(-50.0)] * 2


def test_a_copy_of_a_record_is_no_part_of_its_fraction(tmp_path: Path) -> None:
    half_s = (NEEDED_S + 0.5) / 2.0 - 0.5
    with unit(tmp_path) as clinic:
        clinic.drop("check.csv", TODAY)
        clinic.process()
        drop(clinic, "1.json", parts_s=[half_s], datetime=later(0))
        same = record(parts_s=[half_s], datetime=later(0))
        clinic.drop("copy.json", json.dumps(same, indent=2).encode())
        clinic.process()
        assert [error_of(r) for r in treated(clinic)] == [pytest.approx(-50.0)] * 2
        assert [r.verdict for r in treated(clinic)] == [Verdict.ACTION] * 2
        # Both say so: two real parts stamped with one second would look the same.
        notes = ["; ".join(r.analyses[0].notes) for r in treated(clinic)]
        assert all(
            "of the same second: it was taken for a copy and not counted" in n for n in notes
        )
        drop(clinic, "1.json", parts_s=[half_s], datetime=later(0.2))
        assert [error_of(r) for r in treated(clinic)] == [pytest.approx(0.0, abs=1e-9)] * 2
        assert not any(
            "of the same second" in n for r in treated(clinic) for n in r.analyses[0].notes
        )


@pytest.mark.parametrize("whole_first", [True, False])
def test_a_fraction_of_which_a_record_has_no_dose_is_no_pass(
    tmp_path: Path, whole_first: bool
) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("check.csv", TODAY)
        clinic.process()
        other: dict[str, Any] = {"kvp": 50, "filter_id": "F1", "datetime": later(0.2)}
        for said in ({"datetime": later(0)}, other)[:: 1 if whole_first else -1]:
            drop(clinic, f"{said['datetime']}.json", **said)
        assert [r.verdict for r in treated(clinic)] == [Verdict.INVALID] * 2
        # What the other gave is known at last: too much, for both.
        clinic.drop("50.csv", table(row(days_ago(0.1), kvp=50, filter_id="F1")))
        clinic.process()
        drop(clinic, f"{later(0.2)}.json", datetime=later(0.2))
        assert [error_of(r) for r in treated(clinic)] == [pytest.approx(100.0)] * 2


def test_the_end_effect_is_taken_from_the_units_accepted_check(tmp_path: Path) -> None:
    one = row(
        days_ago(40), check_type="timer", timer_set_s=10.0, readings_nc="1.05", reference_output=""
    )
    two = row(
        days_ago(40) + timedelta(minutes=2),
        check_type="timer",
        timer_set_s=20.0,
        readings_nc="2.05",
        reference_output="",
    )
    with unit(tmp_path) as clinic:
        clinic.drop("check.csv", TODAY)
        clinic.process()
        drop(clinic, "1.json", timer_end_effect_s=None)
        assert "end effect" in failure_of(treated(clinic)[0])
        clinic.drop("timer.csv", table(one, two))
        clinic.process()
        # (M2 t1 - M1 t2) / (M1 - M2) = (20.5 - 21) / -1 = 0.5 s
        assert error_of(treated(clinic)[0]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("said", "code"),
    [({"unit_id": "SRT2"}, "OTHER_MACHINE"), ({"datetime": later(9)}, "SRT_TIME")],
)
def test_another_units_and_a_coming_fraction_are_refused(
    tmp_path: Path, said: dict[str, Any], code: str
) -> None:
    with unit(tmp_path) as clinic:
        drop(clinic, "1.json", **said)
        (result,) = treated(clinic)
        assert (result.error_code, result.verdict) == (code, Verdict.INVALID)


def test_who_it_was_stays_in_the_identity_and_behind_the_key(tmp_path: Path) -> None:
    with unit(tmp_path) as clinic:
        clinic.drop("check.csv", TODAY)
        clinic.process()
        drop(clinic, "1.json")
        (result,) = treated(clinic)
        assert clinic.queries.identity_of(result.id) == {
            "patient_id": "CANARY-PATIENT",
            "course_id": "CANARY-COURSE",
            "lesion": "CANARY-LESION",
        }
        with clinic.store.read() as connection:
            for kept in (kv_fractions, measurements, audit, results):
                for one in connection.execute(select(kept)):
                    assert "CANARY" not in str(one)
            (course,) = connection.execute(select(kv_fractions.c.course)).scalars()
        assert course.startswith("C-") and len(course) == 12
        assert "CANARY" not in str(result)
