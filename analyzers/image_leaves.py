"""A log as a picture, and a portal image on the log's grid.

The grid lies in the frame of the collimator at the isocenter plane, x along the leaves, mm.  The
log's picture is its fluence, exact for straight motion (`numerics.fluence`), with what it changes
by when a leaf, a bank or a jaw stands elsewhere.  The image comes onto the grid through a placement
that says how the imager saw the plane: shifted, turned and magnified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError
from analyzers.field_shape import ACTUAL, OPEN_MM
from analyzers.numerics.fluence import delivered_fluence
from analyzers.numerics.picture_columns import band_shares
from analyzers.open_field import OUT_OF_THE_WAY_MM, Grid, Opening, fluence_mu, opening
from analyzers.portal_images import PortalImage
from analyzers.records import Axis, BoolArray, Delivery

Array = NDArray[np.float64]
MARGIN_MM = 12.0
STEP_MM = 0.5
ROWS_TOGETHER = 2
"""Rows of the grid are so many steps high: across the leaves little changes."""
MOST_POINTS = 150_000
SLOPE_STEP_MM = 0.25
GROOVE_MM = 0.5
"""Width of the strip between two pairs in which the tongue of one fills the groove of the other.

The maker's secret: with a strip wider by as much, a leaf of 5 mm would seem 10 % further in.
"""
JAWS = ("jaw_x1_mm", "jaw_x2_mm", "jaw_y1_mm", "jaw_y2_mm")
FARTHEST_MM = 300.0
COLLIMATOR_REACH_DEG = 0.5
PLATEAU_SHARE = 0.001
"""So many pixels of one and the same highest value are a detector that was full."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How the imager saw the plane: p goes to (1 + magnification) turned(p) + shift.

    In the frame of the collimator; the turn is counterclockwise as seen from the source.
    """

    shift_x_mm: float = 0.0
    shift_y_mm: float = 0.0
    rotation_rad: float = 0.0
    magnification: float = 0.0

    def of(self, x_mm: Array, y_mm: Array) -> tuple[Array, Array]:
        """Where points of the log's plane are in the image's, still in the collimator's frame."""
        cosine = (1.0 + self.magnification) * np.cos(self.rotation_rad)
        sine = (1.0 + self.magnification) * np.sin(self.rotation_rad)
        return (
            cosine * x_mm - sine * y_mm + self.shift_x_mm,
            sine * x_mm + cosine * y_mm + self.shift_y_mm,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Stand:
    """How far what shapes the field stands from where the log has it, mm, IEC X and Y.

    `leaf_mm` `(leaves,)` in the order of `LogPicture.names`, `jaw_mm` by X1, X2, Y1, Y2; half of
    the gap is added to each bank.
    """

    gap_mm: float
    leaf_mm: Array
    jaw_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """The log's picture without blur, and what it changes by per mm; MU, `(rows, columns)` each.

    `banks` has a map for each bank of each layer, A before B, in which all its leaves go to +x;
    `jaws` for each way that jaws may be off, of `open` and of `behind`; `behind` is
    the field of the jaws alone, a share of which comes through the leaves.
    """

    open: Array
    banks: tuple[Array, ...]
    jaws: tuple[tuple[Array, Array], ...]
    behind: Array


@dataclass(frozen=True, eq=False)
class LogPicture:
    """One beam of a log, on a grid around all that was open in it."""

    delivery: Delivery
    samples: slice
    grid: Grid
    collimator_deg: float
    meterset_mu: float
    names: tuple[str, ...] = field(default=())
    """All leaves: A1 … An, B1 … Bn of each layer in turn."""

    @cached_property
    def shares(self) -> tuple[Array, ...]:
        """By layer: what share of each grid row lies under each pair, `(pairs, rows)`."""
        rows_mm = self.grid.y_edges_mm
        return tuple(
            band_shares(np.asarray(layer.leaf_edges_mm, np.float64), rows_mm)
            for layer in self.delivery.mlc
        )

    @cached_property
    def in_bank_a(self) -> BoolArray:
        """Which leaves are of bank A."""
        sides = [[True] * layer.pairs + [False] * layer.pairs for layer in self.delivery.mlc]
        return np.concatenate([np.array(side) for side in sides])

    @cached_property
    def leaf_y_mm(self) -> Array:
        """Middle of each leaf across the leaves."""
        middles = [(m.leaf_edges_mm[:-1] + m.leaf_edges_mm[1:]) / 2 for m in self.delivery.mlc]
        return np.concatenate([np.tile(middle, 2) for middle in middles]).astype(np.float64)

    @cached_property
    def leaf_width_mm(self) -> Array:
        """Width of each leaf."""
        widths = [np.tile(np.diff(layer.leaf_edges_mm), 2) for layer in self.delivery.mlc]
        return np.concatenate(widths).astype(np.float64)

    def still(self) -> Stand:
        """Everything where the log has it."""
        return Stand(0.0, np.zeros(len(self.names)), np.zeros(4))

    def opening(self, stand: Stand) -> Opening:
        """What was open, with everything moved."""
        layers, first = [], 0
        for layer in self.delivery.mlc:
            moved = []
            for axis, half_mm in (
                (layer.bank_a_mm, stand.gap_mm / 2.0),
                (layer.bank_b_mm, -stand.gap_mm / 2.0),
            ):
                by_mm = stand.leaf_mm[first : first + layer.pairs] + half_mm
                moved.append(Axis.actual_only(np.asarray(axis.actual, np.float64) + by_mm))
                first += layer.pairs
            layers.append(replace(layer, bank_a_mm=moved[0], bank_b_mm=moved[1]))
        jaws: dict[str, Axis] = {}
        for name, by_mm in zip(JAWS, stand.jaw_mm, strict=True):
            axis = getattr(self.delivery, name)
            if axis is not None:
                jaws[name] = Axis.actual_only(np.asarray(axis.actual, np.float64) + float(by_mm))
        changes: dict[str, object] = {"mlc": tuple(layers), **jaws}
        return opening(replace(self.delivery, **changes), self.samples, ACTUAL)  # type: ignore[arg-type]

    def maps(self, stand: Stand, before: Maps | None = None) -> Maps:
        """The picture with everything moved, and its slopes by central differences.

        What depends little on where leaves stand is taken from `before`.
        """
        found = self.opening(stand)
        plain = self.fluence(found)
        banks, first = [], 0
        for layer in self.delivery.mlc:
            for _ in "AB":
                only = np.zeros_like(stand.leaf_mm)
                only[first : first + layer.pairs] = SLOPE_STEP_MM
                first += layer.pairs
                low, high = (
                    self.fluence(self.opening(replace(stand, leaf_mm=mm)))
                    for mm in (stand.leaf_mm - only, stand.leaf_mm + only)
                )
                banks.append(np.asarray((high - low) / (2.0 * SLOPE_STEP_MM)))
        return Maps(
            plain,
            tuple(banks),
            tuple(self._jaws(stand)) if before is None else before.jaws,
            self._behind(found),
        )

    @cached_property
    def jaw_ways(self) -> Array:
        """The ways in which jaws may be off: X1, X2, and both Y jaws apart, `(ways, 4)`.

        Where y jaws stand off to one side, the image lies to that side: nothing else tells its y.
        """
        has = np.array([getattr(self.delivery, name) is not None for name in JAWS])
        ways = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 1]], dtype=np.float64)
        return np.asarray(ways[(np.abs(ways) * has).sum(axis=1) == np.abs(ways).sum(axis=1)])

    def _jaws(self, stand: Stand) -> Iterator[tuple[Array, Array]]:
        for way in self.jaw_ways:
            low, high = (
                self.opening(replace(stand, jaw_mm=stand.jaw_mm + side * way))
                for side in (-SLOPE_STEP_MM, SLOPE_STEP_MM)
            )
            through = self.fluence(high) - self.fluence(low)
            behind = self._behind(high) - self._behind(low)
            yield through / (2.0 * SLOPE_STEP_MM), behind / (2.0 * SLOPE_STEP_MM)

    def _behind(self, found: Opening) -> Array:
        away = np.full_like(found.left_mm, OUT_OF_THE_WAY_MM)
        return fluence_mu(replace(found, left_mm=-away, right_mm=away), self.grid)

    def fluence(self, found: Opening) -> Array:
        """What comes through an opening, MU, with the strips shaded in which two leaves overlap."""
        return np.asarray(
            delivered_fluence(
                found.meterset_mu,
                found.left_mm,
                found.right_mm,
                found.leaf_edges_mm,
                x_edges_mm=self.grid.x_edges_mm,
                y_edges_mm=self.grid.y_edges_mm,
                jaw_x_mm=found.jaw_x_mm,
                jaw_y_mm=found.jaw_y_mm,
                tongue_and_groove_mm=GROOVE_MM,
            )
        )


