"""A clinic whose store holds every metric of the catalogue, and what its rows are as points.

Values lie on both sides of the limits; each machine class has a machine, one of them with a name
that a regular expression would misread.  The rows are read by SQL of their own.
"""

from __future__ import annotations

import json
import math
import random
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from analyzers import catalogue
from analyzers.core import Analyzer, Limits, Metric
from qa_daemon.model import AnalysisReport, LeafNumbers, Report, Value
from qa_daemon.site.settings import SiteFile
from qa_daemon.site.site import Site, metrics_of
from qa_daemon.store import service_events
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.store.store import Store, url_of
from qa_daemon.verdict import judge_analysis, judge_value
from tests.store.stores import put_empty_store

FIRST = datetime(2026, 10, 5, 6, 30, tzinfo=UTC)
DAYS, A_DAY = 3, 2
ZONE = "America/Chicago"
MACHINES = {
    "TB1": "truebeam",
    "Room 2 (TB.2/x)": "truebeam",
    "HAL": "halcyon",
    "CL": "clinac",
    "EL": "elekta",
    "SRT-1": "srt",
}
LEAF_COLUMNS = {
    "leaf_trust": ("mean_error_mm", "rms_error_mm", "lag_ms", "samples", "shapes_field"),
    "picket_fence": ("mean_error_mm", "largest_error_mm"),
    "leaf_log_check": ("offset_mm", "worst_offset_mm"),
}
PLACES: dict[str, tuple[str | None, ...]] = {
    "srt_output": ("60 kV", "100 kV, 2"),
    "winston_lutz": ("B1", "B2", "B3"),
}
LEAVES = ("A1", "A2", "A10", "B1")
OWN_LIMITS = (
    {"metric": "mlc_positions.error_p95", "machine_class": "truebeam", "tolerance": 0.11},
    {"metric": "axes.gantry_rms_error", "machine": "TB1", "tolerance": 0.07},
    {"metric": "beam_holds.count", "tolerance": 3.0, "direction": "at_most"},
)


@dataclass(frozen=True, slots=True)
class Row:
    """A point as the store has it."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float]
    at_ns: int


class WholeStore:
    """The clinic, filled."""

    def __init__(self, folder: Path, influx_url: str) -> None:
        self.site = site_of(folder, influx_url)
        put_empty_store(folder)
        self.folder = folder
        self.store = Store(url_of(folder), lambda: FIRST)
        self.ledger = Ledger(self.store)
        self.results = Results(self.store, ["influx"])
        self.queries = Queries(self.store)
        self.box = Outbox(self.store, "influx")
        self._random = random.Random(7)
        self._results_put = 0
        for day in range(DAYS):
            for nth in range(A_DAY):
                for machine in MACHINES:
                    self._put(machine, FIRST + timedelta(days=day, hours=9 * nth), day + nth)
        kinds = (EventKind.REPAIR, EventKind.CALIBRATION)
        events = [
            ServiceEvent(m, kinds[k % 2], "typed", int(FIRST.timestamp()) * 10**9 + k * 3600, a)
            for k, (m, a) in enumerate((("TB1", None), ("EL", "axes"), ("EL", None)))
        ]
        service_events.enter(self.store, events, "a person")
        service_events.withdraw(self.store, "TB1", 1, "a person", "another machine")

    def _put(self, machine: str, at: datetime, number: int) -> None:
        name = f"{machine}-{at:%d%H}"
        file = self.ledger.add(
            Arrival(
                Fingerprint(f"/in/{name}", 3, 1_760_000_000_000_000_000, name.replace("/", "")),
                "/in",
                name,
                machine,
                name.encode().hex().ljust(64, "0")[:64],
            )
        )
        reports = [
            self._report(a, MACHINES[machine], fails=(number + k) % 9 == 8)
            for k, a in enumerate(every_analyzer())
        ]
        today = self.site.today().date()
        one = self.site.machine_named(machine)
        outcomes = [
            judge_analysis(
                said,
                [
                    judge_value(
                        v,
                        self.site.limits_for(
                            f"{said.analyzer}.{v.metric}", MACHINES[machine], one, today
                        ),
                    )
                    for v in said.values
                ],
            )
            for said in reports
        ]
        worst = self._results_put % 4  # there are results of every verdict
        outcomes = [o for o in outcomes if o.verdict is None or int(o.verdict) <= worst]
        self._results_put += 1
        energy = ("6x", "10xFFF", None)[number % 3]
        report = Report(format="varian-trajectory-log", analyses=tuple(reports), energy=energy)
        made = Provenance("0", "hash", machine, MACHINES[machine], at)
        self.results.save(file, [], report, outcomes, made)

    def _report(
        self, analyzer: Analyzer[Any, Any], machine_class: str, *, fails: bool
    ) -> AnalysisReport:
        if fails:
            return AnalysisReport(analyzer=analyzer.name, version="1", failure="it failed")
        places = PLACES.get(analyzer.name, (None,))
        values = [
            Value(metric=m.name, value=self._value(m, machine_class), unit=m.unit, at=at)
            for m in analyzer.metrics
            for at in places
        ]
        columns = LEAF_COLUMNS.get(analyzer.name) if machine_class != "srt" else None
        return AnalysisReport(
            analyzer=analyzer.name,
            version="1",
            values=tuple(values),
            leaves=self._leaves(columns) if columns else None,
        )

    def _value(self, metric: Metric, machine_class: str) -> float:
        limits = metric.limits.get(machine_class) or Limits.within(tolerance=1.0, action=2.0)
        low = limits.action_low if limits.action_low is not None else (limits.action_high or 0) - 1
        high = limits.action_high if limits.action_high is not None else low + 10.0
        return low + (high - low) * self._random.uniform(-0.05, 1.05)

    def _leaves(self, columns: tuple[str, ...]) -> LeafNumbers:
        def number(column: str) -> float | None:
            if column == "shapes_field":
                return float(self._random.random() < 0.8)
            # Single precision, so that what the store keeps is what was put in.
            return struct.unpack("<f", struct.pack("<f", self._random.uniform(-1.0, 1.0)))[0]

        return LeafNumbers(
            leaves=LEAVES, columns={c: tuple(number(c) for _ in LEAVES) for c in columns}
        )


def rows_of(folder: Path, site: Site) -> list[Row]:
    """Every point that a store stands for."""
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        return [
            *_numbers(connection, site.name),
            *_verdicts(connection, site.name),
            *_leaf_days(connection, site.name, site.zone),
            *_events(connection, site.name),
        ]


@cache
def every_analyzer() -> tuple[Analyzer[Any, Any], ...]:
    return catalogue.load().analyzers


def site_of(folder: Path, influx_url: str = "http://127.0.0.1:1") -> Site:
    """The clinic's site, with limits of its own."""
    why = {"effective_from": "2026-01-01", "author": "A", "reason": "test", "action": 9.0}
    file = SiteFile.model_validate(
        {
            "site": {"name": "Sample Clinic", "time_zone": ZONE, "state_dir": "state"},
            "machine": [{"name": n, "machine_class": c} for n, c in MACHINES.items()],
            "influx": {"url": influx_url, "api": "v1", "database": "qa"},
            "limits": [{**why, **own} for own in OWN_LIMITS],
        }
    )
    return Site(file, folder / "site.toml", metrics_of(every_analyzer()), lambda: FIRST)


