"""Where pixels are: orientation, central axis, distances, angles, collimator."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.portal_images import Aperture
from tests.formats.small_images import SHAPE, SPACING_MM, field, image_in, refusal_of, small_image

ORIENTATIONS = [
    (*row, *column)
    for row, column in product(
        [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)],
        [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)],
    )
    if row[0] * column[0] + row[1] * column[1] == 0
]


def middle_of(values: Any, x_mm: Any, y_mm: Any) -> tuple[float, float]:
    """The center of what is above half of the maximum, mm."""
    bright = values > values.max() / 2.0
    rows, columns = np.nonzero(bright)
    return float(np.mean(x_mm[columns])), float(np.mean(y_mm[rows]))


@pytest.mark.parametrize("cosines", ORIENTATIONS, ids=str)
def test_each_orientation_gives_the_same_places(tmp_path: Path, cosines: tuple[int, ...]) -> None:
    """Place of a pixel: first + column * spacing * row cosines + row * spacing * column cosines."""
    data = small_image()
    values = np.full(SHAPE, 300, np.uint16)
    values[10:20, 30:50] = 30000
    data.PixelData = values.tobytes()
    data.RTImageOrientation = [str(v) for v in cosines]
    along_row, along_column = np.array(cosines[:2]), np.array(cosines[3:5])
    # Of the 128 columns and 96 rows of the file the axis meets these.
    first_mm = -40.25 * SPACING_MM[1] * along_row - 33.5 * SPACING_MM[0] * along_column
    data.RTImagePosition = [str(v) for v in first_mm]
    wanted_mm = first_mm + 39.5 * SPACING_MM[1] * along_row + 14.5 * SPACING_MM[0] * along_column
    found = image_in(data, tmp_path)
    at_iso_mm = np.array(middle_of(found.values, found.x_mm, found.y_mm))
    np.testing.assert_allclose(at_iso_mm * found.magnification, wanted_mm, atol=1e-9)
    assert (np.diff(found.x_mm) > 0.0).all()
    assert (np.diff(found.y_mm) < 0.0).all()


def test_the_panels_shift_tells_the_axis_where_no_position_does(tmp_path: Path) -> None:
    data = small_image()
    data.XRayImageReceptorTranslation = ["12", "-20", "-500"]
    found = image_in(data, tmp_path)
    assert found.panel_shift_mm == (12.0, -20.0)
    # The panel went to +x and -y: the axis is left of its middle and above it.
    rows, columns = SHAPE
    expected = ((rows - 1) / 2 - 20.0 / SPACING_MM[0], (columns - 1) / 2 - 12.0 / SPACING_MM[1])
    assert found.axis_px == pytest.approx(expected)
    assert found.geometry_is_consistent


@pytest.mark.parametrize("height_mm", ["0", "-508", "500"])
def test_the_panels_height_agrees_with_the_distance(tmp_path: Path, height_mm: str) -> None:
    data = small_image(sid_mm=1500.0)
    data.XRayImageReceptorTranslation = ["0", "0", height_mm]
    assert image_in(data, tmp_path).sid_mm == 1500.0


@pytest.mark.parametrize("height_mm", ["-0.04", "-1000"])
def test_a_distance_that_the_panels_height_contradicts_is_refused(
    tmp_path: Path, height_mm: str
) -> None:
    """Every length would be wrong by a third, and a leaf's error with them."""
    data = small_image(sid_mm=1500.0)
    data.XRayImageReceptorTranslation = ["0", "0", height_mm]
    assert refusal_of(data, tmp_path).code == "RTIMAGE_SID"


@pytest.mark.parametrize(("off_px", "is_consistent"), [(0.9, True), (1.1, False), (-1.1, False)])
def test_position_and_shift_have_to_agree_within_a_pixel(
    tmp_path: Path, off_px: float, is_consistent: bool
) -> None:
    rows, columns = SHAPE
    axis_px = ((rows - 1) / 2.0, (columns - 1) / 2.0 + off_px)
    found = image_in(small_image(axis_px=axis_px, panel_shift_mm=(0.0, 0.0)), tmp_path)
    assert found.axis_px == pytest.approx(axis_px)
    assert found.geometry_is_consistent is is_consistent
    assert bool(found.warnings) is not is_consistent


def test_without_either_the_middle_stands_in(tmp_path: Path) -> None:
    found = image_in(small_image(), tmp_path)
    assert found.axis_px is None
    assert found.center_px == ((SHAPE[0] - 1) / 2.0, (SHAPE[1] - 1) / 2.0)


@pytest.mark.parametrize("position", [["50", "60"], ["-50", "-60"], ["-500", "60"]])
def test_an_axis_beside_the_image_is_not_believed(tmp_path: Path, position: list[str]) -> None:
    data = small_image()
    data.RTImagePosition = position
    found = image_in(data, tmp_path)
    assert (found.axis_px, found.geometry_is_consistent) == (None, False)
    assert any("beside the image" in warning for warning in found.warnings)
    data.XRayImageReceptorTranslation = ["0", "0", "-500"]
    assert image_in(data, tmp_path).axis_px == ((SHAPE[0] - 1) / 2.0, (SHAPE[1] - 1) / 2.0)


