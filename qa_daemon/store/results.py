"""Saving a result: one transaction writes the result, its audit row and its outbox rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from qa_daemon.model import Event, KvFractionKeys, MatchState, Report, State, Verdict
from qa_daemon.store import audit, leaf_errors, routine_done, unit_blocks
from qa_daemon.store.image_instances import settle
from qa_daemon.store.image_users import users_of
from qa_daemon.store.images import FoundImages, Images
from qa_daemon.store.kv_fractions import Asked, FoundInputs, KvFractions
from qa_daemon.store.ledger import LedgerFile, attach, move
from qa_daemon.store.outbox import enqueue
from qa_daemon.store.plans import FoundPlans, Plans, Saved
from qa_daemon.store.same_records import SameRecords
from qa_daemon.store.schema import (
    analyses,
    files,
    identities,
    latest,
    measurements,
    results,
)
from qa_daemon.store.store import Store, bump
from qa_daemon.verdict import Judged, Outcome, why_not_judged, worst


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a result was made with, so that it can be made again."""

    software: str
    site_hash: str
    machine: str | None
    machine_class: str | None
    performed_at: datetime | None
    """With the site's offset; None when the file does not say."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a file was held against: the plans of a log, the partners of an image."""

    plans: FoundPlans | None = None
    images: FoundImages | None = None
    fraction: tuple[Asked, FoundInputs] | None = None
    """What a fraction on a kV unit was calculated with."""


NOTHING_USED = Used()


