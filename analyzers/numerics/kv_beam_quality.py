"""Half-value layers of a kV beam from readings behind absorbers, and its homogeneity.

Between two thicknesses the logarithm of the reading is taken to be linear.  A
beam hardens, so the chord lies above the curve and the layer comes out a little too thick: the
closer the two thicknesses, the less.  They are told with the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import Floats, positive_numbers, same_length

MOST_HOMOGENEITY = 1.05
"""A filtered beam gets no softer: HVL1 / HVL2 is at most 1, but for the noise of the readings."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Thickness at which a share of the open reading is left, and the two it lies between."""

    thickness_mm: float
    between_mm: tuple[float, float]


@dataclass(frozen=True, slots=True)
class BeamQuality:
    """HVL1 and, where readings reach 25 %, HVL2 and HVL1 / HVL2; thickness of the absorber, mm."""

    half: Layer
    quarter: Layer | None

    @property
    def hvl1_mm(self) -> float:
        """First half-value layer."""
        return self.half.thickness_mm

    @property
    def hvl2_mm(self) -> float | None:
        """Second half-value layer: from 50 % to 25 %."""
        return None if self.quarter is None else self.quarter.thickness_mm - self.hvl1_mm

    @property
    def homogeneity(self) -> float | None:
        """HVL1 / HVL2; 1 for a beam of one energy."""
        second_mm = self.hvl2_mm
        return None if second_mm is None else self.hvl1_mm / second_mm


def beam_quality(thickness_mm: ArrayLike, readings: ArrayLike) -> BeamQuality:
    """HVL1 and HVL2 of readings `(n,)` behind absorbers `(n,)`, in any order.

    Readings of one thickness are averaged.  HVL2 is None when no reading is at 25 % or below.
    ValueError: no reading without absorber, readings that do not fall with thickness (where), no
    two thicknesses around 50 %, a beam that would get softer by filtering.
    """
    t, m = _averaged(thickness_mm, readings)
    half = _layer(t, m, 0.5)
    if half is None:
        raise ValueError(
            f"{t[-1]:g} mm leave {100.0 * m[-1] / m[0]:.4g} % of the open reading: "
            "a thicker absorber is needed to reach 50 %"
        )
    quality = BeamQuality(half, _layer(t, m, 0.25))
    ratio = quality.homogeneity
    if ratio is not None and ratio > MOST_HOMOGENEITY:
        raise ValueError(
            f"HVL1 {quality.hvl1_mm:.4g} mm is {ratio:.4g} times HVL2: "
            "a reading is wrong or the thicknesses are too far apart"
        )
    return quality


def half_value_layer_mm(thickness_mm: ArrayLike, readings: ArrayLike) -> float:
    """HVL1 in mm of the absorber; raises as `beam_quality`."""
    return beam_quality(thickness_mm, readings).hvl1_mm


def _averaged(thickness_mm: ArrayLike, readings: ArrayLike) -> tuple[Floats, Floats]:
    """Thicknesses that rise and the mean reading of each, checked."""
    t = np.asarray(thickness_mm, np.float64)
    m = positive_numbers("readings", readings, fewest=2)
    if t.ndim != 1 or not np.isfinite(t).all() or (t < 0.0).any():
        raise ValueError("thicknesses are a plain list of numbers from 0 up")
    same_length("thicknesses", t, "readings", m)
    different, which = np.unique(t, return_inverse=True)
    if not len(different) or different[0] != 0.0:
        raise ValueError("a reading without absorber (0 mm) is needed")
    mean = np.bincount(which, weights=m) / np.bincount(which)
    rising = np.flatnonzero(np.diff(mean) >= 0.0)
    if rising.size:
        at = rising[0]
        raise ValueError(
            f"the reading does not fall from {different[at]:g} mm ({mean[at]:.6g}) "
            f"to {different[at + 1]:g} mm ({mean[at + 1]:.6g})"
        )
    return different, mean


def _layer(t: Floats, m: Floats, share: float) -> Layer | None:
    target = share * float(m[0])
    beyond = np.flatnonzero(m <= target)
    if not beyond.size:
        return None
    after = int(beyond[0])
    thinner, thicker = float(t[after - 1]), float(t[after])
    more, less = float(m[after - 1]), float(m[after])
    part = math.log(more / target) / math.log(more / less)
    return Layer(thinner + part * (thicker - thinner), (thinner, thicker))
