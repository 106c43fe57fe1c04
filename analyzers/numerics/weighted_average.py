"""The exponentially weighted moving average of a process, which sees small shifts early.

Roberts, Technometrics 1 (1959) 239; Lucas and Saccucci, Technometrics 32 (1990) 1: weights and
widths of equal in-control run length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

WEIGHT, WIDTH = 0.1, 2.814
"""Of the newest value, and of the limits in standard deviations: in control 500 values long."""


def weighted_average(values: Numbers, center: float, weight: float = WEIGHT) -> Numbers:
    """z_i = weight x_i + (1 - weight) z_(i-1), z_0 = center; shape (n,) as `values`."""
    from scipy.signal import lfilter

    if values.size == 0:
        return np.zeros(0)
    start = np.array([(1.0 - weight) * center])
    filtered, _ = lfilter([weight], [1.0, weight - 1.0], values, zi=start)
    return np.asarray(filtered, dtype=np.float64)


def half_widths(n: int, sigma: float, weight: float = WEIGHT, width: float = WIDTH) -> Numbers:
    """Half the distance of the limits at each of the first `n` values, shape (n,)."""
    settled = 1.0 - (1.0 - weight) ** (2.0 * np.arange(1, n + 1))
    widths: Numbers = width * sigma * np.sqrt(weight / (2.0 - weight) * settled)
    return widths
