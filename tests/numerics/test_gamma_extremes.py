"""Gamma beside doses that differ by powers of ten, and searches that reach very far.

None of it may pass a point that does not pass, nor take time or memory without end.
"""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from analyzers.numerics.gamma import GammaCriteria, gamma_index, gamma_indices
from analyzers.numerics.gamma_grid import match_grids, visiting_orders


@pytest.mark.parametrize("hot", [1e3, 65535.0, 1e6, 1e9, 1e11])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_hot_pixel_hides_nothing_and_holds_nothing_up(ndim: int, hot: float) -> None:
    # Reference 100, evaluated 103.9 and one pixel far above: 3.9 / 3 = 1.3 is the least there is.
    reference = np.full((7,) * ndim, 100.0)
    evaluated = np.full((7,) * ndim, 103.9)
    evaluated[(3,) * ndim] = hot
    gamma = gamma_index(reference, evaluated, (1.0,) * ndim)
    assert np.nanmin(gamma.map) >= 1.3 - 1e-9
    # Beside the pixel, 1 mm away, the dose is 103.9 again; with 2 mm that is 0.5 more, squared.
    assert gamma.maximum <= math.hypot(1.3, 0.5) + 1e-3
    assert gamma.passed == 0
    assert gamma.unproven_points == 0


def test_a_hot_pixel_alone_in_a_cell() -> None:
    # The nearest dose of 103.9 is on the far faces, 1 mm away: the root of 1.3² + 0.5².
    evaluated = np.full((2, 2, 2), 103.9)
    evaluated[0, 0, 0] = 65535.0
    gamma = gamma_index(
        np.full((1, 1, 1), 100.0), evaluated, (1.0,) * 3, evaluated_offset_mm=(0.0,) * 3
    )
    assert gamma.map[0, 0, 0] == pytest.approx(math.hypot(1.3, 0.5), abs=1e-3)
    assert gamma.map[0, 0, 0] >= math.hypot(1.3, 0.5) - 1e-9
    assert gamma.certified


@pytest.mark.parametrize("dose", [10.0, 1.0, 0.1])
def test_local_gamma_beside_a_dose_of_100(dose: float) -> None:
    # 4 % too much everywhere at 3 %: gamma is 4 / 3 less the noise of 0.1 %, but for the one voxel
    # of 100, whose own dose lies between its neighbors' and the 104 there.
    rng = np.random.default_rng(4)
    reference = np.full((5, 5, 5), dose)
    evaluated = reference * (1.04 + 0.001 * rng.uniform(-1, 1, reference.shape))
    reference[2, 2, 2], evaluated[2, 2, 2] = 100.0, 104.0
    gamma = gamma_index(reference, evaluated, (1.0,) * 3, local=True, threshold_percent=0)
    assert gamma.unproven_points == 0
    gamma.map[2, 2, 2] = np.nan
    assert np.nanmin(gamma.map) >= (4 - 0.1) / 3 - 1e-6


@pytest.mark.parametrize("order", [1, -1])
def test_a_dose_of_one_part_in_a_million_millions(order: int) -> None:
    # 4.5 % above at 3 %, local: gamma 1.5 there, and the point beside it is 1e9 times as high.
    reference = np.array([1.0, 1e-9])[::order]
    evaluated = np.array([1.0, 1.045e-9])[::order]
    gamma = gamma_index(reference, evaluated, 1.0, local=True, threshold_percent=0)
    assert gamma.map[::order] == pytest.approx([0.0, 1.5], abs=1e-3)
    # At 1e-15 beside 1, numbers have no digits left to tell 4.5 %.
    with pytest.raises(ValueError, match="cannot be compared to 3 % of 1e-15: raise thres"):
        gamma_index(
            np.array([1.0, 1e-15]), np.array([1.0, 1e-15]), 1.0, local=True, threshold_percent=0
        )


