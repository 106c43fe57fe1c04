"""Meterset: what was delivered, expected and planned, and whether the log is whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analyzers.core import AnalysisError
from analyzers.machine.meterset import ANALYZER
from analyzers.records import Delivery, Identity
from tests.deliveries import axis, static_field, sweeping_field, two_fields, vmat
from tests.machine.judging import measured, run, verdict, worst


def interrupted(mu: float, control_point: float) -> Delivery:
    """Stopped at `mu` of 100, with the log's own expected values stopped as well."""
    record = sweeping_field(mu=mu, planned_mu=100.0)
    return replace(record, control_point=control_points(control_point))


def control_points(last: float) -> Any:
    return sweeping_field(control_point=np.linspace(0.0, last, 201)).control_point


def test_a_perfect_delivery_has_no_error_and_is_complete() -> None:
    found = measured(ANALYZER, two_fields())
    assert set(found) == {metric.name for metric in ANALYZER.metrics}
    assert (found["complete"].value, found["complete"].at) == (1.0, None)
    assert {m.value for name, m in found.items() if name != "complete"} == {0.0}
    assert worst(found) == "PASS"


def test_errors_are_those_of_the_last_sample_and_signed() -> None:
    record = sweeping_field(mu=200.0, planned_mu=250.0)
    record.meterset_mu.actual[100] += 0.3
    record.meterset_mu.actual[-1] = 199.0
    values = {name: m.value for name, m in measured(ANALYZER, record).items()}
    assert values["delivered_error"] == pytest.approx(-1.0)
    assert values["delivered_error_percent"] == pytest.approx(-0.5)
    assert values["planned_error"] == pytest.approx(-51.0)
    assert values["planned_error_percent"] == pytest.approx(-20.4)


@pytest.mark.parametrize("name", ["delivered_error", "planned_error"])
@pytest.mark.parametrize(
    ("machine_class", "of_mu", "error_mu", "expected"),
    [
        # the greater of 0.1 MU and 0.2 %, of 0.5 MU and 1 %
        ("truebeam", 10.0, 0.09, "PASS"),
        ("truebeam", 10.0, -0.11, "TOLERANCE"),
        ("truebeam", 10.0, 0.51, "ACTION"),
        ("truebeam", 200.0, -0.39, "PASS"),
        ("truebeam", 200.0, 0.41, "TOLERANCE"),
        ("truebeam", 200.0, -2.01, "ACTION"),
        ("halcyon", 200.0, 0.41, "TOLERANCE"),
        # the greater of 0.5 MU and 0.5 %, of 1 MU and 2 %
        ("clinac", 10.0, 0.49, "PASS"),
        ("clinac", 10.0, 0.51, "TOLERANCE"),
        ("clinac", 10.0, 1.01, "ACTION"),
        ("clinac", 200.0, 3.99, "TOLERANCE"),
        ("elekta", 200.0, -4.01, "ACTION"),
    ],
)
def test_the_greater_of_mu_and_percent_judges(
    name: str, machine_class: str, of_mu: float, error_mu: float, expected: str
) -> None:
    record = sweeping_field(mu=of_mu)
    record.meterset_mu.actual[-1] += error_mu
    assert verdict(measured(ANALYZER, record, machine_class)[name], machine_class) == expected


def test_percent_metrics_are_for_the_trend() -> None:
    record = sweeping_field()
    record.meterset_mu.actual[-1] = 10.0
    found = measured(ANALYZER, record)
    assert verdict(found["delivered_error_percent"]) is None
    assert verdict(found["planned_error_percent"]) is None


@pytest.mark.parametrize("planned_mu", [None, 0.0])
def test_without_a_planned_meterset_there_is_no_planned_error(planned_mu: float | None) -> None:
    found = measured(ANALYZER, sweeping_field(planned_mu=planned_mu))
    assert set(found) == {"delivered_error", "delivered_error_percent", "complete"}


def test_an_interrupted_beam_is_never_passed_though_its_expected_values_stop_too() -> None:
    found = measured(ANALYZER, interrupted(mu=36.1, control_point=7.52))
    assert found["delivered_error"].value == 0.0
    assert verdict(found["planned_error"]) == "ACTION"
    assert (found["complete"].value, found["complete"].at) == (0.0, "control point 7.520")
    assert verdict(found["complete"]) == "ACTION"


def test_a_beam_interrupted_before_its_start_is_at_action() -> None:
    record = static_field()
    record.meterset_mu.actual[:] = 0.0
    record.meterset_mu.expected[:] = 0.0
    found = measured(ANALYZER, record)
    assert "delivered_error_percent" not in found
    assert found["planned_error"].value == -100.0
    assert verdict(found["planned_error"]) == "ACTION"
    unplanned = measured(ANALYZER, replace(record, planned_mu=None))
    assert unplanned["complete"].at == (
        "the beam was never on; no planned meterset to compare with"
    )
    assert worst(unplanned) == "ACTION"


@pytest.mark.parametrize("machine_class", ["truebeam", "halcyon", "clinac", "elekta"])
@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"truncated": True}, "log truncated"),
        ({"control_point": control_points(9.5)}, "control point 9.500"),
        ({"control_point": control_points(9.97)}, "control point 9.970"),
        (
            {"truncated": True, "control_point": control_points(0.4)},
            "log truncated; control point 0.400",
        ),
    ],
)
def test_what_is_missing_is_said(machine_class: str, change: dict[str, Any], at: str) -> None:
    complete = measured(ANALYZER, replace(sweeping_field(), **change), machine_class)["complete"]
    assert (complete.value, complete.at) == (0.0, at)
    assert verdict(complete, machine_class) == "ACTION"


