"""Limits of a control chart of individual values."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.control_chart import RANGE_PER_SIGMA, control_limits, sigma_of_ranges

# A worked individuals chart: mean 0.550, mean moving range 0.22632.
WORKED = "0.3 0.1 0.4 0.2 0.5 0.3 0.6 0.4 0.5 0.7 0.4 0.6 0.8 0.5 0.7 0.9 0.6 0.8 0.7 1.0"


def test_the_constant_of_two_values() -> None:
    assert pytest.approx(1.128379, abs=5e-7) == RANGE_PER_SIGMA
    assert pytest.approx(2.658681, abs=5e-7) == 3.0 / RANGE_PER_SIGMA


def test_a_worked_chart() -> None:
    found = control_limits(np.array([float(x) for x in WORKED.split()]))
    assert found is not None
    assert found.center == pytest.approx(0.550, abs=5e-13)
    assert found.upper == pytest.approx(1.152, abs=5e-4)
    assert found.lower == pytest.approx(-0.052, abs=5e-4)
    assert found.values == 20


def test_one_value_in_370_of_a_steady_process_lies_outside() -> None:
    values = np.random.default_rng(5).normal(10.0, 0.4, 200_000)
    found = control_limits(values)
    assert found is not None
    outside = np.mean((values < found.lower) | (values > found.upper))
    assert outside == pytest.approx(1 / 370.4, rel=0.15)


def test_values_with_a_cause_leave_the_limits_where_they_are() -> None:
    values = np.random.default_rng(6).normal(0.0, 1.0, 100)
    before = control_limits(values)
    values[[10, 40, 70]] = 50.0
    after = control_limits(values)
    assert before is not None and after is not None
    assert after.upper == pytest.approx(before.upper, rel=0.1)
    assert after.values <= 97


def test_equal_values_are_inside_their_limits() -> None:
    found = control_limits(np.full(30, 0.1))
    assert found is not None and found.values == 30
    assert found.upper == found.lower == pytest.approx(0.1)


def test_few_values_have_no_limits() -> None:
    assert control_limits(np.zeros(19)) is None
    assert control_limits(np.zeros(20)) is not None


@pytest.mark.parametrize("values", [np.array([1.0, np.nan] * 20), np.zeros((20, 2))])
def test_what_is_no_row_of_numbers_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite values in one row"):
        control_limits(values)


def test_the_spread_of_moving_ranges_knows_no_range_between_two_processes() -> None:
    values = np.tile([0.0, 1.0], 20)
    process = np.zeros(40, int)
    assert sigma_of_ranges(values, process) == pytest.approx(1.0 / RANGE_PER_SIGMA)
    values[20:] += 3.0
    process[20:] = 1
    assert sigma_of_ranges(values, process) == pytest.approx(1.0 / RANGE_PER_SIGMA)
    assert np.isnan(sigma_of_ranges(values[:20], process[:20]))


def test_the_spread_of_moving_ranges_leaves_out_what_is_wild() -> None:
    values = np.random.default_rng(4).normal(0.0, 0.5, 250)
    values[100] = 500.0
    assert sigma_of_ranges(values, np.zeros(250, int)) == pytest.approx(0.5, rel=0.12)
