"""How much room a process leaves to its limits, and limits that follow from the process.

Capability after Montgomery, Statistical Quality Control; process-based tolerance and action limits
after AAPM TG-218 (Miften et al., Med Phys 45:e53, 2018) and Sanghangthum et al. (Phys Med Biol
58:7025, 2013); for pass rates, which are skewed, a gamma distribution of what fails (Kearney et al.
2018 find it nearer than a normal one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.control_chart import RANGE_PER_SIGMA

Numbers = NDArray[np.floating[Any]]

BETA = 6.0
"""Width of the action limits in root mean squares about the target: those of C_pm = 1."""
OUTSIDE = 0.00135
"""The part of a normal process beyond 3 sigma on one side."""


@dataclass(frozen=True, slots=True)
class Capability:
    """Indices of a process; None where a limit that they need is not there.

    `cp`, `cpk` with the spread within (moving ranges), `pp`, `ppk` with that of all values, `cpm`
    about the target.  Of one limit, `cpk` and `ppk` alone are told.
    """

    cp: float | None
    cpk: float | None
    pp: float | None
    ppk: float | None
    cpm: float | None


def capability(
    values: Numbers, low: float | None, high: float | None, target: float | None = None
) -> Capability | None:
    """Indices of `values`, shape (n,), in order of time; None without limits or without spread.

    C_p = (USL - LSL) / 6 s, C_pk = min(USL - m, m - LSL) / 3 s,
    C_pm = (USL - LSL) / 6 sqrt(s^2 + (m - T)^2).
    """
    if values.size < 2 or (low is None and high is None):
        return None
    mean, overall = float(values.mean()), float(values.std(ddof=1))
    within = float(np.abs(np.diff(values)).mean()) / float(RANGE_PER_SIGMA)
    if within == 0.0 or overall == 0.0:
        return None
    room = min(
        np.inf if high is None else high - mean,
        np.inf if low is None else mean - low,
    )
    width = None if low is None or high is None else high - low
    about = None if target is None else float(np.hypot(overall, mean - target))
    return Capability(
        cp=None if width is None else width / (6.0 * within),
        cpk=float(room) / (3.0 * within),
        pp=None if width is None else width / (6.0 * overall),
        ppk=float(room) / (3.0 * overall),
        cpm=None if width is None or about is None else width / (6.0 * about),
    )


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a process in control says its limits should be (TG-218).

    `tolerance_*` are those of the individuals chart, `action_*` those of C_pm = 1; `skewed_low` is
    the lower tolerance limit where 100 minus the value follows a gamma distribution, None for
    other quantities than pass rates.
    """

    center: float
    sigma: float
    mean_range: float
    tolerance_low: float
    tolerance_high: float
    action_low: float
    action_high: float
    skewed_low: float | None


def process_limits(
    values: Numbers, target: float, highest: float | None = None
) -> ProcessLimits | None:
    """Limits of a process from `values`, shape (n,), in order of time; None for fewer than two.

    `highest` is a bound that no value exceeds (100 for a pass rate): upper limits stop there.
    """
    if values.size < 2:
        return None
    mean, sigma = float(values.mean()), float(values.std(ddof=1))
    mean_range = float(np.abs(np.diff(values)).mean())
    reach = 3.0 / float(RANGE_PER_SIGMA) * mean_range
    half = BETA / 2.0 * float(np.hypot(sigma, mean - target))
    top = np.inf if highest is None else highest
    return ProcessLimits(
        center=mean,
        sigma=sigma,
        mean_range=mean_range,
        tolerance_low=mean - reach,
        tolerance_high=min(mean + reach, top),
        action_low=target - half,
        action_high=min(target + half, top),
        skewed_low=None if highest is None else _skewed_low(highest - values, highest),
    )


def _skewed_low(failing: Numbers, highest: float) -> float | None:
    """The value below which one in 741 lies, where `failing` has a gamma distribution.

    By its first two moments: values of zero, of which there are many, have no likelihood.
    """
    from scipy.stats import gamma

    mean, variance = float(failing.mean()), float(failing.var(ddof=1))
    if mean <= 0.0 or variance <= 0.0 or float(failing.min()) < 0.0:
        return None
    return highest - float(gamma.isf(OUTSIDE, mean**2 / variance, scale=variance / mean))
