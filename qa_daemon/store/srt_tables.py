"""Tables of a kV unit: imported by anybody, used only once a physicist has signed them.

Nothing is changed or deleted: a table is signed once and withdrawn once, and a newer one of its
kind takes its place for treatments from its day on.  A unit's tables are never another unit's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from analyzers.srt_own_values import compared
from analyzers.srt_table_files import table_of
from analyzers.srt_tables import UnitTable
from qa_daemon.store import audit
from qa_daemon.store.kv_courses import queue_from_day
from qa_daemon.store.schema import srt_tables
from qa_daemon.store.store import Store

MOST = 500


class CannotDecide(Exception):  # noqa: N818 - an answer for a person
    """The table cannot be signed, withdrawn or imported; the sentence says why."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """One table; `signed_by` and `withdrawn_by` are None for what was not done."""

    id: int
    machine: str
    kind: str
    sha256: str
    content: str
    valid_from: str
    compared: str
    imported_by: str
    imported_at: str
    signed_by: str | None
    signed_at: str | None
    signed_reason: str | None
    withdrawn_by: str | None
    withdrawn_at: str | None
    withdrawn_reason: str | None

    @property
    def table(self) -> UnitTable:
        """Its content, checked again."""
        return table_of(self.content.encode())

    @property
    def is_in_use(self) -> bool:
        """Signed and not withdrawn."""
        return self.signed_by is not None and self.withdrawn_by is None


def enter(store: Store, machine: str, table: UnitTable, actor: str) -> int:
    """Import a checked table of this unit, unsigned; its number.

    Raises `CannotDecide` where the unit has the same table already, signed or waiting.
    """
    comparison = compared(table)
    with store.write() as connection:
        same = connection.execute(
            select(srt_tables.c.id).where(
                srt_tables.c.machine == machine,
                srt_tables.c.sha256 == table.sha256,
                srt_tables.c.withdrawn_by.is_(None),
            )
        ).first()
        if same is not None:
            raise CannotDecide(f"this very table is here already, as table {same.id}")
        number = connection.execute(
            insert(srt_tables)
            .values(
                machine=machine,
                kind=table.kind,
                sha256=table.sha256,
                content=table.canonical,
                valid_from=table.valid_from.isoformat(),
                compared=comparison.said if comparison else "",
                imported_by=actor,
                imported_at=store.now(),
            )
            .returning(srt_tables.c.id)
        ).scalar_one()
        _audit(connection, store, (machine, table.kind, table.sha256), "imported", actor, "")
        return int(number)


def sign(store: Store, machine: str, number: int, actor: str, reason: str) -> StoredTable:
    """From its day on the table is used.  Raises `CannotDecide`."""
    with store.write() as connection:
        row = _row(connection, machine, number)
        if row.signed_by is not None or row.withdrawn_by is not None:
            raise CannotDecide("this table was signed or withdrawn already: look again")
        table = _stored(row).table  # as it is stored, checked once more
        if table.sha256 != row.sha256:
            raise CannotDecide("this table is not what was imported: import it again")
        values = {"signed_by": actor, "signed_at": store.now(), "signed_reason": reason}
        connection.execute(update(srt_tables).where(srt_tables.c.id == number).values(values))
        _audit(connection, store, (machine, row.kind, row.sha256), "signed", actor, reason)
        queue_from_day(connection, machine, row.valid_from)
        return _stored(_row(connection, machine, number))


def withdraw(store: Store, machine: str, number: int, actor: str, reason: str) -> StoredTable:
    """The table is not used any more, nor can it be signed.  Raises `CannotDecide`."""
    with store.write() as connection:
        row = _row(connection, machine, number)
        if row.withdrawn_by is not None:
            raise CannotDecide("this table was withdrawn already: look again")
        values = {"withdrawn_by": actor, "withdrawn_at": store.now(), "withdrawn_reason": reason}
        connection.execute(update(srt_tables).where(srt_tables.c.id == number).values(values))
        _audit(connection, store, (machine, row.kind, row.sha256), "withdrawn", actor, reason)
        if row.signed_by is not None:
            queue_from_day(connection, machine, row.valid_from)
        return _stored(_row(connection, machine, number))


def every(store: Store, machine: str) -> list[StoredTable]:
    """All tables of a unit, the newest first, unsigned and withdrawn ones too."""
    query = (
        select(srt_tables)
        .where(srt_tables.c.machine == machine)
        .order_by(srt_tables.c.id.desc())
        .limit(MOST)
    )
    with store.read() as connection:
        return [_stored(row) for row in connection.execute(query)]


def in_use(store: Store, machine: str, on: date) -> dict[str, StoredTable]:
    """By kind, the signed table of a unit that counts on a day: the newest day, then the newest."""
    with store.read() as connection:
        return counting(connection, machine, on)


def counting(connection: Connection, machine: str, on: date) -> dict[str, StoredTable]:
    """The same inside a transaction."""
    query = (
        select(srt_tables)
        .where(
            srt_tables.c.machine == machine,
            srt_tables.c.signed_by.is_not(None),
            srt_tables.c.withdrawn_by.is_(None),
            srt_tables.c.valid_from <= on.isoformat(),
        )
        .order_by(srt_tables.c.valid_from, srt_tables.c.id)
    )
    return {row.kind: _stored(row) for row in connection.execute(query)}


def _row(connection: Connection, machine: str, number: int) -> Row[Any]:
    row = connection.execute(
        select(srt_tables).where(srt_tables.c.id == number, srt_tables.c.machine == machine)
    ).one_or_none()
    if row is None:
        raise CannotDecide("this unit has no such table")
    return row


def _stored(row: Row[Any]) -> StoredTable:
    return StoredTable(**row._mapping)  # noqa: SLF001 - the documented name of a row's mapping


def _audit(
    connection: Connection,
    store: Store,
    of: tuple[str, str, str],
    done: str,
    actor: str,
    reason: str,
) -> None:
    machine, kind, sha256 = of
    audit.record(
        connection,
        at=store.now(),
        actor=actor,
        action=f"unit table {done}",
        subject=f"machine {machine}",
        detail={"kind": kind, "sha256": sha256, "reason": reason},
    )
