"""The ledger of files: what arrived, where its bytes are, and how far it has come.

A path has at most one live row; content has one row that stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, update

from qa_daemon.model import Event, State, after
from qa_daemon.store import audit
from qa_daemon.store.copies import LIVE, copies, counterparts, duplicate, hand_over, original
from qa_daemon.store.image_users import users_of
from qa_daemon.store.kv_siblings import siblings_of
from qa_daemon.store.schema import (
    delivered_beams,
    deliveries,
    files,
    images,
    kv_fractions,
    recorded_beams,
    results,
)
from qa_daemon.store.store import Store, bump

AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the scanner sees of a file without opening it.

    `inode` is the inode's number and the instant of its last change, so that a file rewritten with
    its old size and time of writing still shows.
    """

    path: str
    size: int
    mtime_ns: int
    inode: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A settled file whose bytes are in the archive.

    `pair` is the format's key of the file name, for finding files that belong together, and
    `reach` how far apart they may be.  `occasion` is what the name of the folder tells of the
    record: equal bytes of another occasion are another record.
    """

    fingerprint: Fingerprint
    folder: str
    name: str
    machine: str | None
    sha256: str
    format: str | None = None
    is_companion: bool = False
    pair: tuple[str, float] | None = None
    reach: float = 0.0
    occasion: str | None = None


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
    arrived_at: str


@dataclass(frozen=True, slots=True)
class Group:
    """A file to process, the side files it is read with, and the logs that resumed its beam."""

    main: LedgerFile
    companions: tuple[LedgerFile, ...] = ()
    resumed_by: tuple[Group, ...] = ()

    @property
    def others(self) -> tuple[LedgerFile, ...]:
        """All files but the main one."""
        later = (file for more in self.resumed_by for file in (more.main, *more.companions))
        return (*self.companions, *later)

    @property
    def ids(self) -> frozenset[int]:
        """All files that nobody else may process meanwhile."""
        return frozenset([self.main.id, *(file.id for file in self.others)])


@dataclass(frozen=True, slots=True)
class Summary:
    """A result in a few words, none of them about a patient."""

    machine: str | None
    format: str | None
    verdict: int | None
    error_code: str | None


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
        """Enter one archived file."""
        return self.add_all([arrival])[0]

    def add_all(self, arrivals: Sequence[Arrival]) -> list[LedgerFile]:
        """Enter archived files at once, so that nobody sees a main file without its side file.

        Each is queued, or a duplicate of content that is there already.  A path that held other
        content before is a revision: the old row is set aside, never overwritten.  A path that
        holds the same content again changes nothing but its fingerprint.
        """
        with self._store.write() as connection:
            return [file_of(_row(connection, self._enter(connection, a))) for a in arrivals]

    def wait_for_change(self, seen: int, timeout_s: float) -> int:
        """Sleep until something was written after `seen`, or the time is over."""
        return self._store.wait_for_change(seen, timeout_s)

    def wake(self) -> None:
        """End every `wait_for_change`."""
        with self._store.changed:
            self._store.version += 1
            self._store.changed.notify_all()

    def queued(self, limit: int, beyond: int = 0) -> list[LedgerFile]:
        """The oldest queued files with an id greater than `beyond`."""
        return self._select(files.c.state == State.QUEUED.value, files.c.id > beyond, limit=limit)

    def file(self, identity: int) -> LedgerFile:
        """One row; raises `sqlalchemy.exc.NoResultFound` when there is none."""
        with self._store.read() as connection:
            return file_of(_row(connection, identity))

    def near(self, file: LedgerFile, reach: float) -> list[LedgerFile]:
        """The counterparts of a file, at most `reach` away, nearest first.

        A counterpart has the same format and key and lies in the same folder, as does every copy
        of either: a copied pair is the same pair.
        """
        with self._store.read() as connection:
            return [file_of(r) for r in counterparts(connection, _row(connection, file.id), reach)]

    def resumptions_of(self, main: LedgerFile) -> list[LedgerFile]:
        """The later logs of the beam that a log is the first of, or the rest of an image's set."""
        later = (files.c.main_file == main.id, files.c.is_companion.is_(False))
        return self._select(*later, files.c.state.in_(LIVE), limit=AT_ONCE)

    def copies_of(self, file: LedgerFile) -> list[LedgerFile]:
        """The rows with the content of a file, whatever their names."""
        with self._store.read() as connection:
            return [file_of(r) for r in copies(connection, _row(connection, file.id))]

    def end_waiting(self, arrived_before: str, event: Event) -> int:
        """Let an event happen to logs that have waited since before an instant; how many."""
        of_images = select(images.c.file).where(images.c.file == files.c.id)
        query = select(files.c.id).where(
            files.c.state == State.WAITING.value,
            files.c.arrived_at <= arrived_before,
            ~of_images.exists(),
        )
        with self._store.read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return 0
        with self._store.write() as connection:
            overdue = connection.execute(query.order_by(files.c.id).limit(AT_ONCE)).scalars().all()
            for identity in overdue:
                move(connection, identity, event)
            return len(overdue)

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

    def summary(self, result: int) -> Summary:
        """What a result says, as far as a log line may repeat it."""
        query = select(results).where(results.c.id == result)
        with self._store.read() as connection:
            row = connection.execute(query).one()
        return Summary(row.machine, row.format, row.verdict, row.error_code)

    def move(self, file: LedgerFile, event: Event) -> None:
        """Let an event happen to a file."""
        with self._store.write() as connection:
            move(connection, file.id, event)

    def release(self, identities: Sequence[int], actor: str) -> int:
        """Queue files for another try, in one transaction; how many could be.

        A file that was replaced, or is a copy, has nothing to try again.
        """
        with self._store.write() as connection:
            able = select(files.c.id).where(
                files.c.id.in_(identities),
                files.c.state.not_in([State.REPLACED.value, State.DUPLICATE.value]),
            )
            released = list(connection.execute(able).scalars())
            for identity in released:
                move(connection, identity, Event.RELEASED)
            connection.execute(update(files).where(files.c.id.in_(released)).values(crashes=0))
            audit.record(
                connection,
                at=self._store.now(),
                actor=actor,
                action="files released",
                subject=f"{len(released)} files",
                detail={"files": released},
            )
            return len(released)

    def _enter(self, connection: Connection, arrival: Arrival) -> int:
        old = (
            connection.execute(
                select(files)
                .where(files.c.path == arrival.fingerprint.path)
                .where(files.c.state != State.REPLACED.value)
                .order_by(files.c.id.desc())
                .limit(1)
            )
            .mappings()
            .first()
        )
        if old is not None and old["sha256"] == arrival.sha256:
            seen = _seen(arrival.fingerprint)
            connection.execute(update(files).where(files.c.id == old["id"]).values(**seen))
            return int(old["id"])
        known = original(connection, _columns(arrival))
        event = Event.ARCHIVED if known is None else Event.SAME_CONTENT
        state = after(State.SETTLING, event)
        identity: int = connection.execute(
            insert(files)
            .values(**_columns(arrival), state=state.value, arrived_at=self._store.now())
            .returning(files.c.id)
        ).scalar_one()
        bump(connection, f"files.{state.value}", 1)
        if known is not None and _makes_a_pair(connection, known, arrival):
            move(connection, known["id"], Event.INPUT_CAME)
        if old is not None:
            _replace(connection, old, identity if known is None else known["id"])
        return identity

    def _select(self, *where: Any, limit: int) -> list[LedgerFile]:
        query = select(files).where(*where).order_by(files.c.id).limit(limit)
        with self._store.read() as connection:
            return [file_of(row) for row in connection.execute(query).mappings()]


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


