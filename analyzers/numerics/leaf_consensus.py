"""What most leaves agree on: what an imager does to all of them, and not what one leaf does.

The offsets of all leaves are held against a few shapes (a shift, a turn, a wider gap) so that up to
nearly half of the leaves may be wrong: least median of squares (Rousseeuw 1984), from fixed random
draws, so that the same offsets always give the same answer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DRAWS = 600
"""With 40 % wrong leaves and three shapes, one draw in five is without any."""
LEAST_DETERMINANT = 1e-6
SPREAD_OF_MEDIAN = 1.4826
"""Standard deviation of normal noise over its median magnitude."""


def agreeing(
    offsets: Array,
    shapes: Array,
    *,
    least: float,
    spreads: float = 3.0,
) -> NDArray[np.bool_]:
    """Which offsets the shapes explain within `spreads` of their spread, at least within `least`.

    `offsets` `(leaves,)`, `shapes` `(leaves, shapes)`, a column for each.  Too few leaves to draw
    from: all agree.
    """
    leaves, count = shapes.shape
    if leaves < 2 * count + 2:
        return np.ones(leaves, dtype=np.bool_)
    rng = np.random.default_rng(1984)
    drawn = np.argsort(rng.random((DRAWS, leaves)), axis=1)[:, :count]
    drawn = drawn[np.abs(np.linalg.det(shapes[drawn])) > LEAST_DETERMINANT]
    if not len(drawn):
        return np.ones(leaves, dtype=np.bool_)
    found = np.linalg.solve(shapes[drawn], offsets[drawn][..., np.newaxis])[..., 0]
    medians = np.median(np.abs(offsets - found @ shapes.T), axis=1)
    best, smallest = found[medians.argmin()], float(medians.min())
    reach = max(least, spreads * SPREAD_OF_MEDIAN * smallest)
    return np.asarray(np.abs(offsets - shapes @ best) <= reach)
