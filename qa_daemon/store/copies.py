"""Copies and revisions of content: which row stands for it, and what lies beside it.

The same bytes may lie under many paths.  One row stands for them, the others are duplicates; all
of them say beside what the content was found.  Side files of equal bytes are copies only when their
names say the same: the text of one beam may be that of another, delivered at another time.  So may
the table of one machine check be that of another: there the name of the folder tells.  An image may
be the same in other bytes (`same_as`): only its reading tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, or_, select, update

from qa_daemon.model import State
from qa_daemon.store import leaf_errors
from qa_daemon.store.outbox import enqueue
from qa_daemon.store.schema import analyses, files, latest, measurements, outbox, results
from qa_daemon.store.store import bump
from qa_daemon.store.trends_again import FOLLOWER as TRENDS

Row = Mapping[str, Any] | RowMapping
LIVE = tuple(s.value for s in (State.QUEUED, State.WAITING, State.DONE, State.QUARANTINED))


def original(connection: Connection, of: Row) -> RowMapping | None:
    """The row that stands for the content of a row."""
    query = select(files).where(*_same(of), files.c.state.in_(LIVE)).limit(1)
    return connection.execute(query).mappings().first()


def duplicate(connection: Connection, of: Row) -> int | None:
    """The oldest further copy of a row's content, else of its image in other bytes."""
    for same in (_same(of), [files.c.same_as == of["id"]]):
        query = select(files.c.id).where(*same, files.c.state == State.DUPLICATE.value)
        found: int | None = connection.execute(query.order_by(files.c.id).limit(1)).scalar()
        if found is not None:
            return found
    return None


def contents(connection: Connection, file: int) -> list[str]:
    """The SHA-256 of a file, and of those that hold its image in other bytes.

    What a person said of one of them was said of the image.
    """
    query = select(files.c.sha256).where(or_(files.c.id == file, files.c.same_as == file))
    return list(connection.execute(query.order_by(files.c.id)).scalars())


def copies(connection: Connection, of: Row) -> list[RowMapping]:
    """Every row with the content of a row that is not replaced, the oldest first."""
    query = select(files).where(*_same(of), files.c.state != State.REPLACED.value)
    return list(connection.execute(query.order_by(files.c.id).limit(20)).mappings())


def counterparts(connection: Connection, of: Row, reach: float) -> list[RowMapping]:
    """The files that pair with the content of a row, nearest first.

    Ties are broken by content: the order of arrival must not matter.
    """
    found: dict[int, tuple[float, RowMapping]] = {}
    for copy in (c for c in copies(connection, of) if c["pair_key"] is not None):
        for beside in _beside(connection, copy, reach):
            stands_for_it = original(connection, beside)
            if stands_for_it is None:
                continue
            distance = abs(beside["pair_at"] - copy["pair_at"])
            nearest = found.get(stands_for_it["id"], (distance, stands_for_it))
            found[stands_for_it["id"]] = (min(distance, nearest[0]), stands_for_it)
    nearest_first = sorted(found.values(), key=lambda f: (f[0], f[1]["sha256"], f[1]["path"]))
    return [row for _, row in nearest_first]


def hand_over(connection: Connection, old: int, heir: int) -> None:
    """Set the result of a revised file aside, to be superseded by that of the row in its place.

    When that row has a result already, it is superseded here and now.  Otherwise it shows on the
    board until the next one is there; it does not keep its instant, which may have been wrong.
    """
    query = select(results.c.id, results.c.active)
    last = query.where(results.c.file == old, results.c.superseded_by.is_(None))
    successor = _active_result(connection, heir)
    for had in connection.execute(last).all():
        values = {"file": heir} if successor is None else {"superseded_by": successor}
        connection.execute(
            update(results).where(results.c.id == had.id).values(active=False, **values)
        )
        connection.execute(
            update(measurements).where(measurements.c.result == had.id).values(active=False)
        )
        leaf_errors.set_aside(connection, [had.id])
        bump(connection, "results", -1 if had.active else 0)
        if successor is not None:
            _repoint_latest(connection, had.id, successor)
            _look_again(connection, had.id)
            # The days and signals of trends go by what results took the place of.
            enqueue(connection, TRENDS, successor)


def _same(of: Row) -> list[ColumnElement[bool]]:
    # Two files that look alike inside may even be alike: bank A and bank B of a symmetric field.
    same = [
        files.c.sha256 == of["sha256"],
        files.c.is_companion == of["is_companion"],
        files.c.occasion == of["occasion"],
    ]
    if of["is_companion"]:
        same += [files.c.pair_key == of["pair_key"], files.c.pair_at == of["pair_at"]]
    return same


def _beside(connection: Connection, copy: RowMapping, reach: float) -> list[RowMapping]:
    at = copy["pair_at"]
    query = (
        select(files)
        .where(files.c.folder == copy["folder"], files.c.format == copy["format"])
        .where(files.c.pair_key == copy["pair_key"])
        .where(files.c.pair_at.between(at - reach, at + reach))
        .where(files.c.is_companion != copy["is_companion"])
        .where(files.c.state != State.REPLACED.value)
        .limit(20)
    )
    return list(connection.execute(query).mappings())


def _active_result(connection: Connection, file: int) -> int | None:
    """The result of a file; that of a side file is the one of the main file it was read with."""
    main = select(files.c.main_file).where(files.c.id == file).scalar_subquery()
    of = or_(results.c.file == file, results.c.file == main)
    query = select(results.c.id).where(of, results.c.active).order_by(results.c.file != file)
    found: int | None = connection.execute(query.limit(1)).scalar()
    return found


def _look_again(connection: Connection, superseded: int) -> None:
    """Have the alert engine look at a result that was superseded without a new one.

    Nobody else tells it that a file which could not be read is there as a whole now.
    """
    here = (outbox.c.sink == "alerts", outbox.c.result == superseded)
    if connection.execute(select(outbox.c.id).where(*here)).first() is None:
        values = {"sink": "alerts", "result": superseded, "state": "pending"}
        connection.execute(insert(outbox).values(**values))


def _repoint_latest(connection: Connection, old: int, new: int) -> None:
    """The board shows the successor where it showed the old result."""
    shown = connection.execute(select(latest).where(latest.c.result == old)).mappings().all()
    connection.execute(delete(latest).where(latest.c.result == old))
    for place in shown:
        said = connection.execute(
            select(analyses.c.id, results.c.point_ns)
            .join(results, results.c.id == analyses.c.result)
            .where(results.c.id == new, results.c.machine == place["machine"])
            .where(analyses.c.analyzer == place["analyzer"], analyses.c.verdict.is_not(None))
        ).first()
        if said is not None:
            values = {**place, "result": new, "analysis": said.id, "point_ns": said.point_ns}
            connection.execute(latest.insert().values(**values))
