"""MLC leaf positions: where the leaves were, against where the controller wanted them.

Reads any `Delivery`, whichever maker's log it came from.  An error is actual minus expected along
IEC X, in mm at the isocenter plane, over the samples with the beam on.  Leaves that shape the field
are judged closely; parked leaves and leaves behind the jaws are reported apart and never averaged
in.  Limits: product defaults from published distributions (Kerns 2014, TrueBeam-class
machines 2022); for parked leaves of Clinacs TG-142's limit for logs.  Of mean errors nothing is
published: their limits are three to eight times the largest of clean real logs (0.04 mm of 35
TrueBeam-class and 3 Clinac logs, 0.08 mm of 4 Elekta logs), those that a bank is held to against
the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Measurement,
    Metric,
    Settings,
    at_most_by_class,
    within_by_class,
)
from analyzers.field_shape import beam_on_samples, judged_share, no_leaves, shaping_leaves
from analyzers.numerics.statistics import rms
from analyzers.records import BoolArray, Delivery

WORST_LEAF_RMS = Metric(
    "worst_leaf_rms",
    "mm",
    "RMS error of the worst leaf that shapes the field",
    at_most_by_class(truebeam=(0.15, 0.35), clinac=(1.0, 1.5), elekta=(0.6, 1.0)),
)
ERROR_P95 = Metric(
    "error_p95",
    "mm",
    "95 % of all errors are below this, over the leaves that shape the field",
    at_most_by_class(truebeam=(0.2, 0.5), clinac=(1.0, 2.0), elekta=(1.0, 2.0)),
)
LARGEST_ERROR = Metric(
    "largest_error",
    "mm",
    "Largest error of any leaf that shapes the field",
    at_most_by_class(truebeam=(0.5, 1.0), clinac=(2.0, 3.5), elekta=(5.0, 8.0)),
)
BANK_MEAN_ERROR = within_by_class(
    truebeam=(0.1, 0.3),
    clinac=(0.3, 0.6),
    elekta=(0.3, 0.6),
    source="product default (from clean real logs of the class)",
)
"""A bank that stands off by a constant is off by less than any leaf may stray for a moment."""
BANK_A_MEAN_ERROR = Metric(
    "bank_a_mean_error", "mm", "Mean signed error of bank A (X2 side)", BANK_MEAN_ERROR
)
BANK_B_MEAN_ERROR = Metric(
    "bank_b_mean_error", "mm", "Mean signed error of bank B (X1 side)", BANK_MEAN_ERROR
)
PARKED_LARGEST_ERROR = Metric(
    "parked_largest_error",
    "mm",
    "Largest error of any leaf that is parked or behind the jaws",
    # A leaf that is off where nothing comes through is off all the same.
    at_most_by_class(truebeam=(0.5, 1.0), clinac=(2.0, 3.5), elekta=(5.0, 8.0)),
)
COUNTED_LEAVES = Metric("counted_leaves", "1", "Number of leaves that shape the field")


class MlcPositionsSettings(Settings):
    """Settings of this analyzer."""

    fewest_samples: PositiveInt = 5
    """A beam logged more briefly than this is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class _Leaves:
    """All leaves of all layers: the columns are A1 … An, B1 … Bn of each layer in turn."""

    names: NDArray[np.str_]
    in_bank_a: BoolArray
    shaping: BoolArray
    error_mm: NDArray[np.float64]
    """Shape `(samples with the beam on, leaves)`."""


def analyze(delivery: Delivery, context: Context[MlcPositionsSettings]) -> Analysis:
    """Measure the leaf errors of one delivery."""
    if not delivery.mlc:
        raise no_leaves(delivery, context.machine_class)
    leaves = _leaves(delivery, beam_on_samples(delivery, context.settings.fewest_samples))

    unknown = ~np.isfinite(leaves.error_mm).all(axis=0)
    if unknown.any():
        raise AnalysisError(f"leaf {leaves.names[unknown][0]} has no position with the beam on")

    leaf_rms_mm = rms(leaves.error_mm, axis=0)
    leaf_largest_mm = np.abs(leaves.error_mm).max(axis=0)
    return Analysis(
        measurements=[
            *_shaping(leaves, leaf_rms_mm, leaf_largest_mm),
            *_parked(leaves, leaf_largest_mm),
            COUNTED_LEAVES.measured(float(leaves.shaping.sum())),
        ],
        traces={
            "leaf_rms_mm": np.where(leaves.shaping, leaf_rms_mm, np.nan),
            "leaf_largest_mm": np.where(leaves.shaping, leaf_largest_mm, np.nan),
            "leaf_counted": leaves.shaping,
        },
        notes=[
            *judged_share(delivery),
            *([] if leaves.shaping.any() else ["no leaf shapes the field: the jaws alone do"]),
        ],
    )


def _leaves(delivery: Delivery, beam_on: BoolArray) -> _Leaves:
    names: list[str] = []
    in_bank_a: list[bool] = []
    shaping: list[BoolArray] = []
    errors_mm: list[NDArray[np.float64]] = []
    for layer in delivery.mlc:
        shaping.extend(shaping_leaves(delivery, layer, beam_on))
        for bank, axis in (("A", layer.bank_a_mm), ("B", layer.bank_b_mm)):
            names += layer.leaf_names(bank)
            in_bank_a += [bank == "A"] * layer.pairs
            errors_mm.append(np.subtract(axis.actual, axis.expected, dtype=np.float64)[beam_on])
    return _Leaves(
        names=np.array(names),
        in_bank_a=np.array(in_bank_a),
        shaping=np.concatenate(shaping),
        error_mm=np.concatenate(errors_mm, axis=1),
    )


def _shaping(
    leaves: _Leaves, leaf_rms_mm: NDArray[np.float64], leaf_largest_mm: NDArray[np.float64]
) -> list[Measurement]:
    if not leaves.shaping.any():
        return []
    worst = np.where(leaves.shaping, leaf_rms_mm, -1.0).argmax()
    furthest = np.where(leaves.shaping, leaf_largest_mm, -1.0).argmax()
    error_mm = leaves.error_mm[:, leaves.shaping]
    return [
        WORST_LEAF_RMS.measured(leaf_rms_mm[worst], at=str(leaves.names[worst])),
        ERROR_P95.measured(np.percentile(np.abs(error_mm), 95)),
        LARGEST_ERROR.measured(leaf_largest_mm[furthest], at=str(leaves.names[furthest])),
        *(
            metric.measured(leaves.error_mm[:, bank].mean())
            for metric, bank in (
                (BANK_A_MEAN_ERROR, leaves.shaping & leaves.in_bank_a),
                (BANK_B_MEAN_ERROR, leaves.shaping & ~leaves.in_bank_a),
            )
            if bank.any()
        ),
    ]


def _parked(leaves: _Leaves, leaf_largest_mm: NDArray[np.float64]) -> list[Measurement]:
    if leaves.shaping.all():
        return []
    furthest = np.where(leaves.shaping, -1.0, leaf_largest_mm).argmax()
    return [
        PARKED_LARGEST_ERROR.measured(leaf_largest_mm[furthest], at=str(leaves.names[furthest]))
    ]


ANALYZER = Analyzer(
    name="mlc_positions",
    title="MLC leaf positions",
    version="1",
    accepts=Delivery,
    settings=MlcPositionsSettings,
    metrics=(
        WORST_LEAF_RMS,
        ERROR_P95,
        LARGEST_ERROR,
        BANK_A_MEAN_ERROR,
        BANK_B_MEAN_ERROR,
        PARKED_LARGEST_ERROR,
        COUNTED_LEAVES,
    ),
    analyze=analyze,
)
