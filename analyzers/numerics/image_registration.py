"""How far one image is shifted against another, to fractions of a pixel.

The shift is the one that makes the squared difference smallest, found by Gauss-Newton steps on the
images' gradients (Lucas and Kanade 1981) from the whole-pixel maximum of the cross-correlation.  A
factor and an offset between the images are fitted too, so a change of output is not taken for a
shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_STEPS = 12
FINE = 1e-3
"""Steps below this, in pixels, end the search."""
SMOOTH = 1.0
"""Sigma in pixels: gradients of noise would pull the shift to 0."""
FEWEST = 30


@dataclass(frozen=True, slots=True)
class Shift:
    """By how many pixels the image lies further along the rows and columns than the reference."""

    rows: float
    columns: float
    factor: float
    """Image over reference, where both are laid over each other."""
    correlation: float
    """Pearson's, of the two laid over each other, within the mask; NaN of what is flat."""
    error: float
    """Standard error of the shift in pixels, along the worse of rows and columns, as the residual
    has it: where nothing but noise is in the mask it is large."""


def shift_between(
    reference: Floats, image: Floats, mask: Flags | None = None, *, reach: float = 40.0
) -> Shift | None:
    """The shift of `image` against `reference`, both (rows, columns), within the mask.

    `reach` is the largest shift that is looked for, in pixels.  None where nothing in the mask
    tells a shift (a flat image), or where the search does not come to an end.
    ValueError: shapes that differ.
    """
    from scipy import ndimage

    if reference.shape != image.shape:
        raise ValueError(f"images of shapes {reference.shape} and {image.shape}")
    inside = np.ones(reference.shape, np.bool_) if mask is None else mask
    if np.count_nonzero(inside) < FEWEST:
        return None
    smooth = ndimage.gaussian_filter(reference, SMOOTH)
    moving = ndimage.gaussian_filter(image, SMOOTH)
    way = np.array(_whole(smooth, moving, reach), np.float64)
    wanted = smooth[inside]
    factor = 1.0
    for _ in range(MOST_STEPS):
        there = ndimage.shift(moving, -way, order=1, mode="nearest")
        slope_rows, slope_columns = (g[inside] for g in np.gradient(there))
        found = there[inside]
        table = np.column_stack([slope_rows, slope_columns, wanted, np.ones_like(wanted)])
        # A way that is short by d leaves there = factor * reference + offset - d . slope.
        normal = table.T @ table
        if not np.isfinite(normal).all() or np.linalg.cond(normal) > 1e14:
            return None
        step = np.linalg.solve(normal, table.T @ found)
        move = -np.clip(step[:2], -2.0, 2.0)
        factor = float(step[2])
        way += move
        if np.abs(way).max() > reach:
            return None
        if np.abs(move).max() < FINE:
            break
    there = ndimage.shift(moving, -way, order=1, mode="nearest")[inside]
    return Shift(
        float(way[0]),
        float(way[1]),
        factor,
        _correlation(wanted, there),
        _error(table, found),
    )


def _whole(reference: Floats, image: Floats, reach: float) -> tuple[int, int]:
    """The whole-pixel shift of the largest cross-correlation."""
    from scipy import fft

    shape = tuple(fft.next_fast_len(2 * n, real=True) for n in reference.shape)
    a = fft.rfft2((reference - reference.mean()).astype(np.float32), s=shape)
    b = fft.rfft2((image - image.mean()).astype(np.float32), s=shape)
    correlation = fft.irfft2(b * np.conj(a), s=shape)
    allowed = min(int(reach), min(reference.shape) - 1)
    near = np.roll(correlation, (allowed, allowed), (0, 1))[: 2 * allowed + 1, : 2 * allowed + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return int(row) - allowed, int(column) - allowed


def _error(table: Floats, found: Floats) -> float:
    """Of the two shifts, by the covariance of the fit; neighbors share the noise they hold."""
    solved, *_ = np.linalg.lstsq(table, found, rcond=None)
    left = found - table @ solved
    shared = 4.0 * np.pi * SMOOTH**2
    variance = float(left @ left) * shared / len(found)
    spread = np.diag(np.linalg.pinv(table.T @ table))[:2]
    return float(np.sqrt(variance * spread.max()))


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0.0 else float("nan")
