"""Parallel stripes in a picture: the pickets of a picket fence, the seams of a VMAT test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from analyzers.numerics.image_patterns import Array, Field, Picture, sampled

Indices = NDArray[np.int64]

MOST_STRIPES = 40

BANDS = 7
"""A stripe is looked at in so many parts along its length."""
ROWS_PER_BAND = 16
LEAST_PITCH_MM, MOST_PITCH_MM = 8.0, 50.0
LEAST_STRIPE_MM = 30.0
"""Stripes shorter than this are spots."""
IN_BEAM = 0.25


@dataclass(frozen=True, slots=True)
class Demand:
    """What stripes must show to count as pickets."""

    stripes: int
    prominence: float
    """Of a stripe over the darkness beside it, as a part of its signal."""
    likeness: float
    """Correlation of each part along the stripes with all of them."""
    evenness: float
    """Lowest prominence over the highest."""


SURE = Demand(stripes=4, prominence=0.22, likeness=0.8, evenness=0.33)
WITH_A_LABEL = Demand(stripes=3, prominence=0.12, likeness=0.5, evenness=0.2)
"""Where a label says so already, the picture need only agree."""
BANDS_ALIKE = 5
LEAST_UNBROKEN = 0.85
ENOUGH, MANY = 5, 8
"""Fewer stripes must stand out twice as much: three seams of a VMAT test are no pickets."""
MOST_WIDTH_OF_PITCH = 0.62
"""Stripes wider than this are fields side by side with seams between them."""
MOST_WIDTH_MM = 10.0
MOST_WIDTH_RATIO = 2.2
PITCH_OFF_MM, PITCH_OFF_SHARE = 2.0, 0.08
"""A picket may be out of its place by so much, and is a picket still."""


@dataclass(frozen=True, slots=True)
class Stripes:
    """So many equal stripes at one pitch; `missing` places between them are empty."""

    count: int
    pitch_mm: float
    width_mm: float
    angle_deg: float
    """Of the way across the stripes, from columns towards rows."""
    missing: int
    sure: bool
    """Else it needs a label that says the same."""


def stripes(picture: Picture) -> Stripes | None:
    """Narrow, equally bright, equally spaced parallel stripes, in any direction."""
    main = _direction_rad(picture.coarse)
    ways = [_rows_across(picture, angle) for angle in (main, main + math.pi / 2.0)]
    for demand in (SURE, WITH_A_LABEL):
        found = [
            None if way is None else _stripes_in(*way, picture.step_mm, demand) for way in ways
        ]
        if all(found):
            # Stripes both ways are a grid or a board.
            return None
        if any(found):
            return found[0] or found[1]
    return None


def _direction_rad(picture: Picture) -> float:
    """The direction in which the signal changes most, by the second moments of its gradient."""
    rows, columns = np.gradient(ndimage.gaussian_filter(picture.signal, 0.7))
    return 0.5 * math.atan2(
        2.0 * float((rows * columns).sum()), float((columns**2).sum() - (rows**2).sum())
    )


def _stripes_in(rows: Array, angle: float, step: float, demand: Demand) -> Stripes | None:
    grid = _bands(rows)
    profile = np.nanmedian(grid, axis=0)
    profile = np.where(np.isfinite(profile), profile, np.nanmin(profile))
    smooth = ndimage.gaussian_filter1d(profile, 0.5 / step)
    least = 0.5 * demand.prominence * float(smooth.max())
    peaks, _ = signal.find_peaks(smooth, prominence=least, distance=max(1.0, 5.0 / step))
    if not demand.stripes <= len(peaks) <= MOST_STRIPES:
        return None
    heights, left, right = _over_valleys(smooth, peaks)
    shapes = (heights, left, right)
    widths_mm = signal.peak_widths(smooth, peaks, rel_height=0.5, prominence_data=shapes)[0] * step
    places_mm = np.array([_top(smooth, int(p)) for p in peaks]) * step
    found = _pitch(places_mm)
    if found is None:
        return None
    pitch_mm, missing = found
    width_mm = float(np.median(widths_mm))
    alike = (
        heights.min() >= demand.evenness * heights.max()
        and np.median(heights / smooth[peaks]) >= demand.prominence
        and widths_mm.max() <= MOST_WIDTH_RATIO * max(width_mm, 2.0 * step)
        and width_mm <= min(MOST_WIDTH_OF_PITCH * pitch_mm, MOST_WIDTH_MM)
        and (len(peaks) >= ENOUGH or np.median(heights / smooth[peaks]) >= 2.0 * demand.prominence)
        and LEAST_PITCH_MM <= pitch_mm <= MOST_PITCH_MM
        and missing <= (1 if len(peaks) < MANY else 2)
    )
    inside = slice(max(0, int(peaks[0] - pitch_mm / step)), int(peaks[-1] + pitch_mm / step))
    if not alike or _bands_alike(grid[:, inside], profile[inside], demand.likeness) < BANDS_ALIKE:
        return None
    if _unbroken(rows, peaks, pitch_mm / step, heights) < LEAST_UNBROKEN:
        return None
    degrees = math.degrees(angle) % 180.0
    return Stripes(len(peaks), pitch_mm, width_mm, degrees, missing, demand is SURE)


def _over_valleys(profile: Array, peaks: Indices) -> tuple[Array, Indices, Indices]:
    """Height of each peak over the higher of the valleys beside it, and where these are.

    Beyond the first and the last peak no farther away than peaks are apart: a whole field rises
    out of the darkness there.
    """
    gap = int(np.median(np.diff(peaks)))
    ends = [max(0, int(peaks[0]) - gap), *map(int, peaks), min(len(profile) - 1, peaks[-1] + gap)]
    valleys = np.array([a + int(profile[a : b + 1].argmin()) for a, b in pairwise(ends)])
    left, right = valleys[:-1], valleys[1:]
    heights = profile[peaks] - np.maximum(profile[left], profile[right])
    return heights, left, right


def _unbroken(rows: Array, peaks: Indices, pitch_px: float, heights: Array) -> float:
    """Share of all places along the stripes where they stand out of what is between them."""
    reach = max(1, round(0.15 * pitch_px))
    half = round(0.5 * pitch_px)
    last = rows.shape[1] - 1
    tops = np.stack([rows[:, np.clip(peaks + d, 0, last)] for d in range(-reach, reach + 1)]).max(
        axis=0
    )
    left, right = (rows[:, np.clip(peaks + d, 0, last)] for d in (-half, half))
    out = tops - np.where(np.isfinite(left) & np.isfinite(right), np.minimum(left, right), left)
    known = np.isfinite(out)
    stands = out > 0.3 * heights
    return float(stands[known].mean()) if known.any() else 0.0


def _rows_across(picture: Picture, angle: float) -> tuple[Array, float] | None:
    """Signals across and along the stripes, `(v, u)`, and the angle at which they run best."""
    coarse = picture.coarse
    rows, columns = np.nonzero(coarse.signal > IN_BEAM)
    if len(rows) < 50:
        return None
    cos, sin = math.cos(angle), math.sin(angle)
    u = (columns * cos + rows * sin) * coarse.step_mm
    v = (rows * cos - columns * sin) * coarse.step_mm
    low_u, high_u = np.percentile(u, (0.5, 99.5))
    low_v, high_v = np.percentile(v, (2.0, 98.0))
    if high_v - low_v < LEAST_STRIPE_MM or high_u - low_u < 2.0 * LEAST_PITCH_MM:
        return None
    middle_u, middle_v = (low_u + high_u) / 2.0, (low_v + high_v) / 2.0
    center = picture.fine(
        (
            (middle_u * sin + middle_v * cos) / coarse.step_mm,
            (middle_u * cos - middle_v * sin) / coarse.step_mm,
        )
    )
    half_u, half_v = (high_u - low_u) / 2.0 + 12.0, 0.45 * (high_v - low_v)
    found = _rows(picture, center, angle, half_u, half_v)
    turn = _lean(_bands(found), picture.step_mm, 2.0 * half_v)
    if turn == 0.0:
        return found, angle
    return _rows(picture, center, angle + turn, half_u, half_v), angle + turn


def _lean(grid: Array, step: float, along_mm: float) -> float:
    """By what angle the stripes still lean: the last parts lie beside the first."""
    first, last = (np.nan_to_num(grid[k] - np.nanmean(grid[k])) for k in (1, BANDS - 2))
    reach = min(round(5.0 / step), len(first) // 3)
    if reach < 1 or not (np.any(first) and np.any(last)):
        return 0.0
    inner = first[reach:-reach]
    scores = [inner @ last[reach + d : len(last) - reach + d] for d in range(-reach, reach + 1)]
    shift = int(np.argmax(scores)) - reach
    if abs(shift) in (0, reach):
        return 0.0
    return -math.atan2(shift * step, along_mm * (BANDS - 3) / BANDS)


def _rows(
    picture: Picture, center: tuple[float, float], angle: float, half_u: float, half_v: float
) -> Array:
    u_mm = np.arange(-half_u, half_u + picture.step_mm / 2.0, picture.step_mm)
    v_mm = np.linspace(-half_v, half_v, BANDS * ROWS_PER_BAND)
    rows = sampled(picture, center, angle, u_mm, v_mm)
    # Ends that half of the length does not reach are not in the picture.
    return rows[:, np.isfinite(rows).mean(axis=0) > 0.4]


def _bands(rows: Array) -> Array:
    """Means of parts along the stripes; `(BANDS, u)`, NaN where a part is outside."""
    grid = rows.reshape(BANDS, ROWS_PER_BAND, -1)
    known = np.isfinite(grid)
    count = known.sum(axis=1)
    total = np.where(known, grid, 0.0).sum(axis=1)
    mean = np.where(count < ROWS_PER_BAND // 4, np.nan, total / np.maximum(count, 1))
    return np.asarray(mean, np.float64)


def _bands_alike(grid: Array, profile: Array, likeness: float) -> int:
    alike = 0
    for band in grid:
        known = np.isfinite(band)
        if known.sum() < 10 or np.std(band[known]) == 0.0 or np.std(profile[known]) == 0.0:
            continue
        alike += bool(np.corrcoef(band[known], profile[known])[0, 1] >= likeness)
    return alike


def _top(profile: Array, peak: int) -> float:
    """The top of a peak between pixels, by the parabola through three of them."""
    if not 0 < peak < len(profile) - 1:
        return float(peak)
    left, middle, right = profile[peak - 1 : peak + 2]
    bend = left - 2.0 * middle + right
    return float(peak + (0.5 * (left - right) / bend if bend < 0.0 else 0.0))


def _pitch(places_mm: Array) -> tuple[float, int] | None:
    """The one distance of which all distances are a multiple, and how many places are empty."""
    gaps = np.diff(places_mm)
    for base in sorted({float(g / n) for g in (np.median(gaps), gaps.min()) for n in (1, 2)})[::-1]:
        steps = np.round(gaps / base)
        missing = int(steps.sum()) - len(gaps)
        if steps.min() < 1 or missing > max(1, len(gaps) // 2):
            continue
        index = np.concatenate([[0.0], np.cumsum(steps)])
        pitch, start = np.polyfit(index, places_mm, 1)
        off = np.abs(places_mm - (start + pitch * index)).max()
        if off <= max(PITCH_OFF_MM, PITCH_OFF_SHARE * pitch) and off < 0.2 * pitch:
            return float(pitch), missing
    return None


SEAM_WIDTH_MM = 9.0
SEAM_LEAST_SHARE = 0.012
"""A seam differs from the strips beside it by this much at least."""
SEAM_OVER_NOISE = 5.0
SEAM_OFF_MM = 2.0
SEAM_LIKENESS = 0.5
END_MM = 6.0


@dataclass(frozen=True, slots=True)
class Seams:
    """Thin parallel lines through a field, lighter or darker, that part it into strips."""

    count: int
    pitch_mm: float
    """0 where they are at no equal distance."""
    across_mm: float
    """Width of the field in the direction across them."""
    depth: float
    """The median one, as a part of the signal beside it, less than 0 where darker."""
    off_center_mm: float
    angle_deg: float


def seams(picture: Picture, field: Field, least_share: float = SEAM_LEAST_SHARE) -> Seams | None:
    """Seams across one or the other side of a field; the direction that has more of them."""
    found = [_seams_across(picture, field, turned, least_share) for turned in (False, True)]
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: (each.pitch_mm > 0.0, each.count), default=None)


def _seams_across(picture: Picture, field: Field, turned: bool, least_share: float) -> Seams | None:
    angle = field.angle_rad + (math.pi / 2.0 if turned else 0.0)
    across, along = field.sides_mm[::-1] if turned else field.sides_mm
    if across < 40.0 or along < 30.0:
        return None
    center = picture.fine(field.center)
    grid = _bands(_rows(picture, center, angle, across / 2.0 - END_MM, 0.42 * along))
    if grid.shape[1] < 20:
        return None
    step = picture.step_mm
    smooth = max(3, round(14.0 / step)) | 1
    level = ndimage.median_filter(np.nanmedian(grid, axis=0), smooth, mode="nearest")
    if not np.all(level > 0.2):
        return None
    parts = grid / ndimage.median_filter(grid, (1, smooth), mode="nearest") - 1.0
    profile = np.nanmedian(parts, axis=0)
    noise = 1.4826 * float(np.median(np.abs(profile - np.median(profile))))
    least = max(least_share, SEAM_OVER_NOISE * noise)
    best: Seams | None = None
    for sign in (1.0, -1.0):
        peaks, _ = signal.find_peaks(sign * profile, height=least, distance=max(1.0, 6.0 / step))
        if len(peaks) == 0:
            continue
        widths = signal.peak_widths(sign * profile, peaks, rel_height=0.5)[0] * step
        peaks = peaks[widths <= SEAM_WIDTH_MM]
        if len(peaks) == 0 or _bands_alike(parts, profile, SEAM_LIKENESS) < BANDS_ALIKE:
            continue
        each = _seams_at(peaks, profile, step, across, angle)
        if best is None or (each.count, abs(each.depth)) > (best.count, abs(best.depth)):
            best = each
    return best


def _seams_at(peaks: Array, profile: Array, step: float, across: float, angle: float) -> Seams:
    places = peaks * step
    middle = (len(profile) - 1) / 2.0 * step
    gaps = np.diff(places)
    even = len(gaps) >= 2 and bool(np.abs(gaps - gaps.mean()).max() <= SEAM_OFF_MM)
    return Seams(
        count=len(peaks),
        pitch_mm=float(gaps.mean()) if even else 0.0,
        across_mm=across,
        depth=float(np.median(profile[peaks.astype(np.int64)])),
        off_center_mm=float(places.mean() - middle),
        angle_deg=math.degrees(angle) % 180.0,
    )
