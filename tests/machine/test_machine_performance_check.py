"""The machine's own self-test: its numbers by our names, and never a pass that was not earned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzers.core import AnalysisError
from analyzers.machine.machine_performance_check import ANALYZER
from analyzers.machine_checks import CheckItem, Evaluation, MachineCheck
from tests.machine.judging import measured, run, verdict, worst

PASS, FAIL, UNKNOWN = Evaluation.PASSED, Evaluation.FAILED, Evaluation.UNKNOWN


def item(
    name: str,
    value: float | None,
    threshold: float | None,
    unit: str = "mm",
    evaluation: Evaluation = PASS,
) -> CheckItem:
    return CheckItem(name, unit, value, threshold, evaluation, evaluation.value)


def beam_check(*more: CheckItem, template: str | None = "BeamCheckTemplate6x") -> MachineCheck:
    """A beam check that is in order, with these items in place of, or beside, its own."""
    own = (
        item("BeamGroup/BeamOutputChange", -0.5, 2.0, "%"),
        item("BeamGroup/BeamUniformityChange", 0.4, 2.0, "%"),
        item("BeamGroup/BeamCenterShift", 0.1, 0.5),
    )
    items = {i.name: i for i in (*own, *more)}
    return MachineCheck(items=tuple(items.values()), template=template)


def geometry_check(*more: CheckItem) -> MachineCheck:
    own = (
        item("IsoCenterGroup/IsoCenterSize", 0.3, 0.5),
        item("IsoCenterGroup/IsoCenterMVOffset", 0.2, 0.5),
        item("IsoCenterGroup/IsoCenterKVOffset", 0.1, 0.5),
        item("CollimationGroup/MLCGroup/MLCMaxOffsetA", -0.6, 1.0),
        item("CollimationGroup/MLCGroup/MLCMaxOffsetB", 0.4, 1.0),
        item("CollimationGroup/MLCGroup/MLCLeavesA/MLCLeaf11", 0.2, 1.0),
        item("CollimationGroup/MLCGroup/MLCLeavesA/MLCLeaf12", -0.6, 1.0),
        item("GantryGroup/GantryAbsolute", -0.1, 0.3, "deg"),
        item("GantryGroup/GantryRelative", 0.05, 0.3, "deg"),
    )
    items = {i.name: i for i in (*own, *more)}
    return MachineCheck(tuple(items.values()), template="GeometryCheckTemplate6xMVkV")


def values(check: MachineCheck) -> dict[str, float]:
    return {name: m.value for name, m in measured(ANALYZER, check).items()}


def test_a_beam_check_in_order_passes_with_its_numbers() -> None:
    found = measured(ANALYZER, beam_check())
    assert worst(found) == "PASS"
    assert found["output_change"].value == -0.5
    assert found["uniformity_change"].value == 0.4
    assert found["center_shift"].value == 0.1
    assert found["items"].value == 3
    # 0.5 of 2, 0.4 of 2 and 0.1 of 0.5 are 25, 20 and 20 %.
    assert found["worst_share_of_threshold"].value == 25.0
    assert found["worst_share_of_threshold"].at == "BeamGroup/BeamOutputChange"


def test_a_geometry_check_in_order_names_the_leaf() -> None:
    found = measured(ANALYZER, geometry_check())
    assert worst(found) == "PASS"
    assert found["mlc_largest_offset_a"].value == 0.6
    assert (found["mlc_largest_offset_a"].at or "").endswith("MLCLeavesA/MLCLeaf12")
    assert found["mlc_largest_offset_b"].value == 0.4
    assert (found["isocenter_size"].value, found["gantry_absolute"].value) == (0.3, 0.1)
    assert (found["mv_offset"].value, found["kv_offset"].value) == (0.2, 0.1)
    assert "jaw_x_largest_offset" not in found  # this check holds no jaws


@pytest.mark.parametrize(
    ("name", "unit", "limit", "metric"),
    [
        ("BeamGroup/BeamOutputChange", "%", 2.0, "output_change"),
        ("BeamOutputGroup/BeamOutputChange", "%", 2.0, "output_change"),
        ("BeamGroup/BeamUniformityChange", "%", 2.0, "uniformity_change"),
        ("BeamGroup/BeamCenterShift", "mm", 0.5, "center_shift"),
        ("IsoCenterGroup/IsoCenterSize", "mm", 0.5, "isocenter_size"),
        ("IsoCenterGroup/IsoCenterMVOffset", "mm", 0.5, "mv_offset"),
        ("IsoCenterGroup/IsoCenterKVOffset", "mm", 0.5, "kv_offset"),
        ("CollimationGroup/MLCGroup/MLCMaxOffsetA", "mm", 1.0, "mlc_largest_offset_a"),
        ("CollimationGroup/MLCGroup/MLCLeavesB/MLCLeaf40", "mm", 1.0, "mlc_largest_offset_b"),
        ("CollimationGroup/MLCGroup/MLCMeanOffsetA", "mm", 1.0, "mlc_mean_offset_a"),
        ("CollimationGroup/MLCGroup/MLCMeanOffsetB", "mm", 1.0, "mlc_mean_offset_b"),
        ("CollimationGroup/MLCBacklashGroup/MLCBacklashMaxA", "mm", 1.0, "mlc_largest_backlash"),
        ("CollimationGroup/JawsGroup/JawX2", "mm", 1.0, "jaw_x_largest_offset"),
        ("CollimationGroup/JawsGroup/JawY1", "mm", 2.0, "jaw_y_largest_offset"),
        ("CollimationGroup/RotationOffset", "deg", 0.5, "collimator_rotation"),
        ("GantryGroup/GantryAbsolute", "deg", 0.3, "gantry_absolute"),
        ("GantryGroup/GantryRelative", "deg", 0.3, "gantry_relative"),
    ],
)
def test_each_known_item_has_the_published_limit(
    name: str, unit: str, limit: float, metric: str
) -> None:
    # The machine's own threshold is left out, so that only our limit can refuse.
    for value, expected in ((limit, "PASS"), (-limit, "PASS"), (-1.01 * limit, "ACTION")):
        found = measured(ANALYZER, beam_check(item(name, value, None, unit)))
        assert abs(found[metric].value) == abs(value)
        assert verdict(found[metric]) == expected


def test_a_halcyon_isocenter_may_be_as_large_as_its_machine_allows() -> None:
    check = beam_check(item("IsoCenterGroup/IsoCenterSize", 0.8, 0.9))
    found = measured(ANALYZER, check, "halcyon")
    assert verdict(found["isocenter_size"], "halcyon") == "PASS"
    assert verdict(found["isocenter_size"], "truebeam") == "ACTION"
    check = beam_check(item("IsoCenterGroup/IsoCenterSize", 0.91, None))
    assert verdict(measured(ANALYZER, check, "halcyon")["isocenter_size"], "halcyon") == "ACTION"


def test_a_fail_is_never_a_pass_whatever_its_value() -> None:
    check = beam_check(item("Other/Thing", 0.0, 1.0, evaluation=FAIL))
    found = measured(ANALYZER, check)
    assert (found["failed_items"].value, found["failed_items"].at) == (1.0, "Other/Thing")
    assert worst(found) == "ACTION"
    assert "failed: Other/Thing" in run(ANALYZER, check).notes


def test_an_unknown_word_is_never_a_pass_and_is_kept() -> None:
    odd = replace(item("Other/Thing", 0.0, 1.0, evaluation=UNKNOWN), said="Warning")
    found = measured(ANALYZER, beam_check(odd))
    assert found["unknown_items"].value == 1.0
    assert worst(found) == "ACTION"
    notes = run(ANALYZER, beam_check(odd)).notes
    assert notes == ["neither Pass nor Fail, or no value: Other/Thing (Warning)"]


def test_a_pass_without_a_value_is_unknown() -> None:
    found = measured(ANALYZER, beam_check(item("BeamGroup/BeamOutputChange", None, 2.0, "%")))
    assert "output_change" not in found
    assert found["unknown_items"].value == 1.0
    assert worst(found) == "ACTION"


def test_a_pass_beyond_its_own_threshold_is_a_contradiction() -> None:
    # 0.4 mm would do for us: the machine's own threshold is tighter.
    check = beam_check(item("BeamGroup/BeamCenterShift", 0.4, 0.3))
    found = measured(ANALYZER, check)
    assert verdict(found["center_shift"]) == "PASS"
    assert found["contradictions"].value == 1.0
    assert found["worst_share_of_threshold"].value == pytest.approx(100.0 * 0.4 / 0.3)
    assert (
        verdict(found["contradictions"]) == verdict(found["worst_share_of_threshold"]) == "ACTION"
    )


def test_a_value_beyond_a_threshold_of_zero_is_a_contradiction() -> None:
    found = measured(ANALYZER, beam_check(item("Other/Thing", 0.1, 0.0)))
    assert found["contradictions"].value == 1.0
    assert found["worst_share_of_threshold"].value == 25.0  # a share of nothing is none


def test_our_own_limit_holds_where_the_machine_s_is_wide() -> None:
    found = measured(ANALYZER, beam_check(item("BeamGroup/BeamOutputChange", 3.0, 5.0, "%")))
    assert found["failed_items"].value == found["contradictions"].value == 0.0
    assert verdict(found["output_change"]) == "ACTION"


def test_an_aborted_check_is_refused() -> None:
    with pytest.raises(AnalysisError, match="aborted"):
        run(ANALYZER, MachineCheck(items=()))


@pytest.mark.parametrize("lost", range(9))
def test_a_partial_geometry_check_is_not_whole(lost: int) -> None:
    whole = geometry_check()
    found = measured(ANALYZER, replace(whole, items=whole.items[:lost] + whole.items[lost + 1 :]))
    is_leaf = "MLCLeaf1" in whole.items[lost].name
    assert found["complete"].value == (1.0 if is_leaf else 0.0)
    assert worst(found) == ("PASS" if is_leaf else "ACTION")
    if not is_leaf:
        assert found["complete"].at == whole.items[lost].own_name


@pytest.mark.parametrize(
    ("template", "kept", "complete"),
    [
        ("BeamCheckTemplate6x", 3, 1.0),
        ("BeamCheckTemplate6x", 2, 0.0),
        ("BeamCheckTemplate9e", 2, 1.0),  # electrons have no center shift
        ("BeamCheckTemplate9e", 1, 0.0),
        (None, 2, 1.0),
        (None, 1, 0.0),  # output without uniformity
    ],
)
def test_a_partial_beam_check_is_not_whole(
    template: str | None, kept: int, complete: float
) -> None:
    check = beam_check(template=template)
    assert values(replace(check, items=check.items[:kept]))["complete"] == complete


def test_a_couch_check_without_the_couch_is_not_whole() -> None:
    check = replace(geometry_check(), template="GeometryCheckTemplate6xMVkVEnhancedCouch")
    assert values(check)["complete"] == 0.0
    couch = item("EnhancedCouchGroup/CouchMaxPositionError", 0.4, 0.7)
    found = values(replace(check, items=(*check.items, couch)))
    assert (found["complete"], found["couch_largest_error"]) == (1.0, 0.4)


def test_a_check_of_nothing_known_is_not_whole() -> None:
    found = measured(ANALYZER, MachineCheck((item("A/B", 0.0, 1.0),)))
    assert (found["complete"].value, worst(found)) == (0.0, "ACTION")


def test_a_known_item_in_another_unit_is_refused() -> None:
    with pytest.raises(AnalysisError, match="in mm, % expected"):
        run(ANALYZER, beam_check(item("BeamGroup/BeamOutputChange", 0.1, 2.0, "mm")))


def test_a_class_without_such_checks_has_no_limits() -> None:
    # The service makes INVALID of a judged metric without limits for the class.
    judged = [m for m in ANALYZER.metrics if m.limits]
    assert len(judged) == 21
    assert {frozenset(m.limits) for m in judged} == {frozenset({"truebeam", "halcyon"})}
