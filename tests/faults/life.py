"""One life of a daemon process: started, files dropped on it, ended by SIGKILL or SIGTERM."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 120.0
HEADLESS = [sys.executable, "-m", "tests.faults.headless"]
WHOLE = [sys.executable, "-m", "qa_daemon", "run", "--config"]
ROOT = Path(__file__).parents[2]


class Life:
    """A daemon process in a session of its own."""

    def __init__(self, command: Sequence[str], config: Path) -> None:
        self._log_path = config.parent / "daemon.log"
        with self._log_path.open("ab") as log:
            self._from = log.tell()
            self.process = subprocess.Popen(
                [*command, str(config)], stdout=log, stderr=log, start_new_session=True, cwd=ROOT
            )

    def wait_until_serving(self) -> float:
        """How long the start took."""
        begin = time.monotonic()
        while b"serving" not in self.log():
            assert self.process.poll() is None, self.log()[-2000:].decode()
            assert time.monotonic() - begin < PATIENCE_S, "the daemon does not start"
            time.sleep(0.01)
        return time.monotonic() - begin

    def log(self) -> bytes:
        """What it wrote in this life."""
        return self._log_path.read_bytes()[self._from :]

    def kill(self) -> None:
        """SIGKILL to the daemon alone: its workers have to notice by themselves."""
        self.process.kill()
        self.process.wait()

    def kill_a_worker(self, chance: random.Random) -> None:
        """SIGKILL to one of its worker processes."""
        workers = children_of(self.process.pid)
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)

    def end(self) -> None:
        """SIGTERM, and wait."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def orphans(self) -> list[int]:
        """Processes of its session that outlived it."""
        until = time.monotonic() + 5.0
        while (left := processes_of_session(self.process.pid)) and time.monotonic() < until:
            time.sleep(0.02)
        return left


class Dropper(threading.Thread):
    """Writes files into a folder piece by piece, as a machine or a slow copy does."""

    def __init__(self, files: Sequence[Path], into: Path, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._files = files
        self._into = into
        self._chance = random.Random(chance.random())

    def run(self) -> None:
        for file in self._files:
            content = file.read_bytes()
            cut = self._chance.randrange(len(content) + 1)
            with (self._into / file.name).open("wb", buffering=0) as stream:
                stream.write(content[:cut])
                if self._chance.random() < 0.3:
                    time.sleep(self._chance.uniform(0.0, 0.15))
                stream.write(content[cut:])


def children_of(parent: int) -> list[int]:
    """Worker processes of a daemon."""
    return [pid for pid, fields in _processes() if int(fields[1]) == parent and _is_worker(pid)]


def processes_of_session(leader: int) -> list[int]:
    """Every process of a session that is not yet dead."""
    return [
        pid
        for pid, fields in _processes()
        if int(fields[3]) == leader and pid != leader and fields[0] != "Z"
    ]


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            found.append((int(entry.name), text.rpartition(")")[2].split()))
    return found


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
