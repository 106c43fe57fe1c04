"""Photons of a kV beam in a slab of water, one after the other.

The source is a point on the axis, the surface is z = 0, z points into the water, lengths in cm,
density 1 g/cm³.  The first collision is forced, absorption is taken from the weight.  At every
collision the kerma that the scattered photon will make at points on the axis is scored at once
(next event): the primary kerma is a closed form and not sampled.  Within `near` of a point the
inverse square is replaced by its mean over that ball, 3 / near².
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

kernel = njit(cache=True, nogil=True, error_model="numpy")

Floats = NDArray[np.float64]
ELECTRON_KEV = 510.99895
MOMENTUM_PER_KEV = 1.0 / 12.398420
LEAST_WEIGHT = 1e-4
"""What is left of a photon below this is absorbed where it is."""
TOTAL, COHERENT, INCOHERENT, KERMA, COHERENT_NORM, INCOHERENT_NORM = range(6)
"""Columns of the table over energy: cm²/g; cm²/g for kerma; integrals over solid angle."""
ABSORBED, BACK, THROUGH = range(3)
"""Where the energy of the beam went, in keV."""


@kernel
def klein_nishina(cosine: float, energy_kev: float) -> float:
    """Shape of the Klein-Nishina cross section, 1 straight ahead."""
    p = 1.0 / (1.0 + energy_kev / ELECTRON_KEV * (1.0 - cosine))
    return 0.5 * p * p * (p + 1.0 / p - 1.0 + cosine * cosine)


@kernel
def thomson(cosine: float) -> float:
    """Shape of the Thomson cross section, 1 straight ahead."""
    return 0.5 * (1.0 + cosine * cosine)


@kernel
def read(table: Floats, position: float) -> float:
    """A table on a regular grid, linear between its points; `position` counts them from 0."""
    i = min(max(int(position), 0), len(table) - 2)
    return float(table[i] + (position - i) * (table[i + 1] - table[i]))


@kernel
def first_above(rising: Floats, value: float) -> int:
    """Where a list first exceeds a value; the last place if nowhere."""
    low, high = 0, len(rising) - 1
    while low < high:
        middle = (low + high) // 2
        if rising[middle] > value:
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def momentum(cosine: float, energy_kev: float) -> float:
    """sin(theta/2) / wavelength, 1/angstrom."""
    return math.sqrt(max(0.0, 0.5 * (1.0 - cosine))) * energy_kev * MOMENTUM_PER_KEV


@kernel
def coherent_cosine(
    rng: np.random.Generator, energy_kev: float, x_step: float, area: Floats
) -> float:
    """Drawn from Thomson times the form factor squared; `area` is its integral over x²."""
    largest = energy_kev * MOMENTUM_PER_KEV
    whole = read(area, largest / x_step)
    while True:
        sought = rng.random() * whole
        i = max(first_above(area, sought), 1)
        low, high = area[i - 1], area[i]
        part = (sought - low) / (high - low) if high > low else 0.0
        # The area is linear in x² between two points.
        x2 = x_step * x_step * ((i - 1) ** 2 + part * (2 * i - 1))
        cosine = 1.0 - 2.0 * x2 / (largest * largest)
        if cosine >= -1.0 and rng.random() <= thomson(cosine):
            return cosine


@kernel
def incoherent_cosine(
    rng: np.random.Generator, energy_kev: float, x_step: float, bound: Floats, electrons: float
) -> float:
    """Drawn from Klein-Nishina times the incoherent scattering function."""
    while True:
        cosine = 2.0 * rng.random() - 1.0
        share = read(bound, momentum(cosine, energy_kev) / x_step) / electrons
        if rng.random() <= klein_nishina(cosine, energy_kev) * share:
            return cosine


@kernel
def scattered_kerma(
    at: Floats,
    direction: Floats,
    energy_kev: float,
    depth: float,
    energies: tuple[float, float, Floats],
    momenta: tuple[float, Floats, Floats, Floats],
    near: float,
) -> float:
    """Kerma at a point on the axis, of a photon of weight 1 that collides at `at`."""
    dx, dy, dz = -at[0], -at[1], depth - at[2]
    d2 = dx * dx + dy * dy + dz * dz
    d = math.sqrt(d2)
    if d == 0.0:
        return 0.0
    cosine = (dx * direction[0] + dy * direction[1] + dz * direction[2]) / d
    cosine = min(1.0, max(-1.0, cosine))
    log_low, step, table = energies
    x_step, form2, bound, _ = momenta
    position = (math.log(energy_kev) - log_low) / step
    total = read(table[TOTAL], position)
    x = momentum(cosine, energy_kev) / x_step
    spread = 3.0 / (near * near) if d < near else 1.0 / d2
    kerma = 0.0
    p = read(table[COHERENT], position) / total
    p *= thomson(cosine) * read(form2, x) / read(table[COHERENT_NORM], position)
    kerma += p * math.exp(-total * d) * energy_kev * read(table[KERMA], position)
    lower = energy_kev / (1.0 + energy_kev / ELECTRON_KEV * (1.0 - cosine))
    below = (math.log(lower) - log_low) / step
    if below >= 0.0:
        p = read(table[INCOHERENT], position) / total
        p *= klein_nishina(cosine, energy_kev) * read(bound, x)
        p /= read(table[INCOHERENT_NORM], position)
        kerma += p * math.exp(-read(table[TOTAL], below) * d) * lower * read(table[KERMA], below)
    return kerma * spread


@kernel
def turn(direction: Floats, cosine: float, azimuth: float) -> None:
    """Turn a unit vector by an angle, in place."""
    u, v, w = direction[0], direction[1], direction[2]
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    a, b = sine * math.cos(azimuth), sine * math.sin(azimuth)
    across = math.sqrt(max(0.0, 1.0 - w * w))
    if across < 1e-9:
        direction[0], direction[1] = a, b
        direction[2] = cosine if w > 0.0 else -cosine
    else:
        direction[0] = cosine * u + (a * u * w - b * v) / across
        direction[1] = cosine * v + (a * v * w + b * u) / across
        direction[2] = cosine * w - a * across
    norm = math.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    for axis in range(3):
        direction[axis] /= norm


@kernel
def follow(
    rng: np.random.Generator,
    histories: int,
    scored: tuple[int, int],
    beam: tuple[Floats, Floats],
    geometry: tuple[float, float, float, float],
    depths: Floats,
    energies: tuple[float, float, Floats],
    momenta: tuple[float, Floats, Floats, Floats],
    electrons: float,
    kerma: Floats,
    energy_to: Floats,
) -> float:
    """Follow photons, add what they score to `kerma` and `energy_to`; the energy they started with.

    `scored`: the first collision that counts and the last one that is followed.
    `beam`: energies in keV and their cumulative share.  `geometry`: source to surface, cosine of
    the edge of the field, thickness of the water, `near`.
    """
    bins_kev, cumulative = beam
    ssd, edge, thickness, near = geometry
    log_low, step, table = energies
    x_step, _, bound, area = momenta
    lowest_kev = math.exp(log_low)
    at, direction = np.empty(3), np.empty(3)
    started = 0.0
    for _ in range(histories):
        energy_kev = bins_kev[first_above(cumulative, rng.random())]
        started += energy_kev
        cosine = 1.0 - rng.random() * (1.0 - edge)
        sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
        azimuth = 2.0 * math.pi * rng.random()
        direction[0], direction[1] = sine * math.cos(azimuth), sine * math.sin(azimuth)
        direction[2] = cosine
        for axis in range(2):
            at[axis] = ssd / cosine * direction[axis]
        at[2] = 0.0
        # The first collision happens, with the weight of its probability.
        total = read(table[TOTAL], (math.log(energy_kev) - log_low) / step)
        left = math.exp(-total * thickness / cosine)
        energy_to[THROUGH] += left * energy_kev
        weight = 1.0 - left
        way = -math.log(1.0 - rng.random() * weight) / total
        collisions = 0
        while True:
            for axis in range(3):
                at[axis] += way * direction[axis]
            if at[2] < 0.0 or at[2] > thickness:
                energy_to[BACK if at[2] < 0.0 else THROUGH] += weight * energy_kev
                break
            if collisions == scored[1]:
                energy_to[ABSORBED] += weight * energy_kev
                break
            collisions += 1
            for n in range(len(depths) if collisions >= scored[0] else 0):
                kerma[n] += weight * scattered_kerma(
                    at, direction, energy_kev, depths[n], energies, momenta, near
                )
            position = (math.log(energy_kev) - log_low) / step
            total = read(table[TOTAL], position)
            coherent = read(table[COHERENT], position)
            scattered = (coherent + read(table[INCOHERENT], position)) / total
            energy_to[ABSORBED] += weight * (1.0 - scattered) * energy_kev
            weight *= scattered
            if rng.random() * scattered * total < coherent:
                cosine = coherent_cosine(rng, energy_kev, x_step, area)
            else:
                cosine = incoherent_cosine(rng, energy_kev, x_step, bound, electrons)
                lower = energy_kev / (1.0 + energy_kev / ELECTRON_KEV * (1.0 - cosine))
                energy_to[ABSORBED] += weight * (energy_kev - lower)
                energy_kev = lower
            if weight < LEAST_WEIGHT or energy_kev <= lowest_kev:
                energy_to[ABSORBED] += weight * energy_kev
                break
            turn(direction, cosine, 2.0 * math.pi * rng.random())
            total = read(table[TOTAL], (math.log(energy_kev) - log_low) / step)
            way = -math.log(1.0 - rng.random()) / total
    return started
