"""Fluence maps: expected, actual, their difference, and gamma with its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.figures import ColorScale, Figure, MapPanel, Numbers
from dashboards.web.map_blocks import extreme_of, largest_of, mean_of, row_height, steps_of
from dashboards.web.wording import number, plural

FLUENCE: ColorScale = (
    (0.0, "#ffffff"),
    (0.15, "#d6e6f2"),
    (0.4, "#7fb2d6"),
    (0.7, "#2f6fae"),
    (1.0, "#0b2a5b"),
)
DIFFERENCE: ColorScale = (
    (0.0, "#7a0d14"),
    (0.25, "#dd6a5c"),
    (0.5, "#ffffff"),
    (0.75, "#5b93cf"),
    (1.0, "#0b2f6b"),
)
GAMMA: ColorScale = (
    (0.0, "#f4f8f5"),
    (0.5, "#7db48f"),
    (0.5, "#f0a43a"),
    (0.75, "#c9302c"),
    (1.0, "#5c0a12"),
)
GAMMA_TICKS = ((0.0, "0"), (0.5, "0.5"), (1.0, "1 limit"), (1.5, "1.5"), (2.0, "≥ 2"))
DIFFERENCE_REACH = 0.03
"""Smallest range of the difference map as a share of the maximum: noise is not to look alarming."""


def fluence(arrays: Mapping[str, NDArray[Any]]) -> Figure | None:
    """The maps side by side on shared axes; None where there are none."""
    if not {"expected", "actual", "x_mm", "y_mm"} <= arrays.keys():
        return None
    expected, actual = _known(arrays["expected"]), _known(arrays["actual"])
    x_mm, y_mm = (np.asarray(arrays[k], np.float64) for k in ("x_mm", "y_mm"))
    if expected.shape != actual.shape or expected.shape != (len(y_mm), len(x_mm)):
        return None
    difference = actual - expected
    gamma = np.asarray(arrays["gamma"], np.float64) if "gamma" in arrays else None
    if not expected.size or (gamma is not None and gamma.shape != expected.shape):
        return None
    steps = steps_of(expected.shape)
    x_drawn, y_drawn = mean_of(x_mm[None, :], (1, steps[1]))[0], mean_of(y_mm[:, None], steps)[:, 0]
    top = float(max(expected.max(), actual.max())) or 1.0
    reach = max(float(np.abs(difference).max()), DIFFERENCE_REACH * top)

    unit = "% of the plan" if "percent_of_plan" in arrays else "MU"

    def panel(title: str, values: Numbers, colors: ColorScale, low: float, high: float) -> MapPanel:
        return MapPanel(title, unit, values, x_drawn, y_drawn, colors, low, high)

    panels = [
        panel("Expected fluence", mean_of(expected, steps), FLUENCE, 0.0, top),
        panel("Actual fluence", mean_of(actual, steps), FLUENCE, 0.0, top),
        panel("Actual − expected", extreme_of(difference, steps), DIFFERENCE, -reach, reach),  # noqa: RUF001
    ]
    if gamma is not None:
        drawn = largest_of(gamma, steps)
        panels.append(MapPanel("Gamma", "", drawn, x_drawn, y_drawn, GAMMA, 0.0, 2.0, GAMMA_TICKS))
    return Figure(
        "Fluence in the plane of the isocenter",
        f"{_frame(arrays)}. {_summary(expected, difference, gamma, (x_mm, y_mm), unit)}",
        panels,
        columns=4,
        row_height=row_height(x_mm, y_mm),
        legend=False,
    )


def _known(values: NDArray[Any]) -> Numbers:
    return np.nan_to_num(np.asarray(values, np.float64))


def _frame(arrays: Mapping[str, NDArray[Any]]) -> str:
    if "gantry_frame" in arrays:
        return f"Frame of the {'gantry' if bool(arrays['gantry_frame']) else 'collimator'}"
    return "Frame of the collimator; of the gantry where the collimator turned or stood wrong"


def _summary(
    expected: Numbers,
    difference: Numbers,
    gamma: Numbers | None,
    places_mm: tuple[Numbers, Numbers],
    unit: str,
) -> str:
    x_mm, y_mm = places_mm
    row, column = np.unravel_index(int(np.abs(difference).argmax()), difference.shape)
    sentence = (
        f"Largest expected fluence {number(float(expected.max()))} {unit}; largest difference "
        f"{number(float(difference[row, column]), sign=True)} {unit} "
        f"at x {number(float(x_mm[column]))} mm, y {number(float(y_mm[row]))} mm"
    )
    if gamma is None:
        return f"{sentence}."
    counted = int(np.isfinite(gamma).sum())
    failed = int(np.count_nonzero(gamma > 1.0))  # NaN is not greater
    return f"{sentence}; gamma above 1 in {failed} of {plural(counted, 'drawn point')}."
