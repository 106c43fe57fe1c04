"""What of an image is kept to be drawn: few pixels, grey values from 0 to 1, places in mm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.portal_images import PortalImage

MOST_PIXELS = 512
DARKEST, BRIGHTEST = 0.5, 99.8
"""Percentiles that are drawn black and white: a dead pixel is not to set the scale."""


def picture(
    image: PortalImage, reach_mm: float | None = None, around_mm: tuple[float, float] = (0.0, 0.0)
) -> dict[str, NDArray[Any]]:
    """`image` (float16, 0 to 1, brighter with more radiation), `x_mm` and `y_mm` of its pixels.

    Blocks of pixels are averaged until no side is longer than 512.  `reach_mm` keeps the square of
    that half side around x, y of `around_mm`, in mm at the isocenter plane from the central axis.
    """
    rows, columns = slice(None), slice(None)
    if reach_mm is not None:
        rows = _within(image.y_mm, around_mm[1], reach_mm)
        columns = _within(image.x_mm, around_mm[0], reach_mm)
    values, x_mm, y_mm = image.values[rows, columns], image.x_mm[columns], image.y_mm[rows]
    step = max(1, *(-(-side // MOST_PIXELS) for side in values.shape))
    values = block_mean(values, step)
    low, high = np.percentile(values, [DARKEST, BRIGHTEST])
    grey = np.clip((values - low) / (high - low or 1.0), 0.0, 1.0)
    return {
        "image": grey.astype(np.float16),
        "x_mm": block_mean(x_mm[None, :], (1, step))[0].astype(np.float32),
        "y_mm": block_mean(y_mm[:, None], (step, 1))[:, 0].astype(np.float32),
    }


def block_mean(values: NDArray[np.float64], step: int | tuple[int, int]) -> NDArray[np.float64]:
    """Mean over blocks of `step` pixels (rows, columns); what is left over at the ends is cut."""
    down, across = (step, step) if isinstance(step, int) else step
    rows, columns = values.shape[0] // down, values.shape[1] // across
    blocks = values[: rows * down, : columns * across].reshape(rows, down, columns, across)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _within(places_mm: NDArray[np.float64], around_mm: float, reach_mm: float) -> slice:
    inside = np.flatnonzero(np.abs(places_mm - around_mm) <= reach_mm)
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(None)
