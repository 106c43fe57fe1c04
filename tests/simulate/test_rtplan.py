"""Simulated plans: what is written is what is read, and what the simulated log delivers."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from analyzers import catalogue
from analyzers.formats import varian_trajectory_log
from analyzers.formats.dicom_rtplan import read
from analyzers.plan_records import angles_in_turn_deg
from qa_daemon.__main__ import app
from qa_daemon.jobs import measure
from qa_daemon.model import Job, NamedPath
from qa_daemon.simulate import rtrecord, trajectory_log
from qa_daemon.simulate.plan_shapes import FIELDS, Plan, sequence
from qa_daemon.simulate.rtplan import PlanOptions, simulate, write_rtplan
from qa_daemon.simulate.trajectory_log_bytes import MODEL_CODES

RUNNER = CliRunner()
WRITTEN_TO = 6e-7
plans = st.builds(
    lambda mlc, fields: sequence(*(FIELDS[field](mlc, mu) for field, mu in fields)),
    mlc=st.sampled_from(sorted(MODEL_CODES)),
    fields=st.lists(
        st.tuples(st.sampled_from(sorted(FIELDS)), st.floats(0.5, 500.0)), min_size=1, max_size=3
    ),
)


@settings(max_examples=40, deadline=None)
@given(plans, st.booleans(), st.booleans(), st.booleans())
def test_what_is_written_is_read(plan: Plan, fff: bool, preamble: bool, explicit: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        options = PlanOptions(fff=fff)
        write_rtplan(path, plan, options=options, preamble=preamble, explicit=explicit)
        found = read(path)
    assert found.energy == ("6X-FFF" if fff else "6X")
    for number, (beam, shape) in enumerate(zip(found.beams, plan.beams, strict=True), start=1):
        assert (beam.number, beam.name) == (number, shape.name)
        np.testing.assert_allclose(beam.cumulative_mu, shape.meterset_mu, atol=WRITTEN_TO)
        points = beam.control_points
        for ours, turn, theirs in (
            (points.gantry_deg, points.gantry_turn, shape.gantry_deg),
            (points.collimator_deg, points.collimator_turn, shape.collimator_deg),
        ):
            np.testing.assert_allclose(angles_in_turn_deg(ours, turn), theirs, atol=WRITTEN_TO)
        assert (points.jaws_x_mm is None) == (shape.jaws_mm is None)
        if shape.jaws_mm is not None:
            assert points.jaws_x_mm is not None
            assert points.jaws_y_mm is not None
            jaws_mm = np.hstack([points.jaws_x_mm, points.jaws_y_mm])
            np.testing.assert_allclose(jaws_mm, shape.jaws_mm, atol=WRITTEN_TO)
        for layer, bank_a_mm, bank_b_mm in zip(
            points.mlc, shape.bank_a_mm, shape.bank_b_mm, strict=True
        ):
            np.testing.assert_allclose(layer.bank_a_mm, bank_a_mm, atol=WRITTEN_TO)
            np.testing.assert_allclose(layer.bank_b_mm, bank_b_mm, atol=WRITTEN_TO)


@pytest.mark.parametrize("mlc", sorted(MODEL_CODES))
@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_log_and_its_plan_belong_together(field: str, mlc: str, tmp_path: Path) -> None:
    """Same UID and meterset, and the plan at each control point is where the log was meant to be.

    The log's control-point axis is the independent clock here; between its samples leaves move by
    0.5 mm at most, and its numbers are 32-bit floats of raw centimeters.
    """
    log = trajectory_log.simulate(
        tmp_path / "x.bin", mlc=mlc, field=field, version="4.0", noise=False
    )
    delivery = varian_trajectory_log.read(log)
    plan = read(simulate(tmp_path / "p.dcm", mlc=mlc, field=field))
    (beam,) = plan.beams
    assert plan.sop_instance_uid == delivery.identity.plan_uid
    assert plan.identity.patient_id == delivery.identity.patient_id
    assert beam.meterset_mu == delivery.planned_mu
    assert delivery.control_point is not None
    assert delivery.gantry_deg is not None
    last = beam.control_points.count - 1
    meant = beam.control_points.at(np.clip(delivery.control_point.expected, 0.0, last))
    off_deg = np.mod(meant.gantry_deg - delivery.gantry_deg.expected + 180.0, 360.0) - 180.0
    assert np.abs(off_deg).max() < 1e-3
    for planned, logged in zip(meant.mlc, delivery.mlc, strict=True):
        np.testing.assert_allclose(planned.bank_a_mm, logged.bank_a_mm.expected, atol=2e-3)
        np.testing.assert_allclose(planned.bank_b_mm, logged.bank_b_mm.expected, atol=2e-3)
    expected_mu = meant.meterset_share * (beam.meterset_mu or 0.0)
    np.testing.assert_allclose(expected_mu, delivery.meterset_mu.expected, atol=2e-3)


def test_pydicom_finds_nothing_wrong(tmp_path: Path) -> None:
    """An independent reader, and the count fields that a plan has to get right."""
    path = simulate(tmp_path / "p.dcm", group_mu="150,120", set_up_beam=True)
    data = pydicom.dcmread(path)  # not forced: with preamble
    assert [len(g.ReferencedBeamSequence) for g in data.FractionGroupSequence] == [1, 1, 1]
    metersets = [g.ReferencedBeamSequence[0].BeamMeterset for g in data.FractionGroupSequence]
    assert metersets == [200.0, 150.0, 120.0]
    arc, setup = data.BeamSequence
    assert arc.NumberOfControlPoints == len(arc.ControlPointSequence) == 91
    assert setup.TreatmentDeliveryType == "SETUP"
    assert arc.ControlPointSequence[0].GantryRotationDirection == "CW"
    assert arc.ControlPointSequence[-1].GantryRotationDirection == "NONE"


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        simulate(tmp_path / name, mu=mu).read_bytes()
        for name, mu in (("a", 10.0), ("b", 10.0), ("c", 11.0))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mlc": "agility"}, "mlc 'agility'"),
        ({"field": "square"}, "field 'square'"),
        ({"wedge": "wooden"}, "wedge 'wooden'"),
        ({"radiation": "muon"}, "radiation 'muon'"),
        ({"mu": 0.0}, "mu 0"),
        ({"fff": "perhaps"}, "fff 'perhaps'"),
        ({"group_mu": "many"}, "many"),
        ({"energy": "strong"}, "strong"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(tmp_path / "x.dcm", **options)
    assert not (tmp_path / "x.dcm").exists()


def test_a_folder_gets_a_name(tmp_path: Path) -> None:
    assert simulate(tmp_path, plan_uid="1.2.3").name == "RP.1.2.3.dcm"


@pytest.mark.parametrize("kind", ["dicom-rtplan", "dicom-rtrecord"])
def test_the_command_analyzes_what_it_writes_and_judges_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    assert RUNNER.invoke(app, ["simulate", kind, "--out", str(path)]).exit_code == 0
    answer = RUNNER.invoke(app, ["analyze", str(path), "--json"])
    (result,) = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert (result["format"], result["verdict"], result["error"]) == (kind, None, None)
    assert result["analyses"] == []
    assert "kept for matching" in result["not_judged"]
    assert result["performed_at"] == (None if kind == "dicom-rtplan" else "2026-01-05T07:30:00")


@pytest.mark.parametrize("writer", [simulate, rtrecord.simulate])
def test_a_workers_report_holds_identity_in_its_own_field_alone(
    writer: Any, tmp_path: Path
) -> None:
    path = writer(tmp_path / "x.dcm")
    report = measure(Job(file=NamedPath(path=str(path), name="x.dcm")), catalogue.load())
    assert report.error_code is None
    assert report.machine_class is None
    assert report.identity["patient_id"] == "QA_SIM_1"
    assert report.identity["plan_uid"] == trajectory_log.IDENTITY.plan_uid
    rest = report.model_copy(update={"identity": {}, "keys": None}).model_dump_json()
    assert not [word for word in ("QA_SIM_1", "1.2.826", "Simulated", "Arc") if word in rest]
