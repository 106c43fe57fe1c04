"""Pseudonyms: the same for the same patient, and only with the site's key."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert

from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.schema import patients
from qa_daemon.store.store import StoreError
from tests.store.stores import TestStore


@pytest.fixture
def stored(tmp_path: Path) -> TestStore:
    return TestStore(tmp_path)


def with_a_patient(stored: TestStore, name: str) -> None:
    file = stored.arrive("a.bin")
    result = stored.judge(file, 0.1)
    with stored.store.write() as connection:
        row = {"pseudonym": name, "result": result, "point_ns": 1}
        connection.execute(insert(patients).values(**row))


def test_the_same_patient_has_the_same_name_after_a_restart(
    stored: TestStore, tmp_path: Path
) -> None:
    first = Pseudonyms(tmp_path, stored.store)
    name = first.of("Id 1")
    assert name is not None and name.startswith("P-") and "id" not in name.casefold()[2:4]
    with_a_patient(stored, name)
    assert Pseudonyms(tmp_path, stored.store).of(" iD1") == name != first.of("id 2")
    assert (first.of(None), first.of("  ")) == (None, None)
    assert (tmp_path / "pseudonym.key").stat().st_mode & 0o777 == 0o600


def test_another_site_gives_another_name(stored: TestStore, tmp_path: Path) -> None:
    other = TestStore(tmp_path / "other")
    assert Pseudonyms(tmp_path, stored.store).of("id") != Pseudonyms(
        tmp_path / "other", other.store
    ).of("id")


@pytest.mark.parametrize("fault", ["gone", "short", "open"])
def test_a_key_that_is_gone_or_not_fit_refuses_to_start(
    stored: TestStore, tmp_path: Path, fault: str
) -> None:
    with_a_patient(stored, Pseudonyms(tmp_path, stored.store).of("id") or "")
    key = tmp_path / "pseudonym.key"
    if fault == "gone":
        key.unlink()
    elif fault == "short":
        key.write_bytes(b"x")
    else:
        key.chmod(0o640)
    with pytest.raises(StoreError, match=r"pseudonym\.key"):
        Pseudonyms(tmp_path, stored.store)
