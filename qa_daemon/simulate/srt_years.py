"""Years of a superficial unit's life: what it gave each working day, and what was read.

Made up, so that the largest deviations of 3.5 years come to lie where those of one SRT-100 Vision
did (PMC12450352): daily below 3.0 %, monthly below 2.0 %, at calibrations below 1.3 %, readings
within 0.1 %.  Components, as standard deviations (`Noise`):

======================= ========== =========================================================
reading                 0.1 %      that unit's reproducibility; the mean of 3 has 0.06 %
thermometer             0.3 °C     assumed: air in the chamber against the room's, 0.10 %
barometer               0.1 kPa    assumed: a good aneroid, 0.10 %
chamber, daily          0.3 mm     assumed; 0.40 % by inverse square at 15 cm, one for a session
chamber, otherwise      0.1 mm     assumed: the traceable chamber in its holder, 0.13 %
tube, each session      0.27 %     assumed; each tube potential by itself
wander                  0.5 %      of a random walk over a year, each potential by itself: 95 % of
                                   years end within 1 %; a calibration makes a new start
======================= ========== =========================================================

Random in a daily check: sqrt(0.06² + 0.10² + 0.10² + 0.40² + 0.27²) = 0.51 %; in a monthly one, and
at a calibration, 0.34 %.  A deviation has besides the baseline's own error (0.34 %) and the wander
since (0.5 % · sqrt(1/2) = 0.35 % on the mean of a year, 0.5 % after a year): 0.70 %, 0.59 % and
0.69 %.  The largest of n normal values has the median at which 1 - 0.5^(1/n) lies outside: 3.5
years of three potentials are 2740 daily values (3.66 standard deviations), 126 monthly (2.78) and 9
at calibrations (1.79), so 2.6 %, 1.6 % and 1.2 % are expected.

Working days are Monday to Friday.  A unit begins with a calibration, whose outputs are the first
baselines; another follows each year, a monthly check on the first working day of each month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.output_checks import CheckType
from qa_daemon.simulate.srt_session import (
    APPLICATORS,
    BEAMS,
    C_PER_NC,
    KPA_PER,
    P_REF_KPA,
    READINGS,
    S_PER_MIN,
    SETTING_S,
    T_REF_C,
    ZERO_C_IN_K,
)

Numbers = NDArray[np.floating[Any]]

SATURDAY = 5
BEGINS = date(2023, 1, 2)
DAYS_OF_YEAR = 365
CALIBRATED_EVERY = timedelta(days=364)
DAYS_OF_MONTH = 30.4375
SSD_MM = 150.0
N_K_GY_PER_C = (1.000e9, 0.985e9, 0.968e9)
"""Of each of `BEAMS`: a chamber answers another quality by some percent otherwise."""
FILTER_STEP = 0.7
"""Output with the next thicker filter over that with the unit's own."""
ORDER = (CheckType.DAILY, CheckType.MONTHLY, CheckType.ABSOLUTE)
"""Of the sessions of a day: a calibration is made when the patients are gone."""
ROOM_C, SEASON_C, ROOM_VARIES_C, WEATHER_KPA = 21.5, 0.7, 0.4, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Standard deviations; what each stands for is in the table above."""

    reading_percent: float = 0.1
    thermometer_c: float = 0.3
    barometer_kpa: float = 0.1
    daily_mm: float = 0.3
    careful_mm: float = 0.1
    tube_percent: float = 0.27
    wander_percent: float = 0.5

    def times(self, factor: float) -> Noise:
        """All of it but the wander, larger or smaller."""
        return Noise(
            reading_percent=factor * self.reading_percent,
            thermometer_c=factor * self.thermometer_c,
            barometer_kpa=factor * self.barometer_kpa,
            daily_mm=factor * self.daily_mm,
            careful_mm=factor * self.careful_mm,
            tube_percent=factor * self.tube_percent,
            wander_percent=self.wander_percent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitErrors:
    """What goes wrong, from the day `on` on or on that day alone, at `kvp` or at each potential.

    From that day on: `drift_percent` a month (30.44 days) and `step_percent`; with `is_signed` the
    step is one after a repair, and a calibration on the evening before made new baselines.
    On that day alone: `pressure_unit`, what the barometer shows and was written as kPa;
    `is_sea_level`, a pressure reduced to sea level; `applicator`, another one mounted than is
    written; `filter_steps`, a filter that is thicker by so many; `n_k_of`, the potential whose N_K
    was taken.  In its month: `is_month_missed`, no monthly check.
    """

    on: date | None = None
    kvp: float | None = None
    drift_percent: float = 0.0
    step_percent: float = 0.0
    is_signed: bool = False
    pressure_unit: str = "kPa"
    is_sea_level: bool = False
    applicator: str | None = None
    filter_steps: int = 0
    n_k_of: float | None = None
    is_month_missed: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Life:
    """A unit's sessions in the order of time, S of them, at B tube potentials (those of `BEAMS`).

    `at` is the day of a session and `kind` what it was for.  `level` (S, B) is the unit's output
    over its first, without what varies from day to day; `rate` (S, B) what it gave, in Gy/min;
    `setup_mm` (S,) how much too far from the source the chamber stood.  `temperature_c` and
    `pressure_kpa` (S,) are those of the room, `read_c` and `read_kpa` what was noted as °C and kPa.
    `readings_nc` is (S, B, `READINGS`).  `n_k` (S, B) is the factor that was noted.
    """

    altitude_m: float
    at: tuple[date, ...]
    kind: tuple[CheckType, ...]
    level: Numbers
    rate: Numbers
    setup_mm: Numbers
    temperature_c: Numbers
    pressure_kpa: Numbers
    read_c: Numbers
    read_kpa: Numbers
    readings_nc: Numbers
    n_k: Numbers

    @cached_property
    def outputs(self) -> Numbers:
        """(S, B): the air-kerma rate in Gy/min that follows from what was noted."""
        p_tp = _p_tp(self.read_c, self.read_kpa)[:, None]
        charge_c = C_PER_NC * self.readings_nc.mean(axis=2)
        return np.asarray(charge_c * p_tp * self.n_k * S_PER_MIN / SETTING_S)

    @cached_property
    def baselines(self) -> Numbers:
        """(S, B): the output of the last calibration before each session; NaN before the first."""
        found = np.full(self.level.shape, np.nan)
        outputs, latest = self.outputs, np.full(self.level.shape[1], np.nan)
        for number, kind in enumerate(self.kind):
            found[number] = latest
            if kind is CheckType.ABSOLUTE:
                latest = outputs[number]
        return found

    @cached_property
    def deviations_percent(self) -> Numbers:
        """(S, B): output minus baseline, over the baseline."""
        return np.asarray(100.0 * (self.outputs / self.baselines - 1.0))

    def of(self, kind: CheckType) -> NDArray[np.intp]:
        """Which sessions are of a kind."""
        return np.array([n for n, each in enumerate(self.kind) if each is kind], dtype=np.intp)


def live(
    years: float,
    seed: int | Sequence[int],
    errors: UnitErrors | None = None,
    *,
    noise: Noise | None = None,
    altitude_m: float = 0.0,
    recalibrated: bool = True,
    begins: date = BEGINS,
) -> Life:
    """A unit's life of some years.  The same seed gives the same noise, whatever is wrong.

    `recalibrated`: each year; else at the beginning alone.  ValueError: no whole day of life, or an
    error that begins outside of it.
    """
    told, of = errors or UnitErrors(), noise or Noise()
    days = working_days(begins, round(years * DAYS_OF_YEAR))
    if not days or (told != UnitErrors() and told.on not in days):
        raise ValueError(f"an error begins on a working day of the unit's life, not on {told.on}")
    at, kind = _sessions(days, told, recalibrated)
    random = np.random.default_rng(seed)
    beams, count = len(BEAMS), len(days) * len(ORDER)
    # Drawn for every session that there might be, so that one left out moves no other's noise.
    number = {day: n for n, day in enumerate(days)}
    place = np.array([number[day] for day in at])
    which = place * len(ORDER) + np.array([ORDER.index(k) for k in kind])
    walk = random.standard_normal((len(days), beams)) * np.sqrt(_gaps(days))[:, None]
    wander = np.cumsum(walk, axis=0) * of.wander_percent / np.sqrt(DAYS_OF_YEAR)
    tube = random.standard_normal((count, beams))[which] * of.tube_percent
    room, air, thermometer, barometer, setup = random.standard_normal((5, count))[:, which]
    readings = random.standard_normal((count, beams, READINGS))[which] * of.reading_percent
    daily = np.array([k is CheckType.DAILY for k in kind])
    temperature_c = ROOM_C + SEASON_C * _season(at) + ROOM_VARIES_C * room
    pressure_kpa = (P_REF_KPA + WEATHER_KPA * air) * station_pressure(altitude_m)
    level = (1.0 + wander[place] / 100.0) * _given(at, kind, told)
    nominal = np.array([beam.output_gy_per_min for beam in BEAMS.values()])
    rate = nominal * level * (1.0 + tube / 100.0) * _mounted(at, told)
    life = Life(
        altitude_m=altitude_m,
        at=at,
        kind=kind,
        level=level,
        rate=rate,
        setup_mm=setup * np.where(daily, of.daily_mm, of.careful_mm),
        temperature_c=temperature_c,
        pressure_kpa=pressure_kpa,
        read_c=np.round(temperature_c + of.thermometer_c * thermometer, 1),
        read_kpa=np.round(pressure_kpa + of.barometer_kpa * barometer, 2),
        readings_nc=1.0 + readings / 100.0,
        n_k=np.broadcast_to(np.array(N_K_GY_PER_C), rate.shape).copy(),
    )
    return _misread(replace(life, readings_nc=_charges(life)), told)


def working_days(begins: date, days: int) -> list[date]:
    """Monday to Friday of so many days."""
    every = (begins + timedelta(days=n) for n in range(days))
    return [day for day in every if day.weekday() < SATURDAY]


def station_pressure(altitude_m: float) -> float:
    """Pressure at an altitude over that at sea level, ICAO standard atmosphere (Doc 7488)."""
    return float((1.0 - 2.25577e-5 * altitude_m) ** 5.25588)


def _sessions(
    days: Sequence[date], told: UnitErrors, recalibrated: bool
) -> tuple[tuple[date, ...], tuple[CheckType, ...]]:
    """Day and kind of each session.  On the first day the unit is calibrated, and no more."""
    found = [(days[0], CheckType.ABSOLUTE)]
    eve = _eve(days, told) if told.is_signed else None
    for before, day in pairwise(days):
        found.append((day, CheckType.DAILY))
        is_missed = told.is_month_missed and told.on is not None and _month(day) == _month(told.on)
        if _month(day) != _month(before) and not is_missed:
            found.append((day, CheckType.MONTHLY))
        is_year = (day - days[0]) % CALIBRATED_EVERY == timedelta(0)
        if (is_year and recalibrated) or day == eve:
            found.append((day, CheckType.ABSOLUTE))
    return tuple(day for day, _ in found), tuple(kind for _, kind in found)


def _eve(days: Sequence[date], told: UnitErrors) -> date:
    """The working day before the error."""
    if told.on is None or told.on == days[0]:
        raise ValueError("what is signed off was calibrated on the working day before")
    return days[days.index(told.on) - 1]


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def _gaps(days: Sequence[date]) -> Numbers:
    """Days since the working day before; the walk begins on the first one."""
    return np.array([0, *((b - a).days for a, b in pairwise(days))], dtype=np.float64)


def _season(at: Sequence[date]) -> Numbers:
    """-1 in midwinter to 1 in midsummer, of the north."""
    day = np.array([each.timetuple().tm_yday for each in at], dtype=np.float64)
    return -np.cos(2.0 * np.pi * (day - 15.0) / DAYS_OF_YEAR)


def _concerned(told: UnitErrors) -> NDArray[np.bool_]:
    """(B,): the tube potentials that have the error."""
    return np.array([told.kvp is None or kvp == told.kvp for kvp in BEAMS])


def _given(at: Sequence[date], kind: Sequence[CheckType], told: UnitErrors) -> Numbers:
    """(S, B): what drift and step make of the output."""
    if told.on is None:
        return np.ones((len(at), len(BEAMS)))
    since = np.array([(day - told.on).days for day in at], dtype=np.float64)
    is_there = since >= 0
    if told.is_signed:
        # The calibration of the evening before is made after the repair.
        latest = max((n for n, day in enumerate(at) if day < told.on), default=0)
        is_there[latest] = kind[latest] is CheckType.ABSOLUTE
    drift = told.drift_percent * np.maximum(since, 0.0) / DAYS_OF_MONTH
    change = drift + np.where(is_there, told.step_percent, 0.0)
    return 1.0 + change[:, None] / 100.0 * _concerned(told)


def _mounted(at: Sequence[date], told: UnitErrors) -> Numbers:
    """(S, B): what another applicator or filter makes of the output on that day."""
    that_day = np.array([day == told.on for day in at])[:, None] & _concerned(told)
    factor = APPLICATORS[told.applicator][1] if told.applicator else 1.0
    return np.where(that_day, factor * FILTER_STEP**told.filter_steps, 1.0)


def _charges(life: Life) -> Numbers:
    """(S, B, readings): charge in nC to four decimals, of a life whose readings are factors."""
    nearer = 1.0 - 2.0 * life.setup_mm / SSD_MM
    p_tp = _p_tp(life.temperature_c, life.pressure_kpa)
    charge_c = life.rate * (nearer / p_tp)[:, None] * SETTING_S / S_PER_MIN / life.n_k
    return np.round(charge_c[:, :, None] / C_PER_NC * life.readings_nc, 4)


def _misread(life: Life, told: UnitErrors) -> Life:
    """The same with what was noted wrongly on that day."""
    that_day = np.array([day == told.on for day in life.at])
    factor = 1.0 / KPA_PER[told.pressure_unit]
    if told.is_sea_level:
        factor /= station_pressure(life.altitude_m)
    n_k = life.n_k.copy()
    if told.n_k_of is not None:
        other = dict(zip(BEAMS, N_K_GY_PER_C, strict=True))[told.n_k_of]
        n_k[that_day[:, None] & _concerned(told)] = other
    read_kpa = np.where(that_day, np.round(life.read_kpa * factor, 2), life.read_kpa)
    return replace(life, read_kpa=read_kpa, n_k=n_k)


def _p_tp(temperature_c: Numbers, pressure_kpa: Numbers) -> Numbers:
    """Air density factor to the certificate's conditions."""
    return (ZERO_C_IN_K + temperature_c) / (ZERO_C_IN_K + T_REF_C) * P_REF_KPA / pressure_kpa
