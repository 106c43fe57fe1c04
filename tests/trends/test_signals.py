"""What a series says of itself: steps and drifts, and nothing without a cause."""

from __future__ import annotations

import numpy as np
import pytest

from qa_daemon.trends.signals import DriftSeen, Series, Signal, StepSeen, signals

SIGMA = 0.5


def _series(
    values: object,
    *,
    events: tuple[int, ...] = (),
    limits: tuple[float | None, float | None] = (-3.0, 3.0),
    expected: float | None = None,
    step_d: float = 1.0,
) -> Series:
    y = np.asarray(values, float)
    process = np.zeros(y.size, int)
    for event in events:
        process[event:] += 1
    return Series(step_d * np.arange(y.size), y, process, *limits, expected)


def _noise(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, SIGMA, n)


def _only(found: list[Signal]) -> Signal:
    (one,) = found
    return one


def test_a_step_is_the_newest_value_beyond_the_reach_of_those_before() -> None:
    """Values of +/-0.4 in turn: ranges of 0.8, sigma 0.8 / 1.12838, level 0 of 30 values."""
    before = 0.4 * (-1.0) ** np.arange(60)
    reach = 3.4 * 0.8 * np.sqrt(np.pi) / 2.0 * np.sqrt(1.0 + 1.0 / 30.0)
    seen = _only(signals(_series([*before, reach + 0.001])))
    assert isinstance(seen, StepSeen)
    assert (seen.usual, seen.reach) == (pytest.approx(0.0), pytest.approx(reach))
    assert signals(_series([*before, reach - 0.001])) == []
    assert isinstance(_only(signals(_series([*before, -reach - 0.001]))), StepSeen)


def test_right_after_an_event_the_spread_of_before_still_holds() -> None:
    before = 5.0 + _noise(100)
    after = [0.1, -0.2]
    assert signals(_series([*before, *after, 2.9], events=(100,))) == []
    seen = _only(signals(_series([*before, *after, 2.9], events=(100,), expected=0.0)))
    assert isinstance(seen, StepSeen)
    assert seen.usual == pytest.approx(-0.1 / 6.0)


@pytest.mark.parametrize("value", [3.1, -40.0])
def test_what_a_limit_says_already_is_not_said_again(value: float) -> None:
    assert signals(_series([*_noise(60), value])) == []


def test_what_changes_no_decision_is_no_step() -> None:
    """Every value the same: a range of none, and a first other value is far off in its terms."""
    same = np.full(40, 1.0)
    # Half of the way between -3 and 3 is 3, and half of that is worth saying, up or down.
    for quiet, told in ((2.4, 2.6), (-0.4, -0.6)):
        assert signals(_series([*same, quiet])) == []
        assert isinstance(_only(signals(_series([*same, told]))), StepSeen)
    # With one limit it is half of the way there.
    assert signals(_series([*same, 1.9], limits=(None, 3.0))) == []
    assert isinstance(_only(signals(_series([*same, 2.1], limits=(None, 3.0)))), StepSeen)


def test_a_drift_is_told_with_the_days_of_its_crossing() -> None:
    slope = 0.02
    drift = slope * np.arange(100) + _noise(100, 4)
    seen = _only(signals(_series(drift)))
    assert isinstance(seen, DriftSeen)
    assert seen.per_month == pytest.approx(slope * 365.25 / 12, rel=0.2)
    assert seen.crossing.limit == 3.0
    assert seen.crossing.at == pytest.approx(150.0, rel=0.1)
    assert 99.0 <= seen.crossing.earliest < seen.crossing.at < seen.crossing.latest


def test_a_drift_that_gets_nowhere_soon_is_not_told() -> None:
    slope = 0.005
    assert signals(_series(slope * np.arange(200) + 0.2 * _noise(200, 4))) == []


def test_a_drift_is_not_told_further_ahead_than_it_is_known() -> None:
    """Twenty days of a steep line cross in 30 days; forty days of it may say so."""
    slope = 0.06
    for n, is_told in ((20, False), (40, True)):
        found = signals(_series(slope * np.arange(n) + 0.1 * _noise(n, 6), limits=(None, 3.0)))
        assert any(isinstance(one, DriftSeen) for one in found) is is_told


def test_a_drift_before_an_event_is_over() -> None:
    values = np.concatenate([0.02 * np.arange(100), np.zeros(30)]) + 0.3 * _noise(130, 7)
    assert signals(_series(values, events=(100,), expected=0.0)) == []


def test_one_outlier_is_no_drift() -> None:
    values = _noise(60, 8)
    values[57] = 2.9
    assert not any(isinstance(s, DriftSeen) for s in signals(_series(values)))


@pytest.mark.parametrize("n", range(19))
def test_a_series_too_short_to_know_says_nothing(n: int) -> None:
    assert signals(_series(np.arange(float(n)))) == []


def test_a_series_without_limits_says_nothing() -> None:
    assert signals(_series([*_noise(60), 40.0], limits=(None, None))) == []


def test_one_sided_limits_are_held_against_alone() -> None:
    for value in (2.9, -9.0):
        told = signals(_series([*_noise(60), value], limits=(None, 3.0)))
        assert isinstance(_only(told), StepSeen)
    falling = -0.02 * np.arange(100) + _noise(100, 4)
    assert signals(_series(falling, limits=(None, 3.0))) == []


def test_many_values_of_one_day_are_no_line() -> None:
    assert signals(_series(_noise(60), step_d=0.0)) == []


def test_a_steady_process_seldom_speaks() -> None:
    """3.4 sigma of a level of 30 values: 7e-4 of values, twice that for what sigma is not known."""
    values = _noise(1500, 12)
    found = [signals(_series(values[k - 260 : k + 1])) for k in range(300, values.size)]
    assert sum(bool(told) for told in found) / len(found) < 2.5e-3
