"""Biological effect of fractions: BED and EQD2 of the linear-quadratic model, and TDF.

TDF (Orton and Ellis 1973) was derived from skin and connective tissue
and is shown next to EQD2, never alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import Floats, not_negative, positive

CGY_PER_GY = 100.0
REFERENCE_FRACTION_GY = 2.0
TDF_DOSE_POWER = 1.538
TDF_INTERVAL_POWER = -0.169
TDF_SCALE = 1e-3
TDF_DECAY_POWER = 0.11


def bed_gy(fractions_gy: ArrayLike, alpha_beta_gy: float) -> float:
    """BED = sum over fractions of d (1 + d / (a/b)), in Gy.

    `(n,)` doses as delivered, equal or not; a fraction of 0 Gy adds nothing.  ValueError: no
    fraction, a negative dose or NaN, a/b that is not positive.
    """
    d = _fractions(fractions_gy)
    return float((d * (1.0 + d / positive("alpha/beta", alpha_beta_gy, "Gy"))).sum())


def eqd2_gy(fractions_gy: ArrayLike, alpha_beta_gy: float) -> float:
    """EQD2 = sum over fractions of d (d + a/b) / (2 + a/b), in Gy; raises as `bed_gy`."""
    d = _fractions(fractions_gy)
    ab = positive("alpha/beta", alpha_beta_gy, "Gy")
    return float((d * (d + ab)).sum() / (REFERENCE_FRACTION_GY + ab))


def tdf(fractions_gy: ArrayLike, *, interval_days: float) -> float:
    """TDF = sum over fractions of d^1.538 · (T/n)^-0.169 · 1e-3, d in cGy.

    `interval_days` is T/n, the mean interval, and has no default: how T is counted (first to last
    fraction, or whole weeks) moves TDF by more than a point.
    ValueError: no fraction, a negative dose or NaN, an interval that is not positive.
    """
    d_cgy = CGY_PER_GY * _fractions(fractions_gy)
    interval = positive("the mean interval T/n", interval_days, "days")
    return float(TDF_SCALE * interval**TDF_INTERVAL_POWER * (d_cgy**TDF_DOSE_POWER).sum())


def tdf_after_gap(tdf_before: float, *, course_days: float, rest_days: float) -> float:
    """What is left of a TDF given over `course_days` after a rest: TDF · (T / (T + R))^0.11.

    ValueError: a negative TDF or rest, a course that is not positive.
    """
    t = positive("the length of the course", course_days, "days")
    rest = not_negative("the rest", rest_days, "days")
    decay = float((t / (t + rest)) ** TDF_DECAY_POWER)
    return not_negative("TDF", tdf_before) * decay


def equal_fractions_gy(number: int, fraction_gy: float) -> Sequence[float]:
    """`number` fractions of the same dose.  ValueError: fewer than one."""
    if number < 1:
        raise ValueError(f"{number} fractions: at least one is needed")
    return [not_negative("the dose of a fraction", fraction_gy, "Gy")] * number


def _fractions(fractions_gy: ArrayLike) -> Floats:
    d = np.asarray(fractions_gy, np.float64)
    if d.ndim != 1 or not d.size:
        raise ValueError("doses of fractions are a plain list with at least one")
    wrong = np.flatnonzero(~(np.isfinite(d) & (d >= 0.0)))
    if wrong.size:
        raise ValueError(f"the dose of fraction {wrong[0] + 1} is negative or not a number")
    return d
