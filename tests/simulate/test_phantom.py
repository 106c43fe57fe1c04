"""The phantom's writers as commands: what is asked for is written, and nothing is judged."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers import catalogue
from analyzers.formats import dicom_ct, dicom_rtdose, dicom_rtstruct
from qa_daemon.__main__ import app
from qa_daemon.jobs import measure
from qa_daemon.model import Job, NamedPath
from qa_daemon.simulate import ct, rtdose, rtstruct, trajectory_log

RUNNER = CliRunner()
WRITERS: dict[str, Any] = {
    "dicom-ct": ct.simulate,
    "dicom-rtstruct": rtstruct.simulate,
    "dicom-rtdose": rtdose.simulate,
}


def test_a_series_of_two_hundred_slices_is_analyzed(tmp_path: Path) -> None:
    """The folder of a patient: no verdict, exit code 0, and soon."""
    ct.simulate(tmp_path, slices=200, size=16, spacing_mm=10.0, thickness_mm=1.0)
    rtstruct.simulate(tmp_path)
    rtdose.simulate(tmp_path)
    began = time.monotonic()
    answer = RUNNER.invoke(app, ["analyze", str(tmp_path), "--json"])
    assert time.monotonic() - began < 60.0  # 1 s on an idle machine
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert len(found) == 202
    for result in found:
        assert (result["verdict"], result["error"], result["analyses"]) == (None, None, [])
        assert "kept for" in result["not_judged"]
        assert result["machine"] is None
        assert result["performed_at"].startswith("2026-01-05T07:")
    for word in ("QA_SIM_1", "1.2.826", "Simulated", "PTV"):
        assert word not in answer.stdout


@pytest.mark.parametrize("kind", WRITERS)
def test_the_command_writes_one_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    assert RUNNER.invoke(app, ["simulate", kind, "--out", str(path)]).exit_code == 0
    answer = RUNNER.invoke(app, ["analyze", str(path), "--json"])
    (result,) = json.loads(answer.stdout)
    assert (answer.exit_code, result["format"], result["verdict"]) == (0, kind, None)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_report_holds_identity_in_its_own_field_alone(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "x.dcm")
    report = measure(Job(file=NamedPath(path=str(path), name="x.dcm")), catalogue.load())
    assert report.identity["patient_id"] == "QA_SIM_1"
    assert (report.keys, report.machine_serial, report.machine_class) == (None, None, None)
    if kind == "dicom-rtdose":
        assert report.identity["plan_uid"] == trajectory_log.IDENTITY.plan_uid
    rest = report.model_copy(update={"identity": {}}).model_dump_json()
    assert not [word for word in ("QA_SIM_1", "1.2.826", "Simulated", "PTV") if word in rest]


def test_all_three_are_of_one_patient_and_one_frame_of_reference(tmp_path: Path) -> None:
    for write in WRITERS.values():
        write(tmp_path)
    dose = dicom_rtdose.read(tmp_path / "RD.dcm")
    structures = dicom_rtstruct.read(tmp_path / "RS.dcm")
    slices = [dicom_ct.read(path) for path in sorted(tmp_path.glob("CT.*.dcm"))]
    assert len(slices) == 16
    identities = [record.identity for record in (dose, *slices)]
    assert {i.frame_of_reference_uid for i in identities} == {*structures.frame_of_reference_uids}
    assert {i.patient_id for i in identities} == {structures.identity.patient_id}
    assert {i.study_uid for i in identities} == {structures.identity.study_uid}
    assert {s.identity.series_uid for s in slices} == {*structures.series_uids}
    np.testing.assert_allclose(np.diff([s.offset_mm for s in slices]), 5.0)
    np.testing.assert_array_equal(slices[0].placement.origin_mm, dose.placement.origin_mm)


def test_stated_errors_are_in_the_files(tmp_path: Path) -> None:
    plain = dicom_rtdose.read(rtdose.simulate(tmp_path / "a.dcm", frames=4))
    more = dicom_rtdose.read(rtdose.simulate(tmp_path / "b.dcm", frames=4, scale_percent=3.0))
    np.testing.assert_allclose(more.dose_gy, 1.03 * plain.dose_gy, atol=1e-6)
    flat = dicom_rtdose.read(rtdose.simulate(tmp_path / "c.dcm", shape="flat", bits=16))
    np.testing.assert_allclose(flat.dose_gy, 2.0, rtol=1e-6)
    a = dicom_ct.read(ct.simulate(tmp_path / "d.dcm"))
    b = dicom_ct.read(ct.simulate(tmp_path / "e.dcm", hu_offset=20.0, rod_hu=500.0))
    assert {*np.unique(a.hu)} == {-1000, 0, 800}
    assert {*np.unique(b.hu)} == {-980, 20, 520}
    shifted = dicom_ct.read(ct.simulate(tmp_path / "f.dcm", x_shift_mm=5.0))
    np.testing.assert_array_equal(shifted.hu[:, 1:], a.hu[:, :-1])  # one pixel to the left side


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("dicom-ct", {"slices": 0}),
        ("dicom-ct", {"size": 5000}),
        ("dicom-ct", {"spacing_mm": 0.0}),
        ("dicom-rtstruct", {"target": "cube"}),
        ("dicom-rtstruct", {"radius_mm": -1.0}),
        ("dicom-rtstruct", {"points": 2}),
        ("dicom-rtdose", {"shape": "round"}),
        ("dicom-rtdose", {"bits": 8}),
        ("dicom-rtdose", {"peak_gy": 0.0}),
        ("dicom-rtdose", {"frames": 0}),
        ("dicom-rtdose", {"summation": "ALL"}),
        ("dicom-rtdose", {"falling": "perhaps"}),
    ],
    ids=str,
)
def test_options_that_make_no_sense_write_nothing(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"expected|above 0"):
        WRITERS[kind](tmp_path / "x.dcm", **options)
    assert not (tmp_path / "x.dcm").exists()
