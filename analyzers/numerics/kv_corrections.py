"""Corrections to the reading of an open ion chamber: air density, polarity, recombination.

Standard forms as in AAPM TG-61 (Med. Phys. 28, 868, 2001) and TG-51.
"""

from __future__ import annotations

import math
from typing import Literal

from analyzers.numerics.kv_numbers import finite, positive, within

ZERO_C_IN_K = 273.15
TEMPERATURE_C = (15.0, 35.0)
PRESSURE_KPA = (70.0, 110.0)
"""Station pressure: what a barometer in the room shows, not reduced to sea level."""
REFERENCE_TEMPERATURES_C = (20.0, 22.0)
"""European laboratories: 20.  ADCL, NIST and NRC: 22.  One for the other is 0.7 % wrong."""
REFERENCE_PRESSURE_KPA = (101.0, 101.6)
PLAUSIBLE = (0.95, 1.05)
"""A chamber that needs more correction than this is not fit for output."""
LEAST_RECOMBINATION = 0.998
"""No chamber collects more at less voltage; two readings differ by that much from noise."""
LEAST_VOLTAGE_RATIO = 1.5
"""With voltages closer together the noise of the readings is most of the correction."""
KPA_PER = {"mmHg": 0.133322, "hPa or mbar": 0.1, "inHg": 3.38639, "Pa": 0.001}
"""In the order of the guess: 760 is mmHg, which 760 hPa is only at 2300 m."""


def air_density_factor(
    temperature_c: float, pressure_kpa: float, *, t_ref_c: float, p_ref_kpa: float
) -> float:
    """P_TP = (273.15 + T) / (273.15 + T_ref) · P_ref / P.

    T_ref and P_ref are those of the chamber's calibration certificate and have no default.
    ValueError: a room that is no room, with the unit that the number looks like; a certificate at
    neither 20 nor 22 °C, or away from one atmosphere.
    """
    if not TEMPERATURE_C[0] <= temperature_c <= TEMPERATURE_C[1]:
        raise ValueError(_refused("temperature", temperature_c, "°C", *TEMPERATURE_C))
    if not PRESSURE_KPA[0] <= pressure_kpa <= PRESSURE_KPA[1]:
        raise ValueError(_refused("pressure", pressure_kpa, "kPa", *PRESSURE_KPA))
    if t_ref_c not in REFERENCE_TEMPERATURES_C:
        raise ValueError(
            f"the certificate's reference temperature is {t_ref_c:g} °C: expected 20 or 22"
        )
    within("the certificate's reference pressure", p_ref_kpa, *REFERENCE_PRESSURE_KPA, "kPa")
    return (ZERO_C_IN_K + temperature_c) / (ZERO_C_IN_K + t_ref_c) * p_ref_kpa / pressure_kpa


def polarity_factor(
    reading_positive: float, reading_negative: float, *, calibrated_at: Literal["+", "-"]
) -> float:
    """P_pol = (|M+| + |M-|) / (2 |M at the polarity of the calibration|), signs ignored.

    ValueError: a reading of 0 or none; a polarity that is neither; a factor outside 0.95 to 1.05.
    """
    plus = positive("the magnitude of the reading at +", abs(reading_positive))
    minus = positive("the magnitude of the reading at -", abs(reading_negative))
    if calibrated_at not in ("+", "-"):
        raise ValueError(f"the polarity of the calibration is {calibrated_at!r}: expected + or -")
    at = plus if calibrated_at == "+" else minus
    return within("P_pol", (plus + minus) / (2.0 * at), *PLAUSIBLE)


def recombination_factor(
    reading_high: float,
    reading_low: float,
    *,
    voltage_high: float,
    voltage_low: float,
    beam: Literal["continuous", "pulsed"],
) -> float:
    """P_ion from readings at two voltages, magnitudes taken.

    continuous: (1 - v²) / (M_H/M_L - v²); pulsed: (1 - v) / (M_H/M_L - v); v = V_H/V_L.
    X-ray generators of superficial units are continuous (high frequency).
    ValueError: v below 1.5 (voltages swapped, or too close); a reading or voltage of 0; an unknown
    kind of beam; P_ion above 1.05, where the two-voltage formula no longer holds, or below 1 by
    more than noise.
    """
    ratio = positive("the magnitude of the reading at the high voltage", abs(reading_high))
    ratio /= positive("the magnitude of the reading at the low voltage", abs(reading_low))
    v = positive("the high voltage", abs(voltage_high)) / positive(
        "the low voltage", abs(voltage_low)
    )
    if v < LEAST_VOLTAGE_RATIO:
        raise ValueError(f"V_H/V_L is {v:.6g}: at least {LEAST_VOLTAGE_RATIO:g} is needed")
    if beam not in ("continuous", "pulsed"):
        raise ValueError(f"the beam is {beam!r}: expected continuous or pulsed")
    v = v**2 if beam == "continuous" else v
    if ratio >= v:
        raise ValueError(f"M_H/M_L is {ratio:.6g}: no recombination explains it")
    return within("P_ion", (1.0 - v) / (ratio - v), LEAST_RECOMBINATION, PLAUSIBLE[1])


def pressure_unit_hint(pressure: float) -> str | None:
    """The unit in which a number outside 70 to 110 would be a room's pressure; None if none."""
    finite("the pressure", pressure)
    if PRESSURE_KPA[0] <= pressure <= PRESSURE_KPA[1]:
        return None
    for unit, kpa in KPA_PER.items():
        if PRESSURE_KPA[0] <= pressure * kpa <= PRESSURE_KPA[1]:
            return unit
    return None


def temperature_unit_hint(temperature: float) -> str | None:
    """The unit in which a number outside 15 to 35 would be a room's temperature; None if none."""
    finite("the temperature", temperature)
    low, high = TEMPERATURE_C
    if low <= temperature <= high:
        return None
    if low <= (temperature - 32.0) / 1.8 <= high:
        return "°F"
    return "K" if low <= temperature - ZERO_C_IN_K <= high else None


def _refused(name: str, value: float, unit: str, low: float, high: float) -> str:
    found = f"the {name} is {value:.6g}"
    expected = f"expected {low:g} to {high:g} {unit}"
    if not math.isfinite(value):
        return f"{found}: {expected}"
    hint = pressure_unit_hint(value) if name == "pressure" else temperature_unit_hint(value)
    return f"{found} {unit}: {expected}" + (f" (that looks like {hint})" if hint else "")
