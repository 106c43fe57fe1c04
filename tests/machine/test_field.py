from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzers.core import AnalysisError, NotApplicable
from analyzers.formats.dicom_rtimage import read
from analyzers.machine.field import ANALYZER
from analyzers.portal_images import Aperture, ImageKind, Pixels, PortalImage
from qa_daemon.simulate.epid_open_field import OpenField, open_field
from qa_daemon.simulate.epid_panel import Imager
from qa_daemon.simulate.rtimage import write_rtimage
from tests import epid, real_data
from tests.machine.judging import measured, run, verdict, worst

STEP_MM, SIDE = 0.5, 400
PEERS = real_data.peer_reads("epid-open")


def field(
    x_mm: tuple[float, float] = (-50.0, 50.0),
    tilt_percent: float = 0.0,
    horn_percent: float = 0.0,
    **known: Any,
) -> PortalImage:
    """Jaws at `x_mm` and at +-60 mm of y; a tilt over 100 mm along x, horns with (x / 50 mm)^2."""
    at_mm = epid.places_mm(SIDE, STEP_MM)
    across = epid.slit(at_mm, *x_mm, 1.5)
    across = across * (1 + tilt_percent / 1e4 * at_mm + horn_percent / 100 * (at_mm / 50.0) ** 2)
    values = 0.8 * across[None, :] * epid.slit(at_mm, -60.0, 60.0, 1.5)[:, None]
    return epid.judged(epid.image(values, STEP_MM, **known), ImageKind.OPEN_FIELD)


def against(image: PortalImage, baseline: PortalImage) -> PortalImage:
    return epid.judged(image, ImageKind.OPEN_FIELD, baseline=baseline)


def test_size_place_and_penumbra_are_those_of_the_edges() -> None:
    found = measured(ANALYZER, field((-48.0, 51.0)))
    assert found["field_size_horizontal"].value == pytest.approx(99.0, abs=0.15)
    assert found["field_size_vertical"].value == pytest.approx(120.0, abs=0.15)
    assert found["cax_to_left"].value == pytest.approx(48.0, abs=0.3)
    assert found["cax_to_right"].value == pytest.approx(51.0, abs=0.3)
    # 20 to 80 % of a Gaussian edge: 2 * 0.8416 sigma.
    assert found["left_penumbra"].value == pytest.approx(2 * 0.8416 * 1.5, abs=0.15)


def test_places_count_from_the_beam_axis() -> None:
    middle = (SIDE - 1) / 2.0
    told = replace(field((-48.0, 51.0)), axis_px=(middle, middle + 4.0))
    found = measured(ANALYZER, told)
    assert found["cax_to_left"].value == pytest.approx(50.0, abs=0.3)
    assert found["cax_to_right"].value == pytest.approx(49.0, abs=0.3)


@pytest.mark.parametrize("collimator_deg", [90.0, 270.0, 89.9])
def test_a_turned_collimator_turns_the_jaws(collimator_deg: float) -> None:
    """The X jaws end the field along y of the image then."""
    jaws = Aperture(jaw_x_mm=np.array([-60.0, 60.0]), jaw_y_mm=np.array([-50.0, 50.0]))
    found = measured(ANALYZER, field(aperture=jaws, collimator_deg=collimator_deg))
    assert worst(found) == "PASS"
    jaws = Aperture(jaw_x_mm=np.array([-50.0, 50.0]), jaw_y_mm=np.array([-60.0, 60.0]))
    found = measured(ANALYZER, field(aperture=jaws, collimator_deg=collimator_deg))
    assert worst(found) == "ACTION"


def test_jaws_that_stand_aslant_tell_no_width() -> None:
    jaws = Aperture(jaw_x_mm=np.array([-50.0, 50.0]), jaw_y_mm=np.array([-60.0, 60.0]))
    assert "field_size_error_horizontal" not in measured(
        ANALYZER, field(aperture=jaws, collimator_deg=45.0)
    )


def test_a_jaw_2_5_mm_off_is_at_action() -> None:
    jaws = Aperture(jaw_x_mm=np.array([-50.0, 50.0]), jaw_y_mm=np.array([-60.0, 60.0]))
    right = measured(ANALYZER, field(aperture=jaws))
    assert worst(right) == "PASS"
    wide = measured(ANALYZER, field((-50.0, 52.5), aperture=jaws))
    assert wide["field_size_error_horizontal"].value == pytest.approx(2.5, abs=0.15)
    assert verdict(wide["field_size_error_horizontal"]) == "ACTION"
    assert "field_size_error_horizontal" not in measured(ANALYZER, field())


