"""Where the level of a series changes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analyzers.numerics.change_points import change_points


def _noise(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1.0, n)


def test_levels_are_found_where_they_change() -> None:
    values = 0.1 * _noise(90, 1)
    values[30:] += 1.0
    values[60:] -= 2.0
    assert change_points(values, 0.1) == [30, 60]


def test_it_is_the_best_of_all_partitions() -> None:
    """Against every way to cut 24 values into at most four parts of five."""
    values = _noise(24, 3) + np.repeat([0.0, 2.5, -1.0], 8)
    penalty = 2.0 * np.log(24)

    def cost(cuts: tuple[int, ...]) -> float:
        parts = np.split(values, cuts)
        if min(part.size for part in parts) < 5:
            return np.inf
        return sum(float(np.sum((p - p.mean()) ** 2)) for p in parts) + penalty * len(cuts)

    best = min((c for k in range(4) for c in combinations(range(1, 24), k)), key=cost)
    assert change_points(values, 1.0) == list(best)


def test_a_steady_series_seldom_has_one() -> None:
    found = sum(bool(change_points(_noise(100, seed), 1.0)) for seed in range(200))
    assert found / 200 < 0.1


def test_an_outlier_is_no_level() -> None:
    values = 0.1 * _noise(60, 2)
    values[30] += 0.8
    assert change_points(values, 0.1) == []


def test_few_values_have_none() -> None:
    assert change_points(np.array([0.0] * 4 + [9.0] * 4), 0.1) == []
    assert change_points(np.zeros(0), 0.1) == []


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(ValueError, match="spread"):
        change_points(np.zeros(20), 0.0)
    with pytest.raises(ValueError, match="more than"):
        change_points(np.zeros(2001), 1.0)
