"""Verdicts: bounds are inside, the worst decides, and what is no number never passes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.core import Limits
from qa_daemon.model import AnalysisReport, Report, Value, Verdict
from qa_daemon.verdict import judge, judge_analysis, judge_value, why_not_judged, worst

AT_MOST = Limits.at_most(tolerance=0.5, action=1.0)
AT_LEAST = Limits.at_least(tolerance=95.0, action=90.0)
WITHIN = Limits.within(tolerance=1.0, action=2.0)


@pytest.mark.parametrize(
    ("value", "limits", "verdict"),
    [
        (0.5, AT_MOST, Verdict.PASS),
        (math.nextafter(0.5, 1.0), AT_MOST, Verdict.TOLERANCE),
        (1.0, AT_MOST, Verdict.TOLERANCE),
        (math.nextafter(1.0, 2.0), AT_MOST, Verdict.ACTION),
        (95.0, AT_LEAST, Verdict.PASS),
        (94.999, AT_LEAST, Verdict.TOLERANCE),
        (89.9, AT_LEAST, Verdict.ACTION),
        (-1.0, WITHIN, Verdict.PASS),
        (-1.5, WITHIN, Verdict.TOLERANCE),
        (-2.5, WITHIN, Verdict.ACTION),
        (2.5, WITHIN, Verdict.ACTION),
        (math.nan, AT_MOST, Verdict.INVALID),
        (math.inf, AT_MOST, Verdict.ACTION),
        (0.0, Limits(), Verdict.INVALID),
        (0.0, Limits.at_most(tolerance=math.nan, action=1.0), Verdict.INVALID),
    ],
)
def test_bounds_are_inside(value: float, limits: Limits, verdict: Verdict) -> None:
    assert judge(value, limits) is verdict


def test_greater_of_an_absolute_and_a_share() -> None:
    limits = Limits.within(tolerance=0.1, action=0.5, tolerance_percent=0.2, action_percent=1.0)
    # 0.2 % and 1 % of 200 MU are 0.4 and 2 MU; of 10 MU they are 0.02 and 0.1, so 0.1 and 0.5 hold.
    assert limits.resolved(200.0).tolerance_high == pytest.approx(0.4)
    assert limits.resolved(200.0).action_low == pytest.approx(-2.0)
    assert limits.resolved(10.0).tolerance_high == pytest.approx(0.1)
    assert limits.resolved(10.0).action_low == pytest.approx(-0.5)


@given(st.floats(allow_nan=True), st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_only_a_number_between_the_tolerances_passes(value: float, a: float, b: float) -> None:
    limits = Limits.within(tolerance=min(a, b), action=max(a, b))
    assert (judge(value, limits) is Verdict.PASS) == (abs(value) <= min(a, b))


def _report(*values: Value, **said: str) -> AnalysisReport:
    return AnalysisReport(analyzer="axes", version="1", values=values, **said)  # type: ignore[arg-type]


def _value(number: float) -> Value:
    return Value(metric="jaw_largest_error", value=number, unit="mm")


def test_an_analysis_without_a_number_is_invalid_not_passed() -> None:
    assert judge_analysis(_report(), []).verdict is Verdict.INVALID


def test_a_failed_analysis_is_invalid_whatever_its_numbers() -> None:
    judged = judge_value(_value(0.0), AT_MOST)
    assert judge_analysis(_report(failure="no"), [judged]).verdict is Verdict.INVALID


def test_not_applicable_leaves_the_verdict_alone() -> None:
    assert judge_analysis(_report(not_applicable="no leaves"), []).verdict is None


def test_trend_only_numbers_have_no_verdict() -> None:
    judged = judge_value(_value(99.0), None)
    assert judged.verdict is None
    assert judge_analysis(_report(), [judged]).verdict is None


def test_the_worst_number_decides() -> None:
    judged = [judge_value(_value(v), AT_MOST) for v in (0.1, 0.7, 0.2)]
    assert judge_analysis(_report(), judged).verdict is Verdict.TOLERANCE
    assert worst([None, Verdict.PASS, Verdict.INVALID, Verdict.ACTION]) is Verdict.INVALID
    assert worst([None]) is None


def stated(tolerance: float | None, action: float | None) -> Limits:
    low_high = [None if bound is None else (-bound, bound) for bound in (tolerance, action)]
    (low, high), (action_low, action_high) = (pair or (None, None) for pair in low_high)
    return Limits(low, high, action_low, action_high, source="stated")


@pytest.mark.parametrize(
    ("number", "limits", "own", "verdict"),
    [
        (0.9, WITHIN, stated(5.0, 6.0), Verdict.PASS),
        (1.1, WITHIN, stated(5.0, 6.0), Verdict.TOLERANCE),
        (2.1, WITHIN, stated(5.0, 6.0), Verdict.ACTION),
        (0.9, WITHIN, stated(0.5, None), Verdict.TOLERANCE),
        (-0.9, WITHIN, stated(None, 0.5), Verdict.ACTION),
        (0.9, None, stated(0.5, 1.0), Verdict.TOLERANCE),
        # Limits without a bound never pass, whatever the record states.
        (0.0, Limits(), stated(5.0, 6.0), Verdict.INVALID),
        # A share without anything that it is a share of.
        (0.9, Limits.within(tolerance=1, action=2, tolerance_percent=9), stated(0.5, 1),
         Verdict.TOLERANCE),
    ],
)  # fmt: skip
def test_limits_that_a_record_states_only_make_those_of_the_clinic_tighter(
    number: float, limits: Limits | None, own: Limits, verdict: Verdict
) -> None:
    assert judge_value(Value(metric="m", value=number, unit="%", stated=own), limits).verdict is (
        verdict
    )


def test_an_analyzer_says_why_nothing_was_judged_and_only_then() -> None:
    report = AnalysisReport(analyzer="a", version="1", not_judged="no reference")
    assert why_not_judged(Report(analyses=(report,)), None) == "no reference"
    assert why_not_judged(Report(analyses=(report,)), Verdict.PASS) is None
    assert why_not_judged(Report(analyses=(report,), not_judged="a side file"), None) == (
        "a side file"
    )
    assert why_not_judged(Report(), None) == "no analysis applies limits to this record"
