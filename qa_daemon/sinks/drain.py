"""Draining the outbox into a sink: in order, for ever, and without holding up anything else."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from qa_daemon.store.outbox import Item, Outbox
from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.store import Store

LOG = logging.getLogger(__name__)
IDLE_S = 0.5
"""Another process may fill the outbox, so it is looked at even when nothing was heard."""
Batch = list[tuple[Item, StoredResult | None]]


class SinkError(Exception):
    """A sink did not take results.  The message holds no secret and no address."""


class Unreachable(SinkError):  # noqa: N818 - an answer
    """It will pass: no answer, overload, an error of the server's own."""

    def __init__(self, why: str, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class Misconfigured(SinkError):  # noqa: N818
    """A person has to change something: nothing is sent on until then, and nothing is lost."""


class Rejected(SinkError):  # noqa: N818
    """The sink will never take these results as they are."""


class Sink(Protocol):
    """Where results go."""

    def write(self, results: Sequence[StoredResult]) -> None:
        """Hand over results; returns only when the sink has them, else raises `SinkError`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many results go at once, and how long a sink that fails is left alone."""

    batch: int = 200
    first_s: float = 1.0
    longest_s: float = 300.0
    misconfigured_s: float = 30.0
    longest_asked_s: float = 3600.0
    """A server may ask for more patience than `longest_s`, but not for any."""

    def pause_s(self, failures: int) -> float:
        """Doubling, with jitter, so that many clients do not come back at the same instant."""
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Drain:
    """A thread that writes each new result to one sink and takes it off the outbox afterwards.

    A result that is superseded meanwhile is left out: its successor has an item of its own.
    """

    def __init__(
        self, store: Store, outbox: Outbox, queries: Queries, sink: Sink, pace: Pace | None = None
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._queries = queries
        self._sink = sink
        self._pace = pace or Pace()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=outbox.sink, daemon=True)
        self._failures = 0
        self._moved_at = monotonic()
        self._is_writing = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; what was not acknowledged stays in the outbox."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3.0)

    def progress(self) -> float:
        """When it last moved, on the monotonic clock; waiting for a server is no standstill."""
        return monotonic() if self._is_writing else self._moved_at

    def drain(self) -> None:
        """Write until the outbox is empty.  Raises `Unreachable` or `Misconfigured`.

        While the sink takes one full batch, the next is read.
        """
        with ThreadPoolExecutor(1, f"{self._outbox.sink} reader") as reader:
            self._moved_at = monotonic()
            batch = self._read()
            while batch and not self._stopping.is_set():
                self._moved_at = monotonic()
                coming = None
                if len(batch) == self._pace.batch:
                    coming = reader.submit(self._read, batch[-1][0].id)
                self._take_off(batch)
                # Numbers of items may begin anew: what is behind the last is not all there is.
                batch = (coming.result() if coming else []) or self._read()

    def _read(self, after: int = 0) -> Batch:
        items = self._outbox.pending(self._pace.batch, after)
        found = {r.id: r for r in self._queries.results_of([i.result for i in items])}
        return [(item, found.get(item.result)) for item in items]

    def _take_off(self, batch: Batch) -> None:
        live = [(item, result) for item, result in batch if result is not None and result.active]
        self._hand_over(live)
        written = {item.id for item, _ in live}
        if stale := [item for item, _ in batch if item.id not in written]:
            self._outbox.done(stale)

    def _hand_over(self, pairs: Sequence[tuple[Item, StoredResult]]) -> None:
        """Write, halving what is rejected until the culprit stands alone and can be set aside."""
        if not pairs:
            return
        try:
            self._write([result for _, result in pairs])
        except Rejected as why:
            if len(pairs) == 1:
                item = pairs[0][0]
                LOG.error("%s: result %d set aside: %s", self._outbox.sink, item.result, why)
                self._outbox.park(item, str(why))
                return
            middle = len(pairs) // 2
            self._hand_over(pairs[:middle])
            self._hand_over(pairs[middle:])
        else:
            self._outbox.done([item for item, _ in pairs])

    def _write(self, results: Sequence[StoredResult]) -> None:
        self._is_writing = True
        try:
            self._sink.write(results)
        finally:
            self._moved_at = monotonic()
            self._is_writing = False

    def _run(self) -> None:
        while not self._stopping.is_set():
            seen = self._store.version
            pause_s = self._step()
            if pause_s:
                self._sleep(pause_s)
            else:
                self._store.wait_for_change(seen, IDLE_S)

    def _step(self) -> float:
        """Drain; for how long the sink is to be left alone."""
        try:
            self.drain()
        except Unreachable as why:
            pause_s = max(
                self._failed(str(why)), min(why.retry_after_s, self._pace.longest_asked_s)
            )
        except Misconfigured as why:
            self._failed(str(why))
            pause_s = self._pace.misconfigured_s
        except Exception as why:
            # The boundary of the thread: whatever happens, it goes on and nothing is lost.
            LOG.exception("%s: unexpected", self._outbox.sink)
            pause_s = self._failed(f"unexpected: {type(why).__name__}")
        else:
            if self._failures:
                LOG.info("%s: writing again", self._outbox.sink)
            self._failures, pause_s = 0, 0.0
        return pause_s

    def _failed(self, why: str) -> float:
        self._failures += 1
        if self._failures == 1:
            LOG.warning("%s: %s; results wait in the store", self._outbox.sink, why)
        try:
            self._outbox.failed(why)
        except Exception:
            LOG.exception("%s: the store cannot be written", self._outbox.sink)
        return self._pace.pause_s(self._failures)

    def _sleep(self, seconds: float) -> None:
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0 and not self._stopping.wait(min(left, 5.0)):
            self._moved_at = monotonic()
