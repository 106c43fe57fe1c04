"""Axes: perfect deliveries with one known fault each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.machine.axes import ANALYZER
from tests.deliveries import axis, delivery, dual_layer_field, sweeping_field, two_fields, vmat
from tests.machine.judging import measured, run, worst

OF_AXIS = {
    "gantry_deg": "gantry_largest_error",
    "collimator_deg": "collimator_largest_error",
    "couch_rotation_deg": "couch_rotation_largest_error",
    "couch_pitch_deg": "couch_pitch_largest_error",
    "couch_roll_deg": "couch_roll_largest_error",
    "jaw_y2_mm": "jaw_largest_error",
}


def test_a_perfect_delivery_has_no_error() -> None:
    found = measured(ANALYZER, vmat())
    assert set(found) == {metric.name for metric in ANALYZER.metrics}
    assert {m.value for m in found.values()} == {0.0}
    assert worst(found) == "PASS"


@pytest.mark.parametrize(("name", "metric"), OF_AXIS.items())
def test_each_axis_that_is_off_is_found_in_its_own_metric(name: str, metric: str) -> None:
    record = vmat()
    getattr(record, name).actual[100] -= 0.75
    found = {m: value.value for m, value in measured(ANALYZER, record).items()}
    assert found.pop(metric) == pytest.approx(0.75)
    if name == "gantry_deg":
        # one of 400 samples
        assert found.pop("gantry_rms_error") == pytest.approx(0.75 / 20)
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("name", ["gantry_deg", "collimator_deg", "couch_rotation_deg"])
def test_rotations_are_compared_the_short_way(name: str) -> None:
    record = replace(vmat(), **{name: axis(359.75, 401)})
    getattr(record, name).actual[:] = 0.25
    assert measured(ANALYZER, record)[OF_AXIS[name]].value == pytest.approx(0.5)


def test_the_jaw_is_named() -> None:
    record = sweeping_field()
    assert record.jaw_x1_mm is not None
    assert record.jaw_y2_mm is not None
    record.jaw_x1_mm.actual[:] += 0.5
    record.jaw_y2_mm.actual[20:30] -= 2.0
    jaw = measured(ANALYZER, record)["jaw_largest_error"]
    assert (jaw.value, jaw.at) == (2.0, "Y2")


@pytest.mark.parametrize("name", ["vertical", "longitudinal", "lateral"])
def test_the_couch_is_measured_from_where_it_stood_and_named(name: str) -> None:
    record = sweeping_field()
    couch = getattr(record, f"couch_{name}_mm")
    couch.actual[:] += 30.0
    couch.actual[120] -= 1.5
    excursion = measured(ANALYZER, record)["couch_largest_error"]
    # 30 mm beside the expected position says nothing: only the excursion does.
    assert (excursion.value, excursion.at) == (pytest.approx(1.5), name)


def test_the_couch_may_move_between_two_fields_but_not_in_one() -> None:
    record = two_fields()
    assert record.couch_lateral_mm is not None
    record.couch_lateral_mm.actual[101:] += 50.0
    assert measured(ANALYZER, record)["couch_largest_error"].value == 0.0
    record.couch_lateral_mm.actual[150] += 0.25
    assert measured(ANALYZER, record)["couch_largest_error"].value == 0.25


def test_an_error_with_the_beam_off_does_not_count() -> None:
    record = vmat()
    record.meterset_mu.actual[:51] = record.meterset_mu.actual[51]
    for name in (*OF_AXIS, "couch_vertical_mm"):
        getattr(record, name).actual[:51] += 5.0
    assert {m.value for m in measured(ANALYZER, record).values()} == {0.0}


def test_an_absent_axis_is_left_out() -> None:
    record = replace(dual_layer_field(), couch_rotation_deg=None, couch_vertical_mm=None)
    found = measured(ANALYZER, record, "halcyon")
    assert set(found) == {
        "gantry_largest_error",
        "gantry_rms_error",
        "collimator_largest_error",
        "couch_pitch_largest_error",
        "couch_roll_largest_error",
        "couch_largest_error",
    }


def test_a_log_with_no_axis_at_all_is_not_applicable() -> None:
    meterset_mu = np.linspace(0.0, 10.0, 11)
    without = [*OF_AXIS, "couch_vertical_mm", "couch_longitudinal_mm", "couch_lateral_mm"]
    record = replace(delivery(meterset_mu, (), jaws_mm=None), **dict.fromkeys(without))
    with pytest.raises(NotApplicable, match="no gantry"):
        run(ANALYZER, record, "clinac")
    # What a machine always logs cannot just be absent.
    with pytest.raises(AnalysisError, match="gantry, collimator, jaw X1"):
        run(ANALYZER, record, "truebeam")
    with pytest.raises(AnalysisError, match=r"lacks axes .*: gantry, collimator$"):
        run(ANALYZER, record, "halcyon")


@pytest.mark.parametrize("name", [*OF_AXIS, "couch_vertical_mm"])
def test_an_axis_without_a_position_is_never_passed(name: str) -> None:
    record = vmat()
    getattr(record, name).actual[7] = np.nan
    with pytest.raises(AnalysisError, match="no position in 1 samples"):
        run(ANALYZER, record)


def test_too_short_a_beam_is_refused_and_no_beam_not_applicable() -> None:
    with pytest.raises(AnalysisError, match="only 4 samples"):
        run(ANALYZER, vmat(samples=5))
    record = vmat()
    record.meterset_mu.actual[:] = 0.0
    with pytest.raises(NotApplicable, match="never on"):
        run(ANALYZER, record)


@pytest.mark.parametrize(("samples", "points"), [(1500, 1500), (1501, 751), (4501, 1126)])
def test_traces_are_thinned_out_evenly_from_the_first_sample(samples: int, points: int) -> None:
    record = vmat(samples)
    assert record.gantry_deg is not None
    record.gantry_deg.actual[0] += 1.0
    traces = run(ANALYZER, record).traces
    assert {len(values) for values in traces.values()} == {points}
    assert traces["time_s"][0] == 0.0
    assert len(set(np.diff(traces["time_s"]).round(4))) == 1
    assert traces["gantry_deg_actual"][0] - traces["gantry_deg_expected"][0] == pytest.approx(1.0)
    assert {"meterset_mu_actual", "jaw_x1_mm_expected", "couch_vertical_mm_actual"} <= set(traces)


def test_the_last_pulses_of_a_field_do_not_see_the_couch_of_the_next() -> None:
    record = two_fields()
    actual = record.meterset_mu.actual
    actual[99:101] -= 0.5
    actual[101:121] = 50.0
    assert record.couch_lateral_mm is not None
    record.couch_lateral_mm.actual[102:] += 50.0
    assert measured(ANALYZER, record)["couch_largest_error"].value == 0.0
