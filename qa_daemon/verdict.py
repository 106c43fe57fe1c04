"""Measurement + limits → verdict.  Pure functions; the order of the `if`s is the policy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from analyzers.core import Limits
from qa_daemon.model import AnalysisReport, Report, Value, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A measured number, the limits it was held against (in numbers), and the verdict.

    `limits` and `verdict` are None for a trend-only metric.
    """

    value: Value
    limits: Limits | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One analyzer's report, judged.  `verdict` None: nothing in it was to be judged."""

    report: AnalysisReport
    judged: tuple[Judged, ...]
    verdict: Verdict | None


def judge(value: float, limits: Limits) -> Verdict:
    """Hold an unrounded value against resolved limits; bounds are inside.

    A value that is no number, and limits without any bound, never pass.
    """
    given = limits.bounds
    if math.isnan(value) or not given or any(math.isnan(bound) for bound in given):
        return Verdict.INVALID
    if _outside(value, limits.action_low, limits.action_high):
        return Verdict.ACTION
    if _outside(value, limits.tolerance_low, limits.tolerance_high):
        return Verdict.TOLERANCE
    return Verdict.PASS


def judge_value(value: Value, limits: Limits | None) -> Judged:
    """Judge one number; a trend-only metric that is no number is still INVALID.

    Limits that the record itself states can only make those of the clinic tighter.
    """
    if limits is None and value.stated is None:
        return Judged(value, None, Verdict.INVALID if math.isnan(value.value) else None)
    resolved = limits.resolved(value.reference) if limits else value.stated
    assert resolved is not None
    # Limits without a bound are a mistake that never passes, whatever the record states.
    if value.stated is not None and limits is not None and resolved.bounds:
        resolved = replace(resolved, tolerance_percent=None, action_percent=None).tightened(
            value.stated
        )
    return Judged(value, resolved, judge(value.value, resolved))


def judge_analysis(report: AnalysisReport, judged: Iterable[Judged]) -> Outcome:
    """The worst of an analyzer's numbers; a failure, or an analysis that is empty, is INVALID."""
    numbers = tuple(judged)
    if report.not_applicable is not None:
        return Outcome(report, (), None)
    if report.failure is not None or not numbers:
        return Outcome(report, numbers, Verdict.INVALID)
    return Outcome(report, numbers, worst(j.verdict for j in numbers))


def why_not_judged(report: Report, verdict: Verdict | None) -> str | None:
    """Why a result has no verdict; None where it has one, unless the record says it all the same.

    An analyzer that had nothing to hold its numbers against says so itself.
    """
    if report.not_judged is not None or verdict is not None:
        return report.not_judged
    said = (analysis.not_judged for analysis in report.analyses)
    return next(filter(None, said), "no analysis applies limits to this record")


def worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """The worst verdict there is; None when nothing was judged."""
    return max((v for v in verdicts if v is not None), default=None)


def _outside(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)
