"""Default limits from published distributions, metric names as in the contract."""

from __future__ import annotations

import pytest

from analyzers.core import Analyzer, Limits
from analyzers.machine import (
    axes,
    beam_holds,
    delivered_fluence,
    leaf_log_check,
    meterset,
    mlc_positions,
    plan_agreement,
)

ANALYZERS = {
    module.ANALYZER.name: module.ANALYZER
    for module in (
        mlc_positions,
        axes,
        meterset,
        beam_holds,
        delivered_fluence,
        plan_agreement,
        leaf_log_check,
    )
}
CLASSES = {"truebeam", "halcyon", "clinac", "elekta"}

# (tolerance, action): TrueBeam and Halcyon; Clinac; Elekta
AT_MOST = {
    "mlc_positions.worst_leaf_rms": ((0.15, 0.35), (1.0, 1.5), (0.6, 1.0)),
    "mlc_positions.error_p95": ((0.2, 0.5), (1.0, 2.0), (1.0, 2.0)),
    "mlc_positions.largest_error": ((0.5, 1.0), (2.0, 3.5), (5.0, 8.0)),
    "leaf_log_check.largest_disagreement": ((0.3, 0.5),) * 3,
    "leaf_log_check.leaves_disagreeing": ((0.0, 0.0),) * 3,
    "mlc_positions.parked_largest_error": ((0.5, 1.0), (2.0, 3.5), (5.0, 8.0)),
    "axes.gantry_largest_error": ((0.3, 0.5), (0.5, 1.0), (2.0, 3.0)),
    "axes.gantry_rms_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "axes.collimator_largest_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "axes.jaw_largest_error": ((0.5, 1.0), (1.0, 2.0), (4.0, 6.0)),
    "axes.couch_rotation_largest_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "axes.couch_pitch_largest_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "axes.couch_roll_largest_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "axes.couch_largest_error": ((0.5, 1.0), (1.0, 2.0), (1.0, 2.0)),
    "plan_agreement.worst_leaf_rms": ((0.15, 0.35), (1.0, 1.5), (0.6, 1.0)),
    "plan_agreement.largest_leaf_error": ((0.5, 1.0), (2.0, 3.5), (5.0, 8.0)),
    "plan_agreement.gantry_largest_error": ((0.3, 0.5), (0.5, 1.0), (2.0, 3.0)),
    "plan_agreement.gantry_rms_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "plan_agreement.collimator_largest_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "plan_agreement.couch_rotation_largest_error": ((0.2, 0.5), (0.5, 1.0), (0.5, 1.0)),
    "plan_agreement.jaw_largest_error": ((0.5, 1.0), (1.0, 2.0), (4.0, 6.0)),
    "plan_agreement.missing_control_points": ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
    "plan_agreement.expected_worst_leaf_rms": ((0.05, 0.15), (0.1, 0.3), (0.2, 0.4)),
    "plan_agreement.expected_gantry_largest_error": ((0.1, 0.3), (0.3, 0.5), (2.0, 3.0)),
    "plan_agreement.expected_collimator_largest_error": ((0.1, 0.3), (0.2, 0.4), (0.2, 0.4)),
    "plan_agreement.expected_couch_rotation_largest_error": ((0.2, 0.4), (0.2, 0.4), (0.2, 0.4)),
    "plan_agreement.expected_jaw_largest_error": ((0.1, 0.5), (0.5, 1.0), (4.0, 6.0)),
}
AT_LEAST = {
    "leaf_log_check.leaves_seen": ((90.0, 70.0),) * 3,
    "meterset.complete": ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0)),
    "delivered_fluence.gamma_pass": ((99.0, 95.0), (97.0, 90.0), (97.0, 90.0)),
    "plan_agreement.shape_agrees": ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0)),
    "plan_agreement.gamma_pass": ((99.0, 95.0), (97.0, 90.0), (97.0, 90.0)),
    "plan_agreement.gamma_pass_3_2": ((99.0, 95.0), (99.0, 95.0), (99.0, 95.0)),
    "plan_agreement.sector_gamma_pass_3_2": ((95.0, 90.0), (95.0, 90.0), (95.0, 90.0)),
}
# (tolerance, action, tolerance %, action %)
WITHIN = {
    "mlc_positions.bank_a_mean_error": (
        (0.1, 0.3, None, None),
        (0.3, 0.6, None, None),
        (0.3, 0.6, None, None),
    ),
    "mlc_positions.bank_b_mean_error": (
        (0.1, 0.3, None, None),
        (0.3, 0.6, None, None),
        (0.3, 0.6, None, None),
    ),
    "meterset.delivered_error": ((0.1, 0.5, 0.2, 1.0), (0.5, 1.0, 0.5, 2.0), (0.5, 1.0, 0.5, 2.0)),
    "meterset.planned_error": ((0.1, 0.5, 0.2, 1.0), (0.5, 1.0, 0.5, 2.0), (0.5, 1.0, 0.5, 2.0)),
    "meterset.sub_beam_error": ((0.1, 0.5, 0.2, 1.0), (0.5, 1.0, 0.5, 2.0), (0.5, 1.0, 0.5, 2.0)),
    "delivered_fluence.fluence_error": ((1.0, 2.0, None, None),) * 3,
    "plan_agreement.meterset_error": (
        (0.1, 0.5, 0.2, 1.0),
        (0.5, 1.0, 0.5, 2.0),
        (0.5, 1.0, 0.5, 2.0),
    ),
    "plan_agreement.expected_meterset_error": ((0.1, 0.2, 0.1, 0.5),) * 3,
    "plan_agreement.leaf_mean_error": (
        (0.1, 0.3, None, None),
        (0.5, 0.9, None, None),
        (0.5, 0.9, None, None),
    ),
    "plan_agreement.bank_a_mean_error": (
        (0.1, 0.3, None, None),
        (0.3, 0.6, None, None),
        (0.3, 0.6, None, None),
    ),
    "plan_agreement.bank_b_mean_error": (
        (0.1, 0.3, None, None),
        (0.3, 0.6, None, None),
        (0.3, 0.6, None, None),
    ),
    "plan_agreement.gantry_mean_error": (
        (0.15, 0.3, None, None),
        (0.3, 0.5, None, None),
        (0.3, 0.5, None, None),
    ),
    "plan_agreement.collimator_mean_error": (
        (0.1, 0.3, None, None),
        (0.3, 0.5, None, None),
        (0.3, 0.5, None, None),
    ),
    "plan_agreement.expected_leaf_mean_error": (
        (0.03, 0.1, None, None),
        (0.05, 0.15, None, None),
        (0.1, 0.2, None, None),
    ),
    "plan_agreement.expected_gantry_mean_error": (
        (0.05, 0.15, None, None),
        (0.15, 0.3, None, None),
        (0.25, 0.4, None, None),
    ),
    "plan_agreement.expected_jaw_mean_error": (
        (0.05, 0.2, None, None),
        (0.1, 0.3, None, None),
        (0.15, 0.4, None, None),
    ),
    "plan_agreement.fluence_error": ((1.0, 2.0, None, None),) * 3,
}
TREND_ONLY = {
    "leaf_log_check.log_also_sees",
    "leaf_log_check.offset_rms",
    "leaf_log_check.bank_a_offset",
    "leaf_log_check.bank_b_offset",
    "leaf_log_check.rotation",
    "leaf_log_check.shift_x",
    "leaf_log_check.shift_y",
    "leaf_log_check.magnification_error",
    "mlc_positions.counted_leaves",
    "meterset.delivered_error_percent",
    "meterset.planned_error_percent",
    "beam_holds.count",
    "beam_holds.held_time",
    "delivered_fluence.gamma_mean",
    "plan_agreement.median_leaf_error",
    "plan_agreement.expected_median_leaf_error",
    "plan_agreement.meterset_error_percent",
    "plan_agreement.sector_gamma_pass",
    "plan_agreement.gamma_pass_2_1",
    "plan_agreement.mean_fluence_difference",
}


