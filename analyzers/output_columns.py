"""The columns of the schema `qa_srt_output` 1.0: what a value of each may be, and what is said if
it is not.

A message names row, column and what to do.  It repeats a number, never a text: a row that has
slipped by one column may hold a serial number or a person anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from analyzers.core import ReadError
from analyzers.output_checks import CheckType, Mode

SCHEMA = "qa_srt_output"
VERSION = "1.0"
LONGEST_WORD = 64
LONGEST_COMMENT = 500
MOST_READINGS = 20
UNIT_MODELS = (
    "SRT-100",
    "SRT-100+",
    "SRT-100 Vision",
    *(f"Xstrahl {model}" for model in (100, 150, 200, 300)),
    "Other",
)
REFERENCE_TEMPERATURES_C = (20.0, 22.0)


class Kind(Enum):
    """How the value of a column is written."""

    TEXT = "text"
    WORD = "one of a list"
    NUMBER = "number"
    READINGS = "readings"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.  `low` and `high` are inside, in `unit`; `words` are those it may hold."""

    name: str
    kind: Kind = Kind.TEXT
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    required: bool = False
    words: tuple[str, ...] = ()
    longest: int = LONGEST_WORD
    whole: bool = False


def _text(name: str, *, required: bool = True, longest: int = LONGEST_WORD) -> Column:
    return Column(name, required=required, longest=longest)


def _word(name: str, *words: str) -> Column:
    return Column(name, Kind.WORD, required=True, words=words)


def _number(name: str, unit: str, low: float, high: float, *, required: bool = False) -> Column:
    return Column(name, Kind.NUMBER, unit, low, high, required)


_LISTED = (
    _text("record_id"),
    _text("unit_id"),
    _word("unit_model", *UNIT_MODELS),
    Column("datetime", Kind.TIME, required=True),
    _word("check_type", *(kind.value for kind in CheckType)),
    _text("operator"),
    _number("kvp", "kV", 10.0, 320.0, required=True),
    _number("tube_current_ma", "mA", 0.1, 50.0),
    _text("filter_id"),
    _number("hvl_mm_al", "mm Al", 0.01, 20.0),
    _number("hvl_mm_cu", "mm Cu", 0.01, 5.0),
    _text("applicator_id"),
    _number("applicator_diameter_cm", "cm", 0.3, 30.0),
    _number("applicator_x_cm", "cm", 0.3, 30.0),
    _number("applicator_y_cm", "cm", 0.3, 30.0),
    _number("ssd_cm", "cm", 2.0, 100.0, required=True),
    _number("timer_set_s", "s", 0.6, 3600.0, required=True),
    _number("timer_measured_s", "s", 0.1, 4000.0),
    _word("mode", *(mode.value for mode in Mode)),
    _text("chamber_model"),
    _text("chamber_sn"),
    _text("electrometer_sn"),
    _number("n_k_gy_per_c", "Gy/C", 1e5, 1e10),
    _number("n_k_hvl_mm_al", "mm Al", 0.01, 20.0),
    _number("p_elec", "", 0.95, 1.05),
    _number("p_ion", "", 0.95, 1.05),
    _number("p_pol", "", 0.95, 1.05),
    Column("readings_nc", Kind.READINGS, "nC", 0.0, 1e6, required=True),
    _number("bias_v", "V", -2000.0, 2000.0),
    _number("temperature_c", "°C", 10.0, 40.0, required=True),
    _number("pressure_kpa", "kPa", 60.0, 110.0, required=True),
    _number("t_ref_c", "°C", 20.0, 22.0, required=True),
    _number("p_ref_kpa", "kPa", 101.0, 101.6),
    _number("timer_end_effect_s", "s", -5.0, 5.0),
    _number("bsf", "", 0.8, 1.8),
    _number("mu_en_ratio", "", 0.8, 1.8),
    _number("stem_factor", "", 0.8, 1.8),
    _number("reference_output", "Gy/min", 1e-6, 1e6),
    _number("tolerance_pct", "%", 1e-6, 100.0),
    _number("action_pct", "%", 1e-6, 100.0),
    # Beyond the schema: what a half-value layer, an end effect, a turned head, a depth dose and a
    # profile are worked out by.
    _number("absorber_mm_al", "mm Al", 0.0, 50.0),
    Column("exposures", Kind.NUMBER, "", 1.0, 100.0, whole=True),
    _number("head_angle_deg", "deg", -360.0, 360.0),
    _number("depth_mm", "mm", 0.0, 300.0),
    _number("position_mm", "mm", -200.0, 200.0),
    Column("profile_axis", Kind.WORD, words=("x", "y")),
    _text("comment", required=False, longest=LONGEST_COMMENT),
)
COLUMNS: Mapping[str, Column] = {column.name: column for column in _LISTED}
"""Every column by its name, in the order in which they are written."""
REQUIRED = tuple(column.name for column in _LISTED if column.required)
PRIVATE = ("operator", "comment", "chamber_sn", "electrometer_sn")


