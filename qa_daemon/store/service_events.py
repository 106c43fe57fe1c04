"""What changed a machine: calibration, repair, exchange of a part, new software.

Trends are cut where one stands.  Events are entered by a person and never deleted; one that was
wrong is withdrawn, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, select, update

from qa_daemon.store import audit
from qa_daemon.store.schema_trends import service_events
from qa_daemon.store.store import Store
from qa_daemon.store.trends_again import look_again

MOST = 2000


class EventKind(StrEnum):
    """What was done."""

    CALIBRATION = "calibration"
    REPAIR = "repair"
    PART = "part changed"
    SOFTWARE = "software changed"
    OTHER = "other"


class NoSuchEvent(Exception):  # noqa: N818 - an answer for a person
    """There is no such event, or it was withdrawn already."""


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """An event of a machine; `analyzer` None: it concerns every test of it."""

    machine: str
    kind: EventKind
    said: str
    point_ns: int
    analyzer: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was entered, and by whom."""

    id: int
    event: ServiceEvent
    actor: str
    at: str
    withdrawn_by: str | None
    withdrawn_reason: str | None


def enter(store: Store, events: Iterable[ServiceEvent], actor: str) -> int:
    """Write events down, all of them in one transaction; how many were not there yet.

    The same event again (machine, kind, instant and test) is the one that is there.
    """
    entered: dict[str, list[int]] = {}
    with store.write() as connection:
        for event in events:
            here = (
                service_events.c.machine == event.machine,
                service_events.c.kind == event.kind,
                service_events.c.point_ns == event.point_ns,
                service_events.c.analyzer.is_not_distinct_from(event.analyzer),
                service_events.c.withdrawn_at.is_(None),
            )
            if connection.execute(select(service_events.c.id).where(*here)).first() is not None:
                continue
            row = {
                "machine": event.machine,
                "analyzer": event.analyzer,
                "kind": event.kind,
                "said": event.said,
                "point_ns": event.point_ns,
            }
            connection.execute(insert(service_events).values(**row, actor=actor, at=store.now()))
            audit.record(
                connection,
                at=store.now(),
                actor=actor,
                action="service event entered",
                subject=f"machine {event.machine}",
                detail=row,
            )
            entered.setdefault(event.machine, []).append(event.point_ns)
        for machine, instants_ns in entered.items():
            look_again(store, connection, machine, instants_ns)
    return sum(len(instants_ns) for instants_ns in entered.values())


def withdraw(store: Store, machine: str, identity: int, actor: str, reason: str) -> None:
    """An event that did not take place cuts no trend.  Raises `NoSuchEvent`."""
    with store.write() as connection:
        point_ns = connection.execute(
            update(service_events)
            .where(
                service_events.c.id == identity,
                service_events.c.machine == machine,
                service_events.c.withdrawn_at.is_(None),
            )
            .values(withdrawn_by=actor, withdrawn_at=store.now(), withdrawn_reason=reason)
            .returning(service_events.c.point_ns)
        ).scalar_one_or_none()
        if point_ns is None:
            raise NoSuchEvent("this machine has no such event, or it was withdrawn: look again")
        audit.record(
            connection,
            at=store.now(),
            actor=actor,
            action="service event withdrawn",
            subject=f"machine {machine}",
            detail={"event": identity, "reason": reason},
        )
        look_again(store, connection, machine, [point_ns])


def every(store: Store, machine: str, since_ns: int = 0) -> list[StoredEvent]:
    """Events of a machine, the oldest first, withdrawn ones too."""
    query = (
        select(service_events)
        .where(service_events.c.machine == machine, service_events.c.point_ns >= since_ns)
        .order_by(service_events.c.point_ns.desc(), service_events.c.id.desc())
        .limit(MOST)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [
        StoredEvent(
            row.id,
            ServiceEvent(row.machine, EventKind(row.kind), row.said, row.point_ns, row.analyzer),
            row.actor,
            row.at,
            row.withdrawn_by,
            row.withdrawn_reason,
        )
        for row in reversed(rows)
    ]


def in_force(events: Iterable[StoredEvent], analyzer: str) -> list[ServiceEvent]:
    """Those that concern a test and were not withdrawn."""
    return [
        stored.event
        for stored in events
        if stored.withdrawn_by is None and stored.event.analyzer in (None, analyzer)
    ]


def instant_of(event: datetime) -> int:
    """Nanoseconds of UTC; `event` has an offset."""
    return int(event.timestamp()) * 10**9
