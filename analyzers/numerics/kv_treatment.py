"""Treatment time and delivered dose of a timer-driven kV unit.

DR = DR_ref · AF · B_w(cutout)/B_w(applicator) · ((f + g0)/(f + g))² · shield, at the surface;
t_set = D / (DR · PDD/100) - eps;  delivered: D = DR · sum (t_i + eps) · PDD/100.
Every part of an interrupted fraction starts and ends the beam, so each pays its own eps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import (
    Floats,
    finite,
    not_negative,
    positive,
    positive_numbers,
    same_length,
    within,
)
from analyzers.numerics.kv_output import B_W_RANGE, S_PER_MIN
from analyzers.numerics.kv_tables import GridTable, line
from analyzers.numerics.kv_uncertainty import Budget, Component

APPLICATOR_FACTOR = (0.1, 10.0)
"""An applicator of 25 cm has a third of the dose rate of one of 15 cm."""
SURFACE_PERCENT = 100.0
FEWEST_GAPS = 3
"""Two gaps always fit; a third one tells whether the inverse square holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceRate:
    """The chain to the dose rate at the surface.  ValueError: a factor that cannot be."""

    reference_gy_per_min: float
    """Dose to water at the surface of the reference applicator, from the accepted output."""
    applicator_factor: float
    b_w_applicator: float | None = None
    b_w_cutout: float | None = None
    """None: no cutout, the whole applicator.  With one, `b_w_applicator` is needed as well."""
    effective_ssd_cm: float
    gap_cm: float = 0.0
    """Stand-off between the end of the applicator and the skin; negative: skin bulges in."""
    reference_gap_cm: float = 0.0
    """Gap at which the output was measured."""
    shield: float = 1.0
    """Transmission of what lies in the beam, 1 for nothing."""

    def __post_init__(self) -> None:
        positive("the reference dose rate", self.reference_gy_per_min, "Gy/min")
        within("the applicator factor", self.applicator_factor, *APPLICATOR_FACTOR)
        if self.b_w_applicator is not None:
            within("B_w of the applicator", self.b_w_applicator, *B_W_RANGE)
        if self.b_w_cutout is not None:
            if self.b_w_applicator is None:
                raise ValueError("B_w of the applicator is needed with that of the cutout")
            # A cutout is a smaller field: it cannot scatter back more.
            within("B_w of the cutout", self.b_w_cutout, 1.0, self.b_w_applicator)
        positive("the effective SSD", self.effective_ssd_cm, "cm")
        positive("SSD and gap", finite("gap", self.gap_cm) + self.effective_ssd_cm, "cm")
        finite("the gap at calibration", self.reference_gap_cm, "cm")
        positive("SSD and gap at calibration", self.reference_distance_cm, "cm")
        within("the transmission of the shield", positive("shield", self.shield), 0.0, 1.0)

    @property
    def reference_distance_cm(self) -> float:
        """f + g0."""
        return self.effective_ssd_cm + self.reference_gap_cm

    @property
    def cutout_ratio(self) -> float:
        """B_w(cutout) / B_w(applicator), 1 without a cutout."""
        if self.b_w_cutout is None or self.b_w_applicator is None:
            return 1.0
        return self.b_w_cutout / self.b_w_applicator

    @property
    def gap_factor(self) -> float:
        """((f + g0) / (f + g))²."""
        return (self.reference_distance_cm / (self.effective_ssd_cm + self.gap_cm)) ** 2

    @property
    def gy_per_min(self) -> float:
        """Dose rate to water at the surface of this treatment."""
        scatter = self.applicator_factor * self.cutout_ratio
        return self.reference_gy_per_min * scatter * self.gap_factor * self.shield

    def gap_component(self, gap_cm: float) -> Component:
        """What an uncertain gap (k = 1, cm) does to the rate: 2 u / (f + g)."""
        u = not_negative("the uncertainty of the gap", gap_cm, "cm")
        percent = 200.0 * u / (self.effective_ssd_cm + self.gap_cm)
        return Component("gap", percent, "inverse square of SSD and gap")


@dataclass(frozen=True, slots=True, eq=False)
class DepthDose:
    """Percent of the surface dose over depth in mm, linear between points, nothing beyond them.

    ValueError: no point at the surface, one that is not 100 there, a value outside (0, 110].
    """

    depth_mm: Floats
    percent: Floats

    def __post_init__(self) -> None:
        percent = positive_numbers("percent depth doses", self.percent)
        table = self._table()
        if table.axes[0].points[0] != 0.0 or percent[0] != SURFACE_PERCENT:
            raise ValueError(
                f"the depth dose starts at {table.axes[0].points[0]:g} mm with {percent[0]:g} %: "
                "the surface with 100 % is needed"
            )
        within("the largest percent depth dose", float(percent.max()), 100.0, 110.0, "%")

    def at(self, depth_mm: float) -> float:
        """Percent at a depth.  `OutsideTable`: deeper than the deepest point, or above skin."""
        return self._table().at(depth_mm)

    def depth_component(self, depth_mm: float, uncertainty_mm: float) -> Component:
        """What an uncertain depth (k = 1, mm) does to the dose there.

        The steeper of the slopes on both sides of the depth, over the value.
        """
        u = not_negative("the uncertainty of the depth", uncertainty_mm, "mm")
        here = self.at(depth_mm)
        if len(self.depth_mm) < 2:
            raise ValueError("a depth dose of one point has no slope")
        depths = self._table().axes[0].points
        slopes = np.abs(np.diff(self.percent) / np.diff(depths))
        touching = (depths[:-1] <= depth_mm) & (depth_mm <= depths[1:])
        slope = float(slopes[touching].max())
        return Component("depth", 100.0 * slope * u / here, "slope of the depth dose")

    def _table(self) -> GridTable:
        return line("depth (mm)", self.depth_mm, self.percent)


