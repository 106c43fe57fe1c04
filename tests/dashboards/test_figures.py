"""Figures as data, as Plotly JSON and as still pictures."""

from __future__ import annotations

import base64
import io
import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from analyzers.core import Limits
from dashboards.figures import Figure, MapPanel, Panel, plotly
from dashboards.web.draw_axes import axes
from dashboards.web.draw_fluence import GAMMA, fluence
from dashboards.web.draw_leaf_check import leaf_check
from dashboards.web.draw_leaves import leaves
from dashboards.web.picture import svg
from dashboards.web.png import png_of
from dashboards.web.ticks import number_ticks, time_ticks
from qa_daemon.model import Verdict
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement
from tests.dashboards.clinic import arrays

LIMITS = Limits.at_most(tolerance=0.15, action=0.35)
SAID = StoredAnalysis(
    "mlc_positions",
    "1",
    Verdict.ACTION,
    None,
    None,
    (),
    tuple(
        StoredMeasurement(name, 0.4, "mm", "A31", Verdict.ACTION, LIMITS)
        for name in ("worst_leaf_rms", "largest_error")
    ),
)


def _all() -> list[Figure]:
    traces = arrays(0.4)
    drawn = [
        fluence(traces["delivered_fluence"]),
        leaves(traces["mlc_positions"], SAID),
        axes(traces["axes"]),
    ]
    return [figure for figure in drawn if figure is not None]


def _numbers(packed: dict[str, str]) -> np.ndarray[Any, Any]:
    values = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    shape = packed.get("shape")
    return values.reshape([int(n) for n in shape.split(",")]) if shape else values


def test_every_figure_is_plain_json_and_a_well_formed_picture() -> None:
    assert len(_all()) == 3
    for figure in _all():
        json.dumps(plotly(figure), allow_nan=False)
        root = ET.fromstring(svg(figure))
        assert root[0].text == figure.title and root[1].text == figure.summary


def test_maps_of_a_log_without_mu_are_in_percent_of_the_plan() -> None:
    traces = arrays(0.1)["delivered_fluence"]
    units = set()
    for more in ({}, {"percent_of_plan": np.array(1.0)}):
        figure = fluence({**traces, **more})
        assert figure is not None
        (unit,) = {p.unit for p in figure.panels if isinstance(p, MapPanel) and p.title != "Gamma"}
        assert f" {unit}; largest difference" in figure.summary
        units.add(unit)
    assert units == {"MU", "% of the plan"}


def _leaf_check() -> tuple[dict[str, Any], StoredAnalysis]:
    """Four pairs of 5 mm; B2 is 0.7 mm off, A4 is not seen."""
    offset_mm = np.array([0.02, -0.35, 0.0, 3.0, 0.01, 0.7, -0.03, 0.0])
    low_mm = np.tile(np.arange(-10.0, 10.0, 5.0), 2)
    arrays_ = {
        "image": np.ones((20, 30)) + np.eye(20, 30),
        "log_picture": np.ones((20, 30)),
        "x_mm": np.arange(-14.5, 15.0),
        "y_mm": np.arange(-9.5, 10.0),
        "pairs_of_layers": np.array([4]),
        "leaf_low_mm": low_mm,
        "leaf_high_mm": low_mm + 5.0,
        "worst_offset_mm": offset_mm,
        "standard_error_mm": np.full(8, 0.01),
        "leaf_asked": np.ones(8, bool),
        "leaf_seen": np.arange(8) != 3,
        "leaf_disagrees": np.arange(8) == 5,
    }
    limits = Limits.at_most(tolerance=0.3, action=0.5)
    said = StoredMeasurement("largest_disagreement", 0.7, "mm", "B2", Verdict.ACTION, limits)
    return arrays_, StoredAnalysis("leaf_log_check", "1", Verdict.ACTION, None, None, (), (said,))


