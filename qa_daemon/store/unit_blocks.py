"""A kV unit that is out of its limits: blocked from the check that found it until it is cleared.

Written in the transaction of the result, so that no page shows the one without the other.  Only a
physicist clears, with a reason; an output that nothing reconciles needs a check in its limits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, insert, or_, select, update

from qa_daemon.model import Verdict
from qa_daemon.store import audit
from qa_daemon.store.schema import measurements, unit_blocks
from qa_daemon.store.store import Store
from qa_daemon.verdict import Judged, Outcome

HISTORY = timedelta(days=31)
"""A check that was made longer ago says nothing of the unit today: it was brought in afterwards."""
RECONCILE_PERCENT = 5.0
"""An output that is off by more, and is not reconciled, demands a full calibration (OAR
333-123-0035, -0145; the other rules that were read ask for no less)."""
OUTPUT = "srt_output.output_deviation"
NS_PER_S = 1_000_000_000
AGAIN = re.compile(r" \(\d+\)$")
"""Behind a place that a session measured more than once."""
MOST_OPEN = 200
MOST_PAST = 500


class CannotClear(Exception):  # noqa: N818 - an answer for a person
    """The unit stays blocked; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """One reason why a unit is blocked.

    `said` is a sentence for a page.  `demands_calibration`: the output is so far off that a reason
    alone does not clear it.
    """

    id: int
    machine: str
    result: int
    point_ns: int
    said: str
    demands_calibration: bool
    at: str


@dataclass(frozen=True, slots=True)
class PastBlock:
    """A reason why a unit was blocked, and how that ended; not cleared, it still is.

    `result` is the check that found it, made at `point_ns`; `at_beam` is None for the whole unit.
    """

    result: int
    point_ns: int
    at_beam: str | None
    said: str
    demands_calibration: bool
    at: str
    cleared_by: str | None
    cleared_at: str | None
    cleared_reason: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """A judged check as it is saved: which file, result and unit, and when it was made."""

    file: int
    result: int
    machine: str
    point_ns: int
    performed_at: datetime


