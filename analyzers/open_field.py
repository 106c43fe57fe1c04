"""What was open while the beam was on, and the fluence that came through, from a `Delivery`.

Leaves and jaws are taken in the frame of the collimator, IEC 61217, mm at the isocenter plane.  A
fluence is the mean open meterset over a pixel, in MU, or in percent of the planned meterset where a
log has no MU: exact for straight motion between samples
(`numerics.fluence`), transmission and leaf ends left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzers.core import AnalysisError, NotApplicable
from analyzers.field_shape import State
from analyzers.numerics.fluence import delivered_fluence, open_area_mu_mm2
from analyzers.numerics.fluence_bounds import open_bounds_mm
from analyzers.numerics.fluence_rotation import Turned, turned_fluence
from analyzers.numerics.fluence_sectors import Cuts, cuts_at, ranges_of
from analyzers.records import Axis, Delivery, MlcLayer, delivers

Array = NDArray[np.float64]

BEYOND_MM = 1000.0
"""Where a jaw stands that the machine does not have; nothing that is logged reaches so far."""
OUT_OF_THE_WAY_MM = 250.0
"""So far from the axis the primary collimator ends the beam: no leaf is where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """The opening over the samples of one beam; `left_mm` and `right_mm` are `(samples, rows)`."""

    interval_s: float
    meterset_mu: Array
    left_mm: Array
    right_mm: Array
    leaf_edges_mm: Array
    jaw_x_mm: Array | None
    jaw_y_mm: Array | None
    collimator_deg: Array | None

    def area_mu_mm2(self) -> float:
        """Open area times meterset, over the whole beam."""
        return float(
            open_area_mu_mm2(
                self.meterset_mu,
                self.left_mm,
                self.right_mm,
                self.leaf_edges_mm,
                jaw_x_mm=self.jaw_x_mm,
                jaw_y_mm=self.jaw_y_mm,
            )
        )

    def bounds_mm(self, wider_mm: float = 0.0) -> tuple[float, float, float, float] | None:
        """A box around all that was open with the beam on: x, x, y, y; or None.

        It holds both ends of each interval in which a pair is open at any time, also between the
        samples: where its two leaves pass each other, or a slit between the jaws.  Pairs at most
        `wider_mm` apart do not count.
        """
        return open_bounds_mm(
            self.left_mm,
            self.right_mm - wider_mm,
            self.leaf_edges_mm,
            self.jaw_x_mm,
            self.jaw_y_mm,
            np.flatnonzero(delivers(self.meterset_mu, self.interval_s)[1:]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Pixel edges in mm; a map on it has the shape `(rows, columns)`, y first."""

    x_edges_mm: Array
    y_edges_mm: Array

    @classmethod
    def around(
        cls,
        bounds_mm: Sequence[tuple[float, float, float, float]],
        spacing_mm: tuple[float, float],
        margin_mm: float,
    ) -> Grid:
        """A grid around all the boxes, its edges at multiples of the spacing `(y, x)`."""
        boxes = np.array(bounds_mm)

        def edges(low_mm: float, high_mm: float, spacing: float) -> Array:
            first = np.floor((low_mm - margin_mm) / spacing)
            last = np.ceil((high_mm + margin_mm) / spacing)
            return np.arange(first, last + 1) * spacing

        return cls(
            edges(boxes[:, 0].min(), boxes[:, 1].max(), spacing_mm[1]),
            edges(boxes[:, 2].min(), boxes[:, 3].max(), spacing_mm[0]),
        )

    @property
    def x_mm(self) -> Array:
        """Centers of the columns."""
        return (self.x_edges_mm[:-1] + self.x_edges_mm[1:]) / 2

    @property
    def y_mm(self) -> Array:
        """Centers of the rows."""
        return (self.y_edges_mm[:-1] + self.y_edges_mm[1:]) / 2


def opening(delivery: Delivery, samples: slice, state: State) -> Opening:
    """The opening in one state, expected or actual, over some samples.

    Beyond the outermost leaves nothing shields but the jaws: on a side where the machine has a y
    jaw that opens farther than the leaves reach, a row is added whose leaves are out of the way.
    What the log has only as it was (jaws, collimator, meterset of some) is the same in both states.
    Raises `NotApplicable` where it has no dose, `AnalysisError` where a value is missing.
    """
    weight = delivery.weight
    if weight is None:
        raise NotApplicable("the log has no dose: neither MU nor a share of the planned meterset")
    meterset_mu = _taken(weight, samples, state)
    collimator = delivery.collimator_deg
    jaw_x_mm = _jaws_mm(delivery.jaw_x1_mm, delivery.jaw_x2_mm, samples, state)
    jaw_y_mm = _jaws_mm(delivery.jaw_y1_mm, delivery.jaw_y2_mm, samples, state)
    edges_mm, rows = _common_rows(delivery.mlc)
    left_mm, right_mm = [], []
    for layer, row in zip(delivery.mlc, rows, strict=True):
        left_mm.append(_position_mm(layer.bank_b_mm, samples, state)[:, row])
        right_mm.append(_position_mm(layer.bank_a_mm, samples, state)[:, row])
    free = _free_rows(jaw_y_mm, edges_mm)
    pairs = (0, 0), free
    return Opening(
        delivery.interval_s,
        # The controller takes expected meterset back when a beam is interrupted: what counts is
        # what was left in the end.
        np.minimum.accumulate(meterset_mu[::-1])[::-1],
        np.pad(np.maximum.reduce(left_mm), pairs, constant_values=-OUT_OF_THE_WAY_MM),
        np.pad(np.minimum.reduce(right_mm), pairs, constant_values=OUT_OF_THE_WAY_MM),
        np.pad(edges_mm, free, constant_values=(-BEYOND_MM, BEYOND_MM)),
        jaw_x_mm,
        jaw_y_mm,
        None if collimator is None else np.unwrap(_taken(collimator, samples, state), period=360.0),
    )


def _taken(axis: Axis, samples: slice, state: State) -> Array:
    values = np.asarray(state(axis)[samples], dtype=np.float64)
    if not np.isfinite(values).all():
        raise AnalysisError("a leaf, a jaw, the collimator or the meterset has no value")
    return values


def _position_mm(axis: Axis, samples: slice, state: State) -> Array:
    values_mm = _taken(axis, samples, state)
    farthest_mm = np.abs(values_mm).max(initial=0.0)
    if farthest_mm > BEYOND_MM:
        # No machine: a grid around it would take all the memory there is.
        raise AnalysisError(f"a leaf or a jaw stands {farthest_mm:.3g} mm off the axis")
    return values_mm


def _jaws_mm(lower: Axis | None, upper: Axis | None, samples: slice, state: State) -> Array | None:
    """Both jaws, (samples, 2), None where the machine has neither."""
    sides = [
        np.full(1, far_mm) if axis is None else _position_mm(axis, samples, state)
        for axis, far_mm in ((lower, -BEYOND_MM), (upper, BEYOND_MM))
    ]
    if lower is None and upper is None:
        return None
    return np.column_stack(np.broadcast_arrays(*sides))


def _free_rows(jaw_y_mm: Array | None, edges_mm: Array) -> tuple[int, int]:
    """How many rows without leaves, 0 or 1, the y jaws open below and above all leaves."""
    if jaw_y_mm is None:
        return 0, 0
    low_mm, high_mm = jaw_y_mm[:, 0].min(), jaw_y_mm[:, 1].max()
    # Where one of the two jaws does not exist, nothing is known beyond the leaves on its side.
    below = -BEYOND_MM < low_mm < edges_mm[0]
    return int(below), int(edges_mm[-1] < high_mm < BEYOND_MM)


def _common_rows(layers: Sequence[MlcLayer]) -> tuple[Array, list[NDArray[np.intp]]]:
    """Rows so thin that each lies under one leaf of every layer: edges, and whose leaf by layer.

    What is open is open in all layers, so nothing is open beyond the shortest of them.
    """
    edges_mm = np.unique(np.concatenate([layer.leaf_edges_mm for layer in layers]))
    first_mm = max(layer.leaf_edges_mm[0] for layer in layers)
    last_mm = min(layer.leaf_edges_mm[-1] for layer in layers)
    edges_mm = edges_mm[(edges_mm >= first_mm) & (edges_mm <= last_mm)].astype(np.float64)
    rows = [
        np.searchsorted(layer.leaf_edges_mm, edges_mm[:-1], side="right") - 1 for layer in layers
    ]
    return edges_mm, rows


def fluence_mu(opening: Opening, grid: Grid) -> Array:
    """The fluence in the frame of the collimator."""
    return np.asarray(
        delivered_fluence(
            opening.meterset_mu,
            opening.left_mm,
            opening.right_mm,
            opening.leaf_edges_mm,
            x_edges_mm=grid.x_edges_mm,
            y_edges_mm=grid.y_edges_mm,
            jaw_x_mm=opening.jaw_x_mm,
            jaw_y_mm=opening.jaw_y_mm,
        )
    )


def sectors(opening: Opening, step_deg: float) -> list[tuple[float, Opening]]:
    """The opening cut by collimator angle: mean angle, and what was delivered in that sector.

    Sectors are centered on multiples of the step.  Where the collimator turns between two fields
    only the creep is left out.
    """
    turn_deg = opening.collimator_deg
    if turn_deg is None:
        return [(0.0, opening)]
    ends = np.round(turn_deg.min() / step_deg) - 1.5, np.round(turn_deg.max() / step_deg) + 2.0
    edges_deg = np.arange(*ends) * step_deg
    cuts = cuts_at(turn_deg, edges_deg)
    path_deg = cuts.into(turn_deg)
    sector = ranges_of(path_deg, edges_deg)
    middle_deg = (path_deg[:-1] + path_deg[1:]) / 2
    cut = _cut(opening, cuts)
    increment_mu = np.diff(cut.meterset_mu)
    rises = increment_mu > 0.0
    with_beam = delivers(opening.meterset_mu, opening.interval_s)[1:]
    with_beam = np.insert(with_beam, cuts.after, with_beam[cuts.after])
    found = []
    for number in np.unique(sector[with_beam & rises]):
        pieces = np.flatnonzero((sector == number) & rises)
        angle_deg = float(np.average(middle_deg[pieces], weights=increment_mu[pieces]))
        found.append((angle_deg, _only(cut, pieces)))
    return found


def _cut(opening: Opening, cuts: Cuts) -> Opening:
    """With samples at the cuts; from there on, any rise of the meterset counts."""

    def into(values: Array) -> Array:
        return cuts.into(values.T).T

    return Opening(
        0.0,
        into(opening.meterset_mu),
        into(opening.left_mm),
        into(opening.right_mm),
        opening.leaf_edges_mm,
        None if opening.jaw_x_mm is None else into(opening.jaw_x_mm),
        None if opening.jaw_y_mm is None else into(opening.jaw_y_mm),
        None,
    )


def _only(opening: Opening, intervals: NDArray[np.intp]) -> Opening:
    """These intervals one after the other; where some were between, without meterset."""
    samples = np.union1d(intervals, intervals + 1)
    increment_mu = np.diff(opening.meterset_mu)[samples[:-1]]
    increment_mu[~np.isin(samples[:-1], intervals)] = 0.0
    return replace(
        opening,
        meterset_mu=np.append(0.0, np.cumsum(increment_mu)),
        left_mm=opening.left_mm[samples],
        right_mm=opening.right_mm[samples],
        jaw_x_mm=None if opening.jaw_x_mm is None else opening.jaw_x_mm[samples],
        jaw_y_mm=None if opening.jaw_y_mm is None else opening.jaw_y_mm[samples],
    )


def rotated_bounds_mm(opening: Opening, step_deg: float) -> list[tuple[float, float, float, float]]:
    """The box around each sector's opening, in the frame of the gantry."""
    boxes = []
    for angle_deg, part in sectors(opening, step_deg):
        box = part.bounds_mm()
        if box is not None:
            x_mm, y_mm = _turned(
                np.array(box)[[0, 0, 1, 1]], np.array(box)[[2, 3, 2, 3]], angle_deg
            )
            boxes.append((x_mm.min(), x_mm.max(), y_mm.min(), y_mm.max()))
    return boxes


def rotated_fluence_mu(
    opening: Opening, grid: Grid, spacing_mm: tuple[float, float], step_deg: float
) -> Array:
    """The fluence in the frame of the gantry.

    The grid is turned, not the leaves: each sector is computed in the frame of the collimator, on
    a grid of `spacing_mm` (y, x), and spread over the pixels by area of overlap.  Nothing is lost
    on a grid that holds all of `rotated_bounds_mm` and a pixel more.
    """

    def parts() -> Iterator[Turned]:
        for angle_deg, part in sectors(opening, step_deg):
            box = part.bounds_mm()
            if box is not None:
                own = Grid.around([box], spacing_mm, margin_mm=0.0)
                yield Turned(fluence_mu(part, own), own.x_edges_mm, own.y_edges_mm, angle_deg)

    edges_mm = {"to_x_edges_mm": grid.x_edges_mm, "to_y_edges_mm": grid.y_edges_mm}
    return np.asarray(turned_fluence(parts(), **edges_mm))


def _turned(x_mm: Array, y_mm: Array, angle_deg: float) -> tuple[Array, Array]:
    """Points of the collimator frame in the gantry frame: positive counterclockwise from above."""
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return x_mm * cosine - y_mm * sine, x_mm * sine + y_mm * cosine
