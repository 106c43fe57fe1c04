"""The exponentially weighted moving average and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.numerics.weighted_average import half_widths, weighted_average

VALUES = np.array([0.2, -0.5, 1.1, 0.8, 1.5, 1.2, 0.9, 1.7])
# A worked example, weight 0.2 and width 3, by hand.
AVERAGES = "0.04000 -0.06800 0.16560 0.29248 0.53398 0.66719 0.71375 0.91100"
WIDTHS = "0.60000 0.76837 0.85899 0.91227 0.94479 0.96503 0.97776 0.98583"


def _row(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def test_a_worked_example() -> None:
    assert weighted_average(VALUES, 0.0, 0.2) == pytest.approx(_row(AVERAGES), abs=5e-6)
    assert half_widths(8, 1.0, 0.2, 3.0) == pytest.approx(_row(WIDTHS), abs=5e-6)


def test_it_begins_at_the_center_and_each_step_is_its_definition() -> None:
    found = weighted_average(VALUES + 7.0, 7.0)
    z = 7.0
    for value, average in zip(VALUES + 7.0, found, strict=True):
        z = 0.1 * value + 0.9 * z
        assert average == pytest.approx(z, rel=1e-13)


def test_nothing_has_no_average() -> None:
    assert weighted_average(np.zeros(0), 1.0).shape == (0,)
    assert half_widths(0, 1.0).shape == (0,)


def test_a_steady_process_is_left_alone_for_500_values() -> None:
    """Average run length 499.5 of weight 0.1, width 2.814, by Markov chain (published tables)."""
    rng = np.random.default_rng(11)
    runs, longest = 2000, 4000
    widths = half_widths(longest, 1.0)
    lengths = []
    for _ in range(runs):
        beyond = np.abs(weighted_average(rng.normal(size=longest), 0.0)) > widths
        lengths.append(int(np.argmax(beyond)) + 1 if beyond.any() else longest)
    # Few runs are longer than those looked at; the error of the mean is 500 / sqrt(2000) = 11.
    assert np.mean(lengths) == pytest.approx(499.5, abs=40)
