"""A control chart of individual values: where values of a process come to lie by chance alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Values without which there are no limits: in-control runs of 20 to 40 are asked for."""

RANGE_PER_SIGMA = 2.0 / np.sqrt(np.pi)
"""d2 of two values: the mean moving range of normal values over their standard deviation."""


WILD = 5.0
"""Mean moving ranges: 5.6 standard deviations, of normal values one range in 15,000."""


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """Center line and limits of an individuals chart, in the unit of the values.

    `values` is how many they were found from.
    """

    center: float
    lower: float
    upper: float
    values: int


def control_limits(values: NDArray[np.floating[Any]]) -> ControlLimits | None:
    """Mean +/- 2.660 mean moving ranges; None for fewer than `FEWEST` values.

    `values`, shape (n,), are in order of time and finite.  Values outside are left out and the
    limits found anew until none is: what has a cause of its own must not widen them (Shewhart's
    individuals chart; for radiotherapy Jin et al., J Radiat Res 63:128, 2022: 30 to 40 values).
    Raises ValueError for other values.
    """
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("a control chart needs finite values in one row")
    while values.size >= FEWEST:
        center = float(values.mean())
        reach = 3.0 / RANGE_PER_SIGMA * float(np.abs(np.diff(values)).mean())
        # Equal values have no range, and their mean may round to another number.
        inside = np.abs(values - center) <= reach + 1e-12 * abs(center)
        if inside.all():
            return ControlLimits(center, center - reach, center + reach, int(values.size))
        values = values[inside]
    return None


def sigma_of_ranges(values: NDArray[np.floating[Any]], process: NDArray[np.integer[Any]]) -> float:
    """Standard deviation of single values from their mean moving range, over 1.128.

    `values` and `process`, shape (n,), in order of time; a range between values of two processes
    is none.  Slow changes hardly widen it, and ranges of more than `WILD` mean ranges are left out.
    NaN for fewer than `FEWEST` ranges.
    """
    ranges = np.abs(np.diff(values))[process[1:] == process[:-1]]
    while ranges.size >= FEWEST:
        mean = float(ranges.mean())
        kept = ranges <= WILD * mean
        if kept.all():
            return mean / float(RANGE_PER_SIGMA)
        ranges = ranges[kept]
    return float("nan")
