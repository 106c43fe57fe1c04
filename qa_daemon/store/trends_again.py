"""What trends have to look at once more, because where they are cut has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Select, func, select

from qa_daemon.store.outbox import enqueue
from qa_daemon.store.schema import results
from qa_daemon.store.schema_trends import trend_days
from qa_daemon.store.store import Store
from qa_daemon.store.trend_series import LOOKED_BACK

FOLLOWER = "trends"
AROUND_NS = 26 * 3600 * 10**9
"""The longest day of any clinic, 25 h, and whatever is left of a second."""


def look_again(
    store: Store, connection: Connection, machine: str, instants_ns: Sequence[int]
) -> None:
    """Results about instants, whose days are made anew, and the newest of each series since then.

    What a series says is said by its newest value, however many results of others came after it.
    """
    found: set[int] = set()
    for ns in instants_ns:
        about = (
            select(results.c.id)
            .where(results.c.machine == machine, results.c.active)
            .where(results.c.point_ns.between(ns - AROUND_NS, ns + AROUND_NS))
        )
        found |= set(connection.execute(about).scalars())
    day = datetime.fromtimestamp((min(instants_ns) - AROUND_NS) // 10**9, UTC).date()
    since = max(day, store.instant().date() - LOOKED_BACK - timedelta(days=1))
    found |= set(connection.execute(_newest(machine, since.isoformat())).scalars())
    for identity in sorted(found):
        enqueue(connection, FOLLOWER, identity)


def _newest(machine: str, since: str) -> Select[int]:
    """A result of the newest day of each series of a machine, among days since one."""
    here = trend_days.c
    series = (
        here.analyzer,
        here.metric,
        here.place,
        here.energy,
        here.judged_as,
        here.technique,
    )
    number = func.row_number().over(partition_by=series, order_by=here.point_ns.desc())
    days = (
        select(here.result, number.label("number"))
        .where(here.machine == machine, here.day >= since)
        .subquery()
    )
    return select(days.c.result).where(days.c.number == 1).distinct()
