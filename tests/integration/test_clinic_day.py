"""The main job, end to end: a real clinic day in a watched folder, with real servers behind.

Every file gets exactly one result, every number in the store is a point in InfluxDB, and the
physicist on call gets a mail for what is out of limits.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from qa_daemon.model import Verdict
from qa_daemon.simulate.trajectory_log import simulate
from qa_daemon.store.queries import StoredResult
from tests import real_data
from tests.integration.daemon import Daemon, write_site
from tests.servers import fetch, influx_server, mail_server, victoria_server

DAY = "tlog/dy-mil120"


def clinic_day() -> list[Path]:
    folder, name = DAY.split("/")
    return sorted((real_data.folder() or Path()).joinpath(folder, name).iterdir())


def points_of(results: list[StoredResult]) -> set[tuple[int, str, str, float, int | None]]:
    """What the store says every measured number is, for comparing with a sink."""
    return {
        (
            r.point_ns,
            a.analyzer,
            m.metric,
            m.value,
            None if m.verdict is None else int(m.verdict),
        )
        for r in results
        for a in r.analyses
        for m in a.measurements
    }


def points_in(rows: list[dict[str, Any]]) -> set[tuple[int, str, str, float, int | None]]:
    return {
        (
            row["time"],
            row["analyzer"],
            row["metric"],
            float(row["value"]),
            None if row["verdict"] is None else int(row["verdict"]),
        )
        for row in rows
    }


@real_data.skip_without("tlog")
def test_a_real_clinic_day_with_influxdb_and_mail(tmp_path: Path) -> None:
    files = clinic_day()
    mains = [f for f in files if f.suffix == ".bin"]
    (tmp_path / "influx").mkdir()
    with influx_server(tmp_path / "influx") as influx, mail_server() as mail:
        influx.query("CREATE DATABASE qa")
        more = f"""
[influx]
url = "{influx.url}"
api = "v1"
database = "qa"

[[person]]
name = "Physicist A"
channels = ["mailto://127.0.0.1:{mail.port}/?from=qa@example.org&to=a@example.org"]

[rota]
weekly = [{{ from = "Mon 08:00", person = "Physicist A" }}]
"""
        with Daemon(write_site(tmp_path, more=more)) as daemon:
            queries = daemon.store()
            for file in files:
                shutil.copyfile(file, daemon.incoming / file.name)
            daemon.until(lambda: queries.counts().get("files.done", 0) == len(files), "all judged")
            results = queries.results_since(limit=1000)
            assert {Path(r.path).name for r in results} >= {f.name for f in mains}
            assert len(results) == len({r.path for r in results})
            side_files = {Path(p).name for r in results for p in r.companions}
            alone = {Path(r.path).name for r in results} - {f.name for f in mains}
            assert side_files | alone == {f.name for f in files} - {f.name for f in mains}
            verdicts = {Path(r.path).name: r.verdict for r in results}
            for name, verdict in verdicts.items():
                treated = name.endswith(".bin") and "_TX_" in name
                assert verdict is (Verdict.PASS if treated else None), name

            daemon.until(lambda: daemon.status()["sinks"]["influx"]["behind"] == 0, "all sent")
            assert points_in(influx.rows("qa", "qa")) == points_of(results)
            assert mail.mails == []  # nothing is out of limits on this day

            bad = simulate(tmp_path / "CANARY_20260105073000.bin", bank_a_mm=1.0, mu=60.0)
            shutil.copyfile(bad, daemon.incoming / bad.name)
            took_s = daemon.until(lambda: bool(mail.mails), "a mail came")
            assert took_s < 10.0 + 1.0  # ten seconds after the verdict, one to settle
            (message,) = mail.mails
            text = f"{message['subject']}\n{message.get_body(('plain', 'html'))}"
            for said in ("ACTION", "TB1", "worst_leaf_rms", "0.35", f"{daemon.url}/results/"):
                assert said in text
            assert b"CANARY" not in mail.raw[0]
            status = daemon.status()
            assert status["alerts"]["open"] >= 1
            assert status["machines"]["TB1"]["verdict"] == "ACTION"
            assert "ACTION" in daemon.get("/")
            fetch(f"{daemon.url}/machines/TB1")
        log = daemon.log.read_text()
        assert "CANARY" not in log and "Anonymous" not in log and "4DC" not in log


def test_the_same_day_in_victoria_metrics(tmp_path: Path) -> None:
    (tmp_path / "victoria").mkdir()
    with victoria_server(tmp_path / "victoria") as victoria:
        more = f'[influx]\nurl = "{victoria.url}"\napi = "v2"\nbucket = "qa"\n'
        with Daemon(write_site(tmp_path, more=more)) as daemon:
            queries = daemon.store()
            for seed in range(3):
                simulate(
                    daemon.incoming / f"x_2026010507{seed:02}00.bin", field="static", seed=seed
                )
            daemon.until(lambda: queries.counts().get("results", 0) == 3, "all judged")
            daemon.until(lambda: daemon.status()["sinks"]["influx"]["behind"] == 0, "all sent")
            results = queries.results_since()
        expected = {(p[0] // 1_000_000, p[1], p[2]): p[3] for p in points_of(results)}
        found = {
            (at_ms, s["metric"]["analyzer"], s["metric"]["metric"]): value
            for s in victoria.series()
            if s["metric"]["__name__"] == "qa_value"
            for at_ms, value in zip(s["timestamps"], s["values"], strict=True)
        }
        # It rounds what it keeps to about twelve digits.
        assert found == {key: pytest.approx(value, rel=1e-9) for key, value in expected.items()}


def test_a_file_that_cannot_be_read_is_told_and_holds_nothing_up(tmp_path: Path) -> None:
    with mail_server() as mail:
        more = f"""
[[person]]
name = "Physicist A"
channels = ["mailto://127.0.0.1:{mail.port}/?from=qa@example.org&to=a@example.org"]
"""
        with Daemon(write_site(tmp_path, more=more)) as daemon:
            queries = daemon.store()
            (daemon.incoming / "CANARY.bin").write_bytes(b"VOSTL" + bytes(500))
            simulate(daemon.incoming / "x_20260105073000.bin", field="static")
            daemon.until(lambda: queries.counts().get("results", 0) == 2, "both have a result")
            counts = daemon.status()["files"]
            assert (counts["done"], counts["quarantined"]) == (1, 1)
            daemon.until(lambda: bool(mail.mails), "a mail came")
            assert b"CANARY" not in mail.raw[0]
            assert "TLOG_SHORT" in daemon.get("/quarantine")
