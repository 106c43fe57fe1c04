"""Kerma on the axis of a kV beam from photons that collided once: an integral, not a simulation.

Around the point the volume element r² dr dOmega takes away the 1/r² of the scattered photon, so
that the integrand is smooth.  Most of the backscatter of a small field is this, and all of what
makes a point detector noisy.
"""

from __future__ import annotations

import math

import numpy as np

from analyzers.numerics.photon_data import (
    ELECTRON_KEV,
    LOWEST_KEV,
    MOMENTUM_PER_KEV,
    R_E2_PER_G,
    Floats,
    attenuation_of_water,
    coefficient,
    form_factor_squared,
    incoherent_scattering,
)

ANGLES = 48
RADII = 32
"""Twice as many change the result by less than 1e-3 of it."""
FAR = 25.0
"""Mean free paths after which nothing comes back."""


def single_scatter_kerma(
    energy_kev: float, depth_cm: float, *, ssd_cm: float, tangent: float, thickness_cm: float
) -> float:
    """Water kerma in keV cm²/g of photons scattered once, for one photon a cm² at the surface.

    A point source on the axis, a field whose edge has the slope `tangent` = radius / SSD.
    """
    mu = float(attenuation_of_water(energy_kev))
    alpha, d_alpha = _gauss(0.0, math.pi / 2.0 if depth_cm == 0.0 else math.pi, ANGLES)
    sine, upright = np.sin(alpha), np.cos(alpha)
    reach = np.full(ANGLES, FAR / mu)
    from_source = ssd_cm + depth_cm
    # Where the ray leaves the cone of the field, the water above, the water below.
    with np.errstate(divide="ignore"):
        leaves = sine - tangent * upright
        reach = np.where(leaves > 0.0, np.minimum(reach, tangent * from_source / leaves), reach)
        reach = np.where(upright < 0.0, np.minimum(reach, -depth_cm / upright), reach)
        below = thickness_cm - depth_cm
        reach = np.where(upright > 0.0, np.minimum(reach, below / upright), reach)
    # Radii as squares of regular ones: the nearest matter most.
    s, ds = _gauss(0.0, 1.0, RADII)
    r = reach[:, np.newaxis] * s**2
    dr = reach[:, np.newaxis] * 2.0 * s * ds
    across, deep = r * sine[:, np.newaxis], depth_cm + r * upright[:, np.newaxis]
    along = ssd_cm + deep
    away = np.hypot(across, along)
    # The photon comes from the source and goes to the point: angle between these two ways.
    cosine = -(across * sine[:, np.newaxis] + along * upright[:, np.newaxis]) / away
    fluence = (ssd_cm / away) ** 2 * np.exp(-mu * deep * away / along)
    kerma = fluence * _once(energy_kev, cosine, r)
    solid = 2.0 * math.pi * sine * d_alpha
    return float(solid @ (kerma * dr).sum(axis=1))


def _once(energy_kev: float, cosine: Floats, r: Floats) -> Floats:
    """Scatter toward the point in each cm³ and steradian, times kerma there, without 1/r²."""
    x = np.sqrt(np.maximum(0.0, (1.0 - cosine) / 2.0)) * energy_kev * MOMENTUM_PER_KEV
    mu = float(attenuation_of_water(energy_kev))
    coherent = R_E2_PER_G * 0.5 * (1.0 + cosine**2) * form_factor_squared(x)
    kerma = coherent * np.exp(-mu * r) * energy_kev * float(coefficient("mu_en_water", energy_kev))
    p = 1.0 / (1.0 + energy_kev / ELECTRON_KEV * (1.0 - cosine))
    incoherent = R_E2_PER_G * 0.5 * p**2 * (p + 1.0 / p - 1.0 + cosine**2)
    incoherent *= incoherent_scattering(x)
    lower = np.maximum(energy_kev * p, LOWEST_KEV)
    left = np.exp(-attenuation_of_water(lower) * r) * (energy_kev * p > LOWEST_KEV)
    return np.asarray(kerma + incoherent * left * lower * coefficient("mu_en_water", lower))


def _gauss(low: float, high: float, points: int) -> tuple[Floats, Floats]:
    x, weight = np.polynomial.legendre.leggauss(points)
    return low + (x + 1.0) / 2.0 * (high - low), weight * (high - low) / 2.0
