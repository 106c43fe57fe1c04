"""A session of output checks on a superficial unit, with errors that are stated.

The unit's outputs, half-value layers and applicator factors are made up, of the size that units of
this class have.  What is recorded and what was the case are kept apart: a
thermometer that is wrong changes the record, a tube that is wrong changes the readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from analyzers.output_checks import CheckType, Mode, ReadingGroup
from qa_daemon.simulate.options import finite, is_on, known
from qa_daemon.simulate.srt_curves import ACROSS, MEASURED_MM, SSD_CM, across, percent

BEGUN_AT = "2026-02-03T07:31:00+01:00"
BETWEEN_ROWS = timedelta(minutes=3)
N_K_GY_PER_C = 1e9
C_PER_NC = 1e-9
S_PER_MIN = 60.0
TEMPERATURE_C, PRESSURE_KPA = 21.4, 99.62
T_REF_C, P_REF_KPA = 20.0, 101.325
ZERO_C_IN_K = 273.15
SETTING_S = 30.0
READINGS = 3
KPA_PER = {"kPa": 1.0, "mmHg": 101.325 / 760.0, "hPa": 0.1, "inHg": 3.38639}
APPLICATORS = {"A15": (1.5, 0.955), "A20": (2.0, 0.974), "A30": (3.0, 1.0), "A50": (5.0, 1.031)}
"""Diameter in cm, and output over that of A30."""
SWAPPED = {"A15": "A20", "A20": "A15", "A30": "A15", "A50": "A30"}
"""Which applicator is put on by mistake."""
LINEARITY_S = (6.0, 15.0, 30.0, 60.0, 120.0)
ABSORBERS_MM_AL = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
ANGLES_DEG = (0.0, 45.0, 90.0)
SEVERAL = 4
"""Exposures that are held against one of the same time."""

HELD_AGAINST_REFERENCE = (
    *(CheckType.DAILY, CheckType.MONTHLY, CheckType.ANNUAL, CheckType.ABSOLUTE),
    *(CheckType.APPLICATOR_FACTOR, CheckType.REPRODUCIBILITY),
)
"""Kinds of check whose rows name a reference output; the others ask for ratios of their rows."""


@dataclass(frozen=True, slots=True)
class Beam:
    """One tube potential: output with A30 in air, Gy/min, half-value layer, current and filter."""

    output_gy_per_min: float
    hvl_mm_al: float
    current_ma: float
    filter_id: str


BEAMS = {
    50.0: Beam(5.12, 0.52, 10.0, "F1"),
    70.0: Beam(4.79, 1.15, 10.0, "F2"),
    100.0: Beam(6.31, 2.20, 8.0, "F3"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong: with the unit (percent, s), with what was put on, and with what was noted."""

    output_error_percent: float = 0.0
    end_effect_s: float = 0.0
    hvl_error_percent: float = 0.0
    angle_error_percent: float = 0.0
    depth_error_mm: float = 0.0
    noise_percent: float = 0.0
    temperature_error_c: float = 0.0
    pressure_unit: str = "kPa"
    is_swapped: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One row to be measured."""

    kvp: float
    check: CheckType
    applicator: str = "A30"
    set_s: float = SETTING_S
    exposures: int = 1
    absorber_mm_al: float | None = None
    angle_deg: float | None = None
    depth_mm: float | None = None
    position_mm: float | None = None
    axis: str | None = None


def rows_of(
    settings: Sequence[Setting],
    faults: Faults,
    *,
    unit: str,
    at: datetime,
    has_reference: bool = True,
    seed: int = 0,
) -> list[ReadingGroup]:
    """The rows as a physicist would have written them, a few minutes apart."""
    random = np.random.default_rng(seed)
    return [
        _row(setting, faults, unit, at + k * BETWEEN_ROWS, k + 1, has_reference, random)
        for k, setting in enumerate(settings)
    ]


def _row(
    setting: Setting,
    faults: Faults,
    unit: str,
    at: datetime,
    number: int,
    has_reference: bool,
    random: np.random.Generator,
) -> ReadingGroup:
    beam = BEAMS[setting.kvp]
    diameter_cm, factor = APPLICATORS[setting.applicator]
    is_output = has_reference and setting.check in HELD_AGAINST_REFERENCE
    return ReadingGroup(
        record_id=f"{at:%Y-%m-%d}-{setting.check.value}-{number}",
        unit_id=unit,
        unit_model="SRT-100 Vision",
        performed_at=at,
        check_type=setting.check,
        operator="AB",
        kvp=setting.kvp,
        tube_current_ma=beam.current_ma,
        filter_id=beam.filter_id,
        hvl_mm_al=beam.hvl_mm_al,
        applicator_id=setting.applicator,
        applicator_diameter_cm=diameter_cm,
        ssd_cm=SSD_CM,
        timer_set_s=setting.set_s,
        mode=Mode.TIMER,
        chamber_model="PTW 23342",
        chamber_sn="0123",
        electrometer_sn="4567",
        n_k_gy_per_c=N_K_GY_PER_C,
        p_elec=1.0,
        p_ion=1.0,
        p_pol=1.0,
        readings_nc=_readings(setting, faults, random),
        temperature_c=round(TEMPERATURE_C + faults.temperature_error_c, 6),
        pressure_kpa=round(PRESSURE_KPA / KPA_PER[faults.pressure_unit], 6),
        t_ref_c=T_REF_C,
        p_ref_kpa=P_REF_KPA,
        reference_output=beam.output_gy_per_min * factor if is_output else None,
        absorber_mm_al=setting.absorber_mm_al,
        exposures=float(setting.exposures) if setting.exposures > 1 else None,
        head_angle_deg=setting.angle_deg,
        depth_mm=setting.depth_mm,
        position_mm=setting.position_mm,
        profile_axis=setting.axis,
    )


def _readings(setting: Setting, faults: Faults, random: np.random.Generator) -> tuple[float, ...]:
    """What the electrometer shows, in nC, to six decimals: the charge goes with t + eps."""
    beam = BEAMS[setting.kvp]
    applied = SWAPPED[setting.applicator] if faults.is_swapped else setting.applicator
    rate = beam.output_gy_per_min * APPLICATORS[applied][1]
    rate *= 1.0 + faults.output_error_percent / 100.0
    if setting.angle_deg:
        rate *= 1.0 + faults.angle_error_percent / 100.0
    hvl_mm = beam.hvl_mm_al * (1.0 + faults.hvl_error_percent / 100.0)
    rate *= 0.5 ** ((setting.absorber_mm_al or 0.0) / hvl_mm)
    diameter_cm = APPLICATORS[applied][0]
    if setting.depth_mm:
        depth_mm = setting.depth_mm + faults.depth_error_mm
        rate *= percent(depth_mm, diameter_cm, setting.kvp) / 100.0
    if setting.position_mm is not None:
        rate *= across(setting.position_mm, diameter_cm, setting.axis or "x")
    time_s = setting.exposures * (setting.set_s + faults.end_effect_s)
    p_tp = (ZERO_C_IN_K + TEMPERATURE_C) / (ZERO_C_IN_K + T_REF_C) * P_REF_KPA / PRESSURE_KPA
    charge_nc = rate * time_s / S_PER_MIN / N_K_GY_PER_C / p_tp / C_PER_NC
    noise = 1.0 + faults.noise_percent / 100.0 * random.standard_normal(READINGS)
    return tuple(round(float(charge_nc * factor), 6) for factor in noise)


def settings_of(check: CheckType, potentials: Sequence[float]) -> Iterator[Setting]:
    """The rows that such a check has at each tube potential."""
    for kvp in potentials:
        if check is CheckType.APPLICATOR_FACTOR:
            yield Setting(kvp, check)
            yield from (Setting(kvp, check, name) for name in APPLICATORS if name != "A30")
        elif check is CheckType.LINEARITY:
            yield from (Setting(kvp, check, set_s=set_s) for set_s in LINEARITY_S)
        elif check is CheckType.TIMER:
            yield Setting(kvp, check, set_s=60.0)
            yield Setting(kvp, check, set_s=60.0 / SEVERAL, exposures=SEVERAL)
        elif check is CheckType.HVL:
            yield from (Setting(kvp, check, absorber_mm_al=mm) for mm in ABSORBERS_MM_AL)
        elif check is CheckType.ANGLE:
            yield from (Setting(kvp, check, angle_deg=angle) for angle in ANGLES_DEG)
        elif check is CheckType.PDD:
            yield from (Setting(kvp, check, depth_mm=mm) for mm in MEASURED_MM)
        elif check is CheckType.PROFILE:
            half_mm = 5.0 * APPLICATORS["A30"][0]
            yield from (
                Setting(kvp, check, position_mm=share * half_mm, axis=axis)
                for axis in ("x", "y")
                for share in ACROSS
            )
        else:
            yield Setting(kvp, check)


def writer(written: Callable[[Sequence[ReadingGroup]], bytes]) -> Callable[..., Path]:
    """`simulate` of a format whose bytes `written` makes of rows."""

    def simulate(
        out: Path,
        *,
        check: str = "daily",
        kvp: str = "50,70,100",
        unit: str = "SRT1",
        begun_at: str = BEGUN_AT,
        output_error: float = 0.0,
        end_effect: float = 0.0,
        hvl_error: float = 0.0,
        angle_error: float = 0.0,
        depth_error: float = 0.0,
        noise: float = 0.0,
        temperature_error: float = 0.0,
        pressure_unit: str = "kPa",
        swapped: bool | str = False,
        reference: bool | str = True,
        seed: int = 0,
    ) -> Path:
        """Write one session.

        Errors are in percent (`output_error`, `hvl_error`, `angle_error`, `noise` as a standard
        deviation), in s (`end_effect`, not stated in the rows), in mm (`depth_error`, how much
        deeper than written the chamber is) and in °C (`temperature_error`, of the thermometer).
        `pressure_unit` is what the barometer shows and was copied as kPa; `swapped` puts on another
        applicator than is written down.  Raises ValueError for an unknown
        check, tube potential, unit of pressure or time.
        """
        known("check", check, [kind.value for kind in CheckType])
        known("pressure_unit", pressure_unit, KPA_PER)
        faults = Faults(
            output_error_percent=finite("output_error", output_error),
            end_effect_s=finite("end_effect", end_effect),
            hvl_error_percent=finite("hvl_error", hvl_error),
            angle_error_percent=finite("angle_error", angle_error),
            depth_error_mm=finite("depth_error", depth_error),
            noise_percent=finite("noise", noise),
            temperature_error_c=finite("temperature_error", temperature_error),
            pressure_unit=pressure_unit,
            is_swapped=is_on("swapped", swapped),
        )
        at = datetime.fromisoformat(str(begun_at))
        if at.tzinfo is None:
            raise ValueError(f"begun_at {begun_at!r}: written with its offset, as {BEGUN_AT}")
        rows = rows_of(
            list(settings_of(CheckType(check), _potentials(str(kvp)))),
            faults,
            unit=str(unit),
            at=at,
            has_reference=is_on("reference", reference),
            seed=int(seed),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(written(rows))
        return out

    return simulate


def _potentials(listed: str) -> list[float]:
    found = []
    for part in filter(None, listed.replace(" ", "").split(",")):
        known("kvp", part, [f"{kvp:g}" for kvp in BEAMS])
        found.append(float(part))
    return found
