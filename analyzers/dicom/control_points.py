"""The control points of an RT Plan beam: what changes is written, the rest is inherited.

Control point 0 gives everything, later ones what is new (PS3.3 C.8.8.14.5): each attribute and each
beam limiting device is inherited for itself.  Positions are `N` values of the X1 (or Y1) side, then
`N` of the X2 (or Y2) side, IEC mm at the isocenter.  Rotation directions are those of PS3.3
C.8.8.14: the gantry's angle rises clockwise; collimator and couch are seen from the source and from
above, where their IEC angles rise counter-clockwise (real plans turn the collimator so).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.dicom.items import Item
from analyzers.plan_records import ControlPoints, PlannedLayer, angles_in_turn_deg
from analyzers.records import FloatArray

JAWS = {"X": "X", "ASYMX": "X", "Y": "Y", "ASYMY": "Y"}
LEAVES = {"MLCX": "X", "MLCX1": "X", "MLCX2": "X", "MLCY": "Y"}
MOST_PAIRS = 200
FURTHEST_MM = 300.0
MOST_CROSSING_MM = 0.1 + 1e-6  # the difference of two decimal numbers is not exact
SAME_WEIGHT = 1e-4
TURNS = {
    "GantryRotationDirection": {"CW": 1, "CC": -1, "NONE": 0},
    "BeamLimitingDeviceRotationDirection": {"CW": -1, "CC": 1, "NONE": 0},
    "PatientSupportRotationDirection": {"CW": -1, "CC": 1, "NONE": 0},
}


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """A beam limiting device as the beam defines it; jaws have no boundaries."""

    kind: str
    pairs: int
    edges_mm: FloatArray | None
    distance_mm: float | None


def devices(beam: Item) -> tuple[Device, ...]:
    """The beam limiting devices of a beam.  Raises `ReadError`."""
    found: dict[str, Device] = {}
    for item in beam.items("BeamLimitingDeviceSequence", "device", most=8):
        device = _device(item)
        along = JAWS.get(device.kind)
        jaws = [kind for kind in found if along is not None and JAWS.get(kind) == along]
        if device.kind in found or jaws:
            raise item.error("DUPLICATE", "a beam limiting device is defined twice")
        found[device.kind] = device
    return tuple(found.values())


def _device(item: Item) -> Device:
    kind = item.code("RTBeamLimitingDeviceType")
    if kind is None:
        raise item.missing("RTBeamLimitingDeviceType")
    if kind not in JAWS.keys() | LEAVES.keys():
        raise item.error("DEVICES", "a beam limiting device of a kind that is not known")
    pairs = item.integer("NumberOfLeafJawPairs")
    most = 1 if kind in JAWS else MOST_PAIRS
    if pairs is None or not 1 <= pairs <= most:
        raise item.error("DEVICES", f"{pairs} pairs of jaws or leaves, 1 to {most} expected")
    distance_mm = item.number("SourceToBeamLimitingDeviceDistance")
    edges_mm = item.numbers("LeafPositionBoundaries") if kind in LEAVES else None
    if kind in LEAVES:
        if edges_mm is None:
            raise item.missing("LeafPositionBoundaries")
        if len(edges_mm) != pairs + 1:
            raise item.error(
                "DEVICES", f"{len(edges_mm)} leaf boundaries, {pairs + 1} expected of {pairs} pairs"
            )
        if np.abs(edges_mm).max() > FURTHEST_MM or not (np.diff(edges_mm) > 0.0).all():
            raise item.error("BOUNDARIES", "leaf boundaries do not rise, or are beyond 300 mm")
    return Device(kind, pairs, edges_mm, distance_mm)


def control_points(
    beam: Item, points: Sequence[Item], heads: Sequence[Device], *, has_meterset: bool
) -> ControlPoints:
    """All control points of a beam as arrays.  Raises `ReadError`."""
    for k, point in enumerate(points):
        if point.integer("ControlPointIndex") != k:
            raise point.error("ORDER", f"ControlPointIndex is not {k}")
    angles = {
        angle: _rotation(points, angle, direction)
        for angle, direction in (
            ("GantryAngle", "GantryRotationDirection"),
            ("BeamLimitingDeviceAngle", "BeamLimitingDeviceRotationDirection"),
            ("PatientSupportAngle", "PatientSupportRotationDirection"),
        )
    }
    positions = _positions(points, heads)
    return ControlPoints(
        meterset_share=_shares(beam, points) if has_meterset else np.zeros(len(points)),
        gantry_deg=angles["GantryAngle"][0],
        gantry_turn=angles["GantryAngle"][1],
        collimator_deg=angles["BeamLimitingDeviceAngle"][0],
        collimator_turn=angles["BeamLimitingDeviceAngle"][1],
        couch_rotation_deg=angles["PatientSupportAngle"][0],
        couch_rotation_turn=angles["PatientSupportAngle"][1],
        energy_mv=_inherited(points, "NominalBeamEnergy"),
        dose_rate_mu_per_min=_inherited(points, "DoseRateSet"),
        isocenter_mm=_isocenter(points),
        jaws_x_mm=_jaws(positions, "X"),
        jaws_y_mm=_jaws(positions, "Y"),
        mlc=_layers(positions, heads),
    )


def _shares(beam: Item, points: Sequence[Item]) -> NDArray[np.float64]:
    """Cumulative meterset weight over its final value, so that the last is exactly 1."""
    final = beam.number("FinalCumulativeMetersetWeight")
    if final is None or not final > 0.0:
        raise beam.error("WEIGHT", "FinalCumulativeMetersetWeight is absent or not positive")
    weights = np.empty(len(points))
    for k, point in enumerate(points):
        weight = point.number("CumulativeMetersetWeight")
        if weight is None:
            raise point.missing("CumulativeMetersetWeight")
        weights[k] = weight
    if weights[0] != 0.0:
        raise points[0].error("WEIGHT", f"the meterset weight begins at {weights[0]:g}, not at 0")
    falls = np.flatnonzero(np.diff(weights) < 0.0)
    if falls.size:
        raise points[falls[0] + 1].error("WEIGHT", "the cumulative meterset weight falls")
    if abs(weights[-1] - final) > SAME_WEIGHT * final:
        raise beam.error(
            "WEIGHT", f"the meterset weight ends at {weights[-1]:g}, {final:g} is said to be final"
        )
    return np.asarray(weights / weights[-1])


def _inherited(points: Sequence[Item], keyword: str) -> NDArray[np.float64]:
    """A number at each control point, NaN before it is first given."""
    values = np.empty(len(points))
    value = np.nan
    for k, point in enumerate(points):
        if point.has(keyword):
            given = point.number(keyword)
            value = value if given is None else given
        values[k] = value
    return values


def _isocenter(points: Sequence[Item]) -> NDArray[np.float64]:
    values = np.empty((len(points), 3))
    value = np.full(3, np.nan)
    for k, point in enumerate(points):
        given = point.numbers("IsocenterPosition")
        if given is not None:
            if len(given) != 3:
                raise point.error("NUMBER", f"{len(given)} values of IsocenterPosition, 3 expected")
            value = given
        values[k] = value
    return values


def _rotation(
    points: Sequence[Item], keyword: str, direction: str
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Angle and sense of rotation at each control point.

    A sense is inherited, but does not turn what stays: a whole turn is one that is stated, with the
    same angle stated at the next control point (PS3.3 C.8.8.14.8).
    """
    angle_deg = _inherited(points, keyword)
    if np.isnan(angle_deg[0]):
        raise points[0].missing(keyword)
    beyond = np.flatnonzero(np.abs(angle_deg) > 360.0)
    if beyond.size:
        raise points[beyond[0]].error("RANGE", f"{keyword} is beyond 360 degrees")
    turn = np.empty(len(points), dtype=np.int8)
    stated = np.zeros(len(points), dtype=np.bool_)
    sense = 0
    for k, point in enumerate(points):
        word = point.code(direction) if point.has(direction) else None
        stated[k] = word is not None
        if word is not None:
            if word not in TURNS[direction]:
                raise point.error("ROTATION", f"{direction} is none of CW, CC and NONE")
            sense = TURNS[direction][word]
        turn[k] = sense
    angle_deg = np.mod(angle_deg, 360.0)
    given = np.array([point.number(keyword) is not None for point in points])
    whole_turn = stated[:-1] & given[1:]
    if (stated[:-1] & (turn[:-1] != 0) & ~given[1:]).any():
        points[0].reading.warn(
            f"a control point states a {direction} and the next no {keyword}: it stands still"
        )
    turn[:-1][(np.diff(angle_deg) == 0.0) & ~whole_turn] = 0
    try:
        angles_in_turn_deg(angle_deg, turn)
    except ValueError:
        raise points[0].error(
            "ROTATION", f"{keyword} changes in this beam where {direction} is NONE"
        ) from None
    return angle_deg, turn


