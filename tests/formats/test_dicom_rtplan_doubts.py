"""What a plan leaves open: directions, ends of files, approval, metersets, things in the beam."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers.core import ReadError, TruncatedError
from analyzers.formats.dicom_rtplan import read
from analyzers.plan_choice import with_plan
from analyzers.plan_records import angles_in_turn_deg
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import static, vmat
from qa_daemon.simulate.rtplan import PlanOptions, dataset
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests.formats.small_plans import plan_of, refused, shapes, small_plan, written


def _item_of(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _turned_deg(data: Dataset, folder: Path) -> list[float]:
    """How far the first beam's gantry turns in each step."""
    points = plan_of(data, folder).beams[0].control_points
    return np.diff(angles_in_turn_deg(points.gantry_deg, points.gantry_turn)).tolist()


def _directions(words: list[str | None], angles: list[str | None]) -> Dataset:
    """The small plan's first beam, cut to so many control points, with these gantry attributes."""
    data = small_plan()
    beam = data.BeamSequence[0]
    beam.ControlPointSequence = beam.ControlPointSequence[: len(words)]
    beam.NumberOfControlPoints = len(words)
    shares = np.linspace(0.0, 1.0, len(words))
    for point, word, angle, share in zip(
        beam.ControlPointSequence, words, angles, shares, strict=True
    ):
        point.CumulativeMetersetWeight = f"{share:.6f}"
        for keyword, value in (("GantryRotationDirection", word), ("GantryAngle", angle)):
            if value is None:
                point.pop(keyword, None)
            else:
                setattr(point, keyword, value)
    return data


@pytest.mark.parametrize(
    ("words", "angles", "turned_deg"),
    [
        # Stated with the same angle stated next: a whole turn.
        (["CW", "NONE"], ["10", "10"], [360.0]),
        (["CC", "NONE"], ["10", "10"], [-360.0]),
        # Inherited, and the angle stays: nothing turns.
        (["CW", None, "NONE"], ["10", "20", "20"], [10.0, 0.0]),
        (["CW", None, "NONE"], ["10", "20", None], [10.0, 0.0]),
        (["CC", None, None, "NONE"], ["10", "5", None, "350"], [-5.0, 0.0, -15.0]),
        # A direction stated where no angle is: nothing turns either.
        (["CW", None, "NONE"], ["10", None, None], [0.0, 0.0]),
        (["CW", "CW", "NONE"], ["10", "20", None], [10.0, 0.0]),
        # Stated again with the same angle.
        (["CW", "CW", "NONE"], ["10", "20", "20"], [10.0, 360.0]),
    ],
)
def test_an_inherited_direction_turns_nothing_that_stays(
    words: list[str | None], angles: list[str | None], turned_deg: list[float], tmp_path: Path
) -> None:
    assert _turned_deg(_directions(words, angles), tmp_path) == turned_deg


def test_a_direction_without_an_angle_to_turn_to_is_warned_of(tmp_path: Path) -> None:
    """An angle that was lost from an arc looks so."""
    data = _directions(["CW", "CW", "CW", "NONE"], ["10", "20", "30", "40"])
    assert plan_of(data, tmp_path).warnings == ()
    del data.BeamSequence[0].ControlPointSequence[2].GantryAngle
    (warning,) = plan_of(data, tmp_path).warnings
    assert "GantryRotationDirection and the next no GantryAngle" in warning


def _elements(content: bytes) -> list[int]:
    """Where the root's elements begin in an implicit file without preamble, and its end."""
    ends, at = [], 0
    while at < len(content):
        ends.append(at)
        (length,) = struct.unpack_from("<I", content, at + 4)
        at += 8 + length
    return [*ends, at]


