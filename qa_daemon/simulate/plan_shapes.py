"""Fields to simulate: what a plan asks of the machine, one row per control point.

Positions are IEC 61217 at the isocenter plane, in mm and degrees, and run linearly between control
points; bank A is the X2 side.  Heads without jaws (dual layer) have `jaws_mm` None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.mlc_geometry import LEAF_EDGES_MM

Array = NDArray[np.float64]
CLOSED_AT_MM = 0.0


@dataclass(frozen=True, eq=False)
class Beam:
    """One beam over its control points.

    `meterset_mu`, `gantry_deg`, `collimator_deg` have the shape `(points,)`, gantry angles may run
    beyond 360 so that an arc is a straight line; `jaws_mm` is `(points, 4)` in the order X1, X2,
    Y1, Y2; each layer of a bank is `(points, pairs)`.
    """

    name: str
    meterset_mu: Array
    gantry_deg: Array
    collimator_deg: Array
    jaws_mm: Array | None
    bank_a_mm: tuple[Array, ...]
    bank_b_mm: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """Beams that one log holds, in the order of delivery."""

    mlc_model: str
    beams: tuple[Beam, ...]
    energy: str = "6x"
    dose_rate_mu_per_min: float = 600.0


Opening = Callable[[Array], tuple[Array, Array]]
"""Leaf centers in mm -> left and right edge of the opening, each `(points, pairs)`."""


def static(mlc_model: str, mu: float = 100.0, *, half_width_mm: float = 50.0) -> Plan:
    """A square open field, 10 x 10 cm unless told otherwise."""
    half_x_mm, half_y_mm = _largest(mlc_model, half_width_mm)

    def opening(center_mm: Array) -> tuple[Array, Array]:
        edge_mm = np.full((2, len(center_mm)), half_x_mm)
        return -edge_mm, edge_mm

    return _plan(mlc_model, "Static", np.array([0.0, mu]), opening, (half_x_mm, half_y_mm))


def large(mlc_model: str, mu: float = 100.0) -> Plan:
    """An open field of 38 x 38 cm, or as much of it as the head can open."""
    return static(mlc_model, mu, half_width_mm=190.0)


def sliding_window(mlc_model: str, mu: float = 100.0) -> Plan:
    """A gap of 2 cm that sweeps 12 cm from X1 to X2."""
    right_mm = np.linspace(-50.0, 70.0, 25)[:, np.newaxis]

    def opening(center_mm: Array) -> tuple[Array, Array]:
        every_leaf = np.ones(len(center_mm))
        return (right_mm - 20.0) * every_leaf, right_mm * every_leaf

    return _plan(mlc_model, "Sweep", np.linspace(0.0, mu, 25), opening, (80.0, 50.0))


def vmat(mlc_model: str, mu: float = 200.0) -> Plan:
    """Half an arc through gantry 0 with a lobed opening that turns and breathes, collimator 30."""
    points = 91
    phase = np.linspace(0.0, 2.0 * np.pi, points)[:, np.newaxis]

    def opening(center_mm: Array) -> tuple[Array, Array]:
        position = center_mm / 50.0 * np.pi
        middle_mm = 15.0 * np.sin(phase + position)
        half_mm = 18.0 + 8.0 * np.cos(2.0 * phase - position)
        return middle_mm - half_mm, middle_mm + half_mm

    plan = _plan(mlc_model, "Arc", np.linspace(0.0, mu, points), opening, (50.0, 50.0))
    return _turned(plan, gantry_deg=np.linspace(270.0, 450.0, points), collimator_deg=30.0)


def picket_fence(mlc_model: str, mu: float = 100.0) -> Plan:
    """Ten pickets of 5 mm, 15 mm apart, moved with the beam off."""
    center_x_mm = np.repeat((np.arange(10) - 4.5) * 15.0, 2)[:, np.newaxis]

    def opening(center_mm: Array) -> tuple[Array, Array]:
        every_leaf = np.ones(len(center_mm))
        return (center_x_mm - 2.5) * every_leaf, (center_x_mm + 2.5) * every_leaf

    # Each picket takes two control points: before and after its share of the meterset.
    meterset_mu = np.repeat(np.linspace(0.0, mu, 11), 2)[1:-1]
    return _plan(mlc_model, "Pickets", meterset_mu, opening, (80.0, 100.0))


FIELDS: dict[str, Callable[[str, float], Plan]] = {
    "static": static,
    "sliding-window": sliding_window,
    "vmat": vmat,
    "picket-fence": picket_fence,
    "large": large,
}


def sequence(*plans: Plan) -> Plan:
    """Several plans for the same head in one log, as auto-sequenced sub-beams."""
    beams = tuple(beam for plan in plans for beam in plan.beams)
    return Plan(plans[0].mlc_model, beams, plans[0].energy, plans[0].dose_rate_mu_per_min)


def _largest(mlc_model: str, half_width_mm: float) -> tuple[float, float]:
    """Half width and half height in mm of what the head can open."""
    half_height_mm = min(edges[-1] for edges in LEAF_EDGES_MM[mlc_model].values())
    half_x_mm = half_width_mm if "" in LEAF_EDGES_MM[mlc_model] else half_height_mm
    return min(half_width_mm, half_x_mm), min(half_width_mm, float(half_height_mm))


def _plan(
    mlc_model: str, name: str, meterset_mu: Array, opening: Opening, half_mm: tuple[float, float]
) -> Plan:
    """Leaves that reach into the field's height open, the others are closed behind the jaws."""
    points = len(meterset_mu)
    half_x_mm, half_y_mm = half_mm
    bank_a_mm, bank_b_mm = [], []
    for edges_mm in LEAF_EDGES_MM[mlc_model].values():
        center_mm = (edges_mm[:-1] + edges_mm[1:]) / 2.0
        inside = (edges_mm[1:] > -half_y_mm) & (edges_mm[:-1] < half_y_mm)
        left_mm, right_mm = opening(center_mm)
        bank_a_mm.append(np.where(inside, right_mm, CLOSED_AT_MM))
        bank_b_mm.append(np.where(inside, left_mm, CLOSED_AT_MM))
    has_jaws = "" in LEAF_EDGES_MM[mlc_model]
    jaws_mm = np.tile([-half_x_mm, half_x_mm, -half_y_mm, half_y_mm], (points, 1))
    beam = Beam(
        name=name,
        meterset_mu=meterset_mu,
        gantry_deg=np.zeros(points),
        collimator_deg=np.zeros(points),
        jaws_mm=jaws_mm if has_jaws else None,
        bank_a_mm=tuple(bank_a_mm),
        bank_b_mm=tuple(bank_b_mm),
    )
    return Plan(mlc_model, (beam,))


def _turned(plan: Plan, *, gantry_deg: Array, collimator_deg: float) -> Plan:
    (beam,) = plan.beams
    turned = Beam(
        name=beam.name,
        meterset_mu=beam.meterset_mu,
        gantry_deg=gantry_deg,
        collimator_deg=np.full(len(gantry_deg), collimator_deg),
        jaws_mm=beam.jaws_mm,
        bank_a_mm=beam.bank_a_mm,
        bank_b_mm=beam.bank_b_mm,
    )
    return Plan(plan.mlc_model, (turned,), plan.energy, plan.dose_rate_mu_per_min)
