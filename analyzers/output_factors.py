"""A row of an output check as the chain of factors that makes an output of its readings."""

from __future__ import annotations

from analyzers.numerics.kv_corrections import air_density_factor
from analyzers.numerics.kv_output import InAirOutput
from analyzers.numerics.kv_uncertainty import (
    AIR_KERMA,
    DOSE_TO_WATER,
    Budget,
    readings_component,
)
from analyzers.numerics.repeatability import repeated
from analyzers.output_checks import Mode, ReadingGroup, escaped

STANDARD_PRESSURE_KPA = 101.325
S_PER_MIN = 60.0
STATED_BY = {"P_ion": "p_ion", "P_pol": "p_pol", "P_elec": "p_elec", "P_stem": "stem_factor"}
"""Factors that are 1 where the row does not state them, and the column that would."""


def air_density(row: ReadingGroup) -> float:
    """P_TP of the row.  ValueError for a room that is no room."""
    return air_density_factor(
        row.temperature_c,
        row.pressure_kpa,
        t_ref_c=row.t_ref_c,
        p_ref_kpa=row.p_ref_kpa or STANDARD_PRESSURE_KPA,
    )


def correction(row: ReadingGroup) -> float:
    """P_TP · P_ion · P_pol · P_elec: from a reading to the corrected one.  ValueError as above."""
    return air_density(row) * (row.p_ion or 1.0) * (row.p_pol or 1.0) * (row.p_elec or 1.0)


def corrected_nc(row: ReadingGroup) -> float:
    """M: the mean reading, corrected.  ValueError as above."""
    return repeated(row.readings_nc).mean * correction(row)


def exposure_s(row: ReadingGroup) -> tuple[float, float]:
    """Time set and end effect of all exposures of a reading, in s.

    ValueError where monitor units ended the exposure and no time was measured.
    """
    exposures = row.exposures or 1.0
    if row.mode is Mode.MU:
        if row.timer_measured_s is None:
            raise ValueError(
                "monitor units ended the exposure: timer_measured_s is needed for a rate"
            )
        return exposures * row.timer_measured_s, 0.0
    return exposures * row.timer_set_s, exposures * (row.timer_end_effect_s or 0.0)


def relative_rate(row: ReadingGroup) -> float:
    """What is proportional to the output rate, chamber and N_K left out: for ratios of rows.

    ValueError as above.
    """
    set_s, end_effect_s = exposure_s(row)
    to_water = (row.bsf or 1.0) * (row.mu_en_ratio or 1.0)
    return corrected_nc(row) * (row.stem_factor or 1.0) * to_water / (set_s + end_effect_s)


def output_of(row: ReadingGroup) -> InAirOutput:
    """The chain of the row, dose to water where it states B_w and the mu_en ratio.

    ValueError: no N_K, or a factor that no chamber or beam has.
    """
    if row.n_k_gy_per_c is None:
        raise ValueError("n_k_gy_per_c is empty: readings alone are no output in Gy/min")
    set_s, end_effect_s = exposure_s(row)
    return InAirOutput(
        m_raw_nc=repeated(row.readings_nc).mean,
        p_tp=air_density(row),
        p_ion=row.p_ion or 1.0,
        p_pol=row.p_pol or 1.0,
        p_elec=row.p_elec or 1.0,
        n_k_gy_per_c=row.n_k_gy_per_c,
        p_stem=row.stem_factor or 1.0,
        timer_set_s=set_s,
        end_effect_s=end_effect_s,
        measured_at_cm=row.ssd_cm,
        surface_at_cm=row.ssd_cm,
        b_w=row.bsf,
        mu_en_ratio=row.mu_en_ratio,
    )


def is_dose_to_water(row: ReadingGroup) -> bool:
    """Whether the row's output is a dose to water; else an air kerma.  Never compared."""
    return row.bsf is not None and row.mu_en_ratio is not None


def rate_gy_per_min(output: InAirOutput) -> float:
    """The dose rate to water where the chain leads there, else the air-kerma rate."""
    dose_rate = output.dose_rate_gy_per_min
    return output.air_kerma_rate_gy_per_min if dose_rate is None else dose_rate


def budget_of(row: ReadingGroup) -> Budget:
    """Its uncertainty: the product's components, and the spread of the readings."""
    budget = DOSE_TO_WATER if is_dose_to_water(row) else AIR_KERMA
    if len(row.readings_nc) < 2:
        return budget
    return budget.with_components(readings_component(row.readings_nc))


def said(row: ReadingGroup, output: InAirOutput) -> str:
    """Every factor with its value, and the output with its uncertainty, for people to read."""
    parts = []
    for factor in output.factors():
        if factor.symbol == "ISL":
            continue  # measured at the surface
        unit = f" {factor.unit}" if factor.unit else ""
        parts.append(f"{factor.symbol} {factor.value:.7g}{unit}{_beside(row, factor.symbol)}")
    budget = budget_of(row)
    kind = "dose to water" if is_dose_to_water(row) else "air kerma"
    return (
        f"{escaped(row.record_id)}, {row.beam}, {row.check_type.value}: {', '.join(parts)}; "
        f"{kind} {rate_gy_per_min(output):.6g} Gy/min, uncertainty {budget.k1_percent:.2g} % "
        f"(k=1), {budget.k2_percent:.2g} % (k=2)"
    )


def _beside(row: ReadingGroup, symbol: str) -> str:
    if symbol == "M_raw":
        return f" (mean of {len(row.readings_nc)})"
    if symbol == "P_TP":
        p_ref = row.p_ref_kpa or STANDARD_PRESSURE_KPA
        return (
            f" ({row.temperature_c:g} °C, {row.pressure_kpa:g} kPa; certificate {row.t_ref_c:g} "
            f"°C, {p_ref:g} kPa)"
        )
    if symbol == "N_K" and row.n_k_hvl_mm_al is not None:
        return f" (at {row.n_k_hvl_mm_al:g} mm Al)"
    column = STATED_BY.get(symbol, "timer_end_effect_s" if symbol == "eps" else "")
    return " (not stated)" if column and getattr(row, column) is None else ""
