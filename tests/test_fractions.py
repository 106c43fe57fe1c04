"""Fractions put together from logs and records: closed cases, counted by hand."""

from __future__ import annotations

import pytest

from qa_daemon.fractions import (
    NANO,
    BeamState,
    DeliveredPart,
    FractionBeam,
    RecordedPart,
    fractions,
)

HOUR = 3600 * NANO
GAP_S = 3 * 3600.0


def part(
    number: int, start: float, stop: float, hour: float = 0.0, result: int = 1
) -> DeliveredPart:
    return DeliveredPart(number, 100.0, start, stop, int(hour * HOUR), result)


def only(planned: dict[int, float | None], *parts: DeliveredPart) -> dict[int, FractionBeam]:
    (found,) = fractions(planned, parts, (), GAP_S)
    return {beam.number: beam for beam in found.beams}


@pytest.mark.parametrize(
    ("spans", "state", "delivered_mu"),
    [
        ([(0, 100)], BeamState.DELIVERED, 100.0),
        ([(0, 99.2)], BeamState.DELIVERED, 99.2),
        ([(0, 98.9)], BeamState.PARTIAL, 98.9),
        ([(0, 60)], BeamState.PARTIAL, 60.0),
        ([(0, 60), (60, 100)], BeamState.RESUMED, 100.0),
        ([(60, 100), (0, 60)], BeamState.RESUMED, 100.0),
        ([(0, 60), (59.5, 100)], BeamState.RESUMED, 100.5),
        ([(0, 60), (70, 100)], BeamState.PARTIAL, 90.0),
        ([(0, 100), (0, 100)], BeamState.REPEATED, 200.0),
        ([(0, 60), (0, 60)], BeamState.REPEATED, 120.0),
        ([(0, 60), (0, 100)], BeamState.REPEATED, 160.0),
        ([(0, 60), (50, 100)], BeamState.REPEATED, 110.0),
        ([(0, 120)], BeamState.REPEATED, 120.0),
    ],
)
def test_what_became_of_a_beam(
    spans: list[tuple[float, float]], state: BeamState, delivered_mu: float
) -> None:
    parts = [part(1, *span, result=k) for k, span in enumerate(spans)]
    beam = only({1: 100.0}, *parts)[1]
    assert (beam.state, beam.delivered_mu) == (state, pytest.approx(delivered_mu))
    assert beam.is_sound == (state in (BeamState.DELIVERED, BeamState.RESUMED))


def test_a_beam_without_a_log_is_missing_or_was_treated_all_the_same() -> None:
    recorded = [RecordedPart(2, 50.0, 7, 0, 9), RecordedPart(3, 0.0, 7, 0, 9)]
    (found,) = fractions({1: 100.0, 2: 50.0, 3: 40.0}, [part(1, 0, 100)], recorded, GAP_S)
    states = {beam.number: beam.state for beam in found.beams}
    assert states == {1: BeamState.DELIVERED, 2: BeamState.NO_LOG, 3: BeamState.MISSING}
    assert found.number == 7


def test_a_gap_parts_fractions_and_a_chain_of_short_ones_does_not() -> None:
    hours = [0.0, 2.5, 5.0, 8.5, 24.0]
    parts = [part(k, 0, 100, hour, result=k) for k, hour in enumerate(hours)]
    found = fractions({}, parts, (), GAP_S)
    assert [(f.first_ns / HOUR, f.last_ns / HOUR) for f in found] == [
        (0.0, 5.0),
        (8.5, 8.5),
        (24.0, 24.0),
    ]


def test_numbers_that_contradict_each_other_are_none() -> None:
    recorded = [RecordedPart(1, 50.0, 7, 0, 9), RecordedPart(2, 50.0, 8, 1, 9)]
    (found,) = fractions({}, (), recorded, GAP_S)
    assert found.number is None
