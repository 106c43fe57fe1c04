"""Spectra of kV beams: Kramers' law behind aluminum, half-value layer, water to air.

A simple model: no characteristic lines, no self-absorption of the target beyond the filter.  What
backscatter and ratios need is a spectrum of the right half-value layer, not one of a given tube.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analyzers.numerics.kv_numbers import positive, within
from analyzers.numerics.photon_data import HIGHEST_KEV, LOWEST_KEV, Floats, coefficient

ALUMINUM_G_PER_CM3 = 2.699
MM_PER_CM = 10.0
FIRST_MM, THICKEST_MM = 0.01, 160.0
"""Doubled from the first to beyond the last."""
BIN_KEV = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Photons of each energy, `(n,)` and `(n,)`, in any unit.

    ValueError: energies outside 5 to 150 keV or lists that differ, no photons, negative ones.
    """

    energy_kev: Floats
    photons: Floats

    def __post_init__(self) -> None:
        e, n = np.asarray(self.energy_kev), np.asarray(self.photons)
        if e.ndim != 1 or e.shape != n.shape or not e.size:
            raise ValueError("a spectrum has as many energies as numbers of photons")
        if not ((e >= LOWEST_KEV) & (e <= HIGHEST_KEV)).all():
            raise ValueError(f"the spectrum leaves {LOWEST_KEV:g} to {HIGHEST_KEV:g} keV")
        if not np.isfinite(n).all() or n.min() < 0.0 or n.sum() <= 0.0:
            raise ValueError("numbers of photons are not negative, and not all 0")

    def behind_aluminum(self, thickness_mm: float) -> Spectrum:
        """The photons that pass without a collision."""
        cm = within("the filter", thickness_mm, 0.0, 2.0 * THICKEST_MM, "mm") / MM_PER_CM
        mu = ALUMINUM_G_PER_CM3 * coefficient("aluminum", self.energy_kev)
        return Spectrum(self.energy_kev, self.photons * np.exp(-mu * cm))

    def kerma(self, medium: str) -> float:
        """Collision kerma of `medium` ("air" or "water"), keV cm²/g per photon and cm²."""
        mu_en = coefficient(f"mu_en_{medium}", self.energy_kev)
        return float((self.photons * self.energy_kev * mu_en).sum())

    def half_value_layer_mm(self) -> float:
        """Aluminum that halves the air kerma, narrow beam, in mm."""
        per_mm = ALUMINUM_G_PER_CM3 / MM_PER_CM * coefficient("aluminum", self.energy_kev)
        kerma = self.photons * self.energy_kev * coefficient("mu_en_air", self.energy_kev)
        return _rooted(lambda mm: float(0.5 - np.exp(-per_mm * mm) @ kerma / kerma.sum()))

    def water_to_air(self) -> float:
        """Mass energy absorption of water over air, weighted by energy fluence, free in air."""
        return self.kerma("water") / self.kerma("air")


def kramers_spectrum(tube_kv: float, filter_mm_al: float) -> Spectrum:
    """Thick-target bremsstrahlung, photons ~ (E0 - E) / E, behind aluminum, bins of 1 keV."""
    highest = within("the tube voltage", tube_kv, 2.0 * LOWEST_KEV, HIGHEST_KEV, "kV")
    e = np.arange(LOWEST_KEV + BIN_KEV / 2.0, highest, BIN_KEV)
    return Spectrum(e, (highest - e) / e).behind_aluminum(filter_mm_al)


def spectrum_of_quality(tube_kv: float, hvl_mm_al: float) -> Spectrum:
    """Kramers' spectrum behind as much aluminum as gives the half-value layer.

    ValueError: a layer that no filter of 0 to 100 mm gives at this voltage.
    """
    wanted = positive("the half-value layer", hvl_mm_al, "mm Al")
    return kramers_spectrum(
        tube_kv,
        _rooted(lambda mm: kramers_spectrum(tube_kv, mm).half_value_layer_mm() - wanted),
    )


def one_energy(energy_kev: float) -> Spectrum:
    """Photons of one energy."""
    return Spectrum(np.array([energy_kev]), np.ones(1))


def _rooted(rising: Callable[[float], float]) -> float:
    """Where a function that rises from below 0 is 0, in mm."""
    from scipy.optimize import brentq

    thick = FIRST_MM
    while rising(thick) < 0.0 and thick < THICKEST_MM:
        thick *= 2.0
    if rising(0.0) > 0.0 or rising(thick) < 0.0:
        raise ValueError(f"no thickness from 0 to {THICKEST_MM:g} mm of aluminum gives that")
    return float(brentq(rising, 0.0, thick, xtol=1e-9))
