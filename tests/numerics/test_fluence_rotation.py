"""Turned maps: by hand, against clipped polygons, and what no turn may change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzers.numerics.fluence_rotation import TOGETHER, Turned, turned_fluence
from tests.numerics.slow_fluence import slow_turned_fluence

Floats = NDArray[np.float64]
WIDE_MM = np.arange(-100.0, 101.0, 2.5)


def turned(fluence: Floats, x_mm: Floats, y_mm: Floats, angle_deg: float, **to: Floats) -> Floats:
    to = {"to_x_edges_mm": WIDE_MM, "to_y_edges_mm": WIDE_MM, **to}
    return turned_fluence([Turned(fluence, x_mm, y_mm, angle_deg)], **to)


def content(fluence: Floats, x_mm: Floats, y_mm: Floats) -> float:
    return float(np.diff(y_mm) @ fluence @ np.diff(x_mm))


@st.composite
def maps(draw: st.DrawFn) -> dict[str, Any]:
    """Small maps with empty pixels, grids in any steps; angles that align and those that do not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def edges() -> Floats:
        return rng.uniform(-9, 3) + np.cumsum(rng.uniform(0.3, 4.0, rng.integers(2, 7)))

    x_mm, y_mm = edges(), edges()
    values = rng.uniform(0, 100, (len(y_mm) - 1, len(x_mm) - 1))
    right = st.sampled_from([0.0, 90.0, 180.0, -90.0, 45.0, 360.0, 1e-9, 89.9999999])
    lattice = draw(st.booleans())
    return {
        "fluence": np.where(rng.uniform(size=values.shape) < 0.4, 0.0, values),
        "x_edges_mm": np.arange(len(x_mm)) - 2.0 if lattice else x_mm,
        "y_edges_mm": np.arange(len(y_mm)) - 2.0 if lattice else y_mm,
        "angle_deg": draw(right | st.floats(-400, 400)),
        "to_x_edges_mm": np.arange(-4.0, 5.0) if lattice else edges(),
        "to_y_edges_mm": np.arange(-4.0, 5.0) if lattice else edges(),
    }


@settings(max_examples=200, deadline=None)
@given(maps())
def test_every_pixel_is_the_area_of_overlap(case: dict[str, Any]) -> None:
    to = {name: case[name] for name in ("to_x_edges_mm", "to_y_edges_mm")}
    one = Turned(**{name: value for name, value in case.items() if name not in to})
    found = turned_fluence([one], **to)
    assert found == pytest.approx(slow_turned_fluence(**case), rel=1e-11, abs=1e-11)
    assert found.min() >= 0.0


