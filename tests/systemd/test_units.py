"""The systemd files, checked by systemd itself, and the daemon's work under their filter."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from zoneinfo import ZoneInfo

import pytest

from analyzers.catalogue import load
from analyzers.formats.varian_trajectory_log import read
from qa_daemon.simulate import epid_picket_fence
from qa_daemon.simulate.trajectory_log import simulate
from qa_daemon.store.months import Month
from tests.ingest.receiving import echoscu
from tests.integration.daemon import write_site
from tests.servers import free_port, installed
from tests.systemd.measure_one import MEMORY_BYTES

ROOT = Path(__file__).resolve().parent.parent.parent
UNIT = ROOT / "systemd" / "qa-daemon.service"
MONTH = ROOT / "systemd" / "qa-daemon-month.service"
UNITS = [UNIT, MONTH]
HERE = Path(__file__).parent
# systemd-analyze counts exposure from 0 to 10; its threshold is ten times that.
WORST_EXPOSURE = 15


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
        cwd=ROOT,
    )


@pytest.mark.parametrize("service", UNITS, ids=lambda path: path.stem)
def test_service_unit_is_clean(service: Path, tmp_path: Path) -> None:
    # `verify` wants the program to exist: only its path is exchanged, for the one of this checkout.
    checkout = Path(sys.executable).parent / "qa-daemon"
    at_clinic = "/opt/qa-daemon/.venv/bin/qa-daemon"
    text = service.read_text("utf-8")
    assert re.findall(r"^ExecStart=(\S+)", text, re.MULTILINE) == [at_clinic]
    unit = tmp_path / service.name
    unit.write_text(text.replace(f"ExecStart={at_clinic} ", f"ExecStart={checkout} "), "utf-8")

    said = _run(installed("systemd-analyze"), "verify", "--man=no", unit)

    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("service", UNITS, ids=lambda path: path.stem)
def test_service_is_hardly_exposed(service: Path) -> None:
    said = _run(
        installed("systemd-analyze"),
        "security",
        "--offline=true",
        f"--threshold={WORST_EXPOSURE}",
        "--no-pager",
        service,
    )
    assert said.returncode == 0, said.stdout[-200:]


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "America/Chicago", "Pacific/Kiritimati"])
def test_last_month_is_made_when_it_is_over(zone: str, tmp_path: Path) -> None:
    """The timer goes by UTC and the export by the clinic's calendar: in none is it too early."""
    timer = MONTH.with_suffix(".timer").read_text("utf-8")
    (when,) = re.findall(r"^OnCalendar=\*-\*-01 (\d\d:\d\d:\d\d) UTC$", timer, re.MULTILINE)
    at = datetime.fromisoformat(f"2026-05-01T{when}+00:00")
    assert Month.of(at, ZoneInfo(zone)).before.name == "2026-04"
    (tmp_path / MONTH.name).write_text("[Service]\nExecStart=/bin/true\n")
    copied = tmp_path / "qa-daemon-month.timer"
    copied.write_text(timer)
    said = _run(installed("systemd-analyze"), "verify", "--man=no", copied)
    assert (said.returncode, said.stderr) == (0, "")


def test_the_month_s_unit_calls_a_command_that_there_is(tmp_path: Path) -> None:
    """With the system calls of its unit, on a clinic without a result."""
    (line,) = re.findall(r"^ExecStart=\S+ (.*)$", MONTH.read_text("utf-8"), re.MULTILINE)
    config = write_site(tmp_path)
    words = line.replace("/etc/qa-daemon/site.toml", str(config)).split()
    words[words.index("--out") + 1] = str(tmp_path / "exports")
    said = _run(
        sys.executable,
        HERE / "under_filter.py",
        _allowed_calls(tmp_path, MONTH),
        *(sys.executable, "-m", "qa_daemon", *words),
        PYTHONPATH=str(ROOT),
        HOME="/nonexistent",
    )
    assert said.returncode == 0, said.stderr
    assert len(list((tmp_path / "exports").glob("qa-*.pdf"))) == 1


def test_user_and_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = _run(
        installed("systemd-sysusers"),
        f"--root={tmp_path}",
        ROOT / "systemd/qa-daemon.sysusers.conf",
    )
    assert made.returncode == 0, made.stderr
    account = (tmp_path / "etc/passwd").read_text("utf-8").split(":")
    assert account[0] == "qa-daemon"
    assert account[5:] == ["/var/lib/qa-daemon", "/usr/sbin/nologin\n"]

    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    made = _run(
        installed("systemd-tmpfiles"),
        "--create",
        f"--root={tmp_path}",
        ROOT / "systemd/qa-daemon.tmpfiles.conf",
    )
    assert made.returncode == 0, made.stderr
    folder = (tmp_path / "etc/qa-daemon").stat()
    assert folder.st_mode & 0o7777 == 0o750
    assert (folder.st_uid, folder.st_gid) == (0, int(account[3]))


def test_a_wrong_site_file_is_not_tried_again_and_again() -> None:
    # Exit code 78 means configuration; everything else is started again for ever.
    settings = _settings()
    assert settings["RestartPreventExitStatus"] == ["78"]
    assert settings["Restart"] == ["always"]
    assert "StartLimitIntervalSec=0" in UNIT.read_text("utf-8")


