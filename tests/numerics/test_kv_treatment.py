"""Treatment time and delivered dose: closed forms, round trips and what cannot be treated."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.numerics.kv_tables import OutsideTable
from analyzers.numerics.kv_treatment import (
    DepthDose,
    SurfaceRate,
    beam_time_s,
    dose_at_depth,
    effective_distance,
    surface_dose,
    treatment_time_s,
)
from analyzers.numerics.kv_uncertainty import DOSE_TO_WATER, Budget, Component

OPEN = SurfaceRate(reference_gy_per_min=5.0, applicator_factor=0.98, effective_ssd_cm=15.0)
CURVE = DepthDose(np.array([0.0, 2.0, 5.0, 10.0]), np.array([100.0, 84.0, 66.0, 44.0]))
OUTPUT = Budget((Component("output", 3.0, "own"),))
PDD = Component("PDD", 1.5, "own")


def test_the_open_applicator_is_output_times_its_factor() -> None:
    assert OPEN.gy_per_min == pytest.approx(4.9, rel=1e-14)


def test_each_link_of_the_chain_by_hand() -> None:
    rate = replace(OPEN, b_w_applicator=1.20, b_w_cutout=1.14, gap_cm=1.0, shield=0.9)
    assert rate.cutout_ratio == pytest.approx(0.95, rel=1e-14)
    assert rate.gap_factor == pytest.approx((15.0 / 16.0) ** 2, rel=1e-14)
    # 5 * 0.98 * 0.95 * 225/256 * 0.9
    assert rate.gy_per_min == pytest.approx(3.682177734375, rel=1e-12)
    assert replace(rate, reference_gap_cm=1.0).gap_factor == 1.0


@given(
    dose_gy=st.floats(0.5, 10.0),
    eps_s=st.floats(-1.0, 1.0),
    gap_cm=st.floats(0.0, 3.0),
    depth_mm=st.floats(0.0, 10.0),
)
def test_the_time_that_is_set_delivers_the_dose(
    dose_gy: float, eps_s: float, gap_cm: float, depth_mm: float
) -> None:
    rate = replace(OPEN, gap_cm=gap_cm)
    time_s = treatment_time_s(dose_gy, rate, pdd_percent=CURVE.at(depth_mm), end_effect_s=eps_s)
    surface = surface_dose(beam_time_s([time_s], eps_s), rate, OUTPUT)
    at_depth = dose_at_depth(surface, CURVE, depth_mm, depth_uncertainty_mm=0.0, pdd_component=PDD)
    assert at_depth.gy == pytest.approx(dose_gy, rel=1e-12)


def test_a_time_by_hand() -> None:
    # 2.45 Gy at 50 % and 4.9 Gy/min: 1 minute with beam; the end effect gives half a second.
    assert treatment_time_s(2.45, OPEN, pdd_percent=50.0, end_effect_s=0.5) == pytest.approx(59.5)
    assert treatment_time_s(2.45, OPEN, pdd_percent=50.0, end_effect_s=-0.5) == pytest.approx(60.5)


@given(st.lists(st.floats(2.0, 60.0), min_size=1, max_size=5), st.floats(-1.0, 1.0))
def test_every_part_pays_its_own_end_effect(parts_s: list[float], eps_s: float) -> None:
    whole_s = math.fsum(parts_s)
    interrupted_s = beam_time_s(parts_s, eps_s)
    assert interrupted_s == pytest.approx(whole_s + len(parts_s) * eps_s, abs=1e-9)
    assert interrupted_s - beam_time_s([whole_s], eps_s) == pytest.approx(
        (len(parts_s) - 1) * eps_s, abs=1e-9
    )


def test_doses_at_surface_at_the_prescribed_and_at_the_measured_depth() -> None:
    surface = surface_dose(60.0, OPEN, OUTPUT)
    assert surface.gy == pytest.approx(4.9)
    prescribed = dose_at_depth(surface, CURVE, 2.0, depth_uncertainty_mm=0.2, pdd_component=PDD)
    measured = dose_at_depth(surface, CURVE, 3.5, depth_uncertainty_mm=0.2, pdd_component=PDD)
    assert prescribed.gy == pytest.approx(4.9 * 0.84)
    assert measured.gy == pytest.approx(4.9 * 0.75)
    # At 2 mm the steeper side counts: 8 %/mm over 84 %.  At 3.5 mm: 6 %/mm over 75 %.
    steep, flat = 100.0 * 8.0 * 0.2 / 84.0, 100.0 * 6.0 * 0.2 / 75.0
    assert prescribed.budget.k1_percent == pytest.approx(math.hypot(3.0, 1.5, steep))
    assert measured.budget.k1_percent == pytest.approx(math.hypot(3.0, 1.5, flat))
    assert measured.k2_gy == pytest.approx(measured.gy * 2.0 * math.hypot(3.0, 1.5, flat) / 100)
    assert surface.budget.k1_percent == 3.0


@given(gap_cm=st.floats(0.0, 5.0))
def test_an_uncertain_gap_moves_the_rate_as_its_component_says(gap_cm: float) -> None:
    u_cm = 1e-4
    up, down = (replace(OPEN, gap_cm=gap_cm + sign * u_cm).gy_per_min for sign in (1.0, -1.0))
    at = replace(OPEN, gap_cm=gap_cm)
    expected = 100.0 * (down - up) / 2.0 / at.gy_per_min
    assert at.gap_component(u_cm).percent == pytest.approx(expected, rel=1e-5)


def test_the_components_of_a_treatment_go_with_those_of_its_output() -> None:
    budget = DOSE_TO_WATER.with_components(OPEN.gap_component(0.1))
    assert budget.k1_percent == pytest.approx(
        math.hypot(DOSE_TO_WATER.k1_percent, 0.2 / 15.0 * 100.0)
    )


@given(f=st.floats(5.0, 50.0), k=st.floats(1.0, 1e4))
def test_an_inverse_square_gives_back_its_distance(f: float, k: float) -> None:
    gaps = np.array([2.0, 0.0, 5.0, 1.0])
    found = effective_distance(gaps, k / (f + gaps) ** 2)
    assert found.ssd_cm == pytest.approx(f, rel=1e-9)
    assert abs(found.largest_residual_percent) < 1e-9


def test_a_reading_off_the_inverse_square_is_told_in_percent_of_the_fit() -> None:
    gaps = np.array([0.0, 1.0, 2.0, 3.0])
    readings = 1e4 / (15.0 + gaps) ** 2 * np.array([1.0, 1.0, 1.03, 1.0])
    slope, at_0 = np.polyfit(gaps, readings**-0.5, 1)
    found = effective_distance(gaps, readings)
    assert found.ssd_cm == pytest.approx(at_0 / slope, rel=1e-9)
    fitted = (at_0 + slope * gaps) ** -2
    np.testing.assert_allclose(found.residual_percent, 100 * (readings - fitted) / fitted)
    assert found.largest_residual_percent > 1.0


@pytest.mark.parametrize(
    ("gaps", "readings", "says"),
    [
        ([0.0, 1.0], [2.0, 1.0], "at least 3"),
        ([0.0, 1.0, 1.0], [2.0, 1.0, 1.0], "2 different gaps"),
        ([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], "do not fall"),
        ([0.0, 1.0, -2.0], [3.0, 2.0, 1.0], "from 0 up"),
        ([0.0, 1.0, 2.0], [3.0, 2.0, math.nan], "number 3 is nan"),
        ([0.0, 1.0, 2.0], [3.0, 2.0], "at least 3"),
        ([0.0, 1.0], [3.0, 2.0, 1.0], "2 gaps but 3 readings"),
        ([0.0, 1.0, 2.0], [1e4, 2500.0, 1.0], "effective SSD is -0.30"),
    ],
)
def test_distances_that_cannot_be(gaps: list[float], readings: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        effective_distance(gaps, readings)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reference_gy_per_min": 0.0}, "reference dose rate is 0"),
        ({"applicator_factor": 98.0}, "applicator factor is 98"),
        ({"b_w_cutout": 1.1}, "B_w of the applicator is needed"),
        ({"b_w_applicator": 1.1, "b_w_cutout": 1.2}, "B_w of the cutout is 1.2"),
        ({"b_w_applicator": 0.9}, "B_w of the applicator is 0.9"),
        ({"effective_ssd_cm": math.nan}, "effective SSD is nan"),
        ({"gap_cm": -15.0}, "SSD and gap is 0"),
        ({"gap_cm": math.nan}, "gap is nan"),
        ({"reference_gap_cm": math.inf}, "gap at calibration is inf"),
        ({"shield": 0.0}, "shield is 0"),
        ({"shield": 1.1}, "shield is 1.1"),
    ],
)
def test_a_chain_that_cannot_be(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(OPEN, **wrong)


@pytest.mark.parametrize(
    ("parts_s", "eps_s", "says"),
    [
        ([], 0.0, "no part"),
        ([30.0, 0.2], -0.3, "part 2 is -0.1"),
        ([30.0, 0.0], 0.3, "timer is 0"),
        ([30.0], math.nan, "eps is nan"),
        ([math.nan], 0.0, "timer is nan"),
    ],
)
def test_parts_that_delivered_nothing(parts_s: list[float], eps_s: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        beam_time_s(parts_s, eps_s)


@pytest.mark.parametrize(
    ("depths", "percents", "says"),
    [
        ([1.0, 2.0], [100.0, 90.0], "starts at 1 mm"),
        ([0.0, 2.0], [99.0, 90.0], "with 99 %"),
        ([0.0, 2.0], [100.0, 0.0], "number 2 is 0"),
        ([0.0, 2.0], [100.0, 120.0], "largest percent depth dose is 120"),
        ([0.0, 0.0], [100.0, 90.0], "must rise"),
        ([0.0, 2.0], [100.0], "shape"),
    ],
)
def test_a_depth_dose_that_cannot_be(depths: list[float], percents: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DepthDose(np.array(depths), np.array(percents))


def test_a_depth_dose_is_not_extrapolated() -> None:
    with pytest.raises(OutsideTable, match="depth \\(mm\\) 12 is 2 above"):
        CURVE.at(12.0)
    with pytest.raises(OutsideTable):
        CURVE.at(-0.1)
    surface = surface_dose(60.0, OPEN, OUTPUT)
    with pytest.raises(OutsideTable):
        dose_at_depth(surface, CURVE, 12.0, depth_uncertainty_mm=0.2, pdd_component=PDD)
    with pytest.raises(ValueError, match="no slope"):
        DepthDose(np.array([0.0]), np.array([100.0])).depth_component(0.0, 0.1)


@pytest.mark.parametrize(
    ("dose_gy", "pdd", "eps_s", "says"),
    [
        (0.0, 100.0, 0.0, "prescribed dose is 0"),
        (2.0, 0.0, 0.0, "PDD is 0"),
        (2.0, 130.0, 0.0, "PDD is 130"),
        (2.0, 100.0, math.nan, "eps is nan"),
        (0.1, 100.0, 5.0, "time to set is -3.7"),
    ],
)
def test_a_time_that_cannot_be_set(dose_gy: float, pdd: float, eps_s: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        treatment_time_s(dose_gy, OPEN, pdd_percent=pdd, end_effect_s=eps_s)


def test_no_time_no_dose() -> None:
    with pytest.raises(ValueError, match="time with beam is 0"):
        surface_dose(0.0, OPEN, OUTPUT)
