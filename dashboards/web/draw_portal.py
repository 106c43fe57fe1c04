"""Portal images: measured, what it was held against, their difference, and gamma."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.figures import Figure, MapPanel, Numbers
from dashboards.web.draw_fluence import DIFFERENCE, FLUENCE, GAMMA, GAMMA_TICKS
from dashboards.web.map_blocks import extreme_of, largest_of, mean_of, row_height, steps_of
from dashboards.web.wording import number, plural

LEAST_REACH_PERCENT = 5.0
"""Smallest range of the difference map: noise is not to look alarming."""
MAPS = ("measured", "expected", "difference_percent", "gamma")


def portal(arrays: Mapping[str, NDArray[Any]], against: str, title: str) -> Figure | None:
    """The maps side by side; None where there are none.  `against`: `Predicted`, `Baseline`."""
    if not {*MAPS, "x_mm", "y_mm"} <= arrays.keys():
        return None
    x_mm, y_mm = (np.asarray(arrays[k], np.float64) for k in ("x_mm", "y_mm"))
    maps = {name: np.asarray(arrays[name], np.float64) for name in MAPS}
    shape = (len(y_mm), len(x_mm))
    if not len(y_mm) or not len(x_mm) or any(m.shape != shape for m in maps.values()):
        return None
    steps = steps_of(shape)
    x_drawn = mean_of(x_mm[None, :], (1, steps[1]))[0]
    y_drawn = mean_of(y_mm[:, None], steps)[:, 0]
    top = float(max(np.nanmax(maps["measured"]), np.nanmax(maps["expected"]))) or 1.0
    difference = maps["difference_percent"]
    known = np.nan_to_num(difference)
    reach = max(float(np.abs(known).max()), LEAST_REACH_PERCENT)
    drawn = extreme_of(known, steps)
    in_field = largest_of(np.isfinite(difference).astype(np.float64), steps) > 0.0
    panels = [
        MapPanel(
            "Measured", "", mean_of(maps["measured"], steps), x_drawn, y_drawn, FLUENCE, 0, top
        ),
        MapPanel(against, "", mean_of(maps["expected"], steps), x_drawn, y_drawn, FLUENCE, 0, top),
        MapPanel(
            f"Measured − {against.casefold()}",  # noqa: RUF001
            "%",
            np.where(in_field, drawn, np.nan),
            x_drawn,
            y_drawn,
            DIFFERENCE,
            -reach,
            reach,
        ),
        MapPanel(
            "Gamma",
            "",
            largest_of(maps["gamma"], steps),
            x_drawn,
            y_drawn,
            GAMMA,
            0,
            2,
            GAMMA_TICKS,
        ),
    ]
    return Figure(
        title,
        _summary(known, maps["gamma"], (x_mm, y_mm)),
        panels,
        columns=4,
        row_height=row_height(x_mm, y_mm),
        legend=False,
    )


def _summary(difference: Numbers, gamma: Numbers, places_mm: tuple[Numbers, Numbers]) -> str:
    x_mm, y_mm = places_mm
    row, column = np.unravel_index(int(np.abs(difference).argmax()), difference.shape)
    counted, failed = int(np.isfinite(gamma).sum()), int(np.count_nonzero(gamma > 1.0))
    return (
        f"As seen from the source, at the isocenter plane. Largest difference "
        f"{number(float(difference[row, column]), sign=True)} % of the maximum at x "
        f"{number(float(x_mm[column]))} mm, y {number(float(y_mm[row]))} mm; gamma above 1 in "
        f"{failed} of {plural(counted, 'drawn point')}."
    )