def _numbers(connection: sqlite3.Connection, site: str) -> Iterator[Row]:
    query = (
        "SELECT m.*, r.energy FROM measurements m JOIN results r ON r.id = m.result "
        "WHERE r.active = 1 ORDER BY COALESCE(m.verdict, -1) DESC, m.id DESC"
    )
    seen = set()
    for m in connection.execute(query):
        tags = {k: m[k] for k in ("machine", "analyzer", "metric")}
        tags |= {"site": site, "unit": m["unit"] or "1", "energy": m["energy"] or "none"}
        if m["analyzer"] == "srt_output":
            tags["at"] = m["at"].replace(",", "_")
        point = (m["point_ns"], *sorted(tags.items()))
        if point in seen:
            continue  # a value of the same metric that is judged no worse
        seen.add(point)
        names = ("value", "verdict", "tolerance_low", "tolerance_high", "action_low", "action_high")
        fields = {k: m[k] for k in names if m[k] is not None}
        yield Row("qa", tags, fields, m["point_ns"])


def _verdicts(connection: sqlite3.Connection, site: str) -> Iterator[Row]:
    query = (
        "SELECT r.machine, a.analyzer, a.verdict, r.point_ns FROM analyses a "
        "JOIN results r ON r.id = a.result WHERE r.active = 1 AND a.verdict IS NOT NULL"
    )
    for a in connection.execute(query):
        tags = {"site": site, "machine": a["machine"], "analyzer": a["analyzer"]}
        yield Row("qa_analysis", tags, {"verdict": a["verdict"]}, a["point_ns"])
    query = "SELECT * FROM results WHERE active = 1 AND verdict IS NOT NULL"
    for r in connection.execute(query):
        tags = {"site": site, "machine": r["machine"]}
        yield Row("qa_result", tags, {"verdict": r["verdict"]}, r["point_ns"])


def _leaf_days(connection: sqlite3.Connection, site: str, zone: ZoneInfo) -> Iterator[Row]:
    """Number by number, without arrays."""
    worst: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for row in connection.execute("SELECT * FROM leaf_errors WHERE active = 1"):
        leaves, names = json.loads(row["leaves"]), json.loads(row["quantities"])
        numbers = struct.unpack(f"<{len(leaves) * len(names)}f", row["numbers"])
        at = datetime.fromtimestamp(row["point_ns"] // 10**9, zone)
        for k, leaf in enumerate(leaves):
            of = {n: numbers[i * len(leaves) + k] for i, n in enumerate(names)}
            if of.pop("shapes_field", 1.0) == 0.0:
                continue
            key = (row["machine"], row["analyzer"], leaf, at.date().isoformat())
            for name, value in of.items():
                had = worst.setdefault(key, {}).get(name)
                is_sent = name != "samples" and not math.isnan(value)
                if is_sent and (had is None or abs(value) > abs(had)):
                    worst[key][name] = value
    for (machine, analyzer, leaf, day), fields in worst.items():
        noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=zone)
        tag = f"{leaf[0]}{leaf[1:]:>02}"
        tags = {"site": site, "machine": machine, "analyzer": analyzer, "leaf": tag}
        yield Row("qa_leaf", tags, fields, int(noon.timestamp()) * 10**9)


def _events(connection: sqlite3.Connection, site: str) -> Iterator[Row]:
    for e in connection.execute("SELECT * FROM service_events"):
        tags = {"site": site, "machine": e["machine"], "kind": e["kind"]}
        tags["analyzer"] = e["analyzer"] or "all"
        in_force = float(e["withdrawn_at"] is None)
        yield Row("qa_event", tags, {"in_force": in_force}, e["point_ns"])
