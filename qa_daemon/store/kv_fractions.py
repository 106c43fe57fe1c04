"""Fractions on kV units: what each is calculated with, and the course that it belongs to.

A record is judged with the newest accepted output before it, the tables that count on its day and
the other records of its fraction.  Whatever of it comes later, the record is judged again.  The
course of a patient and a lesion is kept under a pseudonym, as the patient is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select

from analyzers.srt_treatments import AcceptedEndEffect, AcceptedOutput, OtherPart
from qa_daemon.fractions import NANO
from qa_daemon.model import Event, KvFractionKeys, Report, Verdict
from qa_daemon.store.kv_courses import queue_since
from qa_daemon.store.ledger import LedgerFile, move, queue_all
from qa_daemon.store.plans import Saved, meet
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.schema import kv_fractions, measurements, results, unit_blocks
from qa_daemon.store.srt_tables import StoredTable, counting
from qa_daemon.store.store import Store
from qa_daemon.verdict import Outcome

ANALYZER, OUTPUTS = "srt_delivered_dose", "srt_output"
DOSE = "prescribed_depth_dose"
WATER = " water"
NOT_USED = "not used"
COPY = "copy"
ACCEPTED = (int(Verdict.PASS), int(Verdict.TOLERANCE))
SAME_SECOND_NS = 999_000_000
"""Points of one second are told apart by their milliseconds."""
OUTPUT_COUNTS = timedelta(days=100)
"""No setting lets an older output count."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A record, as far as what it is calculated with depends on it.

    `beam` is `70 kV F2`; `reference` the applicator of the output checks, None where the site file
    names none.
    """

    machine: str
    beam: str
    reference: str | None
    at: datetime
    day: date
    course: str
    fraction: int
    file: int

    @property
    def point_ns(self) -> int:
        """The last instant of its second."""
        return int(self.at.timestamp()) * NANO + SAME_SECOND_NS


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """What the store knows for a record; equal when the dose would be."""

    tables: tuple[StoredTable, ...]
    output: AcceptedOutput | None
    end_effect: AcceptedEndEffect | None
    blocked: str | None
    others: tuple[tuple[int, OtherPart], ...]
    copies: tuple[int, ...] = ()
    """Files of records of the same fraction and second: no parts of it."""

    @property
    def doses(self) -> dict[str, float | str | None]:
        """The other records of the fraction by file; of a copy that it was taken for one."""
        of_parts = {str(file): part.dose_gy for file, part in self.others}
        return of_parts | {str(file): COPY for file in self.copies}


class KvFractions:
    """Finds what a record is calculated with, and keeps what it gave."""

    def __init__(self, store: Store, pseudonyms: Pseudonyms) -> None:
        self._store = store
        self._pseudonyms = pseudonyms

    def course_of(self, keys: KvFractionKeys) -> str:
        """`C-` and ten letters and digits: of one patient, course and lesion."""
        parts = [keys.patient_id, keys.course_id, keys.lesion]
        plain = "|".join(f"{len(''.join(part.split()))}|{part}" for part in parts)
        return (self._pseudonyms.of(plain) or "").replace("P-", "C-", 1)

    def find(self, asked: Asked) -> FoundInputs:
        """What is known now."""
        return find_inputs(self._store, asked)

    def keep(
        self,
        connection: Connection,
        file: LedgerFile,
        report: Report,
        outcomes: Sequence[Outcome],
        saved: Saved,
        used: tuple[Asked, FoundInputs] | None,
    ) -> None:
        """Write a record down in the transaction of its result, and let others be judged again."""
        connection.execute(delete(kv_fractions).where(kv_fractions.c.file == file.id))
        keys = report.keys
        if not isinstance(keys, KvFractionKeys):
            return
        patient = self._pseudonyms.of(keys.patient_id)
        if patient is None:
            return
        course, doses = self.course_of(keys), used[1].doses if used else {}
        dose_gy = _dose(outcomes)
        connection.execute(
            insert(kv_fractions).values(
                file=file.id,
                result=saved.result,
                machine=saved.machine,
                patient=patient,
                course=course,
                fraction=keys.fraction,
                fractions_planned=keys.fractions_planned,
                prescribed_gy=keys.prescribed_gy,
                prescribed_depth_mm=keys.prescribed_depth_mm,
                day=keys.day.isoformat(),
                point_ns=saved.point_ns,
                dose_gy=dose_gy,
                used=json.dumps(doses),
            )
        )
        meet(connection, patient, saved)
        of = _Fraction(course, keys.fraction, keys.day)
        for other in _others(connection, of, file.id, saved.point_ns):
            if json.loads(other.used).get(str(file.id), NOT_USED) != dose_gy:
                queue_all(connection, [other.file])
        for copy in _copies(connection, of, file.id, saved.point_ns):
            if json.loads(copy.used).get(str(file.id)) != COPY:
                queue_all(connection, [copy.file])
        if used is not None and _find(connection, used[0]) != used[1]:
            move(connection, file.id, Event.INPUT_CAME)

    def check_came(
        self,
        connection: Connection,
        outcomes: Sequence[Outcome],
        points: Mapping[str, int],
    ) -> None:
        """Queue the records that a check may be of weight for.

        `points` maps the units that it is, or was, of to the earliest instant it is of.
        """
        has_end_effect = any(
            judged.value.metric == "end_effect" for o in outcomes for judged in o.judged
        )
        for machine, point_ns in points.items():
            reach = None if has_end_effect else OUTPUT_COUNTS
            queue_since(connection, machine, point_ns - SAME_SECOND_NS, reach)


def find_inputs(store: Store, asked: Asked) -> FoundInputs:
    """What the store knows now for a record, or for one that is only planned."""
    with store.read() as connection:
        return _find(connection, asked)


def _find(connection: Connection, asked: Asked) -> FoundInputs:
    tables = counting(connection, asked.machine, asked.day)
    of = _Fraction(asked.course, asked.fraction, asked.day)
    others = _others(connection, of, asked.file, asked.point_ns)
    return FoundInputs(
        tuple(tables[kind] for kind in sorted(tables)),
        _output(connection, asked),
        _end_effect(connection, asked),
        _blocked(connection, asked),
        tuple((o.file, OtherPart(o.dose_gy, o.result)) for o in others),
        tuple(o.file for o in _copies(connection, of, asked.file, asked.point_ns)),
    )


def _output(connection: Connection, asked: Asked) -> AcceptedOutput | None:
    if asked.reference is None:
        return None
    place = f"{asked.beam} {asked.reference}".casefold()
    deviation = measurements.alias()
    accepted = (
        select(deviation.c.id)
        .where(
            deviation.c.result == measurements.c.result,
            deviation.c.at == measurements.c.at,
            deviation.c.analyzer == OUTPUTS,
            deviation.c.metric == "output_deviation",
            deviation.c.verdict.in_(ACCEPTED),
        )
        .exists()
    )
    query = (
        _measured(asked, "output")
        .where(func.lower(measurements.c.at).in_([place, place + WATER]), accepted)
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    percent = connection.execute(
        select(measurements.c.value).where(
            measurements.c.result == row.result,
            measurements.c.analyzer == OUTPUTS,
            measurements.c.metric == "uncertainty_k1",
            measurements.c.at == row.at,
        )
    ).scalar()
    at = datetime.fromtimestamp(row.point_ns // NANO, UTC)
    return AcceptedOutput(row.value, row.at.endswith(WATER), at, row.result, percent)


def _end_effect(connection: Connection, asked: Asked) -> AcceptedEndEffect | None:
    beam = func.lower(measurements.c.at).startswith(f"{asked.beam} ".casefold(), autoescape=True)
    query = (
        _measured(asked, "end_effect").where(beam, measurements.c.verdict.in_(ACCEPTED)).limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    at = datetime.fromtimestamp(row.point_ns // NANO, UTC)
    return AcceptedEndEffect(row.value, at, row.result)


def _measured(asked: Asked, metric: str) -> Any:
    """Numbers of accepted checks of the unit up to the record, the newest first."""
    return (
        select(
            measurements.c.value,
            measurements.c.at,
            measurements.c.point_ns,
            measurements.c.result,
        )
        .join(results, results.c.id == measurements.c.result)
        .where(
            measurements.c.machine == asked.machine,
            measurements.c.analyzer == OUTPUTS,
            measurements.c.metric == metric,
            measurements.c.active,
            measurements.c.point_ns <= asked.point_ns,
            results.c.active,
            results.c.verdict.in_(ACCEPTED),
        )
        .order_by(measurements.c.point_ns.desc(), measurements.c.id.desc())
    )


def _blocked(connection: Connection, asked: Asked) -> str | None:
    """Why the unit must not have treated then; None where it might."""
    at = asked.at.astimezone(UTC).isoformat(timespec="milliseconds")
    row = connection.execute(
        select(unit_blocks.c.result, unit_blocks.c.said)
        .where(
            unit_blocks.c.machine == asked.machine,
            unit_blocks.c.point_ns <= asked.point_ns,
            or_(unit_blocks.c.cleared_at.is_(None), unit_blocks.c.cleared_at > at),
        )
        .order_by(unit_blocks.c.id)
        .limit(1)
    ).first()
    return None if row is None else f"by result {row.result}: {row.said}"


@dataclass(frozen=True, slots=True)
class _Fraction:
    course: str
    number: int
    day: date


def _others(connection: Connection, of: _Fraction, file: int, point_ns: int) -> list[Row[Any]]:
    """The other records of a fraction, of one course on one day.

    A record of the same second is a copy: no two parts of a fraction begin at once.
    """
    second_ns = point_ns // NANO * NANO
    apart = or_(
        kv_fractions.c.point_ns < second_ns,
        kv_fractions.c.point_ns >= second_ns + NANO,
    )
    return _records(connection, of, file, apart)


def _copies(connection: Connection, of: _Fraction, file: int, point_ns: int) -> list[Row[Any]]:
    """The other records of a fraction that are of the same second."""
    second_ns = point_ns // NANO * NANO
    together = kv_fractions.c.point_ns.between(second_ns, second_ns + NANO - 1)
    return _records(connection, of, file, together)


def _records(
    connection: Connection, of: _Fraction, file: int, when: ColumnElement[bool]
) -> list[Row[Any]]:
    query = (
        select(kv_fractions)
        .where(
            kv_fractions.c.course == of.course,
            kv_fractions.c.fraction == of.number,
            kv_fractions.c.day == of.day.isoformat(),
            kv_fractions.c.file != file,
            when,
        )
        .order_by(kv_fractions.c.file)
    )
    return list(connection.execute(query))


def _dose(outcomes: Sequence[Outcome]) -> float | None:
    for outcome in outcomes:
        if outcome.report.analyzer == ANALYZER:
            for judged in outcome.judged:
                if judged.value.metric == DOSE:
                    return judged.value.value
    return None
