"""Signals of openings on a panel, exact to a fraction of a pixel.

A sharp opening seen through a Gaussian penumbra, averaged over each pixel, has a closed form: the
integral of the normal distribution is x times it plus its density.  So the half-value edge lies
where it was stated whatever the pixels are.  Where something is turned or round, it is drawn finer
than the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.special import ndtr

from qa_daemon.simulate.epid_panel import Imager

Array = NDArray[np.float64]
Factor = Callable[[Array, Array], Array]
"""x (1, columns) and y (rows, 1) in mm from a point -> what comes through, (rows, columns)."""

JAW_TRANSMISSION, LEAF_TRANSMISSION = 0.004, 0.015
FAR_MM = 1000.0
FINER = 4
"""Parts of a pixel in which round things are drawn."""
REACH = 6.0
"""Standard deviations after which a penumbra is over."""


def step(edges_mm: Array, at_mm: ArrayLike, blur_mm: float) -> Array:
    """Mean over each pixel of a step from 0 to 1 at `at_mm`, blurred; `at_mm.shape + (pixels,)`."""
    away = (edges_mm - np.asarray(at_mm, np.float64)[..., np.newaxis]) / blur_mm
    integral = away * ndtr(away) + np.exp(-(away**2) / 2.0) / np.sqrt(2.0 * np.pi)
    return np.asarray(np.diff(integral, axis=-1) / np.diff(away, axis=-1))


def window(edges_mm: Array, low_mm: ArrayLike, high_mm: ArrayLike, blur_mm: float) -> Array:
    """Mean over each pixel of an opening from `low_mm` to `high_mm`, nothing where it is closed."""
    low_mm = np.asarray(low_mm, np.float64)
    high_mm = np.maximum(low_mm, high_mm)
    return step(edges_mm, low_mm, blur_mm) - step(edges_mm, high_mm, blur_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Openings:
    """Openings of leaves one after the other, in the frame of the collimator.

    `share` (segments,) of the meterset; `left_mm` and `right_mm` (segments, rows) bound the opening
    of each row of leaves, `leaf_edges_mm` (rows + 1,) the rows.  Jaws are (low, high).  What comes
    through closed leaves and jaws does so for the whole meterset.
    """

    share: Array
    left_mm: Array
    right_mm: Array
    leaf_edges_mm: Array
    jaw_x_mm: tuple[float, float] = (-FAR_MM, FAR_MM)
    jaw_y_mm: tuple[float, float] = (-FAR_MM, FAR_MM)
    leaks: bool = True

    def signal(self, x_edges_mm: Array, y_edges_mm: Array, blur_mm: float) -> Array:
        """Share of an open field's signal, `(rows, columns)`, y rising with the row."""
        across = np.zeros((self.left_mm.shape[1], len(x_edges_mm) - 1))
        jaw_low_mm, jaw_high_mm = self.jaw_x_mm
        for share, left_mm, right_mm in zip(self.share, self.left_mm, self.right_mm, strict=True):
            low_mm = np.clip(left_mm, jaw_low_mm, jaw_high_mm)
            high_mm = np.clip(right_mm, jaw_low_mm, jaw_high_mm)
            across += share * window(x_edges_mm, low_mm, high_mm, blur_mm)
        borders_mm = np.clip(self.leaf_edges_mm, *self.jaw_y_mm)
        along = window(y_edges_mm, borders_mm[:-1], borders_mm[1:], blur_mm)
        jaws = np.outer(
            window(y_edges_mm, *self.jaw_y_mm, blur_mm), window(x_edges_mm, *self.jaw_x_mm, blur_mm)
        )
        behind = JAW_TRANSMISSION + (LEAF_TRANSMISSION - JAW_TRANSMISSION) * jaws
        through = float(np.sum(self.share)) * behind if self.leaks else 0.0
        return np.asarray(through + (1.0 - LEAF_TRANSMISSION) * (along.T @ across))


def jaws_only(jaw_x_mm: tuple[float, float], jaw_y_mm: tuple[float, float]) -> Openings:
    """A rectangle of jaws, all leaves out of the way."""
    far_mm = np.array([[FAR_MM]])
    edges_mm = np.array([-FAR_MM, FAR_MM])
    return Openings(np.ones(1), -far_mm, far_mm, edges_mm, jaw_x_mm, jaw_y_mm)


