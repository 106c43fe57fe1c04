"""What a trend says of itself: a value that is not as the ones before, a way that leads out.

Pure functions over one series.  Neither is a verdict: both speak while every value may still be
within its limits, and both are told once, to be read and not to wake anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.control_chart import FEWEST, sigma_of_ranges
from analyzers.numerics.forecast import Crossing, Line, crossing, fit_line

Numbers = NDArray[np.floating[Any]]

STEP_SIGMAS = 3.4
"""Three would speak once in 370 values, and three beams a day are 750 a year."""
LEVEL_OF, SPREAD_OF = 30, 250
"""Values before the newest for the level, which moves, and for the spread, which needs many."""
WORTH_OF_EVENT = 4
"""How many values the expected one counts for that an event sets (a new baseline: no deviation)."""
WORTH_SAYING = 0.5
"""Of half the width between the limits: a smaller step changes no decision."""
SURE = 0.01
"""The largest probability that chance alone makes such a slope."""
HORIZON_D = 90.0
WINDOW = 90
"""Values for the line: 18 weeks of working days; all since the last event would see it late."""


class Kind(StrEnum):
    """What was seen."""

    STEP = "step"
    DRIFT = "drift"
    BEYOND = "beyond"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of one machine, in order of time.

    `times_d` in days, `values` and `process` have shape (n,): `process` counts the events before
    a value, after which it is another process with the same spread.  `low` and `high` are the
    tolerance limits in force for the newest value, None where there is none on that side.
    `expected` is what the last event made the value to be, None where nobody can say.
    """

    times_d: Numbers
    values: Numbers
    process: NDArray[np.integer[Any]]
    low: float | None
    high: float | None
    expected: float | None = None

    @property
    def now(self) -> NDArray[np.bool_]:
        """Which values are of the newest process."""
        newest: NDArray[np.bool_] = self.process == self.process[-1]
        return newest

    @property
    def limits(self) -> tuple[float, ...]:
        """The limits that there are."""
        return tuple(limit for limit in (self.low, self.high) if limit is not None)


@dataclass(frozen=True, slots=True)
class StepSeen:
    """The newest value is not as the ones before it: `usual` +/- `reach` was to be expected."""

    value: float
    usual: float
    reach: float

    kind = Kind.STEP


@dataclass(frozen=True, slots=True)
class DriftSeen:
    """The values move towards a limit; `crossing` in days as the series' times."""

    per_month: float
    crossing: Crossing

    kind = Kind.DRIFT


@dataclass(frozen=True, slots=True)
class ChartSeen:
    """The newest value, or the average of the newest, outside the control limits of its chart."""

    kind: Kind
    value: float
    low: float
    high: float


Signal = StepSeen | DriftSeen | ChartSeen
DAYS_PER_MONTH = 365.25 / 12.0


def signals(series: Series) -> list[Signal]:
    """What is to be told of a series by itself; a series without limits says nothing."""
    if not series.limits or series.values.size == 0:
        return []
    found = (step(series), drift(series))
    return [signal for signal in found if signal is not None]


def line_of(series: Series) -> Line | None:
    """The line through the newest values of the process of now."""
    now = series.now
    return fit_line(series.times_d[now][-WINDOW:], series.values[now][-WINDOW:])


def step(series: Series, *, judged_elsewhere: bool = False) -> StepSeen | None:
    """The newest value far from the level of those before it, in terms of their spread.

    What is outside its limits is none: its verdict says so already, unless `judged_elsewhere`.
    """
    level = level_of(series)
    if not series.limits or level is None:
        return None
    usual, weight = level
    sigma = sigma_of_ranges(series.values[:-1][-SPREAD_OF:], series.process[:-1][-SPREAD_OF:])
    if np.isnan(sigma):
        return None
    reach = STEP_SIGMAS * sigma * float(np.sqrt(1.0 + 1.0 / weight))
    newest = float(series.values[-1])
    if is_outside(series) and not judged_elsewhere:
        return None
    size = abs(newest - usual)
    if size <= reach or size < WORTH_SAYING * _room(series, usual):
        return None
    return StepSeen(newest, usual, reach)


def _room(series: Series, usual: float) -> float:
    """Half the width between two limits, wherever the values are; else the way to the only one.

    The way from the usual value would be short once a unit has wandered, and chance alone goes it.
    """
    if series.low is not None and series.high is not None:
        return (series.high - series.low) / 2.0
    return min(abs(limit - usual) for limit in series.limits)


def level_of(series: Series) -> tuple[float, float] | None:
    """The level before the newest value, and of how many values it is; None where too few."""
    level = series.values[:-1][series.now[:-1]][-LEVEL_OF:]
    weight, total = float(level.size), float(level.sum())
    if series.expected is not None:
        weight, total = weight + WORTH_OF_EVENT, total + WORTH_OF_EVENT * series.expected
    elif level.size < FEWEST:
        return None
    return total / weight, weight


def is_outside(series: Series) -> bool:
    """Whether the newest value is outside its tolerance limits."""
    value, low, high = float(series.values[-1]), series.low, series.high
    return (low is not None and value < low) or (high is not None and value > high)


def drift(series: Series) -> DriftSeen | None:
    """A line that is sure and leads out of tolerance soon, no further on than it reaches back."""
    line = line_of(series)
    if line is None or line.p_value >= SURE:
        return None
    now = float(series.times_d[-1])
    ahead = [c for limit in series.limits if (c := crossing(line, limit, now)) is not None]
    near = [c for c in ahead if c.at - now <= min(HORIZON_D, line.span)]
    # Half or double the slope by another reckoning: the line is not one to be told.
    agrees = 0.5 <= line.robust_slope / line.slope <= 2.0
    if not near or not agrees:
        return None
    return DriftSeen(line.slope * DAYS_PER_MONTH, min(near, key=lambda c: c.at))
