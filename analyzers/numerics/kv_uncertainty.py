"""Uncertainty of a kV output: relative components, k = 1, added in quadrature.

The defaults are those of TG-61 (Med. Phys. 28, 868, 2001) for dose to water at the surface in air,
3.5 % in all, from general knowledge: to be confirmed against the report before clinical use.  Each
is replaced by the clinic's own (certificate, instruments, readings).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from numpy.typing import ArrayLike

from analyzers.numerics.kv_corrections import ZERO_C_IN_K
from analyzers.numerics.kv_numbers import not_negative, positive
from analyzers.numerics.repeatability import repeated

TG_61 = "TG-61, general knowledge, unconfirmed"
SPLIT = "product default; with the other instruments 1.5 %, TG-61's measurement in the user's beam"


@dataclass(frozen=True, slots=True)
class Component:
    """One relative standard uncertainty (k = 1), of type A or B, and where it comes from."""

    name: str
    percent: float
    source: str
    evaluated: str = "B"

    def __post_init__(self) -> None:
        not_negative(f"the uncertainty of {self.name}", self.percent, "%")
        if self.evaluated not in ("A", "B"):
            raise ValueError(f"the uncertainty of {self.name} is of type {self.evaluated!r}")


@dataclass(frozen=True, slots=True)
class Budget:
    """Components that do not depend on each other, each name once.  ValueError: a name twice."""

    components: tuple[Component, ...]

    def __post_init__(self) -> None:
        names = [component.name for component in self.components]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise ValueError(f"a budget names each component once, not {twice or 'none'}")

    @property
    def k1_percent(self) -> float:
        """Combined standard uncertainty, in percent."""
        return math.sqrt(sum(component.percent**2 for component in self.components))

    @property
    def k2_percent(self) -> float:
        """Expanded uncertainty, coverage factor 2 (about 95 %), in percent."""
        return 2.0 * self.k1_percent

    def with_components(self, *own: Component) -> Budget:
        """This budget with components of the same names replaced, and new ones added."""
        named = {component.name: component for component in self.components}
        return Budget(tuple((named | {component.name: component for component in own}).values()))

    def without(self, names: Iterable[str]) -> Budget:
        """This budget without some components.  ValueError: a name that it does not hold."""
        dropped = set(names)
        unknown = sorted(dropped - {component.name for component in self.components})
        if unknown:
            raise ValueError(f"the budget has no component {unknown}")
        return replace(self, components=tuple(c for c in self.components if c.name not in dropped))


AIR_KERMA = Budget(
    (
        Component("N_K", 0.7, TG_61),
        Component("beam quality", 2.0, TG_61),
        Component("P_stem", 1.0, TG_61),
        Component("P_TP", 0.3, SPLIT),
        Component("electrometer", 0.3, SPLIT),
        Component("timer", 0.5, SPLIT),
        Component("positioning", 1.35, SPLIT),
    )
)
"""Of the air kerma free in air.  Readings add their own component: `readings_component`."""
DOSE_TO_WATER = AIR_KERMA.with_components(
    Component("B_w", 1.5, TG_61), Component("mu_en ratio", 1.5, TG_61)
)
"""Of the dose to water at the surface: sqrt(0.7² + 2² + 1² + 1.5² + 1.5² + 1.5²) = 3.5 %."""


def readings_component(readings: ArrayLike) -> Component:
    """Type A: the standard deviation of the mean of `(n,)` readings.

    ValueError: fewer than two readings, from which no spread can be known.
    """
    percent = repeated(readings).mean_percent
    if percent is None:
        raise ValueError("one reading tells no spread: at least 2 are needed")
    return Component("readings", percent, "standard deviation of the mean of the readings", "A")


def air_density_component(
    temperature_c: float, pressure_kpa: float, *, thermometer_k: float, barometer_kpa: float
) -> Component:
    """P_TP from the standard uncertainties (k = 1) of thermometer and barometer."""
    t = not_negative("the thermometer's uncertainty", thermometer_k, "K")
    p = not_negative("the barometer's uncertainty", barometer_kpa, "kPa")
    kelvin = positive("the temperature", ZERO_C_IN_K + temperature_c, "K")
    kpa = positive("the pressure", pressure_kpa, "kPa")
    return Component("P_TP", 100.0 * math.hypot(t / kelvin, p / kpa), "thermometer and barometer")


def timer_component(timer_set_s: float, end_effect_s: float, *, timer_s: float) -> Component:
    """u(t) / (t + eps), from the standard uncertainty of timer and end effect together, in s."""
    beam_s = positive("timer and end effect", timer_set_s + end_effect_s, "s")
    return Component(
        "timer", 100.0 * not_negative("the timer's uncertainty", timer_s, "s") / beam_s, "timer"
    )


def positioning_component(distance_cm: float, *, position_cm: float) -> Component:
    """2 u(d) / d: what the inverse square makes of an uncertain distance."""
    away = positive("the distance", distance_cm, "cm")
    u = not_negative("the uncertainty of the distance", position_cm, "cm")
    return Component("positioning", 200.0 * u / away, "inverse square of the distance")


def certificate_component(expanded_percent: float, *, coverage: float = 2.0) -> Component:
    """N_K from the certificate's expanded uncertainty and its coverage factor."""
    u = not_negative("the certificate's uncertainty", expanded_percent, "%")
    return Component(
        "N_K", u / positive("the coverage factor", coverage), "calibration certificate"
    )