@settings(max_examples=100, deadline=None)
@given(maps())
def test_nothing_is_lost_or_made_on_a_grid_that_holds_all(case: dict[str, Any]) -> None:
    fluence, x_mm, y_mm = case["fluence"], case["x_edges_mm"], case["y_edges_mm"]
    before = content(fluence, x_mm, y_mm)
    there = turned(fluence, x_mm, y_mm, case["angle_deg"])
    assert content(there, WIDE_MM, WIDE_MM) == pytest.approx(before, rel=1e-12, abs=1e-12)
    back = turned(there, WIDE_MM, WIDE_MM, -case["angle_deg"])
    assert content(back, WIDE_MM, WIDE_MM) == pytest.approx(before, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("quarters", range(-2, 5))
def test_quarter_turns_move_pixels_onto_pixels(quarters: int) -> None:
    values = np.random.default_rng(1).uniform(0, 100, (8, 8))
    edges_mm = np.arange(-4.0, 5.0)
    found = turned(
        values, edges_mm, edges_mm, 90.0 * quarters, to_x_edges_mm=edges_mm, to_y_edges_mm=edges_mm
    )
    # Rows go up in y, so that what turns clockwise on paper turns counterclockwise in the plane.
    assert found == pytest.approx(np.rot90(values, -quarters), rel=1e-13)


def test_no_turn_on_the_same_grid_changes_not_a_bit() -> None:
    values = np.round(np.random.default_rng(2).uniform(0, 100, (30, 50)))
    x_mm, y_mm = np.arange(51) * 0.25, np.arange(31.0)
    same = turned(values, x_mm, y_mm, 0.0, to_x_edges_mm=x_mm, to_y_edges_mm=y_mm)
    assert (same == values).all()


@pytest.mark.parametrize("angle_deg", [5e-324, -1e-310, 1e-290, -1e-100, 1e-90, 1e-16, -1e-12])
def test_next_to_no_turn_is_next_to_no_change(angle_deg: float) -> None:
    # One over the smallest steps is not a number any more.
    values = np.random.default_rng(2).uniform(0, 100, (8, 8))
    edges_mm = np.arange(-4.0, 5.0)
    found = turned(
        values, edges_mm, edges_mm, angle_deg, to_x_edges_mm=edges_mm, to_y_edges_mm=edges_mm
    )
    assert found == pytest.approx(values, abs=1e-9)


def test_a_square_on_its_corner_fills_the_middle_and_half_of_its_sides() -> None:
    # A square of side 2 at 45 degrees has its corners at sqrt(2) on the axes.  In a quadrant it
    # is the triangle of legs sqrt(2), of area 1; outside the unit square are two triangles of
    # legs sqrt(2) - 1.
    edges_mm = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    square = np.array([-1.0, 1.0])
    found = turned(
        np.array([[100.0]]), square, square, 45.0, to_x_edges_mm=edges_mm, to_y_edges_mm=edges_mm
    )
    tip = 100.0 * (math.sqrt(2) - 1) ** 2 / 2
    middle = 100.0 - 2 * tip
    outer, inner = [0.0, tip, tip, 0.0], [tip, middle, middle, tip]
    assert found == pytest.approx(np.array([outer, inner, inner, outer]), rel=1e-13)


def test_a_positive_angle_is_counterclockwise() -> None:
    spot = turned(np.array([[1.0]]), np.array([20.0, 30.0]), np.array([-5.0, 5.0]), 30.0)
    y, x = np.unravel_index(spot.argmax(), spot.shape)
    assert WIDE_MM[x] < 25 * math.cos(math.pi / 6) < WIDE_MM[x + 1] + 2.5
    assert WIDE_MM[y] < 25 * math.sin(math.pi / 6) + 2.5
    assert spot[:40].sum() == 0.0


def test_empty_pixels_near_full_ones_stay_empty() -> None:
    values = np.zeros((40, 40))
    values[:5], values[-5:] = 100.0, 100.0
    edges_mm = np.arange(-40.0, 41.0, 2.0)
    found = turned(values, edges_mm, edges_mm, 17.0)
    middle_mm = (WIDE_MM[1:] + WIDE_MM[:-1]) / 2
    up_mm = middle_mm[:, np.newaxis] * math.cos(math.radians(17.0))
    up_mm = up_mm - middle_mm * math.sin(math.radians(17.0))
    assert not found[np.abs(up_mm) < 28.0].any()


def test_many_maps_add_up_to_the_sum_of_each() -> None:
    rng = np.random.default_rng(3)
    parts = [
        Turned(
            rng.uniform(0, 100, (4 + n, 9 - n % 7)),
            np.arange(10.0 - n % 7) * (1 + n),
            np.arange(5.0 + n) - n,
            13.0 * n,
        )
        for n in range(2 * TOGETHER + 3)
    ]
    parts.insert(4, Turned(np.zeros((2, 2)), np.arange(3.0), np.arange(3.0), 5.0))
    to = {"to_x_edges_mm": WIDE_MM, "to_y_edges_mm": WIDE_MM}
    each = sum(turned_fluence([part], **to) for part in parts)
    assert turned_fluence(iter(parts), **to) == pytest.approx(each, rel=1e-12, abs=1e-11)


def test_nothing_turned_is_nothing() -> None:
    assert not turned_fluence([], to_x_edges_mm=[0.0, 1.0], to_y_edges_mm=[0.0, 1.0]).any()


@pytest.mark.parametrize("far_mm", [1e3, 1e6])
def test_grids_of_any_reach_hold_all(far_mm: float) -> None:
    whole = np.array([-far_mm, far_mm])
    found = turned(
        np.array([[100.0]]),
        np.array([0.0, 2.0]),
        np.array([0.0, 2.0]),
        30.0,
        to_x_edges_mm=whole,
        to_y_edges_mm=whole,
    )
    assert content(found, whole, whole) == pytest.approx(400.0, rel=1e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fluence": np.zeros((2, 3))}, "fluence must have the shape"),
        ({"fluence": np.full((1, 1), math.nan)}, "fluence holds NaN"),
        ({"x_edges_mm": [1.0, 1.0]}, "x_edges_mm must be two or more rising"),
        ({"y_edges_mm": [1.0, math.inf]}, "y_edges_mm holds NaN or infinity"),
        ({"fluence": [[1e300]]}, "fluence holds 1e\\+300"),
        ({"fluence": np.ma.masked_array([[1.0]])}, "fluence must be plain real numbers"),
        ({"x_edges_mm": [-1e308, 1e308]}, "x_edges_mm holds 1e\\+308"),
        ({"y_edges_mm": [0.0, 1e-10]}, "y_edges_mm must rise by 1e-09"),
        ({"angle_deg": math.nan}, "angle_deg must be from"),
        ({"angle_deg": 1e300}, "angle_deg must be from"),
        ({"angle_deg": "30"}, "angle_deg must be a real number"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    usual = {"fluence": [[1.0]], "x_edges_mm": [0.0, 1.0], "y_edges_mm": [0.0, 1.0]}
    with pytest.raises(ValueError, match=message):
        turned_fluence(
            [Turned(**{**usual, "angle_deg": 0.0, **changed})],
            to_x_edges_mm=WIDE_MM,
            to_y_edges_mm=WIDE_MM,
        )


@pytest.mark.parametrize("far_mm", [2e6, 3e306, 1e308])
def test_a_grid_that_reaches_too_far_is_refused_and_does_not_crash(far_mm: float) -> None:
    part = Turned([[1.0]], [0.0, 1.0], [0.0, 1.0], 30.0)
    with pytest.raises(ValueError, match="to_x_edges_mm holds"):
        turned_fluence([part], to_x_edges_mm=[-far_mm, far_mm], to_y_edges_mm=[0.0, 1.0])
    with pytest.raises(ValueError, match="to_y_edges_mm holds"):
        turned_fluence([part], to_x_edges_mm=[0.0, 1.0], to_y_edges_mm=[-far_mm, far_mm])


@settings(max_examples=150, deadline=None)
@given(maps(), st.integers(1, 3))
def test_flat_parts_of_a_map_are_the_area_of_overlap_too(case: dict[str, Any], most: int) -> None:
    # Few different values, so that pixels often lie where all around is the same.
    flat = np.floor(case["fluence"] * most / 100.0)
    fine = np.repeat(np.repeat(flat, 3, axis=0), 3, axis=1)

    def thirds(edges_mm: Floats) -> Floats:
        return np.interp(np.arange(3 * len(edges_mm) - 2) / 3, np.arange(len(edges_mm)), edges_mm)

    to = {name: thirds(case[name]) for name in ("to_x_edges_mm", "to_y_edges_mm")}
    own = thirds(case["x_edges_mm"]), thirds(case["y_edges_mm"])
    found = turned_fluence([Turned(fine, *own, case["angle_deg"])], **to)
    case = {**case, **to, "fluence": flat}
    assert found == pytest.approx(slow_turned_fluence(**case), rel=1e-11, abs=1e-11)
