"""How a beam was delivered, from what moved while it was on.

The names are those of a plan's technique, so that both can be held together: `static`, `step and
shoot`, `dynamic`, `arc`, `vmat`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analyzers.records import Delivery

TURNS_DEG = 3.0
"""A gantry that stands strays by some tenths of a degree."""
MOVES_MM = 2.0
"""Leaves and jaws that stand stray by some tenths of a millimeter."""
FEWEST = 2


def technique_of(delivery: Delivery) -> str | None:
    """The technique; None where the beam was on in fewer than two samples, or nothing is logged.

    A gantry that turns with the beam on makes an arc; leaves or jaws that move with the beam on
    make it VMAT, or a dynamic field.  Where they move only between, it is step and shoot.
    """
    on = np.flatnonzero(delivery.beam_on)
    shapes = list(_shapes(delivery))
    if on.size < FEWEST or (not shapes and delivery.gantry_deg is None):
        return None
    starts = np.concatenate([[0], np.flatnonzero(np.diff(on) > 1) + 1])
    within = max((_travel(shape[on], starts) for shape in shapes), default=0.0)
    over_all = max((_travel(shape[on], starts[:1]) for shape in shapes), default=0.0)
    if _turn_deg(delivery, on) > TURNS_DEG:
        return "vmat" if within > MOVES_MM else "arc"
    if within > MOVES_MM:
        return "dynamic"
    return "step and shoot" if over_all > MOVES_MM else "static"


def _shapes(delivery: Delivery) -> Iterator[NDArray[np.float64]]:
    """Positions of everything that shapes the field, shape `(samples, …)`."""
    for layer in delivery.mlc:
        yield np.asarray(layer.bank_a_mm.actual, dtype=np.float64)
        yield np.asarray(layer.bank_b_mm.actual, dtype=np.float64)
    for jaw in delivery.jaws_mm.values():
        yield np.asarray(jaw.actual, dtype=np.float64)


def _travel(positions: NDArray[np.float64], starts: NDArray[np.intp]) -> float:
    """The widest reach of a leaf or jaw within a run of samples that begins at one of `starts`."""
    known = np.where(np.isfinite(positions), positions, 0.0)
    reach = np.maximum.reduceat(known, starts, axis=0) - np.minimum.reduceat(known, starts, axis=0)
    return float(reach.max(initial=0.0))


def _turn_deg(delivery: Delivery, on: NDArray[np.intp]) -> float:
    if delivery.gantry_deg is None:
        return 0.0
    angle = np.asarray(delivery.gantry_deg.actual, dtype=np.float64)[on]
    angle = angle[np.isfinite(angle)]
    return float(np.ptp(np.unwrap(angle, period=360.0))) if angle.size else 0.0
