"""What moves in front of the beam, checked: the arguments that all functions of fluence share.

All edges move straight from sample to sample, and the meterset rises evenly between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BEYOND_MM = 1e9
"""Where a jaw stands that does not exist."""


class Shielding(TypedDict, total=False):
    """The optional arguments of `delivered_fluence`, which explains them."""

    jaw_x_mm: ArrayLike | None
    jaw_y_mm: ArrayLike | None
    leaf_transmission: float
    jaw_transmission: float
    tongue_and_groove_mm: float
    tongue_and_groove_transmission: float | None


@dataclass(frozen=True, eq=False)
class Motion:
    """Positions of everything that shapes the field, at the samples; leaves are (pairs, samples).

    A jaw that does not exist is None.
    """

    meterset_mu: Floats
    left_mm: Floats
    right_mm: Floats
    leaf_edges_mm: Floats
    jaw_x_mm: Floats | None
    jaw_y_mm: Floats | None


def motion_of(
    meterset_mu: ArrayLike,
    left_mm: ArrayLike,
    right_mm: ArrayLike,
    leaf_edges_mm: ArrayLike,
    jaw_x_mm: ArrayLike | None,
    jaw_y_mm: ArrayLike | None,
) -> Motion:
    """Arguments as `delivered_fluence`, and the same errors."""
    edges_mm = rising(leaf_edges_mm, "leaf_edges_mm")
    meterset = numbers(meterset_mu, "meterset_mu")
    if meterset.ndim != 1 or not meterset.size:
        raise ValueError(f"meterset_mu must be (samples,), not {meterset.shape}")
    samples = len(meterset)
    leaves = (samples, len(edges_mm) - 1)
    return Motion(
        meterset,
        np.ascontiguousarray(numbers(left_mm, "left_mm", leaves).T),
        np.ascontiguousarray(numbers(right_mm, "right_mm", leaves).T),
        edges_mm,
        None if jaw_x_mm is None else numbers(jaw_x_mm, "jaw_x_mm", (samples, 2)),
        None if jaw_y_mm is None else numbers(jaw_y_mm, "jaw_y_mm", (samples, 2)),
    )


def rising(values: ArrayLike, name: str) -> Floats:
    """Edges, two or more; ValueError with the argument's name if they do not rise."""
    edges = numbers(values, name)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"{name} must be two or more rising numbers")
    return edges


def numbers(values: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """Finite numbers; ValueError with the argument's name for others and for another shape."""
    found = np.asarray(values, dtype=np.float64, order="C")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return found
