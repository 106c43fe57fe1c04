"""Openings, grids and maps: what was open, where, for how many MU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError
from analyzers.field_shape import ACTUAL, EXPECTED
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

SPACING_MM = (1.0, 0.25)


def whole(record: Delivery) -> Opening:
    return opening(record, slice(0, record.samples), EXPECTED)


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


def test_one_jaw_alone_bounds_its_side() -> None:
    record = replace(static_field(), jaw_x1_mm=None, jaw_x2_mm=axis(20.0, 101))
    assert whole(record).bounds_mm() == (-48.0, 20.0, -50.0, 50.0)


def test_bounds_hold_both_ends_of_every_interval_with_beam() -> None:
    assert whole(sweeping_field()).bounds_mm() == (-50.0, 50.0, -100.0, 100.0)


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
