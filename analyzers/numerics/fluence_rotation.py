"""Maps turned with the collimator: the grid is turned, not the leaves, and nothing is lost.

A pixel of the other grid gets what is in the pixels of the map under it, by exact area of overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.fluence_motion import MOST_DEG, Floats, number, numbers, rising

MOST = 1e12
"""No mean over a pixel is larger."""
TOGETHER = 4
"""So many maps are in memory at a time; threads are started once for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """A map of means over pixels, (ny, nx), 0 outside, and the angle by which it is turned."""

    fluence: ArrayLike
    x_edges_mm: ArrayLike
    y_edges_mm: ArrayLike
    angle_deg: float


def turned_fluence(
    maps: Iterable[Turned], *, to_x_edges_mm: ArrayLike, to_y_edges_mm: ArrayLike
) -> Floats:
    """The sum of turned maps, as the mean over each pixel of another grid, (to_ny, to_nx).

    Each turns about the origin by its own angle, counterclockwise as seen from the source, which
    takes the frame of a collimator at that angle, IEC 61217, to the frame of the gantry.  Where the
    other grid covers all of a turned map, the sum of values times pixel areas stays the same.

    ValueError, naming the argument: shapes that do not fit, what is no plain real number, NaN or
    infinity, lengths above 1e6 mm, edges that do not rise by 1e-9 mm or more, means above 1e12,
    angles beyond 1e6 degrees.
    """
    to_mm = rising(to_x_edges_mm, "to_x_edges_mm"), rising(to_y_edges_mm, "to_y_edges_mm")
    total = np.zeros((len(to_mm[1]) - 1, len(to_mm[0]) - 1))
    filled = (part for part in map(_filled, maps) if part is not None)
    while some := list(islice(filled, TOGETHER)):
        _add(total, some, to_mm)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class _Filled:
    """The part of a map that is not zero."""

    values: Floats
    x_mm: Floats
    y_mm: Floats
    turn: tuple[float, float]
    """Cosine and sine."""


def _filled(turned: Turned) -> _Filled | None:
    x_mm, y_mm = rising(turned.x_edges_mm, "x_edges_mm"), rising(turned.y_edges_mm, "y_edges_mm")
    values = numbers(turned.fluence, "fluence", (len(y_mm) - 1, len(x_mm) - 1), MOST)
    angle_deg = number(turned.angle_deg, "angle_deg", MOST_DEG)
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    if angle_deg % 90.0 == 0.0:
        # To the last bit, so that pixels come to lie on pixels.
        cosine, sine = np.round(cosine), np.round(sine)
    rows, columns = np.flatnonzero(values.any(axis=1)), np.flatnonzero(values.any(axis=0))
    if not rows.size:
        return None
    left, right, low, high = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    values = values[low:high, left:right]
    return _Filled(values, x_mm[left : right + 1], y_mm[low : high + 1], (cosine, sine))


def _add(total: Floats, parts: Sequence[_Filled], to_mm: tuple[Floats, Floats]) -> None:
    from analyzers.numerics.fluence_rotation_kernel import add_overlap

    # A frame of zeros around each, so wide that no point is outside.
    lengths_mm = [*to_mm, *(edges for part in parts for edges in (part.x_mm, part.y_mm))]
    far_mm = 4.0 * max(float(np.abs(edges).max()) for edges in lengths_mm)
    rows, columns = (max(part.values.shape[axis] for part in parts) + 2 for axis in (0, 1))
    values = np.zeros((len(parts), rows, columns))
    x_mm, y_mm = np.empty((len(parts), columns + 1)), np.empty((len(parts), rows + 1))
    for n, part in enumerate(parts):
        high, wide = part.values.shape
        values[n, 1 : high + 1, 1 : wide + 1] = part.values
        x_mm[n], y_mm[n] = _framed(part.x_mm, columns, far_mm), _framed(part.y_mm, rows, far_mm)
    boxes_mm = [(*part.x_mm[[0, -1]], *part.y_mm[[0, -1]]) for part in parts]
    turns = np.array([part.turn for part in parts])
    add_overlap(total, (values, x_mm, y_mm), np.array(boxes_mm), turns, *to_mm)


def _framed(edges_mm: Floats, pixels: int, far_mm: float) -> Floats:
    """With one pixel more on the left, and at least one on the right."""
    beyond = np.arange(1.0, pixels + 1 - len(edges_mm))
    return np.concatenate([[-far_mm], edges_mm, far_mm * beyond])
