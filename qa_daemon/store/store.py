"""Opening the store, one writer at a time, and the transactions everything else is made of."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, insert, update

from qa_daemon.store import schema

MIGRATIONS = Path(__file__).with_name("migrations")


class StoreError(Exception):
    """The store cannot be opened or used; the message says what to do."""


class Store:
    """The site's database: many readers, one writer, one transaction an effect.

    SQLite in WAL mode with one writing connection: versions before 3.51.3 can damage the file when
    several connections write and checkpoint at the same instant.  `clock` gives the current UTC
    time.  `committed` is called after every write, so that followers wake at once.
    """

    def __init__(self, url: str, clock: Callable[[], datetime]) -> None:
        self._engine = _engine(url)
        self._writing = threading.RLock()
        self._clock = clock
        self.changed = threading.Condition()
        self.version = 0

    def now(self) -> str:
        """The current UTC time as ISO text."""
        return self.instant().isoformat(timespec="milliseconds")

    def instant(self) -> datetime:
        """The current UTC time."""
        return self._clock().astimezone(UTC)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: everything in it is durable together, or none of it happened."""
        with self._writing, self._engine.begin() as connection:
            yield connection
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; never blocks the writer."""
        with self._engine.connect().execution_options(read_only=True) as connection:
            yield connection

    def wait_for_change(self, seen: int, timeout_s: float) -> int:
        """Sleep until something was written after `seen`, or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != seen, timeout_s)
            return self.version

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def url_of(state_dir: Path) -> str:
    """Where the embedded store of a site is."""
    return f"sqlite:///{state_dir / 'store.sqlite3'}"


def upgrade(url: str) -> None:
    """Bring the tables to this version's schema.

    Raises `StoreError` when a newer version wrote them.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except Exception as why:
        if "Can't locate revision" in str(why):
            raise StoreError(
                "the store was written by a newer version of QA Daemon; "
                "install that version again, an older one would damage it"
            ) from None
        raise


def bump(connection: Connection, counter: str, by: int) -> None:
    """Keep a count in the same transaction as what it counts."""
    counted = update(schema.counters).where(schema.counters.c.name == counter)
    if not connection.execute(counted.values(n=schema.counters.c.n + by)).rowcount:
        connection.execute(insert(schema.counters).values(name=counter, n=by))


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # Python's own transaction handling is switched off so that BEGIN IMMEDIATE is ours.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("read_only") is None
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
