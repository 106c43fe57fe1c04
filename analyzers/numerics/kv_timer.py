"""Timer of a kV unit: end effect, linearity, accuracy.

One sign everywhere: the reading is proportional to t + eps, so that eps is
positive when the beam is on for longer than the timer says.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import Floats, positive, positive_numbers, same_length

FEWEST_TIMES = 3
"""A straight line through two points is never bent."""
SHORT_S = 100.0
"""NZ SR 1982/72: 1 s up to here, 1 % above."""
SHORT_LIMIT_S = 1.0
LONG_LIMIT = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class TimerLinearity:
    """A straight line through readings over time, and how far they lie from it."""

    end_effect_s: float
    """a / b, of M = a + b t."""
    per_s: float
    """b, reading per second."""
    residual_percent: Floats
    """100 (reading - fitted) / fitted, of each reading."""

    @property
    def largest_residual_percent(self) -> float:
        """The residual of greatest magnitude, signed, in percent of the fitted reading."""
        return float(self.residual_percent[np.abs(self.residual_percent).argmax()])


@dataclass(frozen=True, slots=True)
class TimerAccuracy:
    """A timer against a stopwatch: positive when the beam was on for too long."""

    deviation_s: float
    limit_s: float

    @property
    def within_limit(self) -> bool:
        """The limit itself is within."""
        return abs(self.deviation_s) <= self.limit_s


def end_effect_of_two_times_s(
    first_s: float, first_reading: float, second_s: float, second_reading: float
) -> float:
    """eps = (M2 t1 - M1 t2) / (M1 - M2), in s; in either order.

    ValueError: a time or reading that is not positive, equal times, a longer time that did not read
    more, or an end effect that takes away all of the shorter time.
    """
    t1, t2 = positive("the first time", first_s, "s"), positive("the second time", second_s, "s")
    m1 = positive("the first reading", first_reading)
    m2 = positive("the second reading", second_reading)
    if t1 == t2:
        raise ValueError(f"both times are {t1:g} s: two different times are needed")
    if (m2 - m1) * (t2 - t1) <= 0.0:
        raise ValueError(f"{t1:g} s read {m1:g} and {t2:g} s read {m2:g}: more time reads more")
    return (m2 * t1 - m1 * t2) / (m1 - m2)


def end_effect_of_many_exposures_s(
    total_s: float, single_reading: float, summed_reading: float, exposures: int
) -> float:
    """eps = t (Mm - Ms) / (n Ms - Mm), in s: one exposure of t against n exposures of t/n.

    ValueError: fewer than two exposures, a time or reading that is not positive, or a sum so large
    that no end effect explains it (n Ms or more).
    """
    t = positive("the time", total_s, "s")
    single = positive("the reading of one exposure", single_reading)
    summed = positive("the summed reading", summed_reading)
    if not isinstance(exposures, Integral) or exposures < 2:
        raise ValueError(f"{exposures} exposures: a whole number from 2 is needed")
    if summed >= exposures * single:
        raise ValueError(
            f"{exposures} exposures read {summed:g} together, one of the same time {single:g}: "
            "no end effect explains that"
        )
    return t * (summed - single) / (exposures * single - summed)


def timer_linearity(times_s: ArrayLike, readings: ArrayLike) -> TimerLinearity:
    """M = a + b t by least squares; `(n,)` times and readings, in any order, repeats welcome.

    Residuals are in percent of the fitted reading at that time, not of the largest reading: a
    second more at the shortest time must not hide behind the longest.
    ValueError: fewer than three different times, numbers that are not positive, readings that do
    not rise with time, or a fit that is not positive at a time that was measured.
    """
    t = positive_numbers("times", times_s, fewest=FEWEST_TIMES)
    m = positive_numbers("readings", readings, fewest=FEWEST_TIMES)
    same_length("times", t, "readings", m)
    different = len(np.unique(t))
    if different < FEWEST_TIMES:
        raise ValueError(f"{different} different times: at least {FEWEST_TIMES} are needed")
    from_mean_s = t - t.mean()
    b = float(from_mean_s @ (m - m.mean()) / (from_mean_s @ from_mean_s))
    if b <= 0.0:
        raise ValueError(f"the reading changes by {b:.6g} a second: it must rise with time")
    fitted = m.mean() + b * from_mean_s
    if fitted.min() <= 0.0:
        raise ValueError(f"the fitted reading at {t[fitted.argmin()]:g} s is not positive")
    return TimerLinearity(
        end_effect_s=float(m.mean() / b - t.mean()),
        per_s=b,
        residual_percent=100.0 * (m - fitted) / fitted,
    )


def timer_accuracy(timer_set_s: float, stopwatch_s: float) -> TimerAccuracy:
    """Stopwatch minus timer, against 1 s up to 100 s and 1 % of the setting above (NZ SR 1982/72).

    ValueError: a time that is not positive.
    """
    set_s = positive("the timer setting", timer_set_s, "s")
    limit_s = SHORT_LIMIT_S if set_s <= SHORT_S else LONG_LIMIT * set_s
    return TimerAccuracy(positive("the stopwatch", stopwatch_s, "s") - set_s, limit_s)