def test_a_leaf_that_disagrees_is_framed_in_the_image_and_red_in_its_bank() -> None:
    arrays_, said = _leaf_check()
    figure = leaf_check(arrays_, said)
    assert figure is not None
    json.dumps(plotly(figure), allow_nan=False)
    ET.fromstring(svg(figure))
    image = figure.panels[0]
    assert isinstance(image, MapPanel)
    (frame,) = image.series
    # B2 is the second row from below, and comes from the X1 side.
    assert (frame.y.min(), frame.y.max()) == (-5.0, 0.0)
    assert frame.x.max() <= 0.0
    bank_a, bank_b = figure.panels[2:]
    assert isinstance(bank_a, Panel) and isinstance(bank_b, Panel)
    wrong = next(s for s in bank_b.series if s.name == "log and image disagree")
    assert wrong.y[np.isfinite(wrong.y)].tolist() == [0.7]
    unseen = next(s for s in bank_a.series if s.name == "not seen well enough")
    assert unseen.x.tolist() == [4.0]
    assert "leaf B2; 1 leaf disagrees" in figure.summary
    assert "7 of 8 leaves in the field are seen" in figure.summary


def test_arrays_that_do_not_fit_together_draw_no_leaf_check() -> None:
    arrays_, said = _leaf_check()
    assert leaf_check({**arrays_, "leaf_seen": np.ones(6, bool)}, said) is None
    assert leaf_check({**arrays_, "image": np.ones((3, 3))}, said) is None
    assert leaf_check({}, said) is None


def test_the_difference_is_actual_minus_expected() -> None:
    figure = fluence(arrays(0.1)["delivered_fluence"])
    assert figure is not None
    maps = [p for p in figure.panels if isinstance(p, MapPanel)]
    assert [m.title for m in maps][-1] == "Gamma"
    assert maps[2].values == pytest.approx(maps[1].values - maps[0].values)
    # A tenth is missing in a corner of the field: rows at -40 … -35 mm.
    assert (
        "largest difference \N{MINUS SIGN}0.1" in figure.summary
        and "y \N{MINUS SIGN}3" in figure.summary
    )


def test_a_large_map_keeps_its_mean_and_its_worst_pixels() -> None:
    traces = {
        "expected": np.ones((900, 500)),
        "actual": np.ones((900, 500)),
        "gamma": np.full((900, 500), np.nan),
        "x_mm": np.arange(500.0),
        "y_mm": np.arange(900.0),
    }
    traces["actual"][450, 250] = 0.5
    traces["gamma"][450, 250] = 1.7
    figure = fluence(traces)
    assert figure is not None
    expected, actual, difference, gamma = (p.values for p in figure.panels)  # type: ignore[union-attr]
    assert expected.shape == (300, 250) and expected.mean() == pytest.approx(1.0)
    assert actual.min() == pytest.approx(1 - 0.5 / 6)  # one of six pixels in its block
    assert difference.min() == -0.5 and np.nanmax(gamma) == 1.7
    assert np.isnan(gamma).sum() == gamma.size - 1


def test_maps_that_do_not_fit_together_are_not_drawn() -> None:
    traces = dict(arrays(0.1)["delivered_fluence"])
    traces["x_mm"] = traces["x_mm"][:-1]
    assert fluence(traces) is None
    assert fluence({}) is None


def test_leaves_beyond_limits_and_parked_leaves_are_told_apart() -> None:
    figure = leaves(arrays(0.4)["mlc_positions"], SAID)
    assert figure is not None
    panel = figure.panels[0]
    assert isinstance(panel, Panel) and panel.title == "RMS error, bank A"
    names = [series.name for series in panel.series]
    assert names == [
        "leaf that shapes the field",
        "beyond action",
        "parked or behind the jaws, not counted",
        "tolerance",
        "action",
    ]
    beyond = panel.series[1]
    assert beyond.x[np.isfinite(beyond.y)] == [31]  # A31 at 0.4 mm
    assert figure.summary.startswith("RMS error: worst leaf A31 with 0.400 mm")
    assert "56 leaves are parked" in figure.summary


def test_two_layers_of_leaves_have_four_banks() -> None:
    traces = {"leaf_rms_mm": np.full(114, 0.01), "leaf_counted": np.ones(114, bool)}
    traces["leaf_rms_mm"][56 + 29] = 0.4
    figure = leaves(traces, SAID)
    assert figure is not None
    assert [p.title[-4:] for p in figure.panels] == [" 28A", " 28B", " 29A", " 29B"]
    assert "worst leaf 29B1" in figure.summary


