"""XIM images: what is read is what was compressed, to the last bit."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError
from analyzers.formats.varian_xim import FORMAT, read, recognize
from analyzers.formats.varian_xim_layout import blocks
from analyzers.portal_images import Polarity
from qa_daemon.simulate.xim import compressed, properties_of, simulate, xim_content

PROPERTIES = properties_of(
    spacing_mm=0.784, sid_mm=1500.0, gantry=90.0, collimator=10.0, couch=350.0, energy="6x", mu=5.5
)


def decoded_slowly(table: bytes, body: bytes, shape: tuple[int, int]) -> NDArray[np.int64]:
    """The definition, pixel by pixel: each is a difference to what its neighbors foretell."""
    rows, columns = shape
    pixels = list(struct.unpack_from(f"<{columns + 1}i", body))
    at = 4 * (columns + 1)
    for entry in range(rows * columns - columns - 1):
        width = 1 << (table[entry // 4] >> (2 * (entry % 4)) & 3)
        step = int.from_bytes(body[at : at + width], "little", signed=True)
        at += width
        pixels.append(step + pixels[-1] + pixels[-columns] - pixels[-columns - 1])
    assert at == len(body)
    return np.array(pixels).reshape(shape)


def small() -> NDArray[np.int32]:
    """A field of 40 by 40 pixels in 80 by 96, with steps of one, two and four bytes."""
    pixels = np.random.default_rng(1).integers(0, 40, (80, 96)).astype(np.int32)
    pixels[20:60, 20:60] += 3000
    pixels[30, 30], pixels[31, 40] = 90000, -70000
    return pixels


def content(**how: Any) -> bytes:
    return xim_content(small(), PROPERTIES, **how)


def of(said: dict[str, Any], pixels: NDArray[np.int32] | None = None) -> bytes:
    """A file with these properties beside the usual ones; None leaves one out."""
    wanted = {name: v for name, v in (PROPERTIES | said).items() if v is not None}
    return xim_content(small() if pixels is None else pixels, wanted)


def refused(bad: bytes, folder: Path) -> ReadError:
    path = folder / "CANARY.xim"
    path.write_bytes(bad)
    with pytest.raises(ReadError) as raised:
        read(path)
    assert "CANARY" not in str(raised.value)
    return raised.value


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.int32,
        st.tuples(st.integers(2, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32769, 10**6]),
    )
)
def test_compressed_pixels_come_back(pixels: NDArray[np.int32]) -> None:
    np.testing.assert_array_equal(decoded_slowly(*compressed(pixels), pixels.shape), pixels)
    np.testing.assert_array_equal(blocks(xim_content(pixels, {})).stored, pixels)


@pytest.mark.parametrize("size", [4, 8])
def test_plain_pixels_come_back(size: int) -> None:
    found = blocks(content(is_compressed=False, size=size))
    np.testing.assert_array_equal(found.stored, small())


def test_each_property_has_its_type() -> None:
    wanted = {
        "whole": -7,
        "number": 1.5,
        "text": "6x",
        "numbers": np.array([1.5, -2.0]),
        "wholes": np.array([3, -4], np.int32),
    }
    found = blocks(xim_content(small(), wanted)).properties
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_what_an_image_says(tmp_path: Path) -> None:
    path = simulate(tmp_path, panel="as500", gantry=90.0, collimator=10.0, couch=350.0, mu=5.5)
    assert recognize(path.read_bytes()[:4096])
    found = read(path)
    assert FORMAT.name == "varian-xim"
    assert found.shape == (384, 512)
    np.testing.assert_allclose(found.spacing_mm, (0.784, 0.784))
    np.testing.assert_allclose((found.sid_mm, found.sad_mm), (1500.0, 1000.0))
    angles = (found.gantry_deg, found.collimator_deg, found.couch_rotation_deg)
    np.testing.assert_allclose(angles, (90.0, 10.0, 350.0))
    assert (found.energy, found.meterset_mu, found.frames) == ("6x", 5.5, 10)
    assert found.polarity is Polarity.SEEN
    assert found.geometry_is_consistent
    assert found.not_judged is None
    assert found.warnings == ()
    np.testing.assert_array_equal(found.values, found.stored)


def test_pylinac_reads_the_same(tmp_path: Path) -> None:
    from pylinac.core.image import XIM

    path = simulate(tmp_path, panel="as500", field_x_mm=37.0, noise_percent=1.0)
    theirs = XIM(str(path))
    np.testing.assert_array_equal(read(path).stored, theirs.array)
    ours = blocks(path.read_bytes()).properties
    assert ours.keys() == theirs.properties.keys()
    for name, value in theirs.properties.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_a_large_image_is_read_at_once(tmp_path: Path) -> None:
    path = simulate(tmp_path, panel="as1200", noise_percent=1.0)
    read(path)
    began = time.process_time()
    read(path)
    assert time.process_time() - began < 1.0


def test_a_kilovoltage_image_is_not_judged(tmp_path: Path) -> None:
    found = read(simulate(tmp_path, panel="as500", beam="kv"))
    assert "kilovoltage" in (found.not_judged or "")
    assert (found.energy, found.meterset_mu) == (None, None)
    assert found.sid_mm == pytest.approx(1500.0)


@pytest.mark.parametrize(
    ("written", "energy"),
    [("6x", "6x"), ("10X-FFF", "10xFFF"), ("6xFFF", "6xFFF"), ("2.5x", "2.5x"), ("beam", None)],
)
def test_energies_are_written_as_in_logs(tmp_path: Path, written: str, energy: str | None) -> None:
    path = tmp_path / "image.xim"
    path.write_bytes(of({"MVEnergy": written}))
    assert read(path).energy == energy


def test_values_that_fall_are_reflected_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "image.xim"
    path.write_bytes(of({}, 5000 - small().clip(0, 4000)))
    found = read(path)
    assert found.values[40, 40] > found.values[5, 5] + 2000.0
    assert any("fall with radiation" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "said", [{"MVDetectorLat": 1.5}, {"MVDetectorLng": -0.5}, {"ImageFlipped": 1}]
)
def test_a_place_that_is_not_known_is_said(tmp_path: Path, said: dict[str, Any]) -> None:
    path = tmp_path / "image.xim"
    path.write_bytes(of(said))
    found = read(path)
    assert not found.geometry_is_consistent
    assert found.warnings


def test_an_image_of_no_told_beam_is_of_the_treatment_beam(tmp_path: Path) -> None:
    path = tmp_path / "image.xim"
    path.write_bytes(of({"MVBeamOn": 0}))
    found = read(path)
    assert found.not_judged is None
    assert any("which beam" in warning for warning in found.warnings)


BAD: list[tuple[str, str, bytes]] = [
    ("another beginning", "XIM_MAGIC", b"VMS.XX\0\0" + content()[8:]),
    ("no columns", "XIM_RANGE", content()[:12] + struct.pack("<i", 0) + content()[16:]),
    ("negative rows", "XIM_RANGE", content()[:16] + struct.pack("<i", -1) + content()[20:]),
    ("many rows", "XIM_RANGE", content()[:16] + struct.pack("<i", 2**31 - 1) + content()[20:]),
    (
        "many pixels",
        "XIM_RANGE",
        content()[:12] + struct.pack("<2i", 8192, 8192) + content()[20:],
    ),
    ("bits", "XIM_BITS", content()[:20] + struct.pack("<i", 14) + content()[24:]),
    ("three bytes", "XIM_BITS", content()[:20] + struct.pack("<2i", 24, 3) + content()[28:]),
    ("compression", "XIM_COMPRESSION", content()[:28] + struct.pack("<i", 2) + content()[32:]),
    ("table length", "XIM_LENGTH", content()[:32] + struct.pack("<i", 100) + content()[36:]),
    ("table entry", "XIM_TABLE", content()[:36] + b"\xff" + content()[37:]),
    ("body length", "XIM_LENGTH", content()[:36] + b"\x55" + content()[37:]),
    (
        "plain length",
        "XIM_LENGTH",
        content(is_compressed=False)[:32] + struct.pack("<i", 4) + content()[36:],
    ),
    ("flat", "XIM_FLAT", of({}, np.full((80, 96), 7, np.int32))),
    ("no distance", "XIM_SID", of({"MVDetectorVrt": None})),
    ("distance", "XIM_SID", of({"MVDetectorVrt": 90.0})),
    ("no spacing", "XIM_MISSING", of({"PixelWidth": None})),
    ("spacing", "XIM_SPACING", of({"PixelWidth": 0.0})),
    ("spacing", "XIM_SPACING", of({"PixelHeight": 2.0})),
    ("not a number", "XIM_PROPERTY", of({"PixelHeight": float("nan")})),
    ("text for a number", "XIM_PROPERTY", of({"GantryRtn": "CANARY"})),
    ("angle", "XIM_RANGE", of({"GantryRtn": 361.0})),
    ("frames", "XIM_RANGE", of({"NumberOfFrames": -1})),
    ("meterset", "XIM_METERSET", of({"MVDoseStop": -1.0})),
    ("empty", "XIM_EMPTY", b""),
]


@pytest.mark.parametrize(("code", "bad"), [pytest.param(c, b, id=n) for n, c, b in BAD])
def test_bad_images_are_refused(tmp_path: Path, code: str, bad: bytes) -> None:
    assert refused(bad, tmp_path).code == code


def _after_pixels(whole: bytes) -> int:
    """Where the histogram begins: before it the properties, 256 bins and two counts."""
    return (
        len(whole)
        - len(xim_content(small(), PROPERTIES, is_compressed=False))
        + (36 + small().size * 4)
    )


@pytest.mark.parametrize("count", [-1, 2**31 - 1, 10**6 + 1])
def test_a_count_that_cannot_be_is_refused(tmp_path: Path, count: int) -> None:
    whole = content()
    at = _after_pixels(whole)
    for place in (at, at + 4 + 1024):
        bad = whole[:place] + struct.pack("<i", count) + whole[place + 4 :]
        assert refused(bad, tmp_path).code == "XIM_COUNTS"


def test_pixels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pixels = small()
    assert refused(xim_content(pixels, PROPERTIES, size=2), tmp_path).code == "XIM_RANGE"


def test_differences_that_sum_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    side = 64
    steps = side * side - side - 1
    body = struct.pack(f"<{side + 1}i", *[0] * (side + 1)) + struct.pack("<i", 2**31 - 1) * steps
    table = b"\xaa" * -(-(steps + 1) // 4)
    head = content()[:8] + struct.pack("<6i", 1, side, side, 32, 4, 1)
    bad = head + struct.pack("<i", len(table)) + table + struct.pack("<i", len(body)) + body
    assert refused(bad + struct.pack("<i", side * side * 4), tmp_path).code == "XIM_RANGE"


def test_a_property_twice_is_refused(tmp_path: Path) -> None:
    whole = content()
    again = struct.pack("<i", 9) + b"GantryRtn" + struct.pack("<id", 1, 0.0)
    at = _after_pixels(whole) + 4 + 1024
    bad = whole[:at] + struct.pack("<i", len(PROPERTIES) + 1) + whole[at + 4 :] + again
    assert refused(bad, tmp_path).code == "XIM_DUPLICATE"


@pytest.mark.parametrize("how", [{}, {"is_compressed": False}])
def test_an_image_cut_anywhere_is_not_read(tmp_path: Path, how: dict[str, Any]) -> None:
    whole = content(**how)
    edges = {0, 8, 31, 32, 36, _after_pixels(whole), len(whole) - 1}
    for length in sorted(edges | set(range(1, len(whole), len(whole) // 60))):
        path = tmp_path / "cut.xim"
        path.write_bytes(whole[:length])
        with pytest.raises(TruncatedError):
            read(path)


def test_bytes_behind_the_end_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "image.xim"
    path.write_bytes(content() + b"more")
    assert any("4 bytes after" in warning for warning in read(path).warnings)
