"""A picture of a beam made small and even: what every test of its content starts from.

Signals run from 0 (outside the beam) to 1 (its brightest part); lengths are mm at the isocenter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LONGEST_SIDE_PX = 560
"""After averaging blocks of pixels: a picket of 3 mm is still four pixels wide."""
BORDER_SHARE = 0.012
"""So much of each side is left out: edges of panels and scans are not part of the picture."""
BRIGHTEST_MM2 = 12.0
"""The brightest area so large is signal 1: the smallest cone has more, a bad pixel less."""
LEAST_CONTRAST_TO_NOISE = 8.0
HALF = 0.5
SEAM_MM = 5.0
"""Gaps up to this wide do not take a field apart."""


@dataclass(frozen=True, eq=False)
class Picture:
    """`signal` (rows, columns) of 0 to 1, `step_mm` per pixel, `axis` (row, column) of the beam."""

    signal: Array
    step_mm: float
    axis: tuple[float, float]
    noise: float
    """Standard deviation from pixel to pixel, as a part of the signal."""

    @cached_property
    def coarse(self) -> Picture:
        """The same at 1 mm or coarser, for what needs no detail."""
        factor = self.factor
        axis = (middle_of_block(self.axis[0], factor), middle_of_block(self.axis[1], factor))
        return Picture(
            block_mean(self.signal, factor), self.step_mm * factor, axis, self.noise / factor
        )

    @cached_property
    def factor(self) -> int:
        """Pixels of this picture along a side of one of `coarse`: 1 mm or a little more."""
        return max(1, math.ceil(1.0 / self.step_mm - 0.1))

    def fine(self, place: tuple[float, float]) -> tuple[float, float]:
        """Where a (row, column) of `coarse` lies in this picture."""
        row, column = ((p + 0.5) * self.factor - 0.5 for p in place)
        return row, column

    @cached_property
    def field(self) -> Field | None:
        """The one field above half the signal; None: there are several, or none."""
        return _field(self.coarse)


@dataclass(frozen=True, eq=False)
class Field:
    """The smallest rectangle around a field, on the grid of `Picture.coarse`.

    `angle_rad` turns columns to the direction of `sides_mm[0]`, `center` is (row, column), `fill`
    the area of the field over that of the rectangle, `others` how much of the area above half the
    signal is not part of it, `touches` whether it runs out of the picture.
    """

    mask: Mask
    center: tuple[float, float]
    angle_rad: float
    sides_mm: tuple[float, float]
    fill: float
    others: float
    touches: bool


def block_mean(values: Array, factor: int) -> Array:
    """Means of blocks of `factor` x `factor`; what does not fill a block at the end is left out."""
    if factor == 1:
        return values
    rows, columns = (n // factor * factor for n in values.shape)
    blocks = values[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)


def middle_of_block(pixel: float, factor: int) -> float:
    """Where a position in pixels lies among blocks of pixels."""
    return (pixel + 0.5) / factor - 0.5


def picture_of(
    values: Array, step_mm: float, axis_px: tuple[float, float], dark: float | None = None
) -> Picture | None:
    """`values` that rise with radiation as a picture, or None where they show none.

    `step_mm` is the size of a pixel at the isocenter, `dark` the value without radiation where it
    is known; else the darkest hundredth stands for it.
    """
    margin = [max(1, round(n * BORDER_SHARE)) for n in values.shape]
    inner = values[margin[0] : -margin[0], margin[1] : -margin[1]]
    if min(inner.shape, default=0) < 32:
        return None
    factor = max(1, math.ceil(max(inner.shape) / LONGEST_SIDE_PX))
    small = block_mean(inner, factor)
    small = np.where(np.isfinite(small), small, np.nanmin(small, initial=np.inf))
    if not np.all(np.isfinite(small)):
        return None
    noise = 1.4826 * float(np.median(np.abs(np.diff(small, axis=1)))) / math.sqrt(2.0)
    even = ndimage.median_filter(small, size=3)
    step_mm *= factor
    brightest = min(max(4, round(BRIGHTEST_MM2 / step_mm**2)), even.size // 4)
    high = float(np.partition(even.ravel(), -brightest)[-brightest])
    low = float(np.percentile(even, 1.0)) if dark is None else dark
    if not high - low > LEAST_CONTRAST_TO_NOISE * noise or high == low:
        return None
    axis = (
        middle_of_block(axis_px[0] - margin[0], factor),
        middle_of_block(axis_px[1] - margin[1], factor),
    )
    return Picture((even - low) / (high - low), step_mm, axis, noise / (high - low))


def sampled(
    picture: Picture, center: tuple[float, float], angle_rad: float, u_mm: Array, v_mm: Array
) -> Array:
    """Signals on a turned grid, `(v, u)`, NaN outside of the picture.

    From `center` (row, column), u runs along columns turned by `angle_rad` towards rows.
    """
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    u, v = u_mm / picture.step_mm, v_mm[:, None] / picture.step_mm
    rows = center[0] + u * sin + v * cos
    columns = center[1] + u * cos - v * sin
    return np.asarray(
        ndimage.map_coordinates(picture.signal, [rows, columns], order=1, cval=np.nan), np.float64
    )


def _field(coarse: Picture) -> Field | None:
    bright = coarse.signal > HALF
    reach = max(1, round(SEAM_MM / 2.0 / coarse.step_mm))
    padded = np.pad(bright, reach, mode="edge")
    closed = ndimage.binary_closing(padded, np.ones((3, 3)), iterations=reach)
    closed = closed[reach:-reach, reach:-reach]
    labels, count = ndimage.label(closed)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask = labels == int(sizes.argmax())
    shape = ndimage.binary_fill_holes(mask)
    edge = shape & ~ndimage.binary_erosion(shape, border_value=0)
    points = np.argwhere(edge).astype(np.float64)
    area = float(shape.sum())
    angle, center, sides = _rectangle(points)
    touches = bool(shape[0].any() or shape[-1].any() or shape[:, 0].any() or shape[:, -1].any())
    return Field(
        mask=shape,
        center=center,
        angle_rad=angle,
        sides_mm=(sides[0] * coarse.step_mm, sides[1] * coarse.step_mm),
        fill=area / (sides[0] * sides[1]),
        others=1.0 - float(sizes.max()) / float(sizes.sum()),
        touches=touches,
    )


def _rectangle(points: Array) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Angle, center and sides in pixels of the smallest rectangle around (row, column) points."""
    best = _turned(points, np.deg2rad(np.arange(0.0, 90.0, 3.0)))
    fine = best[1] + np.deg2rad(np.arange(-3.0, 3.1, 0.5))
    best = min(best, _turned(points, fine), _turned(points, np.array([0.0])), key=lambda b: b[0])
    _, angle, bounds = best
    cos, sin = math.cos(angle), math.sin(angle)
    middle_u, middle_v = (bounds[0] + bounds[1]) / 2.0, (bounds[2] + bounds[3]) / 2.0
    center = (middle_u * sin + middle_v * cos, middle_u * cos - middle_v * sin)
    return angle, center, (bounds[1] - bounds[0] + 1.0, bounds[3] - bounds[2] + 1.0)


def _turned(points: Array, angles: Array) -> tuple[float, float, tuple[float, ...]]:
    rows, columns = points[:, 0], points[:, 1]
    u = columns * np.cos(angles)[:, None] + rows * np.sin(angles)[:, None]
    v = rows * np.cos(angles)[:, None] - columns * np.sin(angles)[:, None]
    bounds = np.stack([u.min(axis=1), u.max(axis=1), v.min(axis=1), v.max(axis=1)])
    areas = (bounds[1] - bounds[0] + 1.0) * (bounds[3] - bounds[2] + 1.0)
    least = int(areas.argmin())
    return float(areas[least]), float(angles[least]), tuple(float(b) for b in bounds[:, least])