def checked(column: Column, value: object, where: str, private: frozenset[str]) -> object:
    """A value that is of the column's type, held against the schema.

    `where` says which row; a number that is also one of the row's `private` texts is not repeated.
    Raises `ReadError`.
    """
    if column.kind is Kind.NUMBER:
        assert isinstance(value, float)
        _check_number(column, value, where, private)
        return value
    if column.kind is Kind.READINGS:
        assert isinstance(value, tuple)
        _check_readings(value, where)
        return value
    assert isinstance(value, str)
    if column.kind is Kind.WORD:
        if value not in column.words:
            raise ReadError(
                "SRT_SCHEMA", f"{where}, {column.name}: one of {', '.join(column.words)} expected"
            )
        return value
    if column.kind is Kind.TEXT:
        _check_text(column, value, where)
    return value


def _check_number(column: Column, value: float, where: str, private: frozenset[str]) -> None:
    name = column.name
    if name == "t_ref_c" and value not in REFERENCE_TEMPERATURES_C:
        raise ReadError(
            "SRT_UNIT",
            f"{where}, t_ref_c: 20 or 22 °C expected, as the chamber's calibration certificate "
            "says",
        )
    if not column.low <= value <= column.high:
        said = _said(value, private)
        hint = _hint(name, value) if said else ""
        unit = f" {column.unit}" if column.unit else ""
        raise ReadError(
            "SRT_UNIT",
            f"{where}, {name}: {said}{column.low:g} to {column.high:g}{unit} expected{hint}",
        )
    if column.whole and value != int(value):
        raise ReadError("SRT_UNIT", f"{where}, {name}: a whole number expected")


def _said(value: float, private: frozenset[str]) -> str:
    """The number, to be followed by what was expected; empty where it may be somebody's."""
    for text in private:
        try:
            if text == f"{value:g}" or float(text) == value:
                return ""
        except ValueError:
            continue
    return f"{value:g} found, "


def _hint(name: str, value: float) -> str:
    """Which other unit a number out of range looks like, with the same in the right one."""
    for other in OTHER_UNITS.get(name, ()):
        if other.low <= value <= other.high:
            right = value * other.factor + other.offset
            said = f"{value:g} {other.unit} are {right:.6g} {COLUMNS[name].unit}"
            return f"; {value:g} in {name} looks like {other.unit}: {said}"
    return ""


@dataclass(frozen=True, slots=True)
class OtherUnit:
    """A unit that a column is not in: from where to where a number looks like it.

    `factor` and `offset` lead from it to the column's own.
    """

    unit: str
    low: float
    high: float
    factor: float
    offset: float = 0.0


OTHER_UNITS: Mapping[str, tuple[OtherUnit, ...]] = {
    "pressure_kpa": (
        OtherUnit("mmHg", 450.0, 825.0, 101.325 / 760.0),
        OtherUnit("hPa", 825.0, 1100.0, 0.1),
        OtherUnit("inHg", 17.7, 32.5, 3.38639),
        OtherUnit("Pa", 60e3, 110e3, 0.001),
        OtherUnit("bar", 0.6, 1.09, 100.0),
    ),
    "p_ref_kpa": (
        OtherUnit("mmHg", 757.0, 763.0, 101.325 / 760.0),
        OtherUnit("hPa", 1010.0, 1016.0, 0.1),
        OtherUnit("atm", 0.99, 1.01, 101.325),
    ),
    "temperature_c": (
        OtherUnit("°F", 50.0, 104.0, 1.0 / 1.8, -32.0 / 1.8),
        OtherUnit("K", 283.0, 314.0, 1.0, -273.15),
    ),
    "kvp": (OtherUnit("V", 10e3, 320e3, 0.001),),
    "n_k_gy_per_c": (OtherUnit("Gy/nC", 1e-4, 10.0, 1e9),),
}


def _check_readings(readings: tuple[object, ...], where: str) -> None:
    at = f"{where}, readings_nc"
    if not readings:
        raise ReadError("SRT_READINGS", f"{at}: no reading; write them as r1;r2;r3 in nC")
    if len(readings) > MOST_READINGS:
        raise ReadError(
            "SRT_READINGS", f"{at}: {len(readings)} readings, at most {MOST_READINGS} expected"
        )
    for number, reading in enumerate(readings, start=1):
        assert isinstance(reading, float)
        if not 0.0 < reading <= COLUMNS["readings_nc"].high:
            raise ReadError(
                "SRT_READINGS",
                f"{at}: reading {number} is not a charge above 0 nC; write magnitudes, and leave "
                "out what was not read",
            )


def _check_text(column: Column, value: str, where: str) -> None:
    at = f"{where}, {column.name}"
    if len(value) > column.longest:
        raise ReadError(
            "SRT_SCHEMA", f"{at}: {len(value)} characters, at most {column.longest} expected"
        )
    kept = value.replace("\r", "").replace("\n", "").replace("\t", "")
    if not (kept if column.name == "comment" else value).isprintable():
        raise ReadError("SRT_SCHEMA", f"{at}: holds characters that cannot be printed")
