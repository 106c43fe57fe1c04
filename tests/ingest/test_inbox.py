"""Files that a command hands over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.clinic import Clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path, settle_time=3600.0)
    yield made
    made.close()


def hand_over(clinic: Clinic, name: str, files: dict[str, bytes], machine: str | None) -> Path:
    """What `qa-daemon ingest` does."""
    part = clinic.top / "part"
    part.mkdir()
    (part / ".origin.json").write_text(json.dumps({"folder": "/usb/logs", "machine": machine}))
    for file, content in files.items():
        (part / file).write_bytes(content)
    entry = clinic.site.state_dir / "inbox" / name
    entry.parent.mkdir(exist_ok=True)
    part.rename(entry)
    return entry


def test_is_taken_at_once_under_its_original_path(clinic: Clinic) -> None:
    entry = hand_over(clinic, "1", {"a_1.bin": b"MAIN 1", "a_2.txt": b"SIDE x", ".b": b""}, "TB1")
    clinic.process()
    assert clinic.active() == {"a_1.bin": (None, 1.0, "SIDE x"), ".b": ("EMPTY",)}
    (result,) = [r for r in clinic.queries.results_since() if r.error_code is None]
    assert result.path == "/usb/logs/a_1.bin"
    assert result.machine == "TB1"
    assert not entry.exists()


def test_the_same_file_again_changes_nothing(clinic: Clinic) -> None:
    for name in ("1", "2"):
        hand_over(clinic, name, {"a_1.bin": b"MAIN 1"}, None)
        clinic.process()
    assert clinic.rows() == [("a_1.bin", "done")]
    assert list((clinic.site.state_dir / "inbox").iterdir()) == []


def test_what_a_killed_run_left_in_the_inbox_is_cleared(clinic: Clinic) -> None:
    inbox = clinic.site.state_dir / "inbox"
    hand_over(clinic, "1", {"a_1.bin": b"MAIN 1"}, None)
    clinic.process()
    (inbox / "empty").mkdir()
    hand_over(clinic, "2", {}, None)
    clinic.process()
    assert list(inbox.iterdir()) == []


def test_a_file_put_there_by_hand_follows_the_settle_rule(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, settle_time=0.05)
    for name in ("a_1.bin", "folder/b_1.bin"):
        path = clinic.site.state_dir / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"MAIN " + name[-7:-6].encode().hex().encode())
    clinic.process()
    assert clinic.states() == {"a_1.bin": "done", "b_1.bin": "done"}
    clinic.close()
