"""Repeated readings: mean, spread, and the one way a percent deviation is taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import finite, positive, positive_numbers


@dataclass(frozen=True, slots=True)
class Repeated:
    """What repeated readings say.  The spread of one reading is not known: None, never 0."""

    count: int
    mean: float
    standard_deviation: float | None
    """Of a single reading, n - 1 in the denominator."""
    largest_over_smallest: float

    @property
    def percent(self) -> float | None:
        """Relative standard deviation of a single reading, in percent of the mean."""
        if self.standard_deviation is None:
            return None
        return 100.0 * self.standard_deviation / self.mean

    @property
    def mean_percent(self) -> float | None:
        """Relative standard deviation of the mean: the type A component (GUM 4.2.3), k = 1."""
        return None if self.percent is None else self.percent / math.sqrt(self.count)


def repeated(readings: ArrayLike) -> Repeated:
    """Mean and spread of readings `(n,)`, n >= 1, all positive, in one unit.

    ValueError: no reading, or one that is not positive.
    """
    numbers = positive_numbers("readings", readings)
    # Shifted by the first reading: the mean of equal readings is that reading, to the last bit.
    offsets = numbers - numbers[0]
    deviation = float(offsets.std(ddof=1)) if len(numbers) > 1 else None
    return Repeated(
        count=len(numbers),
        mean=float(numbers[0] + offsets.mean()),
        standard_deviation=deviation,
        largest_over_smallest=float(numbers.max() / numbers.min()),
    )


def deviation_percent(measured: float, reference: float) -> float:
    """100 · (measured - reference) / reference, signed.

    ValueError: a reference that is not positive, a measured value that is no number.
    """
    positive("the reference", reference)
    return 100.0 * (finite("the measured value", measured) - reference) / reference