class Results:
    """The one way a result gets into the store.

    `followers` are the names of those who act on results: each gets an outbox row.  `plans` and
    `images` keep what says which records belong together, `records` finds a check that is here
    already; None where only the outbox is written.
    """

    def __init__(
        self,
        store: Store,
        followers: Sequence[str],
        plans: Plans | None = None,
        images: Images | None = None,
        fractions: KvFractions | None = None,
        records: SameRecords | None = None,
    ) -> None:
        self._store = store
        self._followers = tuple(followers)
        self._plans = plans
        self._images = images
        self._fractions = fractions
        self._records = records

    def save(
        self,
        file: LedgerFile,
        companions: Sequence[LedgerFile],
        report: Report,
        outcomes: Sequence[Outcome],
        made: Provenance,
        arrays: str | None = None,
        used: Used = NOTHING_USED,
    ) -> int | None:
        """Store a judged report, or an unreadable file; the result's id.

        None when the file is a side file whose main file has a result already, or an image or an
        output check that is here in another file.  An earlier result of the same file is
        superseded, never overwritten, and keeps its instant so that its trend point is written
        over.
        """
        with self._store.write() as connection:
            if file.is_companion and _main_of(connection, file) is not None:
                return None  # its main file came meanwhile and took it along
            settled = settle(connection, file, report, self._store.now())
            if settled is None:
                return None  # an image that is here already
            if settled is not report:
                report, outcomes, arrays = settled, [], None
            of_record = connection, file, report, made
            if self._records is not None and self._records.stands_aside(*of_record):
                return None
            unreadable = report.error_code is not None
            verdict = Verdict.INVALID if unreadable else worst(o.verdict for o in outcomes)
            superseded = self._set_aside(connection, [file, *companions])
            at = made.performed_at.isoformat() if made.performed_at else None
            # Other content, machine or time is another point, with an instant of its own.
            made_ns = instant_ns(made.performed_at, file)
            point_ns = superseded.get((file.sha256, made.machine, at)) or _free_instant(
                connection, made.machine, made_ns, file.sha256
            )
            identity = connection.execute(
                insert(results)
                .values(
                    **_result_columns(file, report, made),
                    point_ns=point_ns,
                    verdict=verdict,
                    not_judged=why_not_judged(report, verdict),
                    arrays=arrays,
                    created_at=self._store.now(),
                )
                .returning(results.c.id)
            ).scalar_one()
            self._link(connection, [file, *companions], identity)
            shown = _forget_latest(connection, identity)
            self._save_analyses(connection, identity, made.machine, point_ns, outcomes)
            for place in shown:
                _find_latest(connection, place)
            if report.identity:
                connection.execute(
                    insert(identities).values(result=identity, fields=json.dumps(report.identity))
                )
            move(connection, file.id, _event(report))
            self._attach(connection, file, companions)
            saved = Saved(identity, made.machine, point_ns)
            if self._records is not None:
                self._records.take_over(*of_record)
            if not isinstance(report.keys, KvFractionKeys):
                self._keep_check(connection, file, outcomes, made, saved)
                self._tell_fractions(connection, outcomes, superseded, made, saved)
            if self._fractions is not None:
                self._fractions.keep(connection, file, report, outcomes, saved, used.fraction)
            others = [companion.id for companion in companions]
            users = [] if self._images is None else users_of(connection, file.id)
            if self._plans is not None:
                self._plans.keep(connection, file, others, report, saved, used.plans)
            if self._images is not None:
                self._images.keep(
                    connection, file, others, report, saved, made_ns, used.images, users
                )
            self._hand_on(connection, identity)
            audit.record(
                connection,
                at=self._store.now(),
                actor="daemon",
                action="file unreadable" if unreadable else "file judged",
                subject=f"result {identity}",
                detail={
                    "sha256": file.sha256,
                    "verdict": verdict.name if verdict is not None else None,
                    "software": made.software,
                    "site": made.site_hash,
                    "code": report.error_code,
                },
            )
            return int(identity)

    def _keep_check(
        self,
        connection: Connection,
        file: LedgerFile,
        outcomes: Sequence[Outcome],
        made: Provenance,
        saved: Saved,
    ) -> None:
        """What a check of a kV unit blocks, and which tests of the routine it holds."""
        if made.machine_class != "srt" or made.machine is None or made.performed_at is None:
            return
        check = unit_blocks.Check(
            file.id, saved.result, made.machine, saved.point_ns, made.performed_at
        )
        unit_blocks.keep(connection, check, outcomes, self._store.instant())
        routine_done.keep(connection, check, outcomes)

    def _tell_fractions(
        self,
        connection: Connection,
        outcomes: Sequence[Outcome],
        superseded: Mapping[tuple[str, str | None, str | None], int],
        made: Provenance,
        saved: Saved,
    ) -> None:
        """Let fractions on the unit be judged again that a check counts for, or counted for."""
        if self._fractions is None:
            return
        points = {} if made.machine_class != "srt" else {made.machine: saved.point_ns}
        for (_, machine, _), point_ns in superseded.items():
            points[machine] = min(point_ns, points.get(machine, point_ns))
        known = {machine: point_ns for machine, point_ns in points.items() if machine}
        self._fractions.check_came(connection, outcomes, known)

    def enqueue_again(self, sink: str, identities_: Sequence[int]) -> int:
        """Replay: put results into a sink's outbox once more, in one transaction; how many."""
        with self._store.write() as connection:
            for identity in identities_:
                enqueue(connection, sink, identity)
            return len(identities_)

    def _set_aside(
        self, connection: Connection, of: Iterable[LedgerFile]
    ) -> dict[tuple[str, str | None, str | None], int]:
        rows = connection.execute(
            select(results).where(results.c.file.in_([f.id for f in of])).where(results.c.active)
        ).all()
        ids = [row.id for row in rows]
        connection.execute(update(results).where(results.c.id.in_(ids)).values(active=False))
        connection.execute(
            update(measurements).where(measurements.c.result.in_(ids)).values(active=False)
        )
        leaf_errors.set_aside(connection, ids)
        bump(connection, "results", 1 - len(ids))
        return {(row.sha256, row.machine, row.performed_at): row.point_ns for row in rows}

    def _link(self, connection: Connection, of: Iterable[LedgerFile], successor: int) -> None:
        connection.execute(
            update(results)
            .where(results.c.file.in_([f.id for f in of]))
            .where(results.c.active.is_(False))
            .where(results.c.superseded_by.is_(None))
            .where(results.c.id != successor)
            .values(superseded_by=successor)
        )

    def _save_analyses(
        self,
        connection: Connection,
        result: int,
        machine: str | None,
        point_ns: int,
        outcomes: Sequence[Outcome],
    ) -> None:
        for outcome in outcomes:
            said = outcome.report
            analysis = connection.execute(
                insert(analyses)
                .values(
                    result=result,
                    analyzer=said.analyzer,
                    version=said.version,
                    verdict=outcome.verdict,
                    failure=said.failure,
                    not_applicable=said.not_applicable,
                    notes=json.dumps(said.notes),
                )
                .returning(analyses.c.id)
            ).scalar_one()
            rows = [
                _measurement_columns(j)
                | {
                    "analysis": analysis,
                    "result": result,
                    "machine": machine,
                    "analyzer": said.analyzer,
                    "point_ns": point_ns,
                }
                for j in outcome.judged
            ]
            if rows:
                connection.execute(insert(measurements), rows)
            if said.leaves is not None:
                leaf_errors.save(
                    connection,
                    result=result,
                    machine=machine,
                    analyzer=said.analyzer,
                    point_ns=point_ns,
                    numbers=said.leaves,
                )
            if machine is not None and outcome.verdict is not None:
                _keep_latest(connection, (machine, said.analyzer), analysis, result, point_ns)

    def _attach(
        self, connection: Connection, file: LedgerFile, companions: Sequence[LedgerFile]
    ) -> None:
        attach(connection, file.id, [c.id for c in companions])
        for companion in companions:
            state = State(
                connection.execute(
                    select(files.c.state).where(files.c.id == companion.id)
                ).scalar_one()
            )
            if state is State.QUARANTINED:
                move(connection, companion.id, Event.INPUT_CAME)
            move(connection, companion.id, Event.JUDGED)

    def _hand_on(self, connection: Connection, result: int) -> None:
        for follower in self._followers:
            enqueue(connection, follower, result)


