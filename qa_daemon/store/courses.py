"""Reading plans and their deliveries for pages and alerts: by pseudonym, never by name.

What is read is bounded: the newest patients, the newest plans of one, their newest deliveries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from qa_daemon.fractions import NANO, DeliveredPart, Fraction, RecordedPart, fractions
from qa_daemon.model import MatchState, State, Verdict
from qa_daemon.store.plan_choices import ABLE
from qa_daemon.store.schema import (
    delivered_beams,
    deliveries,
    files,
    kv_fractions,
    patients,
    planned_beams,
    plans,
    recorded_beams,
    results,
)
from qa_daemon.store.store import Store

MOST_PLANS = 20
MOST_DELIVERIES = 600
MOST_UNMATCHED = 100
ALWAYS = (0, 2**63 - 1)
MOST_LOOSE = 50
MOST_IN_A_QUERY = 500
NEEDS_A_MATCH = deliveries.c.state == MatchState.NEEDS_A_MATCH.value


@dataclass(frozen=True, slots=True)
class PlanRival:
    """A plan that a physicist may choose for a log; `result` is the plan's own."""

    plan_sha256: str
    result: int
    beam_number: int
    score: float
    said: str


@dataclass(frozen=True, slots=True)
class UnmatchedLog:
    """A log that needs a physicist to say which plan it is of.

    `names_field_only`: it names neither plan nor patient, so a choice may hold for its field.
    """

    result: int
    machine: str | None
    point_ns: int
    reason: str
    patient: str | None
    planned_mu: float | None
    names_field_only: bool
    rivals: tuple[PlanRival, ...]


@dataclass(frozen=True, slots=True)
class PatientRow:
    """A patient by pseudonym; `result` is one whose identity says who it is."""

    pseudonym: str
    point_ns: int
    result: int


@dataclass(frozen=True, slots=True)
class ResultCourse:
    """Where a result belongs: a patient by pseudonym, and the result of the plan it is of."""

    patient: str | None
    plan: int | None = None
    needs_a_match: bool = False


@dataclass(frozen=True, slots=True)
class LooseLog:
    """A patient's log that counts to no plan; `reason` says why, where that is known."""

    result: int
    point_ns: int
    reason: str
    needs_a_match: bool


@dataclass(frozen=True, slots=True)
class PlanCourse:
    """A plan and its fractions so far, oldest first; `planned_mu` by beam number."""

    result: int
    fractions_planned: int | None
    dose_per_fraction_gy: float | None
    planned_mu: dict[int, float | None]
    fractions: tuple[Fraction, ...]


