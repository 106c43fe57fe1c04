"""Spread of repeated readings and the percent deviation, against the standard library."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.repeatability import deviation_percent, repeated

READINGS = st.lists(st.floats(0.1, 1e3), min_size=2, max_size=20)


def test_the_worked_example_has_its_mean() -> None:
    assert round(repeated([2.345, 2.347, 2.344]).mean, 5) == 2.34533


@given(READINGS)
def test_mean_and_spread_are_those_of_the_standard_library(readings: list[float]) -> None:
    found = repeated(readings)
    mean, deviation = statistics.fmean(readings), statistics.stdev(readings)
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.standard_deviation == pytest.approx(deviation, rel=1e-6, abs=1e-9)
    assert found.percent == pytest.approx(100.0 * deviation / mean, rel=1e-6, abs=1e-7)
    assert found.mean_percent == pytest.approx(
        100.0 * deviation / mean / math.sqrt(len(readings)), rel=1e-6, abs=1e-7
    )


@given(st.floats(1e-6, 1e6), st.integers(2, 20))
def test_equal_readings_have_no_spread_at_all(reading: float, count: int) -> None:
    found = repeated([reading] * count)
    assert (found.mean, found.standard_deviation) == (reading, 0.0)
    assert found.largest_over_smallest == 1.0


def test_one_reading_has_a_mean_and_no_known_spread() -> None:
    found = repeated([2.345])
    assert found.mean == 2.345
    assert found.standard_deviation is found.percent is found.mean_percent is None


@pytest.mark.parametrize(
    ("readings", "says"),
    [
        ([], "0 given"),
        ([2.3, 0.0], "number 2 is 0"),
        ([2.3, -2.3], "number 2 is -2.3"),
        ([math.nan], "number 1 is nan"),
        ([2.3, math.inf], "number 2 is inf"),
        ([[2.3]], "plain list"),
    ],
)
def test_readings_that_are_none(readings: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        repeated(readings)


def test_a_deviation_is_signed_and_in_percent_of_the_reference() -> None:
    assert deviation_percent(103.0, 100.0) == pytest.approx(3.0, rel=1e-14)
    assert deviation_percent(100.0, 103.0) == pytest.approx(-300.0 / 103.0, rel=1e-14)
    assert deviation_percent(0.0, 4.79) == -100.0


@pytest.mark.parametrize(
    ("measured", "reference"), [(1.0, 0.0), (1.0, -1.0), (1.0, math.nan), (math.nan, 1.0)]
)
def test_a_deviation_needs_numbers_and_a_reference(measured: float, reference: float) -> None:
    with pytest.raises(ValueError, match="is "):
        deviation_percent(measured, reference)
