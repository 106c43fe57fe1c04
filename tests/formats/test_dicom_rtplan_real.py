"""Real plans of two makers: the same as peers read, and as pydicom's own decoding says.

Peers list the control points of the first eight beams and the beam types that occur.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from analyzers.core import HEAD_BYTES, ReadError
from analyzers.formats import dicom_rtrecord
from analyzers.formats.dicom_rtplan import read, recognize
from analyzers.plan_records import Beam, angles_in_turn_deg
from tests import real_data

READS = real_data.peer_reads("rtplan")
PLANS = sorted(name for name, said in READS.items() if said["modality"] == "RTPLAN")
OTHERS = sorted(READS.keys() - set(PLANS))

pytestmark = real_data.skip_without("rtplan")


def real(name: str) -> Path:
    folder = real_data.folder()
    assert folder is not None
    return folder / name


def test_there_are_plans_and_other_objects() -> None:
    assert (len(PLANS), len(OTHERS)) == (36, 3)


@pytest.mark.parametrize("name", PLANS)
def test_peers_read_the_same(name: str) -> None:
    said = READS[name]
    assert recognize(real(name).read_bytes()[:HEAD_BYTES])
    plan = read(real(name))
    assert len(plan.beams) == said["beams"]
    assert [beam.control_points.count for beam in plan.beams][:8] == said["cps"]
    assert {beam.machine_name for beam in plan.beams} == {said["machine"]}
    assert {beam.beam_type for beam in plan.beams} == set(said["types"])
    status = pydicom.dcmread(real(name), force=True).ApprovalStatus
    assert plan.approval == status
    assert [status in warning for warning in plan.warnings] == [True] * (status != "APPROVED")
    assert [beam.not_judged for beam in plan.beams] == [None] * len(plan.beams)


@pytest.mark.parametrize("name", OTHERS)
def test_doses_and_structures_are_not_claimed(name: str) -> None:
    head = real(name).read_bytes()[:HEAD_BYTES]
    assert not recognize(head)
    assert not dicom_rtrecord.recognize(head)
    with pytest.raises(ReadError) as raised:
        read(real(name))
    assert raised.value.code == "RTPLAN_SOP_CLASS"


def inherited(beam: pydicom.Dataset) -> Iterator[dict[str, Any]]:
    """Each control point with all that applies there, by pydicom alone."""
    state: dict[str, Any] = {}
    for point in beam.ControlPointSequence:
        for element in point:
            if element.VR != "SQ" and element.value not in (None, ""):
                state[element.keyword] = element.value
        for device in point.get("BeamLimitingDevicePositionSequence", []):
            state[device.RTBeamLimitingDeviceType] = np.array(device.LeafJawPositions, float)
        yield dict(state)


def assert_same(beam: Beam, theirs: pydicom.Dataset, meterset_mu: float) -> None:
    points = beam.control_points
    states = list(inherited(theirs))
    final = float(theirs.FinalCumulativeMetersetWeight)
    expected_mu = [meterset_mu * float(s["CumulativeMetersetWeight"]) / final for s in states]
    np.testing.assert_allclose(beam.cumulative_mu, expected_mu, rtol=1e-12, atol=0.0)
    for ours, keyword in (
        (points.gantry_deg, "GantryAngle"),
        (points.collimator_deg, "BeamLimitingDeviceAngle"),
        (points.couch_rotation_deg, "PatientSupportAngle"),
        (points.energy_mv, "NominalBeamEnergy"),
        (points.dose_rate_mu_per_min, "DoseRateSet"),
    ):
        np.testing.assert_array_equal(ours, [float(s.get(keyword, "nan")) for s in states])
    for jaws_mm, kinds in ((points.jaws_x_mm, "X ASYMX"), (points.jaws_y_mm, "Y ASYMY")):
        there = [k for k in kinds.split() if k in states[0]]
        assert (jaws_mm is None) == (not there)
        for kind in there:
            np.testing.assert_array_equal(jaws_mm, [s[kind] for s in states])
    assert len(points.mlc) == ("MLCX" in states[0])
    for layer in points.mlc:
        both_mm = np.hstack([layer.bank_b_mm, layer.bank_a_mm])
        np.testing.assert_array_equal(both_mm, [s["MLCX"] for s in states])
        assert (layer.bank_a_mm >= layer.bank_b_mm).all()


@pytest.mark.parametrize("name", PLANS)
def test_pydicom_says_the_same_of_every_control_point(name: str) -> None:
    theirs = pydicom.dcmread(real(name), force=True)
    plan = read(real(name))
    (group,) = theirs.FractionGroupSequence
    metersets = {int(r.ReferencedBeamNumber): r.BeamMeterset for r in group.ReferencedBeamSequence}
    assert plan.sop_instance_uid == theirs.SOPInstanceUID
    for beam, item in zip(plan.beams, theirs.BeamSequence, strict=True):
        assert beam.number == item.BeamNumber
        assert beam.name == (item.get("BeamName") or None)
        assert beam.meterset_mu == float(metersets[beam.number])
        assert_same(beam, item, float(metersets[beam.number]))
        defined = [(d.RTBeamLimitingDeviceType, d.NumberOfLeafJawPairs) for d in _devices(item)]
        assert [(device.kind, device.pairs) for device in beam.devices] == defined


@pytest.mark.parametrize("name", PLANS)
def test_pydicom_says_the_same_of_what_is_prescribed(name: str) -> None:
    theirs = pydicom.dcmread(real(name), force=True)
    plan = read(real(name))
    said = [(d.DoseReferenceType, d.get("TargetPrescriptionDose")) for d in _doses(theirs)]
    assert [(d.kind, d.prescribed_gy) for d in plan.dose_references] == said
    assert plan.intent == theirs.get("PlanIntent")
    ((group,), (found,)) = theirs.FractionGroupSequence, plan.fraction_groups
    assert found.fractions == group.NumberOfFractionsPlanned
    for item in group.ReferencedBeamSequence:
        number = int(item.ReferencedBeamNumber)
        assert found.beam_dose_gy.get(number) == item.get("BeamDose")


def _doses(plan: pydicom.Dataset) -> list[pydicom.Dataset]:
    return list(plan.get("DoseReferenceSequence", []))


def _devices(beam: pydicom.Dataset) -> list[pydicom.Dataset]:
    return list(beam.BeamLimitingDeviceSequence)


@pytest.mark.parametrize("name", PLANS)
def test_nothing_turns_further_than_half_a_turn_between_control_points(name: str) -> None:
    """So the stated direction is always the shorter way here: a wrong sense would show."""
    for beam in read(real(name)).beams:
        points = beam.control_points
        for angle_deg, turn in (
            (points.gantry_deg, points.gantry_turn),
            (points.collimator_deg, points.collimator_turn),
            (points.couch_rotation_deg, points.couch_rotation_turn),
        ):
            assert np.abs(np.diff(angles_in_turn_deg(angle_deg, turn))).max() < 180.0


def test_the_collimator_turns_the_way_its_angles_rise() -> None:
    """Two real plans turn it: counter-clockwise from the source is a rising IEC angle."""
    senses = set()
    for name in PLANS:
        for beam in read(real(name)).beams:
            points = beam.control_points
            angles_deg = angles_in_turn_deg(points.collimator_deg, points.collimator_turn)
            if np.ptp(angles_deg) > 0.0:
                senses |= set(np.sign(np.diff(angles_deg)))
    assert senses == {1.0, -1.0}


@pytest.mark.parametrize(
    ("name", "energy"), [("FFF_example", "6X-FFF"), ("06MV_plan", "6X"), ("TinyFS_TinyVMAT", "6X")]
)
def test_energy(name: str, energy: str) -> None:
    plan = read(real(f"rtplan/pymedphys/{name}.dcm"))
    assert {beam.energy for beam in plan.beams} == {energy}


def test_no_error_and_no_warning_of_a_real_plan_names_a_patient(tmp_path: Path) -> None:
    """Cut anywhere, no word of a patient's name, id or label is in the sentence."""
    for name in PLANS[:6]:
        theirs = pydicom.dcmread(real(name), force=True)
        secrets = [theirs.get(k) for k in ("PatientID", "RTPlanLabel", "RTPlanName")]
        secrets += [theirs.SOPInstanceUID, *str(theirs.get("PatientName", "")).split("^")]
        known = [str(s).casefold() for s in secrets if s and len(str(s)) > 3]
        content = real(name).read_bytes()
        for cut in range(len(content) // 50, len(content), len(content) // 50):
            (tmp_path / "x").write_bytes(content[:cut])
            try:
                said = str(read(tmp_path / "x").warnings)
            except ReadError as why:
                said = str(why)
            assert not [secret for secret in known if secret in said.casefold()]
