"""Beam holds: how often, how long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.machine.beam_holds import ANALYZER
from analyzers.records import Delivery
from tests.deliveries import sweeping_field
from tests.machine.judging import measured, run, verdict


def held(*runs: tuple[int, int, int], on: slice = slice(10, 91)) -> Delivery:
    """101 samples, beam on in `on`, and runs of (state, first, stop)."""
    record = sweeping_field(samples=101)
    increment_mu = np.zeros(101)
    increment_mu[on] = 1.0
    record.meterset_mu.actual[:] = np.cumsum(increment_mu)
    assert record.beam_hold is not None
    for state, first, stop in runs:
        record.beam_hold[first:stop] = state
    return record


@pytest.mark.parametrize(
    ("runs", "count", "samples"),
    [
        ([], 0, 0),
        ([(2, 40, 50)], 1, 10),
        ([(2, 40, 50), (2, 60, 61)], 2, 11),
        ([(1, 40, 50)], 1, 10),
        ([(3, 40, 50)], 1, 10),
        # one run although the state changes
        ([(1, 40, 45), (2, 45, 50)], 1, 10),
        # before the beam and after it nothing is held
        ([(2, 0, 10), (2, 91, 101)], 0, 0),
        # the part within counts
        ([(2, 0, 15)], 1, 5),
        ([(2, 88, 101)], 1, 3),
    ],
)
def test_runs_are_counted_and_their_time_added(
    runs: list[tuple[int, int, int]], count: int, samples: int
) -> None:
    found = measured(ANALYZER, held(*runs))
    assert found["count"].value == count
    assert found["held_time"].value == pytest.approx(0.02 * samples)
    assert {verdict(m) for m in found.values()} == {None}


def test_the_creep_of_the_meterset_at_the_start_is_no_beam_to_hold() -> None:
    # Every real log begins so: 0.0005 MU in the first held sample.
    record = held((2, 0, 10))
    record.meterset_mu.actual[1:] += 0.0005
    assert measured(ANALYZER, record)["count"].value == 0


def test_no_hold_state_and_no_beam_are_not_applicable_and_a_short_beam_refused() -> None:
    with pytest.raises(NotApplicable, match="no beam-hold state"):
        run(ANALYZER, replace(held(), beam_hold=None))
    with pytest.raises(NotApplicable, match="never on"):
        run(ANALYZER, held(on=slice(0, 0)))
    with pytest.raises(AnalysisError, match="only 4 samples"):
        run(ANALYZER, held(on=slice(10, 14)))
