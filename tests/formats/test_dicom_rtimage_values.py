"""What pixels are worth: bits, rescale, polarity, saturation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from analyzers.portal_images import Aperture, Pixels, Polarity
from qa_daemon.simulate.film import star
from tests.formats.small_images import SHAPE, field, image_in, refusal_of, small_image

COUNTS = np.round(field()).astype(np.int64)
NOISE = np.random.default_rng(1).normal(20000.0, 200.0, SHAPE)
JAWS = Aperture(np.array([-30.0, 30.0]), np.array([-30.0, 30.0]))


def stored_as(kind: str, bits: int, *, below: int = 0, offset: int = 0) -> Dataset:
    """The field's counts in samples of this type, `bits` of them above `below` others."""
    data = small_image()
    allocated = 8 * np.dtype(kind).itemsize
    data.PixelData = ((COUNTS + offset) << below).astype(kind).tobytes()
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, bits, bits - 1 + below
    data.PixelRepresentation = int(np.dtype(kind).kind == "i")
    return data


@pytest.mark.parametrize(
    ("kind", "bits", "below"),
    [
        ("<u2", 16, 0),
        ("<u2", 15, 0),
        ("<u2", 15, 1),
        ("<u4", 32, 0),
        ("<u4", 20, 7),
        ("<i4", 18, 5),
    ],
)
def test_samples_of_any_bits_are_the_same_counts(
    tmp_path: Path, kind: str, bits: int, below: int
) -> None:
    found = image_in(stored_as(kind, bits, below=below), tmp_path)
    np.testing.assert_array_equal(found.stored, COUNTS)


def test_negative_samples_keep_their_sign(tmp_path: Path) -> None:
    found = image_in(stored_as("<i2", 16, offset=-25000), tmp_path)
    np.testing.assert_array_equal(found.stored, COUNTS - 25000)


def test_bits_above_the_value_are_not_part_of_it(tmp_path: Path) -> None:
    data = stored_as("<u4", 16)
    data.PixelData = (COUNTS | 0x7FFF0000).astype("<u4").tobytes()
    np.testing.assert_array_equal(image_in(data, tmp_path).stored, COUNTS)


