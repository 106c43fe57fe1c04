"""The durable outbox: what each follower of the store has still to do, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from qa_daemon.store.schema import outbox, sinks
from qa_daemon.store.store import Store


@dataclass(frozen=True, slots=True)
class Item:
    """One result that a sink has not taken yet."""

    id: int
    result: int


def enqueue(connection: Connection, sink: str, result: int) -> None:
    """Let a sink take a result, once more if it did or does already.

    The item gets another number: what the sink is just told of it by the old one is not enough.
    """
    here = (outbox.c.sink == sink, outbox.c.result == result)
    if connection.execute(select(outbox.c.id).where(*here)).first() is None:
        connection.execute(insert(outbox).values(sink=sink, result=result, state="pending"))
        return
    number = select(func.max(outbox.c.id) + 1).scalar_subquery()
    again = {"id": number, "state": "pending", "why": None}
    connection.execute(update(outbox).where(*here).values(again))


class Outbox:
    """One sink's share of the outbox."""

    def __init__(self, store: Store, sink: str) -> None:
        self._store = store
        self.sink = sink

    def pending(self, limit: int, after: int = 0) -> list[Item]:
        """The oldest items, in order; those behind the item `after`."""
        query = (
            select(outbox.c.id, outbox.c.result)
            .where(outbox.c.sink == self.sink, outbox.c.state == "pending", outbox.c.id > after)
            .order_by(outbox.c.id)
            .limit(limit)
        )
        with self._store.read() as connection:
            return [Item(row.id, row.result) for row in connection.execute(query)]

    def done(self, items: Sequence[Item]) -> None:
        """The sink has taken these; called only after it said so."""
        with self._store.write() as connection:
            connection.execute(delete(outbox).where(outbox.c.id.in_([i.id for i in items])))
            self._remember(connection, last_success=self._store.now(), last_error=None)

    def park(self, item: Item, why: str) -> None:
        """Set an item aside that the sink will never take, so that it does not block the rest."""
        with self._store.write() as connection:
            connection.execute(
                update(outbox).where(outbox.c.id == item.id).values(state="parked", why=why)
            )

    def failed(self, why: str) -> None:
        """Remember for the status page why the sink could not be reached."""
        with self._store.write() as connection:
            self._remember(connection, last_error=why)

    def status(self) -> dict[str, object]:
        """How far behind the sink is, and when it last took something."""
        with self._store.read() as connection:
            behind = connection.execute(
                select(func.count()).select_from(outbox).where(outbox.c.sink == self.sink)
            ).scalar_one()
            row = connection.execute(select(sinks).where(sinks.c.name == self.sink)).first()
        return {
            "behind": behind,
            "last_success": row.last_success if row else None,
            "last_error": row.last_error if row else None,
        }

    def _remember(self, connection: Connection, **values: object) -> None:
        query = select(sinks.c.name).where(sinks.c.name == self.sink)
        if connection.execute(query).first() is None:
            connection.execute(insert(sinks).values(name=self.sink, **values))
        else:
            connection.execute(update(sinks).where(sinks.c.name == self.sink).values(**values))
