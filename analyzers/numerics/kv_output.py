"""Output of a kV unit by the in-air method of AAPM TG-61, with every factor kept for display.

D_w(0) = M · N_K · B_w · P_stem · (mu_en/rho water to air), M = M_raw · P_TP · P_ion · P_pol ·
P_elec, brought from the point of measurement to the surface by the inverse square.  The
charge is proportional to t + eps, so a rate is what was measured over t + eps.
"""

from __future__ import annotations

from dataclasses import dataclass

from analyzers.numerics.kv_corrections import LEAST_RECOMBINATION, PLAUSIBLE
from analyzers.numerics.kv_numbers import finite, positive, within

C_PER_NC = 1e-9
S_PER_MIN = 60.0
P_TP_RANGE = (0.9, 1.6)
"""15 °C and 110 kPa to 35 °C and 70 kPa, against 20 or 22 °C and one atmosphere."""
N_K_GY_PER_C = (1e5, 1e10)
B_W_RANGE = (1.0, 1.8)
"""Scatter only adds."""
MU_EN_RATIO_RANGE = (1.0, 1.2)
STEM_RANGE = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the chain, as a report shows it; `unit` is empty for a ratio."""

    symbol: str
    value: float
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InAirOutput:
    """The mean reading in air with all that makes an output of it.

    ValueError: a factor that no chamber or beam has (which one, what was found); `b_w` without
    `mu_en_ratio` or the reverse; a timer that is not longer than the beam needs to start.
    """

    m_raw_nc: float
    """Mean reading, magnitude, in nC."""
    p_tp: float
    p_ion: float = 1.0
    p_pol: float = 1.0
    p_elec: float = 1.0
    n_k_gy_per_c: float
    """Air-kerma calibration factor at the quality of this beam."""
    p_stem: float = 1.0
    timer_set_s: float
    end_effect_s: float = 0.0
    """eps: positive when the beam is on for longer than the timer says."""
    measured_at_cm: float
    """Source to chamber."""
    surface_at_cm: float
    """Source to surface, at the end of the applicator."""
    b_w: float | None = None
    mu_en_ratio: float | None = None

    def __post_init__(self) -> None:
        positive("the mean reading", self.m_raw_nc, "nC")
        within("P_TP", self.p_tp, *P_TP_RANGE)
        within("P_ion", self.p_ion, LEAST_RECOMBINATION, PLAUSIBLE[1])
        within("P_pol", self.p_pol, *PLAUSIBLE)
        within("P_elec", self.p_elec, *PLAUSIBLE)
        within("N_K", self.n_k_gy_per_c, *N_K_GY_PER_C, "Gy/C")
        within("P_stem", self.p_stem, *STEM_RANGE)
        positive("the timer setting", self.timer_set_s, "s")
        positive("timer and end effect", finite("eps", self.end_effect_s) + self.timer_set_s, "s")
        positive("the distance of the chamber", self.measured_at_cm, "cm")
        positive("the distance of the surface", self.surface_at_cm, "cm")
        if (self.b_w is None) != (self.mu_en_ratio is None):
            raise ValueError("B_w and the mu_en ratio make a dose to water together, not alone")
        if self.b_w is not None:
            within("B_w", self.b_w, *B_W_RANGE)
        if self.mu_en_ratio is not None:
            within("the mu_en ratio", self.mu_en_ratio, *MU_EN_RATIO_RANGE)

    @property
    def corrected_nc(self) -> float:
        """M: the reading with P_TP, P_ion, P_pol and P_elec, in nC."""
        return self.m_raw_nc * self.p_tp * self.p_ion * self.p_pol * self.p_elec

    @property
    def inverse_square(self) -> float:
        """(source to chamber / source to surface)²."""
        return (self.measured_at_cm / self.surface_at_cm) ** 2

    @property
    def air_kerma_gy(self) -> float:
        """Air kerma free in air at the surface, in Gy."""
        kerma_gy = self.corrected_nc * C_PER_NC * self.n_k_gy_per_c * self.p_stem
        return kerma_gy * self.inverse_square

    @property
    def air_kerma_rate_gy_per_min(self) -> float:
        """Air kerma over the time with beam, t + eps."""
        return self.air_kerma_gy / self.beam_min

    @property
    def dose_to_water_gy(self) -> float | None:
        """Dose to water at the surface, in Gy; None without B_w and mu_en ratio."""
        if self.b_w is None or self.mu_en_ratio is None:
            return None
        return self.air_kerma_gy * self.b_w * self.mu_en_ratio

    @property
    def dose_rate_gy_per_min(self) -> float | None:
        """Dose to water at the surface over the time with beam, t + eps; None as above."""
        dose_gy = self.dose_to_water_gy
        return None if dose_gy is None else dose_gy / self.beam_min

    @property
    def beam_min(self) -> float:
        """Time with beam, t + eps, in minutes."""
        return (self.timer_set_s + self.end_effect_s) / S_PER_MIN

    def factors(self) -> tuple[Factor, ...]:
        """Every factor in the order of the formula.  Those before `t` multiply to the dose."""
        water = (
            ()
            if self.b_w is None or self.mu_en_ratio is None
            else (
                Factor("B_w", self.b_w, "", "backscatter, water kerma"),
                Factor("mu_en", self.mu_en_ratio, "", "mass energy absorption, water to air"),
            )
        )
        return (
            Factor("M_raw", self.m_raw_nc, "nC", "mean reading"),
            Factor("P_TP", self.p_tp, "", "air density"),
            Factor("P_ion", self.p_ion, "", "recombination"),
            Factor("P_pol", self.p_pol, "", "polarity"),
            Factor("P_elec", self.p_elec, "", "electrometer"),
            Factor("N_K", self.n_k_gy_per_c, "Gy/C", "air-kerma calibration"),
            Factor("P_stem", self.p_stem, "", "stem scatter"),
            Factor("ISL", self.inverse_square, "", "chamber to surface, inverse square"),
            *water,
            Factor("t", self.timer_set_s, "s", "timer setting"),
            Factor("eps", self.end_effect_s, "s", "end effect, added to the timer"),
        )
