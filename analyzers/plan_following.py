"""A log held beside its planned beam: where the plan wants everything at each sample.

A sample is placed in the plan by the log's own control-point axis where it has a fractional one,
else by the share of the meterset that has been delivered.  The meterset alone stands still while
leaves move with the beam off: there the shape before and after the move are both the plan's.  A
rotation runs in the direction that the plan states.  IEC 61217, mm, degrees, MU, or percent of the
planned meterset where a log has no MU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError, NotApplicable
from analyzers.field_shape import ACTUAL, State
from analyzers.plan_records import Beam, PlannedLayer, PlannedPart, Posture, angles_in_turn_deg
from analyzers.plan_shape import NEAR_A_MOVE_MU, behind_jaws
from analyzers.records import Axis, Delivery, FloatArray, Meterset, MlcLayer

Array = NDArray[np.float64]
AXES = ("gantry_deg", "collimator_deg", "couch_rotation_deg")
JAWS = (
    ("jaw_x1_mm", "jaws_x_mm", 0),
    ("jaw_x2_mm", "jaws_x_mm", 1),
    ("jaw_y1_mm", "jaws_y_mm", 0),
    ("jaw_y2_mm", "jaws_y_mm", 1),
)
SAME_POINT = 0.01
"""So close to the last control point, a log has reached it; real ones end at it exactly."""
STEPS, REFINED = 5, 3
"""Positions tried within a sample's reach, and how often more closely."""
FAR_MM = 900.0
"""Where leaves stand that a plan does not use: outside of every field."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where in its plan each sample of a part is: control points from 0, shape `(samples,)`.

    `is_logged` says that the log has this axis itself.
    """

    position: Array
    is_logged: bool


def total_of(delivery: Delivery, beam: Beam) -> float:
    """The planned meterset in the log's unit: MU, or 100 percent.

    Raises `NotApplicable` for a log without dose, `AnalysisError` where the plan does not say it.
    """
    if delivery.weight is None:
        raise NotApplicable("the log has no dose that would tell where in its plan it is")
    if delivery.meterset is Meterset.SHARE:
        return 100.0
    total_mu = float(beam.cumulative_mu[-1])
    if total_mu <= 0.0:
        raise AnalysisError("the planned beam has no meterset to follow it by")
    return total_mu


def since_start(delivery: Delivery, part: PlannedPart, state: State) -> Array:
    """Meterset delivered in this part up to each of its samples, in the log's unit."""
    weight = delivery.weight
    if weight is None:
        raise NotApplicable("the log has no dose that would tell where in its plan it is")
    values = np.asarray(state(weight), dtype=np.float64)
    before = values[part.start - 1] if part.start else 0.0
    found = values[part.start : part.stop] - before + part.from_mu
    if not np.isfinite(found).all():
        raise AnalysisError("the meterset is not a number in some samples")
    return np.asarray(found)


def places(delivery: Delivery, part: PlannedPart, state: State = ACTUAL) -> Place:
    """Place every sample of a part in its planned beam."""
    points = part.beam.control_points
    last = points.count - 1
    logged = delivery.control_point
    if logged is not None:
        axis = np.asarray(state(logged)[part.start : part.stop], dtype=np.float64)
        position = axis - part.first_point
        if _is_fractional(position, last) and not part.from_mu:
            return Place(np.clip(position, 0.0, last), is_logged=True)
    share = since_start(delivery, part, state) / total_of(delivery, part.beam)
    share = np.clip(share, 0.0, 1.0)
    return Place(points.position_at(share), is_logged=False)


def _is_fractional(position: Array, last: int) -> bool:
    """Whether an axis counts in this beam's control points, and between them.

    Logs of static fields may hold zeros, others the number of the segment.
    """
    if not np.isfinite(position).all() or np.ptp(position) == 0.0:
        return False
    return bool(position.max() <= last + SAME_POINT and (position % 1.0 != 0.0).any())


