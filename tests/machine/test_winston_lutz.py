from __future__ import annotations

import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzers.core import Analysis, AnalysisError
from analyzers.formats.dicom_rtimage import read
from analyzers.machine.winston_lutz import ANALYZER
from analyzers.portal_images import Beside, ImageKind, PortalImage
from tests import epid, real_data
from tests.machine.judging import run, verdict

STEP_MM, SIDE = 0.4, 200
CARDINAL = (0.0, 90.0, 180.0, 270.0)
REAL = {
    "winston_lutz": {"left": -0.36, "in": -0.36, "up": -0.20},
    "cardinal": {"left": 0.39, "in": 0.61, "up": 0.60},
    "lat3mm": {"left": 3.65, "in": 0.54, "up": 0.60},
}
"""The shifts that pylinac prints of the real sets, to 0.01 mm."""


def shot(
    ball_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    gantry_deg: float = 0.0,
    field_mm: tuple[float, float] = (0.0, 0.0),
    **known: Any,
) -> PortalImage:
    """A 20 mm field and a 6 mm ball at x, y, z of the room (right, to the gantry, up), SAD 1 m.

    The ball is projected by its own distance from the source, as PS3.3 and IEC 61217 have it.
    """
    right, inward, up = ball_mm
    angle = np.radians(gantry_deg)
    towards_source = right * np.sin(angle) + up * np.cos(angle)
    scale = 1000.0 / (1000.0 - towards_source)
    at = scale * (right * np.cos(angle) - up * np.sin(angle)), scale * inward
    x_mm = epid.places_mm(SIDE, STEP_MM)[None, :]
    y_mm = -epid.places_mm(SIDE, STEP_MM)[:, None]
    field = epid.slit(x_mm - field_mm[0], -10, 10) * epid.slit(y_mm - field_mm[1], -10, 10)
    radius = np.hypot(x_mm - at[0], y_mm - at[1])
    ball = 0.15 * epid.slit(radius, -3.0, 3.0, 0.5)
    return epid.image(0.02 + 0.9 * field * (1 - ball), STEP_MM, gantry_deg=gantry_deg, **known)


def noisy(image: PortalImage) -> PortalImage:
    noise = np.random.default_rng(round(image.gantry_deg or 0.0)).normal(0.0, 200.0, image.shape)
    stored = np.round(image.stored + noise).astype(np.uint16)
    return replace(image, stored=stored, values=stored.astype(np.float64))


def gathered(shots: list[PortalImage]) -> PortalImage:
    first = epid.judged(shots[0], ImageKind.WINSTON_LUTZ)
    return replace(first, set_with=tuple(shots[1:]))


def numbers(analysis: Analysis) -> dict[str, float]:
    return {m.metric.name: m.value for m in analysis.measurements}


@cache
def of_ball(*ball_mm: float) -> Analysis:
    right, inward, up = ball_mm
    shots = [shot((right, inward, up), gantry) for gantry in CARDINAL]
    return run(ANALYZER, gathered(shots), ball_diameter_mm=6.0)


@pytest.mark.parametrize(
    ("ball_mm", "shift"),
    [((1.0, 0.0, 0.0), "left"), ((0.0, -1.0, 0.0), "in"), ((0.0, 0.0, -1.0), "up")],
)
def test_the_shift_brings_the_ball_back(ball_mm: tuple[float, float, float], shift: str) -> None:
    value = numbers(of_ball(*ball_mm))
    for axis in ("left", "in", "up"):
        assert value[f"shift_{axis}"] == pytest.approx(1.0 if axis == shift else 0.0, abs=0.05)
    assert value["max_2d_cax_to_bb"] == pytest.approx(1.0, abs=0.05)


def test_a_true_isocenter_passes_and_a_ball_2_mm_off_does_not() -> None:
    true = of_ball(0.0, 0.0, 0.0)
    value = numbers(true)
    assert value["max_2d_cax_to_bb"] < 0.05
    assert value["gantry_3d_iso_diameter"] < 0.05
    assert {verdict(m) for m in true.measurements} <= {"PASS", None}
    off = run(ANALYZER, gathered([shot((2.0, 0.0, 0.0))]), ball_diameter_mm=6.0)
    assert verdict(off.measurements[0]) == "ACTION"
    assert off.measurements[0].at == "G0 C0 T0"


