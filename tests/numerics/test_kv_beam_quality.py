"""Half-value layers: a worked set, beams of one energy, and sets that do not tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_beam_quality import beam_quality, half_value_layer_mm

VECTOR_MM, VECTOR = [0.0, 0.5, 1.0, 1.5], [100.0, 71.5, 54.2, 42.9]


def test_vector() -> None:
    found = beam_quality(VECTOR_MM, VECTOR)
    assert round(found.hvl1_mm, 4) == 1.1725
    assert found.half.between_mm == (1.0, 1.5)
    assert found.hvl2_mm is None
    assert found.homogeneity is None


def test_the_order_of_the_points_does_not_matter() -> None:
    order = [2, 0, 3, 1]
    shuffled = [VECTOR_MM[i] for i in order], [VECTOR[i] for i in order]
    assert half_value_layer_mm(*shuffled) == half_value_layer_mm(VECTOR_MM, VECTOR)


def test_readings_of_one_thickness_are_averaged() -> None:
    thickness, readings = [*VECTOR_MM, 1.0, 0.0], [100.5, 71.5, 54.0, 42.9, 54.4, 99.5]
    assert round(half_value_layer_mm(thickness, readings), 4) == 1.1725


@given(
    mu=st.floats(0.05, 3.0),
    scale=st.floats(1e-3, 1e3),
    parts=st.lists(st.floats(0.02, 0.98), min_size=1, max_size=6, unique=True),
)
def test_a_beam_of_one_energy_has_its_closed_form(
    mu: float, scale: float, parts: list[float]
) -> None:
    t = np.array([0.0, *(3.0 * part / mu for part in parts), 3.0 / mu])
    found = beam_quality(t, scale * np.exp(-mu * t))
    assert found.hvl1_mm == pytest.approx(math.log(2.0) / mu, rel=1e-9)
    assert found.hvl2_mm == pytest.approx(math.log(2.0) / mu, rel=1e-9)
    assert found.homogeneity == pytest.approx(1.0, rel=1e-9)


@given(soft=st.floats(1.5, 5.0), share=st.floats(0.1, 0.9), step=st.floats(0.05, 0.3))
def test_a_beam_of_two_energies_is_bracketed_and_never_measured_too_thin(
    soft: float, share: float, step: float
) -> None:
    def left(t: float) -> float:
        return share * math.exp(-soft * t) + (1.0 - share) * math.exp(-0.5 * t)

    t = np.arange(0.0, 4.0 + step, step)
    found = beam_quality(t, [left(x) for x in t])
    thin, thick = found.half.between_mm
    assert left(thin) >= 0.5 >= left(thick)
    assert left(found.hvl1_mm) <= 0.5 + 1e-12
    assert found.quarter is not None
    assert left(found.quarter.thickness_mm) <= 0.25 + 1e-12
    assert found.homogeneity is not None
    assert found.homogeneity < 1.0 + 1e-9


def test_a_point_at_half_is_the_layer() -> None:
    found = beam_quality([0.0, 1.0, 3.0], [80.0, 40.0, 20.0])
    assert found.hvl1_mm == 1.0
    assert found.hvl2_mm == 2.0
    assert found.homogeneity == 0.5


@pytest.mark.parametrize(
    ("thickness", "readings", "says"),
    [
        ([0.0, 0.5, 1.0], [100.0, 71.5, 54.2], "leave 54.2 %.*thicker absorber"),
        ([0.5, 1.0, 1.5], [71.5, 54.2, 42.9], "without absorber"),
        ([0.0, 0.5, 1.0, 1.5], [100.0, 54.2, 71.5, 42.9], "does not fall from 0.5 mm"),
        ([0.0, 0.5, 1.0], [100.0, 100.0, 40.0], "does not fall from 0 mm"),
        ([0.0, 1.0], [100.0], "at least 2"),
        ([0.0, 1.0], [100.0, 40.0, 20.0], "2 thicknesses but 3 readings"),
        ([0.0, -1.0], [100.0, 40.0], "from 0 up"),
        ([0.0, math.nan], [100.0, 40.0], "from 0 up"),
        ([0.0, 1.0], [100.0, math.nan], "number 2 is nan"),
        ([0.0, 1.0], [100.0, 0.0], "number 2 is 0"),
        ([], [], "at least 2"),
        # Softer behind 2 mm than before: no filtered beam does that.
        ([0.0, 2.0, 3.0], [100.0, 50.0, 20.0], "times HVL2"),
    ],
)
def test_sets_that_do_not_tell(thickness: list[float], readings: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        beam_quality(thickness, readings)
