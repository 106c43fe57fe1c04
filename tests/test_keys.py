"""What records say of themselves by which those that belong together are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzers.formats import dicom_rtplan, dicom_rtrecord, varian_trajectory_log
from analyzers.plan_records import DoseReference, FractionGroup, Plan
from qa_daemon.keys import keys_of
from qa_daemon.model import DeliveryKeys, PlanKeys, RecordKeys
from qa_daemon.simulate import rtplan, rtrecord, trajectory_log
from qa_daemon.simulate.trajectory_log import IDENTITY


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = rtplan.simulate(tmp_path / "p.dcm", field="static", set_up_beam=True)
    return dicom_rtplan.read(path)


def keys(plan: Plan) -> PlanKeys:
    found = keys_of(plan)
    assert isinstance(found, PlanKeys)
    return found


def test_a_plan_tells_its_beams_that_irradiate(plan: Plan) -> None:
    found = keys(plan)
    assert (found.plan_uid, found.patient_id) == (IDENTITY.plan_uid, IDENTITY.patient_id)
    assert [(beam.number, beam.meterset_mu) for beam in found.beams] == [(1, 200.0)]
    assert (found.fractions, found.dose_per_fraction_gy) == (5, None)
    assert found.techniques == ("static",)


@pytest.mark.parametrize(
    ("prescribed_gy", "beam_gy", "expected_gy"),
    [(30.0, None, 6.0), (None, 5.5, 5.5), (30.0, 5.5, 6.0), (20.0, 5.5, 5.5), (None, None, None)],
)
def test_the_dose_of_a_fraction_is_the_highest_that_the_plan_says(
    plan: Plan, prescribed_gy: float | None, beam_gy: float | None, expected_gy: float | None
) -> None:
    references = (DoseReference("TARGET", prescribed_gy), DoseReference("ORGAN_AT_RISK", 99.0))
    group = FractionGroup(1, 5, {1: 200.0}, beam_dose_gy={1: beam_gy} if beam_gy else {})
    said = replace(plan, dose_references=references, fraction_groups=(group,))
    assert keys(said).dose_per_fraction_gy == expected_gy


def dose_gy(plan: Plan, *groups: FractionGroup, prescribed_gy: float | None = None) -> float | None:
    references = (DoseReference("TARGET", prescribed_gy),)
    return keys(
        replace(plan, dose_references=references, fraction_groups=groups)
    ).dose_per_fraction_gy


def test_of_several_fraction_groups_the_one_that_gives_most_counts(plan: Plan) -> None:
    usual = FractionGroup(1, 25, {1: 200.0}, beam_dose_gy={1: 2.0})
    boost = FractionGroup(2, 1, {1: 200.0}, beam_dose_gy={1: 16.0})
    assert dose_gy(plan, usual, boost) == dose_gy(plan, boost, usual) == 16.0
    assert dose_gy(plan, usual, replace(boost, beam_dose_gy={}), prescribed_gy=18.0) == 18.0
    untold = FractionGroup(2, None, {1: 200.0})
    assert dose_gy(plan, usual, untold, prescribed_gy=100.0) == 4.0
    assert dose_gy(plan, untold, prescribed_gy=100.0) is None
    assert dose_gy(plan) is None


def test_a_beam_without_a_dose_leaves_that_of_the_others(plan: Plan) -> None:
    metersets = {1: 200.0, 2: 200.0, 3: 200.0}
    arcs = FractionGroup(1, 1, metersets, beam_dose_gy={1: 12.0, 2: 12.0})
    assert dose_gy(plan, arcs) == 24.0


@pytest.mark.parametrize(
    ("delivery_type", "is_kept"),
    [("CONTINUATION", True), ("SETUP", False), ("OPEN_PORTFILM", False)],
)
def test_the_rest_of_a_beam_is_recorded_as_treated(
    tmp_path: Path, delivery_type: str, is_kept: bool
) -> None:
    record = dicom_rtrecord.read(rtrecord.simulate(tmp_path / "r.dcm"))
    (beam,) = record.beams
    said = keys_of(replace(record, beams=(replace(beam, delivery_type=delivery_type),)))
    assert isinstance(said, RecordKeys)
    assert [b.number for b in said.beams] == ([1] if is_kept else [])


def test_a_log_and_a_record_tell_plan_and_patient(tmp_path: Path) -> None:
    log = varian_trajectory_log.read(
        trajectory_log.simulate(tmp_path / "x.bin", field="static", version="4.0")
    )
    said = keys_of(log)
    assert isinstance(said, DeliveryKeys)
    assert (said.plan_uid, said.patient_id) == (IDENTITY.plan_uid, IDENTITY.patient_id)
    assert said.planned_mu == 200.0
    assert keys_of(replace(log, not_judged="an imaging log")) is None
    record = keys_of(dicom_rtrecord.read(rtrecord.simulate(tmp_path / "r.dcm")))
    assert isinstance(record, RecordKeys)
    assert record.plan_uid == IDENTITY.plan_uid
    assert [(b.number, b.delivered_mu, b.fraction) for b in record.beams] == [(1, 200.0, 1)]
