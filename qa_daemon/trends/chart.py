"""The control chart of a series: what is usual, found from its first values and then held.

Phase one takes the first 30 values of a process (20 at least) for center and spread; phase two
watches those that follow, by single values beyond 3 sigma and by an exponentially weighted average.
Together they speak once in about 220 values of a steady process.  Limits that a physicist signed
take the place of the first values.  Where neighbors are alike, moving ranges are too small, and the
spread of all values takes their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.control_chart import FEWEST, RANGE_PER_SIGMA, sigma_of_ranges
from analyzers.numerics.forecast import MAD_PER_SIGMA
from analyzers.numerics.weighted_average import half_widths, weighted_average

Numbers = NDArray[np.floating[Any]]
Marks = NDArray[np.bool_]

PHASE_ONE = 30
SIGMAS = 3.0
OUTLYING = 4.5
"""Robust spreads from the median: in phase one, such a value has a cause of its own."""
RANGE_LIMIT = 3.266532
"""D4 of two values: the upper limit of moving ranges over their mean."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What a process is like: center and standard deviation of single values, from `values` values.

    `alike` is the correlation of neighbors; `widened`: because of it, the spread of all values is
    taken and not that of moving ranges.
    """

    center: float
    sigma: float
    values: int
    alike: float
    widened: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One process as a chart; rows have the shape of its values, (n,).

    `offsets` are the values minus the center, `watched` those of phase two.  `average` and
    `average_reach` are NaN before it.
    """

    usual: Usual
    offsets: Numbers
    watched: Marks
    beyond: Marks
    average: Numbers
    average_reach: Numbers
    average_beyond: Marks
    range_high: float

    @property
    def low(self) -> float:
        """The lower control limit."""
        return self.usual.center - SIGMAS * self.usual.sigma

    @property
    def high(self) -> float:
        """The upper control limit."""
        return self.usual.center + SIGMAS * self.usual.sigma


def usual_of(values: Numbers) -> Usual | None:
    """What the first values of a process say, shape (n,); None for too few."""
    first = values[:PHASE_ONE]
    if first.size < FEWEST:
        return None
    off = np.abs(first - np.median(first))
    spread = max(_of_ranges(first), float(np.median(off)) / MAD_PER_SIGMA)
    kept = first[off <= OUTLYING * spread]
    sigma, overall = _of_ranges(kept), float(kept.std(ddof=1))
    alike = _alike(kept)
    widened = bool(abs(alike) > 2.0 / np.sqrt(kept.size) and overall > sigma)
    return Usual(
        center=float(kept.mean()),
        sigma=overall if widened else sigma,
        values=int(kept.size),
        alike=alike,
        widened=widened,
    )


def chart_of(values: Numbers, usual: Usual, begin: int = 0) -> Chart:
    """The chart of one process, values in order of time, held against what is usual.

    Values before index `begin` are those that it was found from; they are not judged by themselves.
    """
    n = values.size
    begin = min(begin, n)
    watched = np.arange(n) >= begin
    average, reach = np.full(n, np.nan), np.full(n, np.nan)
    average[begin:] = weighted_average(values[begin:], usual.center)
    reach[begin:] = half_widths(n - begin, usual.sigma)
    # Equal values have no spread; what differs from them by rounding is no signal.
    rounding = 1e-12 * max(abs(usual.center), float(np.abs(values).max(initial=0.0)))
    off = np.abs(values - usual.center)
    with np.errstate(invalid="ignore"):
        average_beyond = watched & (np.abs(average - usual.center) > reach + rounding)
    return Chart(
        usual=usual,
        offsets=values - usual.center,
        watched=watched,
        beyond=watched & (off > SIGMAS * usual.sigma + rounding),
        average=average,
        average_reach=reach,
        average_beyond=average_beyond,
        range_high=RANGE_LIMIT * usual.sigma * float(RANGE_PER_SIGMA),
    )


def _of_ranges(values: Numbers) -> float:
    """The spread by moving ranges; by the range of two values where there are few."""
    found = sigma_of_ranges(values, np.zeros(values.size, dtype=np.int64))
    ranges = np.abs(np.diff(values))
    return float(ranges.mean()) / float(RANGE_PER_SIGMA) if np.isnan(found) else found


def _alike(values: Numbers) -> float:
    """The correlation of each value with the one before; 0 where there is no spread."""
    off = values - values.mean()
    squares = float(np.sum(off**2))
    return 0.0 if squares == 0.0 else float(np.sum(off[1:] * off[:-1])) / squares
