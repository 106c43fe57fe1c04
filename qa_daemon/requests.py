"""What a command asks of the store: done at once, or left for the daemon that holds the store.

Only one process writes the store, so a command that finds a daemon running leaves its request as a
file in the state folder; the daemon carries it out within a second, in small steps beside its other
work.  What was interrupted is begun again: every step may be done twice.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Literal

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from analyzers.srt_table_files import table_of
from qa_daemon.lock import AlreadyRunning, StateLock
from qa_daemon.model import Message
from qa_daemon.store import service_events, srt_tables
from qa_daemon.store.ledger import Ledger
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Results
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.store.store import Store

LOG = logging.getLogger("qa_daemon.requests")
AT_ONCE = 200
LOOK_EVERY_S = 1.0


class EventRow(Message):
    """A service event as it is handed in."""

    machine: str
    kind: EventKind
    said: str
    point_ns: int
    analyzer: str | None = None


class Request(Message):
    """One thing to do."""

    action: Literal["reprocess", "replay", "release", "import table", "enter events"]
    actor: str
    result: int | None = None
    machine: str | None = None
    since_ns: int = 0
    sink: str | None = None
    table: str | None = None
    """Canonical text of a table of the unit `machine`."""
    events: tuple[EventRow, ...] = ()


def carry_out(
    store: Store, request: Request, go_on: Callable[[], bool] = lambda: True
) -> int | None:
    """Do it in batches, each a transaction; how many results (or tables) it touched.

    Results that come meanwhile are left out.  None when `go_on` put an end to it.
    """
    if request.action == "import table":
        table = table_of((request.table or "").encode())
        srt_tables.enter(store, str(request.machine), table, request.actor)
        return 1
    if request.action == "enter events":
        events = [
            ServiceEvent(one.machine, one.kind, one.said, one.point_ns, one.analyzer)
            for one in request.events
        ]
        return service_events.enter(store, events, request.actor)
    queries, ledger, results = Queries(store), Ledger(store), Results(store, ())
    if request.action == "release":
        found = queries.result(request.result or 0)
        return ledger.release([found.file], request.actor) if found else 0
    last, after, count = queries.last_result_id(), 0, 0
    while go_on():
        page = queries.active_after(after, last, request.since_ns, request.machine, AT_ONCE)
        if not page:
            return count
        after = page[-1][0]
        if request.action == "replay":
            count += results.enqueue_again(str(request.sink), [result for result, _ in page])
        else:
            count += ledger.release([file for _, file in page], request.actor)
    return None


def hand_in(state_dir: Path, store: Store, request: Request) -> int | None:
    """Do it now, or leave it for the running daemon: then None."""
    try:
        lock = StateLock(state_dir)
    except AlreadyRunning:
        folder = state_dir / "requests"
        folder.mkdir(exist_ok=True, mode=0o700)
        name = folder / uuid.uuid4().hex
        name.write_text(request.model_dump_json())
        name.rename(name.with_suffix(".json"))
        return None
    try:
        return carry_out(store, request)
    finally:
        lock.release()


class RequestDesk:
    """The daemon's thread for what commands ask of it."""

    def __init__(self, state_dir: Path, store: Store) -> None:
        self._folder = state_dir / "requests"
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)
        self._moved_at = monotonic()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand; an unfinished request stays for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def progress(self) -> float:
        """When it last moved, on the monotonic clock."""
        return self._moved_at

    def look(self) -> None:
        """Carry out what lies there, oldest first."""
        if not self._folder.is_dir():
            return
        for file in sorted(self._folder.glob("*.json"), key=lambda f: f.stat().st_mtime_ns):
            if self._goes_on():
                self._one(file)

    def _one(self, file: Path) -> None:
        try:
            request = Request.model_validate_json(file.read_bytes())
            count = carry_out(self._store, request, self._goes_on)
        except (OSError, OperationalError):
            # A full disk or a busy store will pass, and the request stays.
            LOG.exception("a request could not be carried out now")
            return
        except ValidationError:
            LOG.error("a request does not follow the schema; it is set aside")
        except Exception:
            # The boundary of the thread: one request must not end the daemon, nor come back.
            LOG.exception("a request failed; it is set aside")
        else:
            if count is None:
                return
            LOG.info("request carried out action=%s results=%d", request.action, count)
            file.unlink()
            return
        file.rename(file.with_suffix(".failed"))

    def _goes_on(self) -> bool:
        self._moved_at = monotonic()
        return not self._stopping.is_set()

    def _run(self) -> None:
        while self._goes_on():
            try:
                self.look()
            except OSError:
                LOG.exception("requests cannot be read")
            self._stopping.wait(LOOK_EVERY_S)
