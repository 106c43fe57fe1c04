"""The ledger of files: what arrived, where its bytes are, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from qa_daemon.model import Event, State, after
from qa_daemon.store import audit
from qa_daemon.store.schema import files
from qa_daemon.store.store import Store, bump


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the scanner sees of a file without opening it."""

    path: str
    size: int
    mtime_ns: int
    inode: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A settled file whose bytes are in the archive.

    `pair` is the format's key of the file name, for finding files that belong together.
    """

    fingerprint: Fingerprint
    folder: str
    name: str
    machine: str | None
    sha256: str
    format: str | None = None
    is_companion: bool = False
    pair: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """One row of the ledger."""

    id: int
    folder: str
    name: str
    machine: str | None
    sha256: str
    size: int
    mtime_ns: int
    format: str | None
    is_companion: bool
    pair: tuple[str, float] | None
    main_file: int | None
    state: State
    crashes: int


class Ledger:
    """Every read and write of the `files` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def known(self) -> dict[str, Fingerprint]:
        """The newest fingerprint of every path, for the scanner's start."""
        query = select(files.c.path, files.c.size, files.c.mtime_ns, files.c.inode)
        with self._store.read() as connection:
            rows = connection.execute(query.order_by(files.c.id))
            return {r.path: Fingerprint(r.path, r.size, r.mtime_ns, r.inode) for r in rows}

    def add(self, arrival: Arrival) -> LedgerFile:
        """Enter an archived file: queued, or a duplicate of content that is there already.

        A path that held other content before is a revision: the old row is set aside, never
        overwritten.  A main file that is complete again by a late side file is queued again.
        """
        with self._store.write() as connection:
            known = _with_content(connection, arrival.sha256)
            self._replace_revision(connection, arrival)
            event = Event.SAME_CONTENT if known else Event.ARCHIVED
            state = after(State.SETTLING, event)
            identity = connection.execute(
                insert(files)
                .values(**_columns(arrival), state=state.value, arrived_at=self._store.now())
                .returning(files.c.id)
            ).scalar_one()
            bump(connection, f"files.{state.value}", 1)
            return _file(_row(connection, identity))

    def queued(self, limit: int, beyond: int = 0) -> list[LedgerFile]:
        """The oldest queued files with an id greater than `beyond`."""
        return self._select(files.c.state == State.QUEUED.value, files.c.id > beyond, limit=limit)

    def file(self, identity: int) -> LedgerFile:
        """One row; raises `sqlalchemy.exc.NoResultFound` when there is none."""
        with self._store.read() as connection:
            return _file(_row(connection, identity))

    def near(self, file: LedgerFile, reach: float) -> list[LedgerFile]:
        """The files of the same folder, format and key, at most `reach` away, nearest first."""
        if file.pair is None:
            return []
        key, at = file.pair
        found = self._select(
            files.c.folder == file.folder,
            files.c.format == file.format,
            files.c.pair_key == key,
            files.c.pair_at.between(at - reach, at + reach),
            files.c.state.in_([s.value for s in State if s not in _SET_ASIDE]),
            files.c.is_companion != file.is_companion,
            limit=20,
        )
        return sorted(found, key=lambda f: abs((f.pair or ("", at))[1] - at))

    def companions_of(self, main: LedgerFile) -> list[LedgerFile]:
        """The side files that were read with a main file."""
        return self._select(files.c.main_file == main.id, limit=20)

    def crashed(self, file: LedgerFile) -> int:
        """Count a worker's death on this file; the new count."""
        with self._store.write() as connection:
            count = connection.execute(
                update(files)
                .where(files.c.id == file.id)
                .values(crashes=files.c.crashes + 1)
                .returning(files.c.crashes)
            ).scalar_one()
            return int(count)

    def move(self, file: LedgerFile, event: Event, actor: str = "daemon") -> None:
        """Let an event happen to a file."""
        with self._store.write() as connection:
            move(connection, file.id, event)
            if event is Event.RELEASED:
                connection.execute(update(files).where(files.c.id == file.id).values(crashes=0))
                audit.record(
                    connection,
                    at=self._store.now(),
                    actor=actor,
                    action="file released",
                    subject=f"file {file.id}",
                    detail={"sha256": file.sha256},
                )

    def _replace_revision(self, connection: Connection, arrival: Arrival) -> None:
        old = connection.execute(
            select(files.c.id)
            .where(files.c.path == arrival.fingerprint.path)
            .where(files.c.state != State.REPLACED.value)
            .where(files.c.sha256 != arrival.sha256)
        ).scalars()
        for identity in old.all():
            move(connection, identity, Event.REVISED)

    def _select(self, *where: Any, limit: int) -> list[LedgerFile]:
        query = select(files).where(*where).order_by(files.c.id).limit(limit)
        with self._store.read() as connection:
            return [_file(row) for row in connection.execute(query).mappings()]


_SET_ASIDE = (State.REPLACED, State.DUPLICATE, State.SETTLING)


def move(connection: Connection, identity: int, event: Event) -> State:
    """Change a file's state by the table of the model, with its counters, in one transaction."""
    old = State(
        connection.execute(select(files.c.state).where(files.c.id == identity)).scalar_one()
    )
    new = after(old, event)
    if new is not old:
        connection.execute(update(files).where(files.c.id == identity).values(state=new.value))
        bump(connection, f"files.{old.value}", -1)
        bump(connection, f"files.{new.value}", 1)
    return new


def attach(connection: Connection, main: int, companions: Sequence[int]) -> None:
    """Say which side files were read with a main file."""
    connection.execute(update(files).where(files.c.id.in_(companions)).values(main_file=main))


def _with_content(connection: Connection, sha256: str) -> bool:
    query = (
        select(files.c.id)
        .where(files.c.sha256 == sha256)
        .where(files.c.state != State.DUPLICATE.value)
        .where(files.c.state != State.REPLACED.value)
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _columns(arrival: Arrival) -> dict[str, object]:
    print_ = arrival.fingerprint
    key, at = arrival.pair or (None, None)
    return {
        "path": print_.path,
        "folder": arrival.folder,
        "name": arrival.name,
        "machine": arrival.machine,
        "size": print_.size,
        "mtime_ns": print_.mtime_ns,
        "inode": print_.inode,
        "sha256": arrival.sha256,
        "format": arrival.format,
        "is_companion": arrival.is_companion,
        "pair_key": key,
        "pair_at": at,
    }


def _row(connection: Connection, identity: int) -> RowMapping:
    return connection.execute(select(files).where(files.c.id == identity)).mappings().one()


def _file(row: Mapping[str, Any] | RowMapping) -> LedgerFile:
    pair = (row["pair_key"], row["pair_at"]) if row["pair_key"] is not None else None
    return LedgerFile(
        id=row["id"],
        folder=row["folder"],
        name=row["name"],
        machine=row["machine"],
        sha256=row["sha256"],
        size=row["size"],
        mtime_ns=row["mtime_ns"],
        format=row["format"],
        is_companion=row["is_companion"],
        pair=pair,
        main_file=row["main_file"],
        state=State(row["state"]),
        crashes=row["crashes"],
    )
