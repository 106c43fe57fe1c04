"""Logs of a beam that was interrupted and resumed: joined, and judged again as one delivery.

A log that begins where another of the same beam, plan and machine ended a short time before is the
rest of it.  The later log is attached to the first, as a side file is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from qa_daemon.model import Event
from qa_daemon.store.ledger import move
from qa_daemon.store.schema import delivered_beams, deliveries, files

SAME_MU, SAME_MU_SHARE = 1.0, 0.01
"""A beam goes on where it stopped: within this, or this share of its meterset."""


def join_resumed(connection: Connection, file: int, gap_ns: int) -> None:
    """Join a log with the one that it resumes, or that resumes it, and queue the first."""
    own = connection.execute(_beams().where(delivered_beams.c.file == file)).all()
    if len(own) != 1:
        return
    (log,) = own
    query = _beams().where(
        delivered_beams.c.plan == log.plan,
        delivered_beams.c.number == log.number,
        delivered_beams.c.point_ns.between(log.point_ns - gap_ns, log.point_ns + gap_ns),
        delivered_beams.c.file != file,
        deliveries.c.machine == log.machine,
        files.c.main_file.is_(None),
    )
    rows = connection.execute(query).all()
    for other in sorted(rows, key=lambda row: abs(row.point_ns - log.point_ns)):
        first, rest = sorted((log, other), key=lambda row: row.point_ns)
        if _goes_on(first, rest):
            attached = update(files).where(files.c.id == rest.file)
            connection.execute(attached.values(main_file=first.file))
            move(connection, first.file, Event.INPUT_CAME)
            return


def _beams() -> Any:
    return (
        select(delivered_beams, deliveries.c.machine)
        .join(deliveries, deliveries.c.file == delivered_beams.c.file)
        .join(files, files.c.id == delivered_beams.c.file)
    )


def _goes_on(first: Row[Any], rest: Row[Any]) -> bool:
    same_mu = max(SAME_MU, SAME_MU_SHARE * first.planned_mu)
    is_short = first.planned_mu - first.to_mu > same_mu
    goes_on = abs(rest.from_mu - first.to_mu) <= same_mu and rest.from_mu > same_mu
    return bool(is_short and goes_on)
