"""Scanned film: gray, resolution, and that darker is more radiation."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analyzers.core import ReadError
from analyzers.formats.tiff_image import FORMAT, read, recognize
from analyzers.portal_images import Polarity
from qa_daemon.simulate.film import COLORS, simulate, star, write_film
from tests import real_data

RADIATION = star(200, 0.5, spokes=3)
REAL = real_data.files("epid-star", "pylinac/*.tif*")


def refused(path: Path) -> ReadError:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ReadError) as raised:
            read(path)
    assert "CANARY" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("mode", COLORS)
def test_a_scan_in_any_color_is_the_same_film(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "film.tif"
    write_film(path, RADIATION, dpi=150.0, mode=mode)
    assert recognize(path.read_bytes()[:4096])
    found = read(path)
    assert FORMAT.name == "tiff-image"
    # 235 is what is written of no radiation, 60 of the most.
    np.testing.assert_allclose(found.values, 20.0 + 175.0 * RADIATION, atol=0.51)
    np.testing.assert_allclose(found.spacing_mm, (25.4 / 150.0, 25.4 / 150.0))
    assert (found.sid_mm, found.magnification, found.polarity) == (None, 1.0, Polarity.SEEN)
    assert found.warnings == ()


def test_a_negative_rises_already(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    write_film(path, RADIATION, dpi=150.0, darkens=False)
    np.testing.assert_allclose(read(path).values, 20.0 + 175.0 * RADIATION, atol=0.51)


def test_sixteen_bits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    stored = np.round(60000.0 - 40000.0 * RADIATION).astype(np.uint16)
    Image.fromarray(stored).save(path, dpi=(75.0, 150.0))
    found = read(path)
    np.testing.assert_array_equal(found.values, 65535.0 - stored)
    np.testing.assert_allclose(found.spacing_mm, (25.4 / 150.0, 25.4 / 75.0))


def test_the_resolution_of_screens_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    write_film(path, RADIATION, dpi=96.0)
    found = read(path)
    np.testing.assert_allclose(found.spacing_mm, (25.4 / 96.0, 25.4 / 96.0))
    assert any("96 dpi" in warning for warning in found.warnings)


def test_film_darkens_where_the_picture_does_not_tell(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    noise = np.random.default_rng(1).random((200, 200))
    write_film(path, noise, dpi=150.0)
    found = read(path)
    np.testing.assert_allclose(found.values, 20.0 + 175.0 * noise, atol=0.51)
    assert any("film darkens" in warning for warning in found.warnings)


def test_no_resolution_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CANARY.tif"
    write_film(path, RADIATION, dpi=None)
    assert refused(path).code == "TIFF_RESOLUTION"


@pytest.mark.parametrize("dpi", [1.0, 100_000.0])
def test_a_resolution_of_no_scanner_is_refused(tmp_path: Path, dpi: float) -> None:
    path = tmp_path / "CANARY.tif"
    write_film(path, RADIATION, dpi=dpi)
    assert refused(path).code == "TIFF_RESOLUTION"


def test_a_resolution_without_a_unit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CANARY.tif"
    scan = Image.fromarray(np.round(255.0 * RADIATION).astype(np.uint8))
    scan.save(path, tiffinfo={282: 150.0, 283: 150.0, 296: 1})
    assert refused(path).code == "TIFF_RESOLUTION"


def test_a_film_of_one_gray_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CANARY.tif"
    write_film(path, np.zeros((200, 200)), dpi=150.0)
    assert refused(path).code == "TIFF_FLAT"


def test_several_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "CANARY.tif"
    page = Image.fromarray(np.round(255.0 * RADIATION).astype(np.uint8))
    page.save(path, save_all=True, append_images=[page], dpi=(150.0, 150.0))
    assert refused(path).code == "TIFF_PAGES"


@pytest.mark.parametrize("mode", ["1", "F", "CMYK"])
def test_other_colors_are_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "CANARY.tif"
    scan = Image.fromarray(np.round(255.0 * RADIATION).astype(np.uint8))
    scan.convert(mode).save(path, dpi=(150.0, 150.0))
    assert refused(path).code == "TIFF_COLORS"


def test_a_lossy_scan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "CANARY.tif"
    scan = Image.fromarray(np.round(255.0 * RADIATION).astype(np.uint8))
    scan.save(path, dpi=(150.0, 150.0), compression="jpeg")
    assert refused(path).code == "TIFF_COMPRESSION"


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    # 49 million pixels in a few kilobytes.
    path = tmp_path / "CANARY.tif"
    Image.new("L", (7000, 7000)).save(path, dpi=(150.0, 150.0), compression="tiff_adobe_deflate")
    assert path.stat().st_size < 200_000
    assert refused(path).code == "TIFF_RANGE"


@pytest.mark.parametrize("content", [b"", b"II*\0", b"MM\0*" + b"\xff" * 100, b"II*\0" + b"\0" * 8])
def test_what_is_no_whole_tiff_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "CANARY.tif"
    path.write_bytes(content)
    assert refused(path).code in ("TIFF_EMPTY", "TIFF_UNREADABLE", "TIFF_SHORT")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_scan_cut_anywhere_is_not_read(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "CANARY.tif"
    scan = Image.fromarray(np.round(255.0 * RADIATION).astype(np.uint8))
    scan.save(path, dpi=(150.0, 150.0), compression=compression)
    whole = path.read_bytes()
    for length in (*range(8, len(whole), max(1, len(whole) // 40)), len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path)


def test_the_writer_is_read_by_its_reader(tmp_path: Path) -> None:
    assert read(simulate(tmp_path)).shape == (900, 900)


@real_data.skip_without("epid-star")
@pytest.mark.parametrize("path", REAL, ids=lambda p: p.name)
def test_real_films_show_spokes_brighter_than_their_ground(path: Path) -> None:
    found = read(path)
    rows, columns = found.shape
    middle = found.values[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3]
    # Spokes are narrow: their values are few, and far above those of the ground between them.
    low, ground, high = np.percentile(middle, [0.5, 50.0, 99.5])
    assert high - ground > 5.0 * (ground - low)


@real_data.skip_without("epid-star")
def test_real_films_have_the_resolution_that_pillow_reads() -> None:
    for path in REAL:
        with Image.open(path) as scan:
            x_dpi, y_dpi = scan.info["dpi"]
        np.testing.assert_allclose(read(path).spacing_mm, (25.4 / y_dpi, 25.4 / x_dpi))
