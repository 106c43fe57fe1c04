"""The figure of a portal image: four maps, largest errors kept, nothing drawn outside the field."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np

from dashboards.figures import MapPanel, plotly
from dashboards.web.draw_portal import portal
from dashboards.web.picture import svg


def arrays(rows: int = 900, columns: int = 50) -> dict[str, np.ndarray]:
    measured = np.ones((rows, columns))
    difference = np.full((rows, columns), np.nan)
    difference[100:800, 10:40] = 0.5
    difference[500, 20] = -12.0
    gamma = np.where(np.isfinite(difference), 0.2, np.nan)
    gamma[500, 20] = 1.7
    return {
        "measured": measured,
        "expected": 1.1 * measured,
        "difference_percent": difference,
        "gamma": gamma,
        "x_mm": np.arange(columns) * 0.5,
        "y_mm": np.arange(rows) * 0.5,
    }


def test_four_maps_with_the_largest_error_kept_and_named() -> None:
    figure = portal(arrays(), "Predicted", "A title")
    assert figure is not None
    panels = [panel for panel in figure.panels if isinstance(panel, MapPanel)]
    assert [panel.title for panel in panels] == [
        "Measured",
        "Predicted",
        "Measured − predicted",  # noqa: RUF001
        "Gamma",
    ]
    assert max(panels[0].values.shape) <= 400
    difference, gamma = panels[2], panels[3]
    assert np.nanmin(difference.values) == -12.0 and (difference.low, difference.high) == (-12, 12)
    assert np.nanmax(gamma.values) == 1.7
    assert np.isnan(difference.values[0]).all() and np.isnan(gamma.values[0]).all()
    assert "−12 % of the maximum at x 10 mm, y 250 mm" in figure.summary  # noqa: RUF001
    assert "above 1 in 1 of" in figure.summary
    json.dumps(plotly(figure), allow_nan=False)
    ET.fromstring(svg(figure))


def test_noise_is_not_stretched_over_the_whole_scale() -> None:
    quiet = arrays()
    quiet["difference_percent"][500, 20] = 0.5
    figure = portal(quiet, "Baseline", "A title")
    assert figure is not None
    panel = figure.panels[2]
    assert isinstance(panel, MapPanel) and (panel.low, panel.high) == (-5.0, 5.0)


def test_without_all_the_maps_there_is_no_figure() -> None:
    for name in arrays():
        some = arrays()
        del some[name]
        assert portal(some, "Predicted", "A title") is None
    odd = arrays() | {"x_mm": np.arange(3.0)}
    assert portal(odd, "Predicted", "A title") is None
