"""Round numbers and round times for the axes of a still picture."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from dashboards.web.wording import MINUS

HOUR_MS = 3_600_000.0
STEPS_MS = tuple(HOUR_MS * hours for hours in (1, 3, 6, 12, 24, 48, 168, 336, 672, 1344, 2688))


def number_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 between two numbers, with their texts."""
    rough = (high - low) / most
    if not math.isfinite(rough) or rough <= 0:
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    decimals = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [
        (k * step, f"{k * step:.{decimals}f}".replace("-", MINUS)) for k in range(first, last + 1)
    ]


def time_ticks(low_ms: float, high_ms: float, most: int = 8) -> list[tuple[float, str]]:
    """Round local times; a date where a step is a day or more, a year's first day of many years."""
    step = next((s for s in STEPS_MS if s * most >= high_ms - low_ms), None)
    if step is None:
        return _years(low_ms, high_ms, most)
    first, last = math.ceil(low_ms / step), math.floor(high_ms / step)
    form = "%d %b" if step >= 24 * HOUR_MS else "%d %b %H:%M"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        (k * step, (epoch + timedelta(milliseconds=k * step)).strftime(form))
        for k in range(first, last + 1)
    ]


def _years(low_ms: float, high_ms: float, most: int) -> list[tuple[float, str]]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first, last = ((epoch + timedelta(milliseconds=ms)).year for ms in (low_ms, high_ms))
    every = max(1, -(-(last - first) // most))
    begins = [(datetime(y, 1, 1, tzinfo=UTC), y) for y in range(first, last + 1, every)]
    at = [((begin - epoch).total_seconds() * 1000.0, str(year)) for begin, year in begins]
    return [(ms, year) for ms, year in at if low_ms <= ms <= high_ms]
