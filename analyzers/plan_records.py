"""What was planned: vendor-neutral records of plans, their beams and control points.

IEC 61217, mm at the isocenter plane, degrees, MU.  Between control points everything runs linearly
with the meterset; a rotation runs in the direction that the plan states, never the shorter way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError

FloatArray = NDArray[np.floating[Any]]
SAME_MU = 1e-3
SAME_ANGLE_DEG = 0.01
KEPT_FOR_MATCHING = "a plan: kept for matching with the logs of its deliveries"


def angles_in_turn_deg(angle_deg: FloatArray, turn: NDArray[np.int8]) -> NDArray[np.float64]:
    """Angles that run on beyond 360 degrees, so that a rotation is a straight line.

    `angle_deg` and `turn` have the shape `(points,)`; `turn` is +1 where the angle rises to the
    next point, -1 where it falls, 0 where it stays; its last value is not used.  A rotation to the
    same angle is a whole turn (PS3.3 C.8.8.14.8).  Raises ValueError where an angle changes that
    is said to stay.
    """
    start_deg, stop_deg = angle_deg[:-1], angle_deg[1:]
    way = turn[:-1]
    shorter_deg = np.mod(stop_deg - start_deg + 180.0, 360.0) - 180.0
    onward_deg = np.mod(way * (stop_deg - start_deg), 360.0)
    onward_deg = np.where(onward_deg == 0.0, 360.0, onward_deg)
    # A step back by less than an angle is written with is rounding, not almost a whole turn.
    rounded = (np.abs(shorter_deg) < SAME_ANGLE_DEG) & (shorter_deg != 0.0)
    if np.any((way == 0) & (np.abs(shorter_deg) >= SAME_ANGLE_DEG)):
        raise ValueError("an angle changes that is said to stay")
    step_deg = np.where((way == 0) | rounded, shorter_deg, way * onward_deg)
    return np.concatenate([angle_deg[:1], angle_deg[:1] + np.cumsum(step_deg)])


@dataclass(frozen=True, slots=True, eq=False)
class PlannedLayer:
    """One layer of leaves, leaf 1 at the most negative boundary.

    `bank_a_mm` holds the X2 side and `bank_b_mm` the X1 side of each pair, shape `(points, pairs)`.
    `along` is the axis the leaves move along; in a layer along Y the banks are Y2 and Y1.  Of two
    layers each is named by its number of pairs.
    """

    name: str
    leaf_edges_mm: FloatArray
    bank_a_mm: FloatArray
    bank_b_mm: FloatArray
    along: str = "X"

    @property
    def pairs(self) -> int:
        """Number of leaf pairs."""
        return len(self.leaf_edges_mm) - 1


@dataclass(frozen=True, slots=True, eq=False)
class ControlPoints:
    """A beam over its control points, everything inherited; arrays `(points,)` unless said.

    `meterset_share` runs from 0 to 1, and is 0 throughout in a beam without meterset.  Angles are
    as the plan gives them; a `_turn` is +1 (angle rises), -1 (falls) or 0 (stays) on the way to the
    next point.  Jaws are `(points, 2)`, the negative side first, or None where the head has none;
    `isocenter_mm` is `(points, 3)` in patient coordinates.  What the plan does not say is NaN.
    """

    meterset_share: FloatArray
    gantry_deg: FloatArray
    gantry_turn: NDArray[np.int8]
    collimator_deg: FloatArray
    collimator_turn: NDArray[np.int8]
    couch_rotation_deg: FloatArray
    couch_rotation_turn: NDArray[np.int8]
    energy_mv: FloatArray
    dose_rate_mu_per_min: FloatArray
    isocenter_mm: FloatArray
    jaws_x_mm: FloatArray | None = None
    jaws_y_mm: FloatArray | None = None
    mlc: tuple[PlannedLayer, ...] = ()

    @property
    def count(self) -> int:
        """Number of control points."""
        return len(self.meterset_share)

    def at(self, position: FloatArray) -> Posture:
        """Where everything is at fractional control points, counted from 0; shape `(n,)`.

        Raises ValueError outside the beam.
        """
        position = np.asarray(position, dtype=np.float64)
        last = self.count - 1
        if not ((position >= 0.0) & (position <= last)).all():
            raise ValueError(f"control points run from 0 to {last}")
        before = np.minimum(position.astype(np.int64), max(last - 1, 0))
        return _between(self, before, position - before)

    def position_at(self, share: FloatArray, *, after_move: bool = True) -> NDArray[np.float64]:
        """The fractional control point at which a share of the meterset is reached; shape `(n,)`.

        Where the beam is off during a move, the meterset stands for the shape before and after it:
        `after_move` chooses.  Raises ValueError outside 0 to 1 and in a beam without meterset.
        """
        share = np.asarray(share, dtype=np.float64)
        weight = np.asarray(self.meterset_share, dtype=np.float64)
        if not ((share >= 0.0) & (share <= 1.0)).all() or weight[-1] <= 0.0:
            raise ValueError("a share of the meterset lies between 0 and 1 of a beam with meterset")
        if after_move:
            start = np.searchsorted(weight, share, side="right") - 1
        else:
            start = np.maximum(np.searchsorted(weight, share, side="left") - 1, 0)
        following = np.minimum(start + 1, self.count - 1)
        rise = weight[following] - weight[start]
        part = np.divide(share - weight[start], rise, out=np.zeros_like(share), where=rise > 0.0)
        return np.asarray(start + part)


@dataclass(frozen=True, slots=True, eq=False)
class Posture:
    """Where everything is at some moments of a beam; arrays `(n,)`, angles in [0, 360)."""

    meterset_share: NDArray[np.float64]
    gantry_deg: NDArray[np.float64]
    collimator_deg: NDArray[np.float64]
    couch_rotation_deg: NDArray[np.float64]
    jaws_x_mm: NDArray[np.float64] | None
    jaws_y_mm: NDArray[np.float64] | None
    mlc: tuple[PlannedLayer, ...]


def _between(points: ControlPoints, before: NDArray[np.int64], part: FloatArray) -> Posture:
    after = np.minimum(before + 1, points.count - 1)

    def mixed(values: FloatArray) -> NDArray[np.float64]:
        share = part if values.ndim == 1 else part[:, np.newaxis]
        return np.asarray(values[before] * (1.0 - share) + values[after] * share)

    def turned(angle_deg: FloatArray, turn: NDArray[np.int8]) -> NDArray[np.float64]:
        # The sum of a small negative number and 360 rounds to 360.
        found_deg = np.mod(mixed(angles_in_turn_deg(angle_deg, turn)), 360.0)
        return np.where(found_deg >= 360.0, 0.0, found_deg)

    return Posture(
        meterset_share=mixed(points.meterset_share),
        gantry_deg=turned(points.gantry_deg, points.gantry_turn),
        collimator_deg=turned(points.collimator_deg, points.collimator_turn),
        couch_rotation_deg=turned(points.couch_rotation_deg, points.couch_rotation_turn),
        jaws_x_mm=None if points.jaws_x_mm is None else mixed(points.jaws_x_mm),
        jaws_y_mm=None if points.jaws_y_mm is None else mixed(points.jaws_y_mm),
        mlc=tuple(
            replace(layer, bank_a_mm=mixed(layer.bank_a_mm), bank_b_mm=mixed(layer.bank_b_mm))
            for layer in points.mlc
        ),
    )


@dataclass(frozen=True, slots=True)
class LimitingDevice:
    """One set of jaws or leaves as the plan defines it; `kind` is DICOM's word for it (`MLCX`)."""

    kind: str
    pairs: int
    distance_mm: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """One beam of a plan.

    `meterset_mu` is that of the chosen fraction group; None where no group gives one, or where
    several groups give different ones and none was chosen.  `not_judged` says why a log cannot be
    held against this beam; it is then still here, so that nobody takes its log for another's.
    """

    number: int
    beam_type: str
    radiation_type: str
    delivery_type: str
    sad_mm: float | None
    devices: tuple[LimitingDevice, ...]
    control_points: ControlPoints
    name: str | None = field(default=None, repr=False)
    machine_name: str | None = None
    fluence_mode: str | None = None
    """`FFF` or the maker's own word for a beam without flattening filter; None with the filter.

    `unknown` where the plan's word for it is none of the standard's.
    """
    meterset_mu: float | None = None
    not_judged: str | None = None

    @property
    def energy(self) -> str | None:
        """`6X`, `6X-FFF`, `9E`; None where the plan says none, or changes it within the beam."""
        energies_mv = self.control_points.energy_mv
        if not (energies_mv == energies_mv[0]).all() or self.fluence_mode == "unknown":
            return None
        kind = {"PHOTON": "X", "ELECTRON": "E"}.get(self.radiation_type, "")
        mode = f"-{self.fluence_mode}" if self.fluence_mode else ""
        return f"{energies_mv[0]:g}{kind}{mode}"

    @property
    def technique(self) -> str:
        """How it is delivered: `static`, `step and shoot`, `dynamic`, `arc` or `vmat`.

        By what moves while the meterset rises: the gantry in an arc, and jaws or leaves too in
        VMAT; jaws or leaves alone in a dynamic field.  In step and shoot they move between.
        """
        points = self.control_points
        rises = np.diff(points.meterset_share) > 0.0
        shapes = [jaws for jaws in (points.jaws_x_mm, points.jaws_y_mm) if jaws is not None]
        shapes += [bank for layer in points.mlc for bank in (layer.bank_a_mm, layer.bank_b_mm)]
        moves = np.zeros(points.count - 1, dtype=np.bool_)
        for shape_mm in shapes:
            moves |= (np.diff(shape_mm, axis=0) != 0.0).any(axis=1)
        if (points.gantry_turn[:-1][rises] != 0).any():
            return "vmat" if moves[rises].any() else "arc"
        if moves[rises].any():
            return "dynamic"
        return "step and shoot" if moves.any() else "static"

    @property
    def cumulative_mu(self) -> NDArray[np.float64]:
        """Meterset at each control point, shape `(points,)`.

        Raises `AnalysisError` where the meterset is not known.
        """
        if self.meterset_mu is None:
            raise AnalysisError(
                "the meterset of this beam is not known: choose one of the plan's fraction groups"
            )
        return np.asarray(self.control_points.meterset_share * self.meterset_mu)

    def at_meterset(self, meterset_mu: FloatArray, *, after_move: bool = True) -> Posture:
        """Where everything is when this much has been delivered, MU, shape `(n,)`.

        Raises ValueError beyond the beam, `AnalysisError` where its meterset is not known.
        """
        total_mu = self.cumulative_mu[-1]
        if total_mu <= 0.0:
            raise AnalysisError("a beam without meterset cannot be followed by meterset")
        share = np.asarray(meterset_mu, dtype=np.float64) / total_mu
        points = self.control_points
        return points.at(points.position_at(share, after_move=after_move))


