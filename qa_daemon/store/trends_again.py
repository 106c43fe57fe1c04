"""What trends have to look at once more, because where they are cut has changed."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

from qa_daemon.store.outbox import enqueue
from qa_daemon.store.schema import results

FOLLOWER = "trends"
AROUND_NS = 26 * 3600 * 10**9
"""The longest day of any clinic, 25 h, and whatever is left of a second."""
NEWEST = 50


def look_again(connection: Connection, machine: str, point_ns: int) -> None:
    """Results about an instant, whose day is made anew, and the newest, which signals are about."""
    here = (results.c.machine == machine, results.c.active)
    newest = select(results.c.id).where(*here).order_by(results.c.point_ns.desc()).limit(NEWEST)
    about = results.c.point_ns.between(point_ns - AROUND_NS, point_ns + AROUND_NS)
    query = select(results.c.id).where(*here, or_(about, results.c.id.in_(newest)))
    for identity in connection.execute(query.order_by(results.c.id)).scalars().all():
        enqueue(connection, FOLLOWER, identity)
