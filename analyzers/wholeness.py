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
from analyzers.records import Delivery, FloatArray

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


TRUEBEAM = Pace(leaf_mm_per_s=50.0, gantry_deg_per_s=12.0)


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
    jumps = np.zeros_like(beam_on)
    for step, fastest in _steps(delivery, pace):
        jumps |= beam_on & (step > fastest * delivery.interval_s)
    places = np.flatnonzero(jumps)
    if places.size == 0:
        return []
    at_s = delivery.time_s[places[0] + 1]
    return [f"samples missing at {at_s:.2f} s" + (" and later" if places.size > 1 else "")]


def _steps(delivery: Delivery, pace: Pace) -> Iterator[tuple[FloatArray, float]]:
    """How far each quantity goes from sample to sample, with the fastest it can go.

    Positions are the expected ones: what is wrong with the actual ones has metrics of its own.
    """
    yield np.diff(np.asarray(delivery.meterset_mu.actual, dtype=np.float64)), pace.mu_per_s
    if delivery.gantry_deg is not None:
        gantry_deg = delivery.gantry_deg.reference
        turned_deg = angle_difference_deg(gantry_deg[1:], gantry_deg[:-1])
        yield np.abs(turned_deg), pace.gantry_deg_per_s
    for layer in delivery.mlc:
        for bank in (layer.bank_a_mm, layer.bank_b_mm):
            yield np.abs(np.diff(bank.expected, axis=0)).max(axis=1), pace.leaf_mm_per_s


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
