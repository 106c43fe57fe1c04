"""Worker processes that end without a file being to blame."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from qa_daemon.jobs import WorkerLimits, Workers, WorkersLost
from qa_daemon.model import Job, NamedPath
from tests.faults.life import children_of


def test_an_idle_worker_that_is_killed_costs_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"no log at all")
    job = Job(file=NamedPath(path=str(path), name=path.name))
    before = set(children_of(os.getpid()))
    pool = Workers(1, WorkerLimits(time_s=60.0))
    assert pool.measure(job).error_code == "UNKNOWN_FORMAT"
    (worker,) = set(children_of(os.getpid())) - before
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.5)
    assert pool.measure(job).error_code == "UNKNOWN_FORMAT"

    ended: list[BaseException] = []

    def wait() -> None:
        with pytest.raises(WorkersLost) as why:
            while True:
                pool.measure(job)
        ended.append(why.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    pool.close()
    waiting.join(10.0)
    assert ended
