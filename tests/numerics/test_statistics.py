"""The small statistics, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.statistics import angle_difference_deg, rms


def test_rms_of_the_whole_and_along_an_axis() -> None:
    # sqrt((9 + 16) / 2), sqrt((1 + 49) / 2); a constant error is its own RMS.
    values = np.array([[3.0, 1.0], [-4.0, 7.0]])
    assert rms(values, axis=0) == pytest.approx([np.sqrt(12.5), 5.0])
    assert float(rms(values)) == pytest.approx(np.sqrt(75 / 4))
    assert float(rms(np.full(7, -0.3))) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("actual_deg", "expected_deg", "turn_deg"),
    [
        (10.0, 350.0, 20.0),
        (350.0, 10.0, -20.0),
        (181.0, 0.0, -179.0),
        (180.0, 0.0, 180.0),
        (0.0, 180.0, 180.0),
        (-180.0, 180.0, 0.0),
        (725.0, 0.0, 5.0),
        (0.1, 0.2, -0.1),
    ],
)
def test_angle_difference_is_the_shortest_turn(
    actual_deg: float, expected_deg: float, turn_deg: float
) -> None:
    assert float(angle_difference_deg(actual_deg, expected_deg)) == turn_deg


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_angle_difference_leads_from_expected_to_actual(actual: float, expected: float) -> None:
    turn_deg = float(angle_difference_deg(actual, expected))
    assert -180.0 < turn_deg <= 180.0
    turns = (expected + turn_deg - actual) / 360
    assert turns == pytest.approx(round(turns), abs=1e-9)
