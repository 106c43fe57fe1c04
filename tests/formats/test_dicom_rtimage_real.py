"""Real portal images, those inside of archives too: values as peers read them, and polarity."""

from __future__ import annotations

import time
import zipfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from analyzers.formats.dicom_rtimage import read
from analyzers.portal_images import Pixels, Polarity, PortalImage
from tests import real_data

KINDS = ("epid-open", "epid-pf", "epid-planar", "epid-star", "epid-vmat", "epid-wl")
PLAIN = [path for kind in KINDS for path in real_data.files(kind, "*/*.dcm")]
ARCHIVES = [path for kind in KINDS for path in real_data.files(kind, "*/*.zip")]
PACKED = {
    f"{path.stem}/{name}": (path, name)
    for path in ARCHIVES
    for name in zipfile.ZipFile(path).namelist()
    if name.endswith(".dcm")
}
SOME = pytest.mark.skipif(not PLAIN, reason="no real images: set QA_DAEMON_REAL_DATA")
PICKETS = [path for path in PLAIN if path.parts[-3] == "epid-pf"]


@cache
def image(path: Path) -> PortalImage:
    return read(path)


def unpacked(name: str, folder: Path) -> PortalImage:
    archive, member = PACKED[name]
    path = folder / "image.dcm"
    path.write_bytes(zipfile.ZipFile(archive).read(member))
    return read(path)


def peer(path: Path) -> dict[str, Any]:
    """What a peer read of the attributes, of a pair those of its first; empty where it did not."""
    kind, folder, name = path.parts[-3:]
    for key, reads in real_data.peer_reads(kind).items():
        if key.split(":")[-1].split("+")[0] in (f"{kind}/{folder}/{name}", f"{folder}/{name}"):
            return reads
    return {}


def numbers(written: str) -> tuple[float, ...]:
    return tuple(float(part) for part in written.strip("[]").split(",") if part.strip())


@SOME
@pytest.mark.parametrize("path", PLAIN, ids=lambda p: p.name)
def test_attributes_are_as_a_peer_read_them(path: Path) -> None:
    said = peer(path).get("meta")
    if said is None:
        pytest.skip("no peer read this file by itself")
    found = image(path)
    assert found.shape == (int(said["rows"]), int(said["cols"]))
    assert found.spacing_mm == pytest.approx(numbers(said["pix"]))
    assert (found.sid_mm or 0.0) == pytest.approx(float(said["sid"]))
    for told, angle_deg in (
        (said["gantry"], found.gantry_deg),
        (said["coll"], found.collimator_deg),
        (said["couch"], found.couch_rotation_deg),
    ):
        assert angle_deg == (pytest.approx(float(told)) if told else None)
    assert (found.model or "") == said["model"]
    assert found.label == said["label"]
    assert found.performed_at is not None
    assert f"{found.performed_at:%Y%m%d}" == said["date"]


@SOME
@pytest.mark.parametrize("path", PLAIN, ids=lambda p: p.name)
def test_pixels_are_those_that_pydicom_decodes(path: Path) -> None:
    data = pydicom.dcmread(path, force=True)
    data.file_meta.TransferSyntaxUID = data.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2")
    np.testing.assert_array_equal(image(path).stored, data.pixel_array)


def _in_field_over_border(found: PortalImage) -> None:
    rows, columns = found.shape
    middle = found.values[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3]
    border = np.concatenate([found.values[:8].ravel(), found.values[-8:].ravel()])
    sides = np.concatenate([found.values[:, :8].ravel(), found.values[:, -8:].ravel()])
    lowest = min(np.median(border), np.median(sides))
    # The outermost tenth of a per cent may be dead pixels.
    low, high = np.percentile(found.values, [0.1, 99.9])
    assert np.percentile(middle, 99.0) - lowest > 0.5 * (high - low)


@SOME
@pytest.mark.parametrize("path", PICKETS, ids=lambda p: p.name)
def test_pickets_are_brighter_than_what_is_between_them(path: Path) -> None:
    """At the pickets that pylinac found, and half way between them."""
    found = image(path)
    offsets_mm = np.sort(peer(path)["offsets"])
    mean = {axis: found.values.mean(axis=axis) for axis in (0, 1)}
    # Pickets run along the axis whose mean shows the strongest lines.
    lines = max(mean.values(), key=lambda profile: float(np.abs(np.diff(profile)).std()))
    is_across = lines is mean[0]
    spacing_mm = found.spacing_mm[1 if is_across else 0] / found.magnification
    position = (np.arange(lines.size) - (lines.size - 1) / 2.0) * spacing_mm
    if path.name.startswith("Picket_Fence__BadPF"):
        offsets_mm = np.delete(offsets_mm, np.flatnonzero(np.diff(offsets_mm) < 2.0))
    between_mm = (offsets_mm[1:] + offsets_mm[:-1]) / 2.0
    contrast = max(
        np.median(np.interp(sign * offsets_mm, position, lines))
        - np.median(np.interp(sign * between_mm, position, lines))
        for sign in (1, -1)
    )
    # The outermost lines of a panel may be dead.
    assert contrast > 0.1 * np.ptp(np.percentile(lines, [2.0, 98.0]))
    assert found.polarity in (Polarity.SEEN, Polarity.STATED)


