"""The cumulative sum of a process."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.cumulative_sum import cumulative_sums

VALUES = np.array([0.2, -0.5, 1.1, 0.8, 1.5, 1.2, 0.9, 1.7])


def test_a_worked_example() -> None:
    found = cumulative_sums(VALUES, 0.0, 1.0, 0.5, 4.0)
    assert found.upper == pytest.approx([0.0, 0.0, 0.6, 0.9, 1.9, 2.6, 3.0, 4.2])
    assert (found.signal, found.change) == (7, 2)


def test_both_sides_are_their_definition() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, 400)
    found = cumulative_sums(values, 3.1, 1.7, 0.4)
    up = down = 0.0
    for k, value in enumerate(values):
        up = max(0.0, up + (value - 3.1) / 1.7 - 0.4)
        down = max(0.0, down - (value - 3.1) / 1.7 - 0.4)
        assert (found.upper[k], found.lower[k]) == pytest.approx((up, down), abs=1e-9)


def test_a_shift_downwards_is_seen_and_its_beginning_told() -> None:
    values = np.random.default_rng(8).normal(0.0, 1.0, 120)
    values[60:] -= 2.0
    found = cumulative_sums(values, 0.0, 1.0)
    assert found.signal is not None
    assert found.change is not None
    assert 60 <= found.signal < 72
    assert abs(found.change - 60) <= 3


def test_without_a_spread_there_is_no_sum() -> None:
    with pytest.raises(ValueError, match="spread"):
        cumulative_sums(VALUES, 0.0, 0.0)


@pytest.mark.parametrize(("threshold", "shift", "length"), [(4.0, 0.0, 167.7), (5.0, 1.0, 10.4)])
def test_the_average_run_length_is_the_published_one(
    threshold: float, shift: float, length: float
) -> None:
    rng = np.random.default_rng(5)
    lengths = []
    for _ in range(2500):
        found = cumulative_sums(rng.normal(shift, 1.0, 1500), 0.0, 1.0, 0.5, threshold)
        lengths.append(1500 if found.signal is None else found.signal + 1)
    assert np.mean(lengths) == pytest.approx(length, rel=0.06)
