"""Which leaf is which: real logs against the plan they delivered.

The plan is the picket fence with built-in errors for TrueBeam with HD120: single leaves of single
pairs stand off by half a millimeter, so that a turned order or exchanged banks would show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.formats.varian_trajectory_log import read
from analyzers.records import Delivery
from tests import real_data

PLANS = [
    path
    for path in real_data.files("rtplan", "*/*T1.2_PicketFenceError_HD120_TB*.dcm")
    if "TrueBeam" in path.name
]
LOGS = [
    path
    for pattern in ("*/PF_log.bin", "*/*T1.2_PF_error*.bin")
    for path in real_data.files("tlog", pattern)
]
pytestmark = [real_data.skip_without("tlog"), real_data.skip_without("rtplan")]


def planned_mm(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Leaves (control points, 120: X1 side first) and gantry angles of the picket fence beam."""
    pydicom = pytest.importorskip("pydicom")
    plan = pydicom.dcmread(path, force=True)
    (beam,) = [b for b in plan.BeamSequence if b.BeamName == "T1.2_PF_RA_error"]
    leaves = [
        [float(v) for v in device.LeafJawPositions]
        for point in beam.ControlPointSequence
        for device in point.BeamLimitingDevicePositionSequence
        if device.RTBeamLimitingDeviceType == "MLCX"
    ]
    gantry_deg = [float(point.GantryAngle) for point in beam.ControlPointSequence]
    return np.array(leaves), np.array(gantry_deg)


def logged_mm(delivery: Delivery, points: int) -> NDArray[Any]:
    """Expected leaves at each control point, linear between samples."""
    assert delivery.control_point is not None
    (layer,) = delivery.mlc
    at, first = np.unique(delivery.control_point.expected, return_index=True)
    leaves = np.hstack([layer.bank_b_mm.expected, layer.bank_a_mm.expected])[first]
    return np.stack([np.interp(np.arange(points), at, leaf) for leaf in leaves.T], axis=1)


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_leaf_and_bank_order_are_the_plans(log: Path) -> None:
    (plan,) = PLANS
    leaves_mm, _ = planned_mm(plan)
    found_mm = logged_mm(read(log), len(leaves_mm))
    turned_mm = np.hstack([leaves_mm[:, 59::-1], leaves_mm[:, :59:-1]])
    exchanged_mm = -np.hstack([leaves_mm[:, 60:], leaves_mm[:, :60]])
    # A leaf moves 0.1 mm in a sample; where it stops between two, the line cuts the corner.
    assert np.abs(found_mm - leaves_mm).max() < 0.11
    assert np.abs(found_mm - turned_mm).max() > 0.4
    assert np.abs(found_mm - exchanged_mm).max() > 0.4


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_gantry_and_collimator_are_the_plans(log: Path) -> None:
    (plan,) = PLANS
    _, gantry_deg = planned_mm(plan)
    delivery = read(log)
    assert delivery.gantry_deg is not None
    assert delivery.collimator_deg is not None
    ends_deg = delivery.gantry_deg.expected[[0, -1]]
    # The machine starts at the plan's angle to 0.01 degrees, as the log of the Edge shows.
    np.testing.assert_allclose(ends_deg, gantry_deg[[0, -1]], atol=0.011)
    turned_deg = (delivery.collimator_deg.expected + 180.0) % 360.0 - 180.0
    assert np.abs(turned_deg).max() < 1e-3
