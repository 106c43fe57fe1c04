"""Workers: the same answer as in this process, and a dead one costs its own file alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzers import catalogue as physics
from qa_daemon.jobs import WorkerDied, WorkerLimits, Workers, WorkersLost, measure
from qa_daemon.model import DeliveryKeys, Job, NamedPath, Report
from qa_daemon.simulate.trajectory_log import simulate


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    pool = Workers(1, WorkerLimits(time_s=60.0))
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("jobs")
    log = simulate(folder / "x_20260105073000.bin", field="sliding-window", mu=60.0)
    return Job(file=NamedPath(path=str(log), name=log.name))


def children() -> set[int]:
    """Processes that were started by this one and work on Python."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and b"spawn_main" in line:
                found.add(int(entry.name))
    return found


def test_a_worker_reports_what_this_process_measures(workers: Workers, job: Job) -> None:
    here = measure(job, physics.load())
    there = workers.measure(job)
    assert there == here
    assert {a.analyzer for a in here.analyses} >= {"mlc_positions", "meterset"}


def test_a_killed_worker_costs_one_file_and_the_next_is_read(workers: Workers, job: Job) -> None:
    workers.measure(job)
    died: list[BaseException] = []

    def many() -> None:
        try:
            for _ in range(2000):
                workers.measure(job)
        except (WorkerDied, WorkersLost) as why:  # killed at work, or between two files
            died.append(why)

    thread = threading.Thread(target=many)
    thread.start()
    time.sleep(0.3)
    for child in children():
        os.kill(child, signal.SIGKILL)
    thread.join(60)
    assert len(died) == 1
    assert workers.measure(job).error_code is None


def test_a_worker_that_takes_too_long_is_ended(job: Job) -> None:
    pool = Workers(1, WorkerLimits(time_s=0.01))
    try:
        with pytest.raises(WorkerDied, match="longer than"):
            pool.measure(job)
    finally:
        pool.close()


def test_what_is_unreadable_is_reported_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "CANARY.bin"
    path.write_bytes(b"no log at all")
    report = measure(Job(file=NamedPath(path=str(path), name=path.name)), physics.load())
    assert report.error_code == "UNKNOWN_FORMAT"
    assert "CANARY" not in str(report.error_message)


def test_identity_travels_in_its_own_field_alone(tmp_path: Path) -> None:
    log = simulate(
        tmp_path / "QA_SIM_1_Simulated_x_20260105073000.bin", field="static", version="4.0"
    )
    report = measure(Job(file=NamedPath(path=str(log), name=log.name)), physics.load())
    assert report.identity["patient_id"] == "QA_SIM_1"
    assert isinstance(report.keys, DeliveryKeys)
    assert report.keys.patient_id == "QA_SIM_1"
    rest = report.model_copy(update={"identity": {}, "keys": None})
    assert "QA_SIM_1" not in rest.model_dump_json()


def test_a_report_with_a_key_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        Report.model_validate_json('{"format": "x", "surprise": 1}')
    with pytest.raises(ValueError, match="finite"):
        Report.model_validate_json(
            '{"analyses": [{"analyzer": "a", "version": "1", "values":'
            ' [{"metric": "m", "value": NaN, "unit": "mm"}]}]}'
        )
