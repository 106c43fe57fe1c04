"""Which samples have the beam on, and which leaves shape the field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.field_shape import beam_on_samples, shaping_leaves, sub_beam_samples
from analyzers.records import Delivery
from tests.deliveries import (
    CENTRAL_PAIRS,
    delivery,
    dual_layer_field,
    layer,
    static_field,
    sweeping_field,
    two_fields,
)

PARKED, SHAPING = 5, 30  # rows of the Millennium 120: behind a Y jaw, in the middle


def counted(record: Delivery) -> tuple[list[int], list[int]]:
    """Pairs whose A leaf counts, and whose B leaf counts."""
    a, b = shaping_leaves(record, record.mlc[0], beam_on_samples(record, 1))
    return np.flatnonzero(a).tolist(), np.flatnonzero(b).tolist()


def one_pair(
    right_mm: float, left_mm: float, jaws_mm: tuple[float, float, float, float] | None
) -> Delivery:
    """Pair 31 (0 to 5 mm in Y) stands so; all others are closed at the axis."""
    right, left = np.zeros((11, 60)), np.zeros((11, 60))
    right[:, SHAPING], left[:, SHAPING] = right_mm, left_mm
    return delivery(np.linspace(0.0, 10.0, 11), (layer(right, left),), jaws_mm=jaws_mm)


def test_moving_leaves_between_the_jaws_count_and_parked_ones_do_not() -> None:
    central = list(range(60))[CENTRAL_PAIRS]
    assert counted(sweeping_field()) == (central, central)


def test_leaves_at_rest_at_the_edge_of_the_open_field_count() -> None:
    # 100 mm in Y: the 5 mm rows from -50 to 50 are pairs 21 to 40.
    assert counted(static_field()) == (list(range(20, 40)), list(range(20, 40)))


@pytest.mark.parametrize(
    ("right_mm", "left_mm", "jaws_mm", "bank_a", "bank_b"),
    [
        (30.0, -30.0, (-40.0, 40.0, -50.0, 50.0), [30], [30]),
        # the A leaf stands behind X2, the B leaf does not
        (50.0, -30.0, (-40.0, 40.0, -50.0, 50.0), [], [30]),
        # both behind the jaws: the jaws shape the field
        (50.0, -50.0, (-40.0, 40.0, -50.0, 50.0), [], []),
        # the whole row, 0 to 5 mm, is behind Y1, or behind Y2
        (30.0, -30.0, (-40.0, 40.0, 5.0, 50.0), [], []),
        (30.0, -30.0, (-40.0, 40.0, -50.0, 0.0), [], []),
        # part of the row is seen
        (30.0, -30.0, (-40.0, 40.0, 4.0, 50.0), [30], [30]),
        # closed pairs stand up to 0.5 mm apart
        (10.5, 10.0, (-40.0, 40.0, -50.0, 50.0), [], []),
        (11.0, 10.0, (-40.0, 40.0, -50.0, 50.0), [30], [30]),
        # no jaws
        (150.0, -150.0, None, [30], [30]),
    ],
)
def test_a_leaf_at_rest_counts_at_the_edge_of_what_is_open(
    right_mm: float,
    left_mm: float,
    jaws_mm: tuple[float, float, float, float] | None,
    bank_a: list[int],
    bank_b: list[int],
) -> None:
    assert counted(one_pair(right_mm, left_mm, jaws_mm)) == (bank_a, bank_b)


def test_a_leaf_that_is_stuck_counts_although_it_does_not_move() -> None:
    record = sweeping_field()
    # Stuck behind X2: never seen by its actual position.
    record.mlc[0].bank_a_mm.actual[:, SHAPING] = 90.0
    assert SHAPING in counted(record)[0]


def test_a_runaway_counts_although_it_was_to_be_parked() -> None:
    record = sweeping_field(jaws_mm=(-60.0, 60.0, -160.0, 160.0))
    assert PARKED not in counted(record)[0]
    record.mlc[0].bank_a_mm.actual[:, PARKED] = np.linspace(0.0, 9.0, 201)
    assert PARKED in counted(record)[0]


def test_a_jaw_that_did_not_close_shows_the_leaves_behind_it() -> None:
    record = sweeping_field()
    assert record.jaw_y1_mm is not None
    record.mlc[0].bank_a_mm.actual[:, PARKED] = 20.0
    assert PARKED not in counted(record)[0]
    record.jaw_y1_mm.actual[:] = -160.0
    assert PARKED in counted(record)[0]


def test_a_closed_pair_that_moves_in_sight_counts_and_one_at_rest_does_not() -> None:
    record = sweeping_field(jaws_mm=(-60.0, 60.0, -160.0, 160.0))
    pair = record.mlc[0].bank_a_mm.expected[:, PARKED], record.mlc[0].bank_b_mm.expected[:, PARKED]
    for way_mm, counts in ((0.4, False), (0.6, True)):
        for leaf_mm in pair:
            leaf_mm[:] = np.linspace(0.0, way_mm, 201)
        assert (PARKED in counted(record)[0]) is counts
        assert (PARKED in counted(record)[1]) is counts


def test_motion_with_the_beam_off_is_not_motion() -> None:
    record = sweeping_field(jaws_mm=(-60.0, 60.0, -160.0, 160.0))
    record.meterset_mu.actual[:51] = record.meterset_mu.actual[51]
    record.mlc[0].bank_a_mm.actual[:51, PARKED] = np.linspace(0.0, 9.0, 51)
    record.mlc[0].bank_a_mm.actual[51:, PARKED] = 0.0
    assert PARKED not in counted(record)[0]


def test_without_jaws_every_open_pair_counts() -> None:
    record = dual_layer_field()
    on = beam_on_samples(record, 1)
    # -50 to 50 mm are 10 of 28 rows; -45 to 45 mm are 9 of 29.
    rows = [shaping_leaves(record, layer, on).sum(axis=1).tolist() for layer in record.mlc]
    assert rows == [[10, 10], [9, 9]]


def test_creep_of_the_meterset_is_not_beam() -> None:
    record = sweeping_field(samples=101)
    creep_mu = 0.0005 * np.arange(40)
    record.meterset_mu.actual[:] = np.concatenate([creep_mu, creep_mu[-1] + np.arange(1, 62)])
    assert np.flatnonzero(beam_on_samples(record, 1)).tolist() == list(range(40, 101))


def test_no_beam_and_too_short_a_beam_and_an_unknown_meterset_are_told_apart() -> None:
    record = sweeping_field(samples=6)
    assert np.count_nonzero(beam_on_samples(record, fewest=5)) == 5
    with pytest.raises(AnalysisError, match="only 5 samples"):
        beam_on_samples(record, fewest=6)
    record.meterset_mu.actual[3] = np.nan
    with pytest.raises(AnalysisError, match="not a number in 1 samples"):
        beam_on_samples(record, fewest=1)
    record.meterset_mu.actual[:] = 7.0
    with pytest.raises(NotApplicable, match="never on"):
        beam_on_samples(replace(record), fewest=1)


def test_a_beam_that_is_slow_throughout_is_a_beam() -> None:
    record = sweeping_field(samples=1001)
    # 0.9 MU in 1000 samples: each increment is as small as the creep of a held beam.
    record.meterset_mu.actual[:] = np.linspace(0.0, 0.9, 1001)
    assert np.count_nonzero(beam_on_samples(replace(record), fewest=5)) == 1000


def test_the_last_pulses_belong_to_the_sub_beam_they_end() -> None:
    record = two_fields()
    actual = record.meterset_mu.actual
    # Field 1 ends 0.5 MU late, in the sample that already counts to field 2; then there is a pause.
    actual[99:101] -= 0.5
    actual[101:121] = 50.0
    assert sub_beam_samples(record) == [
        ("sub-beam 1", slice(0, 102)),
        ("sub-beam 2", slice(102, 202)),
    ]
    # Without a pause close by nothing tells the two apart but the control point.
    actual[:] = np.linspace(0.0, 100.0, 202)
    actual[130:140] = actual[130]
    assert sub_beam_samples(replace(record))[1] == ("sub-beam 2", slice(101, 202))


def test_a_single_sub_beam_is_the_whole_log_and_is_not_named() -> None:
    record = two_fields()
    first, second = record.sub_beams
    not_delivered = replace(second, delivered=False)
    for sub_beams in ((), (first,), (first, not_delivered)):
        alone = replace(record, sub_beams=sub_beams)
        assert sub_beam_samples(alone) == [(None, slice(0, 202))]
