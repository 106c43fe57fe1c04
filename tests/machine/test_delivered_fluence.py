"""Delivered fluence: perfect deliveries with one known fault each, in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.machine.delivered_fluence import ANALYZER
from analyzers.records import Delivery
from tests.deliveries import (
    axis,
    delivery,
    dual_layer_field,
    layer,
    static_field,
    sweeping_field,
    two_fields,
    vmat,
)
from tests.machine.faults import bank_a_shifted, jaw_x1_off, meterset_scaled
from tests.machine.judging import measured, run, verdict, worst


def small_field() -> Delivery:
    """96 mm between the leaves, 20 mm between the jaws, 100 MU."""
    return static_field(length_mm=20.0)


@pytest.mark.parametrize(
    "record",
    [
        sweeping_field(),
        vmat(),
        two_fields(),
        static_field(collimator_deg=np.linspace(350.0, 370.0, 101) % 360.0),
    ],
    ids=["sweeping", "vmat", "two fields", "turning collimator"],
)
def test_a_perfect_delivery_is_equal(record: Delivery) -> None:
    found = {name: m.value for name, m in measured(ANALYZER, record).items()}
    assert found == {"gamma_pass": 100.0, "gamma_mean": 0.0, "fluence_error": 0.0}
    assert worst(measured(ANALYZER, record)) == "PASS"


def test_a_machine_without_jaws_and_with_two_layers_is_measured() -> None:
    record = dual_layer_field()
    open_rows = record.mlc[1].bank_a_mm.actual[:, 10:19]
    open_rows -= 2.0
    found = measured(ANALYZER, record, "halcyon")
    assert found["fluence_error"].value == pytest.approx(-2.0)
    open_rows += 4.0
    # Behind the other layer the leaves open nothing.
    found = measured(ANALYZER, record, "halcyon")
    assert (found["fluence_error"].value, found["gamma_pass"].value) == (pytest.approx(0.0), 100.0)


def test_a_field_two_mm_narrow_fails_beyond_the_distance() -> None:
    # 2.1 of 96 mm are lost.  On a grid of 0.3 mm the last full pixel is at 45.75 mm; of 320 columns
    # those at 46.95, 47.25, 47.55 and 47.85 mm find no dose within 1 mm.
    found = measured(ANALYZER, bank_a_shifted(small_field(), -2.1), x_mm=0.3)
    assert found["fluence_error"].value == pytest.approx(-100.0 * 2.1 / 96.0)
    assert found["gamma_pass"].value == pytest.approx(100.0 * 316 / 320)
    assert (verdict(found["gamma_pass"]), verdict(found["fluence_error"])) == (
        "TOLERANCE",
        "ACTION",
    )
    # Within 2 mm only the last finds none.
    found = measured(ANALYZER, bank_a_shifted(small_field(), -2.1), "clinac", x_mm=0.3)
    assert found["gamma_pass"].value == pytest.approx(100.0 * 319 / 320)


@pytest.mark.parametrize(
    ("percent", "machine_class", "gamma"),
    [
        (-0.5, "truebeam", 0.5),
        (-0.9, "halcyon", 0.9),
        (-1.5, "clinac", 0.75),
        (-1.9, "elekta", 0.95),
    ],
)
def test_meterset_error_over_the_dose_criterion_is_gamma(
    percent: float, machine_class: str, gamma: float
) -> None:
    record = meterset_scaled(small_field(), 1.0 + percent / 100.0)
    found = measured(ANALYZER, record, machine_class)
    assert found["gamma_pass"].value == 100.0
    assert found["gamma_mean"].value == pytest.approx(gamma, abs=2e-3)
    assert found["fluence_error"].value == pytest.approx(percent)


def test_maps_are_not_normalized_to_themselves() -> None:
    found = measured(ANALYZER, meterset_scaled(small_field(), 0.9))
    assert (found["gamma_pass"].value, found["gamma_mean"].value) == (0.0, 2.0)
    assert found["fluence_error"].value == pytest.approx(-10.0)
    assert verdict(found["gamma_pass"]) == verdict(found["fluence_error"]) == "ACTION"


def test_each_map_has_its_own_jaws() -> None:
    found = measured(ANALYZER, jaw_x1_off(small_field(), 40.0))
    # From -48 to -10 mm of 96 mm nothing came.
    assert found["fluence_error"].value == pytest.approx(-100.0 * 38.0 / 96.0)
    assert verdict(found["gamma_pass"]) == "ACTION"
    # Opened behind the leaves it changes nothing: `axes` sees it.
    found = measured(ANALYZER, jaw_x1_off(small_field(), -40.0))
    assert (found["gamma_pass"].value, found["fluence_error"].value) == (100.0, 0.0)


def hd120_field(y1_mm: float, y2_mm: float) -> Delivery:
    """Leaves from -110 to 110 mm, all out of the way of the jaws at +-150 mm in x."""
    edges_mm = np.concatenate(
        [np.arange(-110.0, -40.0, 5.0), np.arange(-40.0, 40.0, 2.5), np.arange(40.0, 111.0, 5.0)]
    )
    right_mm = np.full((101, 60), 160.0)
    leaves = layer(right_mm, -right_mm, leaf_edges_mm=edges_mm)
    jaws_mm = (-150.0, 150.0, y1_mm, y2_mm)
    return delivery(np.linspace(0.0, 100.0, 101), (leaves,), jaws_mm=jaws_mm)


@pytest.mark.parametrize("by_mm", [-10.0, 10.0])
def test_a_y_jaw_that_is_off_beyond_the_leaves_is_seen(by_mm: float) -> None:
    record = hd120_field(-150.0, 140.0)
    assert record.jaw_y2_mm is not None
    record.jaw_y2_mm.actual[:] += by_mm
    found = measured(ANALYZER, record)
    assert found["fluence_error"].value == pytest.approx(100.0 * by_mm / 290.0)
    assert verdict(found["fluence_error"]) == "ACTION"
    # Rows at 131 mm and above find no dose within 1 mm; what is open too far is beyond the field.
    gamma = 100.0 if by_mm > 0.0 else 100.0 * 281 / 290
    assert found["gamma_pass"].value == pytest.approx(gamma)


def test_a_field_wholly_beyond_the_leaves_is_a_field() -> None:
    record = hd120_field(120.0, 150.0)
    found = measured(ANALYZER, record)
    assert (found["gamma_pass"].value, found["fluence_error"].value) == (100.0, 0.0)
    assert record.jaw_y1_mm is not None
    record.jaw_y1_mm.actual[:] += 10.0
    found = measured(ANALYZER, record)
    assert found["fluence_error"].value == pytest.approx(-100.0 / 3)
    assert verdict(found["gamma_pass"]) == "ACTION"


def test_the_result_says_what_gamma_was_taken() -> None:
    (note,) = run(ANALYZER, meterset_scaled(small_field(), 0.99), "clinac").notes
    assert "2 %" in note
    assert "2 mm" in note
    assert "points pass" in note
    (note,) = run(ANALYZER, small_field()).notes
    assert "1 %" in note


def test_a_collimator_at_the_wrong_angle_is_seen() -> None:
    # 100 x 50 mm turned by 90 degrees: 50 mm of 100 overlap, and 1 mm more at each end passes.
    record = static_field(width_mm=104.0, length_mm=50.0)
    assert record.collimator_deg is not None
    record.collimator_deg.actual[:] = 90.0
    found = measured(ANALYZER, record)
    assert found["gamma_pass"].value == pytest.approx(52.0, abs=1.0)
    assert found["fluence_error"].value == pytest.approx(0.0)
    # The maps hold the field at both angles.
    traces = run(ANALYZER, record).traces
    assert (traces["x_mm"].max(), traces["y_mm"].max()) == (54.5, 54.5)


def test_a_collimator_that_turns_with_the_beam_on_is_drawn_in_the_frame_of_the_gantry() -> None:
    turning = np.linspace(0.0, 90.0, 101)
    record = static_field(width_mm=54.0, length_mm=50.0, collimator_deg=turning)
    traces = run(ANALYZER, record).traces
    corner = np.searchsorted(traces["y_mm"], 23.9), np.searchsorted(traces["x_mm"], 23.9)
    # The corner of the square is open only while the field stands nearly upright.
    assert 0.0 < traces["expected"][corner] < 20.0


def test_a_collimator_that_turns_with_the_beam_off_does_not_count() -> None:
    record = static_field(length_mm=20.0, collimator_deg=20.0)
    assert record.collimator_deg is not None
    for state in (record.meterset_mu.expected, record.meterset_mu.actual):
        state[40:60] = state[39]
    record.collimator_deg.actual[42:55] = 30.0
    assert run(ANALYZER, record).traces["x_mm"][0] == -52.5


@pytest.mark.parametrize(("off_deg", "is_turned"), [(0.04, False), (359.96, False), (0.06, True)])
def test_a_collimator_within_reach_stands_where_it_should(off_deg: float, is_turned: bool) -> None:
    record = small_field()
    assert record.collimator_deg is not None
    record.collimator_deg.actual[:] = off_deg
    assert (measured(ANALYZER, record)["gamma_mean"].value > 0.0) is is_turned


def test_the_worst_sub_beam_is_named() -> None:
    record = two_fields()
    record.mlc[0].bank_a_mm.actual[101:, 10:50] -= 3.0
    found = measured(ANALYZER, record)
    # 3 of 60 mm in the second field, nothing in the first.
    assert found["fluence_error"].value == pytest.approx(-5.0)
    assert {m.at for m in found.values()} == {"sub-beam 2"}
    first = replace(record.sub_beams[1], delivered=False)
    found = measured(ANALYZER, replace(record, sub_beams=(record.sub_beams[0], first)))
    assert {m.at for m in found.values()} == {None}


def test_the_first_increment_of_a_sub_beam_counts() -> None:
    record = two_fields()
    for state in (record.meterset_mu.expected, record.meterset_mu.actual):
        state[101:] = np.linspace(50.5, 100.0, 101)
    record = replace(
        record, sub_beams=(record.sub_beams[0], replace(record.sub_beams[1], start=101))
    )
    record.mlc[0].bank_a_mm.actual[101:] -= 3.0
    # All 50 MU of the second field are in its map.
    assert run(ANALYZER, record).traces["expected"].max() == pytest.approx(50.0)


def test_motion_between_two_fields_is_not_fluence() -> None:
    record = two_fields()
    for state in (record.meterset_mu.expected, record.meterset_mu.actual):
        state[101:121] = 50.0
        state[121:] = np.linspace(50.5, 100.0, 81)
    record.mlc[0].bank_a_mm.actual[103:118] += 70.0
    assert measured(ANALYZER, record)["fluence_error"].value == pytest.approx(0.0, abs=1e-9)


def test_a_field_that_is_closed_throughout_is_not_applicable() -> None:
    record = sweeping_field()
    for bank in (record.mlc[0].bank_a_mm, record.mlc[0].bank_b_mm):
        bank.expected[:], bank.actual[:] = 0.0, 0.0
    record.mlc[0].bank_a_mm.actual[:] += 0.03
    with pytest.raises(NotApplicable, match="never open"):
        run(ANALYZER, record)


@pytest.mark.parametrize("gap_mm", [0.1, 0.5])
def test_pairs_logged_a_smallest_gap_apart_are_closed(gap_mm: float) -> None:
    """Some machines log closed pairs a tenth of a mm apart, or hold them at their smallest gap."""
    record = sweeping_field()
    layer = record.mlc[0]
    layer.bank_a_mm.expected[:] = layer.bank_b_mm.expected + gap_mm
    layer.bank_a_mm.actual[:] = layer.bank_b_mm.actual
    with pytest.raises(NotApplicable, match="never open"):
        run(ANALYZER, record)
    # 40 leaves of 5 mm: 0.13 mm more than expected are 26 mm2.
    layer.bank_a_mm.actual[:] = layer.bank_b_mm.actual + gap_mm + 0.13
    with pytest.raises(AnalysisError, match="expected closed"):
        run(ANALYZER, record)


def test_a_slit_wider_than_the_smallest_gap_is_a_field() -> None:
    record = sweeping_field()
    layer = record.mlc[0]
    for state in ("expected", "actual"):
        getattr(layer.bank_a_mm, state)[:] = getattr(layer.bank_b_mm, state) + 0.7
    assert measured(ANALYZER, record)["gamma_pass"].value == 100.0


def test_a_field_open_where_none_was_expected_is_never_passed() -> None:
    record = sweeping_field()
    record.mlc[0].bank_a_mm.expected[:] = record.mlc[0].bank_b_mm.expected
    with pytest.raises(AnalysisError, match="expected closed"):
        run(ANALYZER, record)


@pytest.mark.parametrize("bank", ["bank_a_mm", "bank_b_mm"])
def test_an_unknown_leaf_is_never_passed(bank: str) -> None:
    record = sweeping_field()
    getattr(record.mlc[0], bank).actual[40, 30] = np.nan
    with pytest.raises(AnalysisError, match="no value"):
        run(ANALYZER, record)


def test_no_leaves_no_beam_and_too_short_a_beam_are_told_apart() -> None:
    with pytest.raises(NotApplicable, match="no leaf positions"):
        run(ANALYZER, replace(sweeping_field(), mlc=()), "clinac")
    with pytest.raises(AnalysisError, match="no leaf positions, which"):
        run(ANALYZER, replace(sweeping_field(), mlc=()))
    with pytest.raises(NotApplicable, match="never on"):
        run(ANALYZER, replace(sweeping_field(), meterset_mu=axis(0.0, 201)))
    with pytest.raises(AnalysisError, match="only 4 samples"):
        run(ANALYZER, sweeping_field(samples=5))


def test_traces_are_the_maps_in_pixels_of_about_one_mm() -> None:
    traces = run(ANALYZER, bank_a_shifted(small_field(), -3.0)).traces
    shape = (len(traces["y_mm"]), len(traces["x_mm"]))
    assert {traces[name].shape for name in ("expected", "actual", "gamma")} == {shape}
    assert {values.dtype.name for values in traces.values()} == {"float32"}
    # 5 mm of margin; a pixel is the mean of four columns, its gamma the worst of them.
    assert traces["x_mm"][[0, 1]].tolist() == [-52.5, -51.5]
    assert traces["y_mm"][[0, -1]].tolist() == [-14.5, 14.5]
    middle = shape[0] // 2
    expected = np.where(np.abs(traces["x_mm"]) < 48.0, 100.0, 0.0)
    assert traces["expected"][middle] == pytest.approx(expected)
    assert np.isnan(traces["gamma"][middle, expected == 0.0]).all()
    at = traces["x_mm"].tolist().index
    assert traces["actual"][middle, at(46.5)] == 0.0
    # The last full pixel is at 44.875 mm, 2 mm from the last of the four columns.
    assert traces["gamma"][middle, at(46.5)] == pytest.approx(2.0, abs=1e-3)
    assert traces["gamma"][middle, at(45.5)] == pytest.approx(1.0, abs=1e-3)
    assert traces["gamma"][middle, at(0.5)] == 0.0