@pytest.mark.parametrize(("tolerance", "proven"), [(1e-3, True), (1e-9, False)])
def test_a_search_that_takes_too_long_ends_unproven_and_says_so(
    tolerance: float, proven: bool
) -> None:
    # Evaluated s = 3 + xy + yz + zx above the reference, criteria 1 and 1 mm.  Across the diagonal
    # xy + yz + zx = -r² / 2, so f = r² + (3 - r² / 2)² is least on a whole ring, r = 2, where it is
    # 5.  To prove that to 1e-9 all along the ring takes millions of boxes.
    z, y, x = np.meshgrid([-4.0, 4.0], [-4.0, 4.0], [-4.0, 4.0], indexing="ij")
    gamma = gamma_index(
        np.full((1, 1, 1), 100.0),
        103.0 + x * y + y * z + z * x,
        (1.0,) * 3,
        dose_percent=1.0,
        distance_mm=1.0,
        tolerance=tolerance,
        max_gamma=20,
        evaluated_spacing_mm=(8.0,) * 3,
        evaluated_offset_mm=(-4.0,) * 3,
    )
    assert gamma.map[0, 0, 0] == pytest.approx(math.sqrt(5), abs=1e-3)
    assert gamma.map[0, 0, 0] >= math.sqrt(5) - 1e-12
    assert gamma.unproven_points == (0 if proven else 1)
    assert gamma.certified is proven
    assert ("NOT certified at 1 points" in str(gamma)) is not proven


def test_a_criterion_certified_with_one_that_is_not_is_certified() -> None:
    # Same ratio of dose to distance: one search for both.
    rng = np.random.default_rng(5)
    reference, evaluated = 80 + rng.normal(0, 6, (2, 12, 12, 12))
    screening = GammaCriteria(dose_percent=3, distance_mm=3, certified=False)
    certified = GammaCriteria(dose_percent=2, distance_mm=2)
    together = gamma_indices(reference, evaluated, (2.5,) * 3, [screening, certified])
    (alone,) = gamma_indices(reference, evaluated, (2.5,) * 3, [certified])
    assert together[1].certified
    assert together[1].map == pytest.approx(alone.map, abs=1e-3)
    assert not together[0].certified


def test_one_wrong_voxel_does_not_make_the_search_of_all_large() -> None:
    # Up to 10 x 10 mm on 0.5 mm: 34 million cells, for one point.
    reference = np.full((60, 60, 60), 50.0)
    evaluated = reference.copy()
    reference[30, 30, 30] = 100.0
    gamma_index(reference[:5, :5, :5], evaluated[:5, :5, :5], (0.5,) * 3)
    tracemalloc.start()
    gamma = gamma_index(
        reference, evaluated, (0.5,) * 3, distance_mm=10, max_gamma=10, normalization=100
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert gamma.map[30, 30, 30] == 10.0
    assert gamma.points - gamma.passed == 1
    assert peak < 300e6


@pytest.mark.parametrize("reach_mm", [3.0, 9.0, 40.0, math.inf])
def test_shells_hold_every_cell_in_reach_once_and_in_order(
    reach_mm: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzers.numerics.gamma_grid.MOST_CELLS", 2000)
    axes = match_grids((3, 4, 5), (26, 25, 27), (1.0,) * 3, (1.0, 1.5, 0.7), (-9.0, -4.0, -7.0))
    shells = list(visiting_orders(axes, reach_mm))
    offsets = np.concatenate([cells for (cells, _), _ in shells])
    squares = np.concatenate([squared for (_, squared), _ in shells])
    assert (np.diff(squares) >= 0).all()
    assert len(np.unique(offsets, axis=0)) == len(offsets)
    assert max(len(squared) for (_, squared), _ in shells) < 4000
    assert (len(shells) == 1) is (reach_mm == 3.0)
    # Counted without shells: the least distance of each cell to any of the points, axis by axis.
    total = np.zeros(())
    for axis in axes:
        _, least_mm = axis.offsets(reach_mm)
        total = np.add.outer(total, least_mm**2)
    assert len(offsets) == np.count_nonzero(total <= reach_mm**2)


def test_results_do_not_depend_on_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    reference, evaluated = rng.uniform(40, 100, (2, 9, 9, 9))
    options = {"distance_mm": 4.0, "max_gamma": 20.0, "tolerance": 1e-6}
    whole = gamma_index(reference, evaluated, (1.0,) * 3, dose_percent=0.5, **options)
    monkeypatch.setattr("analyzers.numerics.gamma_grid.MOST_CELLS", 500)
    parts = gamma_index(reference, evaluated, (1.0,) * 3, dose_percent=0.5, **options)
    assert parts.map == pytest.approx(whole.map, abs=2e-6)
    assert parts.passed == whole.passed
    assert parts.unproven_points == 0
