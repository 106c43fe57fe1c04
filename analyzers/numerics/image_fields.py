"""One field in a picture: even and rectangular, or small with a ball in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.numerics.image_patterns import HALF, Array, Field, Mask, Picture, sampled

Indices = NDArray[np.int64]

MOST_SMALL_MM = 46.0
"""A Winston-Lutz field is smaller than 4 cm; its half-signal edge may lie a little outside."""
LEAST_SMALL_MM = 4.0

BALL_RADII_MM = (1.5, 2.0, 2.5, 3.2, 4.0, 5.0, 6.0)
MOST_PLACES = 700
BALL_STEP_MM = 0.5
LEAST_BALL = 0.01
LEAST_BALL_WITH_A_LABEL = 0.006
BALL_OVER_NOISE = 3.0
BALL_OVER_ELSEWHERE = 2.0
SECTORS = 8
PLATEAU = 0.8
PENUMBRA_MM = 3.2
"""From half the signal to the plateau, on both sides together."""

EDGE_MM = 7.0
LEAST_OPEN_MM = 35.0
LEAST_FILL = 0.93
LEAST_FILL_AT_BORDER = 0.55
"""Of a turned field whose corners the panel cuts off."""
MOST_OTHERS = 0.02
MOST_ROUGH = 0.010
MOST_ROUGH_WITH_A_LABEL = 0.03
MOST_UNFITTED = 0.045
MOST_TILT = 0.10
MOST_TILT_OFF_AXIS = 0.45
CENTERED_MM = 15.0
LEAST_SIDES = 2
MOST_CROOKED_MM = 1.6
SIDE_MM = 7.0
"""Inside and outside are so far from a side."""
MOST_OUTSIDE = 0.4
ALONG_SIDE = 25


@dataclass(frozen=True, slots=True)
class Ball:
    """A round shadow in a small field."""

    diameter_mm: float
    depth: float
    """How much darker than the field around it."""

    @property
    def sure(self) -> bool:
        """Else it needs a label that says the same."""
        return self.depth >= LEAST_BALL


def is_small(field: Field) -> bool:
    """Whether the field is so small as those of a Winston-Lutz test."""
    return (
        max(field.sides_mm) <= MOST_SMALL_MM
        and min(field.sides_mm) >= LEAST_SMALL_MM
        and field.fill > 0.65
        and field.others < 0.1
    )


def is_rectangular(field: Field) -> bool:
    """Whether one field fills its rectangle, as far as the panel reaches."""
    least = LEAST_FILL_AT_BORDER if field.touches else LEAST_FILL
    return field.fill >= least and field.others <= MOST_OTHERS


def ball(picture: Picture, field: Field) -> Ball | None:
    """The ball in a small field: one round shadow, and nothing like it elsewhere in the field."""
    if not is_small(field):
        return None
    grid, _, depth_mm = _small_grid(picture, field)
    places = np.argwhere(depth_mm >= 2.0)[:: max(1, int((depth_mm >= 2.0).sum()) // MOST_PLACES)]
    if len(places) < 4 or not is_steep(picture, field):
        return None
    contrasts = np.stack([_contrast(grid, places, r, depth_mm) for r in BALL_RADII_MM])
    at = np.unravel_index(int(contrasts.argmax()), contrasts.shape)
    depth, radius = float(contrasts[at]), BALL_RADII_MM[at[0]]
    away = np.hypot(*(places - places[at[1]]).T) * BALL_STEP_MM > radius + 3.0
    elsewhere = float(contrasts[: at[0] + 1, away].max(initial=0.0))
    if depth < max(
        LEAST_BALL_WITH_A_LABEL, BALL_OVER_NOISE * picture.noise, BALL_OVER_ELSEWHERE * elsewhere
    ):
        return None
    return Ball(2.0 * radius, depth)


def is_steep(picture: Picture, field: Field) -> bool:
    """Whether a small field has a plateau and steep edges all around.

    What leaves have swept over rises slowly, and from one side to the other.
    """
    grid, inside, depth_mm = _small_grid(picture, field)
    steep = ndimage.binary_fill_holes(grid > PLATEAU)
    size_mm = 2.0 * float(depth_mm.max())
    # A penumbra takes away the same width of any field.
    left = max(0.25, 1.0 - PENUMBRA_MM / max(size_mm, 4.0)) ** 2
    return float((steep & inside).sum()) >= 0.8 * left * float(inside.sum())


def _small_grid(picture: Picture, field: Field) -> tuple[Array, Mask, Array]:
    """A small field on a fine grid, where it is, and how deep inside in mm."""
    half = max(field.sides_mm) * 0.75
    u_mm = np.arange(-half, half + BALL_STEP_MM / 2.0, BALL_STEP_MM)
    grid = sampled(picture, picture.fine(field.center), 0.0, u_mm, u_mm)
    grid = np.where(np.isfinite(grid), grid, 0.0)
    inside = ndimage.binary_fill_holes(grid > HALF)
    return grid, inside, ndimage.distance_transform_edt(inside) * BALL_STEP_MM


def _contrast(grid: Array, places: Indices, radius_mm: float, depth_mm: Array) -> Array:
    """How much darker a disc is than each part of the ring around it, the second least."""
    angles = np.asarray(np.arange(2 * SECTORS) * (math.pi / SECTORS), np.float64)
    disc = _means(grid, places, np.array([0.0, 0.35, 0.65]) * radius_mm, angles)
    ring = _means(grid, places, radius_mm + np.array([0.9, 1.4]), angles)
    ring = ring.reshape(len(places), SECTORS, 2).mean(axis=2)
    dark = disc.mean(axis=1)
    around = np.partition(ring, 1, axis=1)[:, 1]
    # The disc is dark all over, not on one side.
    lit = disc.max(axis=1) > (around + dark) / 2.0
    contrast = np.where(lit, 0.0, around - dark)
    near_edge = depth_mm[places[:, 0], places[:, 1]] < radius_mm * 0.8
    return np.asarray(np.where(near_edge, 0.0, contrast), np.float64)


def _means(grid: Array, places: Indices, radii_mm: Array, angles: Array) -> Array:
    rows = places[:, 0, None, None] + radii_mm[:, None] * np.sin(angles) / BALL_STEP_MM
    columns = places[:, 1, None, None] + radii_mm[:, None] * np.cos(angles) / BALL_STEP_MM
    found = ndimage.map_coordinates(grid, [rows, columns], order=1, mode="nearest")
    return np.asarray(found.mean(axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class Evenness:
    """How even the inside of one field is, all as parts of its signal."""

    rough: float
    """Largest departure from its surroundings, but for the worst hundredth."""
    unfitted: float
    """The same from a smooth surface of the fourth degree."""
    tilt: float
    """Difference between opposite sides, the larger of two."""
    sides: int
    """How many sides are in the picture."""
    crooked_mm: float
    """How far the worst of them departs from a straight line."""
    outside: float
    """Signal outside over inside of the worst of them."""
    rectangular: bool
    sides_mm: tuple[float, float]
    off_axis_mm: float

    def is_open(self, filter_free: bool) -> bool:
        """Whether it is an open field, without wedge, object or modulation.

        Beside the axis a beam without flattening filter falls off as it does under a wedge:
        `filter_free` says that it is known to be one.
        """
        return self._is_open(MOST_ROUGH, self._most_tilt if filter_free else MOST_TILT)

    @property
    def may_be_open(self) -> bool:
        """The same, where a label says so already."""
        return self._is_open(MOST_ROUGH_WITH_A_LABEL, self._most_tilt)

    @property
    def _most_tilt(self) -> float:
        return MOST_TILT_OFF_AXIS if self.off_axis_mm > CENTERED_MM else MOST_TILT

    def _is_open(self, rough: float, most_tilt: float) -> bool:
        return (
            self.rectangular
            and min(self.sides_mm) >= LEAST_OPEN_MM
            and self.rough <= rough
            and self.unfitted <= MOST_UNFITTED
            and self.tilt <= most_tilt
            and self.sides >= LEAST_SIDES
            and self.crooked_mm <= MOST_CROOKED_MM
            and self.outside <= MOST_OUTSIDE
        )


def evenness(picture: Picture, field: Field) -> Evenness | None:
    """What the inside of the field is like; None: it has no inside to speak of."""
    coarse = picture.coarse
    step = coarse.step_mm
    # The side of a panel is an edge as well: jaws lie there, or scatter ends.
    padded = np.pad(field.mask, 1)
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * step
    inside = depth > EDGE_MM
    if inside.sum() < 100:
        return None
    rows, columns = np.nonzero(inside)
    level = float(np.median(coarse.signal[inside]))
    fitted = _fitted(coarse.signal, rows, columns)
    rest = np.zeros_like(coarse.signal)
    rest[inside] = (coarse.signal[inside] - fitted) / level
    weight = inside.astype(np.float64)
    sigma = 7.0 / step
    around = ndimage.gaussian_filter(rest, sigma) / np.maximum(
        ndimage.gaussian_filter(weight, sigma), 1e-9
    )
    even = ndimage.gaussian_filter(rest - around * weight, 1.2 / step)
    core = depth > EDGE_MM + 2.0
    core = core if core.sum() > 50 else inside
    sides = _sides(coarse, field)
    return Evenness(
        rough=float(np.percentile(np.abs(even[core]), 99.0)),
        unfitted=float(np.percentile(np.abs(rest[inside]), 99.0)),
        tilt=_tilt(coarse.signal, inside, field),
        sides=len(sides),
        crooked_mm=max((side[0] for side in sides), default=math.inf),
        outside=max((side[1] for side in sides), default=math.inf),
        rectangular=is_rectangular(field),
        sides_mm=field.sides_mm,
        off_axis_mm=math.hypot(field.center[0] - coarse.axis[0], field.center[1] - coarse.axis[1])
        * step,
    )


def _fitted(signal: Array, rows: Indices, columns: Indices) -> Array:
    """A surface of the fourth degree through the signals, at each of the places."""
    y = (rows - rows.mean()) / max(1.0, np.ptp(rows) / 2.0)
    x = (columns - columns.mean()) / max(1.0, np.ptp(columns) / 2.0)
    terms = np.stack([x**i * y**j for i in range(5) for j in range(5 - i)], axis=1)
    thin = slice(None, None, max(1, len(rows) // 6000))
    factors, *_ = np.linalg.lstsq(terms[thin], signal[rows, columns][thin], rcond=None)
    return np.asarray(terms @ factors, np.float64)


def _tilt(signal: Array, inside: Mask, field: Field) -> float:
    rows, columns = np.nonzero(inside)
    cos, sin = math.cos(field.angle_rad), math.sin(field.angle_rad)
    down, right = rows - field.center[0], columns - field.center[1]
    values = signal[inside]
    tilts = []
    for along in (right * cos + down * sin, down * cos - right * sin):
        quarter = np.percentile(along, (25.0, 75.0))
        low, high = values[along < quarter[0]], values[along > quarter[1]]
        if len(low) and len(high):
            tilts.append(abs(float(high.mean() - low.mean())) / float(np.median(values)))
    return max(tilts, default=0.0)


def _sides(coarse: Picture, field: Field) -> list[tuple[float, float]]:
    """How crooked in mm, and how bright outside over inside, each side in the picture is.

    Looked at in the middle seven tenths of each side: corners are round.
    """
    found = []
    out_mm = np.arange(-SIDE_MM, SIDE_MM + 0.25, 0.5)
    for quarter in range(4):
        angle = field.angle_rad + quarter * math.pi / 2.0
        deep, along = field.sides_mm if quarter % 2 == 0 else field.sides_mm[::-1]
        along_mm = np.linspace(-0.35 * along, 0.35 * along, ALONG_SIDE)
        signals = sampled(coarse, field.center, angle, deep / 2.0 + out_mm, along_mm)
        known = np.isfinite(signals).all(axis=1)
        if known.sum() < 0.6 * ALONG_SIDE:
            continue
        signals = signals[known]
        inside = signals[:, :3].mean(axis=1)
        outside = signals[:, -3:].mean(axis=1)
        above = signals > ((inside + outside) / 2.0)[:, None]
        edge_mm = above.sum(axis=1) * 0.5
        line = np.polyfit(along_mm[known], edge_mm, 1)
        off = np.abs(edge_mm - np.polyval(line, along_mm[known]))
        share = float(np.median(outside) / max(float(np.median(inside)), 1e-9))
        found.append((float(np.quantile(off, 0.9)), share))
    return found
