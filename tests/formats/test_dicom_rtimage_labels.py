"""What an image says beside its pixels: energy, machine, time, whose it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from analyzers.records import Identity
from qa_daemon.simulate.trajectory_log import IDENTITY
from tests.formats.small_images import image_in, small_image

TIMES = ("Acquisition", "Content", "InstanceCreation", "Series", "Study")


@pytest.mark.parametrize(
    ("kvp", "description", "energy"),
    [
        ("6000", "", "6x"),
        ("6000.0", "6 [MV], 600 [MU/min]", "6x"),
        ("6", "", "6x"),
        ("2500", "", "2.5x"),
        ("10000", "10X-FFF, 2400 MU/min", "10xFFF"),
        ("6000", "6 MV FFF", "6xFFF"),
        (None, "6 MV, 600 MU/min \r\nScan Mode IDU20", "6x"),
        (None, "6xFFF", "6xFFF"),
        (None, "600 MU/min", None),
        (None, "T16 MVfield", None),
        (None, "", None),
        ("100", "6 MV", None),
    ],
)
def test_the_energy_is_written_as_in_logs(
    tmp_path: Path, kvp: str | None, description: str, energy: str | None
) -> None:
    data = small_image()
    data.RTImageDescription = description
    if kvp is not None:
        data.ExposureSequence[0].KVP = kvp
    found = image_in(data, tmp_path)
    assert found.energy == energy
    assert found.texts.get("KVP") == kvp
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("description", "frames"),
    [("6 MV, 600 MU/min \r\nAveraged Frames 843 \r\nDark", 843), ("Averaged Frames 0", 1), ("", 1)],
)
def test_frames_are_those_of_the_description(tmp_path: Path, description: str, frames: int) -> None:
    data = small_image()
    data.RTImageDescription = description
    assert image_in(data, tmp_path).frames == frames


def test_the_fluence_mode_tells_a_filter_free_beam(tmp_path: Path) -> None:
    assert image_in(small_image(energy="10xFFF"), tmp_path).energy == "10xFFF"


def test_two_energies_are_told_of(tmp_path: Path) -> None:
    data = small_image(energy="6x")
    data.RTImageDescription = "15 MV"
    found = image_in(data, tmp_path)
    assert found.energy == "6x"
    assert any("different energies" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("station", "image_type", "serial"),
    [
        ("NDS-WKS-SN2110", "ORIGINAL", "2110"),
        ("NDS-WKS-SN2110", "DERIVED", "2110"),
        ("IVIEWGT1", "ORIGINAL", "CANARY-7"),
        ("MSN2110X", "ORIGINAL", "CANARY-7"),
        ("", "ORIGINAL", "CANARY-7"),
        ("VARIANCOM", "DERIVED", None),
    ],
)
def test_the_serial_is_that_of_the_machine(
    tmp_path: Path, station: str, image_type: str, serial: str | None
) -> None:
    data = small_image(machine_serial="CANARY-7")
    data.StationName = station
    data.ImageType = [image_type, "PRIMARY", "PORTAL"]
    assert image_in(data, tmp_path).machine_serial == serial


def stamped(**at: str) -> Dataset:
    """An image with these times alone, written as date and time with a blank between."""
    data = small_image()
    for kind in TIMES:
        for keyword in (f"{kind}Date", f"{kind}Time"):
            if keyword in data:
                del data[keyword]
    for kind, written in at.items():
        day, _, clock = written.partition(" ")
        setattr(data, f"{kind}Date", day)
        if clock:
            setattr(data, f"{kind}Time", clock)
    return data


@pytest.mark.parametrize(
    ("at", "expected", "warned"),
    [
        (
            {"Acquisition": "20260105 071500.25", "Content": "20260105 0800"},
            datetime(2026, 1, 5, 7, 15),  # noqa: DTZ001
            None,
        ),
        ({"Content": "20260105 0800", "Study": "20250101 070000"}, datetime(2026, 1, 5, 8), None),  # noqa: DTZ001
        ({"InstanceCreation": "20260105 080001"}, datetime(2026, 1, 5, 8, 0, 1), None),  # noqa: DTZ001
        ({"Study": "20250101 070000"}, datetime(2025, 1, 1, 7), "its Study is taken"),  # noqa: DTZ001
        ({"Series": "20250102 07", "Study": "20250101 07"}, datetime(2025, 1, 2, 7), "its Series"),  # noqa: DTZ001
        ({"Acquisition": "20260105"}, datetime(2026, 1, 5), "without a time"),  # noqa: DTZ001
        ({}, None, "does not say when"),
        ({"Content": "20261399 080000"}, None, "are not a date"),
    ],
)
def test_the_best_time_is_taken(
    tmp_path: Path, at: dict[str, str], expected: datetime | None, warned: str | None
) -> None:
    found = image_in(stamped(**at), tmp_path)
    assert found.performed_at == expected
    assert bool(found.warnings) is (warned is not None)
    assert warned is None or any(warned in warning for warning in found.warnings)


def test_the_plan_and_the_beam_are_those_referred_to(tmp_path: Path) -> None:
    found = image_in(small_image(identity=IDENTITY, fraction=7), tmp_path)
    assert found.identity.patient_id == IDENTITY.patient_id
    assert found.identity.plan_uid == IDENTITY.plan_uid
    assert found.identity.beam_number == IDENTITY.beam_number
    assert found.fraction == 7


def test_of_two_plans_none_is_taken(tmp_path: Path) -> None:
    data = small_image()
    data.ReferencedRTPlanSequence.append(data.ReferencedRTPlanSequence[0])
    found = image_in(data, tmp_path)
    assert found.identity.plan_uid is None
    assert any("2 plans" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "kept", ["PatientID", "PatientName", "RadiationMachineName", "DeviceSerialNumber"]
)
def test_one_name_of_patient_or_machine_is_enough(tmp_path: Path, kept: str) -> None:
    names = {"machine_name": None, "machine_serial": None, "identity": Identity()}
    data = small_image(**names)
    setattr(data, kept, "SIM")
    assert image_in(data, tmp_path).warnings == ()


def test_what_a_machine_takes_of_no_patient_is_read_with_a_warning(tmp_path: Path) -> None:
    names: dict[str, Any] = {"machine_name": None, "machine_serial": None, "identity": Identity()}
    data = small_image(**names)
    data.StudyDate = ""
    found = image_in(data, tmp_path)
    assert any("neither a patient nor a machine" in warning for warning in found.warnings)


def test_nothing_of_a_patient_is_in_how_an_image_shows_itself(tmp_path: Path) -> None:
    data = small_image(identity=IDENTITY, label="CANARY", texts={"SeriesDescription": "CANARY"})
    shown = repr(image_in(data, tmp_path))
    assert "CANARY" not in shown
    assert IDENTITY.patient_id not in shown
