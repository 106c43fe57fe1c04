"""What a gamma map is computed with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

SMALLEST_TOLERANCE = 1e-9
LEAST_CAP = 1.01
"""Of `max_gamma`: at a cap of 1 every point would pass."""
LARGEST_DOSE = 1e100
"""In any unit, and the inverse of the smallest; squares of others overflow."""
SMALLEST, LARGEST = 1e-6, 1e6
"""Of a criterion and of a cap that is not infinite; beyond is a mistake, and squares overflow."""


@dataclass(frozen=True)
class GammaCriteria:
    """One gamma criterion and how it is to be searched."""

    dose_percent: float = 3.0
    distance_mm: float = 2.0
    threshold_percent: float = 10.0
    """Reference points below this share of the normalization are not judged."""
    local: bool = False
    """The dose criterion is a share of the dose at the point, not of the normalization."""
    normalization: float | None = None
    """In the unit of the reference; None: the maximum of the reference."""
    max_gamma: float = 2.0
    """Where the search ends: no value is above it."""
    tolerance: float = 1e-3
    """How far a certified gamma may at most be above the true minimum."""
    certified: bool = True
    """False: one descent in each cell, no proof.  For screening: gamma may then be too high."""

    def __post_init__(self) -> None:
        for name in ("dose_percent", "distance_mm"):
            value = getattr(self, name)
            if not (_is_number(value) and SMALLEST <= value <= LARGEST):
                raise ValueError(
                    f"{name} must be a number in [{SMALLEST:g}, {LARGEST:g}], not {value}"
                )
        if not (_is_number(self.threshold_percent) and 0 <= self.threshold_percent <= LARGEST):
            raise ValueError(f"threshold_percent must be 0 or more, not {self.threshold_percent}")
        if self.normalization is not None and not (
            _is_number(self.normalization)
            and 1 / LARGEST_DOSE <= self.normalization <= LARGEST_DOSE
        ):
            raise ValueError(f"normalization must be a positive number, not {self.normalization}")
        if self.max_gamma != math.inf and not (
            _is_number(self.max_gamma) and LEAST_CAP <= self.max_gamma <= LARGEST
        ):
            raise ValueError(
                f"max_gamma must be in [{LEAST_CAP:g}, {LARGEST:g}] or infinite, "
                f"not {self.max_gamma}"
            )
        if not (_is_number(self.tolerance) and SMALLEST_TOLERANCE <= self.tolerance < 1):
            raise ValueError(
                f"tolerance must be in [{SMALLEST_TOLERANCE:g}, 1), not {self.tolerance}"
            )

    def __str__(self) -> str:
        """As it is written: `3 %/2 mm global, 10 % threshold`."""
        kind = "local" if self.local else "global"
        return (
            f"{self.dose_percent:g} %/{self.distance_mm:g} mm {kind}, "
            f"{self.threshold_percent:g} % threshold"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