def _positions(points: Sequence[Item], heads: Sequence[Device]) -> dict[str, FloatArray]:
    """Positions of each device, shape `(points, 2 * pairs)`."""
    by_kind = {device.kind: device for device in heads}
    positions: dict[str, FloatArray] = {
        device.kind: np.empty((len(points), 2 * device.pairs)) for device in heads
    }
    given: dict[str, FloatArray] = {}
    for k, point in enumerate(points):
        seen: set[str] = set()
        for item in point.items("BeamLimitingDevicePositionSequence", "device", most=8):
            kind = item.code("RTBeamLimitingDeviceType") or ""
            if kind not in by_kind:
                raise item.error("DEVICES", "positions of a device that the beam does not define")
            if kind in seen:
                raise item.error("DUPLICATE", "positions of a device are given twice")
            seen.add(kind)
            given[kind] = _position(item, by_kind[kind])
        missing = by_kind.keys() - given.keys()
        if missing:
            raise point.error("MISSING", f"no positions of {', '.join(sorted(missing))}")
        for kind, row in positions.items():
            row[k] = given[kind]
    for kind, position_mm in positions.items():
        _check_positions(position_mm, kind, points)
    return positions


def _position(item: Item, device: Device) -> NDArray[np.float64]:
    position_mm = item.numbers("LeafJawPositions")
    if position_mm is None:
        raise item.missing("LeafJawPositions")
    if len(position_mm) != 2 * device.pairs:
        raise item.error(
            "DEVICES",
            f"{len(position_mm)} positions of {device.kind}, {2 * device.pairs} expected",
        )
    return position_mm


