"""Logs of a beam that was interrupted and resumed: joined, and judged again as one delivery.

A log that begins where another of the same beam, plan and machine ended a short time before is the
rest of it.  The later log is attached to the first, as a side file is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from qa_daemon.fractions import goes_on
from qa_daemon.model import Event
from qa_daemon.store.ledger import move
from qa_daemon.store.schema import delivered_beams, deliveries, files


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
        if goes_on(first, rest):
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