def _reach(
    delivery: Delivery, part: PlannedPart, place: Place, on: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Between which positions a sample may be: its own place, or both sides of a move near it."""
    points = part.beam.control_points
    position = place.position[on]
    if place.is_logged:
        return position, position
    share = points.at(position).meterset_share
    near = NEAR_A_MOVE_MU / max(total_of(delivery, part.beam), NEAR_A_MOVE_MU)
    first = points.position_at(np.clip(share - near, 0.0, 1.0), after_move=False)
    return first, points.position_at(np.clip(share + near, 0.0, 1.0))


def beside_plan(
    delivery: Delivery, part: PlannedPart, place: Place, on: NDArray[np.intp], state: State
) -> Delivery:
    """The samples `on` (counted in the part) with the plan as expected, and `state` as actual.

    An axis that the plan does not state, or the log does not have in this state, has no expected
    values.  Rows behind the planned Y jaws are expected where they are: machines park pairs there.
    """
    taken = part.start + on
    posture = _nearest(delivery, part, _reach(delivery, part, place, on), taken, state)
    total = total_of(delivery, part.beam)
    since = since_start(delivery, part, state)[on]
    changes: dict[str, object] = {
        "meterset_mu": Axis(posture.meterset_share * total, since),
        "meterset": Meterset.MU,
        "beam_flag": np.ones(on.size, dtype=np.bool_),
        "mlc": tuple(_layers(delivery, posture, taken, state)),
        "sub_beams": (),
        "fields": (),
        "control_point": None,
    }
    for name in AXES:
        changes[name] = _axis(getattr(delivery, name), getattr(posture, name), taken, state)
    for name, pair, side in JAWS:
        planned = getattr(posture, pair)
        wanted = None if planned is None else planned[:, side]
        changes[name] = _axis(getattr(delivery, name), wanted, taken, state)
    return replace(delivery, **changes)  # type: ignore[arg-type]


def _axis(
    axis: Axis | None, planned: Array | None, taken: NDArray[np.intp], state: State
) -> Axis | None:
    if axis is None:
        return None
    values = np.asarray(state(axis)[taken], dtype=np.float64)
    told = state is ACTUAL or axis.has_expected
    if planned is None or not told or not np.isfinite(planned).all():
        return Axis.actual_only(values)
    return Axis(planned, values)


def _nearest(
    delivery: Delivery,
    part: PlannedPart,
    reach: tuple[Array, Array],
    taken: NDArray[np.intp],
    state: State,
) -> Posture:
    """The plan at each sample: within its reach, where the shape as a whole is nearest."""
    points = part.beam.control_points
    first, last = reach
    if np.array_equal(first, last) or not delivery.mlc:
        return points.at((first + last) / 2.0)
    each = np.arange(taken.size)
    for _ in range(REFINED):
        tried = first + (last - first) * np.linspace(0.0, 1.0, STEPS)[:, np.newaxis]
        away = [_away_mm(_layers(delivery, points.at(p), taken, state)) for p in tried]
        nearest = np.argmin(np.stack(away), axis=0)
        first = tried[np.maximum(nearest - 1, 0), each]
        last = tried[np.minimum(nearest + 1, STEPS - 1), each]
    return points.at(tried[nearest, each])


def _away_mm(layers: list[MlcLayer]) -> Array:
    """The largest error of any leaf in each sample."""
    errors_mm = [
        np.abs(bank.actual - bank.expected).max(axis=1)
        for layer in layers
        for bank in (layer.bank_a_mm, layer.bank_b_mm)
    ]
    return np.asarray(np.max(errors_mm, axis=0))


def _layers(
    delivery: Delivery, posture: Posture, taken: NDArray[np.intp], state: State
) -> list[MlcLayer]:
    planned = {layer.pairs: layer for layer in posture.mlc}
    if planned and planned.keys() != {layer.pairs for layer in delivery.mlc}:
        raise AnalysisError("the plan is for another MLC than the log's")
    found = []
    for layer in delivery.mlc:
        bank_a_mm = np.asarray(state(layer.bank_a_mm)[taken], dtype=np.float64)
        bank_b_mm = np.asarray(state(layer.bank_b_mm)[taken], dtype=np.float64)
        wanted = planned.get(layer.pairs) or _retracted(layer, posture, bank_a_mm, bank_b_mm)
        hidden = behind_jaws(wanted, posture.jaws_y_mm)
        found.append(
            replace(
                layer,
                bank_a_mm=Axis(np.where(hidden, bank_a_mm, wanted.bank_a_mm), bank_a_mm),
                bank_b_mm=Axis(np.where(hidden, bank_b_mm, wanted.bank_b_mm), bank_b_mm),
            )
        )
    return found


def _retracted(
    layer: MlcLayer, posture: Posture, bank_a_mm: Array, bank_b_mm: Array
) -> PlannedLayer:
    """Where leaves may stand in a field planned without any: wherever they are beyond the jaws."""
    jaws_mm = posture.jaws_x_mm
    if jaws_mm is None:
        raise AnalysisError("the plan has neither leaves nor X jaws")
    return PlannedLayer(
        layer.name,
        layer.leaf_edges_mm,
        np.maximum(bank_a_mm, jaws_mm[:, 1:]),
        np.minimum(bank_b_mm, jaws_mm[:, :1]),
    )


def planned_course(delivery: Delivery, beam: Beam) -> Delivery:
    """The plan itself as a delivery without error: one sample per control point, all of the beam.

    On the log's layers; jaws that the log's machine does not have are left out.
    """
    points = beam.control_points
    layers = {layer.pairs: layer for layer in points.mlc}

    def still(values: FloatArray) -> Axis:
        return Axis(np.asarray(values, dtype=np.float64), np.asarray(values, dtype=np.float64))

    def leaves(layer: MlcLayer) -> MlcLayer:
        planned = layers.get(layer.pairs)
        far_mm = np.full((points.count, layer.pairs), FAR_MM)
        return replace(
            layer,
            bank_a_mm=still(far_mm if planned is None else planned.bank_a_mm),
            bank_b_mm=still(-far_mm if planned is None else planned.bank_b_mm),
        )

    turn_deg = angles_in_turn_deg(points.collimator_deg, points.collimator_turn)
    jaws: dict[str, Axis] = {}
    for name, pair, side in JAWS:
        planned_mm = getattr(points, pair)
        if planned_mm is not None and getattr(delivery, name) is not None:
            jaws[name] = still(planned_mm[:, side])
    return Delivery(
        interval_s=0.0,
        meterset_mu=still(points.meterset_share * total_of(delivery, beam)),
        collimator_deg=still(turn_deg) if np.isfinite(turn_deg).all() else None,
        mlc=tuple(leaves(layer) for layer in delivery.mlc),
        **jaws,  # type: ignore[arg-type]
    )
