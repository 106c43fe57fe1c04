"""Records that lack what analyzers like: MU, any dose at all, expected positions.

An axis must never be judged against itself, and nothing that stopped early may pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.machine import axes, beam_holds, delivered_fluence, meterset, mlc_positions
from analyzers.records import Axis, Delivery, Meterset
from tests.deliveries import axis, sweeping_field, vmat
from tests.machine.faults import bank_a_shifted
from tests.machine.judging import measured, run, verdict, worst


def share(record: Delivery, up_to_percent: float = 100.0) -> Delivery:
    """The same delivery, logged as a share of the plan with a flag for the beam."""
    no_mu = np.full(record.samples, np.nan)
    percent = np.linspace(0.0, up_to_percent, record.samples)
    flag = np.full(record.samples, True)
    flag[0] = False
    return replace(
        record,
        meterset=Meterset.SHARE,
        meterset_mu=Axis.actual_only(no_mu),
        meterset_percent=Axis.actual_only(percent),
        beam_flag=flag,
        planned_mu=None,
    )


def without_dose(record: Delivery) -> Delivery:
    return replace(share(record), meterset=Meterset.NONE, meterset_percent=None)


def only_actual(record: Delivery, *names: str) -> Delivery:
    return replace(
        record, **{name: Axis.actual_only(getattr(record, name).actual) for name in names}
    )


def test_a_log_with_mu_is_what_it_was() -> None:
    record = sweeping_field()
    assert record.meterset is Meterset.MU
    assert record.weight is record.meterset_mu
    assert record.beam_on.sum() == 200


def test_the_flag_says_when_the_beam_is_on_where_there_is_no_mu() -> None:
    record = without_dose(sweeping_field())
    assert record.beam_flag is not None
    record.beam_flag[50:] = False
    assert record.beam_on.tolist() == [False, *[True] * 49, *[False] * 151]
    assert measured(mlc_positions.ANALYZER, record, "clinac")["largest_error"].value == 0.0


def test_leaves_are_judged_without_any_dose_over_the_beam_on_rows_alone() -> None:
    record = bank_a_shifted(without_dose(sweeping_field()), 2.0)
    found = measured(mlc_positions.ANALYZER, record, "clinac")
    assert found["worst_leaf_rms"].value == pytest.approx(2.0)
    assert verdict(found["worst_leaf_rms"], "clinac") == "ACTION"
    assert record.beam_flag is not None
    record.mlc[0].bank_a_mm.actual[:101] = record.mlc[0].bank_a_mm.expected[:101]
    record.beam_flag[101:] = False
    assert measured(mlc_positions.ANALYZER, record, "clinac")["worst_leaf_rms"].value == 0.0


def test_a_whole_share_is_complete_and_has_no_mu_metric() -> None:
    found = measured(meterset.ANALYZER, share(sweeping_field()), "clinac")
    assert {name: m.value for name, m in found.items()} == {
        "planned_error_percent": 0.0,
        "complete": 1.0,
    }


@pytest.mark.parametrize("percent", [0.0, 50.0, 99.9])
def test_a_share_that_stopped_early_is_at_action(percent: float) -> None:
    found = measured(meterset.ANALYZER, share(sweeping_field(), percent), "clinac")
    assert found["planned_error_percent"].value == pytest.approx(percent - 100.0)
    assert verdict(found["complete"], "clinac") == "ACTION"
    assert f"{percent:.2f} % of the planned meterset" in str(found["complete"].at)


def test_without_any_dose_the_meterset_does_not_apply_unless_the_log_is_cut() -> None:
    record = without_dose(sweeping_field())
    with pytest.raises(NotApplicable, match="no meterset: it does not tell whether all"):
        run(meterset.ANALYZER, record, "clinac")
    found = measured(meterset.ANALYZER, replace(record, truncated=True), "clinac")
    assert (found["complete"].value, found["complete"].at) == (0.0, "log truncated")
    assert worst(found, "clinac") == "ACTION"


def test_rows_that_are_missing_show_where_the_leaves_jump() -> None:
    record = without_dose(sweeping_field())
    record.mlc[0].bank_a_mm.expected[100:] += 5.0
    found = measured(meterset.ANALYZER, record, "clinac")
    assert found["complete"].at == "samples missing at 2.00 s"


def test_a_meterset_that_is_no_number_never_passes() -> None:
    record = share(sweeping_field())
    assert record.meterset_percent is not None
    record.meterset_percent.actual[7] = np.nan
    for analyzer in (meterset.ANALYZER, mlc_positions.ANALYZER, delivered_fluence.ANALYZER):
        with pytest.raises(AnalysisError, match="not a number"):
            run(analyzer, record, "clinac")
    # Whoever forgets to ask what the meterset is gets no number either.
    forgetful = replace(record, meterset=Meterset.MU, beam_flag=None)
    with pytest.raises(AnalysisError, match="not a number"):
        run(meterset.ANALYZER, forgetful, "clinac")


def test_the_fluence_of_a_share_is_that_of_the_mu_in_percent() -> None:
    record = bank_a_shifted(sweeping_field(mu=40.0), 1.0)
    in_mu = run(delivered_fluence.ANALYZER, record, "clinac")
    in_percent = run(delivered_fluence.ANALYZER, share(record), "clinac")
    for one, other in zip(in_mu.measurements, in_percent.measurements, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-6)
    # 40 MU are 100 %.
    np.testing.assert_allclose(
        in_percent.traces["actual"], in_mu.traces["actual"] * 2.5, rtol=1e-5, atol=1e-5
    )
    assert "percent_of_plan" in in_percent.traces
    assert "percent_of_plan" not in in_mu.traces
    assert any("meterset" in note for note in in_percent.notes)


def test_without_any_dose_the_fluence_does_not_apply() -> None:
    with pytest.raises(NotApplicable, match="no dose"):
        run(delivered_fluence.ANALYZER, without_dose(sweeping_field()), "clinac")


def test_an_axis_that_was_only_logged_is_not_judged_against_itself() -> None:
    names = ("gantry_deg", "collimator_deg", "jaw_x1_mm", "jaw_x2_mm", "jaw_y1_mm")
    record = only_actual(vmat(), *names)
    found = measured(axes.ANALYZER, record, "clinac")
    assert not {"gantry_largest_error", "gantry_rms_error", "collimator_largest_error"} & set(found)
    assert found["jaw_largest_error"].at == "Y2"
    with pytest.raises(AnalysisError, match="gantry, collimator, jaw X1"):
        run(axes.ANALYZER, record, "truebeam")


def test_a_log_with_nothing_to_compare_has_no_axes_to_judge() -> None:
    names = ("gantry_deg", "collimator_deg", "jaw_x1_mm", "jaw_x2_mm", "jaw_y1_mm", "jaw_y2_mm")
    couch = (
        "rotation_deg",
        "pitch_deg",
        "roll_deg",
        "vertical_mm",
        "longitudinal_mm",
        "lateral_mm",
    )
    record = only_actual(vmat(), *names)
    record = replace(record, **dict.fromkeys(f"couch_{name}" for name in couch))
    with pytest.raises(NotApplicable, match="to compare"):
        run(axes.ANALYZER, record, "clinac")


def test_jaws_that_were_only_logged_still_bound_the_field() -> None:
    names = ("collimator_deg", "jaw_x1_mm", "jaw_x2_mm", "jaw_y1_mm", "jaw_y2_mm")
    full, bare = sweeping_field(), only_actual(sweeping_field(), *names)
    # Half the leaves are behind a jaw at the axis.
    for record in (full, bare):
        assert record.jaw_y1_mm is not None
        record.jaw_y1_mm.actual[:] = 0.0
    assert full.jaw_y1_mm is not None
    full.jaw_y1_mm.expected[:] = 0.0
    for analyzer in (mlc_positions.ANALYZER, delivered_fluence.ANALYZER):
        one, other = (run(analyzer, record, "clinac") for record in (full, bare))
        assert [m.value for m in one.measurements] == [m.value for m in other.measurements]
    counted = measured(mlc_positions.ANALYZER, bare, "clinac")["counted_leaves"]
    assert counted.value == 40.0  # 20 of the 40 pairs that sweep


def test_holds_are_counted_from_the_flags() -> None:
    record = without_dose(sweeping_field())
    assert record.beam_hold is not None
    record.beam_hold[40:50] = 2
    found = measured(beam_holds.ANALYZER, replace(record, interval_s=0.05), "clinac")
    assert (found["count"].value, found["held_time"].value) == (1.0, pytest.approx(0.5))


def test_a_short_or_absent_beam_is_told_by_the_flag() -> None:
    record = without_dose(sweeping_field())
    assert record.beam_flag is not None
    record.beam_flag[4:] = False
    with pytest.raises(AnalysisError, match="only 3 samples"):
        run(mlc_positions.ANALYZER, record, "clinac")
    record.beam_flag[:] = False
    with pytest.raises(NotApplicable, match="never on"):
        run(mlc_positions.ANALYZER, record, "clinac")


def test_only_actual_is_nan_where_it_would_be_compared() -> None:
    found = Axis.actual_only(axis(3.0, 4).actual)
    assert np.isnan(found.expected).all()
    np.testing.assert_array_equal(found.reference, found.actual)


def test_a_dose_that_rises_with_the_beam_never_on_is_not_whole() -> None:
    record = share(sweeping_field())
    assert record.beam_flag is not None
    record.beam_flag[:] = False
    found = measured(meterset.ANALYZER, record, "clinac")
    assert verdict(found["complete"], "clinac") == "ACTION"
    assert found["complete"].at == "the dose rises and the beam was never on"


@pytest.mark.parametrize("is_held", [False, True])
def test_a_share_that_steps_out_of_its_own_pace_has_a_gap(is_held: bool) -> None:
    record = share(sweeping_field())
    assert record.meterset_percent is not None
    assert record.beam_flag is not None
    # Steps of 0.5 %, and one of 2.5 %.
    record.meterset_percent.actual[100:] = np.minimum(
        record.meterset_percent.actual[100:] + 2.0, 100.0
    )
    record.beam_flag[100] = not is_held
    found = measured(meterset.ANALYZER, record, "clinac")
    assert (found["complete"].value, found["complete"].at) == (0.0, "samples missing at 2.00 s")


def test_a_share_that_begins_far_from_0_has_a_gap_there() -> None:
    record = share(sweeping_field())
    record = replace(record, meterset_percent=axis_from(20.0, record.samples))
    found = measured(meterset.ANALYZER, record, "clinac")
    assert found["complete"].at == "samples missing at 0.00 s"


def axis_from(percent: float, samples: int) -> Axis:
    return Axis.actual_only(np.linspace(percent, 100.0, samples))


@pytest.mark.parametrize(
    ("name", "at_once", "most"),
    [("gantry_deg", 0.7, 0.6), ("collimator_deg", 1.1, 1.0), ("jaw_x1_mm", 5.1, 5.0)],
)
def test_a_jump_that_no_clinac_makes_with_the_beam_on_is_a_gap(
    name: str, at_once: float, most: float
) -> None:
    for jump, complete in ((most, 1.0), (at_once, 0.0)):
        record = replace(share(sweeping_field()), interval_s=0.05)
        values = np.full(record.samples, 100.0)
        values[100:] += jump
        logged: dict[str, Any] = {name: Axis.actual_only(values)}
        record = replace(record, **logged)
        found = measured(meterset.ANALYZER, record, "clinac")
        assert found["complete"].value == complete
        # A dose that rises tells as well as the flag that there is a beam.
        assert record.beam_flag is not None
        record.beam_flag[100] = False
        found = measured(meterset.ANALYZER, record, "clinac")
        assert found["complete"].value == complete
        assert record.meterset_percent is not None
        record.meterset_percent.actual[100] = record.meterset_percent.actual[99]
        assert measured(meterset.ANALYZER, record, "clinac")["complete"].value == 1.0


def test_a_leaf_faster_than_any_of_a_clinac_is_a_gap() -> None:
    record = replace(share(sweeping_field()), interval_s=0.05)
    record.mlc[0].bank_a_mm.expected[100:] += 3.0
    assert measured(meterset.ANALYZER, record, "clinac")["complete"].value == 0.0


def test_the_share_of_the_dose_that_is_judged_is_told() -> None:
    record = share(sweeping_field())
    assert record.beam_flag is not None
    # 201 samples, 0.5 % each but the first; the last 150 are flagged off.
    record.beam_flag[51:] = False
    (note,) = run(mlc_positions.ANALYZER, record, "clinac").notes
    assert note.startswith("judged with the beam flagged on: 25.0 % of the planned dose; 75.0 %")
    (note,) = run(mlc_positions.ANALYZER, without_dose(record), "clinac").notes
    assert "does not tell how much of the dose" in note
    assert run(mlc_positions.ANALYZER, sweeping_field(), "clinac").notes == []