def test_the_corner_of_the_first_pixel_is_where_mosaiq_puts_it(tmp_path: Path) -> None:
    """Half of the image aside and up: the axis is in the middle, between two pixels."""
    data = small_image(model="MOSAIQ")
    data.RTImagePosition = [str(-64 * SPACING_MM[1]), str(48 * SPACING_MM[0])]
    assert image_in(data, tmp_path).axis_px == (47.5, 63.5)


def test_lengths_are_at_the_isocenter(tmp_path: Path) -> None:
    found = image_in(small_image(sid_mm=1600.0), tmp_path)
    np.testing.assert_allclose(np.diff(found.x_mm), SPACING_MM[1] / 1.6)
    np.testing.assert_allclose(np.diff(found.y_mm), -SPACING_MM[0] / 1.6)


def test_an_axis_distance_that_is_not_stated_is_assumed_with_a_warning(tmp_path: Path) -> None:
    data = small_image()
    del data.RadiationMachineSAD
    found = image_in(data, tmp_path)
    assert found.sad_mm == 1000.0
    assert any("1000 mm is assumed" in warning for warning in found.warnings)


@pytest.mark.parametrize("angle", ["0.4", "359.7", "360"])
def test_a_panel_that_hardly_turns_is_read(tmp_path: Path, angle: str) -> None:
    data = small_image()
    data.XRayImageReceptorAngle = angle
    assert image_in(data, tmp_path).shape == SHAPE


def test_angles_of_the_exposure_stand_in(tmp_path: Path) -> None:
    data = small_image()
    exposure = data.ExposureSequence[0]
    exposure.GantryAngle, exposure.BeamLimitingDeviceAngle = "360", "12.5"
    found = image_in(data, tmp_path)
    angles = (found.gantry_deg, found.collimator_deg, found.couch_rotation_deg)
    assert angles == (0.0, 12.5, None)


def test_the_aperture_is_that_of_the_exposure(tmp_path: Path) -> None:
    edges_mm = np.asarray(next(iter(LEAF_EDGES_MM["millennium120"].values())))
    wanted = Aperture(
        jaw_x_mm=np.array([-40.0, 41.0]),
        jaw_y_mm=np.array([-50.0, 51.0]),
        leaf_edges_mm=edges_mm,
        bank_a_mm=np.linspace(10.0, 30.0, 60),
        bank_b_mm=np.linspace(-30.0, -10.0, 60),
    )
    found = image_in(small_image(aperture=wanted), tmp_path).aperture
    assert found is not None
    np.testing.assert_allclose(found.jaw_x_mm, wanted.jaw_x_mm)
    np.testing.assert_allclose(found.jaw_y_mm, wanted.jaw_y_mm)
    np.testing.assert_allclose(found.leaf_edges_mm, edges_mm)
    np.testing.assert_allclose(found.bank_a_mm, wanted.bank_a_mm, atol=1e-6)
    np.testing.assert_allclose(found.bank_b_mm, wanted.bank_b_mm, atol=1e-6)


def _device(kind: str, positions: list[str]) -> Dataset:
    item = Dataset()
    item.RTBeamLimitingDeviceType, item.NumberOfLeafJawPairs = kind, len(positions) // 2
    item.LeafJawPositions = positions
    return item


def test_two_layers_of_leaves_are_left_out(tmp_path: Path) -> None:
    data = small_image()
    data.ExposureSequence[0].BeamLimitingDeviceSequence = [
        _device("X", ["-10", "10"]),
        _device("MLCX1", ["-10", "10"]),
        _device("MLCX2", ["-10", "10"]),
    ]
    found = image_in(data, tmp_path).aperture
    assert found is not None
    assert found.bank_a_mm is None
    np.testing.assert_array_equal(found.jaw_x_mm, [-10.0, 10.0])


def test_jaws_twice_are_refused(tmp_path: Path) -> None:
    data = small_image()
    data.ExposureSequence[0].BeamLimitingDeviceSequence = [
        _device("X", ["-10", "10"]),
        _device("ASYMX", ["-10", "10"]),
    ]
    assert refusal_of(data, tmp_path).code == "RTIMAGE_DUPLICATE"


def test_an_image_of_two_exposures_is_of_neither(tmp_path: Path) -> None:
    data = small_image(meterset_mu=5.0, energy="6x", aperture=Aperture(np.array([-10.0, 10.0])))
    data.ExposureSequence.append(data.ExposureSequence[0])
    found = image_in(data, tmp_path)
    assert (found.meterset_mu, found.energy, found.aperture) == (None, None, None)
    assert any("2 exposures" in warning for warning in found.warnings)


def test_a_reconstructed_radiograph_may_be_flat_and_without_a_distance(tmp_path: Path) -> None:
    data = small_image(np.zeros_like(field()))
    data.ImageType = ["DERIVED", "SECONDARY", "DRR"]
    del data.RTImageSID
    found = image_in(data, tmp_path)
    assert found.not_judged == "a reconstructed radiograph, no measurement"
    assert found.sid_mm is None