@dataclass(frozen=True, slots=True)
class DeliveredDose:
    """Dose at one depth with its uncertainty, in percent of the dose (k = 1 and 2)."""

    depth_mm: float
    gy: float
    budget: Budget

    @property
    def k2_gy(self) -> float:
        """Expanded uncertainty, k = 2, in Gy."""
        return self.gy * self.budget.k2_percent / 100.0


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveDistance:
    """Effective SSD from readings over gap, and how well the inverse square fits them."""

    ssd_cm: float
    residual_percent: Floats
    """100 (reading - fitted) / fitted, of each reading."""

    @property
    def largest_residual_percent(self) -> float:
        """The residual of greatest magnitude, signed, in percent of the fitted reading."""
        return float(self.residual_percent[np.abs(self.residual_percent).argmax()])


def effective_distance(gap_cm: ArrayLike, readings: ArrayLike) -> EffectiveDistance:
    """f from the straight line 1/sqrt(M) = (f + g)/sqrt(k), by least squares.

    `(n,)` gaps from 0 up and readings.  ValueError: fewer than three different gaps, readings that
    are not positive or do not fall with the gap, a distance that comes out negative.
    """
    g = np.asarray(gap_cm, np.float64)
    m = positive_numbers("readings", readings, fewest=FEWEST_GAPS)
    if g.ndim != 1 or not np.isfinite(g).all() or (g < 0.0).any():
        raise ValueError("gaps are a plain list of numbers from 0 up")
    same_length("gaps", g, "readings", m)
    different = len(np.unique(g))
    if different < FEWEST_GAPS:
        raise ValueError(f"{different} different gaps: at least {FEWEST_GAPS} are needed")
    root = 1.0 / np.sqrt(m)
    from_mean = g - g.mean()
    slope = float(from_mean @ (root - root.mean()) / (from_mean @ from_mean))
    if slope <= 0.0:
        raise ValueError("the readings do not fall with the gap")
    f = positive("the effective SSD", float(root.mean() / slope - g.mean()), "cm")
    fitted = 1.0 / (slope * (f + g)) ** 2
    return EffectiveDistance(f, 100.0 * (m - fitted) / fitted)


def treatment_time_s(
    prescribed_gy: float, rate: SurfaceRate, *, pdd_percent: float = 100.0, end_effect_s: float
) -> float:
    """t_set = D / (DR · PDD/100) - eps, in s; the end effect has no default.

    ValueError: a dose that is not positive, a PDD outside (0, 110], a time that is not positive.
    """
    dose_gy = positive("the prescribed dose", prescribed_gy, "Gy")
    percent = within("PDD", positive("PDD", pdd_percent, "%"), 0.0, 110.0, "%")
    beam_s = S_PER_MIN * dose_gy / (rate.gy_per_min * percent / 100.0)
    return positive("the time to set", beam_s - finite("eps", end_effect_s, "s"), "s")


def beam_time_s(parts_s: Sequence[float], end_effect_s: float) -> float:
    """Time with beam of one fraction: sum of t_i + eps over the parts it was given in.

    ValueError: no part, or one that is not longer than the end effect takes away (which one).
    """
    if not len(parts_s):
        raise ValueError("no part was delivered")
    eps = finite("eps", end_effect_s, "s")
    return math.fsum(
        positive(f"timer and end effect of part {number}", positive("timer", part_s, "s") + eps)
        for number, part_s in enumerate(parts_s, 1)
    )


def surface_dose(beam_s: float, rate: SurfaceRate, budget: Budget) -> DeliveredDose:
    """Dose at the surface after `beam_s` seconds with beam (`beam_time_s`).

    `budget` holds what the rate and the time are uncertain by: output, applicator, gap, timer.
    ValueError: a time that is not positive.
    """
    dose_gy = rate.gy_per_min * positive("the time with beam", beam_s, "s") / S_PER_MIN
    return DeliveredDose(0.0, dose_gy, budget)


def dose_at_depth(
    surface: DeliveredDose,
    curve: DepthDose,
    depth_mm: float,
    *,
    depth_uncertainty_mm: float,
    pdd_component: Component,
) -> DeliveredDose:
    """The dose at a prescribed or measured depth, its uncertainty with those of PDD and depth.

    `OutsideTable`: the curve does not reach the depth.
    """
    own = curve.depth_component(depth_mm, depth_uncertainty_mm)
    budget = surface.budget.with_components(pdd_component, own)
    return DeliveredDose(depth_mm, surface.gy * curve.at(depth_mm) / 100.0, budget)
