"""Delivered fluence where it can be worked out by hand.

Unless a test says otherwise: 100 MU between two samples, one leaf pair from y = 0 to 10 mm.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from analyzers.numerics.fluence import delivered_fluence, open_area_mu_mm2

Floats = NDArray[np.float64]
MU = 100.0
HALVES_MM = np.array([0.0, 5.0, 10.0])


def moved(before: ArrayLike, after: ArrayLike) -> Floats:
    """Positions (samples, columns) of a single interval."""
    return np.atleast_2d(np.array([np.atleast_1d(before), np.atleast_1d(after)], dtype=float))


def fluence(
    left: Floats,
    right: Floats,
    *,
    x_edges_mm: ArrayLike = HALVES_MM,
    y_edges_mm: ArrayLike = (0.0, 10.0),
    leaf_edges_mm: ArrayLike = (0.0, 10.0),
    meterset_mu: ArrayLike = (0.0, MU),
    **jaws: Any,
) -> Floats:
    return delivered_fluence(
        meterset_mu,
        left,
        right,
        leaf_edges_mm,
        x_edges_mm=x_edges_mm,
        y_edges_mm=y_edges_mm,
        **jaws,
    )


def test_open_pixels_get_all_and_partly_open_ones_their_part() -> None:
    # Open from 2 to 7 mm: 3 of the first 5 mm, 2 of the second.
    standing = fluence(moved(2, 2), moved(7, 7))
    assert standing == pytest.approx(np.array([[60.0, 40.0]]))


def test_pixels_may_be_narrower_than_the_opening_and_of_any_width() -> None:
    edges_mm = [-3.0, 1.0, 2.0, 2.5, 6.0, 7.0, 20.0]
    standing = fluence(moved(2, 2), moved(7, 7), x_edges_mm=edges_mm)
    assert standing == pytest.approx(np.array([[0, 0, MU, MU, MU, 0.0]]))


def test_leaf_that_sweeps_open_leaves_a_wedge() -> None:
    # x is open once the right leaf has passed: for 1 - x / 10 of the time.
    edges_mm = np.linspace(0, 10, 21)
    wedge = fluence(moved(0, 0), moved(0, 10), x_edges_mm=edges_mm)
    middle_mm = (edges_mm[:-1] + edges_mm[1:]) / 2
    assert wedge[0] == pytest.approx(MU * (1 - middle_mm / 10))


def test_sweeping_gap_is_flat_in_the_middle_with_a_ramp_at_each_end() -> None:
    # A gap of 4 mm moves by 40 mm: every point it passes whole is open for a tenth of the time.
    edges_mm = np.arange(0.0, 44.5, 0.5)
    sweep = fluence(moved(0, 40), moved(4, 44), x_edges_mm=edges_mm)[0]
    middle_mm = (edges_mm[:-1] + edges_mm[1:]) / 2
    expected = np.minimum(np.minimum(middle_mm, 44 - middle_mm), 4) / 40
    assert sweep == pytest.approx(MU * expected)


def test_leaves_that_close_on_the_way_count_until_they_meet() -> None:
    # The left leaf passes x at x / 10 and meets the right one at 5 mm: x is open for x / 10.
    closing = fluence(moved(0, 10), moved(5, 5), x_edges_mm=[0.0, 1.0, 5.0, 10.0])
    assert closing == pytest.approx(np.array([[5.0, 30.0, 0.0]]))


def test_crossed_leaves_are_closed() -> None:
    assert not fluence(moved(6, 7), moved(4, 3)).any()


def test_jaw_that_crosses_a_leaf_takes_over() -> None:
    # Left leaf 0 to 10 mm while the left jaw goes 10 to 0: x is open between the two passages,
    # (2 x - 10) / 10 of the time, nothing below 5 mm; the mean from 5 to 10 mm is a half.
    both = fluence(moved(0, 10), moved(10, 10), jaw_x_mm=np.array([[10.0, 20.0], [0.0, 20.0]]))
    assert both == pytest.approx(np.array([[0.0, 50.0]]))


def test_right_jaw_clips_like_the_left_one() -> None:
    # Mirror image of the test above about x = 5 mm.
    both = fluence(moved(0, 0), moved(10, 0), jaw_x_mm=np.array([[-9.0, 0.0], [-9.0, 10.0]]))
    assert both == pytest.approx(np.array([[50.0, 0.0]]))


def test_closed_jaws_close_the_field() -> None:
    crossed = np.array([[6.0, 4.0], [6.0, 4.0]])
    assert not fluence(moved(0, 0), moved(10, 10), jaw_x_mm=crossed).any()
    assert not fluence(moved(0, 0), moved(10, 10), jaw_y_mm=crossed).any()


def test_leaf_rows_spread_over_pixel_rows_by_overlap() -> None:
    # Pairs 0 to 5 and 5 to 10 mm, the second closed.  Rows: 4 mm of the first; 1 mm of the first
    # and 3 of the second; the rest of the second; and 2 mm outside all leaves.
    spread = fluence(
        moved([0, 3], [0, 3]),
        moved([10, 3], [10, 3]),
        leaf_edges_mm=[0.0, 5.0, 10.0],
        y_edges_mm=[0.0, 4.0, 8.0, 10.0, 12.0],
    )
    assert spread == pytest.approx(MU * np.repeat([[1.0], [0.25], [0.0], [0.0]], 2, axis=1))


def test_standing_y_jaws_cut_rows_and_leaves() -> None:
    # Open from 3 to 6 mm: 2 of the first 5 mm, 1 of the second.
    cut = fluence(
        moved(0, 0),
        moved(10, 10),
        y_edges_mm=HALVES_MM,
        jaw_y_mm=np.array([[3.0, 6.0], [3.0, 6.0]]),
    )
    assert cut == pytest.approx(np.array([[40.0, 40.0], [20.0, 20.0]]))


def test_moving_y_jaw_leaves_a_wedge_across_the_leaves() -> None:
    # The low jaw goes 0 to 10 mm: y is open until it is passed, y / 10 of the time.
    wedge = fluence(
        moved(0, 0),
        moved(10, 10),
        y_edges_mm=[0.0, 2.0, 5.0, 10.0],
        jaw_y_mm=np.array([[0.0, 99.0], [10.0, 99.0]]),
    )
    assert wedge[:, 0] == pytest.approx([10.0, 35.0, 75.0])


def test_jaw_and_leaf_that_move_together() -> None:
    # Open for x < 10 t and y > 10 t: (y - x) / 10 of the time.  Over a 5 mm square on the diagonal
    # the mean of max(y - x, 0) is 5 / 6, over the one beside it y - x is 5.
    both = fluence(
        moved(0, 0),
        moved(0, 10),
        y_edges_mm=HALVES_MM,
        jaw_y_mm=np.array([[0.0, 99.0], [10.0, 99.0]]),
    )
    assert both == pytest.approx(MU * np.array([[1 / 12, 0.0], [0.5, 1 / 12]]))


def test_y_jaws_that_meet_on_the_way_count_until_they_meet() -> None:
    # From 0 and 10 mm they meet at 5 mm after half the time: open is a triangle of half the area
    # of 5 mm by 10 mm in y and t, so that the mean over y and the whole time is a quarter.
    meeting = fluence(moved(0, 0), moved(10, 10), jaw_y_mm=np.array([[0.0, 10.0], [10.0, 0.0]]))
    assert meeting == pytest.approx(np.array([[25.0, 25.0]]))


def test_what_is_beyond_the_pixels_is_not_on_them() -> None:
    # The left leaf comes from 20 mm left of the grid and enters it after 2/3 of the time.
    beyond = fluence(moved(-20, 10), moved(90, 90))
    # Over 0 to 10 mm: passed later and later, mean share before the passage (20 + x) / 30.
    assert beyond == pytest.approx(MU * np.array([[22.5 / 30, 27.5 / 30]]))
    assert not fluence(moved(20, 30), moved(40, 50)).any()
    assert not fluence(moved(-40, -30), moved(-20, -10)).any()
    assert not fluence(moved(0, 0), moved(10, 10), y_edges_mm=[20.0, 30.0]).any()


def test_only_meterset_after_the_first_sample_and_only_increases_count() -> None:
    # 50 MU at 0 to 5 mm, a step back while wide open, nothing, then 20 MU at 5 to 10 mm.
    left = np.array([[0.0], [0.0], [0.0], [5.0], [5.0]])
    right = np.array([[5.0], [5.0], [10.0], [10.0], [10.0]])
    counted = fluence(left, right, meterset_mu=[30.0, 80.0, 70.0, 70.0, 90.0])
    assert counted == pytest.approx(np.array([[50.0, 20.0]]))


def test_a_single_sample_delivers_nothing() -> None:
    assert not fluence(np.zeros((1, 1)), np.ones((1, 1)), meterset_mu=[70.0]).any()


def test_open_area_is_the_mean_gap_times_height_times_meterset() -> None:
    # The gap goes from 4 to 8 mm, 6 mm on average, 10 mm high, of which the jaw leaves 7 mm.
    left, right = moved(0, 0), moved(4, 8)
    area = open_area_mu_mm2([0, MU], left, right, [0.0, 10.0])
    assert area == pytest.approx(6 * 10 * MU, rel=1e-14)
    jaw_y = np.array([[3.0, 99.0], [3.0, 99.0]])
    cut = open_area_mu_mm2([0, MU], left, right, [0.0, 10.0], jaw_y_mm=jaw_y)
    assert cut == pytest.approx(6 * 7 * MU, rel=1e-14)
    assert open_area_mu_mm2([0, MU], right, left, [0.0, 10.0]) == 0.0


def test_nothing_is_lost_or_made_on_the_way_to_the_pixels() -> None:
    # 600 samples of 60 pairs that never close: area = sum of dMU x mean gap x leaf width.
    samples, pairs = 600, 60
    time, phase = np.linspace(0, 1, samples)[:, None], np.linspace(0, 6, pairs)
    middle = 60 * np.sin(9 * time + phase)
    gap = 20 + 15 * np.cos(30 * time + 2 * phase)
    leaves_mm = np.cumsum(np.concatenate([[-150.0], np.full(30, 2.5), np.full(30, 7.5)]))
    meterset = np.cumsum(np.random.default_rng(2).uniform(0, 2, samples))
    mean_gap = (gap[1:] + gap[:-1]) / 2
    area = float(np.diff(meterset) @ mean_gap @ np.diff(leaves_mm))
    arguments = (meterset, middle - gap / 2, middle + gap / 2, leaves_mm)
    assert open_area_mu_mm2(*arguments) == pytest.approx(area, rel=1e-12)
    for x_mm, y_mm in ((0.5, 1.0), (0.1, 5.0), (3.3, 0.7)):
        pixels = delivered_fluence(
            *arguments,
            x_edges_mm=np.arange(-120, 120 + x_mm, x_mm),
            y_edges_mm=np.arange(-151, 151 + y_mm, y_mm),
        )
        assert pixels.min() >= 0.0
        assert pixels.sum() * x_mm * y_mm == pytest.approx(area, rel=1e-12)


def test_closed_pixels_are_zero_and_not_nearly_zero() -> None:
    # Forty pairs, whose sums of shares round differently; edges reach 7 and 7.1 mm.
    pairs = 40
    time = np.linspace(0, 1, 1001)[:, None]
    middle = 3 * np.sin(40 * time + np.arange(pairs))
    swept = fluence(
        middle - 4,
        middle + 4.1,
        meterset_mu=time[:, 0] * 777.7,
        x_edges_mm=np.arange(-50.0, 50.1, 0.1),
        leaf_edges_mm=np.arange(pairs + 1.0),
        y_edges_mm=np.arange(pairs + 1.0),
    )
    middle_mm = np.arange(-49.95, 50.0, 0.1)
    assert not swept[:, np.abs(middle_mm) > 7.2].any()
    assert (swept[:, np.abs(middle_mm) < 6.9] > 0).all()


@pytest.mark.parametrize("pixel_mm", [1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("off_mm", [0.0, 150.0, -199.0])
def test_small_pixels_under_a_long_way_keep_their_digits(pixel_mm: float, off_mm: float) -> None:
    # The left leaf goes -200 to 200 mm: x is open from the beginning to (x + 200) / 400.
    edges_mm = off_mm + pixel_mm * np.arange(41.0)
    moving = {"x_edges_mm": edges_mm, "left": moved(-200, 200), "right": moved(300, 300)}
    passed = ((edges_mm[1:] + edges_mm[:-1]) / 2 + 200) / 400
    assert fluence(**moving)[0] == pytest.approx(MU * passed, rel=1e-12)
    # While the low y jaw covers all of the height: of the time s until x is passed s - s²/2 stays,
    # a quadratic, whose mean over a pixel is that of Simpson's rule.
    s = (np.stack([edges_mm[:-1], (edges_mm[1:] + edges_mm[:-1]) / 2, edges_mm[1:]]) + 200) / 400
    cut = fluence(**moving, jaw_y_mm=np.array([[0.0, 99.0], [10.0, 99.0]]))[0]
    assert cut == pytest.approx(MU * np.array([1, 4, 1]) / 6 @ (s - s * s / 2), rel=1e-12)


def test_a_strip_too_thin_to_have_a_middle_is_in_the_right_row() -> None:
    # The first pair is open, and ends just above the lower edge of the pixels.
    low_mm = np.nextafter(1.0, 0.0)
    thin = fluence(
        moved([0, 3], [0, 3]),
        moved([10, 3], [10, 3]),
        leaf_edges_mm=[0.0, 1.0, 10.0],
        y_edges_mm=[low_mm, 4.0, 8.0],
    )
    assert not thin[1].any()
    assert thin[0] == pytest.approx([MU * (1.0 - low_mm) / 3.0] * 2, rel=1e-6)


def test_lengths_up_to_the_limit_are_taken() -> None:
    # From -1e6 to 1e6 mm in a jump, half of the time on each side.
    jump = fluence(moved(-1e6, 1e6), moved(1e6, 1e6), x_edges_mm=[-1e6, 0.0, 1e6])
    assert jump == pytest.approx(np.array([[25.0, 75.0]]), rel=1e-12)


def test_inputs_are_not_changed_and_may_be_lists() -> None:
    left = moved(2, 3)
    left.flags.writeable = False
    as_lists = fluence(left.tolist(), [[7], [9]])
    assert (as_lists == fluence(left, moved(7, 9))).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left": np.zeros((3, 1))}, "left_mm must have the shape"),
        ({"right": np.zeros((2, 2))}, "right_mm must have the shape"),
        ({"left": moved(math.nan, 0)}, "left_mm holds NaN"),
        ({"right": moved(math.inf, 0)}, "right_mm holds NaN or infinity"),
        ({"meterset_mu": [0.0, math.nan]}, "meterset_mu holds NaN"),
        ({"meterset_mu": []}, "meterset_mu must be"),
        ({"meterset_mu": [[0.0, 1.0]]}, "meterset_mu must be"),
        ({"leaf_edges_mm": [0.0]}, "leaf_edges_mm must be two or more rising"),
        ({"leaf_edges_mm": [5.0, 5.0]}, "leaf_edges_mm must be two or more rising"),
        ({"x_edges_mm": [3.0, 2.0, 1.0]}, "x_edges_mm must be two or more rising"),
        ({"y_edges_mm": [0.0, math.nan]}, "y_edges_mm holds NaN"),
        ({"left": [[0.0], [0.0, 1.0]]}, "left_mm must be plain real numbers"),
        ({"left": "abc"}, "left_mm must be plain real numbers"),
        ({"left": [["0"], ["0"]]}, "left_mm must be plain real numbers"),
        ({"left": None}, "left_mm must be plain real numbers"),
        ({"right": moved(5, 5) + 0j}, "right_mm must be plain real numbers"),
        ({"right": np.ma.masked_array(moved(5, 5))}, "right_mm must be plain real numbers"),
        ({"left": moved(-1e308, 0)}, "left_mm holds 1e\\+308"),
        ({"left": moved(-2e6, 0)}, "left_mm holds 2e\\+06, more than 1e\\+06"),
        ({"right": moved(2e9, 3e9)}, "right_mm holds"),
        ({"jaw_x_mm": moved([0, 2e6], [0, 9])}, "jaw_x_mm holds"),
        ({"jaw_y_mm": moved([-1e12, 0], [0, 9])}, "jaw_y_mm holds"),
        ({"meterset_mu": [-1e308, 1e308]}, "meterset_mu holds"),
        ({"meterset_mu": [0.0, 2e9]}, "meterset_mu holds"),
        ({"x_edges_mm": [-1e308, 1e308]}, "x_edges_mm holds"),
        ({"y_edges_mm": [1.5e9, 3e9]}, "y_edges_mm holds"),
        ({"leaf_edges_mm": [-1e308, 1e308]}, "leaf_edges_mm holds"),
        ({"x_edges_mm": [0.0, 5e-324, 1e-323]}, "x_edges_mm must rise by 1e-09"),
        ({"y_edges_mm": [5.0, np.nextafter(5, 6)]}, "y_edges_mm must rise by 1e-09"),
        ({"leaf_edges_mm": [1.0, 1.0 + 1e-10]}, "leaf_edges_mm must rise by 1e-09"),
        ({"jaw_x_mm": [[0.0, 1.0]]}, "jaw_x_mm must have the shape"),
        ({"jaw_y_mm": moved([math.nan, 1], [0, 1])}, "jaw_y_mm holds NaN"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"left": moved(0, 0), "right": moved(5, 5)}
    with pytest.raises(ValueError, match=message):
        fluence(**{**arguments, **changed})
