"""The demo clinic's portal images: every fault is in one, and none lies ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from analyzers.formats.dicom_rtimage import read
from analyzers.portal_images import PortalImage
from qa_daemon.simulate import clinic, clinic_images
from qa_daemon.simulate.clinic_images import Taken, taken

MONDAY = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)


def of(tests: list[Taken], machine: str, test: str) -> list[Taken]:
    return [t for t in tests if (t.machine, t.test) == (machine, test)]


@pytest.mark.parametrize("weekday", range(7))
@pytest.mark.parametrize("days", [1, 8])
def test_every_morning_has_its_images_and_none_lies_ahead(weekday: int, days: int) -> None:
    today = MONDAY + timedelta(days=weekday)
    found = list(taken(days, today))
    assert all(t.at <= today for t in found)
    assert len({(t.machine, t.test, t.at) for t in found}) == len(found)
    for machine in clinic.MLC:
        assert len(of(found, machine, "VMAT")) == 1
        for test in ("picket fence", "open field", "Winston-Lutz"):
            assert len(of(found, machine, test)) == min(days, clinic_images.IMAGED_DAYS)
    assert len(of(found, "TB2", "without a name")) == 1
    logged = [t for t in clinic.treatments(days, today) if t.machine == "TB1" and t.beam > 0]
    assert len(of(found, "TB1", "fraction")) == len(logged)


def left_edges_mm(image: PortalImage, y_mm: float) -> np.ndarray:
    row = image.values[np.argmin(np.abs(image.y_mm - y_mm))]
    half = (row.min() + row.max()) / 2.0
    (at,) = np.nonzero((row[1:] > half) & (row[:-1] <= half))
    part = (half - row[at]) / (row[at + 1] - row[at])
    return np.asarray(image.x_mm[at] + part * (image.x_mm[at + 1] - image.x_mm[at]))


def test_the_image_calls_a_leaf_wrong_that_its_log_calls_right() -> None:
    found = of(list(taken(8, MONDAY)), "TB2", "picket fence")
    seen_mm, logged_mm = [], []
    for morning in found:
        (image,) = morning.make()
        # Of the HD120, pair 23 lies from -20 to -17.5 mm, and pair 27 ten millimeters above.
        seen_mm.append(np.mean(left_edges_mm(image, -18.75) - left_edges_mm(image, -8.75)))
        log = image.beside.log
        assert log is not None
        bank = log.mlc[0].bank_b_mm
        logged_mm.append(np.abs(bank.actual - bank.expected)[log.beam_on, 22].max())
    assert max(logged_mm) < 0.1
    # Its neighbors blur into a leaf of 2.5 mm, so that less than all of 0.4, 0.8 and 1.2 is seen.
    assert seen_mm == sorted(seen_mm) and 0.2 < seen_mm[0] < 0.4 and 0.7 < seen_mm[-1] < 1.2


def test_the_other_faults_are_in_the_files(tmp_path: Path) -> None:
    clinic.write_site(tmp_path, 8765, datetime(2026, 11, 6, tzinfo=UTC))
    clinic_images.write_images(tmp_path, 3, MONDAY + timedelta(days=2, hours=12))
    images = [read(path) for path in sorted((tmp_path / "incoming").rglob("RI.*.dcm"))]
    assert len({image.sop_instance_uid for image in images}) == len(images)
    assert {image.machine_name for image in images} == set(clinic.MLC)
    fractions = [i for i in images if i.fraction is not None and i.identity.plan_uid]
    given = {(i.fraction, round(i.meterset_mu or 0.0)) for i in fractions}
    # The first of the three was interrupted, as its log says.
    assert given == {(1, 134), (2, 220), (3, 220), (1, 120), (2, 120), (3, 120)}
    middle_mm = {i.fraction: middle_x_mm(i) for i in fractions if round(i.meterset_mu or 0) == 120}
    assert middle_mm[3] - middle_mm[2] == pytest.approx(-4.0, abs=0.1)
    assert middle_mm[2] == pytest.approx(middle_mm[1], abs=0.05)
    ball = {
        (i.machine_name, i.performed_at.day): ball_mm(i)
        for i in images
        if i.performed_at and (i.label or "").startswith("WL G0")
    }
    # From gantry 0, 0.7 mm to the left and 0.6 mm out on the morning after the service.
    assert ball.pop(("TB1", 3)) == pytest.approx((-0.7, -0.6), abs=0.25)
    assert len(ball) == 5 and max(abs(v) for at in ball.values() for v in at) < 0.4


def middle_x_mm(image: PortalImage) -> float:
    """Centroid of what is clearly above the leakage."""
    shown = np.maximum(image.values - 0.2 * image.values.max(), 0.0)
    return float(shown.sum(axis=0) @ image.x_mm / shown.sum())


def ball_mm(image: PortalImage) -> tuple[float, float]:
    """Centroid of the shade within 7 mm of the axis, less than the darkest tenth of it."""
    near = np.hypot(image.x_mm[np.newaxis, :], image.y_mm[:, np.newaxis]) < 7.0
    shade = np.where(near, np.median(image.values[near]) - image.values, 0.0)
    shade = np.where(shade > 0.3 * shade.max(), shade, 0.0)
    total = shade.sum()
    return shade.sum(axis=0) @ image.x_mm / total, shade.sum(axis=1) @ image.y_mm / total
