"""Numbers as people type them at a machine: decimal point or comma, and which unit was meant.

The rules of plausibility are those of the physics (`analyzers.numerics.kv_corrections`); pages hold
what is typed against the same bounds at once (`static/check.js`), which come from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from analyzers.numerics.kv_corrections import (
    KPA_PER,
    PRESSURE_KPA,
    TEMPERATURE_C,
    pressure_unit_hint,
    temperature_unit_hint,
)
from analyzers.output_columns import COLUMNS

NUMBER = re.compile(r"-?(?:\d{1,9}(?:[.,]\d{1,9})?|[.,]\d{1,9})", re.ASCII)
HPA = "hPa or mbar"
PRESSURES: Mapping[str, float] = {
    "kPa": 1.0,
    "mmHg": KPA_PER["mmHg"],
    "hPa": KPA_PER[HPA],
    "inHg": KPA_PER["inHg"],
}
"""Units of pressure that can be chosen, in kPa, in the order in which a hint is looked for."""
HIGH_PLACE_HPA = (700.0, 800.0)
"""A room's pressure in mmHg nearly everywhere; in hPa that of places above 1900 m."""


class Wrong(ValueError):  # noqa: N818 - a sentence for the person who typed
    """What was typed cannot be taken; the sentence stands beside the field."""


def number(text: str) -> float:
    """A number with a decimal point or comma.  Raises `Wrong`."""
    typed = text.strip().replace("\N{MINUS SIGN}", "-")
    if not typed:
        raise Wrong("Type a number here.")
    if "," in typed and "." in typed:
        raise Wrong("Type it without a mark for thousands: 1234.5 or 1234,5.")
    if not NUMBER.fullmatch(typed):
        raise Wrong("This is no number: type digits, with a point or a comma before decimals.")
    return float(typed.replace(",", "."))


def number_of(column: str, text: str) -> float:
    """A number that a column of the schema can hold.  Raises `Wrong`."""
    value, rule = number(text), COLUMNS[column]
    unit = f" {rule.unit}" if rule.unit else ""
    if not rule.low <= value <= rule.high:
        raise Wrong(f"{value:g}{unit} cannot be: {rule.low:g} to {rule.high:g}{unit}.")
    if rule.whole and value != int(value):
        raise Wrong("Type a whole number.")
    return value


def reading_nc(text: str) -> float:
    """A charge in nC, as a magnitude.  Raises `Wrong`."""
    value = number(text)
    if value < 0.0:
        raise Wrong("Type the reading without its sign.")
    if not 0.0 < value <= COLUMNS["readings_nc"].high:
        raise Wrong("A reading is more than 0 nC.")
    return value


def temperature_c(text: str) -> float:
    """A room's temperature in °C.  Raises `Wrong` with the unit that it looks like."""
    value = number(text)
    low, high = TEMPERATURE_C
    if low <= value <= high:
        return value
    looks = temperature_unit_hint(value)
    said = f"{value:g} °C cannot be: {low:g} to {high:g} °C."
    if looks == "°F":
        said += f" That looks like °F: type {(value - 32.0) / 1.8:.1f}."
    elif looks == "K":
        said += f" That looks like K: type {value - 273.15:.1f}."
    raise Wrong(said)


def pressure_kpa(text: str, unit: str) -> float:
    """The pressure of the room in kPa, typed in a unit that was chosen.  Raises `Wrong`."""
    value = number(text)
    if unit not in PRESSURES:
        raise Wrong("Choose the unit that the barometer shows.")
    kpa = round(value * PRESSURES[unit], 6)
    low, high = PRESSURE_KPA
    if low <= kpa <= high:
        return kpa
    per = PRESSURES[unit]
    said = f"{value:g} {unit} cannot be: {low / per:.4g} to {high / per:.4g} {unit}."
    looks = "kPa" if low <= value <= high else pressure_unit_hint(value)
    if looks is not None:
        looks = "hPa" if looks == HPA else looks
        choose = f": choose {looks}" if looks in PRESSURES else ""
        said += f" That looks like {looks}{choose}."
    raise Wrong(said)


def is_doubtful_pressure(text: str, unit: str) -> bool:
    """Whether a pressure that can be is rather one in mmHg than in hPa."""
    try:
        return unit == "hPa" and HIGH_PLACE_HPA[0] <= number(text) <= HIGH_PLACE_HPA[1]
    except Wrong:
        return False
