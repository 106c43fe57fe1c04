"""`gamma_index` against its slow twin, and what must hold on any pair of grids."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzers.numerics.gamma import GammaResult, gamma_index
from tests.numerics.slow_gamma import slow_gamma

Floats = NDArray[np.float64]
MOST_POINTS = {1: 40, 2: 8, 3: 5}
FINE = 1e-6


@dataclass(frozen=True)
class Pair:
    """Two grids and how they are to be compared."""

    reference: Floats
    evaluated: Floats
    spacing_mm: tuple[float, ...]
    options: dict[str, Any]

    def gamma(self, **changed: Any) -> GammaResult:
        options = {"threshold_percent": 0.0, "normalization": 100.0, **self.options, **changed}
        return gamma_index(self.reference, self.evaluated, self.spacing_mm, **options)


def terrain(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Doses around 0 to 100 that are nasty in one way."""
    if kind == "white":
        return rng.uniform(0, 100, shape)
    if kind == "noisy":
        return 80 + rng.normal(0, 3, shape)
    if kind == "checkered":  # a saddle in every cell
        return 50 + 45 * (-1.0) ** np.indices(shape).sum(axis=0) * rng.uniform(0.8, 1, shape)
    if kind == "steep":
        return np.where(rng.random(shape) < 0.5, 0.0, 100.0)
    return np.full(shape, 80.0) + rng.choice([0.0, 2.0])  # flat


