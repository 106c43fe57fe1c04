"""The seeded pairs of dose distributions that every gamma measurement uses.

A sum of Gaussians inside a field with penumbra, and the same slightly shifted, scaled and with
smooth noise of 1 %.  Grids are centered; "half-extent" is the distance from the center to the
outermost points, (n - 1)/2 spacings: with it the points above 10 % are 192 896 and 56 059, as
published with the recipe; with n/2 they would be 194 365 and 56 179.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import mul

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

VOLUME_POINTS, PLANE_POINTS = 192_896, 56_059
"""At or above 10 % of the maximum."""
VOLUME_SEED, PLANE_SEED, PORTAL_SEED, NOISE_SEED = 20240601, 20240602, 20240603, 20240604


@dataclass(frozen=True, eq=False)
class Pair:
    """Two dose distributions on one grid; `evaluated` is searched for each point of `reference`."""

    reference: Floats
    evaluated: Floats
    spacing_mm: tuple[float, ...]

    @property
    def points(self) -> int:
        """At or above 10 % of the maximum."""
        return int(np.count_nonzero(self.reference >= 0.1 * self.reference.max()))


def volume() -> Pair:
    """100 x 128 x 128 voxels of 2.5 mm that agree well, as a delivered arc agrees with its plan."""
    rng = np.random.default_rng(VOLUME_SEED)
    z, y, x = _axes((100, 128, 128), 2.5)
    dose = 2.0 * _gaussians(rng, [z, y, x], count=12, sigma_mm=(15, 45))
    ellipse = _edge(np.sqrt((y / 1.2) ** 2 + x**2), 95, 3)
    reference = dose * (0.15 + 0.85 * ellipse * _edge(np.abs(z), 80, 3))
    evaluated = 1.012 * _shifted(reference, np.array([0.5, -0.6, 0.9]) / 2.5, order=3)
    noise = _noise(rng, reference.shape, sigma=1.5)
    evaluated += 0.01 * reference.max() * noise * (reference > 0.05 * reference.max())
    return Pair(reference, np.clip(evaluated, 0, None), (2.5, 2.5, 2.5))


def poor_volume() -> Pair:
    """The same with another 3 mm of shift along each axis and 6 % more dose."""
    good = volume()
    evaluated = 1.06 * _shifted(good.evaluated, np.array([1.2, 1.2, -1.2]), order=1)
    return Pair(good.reference, np.clip(evaluated, 0, None), good.spacing_mm)


def plane(pixels: int = 512) -> Pair:
    """Pixels over 409 mm, 512 x 512 of 0.8 mm in the recipe; other numbers sample the same field.

    Only at 512 is the noise the recipe's: it is drawn there and interpolated for other grids.
    """
    rng = np.random.default_rng(PLANE_SEED)
    extent_mm, recipe = 511 * 0.8, 512
    spacing_mm = extent_mm / (pixels - 1)
    y, x = _axes((pixels, pixels), spacing_mm)
    dose = _gaussians(rng, [y, x], count=14, sigma_mm=(8, 40))
    edges = _edge(np.abs(x), 120, 2) * _edge(np.abs(y), 130, 2)
    reference = dose * (0.03 + 0.97 * edges)
    evaluated = 1.01 * _shifted(reference, np.array([0.6, -0.8]) / spacing_mm, order=3)
    noise = _noise(rng, (recipe, recipe), sigma=2.0)
    if pixels != recipe:
        noise = ndimage.zoom(noise, pixels / recipe, order=1, grid_mode=False)
    evaluated += 0.01 * noise * (reference > 0.03)
    return Pair(reference, np.clip(evaluated, 0, None), (spacing_mm, spacing_mm))


def portal_image() -> Pair:
    """1280 x 1280 pixels of 0.336 mm, all above 10 %: an open field that fills the imager."""
    rng = np.random.default_rng(PORTAL_SEED)
    axes = _axes((1280, 1280), 0.336)
    reference = 0.3 + 0.7 * _gaussians(rng, axes, count=14, sigma_mm=(8, 40))
    evaluated = 1.01 * _shifted(reference, np.array([0.6, -0.8]) / 0.336, order=3)
    evaluated += 0.01 * _noise(rng, reference.shape, sigma=2.0)
    return Pair(reference, evaluated, (0.336, 0.336))


def white_noise(noise_percent: float, size: int = 20) -> Pair:
    """A smooth volume and the same with unsmoothed noise, so with a saddle in most cells."""
    rng = np.random.default_rng(NOISE_SEED)
    reference = 1.0 + 0.2 * _noise(rng, (size, size, size), sigma=3.0)
    noise = noise_percent / 100 * rng.standard_normal(reference.shape)
    return Pair(reference, np.clip(reference + noise, 0, None), (2.5, 2.5, 2.5))


def _axes(shape: tuple[int, ...], spacing_mm: float) -> list[Floats]:
    """Centered coordinates, each broadcast along its own axis."""
    axes = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def _gaussians(
    rng: np.random.Generator, axes: list[Floats], count: int, sigma_mm: tuple[float, float]
) -> Floats:
    """Sum of Gaussians, scaled to a maximum of 1.  The order of the draws is part of the recipe."""
    half_extent_mm = np.array([axis.max() for axis in axes])
    total = np.zeros(np.broadcast_shapes(*(axis.shape for axis in axes)))
    for _ in range(count):
        center_mm = rng.uniform(-0.35, 0.35, len(axes)) * half_extent_mm
        sigmas_mm = rng.uniform(*sigma_mm, len(axes))
        amplitude = rng.uniform(0.3, 1)
        terms = zip(axes, center_mm, sigmas_mm, strict=True)
        factors = [np.exp(-0.5 * ((axis - c) / sigma) ** 2) for axis, c, sigma in terms]
        total += amplitude * reduce(mul, factors)
    return total / total.max()


def _edge(distance_mm: Floats, at_mm: float, width_mm: float) -> Floats:
    """1 inside, 0 outside."""
    return 1 / (1 + np.exp((distance_mm - at_mm) / width_mm))


def _shifted(dose: Floats, voxels: Floats, order: int) -> Floats:
    shifted: Floats = ndimage.shift(dose, voxels, order=order, mode="nearest")
    return shifted


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Floats:
    """Smooth noise of unit variance; `sigma` in voxels."""
    field: Floats = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    return field / field.std()
