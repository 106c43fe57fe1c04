"""The control chart of a series."""

from __future__ import annotations

import numpy as np
import pytest

from qa_daemon.trends.chart import PHASE_ONE, Chart, Usual, chart_of, usual_of


def _noise(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(2.0, 0.5, n)


def _charted(values: np.ndarray) -> Chart:
    usual = usual_of(values)
    assert usual is not None
    return chart_of(values, usual, PHASE_ONE)


def test_what_is_usual_is_found_from_the_first_values_and_then_held() -> None:
    values = _noise(100)
    before = _charted(values)
    values[60:] += 4.0
    after = _charted(values)
    assert after.usual == before.usual == usual_of(values[:PHASE_ONE])
    assert after.beyond[60:].all()
    assert after.average_beyond[62:].all()


def test_values_of_phase_one_are_not_judged_by_themselves() -> None:
    values = _noise(40)
    values[10] = 9.0
    found = _charted(values)
    assert not found.beyond[:PHASE_ONE].any()
    assert np.isnan(found.average[:PHASE_ONE]).all()
    assert found.usual.center == pytest.approx(2.0, abs=0.3)
    assert found.usual.values == 29


def test_the_limit_of_moving_ranges_is_the_published_one() -> None:
    """Mean moving range 0.22632 gives 0.7394, with 3.267 for 3.266532."""
    sigma = 0.22632 * np.sqrt(np.pi) / 2.0
    found = chart_of(np.zeros(3), Usual(0.0, sigma, 20, 0.0, widened=False))
    assert found.range_high == pytest.approx(0.7394 * 3.266532 / 3.267, abs=5e-5)


def test_signed_limits_watch_every_value() -> None:
    values = _noise(10)
    values[3] = 9.0
    signed = Usual(2.0, 0.5, 40, 0.0, widened=False)
    found = chart_of(values, signed)
    assert np.flatnonzero(found.beyond).tolist() == [3]
    assert (found.low, found.high) == (0.5, 3.5)


def test_of_neighbors_that_are_alike_the_spread_of_all_is_taken() -> None:
    noise = np.random.default_rng(2).normal(0.0, 1.0, 60)
    values = np.zeros(60)
    for k in range(1, 60):
        values[k] = 0.9 * values[k - 1] + noise[k]
    found = usual_of(values)
    assert found is not None
    assert found.widened
    assert found.alike > 2.0 / np.sqrt(30)
    assert found.sigma == pytest.approx(values[:PHASE_ONE].std(ddof=1), rel=0.2)


@pytest.mark.parametrize("level", [0.0, 0.1 + 0.2, -7.3])
def test_a_constant_series_has_no_signal(level: float) -> None:
    found = _charted(np.full(80, level))
    assert not found.beyond.any()
    assert not found.average_beyond.any()


def test_few_values_say_not_what_is_usual() -> None:
    for n in (0, 1, 19):
        assert usual_of(_noise(n)) is None


def test_the_pair_speaks_once_in_about_220_values() -> None:
    """Single values and the average together, where what is usual is known: published about 220."""
    rng = np.random.default_rng(6)
    signed = Usual(0.0, 1.0, 40, 0.0, widened=False)
    lengths = []
    for _ in range(700):
        found = chart_of(rng.normal(size=1200), signed)
        marks = found.beyond | found.average_beyond
        lengths.append(int(np.argmax(marks)) + 1 if marks.any() else marks.size)
    assert np.mean(lengths) == pytest.approx(220.0, rel=0.1)
