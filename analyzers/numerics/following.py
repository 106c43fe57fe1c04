"""How an axis follows what is wanted of it: its error over the speed that is wanted.

An axis that comes late by tau is where it was wanted tau ago: while the wanted speed is v its
error, actual minus expected, is -v tau.  So the slope of the error over the signed speed is minus
the lag, and only an axis that moves both ways tells a lag from an error that grows with the speed
whatever the direction.  A backlash looks like a lag here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TOLD_APART = 0.01
"""Signed speed and its magnitude are told apart where at least this share of either is its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """How each column follows; arrays of shape `(columns,)`, NaN where the motion does not tell.

    `slope_s` is d error / d signed speed.  `magnitude_slope_s` is d error / d |speed|, and
    `lag_s` minus the slope, both for columns that move both ways alone.
    """

    slope_s: Array
    magnitude_slope_s: Array
    lag_s: Array


def speed_of(position: Array, interval_s: float) -> Array:
    """Speed by central differences along the first axis; NaN at the first and the last sample.

    `position` has the shape `(samples, columns)`, the result too, in its unit per second.
    """
    speed = np.full(position.shape, np.nan)
    speed[1:-1] = (position[2:] - position[:-2]) / (2.0 * interval_s)
    return speed


def following(
    error: Array, speed: Array, *, moving: float, fewest: int, fastest: float = np.inf
) -> Following:
    """Fit error = offset + slope x speed + magnitude slope x |speed| by least squares.

    `error` and `speed` have the shape `(samples, columns)`.  Samples whose speed is NaN or above
    `fastest` are left out.  A column moves one way where `fewest` samples are faster than `moving`
    that way; where it moves one way alone, or its two speeds have one magnitude, the error is
    fitted over the signed speed alone, and not at all where the speed spreads less than `moving`.
    """
    used = np.isfinite(speed) & (np.abs(np.nan_to_num(speed)) <= fastest)
    speed = np.where(used, speed, 0.0)
    both_ways = np.minimum((speed > moving).sum(axis=0), (speed < -moving).sum(axis=0)) >= fewest
    moves = (np.abs(speed) > moving).sum(axis=0) >= fewest
    count = np.maximum(used.sum(axis=0), 1)

    def centered(values: Array) -> Array:
        mean = np.where(used, values, 0.0).sum(axis=0) / count
        return np.where(used, values - mean, 0.0)

    v, w, e = centered(speed), centered(np.abs(speed)), centered(error)
    vv, ww, vw = (v * v).mean(axis=0), (w * w).mean(axis=0), (v * w).mean(axis=0)
    ve, we = (v * e).mean(axis=0), (w * e).mean(axis=0)
    spread = moves & (vv * len(used) / count > moving**2)
    own = vv * ww - vw * vw
    apart = spread & both_ways & (own > TOLD_APART * vv * ww)
    one_magnitude = ww < TOLD_APART**2 * vv
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.where(spread, ve / vv, np.nan)
        slope = np.where(apart, (ve * ww - we * vw) / own, alone)
        magnitude_slope = np.where(apart, (we * vv - ve * vw) / own, np.nan)
    told = spread & both_ways & (apart | one_magnitude)
    return Following(slope, magnitude_slope, np.where(told, -slope, np.nan))