@dataclass(frozen=True, slots=True)
class FractionGroup:
    """One fraction group: the meterset of each beam in it, by beam number; None: not given.

    `beam_dose_gy` is the dose of one fraction by beam, at a point that the plan chooses.
    """

    number: int
    fractions: int | None
    meterset_mu: Mapping[int, float | None]
    brachy_setups: int = 0
    beam_dose_gy: Mapping[int, float] = field(default_factory=dict)

    @property
    def dose_gy(self) -> float | None:
        """The dose of one fraction; None unless each beam with a meterset gives its own."""
        irradiating = [number for number, mu in self.meterset_mu.items() if mu != 0.0]
        if not irradiating or any(number not in self.beam_dose_gy for number in irradiating):
            return None
        return sum(self.beam_dose_gy[number] for number in irradiating)


@dataclass(frozen=True, slots=True)
class DoseReference:
    """What a plan prescribes to one target or limits in one organ, without saying which.

    `kind` is TARGET or ORGAN_AT_RISK; `prescribed_gy` is the total over all fractions.
    """

    kind: str
    prescribed_gy: float | None = None


@dataclass(frozen=True, slots=True)
class PlanIdentity:
    """Whose plan this is.  Stays inside the store: never in a log line, alert or metric."""

    patient_id: str | None = field(default=None, repr=False)
    plan_label: str | None = field(default=None, repr=False)
    plan_name: str | None = field(default=None, repr=False)
    plan_uid: str | None = field(default=None, repr=False)
    plan_date: str | None = field(default=None, repr=False)
    beam_names: tuple[str, ...] = field(default=(), repr=False)
    earlier_plan_uids: tuple[str, ...] = field(default=(), repr=False)
    """Plans that this one refers to: its predecessors, where it is a replan."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A treatment plan.  There is nothing in it to judge by itself."""

    beams: tuple[Beam, ...]
    fraction_groups: tuple[FractionGroup, ...]
    identity: PlanIdentity = field(default_factory=PlanIdentity)
    approval: str | None = None
    """APPROVED, UNAPPROVED or REJECTED; None where the plan does not say, `unknown` otherwise.

    Plans for quality assurance are often not approved: nothing is refused for it.
    """
    intent: str | None = None
    """DICOM's word: CURATIVE, PALLIATIVE, VERIFICATION, MACHINE_QA, RESEARCH, SERVICE …"""
    dose_references: tuple[DoseReference, ...] = ()
    warnings: tuple[str, ...] = ()
    not_judged: str | None = KEPT_FOR_MATCHING
    # A plan is not of one machine's class, and was not performed; jobs ask every record for these.
    machine_class: None = None
    machine_serial: None = None
    performed_at: None = None

    @property
    def sop_instance_uid(self) -> str | None:
        """The plan's own UID: identity, not for messages."""
        return self.identity.plan_uid

    @property
    def energy(self) -> str | None:
        """The one energy of all beams that are judged; None where there are several."""
        energies = {beam.energy for beam in self.beams if beam.not_judged is None}
        return energies.pop() if len(energies) == 1 else None

    def in_group(self, number: int) -> Plan:
        """This plan as one fraction group delivers it: its beams alone, with its metersets.

        A beam to which the group gives no meterset, or 0, is there and not judged.  Raises
        `AnalysisError` when there is no such group.
        """
        group = next((g for g in self.fraction_groups if g.number == number), None)
        if group is None:
            raise AnalysisError(f"the plan has no fraction group {number}")
        beams = tuple(
            _with_meterset(beam, group.meterset_mu[beam.number])
            for beam in self.beams
            if beam.number in group.meterset_mu
        )
        return replace(self, beams=beams)


