"""The other records of a fraction on a kV unit: those of one course on one day."""

from __future__ import annotations

from sqlalchemy import Connection, select

from qa_daemon.store.schema import kv_fractions


def siblings_of(connection: Connection, file: int) -> list[int]:
    """Files that were judged together with this one; none for a file that is no such record."""
    own, other = kv_fractions.alias(), kv_fractions.alias()
    query = (
        select(other.c.file)
        .join(
            own,
            (own.c.course == other.c.course)
            & (own.c.fraction == other.c.fraction)
            & (own.c.day == other.c.day),
        )
        .where(own.c.file == file, other.c.file != file)
    )
    return list(connection.execute(query).scalars())
