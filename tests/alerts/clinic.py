"""A clinic with a store: results go in as the pipeline puts them in.

Identity, file name and folder of every result hold the word CANARY, which must never come out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analyzers.core import Limits
from qa_daemon.model import AnalysisReport, Event, Report, State, Value, Verdict
from qa_daemon.site.settings import SiteFile
from qa_daemon.site.site import Site
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger, LedgerFile
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.store import Store, url_of
from qa_daemon.verdict import judge_analysis, judge_value
from tests.store.stores import put_empty_store

CANARY = "CANARY"
RMS = Limits.at_most(tolerance=0.15, action=0.35, source="test")
MORNING = datetime(2026, 11, 2, 8, 14, tzinfo=UTC)
OF_VERDICT = {Verdict.PASS: 0.02, Verdict.TOLERANCE: 0.2, Verdict.ACTION: 1.02}
TITLES = {"mlc_positions": "MLC leaf positions", "axes": "Axes"}


def analysis(
    verdict: Verdict | None, analyzer: str = "mlc_positions", at: str | None = "A17"
) -> AnalysisReport:
    """One test with this outcome; None: not applicable."""
    if verdict is None:
        return AnalysisReport(analyzer=analyzer, version="1", not_applicable=f"none {CANARY}")
    if verdict is Verdict.INVALID:
        return AnalysisReport(analyzer=analyzer, version="1", failure=f"beam {CANARY}")
    value = Value(metric="worst_leaf_rms", value=OF_VERDICT[verdict], unit="mm", at=at)
    trend = Value(metric="parked_largest_error", value=0.5, unit="mm", at=f"beam {CANARY}")
    return AnalysisReport(analyzer=analyzer, version="1", values=(value, trend))


class Clinic:
    """A store, a site file, and a hand that puts results in."""

    def __init__(self, folder: Path, site: dict[str, object] | None = None) -> None:
        self.now = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
        section = {"name": "Sample Clinic", "time_zone": "Europe/Berlin", "state_dir": "state"}
        file = SiteFile.model_validate({"site": section, **(site or {})})
        self.site = Site(file, folder / "site.toml", {}, self.clock)
        put_empty_store(folder)
        self.store = Store(url_of(folder), self.clock)
        self.ledger = Ledger(self.store)
        self.results = Results(self.store, ["influx", "alerts"])
        self.queries = Queries(self.store)
        self.influx_box = Outbox(self.store, "influx")
        self.alerts_box = Outbox(self.store, "alerts")
        self._files = 0

    def clock(self) -> datetime:
        return self.now

    def file(
        self,
        machine: str | None = "TB1",
        name: str | None = None,
        same_as: LedgerFile | None = None,
    ) -> LedgerFile:
        """A new file, or new content under a name that was there before, or a copy."""
        self._files += 1
        sha256 = hashlib.sha256(str(self._files).encode()).hexdigest()
        sha256 = same_as.sha256 if same_as else sha256
        name = name or f"{CANARY}{self._files}.bin"
        fingerprint = Fingerprint(f"/{CANARY}/{name}", 3, 1_760_000_000_123_456_789, name)
        return self.ledger.add(Arrival(fingerprint, f"/{CANARY}", name, machine, sha256))

    def put(
        self,
        *analyses: AnalysisReport,
        file: LedgerFile | None = None,
        minutes: float = 0.0,
        machine: str | None = "TB1",
        says_when: bool = True,
        series: str | None = None,
    ) -> int:
        """A result of a file, delivered so many minutes after `MORNING`."""
        report = Report(
            format="varian-trajectory-log",
            identity={"patient_id": f"{CANARY}-ID", "plan": f"{CANARY}-PLAN"},
            warnings=(f"beam {CANARY}",),
            analyses=analyses,
            series=series,
        )
        at = MORNING + timedelta(minutes=minutes)
        local = at.astimezone(self.site.zone) if says_when else None
        return self._save(file or self.file(machine), report, machine, local)

    def put_unreadable(self, file: LedgerFile | None = None) -> int:
        """A file that cannot be read."""
        report = Report(error_code="TLOG_CRC", error_message=f"the file {CANARY} is broken")
        return self._save(file or self.file(), report, "TB1", None)

    def judge_again(self, file: LedgerFile) -> LedgerFile:
        """The file as it is when a person asks for another try."""
        file = self.ledger.file(file.id)
        if file.state is not State.QUEUED:
            self.ledger.move(file, Event.RELEASED)
        return self.ledger.file(file.id)

    def _save(
        self, file: LedgerFile, report: Report, machine: str | None, at: datetime | None
    ) -> int:
        outcomes = [
            judge_analysis(
                said,
                [
                    judge_value(v, RMS if v.metric == "worst_leaf_rms" else None)
                    for v in said.values
                ],
            )
            for said in report.analyses
        ]
        made = Provenance("0", "hash", machine, "truebeam", at)
        identity = self.results.save(file, [], report, outcomes, made)
        assert identity is not None
        return identity


class Recorder:
    """Channels that remember what was sent to whom; people in `deaf` accept nothing."""

    def __init__(self, deaf: Sequence[str] = ()) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.tried: list[str] = []
        self.deaf = set(deaf)

    def send(self, person: str, title: str, body: str) -> str | None:
        self.tried.append(person)
        if person in self.deaf:
            return None
        self.sent.append((person, title, body))
        return "recorder"

    @property
    def titles(self) -> list[str]:
        return [title for _, title, _ in self.sent]
