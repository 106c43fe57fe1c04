"""Leaf trust: how every single leaf follows, delivery by delivery.

Reads any `Delivery` that logs where its leaves were wanted.  An error is actual minus expected
along IEC X, in mm at the isocenter plane, over the samples with the beam on.  Of every leaf: mean
and RMS error; the lag, minus the slope of its error over the speed that was wanted, where it moved
both ways; how its error depends on the signed speed and on its magnitude; and how far it traveled.
A log is the controller's own word: these numbers are kept leaf by leaf, so that they can be held
against images of the same leaf.  Trend-only; `mlc_positions` judges.  The metrics name the worst of
the leaves that shape the field, the table has all.  A log that counts in 0.1 mm, as Elekta's does,
knows speeds in steps of about 1 mm/s alone, which blurs the slopes of slow leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    LeafTable,
    Measurement,
    Metric,
    NotApplicable,
    Settings,
)
from analyzers.field_shape import beam_on_samples, no_leaves, shaping_leaves
from analyzers.numerics.following import following, speed_of
from analyzers.numerics.statistics import rms
from analyzers.records import Axis, BoolArray, Delivery

Array = NDArray[np.float64]
FASTEST_MM_PER_S = 150.0
"""No leaf is faster: what seems to be is a pause that the log does not show."""

LARGEST_MEAN_ERROR = Metric(
    "largest_mean_error", "mm", "Mean signed error of the leaf whose mean error is the largest"
)
WORST_LEAF_RMS = Metric("worst_leaf_rms", "mm", "RMS error of the worst leaf")
LONGEST_LAG = Metric(
    "longest_lag", "ms", "Lag of the leaf that comes latest, or earliest where negative"
)
MEDIAN_LAG = Metric("median_lag", "ms", "Median lag of the leaves that moved both ways")
STEEPEST_SLOPE = Metric(
    "steepest_speed_slope", "s", "Largest slope of a leaf's error over the signed speed"
)
STEEPEST_MAGNITUDE_SLOPE = Metric(
    "steepest_magnitude_slope", "s", "Largest slope of a leaf's error over the speed's magnitude"
)
LONGEST_TRAVEL = Metric("longest_travel", "mm", "Travel of the leaf that moved most")
REVERSING_LEAVES = Metric("reversing_leaves", "1", "Number of leaves that moved both ways")
COUNTED_LEAVES = Metric("counted_leaves", "1", "Number of leaves that shape the field")


class LeafTrustSettings(Settings):
    """Settings of this analyzer."""

    fewest_samples: PositiveInt = 5
    """A beam logged more briefly than this is not looked at."""
    moving_mm_per_s: PositiveFloat = 1.0
    """A leaf that is wanted to go faster than this moves."""
    fewest_moving_samples: PositiveInt = 20
    """A leaf that moves in fewer samples than this, one way, tells nothing of that way."""


@dataclass(frozen=True, slots=True, eq=False)
class _Leaves:
    """All leaves of all layers, A1 … An, B1 … Bn of each in turn; columns of shape `(leaves,)`."""

    names: NDArray[np.str_]
    columns: dict[str, Array]

    @property
    def shaping(self) -> BoolArray:
        return np.asarray(self.columns["shapes_field"] > 0.0)

    def worst(self, metric: Metric, column: str, scale: float = 1.0) -> list[Measurement]:
        """The value of largest magnitude among the leaves that shape the field, with its sign."""
        values = self.columns[column]
        size = np.where(self.shaping & np.isfinite(values), np.abs(values), -1.0)
        leaf = int(size.argmax())
        if size[leaf] < 0.0:
            return []
        return [metric.measured(scale * values[leaf], at=str(self.names[leaf]))]


def analyze(delivery: Delivery, context: Context[LeafTrustSettings]) -> Analysis:
    """Measure every leaf of one delivery."""
    if not delivery.mlc:
        raise no_leaves(delivery, context.machine_class)
    if not all(b.has_expected for m in delivery.mlc for b in (m.bank_a_mm, m.bank_b_mm)):
        raise NotApplicable("the log does not say where the leaves were wanted")
    beam_on = beam_on_samples(delivery, context.settings.fewest_samples)
    leaves = _leaves(delivery, beam_on, context.settings)
    lag_ms = leaves.columns["lag_ms"][leaves.shaping]
    lag_ms = lag_ms[np.isfinite(lag_ms)]
    return Analysis(
        measurements=[
            *leaves.worst(LARGEST_MEAN_ERROR, "mean_error_mm"),
            *leaves.worst(WORST_LEAF_RMS, "rms_error_mm"),
            *leaves.worst(LONGEST_LAG, "lag_ms"),
            *([MEDIAN_LAG.measured(float(np.median(lag_ms)))] if lag_ms.size else []),
            *leaves.worst(STEEPEST_SLOPE, "speed_slope_s"),
            *leaves.worst(STEEPEST_MAGNITUDE_SLOPE, "magnitude_slope_s"),
            *leaves.worst(LONGEST_TRAVEL, "travel_mm"),
            REVERSING_LEAVES.measured(lag_ms.size),
            COUNTED_LEAVES.measured(leaves.shaping.sum()),
        ],
        notes=[] if lag_ms.size else ["no leaf that shapes the field moved both ways: no lag"],
        leaves=LeafTable(leaves.names.tolist(), leaves.columns),
    )


def _leaves(delivery: Delivery, beam_on: BoolArray, settings: LeafTrustSettings) -> _Leaves:
    names: list[str] = []
    banks: list[dict[str, Array]] = []
    for layer in delivery.mlc:
        shaping = shaping_leaves(delivery, layer, beam_on)
        for row, (bank, axis) in enumerate((("A", layer.bank_a_mm), ("B", layer.bank_b_mm))):
            names += layer.leaf_names(bank)
            columns = _columns(axis, beam_on, delivery.interval_s, settings)
            banks.append(columns | {"shapes_field": shaping[row].astype(np.float64)})
    joined = {name: np.concatenate([bank[name] for bank in banks]) for name in banks[0]}
    leaves = _Leaves(np.array(names), joined)
    unknown = ~np.isfinite(leaves.columns["mean_error_mm"])
    if unknown.any():
        raise AnalysisError(f"leaf {leaves.names[unknown][0]} has no position with the beam on")
    return leaves


def _columns(
    axis: Axis, beam_on: BoolArray, interval_s: float, settings: LeafTrustSettings
) -> dict[str, Array]:
    """The numbers of one bank."""
    expected_mm = np.asarray(axis.expected, dtype=np.float64)
    error_mm = np.subtract(axis.actual, expected_mm)[beam_on]
    found = following(
        error_mm,
        speed_of(expected_mm, interval_s)[beam_on],
        moving=settings.moving_mm_per_s,
        fewest=settings.fewest_moving_samples,
        fastest=FASTEST_MM_PER_S,
    )
    step_mm = np.abs(np.diff(expected_mm, axis=0, prepend=expected_mm[:1]))
    return {
        "mean_error_mm": error_mm.mean(axis=0),
        "rms_error_mm": rms(error_mm, axis=0),
        "lag_ms": 1000.0 * found.lag_s,
        "speed_slope_s": found.slope_s,
        "magnitude_slope_s": found.magnitude_slope_s,
        "travel_mm": step_mm[beam_on].sum(axis=0),
        "samples": np.full(error_mm.shape[1], float(len(error_mm))),
    }


ANALYZER = Analyzer(
    name="leaf_trust",
    title="Leaf trust",
    version="1",
    accepts=Delivery,
    settings=LeafTrustSettings,
    metrics=(
        LARGEST_MEAN_ERROR,
        WORST_LEAF_RMS,
        LONGEST_LAG,
        MEDIAN_LAG,
        STEEPEST_SLOPE,
        STEEPEST_MAGNITUDE_SLOPE,
        LONGEST_TRAVEL,
        REVERSING_LEAVES,
        COUNTED_LEAVES,
    ),
    analyze=analyze,
)
