"""One thread's share of the watched folders: look, wait until files settle, take them in.

What is known of a file is its fingerprint; a file that looks different from it is waited for and
taken.  Nothing here depends on events: a lane that is asked to look everywhere finds everything.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qa_daemon.ingest import inbox
from qa_daemon.ingest.folders import Folder, is_below
from qa_daemon.ingest.intake import Found, Intake, fingerprint, found_at
from qa_daemon.ingest.names import is_ignored
from qa_daemon.ingest.settle import Look, Waiting, pause_between_looks
from qa_daemon.ingest.walk import GONE, device_of, files_below
from qa_daemon.store.archive import Forbidden, Unsettled
from qa_daemon.store.ledger import Arrival, Fingerprint

LOG = logging.getLogger("qa_daemon.ingest")
BATCH = 64
BATCH_S = 0.5
LONGEST_PAUSE_S = 300.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(slots=True)
class Candidate:
    """A file that is not known as it is now."""

    found: Found
    waiting: Waiting
    seen_at: float
    is_complete: bool = False
    failures: int = 0
    not_before: float = 0.0

    def ready_at(self, settle_time: float) -> float:
        """When it may be taken if it stays as it is."""
        if self.is_complete:
            return self.not_before
        return max(self.waiting.settles_at(settle_time), self.not_before)

    def put_off(self, now: float) -> None:
        """After a failure that is not the file's fault: again later, each time twice as late."""
        self.failures += 1
        self.not_before = now + min(2.0 ** (self.failures - 1), LONGEST_PAUSE_S)


@dataclass(slots=True)
class Reach:
    """Whether a watched folder and all in it answers, and when it was last looked through."""

    reachable: bool = True
    scanned_at: float | None = None
    device: int | None = None


