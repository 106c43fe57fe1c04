"""Logs of a beam that was interrupted and resumed: joined, and judged again as one delivery.

A log that begins where another of the same beam, plan and machine ended a short time before is the
rest of it.  The later log is attached to the first, as a side file is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, or_, select, update

from qa_daemon.fractions import goes_on
from qa_daemon.model import Event, State
from qa_daemon.store.ledger import move
from qa_daemon.store.schema import delivered_beams, deliveries, files


def join_resumed(connection: Connection, file: int, gap_ns: int) -> None:
    """Join a log with the one that it resumes, or that resumes it, and queue the first."""
    own = connection.execute(_beams().where(delivered_beams.c.file == file)).all()
    if len(own) != 1 or not own[0].joinable:
        return
    (log,) = own
    query = _beams().where(
        delivered_beams.c.plan == log.plan,
        delivered_beams.c.number == log.number,
        delivered_beams.c.point_ns.between(log.point_ns - gap_ns, log.point_ns + gap_ns),
        delivered_beams.c.file != file,
        deliveries.c.machine == log.machine,
        files.c.main_file.is_(None),
        delivered_beams.c.joinable,
        # What is queued is about to say something else.
        files.c.state == State.DONE.value,
    )
    rows = connection.execute(query).all()
    for other in sorted(rows, key=lambda row: abs(row.point_ns - log.point_ns)):
        first, rest = sorted((log, other), key=lambda row: row.point_ns)
        if goes_on(first, rest):
            # With the logs that were joined to it before: one first log has all of them.
            own_rest = (files.c.main_file == rest.file) & files.c.is_companion.is_(False)
            attached = update(files).where(or_(files.c.id == rest.file, own_rest))
            connection.execute(attached.values(main_file=first.file))
            move(connection, first.file, Event.INPUT_CAME)
            return


def _beams() -> Any:
    return (
        select(delivered_beams, deliveries.c.machine)
        .join(deliveries, deliveries.c.file == delivered_beams.c.file)
        .join(files, files.c.id == delivered_beams.c.file)
    )
