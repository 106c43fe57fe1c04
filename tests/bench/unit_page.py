"""Ten years of daily checks of 20 superficial units: how long a unit's page and its trends take.

The tables are filled directly, three results a working day and unit (one for each beam) with the
numbers, tests of the routine, signatures and a block now and then that checks leave behind.  Pages
are asked for through the application itself, without a network; the median of several times.  The
same with archives of one and three years shows what grows with their age.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Table, insert

from analyzers import catalogue
from dashboards.web.app import create_app
from qa_daemon.site import site as sites
from qa_daemon.store import schema
from qa_daemon.store.archive import Archive
from qa_daemon.store.queries import Queries
from qa_daemon.store.store import Store, upgrade, url_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
YEARS = (1, 3, 10)
UNITS = 20
BEAMS = {"50 kV F1 A30": 5.12, "70 kV F2 A30": 4.79, "100 kV F3 A30": 6.31}
ROUNDS = 9
TEN_YEARS_D = 3653
CHUNK_DAYS = 30
BLOCKED_EVERY_D, CALIBRATED_EVERY_D = 200, 250
SITE = """
[site]
name = "Bench"
time_zone = "Europe/Berlin"
state_dir = "state"
"""
UNIT = """
[[machine]]
name = "SRT{number}"
machine_class = "srt"
[machine.srt]
beams = [{{kvp = 50, filter = "F1"}}, {{kvp = 70, filter = "F2"}}, {{kvp = 100, filter = "F3"}}]
"""
PATHS = {
    "unit_page_of_1_year": "/units/SRT7?days=365",
    "unit_page_of_10_years": f"/units/SRT7?days={TEN_YEARS_D}",
    "chart_of_1_year": "/units/SRT7/output.json?beam=70+kV+F2+A30&days=365",
    "chart_of_10_years": f"/units/SRT7/output.json?beam=70+kV+F2+A30&days={TEN_YEARS_D}",
    "picture_of_10_years": f"/units/SRT7/output.svg?beam=70+kV+F2+A30&days={TEN_YEARS_D}",
    "trends_page": "/machines/SRT7?days=365",
    "board": "/",
}
Rows = dict[str, list[dict[str, object]]]


def measure() -> dict[str, Any]:
    """Median times in ms, also without waiting for others, and sizes in kB, by page and archive."""
    found: dict[str, Any] = {}
    for years in YEARS:
        with tempfile.TemporaryDirectory() as folder:
            found[f"archive_of_{years}_years"] = _times(Path(folder), years)
    return found


def _times(folder: Path, years: int) -> dict[str, Any]:
    (folder / "site.toml").write_text(SITE + "".join(UNIT.format(number=k) for k in range(UNITS)))
    known = catalogue.load()
    site = sites.load(folder / "site.toml", known.analyzers, lambda: NOW)
    site.state_dir.mkdir()
    upgrade(url_of(site.state_dir))
    store = Store(url_of(site.state_dir), lambda: NOW)
    try:
        results = _fill(store, years)
        app = create_app(
            site=site,
            store=store,
            queries=Queries(store),
            archive=Archive(site.state_dir),
            status=lambda: {"folders": [], "alerts": {"open": 0}, "sinks": {}, "files": {}},
            ready=lambda: True,
            clock=lambda: NOW,
            titles={a.name: a.title for a in known.analyzers},
        )
        return {"results": results} | {name: _ask(app, path) for name, path in PATHS.items()}
    finally:
        store.close()


def _ask(app: Any, path: str) -> dict[str, float]:
    taken, worked, size = [], [], 0
    for _ in range(ROUNDS + 1):
        begin, began = time.perf_counter(), time.process_time()
        status, size = asyncio.run(_get(app, path))
        taken.append(1000.0 * (time.perf_counter() - begin))
        worked.append(1000.0 * (time.process_time() - began))
        assert status == 200, (path, status)
    # The first one reads the templates and the pages of the database.
    return {
        "ms": round(statistics.median(taken[1:]), 1),
        "processor_ms": round(statistics.median(worked[1:]), 1),
        "kB": round(size / 1000.0, 1),
    }


async def _get(app: Any, path: str) -> tuple[int, int]:
    """Status and bytes of an answer."""
    plain, _, query = path.partition("?")
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return said[0]["status"], sum(len(one.get("body", b"")) for one in said[1:])


def _fill(store: Store, years: int) -> int:
    """The archive, oldest first, as it would have grown; how many results."""
    counted = 0
    for rows in _chunks(years):
        counted += len(rows["results"])
        with store.write() as connection:
            for name, values in rows.items():
                if values:
                    connection.execute(insert(_table(name)), values)
    return counted


def _table(name: str) -> Table:
    return schema.metadata.tables[name]


def _chunks(years: int) -> Iterator[Rows]:
    days = [NOW - timedelta(days=ago) for ago in reversed(range(365 * years + years // 4))]
    worked = [day for day in days if day.weekday() < 5]
    noise = np.random.default_rng(20260302)
    number = 0
    for first in range(0, len(worked), CHUNK_DAYS):
        rows: Rows = {name: [] for name in TABLES}
        for k, day in enumerate(worked[first : first + CHUNK_DAYS], first):
            for unit in range(UNITS):
                for beam, (place, output) in enumerate(BEAMS.items()):
                    number += 1
                    at = day.replace(hour=6, minute=5 * beam)
                    off = float(noise.normal(0.0, 0.6)) + 0.8 * np.sin(k / 300.0 + beam)
                    _result(rows, number, f"SRT{unit}", place, at, (output, off), k)
        yield rows


TABLES = (
    *("files", "results", "analyses", "measurements", "routine_done", "check_signatures"),
    *("unit_blocks", "output_baselines"),
)


def _result(
    rows: Rows,
    number: int,
    machine: str,
    place: str,
    at: datetime,
    found: tuple[float, float],
    day: int,
) -> None:
    """One check of one beam, judged, signed when it is older than a month."""
    output, off = found
    point_ns = int(at.timestamp()) * 10**9
    is_blocked = day % BLOCKED_EVERY_D == 7 and place.startswith("70")
    off = 5.4 if is_blocked else off
    verdict = 0 if abs(off) <= 3.0 else 1 if abs(off) <= 5.0 else 2
    said, sha256 = at.isoformat(timespec="milliseconds"), f"{number:064x}"
    own = {"machine": machine, "point_ns": point_ns}
    rows["files"].append(
        {
            "id": number,
            "path": f"/in/{machine}/{number}.csv",
            "folder": f"/in/{machine}",
            "name": f"{number}.csv",
            "machine": machine,
            "size": 600,
            "mtime_ns": point_ns,
            "inode": str(number),
            "sha256": sha256,
            "format": "srt-output-csv",
            "is_companion": False,
            "state": "done",
            "crashes": 0,
            "arrived_at": said,
        }
    )
    rows["results"].append(
        own
        | {
            "id": number,
            "file": number,
            "active": True,
            "sha256": sha256,
            "format": "srt-output-csv",
            "machine_class": "srt",
            "performed_at": at.isoformat(),
            "energy": place.partition(" F")[0],
            "series": f"daily {place.partition(' F')[0]}",
            "verdict": verdict,
            "warnings": "[]",
            "software": "0.1.0",
            "site_hash": "0" * 16,
            "created_at": said,
        }
    )
    rows["analyses"].append(
        {
            "id": number,
            "result": number,
            "analyzer": "srt_output",
            "version": "1",
            "verdict": verdict,
            "notes": '["R: M_raw 2.3 nC, P_TP 1.02, N_K 1e+09 Gy/C"]',
        }
    )
    of = {"analysis": number, "result": number, "active": True, "analyzer": "srt_output", **own}
    limits = dict.fromkeys(("tolerance_low", "tolerance_high", "action_low", "action_high"))
    judged = {"tolerance_low": -3.0, "tolerance_high": 3.0, "action_low": -5.0, "action_high": 5.0}
    for metric, value, unit, is_judged in (
        ("output", output * (1.0 + off / 100.0), "Gy/min", False),
        ("output_deviation", off, "%", True),
        ("uncertainty_k1", 2.79, "%", False),
        ("uncertainty_k2", 5.58, "%", False),
        ("reading_spread", 0.1, "%", False),
        ("rows_without_reference", 0.0, "1", False),
    ):
        rows["measurements"].append(
            of
            | (judged if is_judged else limits)
            | {
                "metric": metric,
                "value": value,
                "unit": unit,
                "at": place,
                "verdict": verdict if is_judged else None,
                "limits_source": "product default" if is_judged else None,
            }
        )
    done = {"result": number, "at_beam": place, "verdict": verdict, **own}
    rows["routine_done"].append(done | {"test": "SRT.D.OUT"})
    if day % CALIBRATED_EVERY_D == 0:
        rows["routine_done"].append(done | {"test": "SRT.A.CAL"})
        rows["output_baselines"].append(
            {
                "machine": machine,
                "beam": place,
                "to_water": False,
                "gy_per_min": output,
                "since": at.isoformat(),
                "result": number,
                "actor": "Physicist A",
                "reason": "calibrated",
                "at": said,
            }
        )
    if NOW - at > timedelta(days=30):
        rows["check_signatures"].append(
            {
                "file": number,
                "result": number,
                "verdict": verdict,
                "actor": "Physicist A",
                "remark": "reviewed",
                "at": said,
            }
        )
    if is_blocked:
        rows["unit_blocks"].append(
            own
            | {
                "file": number,
                "result": number,
                "metric": "srt_output.output_deviation",
                "at_beam": place,
                "said": "output_deviation at 70 kV F2 A30: +5.4 %",
                "demands_calibration": True,
                "at": said,
                "cleared_by": "Physicist A",
                "cleared_at": said,
                "cleared_reason": "chamber was not seated; repeated",
            }
        )
