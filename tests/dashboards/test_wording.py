"""Numbers, limits and ages as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.core import Limits
from dashboards.web import wording
from dashboards.web.board import worst_measurement
from qa_daemon.model import Verdict
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0213, "0.021"),
        (12.3456, "12.35"),
        (123.456, "123.5"),
        (5021.4, "5021"),
        (0.0, "0"),
        (-0.0, "0"),
        (-1.5, "\N{MINUS SIGN}1.50"),
        (0.00042, "0.0004"),
        (0.00002, "0"),
        (3.0, "3"),
    ],
)
def test_a_number_has_as_many_digits_as_are_of_use(value: float, text: str) -> None:
    assert wording.number(value) == text


def test_a_value_just_beyond_a_limit_never_looks_as_if_it_were_on_it() -> None:
    limits = Limits.at_least(tolerance=99.0, action=95.0)
    assert wording.quantity(98.998, "%", limits).startswith("98.998")
    assert wording.quantity(0.15004, "mm", Limits.at_most(tolerance=0.15, action=1)) == (
        "0.15004\N{NARROW NO-BREAK SPACE}mm"
    )


def test_not_quite_all_is_not_shown_as_all() -> None:
    assert wording.quantity(99.996, "%").startswith("99.996")


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_what_is_shown_lies_on_the_same_side_of_a_limit(value: float, bound: float) -> None:
    shown = float(wording.number(value, bound).replace(wording.MINUS, "-"))
    if abs(value - bound) > 1e-5:
        assert (shown > bound) == (value > bound)


def test_limits_read_as_what_is_allowed() -> None:
    space = "\N{NARROW NO-BREAK SPACE}"
    assert wording.allowed(None, 0.15, "mm") == f"≤{space}0.15{space}mm"
    assert wording.allowed(99.0, None, "%") == f"≥{space}99{space}%"
    assert wording.allowed(-0.1, 0.1, "MU") == f"±{space}0.1{space}MU"
    assert wording.allowed(None, None, "mm") == ""


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=12), "12 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=5), "5 days ago"),
        (timedelta(minutes=-9), "ahead of this computer's clock"),
    ],
)
def test_age(ago: timedelta, text: str) -> None:
    assert wording.age(NOW - ago, NOW).replace("\N{NARROW NO-BREAK SPACE}", " ") == text


def test_times_are_the_clinics_own_through_the_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert wording.local("2026-03-29T00:30:00+00:00", berlin) == "2026-03-29 01:30:00 CET"
    assert wording.local("2026-03-29T01:30:00+00:00", berlin) == "2026-03-29 03:30:00 CEST"


def _said(*numbers: tuple[str, float, str, Verdict | None, Limits]) -> StoredAnalysis:
    measured = tuple(StoredMeasurement(n, v, u, None, d, limits) for n, v, u, d, limits in numbers)
    return StoredAnalysis("test", "1", Verdict.PASS, None, None, (), measured)


def test_the_headline_is_the_worst_number_then_the_one_nearest_its_limit() -> None:
    upper, share = Limits.at_most(tolerance=1, action=2), Limits.at_least(tolerance=99, action=95)
    near = ("near", 0.9, "mm", Verdict.PASS, upper)
    far = ("far", 0.1, "mm", Verdict.PASS, upper)
    rate = ("rate", 99.5, "%", Verdict.PASS, share)
    beyond = ("beyond", 1.1, "mm", Verdict.TOLERANCE, upper)
    unjudged = ("unjudged", 9.0, "mm", None, Limits())
    for numbers, expected in (
        ((far, near, rate, unjudged), "near"),
        ((far, rate), "rate"),
        ((near, beyond), "beyond"),
    ):
        worst = worst_measurement(_said(*numbers))
        assert worst is not None and worst.metric == expected
    assert worst_measurement(_said(unjudged)) is None
