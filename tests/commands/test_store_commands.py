"""Commands on the store: with and without a daemon, with bad input, and at the store's edges."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qa_daemon.__main__ import app
from qa_daemon.lock import StateLock
from qa_daemon.model import State
from qa_daemon.requests import Request, RequestDesk, carry_out, hand_in
from qa_daemon.simulate.trajectory_log import simulate
from qa_daemon.store.outbox import Outbox
from tests.integration.daemon import write_site
from tests.store.stores import NOW, TestStore

RUNNER = CliRunner()


def fill(site: TestStore, count: int) -> None:
    for number in range(count):
        site.judge(site.arrive(f"{number}.bin"), 0.1, at=NOW - timedelta(minutes=number))


def ends_with(*words: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "qa_daemon", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_reprocess_goes_through_all_pages_once(tmp_path: Path) -> None:
    site = TestStore(tmp_path)
    fill(site, 450)
    assert carry_out(site.store, Request(action="reprocess", actor="test")) == 450
    assert site.queries.counts()["files.queued"] == 450


def test_every_result_is_listed_once_and_newest_first(tmp_path: Path) -> None:
    site = TestStore(tmp_path)
    fill(site, 1100)
    found = list(site.queries.every_result(0, None))
    assert len({r.id for r in found}) == len(found) == 1100
    assert [r.point_ns for r in found] == sorted((r.point_ns for r in found), reverse=True)


def test_a_running_daemon_is_asked_and_does_it(tmp_path: Path) -> None:
    site = TestStore(tmp_path)
    fill(site, 3)
    lock = StateLock(tmp_path)
    asked = Request(action="replay", actor="test", sink="influx")
    outbox = Outbox(site.store, "influx")
    outbox.done(outbox.pending(9))
    assert hand_in(tmp_path, site.store, asked) is None
    lock.release()
    desk = RequestDesk(tmp_path, site.store)
    desk.look()
    desk.look()
    assert len(outbox.pending(9)) == 3
    assert list((tmp_path / "requests").iterdir()) == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{}", b'{"action": "reprocess"}', b"[" * 9999])
def test_a_request_nobody_can_read_is_set_aside(tmp_path: Path, content: bytes) -> None:
    site = TestStore(tmp_path)
    folder = tmp_path / "requests"
    folder.mkdir()
    (folder / "x.json").write_bytes(content)
    RequestDesk(tmp_path, site.store).look()
    assert [f.name for f in folder.iterdir()] == ["x.failed"]


def test_a_request_that_fails_does_not_come_back(tmp_path: Path) -> None:
    site = TestStore(tmp_path)
    fill(site, 1)
    folder = tmp_path / "requests"
    folder.mkdir()
    too_late = Request(action="reprocess", actor="test", since_ns=2**70)
    (folder / "x.json").write_text(too_late.model_dump_json())
    RequestDesk(tmp_path, site.store).look()
    assert [f.name for f in folder.iterdir()] == ["x.failed"]


def test_a_request_that_was_interrupted_stays(tmp_path: Path) -> None:
    site = TestStore(tmp_path)
    fill(site, 1)
    lock = StateLock(tmp_path)
    hand_in(tmp_path, site.store, Request(action="reprocess", actor="test"))
    lock.release()
    desk = RequestDesk(tmp_path, site.store)
    desk.stop()
    desk.look()
    assert len(list((tmp_path / "requests").glob("*.json"))) == 1
    assert site.queries.counts()["files.queued"] == 0


def test_what_was_replaced_is_not_tried_again(tmp_path: Path) -> None:
    site = TestStore(tmp_path)
    old = site.arrive("a.bin", "old")
    new = site.arrive("a.bin", "new")
    assert site.ledger.release([old.id, new.id], "test") == 1
    assert site.ledger.file(old.id).state is State.REPLACED


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["results", "--since", "9999-01-01"], 2),
        (["results", "--since", "yesterday"], 2),
        (["reprocess", "--since", "1900-01-01"], 2),
        (["replay", "--sink", "none", "--since", "2026-01-01"], 2),
        (["quarantine", "release", "99999999999999999999"], 2),
        (["quarantine", "release", "5"], 2),
        (["db", "backup", "copy.sqlite3"], 74),
    ],
)
def test_bad_input_ends_with_its_code_and_no_trace(
    tmp_path: Path, words: list[str], code: int
) -> None:
    found, said = ends_with(*words, "--config", str(write_site(tmp_path)))
    assert (found, "Traceback" in said) == (code, False), said


def test_a_fault_of_ours_ends_with_70(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "store.sqlite3").write_bytes(b"this is no database" * 100)
    found, said = ends_with("status", "--config", str(site))
    assert (found, "Traceback" in said) == (70, True)


def test_ingest_says_65_for_what_cannot_be_read_however_often(tmp_path: Path) -> None:
    config = str(write_site(tmp_path))
    bad, empty = tmp_path / "bad.bin", tmp_path / "empty.bin"
    bad.write_bytes(b"VOSTL" + bytes(200))
    empty.touch()
    good = simulate(tmp_path / "good.bin", field="static", mu=20.0)
    assert RUNNER.invoke(app, ["ingest", str(good), "--config", config, "--wait"]).exit_code == 0
    for _ in range(2):
        answer = RUNNER.invoke(app, ["ingest", str(bad), "--config", config, "--wait"])
        assert answer.exit_code == 65, answer.output
    assert RUNNER.invoke(app, ["ingest", str(empty), "--config", config, "--wait"]).exit_code == 65
    assert RUNNER.invoke(app, ["db", "verify", "--config", config]).exit_code == 0
    listed = RUNNER.invoke(app, ["quarantine", "list", "--json", "--config", config])
    codes: list[Any] = [r["error"]["code"] for r in json.loads(listed.stdout)]
    assert sorted(codes) == ["EMPTY", "TLOG_SHORT"]
    kept = tmp_path / "copy.sqlite3"
    assert RUNNER.invoke(app, ["db", "backup", str(kept), "--config", config]).exit_code == 0
    assert kept.stat().st_size > 0
    release = ["quarantine", "release", "2", "--config", config]
    assert RUNNER.invoke(app, release).exit_code == 0
    status = json.loads(RUNNER.invoke(app, ["status", "--json", "--config", config]).stdout)
    assert status["files"]["queued"] == 1


def test_another_user_s_state_folder_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_site(tmp_path)
    (tmp_path / "state").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    log = simulate(tmp_path / "good.bin", field="static", mu=20.0)
    answer = RUNNER.invoke(app, ["ingest", str(log), "--config", str(config)])
    assert answer.exit_code != 0
    assert not (tmp_path / "state" / "inbox").exists()
