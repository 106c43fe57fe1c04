"""Service events from a table: all of them, or a sentence that names row and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from qa_daemon.__main__ import app
from qa_daemon.app import open_site, open_store
from qa_daemon.store import service_events

SITE = """
[site]
name = "Test"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "TB1"
machine_class = "truebeam"
"""
TABLE = """machine,kind,at,said,analyzer
TB1,repair,2026-03-01T14:30,"MLC motor A17 changed, tested",mlc_positions
TB1,Calibration,2026-03-02T08:00:00+01:00,output adjusted,
"""


def _run(tmp_path: Path, table: bytes) -> tuple[int, str]:
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "events.csv").write_bytes(table)
    arguments = ["events", "import", str(tmp_path / "events.csv")]
    done = CliRunner().invoke(app, [*arguments, "--config", str(tmp_path / "site.toml")])
    return done.exit_code, done.output


def test_a_table_is_entered_once(tmp_path: Path) -> None:
    assert _run(tmp_path, TABLE.encode()) == (0, "2 events entered; 0 were there already\n")
    assert _run(tmp_path, TABLE.encode()) == (0, "0 events entered; 2 were there already\n")
    store = open_store(open_site(tmp_path / "site.toml"))
    first, second = service_events.every(store, "TB1")
    assert (first.event.kind.value, first.event.analyzer) == ("repair", "mlc_positions")
    assert first.event.said == "MLC motor A17 changed, tested"
    assert first.event.point_ns == 1772371800 * 10**9  # 13:30 UTC
    assert second.event.point_ns == 1772434800 * 10**9  # 07:00 UTC
    assert (second.event.analyzer, second.actor) == (None, "command line")
    store.close()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (TABLE.replace("TB1,repair", "TB9,repair"), "row 2, column machine"),
        (TABLE.replace("repair", "magic"), "row 2, column kind: one of calibration"),
        (TABLE.replace("2026-03-01T14:30", "yesterday"), "row 2, column at"),
        (TABLE.replace("2026-03-01T14:30", "2126-03-01T14:30"), "row 2, column at"),
        (TABLE.replace("2026-03-01T14:30", "0001-01-01T00:00"), "row 2, column at"),
        (TABLE.replace("mlc_positions", "mlc"), "row 2, column analyzer"),
        (TABLE.replace("output adjusted", ""), "row 3, column said"),
        (TABLE.replace("output adjusted", "x" * 401), "row 3, column said"),
        (TABLE + "TB1,repair\n", "row 4: 2 cells"),
        (TABLE.replace("said", "note"), "the header is not"),
        ("machine,kind,at,said\n", "0 rows"),
        ("", "0 rows"),
        ('machine,kind,at,said\n"TB1', "not CSV"),
    ],
)
def test_a_table_that_is_wrong_is_refused_whole(tmp_path: Path, table: str, says: str) -> None:
    code, output = _run(tmp_path, table.encode())
    assert (code, says in output) == (65, True), output
    assert not (tmp_path / "state").exists()


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    assert _run(tmp_path, TABLE.encode("utf-16"))[0] == 65
    assert _run(tmp_path, b"\xff" * 100)[0] == 65
