"""From the queue to a result: files are handed to the pipeline, each group to one thread.

Nothing is remembered here but what is being worked on: what is queued is read from the ledger, so a
restart, a release and a late side file all come the same way.  A fault that is not the file's is
tried again for ever; a bug costs its own file and is put into quarantine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from analyzers.catalogue import Catalogue
from qa_daemon.ingest import refusals
from qa_daemon.ingest.pairing import Pairing
from qa_daemon.ingest.refusals import is_passing, place_of
from qa_daemon.model import State, Verdict
from qa_daemon.pipeline import MOST_CRASHES, Pipeline
from qa_daemon.store.ledger import Group, Ledger, LedgerFile

LOG = logging.getLogger("qa_daemon.ingest")
PAGE = 50
IDLE_S = 1.0
WAITING_EVERY_S = 1.0
"""So often what has waited long enough is looked for, however much is queued."""
LONGEST_PAUSE_S = 300.0
STOP_WITHIN_S = 5.0
PARTNER_WITHIN_S = 30.0
"""So long half a record waits for its other file; then it is refused, until that file comes."""


class Dispatcher:
    """Processes queued files on a few threads."""

    def __init__(
        self,
        ledger: Ledger,
        pipeline: Pipeline,
        *,
        threads: int,
        catalogue: Catalogue,
        clock: Callable[[], float] = monotonic,
        partner_within: float = PARTNER_WITHIN_S,
    ) -> None:
        self._ledger = ledger
        self._pipeline = pipeline
        self._pairing = Pairing(ledger, catalogue)
        self._clock = clock
        self._picking = threading.Condition()
        self._in_flight: set[int] = set()
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._partner_within = partner_within
        self._partner_until: dict[int, float] = {}
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"dispatch-{n}", daemon=True)
            for n in range(threads)
        ]
        self._picked_at = clock()
        self._waiting_at = clock()

    def start(self) -> None:
        """Process what is queued, now and from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more; what does not end soon stays queued and is done after the next start."""
        with self._picking:
            self._stopping = True
            self._picking.notify_all()
        self._ledger.wake()
        until = monotonic() + STOP_WITHIN_S
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=max(0.0, until - monotonic()))

    def progress(self) -> float:
        """When a thread last looked for work; what runs has its own time limit."""
        with self._picking:
            return self._clock() if self._in_flight else self._picked_at

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until nothing is queued; False when the time was over before."""
        until = None if timeout is None else monotonic() + timeout
        with self._picking:
            while self._in_flight or self._ledger.queued(1):
                if self._stopping or (until is not None and monotonic() >= until):
                    return False
                self._picking.wait(0.05)
        return True

    def _work(self) -> None:
        seen = -1
        while not self._stopping:
            group = None
            try:
                seen = self._ledger.wait_for_change(seen, 0.0)
                if self._is_time_for_waiting():
                    self._pipeline.end_waiting()
                group = self._pick()
                if group is None:
                    self._pipeline.end_waiting()
                    self._ledger.wait_for_change(seen, IDLE_S)
                    continue
                self._process(group)
            except Exception as why:  # noqa: BLE001 - the threads never end; the store may be full
                LOG.error("the queue cannot be worked on: %s at %s", *place_of(why))
                if group is None:
                    self._rest()
                else:
                    self._put_off(group.main)
            finally:
                if group is not None:
                    self._let_go(group)

    def _is_time_for_waiting(self) -> bool:
        """Whether this thread is to look now for what has waited long enough."""
        with self._picking:
            if self._clock() < self._waiting_at + WAITING_EVERY_S:
                return False
            self._waiting_at = self._clock()
            return True

    def _pick(self) -> Group | None:
        """The oldest queued group of which no file is being worked on."""
        with self._picking:
            self._picked_at = self._clock()
            beyond = 0
            while files := self._ledger.queued(PAGE, beyond):
                for file in files:
                    beyond = file.id
                    if file.id in self._in_flight or self._is_put_off(file):
                        continue
                    group = self._pairing.group_of(file)
                    if group.ids & self._in_flight or self._is_put_off(group.main):
                        continue
                    if self._awaits_partner(group):
                        continue
                    self._pairing.queue(group)
                    self._in_flight |= group.ids
                    return group
        return None

    def _process(self, group: Group) -> None:
        started, main = self._clock(), group.main
        try:
            result = self._judge(group)
        except Exception as why:  # noqa: BLE001 - a bug costs its own file alone
            if self._stopping or not self._is_unchanged(group):
                return  # a file of the group was revised meanwhile, and that is queued
            if is_passing(why):
                LOG.warning("file not judged yet file=%d: %s at %s", main.id, *place_of(why))
                self._put_off(main)
                return
            LOG.error("our error on a file file=%d: %s at %s", main.id, *place_of(why))
            result = self._blame(group, why)
        if result is None and self._ledger.file(main.id).state is State.QUEUED:
            self._put_off(main)
            return
        self._failures.pop(main.id, None)
        if result is None:
            LOG.info("file is here already file=%d content=%s", main.id, main.sha256[:8])
            return
        self._tell(main, result, self._clock() - started)

    def _judge(self, group: Group) -> int | None:
        """The result's id; None when the file has to be tried again."""
        if not self._pipeline.archive.holds(group.main.sha256):
            report = refusals.without_bytes(group.main, self._pipeline.site)
            return refusals.save(self._pipeline, group, report)
        return self._pipeline.process(group)

    def _blame(self, group: Group, why: Exception) -> int | None:
        if self._ledger.crashed(group.main) < MOST_CRASHES:
            return None
        return refusals.save(self._pipeline, group, refusals.bug(why))

    def _is_unchanged(self, group: Group) -> bool:
        if self._ledger.file(group.main.id).state is not State.QUEUED:
            return False
        states = [self._ledger.file(companion.id).state for companion in group.others]
        return State.REPLACED not in states and State.DUPLICATE not in states

    def _tell(self, file: LedgerFile, result: int, seconds: float) -> None:
        said = self._ledger.summary(result)
        LOG.info(
            "file judged file=%d content=%s machine=%s format=%s verdict=%s code=%s ms=%.0f",
            file.id,
            file.sha256[:8],
            said.machine,
            said.format,
            "none" if said.verdict is None else Verdict(said.verdict).name,
            said.error_code,
            1000.0 * seconds,
        )

    def _put_off(self, file: LedgerFile) -> None:
        """Again later: at once after the first failure, then each time twice as late."""
        failures = self._failures.get(file.id, 0)
        self._failures[file.id] = failures + 1
        pause = min(2.0 ** (failures - 1), LONGEST_PAUSE_S) if failures else 0.0
        self._not_before[file.id] = self._clock() + pause

    def _is_put_off(self, file: LedgerFile) -> bool:
        until = self._not_before.get(file.id)
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self._not_before[file.id]
        return False

    def _awaits_partner(self, group: Group) -> bool:
        """Two files that are a record only together are copied one after the other."""
        if not self._pairing.is_half(group):
            self._partner_until.pop(group.main.id, None)
            return False
        now = self._clock()
        until = self._partner_until.setdefault(group.main.id, now + self._partner_within)
        if now < until:
            return True
        del self._partner_until[group.main.id]
        return False

    def _rest(self) -> None:
        with self._picking:
            self._picking.wait_for(lambda: self._stopping, IDLE_S)

    def _let_go(self, group: Group) -> None:
        with self._picking:
            self._in_flight -= group.ids
            self._picking.notify_all()
