"""A clinic with two months of results, made through the store's own front door."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from analyzers import catalogue
from dashboards.web.app import create_app
from qa_daemon.arrays import write
from qa_daemon.model import AnalysisReport, Report, Value
from qa_daemon.pipeline import judge
from qa_daemon.site import site as sites
from qa_daemon.status import status_form
from qa_daemon.store.archive import Archive
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.store import Store, url_of
from tests.store.stores import put_empty_store

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
PATIENT = "PATIENT4711"
SITE = """
[site]
name = "Clinic <b>& Sons</b>"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "TB1"
machine_class = "truebeam"
mlc = "millennium120"
[[machine]]
name = "TB2"
machine_class = "truebeam"
mlc = "hd120"
[[machine]]
name = "TB3"
machine_class = "truebeam"
[[machine]]
name = '<script>alert("x")</script>'
machine_class = "truebeam"
[[limits]]
metric = "mlc_positions.worst_leaf_rms"
machine = "TB2"
tolerance = 0.25
action = 0.5
effective_from = 2026-02-01
author = "Physicist A"
reason = "new motors"
[influx]
url = "http://127.0.0.1:1"
database = "qa"
"""


class Clinic:
    """A site with its store and archive, and ways to put results into them."""

    def __init__(self, folder: Path, now: datetime = NOW, more: str = "") -> None:
        (folder / "site.toml").write_text(SITE + more)
        self.now, self.elapsed_s, self.is_ready = now, 0.0, True
        self.folders: list[dict[str, object]] = []
        self.catalogue = catalogue.load()
        self.site = sites.load(folder / "site.toml", self.catalogue.analyzers, lambda: self.now)
        self.site.state_dir.mkdir(parents=True)
        put_empty_store(self.site.state_dir)
        self.store = Store(url_of(self.site.state_dir), lambda: self.now)
        self.ledger, self.queries = Ledger(self.store), Queries(self.store)
        self.results = Results(self.store, ["alerts", "influx"])
        self.archive = Archive(self.site.state_dir)
        self._files = 0

    def app(self) -> FastAPI:
        return create_app(
            site=self.site,
            store=self.store,
            queries=self.queries,
            archive=self.archive,
            status=lambda: {**status_form(self.site, self.store), "folders": self.folders},
            ready=lambda: self.is_ready,
            clock=lambda: self.now,
            titles={a.name: a.title for a in self.catalogue.analyzers},
            timer=lambda: self.elapsed_s,
        )

    def save(self, machine: str | None, at: datetime | None, report: Report) -> int:
        """Judge a report by the clinic's limits and store it."""
        self._files += 1
        name = f"{PATIENT}_{self._files}.bin"
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        written = Fingerprint(f"/in/{machine}/{name}", 10, 1_000_000_000, name)
        file = self.ledger.add(Arrival(written, f"/in/{machine}", name, machine, sha256))
        known = self.site.machine_named(machine)
        made = Provenance("0.1.0", self.site.fingerprint, machine, "truebeam", at)
        arrays = self.archive.keep_arrays(report.arrays)
        saved = self.results.save(file, [], report, judge(report, self.site, known), made, arrays)
        assert saved is not None
        return saved

    def draw(self, *, leaf_mm: float = 0.03) -> str:
        """An array file such as a worker leaves."""
        self._files += 1
        path = self.archive.scratch / f"{self._files}.h5"
        write(path, arrays(leaf_mm))
        return path.name


@dataclass(frozen=True, slots=True)
class Found:
    """The numbers of one delivery that tests change."""

    leaf_mm: float = 0.03
    planned_error_mu: float = 0.01
    gamma_pass: float = 100.0
    jaw_mm: float = 0.1
    at: str = "A31"
    complete: float = 1.0
    reference_mu: float = 200.0


def delivery_report(found: Found, when: datetime, arrays_file: str | None = None) -> Report:
    def said(analyzer: str, *values: tuple[str, float, str, str | None]) -> AnalysisReport:
        numbers = tuple(
            Value(
                metric=m,
                value=v,
                unit=u,
                at=at,
                reference=found.reference_mu if u == "MU" else None,
            )
            for m, v, u, at in values
        )
        return AnalysisReport(analyzer=analyzer, version="1", values=numbers)

    return Report(
        format="varian-trajectory-log",
        machine_class="truebeam",
        performed_at=when.replace(tzinfo=None),
        energy="6 MV",
        identity={"patient_id": PATIENT},
        arrays=arrays_file,
        warnings=("the companion text file differs by 1 s",) if found.jaw_mm > 1 else (),
        analyses=(
            said(
                "mlc_positions",
                ("worst_leaf_rms", found.leaf_mm, "mm", found.at),
                ("error_p95", found.leaf_mm * 1.2, "mm", None),
                ("largest_error", found.leaf_mm * 2.5, "mm", found.at),
                ("bank_a_mean_error", 0.004, "mm", None),
                ("bank_b_mean_error", -0.006, "mm", None),
                ("counted_leaves", 64.0, "1", None),
            ),
            said(
                "axes",
                ("gantry_largest_error", 0.08, "deg", None),
                ("jaw_largest_error", found.jaw_mm, "mm", "X1"),
            ),
            said(
                "meterset",
                ("delivered_error", 0.004, "MU", None),
                ("planned_error", found.planned_error_mu, "MU", None),
                (
                    "complete",
                    found.complete,
                    "1",
                    None if found.complete else "control point 41.30",
                ),
            ),
            said("beam_holds", ("count", 3.0, "1", None), ("held_time", 1.2, "s", None)),
            said(
                "delivered_fluence",
                ("gamma_pass", found.gamma_pass, "%", None),
                ("gamma_mean", 0.12, "1", None),
                ("fluence_error", 0.03, "%", None),
            ),
        ),
    )


