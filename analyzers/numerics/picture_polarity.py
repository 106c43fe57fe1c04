"""Which way the values of a radiograph run, as the picture itself shows it.

What a collimator blocks gets the least radiation, and that is the border of an image, or what is
outside of the jaws where they are known.  A border at the lower end of the values says that they
rise with radiation.  Where it is at neither end (a phantom fills the panel, and little is blocked),
values still fall or rise across the edge of the field.  A picture that shows neither says nothing,
nor does one whose signal is nearly the same everywhere: a field that is larger than the panel is a
little brighter or darker towards its border, and nothing there is blocked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

BLOCK_PX = 4
"""Means of so many pixels squared are looked at: a dead pixel decides nothing."""
ENDS_PERCENT = (0.05, 99.95)
AT_AN_END = 0.15
BORDER = 0.03
"""Share of the shorter side that is taken for the border."""
INSIDE = (0.06, 0.10)
STEP = 0.04
FEWEST_BLOCKED = 0.02
FEWEST_BLOCKS = 16


LEAST_MODULATION = 0.2


def rises(
    values: Array, blocked: Mask | None = None, *, no_signal: tuple[float, float] | None = None
) -> bool | None:
    """Whether values rise with radiation, None where the picture does not tell.

    `values` has the shape `(rows, columns)`; `blocked` says of each block of pixels, with its
    middle where `block_middles` has it, whether the jaws shield it.  Without it the border of the
    image is taken.  `no_signal` is the value of no radiation if values rise, and if they fall.
    """
    if min(values.shape) < BLOCK_PX * FEWEST_BLOCKS:
        return None
    means = _block_means(values)
    low, high = np.percentile(means, ENDS_PERCENT)
    if not high > low:
        return None
    if blocked is not None:
        if blocked.mean() < FEWEST_BLOCKED:
            return None
        found = _at_an_end(float(np.median(means[blocked])), low, high)
    else:
        border = float(np.median(means[_border(means.shape)]))
        found = _at_an_end(border, low, high)
        found = _across_the_edge(means, high - low) if found is None else found
    if found is None or no_signal is None:
        return found
    most = high - no_signal[0] if found else no_signal[1] - low
    return found if high - low >= LEAST_MODULATION * most else None


def block_middles(size: int) -> Array:
    """Where blocks have their middle along an axis of so many pixels, counted in pixels from 0."""
    return np.arange(size // BLOCK_PX) * BLOCK_PX + (BLOCK_PX - 1) / 2.0


def _block_means(values: Array) -> Array:
    rows, columns = (size // BLOCK_PX for size in values.shape)
    whole = values[: rows * BLOCK_PX, : columns * BLOCK_PX]
    # One axis at a time is several times as fast as both at once.
    summed = sum(whole[:, k::BLOCK_PX] for k in range(BLOCK_PX))
    blocks = sum(np.asarray(summed)[k::BLOCK_PX] for k in range(BLOCK_PX))
    return np.asarray(blocks, np.float64) / BLOCK_PX**2


def _border(shape: tuple[int, ...]) -> Mask:
    width = max(1, round(BORDER * min(shape)))
    border = np.ones(shape, np.bool_)
    border[width:-width, width:-width] = False
    return border


def _at_an_end(blocked: float, low: float, high: float) -> bool | None:
    share = (blocked - low) / (high - low)
    if share <= AT_AN_END:
        return True
    return False if share >= 1.0 - AT_AN_END else None


def _across_the_edge(means: Array, span: float) -> bool | None:
    """What at least three of the four sides say, where none says the contrary."""
    steps = []
    for side in (means, means[::-1], means.T, means.T[::-1]):
        first, last = (max(1, round(share * min(means.shape))) for share in INSIDE)
        step = (np.median(side[first : last + 1]) - np.median(side[0])) / span
        steps.append(float(step))
    rising = sum(step > STEP for step in steps)
    falling = sum(step < -STEP for step in steps)
    if rising >= 3 and not falling:
        return True
    return False if falling >= 3 and not rising else None
