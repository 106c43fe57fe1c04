"""P_TP, P_pol and P_ion: worked vectors, closed forms, and what cannot be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_corrections import (
    air_density_factor,
    polarity_factor,
    pressure_unit_hint,
    recombination_factor,
    temperature_unit_hint,
)

ATMOSPHERE = {"p_ref_kpa": 101.325}


@pytest.mark.parametrize(("t_ref_c", "p_tp"), [(22.0, 1.03565), (20.0, 1.04272)])
def test_air_density_vectors_of_both_certificates(t_ref_c: float, p_tp: float) -> None:
    assert round(air_density_factor(24.0, 98.5, t_ref_c=t_ref_c, **ATMOSPHERE), 5) == p_tp


def test_air_density_of_the_worked_example() -> None:
    assert round(air_density_factor(21.4, 99.62, t_ref_c=20.0, **ATMOSPHERE), 6) == 1.021972


def test_mixing_certificates_is_wrong_by_the_ratio_of_their_temperatures() -> None:
    at_20, at_22 = (air_density_factor(24, 98.5, t_ref_c=t, **ATMOSPHERE) for t in (20.0, 22.0))
    assert at_20 / at_22 == pytest.approx(295.15 / 293.15, rel=1e-14)
    # Often quoted as 0.69 %; the two vectors, 1.04272 / 1.03565, say 0.68 as well.
    assert round(100.0 * (at_20 / at_22 - 1.0), 2) == 0.68


@given(t=st.floats(15.0, 35.0), p=st.floats(70.0, 110.0), t_ref_c=st.sampled_from([20.0, 22.0]))
def test_air_density_is_the_mass_of_air_that_is_missing(t: float, p: float, t_ref_c: float) -> None:
    # Density of an ideal gas goes with P/T: the reading times P_TP does not depend on the room.
    density = (p / 101.325) * (273.15 + t_ref_c) / (273.15 + t)
    factor = air_density_factor(t, p, t_ref_c=t_ref_c, **ATMOSPHERE)
    assert density * factor == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("room", "says"),
    [
        ((21.0, 760.0), "760 kPa.*looks like mmHg"),
        ((21.0, 1013.0), "looks like hPa"),
        ((21.0, 29.92), "looks like inHg"),
        ((21.0, 101325.0), "looks like Pa"),
        ((21.0, 55.0), "55 kPa: expected 70 to 110 kPa$"),
        ((71.0, 101.0), "71 °C.*looks like °F"),
        ((294.0, 101.0), "looks like K"),
        ((5.0, 101.0), "5 °C: expected 15 to 35 °C$"),
        ((math.nan, 101.0), "temperature is nan"),
        ((21.0, math.inf), "pressure is inf"),
    ],
)
def test_a_room_that_is_no_room_is_refused_with_the_unit_it_looks_like(
    room: tuple[float, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        air_density_factor(*room, t_ref_c=20.0, **ATMOSPHERE)


@pytest.mark.parametrize("t_ref_c", [0.0, 21.0, 25.0, math.nan])
def test_a_certificate_is_at_20_or_at_22_degrees(t_ref_c: float) -> None:
    with pytest.raises(ValueError, match="expected 20 or 22"):
        air_density_factor(21.0, 101.0, t_ref_c=t_ref_c, **ATMOSPHERE)


@pytest.mark.parametrize("p_ref_kpa", [100.0, 760.0, 1013.25, math.nan])
def test_a_certificate_is_at_one_atmosphere(p_ref_kpa: float) -> None:
    with pytest.raises(ValueError, match="certificate's reference pressure"):
        air_density_factor(21.0, 101.0, t_ref_c=20.0, p_ref_kpa=p_ref_kpa)


def test_a_plausible_room_needs_no_hint() -> None:
    assert pressure_unit_hint(101.3) is None
    assert temperature_unit_hint(21.0) is None
    assert pressure_unit_hint(3.0) is None
    assert temperature_unit_hint(-40.0) is None
    with pytest.raises(ValueError, match="not a number"):
        pressure_unit_hint(math.nan)


def test_polarity_vector() -> None:
    assert polarity_factor(20.00, -19.94, calibrated_at="+") == pytest.approx(0.9985, abs=1e-12)


@given(plus=st.floats(1e-12, 1e3), ratio=st.floats(0.96, 1.04))
def test_either_polarity_corrects_to_the_mean_of_both(plus: float, ratio: float) -> None:
    minus = ratio * plus
    mean = (plus + minus) / 2.0
    at_plus = polarity_factor(plus, -minus, calibrated_at="+")
    at_minus = polarity_factor(-plus, minus, calibrated_at="-")
    assert plus * at_plus == pytest.approx(mean, rel=1e-12)
    assert minus * at_minus == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("readings", "at", "says"),
    [
        ((0.0, -20.0), "+", "reading at \\+ is 0"),
        ((20.0, math.nan), "+", "reading at - is nan"),
        ((20.0, -10.0), "+", "P_pol is 0.75"),
        ((20.0, -20.0), "plus", "polarity of the calibration is 'plus'"),
    ],
)
def test_polarity_that_no_chamber_has(readings: tuple[float, float], at: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        polarity_factor(*readings, calibrated_at=at)


@pytest.mark.parametrize(("beam", "p_ion"), [("continuous", 1.00067), ("pulsed", 1.00201)])
def test_recombination_vectors(beam: str, p_ion: float) -> None:
    found = recombination_factor(20.00, 19.96, voltage_high=300, voltage_low=150, beam=beam)
    assert round(found, 5) == p_ion


@given(loss=st.floats(0.0, 0.03), v=st.floats(1.5, 4.0), beam=st.sampled_from([1, 2]))
def test_recombination_is_exact_for_its_own_law(loss: float, v: float, beam: int) -> None:
    # General: the charge lost goes with 1/V² in a continuous beam.  Pulsed: with 1/V (Boag).
    # Readings are q / (1 + c/V^k) in the formula's approximation: 1/M is linear in 1/V^k.
    saturated = 20.0
    high = saturated / (1.0 + loss)
    low = saturated / (1.0 + loss * v**beam)
    found = recombination_factor(
        high,
        -low,
        voltage_high=-300.0,
        voltage_low=300.0 / v,
        beam="continuous" if beam == 2 else "pulsed",
    )
    # M_H/M_L = (1 + c v^k)/(1 + c), so (1 - v^k)/(M_H/M_L - v^k) = 1 + c.
    assert high * found == pytest.approx(saturated, rel=1e-9)


@pytest.mark.parametrize(
    ("readings", "voltages", "says"),
    [
        ((20.0, 19.96), (150, 300), "V_H/V_L is 0.5"),
        ((20.0, 19.96), (300, 300), "V_H/V_L is 1:"),
        ((20.0, 19.96), (300, 0), "low voltage is 0"),
        ((20.0, 0.0), (300, 150), "low voltage is 0"),
        ((20.0, 20.2), (300, 150), "P_ion is 0.99"),
        ((20.0, 15.0), (300, 150), "P_ion is 1.12"),
        ((20.0, 2.0), (300, 150), "M_H/M_L is 10"),
        ((math.nan, 20.0), (300, 150), "is nan"),
    ],
)
def test_recombination_that_no_chamber_has(
    readings: tuple[float, float], voltages: tuple[float, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        recombination_factor(
            *readings, voltage_high=voltages[0], voltage_low=voltages[1], beam="continuous"
        )


def test_a_beam_is_continuous_or_pulsed() -> None:
    with pytest.raises(ValueError, match="the beam is 'scanned'"):
        recombination_factor(20.0, 19.96, voltage_high=300, voltage_low=150, beam="scanned")