def test_the_gantry_isocenter_is_the_ball_that_all_axes_touch() -> None:
    # Fields 0.4 mm (a pixel) to the image's right at 0 and 180: parallel axes 0.8 mm apart.
    shots = [
        shot(gantry_deg=g, field_mm=(0.5 if g in (0.0, 180.0) else 0.0, 0.0)) for g in CARDINAL
    ]
    found = numbers(run(ANALYZER, gathered(shots), ball_diameter_mm=6.0))
    assert found["gantry_3d_iso_diameter"] == pytest.approx(0.8, abs=0.04)


def test_what_the_set_has_no_images_for_is_absent_not_zero() -> None:
    value = numbers(of_ball(0.0, 0.0, 0.0))
    assert "coll_2d_iso_diameter" not in value
    assert "couch_2d_iso_diameter" not in value
    alone = run(ANALYZER, gathered([shot()]), ball_diameter_mm=6.0)
    assert not {"gantry_3d_iso_diameter", "shift_left"} & numbers(alone).keys()
    assert any("one image alone" in note for note in alone.notes)


def test_one_picture_with_several_angles_is_no_set() -> None:
    """An export that repeats an image shows a ball that stands still, whatever the machine does."""
    first = noisy(shot((0.5, 0.0, 0.0)))
    copies = [replace(first, gantry_deg=gantry) for gantry in CARDINAL]
    with pytest.raises(AnalysisError, match="one picture is in the set twice"):
        run(ANALYZER, gathered(copies), ball_diameter_mm=6.0)


def test_a_copy_of_an_image_is_not_counted_again() -> None:
    shots = [noisy(shot(gantry_deg=gantry)) for gantry in CARDINAL]
    found = run(ANALYZER, gathered([*shots, replace(shots[2])]), ball_diameter_mm=6.0)
    assert numbers(found)["images"] == 4


def test_two_images_that_face_each_other_tell_no_height() -> None:
    pair = run(ANALYZER, gathered([shot(gantry_deg=g) for g in (0.0, 180.0)]), ball_diameter_mm=6.0)
    assert "shift_up" not in numbers(pair)
    assert any("no shift is given" in note for note in pair.notes)
    assert any("90, 270 deg" in note for note in pair.notes)