def on_panel(openings: Openings, imager: Imager, collimator_deg: float = 0.0) -> Array:
    """The share of an open field's signal in each pixel, first row at the largest y.

    Exact at quarter turns of the collimator; between them drawn on finer pixels and interpolated.
    """
    x_mm, y_mm, blur_mm = imager.x_edges_mm, imager.y_edges_mm, imager.blur_mm
    quarters, rest_deg = divmod(collimator_deg, 90.0)
    if rest_deg == 0.0:
        # A quarter turn: x of the collimator is y of the gantry, y is -x, and so on around.
        turns = int(quarters) % 4
        if turns == 0:
            signal = openings.signal(x_mm, y_mm, blur_mm)
        elif turns == 1:
            signal = openings.signal(y_mm, -x_mm[::-1], blur_mm)[::-1].T
        elif turns == 2:
            signal = openings.signal(-x_mm[::-1], -y_mm[::-1], blur_mm)[::-1, ::-1]
        else:
            signal = openings.signal(-y_mm[::-1], x_mm, blur_mm)[:, ::-1].T
        return np.asarray(signal[::-1])

    finer_mm = imager.pixel_mm / 2.0
    reach_mm = float(np.hypot(np.abs(x_mm).max(), np.abs(y_mm).max())) + 8.0 * finer_mm
    half = int(np.ceil(reach_mm / finer_mm))
    edges_mm = np.arange(-half, half + 1, dtype=np.float64) * finer_mm
    drawn = openings.signal(edges_mm, edges_mm, blur_mm)
    return turned(drawn, edges_mm, imager, collimator_deg)


def turned(signal: Array, edges_mm: Array, imager: Imager, collimator_deg: float) -> Array:
    """A square signal of the collimator's frame, y rising, in the pixels of the gantry's frame.

    Positive turns are counterclockwise as seen from the source (IEC 61217).
    """
    x_mm, y_mm = middles(imager.x_edges_mm), middles(imager.y_edges_mm)[::-1]
    sine, cosine = np.sin(np.deg2rad(collimator_deg)), np.cos(np.deg2rad(collimator_deg))
    own_x_mm = x_mm * cosine + y_mm[:, np.newaxis] * sine
    own_y_mm = -x_mm * sine + y_mm[:, np.newaxis] * cosine
    first_mm = (edges_mm[0] + edges_mm[1]) / 2.0
    spacing_mm = edges_mm[1] - edges_mm[0]
    places = np.stack([own_y_mm - first_mm, own_x_mm - first_mm]) / spacing_mm
    return np.asarray(map_coordinates(signal, places, order=3, mode="nearest"))


def painted(
    signal: Array,
    imager: Imager,
    center_mm: tuple[float, float],
    half_mm: float,
    factor: Factor,
) -> Array:
    """The signal times a blurred factor around a point (x, y), drawn finer than the pixels.

    `factor` maps x and y in mm from the point to what comes through, and is 1 beyond `half_mm`.
    Nothing is drawn of what reaches over the edge of the panel.
    """
    x_mm, y_mm = imager.x_edges_mm, imager.y_edges_mm[::-1]
    margin_mm = half_mm + REACH * imager.blur_mm
    first_column, last_column = np.searchsorted(
        x_mm, (center_mm[0] - margin_mm, center_mm[0] + margin_mm)
    )
    first_row, last_row = np.searchsorted(
        -y_mm, (-center_mm[1] - margin_mm, -center_mm[1] + margin_mm)
    )
    rows = slice(max(int(first_row) - 1, 0), min(int(last_row), imager.panel.rows))
    columns = slice(max(int(first_column) - 1, 0), min(int(last_column), imager.panel.columns))
    parts = (np.arange(FINER) + 0.5) / FINER * imager.pixel_mm
    fine_x_mm = (x_mm[:-1][columns, np.newaxis] + parts).ravel() - center_mm[0]
    fine_y_mm = (y_mm[:-1][rows, np.newaxis] - parts).ravel() - center_mm[1]
    drawn = factor(fine_x_mm[np.newaxis, :], fine_y_mm[:, np.newaxis])
    blurred = gaussian_filter(drawn, imager.blur_mm * FINER / imager.pixel_mm, truncate=REACH)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    coarse = blurred.reshape(height, FINER, width, FINER).mean(axis=(1, 3))
    result = signal.copy()
    result[rows, columns] *= coarse
    return result


def middles(edges_mm: Array) -> Array:
    """Halfway between edges."""
    return np.asarray((edges_mm[:-1] + edges_mm[1:]) / 2.0)