def queue_all(connection: Connection, identities: Sequence[int]) -> int:
    """Queue files that may have gained something, many at once; how many could be."""
    count = 0
    for state in (State.DONE, State.WAITING):
        new = after(state, Event.INPUT_CAME)
        moved = connection.execute(
            update(files)
            .where(files.c.id.in_(identities), files.c.state == state.value)
            .values(state=new.value)
        ).rowcount
        if moved:
            bump(connection, f"files.{state.value}", -moved)
            bump(connection, f"files.{new.value}", moved)
            count += moved
    return count


def attach(connection: Connection, main: int, companions: Sequence[int]) -> None:
    """Say which side files were read with a main file."""
    connection.execute(update(files).where(files.c.id.in_(companions)).values(main_file=main))


def _makes_a_pair(connection: Connection, known: RowMapping, arrival: Arrival) -> bool:
    """Whether a further copy lies beside a counterpart that the content was never paired with."""
    if arrival.pair is None:
        return False
    beside = counterparts(connection, known, arrival.reach)
    if known["is_companion"]:
        return known["main_file"] is None and bool(beside)
    return any(row["main_file"] is None for row in beside)


def stand_aside(connection: Connection, file: int, heir: int) -> None:
    """Let an image or a check be a copy of another file's: its result and side files pass on."""
    old = _row(connection, file)
    move(connection, file, Event.SAME_IMAGE)
    _leave(connection, old)
    copies_too = (files.c.sha256 == old["sha256"]) & (files.c.state == State.DUPLICATE.value)
    connection.execute(
        update(files)
        .where(or_(files.c.same_as == file, copies_too), files.c.id != heir)
        .values(same_as=heir)
    )
    connection.execute(update(files).where(files.c.id == heir).values(same_as=None))
    hand_over(connection, file, heir)


