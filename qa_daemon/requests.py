"""What a command asks of the store: done at once, or left for the daemon that holds the store.

Only one process writes the store, so a command that finds a daemon running leaves its request as a
file in the state folder; the daemon carries it out within a second.
"""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from qa_daemon.lock import AlreadyRunning, StateLock
from qa_daemon.model import Event, Message
from qa_daemon.store.ledger import Ledger
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Results
from qa_daemon.store.store import Store

LOG = logging.getLogger("qa_daemon.requests")
ALL = 1_000_000


class Request(Message):
    """One thing to do."""

    action: Literal["reprocess", "replay", "release"]
    actor: str
    result: int | None = None
    machine: str | None = None
    since_ns: int = 0
    sink: str | None = None


def carry_out(store: Store, request: Request) -> int:
    """Do it; how many results it touched."""
    if request.action == "replay":
        return Results(store, ()).enqueue_again(str(request.sink), request.since_ns)
    queries, ledger = Queries(store), Ledger(store)
    if request.action == "release":
        found = queries.results_of([request.result or 0])
    else:
        found = queries.results_since(request.since_ns, request.machine, ALL)
    for result in found:
        ledger.move(ledger.file(result.file), Event.RELEASED, request.actor)
    return len(found)


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


def carry_out_all(state_dir: Path, store: Store) -> None:
    """Do what commands left, oldest first; called by the daemon."""
    folder = state_dir / "requests"
    if not folder.is_dir():
        return
    for file in sorted(folder.glob("*.json"), key=lambda f: f.stat().st_mtime_ns):
        try:
            request = Request.model_validate_json(file.read_text())
        except ValidationError:
            LOG.error("a request file does not follow the schema; it is removed")
        else:
            count = carry_out(store, request)
            LOG.info("request carried out action=%s results=%d", request.action, count)
        file.unlink()
