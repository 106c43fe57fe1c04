"""A beam that was interrupted and resumed: its logs in order, put together as one delivery.

A machine writes a log for each time it irradiates.  Held against the plan one by one, each would be
half a beam.  The meterset of the whole is the sum of what each log shows itself: what was delivered
between two of them, or twice, is missing, or too much, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from analyzers.core import AnalysisError
from analyzers.records import Axis, Delivery, Meterset

Arrays = Sequence[np.ndarray[Any, Any]]
CLOCK_S = 2.0
"""Stamps of file names are whole seconds, and up to one apart from others of the same beam."""
SAME_POINT = 1.0


def put_together(logs: Sequence[Delivery]) -> Delivery:
    """One delivery out of the logs of one beam, in the order of their beginning.

    Samples follow each other without the time between the logs.  Raises `AnalysisError` where the
    logs are not of one beam on one head, or overlap in time.
    """
    first = logs[0]
    if any(len(log.sub_beams) > 1 or log.fields for log in logs):
        raise AnalysisError("a log of several beams cannot be put together with another")
    if any(_kind(log) != _kind(first) for log in logs):
        raise AnalysisError("the logs of an interrupted beam are of different kinds")
    if any(_overlap(one, other) for one, other in pairwise(logs)):
        raise AnalysisError("the logs of an interrupted beam overlap in time")
    counted = [first]
    for log in logs[1:]:
        counted.append(_counting_on(log, float(counted[-1].meterset_mu.actual[-1])))
    whole = joined(counted, np.concatenate)
    samples = sum(log.samples for log in logs)
    ends = [log.control_point.actual[[0, -1]] for log in counted if log.control_point is not None]
    goes_on = all(b[0] >= a[1] - SAME_POINT for a, b in pairwise(ends))
    return replace(
        whole,
        control_point=whole.control_point if goes_on else None,
        sub_beams=tuple(
            replace(beam, start=0, stop=samples, delivered=True) for beam in first.sub_beams
        ),
        truncated=any(log.truncated for log in logs),
        warnings=(
            *dict.fromkeys(warning for log in logs for warning in log.warnings),
            f"{len(logs)} logs of a beam that was interrupted and resumed, put together",
        ),
    )


def part_of(delivery: Delivery, samples: slice) -> Delivery:
    """Some of the samples of a delivery."""
    kept = joined([delivery], lambda arrays: arrays[0][samples])
    count = len(kept.meterset_mu.actual)
    beams = tuple(replace(beam, start=0, stop=count) for beam in delivery.sub_beams[:1])
    return replace(kept, sub_beams=beams)


def joined(logs: Sequence[Delivery], join: Callable[[Arrays], Any]) -> Delivery:
    """The first of the deliveries, each of its arrays joined with the same ones of the others."""
    first = logs[0]

    def of_axes(axes: Sequence[Any]) -> Axis | None:
        if any(axis is None for axis in axes):
            return None
        return Axis(
            join([axis.expected for axis in axes]),
            join([axis.actual for axis in axes]),
            all(axis.has_expected for axis in axes),
        )

    changes: dict[str, Any] = {}
    for field in fields(Delivery):
        values = [getattr(log, field.name) for log in logs]
        if any(isinstance(value, Axis) for value in values):
            changes[field.name] = of_axes(values)
        elif all(isinstance(value, np.ndarray) for value in values):
            changes[field.name] = join(values)
        elif any(isinstance(value, np.ndarray) for value in values):
            changes[field.name] = None
    changes["mlc"] = tuple(
        replace(
            layers[0],
            bank_a_mm=of_axes([layer.bank_a_mm for layer in layers]),
            bank_b_mm=of_axes([layer.bank_b_mm for layer in layers]),
        )
        for layers in zip(*(log.mlc for log in logs), strict=True)
    )
    others = set.intersection(*(set(log.other_axes) for log in logs))
    changes["other_axes"] = {
        code: of_axes([log.other_axes[code] for log in logs]) for code in others
    }
    return replace(first, **changes)


def _kind(log: Delivery) -> tuple[object, ...]:
    layers = tuple((layer.name, layer.pairs) for layer in log.mlc)
    return log.interval_s, log.meterset, layers, log.mlc_model


def _counting_on(log: Delivery, from_mu: float) -> Delivery:
    """The log with its meterset counted from there, whatever it counts from itself."""
    if log.meterset is not Meterset.MU:
        raise AnalysisError("logs that do not count in MU cannot be put together")
    axis = log.meterset_mu
    step_mu = from_mu - float(axis.actual[0])
    return replace(
        log, meterset_mu=Axis(axis.expected + step_mu, axis.actual + step_mu, axis.has_expected)
    )


def _overlap(one: Delivery, other: Delivery) -> bool:
    """Whether the second began before the first can have ended; stamps may be of either end."""
    if one.performed_at is None or other.performed_at is None:
        return False
    apart_s = (other.performed_at - one.performed_at).total_seconds()
    shorter_s = min(one.samples * one.interval_s, other.samples * other.interval_s)
    return apart_s < shorter_s - CLOCK_S
