"""Where a quantity is going: a line through its values, and when that line crosses a limit.

Ordinary least squares with the prediction interval of one further value (Draper and Smith, Applied
Regression Analysis, 3rd ed., chapter 1), after values far off the robust line of Theil and Sen
were left out.  Values of following days are alike more often than chance has it: the errors of the
line are widened by what their residuals say of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

FEWEST = 15
"""Values without which there is no line."""
MOST = 400
"""Values beyond which the pairs of the robust line are too many: every k-th is taken."""
CONFIDENCE = 0.95
OUTLYING = 4.0
"""Robust standard deviations off the robust line, from which on a value has a cause of its own."""
MAD_PER_SIGMA = 0.6744897501960817


@dataclass(frozen=True, slots=True)
class Line:
    """y = intercept + slope * t, with what it takes to say how sure it is.

    `scatter` is the standard deviation of the values about the line, `t_mean` and `t_squares` mean
    and sum of squares of their times, `values` how many there were and `left_out` how many had a
    cause of their own.  `widened` is by how much likeness of neighbors enlarges the errors of the
    line, 1 without; `p_value` is how likely chance alone is to give such a slope.
    """

    intercept: float
    slope: float
    robust_slope: float
    scatter: float
    t_mean: float
    t_squares: float
    span: float
    values: int
    left_out: int
    widened: float
    p_value: float

    def at(self, t: float) -> float:
        """The line at one time."""
        return self.intercept + self.slope * t

    def half_width(self, t: float, confidence: float = CONFIDENCE) -> float:
        """Half the prediction interval of one further value at a time."""
        of_line = self.widened**2 * (1.0 / self.values + (t - self.t_mean) ** 2 / self.t_squares)
        return self.reach(confidence) * float(np.sqrt(1.0 + of_line))

    def reach(self, confidence: float = CONFIDENCE) -> float:
        """Half the interval of a value about a line that is known without error."""
        from scipy.stats import t as student

        return float(student.ppf(0.5 + confidence / 2.0, self.values - 2)) * self.scatter


@dataclass(frozen=True, slots=True)
class Crossing:
    """When the line crosses a limit, and between which times a value will (95 %)."""

    limit: float
    at: float
    earliest: float
    latest: float


def fit_line(t: Numbers, y: Numbers) -> Line | None:
    """The line through values `y` at times `t`, both of shape (n,), in order of time.

    None for fewer than `FEWEST` values, or where all are of one time.  Raises ValueError for what
    is not finite or not in order.
    """
    if t.shape != y.shape or t.ndim != 1 or not (np.isfinite(t).all() and np.isfinite(y).all()):
        raise ValueError("a line needs finite values, each with its time")
    if np.any(np.diff(t) < 0.0):
        raise ValueError("the times of a line must be in order")
    if t.size < FEWEST or t[0] == t[-1]:
        return None
    # Far from zero, squares of times lose their digits: the line is fitted about the first one.
    origin, times = float(t[0]), t - t[0]
    robust_slope, kept = _without_outliers(times, y)
    if int(kept.sum()) < FEWEST or np.ptp(times[kept]) == 0.0:
        return None
    return _least_squares(times[kept], y[kept], origin, robust_slope, int(t.size - kept.sum()))


def crossing(line: Line, limit: float, now: float) -> Crossing | None:
    """When a line that goes towards a limit crosses it.

    `earliest` is not before `now`: a value may cross at once.  None where the line leads away from
    the limit or is beyond it, or might as well be level.  Roots of
    (limit - a - b t)^2 = (half width at t)^2.
    """
    distance = limit - line.at(line.t_mean)
    square = line.slope**2 - line.reach() ** 2 * line.widened**2 / line.t_squares
    if (limit - line.at(now)) * line.slope < 0.0 or square <= 0.0:
        return None
    constant = distance**2 - line.reach() ** 2 * (1.0 + line.widened**2 / line.values)
    middle = line.slope * distance
    root = float(np.sqrt(max(0.0, middle**2 - square * constant)))
    return Crossing(
        limit=limit,
        at=line.t_mean + distance / line.slope,
        earliest=max(now, line.t_mean + (middle - root) / square),
        latest=line.t_mean + (middle + root) / square,
    )


def _without_outliers(t: Numbers, y: Numbers) -> tuple[float, NDArray[np.bool_]]:
    """The slope of Theil and Sen, and which values lie about its line."""
    from scipy.stats import theilslopes

    step = -(-t.size // MOST)
    thin_t, thin_y = t[::-step], y[::-step]
    if np.ptp(thin_t) == 0.0:
        return 0.0, np.ones(t.size, dtype=bool)
    slope, intercept, _, _ = theilslopes(thin_y, thin_t)
    off = y - (intercept + slope * t)
    off = off - np.median(off)
    spread = float(np.median(np.abs(off))) / MAD_PER_SIGMA
    if spread == 0.0:
        return float(slope), np.ones(t.size, dtype=bool)
    return float(slope), np.abs(off) <= OUTLYING * spread


def _least_squares(
    t: Numbers, y: Numbers, origin: float, robust_slope: float, left_out: int
) -> Line:
    from scipy.stats import t as student

    n = int(t.size)
    t_mean, y_mean = float(t.mean()), float(y.mean())
    t_squares = float(np.sum((t - t_mean) ** 2))
    slope = float(np.sum((t - t_mean) * (y - y_mean)) / t_squares)
    off = y - y_mean - slope * (t - t_mean)
    scatter = float(np.sqrt(np.sum(off**2) / (n - 2)))
    widened = _widening(off)
    error = widened * scatter / np.sqrt(t_squares)
    rounding = 1e-12 * float(np.abs(y).max(initial=0.0)) / max(float(np.ptp(t)), 1e-300)
    if abs(slope) <= rounding:
        slope, p_value = 0.0, 1.0
    else:
        p_value = 0.0 if error == 0.0 else float(2.0 * student.sf(abs(slope) / error, n - 2))
    return Line(
        intercept=y_mean - slope * (t_mean + origin),
        slope=slope,
        robust_slope=robust_slope,
        scatter=scatter,
        t_mean=t_mean + origin,
        t_squares=t_squares,
        span=float(t[-1] - t[0]),
        values=n,
        left_out=left_out,
        widened=widened,
        p_value=p_value,
    )


def _widening(off: Numbers) -> float:
    """By how much the errors of a line grow where each residual resembles the one before.

    sqrt((1 + r) / (1 - r)) of a first-order autoregressive series, where its coefficient r is
    larger than chance gives, 2/sqrt(n) (Box and Jenkins, Time Series Analysis); 1 otherwise.
    """
    squares = float(np.sum(off**2))
    if squares == 0.0:
        return 1.0
    r = float(np.sum(off[1:] * off[:-1])) / squares
    if r <= 2.0 / np.sqrt(off.size):
        return 1.0
    r = min(r, 0.95)
    return float(np.sqrt((1.0 + r) / (1.0 - r)))
