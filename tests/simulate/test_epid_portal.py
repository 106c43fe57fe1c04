"""Simulated portal images hold what was stated, also after they were written and read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers.formats.dicom_rtimage import read
from analyzers.image_class import classify
from analyzers.portal_images import ImageKind, Pixels
from qa_daemon.__main__ import app
from qa_daemon.simulate.epid_portal import (
    MU_PER_MM,
    Panel,
    Patient,
    portal_image,
    predicted_image,
    simulate,
)
from qa_daemon.simulate.plan_shapes import static, vmat
from qa_daemon.simulate.portal_beam import Errors, planned_beam, with_leaf_errors

PANEL = Panel(rows=120, columns=120, spacing_mm=1.8)
BEAM = planned_beam(static("millennium120", half_width_mm=40.0))
QUIET = Errors(pixel_noise_percent=0.0)


def test_output_and_lost_frames_scale_all_of_it() -> None:
    whole = portal_image(BEAM, PANEL, QUIET)
    more = portal_image(BEAM, PANEL, replace(QUIET, output_percent=3.0))
    less = portal_image(BEAM, PANEL, replace(QUIET, lost_frames_percent=10.0))
    middle = np.s_[40:80, 40:80]
    assert more.values[middle] / whole.values[middle] == pytest.approx(1.03, rel=1e-4)
    assert less.values[middle] / whole.values[middle] == pytest.approx(0.9, rel=1e-4)
    assert (whole.frames, less.frames) == (1000, 900)


def test_a_panel_that_stands_off_shows_the_field_on_the_other_side() -> None:
    moved = portal_image(BEAM, PANEL, replace(QUIET, panel_mm=(3.0, -2.0)))
    signal = moved.values / moved.values.sum()
    assert float((signal * moved.x_mm[None, :]).sum()) == pytest.approx(-3.0, abs=0.05)
    assert float((signal * moved.y_mm[:, None]).sum()) == pytest.approx(2.0, abs=0.05)
    assert moved.axis_px == ((120 - 1) / 2.0, (120 - 1) / 2.0)


def test_leaves_move_where_it_is_stated_and_closed_ones_stay() -> None:
    errors = Errors(gap_mm=0.5, bank_mm=0.2, leaf_mm={"A30": 1.0})
    (before,), (after,) = BEAM.control_points.mlc, with_leaf_errors(BEAM, errors).control_points.mlc
    moved = after.bank_a_mm - before.bank_a_mm, after.bank_b_mm - before.bank_b_mm
    is_open = before.bank_a_mm[0] > before.bank_b_mm[0]
    wanted = np.where(is_open, 0.7, 0.0)
    wanted[29] += 1.0
    assert moved[0][0] == pytest.approx(wanted)
    assert moved[1][0] == pytest.approx(np.where(is_open, -0.3, 0.0))
    with pytest.raises(ValueError, match="no leaf A99"):
        with_leaf_errors(BEAM, Errors(leaf_mm={"A99": 1.0}))


def test_a_patient_attenuates_by_the_water_along_the_beam() -> None:
    slab = Patient(thickness_mm=150.0, rounding_per_mm=0.0, bone_mm=0.0, cavity_mm=0.0)
    open_image = portal_image(BEAM, PANEL, QUIET)
    through = portal_image(BEAM, PANEL, QUIET, patient=slab)
    share = through.values[50:70, 50:70] / open_image.values[50:70, 50:70]
    assert share == pytest.approx(np.exp(-MU_PER_MM * 150.0), rel=1e-4)


def test_a_pocket_takes_the_place_of_water_where_it_is() -> None:
    patient = Patient(pocket_mm=10.0, pocket_at_mm=(5.0, -7.0), pocket_wide_mm=20.0)
    x_mm, y_mm = np.array([[5.0, 40.0]]), np.array([[-7.0]])
    missing = Patient().water_mm(x_mm, y_mm) - patient.water_mm(x_mm, y_mm)
    assert missing[0] == pytest.approx([10.0, 0.0], abs=0.02)
    moved = replace(patient, setup_mm=(3.0, 4.0)).water_mm(x_mm + 3.0, y_mm + 4.0)
    assert moved == pytest.approx(patient.water_mm(x_mm, y_mm))


def test_noise_is_as_large_as_stated_and_the_same_for_the_same_seed() -> None:
    quiet, noisy = (
        portal_image(BEAM, PANEL, Errors(pixel_noise_percent=p), seed=5) for p in (0, 0.5)
    )
    middle = np.s_[40:80, 40:80]
    spread = (noisy.values[middle] / quiet.values[middle]).std()
    assert spread == pytest.approx(0.005, rel=0.1)
    again = portal_image(BEAM, PANEL, Errors(pixel_noise_percent=0.5), seed=5)
    assert (noisy.stored == again.stored).all()


def test_a_prediction_has_no_exposure() -> None:
    image = predicted_image(BEAM, PANEL)
    assert image.kind is ImageKind.PREDICTED and image.meterset_mu is None


def test_an_arc_turns_as_its_plan_does() -> None:
    beam = planned_beam(vmat("millennium120"))
    points = beam.control_points
    assert points.gantry_deg[0] == 270.0 and points.gantry_deg[-1] == 90.0
    assert (points.gantry_turn[:-1] == 1).all() and points.gantry_turn[-1] == 0
    assert beam.technique == "vmat" and beam.energy == "6X"


@pytest.mark.parametrize("what", ["measured", "predicted", "transit"])
def test_the_command_writes_what_is_read_back(what: str, tmp_path: Path) -> None:
    out = tmp_path / "image.dcm"
    words = ["simulate", "epid-portal", "--out", str(out), "--what", what, "--panel", "as500"]
    words += ["--field", "static", "--mu", "50", "--output-percent", "2"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    image = read(out)
    assert image.shape == (384, 512) and image.pixels is Pixels.CALIBRATED
    assert image.sid_mm == 1500.0 and image.meterset_mu == (None if what == "predicted" else 50.0)
    beam = planned_beam(static("millennium120", 50.0))
    panel = Panel(384, 512, 0.784)
    if what == "predicted":
        wanted = predicted_image(beam, panel)
    else:
        patient = Patient() if what == "transit" else None
        wanted = portal_image(beam, panel, Errors(output_percent=2.0), patient=patient)
    assert np.allclose(image.values, wanted.values, rtol=1e-6)


@pytest.mark.parametrize("option", [("what", "x"), ("panel", "x"), ("leaf", "Z9=1"), ("mlc", "x")])
def test_the_command_refuses_what_it_does_not_know(option: tuple[str, str], tmp_path: Path) -> None:
    words = ["simulate", "epid-portal", "--out", str(tmp_path / "a.dcm"), "--panel", "as500"]
    assert CliRunner().invoke(app, [*words, f"--{option[0]}", option[1]]).exit_code == 2


@pytest.mark.parametrize(
    ("what", "kind"), [("transit", ImageKind.PORTAL), ("predicted", ImageKind.PREDICTED)]
)
def test_what_is_written_is_told_for_what_it_is(what: str, kind: ImageKind, tmp_path: Path) -> None:
    out = simulate(tmp_path / "image.dcm", what=what, panel="as500")
    assert classify(read(out)).kind is kind
