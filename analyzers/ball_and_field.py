"""Ball and field of a Winston-Lutz image, found by plain centroids: a check on another's answer.

The field is the largest lit region at half height, its middle the centroid of the region with its
holes filled.  The ball is the darkest spot within it against the field's own shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.portal_images import PortalImage

SEVERAL = 0.25
"""A lit region of this share of the largest one's area is a field of its own."""
PENUMBRA_MM = 3.0
NEAR_MM = 60.0


@dataclass(frozen=True, slots=True)
class BallAndField:
    """Places in mm at the isocenter plane from the central axis, IEC x and y of the gantry."""

    field_mm: tuple[float, float]
    ball_mm: tuple[float, float]
    fields: int
    """Number of lit regions."""

    @property
    def ball_from_field_mm(self) -> tuple[float, float]:
        """The ball's place against the field's middle."""
        return self.ball_mm[0] - self.field_mm[0], self.ball_mm[1] - self.field_mm[1]


def find(image: PortalImage, ball_diameter_mm: float) -> BallAndField:
    """Find both near the central axis.  Raises `AnalysisError` where no field or ball is seen."""
    from scipy import ndimage

    values, x_mm, y_mm = _near_axis(image)
    low, high = np.percentile(values, [5, 99.9])
    lit, count = ndimage.label(values > (low + high) / 2.0)
    if not count or high <= low:
        raise AnalysisError("no field is seen in the image")
    areas = ndimage.sum_labels(np.ones_like(values), lit, np.arange(1, count + 1))
    whole = ndimage.binary_fill_holes(lit == int(areas.argmax()) + 1)
    field_mm = _centroid(whole.astype(np.float64), x_mm, y_mm)
    step_mm = abs(float(x_mm[1] - x_mm[0]))
    inside = ndimage.binary_erosion(whole, iterations=max(1, round(PENUMBRA_MM / step_mm)))
    depth = _depth(values, inside, max(3, round(1.6 * ball_diameter_mm / step_mm)))
    if not inside.any() or depth.max() <= 0.0:
        raise AnalysisError("no ball is seen in the field")
    spots, _ = ndimage.label(depth > 0.5 * depth.max())
    darkest = spots == spots[np.unravel_index(int(depth.argmax()), depth.shape)]
    return BallAndField(
        field_mm,
        _centroid(np.where(darkest, depth, 0.0), x_mm, y_mm),
        int((areas > SEVERAL * areas.max()).sum()),
    )


def _near_axis(
    image: PortalImage,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The part around the axis, brighter with more radiation than its border."""
    rows = np.flatnonzero(np.abs(image.y_mm) <= NEAR_MM)
    columns = np.flatnonzero(np.abs(image.x_mm) <= NEAR_MM)
    if rows.size < 10 or columns.size < 10:
        raise AnalysisError("the central axis is not in the image")
    values = image.values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    border = np.concatenate([values[:4].ravel(), values[-4:].ravel(), values[:, :4].ravel()])
    if np.median(border) > np.percentile(values, 99.0 if values.max() == values.min() else 50.0):
        values = values.max() - values
    return values, image.x_mm[columns], image.y_mm[rows]


def _depth(
    values: NDArray[np.float64], inside: NDArray[np.bool_], size_px: int
) -> NDArray[np.float64]:
    """How far each pixel lies below the field without its ball; 0 outside."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(values, 1.0)
    closed = ndimage.grey_closing(smooth, size=(size_px, size_px))
    return np.where(inside, closed - smooth, 0.0)


def _centroid(
    weight: NDArray[np.float64], x_mm: NDArray[np.float64], y_mm: NDArray[np.float64]
) -> tuple[float, float]:
    total = float(weight.sum())
    return (
        float((weight.sum(axis=0) * x_mm).sum() / total),
        float((weight.sum(axis=1) * y_mm).sum() / total),
    )
