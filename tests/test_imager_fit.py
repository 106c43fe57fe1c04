"""Commissioning: simulated open fields of a known imager give it back; poor ones are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers.core import AnalysisError
from analyzers.imager_fit import fit_imager
from analyzers.imager_model import predicted_cu
from analyzers.imager_records import from_json
from analyzers.open_profiles import profiles_of
from analyzers.portal_images import Aperture, Pixels, Polarity, PortalImage
from qa_daemon.__main__ import app
from qa_daemon.simulate.epid_portal import IMAGER, KERNEL, Panel, portal_image
from qa_daemon.simulate.plan_shapes import static
from qa_daemon.simulate.portal_beam import Errors, planned_beam
from qa_daemon.simulate.rtimage import write_rtimage

PANEL = Panel(rows=330, columns=330, spacing_mm=0.9, sid_mm=1500.0)
HALF_MM = (15.0, 25.0, 50.0, 80.0)
RUNNER = CliRunner()


def open_field(half_mm: float, seed: int = 0, errors: Errors | None = None) -> PortalImage:
    beam = planned_beam(static("millennium120", half_width_mm=half_mm))
    return portal_image(beam, PANEL, errors or Errors(), seed=seed)


@cache
def fields() -> tuple[PortalImage, ...]:
    return tuple(open_field(half_mm, seed) for seed, half_mm in enumerate(HALF_MM))


def test_the_kernel_and_the_response_are_found_again() -> None:
    found = fit_imager(fields(), "6x")
    radii_mm = np.array([5.0, 10.0, 20.0, 40.0])
    away = np.abs(found.model.kernel.within(radii_mm) - KERNEL.within(radii_mm))
    assert away.max() < 0.01
    # CU for each MU of a wide field, at 1500 mm instead of 1000 mm.
    wanted = IMAGER.cu_per_mu / 1.5**2
    assert found.model.cu_per_mu == pytest.approx(wanted, rel=0.005)
    off_axis = np.interp([30.0, 60.0], found.model.off_axis_mm, found.model.off_axis)
    assert off_axis == pytest.approx(
        np.interp([30.0, 60.0], [0, 50, 100], [1, 1.012, 1.022]), abs=2e-3
    )
    # What the fit is for: fields that were not in it.
    like = PANEL.empty()
    model = replace(
        found.model, leaf_transmission=IMAGER.leaf_transmission, leaf_gap_mm=IMAGER.leaf_gap_mm
    )
    for half_mm in (20.0, 35.0, 65.0):
        beam = planned_beam(static("millennium120", half_width_mm=half_mm))
        mine, true = (predicted_cu(beam, like, m)[165, 165] for m in (model, IMAGER))
        assert mine == pytest.approx(true, rel=0.004), half_mm
    assert all(abs(left.center_percent) < 0.3 for left in found.model.residuals)
    assert [round(left.width_mm) for left in found.model.residuals] == [30, 50, 100, 160]


def test_a_field_of_other_output_is_a_poor_fit() -> None:
    wrong = open_field(50.0, errors=Errors(output_percent=6.0))
    with pytest.raises(AnalysisError, match=r"poor fit: .* % is left .* cm, at most 1 %"):
        fit_imager([*fields()[:2], wrong, fields()[3]], "6x")


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (slice(0, 3), "3 open fields: at least 4"),
        (slice(0, 0), "0 open fields"),
    ],
)
def test_too_few_fields_are_refused(chosen: slice, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        fit_imager(fields()[chosen], "6x")


def test_fields_that_span_too_little_are_refused() -> None:
    with pytest.raises(AnalysisError, match=r"from 3\.0 to 10\.0 cm"):
        fit_imager([fields()[k] for k in (0, 0, 1, 2)], "6x")
    far = replace(fields()[3], sid_mm=1400.0)
    with pytest.raises(AnalysisError, match="different distances"):
        fit_imager([*fields()[:3], far], "6x")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"pixels": Pixels.RELATIVE}, "image 4: not in calibrated units"),
        ({"polarity": Polarity.UNKNOWN}, "calibrated"),
        ({"meterset_mu": None}, "does not state its MU"),
        ({"sid_mm": None}, "distance of the imager"),
        ({"saturated_percent": 2.0}, "saturated"),
        ({"collimator_deg": 45.0}, "turned"),
        ({"values": np.zeros((330, 330))}, "no signal on the axis"),
        ({"values": np.ones((330, 330))}, "not on the image"),
        ({"axis_px": (164.5, 184.5)}, "12.0 mm off the axis"),
        (
            {"aperture": Aperture(np.array([-70.0, 70.0]), np.array([-80.0, 80.0]))},
            "10.* mm from where",
        ),
    ],
)
def test_images_that_tell_nothing_are_refused(said: dict[str, object], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        fit_imager([*fields()[:3], replace(fields()[3], **said)], "6x")


def test_edges_and_both_sides_of_a_profile_are_measured() -> None:
    at_mm = np.arange(330) - 164.5
    slope = 1.0 + 0.0004 * at_mm[None, :]
    profiles = profiles_of(replace(fields()[2], values=fields()[2].values * slope))
    assert profiles.half_mm == pytest.approx((50.0, 50.0), abs=0.3)
    # 0.0004 for each pixel of 0.6 mm: 2 x 0.0004 x 40 / 0.6 at 80 % of the half width.
    assert profiles.asymmetry_percent == pytest.approx(5.3, abs=0.4)
    even = profiles_of(fields()[2])
    assert np.allclose(profiles.signal[1], even.signal[1], rtol=2e-3, atol=1e-6)


def test_the_command_writes_a_model_that_a_site_can_name(tmp_path: Path) -> None:
    files = []
    for number, image in enumerate(fields()):
        files.append(str(tmp_path / f"{number}.dcm"))
        write_rtimage(Path(files[-1]), image)
    out = tmp_path / "imager/TB1-6x.json"
    words = ["imager", "fit", *files, "--machine", "TB1", "--energy", "6x", "--out", str(out)]
    done = RUNNER.invoke(app, [*words, "--who", "Physicist A", "--leaf-gap-mm", "0.3"])
    assert done.exit_code == 0, done.output
    assert "16.0 x 16.0 cm" in done.output
    model = from_json(out.read_text())
    assert (model.machine, model.fitted_by, model.leaf_gap_mm) == ("TB1", "Physicist A", 0.3)
    assert model.fitted_at and len(model.residuals) == 4
    # Results name a model by its hash: none is written over.
    assert RUNNER.invoke(app, words).exit_code == 2
    site = tmp_path / "site.toml"
    site.write_text(
        '[site]\nname = "Clinic"\ntime_zone = "Europe/Berlin"\nstate_dir = "state"\n'
        '[[machine]]\nname = "TB1"\nmachine_class = "truebeam"\n'
        'imager_model = "imager/TB1-6x.json"\n'
    )
    told = RUNNER.invoke(app, ["doctor", "--config", str(site)]).output
    assert "ok      TB1: imager model 1 is of 6x" in told
    document = json.loads(out.read_text())
    document["model"]["cu_per_mu"] *= 1.02
    out.write_text(json.dumps(document))
    told = RUNNER.invoke(app, ["doctor", "--config", str(site)]).output
    assert "PROBLEM" in told and "changed after it was fitted" in told


def test_the_command_refuses_with_a_sentence(tmp_path: Path) -> None:
    other = tmp_path / "other.dcm"
    other.write_bytes(b"no image at all")
    out = tmp_path / "model.json"
    words = ["imager", "fit", str(other), "--machine", "A", "--energy", "6x", "--out", str(out)]
    done = RUNNER.invoke(app, words)
    assert done.exit_code == 65
    assert "no model was written: image 1:" in done.output
    assert "other.dcm" not in done.output and not out.exists()
