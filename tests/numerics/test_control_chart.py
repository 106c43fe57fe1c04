"""Limits of a control chart of individual values."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.control_chart import RANGE_PER_SIGMA, sigma_of_ranges

# A worked individuals chart: mean 0.550, mean moving range 0.22632.
WORKED = "0.3 0.1 0.4 0.2 0.5 0.3 0.6 0.4 0.5 0.7 0.4 0.6 0.8 0.5 0.7 0.9 0.6 0.8 0.7 1.0"


def test_the_constant_of_two_values() -> None:
    assert pytest.approx(1.128379, abs=5e-7) == RANGE_PER_SIGMA
    assert pytest.approx(2.658681, abs=5e-7) == 3.0 / RANGE_PER_SIGMA


def test_a_worked_chart() -> None:
    """Mean 0.550, mean moving range 0.22632: limits 1.152 and -0.052."""
    values = np.array([float(x) for x in WORKED.split()])
    sigma = sigma_of_ranges(values, np.zeros(20, int))
    assert sigma * RANGE_PER_SIGMA == pytest.approx(0.22632, abs=5e-6)
    assert values.mean() + 3.0 * sigma == pytest.approx(1.152, abs=5e-4)
    assert values.mean() - 3.0 * sigma == pytest.approx(-0.052, abs=5e-4)


def test_one_value_in_370_of_a_steady_process_lies_outside() -> None:
    values = np.random.default_rng(5).normal(10.0, 0.4, 200_000)
    reach = 3.0 * sigma_of_ranges(values, np.zeros(values.size, int))
    outside = np.mean(np.abs(values - values.mean()) > reach)
    assert outside == pytest.approx(1 / 370.4, rel=0.15)


def test_the_spread_of_moving_ranges_knows_no_range_between_two_processes() -> None:
    values = np.tile([0.0, 1.0], 20)
    process = np.zeros(40, int)
    assert sigma_of_ranges(values, process) == pytest.approx(1.0 / RANGE_PER_SIGMA)
    values[20:] += 3.0
    process[20:] = 1
    assert sigma_of_ranges(values, process) == pytest.approx(1.0 / RANGE_PER_SIGMA)
    assert np.isnan(sigma_of_ranges(values[:19], process[:19]))


def test_the_spread_of_moving_ranges_leaves_out_what_is_wild() -> None:
    values = np.random.default_rng(4).normal(0.0, 0.5, 250)
    values[100] = 500.0
    assert sigma_of_ranges(values, np.zeros(250, int)) == pytest.approx(0.5, rel=0.12)
