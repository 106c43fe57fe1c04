"""Pictures of patients' beams, and of tests nobody knows: none is a known test of a machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from analyzers.portal_images import PortalImage
from tests.portal_pictures import Array, Panel, Plane, Rng, exposed, plane


def _leaves(at: Plane, rng: Rng) -> tuple[Array, int]:
    leaf = float(rng.choice([2.5, 5.0, 10.0]))
    reach = rng.uniform(25.0, 0.8 * at.half_mm)
    pair = np.floor((at.y + reach) / leaf).astype(np.int64)
    count = int(2.0 * reach / leaf)
    return np.where((pair >= 0) & (pair < count), pair, -1), count


def _aperture(at: Plane, rng: Rng, pair: Array, count: int, half: float) -> Array:
    """A conformal opening: leaf ends wander from pair to pair."""
    middle = np.cumsum(rng.normal(0.0, 2.0, count)) + rng.normal(0.0, 0.3 * half)
    width = np.abs(half + np.cumsum(rng.normal(0.0, 3.0, count))) * rng.uniform(0.3, 1.0)
    left, right = np.append(middle - width, 1e3), np.append(middle + width, -1e3)
    return at.edge(at.x - left[pair]) * at.edge(right[pair] - at.x)


def sliding_window(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """Fluence in beamlets, smooth along the leaves, as an optimizer makes it."""
    at = plane(rng, panels)
    pair, count = _leaves(at, rng)
    cells = max(4, int(rng.uniform(8, 40)))
    table = ndimage.gaussian_filter(rng.random((count + 1, cells)), (rng.uniform(0, 2), 1.0))
    table = (table - table.min()) / np.ptp(table) * rng.uniform(0.3, 1.0) + rng.uniform(0.05, 0.5)
    table[-1] = 0.0
    half = rng.uniform(25.0, 0.85 * at.half_mm)
    place = np.clip((at.x + half) / (2.0 * half) * (cells - 1), 0, cells - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, cells - 1)
    fluence = table[pair, low] * (1 - place + low) + table[pair, high] * (place - low)
    outline = _aperture(at, rng, pair, count, half)
    return exposed(at, fluence * outline, rng)


def composite(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """An arc: many openings one after another."""
    at = plane(rng, panels)
    pair, count = _leaves(at, rng)
    half = rng.uniform(15.0, 0.5 * at.half_mm)
    total = np.zeros(at.x.shape)
    for _ in range(12):
        total += rng.uniform(0.2, 1.0) * _aperture(at, rng, pair, count, half)
    return exposed(at, total / 12.0, rng)


def segments(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """Step and shoot: a few openings."""
    at = plane(rng, panels)
    pair, count = _leaves(at, rng)
    half = rng.uniform(20.0, 0.7 * at.half_mm)
    total = np.zeros(at.x.shape)
    for _ in range(int(rng.integers(1, 6))):
        total += rng.uniform(0.2, 1.0) * _aperture(at, rng, pair, count, half)
    return exposed(at, total / 3.0, rng)


def transit(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """A rectangular field through a patient: bones, air, outline."""
    at = plane(rng, panels, 0.0)
    x, y = rng.uniform(40.0, 0.9 * at.half_mm, 2)
    depth = np.full(at.x.shape, rng.uniform(0.5, 1.5))
    for _ in range(int(rng.integers(4, 12))):
        cx, cy = rng.uniform(-x, x), rng.uniform(-y, y)
        rx, ry = rng.uniform(8.0, 60.0, 2)
        inside = 1.0 - ((at.x - cx) / rx) ** 2 - ((at.y - cy) / ry) ** 2
        depth += rng.uniform(-0.4, 0.4) * np.sqrt(np.clip(inside, 0.0, None))
    return exposed(at, at.rectangle((-x, x), (-y, y)) * np.exp(-depth), rng)


def wedge(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """A field under a wedge of 30 degrees or more."""
    at = plane(rng, panels, 0.0)
    x, y = rng.uniform(40.0, min(100.0, 0.9 * at.half_mm), 2)
    slope = rng.uniform(0.004, 0.009)
    return exposed(at, at.rectangle((-x, x), (-y, y)) * np.exp(-slope * (at.x + x)), rng)


def unknown_test(rng: Rng, panels: tuple[Panel, ...]) -> PortalImage:
    """A chess board, strips of other widths, bars that differ, a cross."""
    at = plane(rng, panels)
    half = 0.7 * at.half_mm
    field = at.rectangle((-half, half), (-half, half))
    pick = rng.integers(4)
    if pick == 0:
        size = rng.uniform(12.0, 40.0)
        board = np.sin(np.pi * at.x / size) * np.sin(np.pi * at.y / size)
        return exposed(at, field * (0.1 + 0.9 * (board > 0)), rng)
    if pick == 1:
        count = int(rng.choice([2, 3, 5, 6, 8]))
        step = np.clip(np.floor((at.x + half) / (2 * half) * count), 0, count - 1)
        return exposed(at, field * rng.uniform(0.2, 1.0, count)[step.astype(np.int64)], rng)
    if pick == 2:
        bars = np.zeros(at.x.shape)
        for place in np.sort(rng.uniform(-half, half, int(rng.integers(3, 6)))):
            width = rng.uniform(3.0, 20.0)
            bars += rng.uniform(0.3, 1.0) * at.edge(width / 2 - np.abs(at.x - place))
        return exposed(at, field * np.minimum(bars, 1.5), rng)
    width = rng.uniform(5.0, 20.0)
    cross = np.maximum(at.edge(width - np.abs(at.x)), at.edge(width - np.abs(at.y)))
    return exposed(at, field * cross, rng)


CLINICAL: dict[str, Callable[[Rng, tuple[Panel, ...]], PortalImage]] = {
    "sliding window": sliding_window,
    "composite of an arc": composite,
    "segments": segments,
    "transit": transit,
    "wedge": wedge,
}
UNKNOWN = {"unknown test": unknown_test}
