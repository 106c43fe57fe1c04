"""A round phantom in a picture: its rim, and discs on a circle within it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from analyzers.numerics.image_patterns import Array, Picture, block_mean

MOST_SIDE_PX = 260
STRONGEST_SHARE = 0.04
LEAST_RADIUS_SHARE, MOST_RADIUS_SHARE = 0.15, 0.5
LEAST_RIM = 0.75
"""Share of the way around on which the rim is seen."""
SECTORS = 120
STEP_DEG = 0.5


@dataclass(frozen=True, slots=True)
class Rings:
    """A rim, its radius, and how many discs lie at equal distances on a circle within."""

    radius_mm: float
    rim: float
    discs: int
    spacing_deg: float


def rings(picture: Picture) -> Rings | None:
    """The rim of a round object that is darker or lighter than what is around it."""
    factor = max(1, math.ceil(max(picture.signal.shape) / MOST_SIDE_PX))
    small = block_mean(picture.signal, factor)
    smooth = ndimage.gaussian_filter(small, 1.0)
    rows, columns = np.gradient(smooth)
    size = np.hypot(rows, columns)
    strong = size > max(1e-6, float(np.quantile(size, 1.0 - STRONGEST_SHARE)))
    y, x = (place.astype(np.float64) for place in np.nonzero(strong))
    down, right = rows[strong] / size[strong], columns[strong] / size[strong]
    side = min(small.shape)
    radii = np.arange(LEAST_RADIUS_SHARE * side, MOST_RADIUS_SHARE * side)
    center = _voted(small.shape, (y, x), (down, right), radii)
    if center is None:
        return None
    found = _rim(center, (y, x), (down, right), radii)
    if found is None:
        return None
    radius, seen = found
    place = tuple((c + 0.5) * factor - 0.5 for c in center)
    discs, spacing = _discs(picture.signal, (place[0], place[1]), radius * factor)
    return Rings(radius * factor * picture.step_mm, seen, discs, spacing)


def _voted(
    shape: tuple[int, ...], places: tuple[Array, Array], ways: tuple[Array, Array], radii: Array
) -> tuple[float, float] | None:
    """Where most edges would have their center."""
    votes = np.zeros(shape[0] * shape[1])
    for side in (1.0, -1.0):
        row = np.rint(places[0][:, None] + side * ways[0][:, None] * radii).astype(np.int64)
        column = np.rint(places[1][:, None] + side * ways[1][:, None] * radii).astype(np.int64)
        inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        index = row[inside] * shape[1] + column[inside]
        votes += np.bincount(index, minlength=votes.size)
    even = ndimage.gaussian_filter(votes.reshape(shape), 1.5)
    best = np.unravel_index(int(even.argmax()), shape)
    return (float(best[0]), float(best[1])) if even.max() > 0.0 else None


def _rim(
    center: tuple[float, float],
    places: tuple[Array, Array],
    ways: tuple[Array, Array],
    radii: Array,
) -> tuple[float, float] | None:
    """The radius at which edges that face the center are seen almost all the way around."""
    down, right = places[0] - center[0], places[1] - center[1]
    away = np.hypot(down, right)
    facing = np.abs(down * ways[0] + right * ways[1]) > 0.93 * np.maximum(away, 1.0)
    sector = ((np.arctan2(down, right) + math.pi) / (2.0 * math.pi) * SECTORS).astype(np.int64)
    best: tuple[float, float] | None = None
    for radius in radii[::-1]:
        near = facing & (np.abs(away - radius) <= 2.0)
        seen = len(np.unique(sector[near] % SECTORS)) / SECTORS
        if seen >= LEAST_RIM and (best is None or seen > best[1] + 0.05):
            best = (float(radius), seen)
    return best


def _discs(signal_: Array, center: tuple[float, float], radius: float) -> tuple[int, float]:
    """How many spots lie at equal angles on one circle inside, and that angle."""
    angles = np.deg2rad(np.arange(0.0, 360.0, STEP_DEG))
    best = (0, 0.0)
    for share in np.arange(0.55, 0.95, 0.025):
        rows = center[0] + share * radius * np.sin(angles)
        columns = center[1] + share * radius * np.cos(angles)
        circle = ndimage.map_coordinates(signal_, [rows, columns], order=1, mode="nearest")
        even = ndimage.uniform_filter1d(circle, round(3.0 / STEP_DEG), mode="wrap")
        rest = np.abs(even - ndimage.median_filter(even, round(40.0 / STEP_DEG), mode="wrap"))
        noise = 1.4826 * float(np.median(np.abs(circle - even)))
        peaks, _ = signal.find_peaks(rest, height=max(0.01, 2.0 * noise), distance=8.0 / STEP_DEG)
        if len(peaks) < 6:
            continue
        gaps = np.diff(peaks) * STEP_DEG
        usual = float(np.median(gaps))
        regular = int((np.abs(gaps - usual) <= 2.0).sum()) + 1
        if regular > best[0]:
            best = (regular, usual)
    return best
