"""Fluence through leaves and jaws: for how many MU each pixel was open, exactly.

F(pixel) = sum over sample intervals of dMU times the mean over the interval and over the area of
the pixel of what comes through.  All edges move straight from sample to sample; edges that cross
inside an interval are split there, so that no step in time or space is chosen anywhere.  Leaf ends
are taken as sharp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.fluence_maps import fluence_maps
from analyzers.numerics.fluence_motion import Floats, Motion, motion_of, rising
from analyzers.numerics.fluence_transmission import OPAQUE, Shielding, terms_of, transmission_of


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
    leaf_transmission: float = 0.0,
    jaw_transmission: float = 0.0,
    tongue_and_groove_mm: float = 0.0,
    tongue_and_groove_transmission: float | None = None,
) -> Floats:
    """Mean open MU over each pixel, shape (ny, nx).

    `meterset_mu` (samples,) is cumulative; MU before the first sample are not counted and a step
    back counts as nothing.  `left_mm` and `right_mm` (samples, pairs) bound the opening of each
    pair, which is closed where left is not below right; `leaf_edges_mm` (pairs + 1,) bounds the
    pairs in y.  Jaws are (samples, 2), low and high side, None where there is none.  All lengths in
    mm in one plane; pixel edges rise, in any steps.

    `leaf_transmission` of the fluence comes through a leaf and `jaw_transmission` through jaws, one
    factor behind any of them, also where x and y jaws cross.  In a strip of `tongue_and_groove_mm`
    centered on each border of two pairs a point is open where both are; where one of them is, only
    half of a leaf's thickness is in the way, and `tongue_and_groove_transmission` comes through, by
    default the square root of the leaf's.  There is no leakage between closed leaves, and one layer
    of leaves only.  Leaves are as long as they need to be.

    Beyond the outermost leaves the result is 0 with any transmission: this function states nothing
    there.  Nothing shields there but the jaws: a caller whose jaws open farther must add rows there
    whose leaves are out of the way.

    ValueError, naming the argument: shapes that do not fit, no samples, what is no plain real
    number, NaN or infinity, lengths above 1e6 mm, a meterset above 1e9 MU, edges that do not rise
    by 1e-9 mm or more, a transmission outside of 0 <= t < 1, that of the strip below that of the
    leaf, a strip as wide as the narrowest leaf.
    """
    motion = motion_of(meterset_mu, left_mm, right_mm, leaf_edges_mm, jaw_x_mm, jaw_y_mm)
    shielding = Shielding(
        leaf_transmission,
        jaw_transmission,
        tongue_and_groove_mm,
        tongue_and_groove_transmission,
    )
    x_mm, y_mm = rising(x_edges_mm, "x_edges_mm"), rising(y_edges_mm, "y_edges_mm")
    return _fluence(motion, shielding, x_mm, y_mm)


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

    The integral of the fluence without transmission over the whole plane, without any grid.
    """
    motion = motion_of(meterset_mu, left_mm, right_mm, leaf_edges_mm, jaw_x_mm, jaw_y_mm)
    # One pixel that holds all of the field.
    x_mm = np.array([motion.left_mm.min(), max(motion.right_mm.max(), motion.left_mm.min() + 1.0)])
    y_mm = motion.leaf_edges_mm[[0, -1]]
    fluence = _fluence(motion, OPAQUE, x_mm, y_mm)
    return float(fluence[0, 0] * np.ptp(x_mm) * np.ptp(y_mm))


def _fluence(
    motion: Motion, shielding: Shielding, x_edges_mm: Floats, y_edges_mm: Floats
) -> Floats:
    increments_mu = np.diff(motion.meterset_mu)
    all_in_one = np.zeros(len(increments_mu), dtype=np.int64), 1
    terms = terms_of(motion, transmission_of(shielding, motion.leaf_edges_mm))
    return np.asarray(fluence_maps(terms, increments_mu, all_in_one, x_edges_mm, y_edges_mm)[0])