def test_the_collimator_isocenter_is_the_largest_distance_of_the_fields() -> None:
    shots = [
        shot(field_mm=(0.4, 0.0), collimator_deg=90.0),
        shot(field_mm=(-0.4, 0.0), collimator_deg=270.0),
    ]
    found = numbers(run(ANALYZER, gathered(shots), ball_diameter_mm=6.0))
    assert found["coll_2d_iso_diameter"] == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gantry_deg": None}, "gantry angle"),
        ({"couch_rotation_deg": None}, "missing_angles_are_zero"),
        ({"sid_mm": None}, "distance from source to imager"),
    ],
)
def test_missing_geometry_is_said(change: dict[str, Any], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        run(ANALYZER, gathered([replace(shot(), **change), shot()]))


def test_angles_that_are_not_told_are_zero_only_if_the_clinic_says_so() -> None:
    told = gathered([replace(shot(), couch_rotation_deg=None, collimator_deg=None)])
    found = run(ANALYZER, told, ball_diameter_mm=6.0, missing_angles_are_zero=True)
    assert numbers(found)["max_2d_cax_to_bb"] < 0.05


def test_a_field_without_a_ball_is_no_pass() -> None:
    x_mm = epid.places_mm(SIDE, STEP_MM)
    field = epid.slit(x_mm, -10, 10)[None, :] * epid.slit(x_mm, -10, 10)[:, None]
    with pytest.raises(AnalysisError):
        run(ANALYZER, gathered([epid.image(0.02 + 0.9 * field, STEP_MM)]))
    with pytest.raises(AnalysisError):
        run(ANALYZER, gathered([epid.image(np.full((SIDE, SIDE), 0.5), STEP_MM)]))


def test_a_set_with_an_image_in_which_no_ball_was_seen_is_refused() -> None:
    whole = gathered([shot(gantry_deg=gantry) for gantry in CARDINAL])
    lacking = replace(whole, beside=Beside(lacking={"set": "no ball is seen in 1 of them"}))
    with pytest.raises(AnalysisError, match="no ball is seen in 1"):
        run(ANALYZER, lacking, ball_diameter_mm=6.0)


@pytest.mark.parametrize("at", [0, 2])
def test_a_noisy_image_without_its_ball_is_refused(at: int) -> None:
    """Where somebody says that it is of the set: noise has a darkest spot too."""
    shots = [noisy(shot(gantry_deg=gantry)) for gantry in CARDINAL]
    x_mm = epid.places_mm(SIDE, STEP_MM)
    field = epid.slit(x_mm, -10, 10)[None, :] * epid.slit(x_mm, -10, 10)[:, None]
    bare = epid.image(0.02 + 0.9 * field, STEP_MM, gantry_deg=CARDINAL[at])
    dark = epid.image(0.02 + 0.0 * field, STEP_MM, gantry_deg=CARDINAL[at])
    for one in (bare, dark):
        shots[at] = noisy(one)
        with pytest.raises(AnalysisError):
            run(ANALYZER, gathered(shots), ball_diameter_mm=6.0)


def test_something_bright_beside_the_field_is_refused() -> None:
    """It draws pylinac's middle of the field along: all that is bright counts as field there."""
    clean = shot()
    values = clean.values.copy()
    values[150:170, 150:170] = values.max()
    odd = replace(clean, values=values, stored=values.astype(np.uint16))
    with pytest.raises(AnalysisError, match=r"several fields|two places"):
        run(ANALYZER, gathered([odd]), ball_diameter_mm=6.0)


def test_several_balls_are_held_against_their_own_fields() -> None:
    """Balls 30 mm left and right; the field of the right one is 1 mm too far to the gantry."""
    x_mm = epid.places_mm(320, STEP_MM)[None, :]
    y_mm = -epid.places_mm(SIDE, STEP_MM)[:, None]
    values = 0.02
    for at_mm, off_mm in ((-30.0, 0.0), (30.0, 1.0)):
        field = epid.slit(x_mm - at_mm, -10, 10) * epid.slit(y_mm - off_mm, -10, 10)
        ball = 0.15 * epid.slit(np.hypot(x_mm - at_mm, y_mm), -3.0, 3.0, 0.5)
        values = values + 0.9 * field * (1 - ball)
    shots = [epid.image(values, STEP_MM, collimator_deg=c) for c in (0.0, 90.0)]
    with pytest.raises(AnalysisError, match="several fields"):
        run(ANALYZER, gathered(shots), ball_diameter_mm=6.0)
    targets = [
        {"name": name, "left_mm": left, "up_mm": 0, "in_mm": 0, "ball_diameter_mm": 6}
        for name, left in (("west", 30), ("east", -30))
    ]
    found = run(ANALYZER, gathered(shots), ball_diameter_mm=6.0, targets=targets)
    assert numbers(found)["max_target_distance"] == pytest.approx(1.0, abs=0.1)
    assert numbers(found)["median_target_distance"] == pytest.approx(0.5, abs=0.1)
    assert str(found.measurements[0].at).startswith("east, image G0")


@real_data.skip_without("epid-wl")
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_sets_read_as_pylinac_reads_their_files(name: str, tmp_path: Path) -> None:
    (archive,) = real_data.files("epid-wl", f"**/*{name}.zip")
    peer = next(v for k, v in real_data.peer_reads("epid-wl").items() if f"{name}.zip" in k)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path)
    shots = [read(path) for path in sorted(tmp_path.rglob("*.dcm"))]
    found = run(ANALYZER, gathered(shots))
    value = numbers(found)
    for metric in ("max_2d_cax_to_bb", "median_2d_cax_to_bb"):
        assert value[metric] == pytest.approx(peer[f"{metric}_mm"], rel=1e-6)
    if name != "winston_lutz":  # its file places the axis half a pixel from the imager's middle
        # What pylinac calls the set's distance from field to imager is that from ball to imager.
        to_imager_mm = np.hypot(*found.traces["ball_mm"].T)
        assert to_imager_mm.max() == pytest.approx(peer["max_2d_cax_to_epid_mm"], abs=0.02)
    assert value["gantry_3d_iso_diameter"] == pytest.approx(peer["gantry_3d_iso_diam"], rel=1e-6)
    for metric, key in (
        ("coll_2d_iso_diameter", "coll_2d_iso"),
        ("couch_2d_iso_diameter", "couch_2d_iso"),
    ):
        # pylinac's 0 says that the set has no such images.
        assert value.get(metric, 0.0) == pytest.approx(peer[key], rel=1e-6)
    for axis, shift_mm in REAL[name].items():
        assert value[f"shift_{axis}"] == pytest.approx(shift_mm, abs=0.0051)
