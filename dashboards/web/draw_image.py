"""An image as it was taken, in grey, in the plane of the isocenter where its distance is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.figures import ColorScale, Figure, MapPanel

GREY: ColorScale = ((0.0, "#000000"), (1.0, "#ffffff"))
ROW_HEIGHT, WIDTH = 520, 760


def image(arrays: Mapping[str, NDArray[Any]]) -> Figure | None:
    """The image; None where there is none.  `values` (rows, columns), row 0 at the largest y."""
    if not {"values", "x_mm", "y_mm"} <= arrays.keys():
        return None
    values = np.asarray(arrays["values"], np.float64)
    x_mm, y_mm = (np.asarray(arrays[name], np.float64) for name in ("x_mm", "y_mm"))
    if values.shape != (len(y_mm), len(x_mm)) or not np.isfinite(values).any():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    panel = MapPanel("", "%", values[::-1], x_mm, y_mm[::-1], GREY, low, high)
    return Figure(
        "The image",
        "As seen from the source, brighter where there was more radiation.",
        [panel],
        row_height=ROW_HEIGHT,
        width=WIDTH,
        legend=False,
    )
