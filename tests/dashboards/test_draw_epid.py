from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from analyzers.core import Analyzer, Context, Limits
from analyzers.machine import field, picket_fence, starshot, vmat_drgs, winston_lutz
from analyzers.portal_images import PortalImage
from dashboards.figures import Figure, MapPanel, plotly
from dashboards.web.draw_epid import planar
from dashboards.web.picture import svg
from dashboards.web.result_page import DRAWN
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement
from tests.machine import test_field, test_picket_fence, test_starshot, test_vmat, test_winston_lutz

CIRCLE = "{http://www.w3.org/2000/svg}circle"


def drawn(
    analyzer: Analyzer[Any, Any], image: PortalImage, without: str = "", **settings: Any
) -> Figure | None:
    """What the result page draws of an image that was measured and stored."""
    found = analyzer.analyze(image, Context("truebeam", analyzer.settings(**settings)))
    said = StoredAnalysis(
        analyzer.name,
        analyzer.version,
        None,
        None,
        None,
        (),
        tuple(
            StoredMeasurement(
                m.metric.name,
                m.value,
                m.metric.unit,
                m.at,
                None,
                m.metric.limits.get("truebeam", Limits()),
            )
            for m in found.measurements
        ),
    )
    kept = {n: np.asarray(a) for n, a in found.traces.items() if n != without}
    stored = {n: a.astype(np.float32) if a.dtype == np.float64 else a for n, a in kept.items()}
    (draw,) = [draw for name, draw in DRAWN.values() if name == analyzer.name]
    return draw(stored, said)


CASES: dict[str, tuple[Analyzer[Any, Any], Any, dict[str, Any], str]] = {
    "picket fence": (
        picket_fence.ANALYZER,
        lambda: test_picket_fence.fence({("A", 24, 2): 1.0}),
        {},
        "by leaf A24 at picket 2 of 5",
    ),
    "vmat": (vmat_drgs.ANALYZER, lambda: test_vmat.pair({3: 1.03}), {}, "Segment 3 of 7"),
    "field": (
        field.ANALYZER,
        lambda: test_field.against(test_field.field(), test_field.field()),
        {},
        "Edges at x",
    ),
    "starshot": (
        starshot.ANALYZER,
        lambda: test_starshot.shot(test_starshot.star((0.4, -0.4, 0.4), (0.0, 60.0, 120.0))),
        {},
        "3 spokes",
    ),
    "winston-lutz": (
        winston_lutz.ANALYZER,
        lambda: test_winston_lutz.gathered(
            [test_winston_lutz.shot((1.2, 0.0, 0.0), g) for g in (0.0, 90.0)]
        ),
        {"ball_diameter_mm": 6.0},
        "In G0 C0 T0 the ball is 1.2",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_measured_is_drawn_still_and_live(name: str) -> None:
    analyzer, image, settings, words = CASES[name]
    figure = drawn(analyzer, image(), **settings)
    assert figure is not None
    assert words in figure.summary
    first = figure.panels[0]
    assert isinstance(first, MapPanel)
    assert first.series, "the image alone shows nothing of what was measured"
    assert first.y_mm[0] < first.y_mm[-1], "rows from below"
    ET.fromstring(svg(figure))
    live = plotly(figure)["data"]
    assert isinstance(live, list)
    assert len(live) == sum(len(p.series) + isinstance(p, MapPanel) for p in figure.panels)


def test_a_leaf_beyond_its_limit_is_marked_where_it_is() -> None:
    figure = drawn(picket_fence.ANALYZER, test_picket_fence.fence({("A", 24, 2): 1.0}))
    assert figure is not None
    image = figure.panels[0]
    assert isinstance(image, MapPanel)
    (marks,) = [s for s in image.series if s.kind == "points"]
    assert marks.name == "beyond action"
    # Pair 24 of a Millennium 120 lies at -32.5 mm, picket 2 at -20 mm; the gap's middle 0.5 mm on.
    assert marks.x == pytest.approx([-19.5], abs=0.05)
    assert marks.y == pytest.approx([-32.5], abs=0.05)
    bright = image.values[np.abs(image.y_mm - marks.y[0]).argmin()]
    assert bright[np.abs(image.x_mm - marks.x[0]).argmin()] > 0.5 * bright.max()
    dots = ET.fromstring(svg(figure)).iter(CIRCLE)
    assert len(list(dots)) == 2, "one on the image, one in the legend"


def test_ball_and_field_lie_on_the_image_that_shows_them() -> None:
    shots = [test_winston_lutz.shot((0.0, 1.5, 0.0), g) for g in (0.0, 90.0)]
    figure = drawn(winston_lutz.ANALYZER, test_winston_lutz.gathered(shots), ball_diameter_mm=6.0)
    assert figure is not None
    image = figure.panels[0]
    assert isinstance(image, MapPanel)
    place = {s.name: (float(s.x[0]), float(s.y[0])) for s in image.series}
    assert place["ball"] == pytest.approx((0.0, 1.5), abs=0.06)
    row, column = (
        np.abs(places - at).argmin()
        for places, at in zip((image.y_mm, image.x_mm), place["ball"][::-1], strict=True)
    )
    assert image.values[row, column] < image.values[row + 15, column], "darker than the field"


@pytest.mark.parametrize("name", CASES)
def test_without_its_arrays_nothing_is_drawn(name: str) -> None:
    analyzer, image, settings, _ = CASES[name]
    lacking = "images" if name == "winston-lutz" else "image"
    assert drawn(analyzer, image(), without=lacking, **settings) is None


def test_discs_of_a_phantom_are_ringed() -> None:
    arrays = {
        "image": np.zeros((20, 30), np.float16),
        "x_mm": np.linspace(-15, 15, 30),
        "y_mm": np.linspace(10, -10, 20),
        "disc_mm": np.array([[1.0, 2.0, 0.5], [5.0, -2.0, 0.5]]),
        "disc_seen": np.array([True, False]),
    }
    said = StoredAnalysis("planar_image", "1", None, None, None, (), ())
    figure = planar(arrays, said)
    assert figure is not None
    assert figure.summary == "1 of 2 low-contrast discs are seen."
    assert [s.name for s in figure.panels[0].series] == ["seen", "not seen"]
    assert planar({**arrays, "disc_seen": np.array([True])}, said) is None
