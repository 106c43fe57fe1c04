"""What a signal of a trend says, in a sentence: the same for messages and pages."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from analyzers.core import Metric
from qa_daemon.store.trend_signals import StoredSignal

LONG_AGO_OR_AHEAD = 4e18
"""Nanoseconds that no calendar of ours reaches."""


def sentence(signal: StoredSignal, metric: Metric, zone: ZoneInfo) -> str:
    """`70 kV F2 A30: output_deviation drifts by +0.21 % a month, ...`, without the machine."""
    of = signal.series.said
    match signal.kind:
        case "step":
            said = _step(signal, metric)
        case "drift":
            said = _drift(signal, metric, zone)
        case kind:
            said = _outside(signal, metric, "average of " if kind == "average" else "")
    return f"{of}: {said}" if of else said


def _step(signal: StoredSignal, metric: Metric) -> str:
    numbers = signal.numbers
    value, usual, reach = (numbers.get(name) or 0.0 for name in ("value", "usual", "reach"))
    return (
        f"{metric.name} {value:.3g}{_unit(metric)} is not as usual: "
        f"{usual:.3g} +/- {reach:.2g}{_unit(metric)} was to be expected"
    )


def _outside(signal: StoredSignal, metric: Metric, of: str) -> str:
    value, low, high = (signal.numbers.get(name) or 0.0 for name in ("value", "low", "high"))
    return (
        f"{of}{metric.name} {value:.3g}{_unit(metric)} is outside its control limits "
        f"{low:.3g} to {high:.3g}{_unit(metric)}"
    )


def _drift(signal: StoredSignal, metric: Metric, zone: ZoneInfo) -> str:
    numbers = signal.numbers
    said = (
        f"{metric.name} drifts by {numbers['per_month'] or 0.0:+.2g}{_unit(metric)} a month and "
        f"crosses {numbers['limit'] or 0.0:g}{_unit(metric)} about {_day(numbers['at_ns'], zone)}"
    )
    earliest, latest = _day(numbers["earliest_ns"], zone), _day(numbers["latest_ns"], zone)
    return f"{said} (95 %: {earliest} to {latest})"


def _unit(metric: Metric) -> str:
    return "" if metric.unit == "1" else f" {metric.unit}"


def _day(ns: float | None, zone: ZoneInfo) -> str:
    if ns is None or abs(ns) > LONG_AGO_OR_AHEAD:
        return "later"
    return f"{datetime.fromtimestamp(ns / 1e9, UTC).astimezone(zone):%Y-%m-%d}"
