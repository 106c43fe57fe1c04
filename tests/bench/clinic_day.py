"""A real clinic day dropped at once, then single files: rate, latency, memory, start of the help.

Needs the real machine files and an InfluxDB; without them the figures are left out, and said so.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from qa_daemon.simulate.trajectory_log import simulate
from tests import real_data
from tests.integration.daemon import Daemon, write_site
from tests.servers import influx_server

SETTLE_S = 0.5
SINGLES = 20


def measure() -> dict[str, object]:
    """Rate of a clinic day and latency of single files, with a real InfluxDB behind."""
    root = real_data.folder()
    if root is None:
        return {"clinic_day": "left out: the real machine files are not here"}
    with tempfile.TemporaryDirectory() as place, influx_server(Path(place)) as influx:
        influx.query("CREATE DATABASE qa")
        url = influx.url
        config = write_site(
            Path(place),
            settle=f"{SETTLE_S * 1000:.0f} ms",
            more=f'[influx]\nurl = "{url}"\napi = "v1"\ndatabase = "qa"\n',
        )
        with Daemon(config) as daemon:
            day = _drop_day(daemon, root / "tlog" / "dy-mil120")
            latency_s = [_drop_one(daemon, url, seed) for seed in range(SINGLES)]
            return {
                **day,
                "single_file_p50_s": round(statistics.median(latency_s), 3),
                "single_file_p95_s": round(statistics.quantiles(latency_s, n=20)[18], 3),
                "settle_time_s": SETTLE_S,
                "parent_rss_mb": round(daemon.rss_mb(), 1),
                "help_s": _help_s(),
            }


def _drop_day(daemon: Daemon, folder: Path) -> dict[str, object]:
    files = sorted(folder.iterdir())
    logs = sum(f.suffix == ".bin" for f in files)
    begin = time.monotonic()
    for file in files:
        shutil.copyfile(file, daemon.incoming / file.name)
    queries = daemon.store()
    daemon.until(lambda: queries.counts().get("files.done", 0) == len(files), "all judged")
    took_s = time.monotonic() - begin - SETTLE_S
    return {
        "clinic_day_files": len(files),
        "clinic_day_logs": logs,
        "clinic_day_s_after_settle": round(took_s, 2),
        "logs_per_s": round(logs / took_s, 1),
    }


def _drop_one(daemon: Daemon, url: str, seed: int) -> float:
    """Seconds from the last byte to the point in InfluxDB, the settle time taken off."""
    at = datetime(2026, 1, 5, 7, seed, tzinfo=ZoneInfo("Europe/Berlin"))
    instant = int(at.timestamp()) * 1_000_000_000
    with tempfile.TemporaryDirectory() as place:
        log = simulate(Path(place) / f"x_{at:%Y%m%d%H%M%S}.bin", field="vmat", seed=seed)
        shutil.copyfile(log, daemon.incoming / log.name)
    begin = time.monotonic()
    queries = daemon.store()
    before = queries.counts()["results"]
    daemon.until(lambda: queries.counts()["results"] > before, "judged")
    daemon.until(lambda: _has_point(url, instant), "in InfluxDB")
    return time.monotonic() - begin - SETTLE_S


def _has_point(url: str, instant: int) -> bool:
    query = urllib.parse.urlencode(
        {"db": "qa", "q": f"SELECT count(value) FROM qa WHERE time = {instant}"}
    )
    with urllib.request.urlopen(f"{url}/query?{query}", timeout=5) as answer:
        return b'"series"' in answer.read()


def _help_s() -> float:
    times = []
    for _ in range(5):
        begin = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "qa_daemon", "--help"], capture_output=True, check=True
        )
        times.append(time.monotonic() - begin)
    return round(statistics.median(times), 3)
