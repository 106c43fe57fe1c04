"""Courses on kV units as pages read them, and which records are to be judged again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, select

from qa_daemon.fractions import NANO
from qa_daemon.store.ledger import queue_all
from qa_daemon.store.schema import kv_fractions
from qa_daemon.store.store import Store

MOST_RECORDS = 2000
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class FractionRecord:
    """One record of a fraction; `dose_gy` at the prescribed depth, None where it has none."""

    result: int
    machine: str | None
    course: str
    fraction: int
    fractions_planned: int
    prescribed_gy: float
    prescribed_depth_mm: float
    day: date
    point_ns: int
    dose_gy: float | None


def of_patient(store: Store, patient: str) -> list[FractionRecord]:
    """The records of a patient, the newest first."""
    query = (
        select(kv_fractions)
        .where(kv_fractions.c.patient == patient)
        .order_by(kv_fractions.c.point_ns.desc(), kv_fractions.c.file.desc())
        .limit(MOST_RECORDS)
    )
    with store.read() as connection:
        return [
            FractionRecord(
                r.result,
                r.machine,
                r.course,
                r.fraction,
                r.fractions_planned,
                r.prescribed_gy,
                r.prescribed_depth_mm,
                date.fromisoformat(r.day),
                r.point_ns,
                r.dose_gy,
            )
            for r in connection.execute(query)
        ]


def queue_since(
    connection: Connection, machine: str, point_ns: int, reach: timedelta | None
) -> None:
    """Let the records of a unit from an instant on be judged again, as far as `reach` goes."""
    where = [kv_fractions.c.machine == machine, kv_fractions.c.point_ns >= point_ns]
    if reach is not None:
        end_ns = point_ns + int(reach.total_seconds()) * NANO
        where.append(kv_fractions.c.point_ns <= end_ns)
    _queue(
        connection, list(connection.execute(select(kv_fractions.c.file).where(*where)).scalars())
    )


def queue_from_day(connection: Connection, machine: str, day: str) -> None:
    """Let the records of a unit from a day on be judged again."""
    where = (kv_fractions.c.machine == machine, kv_fractions.c.day >= day)
    _queue(
        connection, list(connection.execute(select(kv_fractions.c.file).where(*where)).scalars())
    )


def _queue(connection: Connection, files: list[int]) -> None:
    for start in range(0, len(files), AT_ONCE):
        queue_all(connection, files[start : start + AT_ONCE])
