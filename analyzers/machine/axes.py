"""Gantry, collimator, jaws and couch: where they were, against where the controller wanted them.

An error is actual minus expected over the samples with the beam on, rotations by the shortest
way.  The couch's translation is the exception: its expected values mean nothing in real logs, so
its error is the largest excursion of the actual position from where it stood when the sub-beam
began.  An axis of which a log says only where it was is left out.  IEC 61217, degrees and mm.
Limits: product defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from analyzers.core import (
    Analysis,
    AnalysisError,
    Analyzer,
    Context,
    Limits,
    Measurement,
    Metric,
    NotApplicable,
    Settings,
    at_most_by_class,
)
from analyzers.field_shape import beam_on_samples, sub_beam_samples
from analyzers.numerics.statistics import angle_difference_deg, rms
from analyzers.records import Axis, BoolArray, Delivery, FloatArray

GANTRY_LARGEST_ERROR = Metric(
    "gantry_largest_error",
    "deg",
    "Largest error of the gantry angle",
    at_most_by_class(truebeam=(0.3, 0.5), clinac=(0.5, 1.0), elekta=(2.0, 3.0)),
)
GANTRY_RMS_ERROR = Metric(
    "gantry_rms_error",
    "deg",
    "RMS error of the gantry angle",
    at_most_by_class(truebeam=(0.2, 0.5), clinac=(0.5, 1.0), elekta=(0.5, 1.0)),
)
COLLIMATOR_LARGEST_ERROR = Metric(
    "collimator_largest_error",
    "deg",
    "Largest error of the collimator angle",
    at_most_by_class(truebeam=(0.2, 0.5), clinac=(0.5, 1.0)),
)
JAW_LARGEST_ERROR = Metric(
    "jaw_largest_error",
    "mm",
    "Largest error of any jaw",
    at_most_by_class(truebeam=(0.5, 1.0), clinac=(1.0, 2.0), elekta=(4.0, 6.0)),
)
COUCH_ROTATION_LARGEST_ERROR = Metric(
    "couch_rotation_largest_error",
    "deg",
    "Largest error of the couch angle",
    at_most_by_class(truebeam=(0.2, 0.5), clinac=(0.5, 1.0)),
)
COUCH_PITCH_LARGEST_ERROR = Metric(
    "couch_pitch_largest_error",
    "deg",
    "Largest error of the couch pitch",
    at_most_by_class(truebeam=(0.2, 0.5), clinac=(0.5, 1.0)),
)
COUCH_ROLL_LARGEST_ERROR = Metric(
    "couch_roll_largest_error",
    "deg",
    "Largest error of the couch roll",
    at_most_by_class(truebeam=(0.2, 0.5), clinac=(0.5, 1.0)),
)
COUCH_LARGEST_ERROR = Metric(
    "couch_largest_error",
    "mm",
    "Largest excursion of the couch from where it stood when the sub-beam began",
    at_most_by_class(truebeam=(0.5, 1.0), clinac=(1.0, 2.0)),
    Limits.at_most(tolerance=0.3, action=0.7, source="product default for radiosurgery"),
)


class AxesSettings(Settings):
    """Settings of this analyzer."""

    fewest_samples: PositiveInt = 5
    """A beam logged more briefly than this is not judged."""
    trace_points: PositiveInt = 1500
    """Axes are drawn with at most this many points."""


def analyze(delivery: Delivery, context: Context[AxesSettings]) -> Analysis:
    """Measure the axis errors of one delivery; an axis that the log lacks is left out."""
    beam_on = beam_on_samples(delivery, context.settings.fewest_samples)
    _refuse_without_axes(delivery, context.machine_class)
    measurements = [
        *_gantry(delivery.gantry_deg, beam_on),
        *_rotation(COLLIMATOR_LARGEST_ERROR, delivery.collimator_deg, beam_on, "collimator"),
        *_jaws(delivery, beam_on),
        *_rotation(COUCH_ROTATION_LARGEST_ERROR, delivery.couch_rotation_deg, beam_on, "couch"),
        *_rotation(COUCH_PITCH_LARGEST_ERROR, delivery.couch_pitch_deg, beam_on, "couch pitch"),
        *_rotation(COUCH_ROLL_LARGEST_ERROR, delivery.couch_roll_deg, beam_on, "couch roll"),
        *_couch(delivery, beam_on),
    ]
    if not measurements:
        raise NotApplicable("the log has no gantry, collimator, jaw or couch to compare")
    return Analysis(measurements, traces=_traces(delivery, context.settings.trace_points))


def _refuse_without_axes(delivery: Delivery, machine_class: str) -> None:
    """A machine of these classes logs these axes always: a log without them is not in order."""
    needed = {"gantry": delivery.gantry_deg, "collimator": delivery.collimator_deg}
    if machine_class == "truebeam":
        needed |= {f"jaw {name}": delivery.jaws_mm.get(name) for name in ("X1", "X2", "Y1", "Y2")}
    missing = [n for n, axis in needed.items() if axis is None or not axis.has_expected]
    if machine_class in ("truebeam", "halcyon") and missing:
        raise AnalysisError(f"the log lacks axes that this machine has: {', '.join(missing)}")


def _gantry(axis: Axis | None, beam_on: BoolArray) -> list[Measurement]:
    if axis is None or not axis.has_expected:
        return []
    error_deg = _error(axis, beam_on, "gantry", angle_difference_deg)
    return [
        GANTRY_LARGEST_ERROR.measured(np.abs(error_deg).max()),
        GANTRY_RMS_ERROR.measured(float(rms(error_deg))),
    ]


def _rotation(
    metric: Metric, axis: Axis | None, beam_on: BoolArray, name: str
) -> list[Measurement]:
    if axis is None or not axis.has_expected:
        return []
    return [metric.measured(np.abs(_error(axis, beam_on, name, angle_difference_deg)).max())]


def _jaws(delivery: Delivery, beam_on: BoolArray) -> list[Measurement]:
    largest_mm = {
        name: np.abs(_error(axis, beam_on, f"jaw {name}", np.subtract)).max()
        for name, axis in delivery.jaws_mm.items()
        if axis.has_expected
    }
    return _furthest(JAW_LARGEST_ERROR, largest_mm)


def _couch(delivery: Delivery, beam_on: BoolArray) -> list[Measurement]:
    couch_mm = {
        "vertical": delivery.couch_vertical_mm,
        "longitudinal": delivery.couch_longitudinal_mm,
        "lateral": delivery.couch_lateral_mm,
    }
    largest_mm = {
        name: max(_excursions_mm(delivery, axis, beam_on, name))
        for name, axis in couch_mm.items()
        if axis is not None
    }
    return _furthest(COUCH_LARGEST_ERROR, largest_mm)


def _excursions_mm(delivery: Delivery, axis: Axis, beam_on: BoolArray, name: str) -> list[float]:
    """The largest excursion in each sub-beam; between two the couch may be moved on purpose."""
    excursions = [0.0]
    for _, beam in sub_beam_samples(delivery):
        position_mm = _known(axis.actual[beam][beam_on[beam]], f"couch {name}")
        if position_mm.size:
            excursions.append(float(np.abs(position_mm - position_mm[0]).max()))
    return excursions


def _furthest(metric: Metric, largest_mm: Mapping[str, float]) -> list[Measurement]:
    if not largest_mm:
        return []
    name = max(largest_mm, key=lambda axis: largest_mm[axis])
    return [metric.measured(largest_mm[name], at=name)]


def _error(
    axis: Axis,
    beam_on: BoolArray,
    name: str,
    difference: Callable[[FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    return _known(difference(axis.actual[beam_on], axis.expected[beam_on]), name)


def _known(values: FloatArray, name: str) -> FloatArray:
    unknown = np.count_nonzero(~np.isfinite(values))
    if unknown:
        raise AnalysisError(f"{name} has no position in {unknown} samples with the beam on")
    return values


def _traces(delivery: Delivery, points: int) -> dict[str, NDArray[np.float32]]:
    """Every axis over time, thinned out evenly: for the eye, not for numbers."""
    axes = {
        "meterset_mu": delivery.meterset_mu,
        "gantry_deg": delivery.gantry_deg,
        "collimator_deg": delivery.collimator_deg,
        "couch_rotation_deg": delivery.couch_rotation_deg,
        "couch_vertical_mm": delivery.couch_vertical_mm,
        "couch_longitudinal_mm": delivery.couch_longitudinal_mm,
        "couch_lateral_mm": delivery.couch_lateral_mm,
        **{f"jaw_{name.lower()}_mm": axis for name, axis in delivery.jaws_mm.items()},
    }
    thin = slice(None, None, -(-delivery.samples // points))
    traces = {"time_s": delivery.time_s[thin].astype(np.float32)}
    for name, axis in axes.items():
        if axis is not None:
            traces[f"{name}_expected"] = axis.expected[thin].astype(np.float32)
            traces[f"{name}_actual"] = axis.actual[thin].astype(np.float32)
    return traces


ANALYZER = Analyzer(
    name="axes",
    title="Axes",
    version="1",
    accepts=Delivery,
    settings=AxesSettings,
    metrics=(
        GANTRY_LARGEST_ERROR,
        GANTRY_RMS_ERROR,
        COLLIMATOR_LARGEST_ERROR,
        JAW_LARGEST_ERROR,
        COUCH_ROTATION_LARGEST_ERROR,
        COUCH_PITCH_LARGEST_ERROR,
        COUCH_ROLL_LARGEST_ERROR,
        COUCH_LARGEST_ERROR,
    ),
    analyze=analyze,
)
