"""What moves in front of the beam, checked: the arguments that all functions of fluence share.

All edges move straight from sample to sample, and the meterset rises evenly between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_MM = 1e6
"""No length is longer: products of lengths stay exact to the last digits, and finite."""
MOST_MU = 1e9
MOST_DEG = 1e6
LEAST_STEP = 1e-9
"""Between two edges; far below any pixel, far above the rounding of what lies on the axis."""
BEYOND_MM = 1e9
"""Where a jaw stands that does not exist: beyond all that is taken."""


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
    meterset = numbers(meterset_mu, "meterset_mu", most=MOST_MU)
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


def rising(values: ArrayLike, name: str, most: float = MOST_MM) -> Floats:
    """Edges, two or more; ValueError with the argument's name if they do not rise."""
    edges = numbers(values, name, most=most)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"{name} must be two or more rising numbers")
    if np.diff(edges).min() < LEAST_STEP:
        raise ValueError(f"{name} must rise by {LEAST_STEP:g} or more from edge to edge")
    return edges


def numbers(
    values: ArrayLike,
    name: str,
    shape: tuple[int, ...] | None = None,
    most: float = MOST_MM,
) -> Floats:
    """Finite numbers up to `most`; ValueError with the argument's name for anything else."""
    try:
        found = np.asarray(values)
    except ValueError:  # Rows of different lengths.
        found = np.empty(0, dtype=object)
    if isinstance(values, np.ma.MaskedArray) or found.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be plain real numbers in an array, without a mask")
    found = np.asarray(found, dtype=np.float64, order="C")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds NaN or infinity")
    if found.size and np.abs(found).max() > most:
        raise ValueError(f"{name} holds {np.abs(found).max():.3g}, more than {most:g}")
    return found


def number(value: float, name: str, most: float = MOST_MM) -> float:
    """One finite number up to `most`; ValueError with the argument's name for anything else."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"{name} must be a real number, not {value!r}")
    if not abs(value) <= most:
        raise ValueError(f"{name} must be from {-most:g} to {most:g}, not {value}")
    return float(value)
