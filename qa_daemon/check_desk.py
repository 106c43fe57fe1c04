"""Checks of a kV unit that a person types: judged before they are stored, and handed to the inbox.

What is shown before storing is made by the same reading, analyzers and limits as the result that
follows, in this process; only a temporary file is written for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import select

from analyzers.catalogue import Catalogue, load
from analyzers.core import ReadError
from analyzers.output_checks import ReadingGroup
from qa_daemon.ingest import inbox
from qa_daemon.jobs import measure
from qa_daemon.model import Job, NamedPath, Report, Verdict
from qa_daemon.output_desk import OutputDesk
from qa_daemon.pipeline import accepted, judge
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store import audit, output_baselines
from qa_daemon.store.archive import Archive
from qa_daemon.store.output_baselines import WATER, OutputBaseline
from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.same_records import READERS
from qa_daemon.store.schema import files, results
from qa_daemon.store.store import Store
from qa_daemon.verdict import Outcome, worst

FOLDER = "form"
LOOKED_BACK = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person typed, as a file: `kind` is the last part of its name, `content` its bytes."""

    kind: str
    content: bytes

    @property
    def sha256(self) -> str:
        """What the file is known by."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """Of its content alone, so that what is sent twice is one file."""
        return f"{self.sha256[:16]}-{self.kind}.json"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a file would be judged as; `report` says why not where it cannot be."""

    report: Report
    outcomes: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict | None:
        """As the result will have it."""
        if self.report.error_code is not None:
            return Verdict.INVALID
        return worst(outcome.verdict for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class CheckDesk:
    """Judges and takes in what was typed, and finds what the last check of a beam was made with.

    `hint` tells the scan where to look at once.
    """

    site: Site
    store: Store
    queries: Queries
    archive: Archive
    hint: Callable[[str], None]

    def judge(self, unit: Machine, typed: Typed) -> Judgement:
        """Read, measure and judge; nothing of it is kept."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, typed.name)
            path.write_bytes(typed.content)
            job = Job(
                file=NamedPath(path=str(path), name=typed.name, folder=unit.name),
                machine_class=unit.machine_class,
                settings=self.site.analyzer_settings,
            )
            report = measure(OutputDesk(self.site, self.store).beside(job, unit), _catalogue())
        report = accepted(report, unit, self.site)
        return Judgement(report, tuple(judge(report, self.site, unit)))

    def keep(self, unit: Machine, typed: Sequence[Typed], actor: str) -> None:
        """Hand the files over as one entry of the inbox: there whole, for good, or not at all.

        What is there already is not handed over again.  Raises OSError.
        """
        if {each.sha256 for each in typed} <= self._known(typed):
            return
        parts = self.site.state_dir / inbox.PARTS
        entries = self.site.state_dir / "inbox"
        for folder in (parts, entries):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = parts / uuid.uuid4().hex
        part.mkdir(mode=0o700)
        try:
            for each in typed:
                _write(part / each.name, each.content)
            origin = inbox.Origin(folder=f"{FOLDER}/{unit.name}", machine=unit.name)
            entry = inbox.put(part, origin, entries)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        with self.store.write() as connection:
            audit.record(
                connection,
                at=self.store.now(),
                actor=actor,
                action="check entered",
                subject=f"machine {unit.name}",
                detail={"sha256": [each.sha256 for each in typed]},
            )
        self.hint(entry)

    def stored(self, sha256s: Sequence[str]) -> list[StoredResult]:
        """The results of files by their content, as far as they are judged."""
        query = (
            select(results.c.id)
            .join(files, files.c.id == results.c.file)
            .where(files.c.sha256.in_(sha256s), results.c.active)
            .limit(len(sha256s))
        )
        with self.store.read() as connection:
            found = connection.execute(query).scalars().all()
        return self.queries.results_of(found) if found else []

    def last_row(self, unit: Machine, beam: str) -> ReadingGroup | None:
        """How a beam's output was measured last; None where it was not, or long ago."""
        since_ns = int((self.store.instant() - LOOKED_BACK).timestamp()) * 10**9
        points = [
            point
            for at in (beam, beam + WATER)
            for point in self.queries.trend(
                unit.name, "srt_output", "output", since_ns, limit=1, at=at
            )
        ]
        newest = max(points, key=lambda point: point.point_ns, default=None)
        return self._row(newest.result, beam) if newest is not None else None

    def signed(self, unit: Machine, at: datetime) -> dict[str, OutputBaseline]:
        """The baseline of each beam in force at an instant, the newer of dose and air kerma."""
        found: dict[tuple[str, bool], OutputBaseline] = {}
        for each in output_baselines.every(self.store, unit.name):
            if each.since_at <= at:
                held = found.get((each.beam, each.to_water))
                if held is None or each.since_at >= held.since_at:
                    found[each.beam, each.to_water] = each
        newest: dict[str, OutputBaseline] = {}
        for each in found.values():
            other = newest.get(each.beam)
            if each.gy_per_min is not None and (other is None or each.since_at > other.since_at):
                newest[each.beam] = each
        return newest

    def signed_row(self, baseline: OutputBaseline) -> ReadingGroup | None:
        """How the output was measured that a physicist signed as a baseline."""
        if baseline.result is None:
            return None
        return self._row(baseline.result, baseline.beam)

    def _row(self, result: int, beam: str) -> ReadingGroup | None:
        stored = self.queries.result(result)
        reader = READERS.get(stored.format or "") if stored is not None else None
        if stored is None or reader is None:
            return None
        with contextlib.suppress(ReadError, OSError):
            sessions = reader.read_sessions(self.archive.path_of(stored.sha256))
            rows = [row for session in sessions for row in session.rows if row.beam == beam]
            return rows[-1] if rows else None
        return None

    def _known(self, typed: Sequence[Typed]) -> set[str]:
        query = select(files.c.sha256).where(files.c.sha256.in_([each.sha256 for each in typed]))
        with self.store.read() as connection:
            return set(connection.execute(query).scalars())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@cache
def _catalogue() -> Catalogue:
    return load()