class Lane:
    """The files of some watched folders; used by one thread at a time."""

    def __init__(
        self,
        folders: Sequence[Folder],
        intake: Intake,
        known: dict[str, Fingerprint],
        settle_time: float,
        clock: Callable[[], float],
    ) -> None:
        self.folders = {folder.path: folder for folder in folders}
        self.reach = {folder.path: Reach() for folder in folders}
        self.moved_at = clock()
        self.is_stopping = False
        self._intake = intake
        self._known = known
        self._settle_time = settle_time
        self._clock = clock
        self._waiting: dict[str, Candidate] = {}
        self._forbidden: set[str] = set()

    # -- looking ---------------------------------------------------------------------------------

    def look_everywhere(self) -> None:
        """Look at every file of every folder."""
        for folder in self.folders.values():
            self._look_through(folder)
        self._look_at_forbidden()

    def look_at(self, path: str) -> None:
        """Look at what an event named: a file, or a folder with everything below it."""
        folder = self._folder_of(path)
        if folder is None:
            return
        if folder.is_inbox and path != folder.path:
            self._look_at_entry(path, folder)
            return
        if path == folder.path:
            self._look_through(folder)
            return
        if any(is_ignored(part) for part in path[len(folder.path) :].split("/") if part):
            return
        try:
            status = os.lstat(path)
        except OSError:
            return  # gone again, or the next pass will tell
        if stat.S_ISDIR(status.st_mode):
            self._look_below(path, folder)
        elif stat.S_ISREG(status.st_mode):
            self._see(found_at(path, folder.machine), status)

    def look_again(self) -> None:
        """Look at the files that are waited for, each on its own."""
        pause = pause_between_looks(self._settle_time)
        for source, candidate in list(self._waiting.items()):
            now = self._clock()
            if now < candidate.not_before or (
                now < candidate.seen_at + pause and now < candidate.ready_at(self._settle_time)
            ):
                continue
            try:
                status = os.lstat(source)
            except OSError as why:
                if why.errno in GONE:
                    del self._waiting[source]
                else:
                    candidate.put_off(self._clock())
                continue
            if stat.S_ISREG(status.st_mode):
                self._see(candidate.found, status, is_complete=candidate.is_complete)
            else:
                del self._waiting[source]

    def next_look(self) -> float | None:
        """When a file that is waited for has to be looked at again; None when there is none."""
        if not self._waiting:
            return None
        now = self._clock()
        step = now + pause_between_looks(self._settle_time)
        ready = min(c.ready_at(self._settle_time) for c in self._waiting.values())
        due = min(max(c.not_before, step) for c in self._waiting.values())
        return min(max(ready, now), due)

    def is_waiting(self) -> bool:
        """Whether a file still has to settle; not counting those that failed or are empty."""
        return any(
            c.failures == 0 and (c.is_complete or c.waiting.look.size > 0)
            for c in self._waiting.values()
        )

    # -- taking ----------------------------------------------------------------------------------

    def take_settled(self) -> bool:
        """Take in the files that have settled, a batch at most; whether more are ready.

        Files of one batch enter the ledger at once: those that belong together are next to each
        other by name, so nobody sees one without the other.
        """
        ready = sorted(
            (c for c in self._waiting.values() if c.seen_at >= c.ready_at(self._settle_time)),
            key=lambda c: c.found.path,
        )
        until = self._clock() + BATCH_S
        batch: list[tuple[Candidate, Arrival]] = []
        tried = 0
        for candidate in ready:
            if len(batch) >= BATCH or self._clock() > until or self.is_stopping:
                break
            tried += 1
            self.moved_at = self._clock()
            try:
                batch.append((candidate, self._take(candidate)))
            except Unsettled:
                candidate.waiting = Waiting(candidate.waiting.look, self._clock())
            except OSError as why:
                self._failed(candidate, why)
                if why.errno in FULL:
                    for other in ready[tried:]:
                        other.put_off(self._clock())
                    break
        self._enter(batch)
        return tried < len(ready)

    def _take(self, candidate: Candidate) -> Arrival:
        found, look = candidate.found, candidate.waiting.look
        try:
            return self._intake.take(found, look)
        except Forbidden:
            self._forbidden.add(found.source)
            return self._intake.without_bytes(found, look)

    def _enter(self, batch: list[tuple[Candidate, Arrival]]) -> None:
        try:
            self._intake.enter([arrival for _, arrival in batch])
        except Exception:
            for candidate, _ in batch:
                candidate.put_off(self._clock())
            raise
        for candidate, arrival in batch:
            self._known[arrival.fingerprint.path] = arrival.fingerprint
            self._waiting.pop(candidate.found.source, None)
            if candidate.is_complete:
                inbox.remove(candidate.found.source)

    def _failed(self, candidate: Candidate, why: OSError) -> None:
        if why.errno in GONE:
            self._waiting.pop(candidate.found.source, None)
            return
        if candidate.failures == 0:
            LOG.warning("a file could not be taken in and is tried again: %s", why.strerror)
        candidate.put_off(self._clock())

    # -- what is there ---------------------------------------------------------------------------

    def _look_through(self, folder: Folder) -> None:
        reach = self.reach[folder.path]
        try:
            reach.device = device_of(folder.path, reach.device)
            if folder.is_inbox:
                faults = self._look_through_inbox(folder)
            else:
                faults = self._look_below(folder.path, folder)
        except OSError as why:
            if folder.is_inbox and why.errno == errno.ENOENT:
                return
            faults = {str(why.strerror)}
        if faults:
            if reach.reachable:
                LOG.warning(
                    "a watched folder cannot be reached machine=%s: %s",
                    folder.machine,
                    ", ".join(sorted(faults)),
                )
            reach.reachable = False
            return
        if not reach.reachable:
            LOG.info("a watched folder can be reached again machine=%s", folder.machine)
        reach.reachable, reach.scanned_at = True, self._clock()

    def _look_at_entry(self, path: str, folder: Folder) -> None:
        """Look at the entry that a path is in, alone: the inbox may hold thousands."""
        top = f"{folder.path}/{path[len(folder.path) + 1 :].partition('/')[0]}"
        try:
            entry = inbox.entry(top)
        except OSError:
            return  # taken meanwhile
        if entry is None:
            self._look_through(folder)
        else:
            self._see_entry(entry)

    def _see_entry(self, entry: inbox.Entry) -> None:
        for found in entry.files:
            try:
                status = os.lstat(found.source)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                self._see(found, status, is_complete=True)
        inbox.tidy(entry.path)

    def _look_through_inbox(self, folder: Folder) -> set[str]:
        faults: set[str] = set()
        for entry in inbox.entries(folder.path):
            self._see_entry(entry)
        for source, status in files_below(folder.path, (), faults):
            if not inbox.is_entry(source.rpartition("/")[0]):
                self._see(found_at(source, None), status)
        return faults

    def _look_below(self, top: str, folder: Folder) -> set[str]:
        """See every file; why some folders could not be listed."""
        faults: set[str] = set()
        for source, status in files_below(top, folder.apart, faults):
            if self.is_stopping:
                break
            self.moved_at = self._clock()
            self._see(found_at(source, folder.machine), status)
        return faults

    def _see(self, found: Found, status: os.stat_result, *, is_complete: bool = False) -> None:
        look, now = Look.of(status), self._clock()
        if self._known.get(found.path) == fingerprint(found, look):
            self._waiting.pop(found.source, None)
            if is_complete:
                inbox.remove(found.source)
            return
        candidate = self._waiting.get(found.source)
        if candidate is None:
            self._waiting[found.source] = Candidate(found, Waiting(look, now), now, is_complete)
            return
        candidate.seen_at = now
        waiting = candidate.waiting.looked_at(look, now)
        if waiting is not candidate.waiting:
            candidate.waiting, candidate.failures, candidate.not_before = waiting, 0, 0.0

    def _look_at_forbidden(self) -> None:
        """A share may allow reading again without any change to the file."""
        for source in list(self._forbidden):
            if os.access(source, os.R_OK, effective_ids=True):
                self._forbidden.discard(source)
                self._known.pop(found_at(source, None).path, None)

    def _folder_of(self, path: str) -> Folder | None:
        holding = [f for f in self.folders.values() if path == f.path or is_below(path, f.path)]
        return max(holding, key=lambda f: len(f.path), default=None)
