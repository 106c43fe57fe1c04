"""When a file counts as finished, what is ignored, and how names are written."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_daemon.ingest.names import as_text, is_ignored
from qa_daemon.ingest.settle import EMPTY_AFTER_S, Look, Waiting, pause_between_looks

LOOK = Look(size=10, mtime_ns=1, ctime_ns=2, inode=3)


def test_settles_when_it_stayed_the_same_for_the_settle_time() -> None:
    waiting = Waiting(LOOK, since=100.0).looked_at(LOOK, 104.0)
    assert waiting.settles_at(5.0) == 105.0


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_any_change_starts_the_wait_again(field: str) -> None:
    changed = replace(LOOK, **{field: 99})
    assert Waiting(LOOK, since=100.0).looked_at(changed, 104.0).settles_at(5.0) == 109.0


def test_a_file_without_a_byte_is_given_a_minute() -> None:
    assert Waiting(replace(LOOK, size=0), since=100.0).settles_at(5.0) == 100.0 + EMPTY_AFTER_S


@pytest.mark.parametrize(("settle", "pause"), [(0.0, 0.1), (2.0, 0.5), (60.0, 1.0)])
def test_looks_are_a_quarter_of_the_settle_time_apart_within_bounds(
    settle: float, pause: float
) -> None:
    assert pause_between_looks(settle) == pause


IGNORED = ["a.tmp", "a.bin.PART", "a.filepart", "a.crdownload", "~$a.doc"]
SYSTEM = [".DS_Store", "Thumbs.db", ".nfs0001", ".hidden"]


@pytest.mark.parametrize("name", [*IGNORED, *SYSTEM])
def test_unfinished_and_system_files_are_ignored(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize("name", ["a.bin", "a.part.bin", "tmp", "part", "x.", "-a", "CON.bin"])
def test_other_names_are_not_ignored(name: str) -> None:
    assert not is_ignored(name)


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_different_paths_stay_different_as_text(raw: list[bytes]) -> None:
    one, other = (as_text(os.fsdecode(path)) for path in raw)
    assert one != other
    assert one.encode("utf-8").decode("utf-8") == one  # valid text, whatever the bytes


def test_a_plain_name_stays_as_it_is() -> None:
    assert as_text("/in/Müller 1.bin") == "/in/Müller 1.bin"
    assert as_text(os.fsdecode(b"/in/\xe9.bin")) == "/in/\\xe9.bin"
