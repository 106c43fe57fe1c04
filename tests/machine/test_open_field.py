"""Openings, grids and maps: what was open, where, for how many MU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzers.core import AnalysisError
from analyzers.field_shape import ACTUAL, EXPECTED
from analyzers.numerics.fluence_rotation import Turned, turned_fluence
from analyzers.open_field import (
    Grid,
    Opening,
    fluence_mu,
    opening,
    rotated_bounds_mm,
    rotated_fluence_mu,
    sectors,
)
from analyzers.records import Delivery
from tests.deliveries import axis, dual_layer_field, static_field, sweeping_field
from tests.numerics.slow_fluence import slow_turned_fluence

SPACING_MM = (1.0, 0.25)


def whole(record: Delivery) -> Opening:
    return opening(record, slice(0, record.samples), EXPECTED)


def beyond_the_leaves(y1_mm: float = -150.0, y2_mm: float = 150.0) -> Delivery:
    """100 MU; leaves from -110 to 110 mm in y, out of the way of the x jaws at +-150 mm."""
    record = static_field(jaws_mm=(-150.0, 150.0, y1_mm, y2_mm))
    edges_mm = np.linspace(-110.0, 110.0, 61)
    (leaves,) = record.mlc
    for side_mm, bank in ((160.0, leaves.bank_a_mm), (-160.0, leaves.bank_b_mm)):
        bank.expected[:], bank.actual[:] = side_mm, side_mm
    return replace(record, mlc=(replace(leaves, leaf_edges_mm=edges_mm),))


def one_pair(
    left_mm: list[float], right_mm: list[float], collimator_deg: list[float], **more: object
) -> Opening:
    """From y = 0 to 5 mm, 100 MU spread evenly over the intervals."""
    samples = len(left_mm)
    standing = Opening(
        interval_s=0.02,
        meterset_mu=np.linspace(0.0, 100.0, samples),
        left_mm=np.array(left_mm)[:, np.newaxis],
        right_mm=np.array(right_mm)[:, np.newaxis],
        leaf_edges_mm=np.array([0.0, 5.0]),
        jaw_x_mm=None,
        jaw_y_mm=None,
        collimator_deg=np.array(collimator_deg),
    )
    return replace(standing, **more)


def value_at(fluence: np.ndarray, grid: Grid, x_mm: float, y_mm: float) -> float:
    i = np.searchsorted(grid.y_edges_mm, y_mm) - 1
    j = np.searchsorted(grid.x_edges_mm, x_mm) - 1
    return float(fluence[i, j])


def test_area_and_bounds_of_a_rectangle() -> None:
    # 96 mm between the leaves, 100 mm between the jaws, 100 MU.
    field = whole(static_field())
    assert field.area_mu_mm2() == pytest.approx(96.0 * 100.0 * 100.0)
    assert field.bounds_mm() == (-48.0, 48.0, -50.0, 50.0)


def test_a_point_of_the_sweeping_field_sees_its_share() -> None:
    field = whole(sweeping_field())
    # 20 mm of 80 mm of way; all of it: 20 mm wide, 200 mm long, for 100 MU.
    grid = Grid.around([(-60.0, 60.0, -100.0, 100.0)], SPACING_MM, 0.0)
    fluence = fluence_mu(field, grid)
    assert value_at(fluence, grid, 0.1, 0.5) == pytest.approx(25.0)
    assert field.area_mu_mm2() == pytest.approx(20.0 * 200.0 * 100.0)
    assert fluence.sum() * 0.25 == pytest.approx(20.0 * 200.0 * 100.0)


@pytest.mark.parametrize(
    ("jaws_mm", "bounds_mm"),
    [
        ((-30.0, 100.0, -20.0, 33.0), (-30.0, 48.0, -20.0, 33.0)),
        (None, (-48.0, 48.0, -50.0, 50.0)),
        ((60.0, 100.0, -20.0, 33.0), None),
    ],
)
def test_jaws_bound_the_opening(
    jaws_mm: tuple[float, float, float, float] | None,
    bounds_mm: tuple[float, float, float, float] | None,
) -> None:
    field = whole(static_field(jaws_mm=jaws_mm))
    assert field.bounds_mm() == bounds_mm
    x0, x1, y0, y1 = bounds_mm or (0.0, 0.0, 0.0, 0.0)
    assert field.area_mu_mm2() == pytest.approx((x1 - x0) * (y1 - y0) * 100.0)


@pytest.mark.parametrize(
    ("y_mm", "height_mm"),
    [
        ((-150.0, 150.0), 300.0),
        ((-150.0, 100.0), 250.0),
        ((120.0, 150.0), 30.0),
        ((-150.0, -120.0), 30.0),
        ((-110.0, 110.0), 220.0),
    ],
)
def test_beyond_the_outermost_leaves_only_the_jaws_shape(
    y_mm: tuple[float, float], height_mm: float
) -> None:
    field = whole(beyond_the_leaves(*y_mm))
    assert field.bounds_mm() == (-150.0, 150.0, *y_mm)
    assert field.area_mu_mm2() == pytest.approx(300.0 * height_mm * 100.0, rel=1e-12)
    grid = Grid.around([(-150.0, 150.0, -150.0, 150.0)], SPACING_MM, 5.0)
    fluence = fluence_mu(field, grid)
    inside = (grid.y_mm > y_mm[0]) & (grid.y_mm < y_mm[1])
    assert fluence[:, 600] == pytest.approx(np.where(inside, 100.0, 0.0))


def test_without_a_y_jaw_nothing_is_known_beyond_the_leaves() -> None:
    both = beyond_the_leaves()
    neither = whole(replace(both, jaw_y1_mm=None, jaw_y2_mm=None))
    assert neither.bounds_mm() == (-150.0, 150.0, -110.0, 110.0)
    assert neither.left_mm.shape == (101, 60)
    assert whole(replace(both, jaw_y1_mm=None)).bounds_mm() == (-150.0, 150.0, -110.0, 150.0)
    assert whole(replace(both, jaw_y2_mm=None)).bounds_mm() == (-150.0, 150.0, -150.0, 110.0)


def test_without_x_jaws_the_primary_collimator_ends_what_has_no_leaves() -> None:
    field = whole(replace(beyond_the_leaves(), jaw_x1_mm=None, jaw_x2_mm=None))
    assert field.bounds_mm() == (-250.0, 250.0, -150.0, 150.0)


def test_one_jaw_alone_bounds_its_side() -> None:
    record = replace(static_field(), jaw_x1_mm=None, jaw_x2_mm=axis(20.0, 101))
    assert whole(record).bounds_mm() == (-48.0, 20.0, -50.0, 50.0)


def test_bounds_hold_both_ends_of_every_interval_with_beam() -> None:
    assert whole(sweeping_field()).bounds_mm() == (-50.0, 50.0, -100.0, 100.0)


@pytest.mark.parametrize(
    ("field", "bounds_mm"),
    [
        # The leaves meet on the way, or come apart.
        (one_pair([1.0, 10.0], [2.0, 8.0], [0.0, 0.1]), (1.0, 8.0, 0.0, 5.0)),
        (one_pair([5.0, 1.0], [5.0, 1.5], [0.0, 0.1]), (1.0, 5.0, 0.0, 5.0)),
        (
            # An opening of 2 mm passes a slit of 1 mm.
            one_pair([-3.0, 3.0], [-1.0, 5.0], [0.0, 0.1], jaw_x_mm=np.tile([0.0, 1.0], (2, 1))),
            (0.0, 1.0, 0.0, 5.0),
        ),
        (
            # y jaws pass the pair; then they are over it only before it opens.
            one_pair([0.0] * 2, [1.0] * 2, [0.0, 0.1], jaw_y_mm=np.array([[-9.0, -1], [6, 9]])),
            (0.0, 1.0, 0.0, 5.0),
        ),
        (
            one_pair([9.0, -9], [0.0] * 2, [0.0, 0.1], jaw_y_mm=np.array([[-99.0, 9], [-99, -11]])),
            None,
        ),
        # Closed leaves that move, and leaves that pass each other without a gap.
        (one_pair([0.0, 9.0], [0.0, 9.0], [0.0, 0.1]), None),
        (one_pair([1.0, 9.0], [0.0, 9.0], [0.0, 0.1]), None),
    ],
)
def test_bounds_hold_what_is_open_between_two_samples(
    field: Opening, bounds_mm: tuple[float, float, float, float] | None
) -> None:
    assert field.bounds_mm() == bounds_mm
    assert (field.area_mu_mm2() > 0.0) is (bounds_mm is not None)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 4.0, 20.0]), st.booleans())
def test_nothing_is_lost_however_it_moves(seed: int, step_mm: float, on_a_lattice: bool) -> None:
    rng = np.random.default_rng(seed)
    samples, pairs = rng.integers(2, 6), rng.integers(1, 4)

    def path(start: float, columns: int) -> np.ndarray:
        moved = start + rng.normal(0.0, step_mm, (samples, columns)).cumsum(axis=0)
        return np.round(moved) if on_a_lattice else moved

    field = Opening(
        # No creep: every rise of the meterset is beam.
        interval_s=0.0,
        meterset_mu=np.cumsum(rng.choice([0.0, 0.3, 7.0], samples)),
        left_mm=path(-1.0, pairs),
        right_mm=path(1.0, pairs),
        leaf_edges_mm=np.cumsum(rng.choice([2.5, 5.0], pairs + 1)) - 8.0,
        jaw_x_mm=path(0.0, 2) + np.array([-2.0, 2.0]) if rng.random() < 0.5 else None,
        jaw_y_mm=path(0.0, 2) + np.array([-4.0, 4.0]) if rng.random() < 0.5 else None,
        collimator_deg=path(30.0, 1)[:, 0] / 20.0,
    )
    boxes = rotated_bounds_mm(field, 0.5)
    if not boxes:
        assert field.area_mu_mm2() == pytest.approx(0.0, abs=1e-12)
        return
    grid = Grid.around(boxes, SPACING_MM, 2.0)
    turned = rotated_fluence_mu(field, grid, SPACING_MM, 0.5)
    assert turned.sum() * 0.25 == pytest.approx(field.area_mu_mm2(), rel=1e-12, abs=1e-13)
    box = field.bounds_mm()
    assert box is not None
    grid = Grid.around([box], SPACING_MM, 0.0)
    assert fluence_mu(field, grid).sum() * 0.25 == pytest.approx(
        field.area_mu_mm2(), rel=1e-12, abs=1e-13
    )


def test_a_row_behind_the_jaws_bounds_nothing() -> None:
    record = static_field(jaws_mm=(-100.0, 100.0, -50.0, 50.0))
    record.mlc[0].bank_a_mm.expected[:, 5] = 80.0
    assert whole(record).bounds_mm() == (-48.0, 48.0, -50.0, 50.0)


def test_a_position_no_machine_can_take_is_refused() -> None:
    record = sweeping_field(jaws_mm=None)
    record.mlc[0].bank_a_mm.expected[7, 30] = 3e6
    with pytest.raises(AnalysisError, match=r"3e\+06 mm off"):
        whole(record).bounds_mm()


def test_a_collimator_that_crosses_zero_does_not_turn_round() -> None:
    record = static_field(collimator_deg=np.where(np.arange(101) % 2, 359.9, 0.1))
    angles_deg = [angle_deg for angle_deg, _ in sectors(whole(record), 0.5)]
    assert angles_deg == [pytest.approx(0.0, abs=0.1)]


def test_what_is_open_with_the_beam_off_is_not_open() -> None:
    record = static_field()
    for state in (record.meterset_mu.expected, record.meterset_mu.actual):
        state[:31] = state[31]
    record.mlc[0].bank_a_mm.expected[:30] = 90.0
    assert record.jaw_x2_mm is not None
    record.jaw_x2_mm.expected[:30] = 90.0
    assert whole(record).bounds_mm() == (-48.0, 48.0, -50.0, 50.0)


def test_each_state_has_its_own_leaves_and_its_own_jaws() -> None:
    record = static_field()
    assert record.jaw_y1_mm is not None
    record.jaw_y1_mm.actual[:] = -40.0
    record.mlc[0].bank_b_mm.actual[:] -= 1.0
    actual = opening(record, slice(0, record.samples), ACTUAL)
    assert actual.bounds_mm() == (-49.0, 48.0, -40.0, 50.0)
    assert whole(record).bounds_mm() == (-48.0, 48.0, -50.0, 50.0)


def test_two_layers_are_open_where_both_are() -> None:
    record = dual_layer_field()
    record.mlc[0].bank_a_mm.expected[:, :14] -= 10.0
    # -45 to 45 mm in Y; for y < 0 the first layer leaves 90 mm, for y > 0 both leave 100 mm.
    assert whole(record).area_mu_mm2() == pytest.approx((90.0 + 100.0) * 45.0 * 100.0)
    # Nothing is open beyond the shorter layer.
    assert whole(record).leaf_edges_mm[[0, -1]].tolist() == [-140.0, 140.0]


def test_meterset_taken_back_at_an_interruption_does_not_count() -> None:
    record = static_field()
    record.meterset_mu.expected[-3:] = [98.4, 97.5, 97.5]
    assert whole(record).area_mu_mm2() == pytest.approx(96.0 * 100.0 * 97.5)


@pytest.mark.parametrize("name", ["meterset_mu", "jaw_y1_mm", "collimator_deg"])
def test_an_unknown_position_is_refused(name: str) -> None:
    record = static_field()
    getattr(record, name).expected[5] = np.nan
    with pytest.raises(AnalysisError, match="no value"):
        whole(record)


def test_grid_edges_are_multiples_of_the_spacing_around_all_boxes() -> None:
    grid = Grid.around([(-3.1, 2.0, 0.0, 4.0), (-1.0, 2.3, -0.5, 1.0)], (1.0, 0.5), 1.0)
    assert grid.x_edges_mm[[0, 1, -1]].tolist() == [-4.5, -4.0, 3.5]
    assert grid.y_edges_mm[[0, 1, -1]].tolist() == [-2.0, -1.0, 5.0]
    assert (grid.x_mm[0], grid.y_mm[0]) == (-4.25, -1.5)


@pytest.mark.parametrize(("angle_deg", "inside"), [(90.0, (-20.0, 40.0)), (270.0, (20.0, -40.0))])
def test_the_field_turns_counterclockwise_with_the_collimator(
    angle_deg: float, inside: tuple[float, float]
) -> None:
    # A field of 0 < x < 48, 10 < y < 50 mm holds the point (40, 20).
    record = static_field(jaws_mm=(0.0, 50.0, 10.0, 50.0), collimator_deg=angle_deg)
    field = whole(record)
    boxes = rotated_bounds_mm(field, 0.5)
    grid = Grid.around([(-60.0, 60.0, -60.0, 60.0)], SPACING_MM, 0.0)
    fluence = rotated_fluence_mu(field, grid, SPACING_MM, 0.5)
    assert value_at(fluence, grid, *inside) == pytest.approx(100.0)
    assert value_at(fluence, grid, -inside[0], inside[1]) == 0.0
    assert fluence.sum() * 0.25 == pytest.approx(48.0 * 40.0 * 100.0, rel=1e-12)
    assert np.abs(np.sort(np.abs(boxes[0])) - [0.0, 10.0, 48.0, 50.0]).max() < 1e-9


def test_a_turning_collimator_smears_the_field_over_its_sectors() -> None:
    # A disc of 20 mm is seen throughout; the corners only part of the time.
    turning = np.linspace(0.0, 90.0, 101)
    field = whole(static_field(width_mm=54.0, length_mm=50.0, collimator_deg=turning))
    grid = Grid.around(rotated_bounds_mm(field, 0.5), SPACING_MM, 5.0)
    fluence = rotated_fluence_mu(field, grid, SPACING_MM, 0.5)
    x_mm, y_mm = np.meshgrid(grid.x_mm, grid.y_mm)
    radius_mm = np.hypot(x_mm, y_mm)
    assert fluence[radius_mm < 20.0] == pytest.approx(100.0)
    assert fluence[radius_mm > 37.0].max() == 0.0
    assert 0.0 < value_at(fluence, grid, 24.0, 24.0) < 20.0
    assert fluence.sum() * 0.25 == pytest.approx(50.0 * 50.0 * 100.0, rel=1e-12)


def test_creep_between_two_angles_makes_no_sectors() -> None:
    record = static_field()
    assert record.collimator_deg is not None
    record.collimator_deg.expected[40:61] = np.linspace(0.0, 90.0, 21)
    record.collimator_deg.expected[61:] = 90.0
    record.meterset_mu.expected[40:61] = 40.0 + 1e-5 * np.arange(21)
    assert len(rotated_bounds_mm(whole(record), 0.5)) == 2


def turning_back_and_forth() -> Delivery:
    """The sweeping field while the collimator sways, with a little creep in the middle."""
    turning = 40.0 + 3.0 * np.sin(np.linspace(0.0, 15.0, 201))
    record = sweeping_field(collimator_deg=turning)
    record.meterset_mu.expected[100:] -= record.meterset_mu.expected[100] - 49.5 - 1e-4
    return record


def test_sectors_hold_what_was_delivered_and_each_its_own_angles() -> None:
    field = whole(turning_back_and_forth())
    parts = sectors(field, 0.5)
    assert len(parts) == 13
    assert sum(part.meterset_mu[-1] for _, part in parts) == pytest.approx(
        field.meterset_mu[-1], rel=1e-13
    )
    area = sum(part.area_mu_mm2() for _, part in parts)
    assert area == pytest.approx(field.area_mu_mm2(), rel=1e-12)
    for number, (angle_deg, _) in enumerate(parts, start=round(37.0 / 0.5)):
        assert abs(angle_deg - number * 0.5) <= 0.25


def test_nothing_is_lost_while_the_collimator_turns() -> None:
    field = whole(turning_back_and_forth())
    grid = Grid.around(rotated_bounds_mm(field, 0.5), SPACING_MM, 2.0)
    fluence = rotated_fluence_mu(field, grid, SPACING_MM, 0.5)
    assert fluence.sum() * 0.25 == pytest.approx(field.area_mu_mm2(), rel=1e-12)


def test_an_interval_that_turns_far_is_cut_and_not_counted_as_its_middle() -> None:
    # One interval of 100 MU from 0 to 90 degrees: 180 sectors with even shares, half as much in
    # the first and the last.
    record = static_field(samples=2, collimator_deg=np.array([0.0, 90.0]))
    parts = sectors(whole(record), 0.5)
    shares = [part.meterset_mu[-1] for _, part in parts]
    assert shares == pytest.approx([50 / 180, *[100 / 180] * 179, 50 / 180])


def test_a_field_off_the_axis_is_where_its_corners_turn_to() -> None:
    # 41 < x < 58.5, 11 < y < 18 mm, 30 degrees: x goes to x cos - y sin, y to x sin + y cos.
    record = static_field(jaws_mm=(41.0, 58.5, 11.0, 18.0), width_mm=200.0, collimator_deg=30.0)
    for bank, side_mm in ((record.mlc[0].bank_a_mm, 90.0), (record.mlc[0].bank_b_mm, -90.0)):
        bank.expected[:] = side_mm
    field = whole(record)
    cosine, sine = np.sqrt(0.75), 0.5
    (box,) = rotated_bounds_mm(field, 0.5)
    assert box == pytest.approx(
        (
            41.0 * cosine - 18.0 * sine,
            58.5 * cosine - 11.0 * sine,
            41.0 * sine + 11.0 * cosine,
            58.5 * sine + 18.0 * cosine,
        )
    )
    edges_mm = {"to_x_edges_mm": np.arange(24.0, 48.0), "to_y_edges_mm": np.arange(28.0, 48.0, 2.0)}
    clipped = slow_turned_fluence(
        np.array([[100.0]]), np.array([41.0, 58.5]), np.array([11.0, 18.0]), 30.0, **edges_mm
    )
    assert clipped.sum() * 2.0 == pytest.approx(17.5 * 7.0 * 100.0)
    grid = Grid(edges_mm["to_x_edges_mm"], edges_mm["to_y_edges_mm"])
    assert rotated_fluence_mu(field, grid, SPACING_MM, 0.5) == pytest.approx(clipped, abs=1e-9)


def test_a_gap_of_one_mm_stays_one_mm_when_it_is_turned() -> None:
    # From x = 20.25 to 21.25 mm; a quarter turn puts it at that y.
    field = one_pair([20.25] * 2, [21.25] * 2, [90.0] * 2)
    grid = Grid(np.arange(-7.0, 3.0), np.arange(80, 86.25 * 4) * 0.25)
    fluence = rotated_fluence_mu(field, grid, SPACING_MM, 0.5)
    is_open = np.outer(
        (grid.y_mm > 20.25) & (grid.y_mm < 21.25), (grid.x_mm > -5.0) & (grid.x_mm < 0.0)
    )
    assert fluence == pytest.approx(np.where(is_open, 100.0, 0.0), abs=1e-10)


def test_jaws_and_leaves_move_while_the_collimator_turns() -> None:
    # Against many small pieces, in each of which all stand still at their places in its middle.
    def at(share: float, before: tuple[float, ...], after: tuple[float, ...]) -> np.ndarray:
        return np.array(before) * (1.0 - share) + np.array(after) * share

    before, after = (-30.0, 10.0, -20.0, 15.0), (-5.0, 40.0, -35.0, 30.0)
    standing = []
    for share in (np.arange(600) + 0.5) / 600:
        x1, x2, y1, y2 = at(share, before, after)
        standing.append(Turned([[100.0 / 600]], [x1, x2], [y1, y2], 20.0 + 25.0 * share))
    edges_mm = np.arange(-60.0, 61.0, 5.0)
    wanted = turned_fluence(standing, to_x_edges_mm=edges_mm, to_y_edges_mm=edges_mm)

    jaws = np.array([before, after])
    moving = one_pair(
        [-90.0] * 2,
        [90.0] * 2,
        [20.0, 45.0],
        jaw_x_mm=jaws[:, :2],
        jaw_y_mm=jaws[:, 2:],
        leaf_edges_mm=np.array([-90.0, 90.0]),
    )
    # The same with leaves in the place of the x jaws.
    swept = replace(moving, jaw_x_mm=None, left_mm=jaws[:, :1], right_mm=jaws[:, 1:2])
    for field in (moving, swept):
        found = rotated_fluence_mu(field, Grid(edges_mm, edges_mm), (0.25, 0.25), 0.25)
        assert np.abs(found - wanted).max() < 0.15


def test_a_sector_lies_where_most_of_its_meterset_was() -> None:
    # 1 MU at 29.8 degrees and 99 MU at 30.2.
    field = one_pair([0.0] * 4, [9.0] * 4, [29.8, 29.8, 30.2, 30.2])
    ((angle_deg, _),) = sectors(replace(field, meterset_mu=np.array([0.0, 1.0, 1.0, 100.0])), 0.5)
    assert angle_deg == pytest.approx(0.01 * 29.8 + 0.99 * 30.2)
