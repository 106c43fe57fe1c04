"""Whether a log holds a delivery from its first to its last control point, without a gap.

Meterset is cumulative, so a log that lost its beginning or its middle still ends at the right
number: what was delivered meanwhile was seen by nobody.  A gap shows where the beam goes on further
away than any machine can move, or turn, or irradiate, in one sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analyzers.core import AnalysisError
from analyzers.numerics.statistics import angle_difference_deg
from analyzers.records import BoolArray, Delivery, FloatArray

BEGINS_MU = 0.05
"""A log begins at meterset 0; every real one does to the last digit."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The fastest a machine goes with the beam on, with room to spare.

    In 37 real logs of TrueBeam-class machines: 12.6 MU/s, 25 mm/s and 6 deg/s; the fastest beams
    that are made have 40 MU/s.
    """

    mu_per_s: float = 50.0
    leaf_mm_per_s: float = 100.0
    gantry_deg_per_s: float = 48.0
    collimator_deg_per_s: float = np.inf
    jaw_mm_per_s: float = np.inf


TRUEBEAM = Pace(leaf_mm_per_s=50.0, gantry_deg_per_s=12.0)
CLINAC = Pace(
    leaf_mm_per_s=50.0, gantry_deg_per_s=12.0, collimator_deg_per_s=20.0, jaw_mm_per_s=100.0
)
"""Real Dynalogs with the beam on: 1.6 mm, 0.4 deg, 0.1 deg and 1 mm in a row of 50 ms."""
ROUNDING = 1e-6
"""Differences of decimal fractions are off by this much at most."""
SHARE_OVER_PACE = 2.5
SMALLEST_SHARE_STEP_PERCENT = 0.5
LARGEST_STEPS = 3
"""So many of the largest steps may be gaps, and do not make the pace of a short log."""


def missing_parts(delivery: Delivery, pace: Pace, reach: float) -> list[str]:
    """What this delivery lacks, in words without identity; empty when it is whole.

    `reach` is how close to a whole number the last control point has to be.  Raises `AnalysisError`
    where that control point is not a number.
    """
    missing = ["log truncated"] if delivery.truncated else []
    missing += [
        f"sub-beam {beam.sequence + 1} not delivered"
        for beam in delivery.sub_beams
        if not beam.delivered
    ]
    if not delivery.beam_on.any() and delivery.planned_mu != 0.0:
        missing.append("the beam was never on")
    first_mu = float(delivery.meterset_mu.actual[0])
    if first_mu > BEGINS_MU:
        missing.append(f"the log begins at {first_mu:.2f} MU")
    missing += gaps(delivery, pace)
    missing += _end(delivery, reach)
    return missing


def gaps(delivery: Delivery, pace: Pace) -> list[str]:
    """Where samples are missing, if anywhere: the first place, and whether there are more."""
    beam_on = delivery.beam_on[1:]
    jumps = _share_jumps(delivery)
    for step, fastest in _steps(delivery, pace):
        jumps[1:] |= beam_on & (step > fastest * delivery.interval_s + ROUNDING)
    if delivery.meterset_percent is not None:
        # Leaves do jump in real logs while a dose rises in samples that are flagged as held.
        rises = np.diff(delivery.meterset_percent.actual) > 0.0
        for step, fastest in _turns_and_jaw_steps(delivery, pace):
            jumps[1:] |= rises & (step > fastest * delivery.interval_s + ROUNDING)
    places = np.flatnonzero(jumps)
    if places.size == 0:
        return []
    at_s = delivery.time_s[places[0]]
    return [f"samples missing at {at_s:.2f} s" + (" and later" if places.size > 1 else "")]


def _share_jumps(delivery: Delivery) -> BoolArray:
    """Samples before which a share of the plan rises too far for this log, `(samples,)`.

    How much of a plan comes in a sample depends on the plan, so the log's own 99th percentile is
    the pace.  A share begins at 0, and rises in samples that are flagged as held as well.
    """
    if delivery.meterset_percent is None:
        return np.zeros(delivery.samples, dtype=np.bool_)
    percent = np.asarray(delivery.meterset_percent.actual, dtype=np.float64)
    step_percent = np.diff(percent, prepend=0.0)
    rising_percent = np.sort(step_percent[step_percent > 0.0])
    count = len(rising_percent)
    if count == 0:
        return np.zeros(delivery.samples, dtype=np.bool_)
    larger = max(min(LARGEST_STEPS, count // 4), count // 100)
    most_percent = SHARE_OVER_PACE * float(rising_percent[count - 1 - larger])
    return np.asarray(step_percent > max(most_percent, SMALLEST_SHARE_STEP_PERCENT))


def _steps(delivery: Delivery, pace: Pace) -> Iterator[tuple[FloatArray, float]]:
    """How far each quantity goes from sample to sample, with the fastest it can go.

    Positions are the expected ones: what is wrong with the actual ones has metrics of its own.
    """
    yield np.diff(np.asarray(delivery.meterset_mu.actual, dtype=np.float64)), pace.mu_per_s
    yield from _turns_and_jaw_steps(delivery, pace)
    for layer in delivery.mlc:
        for bank in (layer.bank_a_mm, layer.bank_b_mm):
            yield np.abs(np.diff(bank.expected, axis=0)).max(axis=1), pace.leaf_mm_per_s


def _turns_and_jaw_steps(delivery: Delivery, pace: Pace) -> Iterator[tuple[FloatArray, float]]:
    """Those of `_steps` that are neither dose nor leaves."""
    if delivery.gantry_deg is not None:
        gantry_deg = delivery.gantry_deg.reference
        turned_deg = angle_difference_deg(gantry_deg[1:], gantry_deg[:-1])
        yield np.abs(turned_deg), pace.gantry_deg_per_s
    if delivery.collimator_deg is not None and pace.collimator_deg_per_s < np.inf:
        collimator_deg = delivery.collimator_deg.reference
        turned_deg = angle_difference_deg(collimator_deg[1:], collimator_deg[:-1])
        yield np.abs(turned_deg), pace.collimator_deg_per_s
    for jaw in delivery.jaws_mm.values() if pace.jaw_mm_per_s < np.inf else ():
        yield np.abs(np.diff(jaw.reference)), pace.jaw_mm_per_s


def _end(delivery: Delivery, reach: float) -> list[str]:
    """What the control-point axis says of the end; a completed log ends at a whole number."""
    if delivery.control_point is None:
        return []
    last = float(delivery.control_point.actual[-1])
    expected = float(delivery.control_point.expected[-1])
    if not np.isfinite([last, expected]).all():
        raise AnalysisError("the last control point is not a number")
    if abs(last - round(last)) > reach:
        return [f"control point {last:.3f}"]
    if abs(last - expected) > reach:
        return [f"control point {last:.3f} of {expected:.3f}"]
    return []
