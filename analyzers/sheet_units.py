"""The units that a clinic's own table may be in, and the way from each to the schema's unit.

A unit is stated or the column is refused: 760 is a pressure in mmHg and, on a high mountain, one in
hPa.  Conventional mmHg of 133.322387415 Pa and inch of 25.4 mm (NIST SP 811); absolute zero at
-273.15 °C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KPA_PER_MMHG = 0.133322387415
AIR_KERMA_GY_PER_R = (0.0086, 0.0089)
"""What a clinic may state for it: 2.58e-4 C/(kg R) times W/e, 33.97 J/C (0.00876) or an older one.
"""
SIGNIFICANT = 12


@dataclass(frozen=True, slots=True)
class Conversion:
    """From a unit to the schema's: (value + shift) times factor.

    `is_exposure`: in roentgen; the factor is then for 1 Gy/R, to be multiplied by the stated one.
    """

    factor: float
    shift: float = 0.0
    is_exposure: bool = False

    def apply(self, value: float, air_kerma_gy_per_r: float | None) -> float:
        """The value in the schema's unit, to 12 significant digits: 71.6 °F are 22 °C."""
        if (self.factor, self.shift, self.is_exposure) == (1.0, 0.0, False):
            return value
        factor = self.factor
        if self.is_exposure:
            if air_kerma_gy_per_r is None:
                raise ValueError("an exposure needs a stated air kerma per roentgen")
            factor *= air_kerma_gy_per_r
        return float(f"{(value + self.shift) * factor:.{SIGNIFICANT}g}")


_PRESSURE = {
    "kPa": Conversion(1.0),
    "hPa": Conversion(0.1),
    "mbar": Conversion(0.1),
    "Pa": Conversion(0.001),
    "mmHg": Conversion(KPA_PER_MMHG),
    "inHg": Conversion(25.4 * KPA_PER_MMHG),
}
_TEMPERATURE = {
    "degC": Conversion(1.0),
    "degF": Conversion(5.0 / 9.0, -32.0),
    "K": Conversion(1.0, -273.15),
}
_TIME = {"s": Conversion(1.0), "min": Conversion(60.0)}
_LENGTH = {"cm": Conversion(1.0), "mm": Conversion(0.1)}
_PLACE = {"mm": Conversion(1.0), "cm": Conversion(10.0)}
_SHARE = {"%": Conversion(1.0), "fraction": Conversion(100.0)}
_CHARGE = {
    "nC": Conversion(1.0),
    "pC": Conversion(0.001),
    "uC": Conversion(1000.0),
    "C": Conversion(1e9),
}
_FACTOR = {
    "Gy/C": Conversion(1.0),
    "Gy/nC": Conversion(1e9),
    "cGy/nC": Conversion(1e7),
    "mGy/nC": Conversion(1e6),
    "R/C": Conversion(1.0, is_exposure=True),
    "R/nC": Conversion(1e9, is_exposure=True),
}
_RATE = {
    "Gy/min": Conversion(1.0),
    "cGy/min": Conversion(0.01),
    "mGy/min": Conversion(0.001),
    "R/min": Conversion(1.0, is_exposure=True),
}
READINGS = "readings_nc"
UNITS: Mapping[str, Mapping[str, Conversion]] = {
    "pressure_kpa": _PRESSURE,
    "p_ref_kpa": _PRESSURE,
    "temperature_c": _TEMPERATURE,
    "t_ref_c": _TEMPERATURE,
    "timer_set_s": _TIME,
    "timer_measured_s": _TIME,
    "timer_end_effect_s": _TIME,
    "ssd_cm": _LENGTH,
    "applicator_diameter_cm": _LENGTH,
    "applicator_x_cm": _LENGTH,
    "applicator_y_cm": _LENGTH,
    "depth_mm": _PLACE,
    "position_mm": _PLACE,
    READINGS: _CHARGE,
    "n_k_gy_per_c": _FACTOR,
    "reference_output": _RATE,
    "tolerance_pct": _SHARE,
    "action_pct": _SHARE,
}
"""By column of the schema; a column that is not here is in one unit alone."""
_ALSO = {"°C": "degC", "°F": "degF", "µC": "uC", "μC": "uC"}


def conversion(column: str, unit: str | None) -> Conversion:
    """How to come to the column's unit.

    Raises ValueError with a sentence where a unit is needed, unknown or not filled in.
    """
    known = UNITS.get(column)
    if known is None:
        if unit is not None:
            raise ValueError(f"{column} is in one unit alone: leave unit out")
        return Conversion(1.0)
    names = ", ".join(known)
    if unit is None:
        raise ValueError(f"{column} may be in several units: say which with unit ({names})")
    if unit == "?":
        raise ValueError(f'the unit is still "?": write the one the sheet is in ({names})')
    found = known.get(_ALSO.get(unit, unit))
    if found is None:
        raise ValueError(f"{unit!r} is no unit of {column} that is known: {names}")
    return found
