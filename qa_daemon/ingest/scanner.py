"""The reconciling scan, which is the truth; a hint only makes it look somewhere sooner.

Local folders share one thread.  Every network folder has its own: a share that hangs must not hold
up the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from qa_daemon.ingest.folders import Folder, is_below
from qa_daemon.ingest.intake import Intake
from qa_daemon.ingest.lane import Lane

LOG = logging.getLogger("qa_daemon.ingest")
LONGEST_SLEEP_S = 5.0
DEBOUNCE_S = 0.05
MOST_HINTS = 2000
AFTER_ERROR_S = 1.0


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """How a watched folder is, for the status page."""

    path: str
    machine: str | None
    is_reachable: bool
    last_scan_s_ago: float | None

    def form(self) -> dict[str, object]:
        """For the pages; without the path, since names of folders may identify."""
        return {
            "machine": self.machine,
            "is_reachable": self.is_reachable,
            "last_scan_s_ago": self.last_scan_s_ago,
        }


class Scanner:
    """Finds every file of the watched folders and hands those that have settled to the intake."""

    def __init__(
        self,
        folders: Sequence[Folder],
        intake: Intake,
        *,
        settle_time: float,
        rescan_every: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.folders = tuple(folders)
        self._rescan_every = rescan_every
        self._clock = clock
        known = intake.known()
        shares = [[folder] for folder in folders if folder.is_network]
        local = [folder for folder in folders if not folder.is_network]
        lanes = [Lane(f, intake, known, settle_time, clock) for f in [local, *shares] if f]
        self._loops = [_Loop(lane, rescan_every, clock) for lane in lanes]

    def start(self) -> None:
        """Look everywhere, then go on looking, in the background."""
        for folder in self.folders:
            if folder.is_inbox:  # there before anybody watches it
                Path(folder.path).mkdir(mode=0o700, parents=True, exist_ok=True)
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """End after the file at hand; what has not been taken is found at the next start."""
        for loop in self._loops:
            loop.ask_to_stop()
        for loop in self._loops:
            if loop.is_alive():
                loop.join(timeout=10.0)

    def hint(self, path: str) -> None:
        """Something happened at this path: look there soon."""
        for loop in self._loops:
            if any(path == top or is_below(path, top) for top in loop.lane.folders):
                loop.hint(path)

    def progress(self) -> float:
        """When the scan of local folders last moved on, on the clock given.

        A share that hangs shows in `status`; it is no reason to start the service again.
        """
        local = [loop.moved_at() for loop in self._loops if not loop.is_share()]
        return min(local, default=self._clock())

    def status(self) -> list[FolderStatus]:
        """Every watched folder; one that has not answered for several rounds counts as away."""
        now, found = self._clock(), []
        for loop in self._loops:
            hangs = now - loop.moved_at() > 2 * self._rescan_every + LONGEST_SLEEP_S
            for path, reach in loop.lane.reach.items():
                ago = None if reach.scanned_at is None else now - reach.scanned_at
                machine = loop.lane.folders[path].machine
                found.append(FolderStatus(path, machine, reach.reachable and not hangs, ago))
        return found

    def run_once(self) -> None:
        """One pass over everything in this thread, taking what has settled by now."""
        for loop in self._loops:
            loop.lane.look_everywhere()
            while loop.lane.take_settled():
                pass

    def run_until_settled(self) -> None:
        """Passes in this thread until no file is settling any more; only without `start`."""
        self.run_once()
        for lane in (loop.lane for loop in self._loops):
            while lane.is_waiting():
                due = lane.next_look()
                sleep(max(0.0, (due or 0.0) - self._clock()))
                lane.look_again()
                lane.take_settled()


class _Loop(threading.Thread):
    """The thread of one lane."""

    def __init__(self, lane: Lane, rescan_every: float, clock: Callable[[], float]) -> None:
        super().__init__(name="scan", daemon=True)
        self.lane = lane
        self._rescan_every = rescan_every
        self._clock = clock
        self._woken = threading.Condition()
        self._hints: set[str] = set()
        self._next_pass = clock()

    def hint(self, path: str) -> None:
        with self._woken:
            self._hints.add(path)
            self._woken.notify()

    def ask_to_stop(self) -> None:
        with self._woken:
            self.lane.is_stopping = True
            self._woken.notify()

    def moved_at(self) -> float:
        return self.lane.moved_at

    def is_share(self) -> bool:
        return any(folder.is_network for folder in self.lane.folders.values())

    def run(self) -> None:
        while not self.lane.is_stopping:
            pause = 0.0
            try:
                if not self._round():
                    pause = self._pause()
            except Exception as why:  # noqa: BLE001 - the scan never ends; the store may be full
                LOG.error("a round of the scan failed: %s", type(why).__name__)
                pause = AFTER_ERROR_S
            self.lane.moved_at = self._clock()
            self._sleep(pause)

    def _round(self) -> bool:
        """Look where it is due and take a batch; whether there is more to take at once."""
        with self._woken:
            hints, self._hints = self._hints, set()
        if len(hints) > MOST_HINTS:
            self._next_pass = self._clock()
        if self._clock() >= self._next_pass:
            self.lane.look_everywhere()
            self._next_pass = self._clock() + self._rescan_every
        else:
            for path in hints:
                self.lane.look_at(path)
        self.lane.look_again()
        return self.lane.take_settled()

    def _pause(self) -> float:
        now = self._clock()
        due = self.lane.next_look()
        until = min(self._next_pass, now + LONGEST_SLEEP_S, self._next_pass if due is None else due)
        return max(until - now, 0.0)

    def _sleep(self, pause: float) -> None:
        """Sleep until something is due or a hint comes; hints are gathered for a moment."""
        with self._woken:
            hinted = self._woken.wait_for(lambda: self._hints or self.lane.is_stopping, pause)
        if hinted and not self.lane.is_stopping:
            sleep(DEBOUNCE_S)