@pytest.mark.parametrize("last", [9.9995, 10.0, 10.0005])
def test_a_control_point_near_a_whole_number_is_reached(last: float) -> None:
    record = replace(sweeping_field(), control_point=control_points(last))
    assert measured(ANALYZER, record)["complete"].value == 1.0


def test_a_sub_beam_that_was_not_delivered_is_named() -> None:
    record = two_fields()
    first, second = record.sub_beams
    record = replace(record, sub_beams=(first, replace(second, delivered=False)))
    complete = measured(ANALYZER, record)["complete"]
    assert (complete.value, complete.at) == (0.0, "sub-beam 2 not delivered")


def test_a_log_without_control_points_may_be_complete() -> None:
    assert measured(ANALYZER, replace(static_field(), control_point=None))["complete"].value == 1.0


@pytest.mark.parametrize("sample", [0, 50, -1])
@pytest.mark.parametrize("state", ["expected", "actual"])
def test_an_unknown_meterset_is_never_passed(sample: int, state: str) -> None:
    record = sweeping_field()
    getattr(record.meterset_mu, state)[sample] = np.nan
    with pytest.raises(AnalysisError, match="not a number"):
        run(ANALYZER, record)


def test_an_unknown_end_or_plan_is_never_passed() -> None:
    record = sweeping_field()
    assert record.control_point is not None
    record.control_point.actual[-1] = np.nan
    with pytest.raises(AnalysisError, match="control point is not a number"):
        run(ANALYZER, record)
    with pytest.raises(AnalysisError, match="planned meterset is not a number"):
        run(ANALYZER, sweeping_field(planned_mu=np.nan))
    with pytest.raises(AnalysisError, match="no samples"):
        run(ANALYZER, replace(record, meterset_mu=axis([], 0)))


def cut(record: Delivery, first: int, stop: int) -> Delivery:
    """The log without the samples from `first` up to `stop`."""
    kept = np.r_[0:first, stop : record.samples]

    def of(one: Any) -> Any:
        return replace(one, expected=one.expected[kept], actual=one.actual[kept])

    layers = tuple(
        replace(one, bank_a_mm=of(one.bank_a_mm), bank_b_mm=of(one.bank_b_mm)) for one in record.mlc
    )
    axes = {
        name: of(getattr(record, name))
        for name in ("meterset_mu", "control_point", "gantry_deg")
        if getattr(record, name) is not None
    }
    return replace(record, mlc=layers, **axes)


@pytest.mark.parametrize(
    ("first", "stop", "at"),
    [
        (0, 80, "the log begins at 40.00 MU"),
        (60, 120, "samples missing at 1.20 s"),
        (199, 200, None),  # a sample less than 1 MU away may be as far as this beam goes
    ],
)
def test_a_log_that_lost_a_part_is_not_complete(first: int, stop: int, at: str | None) -> None:
    # 100 MU in 200 steps of 0.5 MU, 0.02 s apart: what was lost is nowhere but in the steps.
    record = cut(sweeping_field(), first, stop)
    found = measured(ANALYZER, record)
    assert found["planned_error"].value == 0.0
    assert (found["complete"].value, found["complete"].at) == (float(at is None), at)


def test_a_jump_of_gantry_or_leaves_with_the_beam_on_is_a_gap() -> None:
    turned = vmat()
    assert turned.gantry_deg is not None
    turned.gantry_deg.expected[200:] += 5.0
    assert measured(ANALYZER, turned)["complete"].at == "samples missing at 40.00 s"
    moved = sweeping_field()
    moved.mlc[0].bank_a_mm.expected[100:, 30] += 3.0
    assert measured(ANALYZER, moved)["complete"].at == "samples missing at 2.00 s"


def test_control_points_that_lag_behind_the_expected_ones_are_said() -> None:
    record = sweeping_field()
    assert record.control_point is not None
    record.control_point.actual[:] /= 2.0
    assert measured(ANALYZER, record)["complete"].at == "control point 5.000 of 10.000"


def test_too_much_in_one_sub_beam_is_not_made_up_for_by_another() -> None:
    record = two_fields()
    first, second = record.sub_beams
    swapped = (replace(first, planned_mu=55.0), replace(second, planned_mu=45.0))
    found = measured(ANALYZER, replace(record, sub_beams=swapped))
    assert found["planned_error"].value == 0.0
    assert abs(found["sub_beam_error"].value) == pytest.approx(5.0)
    assert found["sub_beam_error"].at == "sub-beam 2"  # 5 of 45 is more than 5 of 55
    assert worst(found) == "ACTION"


def test_only_machines_that_log_a_planned_meterset_must() -> None:
    for machine_class, value in (("truebeam", 0.0), ("halcyon", 0.0), ("clinac", 1.0)):
        found = measured(ANALYZER, sweeping_field(planned_mu=None), machine_class)
        assert found["complete"].value == value


def test_a_log_without_an_expected_meterset_has_no_delivered_error() -> None:
    """Its expected meterset is the actual one: the error would be zero whatever happened."""
    record = replace(sweeping_field(mu=90.0, planned_mu=100.0), meterset_expected=False)
    found = measured(ANALYZER, record, "elekta")
    assert set(found) == {"planned_error", "planned_error_percent", "complete"}
    assert found["planned_error"].value == pytest.approx(-10.0)


@pytest.mark.parametrize(
    ("identity", "complete"),
    [
        (Identity(), 1.0),
        (Identity(beam_name="AP"), 0.0),
        (Identity(beam_label="1-1"), 0.0),
    ],
)
def test_an_elekta_field_without_a_prescription_is_not_whole_a_service_beam_is(
    identity: Identity, complete: float
) -> None:
    record = replace(sweeping_field(), planned_mu=None, identity=identity)
    assert measured(ANALYZER, record, "elekta")["complete"].value == complete
