"""Backscatter factor and depth dose of a kV beam in water, by Monte Carlo of its photons.

Electrons of these energies go less than 0.15 mm, so kerma is dose.  B_w is water kerma at the
surface of a half space of water over that without it, at the same point on the axis (Grosswendt
1984, Phys. Med. Biol. 29, 579).  Photons that collide once are integrated (`kv_single_scatter`),
those that collide more often are followed.  Seeded: the same call gives the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import positive
from analyzers.numerics.kv_single_scatter import single_scatter_kerma
from analyzers.numerics.kv_spectrum import Spectrum
from analyzers.numerics.photon_data import (
    ELECTRON_KEV,
    ELECTRONS,
    HIGHEST_KEV,
    LOWEST_KEV,
    MOMENTUM_PER_KEV,
    Floats,
    attenuation_of_water,
    coefficient,
    form_factor_squared,
    incoherent_scattering,
)

BATCHES = 20
ENERGIES = 600
MOMENTUM_STEP = 0.005
NEAR_CM = 0.1
MULTIPLE = (2, 1000)
"""From the second collision on, and all that follow: fewer than 1 in 1e4 photons has that many."""
Tables = tuple[tuple[float, float, Floats], tuple[float, Floats, Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Field:
    """A round field on the surface of water: lengths in cm."""

    ssd_cm: float
    radius_cm: float
    thickness_cm: float = 30.0
    """Of the water; 30 cm is a half space for these energies."""

    def __post_init__(self) -> None:
        positive("the source distance", self.ssd_cm, "cm")
        positive("the radius of the field", self.radius_cm, "cm")
        positive("the thickness of the water", self.thickness_cm, "cm")

    @property
    def edge_cosine(self) -> float:
        """Cosine of the angle between the axis and the edge of the field."""
        return self.ssd_cm / math.hypot(self.ssd_cm, self.radius_cm)


@dataclass(frozen=True, slots=True, eq=False)
class Scattering:
    """What a beam does on the axis, water kerma; each with its standard error (k = 1)."""

    b_w: float
    b_w_error: float
    depth_cm: Floats
    percent: Floats
    """Of the kerma at the surface of the water."""
    percent_error: Floats
    primary: Floats
    """Kerma without scatter over that at the surface in air: a closed form."""
    absorbed: float
    """Shares of the energy of the beam: they add up to 1."""
    back: float
    through: float


def scattering(
    spectrum: Spectrum,
    field: Field,
    depth_cm: ArrayLike = (),
    *,
    histories: int = 200_000,
    seed: int = 61,
    sampled: tuple[int, int] = MULTIPLE,
    near_cm: float = NEAR_CM,
) -> Scattering:
    """B_w and kerma at depths `(n,)` on the axis, from `histories` photons in 20 batches.

    `sampled`: which collisions of a photon are scored by following it; single scatter is integrated
    unless the first one is among them.  ValueError: a depth outside the water, fewer
    histories than batches.
    """
    from analyzers.numerics.kv_monte_carlo_kernel import follow

    below = np.asarray(depth_cm, np.float64)
    if below.ndim != 1 or not ((below >= 0.0) & (below <= field.thickness_cm)).all():
        raise ValueError(f"depths are from 0 to {field.thickness_cm:g} cm")
    if histories < BATCHES:
        raise ValueError(f"{histories} histories: at least {BATCHES} are needed")
    depths = np.concatenate([[0.0], below])
    energies, momenta = _tables()
    share = spectrum.photons / spectrum.photons.sum()
    geometry = (field.ssd_cm, field.edge_cosine, field.thickness_cm, positive("near", near_cm))
    batch = histories // BATCHES
    scored, went, started = np.zeros((BATCHES, len(depths))), np.zeros(3), 0.0
    for n, stream in enumerate(np.random.SeedSequence(seed).spawn(BATCHES)):
        started += follow(
            np.random.Generator(np.random.PCG64(stream)),
            batch,
            sampled,
            (np.asarray(spectrum.energy_kev, np.float64), np.cumsum(share)),
            geometry,
            depths,
            energies,
            momenta,
            ELECTRONS,
            scored[n],
            went,
        )
    # Photons for each cm² at the center of the surface, of one photon into the cone.
    per_cm2 = 1.0 / (2.0 * math.pi * (1.0 - field.edge_cosine) * field.ssd_cm**2)
    in_air = spectrum.kerma("water") / spectrum.photons.sum()
    scatter = scored / (batch * per_cm2 * in_air)
    primary = _primary(spectrum, field, depths)
    kerma = primary + scatter.mean(axis=0)
    if sampled[0] > 1:
        kerma += _single(spectrum, field, depths)
    percent = 100.0 * kerma / kerma[0]
    # By batches, so that the surface's own error, which each depth shares, is in it.
    of_surface = 100.0 * (scatter - kerma / kerma[0] * scatter[:, :1]) / kerma[0]
    root = math.sqrt(BATCHES)
    return Scattering(
        b_w=float(kerma[0]),
        b_w_error=float(scatter[:, 0].std(ddof=1) / root),
        depth_cm=below,
        percent=percent[1:],
        percent_error=of_surface.std(axis=0, ddof=1)[1:] / root,
        primary=primary[1:],
        absorbed=float(went[0] / started),
        back=float(went[1] / started),
        through=float(went[2] / started),
    )


def _primary(spectrum: Spectrum, field: Field, depths: Floats) -> Floats:
    """Primary water kerma on the axis over that at the surface: attenuation, inverse square."""
    e = spectrum.energy_kev
    kerma = spectrum.photons * e * coefficient("mu_en_water", e)
    left = np.exp(-np.outer(depths, attenuation_of_water(e))) @ kerma / kerma.sum()
    return np.asarray(left * (field.ssd_cm / (field.ssd_cm + depths)) ** 2)


def _single(spectrum: Spectrum, field: Field, depths: Floats) -> Floats:
    """Water kerma of photons that collided once, over that at the surface in air."""
    once = [
        [
            single_scatter_kerma(
                energy_kev,
                depth_cm,
                ssd_cm=field.ssd_cm,
                tangent=field.radius_cm / field.ssd_cm,
                thickness_cm=field.thickness_cm,
            )
            for energy_kev in spectrum.energy_kev
        ]
        for depth_cm in depths
    ]
    return np.asarray(once) @ spectrum.photons / spectrum.kerma("water")


@lru_cache(maxsize=1)
def _tables() -> Tables:
    """On a regular grid: cross sections over log energy, scattering functions over momentum."""
    logs = np.linspace(math.log(LOWEST_KEV), math.log(HIGHEST_KEV), ENERGIES)
    e = np.exp(logs)
    e[[0, -1]] = LOWEST_KEV, HIGHEST_KEV
    x = np.arange(0.0, HIGHEST_KEV * MOMENTUM_PER_KEV + 2 * MOMENTUM_STEP, MOMENTUM_STEP)
    form2, bound = form_factor_squared(x), incoherent_scattering(x)
    area = np.concatenate([[0.0], np.cumsum((form2[1:] + form2[:-1]) / 2.0 * np.diff(x**2))])
    coherent, incoherent = coefficient("coherent", e), coefficient("incoherent", e)
    table = np.array(
        [
            attenuation_of_water(e),
            coherent,
            incoherent,
            coefficient("mu_en_water", e),
            *scattering_integrals(e),
        ]
    )
    return (float(logs[0]), float(logs[1] - logs[0]), table), (MOMENTUM_STEP, form2, bound, area)


def scattering_integrals(energy_kev: Floats) -> tuple[Floats, Floats]:
    """Thomson times form factor squared and Klein-Nishina times scattering function, over solid
    angle; shape of `energy_kev`.  Times r_e² per gram they are cross sections in cm²/g.
    """
    # Even steps in sin(theta/2): forward angles, where the form factor is, get the most points.
    edges = np.linspace(0.0, 1.0, 4001)
    half_sine = (edges[1:] + edges[:-1]) / 2.0
    cosine = 1.0 - 2.0 * half_sine**2
    solid = 8.0 * math.pi * half_sine * np.diff(edges)
    x = np.outer(energy_kev * MOMENTUM_PER_KEV, half_sine)
    p = 1.0 / (1.0 + np.outer(energy_kev / ELECTRON_KEV, 1.0 - cosine))
    shape = 0.5 * p**2 * (p + 1.0 / p - 1.0 + cosine**2)
    thomson = 0.5 * (1.0 + cosine**2)
    return (
        (form_factor_squared(x) * thomson) @ solid,
        (incoherent_scattering(x) * shape) @ solid,
    )
