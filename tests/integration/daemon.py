"""The real daemon as a process of its own, and a site for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qa_daemon.store.queries import Queries
from qa_daemon.store.store import Store, url_of
from tests.servers import free_port

PATIENCE_S = 120.0


def write_site(folder: Path, *, settle: str = "500 ms", more: str = "") -> Path:
    """A clinic with one linac; `more` is added to the site file."""
    incoming = folder / "incoming" / "TB1"
    incoming.mkdir(parents=True, exist_ok=True)
    path = folder / "site.toml"
    path.write_text(f"""
[site]
name = "Test Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"

[[machine]]
name = "TB1"
machine_class = "truebeam"
folders = ["incoming/TB1"]

[ingest]
settle_time = "{settle}"
rescan_every = "5 s"

[plans]
arrive_within = "1 s"

[web]
port = {free_port()}
{more}
""")
    return path


class Daemon:
    """`qa-daemon run`, started for a test and always ended by its own handle."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.folder = config.parent
        self.incoming = self.folder / "incoming" / "TB1"
        text = config.read_text()
        self.url = f"http://127.0.0.1:{text.split('port = ')[1].split()[0]}"
        self.log = self.folder / "daemon.log"

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qa_daemon", "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.until(self._ready, "ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        why: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def get(self, path: str) -> str:
        """A page's text."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def store(self) -> Queries:
        """The daemon's store, for reading."""
        return Queries(Store(url_of(self.folder / "state"), lambda: datetime.now(UTC)))

    def status(self) -> dict[str, Any]:
        """What `qa-daemon status --json` prints."""
        words = [sys.executable, "-m", "qa_daemon", "status", "--json", "--config"]
        done = subprocess.run([*words, str(self.config)], capture_output=True, check=True)
        form: dict[str, Any] = json.loads(done.stdout)
        return form

    def until(
        self, condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S
    ) -> float:
        """Wait for something; how long it took in seconds."""
        begin = time.monotonic()
        while not condition():
            assert self.process.poll() is None, f"the daemon ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() - begin < patience_s, f"not {what} in {patience_s:.0f} s"
            time.sleep(0.02)
        return time.monotonic() - begin

    def rss_mb(self) -> float:
        """Resident memory of the parent process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def _ready(self) -> bool:
        try:
            return bool(self.get("/readyz"))
        except OSError:  # the port is open before anything answers on it
            return False