@st.composite
def pairs(draw: st.DrawFn, ndim: int, same_grid: bool = False) -> Pair:
    """Random grids of one kind, whose geometry and criteria are random as well."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["white", "noisy", "checkered", "steep", "flat"]))
    local = draw(st.booleans())
    shape, other = rng.integers(1, MOST_POINTS[ndim] + 1, (2, ndim))
    reference = terrain(kind, rng, tuple(shape))
    options: dict[str, Any] = {
        "dose_percent": draw(st.sampled_from([1.0, 3.0, 20.0])),
        "distance_mm": draw(st.floats(0.5, 6.0)),
        "max_gamma": draw(st.sampled_from([1.5, 2.0, 10.0])),
        "local": local,
    }
    if not same_grid:
        options["evaluated_spacing_mm"] = tuple(rng.uniform(0.5, 4, ndim))
        options["evaluated_offset_mm"] = tuple(rng.uniform(-5, 5, ndim))
    evaluated = terrain(kind, rng, tuple(shape if same_grid else other))
    return Pair(
        np.maximum(reference, 1.0) if local else reference,
        evaluated,
        tuple(rng.uniform(0.5, 4, ndim)),
        options,
    )


any_pair = st.integers(1, 3).flatmap(pairs)
same_grids = st.integers(1, 3).flatmap(lambda ndim: pairs(ndim, same_grid=True))


def check_against_slow(pair: Pair) -> None:
    unit = pair.reference if pair.options["local"] else np.full(pair.reference.shape, 100.0)
    slow = slow_gamma(
        pair.reference,
        pair.evaluated,
        pair.spacing_mm,
        dose=unit * pair.options["dose_percent"] / 100,
        **{k: v for k, v in pair.options.items() if k not in ("dose_percent", "local")},
    )
    for tolerance in (1e-3, FINE):
        gamma = pair.gamma(tolerance=tolerance).map
        # The twin is never below the true minimum, so this is the certificate itself ...
        assert (gamma <= slow + tolerance).all()
        # ... and this, that what is returned is reached somewhere.
        assert (gamma >= slow - 1e-6).all()


@settings(max_examples=60, deadline=None)
@given(pairs(1))
def test_no_profile_is_off_by_more_than_the_tolerance(pair: Pair) -> None:
    check_against_slow(pair)


@settings(max_examples=30, deadline=None)
@given(pairs(2))
def test_no_plane_is_off_by_more_than_the_tolerance(pair: Pair) -> None:
    check_against_slow(pair)


@settings(max_examples=12, deadline=None)
@given(pairs(3))
def test_no_volume_is_off_by_more_than_the_tolerance(pair: Pair) -> None:
    check_against_slow(pair)


@settings(max_examples=60, deadline=None)
@given(any_pair)
def test_pass_rate_does_not_depend_on_the_tolerance(pair: Pair) -> None:
    coarse, fine = pair.gamma(tolerance=0.5), pair.gamma(tolerance=FINE)
    assert coarse.pass_percent == fine.pass_percent
    assert (coarse.map <= fine.map + 0.5).all()


@settings(max_examples=60, deadline=None)
@given(any_pair)
def test_screening_never_passes_what_does_not_pass(pair: Pair) -> None:
    screened, proven = pair.gamma(certified=False), pair.gamma(tolerance=FINE)
    assert screened.points == proven.points
    assert screened.passed <= proven.passed
    assert (screened.map >= proven.map - FINE).all()


def test_screening_misses_minima_that_the_certified_search_finds() -> None:
    # Else there would be no need to call it uncertified.
    rng = np.random.default_rng(5)
    pair = Pair(*(80 + rng.normal(0, 6, (2, 12, 12, 12))), (2.5,) * 3, {"max_gamma": 3.0})
    excess = pair.gamma(certified=False).map - pair.gamma(tolerance=FINE).map
    assert excess.max() > 1e-3


@settings(max_examples=40, deadline=None)
@given(same_grids)
def test_looks_the_same_from_all_sides(pair: Pair) -> None:
    gamma = pair.gamma(tolerance=FINE).map
    ndim = gamma.ndim
    for axis in range(ndim):
        flipped = Pair(
            np.flip(pair.reference, axis),
            np.flip(pair.evaluated, axis),
            pair.spacing_mm,
            pair.options,
        )
        assert np.flip(flipped.gamma(tolerance=FINE).map, axis) == pytest.approx(gamma, abs=2e-6)
    for order in itertools.permutations(range(ndim)):
        turned = Pair(
            pair.reference.transpose(order),
            pair.evaluated.transpose(order),
            tuple(pair.spacing_mm[axis] for axis in order),
            pair.options,
        )
        assert turned.gamma(tolerance=FINE).map == pytest.approx(gamma.transpose(order), abs=2e-6)


@settings(max_examples=20, deadline=None)
@given(same_grids, st.integers(1, 4))
def test_does_not_depend_on_where_the_grids_are(pair: Pair, planes: int) -> None:
    # The evaluated grid, cut at its beginning and placed where the cut put it, is the same grid.
    padded = Pair(
        pair.reference,
        np.pad(pair.evaluated, [(planes, 0)] * pair.evaluated.ndim, mode="edge"),
        pair.spacing_mm,
        {**pair.options, "evaluated_offset_mm": tuple(-planes * mm for mm in pair.spacing_mm)},
    )
    cut = Pair(
        pair.reference,
        padded.evaluated[(slice(planes, None),) * pair.evaluated.ndim],
        pair.spacing_mm,
        {**pair.options, "evaluated_offset_mm": (0.0,) * pair.evaluated.ndim},
    )
    assert cut.gamma(tolerance=FINE).map == pytest.approx(pair.gamma(tolerance=FINE).map, abs=1e-9)
    assert (padded.gamma(tolerance=FINE).map <= pair.gamma(tolerance=FINE).map + FINE).all()


@settings(max_examples=40, deadline=None)
@given(any_pair, st.floats(1e-3, 1e3))
def test_does_not_depend_on_the_dose_unit(pair: Pair, scale: float) -> None:
    scaled = Pair(scale * pair.reference, scale * pair.evaluated, pair.spacing_mm, pair.options)
    gamma = scaled.gamma(tolerance=FINE, normalization=100 * scale)
    assert gamma.map == pytest.approx(pair.gamma(tolerance=FINE).map, abs=2e-6)


@settings(max_examples=40, deadline=None)
@given(any_pair)
def test_falls_with_wider_criteria(pair: Pair) -> None:
    gamma = pair.gamma(tolerance=FINE)
    for name in ("dose_percent", "distance_mm"):
        wider = pair.gamma(tolerance=FINE, **{name: 1.3 * pair.options[name]})
        assert (wider.map <= gamma.map + FINE).all()
        assert wider.pass_percent >= gamma.pass_percent


@settings(max_examples=60, deadline=None)
@given(any_pair, st.data())
def test_a_truncated_dose_never_passes_more(pair: Pair, data: st.DataObject) -> None:
    options = {"evaluated_offset_mm": (0.0,) * pair.reference.ndim, **pair.options}
    axis = data.draw(st.integers(0, pair.evaluated.ndim - 1))
    keep = data.draw(st.integers(1, pair.evaluated.shape[axis]))
    truncated = Pair(
        pair.reference,
        pair.evaluated.take(range(keep), axis),
        pair.spacing_mm,
        options,
    )
    whole, part = pair.gamma(tolerance=FINE), truncated.gamma(tolerance=FINE)
    assert part.points == whole.points
    assert part.pass_percent <= whole.pass_percent
    assert (part.map >= whole.map - FINE).all()


@settings(max_examples=30, deadline=None)
@given(pairs(2))
def test_a_plane_in_space_is_a_plane(pair: Pair) -> None:
    gamma = pair.gamma(tolerance=FINE)
    in_space = {
        name: (0.0 if name.endswith("offset_mm") else 1.0, *value) if "evaluated" in name else value
        for name, value in pair.options.items()
    }
    one = Pair(pair.reference[None], pair.evaluated[None], (1.0, *pair.spacing_mm), in_space)
    assert one.gamma(tolerance=FINE).map[0] == pytest.approx(gamma.map, abs=2e-6)
    assert one.gamma().border_points == gamma.border_points


@settings(max_examples=20, deadline=None)
@given(pairs(3, same_grid=True))
def test_planes_infinitely_far_apart_are_planes(pair: Pair) -> None:
    far = Pair(pair.reference, pair.evaluated, (1e9, *pair.spacing_mm[1:]), pair.options)
    gamma = far.gamma(tolerance=FINE).map
    for k in range(len(gamma)):
        plane = Pair(pair.reference[k], pair.evaluated[k], pair.spacing_mm[1:], pair.options)
        assert gamma[k] == pytest.approx(plane.gamma(tolerance=FINE).map, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3),
)
def test_a_shifted_image_is_never_farther_than_the_shift(
    seed: int, ndim: int, shift_mm: list[float]
) -> None:
    dose = np.random.default_rng(seed).uniform(0, 100, (5,) * ndim)
    gamma = gamma_index(
        dose,
        dose,
        (2.0,) * ndim,
        threshold_percent=0,
        max_gamma=10,
        tolerance=FINE,
        evaluated_spacing_mm=(2.0,) * ndim,
        evaluated_offset_mm=shift_mm[:ndim],
    )
    assert gamma.maximum <= np.linalg.norm(shift_mm[:ndim]) / 2.0 + FINE