def placed(x_mm: tuple[float, float], **known: Any) -> PortalImage:
    """The same field on an imager whose place is told: the axis in its middle."""
    return field(x_mm, axis_px=((SIDE - 1) / 2.0,) * 2, **known)


def test_two_jaws_that_are_off_alike_are_seen_without_a_baseline() -> None:
    jaws = Aperture(jaw_x_mm=np.array([-50.0, 50.0]), jaw_y_mm=np.array([-60.0, 60.0]))
    true = measured(ANALYZER, placed((-50.0, 50.0), aperture=jaws))
    assert worst(true) == "PASS"
    assert true["field_center_error_horizontal"].value == pytest.approx(0.0, abs=0.05)
    off = measured(ANALYZER, placed((-47.0, 53.0), aperture=jaws))
    assert verdict(off["field_size_error_horizontal"]) == "PASS"
    assert off["field_center_error_horizontal"].value == pytest.approx(3.0, abs=0.05)
    assert off["field_center_error_vertical"].value == pytest.approx(0.0, abs=0.05)
    assert worst(off) == "ACTION"


@pytest.mark.parametrize(
    ("collimator_deg", "jaw_x_mm", "jaw_y_mm"),
    [
        (0.0, (-30.0, 60.0), (-60.0, 60.0)),
        (90.0, (-60.0, 60.0), (-60.0, 30.0)),  # the collimator's y runs along -x
        (180.0, (-60.0, 30.0), (-60.0, 60.0)),
        (270.0, (-60.0, 60.0), (-30.0, 60.0)),
    ],
)
def test_an_asymmetric_field_is_to_lie_where_its_jaws_say(
    collimator_deg: float, jaw_x_mm: tuple[float, float], jaw_y_mm: tuple[float, float]
) -> None:
    jaws = Aperture(jaw_x_mm=np.array(jaw_x_mm), jaw_y_mm=np.array(jaw_y_mm))
    seen = placed((-30.0, 60.0), aperture=jaws, collimator_deg=collimator_deg)
    assert worst(measured(ANALYZER, seen)) == "PASS"
    unknown = run(ANALYZER, replace(seen, collimator_deg=None))
    assert any("how the collimator" in note for note in unknown.notes)


def test_leaves_within_the_jaws_end_the_field() -> None:
    """Jaws at 70 mm, 40 pairs of 5 mm; those within 60 mm stand open at 50 mm."""
    edges_mm = np.linspace(-100.0, 100.0, 41)
    is_open = (edges_mm[:-1] >= -60.0) & (edges_mm[1:] <= 60.0)
    at_mm = np.where(is_open, 50.0, 0.0)
    wide = np.array([-70.0, 70.0])
    leaves = Aperture(wide, wide, edges_mm, at_mm, -at_mm)
    found = measured(ANALYZER, placed((-50.0, 50.0), aperture=leaves))
    assert found["field_size_error_vertical"].reference == pytest.approx(120.0)
    assert worst(found) == "PASS"
    shifted = measured(ANALYZER, placed((-47.0, 53.0), aperture=leaves))
    assert verdict(shifted["field_center_error_horizontal"]) == "ACTION"
    rounded = replace(leaves, bank_a_mm=at_mm - np.abs(edges_mm[1:]) / 10.0 * is_open)
    assert not {"field_size_error_horizontal", "field_center_error_horizontal"} & set(
        measured(ANALYZER, placed((-50.0, 50.0), aperture=rounded))
    )


def test_a_place_that_nothing_states_is_not_judged_and_that_is_said() -> None:
    jaws = Aperture(jaw_x_mm=np.array([-50.0, 50.0]), jaw_y_mm=np.array([-60.0, 60.0]))
    without_axis = field(aperture=jaws)
    for image, words in (
        (placed((-50.0, 50.0)), "along x and y is not judged"),
        (without_axis, "where the beam's axis meets the imager"),
        (replace(placed((-50.0, 50.0), aperture=jaws), geometry_is_consistent=False), "axis meets"),
    ):
        found = run(ANALYZER, image)
        assert any(words in note for note in found.notes)
        assert not any("center_error" in m.metric.name for m in found.measurements)


def test_a_written_field_that_lies_3_mm_off_its_jaws_is_at_action(tmp_path: Path) -> None:
    """As the service gets it: the panel's own shift is stated, and is not the field's."""
    for name, shift_mm, wanted in (("true", 0.0, "PASS"), ("off", 3.0, "ACTION")):
        panel = replace(Imager(), shift_mm=(15.0, -9.0))
        test = OpenField(shift_mm=(shift_mm, 0.0))
        write_rtimage(tmp_path / name, open_field(test, panel))
        image = epid.judged(read(tmp_path / name), ImageKind.OPEN_FIELD)
        found = measured(ANALYZER, image)
        assert found["field_center_error_horizontal"].value == pytest.approx(shift_mm, abs=0.05)
        assert worst(found) == wanted


