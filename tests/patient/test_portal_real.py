"""Real portal images against themselves, moved by whole pixels and scaled: both are found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.formats.dicom_rtimage import read
from analyzers.patient import in_vivo_constancy, portal_dose
from analyzers.portal_images import Beside, PortalImage
from tests.machine.judging import measured
from tests.patient.fields import CLINICAL
from tests.real_data import files, skip_without

IMAGES = {
    "calibrated": ("epid-pf", "Picket_Fence__AS1200.dcm"),
    "no unit": ("epid-vmat", "demo_files__vmat__DRGS_dmlc.dcm"),
}


def pair(name: str) -> PortalImage:
    kind, file = IMAGES[name]
    (path,) = files(kind, f"*/{file}")
    image = replace(read(path), classified=CLINICAL, saturated_percent=0.0)
    moved = 1.02 * np.roll(image.values, (1, 2), (0, 1))
    return replace(image, values=moved, beside=Beside(predicted=image, baseline=image))


pytestmark = [skip_without("epid-pf"), skip_without("epid-vmat")]


@pytest.mark.parametrize("name", IMAGES)
def test_a_real_pattern_that_was_moved_is_found(name: str) -> None:
    image = pair(name)
    step_mm = image.spacing_mm[0] / image.magnification
    # Twelve hundred rows of fine pixels take long: in threes they tell the same.
    pixel_mm = 1.0 if name == "calibrated" else 0.5
    found = {
        n: m.value for n, m in measured(portal_dose.ANALYZER, image, pixel_mm=pixel_mm).items()
    }
    assert found["shift_x"] == pytest.approx(2.0 * step_mm, abs=0.05)
    assert found["shift_y"] == pytest.approx(-step_mm, abs=0.05)
    if name == "calibrated":
        assert found["mean_dose_error"] == pytest.approx(2.0, abs=0.05)
        assert found["gamma_pass"] > 99.0
    else:
        assert "mean_dose_error" not in found and found["relative_gamma_pass"] > 99.5


def test_the_same_in_vivo() -> None:
    found = measured(in_vivo_constancy.ANALYZER, pair("no unit"))
    assert found["pattern_correlation"].value > 0.999
    assert found["registration_shift"].value == pytest.approx(np.sqrt(5.0) * 0.5227, abs=0.05)
