"""Photon data and spectra: what NIST's tables must satisfy together, and TG-61's ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analyzers.numerics.kv_monte_carlo import scattering_integrals
from analyzers.numerics.kv_spectrum import (
    Spectrum,
    kramers_spectrum,
    one_energy,
    spectrum_of_quality,
)
from analyzers.numerics.photon_data import (
    ELECTRON_KEV,
    MOMENTUM_PER_KEV,
    R_E2_PER_G,
    attenuation_of_water,
    coefficient,
    incoherent_scattering,
)
from tests.numerics import tg61_excerpt

ENERGIES_KEV = np.array([5.0, 8.0, 15.0, 30.0, 60.0, 100.0, 150.0])


def test_attenuation_is_that_of_the_other_table_of_nist() -> None:
    # NISTIR 5632, total of liquid water: not a column from which ours was made.
    published = {5: 42.58, 10: 5.329, 20: 0.8096, 30: 0.3756, 60: 0.2059, 100: 0.1707, 150: 0.1505}
    for kev, mu in published.items():
        assert float(attenuation_of_water(kev)) == pytest.approx(mu, rel=5e-4)


def test_scattering_functions_integrate_to_the_cross_sections() -> None:
    # Hubbell's functions and XCOM's totals are two tables: one is the integral of the other.
    coherent, incoherent = scattering_integrals(ENERGIES_KEV)
    np.testing.assert_allclose(
        R_E2_PER_G * coherent, coefficient("coherent", ENERGIES_KEV), rtol=4e-3
    )
    np.testing.assert_allclose(
        R_E2_PER_G * incoherent, coefficient("incoherent", ENERGIES_KEV), rtol=4e-3
    )


def test_energy_absorption_is_photoelectric_and_what_electrons_take() -> None:
    cosine, weight = np.polynomial.legendre.leggauss(400)
    for kev in ENERGIES_KEV:
        p = 1.0 / (1.0 + kev / ELECTRON_KEV * (1.0 - cosine))
        shape = p**2 * (p + 1.0 / p - 1.0 + cosine**2)
        shape *= incoherent_scattering(np.sqrt((1.0 - cosine) / 2.0) * kev * MOMENTUM_PER_KEV)
        taken = float((weight * shape * (1.0 - p)).sum() / (weight * shape).sum())
        expected = coefficient("photoelectric", kev) + taken * coefficient("incoherent", kev)
        assert float(coefficient("mu_en_water", kev)) == pytest.approx(float(expected), rel=0.01)


def test_one_energy_has_the_half_value_layer_of_its_attenuation() -> None:
    # 0.5684 cm²/g at 40 keV (XCOM), 2.699 g/cm³.
    expected_mm = 10.0 * math.log(2.0) / (0.56843 * 2.699)
    assert one_energy(40.0).half_value_layer_mm() == pytest.approx(expected_mm, rel=1e-6)
    assert one_energy(30.0).water_to_air() == pytest.approx(0.1557 / 0.1537, rel=1e-9)


@pytest.mark.parametrize(("tube_kv", "hvl_mm"), [(50.0, 0.52), (70.0, 1.15), (100.0, 2.20)])
def test_a_spectrum_is_filtered_to_its_quality(tube_kv: float, hvl_mm: float) -> None:
    spectrum = spectrum_of_quality(tube_kv, hvl_mm)
    assert spectrum.half_value_layer_mm() == pytest.approx(hvl_mm, rel=1e-6)
    halved = spectrum.behind_aluminum(hvl_mm)
    assert halved.kerma("air") == pytest.approx(spectrum.kerma("air") / 2.0, rel=1e-6)
    assert halved.half_value_layer_mm() > hvl_mm


@pytest.mark.parametrize(("tube_kv", "hvl_mm"), [(50.0, 0.52), (70.0, 1.15), (100.0, 2.20)])
def test_water_to_air_is_that_of_the_report_within_its_uncertainty(
    tube_kv: float, hvl_mm: float
) -> None:
    # Simple spectra against the report's: 0.6 % at most; the report states 1.5 % (k = 1).
    ours = spectrum_of_quality(tube_kv, hvl_mm).water_to_air()
    assert ours == pytest.approx(tg61_excerpt.mu_en_ratio().at(hvl_mm), rel=0.006)


def test_spectra_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="leaves 5 to 150 keV"):
        one_energy(4.0)
    with pytest.raises(ValueError, match="leaves 5 to 150 keV"):
        one_energy(math.nan)
    with pytest.raises(ValueError, match="not all 0"):
        Spectrum(np.array([30.0]), np.array([0.0]))
    with pytest.raises(ValueError, match="as many energies"):
        Spectrum(np.array([30.0]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="tube voltage is 300"):
        kramers_spectrum(300.0, 1.0)
    with pytest.raises(ValueError, match="filter is -1"):
        kramers_spectrum(50.0, -1.0)
    with pytest.raises(ValueError, match="no thickness"):
        spectrum_of_quality(50.0, 1e-4)
    with pytest.raises(ValueError, match="5 to 150 keV"):
        coefficient("aluminum", 200.0)
