"""Routine checks: what a person ticked or measured on a kV unit, against the routine's limits.

Reads `RoutineChecks`.  A test of function is 1 where it works and 0 where it does not, and then at
ACTION.  Limits and their sources are those of the routine (`analyzers.srt_routine`); a test that
is not on the list was not done, and is no number here.
"""

from __future__ import annotations

from analyzers.core import Analysis, Analyzer, Context, Limits, Metric, Settings
from analyzers.routine_checks import RoutineChecks
from analyzers.srt_routine import ROUTINE, RoutineTest

WORKS = Limits.at_least(tolerance=1.0, action=1.0, source="it works, or it does not")


def _metric(test: RoutineTest) -> Metric:
    if test.is_functional:
        return Metric(test.metric, "1", f"1 where in order: {test.title}", {"srt": WORKS})
    limits = {"srt": test.limits} if test.limits else {}
    return Metric(test.metric, test.unit or "", test.title, limits)


METRICS = {test.id: _metric(test) for test in ROUTINE if test.check_type is None}


def analyze(checks: RoutineChecks, _: Context[Settings]) -> Analysis:
    """Each answer as a number."""
    return Analysis(
        [METRICS[test.id].measured(float(checks.answers[test.id])) for test in checks.tests]
    )


ANALYZER = Analyzer(
    name="srt_checks",
    title="Routine checks",
    version="1",
    accepts=RoutineChecks,
    settings=Settings,
    metrics=tuple(METRICS.values()),
    analyze=analyze,
)
