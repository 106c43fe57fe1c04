"""Where the level of a series changes.

All changes at once by optimal partitioning (Jackson et al., IEEE Signal Process Lett 12 (2005) 105)
of the squared distances to each part's mean, with a penalty of 2 log(n) variances for each change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

FEWEST = 5
"""Values of a part."""
OUTLYING = 4.0
"""Spreads from the median of its neighbors, from which on a value is no level of its own."""
MOST = 2000


def change_points(values: Numbers, sigma: float, fewest: int = FEWEST) -> list[int]:
    """Indices at which a new level begins, in order; none for a steady series.

    `values`, shape (n,), in order of time, n at most `MOST`; `sigma` is the spread of single values
    about their level.  Raises ValueError for more values, or a spread that is not positive.
    """
    n = values.size
    if n > MOST:
        raise ValueError(f"{n} values are more than {MOST}")
    if not sigma > 0.0:
        raise ValueError("change points need a spread")
    if n < 2 * fewest:
        return []
    penalty = 2.0 * np.log(n) * sigma**2
    calm = _without_outliers(values, sigma)
    centered = calm - calm.mean()
    total = np.concatenate([[0.0], np.cumsum(centered)])
    squares = np.concatenate([[0.0], np.cumsum(centered**2)])
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    begins = np.zeros(n + 1, dtype=int)
    for end in range(fewest, n + 1):
        start = np.arange(end - fewest + 1)
        cost = squares[end] - squares[start] - (total[end] - total[start]) ** 2 / (end - start)
        whole = best[start] + cost + penalty
        begins[end] = int(np.argmin(whole))
        best[end] = whole[begins[end]]
    found = []
    end = int(begins[n])
    while end > 0:
        found.append(end)
        end = int(begins[end])
    return found[::-1]


def _without_outliers(values: Numbers, sigma: float) -> Numbers:
    """Single values far from the median of five about them, as that median."""
    padded = np.pad(values, 2, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    calm: Numbers = np.where(np.abs(values - median) > OUTLYING * sigma, median, values)
    return calm
