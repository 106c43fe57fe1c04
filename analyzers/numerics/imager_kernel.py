"""How an imager spreads a fluence: sums of exponentials over distance, and a Gaussian glare.

K(r) = sum_j w_j k_j exp(-k_j r) / (2 pi r) + w_g exp(-r² / 2 s²) / (2 pi s²), integral 1, lengths
in mm at the imager.  The form is that of published portal dose models (sums of exponentials over
r).  In 2-D its Fourier transform is a closed form, sum_j w_j k_j / sqrt(k_j² + q²) +
w_g exp(-s² q² / 2), so no kernel is ever sampled: only the fluence is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

MOST_EXPONENTIALS = 3
SAME = 1e-6
TAIL = 5e-4
"""Share of the kernel that may come around the edge of the padded image."""


@dataclass(frozen=True, slots=True)
class ImagerKernel:
    """Weights (their sum is 1) and ranges; `glare_sigma_mm` is that of the Gaussian, in mm.

    ValueError: more than three exponentials, or none; ranges or weights that are not positive or
    not finite; weights whose sum is not 1.
    """

    weights: tuple[float, ...]
    per_mm: tuple[float, ...]
    """Decay of each exponential, the steepest first."""
    glare_weight: float = 0.0
    glare_sigma_mm: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.weights) <= MOST_EXPONENTIALS or len(self.weights) != len(self.per_mm):
            raise ValueError("a kernel has one to three exponentials, each with a weight")
        numbers = (*self.weights, *self.per_mm, self.glare_weight, self.glare_sigma_mm)
        if not all(math.isfinite(number) and number >= 0.0 for number in numbers):
            raise ValueError("weights and ranges of a kernel are finite and not negative")
        if min(self.per_mm) <= 0.0 or self.glare_sigma_mm <= 0.0:
            raise ValueError("ranges of a kernel are positive")
        if abs(sum(self.weights) + self.glare_weight - 1.0) > SAME:
            raise ValueError("the weights of a kernel add up to 1")

    def at(self, r_mm: ArrayLike) -> Floats:
        """Value per mm² at distances greater than 0; shape of `r_mm`."""
        r = np.asarray(r_mm, np.float64)
        value = np.zeros_like(r)
        for weight, k in zip(self.weights, self.per_mm, strict=True):
            value += weight * k * np.exp(-k * r) / (2.0 * np.pi * r)
        s2 = self.glare_sigma_mm**2
        return np.asarray(value + self.glare_weight * np.exp(-(r**2) / (2 * s2)) / (2 * np.pi * s2))

    def within(self, r_mm: ArrayLike) -> Floats:
        """Share of the kernel within a distance; shape of `r_mm`."""
        r = np.asarray(r_mm, np.float64)
        value = self.glare_weight * (1.0 - np.exp(-(r**2) / (2.0 * self.glare_sigma_mm**2)))
        for weight, k in zip(self.weights, self.per_mm, strict=True):
            value = value + weight * (1.0 - np.exp(-k * r))
        return np.asarray(value)

    def transfer(self, q_per_mm: ArrayLike) -> Floats:
        """The Fourier transform at angular frequencies; shape of `q_per_mm`."""
        q2 = np.asarray(q_per_mm, np.float64) ** 2
        value = self.glare_weight * np.exp(-0.5 * self.glare_sigma_mm**2 * q2)
        for weight, k in zip(self.weights, self.per_mm, strict=True):
            value = value + weight * k / np.sqrt(k * k + q2)
        return np.asarray(value)

    def reach_mm(self) -> float:
        """The distance beyond which less than `TAIL` of the kernel lies."""
        far = [
            math.log(weight / TAIL) / k
            for weight, k in zip(self.weights, self.per_mm, strict=True)
            if weight > TAIL
        ]
        if self.glare_weight > TAIL:
            far.append(self.glare_sigma_mm * math.sqrt(2 * math.log(self.glare_weight / TAIL)))
        return max(far, default=0.0)


def spread(
    values: NDArray[np.floating],
    spacing_mm: tuple[float, float],
    kernel: ImagerKernel,
    blur_mm: float,
) -> Floats32:
    """`values` convolved with the kernel and with a Gaussian of `blur_mm`; shape kept.

    `values` (rows, columns) are means over pixels of `spacing_mm` (row, column), 0 beyond the
    image.  Computed in 32 bits: rounding is below 1e-6 of the maximum.
    ValueError: no 2-D array, NaN or infinity, spacing that is not positive.
    """
    from scipy import fft

    image = np.asarray(values, np.float32)
    if image.ndim != 2 or not image.size:
        raise ValueError(f"an image has rows and columns, not the shape {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinity")
    if not all(math.isfinite(mm) and mm > 0.0 for mm in spacing_mm):
        raise ValueError("the spacing is positive")
    reach_mm = kernel.reach_mm() + 4.0 * blur_mm
    padded = tuple(
        fft.next_fast_len(
            _padded(np.any(image, axis=1 - axis), reach_mm / spacing_mm[axis]), real=True
        )
        for axis in (0, 1)
    )
    factor = _transfer((padded[0], padded[1]), spacing_mm, kernel, blur_mm)
    spectrum = fft.rfft2(image, s=padded, workers=-1)
    spectrum *= factor
    full = fft.irfft2(spectrum, s=padded, overwrite_x=True, workers=-1)
    return np.asarray(full[: image.shape[0], : image.shape[1]], np.float32)


def _padded(used: NDArray[np.bool_], reach: float) -> int:
    """How long a side must be, so that what comes around its end is less than the tail."""
    size, lit = len(used), np.flatnonzero(used)
    if not lit.size:
        return size
    farthest = max(int(lit[-1]), size - 1 - int(lit[0]))
    return max(size, farthest + math.ceil(reach))


@lru_cache(maxsize=4)
def _transfer(
    shape: tuple[int, int], spacing_mm: tuple[float, float], kernel: ImagerKernel, blur_mm: float
) -> Floats32:
    from scipy import fft

    row = (2.0 * np.pi * fft.fftfreq(shape[0], spacing_mm[0])).astype(np.float32)[:, None]
    column = (2.0 * np.pi * fft.rfftfreq(shape[1], spacing_mm[1])).astype(np.float32)[None, :]
    q2 = row**2 + column**2
    factor: Floats32 = np.zeros(q2.shape, np.float32)
    for weight, k in zip(kernel.weights, kernel.per_mm, strict=True):
        factor += np.float32(weight * k) / np.sqrt(np.float32(k * k) + q2)
    if kernel.glare_weight:
        factor += np.float32(kernel.glare_weight) * _gauss(row, column, kernel.glare_sigma_mm)
    factor *= _gauss(row, column, blur_mm)
    factor.setflags(write=False)
    return factor


def _gauss(row: Floats32, column: Floats32, sigma_mm: float) -> Floats32:
    half = np.float32(-0.5 * sigma_mm**2)
    return np.asarray(np.exp(half * row**2) * np.exp(half * column**2))
