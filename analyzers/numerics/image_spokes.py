"""Narrow straight fields in a picture: the spokes of a starshot, together or one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from analyzers.numerics.image_patterns import Array, Field, Picture

MOST_SLIT_MM = 22.0
LEAST_SLIT_LENGTH_MM = 50.0
LEAST_SLIT_RATIO = 4.5
LEAST_SLIT_FILL = 0.6
THROUGH_AXIS_MM = 6.0
"""So near the beam's axis a slit runs through it: imagers sag and are parked by hand."""

ANGLES = 720
RADII = 9
LEAST_ARMS = 5
LEAST_ARM = 0.1
"""How much a spoke stands out of what is between spokes."""
MOST_LIT = 0.55
"""Share of a circle that is lit: spokes have darkness between them."""
ARM_OFF_MM = 3.0
AGREEING = 7
"""Of the circles so many show the same arms."""
HUB = 0.9
"""Where all spokes cross it is at least about as bright as in each."""


@dataclass(frozen=True, slots=True)
class Slit:
    """One narrow straight field."""

    width_mm: float
    length_mm: float
    off_axis_mm: float
    """How far its middle line passes the beam's axis."""


@dataclass(frozen=True, slots=True)
class Star:
    """Spokes that meet in one point; `arms` counts a line through it twice."""

    arms: int
    lines: int
    reach_mm: float


def slit(picture: Picture, field: Field) -> Slit | None:
    """The field where it is one slit."""
    long_first = field.sides_mm[0] > field.sides_mm[1]
    length, width = field.sides_mm if long_first else field.sides_mm[::-1]
    if field.others > 0.05 or field.fill < LEAST_SLIT_FILL:
        return None
    if width > MOST_SLIT_MM or length < LEAST_SLIT_LENGTH_MM or length < LEAST_SLIT_RATIO * width:
        return None
    angle = field.angle_rad + (0.0 if long_first else math.pi / 2.0)
    coarse = picture.coarse
    rows = (coarse.axis[0] - field.center[0]) * coarse.step_mm
    columns = (coarse.axis[1] - field.center[1]) * coarse.step_mm
    off = abs(rows * math.cos(angle) - columns * math.sin(angle))
    return Slit(width, length, off)


def star(picture: Picture) -> Star | None:
    """Spokes of equal width through one point, with darkness between them."""
    coarse = picture.coarse
    rows, columns = coarse.signal.shape
    wide = ndimage.gaussian_filter(coarse.signal, 0.02 * min(rows, columns))
    quarter = (rows // 4, columns // 4)
    middle = wide[quarter[0] : rows - quarter[0], quarter[1] : columns - quarter[1]]
    hub = np.unravel_index(int(middle.argmax()), middle.shape)
    center = (float(hub[0] + quarter[0]), float(hub[1] + quarter[1]))
    reach = min(center[0], rows - 1 - center[0], center[1], columns - 1 - center[1])
    if reach * coarse.step_mm < 25.0:
        return None
    radii = reach * np.linspace(0.25, 0.7, RADII)
    for _ in range(2):
        center = _centered(coarse.signal, center, radii)
    lit = _circles(coarse.signal, center, radii)
    around = float(_circles(coarse.signal, center, np.array([1.0])).mean())
    if around < HUB * float(np.median(lit.max(axis=1))):
        return None
    return _star_in(lit, radii * coarse.step_mm)


def _circles(signal: Array, center: tuple[float, float], radii: Array) -> Array:
    """Signals on circles, `(radius, angle)`, evened over a millimeter or two."""
    angles = np.arange(ANGLES) * (2.0 * math.pi / ANGLES)
    rows = center[0] + radii[:, None] * np.sin(angles)
    columns = center[1] + radii[:, None] * np.cos(angles)
    found = ndimage.map_coordinates(signal, [rows, columns], order=1, mode="nearest")
    return np.asarray(ndimage.uniform_filter1d(found, 5, axis=1, mode="wrap"), np.float64)


def _arms(circle: Array) -> list[tuple[float, float]]:
    """Angle in steps and width in steps of each lit part of a circle."""
    dark, bright = np.percentile(circle, 30.0), circle.max()
    if bright - dark < LEAST_ARM:
        return []
    lit = circle > dark + 0.4 * (bright - dark)
    if lit.all() or lit.mean() > MOST_LIT:
        return []
    start = int(np.argmin(lit))
    labels, count = ndimage.label(np.roll(lit, -start))
    arms = []
    for part in ndimage.find_objects(labels)[:count]:
        run = part[0]
        arms.append(
            (((run.start + run.stop - 1) / 2.0 + start) % ANGLES, float(run.stop - run.start))
        )
    return arms


def _star_in(lit: Array, radii_mm: Array) -> Star | None:
    found = [_arms(circle) for circle in lit]
    counts = [len(arms) for arms in found]
    arms = int(np.median(counts))
    agreeing = [i for i, count in enumerate(counts) if count == arms]
    if arms < LEAST_ARMS or arms > 40 or len(agreeing) < AGREEING:
        return None
    angles = np.array([sorted(a for a, _ in found[i]) for i in agreeing])
    widths = np.array([[w for _, w in found[i]] for i in agreeing])
    radii = radii_mm[agreeing]
    # Near the zero angle an arm may come first at one radius and last at another.
    angles = np.unwrap(angles, axis=0, period=ANGLES / arms) if arms else angles
    off_mm = (angles - np.median(angles, axis=0)) * (2.0 * math.pi / ANGLES) * radii[:, None]
    widths_mm = widths * (2.0 * math.pi / ANGLES) * radii[:, None]
    across = np.median(widths_mm, axis=1)
    straight = np.percentile(np.abs(off_mm), 90.0) <= ARM_OFF_MM
    same_width = across[-1] <= 1.6 * across[0] and np.median(widths_mm) <= MOST_SLIT_MM
    if not straight or not same_width:
        return None
    if widths_mm.max() > 2.5 * np.median(widths_mm):
        return None
    return Star(arms, _lines(np.median(angles, axis=0)), float(radii[-1]))


def _lines(angles: Array) -> int:
    """How many arms have an arm on the other side, in pairs."""
    half = ANGLES / 2.0
    off = (angles[:, None] - angles[None, :]) % ANGLES
    return int((np.abs(off - half) < ANGLES / 60.0).any(axis=1).sum()) // 2


def _centered(signal: Array, center: tuple[float, float], radii: Array) -> tuple[float, float]:
    """The point that is nearest to the middle lines of all arms."""
    lit = _circles(signal, center, radii)
    rows, targets = [], []
    inner, outer = _arms(lit[1]), _arms(lit[-2])
    if len(inner) != len(outer) or len(inner) < 3:
        return center
    for (a, _), (b, _) in zip(sorted(inner), sorted(outer), strict=True):
        first = _at(radii[1], a)
        last = _at(radii[-2], b)
        way = np.subtract(last, first)
        length = math.hypot(*way)
        if length < 1.0:
            return center
        normal = np.array([-way[1], way[0]]) / length
        rows.append(normal)
        targets.append(float(normal @ np.asarray(first)))
    move, *_ = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)
    if math.hypot(*move) > 0.3 * radii[0]:
        return center
    return center[0] + float(move[0]), center[1] + float(move[1])


def _at(radius: float, angle: float) -> tuple[float, float]:
    turn = angle * 2.0 * math.pi / ANGLES
    return radius * math.sin(turn), radius * math.cos(turn)
