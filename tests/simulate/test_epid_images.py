"""Simulated portal images: what was stated is in the picture, measured another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from analyzers.portal_images import ImageKind, Pixels, PortalImage
from qa_daemon.simulate.epid_beam_profile import Profile
from qa_daemon.simulate.epid_open_field import OpenField, open_field
from qa_daemon.simulate.epid_panel import Exposure, imager_of
from qa_daemon.simulate.epid_planar_phantom import PLATES, PlanarPhantom, planar_phantom
from qa_daemon.simulate.epid_starshot import Starshot, starshot, starshot_set
from qa_daemon.simulate.epid_vmat import STRIPS, VmatTest, vmat_pair
from qa_daemon.simulate.epid_winston_lutz import (
    SIXTEEN,
    Position,
    WinstonLutz,
    as_set,
    winston_lutz,
)

QUIET = imager_of("as1000", noise=0.0)
COARSE = imager_of("as500", noise=0.0)


def half_value_mm(along_mm: NDArray[np.float64], values: NDArray[np.float64]) -> list[float]:
    """Where a profile crosses half of its value on the axis, between samples."""
    half = np.interp(0.0, along_mm, values) / 2.0
    above = values > half
    (at,) = np.nonzero(above[1:] != above[:-1])
    part = (half - values[at]) / (values[at + 1] - values[at])
    return list(along_mm[at] + part * (along_mm[at + 1] - along_mm[at]))


def rising(image: PortalImage) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights and the middle column, from the lowest y."""
    column = image.values[:, np.argmin(np.abs(image.x_mm))]
    return image.y_mm[::-1], column[::-1]


def test_an_open_field_has_its_size_and_place() -> None:
    test = OpenField((100.0, 80.0), wider_mm=(1.0, 0.0), shift_mm=(2.0, -1.0))
    image = open_field(test, QUIET)
    row = image.values[np.argmin(np.abs(image.y_mm))]
    assert half_value_mm(image.x_mm, row) == pytest.approx([-48.5, 52.5], abs=0.15)
    assert half_value_mm(*rising(image)) == pytest.approx([-41.0, 39.0], abs=0.15)
    flat = open_field(replace(test, profile=Profile("fff", horn_percent=0.0)), QUIET)
    assert np.interp(40.0, flat.x_mm, flat.values[384]) / flat.values[384].max() < 0.96
    assert image.aperture is not None and image.aperture.jaw_x_mm is not None
    assert list(image.aperture.jaw_x_mm) == [-50.0, 50.0]


@pytest.mark.parametrize("output_percent", [1.0, -3.0])
def test_output_and_tilt_are_as_stated(output_percent: float) -> None:
    level = open_field(OpenField(), COARSE)
    tilted = Profile(tilt_x_percent=2.0)
    image = open_field(OpenField(output_percent=output_percent, profile=tilted), COARSE)
    on_axis = (slice(190, 194), slice(254, 258))
    ratio = image.values[on_axis].mean() / level.values[on_axis].mean()
    assert ratio == pytest.approx(1.0 + output_percent / 100.0, rel=1e-4)
    row = image.values[191:193].mean(axis=0)
    sides = np.interp([-40.0, 40.0, 0.0], image.x_mm, row)
    assert 100.0 * (sides[1] - sides[0]) / sides[2] == pytest.approx(2.0, abs=0.02)


