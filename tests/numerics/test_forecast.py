"""A line through a trend, and when it crosses a limit."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.forecast import Line, crossing, fit_line

WORKED = "0.3 0.1 0.4 0.2 0.5 0.3 0.6 0.4 0.5 0.7 0.4 0.6 0.8 0.5 0.7 0.9 0.6 0.8 0.7 1.0"
VALUES = np.array([float(word) for word in WORKED.split()])
TIMES = np.arange(20.0)


def _line(t: object, y: object) -> Line:
    found = fit_line(np.asarray(t, float), np.asarray(y, float))
    assert found is not None
    return found


@pytest.mark.parametrize("origin", [0.0, 20_000.0, -3.5e5])
def test_a_worked_forecast(origin: float) -> None:
    line = _line(TIMES + origin, VALUES)
    assert line.at(origin) == pytest.approx(0.23571, abs=5e-6)
    assert line.slope == pytest.approx(0.03308, abs=5e-6)
    assert line.scatter == pytest.approx(0.13379, abs=5e-6)
    assert line.p_value == pytest.approx(5.3e-6, abs=5e-8)
    found = crossing(line, 2.0, origin + 19.0)
    assert found is not None
    assert found.at - origin == pytest.approx(53.33, abs=5e-3)
    assert found.earliest - origin == pytest.approx(40.03, abs=5e-3)
    assert found.latest - origin == pytest.approx(77.31, abs=5e-3)


def test_a_line_that_falls_crosses_the_lower_limit_at_the_same_times() -> None:
    up, down = _line(TIMES, VALUES), _line(TIMES, -VALUES)
    rising, falling = crossing(up, 2.0, 19.0), crossing(down, -2.0, 19.0)
    assert rising is not None
    assert falling is not None
    assert (falling.at, falling.earliest, falling.latest) == pytest.approx(
        (rising.at, rising.earliest, rising.latest)
    )
    assert crossing(up, -2.0, 19.0) is None
    assert crossing(down, 2.0, 19.0) is None


def test_at_the_ends_of_the_interval_the_band_meets_the_limit() -> None:
    line = _line(TIMES, VALUES)
    found = crossing(line, 2.0, 19.0)
    assert found is not None
    assert line.at(found.earliest) + line.half_width(found.earliest) == pytest.approx(2.0)
    assert line.at(found.latest) - line.half_width(found.latest) == pytest.approx(2.0)


def test_a_limit_within_the_band_may_be_crossed_now() -> None:
    found = crossing(_line(TIMES, VALUES), 1.0, 19.0)
    assert found is not None
    assert found.earliest == 19.0


def test_what_is_beyond_the_limit_does_not_cross_it() -> None:
    assert crossing(_line(TIMES, VALUES), 0.5, 19.0) is None


def test_a_level_line_crosses_nothing() -> None:
    line = _line(TIMES, np.full(20, 0.1 + 0.2))
    assert (line.slope, line.p_value) == (0.0, 1.0)
    assert crossing(line, 2.0, 19.0) is None
    noise = np.random.default_rng(3).normal(0.0, 1.0, 20)
    assert crossing(_line(TIMES, noise), 9.0, 19.0) is None


def test_an_exact_line_is_sure() -> None:
    line = _line(TIMES, 0.5 * TIMES)
    assert (line.slope, line.p_value, line.widened) == (pytest.approx(0.5), 0.0, 1.0)
    found = crossing(line, 20.0, 19.0)
    assert found is not None
    assert (found.earliest, found.at, found.latest) == pytest.approx((40.0, 40.0, 40.0))


def test_a_value_with_a_cause_of_its_own_does_not_turn_the_line() -> None:
    values = VALUES.copy()
    values[18] = 40.0
    line = _line(TIMES, values)
    assert line.left_out == 1
    assert line.slope == pytest.approx(0.0331, abs=0.003)
    assert line.robust_slope == pytest.approx(0.0333, abs=0.01)


def test_the_band_holds_the_next_value_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(1500):
        y = 0.02 * np.arange(45.0) + rng.normal(0.0, 0.5, 45)
        line = _line(np.arange(40.0), y[:40])
        inside += abs(y[44] - line.at(44.0)) <= line.half_width(44.0)
    # 95 % +/- 4 standard errors; what the robust line leaves out makes the band a little narrow.
    assert inside / 1500 == pytest.approx(0.95, abs=0.0225)


def test_neighbors_that_are_alike_do_not_make_a_slope() -> None:
    """An autoregressive series without slope: 1 % of false slopes is meant, 10 % would be found."""
    rng = np.random.default_rng(9)
    found, told = 0, 400
    for _ in range(told):
        noise = rng.normal(0.0, 1.0, 120)
        series = np.zeros(120)
        for k in range(1, 120):
            series[k] = 0.6 * series[k - 1] + noise[k]
        found += _line(np.arange(120.0), series).p_value < 0.01
    assert found / told < 0.03


def test_too_few_values_make_no_line() -> None:
    assert fit_line(TIMES[:14], VALUES[:14]) is None
    assert fit_line(np.zeros(20), VALUES) is None


def test_what_is_no_series_is_refused() -> None:
    with pytest.raises(ValueError, match="in order"):
        fit_line(TIMES[::-1], VALUES)
    with pytest.raises(ValueError, match="finite"):
        fit_line(TIMES, np.where(TIMES == 3.0, np.nan, VALUES))


def test_a_long_series_is_thinned_for_its_robust_line_alone() -> None:
    t = np.arange(5000.0)
    line = _line(t, 0.001 * t + np.sin(t))
    assert line.values == 5000
    assert line.robust_slope == pytest.approx(0.001, rel=0.05)
