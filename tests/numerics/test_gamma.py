"""What `gamma_index` counts, reports and refuses."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from analyzers.numerics.gamma import gamma_index

FLAT = np.full(21, 50.0)


def test_importing_it_does_not_load_the_compiler() -> None:
    # The parent process of the service imports every analyzer and must stay small.
    program = (
        "import sys, analyzers.numerics.gamma, analyzers.numerics.fluence;"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_says_what_it_was_computed_with() -> None:
    gamma = gamma_index(
        FLAT, FLAT, (1.0,), dose_percent=2, distance_mm=1, local=True, max_gamma=3, tolerance=1e-4
    )
    criteria = gamma.criteria
    assert (criteria.dose_percent, criteria.distance_mm, criteria.local) == (2, 1, True)
    assert (criteria.max_gamma, criteria.tolerance) == (3, 1e-4)
    assert gamma.normalization == 50.0


def test_statistics_are_of_the_judged_points() -> None:
    # On 100 judged points gamma is the dose difference over 3: 0.01, 0.02 ... 1.
    difference = 0.03 * np.arange(1, 101)
    reference = np.concatenate([np.zeros(50), np.full(100, 100.0)])
    evaluated = np.concatenate([np.zeros(50), 100 + difference])
    # 1000 mm apart: the dose at the point itself is the only one in reach.
    gamma = gamma_index(reference, evaluated, (1000.0,))
    assert gamma.points == 100
    assert gamma.pass_percent == 100.0
    assert gamma.mean == pytest.approx(0.505, rel=1e-4)
    assert gamma.maximum == pytest.approx(1.0, rel=1e-4)
    assert gamma.percentile_95 == pytest.approx(0.95, rel=1e-4)
    assert gamma.percentile_99 == pytest.approx(0.99, rel=1e-4)
    assert gamma.mean_dose_difference_percent == pytest.approx(difference.mean())


def test_normalization_sets_the_criterion_and_the_threshold() -> None:
    # 3 % of 200 is 6: an offset of 3 is gamma 0.5.  30 % of 200 is 60: nothing is judged.
    assert gamma_index(FLAT, FLAT + 3, (1.0,), normalization=200).mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no point to judge: threshold_percent is 30 % of 200"):
        gamma_index(FLAT, FLAT, (1.0,), normalization=200, threshold_percent=30)


def test_without_points_there_is_no_pass_rate() -> None:
    with pytest.raises(ValueError, match="reference has no point to judge"):
        gamma_index(FLAT, FLAT, (1.0,), threshold_percent=101)
    with pytest.raises(ValueError, match="reference holds no dose"):
        gamma_index(np.zeros((4, 4)), np.ones((4, 4)), (1.0, 1.0), threshold_percent=0)


def test_border_points_are_those_whose_search_leaves_the_evaluated_grid() -> None:
    # 2 x 2 mm on 1 mm: the points 0 to 3 and 17 to 20 mm are closer than 4 mm to an end.
    assert gamma_index(FLAT, FLAT, (1.0,)).border_points == 8
    wide = np.full(31, 50.0)
    assert gamma_index(FLAT, wide, (1.0,), evaluated_offset_mm=(-5.0,)).border_points == 0
    # In a plane, the rim: 21 x 21 less 13 x 13.
    plane = np.full((21, 21), 50.0)
    assert gamma_index(plane, plane, (1.0, 1.0)).border_points == 21**2 - 13**2


def test_points_beyond_the_evaluated_grid_fail_and_are_counted() -> None:
    # Evaluated 5 to 15 mm, reference 0 to 20 mm, flat and equal: gamma is the distance over 2 mm,
    # so 3 to 17 mm pass; 2 x 2 mm is the farthest that is searched.
    gamma = gamma_index(FLAT, np.full(11, 50.0), (1.0,), evaluated_offset_mm=(5.0,))
    outside_mm = np.array([5, 4, 3, 2, 1])
    assert gamma.points == 21
    assert gamma.map[:5] == pytest.approx(np.minimum(outside_mm / 2, 2.0))
    assert gamma.map[-5:] == pytest.approx(gamma.map[4::-1])
    assert not gamma.map[5:16].any()
    assert gamma.pass_percent == pytest.approx(100 * 15 / 21)
    assert (gamma.border_points, gamma.outside_points) == (21 - 3, 10)


def test_grids_that_do_not_meet_fail_everywhere() -> None:
    gamma = gamma_index(FLAT, FLAT, (1.0,), evaluated_offset_mm=(500.0,))
    assert gamma.pass_percent == 0.0
    assert (gamma.map == 2.0).all()
    assert math.isnan(gamma.mean_dose_difference_percent)


def test_mean_dose_difference_is_taken_where_both_have_a_dose() -> None:
    # Evaluated 2 above on 5 to 15 mm only; 2 of 50 is 4 %.
    gamma = gamma_index(FLAT, np.full(11, 52.0), (1.0,), evaluated_offset_mm=(5.0,))
    assert gamma.mean_dose_difference_percent == pytest.approx(4.0)


def test_evaluated_grid_may_be_finer_and_shifted() -> None:
    # Both are 10 + x + 2 y; multilinear interpolation of a plane is the plane.
    y, x = np.mgrid[0:11, 0:9].astype(float)
    fine_y, fine_x = np.meshgrid(-1 + 0.3 * np.arange(45), -2 + 0.7 * np.arange(20), indexing="ij")
    gamma = gamma_index(
        10 + x + 2 * y,
        10 + fine_x + 2 * fine_y,
        (1.0, 1.0),
        evaluated_spacing_mm=(0.3, 0.7),
        evaluated_offset_mm=(-1.0, -2.0),
    )
    assert gamma.map == pytest.approx(np.zeros((11, 9)), abs=1e-12)
    assert gamma.points == 99


def test_one_spacing_will_do_for_one_axis() -> None:
    assert gamma_index(FLAT, FLAT, 1.0).pass_percent == 100.0


def test_plane_at_a_distance_is_as_far_as_the_distance() -> None:
    # One evaluated plane 1 mm above the reference plane, equal dose: 1 mm / 2 mm.
    plane = np.full((1, 9, 9), 50.0)
    gamma = gamma_index(plane, plane, (1.0, 1.0, 1.0), evaluated_offset_mm=(1.0, 0.0, 0.0))
    assert gamma.map == pytest.approx(np.full((1, 9, 9), 0.5))
    assert gamma.border_points == 81


def test_inputs_may_be_read_only_and_are_not_changed() -> None:
    dose = np.arange(1.0, 26.0).reshape(5, 5)
    dose.flags.writeable = False
    kept = dose.copy()
    gamma_index(dose, dose.T, (1.0, 1.0))
    assert (dose == kept).all()


def test_same_numbers_whatever_the_number_of_threads() -> None:
    import numba

    rng = np.random.default_rng(3)
    reference, evaluated = rng.uniform(50, 60, (2, 12, 12, 12))
    threads = numba.get_num_threads()
    maps = []
    for count in (1, threads):
        numba.set_num_threads(count)
        maps.append(gamma_index(reference, evaluated, (2.0,) * 3).map)
    assert (maps[0] == maps[1]).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1e-9])
@pytest.mark.parametrize("name", ["reference", "evaluated"])
def test_a_dose_that_is_none_is_refused(bad: float, name: str) -> None:
    doses = {"reference": FLAT.copy(), "evaluated": FLAT.copy()}
    doses[name][7] = bad
    with pytest.raises(ValueError, match=f"{name} holds"):
        gamma_index(spacing_mm=(1.0,), **doses)


@pytest.mark.parametrize(
    ("evaluated", "spacing_mm", "options", "message"),
    [
        (FLAT[:20], (1.0,), {}, "evaluated_offset_mm must say"),
        (FLAT.reshape(1, 21), (1.0,), {}, "reference has 1 dimensions, evaluated 2"),
        (FLAT, (1.0, 1.0), {}, "spacing_mm needs one number per axis"),
        (FLAT, (0.0,), {}, "spacing_mm must be positive"),
        (FLAT, (math.nan,), {}, "spacing_mm needs one number"),
        (FLAT, (1.0,), {"evaluated_spacing_mm": (-1.0,)}, "evaluated_spacing_mm must be positive"),
        (FLAT, (1.0,), {"evaluated_offset_mm": (math.inf,)}, "evaluated_offset_mm needs"),
        (FLAT, (1.0,), {"evaluated_offset_mm": (1e12,)}, "too far apart"),
        (FLAT, (1.0,), {"dose_percent": 0}, "dose_percent must be a number in"),
        (FLAT, (1.0,), {"distance_mm": -2}, "distance_mm must be a number in"),
        (FLAT, (1.0,), {"threshold_percent": -1}, "threshold_percent must be 0 or more"),
        (FLAT, (1.0,), {"normalization": 0.0}, "normalization must be a positive number"),
        (FLAT, (1.0,), {"normalization": math.nan}, "normalization must be a positive number"),
        (FLAT, (1.0,), {"max_gamma": 1.0}, "max_gamma must be in"),
        (FLAT, (1.0,), {"max_gamma": math.nextafter(1.0, 2.0)}, "max_gamma must be in"),
        (FLAT, (1.0,), {"max_gamma": math.nan}, "max_gamma must be in"),
        (FLAT, (1.0,), {"max_gamma": 1e200}, "max_gamma must be in"),
        (FLAT, (1.0,), {"distance_mm": 1e200}, "distance_mm must be a number in"),
        (FLAT, (1.0,), {"dose_percent": "3"}, "dose_percent must be a number in"),
        (FLAT, (1.0,), {"dose_percent": True}, "dose_percent must be a number in"),
        (FLAT, (1.0,), {"threshold_percent": None}, "threshold_percent must be 0 or more"),
        (FLAT, (1.0,), {"normalization": 1e-300}, "normalization must be a positive number"),
        (FLAT, ((1.0,),), {}, "spacing_mm needs one number"),
        (FLAT, (1.0 + 1j,), {}, "spacing_mm needs one number"),
        (FLAT, "1 mm", {}, "spacing_mm needs one number"),
        (FLAT, (1.0,), {"names": ("plan",)}, "names must be two different names"),
        (FLAT, (1.0,), {"names": ("plan", "plan")}, "names must be two different names"),
        (FLAT + 1e101, (1.0,), {}, "evaluated holds a dose of 1e.101"),
        (FLAT + 1e18, (1.0,), {}, r"doses up to 1e.18 cannot be compared to 3 % of 50"),
        (FLAT, (1.0,), {"tolerance": 0.0}, "tolerance must be in"),
    ],
)
def test_what_makes_no_sense_is_refused(
    evaluated: Any, spacing_mm: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        gamma_index(FLAT, evaluated, spacing_mm, **options)


def test_what_is_no_grid_is_refused() -> None:
    for nothing in (np.float64(5.0), np.zeros(0), np.ones((2, 2, 2, 2))):
        with pytest.raises(ValueError, match="1-, 2- or 3-D array"):
            gamma_index(nothing, nothing, (1.0,))


def test_local_gamma_at_no_dose_is_refused() -> None:
    with pytest.raises(ValueError, match="raise threshold_percent"):
        gamma_index(np.arange(5.0), np.arange(5.0), (1.0,), local=True, threshold_percent=0)


@pytest.mark.parametrize(
    "nothing",
    [
        ["1", "2"],
        [True, False],
        [[1.0, 2.0], [3.0]],
        [np.ma.masked_less(np.arange(3.0), 1.0)],
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        [10**400, 1],
        np.array([1.0, None], dtype=object),
    ],
    ids=["text", "flags", "ragged", "masked row", "dates", "beyond all numbers", "objects"],
)
def test_what_is_no_dose_is_refused(nothing: Any) -> None:
    with pytest.raises(ValueError, match="reference must be plain real numbers"):
        gamma_index(nothing, [1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match="evaluated must be plain real numbers"):
        gamma_index([1.0, 2.0], nothing, 1.0)


def test_whole_numbers_are_a_dose() -> None:
    assert gamma_index([50, 60], np.array([50, 60], dtype=np.uint16), 1).pass_percent == 100.0


def test_a_dose_too_small_to_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="reference holds no dose"):
        gamma_index([1e-322], [1e-322], 1.0)


# 10 % of 2.9, 5.7, 5.8 or 11.3 is not their tenth in binary.
@pytest.mark.parametrize("largest", [2.9, 5.7, 5.8, 11.3, 11.6, 100.0])
def test_a_point_at_the_threshold_is_judged_whatever_the_dose(largest: float) -> None:
    doses = [largest, round(largest / 10, 4)]
    assert gamma_index(doses, doses, 1000.0).points == 2


@pytest.mark.parametrize("above", [1e-4, 1e-6, 1e-8])
def test_a_point_just_above_1_fails(above: float) -> None:
    # 1000 mm apart: gamma is the dose difference over 3.
    evaluated = [103.0, 100 + 3 * (1 + above)]
    gamma = gamma_index([100.0, 100.0], evaluated, 1000.0, tolerance=1e-9)
    assert gamma.passed == 1


def test_an_evaluated_grid_of_one_plane_leaves_points_at_the_border() -> None:
    plane = np.full((21, 21), 50.0)
    # Of nine planes, the middle one is 4 mm from both ends: 13 of its points are inside.
    for planes, border in ((9, 441 - 13), (2, 441), (1, 441)):
        part = plane[:planes]
        gamma = gamma_index(plane, part, (1.0, 1.0), evaluated_offset_mm=(10.0, 0.0))
        assert gamma.border_points == border
    one = gamma_index(FLAT, FLAT[:1], 1.0, evaluated_offset_mm=10.0)
    assert (one.border_points, one.outside_points) == (21, 20)
