"""How far a log's shape is from a planned beam's, at the same share of the meterset.

Leaves, jaws and angles by the log's expected axes: they say what the machine was told.  IEC 61217,
mm and degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.statistics import angle_difference_deg
from analyzers.plan_records import Beam, ControlPoints, PlannedLayer, Posture
from analyzers.records import Axis, BoolArray, Delivery, Meterset, SubBeam

SAME_LEAF_MM, SAME_JAW_MM, SAME_ANGLE_DEG = 0.5, 1.0, 0.5
"""A real Elekta log's prescribed diaphragms follow its plan's within 0.54 mm RMS, as dose goes."""
NEAR_A_MOVE_MU = 0.05
"""Shapes this much meterset away are tried too: a log's 32-bit meterset may be on either side of a
move that the plan makes with the beam off."""


def agrees(
    leaf_mm: float | None, jaw_mm: float | None, angles_deg: Sequence[float | None]
) -> bool | None:
    """Whether all that can be compared agrees; None where neither leaves nor jaws can be."""
    if leaf_mm is None and jaw_mm is None:
        return None
    return (
        (leaf_mm or 0.0) < SAME_LEAF_MM
        and (jaw_mm or 0.0) < SAME_JAW_MM
        and all((error_deg or 0.0) < SAME_ANGLE_DEG for error_deg in angles_deg)
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """Errors over the samples with the beam on; angles are gantry, collimator, couch rotation."""

    leaf_mm: float | None = None
    jaw_mm: float | None = None
    angles_deg: tuple[float | None, float | None, float | None] = (None, None, None)
    share: float | None = None

    @property
    def is_same(self) -> bool | None:
        """Whether all that can be compared agrees."""
        return agrees(self.leaf_mm, self.jaw_mm, self.angles_deg)


def shape_of(
    delivery: Delivery,
    beam: Beam,
    sub_beam: SubBeam | None,
    planned_mu: float | None,
    from_mu: float = 0.0,
) -> Shape:
    """What can be compared; nothing where a number that is needed is none (NaN)."""
    if planned_mu is None and delivery.meterset is Meterset.SHARE:
        planned_mu = 100.0  # the log counts in percent of its plan
    if planned_mu is None or not np.isfinite(planned_mu) or planned_mu <= 0.0:
        return Shape()
    samples, share, compared = _shares(delivery, sub_beam, planned_mu, from_mu)
    points = beam.control_points
    if samples.size < 2 or not np.isfinite(share).all():
        return Shape()
    if points.mlc and not delivery.mlc:
        return Shape()  # jaws alone would not tell one field from another
    tried = _postures(points, share, NEAR_A_MOVE_MU / planned_mu)
    if not tried:
        return Shape()
    leaves = np.stack([_leaf_errors(delivery, samples, posture) for posture in tried])
    # The nearest of the three for each sample as a whole, never for each leaf.
    nearest = np.nan_to_num(np.abs(leaves), nan=0.0).max(axis=2, initial=0.0).argmin(axis=0)
    each = np.arange(samples.size)
    jaws = np.stack([_jaw_errors(delivery, samples, posture) for posture in tried])
    angles = np.stack([_angle_errors(delivery, samples, posture) for posture in tried])
    angles = np.abs(angles[nearest, each])
    if not np.isfinite(jaws).all() or _is_unknown(delivery, samples, tried):
        return Shape()
    logged = [axis is not None for axis in _angles(delivery)]
    if not np.isfinite(angles[:, logged]).all():
        return Shape()
    gantry, collimator, couch = (
        float(angles[:, k].max()) if there else None for k, there in enumerate(logged)
    )
    return Shape(
        _worst_rms(leaves[nearest, each]),
        _worst_rms(jaws[nearest, each]),
        (gantry, collimator, couch),
        compared,
    )


def _postures(points: ControlPoints, share: NDArray[np.float64], near: float) -> list[Posture]:
    """The plan at these shares and next to them; none where it moves without a meterset.

    A set-up field that stays as it is needs none to be told from another shape.
    """
    if points.meterset_share[-1] > 0.0:
        return [
            points.at(points.position_at(np.clip(share + step, 0.0, 1.0)))
            for step in (-near, 0.0, near)
        ]
    banks = [bank for layer in points.mlc for bank in (layer.bank_a_mm, layer.bank_b_mm)]
    jaws = [mm for mm in (points.jaws_x_mm, points.jaws_y_mm) if mm is not None]
    angles = [points.gantry_deg, points.collimator_deg, points.couch_rotation_deg]
    if any(np.ptp(values, axis=0).any() for values in (*banks, *jaws, *angles)):
        return []
    return [points.at(np.zeros_like(share))]


def _shares(
    delivery: Delivery, sub_beam: SubBeam | None, planned_mu: float, from_mu: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """The samples with the beam on, the share of the planned meterset at each, and of them all."""
    weight = delivery.weight
    on = np.flatnonzero(delivery.beam_on)
    before_mu = -from_mu
    if sub_beam is not None:
        on = on[(on >= sub_beam.start) & (on < sub_beam.stop)]
        place = delivery.sub_beams.index(sub_beam)
        before_mu += sum(other.planned_mu for other in delivery.sub_beams[:place])
    if weight is None or not on.size:
        return np.empty(0, dtype=np.int64), np.empty(0), 0.0
    expected_mu = np.asarray(weight.reference, dtype=np.float64)
    since_mu = expected_mu[on] - before_mu
    # Where more was asked for than planned, the pattern is still the same one, only longer.
    total_mu = max(planned_mu, float(since_mu.max()))
    first_mu = max(float(expected_mu[max(int(on[0]) - 1, 0)]) - before_mu, 0.0)
    compared = (float(since_mu.max()) - first_mu) / total_mu
    return on, np.clip(since_mu / total_mu, 0.0, 1.0), compared


def _worst_rms(errors: NDArray[np.float64]) -> float | None:
    """RMS of the worst column over the samples it counts in (not NaN); None where there is none."""
    if errors.shape[1] == 0:
        return None
    counted = np.count_nonzero(~np.isnan(errors), axis=0)
    return float(np.sqrt(np.nansum(errors**2, axis=0) / np.maximum(counted, 1)).max())


def _leaf_errors(
    delivery: Delivery, samples: NDArray[np.int64], posture: Posture
) -> NDArray[np.float64]:
    """Log minus plan, `(samples, leaves)`: infinite where the heads are different ones.

    NaN where a row lies behind the planned Y jaws: machines park pairs there that the plan leaves
    elsewhere.  A position that is not known counts nothing here, see `_is_unknown`.
    """
    if not posture.mlc:
        return _reaching_in(delivery, samples, posture)
    logged = {layer.pairs: layer for layer in delivery.mlc}
    columns = []
    for planned in posture.mlc:
        layer = logged.get(planned.pairs)
        if (
            layer is None
            or len(logged) != len(posture.mlc)
            or not np.allclose(layer.leaf_edges_mm, planned.leaf_edges_mm, atol=0.05)
        ):
            return np.full((samples.size, 1), np.inf)
        hidden = behind_jaws(planned, posture.jaws_y_mm)
        for bank, planned_mm in (
            (layer.bank_a_mm, planned.bank_a_mm),
            (layer.bank_b_mm, planned.bank_b_mm),
        ):
            error_mm = bank.reference[samples] - planned_mm
            columns.append(np.where(hidden, np.nan, error_mm))
    return np.hstack(columns).astype(np.float64)


def _is_unknown(delivery: Delivery, samples: NDArray[np.int64], tried: list[Posture]) -> bool:
    """Whether the log lacks a leaf's position where the plan's jaws leave it free."""
    for layer in delivery.mlc:
        nowhere = ~np.isfinite(layer.bank_a_mm.reference[samples])
        nowhere |= ~np.isfinite(layer.bank_b_mm.reference[samples])
        if not nowhere.any():
            continue
        for posture in tried:
            planned = next((p for p in posture.mlc if p.pairs == layer.pairs), None)
            if planned is None or (nowhere & ~behind_jaws(planned, posture.jaws_y_mm)).any():
                return True
    return False


def behind_jaws(planned: PlannedLayer, jaws_y_mm: NDArray[np.float64] | None) -> BoolArray:
    """The rows that lie wholly behind the planned Y jaws, `(samples, pairs)`."""
    edges_mm = planned.leaf_edges_mm
    if jaws_y_mm is None or planned.along != "X":
        return np.zeros(planned.bank_a_mm.shape, dtype=np.bool_)
    return np.asarray((edges_mm[1:] <= jaws_y_mm[:, :1]) | (edges_mm[:-1] >= jaws_y_mm[:, 1:]))


def _reaching_in(
    delivery: Delivery, samples: NDArray[np.int64], posture: Posture
) -> NDArray[np.float64]:
    """How far leaves reach into a field that is planned without leaves, `(samples, leaves)`."""
    if posture.jaws_x_mm is None or posture.jaws_y_mm is None:
        return np.full((samples.size, 1), np.inf)
    left_mm, right_mm = posture.jaws_x_mm[:, :1], posture.jaws_x_mm[:, 1:]
    bottom_mm, top_mm = posture.jaws_y_mm[:, :1], posture.jaws_y_mm[:, 1:]
    columns = [np.empty((samples.size, 0))]
    for layer in delivery.mlc:
        edges_mm = layer.leaf_edges_mm
        open_here = (edges_mm[1:] > bottom_mm) & (edges_mm[:-1] < top_mm)
        columns.append(np.maximum(right_mm - layer.bank_a_mm.reference[samples], 0.0) * open_here)
        columns.append(np.maximum(layer.bank_b_mm.reference[samples] - left_mm, 0.0) * open_here)
    return np.hstack(columns).astype(np.float64)


def _jaw_errors(
    delivery: Delivery, samples: NDArray[np.int64], posture: Posture
) -> NDArray[np.float64]:
    pairs: tuple[tuple[Axis | None, NDArray[np.float64] | None, int], ...] = (
        (delivery.jaw_x1_mm, posture.jaws_x_mm, 0),
        (delivery.jaw_x2_mm, posture.jaws_x_mm, 1),
        (delivery.jaw_y1_mm, posture.jaws_y_mm, 0),
        (delivery.jaw_y2_mm, posture.jaws_y_mm, 1),
    )
    columns = [
        axis.reference[samples] - jaws_mm[:, side]
        for axis, jaws_mm, side in pairs
        if axis is not None and jaws_mm is not None
    ]
    if not columns:
        return np.empty((samples.size, 0))
    return np.stack(columns, axis=1).astype(np.float64)


def _angles(delivery: Delivery) -> tuple[Axis | None, Axis | None, Axis | None]:
    return delivery.gantry_deg, delivery.collimator_deg, delivery.couch_rotation_deg


def _angle_errors(
    delivery: Delivery, samples: NDArray[np.int64], posture: Posture
) -> NDArray[np.float64]:
    """Log minus plan the shorter way, `(samples, 3)`; NaN where the log has no such axis."""
    planned = (posture.gantry_deg, posture.collimator_deg, posture.couch_rotation_deg)
    columns = [
        np.full(samples.size, np.nan)
        if axis is None
        else angle_difference_deg(axis.reference[samples], planned_deg)
        for axis, planned_deg in zip(_angles(delivery), planned, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float64)
