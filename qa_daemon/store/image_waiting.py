"""Which images have waited long enough for the rest of their set: asked every second."""

from __future__ import annotations

from sqlalchemy import Connection, select

from qa_daemon.model import State
from qa_daemon.store.schema import files, images

MOST_AT_ONCE = 300


def waited_enough(connection: Connection, arrived_before: str) -> list[int]:
    """The oldest images that wait, of which no other of their set has come since."""
    waiting = (
        select(files.c.id, files.c.main_file)
        .join(images, images.c.file == files.c.id)
        .where(images.c.awaits, files.c.state == State.WAITING.value)
        .where(files.c.arrived_at <= arrived_before)
        .order_by(files.c.arrived_at)
        .limit(MOST_AT_ONCE)
    )
    return [
        row.id
        for row in connection.execute(waiting).all()
        if _newest_arrival(connection, row.main_file or row.id) <= arrived_before
    ]


def _newest_arrival(connection: Connection, main: int) -> str:
    query = select(files.c.arrived_at).where((files.c.id == main) | (files.c.main_file == main))
    found: str = max(connection.execute(query).scalars())
    return found