def _with_meterset(beam: Beam, meterset_mu: float | None) -> Beam:
    if meterset_mu:
        return replace(beam, meterset_mu=meterset_mu)
    why = beam.not_judged or "its fraction group gives this beam no meterset"
    return replace(beam, meterset_mu=None, not_judged=why)


def agreed_meterset_mu(number: int, groups: tuple[FractionGroup, ...]) -> float | None:
    """A beam's meterset where all groups that hold it agree; None where they do not, or none."""
    held = [group.meterset_mu[number] for group in groups if number in group.meterset_mu]
    given = [meterset_mu for meterset_mu in held if meterset_mu is not None]
    if not given or len(given) < len(held) or max(given) - min(given) > SAME_MU:
        return None
    return given[0]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedPart:
    """One part of a log and the planned beam that it delivered.

    Samples `start` up to, not including, `stop`.  `first_point` is what the log's control-point
    axis reads at the beam's first control point.  `logged_mu` is the meterset that the log says was
    planned; None where it says none.  `at` names the part where there are several.
    """

    beam: Beam
    start: int
    stop: int
    first_point: float = 0.0
    logged_mu: float | None = None
    at: str | None = None
    from_mu: float = 0.0
    """Of a log that counts anew after an interruption: what had been delivered before, MU."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A planned beam that a person may choose for a log, with what speaks for and against it.

    `score` is 0 to 1.  `said` holds no identity.
    """

    plan: Plan = field(repr=False)
    beam_number: int
    score: float
    said: str


@dataclass(frozen=True, slots=True)
class PlanMatch:
    """What is known of a log's plan: `parts`, or one of `failure`, `other_shape` and `absent`.

    `failure` says why a log that a plan was given for cannot be held against it: that is never a
    pass.  `other_shape` says that what was delivered is not what its own plan says, and by how
    much.  `absent` says why no plan that was given is this log's.  `plan` is the one that all parts
    are of, `rivals` are the beams a person may choose from, best first.  Neither reasons nor
    `evidence` hold identity.
    """

    parts: tuple[PlannedPart, ...] = ()
    failure: str | None = None
    other_shape: str | None = None
    absent: str | None = None
    evidence: tuple[str, ...] = ()
    plan: Plan | None = field(default=None, repr=False)
    rivals: tuple[Rival, ...] = ()
    needs_a_match: bool = False
    """The failure is that a person has to choose."""
