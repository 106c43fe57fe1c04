"""Output checks that a physicist has reviewed and signed, and those that still wait for it.

A signature belongs to the file and the verdict that was signed: judged again with another verdict,
the check waits for a signature again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, or_, select

from qa_daemon.model import Verdict
from qa_daemon.store import audit
from qa_daemon.store.schema import check_signatures, results
from qa_daemon.store.store import Store

LOOKED_BACK = timedelta(days=400)
"""Checks that were made longer ago are history that was brought in."""
MOST_LISTED = 500
FORMATS = ("srt-output-csv", "srt-output-json")


class CannotSign(Exception):  # noqa: N818 - an answer for a person
    """What was to be signed cannot be; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A check that no physicist has signed."""

    result: int
    machine: str
    point_ns: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed a check, when, and the remark."""

    actor: str
    at: str
    remark: str


def sign(store: Store, results_: Sequence[int], actor: str, remark: str) -> int:
    """Sign checks, all in one transaction; how many.

    Raises `CannotSign` where one is no check, or is not the newest result of its file any more.
    """
    with store.write() as connection:
        rows = connection.execute(
            select(results.c.id, results.c.file, results.c.verdict).where(
                results.c.id.in_(results_), results.c.active, results.c.format.in_(FORMATS)
            )
        ).all()
        if len(rows) != len(set(results_)) or not rows:
            raise CannotSign("a check was judged again meanwhile: look again")
        for row in rows:
            connection.execute(
                insert(check_signatures).values(
                    file=row.file,
                    result=row.id,
                    verdict=row.verdict,
                    actor=actor,
                    remark=remark,
                    at=store.now(),
                )
            )
        audit.record(
            connection,
            at=store.now(),
            actor=actor,
            action="output checks signed",
            subject=f"{len(rows)} checks",
            detail={"results": [row.id for row in rows], "remark": remark},
        )
        return len(rows)


def unsigned(store: Store, machine: str, before: datetime | None = None) -> list[Unsigned]:
    """The checks of a unit that wait for a signature, oldest first; those made before an instant.

    Nothing of them is older than `LOOKED_BACK`, so that history that was imported asks for none.
    """
    since_ns = int((store.instant() - LOOKED_BACK).timestamp()) * 10**9
    query = _unsigned().where(results.c.machine == machine, results.c.point_ns >= since_ns)
    if before is not None:
        query = query.where(results.c.point_ns < int(before.timestamp()) * 10**9)
    with store.read() as connection:
        rows = connection.execute(query.order_by(results.c.point_ns).limit(MOST_LISTED))
        return [
            Unsigned(r.id, r.machine, r.point_ns, None if r.verdict is None else Verdict(r.verdict))
            for r in rows
        ]


def signature_of(store: Store, result: int) -> Signature | None:
    """The signature that holds for a result; None where it waits for one."""
    with store.read() as connection:
        return _signature(connection, result)


def _signature(connection: Connection, result: int) -> Signature | None:
    query = (
        select(check_signatures)
        .join(results, _holds())
        .where(results.c.id == result)
        .order_by(check_signatures.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Signature(row.actor, row.at, row.remark)


def _holds() -> ColumnElement[bool]:
    same = or_(
        check_signatures.c.verdict == results.c.verdict,
        and_(check_signatures.c.verdict.is_(None), results.c.verdict.is_(None)),
    )
    return and_(check_signatures.c.file == results.c.file, same)


def _unsigned() -> Select[tuple[int, str, int, int | None]]:
    signed = select(check_signatures.c.id).where(_holds()).correlate(results).exists()
    return select(results.c.id, results.c.machine, results.c.point_ns, results.c.verdict).where(
        results.c.active,
        results.c.format.in_(FORMATS),
        results.c.not_judged.is_(None) | results.c.verdict.is_not(None),
        ~signed,
    )
