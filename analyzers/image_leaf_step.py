"""The linear problem of fitting an image by a log's picture, around one state of what is fitted.

Gains over the plane, glare, background and what comes through the leaves enter linearly and are
solved for at each state; what the image changes by with everything else becomes a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.image_leaves import Array, LogPicture, Maps, Placement, Seen, Stand
from analyzers.numerics.picture_columns import (
    Patch,
    band_patches,
    blurred,
    products,
    smooth_terms,
)
from analyzers.records import BoolArray

GLARE_MM = (4.0, 20.0)
ACROSS_MM = 200.0
AT_JAW_PER_MM = 0.03
"""Where this share of the meterset, per mm, lies at a jaw's edge, the image tells of the jaw."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One set of all that is fitted."""

    placement: Placement
    stand: Stand
    blur_mm: tuple[float, float]
    """Along x and y."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The linear problem around one state."""

    values: Array
    known: BoolArray
    model: Array
    normal: NDArray[np.float64]
    right: NDArray[np.float64]
    patches: list[Patch]
    gains: Array
    """Of the linear columns, the slow gains first, what comes through the leaves last."""
    wholes: int
    own: Array
    """Gain where a leaf's edge counts, 0 where it does not."""
    maps: Maps

    @property
    def rest(self) -> Array:
        """What the picture leaves of the image, 0 where the image says nothing."""
        return np.asarray(np.where(self.known, self.values - self.model, 0.0))

    @property
    def variance(self) -> float:
        """Mean square of the rest."""
        return float((self.rest**2).sum() / max(np.count_nonzero(self.known), 1))


def step_at(picture: LogPicture, image: Seen, state: State, before: Maps | None) -> Step:
    """Draw the picture at a state and set up its linear problem.

    Gains are solved for at once, so that no other unknown moves to make up for them.
    """
    maps = picture.maps(state.stand, before)
    grid = picture.grid
    step_mm = steps_mm(picture)
    blur_px = in_px(state.blur_mm[::-1], step_mm)
    values, known = image.on(picture, state.placement)
    terms = smooth_terms(grid.x_mm / ACROSS_MM, grid.y_mm / ACROSS_MM)
    core = blurred(maps.open, blur_px)
    linear = [term * core for term in terms]
    linear += [blurred(maps.open, in_px((mm, mm), step_mm)) for mm in GLARE_MM]
    linear += [np.full_like(core, picture.meterset_mu), blurred(maps.behind, blur_px)]
    gains = _gains(linear, np.where(known, values, 0.0), known)
    gain = np.asarray(sum(c * term for c, term in zip(gains, terms, strict=False)))
    model = np.asarray(sum(c * column for c, column in zip(gains, linear, strict=True)))
    scale, through_leaves = float(gains[0]) or 1.0, float(gains[-1])
    wholes = [
        *(scale * column for column in linear),
        *_placement_columns(model, grid.x_mm, grid.y_mm, step_mm),
        gain * blurred(_gap_slopes(maps), blur_px),
        *_blur_columns(gain * core, state.blur_mm, step_mm),
        *(
            blurred(gain * through + through_leaves * behind, blur_px)
            for through, behind in maps.jaws
        ),
    ]
    own = gain * known * _away_from_jaws(picture, maps, blur_px)
    patches = [
        Patch(patch.rows, patch.values * own[patch.rows])
        for patch in _leaf_patches(picture, maps, blur_px)
    ]
    rest = np.where(known, values - model, 0.0)
    normal, right = products([column * known for column in wholes], patches, rest)
    return Step(values, known, model, normal, right, patches, gains, len(wholes), own, maps)


def steps_mm(picture: LogPicture) -> tuple[float, float]:
    """Of the grid, (row, column)."""
    grid = picture.grid
    return float(np.diff(grid.y_edges_mm)[0]), float(np.diff(grid.x_edges_mm)[0])


def in_px(
    rows_columns_mm: tuple[float, float], step_mm: tuple[float, float]
) -> tuple[float, float]:
    """Lengths along (rows, columns) in steps of the grid."""
    return rows_columns_mm[0] / step_mm[0], rows_columns_mm[1] / step_mm[1]


def _gains(linear: list[Array], values: Array, known: BoolArray) -> Array:
    """What each linear column is worth, everything else as it stands."""
    flat = np.stack([(column * known).ravel() for column in linear])
    normal = flat @ flat.T
    # Columns may be alike: a background, and what comes through leaves without jaws.
    normal += np.diag(1e-9 * np.diag(normal) + 1e-30)
    return np.asarray(np.linalg.solve(normal, flat @ values.ravel()))


def _away_from_jaws(picture: LogPicture, maps: Maps, blur_px: tuple[float, float]) -> BoolArray:
    at_edge = np.zeros_like(maps.open)
    for _, behind in maps.jaws:
        at_edge += np.abs(blurred(behind, blur_px)) / picture.meterset_mu
    return np.asarray(at_edge <= AT_JAW_PER_MM)


def _leaf_patches(picture: LogPicture, maps: Maps, blur_px: tuple[float, float]) -> list[Patch]:
    return [
        patch
        for n, slopes in enumerate(maps.banks)
        for patch in band_patches(slopes, picture.shares[n // 2], blur_px)
    ]


def _gap_slopes(maps: Maps) -> Array:
    halves = [(0.5 if n % 2 == 0 else -0.5) * slopes for n, slopes in enumerate(maps.banks)]
    return np.asarray(sum(halves))


def _placement_columns(
    model: Array, x_mm: Array, y_mm: Array, step_mm: tuple[float, float]
) -> list[Array]:
    """What the image differs by from the picture where it is shifted, turned, magnified."""
    along_y, along_x = (np.asarray(slope) for slope in np.gradient(model, *step_mm))
    across, up = np.meshgrid(x_mm, y_mm)
    return [
        -along_x,
        -along_y,
        up * along_x - across * along_y,
        -(across * along_x + up * along_y),
    ]


def _blur_columns(
    core: Array, blur_mm: tuple[float, float], step_mm: tuple[float, float]
) -> list[Array]:
    """A Gaussian's derivative by its width is the width times the second derivative (heat)."""
    return [
        blur_mm[0] * np.gradient(np.gradient(core, step_mm[1], axis=1), step_mm[1], axis=1),
        blur_mm[1] * np.gradient(np.gradient(core, step_mm[0], axis=0), step_mm[0], axis=0),
    ]