def test_no_leaf_that_counts_is_no_error() -> None:
    figure = leaves({"leaf_rms_mm": np.full(120, np.nan), "leaf_counted": np.zeros(120)}, SAID)
    assert figure is not None and figure.summary.startswith("No leaf shapes the field; 120 leaves")
    ET.fromstring(svg(figure))


def test_a_rotation_goes_the_shortest_way_and_counts_with_the_beam_on() -> None:
    traces = {
        "time_s": np.arange(4.0),
        "meterset_mu_expected": np.array([0.0, 1.0, 2.0, 2.0]),
        "meterset_mu_actual": np.array([0.0, 1.0, 2.0, 2.0]),
        "gantry_deg_expected": np.array([359.0, 359.9, 0.2, 0.2]),
        "gantry_deg_actual": np.array([350.0, 0.1, 0.1, 90.0]),
    }
    figure = axes(traces)
    assert figure is not None
    error = next(p for p in figure.panels if p.title == "Gantry, actual \N{MINUS SIGN} expected")
    assert isinstance(error, Panel)
    assert error.series[0].y == pytest.approx([np.nan, 0.2, -0.1, np.nan], nan_ok=True)


def test_an_angle_that_stands_about_zero_is_drawn_as_standing() -> None:
    traces = {
        "time_s": np.arange(4.0),
        "gantry_deg_expected": np.zeros(4),
        "gantry_deg_actual": np.array([359.99, 0.01, 359.98, 0.02]),
    }
    figure = axes(traces)
    assert figure is not None and isinstance(figure.panels[0], Panel)
    actual, expected = figure.panels[0].series
    assert actual.y == pytest.approx([-0.01, 0.01, -0.02, 0.02])
    assert expected.y == pytest.approx(0.0)


def test_axes_without_their_partner_are_left_out() -> None:
    assert axes({}) is None
    assert axes({"time_s": np.arange(3.0), "gantry_deg_actual": np.zeros(3)}) is None


def test_numbers_survive_the_way_to_the_browser() -> None:
    panel = MapPanel(
        "m", "MU", np.array([[1.0, np.nan], [3, 4]]), np.arange(2.0), np.arange(2.0), GAMMA, 0, 2
    )
    trace: Any = plotly(Figure("t", "s", [panel]))["data"]
    assert _numbers(trace[0]["z"]) == pytest.approx(panel.values, nan_ok=True)


def test_the_picture_of_a_map_shows_its_values() -> None:
    image = pytest.importorskip("PIL.Image")
    values = np.array([[0.0, 1.0], [2.0, np.nan]])
    shown = image.open(io.BytesIO(png_of(values, GAMMA, 0.0, 2.0))).convert("RGBA")
    assert shown.size == (2, 2)
    assert shown.getpixel((0, 1)) == (0xF4, 0xF8, 0xF5, 255)  # first row at the bottom
    assert shown.getpixel((0, 0)) == (0x5C, 0x0A, 0x12, 255)
    assert shown.getpixel((1, 0))[3] == 0  # no value


def test_names_cannot_become_markup_in_a_figure() -> None:
    figure = Figure("<script>", "</desc><script>", [Panel("<b>", "<i>", "<u>", [])])
    assert "<script>" not in svg(figure)
    assert "<i>" not in json.dumps(plotly(figure)) and "&lt;b&gt;" in json.dumps(plotly(figure))


def test_ticks_are_round() -> None:
    assert [text for _, text in number_ticks(-0.11, 0.1)] == [
        "\N{MINUS SIGN}0.10",
        "\N{MINUS SIGN}0.05",
        "0.00",
        "0.05",
        "0.10",
    ]
    day_ms = 86_400_000.0
    assert [text for _, text in time_ticks(0.0, 3 * day_ms)] == [
        f"0{1 + k // 2} Jan {'12' if k % 2 else '00'}:00" for k in range(7)
    ]
    assert number_ticks(1.0, 1.0) == []
