"""The audit trail: append-only rows, each sealed with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from sqlalchemy import Connection, insert, select

from qa_daemon.store.schema import audit

FIRST = "0" * 64


def record(
    connection: Connection,
    *,
    at: str,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, object],
) -> None:
    """Append a row inside the caller's transaction.  `detail` holds no patient identifier."""
    last = connection.execute(
        select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    ).one_or_none()
    seq, previous = (last.seq + 1, last.hash) if last else (1, FIRST)
    row = {
        "seq": seq,
        "at": at,
        "actor": actor,
        "action": action,
        "object": subject,
        "detail": json.dumps(detail, sort_keys=True),
        "previous": previous,
    }
    connection.execute(insert(audit).values(**row, hash=seal(row)))


def seal(row: Mapping[str, object]) -> str:
    """SHA-256 over a row's own fields and the hash of the row before."""
    fields = ("seq", "at", "actor", "action", "object", "detail", "previous")
    return hashlib.sha256(json.dumps([row[f] for f in fields]).encode()).hexdigest()


def verify(connection: Connection) -> str | None:
    """Check the whole chain.  None when it is whole, else a sentence that names the first fault."""
    previous, expected = FIRST, 1
    for mapping in connection.execute(select(audit).order_by(audit.c.seq)).mappings():
        row = {str(name): value for name, value in mapping.items()}
        if row["seq"] != expected:
            return f"audit row {expected} is missing"
        if row["previous"] != previous or row["hash"] != seal(row):
            return f"audit row {expected} was changed"
        previous, expected = str(row["hash"]), expected + 1
    return None
