"""Gamma by brute force, independent of our kernels: SciPy interpolates, a 0.1 mm lattice searches.

Around each reference point the evaluated dose is interpolated every 0.1 mm, as far as a smaller
gamma is possible.  The lowest local minima of the lattice are then refined eight times, by three
each time, to 2e-5 mm, and may walk meanwhile: in noise the valleys are narrower than the lattice.
Every value is reached somewhere: it is never below the true minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.bench.gamma_inputs import Floats, Pair

STEP_MM = 0.1
REFINEMENTS, FINER = 8, 3
MOST_MOVES = 30
LEAST_GAIN = 1e-9
"""Of gamma squared, for a place to be moved once more."""
CANDIDATES = 200


@dataclass(frozen=True, eq=False)
class Point:
    """A reference point: where, in cells of the evaluated grid, its dose and its dose criterion."""

    at: Floats
    dose: float
    criterion: float


class BruteForce:
    """Gamma of single points: 3 % / 2 mm, global and at most 2, unless told otherwise."""

    def __init__(
        self,
        pair: Pair,
        dose_percent: float = 3.0,
        distance_mm: float = 2.0,
        max_gamma: float = 2.0,
        step_mm: float = STEP_MM,
        local: bool = False,
    ) -> None:
        self.pair = pair
        self.spacing_mm = np.array(pair.spacing_mm)
        self.last = np.array(pair.evaluated.shape) - 1.0
        unit = pair.reference if local else np.full_like(pair.reference, pair.reference.max())
        self.criterion = dose_percent / 100 * unit
        self.distance_mm = distance_mm
        self.max_gamma = max_gamma
        self.step_mm = step_mm

    def gamma(self, index: tuple[int, ...]) -> float:
        """Of the reference point with this index."""
        at = np.array(index, dtype=float)
        point = Point(at, float(self.pair.reference[index]), float(self.criterion[index]))
        start = float(self._squared(point, np.zeros((1, at.size)))[0])
        reach = min(self.max_gamma, math.sqrt(start))
        # One step more, so that the lattice reaches past the last place of interest.
        steps = math.ceil(reach * self.distance_mm / self.step_mm) + 1
        lattice = _lattice(steps, at.size)
        values = self._squared(point, lattice * self.step_mm)
        places = lattice[_lowest_minima(values, steps, at.size)] * self.step_mm
        best = min([start, *values, self._refined(point, places)])
        return min(math.sqrt(best), self.max_gamma)

    def _squared(self, point: Point, offsets_mm: Floats) -> Floats:
        """Gamma squared if the evaluated dose is taken at these offsets, or as near as there is."""
        cells = np.clip(point.at + offsets_mm / self.spacing_mm, 0, self.last)
        dose = ndimage.map_coordinates(self.pair.evaluated, cells.T, order=1)
        distance = (cells - point.at) * self.spacing_mm / self.distance_mm
        squared: Floats = (distance**2).sum(axis=1) + ((dose - point.dose) / point.criterion) ** 2
        return squared

    def _refined(self, point: Point, places_mm: Floats) -> float:
        """The smallest value near these places: each walks downhill, in ever smaller steps."""
        step_mm, around = self.step_mm, _lattice(FINER, point.at.size)
        values = self._squared(point, places_mm)
        everyone = np.arange(len(places_mm))
        for _ in range(REFINEMENTS):
            step_mm /= FINER
            for _ in range(MOST_MOVES):
                tried_mm = places_mm[:, None] + around * step_mm
                tried = self._squared(point, tried_mm.reshape(-1, point.at.size))
                tried = tried.reshape(len(places_mm), -1)
                best = tried.argmin(axis=1)
                moved = tried[everyone, best] < values - LEAST_GAIN
                places_mm, values = tried_mm[everyone, best], tried[everyone, best]
                if not moved.any():
                    break
        return float(values.min())


def _lattice(steps: int, dimensions: int) -> Floats:
    """All whole-numbered offsets up to `steps` along each axis, the last axis fastest."""
    along = np.arange(-steps, steps + 1, dtype=float)
    return np.stack(np.meshgrid(*[along] * dimensions, indexing="ij"), axis=-1).reshape(
        -1, dimensions
    )


def _lowest_minima(values: Floats, steps: int, dimensions: int) -> NDArray[np.int64]:
    """Where the lattice has its lowest local minima."""
    block = values.reshape([2 * steps + 1] * dimensions)
    minima = np.flatnonzero(block == ndimage.minimum_filter(block, size=3))
    found: NDArray[np.int64] = minima[np.argsort(values[minima])[:CANDIDATES]]
    return found