def fill(clinic: Clinic, days: int = 60) -> dict[str, int]:
    """Two months of two machines; the ids of the results that tests look at."""
    noise = np.random.default_rng(7)
    ids: dict[str, int] = {}
    for day in range(days - 1, -1, -1):
        for machine in ("TB1", "TB2"):
            when = clinic.now - timedelta(days=day, minutes=12 if machine == "TB1" else 47)
            wear = 0.05 + 0.3 * ((days - day) / days) ** 3 if machine == "TB2" else 0.03
            found = Found(leaf_mm=wear + abs(noise.normal(0, 0.006)))
            if machine == "TB1" and day == 2:
                found = Found(planned_error_mu=-85.6, complete=0.0)
            if machine == "TB1" and day == days // 2:
                found = Found(jaw_mm=1.3)
            arrays_file = clinic.draw(leaf_mm=found.leaf_mm) if day < 3 else None
            ids[f"{machine}-{day}"] = clinic.save(
                machine, when, delivery_report(found, when, arrays_file)
            )
    last = clinic.now - timedelta(minutes=5)
    failed = delivery_report(Found(gamma_pass=93.2), last).analyses
    ids["invalid"] = clinic.save(
        "TB1",
        last,
        Report(
            format="varian-trajectory-log",
            performed_at=last.replace(tzinfo=None),
            analyses=(
                AnalysisReport(
                    analyzer="axes", version="1", failure="gantry has no position in 4 samples"
                ),
                failed[-1],
            ),
        ),
    )
    ids["imaging"] = clinic.save(
        "TB2", clinic.now - timedelta(minutes=3), Report(not_judged="an imaging log")
    )
    old = clinic.now - timedelta(days=5)
    ids["hostile"] = clinic.save(HOSTILE, old, delivery_report(Found(at=HOSTILE), old))
    ids["unreadable"] = clinic.save(
        "TB2", None, Report(error_code="TLOG_CRC", error_message="the checksum <b>differs</b>")
    )
    ids["nowhere"] = clinic.save(
        None, None, Report(error_code="EMPTY", error_message="the file is empty")
    )
    return ids


def arrays(leaf_mm: float) -> dict[str, dict[str, NDArray[np.generic]]]:
    """Traces as the analyzers leave them: a field with one bad leaf."""
    noise = np.random.default_rng(3)
    x_mm, y_mm = np.arange(-70.0, 70.0, 1.0), np.arange(-100.0, 100.0, 1.0)
    inside = (np.abs(x_mm)[None, :] < 60 - 0.2 * np.abs(y_mm)[:, None]) & (
        np.abs(y_mm)[:, None] < 90
    )
    expected = np.where(inside, 1.0 + 0.4 * np.cos(x_mm / 20)[None, :], 0.0)
    actual = expected * (1 + noise.normal(0, 0.001, expected.shape))
    actual[60:65, 20:40] *= 0.9
    gamma = np.where(expected > 0.1, np.abs(actual - expected) * 40, np.nan)
    counted = np.tile((np.arange(60) > 12) & (np.arange(60) < 45), 2)
    rms_mm = np.where(counted, np.abs(noise.normal(0.025, 0.006, 120)), np.nan)
    rms_mm[30] = leaf_mm
    time_s = np.linspace(0.0, 60.0, 600)
    gantry_deg = (179.0 - 6 * time_s) % 360
    return {
        "delivered_fluence": {
            "expected": expected,
            "actual": actual,
            "gamma": np.minimum(gamma, 2.0),
            "x_mm": x_mm,
            "y_mm": y_mm,
        },
        "mlc_positions": {
            "leaf_rms_mm": rms_mm,
            "leaf_largest_mm": rms_mm * 2.5,
            "leaf_counted": counted,
        },
        "axes": {
            "time_s": time_s,
            "meterset_mu_expected": time_s * 4,
            "meterset_mu_actual": time_s * 4 + noise.normal(0, 0.004, 600).cumsum() * 0.02,
            "gantry_deg_expected": gantry_deg,
            "gantry_deg_actual": (gantry_deg + noise.normal(0, 0.03, 600)) % 360,
            "jaw_x1_mm_expected": np.full(600, -60.0),
            "jaw_x1_mm_actual": np.full(600, -60.02),
        },
    }