def _check_positions(position_mm: FloatArray, kind: str, points: Sequence[Item]) -> None:
    """Refuse positions `(points, 2 * pairs)` beyond any machine, and pairs that overlap."""
    beyond = (np.abs(position_mm) > FURTHEST_MM).any(axis=1)
    if beyond.any():
        raise points[int(beyond.argmax())].error(
            "RANGE", f"a position of {kind} is beyond {FURTHEST_MM:g} mm"
        )
    pairs = position_mm.shape[1] // 2
    crossing_mm = (position_mm[:, :pairs] - position_mm[:, pairs:]).max(axis=1)
    if crossing_mm.max() > MOST_CROSSING_MM:
        first = int((crossing_mm > MOST_CROSSING_MM).argmax())
        raise points[first].error(
            "CROSSING", f"a pair of {kind} overlaps itself by {crossing_mm[first]:.2f} mm"
        )


def _jaws(positions: Mapping[str, FloatArray], along: str) -> FloatArray | None:
    return next((mm for kind, mm in positions.items() if JAWS.get(kind) == along), None)


def _layers(
    positions: Mapping[str, FloatArray], heads: Sequence[Device]
) -> tuple[PlannedLayer, ...]:
    """The leaves; of several layers each is named by its number of pairs, where these differ."""
    leaves = [device for device in heads if device.edges_mm is not None]
    by_pairs = len({device.pairs for device in leaves}) == len(leaves)
    layers = []
    for device in sorted(leaves, key=lambda d: d.pairs):
        assert device.edges_mm is not None
        name = str(device.pairs) if by_pairs else device.kind
        layers.append(
            PlannedLayer(
                name="" if len(leaves) == 1 else name,
                leaf_edges_mm=device.edges_mm,
                bank_a_mm=positions[device.kind][:, device.pairs :],
                bank_b_mm=positions[device.kind][:, : device.pairs],
                along=LEAVES[device.kind],
            )
        )
    return tuple(layers)
