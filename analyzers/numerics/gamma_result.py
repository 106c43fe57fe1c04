"""A gamma map and all that is reported of it.

The pass rate alone hides offsets and is raised by noise in the evaluated distribution, so the
signed dose difference, the spread of gamma and where it fails always come with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.gamma_criteria import GammaCriteria

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
Indices = NDArray[np.int64]

PASSES = 1.0 + 1e-12
"""The criterion is gamma <= 1; the rest is rounding."""
HISTOGRAM_EDGES = np.append(np.arange(21) / 10, np.inf)
"""Of the bins of `GammaResult.histogram`; each holds its upper edge and not its lower one."""
NORMAL_95 = 1.959964
"""Two-sided 95 % of the normal distribution."""
FEWEST_BLOCKS = 4


@dataclass(frozen=True)
class Distribution:
    """One of the two distributions: which it was, and its grid."""

    name: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    first_mm: tuple[float, ...]
    """Position of its first point; the first point of the reference is the origin."""

    def __str__(self) -> str:
        """Name and grid."""
        points = " x ".join(str(size) for size in self.shape)
        spacing = " x ".join(f"{mm:g}" for mm in self.spacing_mm)
        return f"{self.name} ({points} points every {spacing} mm)"


@dataclass(frozen=True)
class FailingRegion:
    """Neighboring points (across faces, not corners) that fail."""

    points: int
    low_mm: tuple[float, ...]
    """Box around the points, from the first point of the reference."""
    high_mm: tuple[float, ...]
    worst: float
    mean_dose_difference_percent: float
    """Evaluated minus reference, in percent of the normalization."""


@dataclass(frozen=True, eq=False)
class GammaResult:
    """A gamma map, its statistics, and what it was computed from and with."""

    reference: Distribution
    """Judged at its own points, never interpolated."""
    evaluated: Distribution
    """Searched, linear between its points along each axis."""
    criteria: GammaCriteria
    normalization: float
    """In the unit of the reference: as in the criteria, else the maximum of the reference."""
    map: Floats
    """Shape of the reference; NaN below the threshold; no value above `max_gamma`."""
    dose_difference_percent: Floats
    """Evaluated minus reference at the judged points, in percent of the normalization; NaN below
    the threshold and outside the evaluated grid."""
    border_points: int
    """Points whose search region (`max_gamma` x distance) leaves the evaluated grid.

    They are judged on the part that is there.
    """
    outside_points: int
    """Of these, points outside the evaluated grid; with nothing in reach they fail at `max_gamma`.
    """
    unproven_points: int
    """Points whose gamma may be too high: all where no proof was asked for, else the few where it
    would have taken too long, beside doses larger than all others by powers of ten."""

    @property
    def certified(self) -> bool:
        """Whether all of it is proven to `criteria.tolerance`; else it is for screening only."""
        return self.unproven_points == 0

    @property
    def points(self) -> int:
        """Reference points at or above the threshold; never 0."""
        return len(self._gamma)

    @cached_property
    def passed(self) -> int:
        """Points with gamma <= 1."""
        return int(np.count_nonzero(self._gamma <= PASSES))

    @property
    def pass_percent(self) -> float:
        """Points with gamma <= 1, in percent of the judged points."""
        return 100.0 * self.passed / self.points

    @cached_property
    def pass_interval_percent(self) -> tuple[float, float]:
        """95 % confidence interval of the pass rate, see `rate_interval`.

        Points closer than twice the distance criterion pass or fail on the same part of the
        evaluated dose: that is the smallest block.
        """
        judged = np.nonzero(~np.isnan(self.map))
        block = [
            max(1, round(2 * self.criteria.distance_mm / mm)) for mm in self.reference.spacing_mm
        ]
        sides = [index // points for index, points in zip(judged, block, strict=True)]
        low, high = rate_interval(self._gamma <= PASSES, sides)
        return 100.0 * low, 100.0 * high

    @cached_property
    def mean(self) -> float:
        """Mean gamma."""
        return float(self._gamma.mean())

    @property
    def median(self) -> float:
        """The smallest gamma that half of the points do not exceed."""
        return self._percentiles[0]

    @property
    def percentile_95(self) -> float:
        """The smallest gamma that 95 % of the points do not exceed."""
        return self._percentiles[1]

    @property
    def percentile_99(self) -> float:
        """The smallest gamma that 99 % of the points do not exceed."""
        return self._percentiles[2]

    @cached_property
    def maximum(self) -> float:
        """The largest gamma, `max_gamma` at most."""
        return float(self._gamma.max())

    @cached_property
    def histogram(self) -> Counts:
        """Points by gamma, in the bins between `HISTOGRAM_EDGES`; on an edge, in the lower bin."""
        edges = np.where(HISTOGRAM_EDGES == 1.0, PASSES, HISTOGRAM_EDGES)[1:-1]
        bins = np.searchsorted(edges, self._gamma, side="left")
        return np.bincount(bins, minlength=len(edges) + 1)

    @cached_property
    def mean_dose_difference_percent(self) -> float:
        """Evaluated minus reference, in percent of the normalization, over the judged points inside
        the evaluated grid; NaN if none is inside."""
        difference = self.dose_difference_percent
        inside = difference[~np.isnan(difference)]
        return float(inside.mean()) if inside.size else math.nan

    @cached_property
    def failing_regions(self) -> tuple[FailingRegion, ...]:
        """Where gamma is above 1, the region of most points first."""
        from scipy import ndimage

        failing = self.map > PASSES
        label, count = ndimage.label(failing)
        if not count:
            return ()
        region, every = label[failing], np.arange(1, count + 1)
        points = np.bincount(region)[1:]
        worst = ndimage.maximum(self.map[failing], region, every)
        difference = self.dose_difference_percent[failing]
        known = ~np.isnan(difference)
        inside = np.bincount(region[known], minlength=count + 1)[1:]
        total = np.bincount(region[known], difference[known], count + 1)[1:]
        boxes = ndimage.find_objects(label)
        return tuple(
            FailingRegion(
                int(points[n]),
                *self._corners_mm(boxes[n]),
                float(worst[n]),
                float(total[n] / inside[n]) if inside[n] else math.nan,
            )
            for n in np.argsort(-points, kind="stable")
        )

    @cached_property
    def _gamma(self) -> Floats:
        return self.map[~np.isnan(self.map)]

    @cached_property
    def _percentiles(self) -> tuple[float, float, float]:
        median, percentile_95, percentile_99 = np.percentile(
            self._gamma, [50, 95, 99], method="inverted_cdf"
        )
        return float(median), float(percentile_95), float(percentile_99)

    def _corners_mm(self, box: tuple[slice, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        sides = list(zip(box, self.reference.spacing_mm, strict=True))
        return (
            tuple(side.start * mm for side, mm in sides),
            tuple((side.stop - 1) * mm for side, mm in sides),
        )

    def __str__(self) -> str:
        """What must be said with a pass rate, in one paragraph."""
        criteria, (low, high) = self.criteria, self.pass_interval_percent
        origin = "maximum of the reference" if criteria.normalization is None else "as stated"
        above = 100.0 * int(np.count_nonzero(self._gamma > 1.5)) / self.points
        difference = self.mean_dose_difference_percent
        offset = "not known" if math.isnan(difference) else f"{difference:+.2f} %"
        proof = (
            f"within {criteria.tolerance:g} of the true minimum"
            if self.certified
            else f"NOT certified at {self.unproven_points} points, for screening only"
        )
        return (
            f"{self.map.ndim}-D gamma, {criteria} of the normalization {self.normalization:.4g} "
            f"({origin}); reference {self.reference}, evaluated {self.evaluated}, linear between "
            f"its points. {self.passed} of {self.points} points pass, "
            # Rounded down: 94.996 % is not 95 %.
            f"{math.floor(100 * self.pass_percent) / 100:.2f} % (95 % confidence {low:.1f} to "
            f"{high:.1f} %); mean {self.mean:.3f}, median {self.median:.3f}, 95th and 99th "
            f"percentile {self.percentile_95:.3f} and {self.percentile_99:.3f}, largest "
            f"{self.maximum:.3f} of at most {criteria.max_gamma:g}, {above:.2f} % above 1.5. Mean "
            f"dose difference {offset}. {self.border_points} points reach over the border of the "
            f"evaluated grid, {self.outside_points} are outside it. Gamma is {proof}."
        )


def rate_interval(passes: Flags, sides: Sequence[Indices]) -> tuple[float, float]:
    """95 % confidence interval of the share of points that pass, neighbors not independent.

    `sides` is the block that each point is in, axis by axis.  The variance of the share between
    blocks (ratio estimator of cluster samples, Cochran 1977, chapter 9A) says how many independent
    points would know it as well.  Blocks are doubled as long as there are `FEWEST_BLOCKS`, and the
    largest variance counts, so that patterns wider than a block are not taken for many samples; the
    result goes into Wilson's interval (1927), with Student's t for the number of blocks.  Where all
    points pass or all fail the variance is not known, and a block counts as one point.
    """
    from scipy.special import stdtrit

    points, rate = len(passes), float(np.count_nonzero(passes)) / len(passes)
    weight, scale = 0.0, 1
    while True:
        size, residual = _blocks(passes, [side // scale for side in sides], rate)
        if scale > 1 and len(size) < FEWEST_BLOCKS:
            break
        effect = most = float((size**2).sum()) / points
        spread = NORMAL_95
        if 0 < rate < 1 and len(size) > 1:
            spread = float(stdtrit(len(size) - 1, 0.975))
            variance = float((residual**2).sum()) * len(size) / (len(size) - 1) / points**2
            # Points that alternate more evenly than chance are not more than independent.
            least = 1.0 if scale == 1 else 0.0
            effect = min(max(variance * points / (rate * (1 - rate)), least), most)
        weight = max(weight, spread**2 * effect / points)
        if not 0 < rate < 1:
            break
        scale *= 2
    middle = (rate + weight / 2) / (1 + weight)
    half = math.sqrt(weight * rate * (1 - rate) + (weight / 2) ** 2) / (1 + weight)
    # Rounding must not move an end across the rate itself.
    return min(max(middle - half, 0.0), rate), max(min(middle + half, 1.0), rate)


def _blocks(passes: Flags, sides: Sequence[Indices], rate: float) -> tuple[Floats, Floats]:
    """Points in each block, and how many more pass than would at the rate of all."""
    block = np.ravel_multi_index(tuple(sides), [int(side.max()) + 1 for side in sides])
    size = np.bincount(block).astype(np.float64)
    more = np.bincount(block, passes) - rate * size
    return size[size > 0], more[size > 0]
