"""File events are a hint: watched, supervised, rebuilt, and never needed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qa_daemon.ingest import watch
from qa_daemon.ingest.folders import Folder, Mount
from qa_daemon.ingest.watch import Watcher
from tests.ingest.clinic import Clinic

PATIENCE_S = 10.0


class Hints:
    """Collects what the watcher tells."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, path: str) -> None:
        self.paths.append(path)

    def until(self, condition: Callable[[list[str]], bool]) -> None:
        begin = time.monotonic()
        while not condition(self.paths):
            assert time.monotonic() - begin < PATIENCE_S, self.paths
            time.sleep(0.01)


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture(params=[False, True], ids=["events", "polling"])
def watcher(
    request: pytest.FixtureRequest, tmp_path: Path, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watcher]:
    monkeypatch.setattr(watch, "POLL_S", 0.05)
    monkeypatch.setattr(watch, "REBUILD_AFTER_S", 0.0)
    (tmp_path / "in").mkdir()
    made = Watcher(
        [Folder(str(tmp_path / "in"), "TB1", is_network=request.param)], hints, mounts=[]
    )
    assert made.check() == 1
    yield made
    made.stop()


def threads_of(watcher: Watcher) -> list[Any]:
    observer: Any = watcher._watches[0]._observer
    return [observer, *observer.emitters]


def test_a_new_file_is_told(watcher: Watcher, hints: Hints, tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.bin"
    path.write_bytes(b"x")
    hints.until(lambda paths: str(path) in paths)


def test_a_renamed_file_is_told_by_its_new_name(
    watcher: Watcher, hints: Hints, tmp_path: Path
) -> None:
    part = tmp_path / "in" / "a.part"
    part.write_bytes(b"x")
    hints.until(lambda paths: str(part) in paths)
    part.rename(tmp_path / "in" / "a.bin")
    hints.until(lambda paths: str(tmp_path / "in" / "a.bin") in paths)


def test_a_name_that_is_no_utf8_is_told(watcher: Watcher, hints: Hints, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/in/\xff.bin")
    Path(path).write_bytes(b"x")
    hints.until(lambda paths: path in paths)


def test_a_dead_emitter_is_rebuilt(watcher: Watcher, hints: Hints, tmp_path: Path) -> None:
    emitter = threads_of(watcher)[1]
    emitter.stop()
    emitter.join(PATIENCE_S)
    assert threads_of(watcher)[0].is_alive()  # which is why the observer's word is not enough
    (tmp_path / "in" / "meanwhile.bin").write_bytes(b"x")
    hints.paths.clear()
    assert watcher.check() == 1
    assert str(tmp_path / "in") in hints.paths  # look through the folder for what was missed
    path = tmp_path / "in" / "b.bin"
    path.write_bytes(b"x")
    hints.until(lambda paths: str(path) in paths)
    assert watcher.check() == 0


def test_a_root_that_goes_and_comes_is_watched_again(
    watcher: Watcher, hints: Hints, tmp_path: Path
) -> None:
    (tmp_path / "in").rename(tmp_path / "away")
    time.sleep(0.2)
    assert watcher.check() == 0
    (tmp_path / "in").mkdir()  # another folder of the same name, as after a new mount
    assert watcher.check() == 1
    path = tmp_path / "in" / "b.bin"
    path.write_bytes(b"x")
    hints.until(lambda paths: str(path) in paths)


def test_the_supervision_runs_by_itself(watcher: Watcher, tmp_path: Path, hints: Hints) -> None:
    watcher.start()
    for thread in threads_of(watcher)[1:]:
        thread.stop()
    hints.until(lambda paths: paths.count(str(tmp_path / "in")) >= 2)


def test_a_share_below_a_local_folder_is_polled(tmp_path: Path, hints: Hints) -> None:
    (tmp_path / "share").mkdir()
    folder = Folder(str(tmp_path), "TB1")
    made = Watcher([folder], hints, mounts=[Mount(str(tmp_path / "share"), "cifs")])
    assert made.check() == 2
    kinds = {type(w._observer).__name__ for w in made._watches}
    assert kinds == {"InotifyObserver", "PollingObserver"}
    made.stop()


def test_from_the_last_byte_to_the_archive_takes_the_settle_time_and_little_more(
    tmp_path: Path,
) -> None:
    clinic = Clinic(tmp_path, settle_time=1.0)
    watcher = Watcher(clinic.scanner.folders, clinic.scanner.hint)
    watcher.start()
    clinic.scanner.start()
    time.sleep(0.5)
    took = []
    for number in range(2):
        with (clinic.incoming / f"a_{number}.bin").open("wb", buffering=0) as stream:
            for _ in range(4):
                stream.write(b"MAIN %d " % number)
                last_byte = time.monotonic()
                time.sleep(0.1)
        while len(clinic.rows()) <= number:
            time.sleep(0.005)
        took.append(time.monotonic() - last_byte)
    watcher.stop()
    clinic.close()
    assert min(took) >= 1.0
    assert min(took) <= 1.0 + 0.3  # one may be late on a busy computer
