"""Fluence through leaves and jaws: for how many MU each pixel was open, exactly.

F(pixel) = sum over sample intervals of dMU times the mean over the interval and over the area of
the pixel of [left(t) < x < right(t)], leaves clipped by the jaws.  All edges move straight from
sample to sample; edges that cross inside an interval are split there, so that no step in time or
space is chosen anywhere.  Transmission, leaf ends and tongues are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

BEYOND_MM = 1e9
"""Where a jaw stands that does not exist."""


@dataclass(frozen=True, eq=False)
class _Motion:
    """Positions of everything that shapes the field, at the samples."""

    meterset_mu: Floats
    left_mm: Floats
    right_mm: Floats
    leaf_edges_mm: Floats
    jaw_x_mm: Floats
    jaw_y_mm: Floats


def delivered_fluence(
    meterset_mu: ArrayLike,
    left_mm: ArrayLike,
    right_mm: ArrayLike,
    leaf_edges_mm: ArrayLike,
    *,
    x_edges_mm: ArrayLike,
    y_edges_mm: ArrayLike,
    jaw_x_mm: ArrayLike | None = None,
    jaw_y_mm: ArrayLike | None = None,
) -> Floats:
    """Mean open MU over each pixel, shape (ny, nx).

    `meterset_mu` (samples,) is cumulative; MU before the first sample are not counted and a step
    back counts as nothing.  `left_mm` and `right_mm` (samples, pairs) bound the opening of each
    pair, which is closed where left is not below right; `leaf_edges_mm` (pairs + 1,) bounds the
    pairs in y.  Jaws are (samples, 2), low and high side, None where there is none.  All lengths in
    mm in one plane; pixel edges rise, in any steps.

    ValueError: shapes that do not fit, no samples, NaN or infinity, edges that do not rise.
    """
    motion = _motion(meterset_mu, left_mm, right_mm, leaf_edges_mm, jaw_x_mm, jaw_y_mm)
    return _fluence(motion, _edges(x_edges_mm, "x_edges_mm"), _edges(y_edges_mm, "y_edges_mm"))


def open_area_mu_mm2(
    meterset_mu: ArrayLike,
    left_mm: ArrayLike,
    right_mm: ArrayLike,
    leaf_edges_mm: ArrayLike,
    *,
    jaw_x_mm: ArrayLike | None = None,
    jaw_y_mm: ArrayLike | None = None,
) -> float:
    """Open area times MU, summed over the delivery, in mm² MU; arguments as `delivered_fluence`.

    The integral of the fluence over the whole plane, without any grid.
    """
    motion = _motion(meterset_mu, left_mm, right_mm, leaf_edges_mm, jaw_x_mm, jaw_y_mm)
    # One pixel that holds all of the field.
    x_mm = np.array([motion.left_mm.min(), max(motion.right_mm.max(), motion.left_mm.min() + 1.0)])
    y_mm = motion.leaf_edges_mm[[0, -1]]
    return float(_fluence(motion, x_mm, y_mm)[0, 0] * np.ptp(x_mm) * np.ptp(y_mm))


def _fluence(motion: _Motion, x_edges_mm: Floats, y_edges_mm: Floats) -> Floats:
    from analyzers.numerics.fluence_kernel import strip_fluence

    fluence = np.zeros((len(y_edges_mm) - 1, len(x_edges_mm) - 1))
    strips_mm = _strips(motion, y_edges_mm)
    if len(strips_mm) < 2:
        return fluence
    middle_mm = (strips_mm[:-1] + strips_mm[1:]) / 2
    pair = np.searchsorted(motion.leaf_edges_mm, middle_mm) - 1
    parts = strip_fluence(
        strips_mm,
        np.searchsorted(pair, np.arange(len(motion.leaf_edges_mm))),
        x_edges_mm,
        np.maximum(np.diff(motion.meterset_mu), 0.0),
        np.ascontiguousarray(motion.left_mm.T),
        np.ascontiguousarray(motion.right_mm.T),
        motion.jaw_x_mm,
        motion.jaw_y_mm,
    )
    row, first = np.unique(np.searchsorted(y_edges_mm, middle_mm) - 1, return_index=True)
    height_mm = np.diff(y_edges_mm)[row, None]
    fluence[row] = np.add.reduceat(parts[:, :-1], first) / height_mm
    return fluence


def _strips(motion: _Motion, y_edges_mm: Floats) -> Floats:
    """Edges of strips that each lie in one leaf pair and one pixel row; also of jaws at rest."""
    low_mm = max(motion.leaf_edges_mm[0], y_edges_mm[0])
    high_mm = min(motion.leaf_edges_mm[-1], y_edges_mm[-1])
    jaws_mm = motion.jaw_y_mm[0][np.ptp(motion.jaw_y_mm, axis=0) == 0]
    edges_mm = np.unique(np.concatenate([motion.leaf_edges_mm, y_edges_mm, jaws_mm]))
    inside = (edges_mm >= low_mm) & (edges_mm <= high_mm)
    return np.asarray(edges_mm[inside])


def _motion(
    meterset_mu: ArrayLike,
    left_mm: ArrayLike,
    right_mm: ArrayLike,
    leaf_edges_mm: ArrayLike,
    jaw_x_mm: ArrayLike | None,
    jaw_y_mm: ArrayLike | None,
) -> _Motion:
    edges_mm = _edges(leaf_edges_mm, "leaf_edges_mm")
    meterset = _numbers(meterset_mu, "meterset_mu")
    if meterset.ndim != 1 or not meterset.size:
        raise ValueError(f"meterset_mu must be (samples,), not {meterset.shape}")
    samples = len(meterset)
    leaves = (samples, len(edges_mm) - 1)
    return _Motion(
        meterset,
        _numbers(left_mm, "left_mm", leaves),
        _numbers(right_mm, "right_mm", leaves),
        edges_mm,
        _jaws(jaw_x_mm, "jaw_x_mm", samples),
        _jaws(jaw_y_mm, "jaw_y_mm", samples),
    )


def _jaws(values: ArrayLike | None, name: str, samples: int) -> Floats:
    if values is None:
        return np.tile([-BEYOND_MM, BEYOND_MM], (samples, 1))
    return _numbers(values, name, (samples, 2))


def _edges(values: ArrayLike, name: str) -> Floats:
    edges = _numbers(values, name)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"{name} must be two or more rising numbers")
    return edges


def _numbers(values: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    numbers = np.array(values, dtype=np.float64, order="C")
    if shape is not None and numbers.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return numbers