def _event(report: Report) -> Event:
    if report.error_code is not None:
        return Event.UNREADABLE
    waits = report.match is not None and report.match.state is MatchState.WAITING
    return Event.LACKS_INPUT if waits or report.awaits is not None else Event.JUDGED


def _main_of(connection: Connection, file: LedgerFile) -> int | None:
    query = select(files.c.main_file).where(files.c.id == file.id)
    main: int | None = connection.execute(query).scalar_one()
    return main


def _forget_latest(connection: Connection, successor: int) -> list[tuple[str, str]]:
    """Take superseded results off the board; the places that are now empty."""
    old = select(results.c.id).where(results.c.superseded_by == successor)
    rows = connection.execute(
        delete(latest)
        .where(latest.c.result.in_(old))
        .returning(latest.c.machine, latest.c.analyzer)
    ).all()
    return [(row.machine, row.analyzer) for row in rows]


def _find_latest(connection: Connection, place: tuple[str, str]) -> None:
    """Put the newest judged analysis of a machine and test on the board."""
    machine, analyzer = place
    newest = connection.execute(
        select(analyses.c.id, results.c.id.label("result"), results.c.point_ns)
        .join(results, results.c.id == analyses.c.result)
        .where(results.c.machine == machine, results.c.active)
        .where(analyses.c.analyzer == analyzer, analyses.c.verdict.is_not(None))
        .order_by(results.c.point_ns.desc())
        .limit(1)
    ).first()
    if newest is not None:
        _keep_latest(connection, place, newest.id, newest.result, newest.point_ns)


def _keep_latest(
    connection: Connection, place: tuple[str, str], analysis: int, result: int, point_ns: int
) -> None:
    machine, analyzer = place
    here = (latest.c.machine == machine, latest.c.analyzer == analyzer)
    old = connection.execute(select(latest.c.point_ns).where(*here)).scalar_one_or_none()
    values = {"analysis": analysis, "result": result, "point_ns": point_ns}
    if old is None:
        connection.execute(insert(latest).values(machine=machine, analyzer=analyzer, **values))
    elif point_ns >= old:
        connection.execute(update(latest).where(*here).values(**values))


def instant_ns(performed_at: datetime | None, file: LedgerFile) -> int:
    """When it was delivered; a file that does not say counts at its own time of writing."""
    if performed_at is None:
        return file.mtime_ns // 1_000_000 * 1_000_000
    return int(performed_at.astimezone(UTC).timestamp()) * 1_000_000_000


def _free_instant(connection: Connection, machine: str | None, at_ns: int, sha256: str) -> int:
    """The instant itself, or one within its second when another result holds it.

    The step comes from the content, so a store built again from the archive gives the same points;
    it is in whole milliseconds because some time-series databases keep no finer time.
    """
    seed = int(hashlib.sha256(sha256.encode()).hexdigest(), 16)
    candidate, turn = at_ns, 0
    while connection.execute(
        select(results.c.id)
        .where(results.c.machine == machine, results.c.point_ns == candidate)
        .where(results.c.active)
        .limit(1)
    ).first():
        candidate = at_ns + (1 + (seed + turn) % 998) * 1_000_000
        turn += 1
    return candidate


def _result_columns(file: LedgerFile, report: Report, made: Provenance) -> dict[str, object]:
    return {
        "file": file.id,
        "sha256": file.sha256,
        "format": report.format,
        "machine": made.machine,
        "machine_class": made.machine_class,
        "performed_at": made.performed_at.isoformat() if made.performed_at else None,
        "energy": report.energy,
        "technique": report.technique,
        "series": report.series,
        "error_code": report.error_code,
        "error_message": report.error_message,
        "warnings": json.dumps(report.warnings),
        "software": made.software,
        "site_hash": made.site_hash,
    }


def _measurement_columns(judged: Judged) -> dict[str, object]:
    value, limits = judged.value, judged.limits
    return {
        "metric": value.metric,
        "value": value.value,
        "unit": value.unit,
        "at": value.at,
        "verdict": judged.verdict,
        "tolerance_low": limits.tolerance_low if limits else None,
        "tolerance_high": limits.tolerance_high if limits else None,
        "action_low": limits.action_low if limits else None,
        "action_high": limits.action_high if limits else None,
        "limits_source": limits.source if limits else None,
        "judged_as": value.judged_as,
    }
