"""Capability of a process, and limits that follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.capability import capability, process_limits

WORKED = "0.3 0.1 0.4 0.2 0.5 0.3 0.6 0.4 0.5 0.7 0.4 0.6 0.8 0.5 0.7 0.9 0.6 0.8 0.7 1.0"
VALUES = np.array([float(word) for word in WORKED.split()])
RATES = (
    "98.2 99.1 97.5 98.8 96.9 99.4 98.0 97.2 99.0 98.6 97.9 98.3 99.2 96.5 98.1 98.9 97.7 98.4 "
    "99.0 97.6"
)
PASS_RATES = np.array([float(word) for word in RATES.split()])


def test_a_worked_capability() -> None:
    """The offset that C_pk hides shows in C_pm."""
    found = capability(VALUES, -3.0, 3.0, 0.0)
    assert found is not None
    # Worked with d2 = 1.128 in place of 1.128379.
    assert found.cp == pytest.approx(4.98 * 1.128379 / 1.128, abs=5e-3)
    assert found.cpk == pytest.approx(4.07, abs=5e-3)
    assert found.pp == pytest.approx(4.25, abs=5e-3)
    assert found.ppk == pytest.approx(3.47, abs=5e-3)
    assert found.cpm == pytest.approx(1.67, abs=5e-3)


def test_of_one_limit_the_room_to_it_is_told() -> None:
    both, upper = capability(VALUES, -3.0, 3.0, 0.0), capability(VALUES, None, 3.0, 0.0)
    assert both is not None
    assert upper is not None
    assert (upper.cp, upper.pp, upper.cpm) == (None, None, None)
    assert (upper.cpk, upper.ppk) == (both.cpk, both.ppk)


def test_without_limits_or_spread_there_is_none() -> None:
    assert capability(VALUES, None, None) is None
    assert capability(np.full(20, 0.5), -3.0, 3.0) is None
    assert capability(VALUES[:1], -3.0, 3.0) is None


def test_worked_limits_of_pass_rates() -> None:
    found = process_limits(PASS_RATES, 100.0, 100.0)
    assert found is not None
    assert found.center == pytest.approx(98.2150, abs=5e-5)
    assert found.sigma == pytest.approx(0.8080, abs=5e-5)
    assert found.mean_range == pytest.approx(1.2421, abs=5e-5)
    # With 2.658681 in place of the 2.660 of tables, 0.0016 apart.
    assert found.tolerance_low == pytest.approx(94.911, abs=3e-3)
    assert found.tolerance_high == 100.0
    assert found.action_low == pytest.approx(94.122, abs=5e-4)


def test_limits_of_a_difference_stand_about_its_target() -> None:
    found = process_limits(VALUES, 0.0)
    assert found is not None
    half = 3.0 * np.hypot(VALUES.std(ddof=1), VALUES.mean())
    assert (found.action_low, found.action_high) == pytest.approx((-half, half))
    assert found.skewed_low is None


def test_skewed_pass_rates_have_one_in_741_below_their_limit() -> None:
    rates = 100.0 - np.random.default_rng(4).gamma(1.5, 1.0, 400_000)
    found = process_limits(rates, 100.0, 100.0)
    assert found is not None
    assert found.skewed_low is not None
    assert np.mean(rates < found.skewed_low) == pytest.approx(0.00135, rel=0.1)
    # The normal limit would call eight times as many of a process in control out of it.
    assert np.mean(rates < found.tolerance_low) > 5 * 0.00135


def test_rates_that_never_fail_have_no_skewed_limit() -> None:
    found = process_limits(np.full(20, 100.0), 100.0, 100.0)
    assert found is not None
    assert found.skewed_low is None
    assert found.action_low == 100.0