def log_picture(delivery: Delivery, samples: slice) -> LogPicture:
    """One beam of a log, ready to be drawn.

    Raises `AnalysisError` where nothing was open, something stands where no machine can go, or the
    collimator turned with the beam on; `NotApplicable` where the log has no dose.
    """
    found = opening(delivery, samples, ACTUAL)
    box_mm = found.bounds_mm(OPEN_MM)
    meterset_mu = float(found.meterset_mu[-1] - found.meterset_mu[0])
    if box_mm is None or meterset_mu <= 0.0:
        raise AnalysisError("the log opens no field")
    if max(abs(edge) for edge in box_mm) > FARTHEST_MM:
        raise AnalysisError(f"the field reaches {max(map(abs, box_mm)):.3g} mm off the axis")
    turn_deg = found.collimator_deg
    angle_deg = 0.0
    if turn_deg is not None:
        used = np.diff(found.meterset_mu, prepend=found.meterset_mu[0]) > 0.0
        if np.ptp(turn_deg[used]) > COLLIMATOR_REACH_DEG:
            raise AnalysisError("the collimator turned with the beam on: no leaf has rows")
        angle_deg = float(turn_deg[used].mean())
    area_mm2 = (np.ptp(box_mm[:2]) + 2 * MARGIN_MM) * (np.ptp(box_mm[2:]) + 2 * MARGIN_MM)
    step_mm = max(STEP_MM, float(np.sqrt(area_mm2 / (ROWS_TOGETHER * MOST_POINTS))))
    grid = Grid.around([box_mm], (ROWS_TOGETHER * step_mm, step_mm), MARGIN_MM)
    names = [name for m in delivery.mlc for bank in "AB" for name in m.leaf_names(bank)]
    return LogPicture(delivery, samples, grid, angle_deg, meterset_mu, tuple(names))


