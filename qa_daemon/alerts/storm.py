"""When messages pile up, such as after years of old logs were copied in: one message for many.

The first twenty within five minutes are sent one by one.  After that, what waits is joined into one
message every half minute, each line a message of its own, the worst first; nothing is left out of
the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from qa_daemon.alerts.messages import AWAY
from qa_daemon.store.schema import notifications
from qa_daemon.store.store import Store

MANY = 20
WITHIN = timedelta(minutes=5)
EVERY_S = 30.0
LINES = 20
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Pile:
    """Messages that are told together."""

    numbers: tuple[int, ...]
    title: str
    body: str


def is_on(store: Store, now: datetime) -> bool:
    """Whether so many messages were sent lately that the next ones are joined."""
    query = (
        select(notifications.c.sent_at)
        .where(notifications.c.state == "sent")
        .order_by(notifications.c.id.desc())
        .limit(MANY)
    )
    with store.read() as connection:
        sent = [datetime.fromisoformat(at) for at in connection.execute(query).scalars() if at]
    return len(sent) == MANY and now - min(sent) < WITHIN


def pile(store: Store, base_url: str) -> Pile | None:
    """All that waits as one message; None when that is less than two."""
    query = (
        select(notifications.c.id, notifications.c.title, notifications.c.result)
        .where(notifications.c.state == "pending")
        .order_by(notifications.c.id)
        .limit(AT_ONCE)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    if len(rows) < 2:
        return None
    lines = [
        f"{row.title}: {base_url}/" + (f"results/{row.result}" if row.result is not None else "")
        for row in rows
    ]
    lines.sort(key=_urgency)
    return Pile(
        tuple(row.id for row in rows), f"{len(rows)} messages together", _body(lines, base_url)
    )


def _body(lines: Sequence[str], base_url: str) -> str:
    more = len(lines) - LINES
    shown = [*lines[:LINES], *([f"and {more} more"] if more > 0 else [])]
    heading = "Many results need attention at once; these messages are told together."
    return "\n".join([heading, "", *shown, "", f"All results: {base_url}/results"])


def _urgency(line: str) -> int:
    if AWAY in line:
        return 0
    words = enumerate(("INVALID", "ACTION"), start=1)
    return next((n for n, word in words if line.startswith(word)), 3)