def test_noise_is_of_its_size_and_comes_from_the_seed() -> None:
    imager = imager_of("as500", dead_pixels=20)
    first, again, other = (
        open_field(imager=imager, exposure=Exposure(ImageKind.OPEN_FIELD, seed=seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.stored, again.stored)
    difference = (first.values - other.values)[170:210, 230:280]
    sound = difference[np.abs(difference) < 0.5]
    assert sound.std() / np.sqrt(2.0) == pytest.approx(0.00102, rel=0.1)
    assert (first.stored == 0).sum() >= 20
    assert first.sop_instance_uid != other.sop_instance_uid


def test_a_stated_shift_of_the_panel_moves_the_axis_and_a_sag_does_not() -> None:
    for imager, found_mm in (
        (imager_of("as1000", noise=0.0, shift_mm=(30.0, -15.0)), (0.0, 0.0)),
        (imager_of("as1000", noise=0.0, sag_mm=(3.0, -1.5)), (-2.0, 1.0)),
    ):
        image = open_field(OpenField(), imager)
        row = image.values[np.argmin(np.abs(image.y_mm))]
        assert np.mean(half_value_mm(image.x_mm, row)) == pytest.approx(found_mm[0], abs=0.02)
        assert np.mean(half_value_mm(*rising(image))) == pytest.approx(found_mm[1], abs=0.02)
    # The axis lies opposite to the shift, on the panel's own scale.
    assert open_field(imager=imager_of("as1000", shift_mm=(39.2, 0.0))).axis_px == pytest.approx(
        (383.5, 511.5 - 100.0)
    )


def test_a_panel_without_calibration_has_no_unit() -> None:
    image = open_field(imager=imager_of("iview"))
    assert image.pixels is Pixels.RELATIVE and image.unit is None and image.sid_mm == 1600.0
    assert image.x_mm[1] - image.x_mm[0] == pytest.approx(0.25)


@pytest.mark.parametrize("is_cone", [False, True])
def test_the_ball_lies_where_pylinac_projects_it(is_cone: bool) -> None:
    from pylinac.winston_lutz import bb_projection_with_rotation

    ball = Position(left_mm=1.5, in_mm=-0.8, up_mm=2.1)
    test = WinstonLutz(ball, axes=SIXTEEN[1::3], is_cone=is_cone)
    without = winston_lutz(replace(test, ball_diameter_mm=0.0), QUIET)
    for image, empty in zip(winston_lutz(test, QUIET), without, strict=True):
        inside = empty.values > 0.5
        shade = np.where(inside, np.log(empty.values / np.maximum(image.values, 1e-6)), 0.0)
        shade[shade < 0.01] = 0.0
        found = (
            (shade.sum(axis=0) @ image.x_mm) / shade.sum(),
            (shade.sum(axis=1) @ image.y_mm) / shade.sum(),
        )
        wanted = bb_projection_with_rotation(
            offset_left=1.5,
            offset_up=2.1,
            offset_in=-0.8,
            gantry=image.gantry_deg,
            couch=image.couch_rotation_deg,
        )
        assert found == pytest.approx(wanted, abs=0.02)


def test_fields_lie_around_their_targets() -> None:
    targets = (Position(), Position(left_mm=-30.0, in_mm=20.0))
    test = WinstonLutz(targets=targets, field_sag_mm=1.0, ball_diameter_mm=0.0)
    images = winston_lutz(test, QUIET)
    assert [image.gantry_deg for image in images] == [0.0, 90.0, 180.0, 270.0]
    for image, y_mm in zip(images, (-0.5, 0.0, 0.5, 0.0), strict=True):
        row = image.values[np.argmin(np.abs(image.y_mm))]
        central = [x for x in half_value_mm(image.x_mm, row) if abs(x) < 15.0]
        assert central == pytest.approx([-10.0, 10.0], abs=0.03)
        column = image.values[:, np.argmin(np.abs(image.x_mm + 5.0))][::-1]
        edges = [y for y in half_value_mm(image.y_mm[::-1], column) if abs(y) < 11.0]
        assert edges[0] == pytest.approx(-10.0 + y_mm, abs=0.03)
    # The second target is seen to the right of gantry 0, and 20 mm towards the gantry.
    first = images[0]
    at = first.values[np.argmin(np.abs(first.y_mm - 20.0)), np.argmin(np.abs(first.x_mm - 30.0))]
    assert at > 0.9
    assert len(as_set(images).set_with) == 3


@pytest.mark.parametrize("name", sorted(STRIPS))
def test_strips_have_their_dose_of_the_open_field(name: str) -> None:
    stated = {1: 2.0, 3: -1.5}
    open_image, image = vmat_pair(VmatTest(name, stated), COARSE)
    assert image.beside.open_image is open_image and open_image.kind is ImageKind.VMAT_OPEN
    number, apart_mm = STRIPS[name]
    wide, high = [], np.abs(image.y_mm) < 50.0
    for strip in range(number):
        middle_mm = (strip - (number - 1) / 2.0) * apart_mm
        here = np.ix_(high, np.abs(image.x_mm - middle_mm) < 2.5)
        wide.append((image.values[here] / open_image.values[here]).mean())
    relative = np.array(wide) / wide[1]
    wanted = [1.0 + stated.get(k + 1, 0.0) / 100.0 for k in range(number)]
    assert relative == pytest.approx(wanted, abs=2e-4)
    with pytest.raises(ValueError, match=f"{name} has strips 1 to {number}"):
        vmat_pair(VmatTest(name, {number + 1: 1.0}))


@pytest.mark.parametrize("spokes", [3, 4, 5])
def test_no_smaller_circle_touches_all_spokes(spokes: int) -> None:
    test = Starshot(spokes, wobble_mm=0.8, center_mm=(1.0, -0.6))
    normals, offsets = [], []
    for image in starshot_set(test, COARSE):
        line = _line(image)
        normals.append(line[:2])
        offsets.append(line[2])
    # The smallest r with |n·c - d| <= r for every spoke, as a linear program in c and r.
    rows = np.array(normals)
    ones = np.ones((len(rows), 1))
    above, below = np.hstack([rows, -ones]), np.hstack([-rows, -ones])
    limits = np.concatenate([offsets, -np.array(offsets)])
    found = linprog([0, 0, 1], np.vstack([above, below]), limits, bounds=[(None, None)] * 3)
    assert 2.0 * found.fun == pytest.approx(0.8, abs=0.02)
    assert found.x[:2] == pytest.approx((1.0, -0.6), abs=0.02)
    whole = starshot(test, COARSE)
    assert whole.values.max() > 0.9 * whole.meterset_mu / 100.0  # type: ignore[operator]


def _line(image: PortalImage) -> NDArray[np.float64]:
    """Normal and offset of a spoke, fitted through the middles of its rows or columns."""
    open_part = np.where(image.values > 0.02, image.values, 0.0)
    near = np.hypot(image.x_mm[np.newaxis, :], image.y_mm[:, np.newaxis]) < 80.0
    weight = np.where(near, open_part, 0.0)
    total = weight.sum()
    middle = np.array(
        [weight.sum(axis=0) @ image.x_mm / total, weight.sum(axis=1) @ image.y_mm / total]
    )
    dx, dy = image.x_mm - middle[0], image.y_mm - middle[1]
    cross = dy @ weight @ dx
    spread = [[weight.sum(axis=0) @ dx**2, cross], [cross, weight.sum(axis=1) @ dy**2]]
    _, axes = np.linalg.eigh(np.array(spread))
    normal = axes[:, 0]
    return np.append(normal, normal @ middle)


def test_a_starshot_needs_three_spokes() -> None:
    with pytest.raises(ValueError, match="3 or more"):
        starshot(Starshot(2))


@pytest.mark.parametrize("name", sorted(PLATES))
def test_a_phantom_s_details_have_their_contrast(name: str) -> None:
    test = PlanarPhantom(name, contrast_percent=5.0)
    image = planar_phantom(test, QUIET)
    assert image.classified.phantom == PLATES[name].name
    largest = [d for d in test.details() if d.pairs_per_mm is None and d.radius_mm > 6.0]
    assert largest
    for detail in largest:
        at = (
            np.argmin(np.abs(image.y_mm - detail.y_mm)),
            np.argmin(np.abs(image.x_mm - detail.x_mm)),
        )
        wanted = PLATES[name].through * (1.0 + detail.change)
        assert image.values[at] == pytest.approx(wanted, abs=0.002)
    with pytest.raises(ValueError, match="phantom"):
        planar_phantom(PlanarPhantom("x"))


def test_what_does_not_exist_is_refused() -> None:
    for wrong in ({"panel": "x"}, {"sid_mm": 500.0}, {"noise": -1.0}, {"dead_pixels": -1}):
        with pytest.raises(ValueError, match="expected"):
            imager_of(**wrong)  # type: ignore[arg-type]
