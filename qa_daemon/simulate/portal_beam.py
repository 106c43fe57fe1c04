"""The planned beam behind a simulated portal image, and its leaves as a machine moved them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.plan_records import Beam, ControlPoints, PlannedLayer
from qa_daemon.simulate.plan_shapes import Beam as Shape
from qa_daemon.simulate.plan_shapes import Plan


@dataclass(frozen=True, slots=True)
class Errors:
    """What goes wrong on the way to the image; actual minus planned."""

    output_percent: float = 0.0
    gap_mm: float = 0.0
    """Every leaf of both banks opens by this much."""
    bank_mm: float = 0.0
    """Both banks lie by this much further along x."""
    leaf_mm: Mapping[str, float] = field(default_factory=dict)
    panel_mm: tuple[float, float] = (0.0, 0.0)
    """By how much the panel stands off along x and y, at the isocenter plane, and does not say."""
    lost_frames_percent: float = 0.0
    pixel_noise_percent: float = 0.4
    saturated_cu: float | None = None
    """Signals above this are stored as the largest value there is."""


def planned_beam(plan: Plan, number: int = 0) -> Beam:
    """A beam of simulated shapes as a plan's own."""
    shape = plan.beams[number]
    return Beam(
        number=number + 1,
        beam_type="DYNAMIC",
        radiation_type="PHOTON",
        delivery_type="TREATMENT",
        sad_mm=1000.0,
        devices=(),
        control_points=_control_points(plan, shape),
        meterset_mu=float(shape.meterset_mu[-1]),
        fluence_mode="FFF" if plan.energy.casefold().endswith("fff") else None,
    )


def _control_points(plan: Plan, shape: Shape) -> ControlPoints:
    points = len(shape.meterset_mu)
    still, turns = np.zeros(points, np.int8), np.sign(np.diff(shape.gantry_deg, append=0.0))
    turns[-1] = 0
    layers = [
        PlannedLayer(name, edges_mm, shape.bank_a_mm[k], shape.bank_b_mm[k])
        for k, (name, edges_mm) in enumerate(LEAF_EDGES_MM[plan.mlc_model].items())
    ]
    jaws_mm = shape.jaws_mm
    return ControlPoints(
        meterset_share=shape.meterset_mu / shape.meterset_mu[-1],
        gantry_deg=np.mod(shape.gantry_deg, 360.0),
        gantry_turn=turns.astype(np.int8),
        collimator_deg=shape.collimator_deg,
        collimator_turn=still,
        couch_rotation_deg=np.zeros(points),
        couch_rotation_turn=still,
        energy_mv=np.full(points, float(plan.energy.rstrip("xXfF"))),
        dose_rate_mu_per_min=np.full(points, plan.dose_rate_mu_per_min),
        isocenter_mm=np.zeros((points, 3)),
        jaws_x_mm=None if jaws_mm is None else jaws_mm[:, :2],
        jaws_y_mm=None if jaws_mm is None else jaws_mm[:, 2:],
        mlc=tuple(layers),
    )


def with_leaf_errors(beam: Beam, errors: Errors) -> Beam:
    """The beam as its leaves would deliver it; ValueError for a leaf that it has not.

    Leaves that are closed in the plan stay so: they are behind the jaws.
    """
    unknown = set(errors.leaf_mm)
    layers = []
    for layer in beam.control_points.mlc:
        is_open = layer.bank_a_mm > layer.bank_b_mm
        banks = {}
        for bank, planned_mm, way in (("A", layer.bank_a_mm, 1.0), ("B", layer.bank_b_mm, -1.0)):
            names = [f"{layer.name}{bank}{k + 1}" for k in range(layer.pairs)]
            each = np.array([errors.leaf_mm.get(name, 0.0) for name in names])
            unknown -= set(names)
            banks[bank] = planned_mm + is_open * (each + errors.bank_mm + way * errors.gap_mm)
        layers.append(replace(layer, bank_a_mm=banks["A"], bank_b_mm=banks["B"]))
    if unknown:
        raise ValueError(f"there is no leaf {', '.join(sorted(unknown))}")
    return replace(beam, control_points=replace(beam.control_points, mlc=tuple(layers)))