@dataclass(frozen=True, eq=False)
class Seen:
    """A portal image made coarse to about the grid's step, ready to be looked up at any point."""

    values: Array
    known: Array
    """1 where a pixel says what came through, 0 where it does not."""
    step_mm: tuple[float, float]
    """(row, column), at the isocenter plane."""
    center_px: tuple[float, float]

    def on(self, picture: LogPicture, placement: Placement) -> tuple[Array, BoolArray]:
        """The image at the grid's points, and where it says anything; `(rows, columns)` each."""
        from scipy.ndimage import map_coordinates

        rows_mm = picture.grid.y_edges_mm
        # A row is looked up at several heights and averaged, so that no pixel is left out.
        parts = (np.arange(ROWS_TOGETHER) + 0.5) / ROWS_TOGETHER
        heights_mm = (rows_mm[:-1, np.newaxis] + np.diff(rows_mm)[:, np.newaxis] * parts).ravel()
        x_mm, y_mm = placement.of(*np.meshgrid(picture.grid.x_mm, heights_mm))
        angle = np.deg2rad(picture.collimator_deg)
        u_mm = x_mm * np.cos(angle) - y_mm * np.sin(angle)
        v_mm = x_mm * np.sin(angle) + y_mm * np.cos(angle)
        at = np.stack(
            [
                self.center_px[0] - v_mm / self.step_mm[0],
                self.center_px[1] + u_mm / self.step_mm[1],
            ]
        )
        known = map_coordinates(self.known, at, order=1, mode="constant", cval=0.0) > 0.999
        values = map_coordinates(self._spline, at, order=3, prefilter=False)
        shape = len(rows_mm) - 1, ROWS_TOGETHER, -1
        return values.reshape(shape).mean(axis=1), known.reshape(shape).all(axis=1)

    @cached_property
    def _spline(self) -> Array:
        from scipy.ndimage import spline_filter

        return np.asarray(spline_filter(self.values, order=3))