def keep(connection: Connection, check: Check, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Block the unit for each number of a recent check that is at ACTION.

    What the same file blocked before, and is in its limits when it is judged again, stays blocked:
    a physicist has to see it.  The same number of the same second in another file is a copy (a
    table that has grown, or was saved once more) and blocks nothing anew.
    """
    if now - check.performed_at > HISTORY:
        return
    of_file, of_copies = _blocked_before(connection, check)
    for outcome in outcomes:
        for judged in outcome.judged:
            place = f"{outcome.report.analyzer}.{judged.value.metric}", judged.value.at
            is_known = place in of_file or (*place, _said(judged)) in of_copies
            if judged.verdict is Verdict.ACTION and not is_known:
                _block(connection, check, place[0], judged, now)


def open_blocks(store: Store, machine: str | None = None) -> list[Block]:
    """Why units are blocked, the newest first; of one unit, or of all."""
    query = select(unit_blocks).where(unit_blocks.c.cleared_at.is_(None))
    if machine is not None:
        query = query.where(unit_blocks.c.machine == machine)
    with store.read() as connection:
        rows = connection.execute(query.order_by(unit_blocks.c.id.desc()).limit(MOST_OPEN))
        return [
            Block(r.id, r.machine, r.result, r.point_ns, r.said, r.demands_calibration, r.at)
            for r in rows
        ]


def of_file(store: Store, file: int) -> list[PastBlock]:
    """What a check blocked its unit for, by the check's file; cleared or not, the oldest first."""
    with store.read() as connection:
        rows = connection.execute(
            select(unit_blocks).where(unit_blocks.c.file == file).order_by(unit_blocks.c.id)
        )
        return [_past(row) for row in rows]


def history(store: Store, machine: str) -> list[PastBlock]:
    """Why a unit was blocked, cleared or not, the newest first."""
    query = (
        select(unit_blocks)
        .where(unit_blocks.c.machine == machine)
        .order_by(unit_blocks.c.id.desc())
        .limit(MOST_PAST)
    )
    with store.read() as connection:
        return [_past(row) for row in connection.execute(query)]


def clear(store: Store, block: int, actor: str, reason: str) -> None:
    """A physicist takes the unit into use again.

    Raises `CannotClear` where it was cleared already, and where the output was off beyond what a
    reason reconciles and no later check of that beam is in its limits.
    """
    with store.write() as connection:
        row = connection.execute(select(unit_blocks).where(unit_blocks.c.id == block)).one_or_none()
        if row is None or row.cleared_at is not None:
            raise CannotClear("this block was cleared already: look again")
        if row.demands_calibration and not _is_in_order_since(connection, row):
            raise CannotClear(
                "the output is off by more than a reason reconciles: a later check of this beam "
                "in its limits, after a full calibration or a repeat, has to be here first"
            )
        connection.execute(
            update(unit_blocks)
            .where(unit_blocks.c.id == block)
            .values(cleared_by=actor, cleared_at=store.now(), cleared_reason=reason)
        )
        audit.record(
            connection,
            at=store.now(),
            actor=actor,
            action="unit cleared",
            subject=f"result {row.result}",
            detail={"machine": row.machine, "said": row.said, "reason": reason},
        )


def _blocked_before(
    connection: Connection, check: Check
) -> tuple[set[tuple[str, str | None]], set[tuple[str, str | None, str]]]:
    """Metrics and places that the check's file blocked for; and, with the number, any file did
    that is of the same unit and second."""
    second_ns = check.point_ns // NS_PER_S * NS_PER_S
    here = unit_blocks.c
    is_copy = and_(
        here.machine == check.machine,
        here.point_ns >= second_ns,
        here.point_ns < second_ns + NS_PER_S,
    )
    rows = connection.execute(select(unit_blocks).where(or_(here.file == check.file, is_copy)))
    found = list(rows)
    return (
        {(row.metric, row.at_beam) for row in found if row.file == check.file},
        {(row.metric, row.at_beam, row.said) for row in found if row.machine == check.machine},
    )


def _said(judged: Judged) -> str:
    value = judged.value
    place = f" at {value.at}" if value.at else ""
    return f"{value.metric}{place}: {value.value:+.3g} {value.unit}"


def _past(row: Row[Any]) -> PastBlock:
    return PastBlock(
        row.result,
        row.point_ns,
        row.at_beam,
        row.said,
        row.demands_calibration,
        row.at,
        row.cleared_by,
        row.cleared_at,
        row.cleared_reason,
    )


def _block(
    connection: Connection, check: Check, metric: str, judged: Judged, now: datetime
) -> None:
    value = judged.value
    off = metric == OUTPUT and abs(value.value) > RECONCILE_PERCENT
    said = _said(judged)
    at = now.isoformat(timespec="milliseconds")
    connection.execute(
        insert(unit_blocks).values(
            machine=check.machine,
            file=check.file,
            result=check.result,
            point_ns=check.point_ns,
            metric=metric,
            at_beam=value.at,
            said=said,
            demands_calibration=off,
            at=at,
        )
    )
    audit.record(
        connection,
        at=at,
        actor="daemon",
        action="unit blocked",
        subject=f"result {check.result}",
        detail={"machine": check.machine, "said": said, "demands_calibration": off},
    )


def _is_in_order_since(connection: Connection, block: Row[Any]) -> bool:
    """Whether the newest later check of the same beam holds every output of it in its limits.

    Checks of one second are told apart by milliseconds that say nothing of what came later.
    """
    beam = _beam_of(connection, block)
    newest = connection.execute(
        _outputs_like(block)
        .where(
            measurements.c.machine == block.machine,
            measurements.c.at == beam,
            measurements.c.active,
            measurements.c.point_ns >= (block.point_ns // NS_PER_S + 1) * NS_PER_S,
        )
        .order_by(measurements.c.point_ns.desc())
        .limit(1)
    ).first()
    if newest is None:
        return False
    same_check = connection.execute(
        _outputs_like(block).where(measurements.c.result == newest.result)
    )
    verdicts = [m.verdict for m in same_check if beam in (m.at, AGAIN.sub("", m.at or ""))]
    return all(v is not None and v <= int(Verdict.TOLERANCE) for v in verdicts)


def _beam_of(connection: Connection, block: Row[Any]) -> str | None:
    """The block's beam: what a session measured twice is one beam, and not a second one."""
    beam: str | None = block.at_beam
    first = AGAIN.sub("", beam or "")
    of_check = _outputs_like(block).where(measurements.c.result == block.result)
    places = {m.at for m in connection.execute(of_check)}
    return first if first in places else beam


def _outputs_like(block: Row[Any]) -> Select[tuple[int, str | None, int | None]]:
    analyzer, _, metric = block.metric.partition(".")
    return select(measurements.c.result, measurements.c.at, measurements.c.verdict).where(
        measurements.c.analyzer == analyzer, measurements.c.metric == metric
    )