def _replace(connection: Connection, old: RowMapping, new: int) -> None:
    """Set a revised file aside: its result, and those it was read with, pass on."""
    move(connection, old["id"], Event.REVISED)
    _leave(connection, old)
    if old["state"] in LIVE:
        copy = duplicate(connection, old)
        if copy is not None:
            # The content is still there under another path, whose row now stands for it.
            move(connection, copy, Event.ORIGINAL_GONE)
            # What was said of the old bytes counts for the image in other bytes as well.
            of_image = or_(files.c.same_as == old["id"], files.c.id == old["id"])
            connection.execute(update(files).where(of_image).values(same_as=copy))
            connection.execute(update(files).where(files.c.id == copy).values(same_as=None))
        hand_over(connection, old["id"], new if copy is None else copy)


def _leave(connection: Connection, old: RowMapping) -> None:
    """Take a file out of what it belonged with, which is judged again without it."""
    # Images that were held against it are judged again: what comes now may be no partner at all.
    queue_all(connection, users_of(connection, old["id"]))
    queue_all(connection, siblings_of(connection, old["id"]))
    # A plan that was here once stays the plan of its logs; what was delivered is another thing now.
    for table in (deliveries, delivered_beams, recorded_beams, images, kv_fractions):
        connection.execute(delete(table).where(table.c.file == old["id"]))
    attached = connection.execute(
        select(files.c.id).where(files.c.main_file == old["id"], files.c.state.in_(LIVE))
    ).scalars()
    for companion in attached.all():
        connection.execute(update(files).where(files.c.id == companion).values(main_file=None))
        move(connection, companion, Event.INPUT_CAME)
    main = old["main_file"]
    if main is not None:
        connection.execute(update(files).where(files.c.id == old["id"]).values(main_file=None))
        move(connection, main, Event.INPUT_CAME)


def _columns(arrival: Arrival) -> dict[str, object]:
    key, at = arrival.pair or (None, None)
    return {
        "path": arrival.fingerprint.path,
        "folder": arrival.folder,
        "name": arrival.name,
        "machine": arrival.machine,
        **_seen(arrival.fingerprint),
        "sha256": arrival.sha256,
        "format": arrival.format,
        "is_companion": arrival.is_companion,
        "occasion": arrival.occasion,
        "pair_key": key,
        "pair_at": at,
    }


def _seen(fingerprint: Fingerprint) -> dict[str, object]:
    return {
        "size": fingerprint.size,
        "mtime_ns": fingerprint.mtime_ns,
        "inode": fingerprint.inode,
    }


def _row(connection: Connection, identity: int) -> RowMapping:
    return connection.execute(select(files).where(files.c.id == identity)).mappings().one()


def file_of(row: Mapping[str, Any] | RowMapping) -> LedgerFile:
    """A row of the table as a value."""
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
        arrived_at=row["arrived_at"],
    )
