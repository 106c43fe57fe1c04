"""`delivered_fluence` against its slow twin, and what must hold for any delivery."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzers.numerics.fluence import delivered_fluence, open_area_mu_mm2
from analyzers.numerics.fluence_sectors import fluence_by_range
from analyzers.numerics.fluence_transmission import Shielding
from tests.numerics.slow_fluence import slow_fluence

Floats = NDArray[np.float64]


@st.composite
def deliveries(draw: st.DrawFn) -> dict[str, Any]:
    """A few samples of a few pairs; steps from jitter to jumps across the whole field.

    On the lattice, edges stand on pixel and leaf edges and on each other.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples, pairs = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    step_mm = draw(st.sampled_from([0.05, 1.0, 8.0]))
    lattice = draw(st.booleans())

    def path(start_mm: float, columns: int) -> Floats:
        path_mm = start_mm + np.cumsum(rng.normal(0, step_mm, (samples, columns)), axis=0)
        return np.round(path_mm) if lattice else path_mm

    def edges(most: int) -> Floats:
        if lattice:
            return np.arange(-8.0, 9.0)
        return -8.0 + np.cumsum(rng.uniform(0.2, 3.0, rng.integers(2, most)))

    def jaws(kind: str) -> Floats | None:
        if kind == "none":
            return None
        if kind == "standing":
            return np.tile([-3.0, 3.5], (samples, 1))
        return np.column_stack([path(-4.0, 1), path(4.0, 1)])

    kinds = st.sampled_from(["none", "standing", "moving"])
    leaf_edges_mm = -8.0 + np.cumsum(rng.uniform(1.0, 6.0, pairs + 1))
    return {
        "meterset_mu": np.cumsum(rng.uniform(-0.3, 2.0, samples)),
        "left_mm": path(-3.0, pairs),
        "right_mm": path(3.0, pairs),
        "leaf_edges_mm": np.round(leaf_edges_mm) if lattice else leaf_edges_mm,
        "x_edges_mm": edges(12),
        "y_edges_mm": edges(9),
        "jaw_x_mm": jaws(draw(kinds)),
        "jaw_y_mm": jaws(draw(kinds)),
    }


@st.composite
def shielded(draw: st.DrawFn) -> dict[str, Any]:
    """Deliveries through leaves and jaws that are not opaque, with strips between the leaves."""
    delivery = draw(deliveries())
    narrowest_mm = np.diff(delivery["leaf_edges_mm"]).min()
    share = st.sampled_from([0.0, 0.015, 0.4])
    leaf = draw(share)
    strips = [strip for strip in (0.0, 0.1, 0.7) if strip >= leaf]
    return {
        **delivery,
        "leaf_transmission": leaf,
        "jaw_transmission": draw(share),
        "tongue_and_groove_mm": narrowest_mm * draw(st.sampled_from([0.0, 0.1, 0.9])),
        "tongue_and_groove_transmission": draw(st.sampled_from([None, *strips])),
    }


@st.composite
def in_ranges(draw: st.DrawFn) -> dict[str, Any]:
    """With a coordinate that goes back and forth, stands still and leaves the ranges."""
    delivery = draw(shielded())
    samples = len(delivery["meterset_mu"])
    whole = st.integers(-2, 6).map(float)
    path = draw(st.lists(whole | st.floats(-2, 6, width=16), min_size=samples, max_size=samples))
    edges = draw(st.lists(st.integers(-1, 5), min_size=2, max_size=4, unique=True))
    return {
        **delivery,
        "coordinate": np.array(path),
        "range_edges": np.array(sorted(edges), dtype=float),
    }


def by_range(delivery: dict[str, Any]) -> Floats:
    """With what gets through in an argument of its own."""
    names = {field.name for field in fields(Shielding)}
    shielding = Shielding(**{name: v for name, v in delivery.items() if name in names})
    others = {name: v for name, v in delivery.items() if name not in names}
    return fluence_by_range(**others, shielding=shielding)


def without_grid(delivery: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in delivery.items() if name[1:] != "_edges_mm"}


