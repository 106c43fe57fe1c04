"""Which plan a log is of, where a physicist has said so: audited, and never overwritten.

A later choice takes the place of an earlier one, which stays in the table.  Where a log names
neither plan nor patient, as Elekta's do, a choice may hold for the field: for the logs of the next
fractions too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select

from qa_daemon.model import DeliveryKeys, State
from qa_daemon.store import audit
from qa_daemon.store.ledger import queue_all
from qa_daemon.store.schema import deliveries, files, plan_choices, plans, results
from qa_daemon.store.store import Store

ABLE = (State.DONE.value, State.WAITING.value)


class CannotChoose(Exception):  # noqa: N818 - an answer for a person
    """The choice cannot be made; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A physicist's word on a log: `plan` is the SHA-256 of its plan, None: it is of none here.

    `of_field`: it holds for later logs of the same field too, where they name no plan themselves.
    """

    result: int
    plan: str | None
    actor: str
    reason: str
    of_field: bool = False


@dataclass(frozen=True, slots=True)
class MadeChoice:
    """A choice in force: `result` of the log, `plan` the plan's result, None: of none here."""

    id: int
    result: int
    plan: int | None
    actor: str
    reason: str
    at: str
    of_field: bool


def choose(store: Store, chosen: Choice) -> int:
    """Write the choice down, and queue the logs that it is about; how many.

    Raises `CannotChoose` where the log or the plan is not here any more.
    """
    with store.write() as connection:
        log = connection.execute(
            select(deliveries, files.c.sha256, files.c.state.label("file_state"))
            .join(results, results.c.file == deliveries.c.file)
            .join(files, files.c.id == deliveries.c.file)
            .where(results.c.id == chosen.result, results.c.active)
        ).first()
        if log is None or log.file_state not in ABLE:
            raise CannotChoose("this result is no longer the newest of its log: look again")
        if chosen.plan is not None and not _is_here(connection, chosen.plan):
            raise CannotChoose("this plan is no longer here")
        keys = DeliveryKeys(plan_uid=log.plan_uid, field=log.field, planned_mu=log.planned_mu)
        # A log that names its patient has no field that another could be taken for.
        field = (
            field_key(keys, log.machine) if chosen.of_field and not log.patient_is_told else None
        )
        connection.execute(
            insert(plan_choices).values(
                sha256=log.sha256,
                field_key=field,
                plan_sha256=chosen.plan,
                actor=chosen.actor,
                reason=chosen.reason,
                at=store.now(),
            )
        )
        audit.record(
            connection,
            at=store.now(),
            actor=chosen.actor,
            action="plan chosen" if chosen.plan else "no plan chosen",
            subject=f"result {chosen.result}",
            detail={
                "log": log.sha256,
                "plan": chosen.plan,
                "of the field": field is not None,
                "reason": chosen.reason,
            },
        )
        about = [log.file] if field is None else _of_field(connection, log)
        return queue_all(connection, about)


def _is_here(connection: Connection, plan: str) -> bool:
    query = (
        select(plans.c.file)
        .join(files, files.c.id == plans.c.file)
        .where(files.c.sha256 == plan, files.c.state == State.DONE.value)
    )
    return connection.execute(query.limit(1)).first() is not None


def _of_field(connection: Connection, log: Row[Any]) -> list[int]:
    """The log and all others of its field that nobody has chosen a plan for."""
    query = (
        select(files.c.id)
        .join(deliveries, deliveries.c.file == files.c.id)
        .where(deliveries.c.field == log.field, deliveries.c.machine == log.machine)
        .where(deliveries.c.plan_uid.is_(None), deliveries.c.patient_is_told.is_(False))
        .where(files.c.state.in_(ABLE))
    )
    return [*dict.fromkeys([log.file, *connection.execute(query).scalars()])]


def field_key(keys: DeliveryKeys, machine: str | None) -> str | None:
    """What later logs of the same field have in common; None where a log names plan or patient.

    A choice for one log then holds for those of the next fractions: same machine, same name, same
    planned meterset.
    """
    if keys.plan_uid is not None or keys.patient_id is not None:
        return None
    if keys.field is None or keys.planned_mu is None or machine is None:
        return None
    told = json.dumps([machine, keys.field, round(keys.planned_mu, 2)])
    return hashlib.sha256(told.encode()).hexdigest()


def choice(connection: Connection, sha256: str, field: str | None) -> Row[Any] | None:
    """The newest word on this very log, else on the field it is of; None where nobody chose."""
    for where in (
        plan_choices.c.sha256 == sha256,
        None if field is None else plan_choices.c.field_key == field,
    ):
        if where is None:
            continue
        query = select(plan_choices).where(where).order_by(plan_choices.c.id.desc()).limit(1)
        found = connection.execute(query).first()
        if found is not None and not found.is_withdrawn:
            return found
    return None


def newest(store: Store, limit: int = 20) -> list[MadeChoice]:
    """The newest choices that are in force, newest first."""
    log, plan = results.alias(), results.alias()
    query = (
        select(plan_choices, log.c.id.label("result"), plan.c.id.label("plan"))
        .join(log, (log.c.sha256 == plan_choices.c.sha256) & log.c.active)
        .join(plan, (plan.c.sha256 == plan_choices.c.plan_sha256) & plan.c.active, isouter=True)
        .where(_is_in_force())
        .order_by(plan_choices.c.id.desc())
        .limit(limit)
    )
    with store.read() as connection:
        return [
            MadeChoice(
                row.id,
                row.result,
                row.plan,
                row.actor,
                row.reason,
                row.at,
                row.field_key is not None,
            )
            for row in connection.execute(query)
        ]


def _is_in_force() -> ColumnElement[bool]:
    """Nothing was said of the same log later."""
    later = plan_choices.alias()
    overruled = select(later.c.id).where(
        later.c.sha256 == plan_choices.c.sha256, later.c.id > plan_choices.c.id
    )
    return and_(plan_choices.c.is_withdrawn.is_(False), ~overruled.exists())


def withdraw(store: Store, made: int, actor: str) -> int:
    """Take a choice back, and queue the logs that it was about; how many.

    Raises `CannotChoose` where it is not in force any more.
    """
    with store.write() as connection:
        query = select(plan_choices).where(plan_choices.c.id == made, _is_in_force())
        row = connection.execute(query).first()
        if row is None:
            raise CannotChoose("this choice is not in force any more")
        connection.execute(
            insert(plan_choices).values(
                sha256=row.sha256,
                field_key=row.field_key,
                is_withdrawn=True,
                actor=actor,
                reason="taken back",
                at=store.now(),
            )
        )
        audit.record(
            connection,
            at=store.now(),
            actor=actor,
            action="choice of plan taken back",
            subject=f"choice {made}",
            detail={"log": row.sha256, "plan": row.plan_sha256},
        )
        log = connection.execute(
            select(deliveries)
            .join(files, files.c.id == deliveries.c.file)
            .where(files.c.sha256 == row.sha256, files.c.state.in_(ABLE))
        ).first()
        if log is None:
            return 0
        about = [log.file] if row.field_key is None else _of_field(connection, log)
        return queue_all(connection, about)
