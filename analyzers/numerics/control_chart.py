"""A control chart of individual values: where values of a process come to lie by chance alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Values without which there are no limits: in-control runs of 20 to 40 are asked for."""

RANGE_PER_SIGMA = 2.0 / np.sqrt(np.pi)
"""d2 of two values: the mean moving range of normal values over their standard deviation."""

WILD = 5.0
"""Mean moving ranges: 5.6 standard deviations, of normal values one range in 15,000."""


def sigma_of_ranges(values: NDArray[np.floating[Any]], process: NDArray[np.integer[Any]]) -> float:
    """Standard deviation of single values from their mean moving range, over 1.128.

    `values` and `process`, shape (n,), in order of time; a range between values of two processes
    is none.  Slow changes hardly widen it, and ranges of more than `WILD` mean ranges are left out.
    NaN for fewer ranges than `FEWEST` values have.
    """
    ranges = np.abs(np.diff(values))[process[1:] == process[:-1]]
    while ranges.size >= FEWEST - 1:
        mean = float(ranges.mean())
        kept = ranges <= WILD * mean
        if kept.all():
            return mean / float(RANGE_PER_SIGMA)
        ranges = ranges[kept]
    return float("nan")