def test_a_plan_on_a_patient_has_to_name_its_structure_set(tmp_path: Path) -> None:
    data = small_plan()
    data.RTPlanGeometry = "PATIENT"
    data.ReferencedStructureSetSequence = [_item_of(ReferencedSOPInstanceUID="1.2.3")]
    content = written(data, tmp_path, preamble=False).read_bytes()
    whole = read(written(data, tmp_path, preamble=False))
    read_at_all = 0
    for cut in _elements(content)[1:-1]:
        (tmp_path / "CANARY.dcm").write_bytes(content[:cut])
        try:
            plan = read(tmp_path / "CANARY.dcm")
        except TruncatedError as why:
            assert why.code == "RTPLAN_SHORT"
        except ReadError as why:
            # Before the SOP class nothing tells what this is.
            assert why.code == "RTPLAN_SOP_CLASS"
        else:
            read_at_all += 1
            assert plan.approval is None
            assert len(plan.beams) == len(whole.beams)
    assert read_at_all == 1


@pytest.mark.parametrize(("said", "sound"), [(2, True), (None, True), (1, False), (3, False)])
def test_a_fraction_group_has_as_many_beams_as_it_says(
    said: int | None, sound: bool, tmp_path: Path
) -> None:
    data = small_plan()
    data.FractionGroupSequence[0].NumberOfBeams = said
    if sound:
        assert len(plan_of(data, tmp_path).beams) == 2
    else:
        error = refused(written(data, tmp_path).read_bytes(), tmp_path)
        assert (error.code, f"NumberOfBeams is {said}, 2" in str(error)) == ("RTPLAN_COUNTS", True)


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("APPROVED", "APPROVED"),
        ("UNAPPROVED", "UNAPPROVED"),
        ("REJECTED", "REJECTED"),
        ("CANARY", "unknown"),
        ("", None),
    ],
)
def test_approval_is_kept_and_its_lack_warned_of(
    status: str, found: str | None, tmp_path: Path
) -> None:
    plan = plan_of(small_plan(PlanOptions(approval=status)), tmp_path)
    assert plan.approval == found
    said = (
        [] if found in ("APPROVED", None) else [f"the plan is not approved: its status is {found}"]
    )
    assert list(plan.warnings) == said
    assert [beam.not_judged for beam in plan.beams] == [None, None]


@pytest.mark.parametrize(
    ("intent", "found"),
    [("VERIFICATION", "VERIFICATION"), ("CURATIVE", "CURATIVE"), ("CANARY", "unknown"), ("", None)],
)
def test_intent(intent: str, found: str | None, tmp_path: Path) -> None:
    data = small_plan()
    data.PlanIntent = intent
    assert plan_of(data, tmp_path).intent == found


@pytest.mark.parametrize("value", ["0", ""])
def test_a_beam_without_meterset_in_a_group_cannot_be_delivered(value: str, tmp_path: Path) -> None:
    """In group 2 the first beam has none: it is there, and no log is held against it."""
    data = small_plan(PlanOptions(group_mu=(100.0,)))
    data.FractionGroupSequence[1].ReferencedBeamSequence[0].BeamMeterset = value
    plan = plan_of(data, tmp_path)
    assert [beam.meterset_mu for beam in plan.beams] == [None, None]
    first, second = plan.in_group(2).beams
    assert (first.meterset_mu, second.meterset_mu) == (None, 100.0)
    assert "no meterset" in str(first.not_judged)
    assert second.not_judged is None
    delivery = deliver(shapes(), Errors(noise=False), identity=IDENTITY)
    for given in (plan, plan.in_group(2)):
        planned = with_plan(delivery, [given], chosen=True).planned
        assert planned is not None
        assert planned.parts == ()
        assert planned.failure is not None


def test_two_groups_are_never_chosen_from_silently(tmp_path: Path) -> None:
    plan = plan_of(small_plan(PlanOptions(group_mu=(100.0,))), tmp_path)
    assert [beam.meterset_mu for beam in plan.beams] == [None, None]
    assert sum("one is to be chosen" in warning for warning in plan.warnings) == 2
    delivery = deliver(shapes(), Errors(noise=False), identity=IDENTITY)
    planned = with_plan(delivery, [plan], chosen=True).planned
    assert planned is not None
    assert planned.parts == ()


