"""At every step the process may end or a call may fail: nothing is lost, nothing is double.

The wrong orders at the end show that this test would see one.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qa_daemon.ingest import inbox
from qa_daemon.ingest.intake import Found, Intake, fingerprint
from qa_daemon.ingest.settle import Look
from qa_daemon.model import Event
from qa_daemon.store.ledger import Arrival, Ledger
from qa_daemon.store.results import Results
from tests.faults.injection import STEPS, strike_everywhere
from tests.ingest.clinic import Clinic


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """In memory where there is such a place: hundreds of stores are made."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def clinic(top: Path, clock: Callable[[], float]) -> Clinic:
    return Clinic(top, settle_time=1.0, clock=clock)


@pytest.mark.parametrize("mode", ["kill", "error"])
def test_no_step_is_in_the_wrong_place(quick_folder: Path, mode: str) -> None:
    outcomes = list(strike_everywhere(quick_folder, mode, clinic))
    assert [point for point in outcomes if point is not None] == []
    assert len(outcomes) > 50


class EnterFirst(Intake):
    """Wrong: the ledger knows a file before its bytes are safe."""

    def take(self, found: Found, look: Look) -> Arrival:
        sha256 = hashlib.sha256(Path(found.source).read_bytes()).hexdigest()
        seen = fingerprint(found, look)
        self.sources = [*getattr(self, "sources", []), found]
        return Arrival(seen, found.folder, found.name, found.machine, sha256)

    def enter(self, arrivals: Sequence[Arrival]) -> None:
        super().enter(arrivals)
        for found in getattr(self, "sources", []):
            if Path(found.source).exists():
                super().take(found, Look.of(Path(found.source).stat()))
        self.sources = []


class ReleaseFirst(Intake):
    """Wrong: the source is removed before the ledger knows the file."""

    def take(self, found: Found, look: Look) -> Arrival:
        arrival = super().take(found, look)
        if "/inbox/" in found.source:
            inbox.remove(found.source)
        return arrival


class DoneFirst(Results):
    """Wrong: a file is marked done in one transaction and its result stored in the next."""

    def save(self, file: Any, companions: Any, report: Any, *rest: Any) -> int | None:
        if report.error_code is None:
            Ledger(self._store).move(file, Event.JUDGED)
        return super().save(file, companions, report, *rest)


class ForgetFirst(Intake):
    """Wrong: what a path holds is known before the ledger holds it."""

    def take(self, found: Found, look: Look) -> Arrival:
        arrival = super().take(found, look)
        self.remembered[arrival.fingerprint.path] = arrival.fingerprint
        return arrival

    def known(self) -> dict[str, Any]:
        self.remembered = super().known()
        return self.remembered


def with_intake(kind: type[Intake]) -> Callable[[Path, Callable[[], float]], Clinic]:
    return lambda top, clock: Clinic(top, settle_time=1.0, clock=clock, intake=kind)


def with_results(top: Path, clock: Callable[[], float]) -> Clinic:
    made = clinic(top, clock)
    wrong = replace(made.pipeline, results=DoneFirst(made.store, ["alerts", "influx"]))
    made.dispatcher._pipeline = wrong
    return made


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [
        ("kill", with_intake(EnterFirst)),
        ("kill", with_intake(ReleaseFirst)),
        ("kill", with_results),
        ("error", with_intake(ForgetFirst)),
    ],
    ids=["enter-first", "release-first", "done-first", "forget-first"],
)
def test_a_wrong_order_is_seen(
    quick_folder: Path, mode: str, wrong: Callable[[Path, Callable[[], float]], Clinic]
) -> None:
    outcomes = strike_everywhere(quick_folder, mode, wrong, STEPS)
    assert any(point is not None for point in outcomes)
