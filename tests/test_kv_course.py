"""Courses on kV units: published vectors, merged parts, and what is missing or surplus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from qa_daemon.kv_course import Course, course_of

BEGUN = date(2026, 2, 2)


@dataclass(frozen=True)
class One:
    fraction: int
    day: date
    dose_gy: float | None = 2.65
    fractions_planned: int = 20
    prescribed_gy: float = 2.65
    prescribed_depth_mm: float = 2.0
    point_ns: int = 0
    result: int = 0


def one(number: int, day: int, dose_gy: float | None = 2.65, **said: float) -> One:
    at = BEGUN + timedelta(days=day)
    values = {"point_ns": day * 10**15 + number, "result": number} | said
    return One(number, at, dose_gy, **values)  # type: ignore[arg-type]


def course(*records: One) -> Course:
    return course_of(records, (10.0, 3.0))


def test_the_vector_of_twenty_fractions() -> None:
    found = course(*(one(n, 2 * n) for n in range(1, 21)))
    assert len(found.fractions) == found.planned == 20
    assert found.total_gy == pytest.approx(53.0)
    ten, three = found.effects
    assert (f"{ten.bed_gy:.3f}", f"{ten.eqd2_gy:.3f}") == ("67.045", "55.871")
    assert (f"{three.bed_gy:.3f}", f"{three.eqd2_gy:.3f}") == ("99.817", "59.890")
    assert found.interval_days == pytest.approx(2.0)
    assert found.remarks == ()


def test_the_vector_of_tdf() -> None:
    """5 fractions of 7 Gy, 14 days from the first to the last: T/n is 7/2 days."""
    days = (0, 3, 7, 10, 14)
    found = course(*(one(n, day, 7.0, prescribed_gy=7.0) for n, day in enumerate(days, 1)))
    assert found.interval_days == pytest.approx(3.5)
    assert f"{found.tdf:.1f}" == "96.1"


def test_parts_of_a_day_are_one_fraction_and_of_two_days_are_not() -> None:
    found = course(one(1, 0, 1.5), one(1, 0, 1.15, point_ns=9 * 10**9), one(2, 3))
    assert [f.dose_gy for f in found.fractions] == [pytest.approx(2.65), 2.65]
    assert found.effects[0].bed_gy == pytest.approx(2 * 2.65 * 1.265)
    split = course(one(1, 0, 1.5), one(1, 1, 1.15))
    assert len(split.fractions) == 2
    assert "fraction 1 was given on 2 days" in split.remarks


def test_a_copy_of_a_record_is_counted_once() -> None:
    """No two parts of a fraction begin in the same second."""
    found = course(one(1, 0, 1.5), one(1, 0, 1.5, point_ns=860_000_000), one(2, 3))
    assert [f.dose_gy for f in found.fractions] == [1.5, 2.65]
    assert found.remarks == ("fraction 1: a record of the same second is there more than once",)
    differing = course(one(1, 0, 1.5), one(1, 0, 1.4, point_ns=860_000_000), one(2, 3))
    assert [f.dose_gy for f in differing.fractions] == [None, 2.65]


def test_an_unknown_dose_is_not_zero() -> None:
    found = course(one(1, 0), one(2, 2, None), one(3, 4, 1.3), one(3, 4, None, point_ns=4 * 10**15))
    assert [f.dose_gy for f in found.fractions] == [2.65, None, None]
    assert (found.without_dose, found.total_gy) == (2, 2.65)
    assert (found.effects, found.tdf, found.interval_days) == ((), None, None)


@pytest.mark.parametrize(
    ("records", "remark"),
    [
        ([one(1, 0), one(4, 2)], "no record of fraction 2, 3"),
        ([one(1, 0, fractions_planned=1), one(2, 1, fractions_planned=1)], "2 fractions were"),
        ([one(21, 0)], "1 fractions were given, 20 are planned"),
        ([one(1, 0), one(2, 1, prescribed_gy=3.0)], "differ in their prescribed doses"),
        ([one(1, 0), one(2, 1, fractions_planned=9)], "differ in their fractions planned"),
        ([one(2, 0), one(1, 1)], "not numbered in the order"),
        ([one(1, 0, 9.0)], "more than 8 Gy: BED and EQD2 are uncertain"),
    ],
)
def test_what_is_missing_surplus_or_in_doubt_is_said(records: list[One], remark: str) -> None:
    assert any(remark in said for said in course(*records).remarks)


def test_one_day_has_no_interval_and_so_no_tdf() -> None:
    assert course(one(1, 0)).tdf is None
    assert course(one(1, 0), one(2, 0)).tdf is None
    assert len(course(one(1, 0)).effects) == 2