def test_what_is_prescribed(tmp_path: Path) -> None:
    data = small_plan()
    data.DoseReferenceSequence = [
        _item_of(DoseReferenceType="TARGET", TargetPrescriptionDose="42.4"),
        _item_of(DoseReferenceType="ORGAN_AT_RISK", OrganAtRiskMaximumDose="30"),
        _item_of(DoseReferenceType="CANARY"),
    ]
    first, second = data.FractionGroupSequence[0].ReferencedBeamSequence
    first.BeamDose, second.BeamDose = "1.25", "0.75"
    plan = plan_of(data, tmp_path)
    found = [(reference.kind, reference.prescribed_gy) for reference in plan.dose_references]
    assert found == [("TARGET", 42.4), ("ORGAN_AT_RISK", None), ("unknown", None)]
    (group,) = plan.fraction_groups
    assert (group.fractions, group.dose_gy) == (5, 2.0)
    del second.BeamDose
    assert plan_of(data, tmp_path).fraction_groups[0].dose_gy is None
    for wrong in ("-0.1", "1001"):
        first.BeamDose = wrong
        assert refused(written(data, tmp_path).read_bytes(), tmp_path).code == "RTPLAN_DOSE"


def test_techniques(tmp_path: Path) -> None:
    def techniques(data: Dataset) -> list[str]:
        return [beam.technique for beam in plan_of(data, tmp_path).beams]

    assert techniques(small_plan()) == ["dynamic", "static"]
    assert techniques(dataset(vmat("millennium120", 100.0), IDENTITY, PlanOptions())) == ["vmat"]
    turning = _directions(["CW", "NONE"], ["10", "40"])
    turning.BeamSequence[0].ControlPointSequence[1].pop("BeamLimitingDevicePositionSequence")
    assert techniques(turning)[0] == "arc"
    shot = _directions(["NONE"] * 4, ["0"] + [None] * 3)
    points = shot.BeamSequence[0].ControlPointSequence
    for k, share in ((1, "0.5"), (2, "0.5"), (3, "1")):
        points[k].CumulativeMetersetWeight = share
    for k in (1, 3):
        points[k].pop("BeamLimitingDevicePositionSequence", None)
    assert techniques(shot)[0] == "step and shoot"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda b: setattr(b, "ApplicatorSequence", [_item_of(ApplicatorID="C1")]),
            "an applicator",
        ),
        (
            lambda b: setattr(b, "WedgeSequence", [_item_of(WedgeType="CANARY")]),
            "a wedge",
        ),
        (lambda b: setattr(b, "RadiationType", "ELECTRON"), "no photons"),
        (lambda b: setattr(b, "RadiationType", ""), "no photons"),
        (lambda b: setattr(b, "NumberOfBlocks", 1), "a block"),
        (lambda b: setattr(b, "NumberOfCompensators", 1), "a compensator"),
    ],
)
def test_what_shapes_a_beam_beside_leaves_and_jaws(
    change: Callable[[Dataset], None], reason: str, tmp_path: Path
) -> None:
    """A stereotactic cone is an applicator of a photon beam."""
    data = small_plan()
    change(data.BeamSequence[1])
    sweep, field = plan_of(data, tmp_path).beams
    assert sweep.not_judged is None
    assert reason in str(field.not_judged)


def test_a_bolus_lies_on_the_patient_and_shapes_no_beam(tmp_path: Path) -> None:
    data = small_plan()
    data.BeamSequence[1].NumberOfBoli = 1
    data.BeamSequence[1].ReferencedBolusSequence = [_item_of(ReferencedROINumber=1)]
    assert [beam.not_judged for beam in plan_of(data, tmp_path).beams] == [None, None]


def test_both_layers_of_a_head_are_judged(tmp_path: Path) -> None:
    data = dataset(static("halcyon", 50.0), IDENTITY, PlanOptions())
    (beam,) = plan_of(data, tmp_path).beams
    assert beam.not_judged is None
    assert [layer.pairs for layer in beam.control_points.mlc] == [28, 29]
