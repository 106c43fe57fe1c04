"""Small statistics on arrays that several analyzers share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rms(values: ArrayLike, axis: int | tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """Root of the mean square along `axis` (None: of all values), in the unit of `values`.

    Not about the mean: a constant error counts in full.
    """
    squares = np.square(np.asarray(values, dtype=np.float64))
    return np.asarray(np.sqrt(np.mean(squares, axis=axis)))


def angle_difference_deg(actual_deg: ArrayLike, expected_deg: ArrayLike) -> NDArray[np.float64]:
    """Shortest turn from `expected_deg` to `actual_deg`, in (-180, 180].

    Differences that are in range already come back to the last digit.
    """
    turn_deg = np.subtract(actual_deg, expected_deg, dtype=np.float64)
    return np.asarray(turn_deg - 360.0 * np.ceil((turn_deg - 180.0) / 360.0))