@SOME
@pytest.mark.parametrize(
    "path",
    [path for path in PLAIN if path.parts[-3] == "epid-vmat" or "flatsym" in path.name],
    ids=lambda p: p.name,
)
def test_fields_are_brighter_than_their_border(path: Path) -> None:
    _in_field_over_border(image(path))


@SOME
@pytest.mark.parametrize("name", PACKED)
def test_images_in_archives_are_read_and_brighter_in_the_field(name: str, tmp_path: Path) -> None:
    found = unpacked(name, tmp_path)
    _in_field_over_border(found)
    assert found.performed_at is not None
    assert found.study_uid
    assert found.sop_instance_uid
    assert found.saturated_percent == 0.0
    assert found.geometry_is_consistent


@SOME
@pytest.mark.parametrize("name", [n for n in PACKED if n.startswith("demo_files__winston_lutz")])
def test_panels_that_stand_in_the_middle_have_the_axis_there(name: str, tmp_path: Path) -> None:
    found = unpacked(name, tmp_path)
    assert found.axis_px == pytest.approx((191.5, 255.5), abs=1e-3)


@SOME
def test_copper_is_darker_than_the_plastic_around_it() -> None:
    """The Leeds phantom's copper square is in the middle; more air than copper gets through."""
    found = next(image(path) for path in PLAIN if "leeds" in path.name)
    copper = np.median(found.values[370:400, 480:500])
    plastic = np.median(found.values[560:600, 400:420])
    assert copper < plastic


@SOME
def test_a_calibrated_image_keeps_its_units() -> None:
    found = next(image(path) for path in PLAIN if "AS1200" in path.name)
    assert (found.pixels, found.unit, found.polarity) == (Pixels.CALIBRATED, "CU", Polarity.STATED)
    np.testing.assert_allclose(found.values, found.stored * 3.348064819e-05)
    assert found.meterset_mu == pytest.approx(98.1146475065455)
    assert found.energy == "6x"
    assert found.machine_serial == "2110"
    assert found.aperture is not None
    np.testing.assert_allclose(found.aperture.jaw_x_mm, [-80.0, 80.0], atol=1e-3)
    np.testing.assert_allclose(found.aperture.jaw_y_mm, [-90.0, 90.0], atol=1e-3)
    assert found.performed_at == datetime(2015, 7, 8, 16, 47, 36)  # noqa: DTZ001


@SOME
def test_images_that_count_down_have_their_signal_above_zero() -> None:
    """16383 is no signal on panels of 14 bits, whatever the rescale makes of it."""
    for path in PLAIN:
        found = image(path)
        if path.parts[-3] == "epid-vmat":
            assert (found.slope, found.intercept) == (1.0, -16384.0)
            np.testing.assert_array_equal(found.values, 16383.0 - found.stored)


@SOME
def test_reconstructed_radiographs_are_read_and_not_judged() -> None:
    found = [image(path) for path in PLAIN if path.parts[-2] == "bozhikov"]
    assert len(found) == 2
    for drr in found:
        assert drr.not_judged == "a reconstructed radiograph, no measurement"
        assert drr.polarity is Polarity.UNKNOWN
        assert drr.machine_name == "TrueBeamSTX"
        assert drr.identity.plan_uid


@SOME
def test_images_of_no_patient_and_no_machine_say_so() -> None:
    silent = [image(path) for path in PLAIN if image(path).identity.patient_id is None]
    assert len(silent) == 6
    for found in silent:
        assert (found.machine_name, found.machine_serial) == (None, None)
        assert any("neither a patient nor a machine" in warning for warning in found.warnings)


@SOME
def test_a_large_image_is_read_in_60_ms() -> None:
    path = next(path for path in PLAIN if "AS1200" in path.name)
    taken = []
    for _ in range(5):
        began = time.process_time()
        read(path)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.06


@SOME
def test_no_name_of_a_real_image_is_in_what_is_warned_of() -> None:
    for path in PLAIN:
        data = pydicom.dcmread(path, force=True)
        for element in data.iterall():
            name = str(element.value)
            if element.tag.group == 0x10 and len(name) > 3:
                assert not [text for text in image(path).warnings if name in text]
