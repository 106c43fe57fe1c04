"""What a gamma result says beside the map, on doses whose gamma is known.

Points 1000 mm apart see no other point, so that gamma is the dose difference over the criterion.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.numerics.gamma import GammaCriteria, GammaResult, gamma_index, gamma_indices
from analyzers.numerics.gamma_result import HISTOGRAM_EDGES, rate_interval

Floats = NDArray[np.float64]
FAR_MM = 1000.0


def alone(gamma: Floats) -> GammaResult:
    """A result with these values of gamma, at 3 % of 100."""
    reference = np.full(gamma.shape, 100.0)
    return gamma_index(reference, reference + 3 * gamma, (FAR_MM,) * gamma.ndim, max_gamma=5)


def test_histogram_counts_a_point_on_an_edge_in_the_lower_bin() -> None:
    gamma = alone(np.array([0.0, 0.05, 0.1, 0.95, 1.0, 1.05, 2.0, 2.5, 4.0]))
    counted = dict(zip(HISTOGRAM_EDGES[1:], gamma.histogram, strict=True))
    assert {edge: n for edge, n in counted.items() if n} == pytest.approx(
        {0.1: 3, 1.0: 2, 1.1: 1, 2.0: 1, math.inf: 2}
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 4), min_size=1, max_size=60))
def test_histogram_agrees_with_the_pass_rate(values: list[float]) -> None:
    gamma = alone(np.array(values))
    assert gamma.histogram.sum() == gamma.points
    assert gamma.histogram[HISTOGRAM_EDGES[1:] <= 1].sum() == gamma.passed


def test_median_percentiles_and_largest() -> None:
    gamma = alone(np.arange(101) / 100)
    found = (gamma.median, gamma.percentile_95, gamma.percentile_99, gamma.maximum)
    # 51 of 101 points are at most 0.5, 96 at most 0.95.
    assert found == pytest.approx((0.5, 0.95, 0.99, 1.0))


def test_percentiles_are_values_that_occur() -> None:
    # Half of {0, 2} do not exceed 0; 95 % do not exceed 2, and 1.9 is no gamma of any point.
    gamma = alone(np.array([0.0, 2.0]))
    assert (gamma.median, gamma.percentile_95) == pytest.approx((0.0, 2.0), abs=1e-3)


def test_dose_difference_is_signed_and_where_it_is_known() -> None:
    reference = np.array([100.0, 100.0, 100.0, 5.0])
    evaluated = np.array([102.0, 97.0])
    gamma = gamma_index(reference, evaluated, FAR_MM, evaluated_offset_mm=0.0)
    # The third point has no evaluated dose, the fourth is below the threshold.
    assert gamma.dose_difference_percent == pytest.approx(
        np.array([2.0, -3.0, np.nan, np.nan]), nan_ok=True
    )
    assert gamma.mean_dose_difference_percent == pytest.approx(-0.5)
    assert (gamma.points, gamma.outside_points) == (3, 1)


def test_failing_regions_are_boxes_around_neighbors() -> None:
    values = np.zeros((6, 8))
    values[1:3, 2:5] = 1.5
    values[2, 3] = 4.0
    values[4, 5] = -2.0
    reference = np.full(values.shape, 100.0)
    gamma = gamma_index(reference, reference + 3 * values, (500.0, 1000.0), max_gamma=5)
    large, small = gamma.failing_regions
    assert (large.points, small.points) == (6, 1)
    assert (large.low_mm, large.high_mm) == ((500.0, 2000.0), (1000.0, 4000.0))
    assert (small.low_mm, small.high_mm) == ((2000.0, 5000.0), (2000.0, 5000.0))
    assert (large.worst, small.worst) == pytest.approx((4.0, 2.0), abs=1e-3)
    assert large.mean_dose_difference_percent == pytest.approx(3 * (5 * 1.5 + 4.0) / 6)
    assert small.mean_dose_difference_percent == pytest.approx(-6.0)


def test_failing_regions_that_meet_at_a_corner_are_two() -> None:
    gamma = alone(np.array([[1.5, 0.0], [0.0, 1.5]]))
    assert [region.points for region in gamma.failing_regions] == [1, 1]


def test_where_nothing_fails_there_are_no_regions() -> None:
    assert alone(np.ones((3, 3))).failing_regions == ()


def test_failing_points_without_evaluated_dose_have_no_difference() -> None:
    gamma = gamma_index(np.full(4, 50.0), np.full(2, 50.0), 10.0, evaluated_offset_mm=0.0)
    (region,) = gamma.failing_regions
    assert (region.points, region.low_mm, region.high_mm) == (2, (20.0,), (30.0,))
    assert math.isnan(region.mean_dose_difference_percent)


def test_roles_and_grids_are_named() -> None:
    gamma = gamma_index(
        np.full((3, 4), 50.0),
        np.full((9, 9), 50.0),
        (2.0, 3.0),
        evaluated_spacing_mm=(1.0, 1.5),
        evaluated_offset_mm=(-1.0, 0.5),
        names=("film", "plan"),
    )
    assert (gamma.reference.name, gamma.evaluated.name) == ("film", "plan")
    assert (gamma.reference.shape, gamma.evaluated.shape) == ((3, 4), (9, 9))
    assert (gamma.reference.spacing_mm, gamma.evaluated.spacing_mm) == ((2.0, 3.0), (1.0, 1.5))
    assert (gamma.reference.first_mm, gamma.evaluated.first_mm) == ((0.0, 0.0), (-1.0, 0.5))
    said = str(gamma)
    for part in (
        "2-D gamma, 3 %/2 mm global, 10 % threshold of the normalization 50 (maximum of the ref",
        "reference film (3 x 4 points every 2 x 3 mm), evaluated plan (9 x 9 points every 1 x 1.5",
        "12 of 12 points pass",
        "within 0.001 of the true minimum",
    ):
        assert part in said
    assert "as stated" in str(gamma_index([50.0], [50.0], 1.0, normalization=50))


def test_what_is_not_certified_says_so() -> None:
    screened = gamma_index([50.0, 51.0], [50.0, 52.0], 1.0, certified=False)
    assert not screened.certified
    assert "NOT certified at 2 points, for screening only" in str(screened)
    assert gamma_index([50.0, 51.0], [50.0, 52.0], 1.0).certified


# Wilson's interval without continuity correction for 81 of 263 and 15 of 148, as Newcombe (1998,
# Stat. Med. 17, 857, table I) prints it.
@pytest.mark.parametrize(
    ("passed", "points", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)]
)
def test_interval_of_scattered_points_is_wilsons(
    passed: int, points: int, low: float, high: float
) -> None:
    # Points alone in their block; in larger blocks no variance is left, as they are spread evenly.
    passes = (np.arange(points) * passed) % points < passed
    found = rate_interval(passes, [np.arange(points)])
    # Student's t and the number of blocks less one widen it by 1 %.
    assert found == pytest.approx((low, high), abs=2e-3)


def test_where_all_points_pass_a_block_is_one_sample() -> None:
    # Wilson's for 20 of 20: from n / (n + z²).
    blocks = np.repeat(np.arange(20), 50)
    low, high = rate_interval(np.ones(1000, dtype=bool), [blocks])
    assert (low, high) == pytest.approx((20 / (20 + 1.959964**2), 1.0))
    low, high = rate_interval(np.zeros(1000, dtype=bool), [blocks])
    assert (low, high) == pytest.approx((0.0, 1.959964**2 / (20 + 1.959964**2)))


def test_interval_of_one_point_is_nearly_all() -> None:
    assert rate_interval(np.array([True]), [np.array([0])]) == pytest.approx(
        (0.2065, 1.0), abs=1e-3
    )


@pytest.mark.parametrize("correlated_mm", [0.5, 2.0, 5.0])
def test_interval_holds_the_true_rate_about_as_often_as_it_says(correlated_mm: float) -> None:
    # Planes of 60 x 60 mm, a dose off by 2 % with 1 % of noise of a Gaussian pattern, judged at 3 %
    # on a flat dose, so that a point passes where it is within 3 %.
    rng = np.random.default_rng(20261122)
    sides = list(np.indices((60, 60)).reshape(2, -1) // 4)
    trials, held, shares = 200, 0, []
    maps = []
    for _ in range(trials):
        noise = ndimage.gaussian_filter(rng.standard_normal((110, 110)), correlated_mm)[
            25:85, 25:85
        ]
        maps.append(np.abs(2 + noise * 2 * math.sqrt(math.pi) * correlated_mm).ravel() <= 3)
        shares.append(maps[-1].mean())
    truth = float(np.mean(shares))
    for passes in maps:
        low, high = rate_interval(passes, sides)
        held += low <= truth <= high
    assert held / trials >= 0.88


def test_interval_starts_with_blocks_of_twice_the_distance() -> None:
    # One row of 40 mm; the second half fails.  2 x 2 mm: ten blocks of four points.
    reference = np.full(40, 100.0)
    evaluated = np.where(np.arange(40) < 20, 100.0, 200.0)
    gamma = gamma_index(reference, evaluated, 1.0)
    expected = rate_interval(np.asarray(gamma.map <= 1), [np.arange(40) // 4])
    assert gamma.pass_interval_percent == pytest.approx([100 * end for end in expected])
    assert gamma.pass_interval_percent[0] < gamma.pass_percent < gamma.pass_interval_percent[1]


def test_interval_needs_no_memory_for_empty_blocks() -> None:
    # Planes 1e9 mm apart with 2 mm blocks: 1e9 / 4 blocks a side, if they were counted out.
    gamma = alone(np.zeros((3, 3, 3)))
    far = gamma_index(np.full((3, 3, 3), 1.0), np.full((3, 3, 3), 1.0), (1e9, 1e9, 1e9))
    assert far.pass_interval_percent == gamma.pass_interval_percent


CRITERIA = [
    GammaCriteria(dose_percent=3, distance_mm=3),
    GammaCriteria(dose_percent=2, distance_mm=2, threshold_percent=30, tolerance=1e-4),
    GammaCriteria(dose_percent=1, distance_mm=1, max_gamma=10),
    GammaCriteria(dose_percent=3, distance_mm=2, local=True),
    GammaCriteria(dose_percent=1.5, distance_mm=1, local=True, threshold_percent=50),
    GammaCriteria(dose_percent=2, distance_mm=1, normalization=60.0),
]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_several_criteria_at_once_are_as_one_by_one(ndim: int) -> None:
    rng = np.random.default_rng(ndim)
    shape = (400,) if ndim == 1 else (12,) * ndim
    reference = rng.uniform(5, 100, shape)
    evaluated = reference + rng.normal(0, 2, shape)
    spacing_mm = (1.5,) * ndim
    at_once = gamma_indices(reference, evaluated, spacing_mm, CRITERIA)
    for criteria, gamma in zip(CRITERIA, at_once, strict=True):
        (single,) = gamma_indices(reference, evaluated, spacing_mm, [criteria])
        assert gamma.criteria == criteria
        assert gamma.passed == single.passed
        # Both are above the same minimum, by the tolerance at most.
        assert gamma.map == pytest.approx(single.map, abs=criteria.tolerance, nan_ok=True)
        assert gamma.border_points == single.border_points
        assert gamma.mean_dose_difference_percent == single.mean_dose_difference_percent
        assert 0 < gamma.passed < gamma.points


def test_one_of_several_criteria_without_points_is_refused() -> None:
    hopeless = GammaCriteria(threshold_percent=120)
    with pytest.raises(ValueError, match="reference has no point to judge"):
        gamma_indices([1.0, 2.0], [1.0, 2.0], 1.0, [GammaCriteria(), hopeless])
    with pytest.raises(ValueError, match="criteria must hold at least one"):
        gamma_indices([1.0, 2.0], [1.0, 2.0], 1.0, [])


def test_noise_in_the_evaluated_dose_hides_an_offset_from_the_pass_rate_only() -> None:
    # 2.5 % too much at 2 %/2 mm: gamma 1.25, nothing passes.  With 1 % of noise about 90 % pass
    # (a cited simulation: 89.2 %, mean 0.728); the mean dose difference still tells.
    reference = np.full((41, 41), 100.0)
    noise = np.random.default_rng(7).normal(0, 1, reference.shape)
    clean, noisy = (
        gamma_index(reference, reference + 2.5 + part, (1.0, 1.0), dose_percent=2)
        for part in (0.0, noise)
    )
    assert clean.pass_percent == 0.0
    assert clean.mean == pytest.approx(1.25)
    assert noisy.pass_percent == pytest.approx(89.2, abs=4)
    assert noisy.mean == pytest.approx(0.728, abs=0.04)
    assert noisy.mean_dose_difference_percent == pytest.approx(2.5, abs=0.1)
