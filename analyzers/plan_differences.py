"""Differences of positions from the plan, over samples that `plan_following` has put beside it.

In the delivery given here, expected is the plan, and actual what is held against it: what the axes
did, or what the controller was told.  IEC 61217, mm and degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers import plan_metrics as of
from analyzers.core import AnalysisError, Measurement, Metric
from analyzers.field_shape import shaping_leaves
from analyzers.numerics.statistics import angle_difference_deg, rms
from analyzers.records import Axis, BoolArray, Delivery


@dataclass(frozen=True, slots=True, eq=False)
class _Leaves:
    """The leaves that shape the field, in the plan or in the log; `error_mm` (samples, leaves)."""

    names: list[str]
    in_bank_a: BoolArray
    error_mm: NDArray[np.float64]


def differences(seen: Delivery, at: str | None) -> list[Measurement]:
    """What the axes did against the plan; an axis that log or plan lacks is left out.

    Raises `AnalysisError` where a position is not a number.
    """
    found = [*_leaf_differences(_shaping(seen), at)]
    gantry_deg = _turned(seen.gantry_deg, "gantry")
    if gantry_deg is not None:
        found.append(of.GANTRY_LARGEST_ERROR.measured(np.abs(gantry_deg).max(), at=at))
        found.append(of.GANTRY_RMS_ERROR.measured(float(rms(gantry_deg)), at=at))
        found.append(of.GANTRY_MEAN_ERROR.measured(float(gantry_deg.mean()), at=at))
    collimator_deg = _turned(seen.collimator_deg, "collimator")
    if collimator_deg is not None:
        found.append(of.COLLIMATOR_LARGEST_ERROR.measured(np.abs(collimator_deg).max(), at=at))
        found.append(of.COLLIMATOR_MEAN_ERROR.measured(float(collimator_deg.mean()), at=at))
    couch_deg = _turned(seen.couch_rotation_deg, "couch")
    if couch_deg is not None:
        found.append(of.COUCH_ROTATION_LARGEST_ERROR.measured(np.abs(couch_deg).max(), at=at))
    return [*found, *_largest(of.JAW_LARGEST_ERROR, _jaws(seen), at)]


def told_differences(told: Delivery, at: str | None) -> list[Measurement]:
    """What the controller was told against the plan; axes without expected values are left out."""
    found = []
    leaves = _shaping(told)
    if leaves is not None:
        leaf_rms_mm = rms(leaves.error_mm, axis=0)
        worst = int(leaf_rms_mm.argmax())
        found.append(
            of.EXPECTED_WORST_LEAF_RMS.measured(
                leaf_rms_mm[worst], at=_named(at, leaves.names[worst])
            )
        )
        median_mm = float(np.median(np.abs(leaves.error_mm)))
        found.append(of.EXPECTED_MEDIAN_LEAF_ERROR.measured(median_mm, at=at))
        mean_mm = _banks(leaves)
        if len(mean_mm) == 2:
            # Of a window that moves, a sample's place in the plan may take half of one bank's error
            # for the other's; what the gap is off by stays.
            mean_mm["gap"] = mean_mm["bank A"] - mean_mm["bank B"]
        found += _furthest(of.EXPECTED_LEAF_MEAN_ERROR, mean_mm, at)
    gantry_deg = _turned(told.gantry_deg, "gantry")
    if gantry_deg is not None:
        found.append(of.EXPECTED_GANTRY_LARGEST_ERROR.measured(np.abs(gantry_deg).max(), at=at))
        found.append(of.EXPECTED_GANTRY_MEAN_ERROR.measured(float(gantry_deg.mean()), at=at))
    for metric, axis, name in (
        (of.EXPECTED_COLLIMATOR_LARGEST_ERROR, told.collimator_deg, "collimator"),
        (of.EXPECTED_COUCH_ROTATION_LARGEST_ERROR, told.couch_rotation_deg, "couch"),
    ):
        error_deg = _turned(axis, name)
        if error_deg is not None:
            found.append(metric.measured(np.abs(error_deg).max(), at=at))
    jaws = _jaws(told)
    jaw_mean_mm = {name: float(error_mm.mean()) for name, error_mm in jaws.items()}
    found += _furthest(of.EXPECTED_JAW_MEAN_ERROR, jaw_mean_mm, at)
    return [*found, *_largest(of.EXPECTED_JAW_LARGEST_ERROR, jaws, at)]


def _shaping(seen: Delivery) -> _Leaves | None:
    names: list[str] = []
    in_bank_a: list[bool] = []
    columns: list[NDArray[np.float64]] = []
    for layer in seen.mlc:
        shaping = shaping_leaves(seen, layer, seen.beam_on)
        banks = (("A", layer.bank_a_mm), ("B", layer.bank_b_mm))
        for row, (bank, axis) in enumerate(banks):
            error_mm = np.subtract(axis.actual, axis.expected, dtype=np.float64)
            unknown = ~np.isfinite(error_mm).all(axis=0)
            if unknown.any():
                name = layer.leaf_names(bank)[int(unknown.argmax())]
                raise AnalysisError(f"leaf {name} has no position with the beam on")
            counted = np.flatnonzero(shaping[row])
            names += [layer.leaf_names(bank)[k] for k in counted]
            in_bank_a += [bank == "A"] * counted.size
            columns.append(error_mm[:, counted])
    if not names:
        return None
    return _Leaves(names, np.array(in_bank_a), np.concatenate(columns, axis=1))


def _leaf_differences(leaves: _Leaves | None, at: str | None) -> list[Measurement]:
    if leaves is None:
        return []
    leaf_rms_mm = rms(leaves.error_mm, axis=0)
    largest_mm = np.abs(leaves.error_mm).max(axis=0)
    mean_mm = leaves.error_mm.mean(axis=0)

    def measured(
        metric: Metric, values: NDArray[np.float64], by: NDArray[np.float64]
    ) -> Measurement:
        worst = int(by.argmax())
        return metric.measured(values[worst], at=_named(at, leaves.names[worst]))

    found = [
        measured(of.WORST_LEAF_RMS, leaf_rms_mm, leaf_rms_mm),
        measured(of.LARGEST_LEAF_ERROR, largest_mm, largest_mm),
        measured(of.LEAF_MEAN_ERROR, mean_mm, np.abs(mean_mm)),
        of.MEDIAN_LEAF_ERROR.measured(float(np.median(np.abs(leaves.error_mm))), at=at),
    ]
    for bank, bank_mm in _banks(leaves).items():
        metric = of.BANK_A_MEAN_ERROR if bank == "bank A" else of.BANK_B_MEAN_ERROR
        found.append(metric.measured(bank_mm, at=at))
    return found


def _banks(leaves: _Leaves) -> dict[str, float]:
    """Mean signed error of each bank that shapes the field."""
    banks = {"bank A": leaves.in_bank_a, "bank B": ~leaves.in_bank_a}
    return {
        name: float(leaves.error_mm[:, bank].mean()) for name, bank in banks.items() if bank.any()
    }


def _turned(axis: Axis | None, name: str) -> NDArray[np.float64] | None:
    """Shortest turn from plan to log; None where either lacks it."""
    if axis is None or not axis.has_expected:
        return None
    return _known(angle_difference_deg(axis.actual, axis.expected), name)


def _jaws(seen: Delivery) -> dict[str, NDArray[np.float64]]:
    """Log minus plan of each jaw that both have."""
    return {
        name: _known(axis.actual - axis.expected, f"jaw {name}")
        for name, axis in seen.jaws_mm.items()
        if axis.has_expected
    }


def _largest(
    metric: Metric, errors: dict[str, NDArray[np.float64]], at: str | None
) -> list[Measurement]:
    return _furthest(
        metric, {name: float(np.abs(error).max()) for name, error in errors.items()}, at
    )


def _furthest(metric: Metric, values: dict[str, float], at: str | None) -> list[Measurement]:
    """The value that is furthest from 0, and whose it is; nothing of nothing."""
    if not values:
        return []
    name = max(values, key=lambda one: abs(values[one]))
    return [metric.measured(values[name], at=_named(at, name))]


def _known(error: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    unknown = int(np.count_nonzero(~np.isfinite(error)))
    if unknown:
        raise AnalysisError(f"{name} has no position in {unknown} samples with the beam on")
    return np.asarray(error)


def _named(at: str | None, name: str) -> str:
    return f"{at} {name}" if at else name