def declared(name: str, machine_class: str) -> Limits:
    analyzer, metric = name.split(".")
    limits = {m.name: m.limits for m in ANALYZERS[analyzer].metrics}[metric][machine_class]
    assert limits.source
    return limits


def of_class(machine_class: str) -> int:
    return {"truebeam": 0, "halcyon": 0, "clinac": 1, "elekta": 2}[machine_class]


@pytest.mark.parametrize("machine_class", sorted(CLASSES))
@pytest.mark.parametrize("name", [*AT_MOST, *AT_LEAST, *WITHIN])
def test_limits_are_those_of_the_standards(name: str, machine_class: str) -> None:
    limits = declared(name, machine_class)
    if name in WITHIN:
        tolerance, action, tolerance_percent, action_percent = WITHIN[name][of_class(machine_class)]
        expected = Limits.within(
            tolerance=tolerance,
            action=action,
            tolerance_percent=tolerance_percent,
            action_percent=action_percent,
            source=limits.source,
        )
    else:
        build, table = (Limits.at_most, AT_MOST) if name in AT_MOST else (Limits.at_least, AT_LEAST)
        tolerance, action = table[name][of_class(machine_class)]
        expected = build(tolerance=tolerance, action=action, source=limits.source)
    assert limits == expected


@pytest.mark.parametrize("analyzer", ANALYZERS.values(), ids=ANALYZERS)
def test_every_metric_is_in_the_tables_for_every_class(analyzer: Analyzer) -> None:
    for metric in analyzer.metrics:
        name = f"{analyzer.name}.{metric.name}"
        judged = name in AT_MOST or name in AT_LEAST or name in WITHIN
        assert judged is not (name in TREND_ONLY)
        assert set(metric.limits) == (CLASSES if judged else set())


def test_names_titles_and_units_are_those_of_the_contract() -> None:
    assert {a.name: a.title for a in ANALYZERS.values()} == {
        "mlc_positions": "MLC leaf positions",
        "axes": "Axes",
        "meterset": "Meterset",
        "beam_holds": "Beam holds",
        "delivered_fluence": "Delivered fluence",
        "plan_agreement": "Plan agreement",
        "leaf_log_check": "Leaves in the image against their log",
    }
    contract = {
        "mlc_positions": "worst_leaf_rms mm, error_p95 mm, largest_error mm, "
        "bank_a_mean_error mm, bank_b_mean_error mm",
        "axes": "gantry_largest_error deg, gantry_rms_error deg, collimator_largest_error deg, "
        "jaw_largest_error mm, couch_rotation_largest_error deg, couch_largest_error mm",
        "meterset": "delivered_error MU, delivered_error_percent %, planned_error MU, "
        "planned_error_percent %",
        "beam_holds": "count 1, held_time s",
        "delivered_fluence": "gamma_pass %, gamma_mean 1, fluence_error %",
        "plan_agreement": "worst_leaf_rms mm, gantry_largest_error deg, meterset_error_percent %, "
        "gamma_pass %",
    }
    for name, metrics in contract.items():
        units = [f"{m.name} {m.unit}" for m in ANALYZERS[name].metrics]
        assert set(metrics.split(", ")) <= set(units)
