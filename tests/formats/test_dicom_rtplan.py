"""RT Plans: every control point has all that applies there, and nothing is guessed.

What is expected comes from the shapes that were written, or from the standard's own examples.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers.core import AnalysisError
from analyzers.formats.dicom_rtplan import read, recognize
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.plan_records import Plan
from qa_daemon.simulate.plan_shapes import FIELDS, vmat
from qa_daemon.simulate.rtplan import PlanOptions, dataset
from qa_daemon.simulate.trajectory_log import IDENTITY
from qa_daemon.simulate.trajectory_log_bytes import MODEL_CODES
from tests.formats.small_plans import plan_of, shapes, small_plan, written


def test_what_is_not_repeated_is_inherited(tmp_path: Path) -> None:
    """Only control point 0 of the sweep has jaws, gantry, energy and dose rate."""
    data = small_plan()
    later = data.BeamSequence[0].ControlPointSequence[7]
    assert {d.RTBeamLimitingDeviceType for d in later.BeamLimitingDevicePositionSequence} == {
        "MLCX"
    }
    assert "GantryAngle" not in later
    points = plan_of(data, tmp_path).beams[0].control_points
    assert points.count == 25
    np.testing.assert_array_equal(points.jaws_x_mm, np.tile([-80.0, 80.0], (25, 1)))
    np.testing.assert_array_equal(points.jaws_y_mm, np.tile([-50.0, 50.0], (25, 1)))
    np.testing.assert_array_equal(points.gantry_deg, np.zeros(25))
    np.testing.assert_array_equal(points.energy_mv, np.full(25, 6.0))
    np.testing.assert_array_equal(points.dose_rate_mu_per_min, np.full(25, 600.0))
    np.testing.assert_array_equal(points.isocenter_mm, np.zeros((25, 3)))


def test_leaves_are_inherited_for_themselves(tmp_path: Path) -> None:
    """Jaws that are given again at control point 3 leave the leaves as they were."""
    data = small_plan()
    (moved,) = (d for d in _positions(data, 0, 0) if d.RTBeamLimitingDeviceType == "ASYMX")
    moved = deepcopy(moved)
    moved.LeafJawPositions = ["-60", "70"]
    data.BeamSequence[0].ControlPointSequence[3].BeamLimitingDevicePositionSequence = [moved]
    points = plan_of(data, tmp_path).beams[0].control_points
    assert points.jaws_x_mm is not None
    np.testing.assert_array_equal(points.jaws_x_mm[2:5], [[-80, 80], [-60, 70], [-60, 70]])
    (layer,) = points.mlc
    np.testing.assert_array_equal(layer.bank_a_mm[3], layer.bank_a_mm[2])
    assert not np.array_equal(layer.bank_a_mm[4], layer.bank_a_mm[3])


def _positions(data: Dataset, beam: int, point: int) -> list[Dataset]:
    found: list[Dataset] = list(
        data.BeamSequence[beam].ControlPointSequence[point].BeamLimitingDevicePositionSequence
    )
    return found


def test_the_first_half_of_the_positions_is_the_x1_side(tmp_path: Path) -> None:
    """The gap of 2 cm sweeps from -70 … -50 to 50 … 70 mm."""
    (layer,) = plan_of(small_plan(), tmp_path).beams[0].control_points.mlc
    assert (layer.bank_b_mm[0, 30], layer.bank_a_mm[0, 30]) == (-70.0, -50.0)
    assert (layer.bank_b_mm[-1, 30], layer.bank_a_mm[-1, 30]) == (50.0, 70.0)
    assert layer.name == ""
    np.testing.assert_array_equal(layer.leaf_edges_mm, LEAF_EDGES_MM["millennium120"][""])


def test_meterset_is_the_share_of_the_beams_meterset(tmp_path: Path) -> None:
    sweep, field = plan_of(small_plan(), tmp_path).beams
    np.testing.assert_allclose(sweep.cumulative_mu, np.linspace(0.0, 80.0, 25), atol=1e-9)
    assert sweep.cumulative_mu[-1] == 80.0
    np.testing.assert_array_equal(field.cumulative_mu, [0.0, 40.0])


def test_a_final_weight_other_than_one(tmp_path: Path) -> None:
    """MU at a control point = BeamMeterset x weight / final weight: 80 x 5 / 20 = 20."""
    data = small_plan()
    beam = data.BeamSequence[0]
    beam.FinalCumulativeMetersetWeight = "20"
    weights = [*np.linspace(0.0, 5.0, 12), *np.linspace(5.0, 20.0, 13)]
    for point, weight in zip(beam.ControlPointSequence, weights, strict=True):
        point.CumulativeMetersetWeight = f"{weight:.10f}"
    assert plan_of(data, tmp_path).beams[0].cumulative_mu[11] == pytest.approx(20.0, abs=1e-8)


@pytest.mark.parametrize(("symmetric_y", "kind"), [(True, "Y"), (False, "ASYMY")])
def test_jaw_kinds_may_be_mixed(symmetric_y: bool, kind: str, tmp_path: Path) -> None:
    beam = plan_of(small_plan(PlanOptions(symmetric_y=symmetric_y)), tmp_path).beams[0]
    assert [device.kind for device in beam.devices] == ["ASYMX", kind, "MLCX"]
    assert [device.pairs for device in beam.devices] == [1, 1, 60]
    assert beam.control_points.jaws_y_mm is not None
    np.testing.assert_array_equal(beam.control_points.jaws_y_mm[0], [-50.0, 50.0])


def test_a_head_without_jaws_or_leaves_has_none(tmp_path: Path) -> None:
    """Real heads have leaves in place of the X jaws; real open fields have no leaves."""
    data = small_plan()
    beam = data.BeamSequence[0]
    beam.BeamLimitingDeviceSequence = beam.BeamLimitingDeviceSequence[1:]
    first = beam.ControlPointSequence[0]
    first.BeamLimitingDevicePositionSequence = first.BeamLimitingDevicePositionSequence[1:]
    points = plan_of(data, tmp_path).beams[0].control_points
    assert points.jaws_x_mm is None
    assert points.jaws_y_mm is not None


def test_two_layers_are_named_by_their_pairs_whatever_they_are_called(tmp_path: Path) -> None:
    plan = vmat("halcyon", 100.0)
    data = dataset(plan, IDENTITY, PlanOptions())
    straight = plan_of(data, tmp_path).beams[0].control_points
    assert [(layer.name, layer.pairs) for layer in straight.mlc] == [("28", 28), ("29", 29)]
    assert (straight.jaws_x_mm, straight.jaws_y_mm) == (None, None)
    (beam,) = data.BeamSequence
    points = [d for p in beam.ControlPointSequence for d in p.BeamLimitingDevicePositionSequence]
    for device in [*beam.BeamLimitingDeviceSequence, *points]:
        kind = device.RTBeamLimitingDeviceType
        device.RTBeamLimitingDeviceType = {"MLCX1": "MLCX2", "MLCX2": "MLCX1"}[kind]
    swapped = plan_of(data, tmp_path).beams[0].control_points
    for layer, other, bank_a_mm in zip(
        straight.mlc, swapped.mlc, plan.beams[0].bank_a_mm, strict=True
    ):
        assert layer.name == other.name
        np.testing.assert_array_equal(layer.bank_a_mm, other.bank_a_mm)
        np.testing.assert_allclose(layer.bank_a_mm, bank_a_mm, atol=6e-7)


@pytest.mark.parametrize(
    ("options", "energy", "written_energy"),
    [
        (PlanOptions(), "6x", "6X"),
        (PlanOptions(fff=True), "6x", "6X-FFF"),
        (PlanOptions(fff=True), "10x", "10X-FFF"),
        (PlanOptions(radiation="electron"), "9e", "9E"),
    ],
)
def test_energy(options: PlanOptions, energy: str, written_energy: str, tmp_path: Path) -> None:
    data = dataset(replace(shapes(), energy=energy), IDENTITY, options)
    assert [b.energy for b in plan_of(data, tmp_path).beams] == [written_energy] * 2


def test_a_fluence_mode_that_is_a_sentence_is_not_shown(tmp_path: Path) -> None:
    data = small_plan(PlanOptions(fff=True))
    data.BeamSequence[0].PrimaryFluenceModeSequence[0].FluenceModeID = "CANARY of X"
    assert plan_of(data, tmp_path).beams[0].energy == "6X-NON_STANDARD"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (PlanOptions(wedge="physical"), "a physical wedge"),
        (PlanOptions(wedge="motorized"), "a motorized wedge"),
        (PlanOptions(wedge="dynamic"), "a dynamic wedge"),
        (PlanOptions(radiation="electron"), "no photons"),
    ],
)
def test_what_no_log_shows_is_kept_and_says_so(
    options: PlanOptions, reason: str, tmp_path: Path
) -> None:
    plan = plan_of(small_plan(options), tmp_path)
    assert len(plan.beams) == 2
    for beam in plan.beams:
        assert reason in str(beam.not_judged)
        assert beam.cumulative_mu[-1] in (80.0, 40.0)
    assert any(reason in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"NumberOfBlocks": 1}, "a block"),
        ({"NumberOfCompensators": 2}, "a compensator"),
        ({"PrimaryDosimeterUnit": "MINUTE"}, "not in MU"),
        ({"TreatmentDeliveryType": "OPEN_PORTFILM"}, "imaging field"),
        ({"RadiationType": "PROTON"}, "no photons"),
        ({"BeamType": "CANARY"}, "neither static nor dynamic"),
        ({"NumberOfWedges": 1}, "a wedge"),
    ],
)
def test_other_beams_that_are_not_judged(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    data = small_plan()
    for keyword, value in changes.items():
        setattr(data.BeamSequence[1], keyword, value)
    sweep, field = plan_of(data, tmp_path).beams
    assert sweep.not_judged is None
    assert reason in str(field.not_judged)
    assert "CANARY" not in repr(field)


def _point_says(keyword: str, value: Any, k: int = 0) -> Callable[[Dataset], None]:
    return lambda beam: setattr(beam.ControlPointSequence[k], keyword, value)


def _item_of(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _mode(*words: str) -> Callable[[Dataset], None]:
    modes = [_item_of(FluenceMode=word) for word in words]
    return lambda beam: setattr(beam, "PrimaryFluenceModeSequence", modes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: setattr(b, "BlockSequence", [_item_of(BlockNumber=1)]), "a block"),
        (lambda b: setattr(b, "CompensatorSequence", [Dataset()]), "a compensator"),
        (_point_says("WedgePositionSequence", [_item_of(WedgePosition="IN")], 1), "a wedge"),
        (_point_says("NominalBeamEnergy", ""), "energy is not given"),
        (_point_says("NominalBeamEnergy", "10", 1), "energy changes"),
        (_point_says("NominalBeamEnergy", "0"), "energy is not above 0"),
        (_point_says("NominalBeamEnergy", "-6"), "energy is not above 0"),
        (_point_says("NominalBeamEnergy", "50.1"), "at most 50 MV"),
        (_mode("CANARY"), "fluence mode"),
        (_mode(""), "fluence mode"),
        (_mode("STANDARD", "NON_STANDARD"), "fluence mode"),
    ],
)
def test_what_is_in_the_beam_whatever_its_numbers_say(
    change: Callable[[Dataset], None], reason: str, tmp_path: Path
) -> None:
    """No block, compensator or wedge is announced in any of these."""
    data = small_plan()
    change(data.BeamSequence[1])
    sweep, field = plan_of(data, tmp_path).beams
    assert sweep.not_judged is None
    assert reason in str(field.not_judged)
    assert "CANARY" not in repr(field)
    if reason == "fluence mode":
        assert field.energy is None


def test_an_energy_of_50_mv_is_one(tmp_path: Path) -> None:
    data = small_plan()
    _point_says("NominalBeamEnergy", "50")(data.BeamSequence[1])
    assert plan_of(data, tmp_path).beams[1].not_judged is None


def test_a_wedge_that_is_out_throughout_does_not_matter(tmp_path: Path) -> None:
    data = small_plan(PlanOptions(wedge="motorized"))
    for beam in data.BeamSequence:
        beam.ControlPointSequence[0].WedgePositionSequence[0].WedgePosition = "OUT"
    assert [b.not_judged for b in plan_of(data, tmp_path).beams] == [None, None]
    last = Dataset()
    last.ReferencedWedgeNumber, last.WedgePosition = 1, "IN"
    data.BeamSequence[0].ControlPointSequence[9].WedgePositionSequence = [last]
    assert "motorized" in str(plan_of(data, tmp_path).beams[0].not_judged)


def test_a_set_up_field_is_kept_without_a_meterset(tmp_path: Path) -> None:
    plan = plan_of(small_plan(PlanOptions(set_up_beam=True)), tmp_path)
    assert [beam.number for beam in plan.beams] == [1, 2, 3]
    field = plan.beams[2]
    assert (field.meterset_mu, field.delivery_type) == (None, "SETUP")
    assert "set-up" in str(field.not_judged)
    assert not field.control_points.meterset_share.any()


def test_leaves_along_y_are_not_judged(tmp_path: Path) -> None:
    data = small_plan()
    beam = data.BeamSequence[1]
    for device in [*beam.BeamLimitingDeviceSequence, *_positions(data, 1, 0)]:
        if device.RTBeamLimitingDeviceType == "MLCX":
            device.RTBeamLimitingDeviceType = "MLCY"
    sweep, field = plan_of(data, tmp_path).beams
    assert sweep.not_judged is None
    assert "along Y" in str(field.not_judged)
    assert field.control_points.mlc[0].along == "Y"


def test_brachytherapy_has_no_beams_and_says_so(tmp_path: Path) -> None:
    data = small_plan()
    del data.BeamSequence
    for group in data.FractionGroupSequence:
        del group.ReferencedBeamSequence
        group.NumberOfBeams, group.NumberOfBrachyApplicationSetups = 0, 1
    setup = Dataset()
    setup.ApplicationSetupNumber = 1
    data.ApplicationSetupSequence = [setup]
    plan = plan_of(data, tmp_path)
    assert plan.beams == ()
    assert "brachytherapy" in str(plan.not_judged)
    assert plan.fraction_groups[0].brachy_setups == 1


def test_one_fraction_group_gives_the_meterset(tmp_path: Path) -> None:
    plan = plan_of(small_plan(), tmp_path)
    assert [beam.meterset_mu for beam in plan.beams] == [80.0, 40.0]
    assert plan.warnings == ()


def test_groups_that_differ_are_not_guessed_but_chosen(tmp_path: Path) -> None:
    plan = plan_of(small_plan(PlanOptions(group_mu=(100.0,))), tmp_path)
    assert [beam.meterset_mu for beam in plan.beams] == [None, None]
    assert "another meterset in each fraction group" in plan.warnings[0]
    with pytest.raises(AnalysisError, match="choose one of the plan's fraction groups"):
        _ = plan.beams[0].cumulative_mu
    assert [beam.meterset_mu for beam in plan.in_group(1).beams] == [80.0, 40.0]
    assert [beam.meterset_mu for beam in plan.in_group(2).beams] == [100.0, 100.0]
    assert plan.in_group(2).beams[0].cumulative_mu[-1] == 100.0
    with pytest.raises(AnalysisError, match="no fraction group 3"):
        plan.in_group(3)


def test_groups_that_agree_need_no_choice(tmp_path: Path) -> None:
    data = small_plan(PlanOptions(group_mu=(1.0,)))
    first, second = data.FractionGroupSequence
    second.ReferencedBeamSequence = [deepcopy(first.ReferencedBeamSequence[0])]
    second.NumberOfBeams = 1
    plan = plan_of(data, tmp_path)
    assert [beam.meterset_mu for beam in plan.beams] == [80.0, 40.0]
    assert [beam.number for beam in plan.in_group(2).beams] == [1]


def test_identity_is_read_and_shown_nowhere(tmp_path: Path) -> None:
    data = small_plan()
    earlier = Dataset()
    earlier.ReferencedSOPInstanceUID = "1.2.3.4"
    data.ReferencedRTPlanSequence = [earlier]
    plan = plan_of(data, tmp_path)
    assert plan.identity.patient_id == "QA_SIM_1"
    assert plan.identity.plan_label == "Simulated"
    assert plan.sop_instance_uid == IDENTITY.plan_uid
    assert plan.identity.plan_date == "20260105"
    assert plan.identity.beam_names == ("Sweep", "Static")
    assert plan.identity.earlier_plan_uids == ("1.2.3.4",)
    shown = f"{plan.identity!r} {[repr(b) for b in plan.beams]} {plan.warnings}"
    for secret in ("QA_SIM_1", "Simulated", "1.2.826", "1.2.3.4", "20260105", "Sweep"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("charset", "raw", "label", "warned"),
    [
        ("ISO_IR 100", b"M\xfcller", "Müller", False),
        ("ISO_IR 192", "Müller".encode(), "Müller", False),
        ("ISO_IR 144", "Плaн".encode("iso8859-5"), "Плaн", False),
        ("GB18030", "计划".encode("gb18030"), "计划", False),
        ("ISO_IR 192", b"M\xfcller", "Müller", True),
        ("CANARY 1", b"M\xfcller", "Müller", True),
        (None, b"Muller", "Muller", False),
        (None, b"M\xfcller", "Müller", True),
    ],
)
def test_names_are_read_in_the_files_own_character_set(
    charset: str | None, raw: bytes, label: str, warned: bool, tmp_path: Path
) -> None:
    data = small_plan()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.RTPlanLabel = "L" * len(raw)
    content = written(data, tmp_path).read_bytes().replace(b"L" * len(raw), raw)
    new = b"" if charset is None else charset.encode()
    content = content.replace(b"ISO_IR 100", new.ljust(10))
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    plan = read(path)
    assert plan.identity.plan_label == label
    assert [("character set" in warning) for warning in plan.warnings] == [True] * warned
    assert "CANARY" not in str(plan.warnings)


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("preamble", [False, True])
def test_files_with_and_without_preamble(preamble: bool, explicit: bool, tmp_path: Path) -> None:
    """Real ones of one planning system have none."""
    path = written(small_plan(), tmp_path, preamble=preamble, explicit=explicit)
    content = path.read_bytes()
    assert (content[128:132] == b"DICM") == preamble
    assert recognize(content[:4096])
    assert _same(read(path), plan_of(small_plan(), tmp_path))


def test_group_0002_without_preamble(tmp_path: Path) -> None:
    content = written(small_plan(), tmp_path).read_bytes()[132:]
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    assert recognize(content[:4096])
    assert len(read(path).beams) == 2


def _same(one: Plan, other: Plan) -> bool:
    return all(
        np.array_equal(a.cumulative_mu, b.cumulative_mu)
        and np.array_equal(a.control_points.mlc[0].bank_a_mm, b.control_points.mlc[0].bank_a_mm)
        for a, b in zip(one.beams, other.beams, strict=True)
    )


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"DICM",
        bytes(132),
        bytes(128) + b"DICM",
        bytes(4096),
        b"\x08\x00" * 2048,
        b"VOSTL" + bytes(2000),
        b"\x08\x00\x16\x00\x1e\x00\x00\x001.2.840.10008.5.1.4.1.1.481.2\0",
        b"\x08\x00\x16\x00\xff\xff\xff\xff1.2.840.10008.5.1.4.1.1.481.5\0",
        b"\x10\x00\x16\x00\x1e\x00\x00\x001.2.840.10008.5.1.4.1.1.481.5\0",
        b"1.2.840.10008.5.1.4.1.1.481.5" * 10,
    ],
)
def test_what_is_no_plan_is_not_claimed(head: bytes) -> None:
    assert not recognize(head)


@pytest.mark.parametrize("field", sorted(FIELDS))
@pytest.mark.parametrize("mlc", sorted(MODEL_CODES))
def test_every_simulated_field_is_a_plan_that_is_judged(
    field: str, mlc: str, tmp_path: Path
) -> None:
    data = dataset(FIELDS[field](mlc, 50.0), IDENTITY, PlanOptions())
    (beam,) = plan_of(data, tmp_path).beams
    assert beam.not_judged is None
    assert beam.meterset_mu == 50.0
