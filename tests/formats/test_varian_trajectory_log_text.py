"""Words of trajectory logs: metadata, companion, file name, beam names."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.core import HEAD_BYTES, NamedFile
from analyzers.formats.varian_trajectory_log import FORMAT, read
from analyzers.formats.varian_trajectory_log_text import (
    beam_name,
    companion,
    metadata,
    name_key,
    performed,
    recognize_companion,
)
from analyzers.records import Delivery
from tests.formats.small_logs import RECORDS, patched, small_log, with_crc

METADATA = (
    b"Patient ID:\tX_1\r\nPlan Name:\tPlan: A\r\nPlan UID:\t1.2.3\r\nOriginal MU:\t107.5\r\n"
    b"Remaining MU:\t107.5\r\nEnergy:\t6x-FFF\r\nBeamName:\tArc 1"
).ljust(745, b"\0")

COMPANION = (
    "Patient ID:\tX_1\r\nPlan Name:\tPlan A\r\nPlan UID:\t1.2.3\r\nBeam Number :\t16\r\n"
    "Beam Name :\tArc 1\r\nOriginal MU :\t1\r\nWedge Info\r\nWedge Factor :\t\r\n\r\n"
    "Logging Scale :\tIEC\r\nX1 (Cms):\t4.00\r\nEnergy :\t6x\r\nTrim : (A)\t-0.5\r\n"
    "Gun  Current (A):\t0.6\r\nWater Level :\tNormal\r\n"
)


def test_metadata() -> None:
    said = metadata(METADATA)
    assert said.identity.patient_id == "X_1"
    assert said.identity.plan_label == "Plan: A"
    assert said.identity.plan_uid == "1.2.3"
    assert said.identity.beam_name == "Arc 1"
    assert (said.planned_mu, said.energy) == (107.5, "6x-FFF")


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        (b"Original MU:\t", b"MU Planned :\t"),
        (b"Plan UID:\t", b"SOP Instance UID:"),
        (b"BeamName:\t", b"beam name :  "),
        (b"\r\n", b"\n"),
        # A key nobody knows: its line decides.
        (b"Original MU:\t", b"Monitoreinheiten:\t"),
        (b"Energy:\t", b"Quality\t"),
    ],
)
def test_metadata_in_other_spellings(written: bytes, spelled: bytes) -> None:
    assert metadata(METADATA.replace(written, spelled)) == metadata(METADATA)


@pytest.mark.parametrize(
    ("number", "planned_mu"),
    [
        (b"107,5", 107.5),
        (b"1e2", 100.0),
        (b"0", 0.0),
        (b"300 MU", 300.0),
        (b"300mu", 300.0),
        (b"1,300.0", 1300.0),
        (b"1.300,5 MU", 1300.5),
        (b"1 300", 1300.0),
        (b"1'300.25", 1300.25),
        (b"1,300,000", None),  # more than any plan
        (b"1,000,000", 1e6),
        (b"1.300", 1.3),  # real files write a point and no thousands
        (b"1,300", None),  # 1300, or 1.3 with a comma
        (b"1,30,000", None),
        (b"1,300,0", None),
        (b"0,300.0", None),
        (b"300 cGy", None),
        (b"MU", None),
        (b"nan", None),
        (b"", None),
        (b"-5", None),
        (b"-5 MU", None),
        (b"1_0", None),
    ],
)
def test_planned_meterset_is_a_number_or_unusable(number: bytes, planned_mu: float | None) -> None:
    said = metadata(METADATA.replace(b"Original MU:\t107.5", b"Original MU:\t" + number))
    assert (said.planned_mu, said.planned_mu_unusable) == (planned_mu, planned_mu is None)


def test_a_planned_meterset_that_is_not_stated_is_not_unusable() -> None:
    said = companion(COMPANION.replace("Original MU :\t1\r\n", "").encode())
    assert said is not None
    assert (said.planned_mu, said.planned_mu_unusable) == (None, False)
    assert not metadata(b"").planned_mu_unusable


@given(st.binary(max_size=745))
def test_any_metadata_block_is_survived(block: bytes) -> None:
    metadata(block)


@given(st.binary(max_size=2000))
def test_any_companion_is_survived(block: bytes) -> None:
    companion(b"Patient ID:\tX\r\nPlan UID:\t1\r\nLogging Scale :\tIEC\r\n\r\n" + block)


def test_companion() -> None:
    said = companion(COMPANION.encode())
    assert said is not None
    assert (said.identity.patient_id, said.identity.beam_number) == ("X_1", 16)
    assert (said.planned_mu, said.energy) == (1.0, "6x")
    assert said.machine_parameters == {
        "X1 (Cms)": 4.0,
        "Trim (A)": -0.5,
        "Gun Current (A)": 0.6,
    }


@pytest.mark.parametrize(
    ("row", "states"),
    [
        ("Water Level :\tLowWarning", {"Water Level": "LowWarning"}),
        ("Water Level :\tMustermann 7", {}),
        ("Water Level :\t" + "x" * 21, {}),
        ("Operator :\tMustermann", {}),
    ],
)
def test_only_words_of_the_machine_are_taken_over(row: str, states: dict[str, str]) -> None:
    said = companion(COMPANION.replace("Water Level :\tNormal", row).encode())
    assert said is not None
    assert said.machine_states == states


def test_companion_in_latin_1() -> None:
    said = companion(COMPANION.replace("Plan A", "Prüfplan").encode("latin-1"))
    assert said is not None
    assert said.identity.plan_label == "Prüfplan"


@pytest.mark.parametrize(
    "content",
    [b"", b"Patient ID:\tX\r\n", b"hello", small_log()[:HEAD_BYTES], COMPANION.encode("utf-16")],
)
def test_what_is_no_companion(content: bytes) -> None:
    assert not recognize_companion(content)
    assert companion(content) is None


def test_identity_energy_and_parameters_come_from_the_companion(tmp_path: Path) -> None:
    log, text = tmp_path / "1", tmp_path / "2"
    log.write_bytes(small_log())
    text.write_bytes(COMPANION.encode())
    delivery = FORMAT.read(
        NamedFile(log, "X_1_Plan_Arc_20260102030405.bin"),
        [NamedFile(text, "X_1_Plan_Arc_20260102030406.txt")],
    )
    assert delivery.performed_at == datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001
    assert delivery.identity.patient_id == "X_1"
    assert delivery.identity.beam_names == ("Static",)
    assert delivery.energy == "6x"
    assert delivery.machine_parameters["X1 (Cms)"] == 4.0
    assert delivery.planned_mu_source == "companion"
    assert delivery.warnings == ()


def test_a_companion_that_is_none_costs_a_warning(tmp_path: Path) -> None:
    log, text = tmp_path / "1", tmp_path / "2"
    log.write_bytes(small_log())
    text.write_bytes(b"Mustermann")
    for companion_path in (text, tmp_path / "absent"):
        delivery = FORMAT.read(NamedFile(log, "1"), [NamedFile(companion_path, "Mustermann.txt")])
        (warning,) = delivery.warnings
        assert "companion" in warning
        assert "Mustermann" not in warning


def read_planned(folder: Path, content: bytes, companion_mu: str) -> Delivery:
    """A log with a companion of that planned meterset, neither with a name that says anything."""
    log, text = folder / "1", folder / "2"
    log.write_bytes(content)
    text.write_bytes(COMPANION.replace("MU :\t1", f"MU :\t{companion_mu}").encode())
    return FORMAT.read(NamedFile(log, "1"), [NamedFile(text, "2")])


@pytest.mark.parametrize(
    ("record_mu", "companion_mu", "planned_mu", "source"),
    [
        # 1 MU was delivered.
        (1.0, "92", 92.0, "companion"),
        (92.0, "1", 92.0, "sub-beam records"),
        (1.0, "0.5", 0.5, "companion"),
        (0.5, "1.0", 0.5, "sub-beam records"),
        (1.5, "0.4", 0.4, "companion"),
        (1.5, "0.9", 1.5, "sub-beam records"),
        (1.0, "0", 1.0, "sub-beam records"),
        (0.0, "1", 1.0, "companion"),
    ],
)
def test_of_sources_that_disagree_the_one_furthest_from_the_delivered_is_planned(
    record_mu: float, companion_mu: str, planned_mu: float, source: str, tmp_path: Path
) -> None:
    content = patched(small_log(), RECORDS + 4, "f", record_mu)
    delivery = read_planned(tmp_path, content, companion_mu)
    assert (delivery.planned_mu, delivery.planned_mu_source) == (planned_mu, source)
    (warning,) = delivery.warnings
    assert f"companion {companion_mu.removesuffix('.0')}, sub-beam records {record_mu:g}" in warning
    assert "X_1" not in warning


def test_sources_that_agree_cost_no_warning(tmp_path: Path) -> None:
    delivery = read_planned(tmp_path, small_log(), "1.04")
    assert (delivery.planned_mu, delivery.warnings) == (1.04, ())


def test_three_sources_that_disagree(tmp_path: Path) -> None:
    """The metadata say 1 MU, as delivered."""
    content = patched(small_log("4.0"), RECORDS + 4, "f", 1.5)
    delivery = read_planned(tmp_path, content, "0.3")
    assert (delivery.planned_mu, delivery.planned_mu_source) == (0.3, "companion")
    assert "metadata 1, companion 0.3, sub-beam records 1.5" in delivery.warnings[0]


@pytest.mark.parametrize(
    ("companion_mu", "planned_mu", "source"),
    [
        # Two records of 1 MU each, 2 MU delivered.
        ("1", 2.0, "sub-beam records"),
        ("1.04", 2.0, "sub-beam records"),
        ("2", 2.0, "sub-beam records"),
        ("1.96", 2.0, "sub-beam records"),
        ("1.5", 1.5, "companion"),
        ("92", 92.0, "companion"),
        ("0", 2.0, "sub-beam records"),
    ],
)
def test_a_companion_of_several_sub_beams_states_the_first_or_the_sum(
    companion_mu: str, planned_mu: float, source: str, tmp_path: Path
) -> None:
    delivery = read_planned(tmp_path, small_log(beams=2), companion_mu)
    assert (delivery.planned_mu, delivery.planned_mu_source) == (planned_mu, source)
    assert bool(delivery.warnings) == (companion_mu in ("1.5", "92", "0"))


def test_records_of_several_sub_beams_that_are_further_than_the_companion(tmp_path: Path) -> None:
    content = patched(small_log(beams=2), RECORDS + 4, "f", 50.0)
    delivery = read_planned(tmp_path, content, "2")
    assert (delivery.planned_mu, delivery.planned_mu_source) == (51.0, "sub-beam records")
    assert "companion 2, sub-beam records 51" in delivery.warnings[0]


@pytest.mark.parametrize("written", ["300 Gy", "Mustermann", "-5", ""])
def test_a_planned_meterset_that_is_unusable_is_told_without_its_text(
    written: str, tmp_path: Path
) -> None:
    delivery = read_planned(tmp_path, small_log(), written)
    assert (delivery.planned_mu, delivery.planned_mu_source) == (1.0, "sub-beam records")
    assert delivery.warnings == (
        "the planned meterset of the companion is not a number of MU and is left out",
    )


def test_a_planned_meterset_in_the_metadata_that_is_unusable_is_told(tmp_path: Path) -> None:
    content = small_log("4.0")
    assert content.count(b"MU Planned:\t1\r") == 1
    path = tmp_path / "1"
    path.write_bytes(with_crc(content.replace(b"MU Planned:\t1\r", b"MU Planned:\t?\r")))
    (warning,) = read(path).warnings
    assert "metadata" in warning
    assert "?" not in warning


def test_metadata_goes_before_the_companion(tmp_path: Path) -> None:
    log, text = tmp_path / "1", tmp_path / "2"
    log.write_bytes(small_log("4.0"))
    text.write_bytes(COMPANION.encode())
    delivery = FORMAT.read(NamedFile(log, "1"), [NamedFile(text, "2")])
    assert delivery.identity.patient_id == "QA_SIM_1"
    assert delivery.planned_mu_source == "metadata"


@pytest.mark.parametrize(
    ("name", "stamp"),
    [
        ("QA_TB_MORNING_2.Morning QA_4.T3MLCSpeed_20150318072854.bin", (2015, 3, 18, 7, 28, 54)),
        ("x_20150318072854.TXT", (2015, 3, 18, 7, 28, 54)),
        ("20990101000000_x_20150318072854.bin", (2015, 3, 18, 7, 28, 54)),
        ("a\nb_20150318072854.bin", (2015, 3, 18, 7, 28, 54)),
        ("x_20151318072854.bin", None),
        ("x_2015031807285.bin", None),
        ("x_20150318072854.bin.part", None),
        ("Tlog.bin", None),
        ("", None),
    ],
)
def test_time_stamp_at_the_right_of_the_name(name: str, stamp: tuple[int, ...] | None) -> None:
    assert performed(name) == (datetime(*stamp) if stamp else None)  # type: ignore[arg-type]  # noqa: DTZ001
    assert (name_key(name) is None) == (stamp is None)


def test_a_log_and_its_text_have_the_same_prefix_and_near_stamps() -> None:
    log = name_key("QA_TB_1_20150318235959.bin")
    text = name_key("QA_TB_1_20150319000000.txt")
    assert log is not None
    assert text is not None
    assert log[0] == text[0] == "QA_TB_1"
    assert text[1] - log[1] == 1.0


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"T1.1+AF8-PF+AF8-RA\0\0", "T1.1_PF_RA"),
        (b"PF Stat 0", "PF Stat 0"),
        (b"Sch+APY-n", "Schön"),
        (b"A+B-C", "A+B-C"),
        (b"+300-", "+300-"),
        (b"Arc\0rest", "Arc"),
        (b"", ""),
        (b"\xff\xfe", "ÿþ"),
    ],
)
def test_beam_names(raw: bytes, name: str) -> None:
    assert beam_name(raw) == name


def test_identity_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "QA_SIM_1_20260102030405.bin"
    path.write_bytes(small_log("4.0"))
    delivery = read(path)
    assert delivery.identity.patient_id == "QA_SIM_1"
    assert "QA_SIM" not in repr(delivery)
    assert "QA_SIM" not in " ".join(delivery.warnings)
