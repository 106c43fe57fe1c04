"""Where an image itself says that its field ends, along the axes of the image.

The exposure states jaws and leaves in the frame of the collimator (IEC 61217): with the collimator
at c its x lies along (cos c, sin c) and its y along (-sin c, cos c) of the image.
"""

from __future__ import annotations

import numpy as np

from analyzers.portal_images import Aperture, PortalImage
from analyzers.records import FloatArray

Edges = tuple[float, float]
"""Low and high, mm from the beam's axis at the isocenter plane."""

MOST_ASLANT_DEG = 1.0
"""Of jaws, for their distance to be the field's width."""
OPEN_MM = 1.0
"""Pairs of leaves further apart are open."""
ONE_LINE_MM = 0.5
"""Leaves that end a rectangle stand within."""
SYMMETRIC_MM = 0.5
"""A field whose middle is nearer to the axis lies there whichever way the collimator stands."""


def stated_edges(image: PortalImage) -> tuple[Edges | None, Edges | None]:
    """Along x and along y of the image; None where nothing states them, or they are aslant.

    Where the collimator angle is not told, 0 is taken.  Leaves count where they stand further in
    than the jaws; where they shape no rectangle, nothing is stated along either axis.
    """
    angle_deg = image.collimator_deg or 0.0
    if image.aperture is None or abs((angle_deg + 45.0) % 90.0 - 45.0) > MOST_ASLANT_DEG:
        return None, None
    x, y = _in_collimator(image.aperture)
    turn = round(angle_deg / 90.0) % 4
    turned = ((x, y), (_mirrored(y), x), (_mirrored(x), _mirrored(y)), (y, _mirrored(x)))[turn]
    return _known(turned[0]), _known(turned[1])


def states_place(image: PortalImage) -> bool:
    """Whether the edges are stated well enough to say where the field's middle has to be.

    The imager's place must be told and agree with itself.  Without the collimator angle, only what
    is symmetric about the axis is known to lie there.
    """
    if image.axis_px is None or not image.geometry_is_consistent:
        return False
    return image.collimator_deg is not None or all(
        edges is None or abs(sum(edges)) / 2.0 <= SYMMETRIC_MM for edges in stated_edges(image)
    )


def _in_collimator(aperture: Aperture) -> tuple[Edges, Edges]:
    """The rectangle in the frame of the collimator; NaN where it is not known."""
    x, y = _jaws(aperture.jaw_x_mm), _jaws(aperture.jaw_y_mm)
    left_mm, right_mm = aperture.bank_b_mm, aperture.bank_a_mm
    edges_mm = aperture.leaf_edges_mm
    if left_mm is None or right_mm is None or edges_mm is None:
        return x, y
    if not (np.isfinite(left_mm).all() and np.isfinite(right_mm).all()):
        return x, y
    # An axis without jaws ends where the leaves say.
    jaw_y = (-np.inf, np.inf) if np.isnan(y).any() else y
    bottom_mm = np.maximum(edges_mm[:-1], jaw_y[0])
    top_mm = np.minimum(edges_mm[1:], jaw_y[1])
    low_mm, high_mm = np.fmax(left_mm, x[0]), np.fmin(right_mm, x[1])
    rows = np.flatnonzero((top_mm > bottom_mm) & (high_mm - low_mm > OPEN_MM))
    if not rows.size:
        return x, y
    is_one = len(rows) == rows[-1] - rows[0] + 1
    if not is_one or max(np.ptp(low_mm[rows]), np.ptp(high_mm[rows])) > ONE_LINE_MM:
        return (np.nan, np.nan), (np.nan, np.nan)
    x = float(np.median(low_mm[rows])), float(np.median(high_mm[rows]))
    return x, (float(bottom_mm[rows[0]]), float(top_mm[rows[-1]]))


def _jaws(jaws_mm: FloatArray | None) -> Edges:
    return (np.nan, np.nan) if jaws_mm is None else (float(jaws_mm[0]), float(jaws_mm[1]))


def _mirrored(edges: Edges) -> Edges:
    return -edges[1], -edges[0]


def _known(edges: Edges) -> Edges | None:
    return edges if np.isfinite(edges).all() else None
