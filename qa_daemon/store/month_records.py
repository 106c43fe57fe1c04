"""What the store holds of one month: read in pages of one view, whatever the archive's age.

Every query runs on the caller's connection, so that a month is told as it stood at one instant.
`machine` is a machine as results have it; None are those of no machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, Select, func, not_, select

from qa_daemon.model import State
from qa_daemon.store.months import Month
from qa_daemon.store.queries import CT
from qa_daemon.store.schema import (
    analyses,
    audit,
    files,
    identities,
    measurements,
    notifications,
    outbox,
    results,
)

PAGE = 2000
AT_ONCE = 500
LONGEST_CHAIN = 50
TOGETHER = re.compile(r"[,;^]")
LOOKED_BACK = 3
"""Months, for what was still open when the month began."""
LOOKED_AT = ("signed in", "signed out", "sign-in failed", "identity seen")
"""Acts that change nothing of what is told: of looking at pages."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message about a result: its title, who took it and when; None: nobody yet."""

    title: str
    sent_to: str | None
    sent_at: str | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """The newest row of the audit trail that changed anything."""

    seq: int
    hash: str


def machines(connection: Connection, month: Month) -> list[str | None]:
    """Every machine that has results, by name; those of no machine last."""
    query = select(results.c.machine).where(*_within(month)).distinct()
    found = list(connection.execute(query).scalars())
    return sorted(found, key=lambda name: (name is None, name or ""))


def newest_ns(connection: Connection, month: Month) -> int | None:
    """The instant of the newest result."""
    newest: int | None = connection.execute(
        select(func.max(results.c.point_ns)).where(*_within(month))
    ).scalar_one()
    return newest


