"""What a picture changes by when one thing changes: the columns of a linear fit to a picture.

A picture is a map, shape `(rows, columns)`, blurred by a Gaussian.  A leaf changes it in its own
rows and in those that the blur reaches, so its column is a patch of the map and zero elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REACH = 4.0
"""A Gaussian is taken to end after so many of its standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A column of the fit that is zero outside of some rows; `values` is `(rows, columns)`."""

    rows: slice
    values: Array


def blurred(values: Array, sigma_px: tuple[float, float]) -> Array:
    """A map blurred by a Gaussian, `sigma_px` along (rows, columns); the border is continued."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, sigma_px, mode="nearest", truncate=REACH))


def band_shares(edges: Array, row_edges: Array) -> Array:
    """What share of each row of a grid lies in each band, `(bands, rows)`; both edges rise."""
    low = np.maximum(edges[:-1, np.newaxis], row_edges[np.newaxis, :-1])
    high = np.minimum(edges[1:, np.newaxis], row_edges[np.newaxis, 1:])
    return np.asarray(np.maximum(high - low, 0.0) / np.diff(row_edges))


def band_patches(slopes: Array, shares: Array, sigma_px: tuple[float, float]) -> list[Patch]:
    """The blurred part of a map in each band of rows, a patch per band of `shares`.

    `slopes` is what the unblurred picture changes by where all bands change by one.
    """
    from scipy.ndimage import gaussian_filter1d

    sigma_rows, sigma_columns = sigma_px
    along = gaussian_filter1d(slopes, sigma_columns, axis=1, mode="nearest", truncate=REACH)
    return [Patch(rows, across @ along[own]) for rows, own, across in bands(shares, sigma_rows)]


def bands(shares: Array, sigma_rows: float) -> list[tuple[slice, slice, Array]]:
    """How each band spreads over rows: rows it reaches, its own rows, and the matrix between.

    A band is nothing beyond itself, so nothing is continued there.
    """
    from scipy.ndimage import gaussian_filter1d

    reach = int(np.ceil(REACH * sigma_rows)) + 1
    found = []
    for share in shares:
        inside = np.flatnonzero(share)
        first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, 0)
        rows = slice(max(first - reach, 0), min(last + reach + 1, len(share)))
        own = slice(first, last + 1)
        spikes = np.zeros((rows.stop - rows.start, own.stop - own.start))
        spikes[np.arange(first, last + 1) - rows.start, np.arange(spikes.shape[1])] = share[own]
        across = gaussian_filter1d(spikes, sigma_rows, axis=0, mode="constant", truncate=REACH)
        found.append((rows, own, np.asarray(across)))
    return found


def smooth_terms(x: Array, y: Array) -> list[Array]:
    """Seven slow functions over the plane, 1 first: up to second order, and the fourth of radius.

    `x` `(columns,)` and `y` `(rows,)` from -1 to 1 in about.
    """
    across, along = np.meshgrid(x, y)
    square = across**2 + along**2
    return [np.ones_like(across), across, along, across**2, across * along, along**2, square**2]


def products(
    whole: Sequence[Array], patches: Sequence[Patch], target: Array
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The normal matrix of all columns, whole maps first, and their products with a target."""
    flat = np.stack([column.ravel() for column in whole])
    first, count = len(whole), len(whole) + len(patches)
    normal, right = np.zeros((count, count)), np.zeros(count)
    normal[:first, :first] = flat @ flat.T
    right[:first] = flat @ target.ravel()
    across = target.shape[1]
    # Most leaves shape no field: their patches are nothing, and so are all products with them.
    shown = [n for n, patch in enumerate(patches) if patch.values.any()]
    for n in shown:
        patch = patches[n]
        values = patch.values.ravel()
        # Whole rows lie one after the other, so that nothing is copied.
        rows = flat[:, patch.rows.start * across : patch.rows.stop * across]
        normal[first + n, :first] = normal[:first, first + n] = rows @ values
        right[first + n] = target[patch.rows].ravel() @ values
    for place, a in enumerate(shown):
        one = patches[a]
        for b in shown[place:]:
            other = patches[b]
            start = max(one.rows.start, other.rows.start)
            stop = min(one.rows.stop, other.rows.stop)
            if start < stop:
                product = np.vdot(
                    one.values[start - one.rows.start : stop - one.rows.start],
                    other.values[start - other.rows.start : stop - other.rows.start],
                )
                normal[first + a, first + b] = normal[first + b, first + a] = product
    return normal, right
