"""Fluence by gantry sector and by control points, where it can be worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from analyzers.numerics import fluence_maps
from analyzers.numerics.fluence import delivered_fluence
from analyzers.numerics.fluence_sectors import fluence_by_gantry_sector, fluence_by_range
from analyzers.numerics.fluence_transmission import Shielding

Floats = NDArray[np.float64]
PIXEL = {"x_edges_mm": [0.0, 10.0], "y_edges_mm": [0.0, 10.0]}


def open_field(samples: int, mu: float = 100.0) -> dict[str, Any]:
    """One pair wide open, meterset even over the samples."""
    return {
        "meterset_mu": np.linspace(0.0, mu, samples),
        "left_mm": np.full((samples, 1), -20.0),
        "right_mm": np.full((samples, 1), 20.0),
        "leaf_edges_mm": [0.0, 10.0],
        **PIXEL,
    }


def by_sector(gantry_deg: ArrayLike, **more: Any) -> Floats:
    """MU by gantry sector."""
    samples = len(np.asarray(gantry_deg))
    return fluence_by_gantry_sector(gantry_deg=gantry_deg, **open_field(samples), **more)[:, 0, 0]


def by_range(coordinate: ArrayLike, range_edges: ArrayLike) -> Floats:
    samples = len(np.asarray(coordinate))
    split = fluence_by_range(coordinate=coordinate, range_edges=range_edges, **open_field(samples))
    return split[:, 0, 0]


def test_the_compiler_is_imported_by_the_first_map_and_not_before() -> None:
    program = (
        "import sys, analyzers.open_field, analyzers.numerics.fluence_sectors;"
        "print('numba' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.strip() == "False", ended.stderr


def test_an_even_arc_spreads_evenly_over_the_sectors_it_passes() -> None:
    # From 181 to 179 degrees through zero: 358 degrees, 9 of them from 181 to 190 and from 170 on.
    sectors = by_sector(np.linspace(181.0, 539.0, 777) % 360.0)
    wanted = np.full(36, 10.0)
    wanted[[17, 18]] = 9.0
    assert sectors == pytest.approx(wanted * 100.0 / 358.0, rel=1e-12)


def test_sectors_begin_where_they_are_told() -> None:
    # From 350 to 20 degrees; sectors of 45 degrees around 0, 45, …
    sectors = by_sector([350.0, 20.0], sectors=8, first_deg=-22.5)
    assert sectors == pytest.approx([100.0, *[0.0] * 7])
    sectors = by_sector([350.0, 20.0], sectors=8)
    assert sectors == pytest.approx([200.0 / 3, *[0.0] * 6, 100.0 / 3])


def test_an_arc_against_the_clock_and_back_adds_up() -> None:
    # 5 to 355 degrees and back: 5 degrees each way on each side of zero.
    sectors = by_sector([5.0, 355.0, 5.0])
    assert sectors[[0, 35]] == pytest.approx([50.0, 50.0])
    assert not sectors[1:35].any()


def test_an_arc_of_more_than_a_turn_comes_by_again() -> None:
    # 450 degrees in steps of less than half a turn.
    sectors = by_sector(np.linspace(0.0, 450.0, 10) % 360.0, sectors=4)
    assert sectors == pytest.approx([40.0, 20.0, 20.0, 20.0])


@pytest.mark.parametrize(("angle_deg", "sector"), [(0.0, 0), (10.0, 1), (350.0, 35), (359.9, 35)])
def test_a_standing_gantry_is_in_the_sector_that_begins_there(
    angle_deg: float, sector: int
) -> None:
    sectors = by_sector(np.full(3, angle_deg))
    assert sectors[sector] == pytest.approx(100.0)
    assert sectors.sum() == sectors[sector]


def test_intervals_are_cut_where_they_cross_an_edge() -> None:
    # 50 MU from 0 to 3, 50 MU back to 1: 1/3 and 2/3 of the first, all of the second above 1.
    assert by_range([0.0, 3.0, 1.0], [0.0, 1.0, 3.0]) == pytest.approx([50 / 3, 250 / 3])


def test_what_stands_on_an_edge_is_in_the_range_that_begins_there() -> None:
    assert by_range([1.0, 1.0], [0.0, 1.0, 2.0]) == pytest.approx([0.0, 100.0])
    assert by_range([2.0, 2.0], [0.0, 1.0, 2.0]) == pytest.approx([0.0, 100.0])


def test_what_is_outside_of_the_ranges_is_in_none() -> None:
    assert by_range([0.0, 10.0], [2.0, 3.0, 5.0]) == pytest.approx([10.0, 20.0])
    assert not by_range([-1.0, -0.5, 7.0], [7.5, 8.0]).any()


def test_leaves_and_jaws_are_where_they_are_at_the_cut() -> None:
    # The right leaf goes 0 to 10 mm while the control point goes 4 to 6 and the low y jaw from 0
    # to 10 mm.  In the first half x is passed after x / 10, only up to 5 mm, and y after y / 10:
    # the jaw leaves y > 10 t, the leaf x < 10 t.
    moving = {
        **open_field(2),
        "left_mm": [[0.0], [0.0]],
        "right_mm": [[0.0], [10.0]],
        "jaw_y_mm": [[0.0, 99.0], [10.0, 99.0]],
    }
    halves = fluence_by_range(coordinate=[4.0, 6.0], range_edges=[4.0, 5.0, 6.0], **moving)
    # Mean of t (1 - t) over the first and the second half of the time.
    assert halves[:, 0, 0] == pytest.approx([100.0 / 12, 100.0 / 12])


def test_sectors_of_an_arc_are_the_whole_to_the_last_digits() -> None:
    samples, pairs = 2000, 20
    time, phase = np.linspace(0, 1, samples)[:, None], np.linspace(0, 6, pairs)
    middle, gap = 30 * np.sin(9 * time + phase), 20 + 15 * np.cos(30 * time + 2 * phase)
    still = time * np.zeros(2)
    arc = {
        "meterset_mu": 500.0 * time[:, 0] ** 2,
        "left_mm": middle - gap / 2,
        "right_mm": middle + gap / 2,
        "leaf_edges_mm": np.linspace(-50, 50, pairs + 1),
        "x_edges_mm": np.arange(-60, 60.5, 0.5),
        "y_edges_mm": np.arange(-55, 55.5, 0.5),
        "jaw_x_mm": still + np.array([-40.3, 35.2]),
        "jaw_y_mm": time * [10.0, -20.0] + np.array([-45.0, 45.0]),
    }
    through = {"leaf_transmission": 0.015, "jaw_transmission": 0.005, "tongue_and_groove_mm": 0.4}
    gantry_deg = (181.0 + 358.0 * time[:, 0]) % 360.0
    sectors = fluence_by_gantry_sector(gantry_deg=gantry_deg, shielding=Shielding(**through), **arc)
    assert sectors.shape == (36, 220, 240)
    assert sectors.sum(axis=0) == pytest.approx(delivered_fluence(**arc, **through), rel=1e-12)


def test_processors_do_not_get_into_each_others_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # All leaves have to be added up in one row of pixels, at about the same time.
    samples, pairs = 3000, 40
    left = np.zeros((samples, pairs)) + np.arange(pairs)
    arguments: dict[str, Any] = {
        "meterset_mu": np.linspace(0.0, 900.0, samples),
        "left_mm": left,
        "right_mm": left + 100.0,
        "leaf_edges_mm": np.arange(pairs + 1.0),
        "coordinate": np.linspace(0.0, 200.0, samples),
        "range_edges": np.arange(201.0),
        "x_edges_mm": np.linspace(0.0, 200.0, 2001),
        "y_edges_mm": [0.0, float(pairs)],
    }
    monkeypatch.setattr(fluence_maps, "SMALL", 10**9)
    one_after_the_other = fluence_by_range(**arguments)
    monkeypatch.setattr(fluence_maps, "SMALL", 0)
    for _ in range(5):
        assert (fluence_by_range(**arguments) == one_after_the_other).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"coordinate": [0.0]}, "coordinate must have the shape"),
        ({"coordinate": [0.0, math.nan]}, "coordinate holds NaN"),
        ({"range_edges": [1.0, 1.0]}, "range_edges must be two or more rising"),
        ({"range_edges": [0.0, math.inf]}, "range_edges holds NaN or infinity"),
        ({"coordinate": [0.0, 2e9]}, "coordinate holds 2e\\+09"),
        ({"coordinate": [0.0, 1j]}, "coordinate must be plain real numbers"),
        ({"range_edges": [0.0, 1e308]}, "range_edges holds 1e\\+308"),
        ({"shielding": Shielding(leaf_transmission=1.0)}, "leaf_transmission"),
        ({"jaw_y_mm": [[0.0, 1.0]]}, "jaw_y_mm must have the shape"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    usual = {"coordinate": [0.0, 1.0], "range_edges": [0.0, 1.0], **open_field(2)}
    with pytest.raises(ValueError, match=message):
        fluence_by_range(**{**usual, **changed})


@pytest.mark.parametrize("split", [fluence_by_range, fluence_by_gantry_sector])
@pytest.mark.parametrize("name", ["leaf_transmision", "jaws_x_mm", "leaf_transmission"])
def test_a_misspelled_keyword_is_not_ignored(split: Any, name: str) -> None:
    along = {"coordinate": [0.0, 1.0], "range_edges": [0.0, 1.0]}
    if split is fluence_by_gantry_sector:
        along = {"gantry_deg": [0.0, 1.0]}
    with pytest.raises(TypeError, match=name):
        split(**along, **open_field(2), **{name: 0.02})
    with pytest.raises(TypeError, match="leaf_transmision"):
        Shielding(leaf_transmision=0.02)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        *(({"sectors": n}, "sectors") for n in (0, -1, 3601, 2**63, 36.0, 1.5, math.nan, "36")),
        ({"sectors": True}, "sectors"),
        *(({"first_deg": v}, "first_deg") for v in (math.nan, math.inf, 2e6, 1e300, None, "0")),
        ({"gantry_deg": [0.0, math.inf]}, "gantry_deg"),
        ({"gantry_deg": [1e17, 1e17]}, "gantry_deg"),
        ({"gantry_deg": ["0", "1"]}, "gantry_deg"),
        ({"gantry_deg": [0.0, 180.0]}, "gantry_deg takes half a turn"),
        ({"gantry_deg": [270.3, 90.3]}, "gantry_deg takes half a turn"),
        ({"gantry_deg": [0.0, 540.0]}, "gantry_deg takes half a turn"),
    ],
)
def test_sectors_that_make_no_sense_are_refused(changed: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        fluence_by_gantry_sector(**{"gantry_deg": [0.0, 1.0], **open_field(2), **changed})


def test_sectors_may_be_counted_by_any_integer() -> None:
    assert by_sector([1.0, 2.0], sectors=np.int32(4)) == pytest.approx([100.0, 0.0, 0.0, 0.0])


def test_half_a_turn_without_meterset_may_go_either_way() -> None:
    field = {**open_field(4), "meterset_mu": [0.0, 50.0, 50.0, 100.0]}
    sectors = fluence_by_gantry_sector(gantry_deg=[5.0, 5.0, 185.0, 185.0], **field)[:, 0, 0]
    assert sectors[[0, 18]] == pytest.approx([50.0, 50.0])
