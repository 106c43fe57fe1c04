"""MLC leaf positions: perfect deliveries with one known fault each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.machine.mlc_positions import ANALYZER
from tests.deliveries import axis, dual_layer_field, static_field, sweeping_field, vmat
from tests.machine.judging import measured, run, worst

PARKED, SHAPING = 5, 30


def test_a_perfect_delivery_has_no_error() -> None:
    found = measured(ANALYZER, sweeping_field())
    assert found.pop("counted_leaves").value == 80
    assert len(found) == 6
    assert {m.value for m in found.values()} == {0.0}
    assert worst(found) == "PASS"


def test_a_leaf_held_one_mm_off_is_found_and_named() -> None:
    record = sweeping_field()
    record.mlc[0].bank_b_mm.actual[:, SHAPING] -= 1.0
    found = measured(ANALYZER, record)
    assert (found["worst_leaf_rms"].value, found["worst_leaf_rms"].at) == (
        pytest.approx(1.0),
        "B31",
    )
    assert (found["largest_error"].value, found["largest_error"].at) == (pytest.approx(1.0), "B31")
    # One of 40 leaves of bank B, its sign kept; 95 % of the errors of 80 leaves are 0.
    assert found["bank_b_mean_error"].value == pytest.approx(-1.0 / 40)
    assert found["bank_a_mean_error"].value == 0.0
    assert found["error_p95"].value == pytest.approx(0.0, abs=1e-12)


def test_rms_and_largest_error_may_be_of_different_leaves() -> None:
    record = sweeping_field(samples=101)
    record.mlc[0].bank_a_mm.actual[50, 20] += 2.0
    record.mlc[0].bank_a_mm.actual[:, 40] += 0.5
    found = measured(ANALYZER, record)
    # 2 mm in one of 100 samples is 0.2 mm RMS.
    assert (found["worst_leaf_rms"].at, found["largest_error"].at) == ("A41", "A21")
    assert found["worst_leaf_rms"].value == pytest.approx(0.5)
    assert found["largest_error"].value == pytest.approx(2.0)
    record.mlc[0].bank_a_mm.actual[:, 40] -= 0.4
    assert measured(ANALYZER, record)["worst_leaf_rms"].value == pytest.approx(0.2)


def test_p95_is_over_all_errors_of_the_leaves_that_count() -> None:
    record = sweeping_field()
    # 8 of 80 leaves are 0.7 mm off, so the 95th percentile lies among them; of all 120 leaves too,
    # but 5 of 80 are more than 5 %, and 5 of 120 are less.
    record.mlc[0].bank_a_mm.actual[:, 20:25] += 0.7
    assert measured(ANALYZER, record)["error_p95"].value == pytest.approx(0.7)


def test_an_error_with_the_beam_off_does_not_count() -> None:
    record = sweeping_field()
    record.meterset_mu.actual[:51] = record.meterset_mu.actual[51]
    record.mlc[0].bank_a_mm.actual[:51] += 9.0
    assert measured(ANALYZER, record)["largest_error"].value == 0.0


def test_a_parked_leaf_is_reported_apart() -> None:
    record = sweeping_field()
    record.mlc[0].bank_a_mm.actual[:, PARKED] += 0.4
    record.mlc[0].bank_b_mm.actual[7, PARKED] -= 4.0
    found = measured(ANALYZER, record)
    parked = found.pop("parked_largest_error")
    assert (parked.value, parked.at) == (4.0, "B6")
    assert found.pop("counted_leaves").value == 80
    assert {m.value for m in found.values()} == {0.0}
    assert worst({"parked": parked}) == "ACTION"


def test_the_parked_error_is_that_of_the_parked_leaves_alone() -> None:
    record = sweeping_field()
    record.mlc[0].bank_a_mm.actual[:, SHAPING] += 1.0
    record.mlc[0].bank_a_mm.actual[:, PARKED] += 0.25
    parked = measured(ANALYZER, record)["parked_largest_error"]
    assert (parked.value, parked.at) == (0.25, "A6")


def test_where_every_leaf_shapes_the_field_none_is_parked() -> None:
    found = measured(ANALYZER, static_field(length_mm=400.0))
    assert found["counted_leaves"].value == 120
    assert "parked_largest_error" not in found


def test_where_no_leaf_shapes_the_field_only_the_parked_ones_are_judged() -> None:
    record = static_field(jaws_mm=(-30.0, 30.0, -30.0, 30.0))
    record.mlc[0].bank_a_mm.actual[:] += 0.3
    analysis = run(ANALYZER, record)
    assert {m.metric.name: m.value for m in analysis.measurements} == {
        "parked_largest_error": pytest.approx(0.3),
        "counted_leaves": 0.0,
    }
    assert analysis.notes == ["no leaf shapes the field: the jaws alone do"]


def test_one_bank_alone_at_the_edge_has_one_mean() -> None:
    record = static_field(jaws_mm=(-30.0, 60.0, -50.0, 50.0))
    found = measured(ANALYZER, record)
    assert "bank_a_mean_error" in found
    assert "bank_b_mean_error" not in found


def test_both_layers_are_measured_and_the_layer_is_named() -> None:
    record = dual_layer_field()
    record.mlc[1].bank_b_mm.actual[:, 14] -= 0.6
    found = measured(ANALYZER, record, "halcyon")
    assert (found["largest_error"].value, found["largest_error"].at) == (
        pytest.approx(0.6),
        "29B15",
    )
    assert found["counted_leaves"].value == 2 * 10 + 2 * 9


def test_traces_run_a_then_b_and_are_empty_where_a_leaf_does_not_count() -> None:
    record = sweeping_field()
    record.mlc[0].bank_b_mm.actual[:, SHAPING] += 0.25
    record.mlc[0].bank_a_mm.actual[:, PARKED] += 0.25
    traces = run(ANALYZER, record).traces
    assert {name: values.shape for name, values in traces.items()} == {
        "leaf_rms_mm": (120,),
        "leaf_largest_mm": (120,),
        "leaf_counted": (120,),
    }
    assert np.flatnonzero(traces["leaf_counted"]).tolist() == [*range(10, 50), *range(70, 110)]
    assert np.array_equal(np.isnan(traces["leaf_rms_mm"]), ~traces["leaf_counted"])
    assert np.flatnonzero(traces["leaf_rms_mm"] == 0.25).tolist() == [60 + SHAPING]
    assert np.flatnonzero(traces["leaf_largest_mm"] == 0.25).tolist() == [60 + SHAPING]


@pytest.mark.parametrize("leaf", [PARKED, SHAPING])
def test_a_leaf_without_a_position_is_never_passed(leaf: int) -> None:
    record = vmat()
    record.mlc[0].bank_a_mm.actual[17, leaf] = np.nan
    with pytest.raises(AnalysisError, match=f"leaf A{leaf + 1} has no position"):
        run(ANALYZER, record)


def test_too_short_a_beam_is_refused_not_passed() -> None:
    with pytest.raises(AnalysisError, match="only 4 samples"):
        run(ANALYZER, sweeping_field(samples=5))
    assert measured(ANALYZER, sweeping_field(samples=6))
    with pytest.raises(AnalysisError, match="only 20 samples"):
        run(ANALYZER, sweeping_field(samples=21), fewest_samples=21)


def test_no_leaves_and_no_beam_are_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="no leaf positions"):
        run(ANALYZER, replace(sweeping_field(), mlc=()), "clinac")
    # Leaves that nobody can place, and a machine that always has leaves, are never passed over.
    with pytest.raises(AnalysisError, match="no leaf positions, which"):
        run(ANALYZER, replace(sweeping_field(), mlc=()), "truebeam")
    unplaced = replace(sweeping_field(), mlc=(), other_axes={50: axis(0.0, 201)})
    with pytest.raises(AnalysisError, match="fit no known MLC"):
        run(ANALYZER, unplaced, "clinac")
    record = sweeping_field()
    record.meterset_mu.actual[:] = 0.0
    with pytest.raises(NotApplicable, match="never on"):
        run(ANALYZER, record)
