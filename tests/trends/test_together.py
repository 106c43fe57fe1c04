"""Steps of beams that were checked in one session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qa_daemon.trends.signals import Series, step
from qa_daemon.trends.together import steps_together

N = 120


def _beams(seed: int = 1, common: float = 0.4, own: float = 0.3) -> list[Series]:
    """Three beams whose sessions share most of what chance does."""
    random = np.random.default_rng(seed)
    shared = random.normal(0.0, common, N)
    return [
        Series(
            np.arange(float(N)),
            shared + random.normal(0.0, own, N),
            np.zeros(N, int),
            -3.0,
            3.0,
            0.0,
        )
        for _ in range(3)
    ]


def _with_newest(beams: list[Series], *offsets: float) -> list[Series]:
    """The newest session: each beam at its offset, with nothing of chance."""
    return [
        replace(series, values=np.append(series.values[:-1], offset))
        for series, offset in zip(beams, offsets, strict=True)
    ]


def test_a_step_of_all_beams_is_seen_in_their_mean() -> None:
    found = steps_together(_with_newest(_beams(), 2.2, 2.2, 2.2))
    assert found.of_beams == (None, None, None)
    assert found.of_all is not None
    assert found.of_all.value == pytest.approx(2.2)
    assert found.of_all.reach < 1.9


def test_a_step_of_one_beam_is_seen_beside_the_others() -> None:
    """By itself 1.7 % is as usual: 3.4 times the 0.63 % of all that chance does is more."""
    beams = _with_newest(_beams(common=0.6, own=0.2), 0.0, 1.7, 0.0)
    assert step(beams[1]) is None
    found = steps_together(beams)
    assert found.of_beams[0] is None
    assert found.of_beams[2] is None
    seen = found.of_beams[1]
    assert seen is not None
    assert seen.value == pytest.approx(1.7)
    assert abs(seen.usual) < 0.3


def test_a_beam_that_another_one_left_behind_is_not_told() -> None:
    """Of two beams alone either may be called the one that is off: the one that moved is."""
    for offsets in ((0.0, 2.8), (2.8, 0.0)):
        found = steps_together(_with_newest(_beams(common=0.6, own=0.1)[:2], *offsets))
        assert [seen is not None for seen in found.of_beams] == [x > 0.0 for x in offsets]


def test_what_all_do_is_expected_of_each() -> None:
    beams = _with_newest(_beams(), 1.0, 1.0, 1.0)
    found = steps_together(beams)
    assert found.of_beams == (None, None, None)


def test_a_beam_that_is_out_of_its_limits_speaks_by_its_verdict() -> None:
    found = steps_together(_with_newest(_beams(), 0.0, 3.2, 0.0))
    assert found.of_beams[1] is None
    assert found.of_all is None


def test_beams_without_anything_in_common_are_looked_at_by_themselves() -> None:
    beams = _with_newest(_beams(3, common=0.0, own=0.4), 0.0, 2.0, 0.0)
    alone, together = step(beams[1]), steps_together(beams).of_beams[1]
    assert alone is not None
    assert together is not None
    assert together.reach == pytest.approx(alone.reach, rel=0.1)


def test_constant_beams_say_nothing() -> None:
    still = Series(np.arange(50.0), np.zeros(50), np.zeros(50, int), -3.0, 3.0)
    assert steps_together([still, still]) == steps_together([still, still])
    assert steps_together([still, still]).of_all is None


def test_few_sessions_say_nothing() -> None:
    for n in range(1, 20):
        short = Series(np.arange(float(n)), np.arange(n) / 10, np.zeros(n, int), -3.0, 3.0)
        found = steps_together([short, short])
        assert found.of_beams == (None, None)
        assert found.of_all is None


def test_a_baseline_of_one_beam_begins_all_anew() -> None:
    beams = _beams()
    process = np.zeros(N, int)
    process[60:] = 1
    later = beams[0].values + np.where(process, 1.2, 0.0)
    cut = [replace(beams[0], process=process, values=later), *beams[1:]]
    assert steps_together(cut).of_beams[0] is None


def test_series_of_other_sessions_are_refused() -> None:
    beams = _beams()
    short = replace(
        beams[1],
        times_d=beams[1].times_d[1:],
        values=beams[1].values[1:],
        process=beams[1].process[1:],
    )
    with pytest.raises(ValueError, match="share"):
        steps_together([beams[0], short])
    with pytest.raises(ValueError, match="share"):
        steps_together(beams[:1])
