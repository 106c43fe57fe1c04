"""Fluence by part of a delivery: by range of control points, by gantry sector, or by any angle.

A coordinate runs straight between samples, like everything else.  An interval in which it crosses
the edge of a range is cut there, so that each piece belongs to one range and the sum over ranges is
the whole.  All ranges together cost about as much as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.fluence_maps import fluence_maps
from analyzers.numerics.fluence_motion import (
    MOST_DEG,
    Floats,
    Indices,
    Motion,
    motion_of,
    number,
    numbers,
    rising,
)
from analyzers.numerics.fluence_transmission import OPAQUE, Shielding, terms_of, transmission_of

MOST_COORDINATE = 1e9
MOST_SECTORS = 3600
ROUNDING_DEG = 1e-9
"""Half a turn less this is half a turn, as angles up to 1e6 degrees round."""


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """Where a delivery is cut between samples: after which one, and at which share of the way."""

    after: Indices
    share: Floats

    def into(self, values: Floats) -> Floats:
        """Values at the samples (…, samples) with those at the cuts in between."""
        before = values[..., self.after]
        # What stands still stays where it is, to the last bit.
        at_cuts = before + (values[..., self.after + 1] - before) * self.share
        return np.insert(values, self.after + 1, at_cuts, axis=-1)


def cuts_at(coordinate: Floats, edges: Floats) -> Cuts:
    """Where a coordinate crosses edges inside intervals, in the order of time."""
    low = np.minimum(coordinate[:-1], coordinate[1:])
    high = np.maximum(coordinate[:-1], coordinate[1:])
    first = np.searchsorted(edges, low, side="right")
    count = np.maximum(np.searchsorted(edges, high, side="left") - first, 0)
    after = np.repeat(np.arange(len(count)), count)
    # The first, second, … of the edges that this interval crosses, from the lowest one.
    number = np.arange(len(after)) - np.repeat(np.cumsum(count) - count, count)
    start, end = coordinate[after], coordinate[after + 1]
    rank = np.where(end > start, number, count[after] - 1 - number)
    return Cuts(after, (edges[first[after] + rank] - start) / (end - start))


def ranges_of(coordinate: Floats, edges: Floats) -> Indices:
    """The range in which each interval lies that crosses no edge, -1 for none."""
    middle = (coordinate[:-1] + coordinate[1:]) / 2
    found = np.searchsorted(edges, middle, side="right") - 1
    found[middle == edges[-1]] = len(edges) - 2
    return np.asarray(np.where(middle > edges[-1], -1, found), dtype=np.int64)


def fluence_by_range(
    meterset_mu: ArrayLike,
    left_mm: ArrayLike,
    right_mm: ArrayLike,
    leaf_edges_mm: ArrayLike,
    *,
    coordinate: ArrayLike,
    range_edges: ArrayLike,
    x_edges_mm: ArrayLike,
    y_edges_mm: ArrayLike,
    jaw_x_mm: ArrayLike | None = None,
    jaw_y_mm: ArrayLike | None = None,
    shielding: Shielding = OPAQUE,
) -> Floats:
    """Mean MU over each pixel while the coordinate was in each range, (ranges, ny, nx).

    `coordinate` (samples,) may be the control point, an unwrapped angle or anything else that is
    straight between samples; it may go back and forth.  Where it stands still on an edge, it is in
    the range that begins there, on the last edge in the last range.  What is delivered outside of
    `range_edges` (ranges + 1,) is in none.  Other arguments and errors as `delivered_fluence`;
    ValueError too for a coordinate or an edge beyond 1e9.
    """
    motion = motion_of(meterset_mu, left_mm, right_mm, leaf_edges_mm, jaw_x_mm, jaw_y_mm)
    path = numbers(coordinate, "coordinate", motion.meterset_mu.shape, MOST_COORDINATE)
    edges = rising(range_edges, "range_edges", MOST_COORDINATE)
    cuts = cuts_at(path, edges)
    ranges = ranges_of(cuts.into(path), edges), len(edges) - 1
    x_mm, y_mm = rising(x_edges_mm, "x_edges_mm"), rising(y_edges_mm, "y_edges_mm")
    return _maps(motion, shielding, cuts, ranges, (x_mm, y_mm))


def fluence_by_gantry_sector(
    meterset_mu: ArrayLike,
    left_mm: ArrayLike,
    right_mm: ArrayLike,
    leaf_edges_mm: ArrayLike,
    *,
    gantry_deg: ArrayLike,
    x_edges_mm: ArrayLike,
    y_edges_mm: ArrayLike,
    sectors: int = 36,
    first_deg: float = 0.0,
    jaw_x_mm: ArrayLike | None = None,
    jaw_y_mm: ArrayLike | None = None,
    shielding: Shielding = OPAQUE,
) -> Floats:
    """Mean MU over each pixel by gantry sector, (sectors, ny, nx); the sectors are equally wide.

    Sector 0 begins at `first_deg`, is 360 / `sectors` degrees wide, and holds its beginning but not
    its end.  Of 36 sectors from 0, number 35 is 350 <= angle < 360 degrees, IEC 61217; from -5, the
    centers are 0, 10, … degrees.  `gantry_deg` (samples,) may wrap anywhere, as between samples the
    gantry takes the shorter way; an arc that passes a sector twice adds to it twice.  Other
    arguments and errors as `delivered_fluence`.

    ValueError too: `sectors` that are no integer from 1 to 3600; angles beyond 1e6 degrees; half a
    turn between two samples with meterset in between, which may have gone either way.
    """
    motion = motion_of(meterset_mu, left_mm, right_mm, leaf_edges_mm, jaw_x_mm, jaw_y_mm)
    if not isinstance(sectors, Integral) or not 1 <= sectors <= MOST_SECTORS or sectors is True:
        raise ValueError(f"sectors must be an integer from 1 to {MOST_SECTORS}, not {sectors!r}")
    first_deg = number(first_deg, "first_deg", MOST_DEG)
    path_deg = numbers(gantry_deg, "gantry_deg", motion.meterset_mu.shape, MOST_DEG)
    path_deg = np.unwrap(path_deg, period=360.0)
    half_turn = np.abs(np.diff(path_deg)) >= 180.0 - ROUNDING_DEG
    if (half_turn & (np.diff(motion.meterset_mu) > 0.0)).any():
        raise ValueError("gantry_deg takes half a turn from one sample to the next, either way")
    # Sectors numbered on beyond a full turn: all that the path touches, and one more at each end.
    first, last = ((end - first_deg) * sectors // 360.0 for end in (path_deg.min(), path_deg.max()))
    numbered = np.arange(first - 1, last + 3)
    edges_deg = first_deg + numbered * 360.0 / sectors
    cuts = cuts_at(path_deg, edges_deg)
    ranges = ranges_of(cuts.into(path_deg), edges_deg) + int(numbered[0])
    x_mm, y_mm = rising(x_edges_mm, "x_edges_mm"), rising(y_edges_mm, "y_edges_mm")
    return _maps(motion, shielding, cuts, (ranges % sectors, sectors), (x_mm, y_mm))


def _maps(
    motion: Motion,
    shielding: Shielding,
    cuts: Cuts,
    ranges: tuple[Indices, int],
    edges_mm: tuple[Floats, Floats],
) -> Floats:
    cut = Motion(
        cuts.into(motion.meterset_mu),
        cuts.into(motion.left_mm),
        cuts.into(motion.right_mm),
        motion.leaf_edges_mm,
        _cut_jaws(motion.jaw_x_mm, cuts),
        _cut_jaws(motion.jaw_y_mm, cuts),
    )
    terms = terms_of(cut, transmission_of(shielding, motion.leaf_edges_mm))
    return fluence_maps(terms, np.diff(cut.meterset_mu), ranges, *edges_mm)


def _cut_jaws(jaws_mm: Floats | None, cuts: Cuts) -> Floats | None:
    return None if jaws_mm is None else np.ascontiguousarray(cuts.into(jaws_mm.T).T)
