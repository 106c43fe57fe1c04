"""Valid deliveries in memory: perfect ones, in which every axis is where it is wanted.

A test takes one and changes one thing.  The arrays of a delivery may be written to, expected and
actual share none, and each call makes a new delivery.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzers.records import Axis, Delivery, MlcLayer, SubBeam

MILLENNIUM_120_MM = np.concatenate(
    [np.arange(-200.0, -100.0, 10.0), np.arange(-100.0, 100.0, 5.0), np.arange(100.0, 201.0, 10.0)]
)
CENTRAL_PAIRS = slice(10, 50)
"""The 5 mm leaves of the Millennium 120, from -100 to 100 mm."""


def axis(expected: ArrayLike, samples: int) -> Axis:
    """An axis that is where it should be; one number stands still."""
    values = np.broadcast_to(np.asarray(expected, dtype=np.float64), (samples,)).copy()
    return Axis(expected=values, actual=values.copy())


def layer(
    right_mm: NDArray[np.float64],
    left_mm: NDArray[np.float64],
    *,
    name: str = "",
    leaf_edges_mm: NDArray[np.float64] = MILLENNIUM_120_MM,
) -> MlcLayer:
    """A layer of leaves from the edges of the opening, shape `(samples, pairs)` each."""
    return MlcLayer(
        name,
        leaf_edges_mm,
        bank_a_mm=Axis(expected=right_mm.copy(), actual=right_mm.copy()),
        bank_b_mm=Axis(expected=left_mm.copy(), actual=left_mm.copy()),
    )


def delivery(
    meterset_mu: NDArray[np.float64],
    mlc: tuple[MlcLayer, ...],
    *,
    jaws_mm: tuple[float, float, float, float] | None = (-60.0, 60.0, -100.0, 100.0),
    **more: Any,
) -> Delivery:
    """A whole delivery at 20 ms; `jaws_mm` is X1, X2, Y1, Y2, None for a machine without jaws."""
    samples = len(meterset_mu)
    still = {
        "gantry_deg": 0.0,
        "collimator_deg": 0.0,
        "couch_rotation_deg": 0.0,
        "couch_pitch_deg": 0.0,
        "couch_roll_deg": 0.0,
        "couch_vertical_mm": -120.0,
        "couch_longitudinal_mm": 900.0,
        "couch_lateral_mm": 5.0,
        "control_point": np.linspace(0.0, 10.0, samples),
    }
    if jaws_mm is not None:
        names = ("jaw_x1_mm", "jaw_x2_mm", "jaw_y1_mm", "jaw_y2_mm")
        still |= dict(zip(names, jaws_mm, strict=True))
    axes = {name: axis(more.pop(name, value), samples) for name, value in still.items()}
    whole = {
        "interval_s": 0.02,
        "beam_hold": np.zeros(samples, dtype=np.int64),
        "planned_mu": float(meterset_mu[-1]),
    }
    return Delivery(meterset_mu=axis(meterset_mu, samples), mlc=mlc, **(whole | axes | more))


def sweeping_field(samples: int = 201, mu: float = 100.0, **more: Any) -> Delivery:
    """A gap of 20 mm that 40 central pairs sweep from -50 to 50 mm; the others are parked closed.

    Each point from -30 to 30 mm is open for `mu` x 20 / 80.
    """
    progress = np.linspace(0.0, 1.0, samples)
    left_mm = np.zeros((samples, 60))
    right_mm = np.zeros((samples, 60))
    left_mm[:, CENTRAL_PAIRS] = (-50.0 + 80.0 * progress)[:, np.newaxis]
    right_mm[:, CENTRAL_PAIRS] = (-30.0 + 80.0 * progress)[:, np.newaxis]
    return delivery(mu * progress, (layer(right_mm, left_mm),), **more)


def static_field(
    width_mm: float = 100.0, length_mm: float = 100.0, samples: int = 101, **more: Any
) -> Delivery:
    """A rectangle of 100 MU: the jaws stand at it, the leaves of the rows inside 2 mm within.

    The other pairs are parked closed at the axis, behind the Y jaws.
    """
    inside = np.abs(MILLENNIUM_120_MM[:-1] + MILLENNIUM_120_MM[1:]) < length_mm
    edge_mm = np.where(inside, width_mm / 2 - 2.0, 0.0)
    right_mm = np.tile(edge_mm, (samples, 1))
    x_mm, y_mm = width_mm / 2, length_mm / 2
    more = {"jaws_mm": (-x_mm, x_mm, -y_mm, y_mm)} | more
    return delivery(np.linspace(0.0, 100.0, samples), (layer(right_mm, -right_mm),), **more)


def vmat(samples: int = 401, **more: Any) -> Delivery:
    """An arc from 181 to 179 degrees through zero, the sweeping field seen on the way."""
    arc_deg = np.linspace(181.0, 539.0, samples) % 360.0
    slow = {"gantry_deg": arc_deg, "collimator_deg": 30.0, "interval_s": 0.2}
    return sweeping_field(samples, **(slow | more))


def two_fields(samples: int = 202) -> Delivery:
    """Two sub-beams of 50 MU in one log: the central field 80 mm wide, then 60 mm wide."""
    half = samples // 2
    second = np.arange(samples) >= half
    edge_mm = np.zeros((samples, 60))
    edge_mm[:, CENTRAL_PAIRS] = np.where(second, 30.0, 40.0)[:, np.newaxis]
    meterset_mu = np.concatenate([np.linspace(0.0, 50.0, half), np.linspace(50.0, 100.0, half)])
    control_point = np.concatenate([np.linspace(0.0, 1.0, half), np.linspace(2.0, 3.0, half)])
    return delivery(
        meterset_mu,
        (layer(edge_mm, -edge_mm),),
        control_point=control_point,
        sub_beams=(SubBeam(0, 0, 50.0, 0, half, True), SubBeam(1, 2, 50.0, half, samples, True)),
    )


def dual_layer_field(samples: int = 101) -> Delivery:
    """A machine without jaws and with two layers, 28 and 29 pairs, 5 mm apart in Y.

    Both open a field 100 mm wide, from -50 to 50 mm in Y in one and from -45 to 45 in the other.
    """
    layers = []
    for pairs in (28, 29):
        edges_mm = 10.0 * (np.arange(pairs + 1) - pairs / 2)
        middle_mm = (edges_mm[:-1] + edges_mm[1:]) / 2
        right_mm = np.tile(np.where(np.abs(middle_mm) < 50.0, 50.0, 0.0), (samples, 1))
        layers.append(layer(right_mm, -right_mm, name=str(pairs), leaf_edges_mm=edges_mm))
    return delivery(np.linspace(0.0, 100.0, samples), tuple(layers), jaws_mm=None)
