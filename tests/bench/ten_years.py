"""Ten years of a clinic of 20 linacs: pages at 1, 3 and 10 years, and the archive sent to InfluxDB.

The tables are filled directly: five results a working day and machine, 40 numbers each, 10 million
numbers in ten years, and their days as the trends keep them.  Pages are asked for through the
application itself, without a network; the median of several times, after one that is not counted.
The board is also opened in Chromium, over HTTP, until something of it is seen.
Then more than 5 million points are drained from the outbox into a real InfluxDB 1.6.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analyzers import catalogue
from dashboards.web.app import create_app
from qa_daemon.sinks.drain import Drain
from qa_daemon.sinks.influx import InfluxSink
from qa_daemon.site import site as sites
from qa_daemon.site.site import Site
from qa_daemon.status import status_form
from qa_daemon.store.archive import Archive
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.queries import Queries
from qa_daemon.store.store import Store, upgrade, url_of
from tests.bench.first_paint import first_paint
from tests.bench.unit_page import _ask
from tests.servers import InfluxServer, influx_server

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
YEARS, MACHINES, A_DAY = (1, 3, 10), 20, 5
SENT_RESULTS = 125_000
ANALYZERS = {"mlc_positions": 10, "axes": 10, "delivered_fluence": 10, "plan_agreement": 10}
FIELDS = {"mlc_positions": "worst_leaf_rms", "axes": "gantry_largest_error"}
ENERGIES = ("6 MV", "6 MV FFF", "10 MV")
PATHS = {
    "board": "/",
    "trend_of_90_days": "/trend.json?machine=TB7&metric=mlc_positions.worst_leaf_rms&days=90",
    "trend_of_1_year": "/trend.json?machine=TB7&metric=mlc_positions.worst_leaf_rms&days=365",
    "trend_of_10_years": "/trend.json?machine=TB7&metric=mlc_positions.worst_leaf_rms&days=3653",
    "trend_page_of_10_years": "/trend?machine=TB7&metric=mlc_positions.worst_leaf_rms&days=3653",
    "machine_page": "/machines/TB7?days=90",
    "all_trends": "/trends",
}
SITE = """
[site]
name = "Bench"
time_zone = "Europe/Berlin"
state_dir = "state"
[influx]
url = "{url}"
api = "v1"
database = "qa"
"""
MACHINE = '[[machine]]\nname = "TB{number}"\nmachine_class = "truebeam"\n'
INDEXED = ("results", "analyses", "measurements", "trend_days")


def measure(years: tuple[int, ...] = YEARS, sent: int = SENT_RESULTS) -> dict[str, Any]:
    """Times in ms by page and archive; points and points a second that InfluxDB took."""
    with tempfile.TemporaryDirectory() as name, influx_server(Path(name)) as influx:
        folder = Path(name)
        text = SITE.format(url=influx.url)
        (folder / "site.toml").write_text(
            text + "".join(MACHINE.format(number=k) for k in range(MACHINES))
        )
        known = catalogue.load()
        site = sites.load(folder / "site.toml", known.analyzers, lambda: NOW)
        site.state_dir.mkdir()
        upgrade(url_of(site.state_dir))
        clinic = _Clinic(site.state_dir / "store.sqlite3")
        found: dict[str, Any] = {}
        for span in years:
            clinic.grow(span)
            found[f"archive_of_{span}_years"] = {"measurements": clinic.numbers} | _pages(site)
        clinic.enqueue(sent)
        influx.query("CREATE DATABASE qa")
        found["influx"] = _drained(site, influx)
        return found


def _pages(site: Site) -> dict[str, Any]:
    store = Store(url_of(site.state_dir), lambda: NOW)
    try:
        app = create_app(
            site=site,
            store=store,
            queries=Queries(store),
            archive=Archive(site.state_dir),
            status=lambda: {**status_form(site, store), "folders": []},
            ready=lambda: True,
            clock=lambda: NOW,
            titles={a.name: a.title for a in catalogue.load().analyzers},
        )
        found = {name: _ask(app, path) for name, path in PATHS.items()}
        return found | {"board_in_chromium": first_paint(app, PATHS["board"])}
    finally:
        store.close()


def _drained(site: Site, influx: InfluxServer) -> dict[str, float]:
    store = Store(url_of(site.state_dir), lambda: NOW)
    try:
        queries = Queries(store)
        drain = Drain(store, Outbox(store, "influx"), queries, InfluxSink(site, store))
        begun = time.perf_counter()
        drain.drain()
        seconds = time.perf_counter() - begun
    finally:
        store.close()
    counted = [
        int(influx.query(f'SELECT count("{field}") FROM "{name}"', "qa")[0]["values"][0][1])
        for name, field in (("qa", "value"), ("qa_analysis", "verdict"), ("qa_result", "verdict"))
    ]
    points = sum(counted)
    return {"points": points, "seconds": round(seconds, 1), "points_per_s": round(points / seconds)}


class _Clinic:
    """A store that grows year by year, as it would have."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._random = np.random.default_rng(1)
        self._results = self.numbers = 0
        self._metrics = [
            (analyzer, FIELDS.get(analyzer, "number_0") if k == 0 else f"number_{k}")
            for analyzer, count in ANALYZERS.items()
            for k in range(count)
        ]

    def grow(self, years: int) -> None:
        """Put in the results of so many years before now that are not there yet."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            indexes = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
                f"AND tbl_name IN ({','.join('?' * len(INDEXED))})",
                INDEXED,
            ).fetchall()
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {name}")
            connection.execute("BEGIN")
            for day in self._days(years):
                self._fill(connection, day)
            connection.execute("COMMIT")
            for _, sql in indexes:
                connection.execute(sql)
            connection.execute("ANALYZE")
            self._latest(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def enqueue(self, results: int) -> None:
        """Let the newest results be sent."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("DELETE FROM outbox")
            connection.execute(
                "INSERT INTO outbox (sink, result, state) SELECT 'influx', id, 'pending' "
                "FROM results ORDER BY id LIMIT ?",
                (results,),
            )

    def _days(self, years: int) -> Iterator[datetime]:
        """Working days, the newest of a span last; those of a shorter span are there already."""
        done = {1: 0, 3: 1, 10: 3}[years]
        for ago in range(365 * years, 365 * done, -1):
            day = NOW - timedelta(days=ago)
            if day.weekday() < 5:
                yield day

    def _fill(self, connection: sqlite3.Connection, day: datetime) -> None:
        for machine in range(MACHINES):
            name = f"TB{machine}"
            values = self._random.normal(0.05, 0.01, (A_DAY, len(self._metrics)))
            for turn in range(A_DAY):
                at = day.replace(hour=7 + turn, minute=machine)
                self._result(connection, name, at, ENERGIES[turn % 3], values[turn])
            self._trend_days(connection, name, day, values)

    def _result(
        self,
        connection: sqlite3.Connection,
        machine: str,
        at: datetime,
        energy: str,
        values: np.ndarray,
    ) -> None:
        self._results += 1
        number, point_ns = self._results, int(at.timestamp()) * 10**9
        said, sha256 = at.isoformat(timespec="milliseconds"), f"{number:064x}"
        connection.execute(
            "INSERT INTO files (id, path, folder, name, machine, size, mtime_ns, inode, sha256, "
            "format, is_companion, state, crashes, arrived_at) "
            "VALUES (?,?,?,?,?,9,?,?,?,'varian-trajectory-log',0,'done',0,?)",
            (number, f"/in/{number}", "/in", str(number), machine, point_ns, number, sha256, said),
        )
        connection.execute(
            "INSERT INTO results (id, file, active, sha256, format, machine, machine_class, "
            "performed_at, point_ns, energy, verdict, warnings, software, site_hash, created_at) "
            "VALUES (?,?,1,?,'varian-trajectory-log',?,'truebeam',?,?,?,0,'[]','0','0',?)",
            (number, number, sha256, machine, at.isoformat(), point_ns, energy, said),
        )
        first = (number - 1) * len(ANALYZERS)
        of = dict(zip(ANALYZERS, range(first + 1, first + 1 + len(ANALYZERS)), strict=True))
        connection.executemany(
            "INSERT INTO analyses (id, result, analyzer, version, verdict, notes) "
            "VALUES (?,?,?,'1',0,'[]')",
            [(identity, number, analyzer) for analyzer, identity in of.items()],
        )
        connection.executemany(
            "INSERT INTO measurements (analysis, result, active, machine, analyzer, metric, "
            "point_ns, value, unit, verdict, tolerance_high, action_high, limits_source) "
            "VALUES (?,?,1,?,?,?,?,?,'mm',0,0.15,0.3,'default')",
            [
                (of[analyzer], number, machine, analyzer, metric, point_ns, float(value))
                for (analyzer, metric), value in zip(self._metrics, values, strict=True)
            ],
        )
        self.numbers += len(self._metrics)

    def _trend_days(
        self, connection: sqlite3.Connection, machine: str, day: datetime, values: np.ndarray
    ) -> None:
        rows: list[tuple[object, ...]] = []
        for k, energy in enumerate(ENERGIES):
            own, on = values[k::3], day.date().isoformat()
            ns = int(day.replace(hour=11).timestamp()) * 10**9
            low, middle, high = own.min(axis=0), np.median(own, axis=0), own.max(axis=0)
            rows += [
                (
                    machine,
                    *of,
                    energy,
                    on,
                    len(own),
                    *numbers,
                    self._results,
                    ns,
                )
                for of, *numbers in zip(
                    self._metrics, low.tolist(), middle.tolist(), high.tolist(), strict=True
                )
            ]
        connection.executemany(
            "INSERT INTO trend_days (machine, analyzer, metric, place, energy, judged_as, "
            "technique, version, day, n, lowest, median, highest, verdict, result, point_ns, unit, "
            "tolerance_high, action_high) "
            "VALUES (?,?,?,'',?,'','','1',?,?,?,?,?,0,?,?,'mm',0.15,0.3)",
            rows,
        )

    def _latest(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM latest")
        connection.execute(
            "INSERT INTO latest (machine, analyzer, analysis, result, point_ns) "
            "SELECT r.machine, a.analyzer, a.id, r.id, r.point_ns FROM results r "
            "JOIN analyses a ON a.result = r.id "
            "WHERE r.id IN "
            "(SELECT id FROM results GROUP BY machine HAVING point_ns = MAX(point_ns))"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--years", type=int, nargs="*", default=list(YEARS))
    parser.add_argument("--sent", type=int, default=SENT_RESULTS)
    asked = parser.parse_args()
    print(json.dumps(measure(tuple(asked.years), asked.sent), indent=1))
