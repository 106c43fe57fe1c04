"""End effect, linearity and accuracy of a timer: worked vectors and readings of a known eps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_timer import (
    end_effect_of_many_exposures_s,
    end_effect_of_two_times_s,
    timer_accuracy,
    timer_linearity,
)

EPS_S = st.floats(-3.0, 3.0)
RATE = st.floats(1e-3, 1e3)


def test_two_times_vector() -> None:
    eps_s = end_effect_of_two_times_s(60.0, 24.00, 120.0, 48.02)
    assert round(eps_s / 60.0, 6) == -0.000833


def test_one_against_four_exposures_vector() -> None:
    eps_s = end_effect_of_many_exposures_s(60.0, 24.00, 24.08, 4)
    assert round(eps_s / 60.0, 6) == 0.001112


@given(eps_s=EPS_S, rate=RATE, t1=st.floats(5.0, 100.0), longer=st.floats(1.5, 10.0))
def test_two_times_find_the_end_effect_in_either_order(
    eps_s: float, rate: float, t1: float, longer: float
) -> None:
    t2 = longer * t1
    first, second = (t1, rate * (t1 + eps_s)), (t2, rate * (t2 + eps_s))
    assert end_effect_of_two_times_s(*first, *second) == pytest.approx(eps_s, abs=1e-9)
    assert end_effect_of_two_times_s(*second, *first) == pytest.approx(eps_s, abs=1e-9)


@given(eps_s=EPS_S, rate=RATE, n=st.integers(2, 10))
def test_many_exposures_find_the_end_effect(eps_s: float, rate: float, n: int) -> None:
    t = 60.0
    found = end_effect_of_many_exposures_s(t, rate * (t + eps_s), rate * (t + n * eps_s), n)
    assert found == pytest.approx(eps_s, abs=1e-9)


@given(eps_s=EPS_S, rate=RATE)
def test_a_line_finds_the_end_effect_and_leaves_nothing(eps_s: float, rate: float) -> None:
    times_s = np.array([120.0, 6.0, 12.0, 60.0, 60.0])
    found = timer_linearity(times_s, rate * (times_s + eps_s))
    assert found.end_effect_s == pytest.approx(eps_s, abs=1e-9)
    assert found.per_s == pytest.approx(rate, rel=1e-12)
    assert abs(found.largest_residual_percent) < 1e-9


def test_all_three_methods_agree_in_sign() -> None:
    eps_s = 0.5
    readings = [2.0 * (t + eps_s) for t in (15.0, 30.0, 60.0)]
    assert timer_linearity([15.0, 30.0, 60.0], readings).end_effect_s > 0.0
    assert end_effect_of_two_times_s(15.0, readings[0], 60.0, readings[2]) > 0.0
    assert end_effect_of_many_exposures_s(60.0, readings[2], 4 * readings[0], 4) > 0.0


def test_a_line_is_that_of_numpy_and_its_residual_is_of_the_fitted_value() -> None:
    times_s, readings = [10.0, 20.0, 40.0, 80.0], [10.3, 19.9, 40.1, 80.0]
    b, a = np.polyfit(times_s, readings, 1)
    fitted = a + b * np.array(times_s)
    expected = 100.0 * (np.array(readings) - fitted) / fitted
    found = timer_linearity(times_s, readings)
    assert found.end_effect_s == pytest.approx(a / b, rel=1e-9)
    np.testing.assert_allclose(found.residual_percent, expected, rtol=1e-8)
    assert found.largest_residual_percent == pytest.approx(
        expected[np.abs(expected).argmax()], rel=1e-8
    )


def test_three_readings_around_a_line_have_closed_form_residuals() -> None:
    # Times 1, 2, 3 and readings 1, 2 + 3h, 3: slope 1, mean 2 + h, residuals -h, 2h, -h.
    h = 0.01
    found = timer_linearity([1.0, 2.0, 3.0], [1.0, 2.0 + 3.0 * h, 3.0])
    np.testing.assert_allclose(
        found.residual_percent, [-100 * h / (1 + h), 200 * h / (2 + h), -100 * h / (3 + h)]
    )
    assert found.end_effect_s == pytest.approx(h, abs=1e-12)
    # Of 0.0099 and 0.00995 the second one is larger, positive.
    assert found.largest_residual_percent == pytest.approx(200 * h / (2 + h))


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ((60.0, 24.0), (60.0, 24.1), "both times are 60"),
        ((60.0, 24.0), (120.0, 24.0), "more time reads more"),
        ((60.0, 24.0), (120.0, 23.0), "more time reads more"),
        ((0.0, 24.0), (120.0, 48.0), "first time is 0"),
        ((60.0, math.nan), (120.0, 48.0), "first reading is nan"),
        ((60.0, 24.0), (120.0, -48.0), "second reading is -48"),
    ],
)
def test_two_times_that_tell_nothing(
    first: tuple[float, float], second: tuple[float, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        end_effect_of_two_times_s(*first, *second)


@pytest.mark.parametrize(
    ("exposures", "summed", "says"),
    [
        (1, 24.0, "1 exposures: a whole number"),
        (2.5, 24.0, "2.5 exposures"),
        (4, 96.0, "no end effect explains"),
        (4, 0.0, "summed reading is 0"),
    ],
)
def test_exposures_that_tell_nothing(exposures: float, summed: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        end_effect_of_many_exposures_s(60.0, 24.0, summed, exposures)


@pytest.mark.parametrize(
    ("times", "readings", "says"),
    [
        ([10.0, 20.0], [1.0, 2.0], "2 given, at least 3"),
        ([10.0, 20.0, 20.0], [1.0, 2.0, 2.0], "2 different times"),
        ([10.0, 20.0, 30.0], [1.0, 2.0, 3.0, 4.0], "3 times but 4 readings"),
        ([10.0, 20.0, 30.0], [3.0, 2.0, 1.0], "must rise with time"),
        ([10.0, 20.0, 30.0], [1.0, 1.0, 1.0], "must rise with time"),
        ([10.0, 20.0, math.nan], [1.0, 2.0, 3.0], "number 3 is nan"),
        ([1.0, 20.0, 30.0], [0.01, 1.0, 5.0], "fitted reading at 1 s is not positive"),
    ],
)
def test_a_line_through_nothing(times: list[float], readings: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        timer_linearity(times, readings)


@pytest.mark.parametrize(
    ("set_s", "stopwatch_s", "deviation_s", "limit_s", "within"),
    [
        (30.0, 31.0, 1.0, 1.0, True),
        (30.0, 29.0, -1.0, 1.0, True),
        (30.0, 31.25, 1.25, 1.0, False),
        (100.0, 101.0, 1.0, 1.0, True),
        (200.0, 202.0, 2.0, 2.0, True),
        (200.0, 197.5, -2.5, 2.0, False),
        (100.5, 101.5, 1.0, 1.005, True),
    ],
)
def test_a_timer_has_a_second_up_to_100_s_and_one_percent_above(
    set_s: float, stopwatch_s: float, deviation_s: float, limit_s: float, within: bool
) -> None:
    found = timer_accuracy(set_s, stopwatch_s)
    assert found.deviation_s == deviation_s
    assert found.limit_s == pytest.approx(limit_s, rel=1e-14)
    assert found.within_limit is within


@pytest.mark.parametrize("times", [(0.0, 1.0), (1.0, 0.0), (math.nan, 1.0), (1.0, math.nan)])
def test_a_timer_without_a_time_is_not_within_its_limit(times: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="not positive"):
        timer_accuracy(*times)