def test_stopping_leaves_the_workers_to_the_daemon() -> None:
    # Else every file in work would count as one that crashed its worker.
    assert _settings()["KillMode"] == ["mixed"]


def test_a_log_is_measured_under_the_unit_s_system_calls(tmp_path: Path) -> None:
    allowed = _allowed_calls(tmp_path)
    log = simulate(tmp_path / "log.bin")

    said = _run(
        sys.executable,
        HERE / "under_filter.py",
        allowed,
        sys.executable,
        HERE / "measure_one.py",
        log,
        PYTHONPATH=str(ROOT),
        # An empty cache, so that the kernels are compiled and not only loaded.
        NUMBA_CACHE_DIR=str(tmp_path / "cache"),
    )

    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout)
    assert answer["report"]["error_code"] is None
    asked = load().analyzers_for(read(log))
    assert [a["failure"] for a in answer["report"]["analyses"]] == [None] * len(asked)
    assert answer["limits"] == [MEMORY_BYTES]


def test_an_image_is_measured_under_the_unit_s_system_calls(tmp_path: Path) -> None:
    """By libraries that would like to draw, to keep a cache and to look for fonts."""
    allowed = _allowed_calls(tmp_path)
    image = epid_picket_fence.simulate(tmp_path / "fence.dcm")

    said = _run(
        sys.executable,
        HERE / "under_filter.py",
        allowed,
        sys.executable,
        HERE / "measure_one.py",
        image,
        "millennium120",
        PYTHONPATH=str(ROOT),
        HOME="/nonexistent",
        MPLCONFIGDIR=str(tmp_path / "matplotlib"),
    )

    assert said.returncode == 0, said.stderr
    (check, fence) = json.loads(said.stdout)["report"]["analyses"]
    assert fence["analyzer"] == "picket_fence" and fence["failure"] is None and fence["values"]
    assert check["analyzer"] == "leaf_log_check" and check["not_applicable"]


def test_the_daemon_lives_and_ends_under_the_unit_s_system_calls(tmp_path: Path) -> None:
    allowed = _allowed_calls(tmp_path)
    port = free_port()
    peer = '[[dicom.peer]]\nae_title = "STORESCU"\naddresses = ["127.0.0.1"]\n'
    config = write_site(tmp_path, more=f"[dicom]\nport = {port}\n{peer}")
    under = [sys.executable, str(HERE / "under_filter.py"), str(allowed)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(tmp_path / "notify"))
        notices.settimeout(1)
        with (tmp_path / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen(
                [*under, sys.executable, "-m", "qa_daemon", "run", "--config", str(config)],
                env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
                stdout=log,
                stderr=log,
            )
        try:
            assert _heard(notices, daemon) == "READY=1"
            assert echoscu(port).returncode == 0
            simulate(tmp_path / "incoming/TB1/log.bin")
            assert _heard(notices, daemon) == "WATCHDOG=1"
            end = monotonic() + 120
            while monotonic() < end and not (found := _results(config)):
                sleep(0.5)
            daemon.send_signal(signal.SIGTERM)
            # systemd kills what has not ended by then.
            ended = daemon.wait(timeout=int(_settings()["TimeoutStopSec"][0]))
        finally:
            daemon.kill()
            daemon.wait()
    assert [r["verdict"] for r in found] == ["PASS"], (tmp_path / "daemon.log").read_text()
    assert ended == 0


def test_the_filter_of_these_tests_refuses(tmp_path: Path) -> None:
    allowed = _allowed_calls(tmp_path)
    said = _run(
        sys.executable,
        HERE / "under_filter.py",
        allowed,
        sys.executable,
        "-c",
        "import os; os.nice(1)",
    )
    assert "PermissionError" in said.stderr


def _heard(notices: socket.socket, daemon: subprocess.Popen[bytes]) -> str:
    """The next message to systemd; an empty text when the daemon ended or kept silent."""
    for _ in range(60):
        try:
            return notices.recv(100).decode()
        except TimeoutError:
            if daemon.poll() is not None:
                break
    return ""


def _results(config: Path) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "qa_daemon", "results", "--config", str(config), "--json"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: list[dict[str, object]] = json.loads(said.stdout)
    return found


def _settings(unit: Path = UNIT) -> dict[str, list[str]]:
    """Every setting of `[Service]`; one that is given twice has two values."""
    lines: dict[str, list[str]] = {}
    service = unit.read_text("utf-8").partition("[Service]")[2].partition("[Install]")[0]
    for line in service.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            lines.setdefault(name, []).append(value)
    return lines


def _allowed_calls(folder: Path, unit: Path = UNIT) -> Path:
    """A file with what `SystemCallFilter=` allows: its first line adds, one with ~ takes away."""
    allowed: set[str] = set()
    for value in _settings(unit)["SystemCallFilter"]:
        names = {n for item in value.removeprefix("~").split() for n in _expanded(item)}
        allowed = allowed - names if value.startswith("~") else allowed | names
    file = folder / "calls"
    file.write_text("\n".join(sorted(allowed)), "utf-8")
    return file


def _expanded(item: str) -> set[str]:
    if not item.startswith("@"):
        return {item}
    listed = _run(installed("systemd-analyze"), "syscall-filter", "--no-pager", item).stdout
    names = [line.strip() for line in listed.splitlines()[1:]]
    return {n for name in names if name and not name.startswith("#") for n in _expanded(name)}
