"""File events as a hint: they make the scan look sooner, and nothing depends on them.

Every folder has its own observer, which is built anew when one of its threads has died, when the
folder became another one (a share that went and came), or when it could not be built before.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from qa_daemon.ingest.folders import Folder, Mount, network_parts, read_mounts

LOG = logging.getLogger("qa_daemon.ingest")
POLL_S = 5.0
CHECK_EVERY_S = 1.0
REBUILD_AFTER_S = 10.0
EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Watcher:
    """Hands the paths of file events to the scan."""

    def __init__(
        self,
        folders: Sequence[Folder],
        hint: Callable[[str], None],
        *,
        mounts: Iterable[Mount] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        known = list(read_mounts() if mounts is None else mounts)
        tops: dict[str, bool] = {}
        for folder in folders:
            tops[folder.path] = folder.is_network
            tops |= dict.fromkeys(network_parts(folder, known), True)
        self._watches = [_Watch(top, is_network, hint) for top, is_network in tops.items()]
        self._clock = clock
        self._not_before: dict[str, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="watch", daemon=True)

    def start(self) -> None:
        """Watch, and see to it that watching goes on."""
        self._thread.start()

    def stop(self) -> None:
        """End all observers."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        for watch in self._watches:
            watch.stop()

    def check(self) -> int:
        """Build every observer that is not sound anew; how many were built."""
        built = 0
        for watch in self._watches:
            now = self._clock()
            if watch.is_sound() or now < self._not_before.get(watch.top, now):
                continue
            watch.stop()
            if watch.start():
                built += 1
                self._not_before.pop(watch.top, None)
            else:
                self._not_before[watch.top] = now + REBUILD_AFTER_S
        return built

    def _supervise(self) -> None:
        while not self._ending.is_set():
            try:
                self.check()
            except Exception as why:  # noqa: BLE001 - the scan finds every file without us
                LOG.error("file events cannot be watched: %s", type(why).__name__)
            self._ending.wait(CHECK_EVERY_S)


@dataclass(frozen=True, slots=True)
class _Identity:
    """Which folder it is, whatever its name."""

    device: int
    inode: int


class _Watch(FileSystemEventHandler):
    """One observer of one folder with everything below it."""

    def __init__(self, top: str, is_network: bool, hint: Callable[[str], None]) -> None:
        self.top = top
        self._is_network = is_network
        self._hint = hint
        self._observer: BaseObserver | None = None
        self._identity: _Identity | None = None
        self._is_told = False

    def start(self) -> bool:
        """Begin; False when the folder is not there or the system allows no more watches."""
        identity = _identity(self.top)
        if identity is None:
            return False
        observer = PollingObserver(timeout=POLL_S) if self._is_network else Observer()
        try:
            observer.schedule(self, self.top, recursive=True, event_filter=EVENTS)
            observer.start()
        except Exception as why:  # noqa: BLE001 - no watches left, or the folder went away again
            if not self._is_told:
                LOG.warning("no file events, the scan alone finds files: %s", type(why).__name__)
            self._is_told = True
            _end(observer)
            return False
        self._observer, self._identity, self._is_told = observer, identity, False
        self._hint(self.top)  # what came before the observer was ready raised no event
        return True

    def stop(self) -> None:
        """End the observer."""
        if self._observer is not None:
            _end(self._observer)
        self._observer = None

    def is_sound(self) -> bool:
        """Whether all threads live and still watch the folder of that name."""
        observer = self._observer
        if observer is None or not observer.is_alive() or not observer.emitters:
            return False
        # An observer says it lives when the thread that reads the events, or an emitter, does not.
        reader = getattr(observer, "_inotify_fd", None)
        threads = [*observer.emitters, *([reader] if reader is not None else [])]
        return all(t.is_alive() for t in threads) and _identity(self.top) == self._identity

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Tell the scan where to look."""
        path = getattr(event, "dest_path", "") or event.src_path
        if path:
            self._hint(os.fsdecode(path))


def _identity(top: str) -> _Identity | None:
    try:
        status = os.stat(top)  # noqa: PTH116
    except OSError:
        return None
    return _Identity(status.st_dev, status.st_ino)


def _end(observer: BaseObserver) -> None:
    observer.stop()
    if observer.is_alive():
        observer.join(timeout=5.0)