def test_eight_bits_with_a_byte_that_fills_up(tmp_path: Path) -> None:
    data = small_image()
    counts = (COUNTS[:, :-1] // 128).astype(np.uint8)[:-1]
    data.Rows, data.Columns = counts.shape
    data.PixelData = counts.tobytes() + b"\0"
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    assert counts.size % 2
    np.testing.assert_array_equal(image_in(data, tmp_path).stored, counts)


@pytest.mark.parametrize(
    ("keyword", "bits", "kind"),
    [("FloatPixelData", 32, "<f4"), ("DoubleFloatPixelData", 64, "<f8")],
)
def test_floats_are_read(tmp_path: Path, keyword: str, bits: int, kind: str) -> None:
    data = small_image()
    del data.PixelData
    setattr(data, keyword, (field() / 1000.0).astype(kind).tobytes())
    data.BitsAllocated = bits
    found = image_in(data, tmp_path)
    np.testing.assert_allclose(found.values, field() / 1000.0, rtol=1e-6)
    assert found.saturated_percent == 0.0


def pickets() -> Any:
    values = np.full(SHAPE, 300.0)
    values[10:86, 20:108] = 3000.0
    values[10:86, 24:108:12] = 30000.0
    return values


def half_blocked() -> Any:
    values = np.full(SHAPE, 300.0)
    values[:, 64:] = 30000.0
    return values


def phantom() -> Any:
    """A disc that hardly anything passes around, with a darker square, and little blocked."""
    rows, columns = np.indices(SHAPE)
    radius = np.hypot(rows - 47.5, columns - 63.5)
    values = np.where(radius < 40.0, 20000.0, 30000.0)
    values[40:56, 56:72] = 4000.0
    edge = np.minimum.reduce([rows, columns, SHAPE[0] - 1 - rows, SHAPE[1] - 1 - columns])
    return np.where(edge < 4, 12000.0, values)


PICTURES: dict[str, Callable[[], Any]] = {
    "open field": field,
    "small field": lambda: field(12, 12),
    "wide field": lambda: field(84, 112),
    "long field": lambda: field(96, 48),
    "pickets": pickets,
    "phantom": phantom,
    "spokes": lambda: 300.0 + 30000.0 * star(128, 1.0, spokes=4)[16:112],
    "one spoke": lambda: 300.0 + 30000.0 * star(128, 1.0, spokes=1)[16:112],
    "ball in a field": lambda: field() - 12000.0 * (field(8, 8) > 1000.0),
}


@pytest.mark.parametrize("falls", [False, True])
@pytest.mark.parametrize("states_sign", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_values_rise_with_radiation(
    tmp_path: Path, name: str, *, falls: bool, states_sign: bool
) -> None:
    wanted = np.round(PICTURES[name]())
    found = image_in(small_image(wanted, falls=falls, states_sign=states_sign), tmp_path)
    np.testing.assert_array_equal(found.values, wanted)
    assert found.polarity is (Polarity.STATED if states_sign else Polarity.SEEN)
    assert found.sign == ((-1 if falls else 1) if states_sign else None)
    assert found.pixels is Pixels.RELATIVE
    assert found.warnings == ()


def flood(rise: float) -> Any:
    """A field larger than the panel, brighter or darker towards its border."""
    rows, columns = np.indices(SHAPE)
    radius = np.hypot((rows - 47.5) / 47.5, (columns - 63.5) / 63.5)
    return 30000.0 * (1.0 + rise * radius**2)


@pytest.mark.parametrize(
    "values",
    [NOISE, half_blocked(), flood(0.05), flood(-0.05)],
    ids=["noise", "half blocked", "horns", "filter-free"],
)
def test_what_tells_nothing_is_refused(tmp_path: Path, values: Any) -> None:
    found = refusal_of(small_image(values, states_sign=False), tmp_path)
    assert found.code == "RTIMAGE_POLARITY"
    assert "rise or fall" in str(found)


@pytest.mark.parametrize("falls", [False, True])
def test_the_sign_is_believed_where_the_picture_tells_nothing(
    tmp_path: Path, *, falls: bool
) -> None:
    found = image_in(small_image(NOISE, falls=falls), tmp_path)
    np.testing.assert_array_equal(found.values, np.round(NOISE))
    assert found.polarity is Polarity.STATED


def test_the_picture_is_believed_where_the_sign_contradicts_it(tmp_path: Path) -> None:
    data = small_image()
    data.PixelIntensityRelationshipSign = -1
    found = image_in(data, tmp_path)
    np.testing.assert_array_equal(found.values, field())
    assert found.polarity is Polarity.SEEN
    assert any("contradicts the picture" in warning for warning in found.warnings)


def test_a_sign_that_is_none_is_told_of(tmp_path: Path) -> None:
    data = small_image()
    data.PixelIntensityRelationshipSign = 0
    found = image_in(data, tmp_path)
    assert (found.sign, found.polarity) == (None, Polarity.SEEN)
    assert any("1 or -1 expected" in warning for warning in found.warnings)


def test_a_falling_slope_turns_what_the_sign_says(tmp_path: Path) -> None:
    """Stored values that fall, with a rescale that makes them rise."""
    data = small_image(NOISE, falls=True)
    data.RescaleSlope, data.RescaleIntercept = "-2", "131070"
    found = image_in(data, tmp_path)
    np.testing.assert_array_equal(found.values, 2.0 * np.round(NOISE))
    assert found.polarity is Polarity.STATED


def test_no_signal_is_the_largest_of_the_bits_that_are_used(tmp_path: Path) -> None:
    data = small_image(states_sign=False)
    data.PixelData = (16383 - COUNTS // 4).astype("<u2").tobytes()
    data.RescaleIntercept = "-16384"
    found = image_in(data, tmp_path)
    np.testing.assert_array_equal(found.values, COUNTS // 4)


def test_jaws_show_what_is_blocked(tmp_path: Path) -> None:
    """A wide field over a thick patient: the border is brightest, but nothing of it is blocked."""
    jaws = Aperture(np.array([-200.0, 200.0]), np.array([-200.0, 200.0]))
    patient = 30000.0 - field(60, 80, 20000.0, 0.0)
    said: dict[str, Any] = {"states_sign": False, "collimator_deg": 0.0}
    assert image_in(small_image(patient, **said), tmp_path).values[48, 64] > 20000.0
    found = refusal_of(small_image(patient, aperture=jaws, **said), tmp_path)
    assert found.code == "RTIMAGE_POLARITY"


@pytest.mark.parametrize("collimator_deg", [0.0, 30.0, 90.0])
def test_calibrated_values_that_are_highest_behind_the_jaws_are_refused(
    tmp_path: Path, collimator_deg: float
) -> None:
    said: dict[str, Any] = {"aperture": JAWS, "collimator_deg": collimator_deg}
    said |= {"pixels": Pixels.CALIBRATED, "states_sign": False}
    assert image_in(small_image(field() / 1e4, **said), tmp_path).polarity is Polarity.STATED
    bad = refusal_of(small_image(4.0 - field() / 1e4, **said), tmp_path)
    assert bad.code == "RTIMAGE_POLARITY"


def test_calibrated_values_are_never_turned_over(tmp_path: Path) -> None:
    wanted = 4.0 - field() / 1e4
    data = small_image(wanted, pixels=Pixels.CALIBRATED, states_sign=False)
    found = image_in(data, tmp_path)
    np.testing.assert_allclose(found.values, wanted, atol=1e-4)
    assert (found.polarity, found.unit) == (Polarity.UNKNOWN, "CU")
    assert any("highest at the border" in warning for warning in found.warnings)


MAKERS: list[tuple[dict[str, Any], str, bool | None]] = [
    ({"maker": "Varian Medical Systems", "model": "VMS.XI.Service"}, "MONOCHROME1", True),
    ({"maker": "Varian Medical Systems", "model": "VMS.XI.Service"}, "MONOCHROME2", None),
    ({"maker": "ELEKTA", "model": "Elekta iView Electronic Portal Imaging"}, "MONOCHROME2", False),
    ({"maker": "IMPAC Medical Systems, Inc.", "model": "MOSAIQ"}, "MONOCHROME2", None),
    (
        {
            "maker": "Varian Medical Systems",
            "texts": {"RTImageDescription": "6 MV\r\nScan Mode IDU20-Half-LoX-Integrated"},
        },
        "MONOCHROME2",
        False,
    ),
]


@pytest.mark.parametrize(("said", "shown", "does_rise"), MAKERS)
def test_a_makers_use_stands_in_with_a_warning(
    tmp_path: Path, said: dict[str, Any], shown: str, does_rise: bool | None
) -> None:
    data = small_image(NOISE, states_sign=False, falls=does_rise is False, **said)
    data.PhotometricInterpretation = shown
    if does_rise is None:
        assert refusal_of(data, tmp_path).code == "RTIMAGE_POLARITY"
        return
    found = image_in(data, tmp_path)
    np.testing.assert_array_equal(found.values, np.round(NOISE))
    assert any("maker's use" in warning for warning in found.warnings)


def test_saturation_is_of_signal_and_counted(tmp_path: Path) -> None:
    counts = COUNTS.copy()
    counts[40:50, 60:70] = 65535
    data = small_image()
    data.PixelData = counts.astype("<u2").tobytes()
    assert image_in(data, tmp_path).saturated_percent == pytest.approx(100 * 100 / counts.size)
    data = small_image(falls=True)
    data.PixelData = (65535 - counts).astype("<u2").tobytes()
    found = image_in(data, tmp_path)
    assert found.saturated_percent == pytest.approx(100 * 100 / counts.size)


def test_the_ground_of_an_image_that_counts_down_is_not_saturated(tmp_path: Path) -> None:
    values = np.where(field() > 1000.0, 3000.0, 0.0)
    found = image_in(small_image(values, falls=True), tmp_path)
    assert (found.stored == 65535).mean() > 0.7
    assert found.saturated_percent == 0.0


def test_a_panel_of_14_bits_saturates_at_16383(tmp_path: Path) -> None:
    data = small_image(field(signal=16383.0))
    assert refusal_of(data, tmp_path).code == "RTIMAGE_SATURATED"
