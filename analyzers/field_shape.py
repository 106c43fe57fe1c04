"""When the beam was on, and which leaves shaped the field.

Leaf statistics mean something only over the leaves that shape the field: a leaf parked behind a
jaw divides a real error away.  A leaf is looked at twice, as the controller wanted it and as it
was: by the first alone a runaway would look parked, by the second alone a leaf that is stuck.
Positions are IEC 61217 in mm at the isocenter plane.

The meterset decides when the beam was on, but not its every digit: while the beam is held the
chambers' reading creeps up by 0.00001 MU a sample, and jumps by up to 0.0005 MU once at the start.
One pulse gives 0.01 MU or more.  In 37 real logs no increment lies between, and a quarter of all
samples only creep, among them those in which collimator, jaws and couch go to the next field.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import numpy as np

from analyzers.core import AnalysisError, NotApplicable
from analyzers.numerics.statistics import angle_difference_deg
from analyzers.records import Axis, BoolArray, Delivery, FloatArray, Meterset, MlcLayer, SubBeam

State = Callable[[Axis], FloatArray]
EXPECTED: State = attrgetter("reference")
ACTUAL: State = attrgetter("actual")

LEAF_AXES = {50}
"""Axes that hold leaves, by the makers' codes."""
LAST_PULSES = 10
"""Within so many samples of a sub-beam's start the last pulses of the one before may come."""
TURNED_DEG = 1.0
"""Gantry, collimator or couch turned by more with the beam off: another field begins."""
MOVES_MM = 0.5
"""A leaf whose position ranges over more than this moves; leaves at rest stray by 0.01 mm."""
OPEN_MM = 0.6
"""A pair further apart than this is open.

Real logs hold closed pairs up to 0.5 mm apart (the smallest dynamic gap) and stray by 0.03 mm.
"""


def no_leaves(delivery: Delivery, machine_class: str) -> AnalysisError | NotApplicable:
    """Why a delivery without leaf positions cannot be judged, to be raised.

    These machines log their leaves always: a log without any, or with some that fit no known MLC,
    is not a log in order.
    """
    if delivery.other_axes.keys() & LEAF_AXES:
        return AnalysisError("the leaf positions fit no known MLC model")
    if machine_class in ("truebeam", "halcyon"):
        return AnalysisError("the log has no leaf positions, which a machine of this class has")
    return NotApplicable("the log has no leaf positions")


def beam_on_samples(delivery: Delivery, fewest: int) -> BoolArray:
    """The samples with the beam on, shape `(samples,)`; refuses a beam too short to judge."""
    weight = delivery.weight
    unknown = 0 if weight is None else np.count_nonzero(~np.isfinite(weight.actual))
    if unknown:
        raise AnalysisError(f"the meterset is not a number in {unknown} samples")
    beam_on = delivery.beam_on
    samples = np.count_nonzero(beam_on)
    if samples == 0:
        raise NotApplicable("the beam was never on")
    if samples < fewest:
        raise AnalysisError(f"beam on in only {samples} samples")
    return beam_on


def judged_share(delivery: Delivery) -> list[str]:
    """How much of the plan the samples with the beam on hold, where the beam has a flag.

    Real logs hold fields of which seven eighths were given in samples that are flagged as held.
    """
    share = delivery.meterset_percent
    if delivery.meterset is Meterset.MU:
        return []
    if share is None:
        return ["the log does not tell how much of the dose the samples with the beam on hold"]
    step_percent = np.maximum(np.diff(share.actual, prepend=0.0), 0.0)
    judged_percent = float(step_percent[delivery.beam_on].sum())
    rest_percent = float(step_percent.sum()) - judged_percent
    return [
        f"judged with the beam flagged on: {judged_percent:.1f} % of the planned dose; "
        f"{rest_percent:.1f} % was given in samples flagged as held or off"
    ]