class Courses:
    """Every read of plans and what was delivered of them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def unmatched(self) -> list[UnmatchedLog]:
        """The newest logs that need a physicist's choice, newest first.

        One that is queued, because somebody chose or a plan came, is not among them.
        """
        with self._store.read() as connection:
            return _unmatched(connection, NEEDS_A_MATCH & files.c.state.in_(ABLE))

    def unmatched_log(self, result: int) -> UnmatchedLog | None:
        """One log that needs a physicist's choice, also when queued; None where it does not."""
        with self._store.read() as connection:
            found = _unmatched(connection, NEEDS_A_MATCH & (results.c.id == result))
        return found[0] if found else None

    def count_unmatched(self) -> int:
        """How many logs need a physicist's choice; those beyond `MOST_UNMATCHED` count as one."""
        some = (
            select(deliveries.c.file)
            .join(results, results.c.id == deliveries.c.result)
            .join(files, files.c.id == deliveries.c.file)
            .where(NEEDS_A_MATCH, results.c.active, files.c.state.in_(ABLE))
            .limit(MOST_UNMATCHED + 1)
        )
        with self._store.read() as connection:
            return int(
                connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
            )

    def patients(self, before_ns: int | None = None, limit: int = 100) -> list[PatientRow]:
        """The patients with the newest deliveries or plans, newest first."""
        query = select(patients).order_by(patients.c.point_ns.desc()).limit(limit)
        if before_ns is not None:
            query = query.where(patients.c.point_ns < before_ns)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [PatientRow(row.pseudonym, row.point_ns, row.result) for row in rows]

    def patient(self, pseudonym: str) -> PatientRow | None:
        """One patient; None where nobody has that pseudonym."""
        query = select(patients).where(patients.c.pseudonym == pseudonym)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else PatientRow(row.pseudonym, row.point_ns, row.result)

    def of_result(self, result: int) -> ResultCourse:
        """Whose log, plan or treatment record a result is, as far as that is known."""
        query = (
            select(
                results.c.file,
                deliveries.c.patient.label("of_log"),
                deliveries.c.plan,
                deliveries.c.state,
                plans.c.patient.label("of_plan"),
            )
            .join(deliveries, deliveries.c.file == results.c.file, isouter=True)
            .join(plans, plans.c.file == results.c.file, isouter=True)
            .where(results.c.id == result)
        )
        with self._store.read() as connection:
            row = connection.execute(query).first()
            if row is None:
                return ResultCourse(None)
            recorded = select(recorded_beams.c.patient).where(recorded_beams.c.file == row.file)
            treated = select(kv_fractions.c.patient).where(kv_fractions.c.file == row.file)
            whose = row.of_log or row.of_plan or connection.execute(recorded.limit(1)).scalar()
            whose = whose or connection.execute(treated).scalar()
            # A record may come before any plan or log of its patient.
            known = select(patients.c.pseudonym).where(patients.c.pseudonym == whose)
            of_plan = select(results.c.id).where(results.c.file == row.plan, results.c.active)
            return ResultCourse(
                connection.execute(known).scalar_one_or_none(),
                connection.execute(of_plan).scalar_one_or_none(),
                row.state == MatchState.NEEDS_A_MATCH.value,
            )

    def loose_logs(self, pseudonym: str) -> list[LooseLog]:
        """The newest logs of a patient that count to no plan, newest first."""
        query = (
            select(deliveries)
            .join(results, results.c.id == deliveries.c.result)
            .where(deliveries.c.patient == pseudonym, deliveries.c.plan.is_(None))
            .where(results.c.active)
            .order_by(deliveries.c.point_ns.desc())
            .limit(MOST_LOOSE)
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [
            LooseLog(
                result=row.result,
                point_ns=row.point_ns,
                reason=row.reason or row.state or "",
                needs_a_match=row.state == MatchState.NEEDS_A_MATCH.value,
            )
            for row in rows
        ]

    def verdicts(self, of: Iterable[int]) -> dict[int, Verdict | None]:
        """The verdicts of results, by result; a plan or treatment record has None."""
        found: dict[int, Verdict | None] = {}
        with self._store.read() as connection:
            every = sorted(set(of))
            for first in range(0, len(every), MOST_IN_A_QUERY):
                some = every[first : first + MOST_IN_A_QUERY]
                query = select(results.c.id, results.c.verdict).where(results.c.id.in_(some))
                for row in connection.execute(query):
                    found[row.id] = None if row.verdict is None else Verdict(row.verdict)
        return found

    def beam_names(self, plan_result: int) -> dict[int, str]:
        """What a plan calls its beams, by number: identity, for a physicist's page alone."""
        query = (
            select(planned_beams.c.number, planned_beams.c.name)
            .join(results, results.c.file == planned_beams.c.file)
            .where(results.c.id == plan_result, planned_beams.c.name.is_not(None))
        )
        with self._store.read() as connection:
            return {row.number: row.name for row in connection.execute(query)}

    def course(self, pseudonym: str, gap_s: float) -> list[PlanCourse]:
        """A patient's plans, the newest first, with their fractions."""
        query = (
            select(plans, results.c.id.label("result"))
            .join(files, files.c.id == plans.c.file)
            .join(results, results.c.file == plans.c.file)
            .where(plans.c.patient == pseudonym, results.c.active)
            .where(files.c.state == State.DONE.value)
            .order_by(plans.c.file.desc())
            .limit(MOST_PLANS)
        )
        with self._store.read() as connection:
            return [
                PlanCourse(
                    result=row.result,
                    fractions_planned=row.fractions,
                    dose_per_fraction_gy=row.dose_per_fraction_gy,
                    planned_mu=(planned := _planned(connection, row.file)),
                    fractions=tuple(
                        fractions(
                            planned,
                            _delivered(connection, row.file),
                            _recorded(connection, row.plan_uid),
                            gap_s,
                        )
                    ),
                )
                for row in connection.execute(query).all()
            ]


def fractions_around(
    connection: Connection, plan: int, point_ns: int, gap_ns: int
) -> list[Fraction]:
    """The fractions of a plan near an instant; whole ones, as far as they reach within a day."""
    day = 24 * 3600 * NANO
    within = (point_ns - day, point_ns + day)
    uid = connection.execute(select(plans.c.plan_uid).where(plans.c.file == plan)).scalar()
    return fractions(
        _planned(connection, plan),
        _delivered(connection, plan, within),
        _recorded(connection, uid, within),
        gap_ns / NANO,
    )


def sessions_of(connection: Connection, plan: int, gap_ns: int) -> int:
    """In how many sessions something of a plan was delivered, by its logs or treatment records."""
    by_log = (
        select(delivered_beams.c.point_ns)
        .join(deliveries, deliveries.c.file == delivered_beams.c.file)
        .join(results, results.c.id == deliveries.c.result)
        .where(delivered_beams.c.plan == plan, results.c.active)
        .where(delivered_beams.c.to_mu > delivered_beams.c.from_mu)
    )
    by_record = (
        select(recorded_beams.c.point_ns)
        .join(plans, plans.c.plan_uid == recorded_beams.c.plan_uid)
        .join(results, results.c.file == recorded_beams.c.file)
        .where(plans.c.file == plan, results.c.active)
        .where(recorded_beams.c.delivered_mu.is_distinct_from(0.0))
    )
    times = sorted(connection.execute(by_log.union(by_record)).scalars())
    return sum(1 for n, at in enumerate(times) if n == 0 or at - times[n - 1] > gap_ns)


def _unmatched(connection: Connection, where: ColumnElement[bool]) -> list[UnmatchedLog]:
    query = (
        select(deliveries)
        .join(results, results.c.id == deliveries.c.result)
        .join(files, files.c.id == deliveries.c.file)
        .where(where, results.c.active)
        .order_by(deliveries.c.point_ns.desc())
        .limit(MOST_UNMATCHED)
    )
    return [_unmatched_log(connection, row) for row in connection.execute(query).all()]


def _unmatched_log(connection: Connection, row: Row[Any]) -> UnmatchedLog:
    return UnmatchedLog(
        result=row.result,
        machine=row.machine,
        point_ns=row.point_ns,
        reason=row.reason or "",
        patient=row.patient,
        planned_mu=row.planned_mu,
        names_field_only=(
            row.plan_uid is None
            and not row.patient_is_told
            and None not in (row.field, row.planned_mu, row.machine)
        ),
        rivals=_rivals(connection, row.rivals),
    )


def _planned(connection: Connection, plan: int) -> dict[int, float | None]:
    query = select(planned_beams.c.number, planned_beams.c.meterset_mu)
    rows = connection.execute(query.where(planned_beams.c.file == plan))
    return {row.number: row.meterset_mu for row in rows}


def _delivered(
    connection: Connection, plan: int, within: tuple[int, int] = ALWAYS
) -> list[DeliveredPart]:
    query = (
        select(delivered_beams, deliveries.c.result)
        .join(deliveries, deliveries.c.file == delivered_beams.c.file)
        .join(results, results.c.id == deliveries.c.result)
        .where(delivered_beams.c.plan == plan, results.c.active)
        .where(delivered_beams.c.point_ns.between(*within))
        .order_by(delivered_beams.c.point_ns.desc())
        .limit(MOST_DELIVERIES)
    )
    return [
        DeliveredPart(row.number, row.planned_mu, row.from_mu, row.to_mu, row.point_ns, row.result)
        for row in connection.execute(query)
    ]


def _recorded(
    connection: Connection, plan_uid: str | None, within: tuple[int, int] = ALWAYS
) -> list[RecordedPart]:
    if plan_uid is None:
        return []
    query = (
        select(recorded_beams, results.c.id.label("result"))
        .join(results, results.c.file == recorded_beams.c.file)
        .where(recorded_beams.c.plan_uid == plan_uid, recorded_beams.c.number.is_not(None))
        .where(results.c.active, recorded_beams.c.point_ns.between(*within))
        .order_by(recorded_beams.c.point_ns.desc())
        .limit(MOST_DELIVERIES)
    )
    return [
        RecordedPart(row.number, row.delivered_mu, row.fraction, row.point_ns, row.result)
        for row in connection.execute(query)
    ]


def _rivals(connection: Connection, text: str) -> tuple[PlanRival, ...]:
    told: Sequence[dict[str, object]] = json.loads(text)
    hashes = {str(rival["plan"]) for rival in told}
    query = select(results.c.id, results.c.sha256).where(
        results.c.sha256.in_(hashes), results.c.active
    )
    here = {row.sha256: row.id for row in connection.execute(query)}
    return tuple(
        PlanRival(
            str(rival["plan"]),
            here[str(rival["plan"])],
            int(str(rival["number"])),
            float(str(rival["score"])),
            str(rival["said"]),
        )
        for rival in told
        if rival["plan"] in here
    )
