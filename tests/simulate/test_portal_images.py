"""The commands that write portal images: what they are told is what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers import catalogue
from analyzers.core import NamedFile, ReadError
from analyzers.formats import dicom_rtimage, varian_xim
from analyzers.portal_images import Pixels, PortalImage
from qa_daemon.__main__ import app
from qa_daemon.simulate import film, rtimage, xim

RUNNER = CliRunner()


def edges_mm(image: PortalImage) -> tuple[float, float, float, float]:
    """Where the central row and column pass half of the middle's value: left, right, low, high."""
    row, column = (size // 2 for size in image.shape)
    half = image.values[row, column] / 2.0
    found: list[float] = []
    for profile, place_mm in (
        (image.values[row], image.x_mm),
        (image.values[::-1, column], image.y_mm[::-1]),
    ):
        inside = np.flatnonzero(profile > half)
        for a, b in ((inside[0] - 1, inside[0]), (inside[-1] + 1, inside[-1])):
            pair = profile[[a, b]]
            found.append(float(np.interp(half, pair, place_mm[[a, b]])))
    return found[0], found[1], found[2], found[3]


@pytest.mark.parametrize("kind", ["dicom-rtimage", "varian-xim"])
def test_an_open_field_has_its_size_and_shift(tmp_path: Path, kind: str) -> None:
    words = ["simulate", kind, "--out", str(tmp_path), "--panel", "as500", "--noise-percent", "0"]
    words += ["--field-x-mm", "80", "--field-y-mm", "60", "--shift-x-mm", "2", "--shift-y-mm", "-1"]
    words += ["--gantry", "90", "--energy", "10xFFF", "--mu", "50"]
    assert RUNNER.invoke(app, words).exit_code == 0
    (path,) = tmp_path.iterdir()
    found = catalogue.load().read(NamedFile.at(path))
    np.testing.assert_allclose(edges_mm(found), (-38.0, 42.0, -31.0, 29.0), atol=0.02)
    assert (found.gantry_deg, found.energy, found.meterset_mu) == (90.0, "10xFFF", 50.0)


def test_calibrated_and_falling_images_are_written(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    rtimage.simulate(path, panel="as500", calibrated=True, mu=150.0, noise_percent=0.0)
    found = dicom_rtimage.read(path)
    assert found.pixels is Pixels.CALIBRATED
    assert found.values.max() == pytest.approx(1.5, rel=1e-4)
    rtimage.simulate(path, panel="as500", falls="yes", states_sign="no")
    found = dicom_rtimage.read(path)
    assert found.stored[192, 256] < found.stored[5, 5]
    assert found.values[192, 256] > found.values[5, 5]


def test_errors_are_put_in(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    for how, code in (
        ({"without": "RTImageSID"}, "RTIMAGE_SID"),
        ({"lost_bytes": 2}, "RTIMAGE_LENGTH"),
        ({"patient": "", "machine": "", "empty": "StationName"}, "RTIMAGE_IDENTITY"),
    ):
        rtimage.simulate(path, panel="as500", **how)  # type: ignore[arg-type]
        with pytest.raises(ReadError) as raised:
            dicom_rtimage.read(path)
        assert raised.value.code == code
    xim.simulate(tmp_path / "image.xim", panel="as500", without="MVDetectorVrt")
    with pytest.raises(ReadError):
        varian_xim.read(tmp_path / "image.xim")


def test_options_that_are_none_are_refused(tmp_path: Path) -> None:
    for kind, words in (
        ("dicom-rtimage", ["--panel", "film"]),
        ("varian-xim", ["--beam", "electrons"]),
        ("varian-xim", ["--without", "Nothing"]),
        ("tiff-image", ["--mode", "CMYK"]),
    ):
        assert RUNNER.invoke(app, ["simulate", kind, "--out", str(tmp_path), *words]).exit_code == 2


def test_spokes_of_a_film_miss_the_middle_by_what_is_stated() -> None:
    """The spoke along x passes above or below the middle by the distance; half a pixel is known."""
    radiation = film.star(401, 0.1, spokes=1, miss_mm=1.5)
    rows = np.argmax(radiation, axis=0)[150:250]
    assert set((rows - 200) * 0.1) == {1.5} or set((rows - 200) * -0.1) == {1.5}