def sub_beam_samples(delivery: Delivery) -> list[tuple[str | None, slice]]:
    """Each delivered sub-beam with a name to show, None where there is but one, and its samples.

    So are the fields of a log that does not tell sub-beams apart.

    A log counts to the next sub-beam's control point when the *expected* meterset of this one is
    reached; the last pulses come up to two samples later and still belong to this one.
    """
    delivered = [beam for beam in delivery.sub_beams if beam.delivered]
    if len(delivered) < 2 and len(delivery.fields) > 1:
        return [(f"field {f.sequence + 1}", slice(f.start, f.stop)) for f in delivery.fields]
    if len(delivered) < 2:
        return [(None, slice(0, delivery.samples))]
    beam_on = delivery.beam_on

    def begin(sample: int) -> int:
        pauses = np.flatnonzero(~beam_on[sample : sample + LAST_PULSES])
        return sample + int(pauses[0]) if pauses.size else sample

    begins = [0, *(begin(beam.start) for beam in delivered[1:]), delivery.samples]
    return [
        (f"sub-beam {beam.sequence + 1}", slice(first, stop))
        for beam, first, stop in zip(delivered, begins[:-1], begins[1:], strict=True)
    ]


def fields_of(delivery: Delivery, between: BoolArray | None = None) -> list[SubBeam]:
    """The fields of a log that does not tell them apart itself, by what turns with the beam off.

    `between`, shape `(samples,)`, marks where another field may begin; None: wherever the beam is
    off.  Each has the meterset that was delivered in it; one field, or none, is an empty list.
    """
    on = np.flatnonzero(delivery.beam_on)
    angles = (delivery.gantry_deg, delivery.collimator_deg, delivery.couch_rotation_deg)
    logged = [axis.actual for axis in angles if axis is not None]
    last, first = on[:-1], on[1:]
    pauses = np.flatnonzero(first - last > 1)
    turned = np.zeros(pauses.size, dtype=np.bool_)
    for angle_deg in logged:
        step_deg = angle_difference_deg(angle_deg[first[pauses]], angle_deg[last[pauses]])
        turned |= np.abs(step_deg) > TURNED_DEG
    if between is not None:
        marks = np.append(0, np.cumsum(between))
        turned &= marks[first[pauses]] > marks[last[pauses] + 1]
    begins = [0, *(int(last[k]) + 1 for k in pauses[turned]), delivery.samples]
    if len(begins) == 2:
        return []
    meterset_mu = np.asarray(delivery.meterset_mu.actual, dtype=np.float64)
    ends_mu = [float(meterset_mu[stop - 1]) for stop in begins[1:]]
    return [
        SubBeam(number, 0, end_mu - before_mu, start, stop, delivered=True)
        for number, (start, stop, before_mu, end_mu) in enumerate(
            zip(begins[:-1], begins[1:], [0.0, *ends_mu[:-1]], ends_mu, strict=True)
        )
    ]


def shaping_leaves(delivery: Delivery, layer: MlcLayer, beam_on: BoolArray) -> BoolArray:
    """Which leaves shape the field: bank A in row 0, bank B in row 1, shape `(2, pairs)`.

    A leaf does when its tip is seen between the jaws in some sample and it either moves or stands
    at the edge of a pair that is then open.  A machine without jaws shows every tip.
    """
    seen, at_edge, moves = np.zeros((3, 2, layer.pairs), dtype=np.bool_)
    for state in (EXPECTED, ACTUAL):
        tips_mm = np.stack([state(layer.bank_a_mm)[beam_on], state(layer.bank_b_mm)[beam_on]])
        between_jaws = _between_jaws(delivery, layer, beam_on, tips_mm, state)
        is_open = tips_mm[0] - tips_mm[1] > OPEN_MM
        seen |= between_jaws.any(axis=1)
        at_edge |= (between_jaws & is_open).any(axis=1)
        moves |= np.ptp(tips_mm, axis=1) > MOVES_MM
    return at_edge | (seen & moves)


def _between_jaws(
    delivery: Delivery,
    layer: MlcLayer,
    beam_on: BoolArray,
    tips_mm: FloatArray,
    state: State,
) -> BoolArray:
    """Where a tip is inside the X jaws and part of its row inside the Y jaws, sample by sample."""

    def jaw(axis: Axis | None, absent_mm: float) -> FloatArray:
        return np.full((1, 1), absent_mm) if axis is None else state(axis)[beam_on][:, np.newaxis]

    lower_mm, upper_mm = layer.leaf_edges_mm[:-1], layer.leaf_edges_mm[1:]
    inside_x = (tips_mm >= jaw(delivery.jaw_x1_mm, -np.inf)) & (
        tips_mm <= jaw(delivery.jaw_x2_mm, np.inf)
    )
    inside_y = (upper_mm > jaw(delivery.jaw_y1_mm, -np.inf)) & (
        lower_mm < jaw(delivery.jaw_y2_mm, np.inf)
    )
    return np.asarray(inside_x & inside_y)