def seen(image: PortalImage, step_mm: float) -> Seen:
    """A portal image, averaged over blocks no larger than `step_mm` at the isocenter plane.

    Raises `AnalysisError` where no length is known, or no pixel holds a number.
    """
    if image.sid_mm is None:
        raise AnalysisError("the image does not say its distance (SID): no length is known")
    pixel_mm = [spacing / image.magnification for spacing in image.spacing_mm]
    blocks = [max(1, int(step_mm / size + 1e-6)) for size in pixel_mm]
    values = np.asarray(image.values, np.float64)
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0.0:
        raise AnalysisError("the image shows nothing: all pixels are equal, or none is a number")
    full = values == values[known].max()
    if full.mean() > PLATEAU_SHARE:
        known &= ~full
    rows, columns = (n // block * block for n, block in zip(values.shape, blocks, strict=True))
    shape = rows // blocks[0], blocks[0], columns // blocks[1], blocks[1]
    whole = np.where(known, values, 0.0)[:rows, :columns].reshape(shape)
    coarse: Array = np.mean(whole, axis=(1, 3), dtype=np.float64)
    all_known = known[:rows, :columns].reshape(shape).all(axis=(1, 3))
    center_px = [
        (center - (block - 1) / 2.0) / block
        for center, block in zip(image.center_px, blocks, strict=True)
    ]
    return Seen(
        coarse,
        np.asarray(all_known, np.float64),
        (pixel_mm[0] * blocks[0], pixel_mm[1] * blocks[1]),
        (center_px[0], center_px[1]),
    )


def exposure(maps: Maps, picture: LogPicture) -> Array:
    """For what share of the meterset each leaf's edge bounds the field, `(leaves,)`."""
    shares, banks = [], iter(maps.banks)
    for weights in picture.shares:
        rows = weights.sum(axis=1)
        for _ in "AB":
            edge = np.abs(next(banks)).sum(axis=1) * np.diff(picture.grid.x_edges_mm)[0]
            total = weights @ edge
            shares.append(total / np.maximum(rows, 1e-9) / picture.meterset_mu)
    return np.concatenate(shares)


def leaf_errors_mm(delivery: Delivery, samples: slice) -> Array:
    """Each leaf's error by the log itself, actual minus expected, mean over the meterset.

    `(leaves,)`; NaN where the log does not say where the leaf was wanted.
    """
    found: list[Array] = []
    weight = delivery.weight
    assert weight is not None, "the log has a dose, or it would have no picture"
    rise = np.maximum(np.diff(weight.actual[samples], prepend=weight.actual[samples][:1]), 0.0)
    for layer in delivery.mlc:
        for axis in (layer.bank_a_mm, layer.bank_b_mm):
            error_mm = np.subtract(axis.actual[samples], axis.expected[samples], dtype=np.float64)
            found.append(np.asarray(np.average(error_mm, axis=0, weights=rise)))
    return np.concatenate(found)
