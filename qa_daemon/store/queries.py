"""Reading the store for pages, commands, sinks and alerts.  Nothing here grows with the archive."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, RowMapping, Select, and_, false, func, or_, select

from analyzers.core import Limits
from qa_daemon.model import State, Verdict
from qa_daemon.store.leaf_errors import LeafPoint, newest, of_leaf
from qa_daemon.store.schema import (
    analyses,
    counters,
    files,
    identities,
    images,
    incidents,
    latest,
    measurements,
    results,
)
from qa_daemon.store.store import Store

PAGE = 500
CT = "dicom-ct"
VERDICTS: dict[int | None, Verdict | None] = {None: None} | {int(v): v for v in Verdict}
LIMITS = (
    measurements.c.tolerance_low,
    measurements.c.tolerance_high,
    measurements.c.action_low,
    measurements.c.action_high,
    measurements.c.limits_source,
)


@dataclass(frozen=True, slots=True)
class StoredMeasurement:
    """One number with the limits that judged it."""

    metric: str
    value: float
    unit: str
    at: str | None
    verdict: Verdict | None
    limits: Limits
    judged_as: str | None = None
    """The metric of the same analyzer whose limits applied, where they were not its own."""


@dataclass(frozen=True, slots=True)
class StoredAnalysis:
    """One analyzer's answer."""

    analyzer: str
    version: str
    verdict: Verdict | None
    failure: str | None
    not_applicable: str | None
    notes: tuple[str, ...]
    measurements: tuple[StoredMeasurement, ...]


@dataclass(frozen=True, slots=True)
class StoredClass:
    """What an image shows, which rule said so, and what it saw."""

    kind: str
    rule: str
    evidence: str
    phantom: str | None


@dataclass(frozen=True, slots=True)
class StoredResult:
    """One result with everything it holds but the patient's identity."""

    id: int
    file: int
    active: bool
    superseded_by: int | None
    path: str
    companions: tuple[str, ...]
    sha256: str
    format: str | None
    machine: str | None
    machine_class: str | None
    performed_at: str | None
    point_ns: int
    energy: str | None
    series: str | None
    verdict: Verdict | None
    not_judged: str | None
    error_code: str | None
    error_message: str | None
    warnings: tuple[str, ...]
    arrays: str | None
    software: str
    site_hash: str
    created_at: str
    arrived_at: str
    file_state: State
    analyses: tuple[StoredAnalysis, ...]
    technique: str | None = None
    classified: StoredClass | None = None
    """Of an image, as long as this is its newest result."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The newest judged answer of one test on one machine."""

    machine: str
    result: int
    point_ns: int
    analysis: StoredAnalysis


