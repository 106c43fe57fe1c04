"""Real logs of published QA plans find the plan that their file names say they delivered.

The logs come from three clinics, the plans from the maker's RapidArc QA package.  The logs carry no
plan UID and patients of their own, so that nothing but shape and meterset can tell.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from analyzers.formats.dicom_rtplan import read as read_plan
from analyzers.formats.varian_trajectory_log import read as read_log
from analyzers.plan_matching import Answer, Candidate, Evidence, evidence, match
from tests import real_data

pytestmark = [real_data.skip_without("rtplan"), real_data.skip_without("tlog")]

# Log, test in the plan's name, whether the meterset is the published one.
DELIVERED = [
    ("by-type/PF_log.bin", "T1.2_PicketFenceError_HD120", True),
    ("edge-panagyurishte/*T1.1_PF_RA*.bin", "T1.1_PicketFenceRA_HD120", True),
    ("edge-panagyurishte/*PF_Stat*.bin", "T0.2_PicketFenceStatic_HD120", True),
    ("edge-panagyurishte/*T1.2_PF_RA_error*.bin", "T1.2_PicketFenceError_HD120", True),
    ("sg-qa/*_PF_0_*.bin", "T0.2_PicketFenceStatic_M120", True),
    # This clinic gave 100 MU where the plan has 250.
    ("sg-qa/*_T2_DR_*.bin", "T2_DoseRateGantrySpeed_M120", False),
]


@cache
def published() -> dict[str, tuple[Candidate, ...]]:
    """The beams of every TrueBeam plan of the package, by file name."""
    found = {}
    for path in real_data.files("rtplan", "varian-rapidarc-qa/*.dcm"):
        if "C-Series" not in path.name:
            plan = read_plan(path)
            found[path.name] = tuple(Candidate(plan, beam) for beam in plan.beams)
    return found


def log_named(pattern: str) -> Path:
    return real_data.files("tlog", pattern)[0]


@pytest.mark.parametrize(("pattern", "test", "same_meterset"), DELIVERED)
def test_the_shape_finds_the_one_beam(pattern: str, test: str, same_meterset: bool) -> None:
    """Leaves to 0.02 mm: a wrong bank, order or direction would be centimeters."""
    delivery = read_log(log_named(pattern))
    fits: list[tuple[str, Evidence]] = []
    for name, beams in published().items():
        said = [evidence(delivery, candidate) for candidate in beams]
        fits += [(name, piece) for piece in said if piece.same_shape]
    assert fits
    for name, piece in fits:
        assert test in name
        assert piece.leaf_error_mm is not None
        assert piece.leaf_error_mm < 0.02
        assert piece.same_meterset is same_meterset


@pytest.mark.parametrize(("pattern", "test", "same_meterset"), DELIVERED)
def test_the_answer(pattern: str, test: str, same_meterset: bool) -> None:
    """Told which plan it was, the log is matched; not told, a person is asked."""
    delivery = read_log(log_named(pattern))
    beams = [b for name, found in published().items() if test in name for b in found]
    assert match(delivery, beams).answer is Answer.NEEDS_A_MATCH
    uid = next(c.plan.sop_instance_uid for c in beams if evidence(delivery, c).same_shape)
    identity = replace(delivery.identity, plan_uid=uid, patient_id=None, beam_name=None)
    found = match(replace(delivery, identity=identity), beams)
    if same_meterset:
        assert found.answer is Answer.MATCHED, found.reason
    else:
        assert found.reason == "the same shape with another meterset"


def test_a_clinic_day_fits_none_of_them() -> None:
    """29 treatments of patients: whatever else is unknown, none has the shape of a QA plan."""
    logs = real_data.files("tlog", "dy-mil120/*_TX_*.bin")
    assert len(logs) >= 20
    for log in logs:
        delivery = read_log(log)
        for beams in published().values():
            for candidate in beams:
                assert not evidence(delivery, candidate).same_shape
