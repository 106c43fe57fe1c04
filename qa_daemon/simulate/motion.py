"""A simulated machine: from a plan and stated errors to the delivery its controller would log.

Small errors are of the size seen in real logs (leaves 2.7 ms late
with 0.01 mm of noise, gantry 10 ms late, meterset within 0.01 MU); stated errors are added to what
the axes did, not to what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.records import Axis, Delivery, Identity, MlcLayer, SubBeam
from analyzers.resumed import part_of
from qa_daemon.simulate.course import Course, held, interrupted, sampled
from qa_daemon.simulate.plan_shapes import Array, Plan

LEAF_DELAY_S, GANTRY_DELAY_S = 0.0027, 0.01
COUCH_VERTICAL_MM, COUCH_LONGITUDINAL_MM, COUCH_LATERAL_MM = -150.0, 900.0, 12.0


@dataclass(frozen=True, slots=True)
class Errors:
    """What goes wrong; actual minus expected, in IEC 61217.

    `leaf_mm` is keyed by leaf name (`A17`, dual layer `28A3`), `jaw_mm` by `X1` … `Y2`.
    `held` are (meterset in MU, seconds) at which the beam waits.  A delivery that is interrupted
    ends there in both the expected and the actual axes, as real logs do; one that is resumed begins
    there.
    """

    bank_a_mm: float = 0.0
    bank_b_mm: float = 0.0
    leaf_mm: Mapping[str, float] = field(default_factory=dict)
    jaw_mm: Mapping[str, float] = field(default_factory=dict)
    mu_percent: float = 0.0
    gantry_deg: float = 0.0
    collimator_deg: float = 0.0
    couch_rotation_deg: float = 0.0
    couch_vertical_mm: float = 0.0
    interrupted_at_mu: float | None = None
    resumed_at_mu: float | None = None
    held: tuple[tuple[float, float], ...] = ()
    noise: bool = True


def deliver(
    plan: Plan,
    errors: Errors | None = None,
    *,
    seed: int = 0,
    identity: Identity | None = None,
    interval_s: float = 0.02,
) -> Delivery:
    """Deliver a plan once; the same seed gives the same delivery.

    Without noise the actual axes are the expected ones plus the stated errors.  Raises ValueError
    for an error in a leaf or jaw the head does not have.
    """
    errors = errors or Errors()
    course = held(sampled(plan, interval_s), errors.held, interval_s)
    if errors.interrupted_at_mu is not None:
        course = interrupted(course, errors.interrupted_at_mu)
    random = np.random.default_rng(seed)
    delivery = Delivery(
        interval_s=interval_s,
        meterset_mu=_meterset(course, errors),
        control_point=_axis(course["control_point"][:, 0]),
        beam_hold=course.beam_hold,
        couch_rotation_deg=_couch(course, 0.0, errors.couch_rotation_deg, 360.0),
        couch_vertical_mm=_couch(course, COUCH_VERTICAL_MM, errors.couch_vertical_mm),
        couch_longitudinal_mm=_couch(course, COUCH_LONGITUDINAL_MM),
        couch_lateral_mm=_couch(course, COUCH_LATERAL_MM),
        mlc=_leaves(course, plan.mlc_model, errors, random, interval_s),
        mlc_model=plan.mlc_model,
        planned_mu=float(sum(beam.meterset_mu[-1] for beam in plan.beams)),
        energy=plan.energy,
    )
    delivery = _rotations(delivery, course, errors, random)
    delivery = _jaws(delivery, course, errors, random)
    delivery = replace(
        delivery,
        sub_beams=_sub_beams(plan, course["control_point"][:, 0]),
        identity=_identity(plan, identity or Identity()),
    )
    if errors.resumed_at_mu is None:
        return delivery
    # The sample at which an interrupted delivery ended is the first of the rest.
    expected_mu = course["meterset"][:, 0]
    first = int(np.searchsorted(expected_mu, errors.resumed_at_mu, side="right")) - 1
    return part_of(delivery, slice(max(first, 0), delivery.samples))


def _axis(expected: Array, error: Array | float = 0.0, turn: float | None = None) -> Axis:
    actual = expected + error
    if turn is not None:
        expected, actual = np.mod(expected, turn), np.mod(actual, turn)
    return Axis(expected, actual)


def _couch(course: Course, at: float, error: float = 0.0, turn: float | None = None) -> Axis:
    return _axis(np.full(len(course.values), at), error, turn)


def _meterset(course: Course, errors: Errors) -> Axis:
    """The drift depends on the meterset alone, so that it stands still while the beam is held."""
    expected_mu = course["meterset"][:, 0]
    drift_mu = 0.008 * np.sin(expected_mu / 8.0) if errors.noise else 0.0
    return _axis(expected_mu, expected_mu * errors.mu_percent / 100.0 + drift_mu)


def _late(expected: Array, delay_s: float, interval_s: float) -> Array:
    """Error of an axis that follows `delay_s` behind."""
    step = np.diff(expected, axis=0, prepend=expected[:1])
    late: Array = -step * (delay_s / interval_s)
    return late


def _leaves(
    course: Course,
    mlc_model: str,
    errors: Errors,
    random: np.random.Generator,
    interval_s: float,
) -> tuple[MlcLayer, ...]:
    layers = []
    start = 0
    unknown = set(errors.leaf_mm)
    for layer_name, edges_mm in LEAF_EDGES_MM[mlc_model].items():
        stop = start + len(edges_mm) - 1
        banks = {}
        for bank, offset_mm in (("A", errors.bank_a_mm), ("B", errors.bank_b_mm)):
            expected_mm = course[f"bank_{bank.lower()}"][:, start:stop]
            names = [f"{layer_name}{bank}{k + 1}" for k in range(stop - start)]
            error_mm = np.array([offset_mm + errors.leaf_mm.get(name, 0.0) for name in names])
            unknown -= set(names)
            if errors.noise:
                late_mm = _late(expected_mm, LEAF_DELAY_S, interval_s)
                error_mm = error_mm + late_mm + random.normal(0.0, 0.01, expected_mm.shape)
            banks[bank] = _axis(expected_mm, error_mm)
        layers.append(MlcLayer(layer_name, edges_mm, banks["A"], banks["B"]))
        start = stop
    if unknown:
        raise ValueError(f"{mlc_model} has no leaf {', '.join(sorted(unknown))}")
    return tuple(layers)


def _rotations(
    delivery: Delivery, course: Course, errors: Errors, random: np.random.Generator
) -> Delivery:
    gantry_deg, collimator_deg = course["gantry"][:, 0], course["collimator"][:, 0]
    gantry_error_deg = np.full(len(gantry_deg), errors.gantry_deg)
    collimator_error_deg = np.full(len(gantry_deg), errors.collimator_deg)
    if errors.noise:
        gantry_error_deg += _late(gantry_deg, GANTRY_DELAY_S, delivery.interval_s)
        gantry_error_deg += random.normal(0.0, 0.003, len(gantry_deg))
        collimator_error_deg += 0.002
    return replace(
        delivery,
        gantry_deg=_axis(gantry_deg, gantry_error_deg, 360.0),
        collimator_deg=_axis(collimator_deg, collimator_error_deg, 360.0),
    )


def _jaws(
    delivery: Delivery, course: Course, errors: Errors, random: np.random.Generator
) -> Delivery:
    jaws_mm = course["jaws"]
    names = ("X1", "X2", "Y1", "Y2")[: jaws_mm.shape[1]]
    unknown = set(errors.jaw_mm) - set(names)
    if unknown:
        raise ValueError(f"{delivery.mlc_model} has no jaw {', '.join(sorted(unknown))}")
    noise_mm = random.normal(0.0, 0.002, jaws_mm.shape) if errors.noise else np.zeros(jaws_mm.shape)
    axes = {
        name: _axis(jaws_mm[:, k], noise_mm[:, k] + errors.jaw_mm.get(name, 0.0))
        for k, name in enumerate(names)
    }
    return replace(
        delivery,
        jaw_x1_mm=axes.get("X1"),
        jaw_x2_mm=axes.get("X2"),
        jaw_y1_mm=axes.get("Y1"),
        jaw_y2_mm=axes.get("Y2"),
    )


def _sub_beams(plan: Plan, control_point: Array) -> tuple[SubBeam, ...]:
    """Real records give the last control point of the beam before, not the own first one."""
    lengths = [len(beam.meterset_mu) for beam in plan.beams]
    first = [0, *(int(n) - 1 for n in np.cumsum(lengths)[:-1])]
    starts = [int(np.searchsorted(control_point, point)) for point in first]
    stops = [*starts[1:], len(control_point)]
    return tuple(
        SubBeam(
            sequence=k,
            control_point=first[k],
            planned_mu=float(beam.meterset_mu[-1]),
            start=starts[k],
            stop=stops[k],
            delivered=starts[k] < len(control_point),
        )
        for k, beam in enumerate(plan.beams)
    )


def _identity(plan: Plan, identity: Identity) -> Identity:
    names = tuple(beam.name for beam in plan.beams)
    return replace(identity, beam_name=identity.beam_name or names[0], beam_names=names)
