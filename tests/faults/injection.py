"""Faults at every single step: the process ends, or the call fails, at the k-th call of each kind.

In the mode "kill" every later step fails too, as in a process that is no more, so that no clean-up
code can hide a wrong order; a new process then starts on what is on the disk.  In the mode "error"
the one call fails and the same process goes on.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Connection

from qa_daemon.store.store import Store
from tests.ingest.clinic import Clinic

CALLS = ("replace", "fsync", "unlink", "chmod")
STEPS = ("begin", "commit", "committed")
POINTS = {  # to end before a transaction is to end after the one before
    "kill": ("replace", "fsync", "unlink", "commit", "committed"),
    "error": ("replace", "fsync", "unlink", "chmod", "begin", "commit"),
}


class Killed(BaseException):
    """The process is no more."""


class Fault:
    """Strikes at the k-th step of one kind."""

    def __init__(self, point: str, at: int, mode: str) -> None:
        self.point, self.at, self.mode = point, at, mode
        self.count: Counter[str] = Counter()
        self.has_struck = False

    def pass_by(self, point: str) -> None:
        """A step is about to be taken."""
        if self.has_struck and self.mode == "kill":
            raise Killed
        self.count[point] += 1
        if not self.has_struck and point == self.point and self.count[point] == self.at:
            self.has_struck = True
            if self.mode == "kill":
                raise Killed
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    @contextmanager
    def watching(self, store: Store) -> Iterator[None]:
        """Count and strike inside this block."""
        write = store.write

        @contextmanager
        def write_or_die() -> Iterator[Connection]:
            self.pass_by("begin")
            with write() as connection:
                yield connection
                self.pass_by("commit")
            if self.mode == "kill":  # after a commit nothing can fail, the process can only end
                self.pass_by("committed")

        patches = [mock.patch.object(store, "write", write_or_die)]
        patches += [mock.patch.object(os, name, self._or_die(name)) for name in CALLS]
        with patches[0], patches[1], patches[2], patches[3], patches[4]:
            yield

    def _or_die(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(name)
            return real(*args, **kwargs)

        return call


class Story:
    """What arrives, in two chapters, and what has to be there in the end."""

    def __init__(self, top: Path, make: Callable[[Path, Callable[[], float]], Clinic]) -> None:
        self._top, self._make = top, make
        self._now = 1000.0
        self.clinic = make(top, lambda: self._now)

    def restart(self) -> None:
        """A new process on the same disk."""
        self.clinic.store.close()
        self.clinic = self._make(self._top, lambda: self._now)

    def first_chapter(self) -> None:
        """A pair, a side file alone, rubbish, a copy, and something handed over by a command."""
        self.clinic.drop("a_10.bin", b"MAIN 1")
        self.clinic.drop("a_9.txt", b"SIDE one")
        self.clinic.drop("b_10.txt", b"SIDE two")
        self.clinic.drop("rubbish.dat", b"rubbish")
        self.clinic.drop("copy/c_1.bin", b"MAIN 3")
        entry = self.clinic.site.state_dir / "inbox" / "1"
        entry.mkdir(parents=True)
        (entry / ".origin.json").write_text('{"folder": "/usb", "machine": null}')
        (entry / "d_1.bin").write_bytes(b"MAIN 3")
        (entry / "e_1.bin").write_bytes(b"MAIN 4")

    def second_chapter(self) -> None:
        """A main file that was missing, a file with new content, and the same content again."""
        self.clinic.drop("b_11.bin", b"MAIN 2")
        self.clinic.drop("a_10.bin", b"MAIN 5")
        self.clinic.drop("rubbish.dat", b"rubbish")

    def work(self) -> None:
        """Take in and judge, in this thread, as often as a fault may need."""
        dispatcher: Any = self.clinic.dispatcher
        for _ in range(4):
            self._now += 5.0
            with suppress(Exception):  # the threads of scanner and dispatcher go on as well
                self.clinic.scanner.run_once()
            with suppress(Exception):
                while (group := dispatcher._pick()) is not None:
                    try:
                        dispatcher._process(group)
                    finally:
                        dispatcher._let_go(group)

    def end(self) -> tuple[object, ...]:
        """All that is to be compared with a run without faults."""
        # Which of two equal files came first is a matter of chance.
        rows = sorted((_original(name), state) for name, state in self.clinic.rows())
        said = sorted(((_original(n), r) for n, r in self.clinic.active().items()), key=str)
        inbox = self.clinic.site.state_dir / "inbox"
        return rows, said, sorted(p.name for p in inbox.rglob("*"))


def tell(story: Story, fault: Fault | None) -> None:
    """Both chapters; the fault strikes somewhere in them, and life goes on after it."""
    for begin in (story.first_chapter, story.second_chapter):
        begin()
        if fault is None or fault.has_struck:
            story.work()
            continue
        try:
            with fault.watching(story.clinic.store):
                story.work()
        except Killed:
            story.restart()
        story.work()
    story.clinic.assert_sound()


def strike_everywhere(
    top: Path,
    mode: str,
    make: Callable[[Path, Callable[[], float]], Clinic],
    points: Sequence[str] = (),
) -> Iterator[str | None]:
    """Each point in turn: its name when the end was not that of a run without faults, else None."""
    (top / "calm").mkdir()
    calm = Story(top / "calm", make)
    tell(calm, None)
    expected = calm.end()
    calm.clinic.store.close()
    for point in points or POINTS[mode]:
        for at in count(1):
            folder = top / f"{point}-{at}"
            folder.mkdir()
            story, fault = Story(folder, make), Fault(point, at, mode)
            try:
                tell(story, fault)
                is_sound = story.end() == expected
            except Exception:  # noqa: BLE001 - whatever goes wrong is a finding
                is_sound = False
            story.clinic.store.close()
            if not fault.has_struck:
                break
            yield None if is_sound else f"{point} {at}"


def _original(name: str) -> str:
    return "copy" if name in ("c_1.bin", "d_1.bin") else name