@settings(max_examples=150, deadline=None)
@given(deliveries())
def test_every_pixel_is_exact(delivery: dict[str, Any]) -> None:
    fluence = delivered_fluence(**delivery)
    assert fluence == pytest.approx(slow_fluence(**delivery), abs=1e-12)
    assert fluence.min() >= 0.0


@settings(max_examples=150, deadline=None)
@given(shielded())
def test_every_pixel_behind_leaves_and_jaws_is_exact(delivery: dict[str, Any]) -> None:
    fluence = delivered_fluence(**delivery)
    assert fluence == pytest.approx(slow_fluence(**delivery), abs=1e-12)
    assert fluence.min() >= 0.0


@settings(max_examples=150, deadline=None)
@given(in_ranges())
def test_every_range_is_exact(delivery: dict[str, Any]) -> None:
    assert by_range(delivery) == pytest.approx(slow_fluence(**delivery), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(in_ranges())
def test_all_ranges_together_are_the_whole(delivery: dict[str, Any]) -> None:
    ranges = by_range({**delivery, "range_edges": np.array([-2.0, -1, 0.5, 1, 4, 6])})
    own = ("coordinate", "range_edges")
    whole = delivered_fluence(**{name: v for name, v in delivery.items() if name not in own})
    assert ranges.sum(axis=0) == pytest.approx(whole, rel=1e-12, abs=1e-13)


@settings(max_examples=80, deadline=None)
@given(deliveries())
def test_open_area_is_the_integral_over_the_plane(delivery: dict[str, Any]) -> None:
    everything = np.array([-500.0, 500.0])
    whole = {**delivery, "x_edges_mm": everything, "y_edges_mm": everything}
    area = open_area_mu_mm2(**without_grid(delivery))
    assert area == pytest.approx(1e6 * slow_fluence(**whole)[0, 0], rel=1e-12, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(shielded())
def test_finer_pixels_hold_the_same(delivery: dict[str, Any]) -> None:
    def halved(edges: Floats) -> Floats:
        return np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))

    fine = delivered_fluence(
        **{name: halved(v) if name[1:] == "_edges_mm" else v for name, v in delivery.items()}
    )
    rows, columns = fine.shape
    merged = fine.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
    assert merged == pytest.approx(delivered_fluence(**delivery), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(shielded())
def test_more_samples_on_the_way_change_nothing(delivery: dict[str, Any]) -> None:
    moving = ("meterset_mu", "left_mm", "right_mm", "jaw_x_mm", "jaw_y_mm")

    def resampled(values: Floats | None) -> Floats | None:
        if values is None:
            return None
        thirds = values[:-1] + (values[1:] - values[:-1]) / 3
        return np.insert(values, np.arange(1, len(values)), thirds, axis=0)

    more = {name: resampled(v) if name in moving else v for name, v in delivery.items()}
    assert delivered_fluence(**more) == pytest.approx(delivered_fluence(**delivery), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(shielded())
def test_looks_the_same_from_all_sides(delivery: dict[str, Any]) -> None:
    def mirrored(jaws: Floats | None) -> Floats | None:
        return None if jaws is None else -jaws[:, ::-1]

    in_x = {
        **delivery,
        "left_mm": -delivery["right_mm"],
        "right_mm": -delivery["left_mm"],
        "x_edges_mm": -delivery["x_edges_mm"][::-1],
        "jaw_x_mm": mirrored(delivery["jaw_x_mm"]),
    }
    in_y = {
        **delivery,
        "left_mm": delivery["left_mm"][:, ::-1],
        "right_mm": delivery["right_mm"][:, ::-1],
        "leaf_edges_mm": -delivery["leaf_edges_mm"][::-1],
        "y_edges_mm": -delivery["y_edges_mm"][::-1],
        "jaw_y_mm": mirrored(delivery["jaw_y_mm"]),
    }
    fluence = delivered_fluence(**delivery)
    assert delivered_fluence(**in_x)[:, ::-1] == pytest.approx(fluence, abs=1e-12)
    assert delivered_fluence(**in_y)[::-1] == pytest.approx(fluence, abs=1e-12)
