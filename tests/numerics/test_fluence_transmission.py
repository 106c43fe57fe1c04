"""What comes through leaves, jaws and strips, where it can be worked out by hand.

Unless a test says otherwise: 100 MU between two samples, pairs of 10 mm from y = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from analyzers.numerics.fluence import delivered_fluence

Floats = NDArray[np.float64]
MU = 100.0
LEAF, JAW, STRIP = 0.02, 0.01, 0.3


def moved(before: ArrayLike, after: ArrayLike) -> Floats:
    """Positions (samples, columns) of a single interval."""
    return np.array([np.atleast_1d(before), np.atleast_1d(after)], dtype=float)


def fluence(left: Floats, right: Floats, **more: Any) -> Floats:
    pairs = left.shape[1]
    usual = {
        "meterset_mu": [0.0, MU],
        "leaf_edges_mm": 10.0 * np.arange(pairs + 1),
        "x_edges_mm": [0.0, 5.0, 10.0],
        "y_edges_mm": 10.0 * np.arange(pairs + 1),
    }
    return delivered_fluence(left_mm=left, right_mm=right, **{**usual, **more})


def test_leaf_that_sweeps_a_pixel_lets_its_share_through_the_rest_of_the_time() -> None:
    # The right leaf passes x after x / 10 of the time: open before it 1 - x / 10, closed x / 10.
    swept = fluence(moved(0, 0), moved(0, 10), leaf_transmission=LEAF)
    assert swept == pytest.approx(MU * np.array([[0.75 + 0.25 * LEAF, 0.25 + 0.75 * LEAF]]))


def test_closed_and_crossed_leaves_let_their_share_through() -> None:
    closed = fluence(moved(6, 7), moved(4, 3), leaf_transmission=LEAF)
    assert closed == pytest.approx(np.full((1, 2), MU * LEAF))


def test_one_factor_stands_behind_any_jaw_and_multiplies_that_of_the_leaf() -> None:
    # Leaves open from 0 to 6 mm, x jaws from 2 to 9 mm, y jaws from 4 to 99 mm.
    still = fluence(
        moved(0, 0),
        moved(6, 6),
        x_edges_mm=[0.0, 2.0, 6.0, 9.0, 10.0],
        y_edges_mm=[0.0, 4.0, 10.0],
        jaw_x_mm=moved([2, 9], [2, 9]),
        jaw_y_mm=moved([4, 99], [4, 99]),
        leaf_transmission=LEAF,
        jaw_transmission=JAW,
    )
    behind = [JAW, JAW, JAW * LEAF, JAW * LEAF]
    assert still == pytest.approx(MU * np.array([behind, [JAW, 1.0, LEAF, JAW * LEAF]]))


def test_jaw_and_leaf_that_move_together() -> None:
    # Leaf open for x < 10 t, jaw open for y > 10 t: on the square of the diagonal the leaf covers
    # x / 10 of the time, the jaw 1 - y / 10, neither (y - x) / 10 where y > x, both (x - y) / 10
    # where x > y.  Over 10 mm x 10 mm: 1/6 open, 1/3 leaf only, 1/3 jaw only, 1/6 both.
    together = fluence(
        moved(0, 0),
        moved(0, 10),
        x_edges_mm=[0.0, 10.0],
        jaw_y_mm=moved([0, 99], [10, 99]),
        leaf_transmission=LEAF,
        jaw_transmission=JAW,
    )
    assert together[0, 0] == pytest.approx(MU * (1 + 2 * LEAF + 2 * JAW + LEAF * JAW) / 6)


def test_without_jaws_nothing_is_behind_them() -> None:
    opened = fluence(moved(0, 0), moved(10, 10), jaw_transmission=JAW)
    assert opened == pytest.approx(np.full((1, 2), MU))


def test_beyond_the_outermost_leaves_is_nothing() -> None:
    beyond = fluence(
        moved(0, 0),
        moved(10, 10),
        y_edges_mm=[-4.0, 0.0, 10.0, 14.0],
        leaf_transmission=LEAF,
        jaw_transmission=JAW,
        tongue_and_groove_mm=2.0,
    )
    assert beyond == pytest.approx(MU * np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))


def test_strip_is_open_where_both_neighbors_are_and_half_closed_where_one_is() -> None:
    # The first pair is open from 0 to 5 mm, the second from 3 to 9; the strip is y = 9 to 11 mm.
    left, right = moved([0, 3], [0, 3]), moved([5, 9], [5, 9])
    still = fluence(
        left,
        right,
        x_edges_mm=[0.0, 3.0, 5.0, 9.0, 10.0],
        y_edges_mm=[0.0, 9.0, 10.0, 11.0, 20.0],
        leaf_transmission=LEAF,
        tongue_and_groove_mm=2.0,
        tongue_and_groove_transmission=STRIP,
    )
    strip = [STRIP, 1.0, STRIP, LEAF]
    wanted = [[1.0, 1.0, LEAF, LEAF], strip, strip, [LEAF, 1.0, 1.0, LEAF]]
    assert still == pytest.approx(MU * np.array(wanted))


def test_half_a_leaf_lets_the_root_of_its_transmission_through() -> None:
    still = fluence(
        moved([0, 10], [0, 10]),
        moved([10, 10], [10, 10]),
        y_edges_mm=[0.0, 9.0, 11.0, 20.0],
        leaf_transmission=LEAF,
        tongue_and_groove_mm=2.0,
    )
    assert still[:, 0] == pytest.approx([MU, MU * math.sqrt(LEAF), MU * LEAF])


def test_neighbors_that_pass_each_other_inside_one_sample() -> None:
    # Left leaves 0 to 10 and 10 to 0 mm cross at 5 mm after half of the time.  The strip is open
    # where x is right of both, for |2 x / 10 - 1| of the time from 5 mm on; below 5 mm it is
    # never; one of the two is open for x / 10 - (1 - x / 10) less, never both and never none
    # above 5 mm.  Over 5 to 10 mm: half of the time both, half one; over 0 to 5 mm: half one, half
    # none.
    crossing = fluence(
        moved([0, 10], [10, 0]),
        moved([99, 99], [99, 99]),
        y_edges_mm=[9.0, 11.0],
        leaf_transmission=LEAF,
        tongue_and_groove_mm=2.0,
        tongue_and_groove_transmission=STRIP,
    )
    assert crossing == pytest.approx(MU * np.array([[(STRIP + LEAF) / 2, (1 + STRIP) / 2]]))


def test_strips_without_transmission_are_dark_where_not_both_are_open() -> None:
    left, right = moved([0, 5], [0, 5]), moved([5, 10], [5, 10])
    dark = fluence(left, right, y_edges_mm=[9.0, 11.0], tongue_and_groove_mm=2.0)
    assert not dark.any()


def test_nothing_is_lost_or_made_behind_leaves_and_jaws() -> None:
    # Edges on the way, closed nowhere, strips of 1 mm; all areas are means of what is linear in
    # time, products with the y jaws are Simpson sums.
    samples, pairs = 500, 20
    rng = np.random.default_rng(5)
    left = rng.uniform(-60, -20, (1, pairs)) + 8 * np.sin(np.linspace(0, 30, samples))[:, None]
    right = rng.uniform(20, 60, (1, pairs)) + 8 * np.cos(np.linspace(0, 20, samples))[:, None]
    leaves_mm = np.linspace(-50, 50, pairs + 1)
    meterset = np.cumsum(rng.uniform(0, 2, samples))
    pixels = delivered_fluence(
        meterset,
        left,
        right,
        leaves_mm,
        x_edges_mm=np.arange(-100, 100.5, 0.5),
        y_edges_mm=np.arange(-50, 50.7, 0.7),
        leaf_transmission=LEAF,
        tongue_and_groove_mm=1.0,
        tongue_and_groove_transmission=STRIP,
    )
    # Neighbors move in parallel, so the same one bounds the strip throughout.
    gap = right - left
    both = np.minimum(right[:, 1:], right[:, :-1]) - np.maximum(left[:, 1:], left[:, :-1])
    one = gap[:, 1:] + gap[:, :-1] - 2 * both
    outermost = np.isin(np.arange(pairs), [0, pairs - 1])
    area = LEAF * 200 * 100 + (1 - LEAF) * gap @ np.where(outermost, 4.5, 4.0)
    area += (1 - LEAF) * both.sum(axis=1) + (STRIP - LEAF) * one.sum(axis=1)
    wanted = np.diff(meterset) @ (area[1:] + area[:-1]) / 2
    assert pixels.sum() * 0.5 * 0.7 == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("value", [-0.01, 1.0, 1.5, math.nan, math.inf, "0.1", [0.1, 0.2], 1j])
@pytest.mark.parametrize(
    "name", ["leaf_transmission", "jaw_transmission", "tongue_and_groove_transmission"]
)
def test_a_transmission_is_a_share(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        fluence(moved(0, 0), moved(5, 5), **{name: value})


@pytest.mark.parametrize("value", [-0.1, 10.0, math.nan, math.inf, None, "1", [1.0]])
def test_a_strip_is_narrower_than_a_leaf(value: Any) -> None:
    with pytest.raises(ValueError, match="tongue_and_groove_mm"):
        fluence(moved([0, 0], [0, 0]), moved([5, 5], [5, 5]), tongue_and_groove_mm=value)


def test_half_a_leaf_lets_no_less_through_than_a_whole_one() -> None:
    left, right = moved([0, 0], [0, 0]), moved([5, 5], [5, 5])
    strips = {"leaf_transmission": LEAF, "tongue_and_groove_mm": 2.0}
    with pytest.raises(ValueError, match="tongue_and_groove_transmission must not be below"):
        fluence(left, right, **strips, tongue_and_groove_transmission=LEAF / 2)
    assert fluence(left, right, **strips, tongue_and_groove_transmission=LEAF).any()


@pytest.mark.parametrize("name", ["leaf_transmission", "jaw_transmission"])
def test_no_transmission_is_not_a_number(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a real number"):
        fluence(moved(0, 0), moved(5, 5), **{name: None})
