"""Treated and no log, and a beam that was delivered twice: one message, and one when it clears."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analyzers.catalogue import load
from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.alerts.messages import NO_LOG, REPEATED, Wording
from qa_daemon.alerts.treated import Treated
from qa_daemon.simulate import rtplan, rtrecord, trajectory_log
from qa_daemon.simulate.plan_shapes import FIELDS, sequence
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.schema import incidents, notifications
from tests.alerts.clinic import Recorder
from tests.ingest import clinic as clinics
from tests.ingest.clinic import Clinic

FIELD: dict[str, Any] = {"field": "static", "mu": 60.0}
TREATED_AT = (clinics.NOW - timedelta(hours=5)).replace(tzinfo=None)
REAL = load()


class Ward:
    """A clinic with its alerts, stepped by hand on a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.clinic = Clinic(folder, catalogue=REAL, settle_time=0.0)
        self.now = clinics.NOW
        site, store, queries = self.clinic.site, self.clinic.store, self.clinic.queries
        self.treated = Treated(store, queries, Wording(site, {}), lambda: self.now)
        box = Outbox(store, "alerts")
        self.engine = AlertEngine(store, queries, box, site, Recorder(), lambda: self.now, {})

    def log(self, at: datetime = TREATED_AT, **more: Any) -> None:
        log = self.clinic.top / f"x_{at:%Y%m%d%H%M%S}.bin"
        trajectory_log.simulate(log, **FIELD | more, companion=True)
        for path in (log, log.with_suffix(".txt")):
            self.clinic.drop(path.name, path.read_bytes())
        self.look()

    def plan(self, *, beams: int = 1) -> None:
        shapes = FIELDS["static"]("millennium120", 60.0)
        path = self.clinic.top / "plan.dcm"
        others = [FIELDS["sliding-window"]("millennium120", 40.0)] * (beams - 1)
        rtplan.write_rtplan(path, sequence(shapes, *others))
        self.clinic.drop("plan.dcm", path.read_bytes())
        self.look()

    def record(self, **more: Any) -> None:
        path = self.clinic.top / "record.dcm"
        rtrecord.write_rtrecord(path, [("Static", 60.0, 60.0)], performed_at=TREATED_AT, **more)
        self.clinic.drop("record.dcm", path.read_bytes())
        self.look()

    def look(self) -> None:
        self.clinic.process()
        self.engine.look_through()
        self.treated.look()

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.look()

    def titles(self) -> list[str]:
        with self.clinic.store.read() as connection:
            query = select(notifications.c.title).order_by(notifications.c.id)
            return list(connection.execute(query).scalars())

    def open(self) -> list[str]:
        with self.clinic.store.read() as connection:
            return list(
                connection.execute(select(incidents.c.test).where(incidents.c.open)).scalars()
            )


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    found = Ward(tmp_path)
    yield found
    found.clinic.close()


@pytest.mark.parametrize("has_plan", [True, False])
def test_a_record_without_its_log_is_told_once_and_cleared_when_it_comes(
    ward: Ward, has_plan: bool
) -> None:
    if has_plan:
        ward.plan()
    ward.record()
    ward.later(minutes=59)
    assert ward.titles() == []
    ward.later(minutes=2)
    ward.later(minutes=2)
    assert ward.titles() == [f"ACTION TB1: {NO_LOG}"]
    assert ward.open() == [NO_LOG]
    ward.log()
    ward.later(minutes=1)
    assert ward.open() == []
    assert ward.titles()[1:] == [f"Cleared TB1: {NO_LOG}"]


@pytest.mark.parametrize("log_first", [True, False])
def test_a_record_with_its_log_is_no_news(ward: Ward, log_first: bool) -> None:
    for arrive in (ward.log, ward.record)[:: 1 if log_first else -1]:
        arrive()
    ward.later(hours=3)
    assert ward.titles() == []


def test_the_log_of_another_day_is_not_the_records(ward: Ward) -> None:
    ward.plan()
    ward.log(TREATED_AT - timedelta(days=1))
    ward.record()
    ward.later(hours=2)
    assert ward.open() == [NO_LOG]


def test_a_record_that_says_nothing_was_delivered_needs_no_log(ward: Ward) -> None:
    path = ward.clinic.top / "record.dcm"
    rtrecord.write_rtrecord(path, [("Static", 60.0, 0.0)], performed_at=TREATED_AT)
    ward.clinic.drop("record.dcm", path.read_bytes())
    ward.look()
    ward.later(hours=2)
    assert ward.titles() == []


def test_a_beam_that_its_fraction_lacks_is_told_when_the_fraction_is_over(ward: Ward) -> None:
    ward.now = clinics.NOW - timedelta(hours=4)
    ward.plan(beams=2)
    ward.log()
    assert ward.titles() == []
    ward.later(hours=3)
    assert ward.titles() == [f"ACTION TB1: {NO_LOG}"]
    second = {"field": "sliding-window", "mu": 40.0}
    ward.log(TREATED_AT + timedelta(minutes=3), **second)
    assert "needs a match" in str(ward.clinic.queries.results_since()), "it names beam 1"


def test_fractions_of_long_ago_are_not_told(ward: Ward) -> None:
    ward.plan(beams=2)
    ward.log(TREATED_AT - timedelta(days=30))
    ward.later(hours=3)
    assert ward.titles() == []


def test_the_same_beam_twice_in_a_fraction_is_at_action(ward: Ward) -> None:
    ward.plan()
    ward.log()
    ward.log(TREATED_AT + timedelta(minutes=10), seed=3)
    assert ward.open() == [REPEATED]
    assert ward.titles() == [f"ACTION TB1: {REPEATED}"]
    ward.log(TREATED_AT + timedelta(days=1), seed=4)
    assert ward.open() == []
