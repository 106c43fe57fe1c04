"""A store to test with, and ways to put something into it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzers.core import Limits
from qa_daemon.model import AnalysisReport, LeafNumbers, Report, Value
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger, LedgerFile
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.store import Store, upgrade, url_of
from qa_daemon.verdict import Outcome, judge_analysis, judge_value

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIMITS = Limits.at_most(tolerance=0.5, action=1.0)


@cache
def _empty_store() -> bytes:
    with TemporaryDirectory() as folder:
        upgrade(url_of(Path(folder)))
        with closing(sqlite3.connect(Path(folder, "store.sqlite3"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(folder, "store.sqlite3").read_bytes()


def put_empty_store(folder: Path) -> None:
    """A new store where there is none; made once, because migrations take their time."""
    path = folder / "store.sqlite3"
    if not path.exists():
        path.write_bytes(_empty_store())


class TestStore:
    """A fresh store in a folder."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.url = url_of(folder)
        put_empty_store(folder)
        self.store = Store(self.url, lambda: NOW)
        self.ledger = Ledger(self.store)
        self.results = Results(self.store, ["alerts", "influx"])
        self.queries = Queries(self.store)

    def arrive(
        self,
        name: str,
        content: str | None = None,
        *,
        machine: str = "TB1",
        is_companion: bool = False,
        pair: tuple[str, float] | None = None,
    ) -> LedgerFile:
        """Enter a file whose content is a text."""
        sha256 = hashlib.sha256((content or name).encode()).hexdigest()
        return self.ledger.add(
            Arrival(
                Fingerprint(f"/in/{machine}/{name}", 10, 1_000_000_000, name),
                f"/in/{machine}",
                name,
                machine,
                sha256,
                "varian-trajectory-log",
                is_companion,
                pair,
            )
        )

    def judge(
        self,
        file: LedgerFile,
        number: float,
        *,
        at: datetime | None = datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
        companions: tuple[LedgerFile, ...] = (),
        identity: dict[str, str] | None = None,
        energy: str | None = None,
        technique: str | None = None,
        leaves: LeafNumbers | None = None,
    ) -> int | None:
        """Store a result with one number, held against 0.5 and 1.0 mm."""
        outcome = outcome_of(number)
        if leaves is not None:
            outcome = replace(outcome, report=outcome.report.model_copy(update={"leaves": leaves}))
        report = Report(
            format="varian-trajectory-log",
            analyses=(outcome.report,),
            identity=identity or {},
            energy=energy,
            technique=technique,
        )
        made = Provenance("0", "site", file.machine, "truebeam", at)
        return self.results.save(file, companions, report, [outcome], made)


def outcome_of(number: float, analyzer: str = "mlc_positions") -> Outcome:
    """One analyzer's judged number."""
    value = Value(metric="largest_error", value=number, unit="mm", at="A17")
    report = AnalysisReport(analyzer=analyzer, version="1", values=(value,))
    return judge_analysis(report, [judge_value(value, LIMITS)])
