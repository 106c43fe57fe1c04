"""Run one analyzer and judge what it measured by the default limits."""

from __future__ import annotations

import math
from typing import Any

from analyzers.core import Analysis, Analyzer, Context, Measurement

ORDER = ("PASS", "TOLERANCE", "ACTION", "INVALID")


def run(
    analyzer: Analyzer[Any, Any], record: Any, machine_class: str = "truebeam", **settings: Any
) -> Analysis:
    return analyzer.analyze(record, Context(machine_class, analyzer.settings(**settings)))


def measured(
    analyzer: Analyzer[Any, Any], record: Any, machine_class: str = "truebeam", **settings: Any
) -> dict[str, Measurement]:
    analysis = run(analyzer, record, machine_class, **settings)
    found = {m.metric.name: m for m in analysis.measurements}
    assert len(found) == len(analysis.measurements), "a metric is given twice"
    assert all(m.metric in analyzer.metrics for m in found.values()), "a metric is undeclared"
    return found


def verdict(measurement: Measurement, machine_class: str = "truebeam") -> str | None:
    """None where the metric is trend-only; a value that is not a number is INVALID."""
    declared = measurement.metric.limits.get(machine_class)
    if declared is None:
        return None
    if math.isnan(measurement.value):
        return "INVALID"
    limits = declared.resolved(measurement.reference)

    def accepted(low: float | None, high: float | None) -> bool:
        return (low is None or measurement.value >= low) and (
            high is None or measurement.value <= high
        )

    if not accepted(limits.action_low, limits.action_high):
        return "ACTION"
    return "PASS" if accepted(limits.tolerance_low, limits.tolerance_high) else "TOLERANCE"


def worst(measurements: dict[str, Measurement], machine_class: str = "truebeam") -> str:
    verdicts = [verdict(m, machine_class) for m in measurements.values()]
    return max((v for v in verdicts if v is not None), key=ORDER.index)
