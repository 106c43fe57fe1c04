"""Real logs against their real plans, and the same numbers from pydicom and numpy alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.core import AnalysisError, NotApplicable
from analyzers.formats import elekta_trf, varian_trajectory_log
from analyzers.formats.dicom_rtplan import read as read_plan
from analyzers.machine.plan_agreement import ANALYZER
from analyzers.plan_choice import with_plan
from analyzers.records import Delivery
from tests import real_data
from tests.machine.judging import measured, run, verdict, worst

pytestmark = [real_data.skip_without(kind) for kind in ("rtplan", "tlog", "trf")]
Array = NDArray[np.float64]

# Log, its plan, and what is not in order with it; the logs come from three clinics.
PAIRS = [
    ("by-type/PF_log.bin", "*TrueBeam*HDMLC__T1.2_*", set()),
    (
        "edge-panagyurishte/*T1.1_PF_RA*.bin",
        "*TrueBeam*HDMLC__T1.1_*",
        # Interrupted by the user at 173.29 of 480 MU.
        {
            "meterset_error",
            "missing_control_points",
            "gamma_pass",
            "gamma_pass_3_2",
            "sector_gamma_pass_3_2",
            "fluence_error",
        },
    ),
    ("edge-panagyurishte/*PF_Stat*.bin", "*TrueBeam*HDMLC__T0.2_*", set()),
    ("edge-panagyurishte/*T1.2_PF_RA_error*.bin", "*TrueBeam*HDMLC__T1.2_*", set()),
    ("sg-qa/*_PF_0_*.bin", "*TrueBeam*Millennium__T0.2_*", set()),
    (
        "sg-qa/*_T2_DR_*.bin",
        "VMAT_QA*T2_*",
        # This clinic gave 100 MU where the plan has 250.
        {
            "meterset_error",
            "expected_meterset_error",
            "gamma_pass",
            "gamma_pass_3_2",
            "sector_gamma_pass_3_2",
            "fluence_error",
        },
    ),
]
# Largest that a real log is told off its plan: limits are 0.03 mm, 0.05 and 0.1 deg, 0.05 mm, and
# 0.2 deg for the couch, which these clinics turned by up to 0.035 deg.
TOLD_AT_MOST = {
    "expected_leaf_mean_error": 0.001,
    "expected_gantry_mean_error": 0.015,
    "expected_collimator_largest_error": 0.001,
    "expected_jaw_mean_error": 0.001,
    "expected_couch_rotation_largest_error": 0.04,
}


def paths(log: str, plan: str) -> tuple[Path, Path]:
    (one,) = real_data.files("tlog", log)
    (other,) = real_data.files("rtplan", f"varian-rapidarc-qa/{plan}")
    return one, other


def pair(log: str, plan: str) -> tuple[Delivery, Path]:
    at, plan_at = paths(log, plan)
    delivery = varian_trajectory_log.read(at)
    return with_plan(delivery, [read_plan(plan_at)], chosen=True), plan_at


@pytest.mark.parametrize(("log", "plan", "off"), PAIRS)
def test_a_real_log_agrees_with_its_plan(log: str, plan: str, off: set[str]) -> None:
    delivery, _ = pair(log, plan)
    found = measured(ANALYZER, delivery)
    assert {name for name, m in found.items() if verdict(m) not in ("PASS", None)} == off
    assert found["expected_worst_leaf_rms"].value < 0.02
    for name, most in TOLD_AT_MOST.items():
        assert abs(found[name].value) <= most, name


@pytest.mark.parametrize(("log", "plan", "off"), PAIRS)
def test_positions_are_those_of_an_independent_computation(
    log: str, plan: str, off: set[str]
) -> None:
    """Worst leaf of all that the Y jaws leave free, gantry and meterset, by the log's own points.

    The plan's leaves are interpolated column by column with numpy over its control points.
    """
    del off
    delivery, plan_at = pair(log, plan)
    found = measured(ANALYZER, delivery)
    assert delivery.planned is not None and delivery.control_point is not None
    (part,) = delivery.planned.parts
    beam, planned_mu = dicom_beam(plan_at, part.beam.number)
    leaves, jaws, gantry_deg = tables(beam)
    assert delivery.gantry_deg is not None
    on = np.flatnonzero(np.diff(delivery.meterset_mu.actual, prepend=0.0) > 0.001)
    point = delivery.control_point.actual[on].astype(float)
    wanted = np.column_stack([np.interp(point, np.arange(len(leaves)), c) for c in leaves.T])
    pairs = wanted.shape[1] // 2
    (layer,) = delivery.mlc
    seen = np.hstack([layer.bank_b_mm.actual[on], layer.bank_a_mm.actual[on]])
    edges = layer.leaf_edges_mm
    free = np.tile((edges[1:] > jaws[0]) & (edges[:-1] < jaws[1]), 2)
    rms = np.sqrt(((seen - wanted)[:, free] ** 2).mean(axis=0))
    at = str(found["worst_leaf_rms"].at)
    column = int(at[1:]) - 1 + (pairs if at[0] == "A" else 0)
    assert found["worst_leaf_rms"].value == pytest.approx(
        rms[np.flatnonzero(free).tolist().index(column)], abs=1e-4
    )
    turned = (
        delivery.gantry_deg.actual[on] - np.interp(point, np.arange(len(leaves)), gantry_deg)
    ) % 360.0
    assert found["gantry_largest_error"].value == pytest.approx(
        np.minimum(turned, 360.0 - turned).max(), abs=1e-3
    )
    given = float(delivery.meterset_mu.actual[-1])
    error = found["meterset_error_percent"].value
    assert error == pytest.approx(100.0 * (given - planned_mu) / planned_mu, abs=1e-3)


def dicom_beam(path: Path, number: int) -> tuple[Any, float]:
    data = pytest.importorskip("pydicom").dcmread(path, force=True)
    beam = next(b for b in data.BeamSequence if int(b.BeamNumber) == number)
    told = [
        float(b.BeamMeterset)
        for g in data.FractionGroupSequence
        for b in g.ReferencedBeamSequence
        if int(b.ReferencedBeamNumber) == number
    ]
    return beam, told[0]


def tables(beam: Any) -> tuple[Array, Array, Array]:
    """Leaves (points, both banks) and gantry at each point, what is not repeated kept; Y jaws."""
    leaves, gantry_deg, jaws, now = [], [], np.zeros(2), 0.0
    last: list[float] = []
    way = {"CW": 1.0, "CC": -1.0, "NONE": 0.0}
    turning = 0.0
    for point in beam.ControlPointSequence:
        for device in getattr(point, "BeamLimitingDevicePositionSequence", []):
            values = [float(v) for v in device.LeafJawPositions]
            if device.RTBeamLimitingDeviceType == "MLCX":
                last = values
            elif device.RTBeamLimitingDeviceType in ("ASYMY", "Y"):
                jaws = np.array(values)
        if "GantryAngle" in point:
            angle = float(point.GantryAngle)
            step = (angle - now) * turning % 360.0 * turning
            now = now + step if gantry_deg else angle
        if "GantryRotationDirection" in point:
            turning = way[point.GantryRotationDirection]
        leaves.append(last)
        gantry_deg.append(now)
    return np.array(leaves), jaws, np.array(gantry_deg)


def trf_pair() -> tuple[Delivery, Path]:
    (log,) = real_data.files("trf", "*/multi_fraction_groups__imrt.trf")
    (plan,) = real_data.files("trf", "*/multi_fraction_groups__rtplan.dcm")
    return elekta_trf.read(log), plan


def test_three_fields_of_one_elekta_log_find_three_of_six_beams() -> None:
    delivery, plan = trf_pair()
    matched = with_plan(delivery, [read_plan(plan)], chosen=True)
    assert matched.planned is not None
    assert [part.beam.number for part in matched.planned.parts] == [4, 5, 6]
    found = measured(ANALYZER, matched, "elekta")
    assert worst(found, "elekta") == "PASS"
    assert found["expected_median_leaf_error"].value <= 0.02
    # Limits are 0.1 mm, 0.25 and 0.2 deg, 0.15 mm; the plan's first gantry angle is logged 0.1 off.
    for name, most in {
        "expected_leaf_mean_error": 0.015,
        "expected_gantry_mean_error": 0.101,
        "expected_collimator_largest_error": 0.001,
        "expected_jaw_mean_error": 0.031,
    }.items():
        assert abs(found[name].value) <= most, name
    # The step dose of the log cuts off what is less than a tenth.
    assert abs(found["meterset_error"].value) < 0.101
    # Without a name of plan or patient in the log, a person has to say so.
    with pytest.raises(AnalysisError, match="choose its plan"):
        run(ANALYZER, with_plan(delivery, [read_plan(plan)], chosen=False), "elekta")


def test_an_elekta_log_of_several_fields_is_refused_by_a_plan_that_lacks_one() -> None:
    delivery, plan_at = trf_pair()
    plan = read_plan(plan_at)
    beams = tuple(beam for beam in plan.beams if beam.number != 5)
    matched = with_plan(delivery, [replace(plan, beams=beams)], chosen=True)
    found = measured(ANALYZER, matched, "elekta")
    assert (list(found), worst(found, "elekta")) == (["shape_agrees"], "ACTION")
    assert "3 fields: field 2: delivered shape" in str(found["shape_agrees"].at)


def test_the_other_plans_of_the_package_are_refused() -> None:
    delivery = varian_trajectory_log.read(paths(*PAIRS[0][:2])[0])
    refused = 0
    for plan in real_data.files("rtplan", "varian-rapidarc-qa/*TrueBeam*.dcm"):
        if "T1.2" in plan.name:
            continue
        found = measured(ANALYZER, with_plan(delivery, [read_plan(plan)], chosen=True))
        assert (list(found), worst(found)) == (["shape_agrees"], "ACTION")
        refused += 1
    assert refused >= 10


def test_a_dynalog_without_dose_says_so() -> None:
    from analyzers.core import NamedFile
    from analyzers.formats.varian_dynalog import FORMAT

    (log,) = real_data.files("dynalog", "pylinac-dlogs/A_vmat.dlg")
    side = log.with_name("B_vmat.dlg")
    delivery = FORMAT.read(NamedFile(log, log.name), [NamedFile(side, side.name)])
    _, plan = paths(*PAIRS[0][:2])
    with pytest.raises(NotApplicable, match="no dose"):
        run(ANALYZER, with_plan(delivery, [read_plan(plan)], chosen=True), "clinac")