def months(connection: Connection, zone: ZoneInfo) -> list[Month]:
    """The months that have results, in order; a look-up for each."""
    found: list[Month] = []
    since_ns = 0
    while True:
        query = select(func.min(results.c.point_ns))
        query = query.where(results.c.active, results.c.point_ns >= since_ns)
        first_ns = connection.execute(query).scalar_one()
        if first_ns is None:
            return found
        found.append(Month.of(datetime.fromtimestamp(first_ns // 10**9, UTC), zone))
        since_ns = found[-1].until_ns


def judged(connection: Connection, month: Month, machine: str | None) -> Iterator[Row[Any]]:
    """Every judged number in order of time; what was superseded is not among them."""
    query = _judged(month, machine)
    yield from connection.execute(query, execution_options={"yield_per": PAGE})


def _judged(month: Month, machine: str | None) -> Select[Any]:
    here = measurements.c
    return (
        select(
            here.result,
            results.c.point_ns,
            results.c.energy,
            here.analyzer,
            analyses.c.version,
            here.metric,
            here.value,
            here.unit,
            here.at,
            here.verdict,
            here.tolerance_low,
            here.tolerance_high,
            here.action_low,
            here.action_high,
            here.limits_source,
            here.judged_as,
            results.c.technique,
        )
        .select_from(results)
        .join(measurements, here.result == results.c.id)
        .join(analyses, analyses.c.id == here.analysis)
        .where(*_within(month), _of(machine), here.verdict.is_not(None))
        .order_by(results.c.point_ns, results.c.id, here.id)
    )


def answers(connection: Connection, month: Month, machine: str | None) -> Iterator[Row[Any]]:
    """Every judged answer of a test in order of time: result, instant, series, test, verdict."""
    query = (
        select(
            results.c.id.label("result"),
            results.c.point_ns,
            results.c.series,
            analyses.c.analyzer,
            analyses.c.version,
            analyses.c.verdict,
            analyses.c.failure.is_not(None).label("failed"),
        )
        .select_from(results)
        .join(analyses, analyses.c.result == results.c.id)
        .where(*_within(month), _of(machine), analyses.c.verdict.is_not(None))
        .order_by(results.c.point_ns, results.c.id, analyses.c.id)
    )
    yield from connection.execute(query, execution_options={"yield_per": PAGE})


def answers_before(connection: Connection, month: Month, machine: str | None) -> Iterator[Row[Any]]:
    """The same of the months before it, `LOOKED_BACK` of them."""
    first = month
    for _ in range(LOOKED_BACK):
        first = first.before
    query: Select[Any] = (
        select(
            results.c.id.label("result"),
            results.c.point_ns,
            results.c.series,
            analyses.c.analyzer,
            analyses.c.verdict,
        )
        .select_from(results)
        .join(analyses, analyses.c.result == results.c.id)
        .where(results.c.active, _of(machine), analyses.c.verdict.is_not(None))
        .where(results.c.point_ns >= first.since_ns, results.c.point_ns < month.since_ns)
        .order_by(results.c.point_ns, results.c.id, analyses.c.id)
    )
    yield from connection.execute(query, execution_options={"yield_per": PAGE})


def records(connection: Connection, month: Month, machine: str | None) -> int:
    """How many results there are; the slices of a CT, each a file of its own, are not counted."""
    is_slice = func.coalesce(results.c.format, "") == CT
    query = select(func.count()).where(*_within(month), _of(machine), not_(is_slice))
    return int(connection.execute(query).scalar_one())


def unreadable(connection: Connection, month: Month, machine: str | None) -> list[Any]:
    """Files that could not be read: result, instant (of the file's writing) and code."""
    query = (
        select(results.c.id.label("result"), results.c.point_ns, results.c.error_code)
        .where(*_within(month), _of(machine), results.c.error_code.is_not(None))
        .order_by(results.c.point_ns, results.c.id)
    )
    return list(connection.execute(query).all())


def made_with(connection: Connection, month: Month, machine: str | None) -> list[Any]:
    """Versions and settings that results were made with, by the first of each."""
    query = (
        select(
            results.c.software,
            results.c.site_hash,
            func.min(results.c.point_ns).label("first_ns"),
            func.max(results.c.point_ns).label("last_ns"),
            func.count().label("n"),
        )
        .where(*_within(month), _of(machine))
        .group_by(results.c.software, results.c.site_hash)
    )
    rows = connection.execute(query).all()
    return sorted(rows, key=lambda row: (row.first_ns, row.software, row.site_hash))


def messages(connection: Connection, about: Iterable[int]) -> dict[int, list[Message]]:
    """What people were told of results, and of those that they took the place of."""
    found: dict[int, list[Message]] = {}
    wanted = sorted(set(about))
    for k in range(0, len(wanted), AT_ONCE):
        stands_for = {result: result for result in wanted[k : k + AT_ONCE]}
        generation = list(stands_for)
        for _ in range(LONGEST_CHAIN):
            of = notifications.c.result.in_(generation)
            query = select(notifications).where(of).order_by(notifications.c.id)
            for row in connection.execute(query):
                said = Message(row.title, row.sent_to, row.sent_at)
                found.setdefault(stands_for[row.result], []).append(said)
            older = connection.execute(
                select(results.c.id, results.c.superseded_by).where(
                    results.c.superseded_by.in_(generation)
                )
            ).all()
            stands_for |= {row.id: stands_for[row.superseded_by] for row in older}
            generation = [row.id for row in older]
            if not generation:
                break
    return found


def sealed(connection: Connection) -> Sealed | None:
    """The newest row of the audit trail that is not of looking at pages; None: there is none."""
    query = (
        select(audit.c.seq, audit.c.hash)
        .where(audit.c.action.not_in(LOOKED_AT))
        .order_by(audit.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Sealed(row.seq, row.hash)


def acts(connection: Connection, month: Month, actions: Sequence[str]) -> list[Any]:
    """What was done in the month, by the audit trail, in its order."""
    first, beyond = month.utc_text(month.since), month.utc_text(month.until)
    query = (
        select(audit)
        .where(audit.c.action.in_(actions), audit.c.at >= first, audit.c.at < beyond)
        .order_by(audit.c.seq)
    )
    return list(connection.execute(query).all())


def queued_files(connection: Connection) -> int:
    """How many files are here and have still to be read: nobody knows of which month they are."""
    query = select(func.count()).where(files.c.state == State.QUEUED.value)
    return int(connection.execute(query).scalar_one())


def behind_in_trends(connection: Connection) -> int:
    """How many results the trends have still to look at."""
    waiting = (outbox.c.sink == "trends", outbox.c.state == "pending")
    return int(connection.execute(select(func.count()).where(*waiting)).scalar_one())


def identity_words(connection: Connection, month: Month) -> set[str]:
    """What identifies somebody in the records of the month and the one before, in lower case.

    To be left out of what was typed, which may be about a record of last week or one that was
    judged again; names that stand together in one text are told apart as well.
    """
    query = (
        select(identities.c.fields)
        .select_from(results)
        .join(identities, identities.c.result == results.c.id)
        .where(results.c.active.in_((True, False)))
        .where(results.c.point_ns >= month.before.since_ns, results.c.point_ns < month.until_ns)
    )
    values: set[str] = set()
    for text in connection.execute(query, execution_options={"yield_per": PAGE}).scalars():
        values |= {str(value).strip().casefold() for value in json.loads(text).values()}
    parts = {part.strip() for value in values for part in TOGETHER.split(value)}
    return {word for word in values | parts if len(word) > 2}


def _within(month: Month) -> tuple[ColumnElement[bool], ...]:
    return (
        results.c.active,
        results.c.point_ns >= month.since_ns,
        results.c.point_ns < month.until_ns,
    )


def _of(machine: str | None) -> ColumnElement[bool]:
    return results.c.machine.is_(None) if machine is None else results.c.machine == machine
