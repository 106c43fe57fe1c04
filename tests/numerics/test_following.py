"""How an axis follows: closed forms of lag and speed dependence, and least squares done slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.following import following, speed_of

INTERVAL_S = 0.02
TELLS = {"moving": 1.0, "fewest": 20}


def two_speeds(turns: int = 2) -> np.ndarray:
    """Speeds of -30, -10, 0, 10 and 30 mm/s, 50 samples each, shape (samples, 1)."""
    return np.tile(np.repeat([30.0, 10.0, 0.0, -10.0, -30.0], 50), turns)[:, np.newaxis]


def test_speed_is_the_central_difference() -> None:
    position = np.array([[0.0], [1.0], [4.0], [4.0]])
    np.testing.assert_array_equal(speed_of(position, 0.5), [[np.nan], [4.0], [3.0], [np.nan]])


@pytest.mark.parametrize("lag_s", [0.06, 0.0, -0.02])
def test_an_axis_that_comes_late_by_tau_is_off_by_minus_v_tau(lag_s: float) -> None:
    speed = two_speeds()
    found = following(0.7 - lag_s * speed, speed, **TELLS)
    assert found.lag_s[0] == pytest.approx(lag_s, abs=1e-12)
    assert found.slope_s[0] == pytest.approx(-lag_s, abs=1e-12)
    assert found.magnitude_slope_s[0] == pytest.approx(0.0, abs=1e-12)


def test_a_delayed_sine_has_the_lag_of_its_closed_form() -> None:
    # x = sin wt delayed by tau: the error is sin wt (cos w tau - 1) - cos wt sin w tau, and the
    # central difference of x is cos wt sin(w dt)/dt.  Over whole turns the first part is orthogonal
    # to it, so that the slope is -dt sin(w tau) / sin(w dt).
    samples, turns, tau_s = 1000, 5, 0.05
    w = 2.0 * np.pi * turns / (samples * INTERVAL_S)
    time_s = np.arange(-1, samples + 1)[:, np.newaxis] * INTERVAL_S
    expected, actual = 40.0 * np.sin(w * time_s), 40.0 * np.sin(w * (time_s - tau_s))
    found = following(actual - expected, speed_of(expected, INTERVAL_S), **TELLS)
    closed_form_s = INTERVAL_S * np.sin(w * tau_s) / np.sin(w * INTERVAL_S)
    assert found.lag_s[0] == pytest.approx(closed_form_s, rel=1e-9)
    assert closed_form_s == pytest.approx(tau_s, rel=0.01)


def test_an_error_that_grows_with_speed_either_way_is_no_lag() -> None:
    speed = two_speeds()
    found = following(0.002 * np.abs(speed) - 0.3, speed, **TELLS)
    assert found.magnitude_slope_s[0] == pytest.approx(0.002, abs=1e-12)
    assert found.lag_s[0] == pytest.approx(0.0, abs=1e-12)


def test_lag_and_growth_are_told_apart() -> None:
    # Longer one way than the other, so that signed speed and magnitude are correlated.
    speed = np.repeat([30.0, 10.0, 20.0, -10.0, -25.0], [200, 200, 100, 30, 40])[:, np.newaxis]
    found = following(0.1 - 0.06 * speed + 0.01 * np.abs(speed), speed, **TELLS)
    assert found.lag_s[0] == pytest.approx(0.06, abs=1e-12)
    assert found.magnitude_slope_s[0] == pytest.approx(0.01, abs=1e-12)


def test_one_magnitude_both_ways_tells_the_lag_alone() -> None:
    speed = np.repeat([20.0, -20.0], 50)[:, np.newaxis]
    found = following(-0.06 * speed, speed, **TELLS)
    assert found.lag_s[0] == pytest.approx(0.06)
    assert np.isnan(found.magnitude_slope_s[0])


def test_one_way_tells_a_slope_and_no_lag() -> None:
    speed = np.repeat([30.0, 10.0, 0.0], 50)[:, np.newaxis]
    found = following(0.5 - 0.06 * speed, speed, **TELLS)
    assert found.slope_s[0] == pytest.approx(-0.06)
    assert np.isnan(found.lag_s[0])
    assert np.isnan(found.magnitude_slope_s[0])


@pytest.mark.parametrize("speed", [0.0, 20.0, 0.9])
def test_one_speed_alone_tells_nothing(speed: float) -> None:
    found = following(np.full((100, 1), 0.5), np.full((100, 1), speed), **TELLS)
    assert np.isnan([found.slope_s, found.lag_s, found.magnitude_slope_s]).all()


def test_too_few_samples_of_a_way_are_no_way() -> None:
    speed = np.repeat([30.0, 10.0, -30.0], [100, 100, 19])[:, np.newaxis]
    assert np.isnan(following(-0.06 * speed, speed, **TELLS).lag_s[0])
    speed = np.repeat([30.0, 10.0, -30.0], [100, 100, 20])[:, np.newaxis]
    assert following(-0.06 * speed, speed, **TELLS).lag_s[0] == pytest.approx(0.06)


def test_a_jump_that_no_axis_makes_is_left_out() -> None:
    speed = two_speeds()
    error = -0.06 * speed
    speed[7], error[7], speed[9] = 5000.0, 3.0, np.nan
    assert following(error, speed, **TELLS, fastest=150.0).lag_s[0] == pytest.approx(0.06)


@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(150, 300),
    columns=st.integers(1, 5),
)
def test_it_is_least_squares(seed: int, samples: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    speed = random.uniform(-40.0, 40.0, (samples, columns))
    error = random.normal(size=(samples, columns)) - 0.05 * speed
    found = following(error, speed, **TELLS)
    for k in range(columns):
        design = np.column_stack([np.ones(samples), speed[:, k], np.abs(speed[:, k])])
        _, slope, magnitude_slope = np.linalg.lstsq(design, error[:, k], rcond=None)[0]
        assert found.slope_s[k] == pytest.approx(slope, abs=1e-9)
        assert found.magnitude_slope_s[k] == pytest.approx(magnitude_slope, abs=1e-9)
        assert found.lag_s[k] == -found.slope_s[k]
