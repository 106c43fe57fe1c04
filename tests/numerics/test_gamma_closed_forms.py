"""Gamma where it can be worked out by hand.

For a straight ramp of slope g the graph of the evaluated dose is a line, and gamma is the distance
of the reference point from it: |dose gap| / sqrt(dD² + g² dd²), dD and dd the dose and distance
criteria.  Multilinear interpolation is exact there, so the numbers hold to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.numerics.gamma import GammaResult, gamma_index

Floats = NDArray[np.float64]
EXACT: dict[str, Any] = {"rel": 1e-6, "abs": 1e-12}


def along(axis: int, ndim: int, profile: Floats) -> Floats:
    """A profile along one axis of a grid whose other axes have five points."""
    shape = [5] * ndim
    shape[axis] = len(profile)
    return np.broadcast_to(
        profile.reshape([-1 if k == axis else 1 for k in range(ndim)]), shape
    ).copy()


def absolute(
    reference: Floats,
    evaluated: Floats,
    spacing_mm: tuple[float, ...],
    *,
    dose: float = 3.0,
    distance_mm: float = 2.0,
    **more: Any,
) -> GammaResult:
    """Gamma with the dose criterion in dose units, all points judged."""
    return gamma_index(
        reference,
        evaluated,
        spacing_mm,
        dose_percent=dose,
        distance_mm=distance_mm,
        threshold_percent=0.0,
        normalization=100.0,
        **more,
    )


AXES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
X_MM = np.arange(0.0, 101.0)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("offset_percent", "gamma"), [(1.5, 0.5), (3.0, 1.0), (4.5, 1.5)])
@pytest.mark.parametrize("distance_mm", [0.5, 2.0, 10.0])
def test_uniform_offset_is_in_units_of_the_dose_criterion(
    ndim: int, offset_percent: float, gamma: float, distance_mm: float
) -> None:
    flat = np.full((7,) * ndim, 50.0)
    result = gamma_index(
        flat, flat * (1 + offset_percent / 100), (1.0,) * ndim, distance_mm=distance_mm
    )
    assert result.map == pytest.approx(np.full(flat.shape, gamma), **EXACT)
    assert result.pass_percent == (100.0 if gamma <= 1 else 0.0)
    assert result.mean_dose_difference_percent == pytest.approx(offset_percent)


@pytest.mark.parametrize(("axis", "ndim"), AXES)
def test_dose_offset_on_a_ramp(axis: int, ndim: int) -> None:
    # c = 4, g = 2: 4 / sqrt(9 + 16) = 0.8.
    ramp = along(axis, ndim, 2.0 * np.arange(0.0, 41.0))
    gamma = absolute(ramp, ramp + 4.0, (1.0,) * ndim)
    inner = np.moveaxis(gamma.map, axis, 0)[4:-4]
    assert inner == pytest.approx(np.full(inner.shape, 0.8), **EXACT)


@pytest.mark.parametrize(("axis", "ndim"), AXES)
@pytest.mark.parametrize(
    ("slope", "shift_mm", "expected"),
    [
        (0.5, 1.0, 0.158114),
        (1.0, 1.0, 0.277350),
        (2.0, 1.0, 0.400000),
        (5.0, 1.0, 0.478913),
        (10.0, 2.0, 0.988936),
        (1.0, 3.0, 0.832050),
    ],
)
def test_shifted_ramp(axis: int, ndim: int, slope: float, shift_mm: float, expected: float) -> None:
    # |g s| / sqrt(dD² + g² dd²), dD 3, dd 2 mm.
    x = np.arange(0.0, 41.0)
    reference = along(axis, ndim, 50.0 + slope * x)
    evaluated = along(axis, ndim, 50.0 + slope * (x - shift_mm))
    gamma = absolute(reference, evaluated, (1.0,) * ndim)
    inner = np.moveaxis(gamma.map, axis, 0)[5:-5]
    closed_form = slope * shift_mm / math.hypot(3.0, 2.0 * slope)
    assert closed_form == pytest.approx(expected, abs=5e-7)
    assert inner == pytest.approx(np.full(inner.shape, closed_form), **EXACT)


def test_shifted_ramp_of_the_benchmark() -> None:
    # Slope 1 %/mm at 2.5 mm, 3 %/2 mm, shifted 0.7 mm: 0.7 / sqrt(9 + 4) = 0.194145.
    x_mm = 2.5 * np.arange(30)
    gamma = absolute(10 + x_mm, 10 + x_mm - 0.7, (2.5,))
    assert gamma.map[3:-3] == pytest.approx(np.full(24, 0.7 / math.sqrt(13)), **EXACT)


@pytest.mark.parametrize(
    ("x_mm", "scaled", "swapped"),
    [(10, 0.136539, 0.138675), (20, 0.273077, 0.277350), (30, 0.409616, 0.416025)],
)
def test_scaled_slope_and_its_roles_swapped(x_mm: int, scaled: float, swapped: float) -> None:
    # |(k - 1) g x| / sqrt(dD² + (slope of the evaluated)² dd²), k 1.05, g 1.
    assert scaled == pytest.approx(0.05 * x_mm / math.hypot(3.0, 2.1), abs=5e-7)
    assert swapped == pytest.approx(0.05 * x_mm / math.hypot(3.0, 2.0), abs=5e-7)
    assert absolute(X_MM, 1.05 * X_MM, (1.0,)).map[x_mm] == pytest.approx(scaled, abs=1e-6)
    assert absolute(1.05 * X_MM, X_MM, (1.0,)).map[x_mm] == pytest.approx(swapped, abs=1e-6)


def test_oblique_ramp_on_anisotropic_voxels() -> None:
    # Shift of 1 mm along n = (1, 2, 2) / 3, slope 3: 3 / sqrt(9 + 36) = 0.447214.
    z, y, x = np.meshgrid(
        3.0 * np.arange(7), 1.5 * np.arange(11), 2.5 * np.arange(9), indexing="ij"
    )
    ramp = 20.0 + 3.0 * (z + 2 * y + 2 * x) / 3
    gamma = absolute(ramp, ramp - 3.0, (3.0, 1.5, 2.5))
    assert gamma.map[2:-2, 3:-3, 2:-2] == pytest.approx(
        np.full((3, 5, 5), 3 / math.sqrt(45)), **EXACT
    )


@pytest.mark.parametrize(
    ("r_mm", "expected"),
    [(0.25, 1.375), (0.5, 1.25), (1, 1.0), (1.5, 0.75), (2, 0.5), (2.5, 0.25), (2.9, 0.05)],
)
def test_dose_beyond_a_step_is_as_far_as_the_step(r_mm: float, expected: float) -> None:
    # Evaluated 0 up to x = 3 mm and 50 from there, reference 50: (3 - r) / dd, as 50 / dD is more.
    # The step is one grid spacing of 0.01 mm wide, which takes off 5e-8 of the result.
    x_mm = 0.01 * np.arange(401)
    evaluated = np.where(np.arange(401) >= 300, 50.0, 0.0)
    gamma = absolute(np.full(401, 50.0), evaluated, (0.01,))
    assert gamma.map[round(r_mm / 0.01)] == pytest.approx(expected, rel=1e-6)
    assert x_mm[round(r_mm / 0.01)] == pytest.approx(r_mm)


def test_a_step_too_far_away_leaves_the_dose_difference() -> None:
    # 4 dose units below everywhere near: 4 / 3, and the step 10 mm away cannot help.
    evaluated = np.where(X_MM > 60, 50.0, 46.0)
    assert absolute(np.full(101, 50.0), evaluated, (1.0,)).map[50] == pytest.approx(4 / 3, **EXACT)


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0, 2.5, 3.0])
def test_the_same_ramp_on_a_grid_half_a_cell_off_is_the_same(spacing_mm: float) -> None:
    # Without interpolation it would be (h / 2) sqrt(1 / dd² + g² / dD²), 0.3 to 2.6.
    x_mm = spacing_mm * np.arange(30)
    gamma = absolute(
        10 + x_mm, 10 + x_mm + spacing_mm / 2, (spacing_mm,), evaluated_offset_mm=(spacing_mm / 2,)
    )
    assert gamma.map[1:] == pytest.approx(np.zeros(29), abs=1e-12)


@pytest.mark.parametrize("step_mm", [0.05, 0.2, 1.0])
@pytest.mark.parametrize(("slope", "shift_mm"), [(0.5, 1.0), (2.0, 1.0), (5.0, 1.0)])
def test_a_search_in_steps_is_above_by_no_more_than_its_step_explains(
    slope: float, shift_mm: float, step_mm: float
) -> None:
    # On a ramp: between gamma and sqrt(gamma² + h² / 4 (1 / dd² + g² / dD²)).
    x_mm = np.arange(0.0, 41.0)
    exact = absolute(50 + slope * x_mm, 50 + slope * (x_mm - shift_mm), (1.0,), tolerance=1e-9)
    tried_mm = np.arange(0.013, 40.0, step_mm)
    distance = (tried_mm - x_mm[20]) / 2.0
    gap = slope * (tried_mm - shift_mm - x_mm[20]) / 3.0
    stepped = float(np.sqrt((distance**2 + gap**2).min()))
    most = math.sqrt(exact.map[20] ** 2 + step_mm**2 / 4 * (1 / 4 + slope**2 / 9))
    assert exact.map[20] <= stepped <= most + 1e-12


@pytest.mark.parametrize(("x_mm", "expected"), [(10, 0.478186), (20, 0.507960), (30, 0.531912)])
def test_local_normalization(x_mm: int, expected: float) -> None:
    # |e| D_r / sqrt((p D_r)² + (1 + e)² g² dd²), D_r = 60 + x, e 0.02, p 0.03, dd 2.
    reference = 60.0 + X_MM
    gamma = gamma_index(reference, 1.02 * reference, (1.0,), local=True, threshold_percent=0)
    assert gamma.map[x_mm] == pytest.approx(expected, abs=1e-6)


def test_at_the_edge_of_the_grid_the_edge_is_the_best_there_is() -> None:
    # Ramp of slope 1 shifted by 3 mm, dd 2, dD 3: the optimum is 12 / 13 mm up.  At r = 50, the end
    # of the grid, only r itself is left, 3 / 3; at r = 49 the optimum is just inside.
    x = np.arange(51.0)
    gamma = absolute(10 + x, 7 + x, (1.0,))
    assert gamma.map[50] == pytest.approx(1.0, **EXACT)
    assert gamma.map[49] == pytest.approx(3 / math.sqrt(13), **EXACT)


def test_threshold_includes_the_point_on_it() -> None:
    # Doses 0, 1 ... 100: at 10 %, 10 to 100 are 91 points; at 7 %, 94.
    ramp = np.arange(101.0)
    assert gamma_index(ramp, ramp, (1.0,), threshold_percent=10).points == 91
    seven = gamma_index(ramp, ramp, (1.0,), threshold_percent=7)
    assert seven.points == 94
    assert np.isnan(seven.map[:7]).all()
    assert not np.isnan(seven.map[7:]).any()


def test_cap_changes_the_mean_and_not_the_pass_rate() -> None:
    # 30 % off at 3 %: gamma 10.
    flat = np.full(21, 100.0)
    low, high = (gamma_index(flat, 1.3 * flat, (1.0,), max_gamma=cap) for cap in (2.0, 20.0))
    assert (low.mean, low.maximum) == (2.0, 2.0)
    assert high.mean == pytest.approx(10.0)
    assert low.pass_percent == high.pass_percent == 0.0
    endless = gamma_index(flat, 1.3 * flat, (1.0,), max_gamma=math.inf)
    assert endless.mean == pytest.approx(10.0)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_identical_distributions_agree_fully(ndim: int) -> None:
    dose = np.random.default_rng(1).uniform(0, 100, (6,) * ndim)
    gamma = gamma_index(dose, dose, (2.0,) * ndim, threshold_percent=0)
    assert not gamma.map.any()
    assert gamma.pass_percent == 100.0


@pytest.mark.parametrize(
    ("gap", "expected"), [(0.25, 0.25), (0.5, 0.5), (1.0, math.sqrt(0.75)), (1.75, math.sqrt(1.5))]
)
@pytest.mark.parametrize("turned", [False, True])
def test_saddle_has_two_minima_beside_the_point(gap: float, expected: float, turned: bool) -> None:
    # Evaluated 10 + 2 x y (criteria 1 and 1 mm), reference 10 + c at the saddle, where the slope is
    # zero.  With x = y = t: f = 2 t² + (2 t² - c)², least at t² = (c - 1/2) / 2 for c > 1/2, where
    # f = c - 1/4; below that at t = 0, where f = c².
    y, x = np.mgrid[-2:3, -2:3].astype(float)
    saddle = 10.0 + 2.0 * x * y
    reference = np.full((5, 5), 10.0 + gap)
    if turned:
        saddle, reference = 20.0 - saddle, 20.0 - reference
    for spacing in (1, 2, 4):
        gamma = absolute(
            reference,
            saddle[::spacing, ::spacing],
            (1.0, 1.0),
            dose=1.0,
            distance_mm=1.0,
            tolerance=1e-6,
            evaluated_spacing_mm=(spacing, spacing),
            evaluated_offset_mm=(0.0, 0.0),
        )
        assert gamma.map[2, 2] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("tolerance", [0.9, 0.1, 1e-3])
@pytest.mark.parametrize(("gap", "passes"), [(1.2, True), (1.249, True), (1.251, False)])
def test_a_point_that_passes_is_found_to_at_any_tolerance(
    tolerance: float, gap: float, passes: bool
) -> None:
    # The saddle above: gamma is c at the point itself and sqrt(c - 1/4) beside it.
    y, x = np.mgrid[-2:3:4, -2:3:4].astype(float)
    gamma = absolute(
        np.full((1, 1), 20.0 + gap),
        20.0 + 2.0 * x * y,
        (1.0, 1.0),
        dose=1.0,
        distance_mm=1.0,
        tolerance=tolerance,
        evaluated_spacing_mm=(4.0, 4.0),
        evaluated_offset_mm=(-2.0, -2.0),
    )
    assert gamma.pass_percent == (100.0 if passes else 0.0)


def test_triple_product_in_the_middle_of_one_cell() -> None:
    # Evaluated 10 + 4 x y z in one cell of 4 mm, reference 10 + 1.5 at its center.  On the diagonal
    # f = 3 t² + (4 t³ - 1.5)²; off it, f is larger for the same product (means inequality).
    z, y, x = np.meshgrid([-2.0, 2.0], [-2.0, 2.0], [-2.0, 2.0], indexing="ij")
    t = np.linspace(0, 1, 1_000_001)
    expected = math.sqrt((3 * t**2 + (4 * t**3 - 1.5) ** 2).min())
    gamma = absolute(
        np.full((1, 1, 1), 41.5),
        40 + 4 * x * y * z,
        (1.0, 1.0, 1.0),
        dose=1.0,
        distance_mm=1.0,
        tolerance=1e-6,
        evaluated_spacing_mm=(4.0, 4.0, 4.0),
        evaluated_offset_mm=(-2.0, -2.0, -2.0),
    )
    assert expected < 1.4
    assert gamma.map[0, 0, 0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("r_mm", [0.0, 0.5, 1.0, -2.0])
def test_quadratic_bowl(r_mm: float) -> None:
    # Evaluated x² at 0.01 mm, reference r² + 5 (criteria 3 and 2 mm).  The nearest point solves
    # (x - r) / dd² + 2 x (x² - r² - 5) / dD² = 0; straight lines between the points are up to
    # 0.01² / 4 = 2.5e-5 dose units above the bowl.
    x = np.roots([2 / 9, 0, 1 / 4 - 2 * (r_mm**2 + 5) / 9, -r_mm / 4])
    x = x[np.isreal(x)].real
    expected = math.sqrt(((x - r_mm) ** 2 / 4 + (x**2 - r_mm**2 - 5) ** 2 / 9).min())
    bowl = (0.01 * np.arange(-1000, 1001)) ** 2
    gamma = absolute(
        np.array([r_mm**2 + 5]),
        bowl,
        (1.0,),
        evaluated_spacing_mm=(0.01,),
        evaluated_offset_mm=(-10.0 - r_mm,),
    )
    assert gamma.map[0] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(
    "dose", [np.ma.masked_less(np.arange(5.0), 2.0), np.arange(5.0) + 1j], ids=["masked", "complex"]
)
def test_what_is_no_plain_dose_is_refused(dose: Any) -> None:
    # A mask would be dropped in silence, and what it hid would be judged.
    with pytest.raises(ValueError, match="plain real numbers"):
        gamma_index(dose, np.arange(5.0), (1.0,))
    with pytest.raises(ValueError, match="plain real numbers"):
        gamma_index(np.arange(5.0), dose, (1.0,))
