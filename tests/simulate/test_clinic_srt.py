"""The demo's superficial unit: every file but the one with the fault is read and judged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import CliRunner

from qa_daemon.__main__ import app
from qa_daemon.simulate import clinic, clinic_srt

TODAY = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)


def test_what_is_right_is_judged_and_what_is_wrong_is_refused(tmp_path: Path) -> None:
    config = clinic.write_site(tmp_path, 8765, TODAY)
    clinic_srt.write_checks(tmp_path, 3, TODAY)
    answer = CliRunner().invoke(
        app, ["analyze", str(tmp_path / "incoming"), "--config", str(config), "--json"]
    )
    found = json.loads(answer.stdout)
    refused = {Path(r["file"]).name: r["error"]["code"] for r in found if r["error"]}
    assert refused == {"2026-11-24-again.csv": "SRT_UNIT"}
    assert {r["machine"] for r in found if not r["error"]} == {"SRT1"}
    judged = {Path(r["file"]).name: r["verdict"] for r in found if not r["error"]}
    # Fractions need the accepted outputs and signed tables of a store, and say so.
    fractions = {name: judged.pop(name) for name in list(judged) if "fraction" in name}
    assert list(fractions.values()) == ["INVALID"] * 3
    assert len(judged) == 8
    assert judged.pop("2026-11-25-daily.csv") == "TOLERANCE"  # 100 kV is 3.6 % off by now
    assert set(judged.values()) == {"PASS"}


def test_a_second_start_keeps_the_days_of_the_site(tmp_path: Path) -> None:
    first = clinic.write_site(tmp_path, 8765, TODAY).read_text()
    again = clinic.write_site(tmp_path, 9999, TODAY.replace(year=2027)).read_text()
    assert again == first.replace("port = 8765", "port = 9999")
