"""Faults while a file is processed: whose fault decides what becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from qa_daemon import jobs, pipeline
from qa_daemon.jobs import WorkerDied, WorkersLost
from qa_daemon.model import Job, Report
from qa_daemon.pipeline import judge
from qa_daemon.verdict import Outcome
from tests.ingest.clinic import CATALOGUE, Clinic


class Measuring:
    """Stands for the workers: raises what it was told to, file by file, then measures."""

    def __init__(self, faults: dict[str, list[Exception]] | None = None) -> None:
        self.faults = faults or {}
        self.names: list[str] = []
        self.at_once: list[list[frozenset[str]]] = []
        self._running: list[frozenset[str]] = []
        self._lock = threading.Lock()
        self.before: Callable[[Job], None] = lambda _: None

    def __call__(self, job: Job) -> Report:
        group = frozenset([job.file.name, *(c.name for c in job.companions)])
        with self._lock:
            self.names.append(job.file.name)
            self._running.append(group)
            self.at_once.append(list(self._running))
        try:
            self.before(job)
            faults = self.faults.get(job.file.name)
            if faults:
                raise faults.pop()
            return jobs.measure(job, CATALOGUE)
        finally:
            with self._lock:
                self._running.remove(group)


def clinic_with(tmp_path: Path, faults: dict[str, list[Exception]]) -> tuple[Clinic, Measuring]:
    measuring = Measuring(faults)
    clinic = Clinic(tmp_path, settle_time=0.0, measure=measuring)
    for number, name in enumerate(["a_1.bin", "b_1.bin", "c_1.bin"]):
        clinic.drop(name, b"MAIN %d" % number)
    return clinic, measuring


def judged(clinic: Clinic) -> dict[str, tuple[object, ...]]:
    clinic.process()
    clinic.assert_sound()
    found = clinic.active()
    clinic.close()
    return found


OTHERS = {"a_1.bin": (None, 0.0), "c_1.bin": (None, 2.0)}


def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path) -> None:
    clinic, _ = clinic_with(tmp_path, {"b_1.bin": [WorkerDied("exit code -11")]})
    assert judged(clinic) == OTHERS | {"b_1.bin": (None, 1.0)}


def test_a_file_that_kills_its_worker_twice_is_poison(tmp_path: Path) -> None:
    clinic, measuring = clinic_with(tmp_path, {"b_1.bin": [WorkerDied("x")] * 9})
    assert judged(clinic) == OTHERS | {"b_1.bin": ("POISON",)}
    assert measuring.names.count("b_1.bin") == 2


def test_a_bug_costs_its_own_file_and_names_no_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clinic, measuring = clinic_with(tmp_path, {"b_1.bin": [KeyError("CANARY")] * 9})
    assert judged(clinic) == OTHERS | {"b_1.bin": ("BUG",)}
    assert measuring.names.count("b_1.bin") == 2
    (result,) = clinic.queries.quarantined()
    assert "KeyError at test_dispatch.py" in str(result.error_message)
    assert "CANARY" not in caplog.text + str(result.error_message)


def test_a_bug_ends_in_quarantine_with_the_side_files(tmp_path: Path) -> None:
    clinic, measuring = clinic_with(tmp_path, {"b_1.bin": [ValueError("x")] * 99})
    clinic.drop("b_2.txt", b"SIDE b")
    assert judged(clinic) == OTHERS | {"b_1.bin": ("BUG",)}
    assert measuring.names.count("b_1.bin") == 2


def test_a_bug_of_our_judging_ends_in_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, _ = clinic_with(tmp_path, {})
    clinic.drop("b_2.txt", b"SIDE b")
    tries: list[str] = []

    def fail_on_side_files(report: Report, *more: Any) -> list[Outcome]:
        if report.warnings:
            tries.append("b")
            raise ValueError("x")
        return judge(report, *more)

    monkeypatch.setattr(pipeline, "judge", fail_on_side_files)
    assert judged(clinic) == OTHERS | {"b_1.bin": ("BUG",)}
    assert len(tries) == 2


@pytest.mark.parametrize(
    "fault", [WorkersLost("x"), OperationalError("x", {}, Exception("locked")), OSError(28, "full")]
)
def test_a_fault_that_is_not_the_file_s_is_waited_out(tmp_path: Path, fault: Exception) -> None:
    clinic, _ = clinic_with(tmp_path, {"b_1.bin": [fault] * 2})
    assert judged(clinic) == OTHERS | {"b_1.bin": (None, 1.0)}
    with clinic.store.read() as connection:
        assert connection.exec_driver_sql("select sum(crashes) from files").scalar_one() == 0


def test_a_store_that_cannot_be_written_costs_no_file(tmp_path: Path) -> None:
    clinic, _ = clinic_with(tmp_path, {})
    real, failures = clinic.store.write, [3]

    def write() -> object:
        if threading.current_thread().name.startswith("dispatch") and failures[0]:
            failures[0] -= 1
            raise OperationalError("x", {}, Exception("database or disk is full"))
        return real()

    clinic.store.write = write  # type: ignore[assignment, method-assign]
    assert judged(clinic) == OTHERS | {"b_1.bin": (None, 1.0)}


def test_what_was_queued_at_the_end_is_processed_after_the_next_start(tmp_path: Path) -> None:
    first, _ = clinic_with(tmp_path, {})
    first.settle()
    first.close()
    again = Clinic(tmp_path)
    again.judge()
    assert again.active() == OTHERS | {"b_1.bin": (None, 1.0)}
    again.close()


def test_a_released_file_is_processed_again(tmp_path: Path) -> None:
    clinic, measuring = clinic_with(tmp_path, {"b_1.bin": [WorkerDied("x")] * 2})
    clinic.process()
    (poison,) = clinic.queries.quarantined()
    clinic.ledger.release([poison.file], "test")
    assert judged(clinic) == OTHERS | {"b_1.bin": (None, 1.0)}
    assert measuring.names.count("b_1.bin") == 3


def test_a_main_file_and_its_side_file_are_never_processed_at_the_same_time(
    tmp_path: Path,
) -> None:
    measuring = Measuring()
    measuring.before = lambda _: time.sleep(0.05)
    clinic = Clinic(tmp_path, settle_time=0.0, measure=measuring)
    clinic.judge()
    clinic.scanner.start()
    for number in range(6):
        clinic.drop(f"{number}_10.txt", b"SIDE %d" % number)
        clinic.scanner.hint(str(clinic.incoming))
        time.sleep(0.06)
        clinic.drop(f"{number}_11.bin", b"MAIN %d" % number)
        clinic.scanner.hint(str(clinic.incoming))
    while len(clinic.rows()) < 12:
        time.sleep(0.02)
    clinic.judge()
    assert max(len(running) for running in measuring.at_once) == 2
    for running in measuring.at_once:
        deliveries = [{name[0] for name in group} for group in running]
        assert len(set.union(*deliveries)) == sum(map(len, deliveries)), "a pair apart at once"
    expected = {f"{n}_11.bin": (None, float(n), f"SIDE {n}") for n in range(6)}
    assert clinic.active() == expected
    clinic.assert_sound()
    clinic.close()


@pytest.mark.parametrize("changed", ["a_10.bin", "a_11.txt"])
def test_a_file_that_is_revised_while_it_is_processed(tmp_path: Path, changed: str) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(job: Job) -> None:
        begun.set()
        assert go_on.wait(10.0)

    measuring = Measuring()
    clinic = Clinic(tmp_path, settle_time=0.0, measure=measuring)
    clinic.drop("a_10.bin", b"MAIN 1")
    clinic.drop("a_11.txt", b"SIDE 1")
    measuring.before = hold
    clinic.settle()
    clinic.dispatcher.start()
    assert begun.wait(10.0)
    clinic.drop(changed, b"MAIN 2" if changed == "a_10.bin" else b"SIDE 2")
    clinic.settle()
    go_on.set()
    assert clinic.dispatcher.wait_idle(20.0)
    expected = (2.0, "SIDE 1") if changed == "a_10.bin" else (1.0, "SIDE 2")
    assert clinic.active() == {"a_10.bin": (None, *expected)}
    clinic.assert_sound()
    clinic.close()


def test_stopping_in_the_middle_blames_no_file(tmp_path: Path) -> None:
    begun = threading.Event()

    def hold(job: Job) -> None:
        begun.set()
        time.sleep(0.3)
        raise WorkersLost("the workers were ended")

    measuring = Measuring()
    measuring.before = hold
    clinic = Clinic(tmp_path, settle_time=0.0, measure=measuring)
    clinic.drop("a_1.bin", b"MAIN 1")
    clinic.settle()
    clinic.dispatcher.start()
    assert begun.wait(10.0)
    clinic.dispatcher.stop()
    assert clinic.states() == {"a_1.bin": "queued"}
    assert clinic.ledger.queued(1)[0].crashes == 0
    clinic.close()


def test_waiting_for_an_idle_queue_ends_in_time(tmp_path: Path) -> None:
    clinic, _ = clinic_with(tmp_path, {"b_1.bin": [WorkersLost("x")] * 9})
    clinic.settle()
    clinic.dispatcher.start()
    assert not clinic.dispatcher.wait_idle(0.3)
    assert clinic.dispatcher.progress() > 0.0
    clinic.close()


def test_a_bug_on_a_file_with_a_side_file_ends_too(tmp_path: Path) -> None:
    """Its side file stayed queued, and brought it back for ever."""
    clinic, measuring = clinic_with(tmp_path, {"d_1.bin": [ValueError("x")] * 99})
    clinic.drop("d_1.bin", b"MAIN 9")
    clinic.drop("d_1.txt", b"SIDE x")
    assert judged(clinic) == OTHERS | {"b_1.bin": (None, 1.0), "d_1.bin": ("BUG",)}
    assert measuring.names.count("d_1.bin") == 2


def test_a_file_with_a_side_file_whose_bytes_are_lost_ends_too(tmp_path: Path) -> None:
    clinic, _ = clinic_with(tmp_path, {})
    clinic.drop("d_1.bin", b"MAIN 9")
    clinic.drop("d_1.txt", b"SIDE x")
    clinic.settle()
    (row,) = [file for file in clinic.ledger.queued(9) if file.name == "d_1.bin"]
    clinic.archive.path_of(row.sha256).unlink()
    assert judged(clinic)["d_1.bin"][0] == "UNREADABLE"
