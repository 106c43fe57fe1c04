"""Output by the in-air method: worked vectors, and its laws."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_corrections import air_density_factor
from analyzers.numerics.kv_output import InAirOutput
from analyzers.numerics.repeatability import deviation_percent, repeated
from tests.numerics import tg61_excerpt

END_TO_END = InAirOutput(
    m_raw_nc=2.000,
    p_tp=1.03565,
    p_ion=1.001,
    n_k_gy_per_c=4.500e7,
    timer_set_s=60.0,
    measured_at_cm=15.0,
    surface_at_cm=15.0,
    b_w=1.137125,
    mu_en_ratio=1.0185,
)


def test_end_to_end_vector() -> None:
    assert END_TO_END.dose_to_water_gy is not None
    assert round(END_TO_END.dose_to_water_gy, 5) == 0.10806


def test_end_to_end_with_factors_read_and_computed_instead_of_given() -> None:
    output = replace(
        END_TO_END,
        p_tp=air_density_factor(24.0, 98.5, t_ref_c=22.0, p_ref_kpa=101.325),
        b_w=tg61_excerpt.b_w().at(15.0, 5.0, 1.15),
        mu_en_ratio=tg61_excerpt.mu_en_ratio().at(1.15),
    )
    assert output.dose_to_water_gy is not None
    assert round(output.dose_to_water_gy, 5) == 0.10806


def test_worked_example_of_the_csv_profile() -> None:
    p_tp = air_density_factor(21.4, 99.62, t_ref_c=20.0, p_ref_kpa=101.325)
    output = InAirOutput(
        m_raw_nc=repeated([2.345, 2.347, 2.344]).mean,
        p_tp=p_tp,
        n_k_gy_per_c=1.0e9,
        timer_set_s=30.0,
        measured_at_cm=15.0,
        surface_at_cm=15.0,
    )
    assert round(294.55 / 293.15, 6) == 1.004776
    assert round(101.325 / 99.62, 6) == 1.017115
    assert round(p_tp, 6) == 1.021972
    assert round(output.corrected_nc, 5) == 2.39687
    assert round(output.air_kerma_gy, 5) == 2.39687
    # Twice the rounded 2.39687 is 4.79374; the worked example is twice the unrounded one.
    assert round(output.air_kerma_rate_gy_per_min, 5) == 4.79373
    assert round(deviation_percent(output.air_kerma_rate_gy_per_min, 4.79), 2) == 0.08
    assert output.dose_to_water_gy is None
    assert output.dose_rate_gy_per_min is None


@given(eps_s=st.floats(-2.0, 2.0), t_s=st.floats(5.0, 300.0), rate=st.floats(0.1, 50.0))
def test_a_rate_does_not_depend_on_the_time_that_measured_it(
    eps_s: float, t_s: float, rate: float
) -> None:
    # The chamber reads while the beam is on: t + eps.
    output = replace(
        END_TO_END,
        m_raw_nc=rate * (t_s + eps_s),
        timer_set_s=t_s,
        end_effect_s=eps_s,
    )
    expected = rate * 60.0 * 1e-9 * 4.5e7 * 1.03565 * 1.001
    assert output.air_kerma_rate_gy_per_min == pytest.approx(expected, rel=1e-12)


@given(away_cm=st.floats(10.0, 40.0))
def test_a_distance_is_brought_to_the_surface_by_the_inverse_square(away_cm: float) -> None:
    at_surface = END_TO_END.air_kerma_gy
    farther = replace(END_TO_END, m_raw_nc=2.0 * (15.0 / away_cm) ** 2, measured_at_cm=away_cm)
    assert farther.air_kerma_gy == pytest.approx(at_surface, rel=1e-12)


def test_the_factors_that_are_shown_multiply_to_the_dose() -> None:
    output = replace(
        END_TO_END,
        p_pol=0.9985,
        p_elec=1.002,
        p_stem=0.998,
        measured_at_cm=15.5,
        end_effect_s=-0.05,
    )
    shown = {factor.symbol: factor.value for factor in output.factors()}
    assert list(shown)[-2:] == ["t", "eps"]
    eps_s, t_s = shown.pop("eps"), shown.pop("t")
    dose_gy = math.prod(shown.values()) * 1e-9
    assert output.dose_to_water_gy == pytest.approx(dose_gy, rel=1e-14)
    assert output.dose_rate_gy_per_min == pytest.approx(dose_gy / ((t_s + eps_s) / 60.0))
    without = replace(output, b_w=None, mu_en_ratio=None)
    assert {factor.symbol for factor in output.factors()} - {
        factor.symbol for factor in without.factors()
    } == {"B_w", "mu_en"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"m_raw_nc": 0.0}, "mean reading is 0 nC"),
        ({"m_raw_nc": math.nan}, "mean reading is nan"),
        ({"p_tp": 7.5}, "P_TP is 7.5"),
        ({"p_ion": 0.99}, "P_ion is 0.99"),
        ({"p_pol": 1.2}, "P_pol is 1.2"),
        ({"p_elec": 0.0}, "P_elec is 0"),
        ({"n_k_gy_per_c": 45.0}, "N_K is 45 Gy/C"),
        ({"p_stem": 0.0}, "P_stem is 0"),
        ({"timer_set_s": -1.0}, "timer setting is -1"),
        ({"end_effect_s": -60.0}, "timer and end effect is 0 s"),
        ({"end_effect_s": math.nan}, "eps is nan"),
        ({"measured_at_cm": 0.0}, "chamber is 0"),
        ({"surface_at_cm": math.inf}, "surface is inf"),
        ({"b_w": 0.97}, "B_w is 0.97"),
        ({"mu_en_ratio": 0.9}, "mu_en ratio is 0.9"),
        ({"b_w": None}, "together"),
        ({"mu_en_ratio": None}, "together"),
    ],
)
def test_a_factor_that_no_beam_has_is_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(END_TO_END, **wrong)