@dataclass(frozen=True, slots=True)
class Finding:
    """One test of one delivery that was not at PASS."""

    machine: str
    analyzer: str
    verdict: Verdict
    result: int
    point_ns: int


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One value of a trend."""

    result: int
    point_ns: int
    value: float
    verdict: Verdict | None
    limits: Limits
    at: str | None
    unit: str


class Queries:
    """Every read that somebody outside the store needs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def result(self, identity: int) -> StoredResult | None:
        """One result, superseded ones too; None when there is none."""
        found = self._results(select(results).where(results.c.id == identity))
        return found[0] if found else None

    def results_of(self, identities_: Sequence[int]) -> list[StoredResult]:
        """Several results (at most a page of them), in the order of their ids."""
        return self._results(
            select(results).where(results.c.id.in_(identities_)).order_by(results.c.id)
        )

    def results_since(
        self,
        since_ns: int = 0,
        machine: str | None = None,
        limit: int = 1000,
        before_ns: int | None = None,
    ) -> list[StoredResult]:
        """The newest active results, newest first; not the slices of a CT, each a file of its own.

        A slice that could not be read is among them.
        """
        query = select(results).where(results.c.active, results.c.point_ns >= since_ns)
        is_slice = (results.c.format == CT) & results.c.error_code.is_(None)
        query = query.where(func.coalesce(is_slice, false()).is_(False))
        if machine is not None:
            query = query.where(results.c.machine == machine)
        if before_ns is not None:
            query = query.where(results.c.point_ns < before_ns)
        return self._results(query.order_by(results.c.point_ns.desc()).limit(limit))

    def every_result(self, since_ns: int, machine: str | None) -> Iterator[StoredResult]:
        """All active results since an instant, newest first, a page at a time."""
        query = select(results.c.id, results.c.point_ns).where(
            results.c.active, results.c.point_ns >= since_ns
        )
        if machine is not None:
            query = query.where(results.c.machine == machine)
        query = query.order_by(results.c.point_ns.desc(), results.c.id.desc()).limit(PAGE)
        page = query
        while True:
            with self._store.read() as connection:
                rows = connection.execute(page).all()
            if not rows:
                return
            by_id = {r.id: r for r in self.results_of([row.id for row in rows])}
            yield from (by_id[row.id] for row in rows)
            at, last = rows[-1].point_ns, rows[-1].id
            page = query.where(
                or_(results.c.point_ns < at, and_(results.c.point_ns == at, results.c.id < last))
            )

    def last_result_id(self) -> int:
        """The highest number of a result; 0 when there is none."""
        with self._store.read() as connection:
            return connection.execute(select(func.max(results.c.id))).scalar_one() or 0

    def active_after(
        self, after: int, last: int, since_ns: int, machine: str | None, limit: int
    ) -> list[tuple[int, int]]:
        """Active results by number, from `after` to `last`: result and file."""
        query = select(results.c.id, results.c.file).where(
            results.c.id > after,
            results.c.id <= last,
            results.c.active,
            results.c.point_ns >= since_ns,
        )
        if machine is not None:
            query = query.where(results.c.machine == machine)
        with self._store.read() as connection:
            rows = connection.execute(query.order_by(results.c.id).limit(limit)).all()
        return [(row.id, row.file) for row in rows]

    def results_at(self, paths: Sequence[str]) -> list[StoredResult]:
        """The active results of the files at these paths (at most a page of them)."""
        query = select(results).join(files, files.c.id == results.c.file)
        return self._results(query.where(results.c.active, files.c.path.in_(paths)))

    def identity_of(self, result: int) -> dict[str, str]:
        """Whose result it is: for a signed-in physicist's page, and nowhere else."""
        query = select(identities.c.fields).where(identities.c.result == result)
        with self._store.read() as connection:
            text = connection.execute(query).scalar_one_or_none()
        return dict(json.loads(text)) if text else {}

    def board(self) -> list[Tile]:
        """Today's board: a tile per machine and test."""
        query = select(
            latest.c.machine, latest.c.result, latest.c.point_ns, latest.c.analysis
        ).order_by(latest.c.machine, latest.c.analyzer)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
            found = _analyses(connection, analyses.c.id.in_([r.analysis for r in rows]))
            by_id = {identity: analysis for identity, _, analysis in found}
            return [Tile(r.machine, r.result, r.point_ns, by_id[r.analysis]) for r in rows]

    def findings_since(self, since_ns: int, limit: int = 500) -> list[Finding]:
        """The tests at TOLERANCE or worse since an instant, the worst first, then the newest."""
        query = (
            select(
                results.c.machine,
                analyses.c.analyzer,
                analyses.c.verdict,
                results.c.id,
                results.c.point_ns,
            )
            .join(analyses, analyses.c.result == results.c.id)
            .where(results.c.active, results.c.point_ns >= since_ns)
            .where(results.c.machine.is_not(None), analyses.c.verdict > int(Verdict.PASS))
            .order_by(analyses.c.verdict.desc(), results.c.point_ns.desc())
            .limit(limit)
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [Finding(r.machine, r.analyzer, Verdict(r.verdict), r.id, r.point_ns) for r in rows]

    def trend(
        self,
        machine: str,
        analyzer: str,
        metric: str,
        since_ns: int = 0,
        limit: int = 2000,
        energy: str | None = None,
        at: str | None = None,
    ) -> list[TrendPoint]:
        """The newest points of a metric, oldest first; of one energy or place where it is given."""
        query = (
            select(measurements)
            .where(
                measurements.c.machine == machine,
                measurements.c.analyzer == analyzer,
                measurements.c.metric == metric,
                measurements.c.active,
                measurements.c.point_ns >= since_ns,
            )
            .order_by(measurements.c.point_ns.desc())
            .limit(limit)
        )
        if at is not None:
            query = query.where(measurements.c.at == at)
        if energy is not None:
            of_energy = and_(results.c.id == measurements.c.result, results.c.energy == energy)
            query = query.join(results, of_energy)
        with self._store.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            TrendPoint(
                r["result"],
                r["point_ns"],
                r["value"],
                VERDICTS[r["verdict"]],
                _limits(*(r[column.name] for column in LIMITS)),
                r["at"],
                r["unit"],
            )
            for r in reversed(rows)
        ]

    def leaf_trend(
        self, machine: str, leaf: str, limit: int = PAGE, analyzer: str = "leaf_trust"
    ) -> list[LeafPoint]:
        """What one leaf (`A17`) was in a machine's newest `limit` deliveries, oldest first.

        Deliveries of an MLC without such a leaf are left out.
        """
        query = newest(machine, analyzer, limit)
        with self._store.read() as connection:
            rows = connection.execute(query).mappings().all()
        points = [of_leaf(row, leaf) for row in reversed(rows)]
        return [point for point in points if point is not None]

    def quarantined(self, limit: int = 200, before: int | None = None) -> list[StoredResult]:
        """The results of files that could not be read, newest first; `before` a file's number."""
        query = (
            select(results)
            .join(files, files.c.id == results.c.file)
            .where(files.c.state == State.QUARANTINED.value, results.c.active)
            .order_by(files.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(files.c.id < before)
        return self._results(query)

    def counts(self) -> dict[str, int]:
        """Files by state, and active results."""
        with self._store.read() as connection:
            rows = connection.execute(select(counters.c.name, counters.c.n)).all()
        return {row.name: row.n for row in rows}

    def open_incidents(self) -> int:
        """How many incidents are open."""
        query = select(func.count()).select_from(incidents).where(incidents.c.open)
        with self._store.read() as connection:
            return int(connection.execute(query).scalar_one())

    def last_result(self, machine: str) -> StoredResult | None:
        """A machine's newest judged result."""
        query = (
            select(results)
            .where(results.c.machine == machine, results.c.active, results.c.verdict.is_not(None))
            .order_by(results.c.point_ns.desc())
            .limit(1)
        )
        found = self._results(query)
        return found[0] if found else None

    def _results(self, query: Select[tuple[object, ...]]) -> list[StoredResult]:
        with self._store.read() as connection:
            rows = connection.execute(query).mappings().all()
            said: dict[int, list[StoredAnalysis]] = {}
            for _, result, analysis in _analyses(
                connection, analyses.c.result.in_([r["id"] for r in rows])
            ):
                said.setdefault(result, []).append(analysis)
            of = {row["file"] for row in rows}
            ledger = _ledger(connection, of)
            beside = _companions(connection, of)
            shown = _classes(connection, of)
        return [
            _result(
                r,
                ledger[r["file"]],
                beside.get(r["file"], ()),
                said.get(r["id"], ()),
                shown.get(r["id"]),
            )
            for r in rows
        ]


def _ledger(connection: Connection, of: set[int]) -> dict[int, RowMapping]:
    query = select(files.c.id, files.c.path, files.c.arrived_at, files.c.state)
    rows = connection.execute(query.where(files.c.id.in_(of))).mappings()
    return {row["id"]: row for row in rows}


def _classes(connection: Connection, of: set[int]) -> dict[int, StoredClass]:
    """What the images of files show, by result."""
    rows = connection.execute(select(images).where(images.c.file.in_(of)))
    return {r.result: StoredClass(r.kind, r.rule, r.evidence, r.phantom) for r in rows}


def _companions(connection: Connection, of: set[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = select(files.c.main_file, files.c.path).where(files.c.main_file.in_(of))
    for row in connection.execute(query.order_by(files.c.id)):
        found.setdefault(row.main_file, []).append(row.path)
    return found


def _analyses(connection: Connection, where: object) -> list[tuple[int, int, StoredAnalysis]]:
    rows = (
        connection.execute(
            select(analyses).where(where).order_by(analyses.c.id)  # type: ignore[arg-type]
        )
        .mappings()
        .all()
    )
    numbers = _measurements(connection, [r["id"] for r in rows])
    return [
        (
            r["id"],
            r["result"],
            StoredAnalysis(
                r["analyzer"],
                r["version"],
                VERDICTS[r["verdict"]],
                r["failure"],
                r["not_applicable"],
                tuple(json.loads(r["notes"])),
                tuple(numbers.get(r["id"], ())),
            ),
        )
        for r in rows
    ]


def _measurements(connection: Connection, of: Sequence[int]) -> dict[int, list[StoredMeasurement]]:
    """The numbers of analyses, by analysis.  Years of them are sent again: every call counts."""
    here = measurements.c
    query = (
        select(
            *(here.analysis, here.metric, here.value, here.unit, here.at),
            *(here.verdict, here.judged_as, *LIMITS),
        )
        .where(here.analysis.in_(of))
        .order_by(here.id)
    )
    found: dict[int, list[StoredMeasurement]] = {identity: [] for identity in of}
    for rows in connection.execute(query).partitions(PAGE):
        for analysis, metric, value, unit, at, verdict, judged_as, *limits in rows:
            found[analysis].append(
                StoredMeasurement(
                    metric, value, unit, at, VERDICTS[verdict], _limits(*limits), judged_as
                )
            )
    return found


def _result(
    row: RowMapping,
    file: RowMapping,
    companions: Sequence[str],
    said: Sequence[StoredAnalysis],
    classified: StoredClass | None,
) -> StoredResult:
    copied = {
        name: row[name]
        for name in (
            "id",
            "file",
            "active",
            "superseded_by",
            "sha256",
            "format",
            "machine",
            "machine_class",
            "performed_at",
            "point_ns",
            "energy",
            "technique",
            "series",
            "not_judged",
            "error_code",
            "error_message",
            "arrays",
            "software",
            "site_hash",
            "created_at",
        )
    }
    return StoredResult(
        path=file["path"],
        companions=tuple(companions),
        verdict=VERDICTS[row["verdict"]],
        warnings=tuple(json.loads(row["warnings"])),
        arrived_at=file["arrived_at"],
        file_state=State(file["state"]),
        analyses=tuple(said),
        classified=classified,
        **copied,
    )


@lru_cache(maxsize=10_000)
def _limits(
    tolerance_low: float | None,
    tolerance_high: float | None,
    action_low: float | None,
    action_high: float | None,
    source: str | None,
) -> Limits:
    """A clinic has some thousand limits, and each of them judged years of numbers."""
    return Limits(
        tolerance_low, tolerance_high, action_low, action_high, source=source or "trend only"
    )
