"""A small clinic to test with: a format of a few bytes, one machine, and every part of the ingest.

A main file is `MAIN <number>`, its side file `SIDE <anything>`, paired by names like `a_10.bin`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from sqlalchemy import select

from analyzers.catalogue import Catalogue
from analyzers.core import (
    Analysis,
    Analyzer,
    Companions,
    Context,
    Format,
    Limits,
    Metric,
    NamedFile,
    ReadError,
    Settings,
)
from analyzers.records import Identity
from qa_daemon import jobs
from qa_daemon.image_desk import ImageDesk
from qa_daemon.ingest.dispatch import Dispatcher
from qa_daemon.ingest.folders import Folder, watched_folders
from qa_daemon.ingest.intake import Intake
from qa_daemon.ingest.scanner import Scanner
from qa_daemon.model import Job, Report
from qa_daemon.output_desk import OutputDesk
from qa_daemon.pipeline import Pipeline
from qa_daemon.plan_desk import PlanDesk
from qa_daemon.site import site as sites
from qa_daemon.store import audit
from qa_daemon.store.archive import Archive
from qa_daemon.store.images import Images, gaps_of
from qa_daemon.store.kv_fractions import KvFractions
from qa_daemon.store.ledger import Ledger
from qa_daemon.store.plans import Plans
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Results
from qa_daemon.store.same_records import SameRecords
from qa_daemon.store.schema import files, outbox, results
from qa_daemon.store.store import Store, url_of
from tests.store.stores import put_empty_store

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REACH_S = 2.0
NUMBER = Metric(
    "number", "mm", "the number in the file", {"truebeam": Limits.at_most(tolerance=5, action=9)}
)


@dataclass(frozen=True, slots=True)
class Record:
    """What a main file says, and what its side files add."""

    number: float
    beside: tuple[str, ...]
    identity: Identity = field(default_factory=Identity)
    machine_serial: str | None = None
    performed_at: datetime | None = None
    energy: str | None = None
    not_judged: str | None = None
    warnings: tuple[str, ...] = ()


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Record:
    words = file.path.read_bytes().split()
    if len(words) < 2:
        raise ReadError("SHORT", "the file ends early")
    beside = tuple(sorted(c.path.read_text() for c in companions))
    return Record(float(words[1]), beside, warnings=beside)


def _key(name: str) -> tuple[str, float] | None:
    found = re.fullmatch(r"(.*)_(\d+(?:\.\d+)?)\.(?:bin|txt)", name, re.DOTALL)
    return (found[1], float(found[2])) if found else None


def _analyze(record: Record, _context: Context[Settings]) -> Analysis:
    return Analysis([NUMBER.measured(record.number)])


FORMAT: Format[Record] = Format(
    "tiny",
    Record,
    lambda head: head.startswith(b"MAIN"),
    _read,
    "truebeam",
    Companions(lambda head: head.startswith(b"SIDE"), _key, REACH_S),
)
ANALYZER: Analyzer[Record, Settings] = Analyzer(
    "tiny", "Tiny", "1", Record, Settings, (NUMBER,), _analyze
)
CATALOGUE = Catalogue((FORMAT,), (ANALYZER,))
SITE = """
[site]
name = "Test"
time_zone = "UTC"
state_dir = "state"
[[machine]]
name = "TB1"
machine_class = "truebeam"
folders = ["in"]
[ingest]
largest_file_mb = 0.5
[plans]
arrive_within = "0 s"
"""


class Clinic:
    """One site in a folder; `measure` replaces the worker processes."""

    def __init__(
        self,
        top: Path,
        *,
        settle_time: float = 0.2,
        rescan_every: float = 60.0,
        measure: Callable[[Job], Report] | None = None,
        archive: type[Archive] = Archive,
        intake: type[Intake] = Intake,
        folders: Sequence[Folder] | None = None,
        clock: Callable[[], float] = monotonic,
        text: str = SITE,
        catalogue: Catalogue = CATALOGUE,
        partner_within: float = 30.0,
    ) -> None:
        self.top = top
        self.incoming = top / "in"
        self.incoming.mkdir(exist_ok=True)
        (top / "site.toml").write_text(text)
        self.site = sites.load(top / "site.toml", catalogue.analyzers, lambda: NOW)
        self.site.state_dir.mkdir(exist_ok=True)
        put_empty_store(self.site.state_dir)
        self.store = Store(url_of(self.site.state_dir), lambda: NOW)
        self.ledger, self.queries = Ledger(self.store), Queries(self.store)
        self.archive = archive(self.site.state_dir)
        self.archive.clear_scratch()
        pseudonyms = Pseudonyms(self.site.state_dir, self.store)
        plans = Plans(self.store, pseudonyms)
        images = Images(self.store, pseudonyms, gaps_of(self.site.file.images))
        self.plans, fractions = plans, KvFractions(self.store, pseudonyms)
        self.pipeline = Pipeline(
            measure or (lambda job: jobs.measure(job, catalogue)),
            self.site,
            self.archive,
            self.ledger,
            Results(
                self.store,
                ["alerts", "influx"],
                plans,
                images,
                fractions,
                SameRecords(self.archive),
            ),
            PlanDesk(plans, self.archive, self.site, catalogue),
            ImageDesk(images, self.archive, self.site, catalogue),
            OutputDesk(self.site, self.store, fractions),
        )
        self.dispatcher = Dispatcher(
            self.ledger,
            self.pipeline,
            threads=2,
            catalogue=catalogue,
            partner_within=partner_within,
        )
        self.intake = intake(self.archive, self.ledger, catalogue, self.site)
        self.scanner = Scanner(
            watched_folders(self.site) if folders is None else folders,
            self.intake,
            settle_time=settle_time,
            rescan_every=rescan_every,
            clock=clock,
        )

    def drop(self, name: str, content: bytes) -> Path:
        """A file that is there at once."""
        path = self.incoming / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def settle(self) -> None:
        """Take in everything that settles."""
        self.scanner.run_until_settled()

    def process(self) -> None:
        """Take in and judge everything there is."""
        self.settle()
        self.judge()

    def judge(self) -> None:
        """Judge everything that is queued."""
        # Those of another clinic in this process may still be ending.
        if not any(t.is_alive() for t in self.dispatcher._threads):
            self.dispatcher.start()
        assert self.dispatcher.wait_idle(20.0)

    def close(self) -> None:
        """End all threads."""
        self.scanner.stop()
        self.dispatcher.stop()
        self.store.close()

    def states(self) -> dict[str, str]:
        """State by file name, of the newest row of each path."""
        with self.store.read() as connection:
            rows = connection.execute(select(files).order_by(files.c.id)).all()
        return {row.name: row.state for row in rows}

    def rows(self) -> list[tuple[str, str]]:
        """Name and state of every row."""
        with self.store.read() as connection:
            rows = connection.execute(select(files.c.name, files.c.state).order_by(files.c.id))
            return [(row.name, row.state) for row in rows]

    def active(self) -> dict[str, tuple[object, ...]]:
        """Error code, number and side files of every active result, by file name."""
        said: dict[str, tuple[object, ...]] = {}
        for result in self.queries.results_since(limit=10_000):
            name = result.path.rpartition("/")[2]
            numbers = [m.value for a in result.analyses for m in a.measurements]
            assert name not in said, "two active results"
            said[name] = (result.error_code, *numbers, *result.warnings)
        return said

    def assert_sound_states(self) -> None:
        """Every counter is the number of rows in that state."""
        with self.store.read() as connection:
            rows = connection.execute(select(files.c.state)).all()
        counts = self.queries.counts()
        for state in {r.state for r in rows}:
            assert counts[f"files.{state}"] == sum(r.state == state for r in rows)

    def assert_sound(self) -> None:
        """What has to hold whenever nothing is going on."""
        self.assert_sound_states()
        with self.store.read() as connection:
            assert audit.verify(connection) is None
            all_results = {r.id: r for r in connection.execute(select(results))}
            waiting = {(row.sink, row.result) for row in connection.execute(select(outbox))}
            rows = connection.execute(select(files)).all()
        active = [r for r in all_results.values() if r.active]
        # Trends are told of a result once more where a file became a copy.
        told = {(sink, result) for sink, result in waiting if sink != "trends"}
        assert told == {(s, r) for r in all_results for s in ("alerts", "influx")}
        assert len({r.file for r in active}) == len(active)
        counts = self.queries.counts()
        assert counts.get("results", 0) == len(active)
        judged = {r.file for r in active}
        for row in rows:
            stands = row.id in judged or row.main_file in judged
            is_judged = row.state in ("done", "waiting", "quarantined")
            assert stands == is_judged, (row.name, row.state)
        assert list(self.archive.scratch.iterdir()) == []
