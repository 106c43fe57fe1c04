"""Tables that are read between their points and never beyond them.

Linear between points, in SSD, diameter and half-value layer.  Outside there is
no value: the error says along which axis and by how much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analyzers.numerics.kv_numbers import Floats


class OutsideTable(ValueError):  # noqa: N818 - reads as what is the case
    """A value that the table does not reach: `axis`, `value`, and the ends `low` and `high`."""

    def __init__(self, axis: str, value: float, low: float, high: float, where: str = "") -> None:
        self.axis, self.value, self.low, self.high = axis, value, low, high
        at = f" at {where}" if where else ""
        if math.isnan(value):
            super().__init__(f"{axis} is not a number: the table{at} is from {low:g} to {high:g}")
            return
        side = "below" if value < low else "above"
        super().__init__(
            f"{axis} {value:.6g} is {self.by:.6g} {side} the table{at}, "
            f"which is from {low:g} to {high:g}"
        )

    @property
    def by(self) -> float:
        """How far outside, positive, in the unit of the axis."""
        return self.low - self.value if self.value < self.low else self.value - self.high


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Name with unit ("HVL (mm Al)") and points `(n,)`, n >= 1, rising.

    ValueError: no points, points that do not rise or are not finite.
    """

    name: str
    points: Floats

    def __post_init__(self) -> None:
        points = np.array(self.points, np.float64)
        if points.ndim != 1 or not points.size or not np.isfinite(points).all():
            raise ValueError(f"{self.name}: a plain list of numbers is needed")
        if (np.diff(points) <= 0.0).any():
            raise ValueError(f"{self.name}: the points must rise, each once")
        points.setflags(write=False)
        object.__setattr__(self, "points", points)

    def weights(self, value: float, where: str = "") -> tuple[tuple[int, float], ...]:
        """The points to read and their weights: one on a point, two between.

        `OutsideTable`: beyond the first or last point, or NaN.
        """
        points = self.points
        if not points[0] <= value <= points[-1]:
            raise OutsideTable(self.name, value, float(points[0]), float(points[-1]), where)
        upper = int(np.searchsorted(points, value))
        if points[upper] == value:
            return ((upper, 1.0),)
        share = float((value - points[upper - 1]) / (points[upper] - points[upper - 1]))
        return ((upper - 1, 1.0 - share), (upper, share))


@dataclass(frozen=True, slots=True, eq=False)
class GridTable:
    """Values over one axis or more, shape the points of each; read multilinearly.

    ValueError: a shape that is not that of the axes, a value that is not finite.
    """

    axes: tuple[Axis, ...]
    values: Floats

    def __post_init__(self) -> None:
        values = np.array(self.values, np.float64)
        shape = tuple(len(axis.points) for axis in self.axes)
        if values.shape != shape or not shape:
            raise ValueError(f"the table has the shape {values.shape}, its axes {shape}")
        if not np.isfinite(values).all():
            raise ValueError("the table holds a value that is not a number")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def at(self, *where: float, within: str = "") -> float:
        """The value at one number for each axis.  `OutsideTable`: beyond the ends of an axis.

        `within` is told with the error: which part of a larger table this is.
        """
        if len(where) != len(self.axes):
            raise ValueError(f"{len(where)} numbers for a table of {len(self.axes)} axes")
        value = self.values
        for axis, at in zip(self.axes, where, strict=True):
            read = axis.weights(at, within)
            value = np.asarray(sum(weight * value[point] for point, weight in read))
        return float(value)


@dataclass(frozen=True, slots=True, eq=False)
class LayeredTable:
    """Tables stacked along an axis, each with points of its own: B_w by SSD, where each SSD has
    its own diameters.

    Between two layers both must reach the point; on a layer, that layer alone.
    ValueError: layers and points that differ in number, layers whose axes differ in name.
    """

    axis: Axis
    layers: tuple[GridTable, ...]

    def __post_init__(self) -> None:
        if len(self.layers) != len(self.axis.points):
            raise ValueError(
                f"{len(self.layers)} layers for {len(self.axis.points)} points of {self.axis.name}"
            )
        names = {tuple(axis.name for axis in layer.axes) for layer in self.layers}
        if len(names) != 1:
            raise ValueError(f"the layers differ in their axes: {sorted(names)}")

    def at(self, layer_at: float, *where: float) -> float:
        """The value at a point; `OutsideTable` names the axis, and the layer that ends too soon."""
        return sum(
            weight
            * self.layers[layer].at(*where, within=f"{self.axis.name} {self.axis.points[layer]:g}")
            for layer, weight in self.axis.weights(layer_at)
        )


def line(name: str, points: ArrayLike, values: ArrayLike) -> GridTable:
    """A table over one axis: `(n,)` points that rise, `(n,)` values."""
    return GridTable((Axis(name, np.asarray(points)),), np.asarray(values, np.float64))


def layered(
    axis: tuple[str, Sequence[float]],
    inner: tuple[str, str],
    layers: Sequence[tuple[Sequence[float], Sequence[float], ArrayLike]],
) -> LayeredTable:
    """A layered table of two inner axes; each layer is (points, points, values of that shape)."""
    return LayeredTable(
        Axis(axis[0], np.asarray(axis[1])),
        tuple(
            GridTable(
                (Axis(inner[0], np.asarray(first)), Axis(inner[1], np.asarray(second))),
                np.asarray(values, np.float64),
            )
            for first, second, values in layers
        ),
    )
