"""BED, EQD2 and TDF: worked vectors, and the laws they follow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.bioeffect import (
    bed_gy,
    eqd2_gy,
    equal_fractions_gy,
    tdf,
    tdf_after_gap,
)

FRACTIONS = st.lists(st.floats(0.0, 20.0), min_size=1, max_size=40)
ALPHA_BETA = st.floats(0.5, 20.0)


@pytest.mark.parametrize(
    ("n", "d_gy", "ab_gy", "bed", "eqd2"),
    [
        (30, 2.0, 2.0, 120.0, 60.0),
        (10, 3.0, 2.0, 75.0, 37.5),
        (5, 5.0, 2.0, 87.5, 43.75),
        (1, 14.0, 2.0, 112.0, 56.0),
        (20, 2.65, 10.0, 67.045, 55.871),
        (20, 2.65, 3.0, 99.817, 59.890),
    ],
)
def test_bed_and_eqd2_vectors(n: int, d_gy: float, ab_gy: float, bed: float, eqd2: float) -> None:
    fractions = equal_fractions_gy(n, d_gy)
    assert round(bed_gy(fractions, ab_gy), 3) == bed
    assert round(eqd2_gy(fractions, ab_gy), 3) == eqd2


@pytest.mark.parametrize(
    ("n", "total"), [(1, 9.05), (2, 12.28), (3, 14.58), (4, 16.40), (5, 17.91)]
)
def test_the_doses_that_make_25_gy_in_few_fractions(n: int, total: float) -> None:
    d_gy = -1.0 + math.sqrt(1.0 + 100.0 / n)
    assert round(n * d_gy, 2) == total
    assert eqd2_gy(equal_fractions_gy(n, d_gy), 2.0) == pytest.approx(25.0, rel=1e-12)


@given(FRACTIONS, ALPHA_BETA)
def test_eqd2_is_the_same_effect_in_fractions_of_two_gray(
    fractions: list[float], ab_gy: float
) -> None:
    eqd2 = eqd2_gy(fractions, ab_gy)
    assert bed_gy(fractions, ab_gy) == pytest.approx(eqd2 * (1.0 + 2.0 / ab_gy), rel=1e-12)


@given(FRACTIONS, FRACTIONS, ALPHA_BETA)
def test_effects_of_parts_of_a_course_add_up(
    first: list[float], second: list[float], ab_gy: float
) -> None:
    for effect in (bed_gy, eqd2_gy):
        whole = effect(first + second, ab_gy)
        assert whole == pytest.approx(effect(first, ab_gy) + effect(second, ab_gy), rel=1e-12)


@given(st.lists(st.floats(0.1, 20.0), min_size=2, max_size=40), ALPHA_BETA)
def test_unequal_fractions_do_more_than_their_mean(fractions: list[float], ab_gy: float) -> None:
    mean = equal_fractions_gy(len(fractions), sum(fractions) / len(fractions))
    assert eqd2_gy(fractions, ab_gy) >= eqd2_gy(mean, ab_gy) * (1.0 - 1e-12)
    assert tdf(fractions, interval_days=2.0) >= tdf(mean, interval_days=2.0) * (1.0 - 1e-12)


@pytest.mark.parametrize(
    ("n", "d_gy", "interval_days", "expected"),
    [
        (30, 2.00, 1.4, 98.0),
        (30, 2.00, 1.3, 99.3),
        (20, 2.65, 7.0 / 4.0, 97.0),
        (20, 2.65, 7.0 / 3.0, 92.4),
        (20, 2.50, 7.0 / 5.0, 92.1),
        (5, 7.00, 7.0 / 2.0, 96.1),
    ],
)
def test_tdf_vectors(n: int, d_gy: float, interval_days: float, expected: float) -> None:
    assert round(tdf(equal_fractions_gy(n, d_gy), interval_days=interval_days), 1) == expected


def test_a_rest_of_the_length_of_the_course_leaves_two_to_the_minus_011() -> None:
    assert tdf_after_gap(100.0, course_days=28.0, rest_days=28.0) == pytest.approx(
        100.0 * 2.0**-0.11, rel=1e-14
    )
    assert tdf_after_gap(97.0, course_days=28.0, rest_days=0.0) == 97.0


@pytest.mark.parametrize("fractions", [[], [2.0, -1.0], [2.0, math.nan], [math.inf], [[2.0]]])
def test_fractions_that_are_none(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="fraction"):
        bed_gy(fractions, 10.0)
    with pytest.raises(ValueError, match="fraction"):
        eqd2_gy(fractions, 10.0)
    with pytest.raises(ValueError, match="fraction"):
        tdf(fractions, interval_days=1.4)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_parameters_that_are_none(wrong: float) -> None:
    with pytest.raises(ValueError, match="alpha/beta"):
        bed_gy([2.0], wrong)
    with pytest.raises(ValueError, match="alpha/beta"):
        eqd2_gy([2.0], wrong)
    with pytest.raises(ValueError, match="interval"):
        tdf([2.0], interval_days=wrong)
    with pytest.raises(ValueError, match="course"):
        tdf_after_gap(90.0, course_days=wrong, rest_days=1.0)
    if wrong:
        with pytest.raises(ValueError, match="rest"):
            tdf_after_gap(90.0, course_days=10.0, rest_days=wrong)
    with pytest.raises(ValueError, match="at least one"):
        equal_fractions_gy(0, 2.0)
