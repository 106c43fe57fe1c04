"""Depth doses and profiles of the simulated superficial unit, in closed forms that are made up."""

from __future__ import annotations

import math
from collections.abc import Mapping

SSD_CM = 15.0
ATTENUATION_PER_MM: Mapping[float, float] = {50.0: 0.0825, 70.0: 0.042, 100.0: 0.017}
"""Of a field of 3 cm; a wider one is attenuated less, because more is scattered in."""
MEASURED_MM = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0)
"""Depths at which a depth dose is checked."""
ACROSS = tuple(step / 10.0 for step in range(-13, 14))
"""Positions at which a profile is checked, as shares of half the field's width."""
HEEL = 0.02
"""How much lower the side of the anode is, at the edge."""
PENUMBRA_MM = 0.6


def percent(depth_mm: float, diameter_cm: float, kvp: float) -> float:
    """Percent depth dose: attenuation and inverse square."""
    per_mm = ATTENUATION_PER_MM[kvp] * (1.0 - 0.03 * (diameter_cm - 3.0))
    distance = SSD_CM / (SSD_CM + depth_mm / 10.0)
    return 100.0 * math.exp(-per_mm * depth_mm) * distance**2


def across(position_mm: float, diameter_cm: float, axis: str) -> float:
    """Share of the value on the axis: a penumbra, and along y the heel effect, none on the axis."""
    half_mm = 5.0 * diameter_cm
    heel = 1.0 - HEEL * position_mm / half_mm if axis == "y" else 1.0
    return heel / (1.0 + math.exp((abs(position_mm) - half_mm) / PENUMBRA_MM))
