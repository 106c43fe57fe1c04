"""RT Images: what is read, as it was written."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from analyzers.formats.dicom_rtimage import FORMAT, read, recognize
from analyzers.portal_images import Aperture, Pixels, Polarity, PortalImage
from qa_daemon.simulate.rtimage import FileOptions, image_of, open_field, write_rtimage

APERTURE = Aperture(
    jaw_x_mm=np.array([-40.0, 30.0]),
    jaw_y_mm=np.array([-50.0, 60.0]),
    leaf_edges_mm=np.array([-10.0, 0.0, 10.0]),
    bank_a_mm=np.array([25.5, 30.0]),
    bank_b_mm=np.array([-20.0, -40.0]),
)


def whole_image() -> PortalImage:
    """An image that says all that can be written."""
    values = 40000.0 * open_field("as500", size_mm=(60.0, 80.0), shift_mm=(-5.0, 5.0))
    return image_of(
        values,
        (0.784, 0.784),
        axis_px=(190.25, 256.5),
        panel_shift_mm=(-0.784, -0.98),
        gantry_deg=90.0,
        collimator_deg=10.0,
        couch_rotation_deg=350.0,
        meterset_mu=123.5,
        aperture=APERTURE,
        energy="10xFFF",
        label="Label",
        texts={"RTImageDescription": "10 MV FFF", "StationName": "NDS-WKS-SN2110"},
        model="Panel",
        machine_serial="2110",
        fraction=3,
        study_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
    )


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("preamble", [False, True])
def test_what_was_written_is_read(tmp_path: Path, *, explicit: bool, preamble: bool) -> None:
    wanted = whole_image()
    path = tmp_path / "image"
    write_rtimage(path, wanted, FileOptions(explicit=explicit, preamble=preamble))
    assert recognize(path.read_bytes()[:4096])
    found = read(path)
    for at in fields(PortalImage):
        if at.name not in ("aperture", "texts", "set_with", "beside", "classified"):
            expected, actual = getattr(wanted, at.name), getattr(found, at.name)
            np.testing.assert_equal(actual, expected, err_msg=at.name)
    for at in fields(Aperture):
        assert found.aperture is not None
        np.testing.assert_equal(getattr(found.aperture, at.name), getattr(APERTURE, at.name))
    assert found.texts.items() >= wanted.texts.items()
    assert found.performed_at == datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001
    assert found.polarity is Polarity.STATED
    assert FORMAT.name == "dicom-rtimage"


def test_calibrated_values_are_kept(tmp_path: Path) -> None:
    values = 1.25 * open_field("as500", size_mm=(60.0, 60.0))
    wanted = image_of(values, (0.784, 0.784), pixels=Pixels.CALIBRATED)
    write_rtimage(tmp_path / "image", wanted)
    found = read(tmp_path / "image")
    assert (found.pixels, found.unit, found.polarity) == (Pixels.CALIBRATED, "CU", Polarity.STATED)
    np.testing.assert_array_equal(found.values, wanted.values)
    np.testing.assert_allclose(found.values, values, atol=found.slope / 2.0)
