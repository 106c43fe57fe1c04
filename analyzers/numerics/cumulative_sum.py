"""The cumulative sum of a process: a small shift that lasts, and where it began.

Page, Biometrika 41 (1954) 100; two-sided, in standard deviations.  With slack 0.5 and threshold 5
a steady process is left alone for 465 values, and a shift of one sigma is seen after 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

SLACK, THRESHOLD = 0.5, 5.0


@dataclass(frozen=True, slots=True)
class CumulativeSums:
    """Both sums, shape (n,), in standard deviations; neither is ever negative.

    `signal` is the first value at which one exceeds the threshold, and `change` the first after
    which that one was not zero again; None without a signal.
    """

    upper: Numbers
    lower: Numbers
    signal: int | None
    change: int | None


def cumulative_sums(
    values: Numbers,
    center: float,
    sigma: float,
    slack: float = SLACK,
    threshold: float = THRESHOLD,
) -> CumulativeSums:
    """C+_i = max(0, C+_(i-1) + (x_i - center)/sigma - slack), and C- the same downwards.

    `values` has shape (n,).  Raises ValueError for a sigma that is not positive.
    """
    if not sigma > 0.0:
        raise ValueError("a cumulative sum needs a spread")
    scaled = (values - center) / sigma
    upper, lower = _sums(scaled - slack), _sums(-scaled - slack)
    beyond = np.flatnonzero((upper > threshold) | (lower > threshold))
    if beyond.size == 0:
        return CumulativeSums(upper, lower, None, None)
    signal = int(beyond[0])
    of = upper if upper[signal] > threshold else lower
    zeros = np.flatnonzero(of[: signal + 1] == 0.0)
    return CumulativeSums(upper, lower, signal, int(zeros[-1]) + 1 if zeros.size else 0)


def _sums(steps: Numbers) -> Numbers:
    """max(0, s_(i-1) + step_i) for all i: a running sum minus its running minimum, or zero."""
    total = np.cumsum(steps)
    floor = np.minimum(0.0, np.minimum.accumulate(total))
    sums: Numbers = total - floor
    return sums