def test_without_a_baseline_no_change_is_judged_and_that_is_said() -> None:
    found = run(ANALYZER, field())
    assert all(verdict(m) is None for m in found.measurements)
    assert any("no baseline" in note for note in found.notes)


def test_a_tilt_is_the_change_of_symmetry_and_of_the_profile() -> None:
    found = measured(ANALYZER, against(field(tilt_percent=3.0), field()))
    # Mirrored points at 40 mm: 0.03 * 80 / 100 of the middle, the left one lower.
    assert found["symmetry_change"].value == pytest.approx(-2.4, abs=0.1)
    # Mean of |0.0003 x| over the core of 40 mm on either side.
    assert found["profile_constancy"].value == pytest.approx(0.03 * 20.0, abs=0.03)
    assert verdict(found["symmetry_change"]) == "ACTION"


def test_horns_are_the_change_of_flatness() -> None:
    found = measured(ANALYZER, against(field(horn_percent=4.0), field()))
    top = 1 + 0.04 * 0.64  # at 40 of 50 mm
    assert found["flatness_change"].value == pytest.approx(100 * (top - 1) / (top + 1), abs=0.05)
    # The mean of 0.04 (x / 50)^2 over 40 mm on either side.
    assert found["profile_constancy"].value == pytest.approx(4.0 * 0.64 / 3.0, abs=0.05)


def test_the_same_image_has_not_changed() -> None:
    found = measured(ANALYZER, against(field(), field()))
    assert worst(found) == "PASS"
    for name in ("profile_constancy", "flatness_change", "symmetry_change", "center_shift"):
        assert found[name].value == 0.0


def test_a_field_that_moved_is_a_shift_of_its_middle() -> None:
    found = measured(ANALYZER, against(field((-49.2, 50.8)), field()))
    assert found["center_shift"].value == pytest.approx(0.8, abs=0.05)
    assert verdict(found["center_shift"]) == "TOLERANCE"


def test_output_is_judged_in_calibrated_units_only_and_by_mu() -> None:
    base = field(pixels=Pixels.CALIBRATED, meterset_mu=100.0)
    more = replace(base, values=base.values * 2.08, meterset_mu=200.0)
    found = measured(ANALYZER, against(more, base))
    assert found["output_change"].value == pytest.approx(4.0, abs=1e-6)
    assert verdict(found["output_change"]) == "ACTION"
    assert "output_change" not in measured(ANALYZER, against(field(), field()))


def test_what_is_no_open_field_is_refused() -> None:
    with pytest.raises(AnalysisError, match="distance from source"):
        run(ANALYZER, replace(field(), sid_mm=None))
    flat = epid.judged(epid.image(np.full((99, 99), 0.5), 1.0), ImageKind.OPEN_FIELD)
    with pytest.raises(AnalysisError):
        run(ANALYZER, flat)


@real_data.skip_without("epid-open")
@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_real_field_reads_as_pylinac_reads_its_file(name: str) -> None:
    root = real_data.folder()
    assert root is not None
    image = epid.judged(read(root / name), ImageKind.OPEN_FIELD)
    peer = PEERS[name]
    if "error" in peer:
        with pytest.raises(AnalysisError):
            run(ANALYZER, image)
        return
    found = measured(ANALYZER, image)
    for ours, theirs in (
        ("field_size_vertical", peer["field_v_mm"]),
        ("field_size_horizontal", peer["field_h_mm"]),
        ("cax_to_top", peer["cax_to_top"]),
        ("cax_to_left", peer["cax_to_left"]),
        *((key, value) for key, value in peer["protocol"].items()),
    ):
        assert found[ours].value == pytest.approx(theirs, rel=1e-6), ours


def test_a_field_that_reaches_the_border_has_no_width() -> None:
    """As the open field of a VMAT test, which is longer than the panel."""
    at_mm = epid.places_mm(SIDE, STEP_MM)
    values = 0.8 * epid.slit(at_mm, -50.0, 50.0, 1.5)[None, :] * np.ones((SIDE, 1))
    image = epid.judged(epid.image(values, STEP_MM), ImageKind.OPEN_FIELD)
    with pytest.raises(NotApplicable, match="reaches the border of the image along y"):
        measured(ANALYZER, image)
    # A jaw that should stand in the picture and does not is no excuse.
    jaws = Aperture(jaw_x_mm=np.array([-50.0, 50.0]), jaw_y_mm=np.array([-60.0, 60.0]))
    with pytest.raises(AnalysisError, match="should be 120 mm wide"):
        measured(ANALYZER, replace(image, aperture=jaws))
