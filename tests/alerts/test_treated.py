"""Treated and no log, and a beam that was delivered twice: one message, and one when it clears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select, update

from analyzers.catalogue import load
from analyzers.records import Identity
from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.alerts.messages import NO_LOG, REPEATED, TOO_MANY, Wording
from qa_daemon.alerts.treated import Treated
from qa_daemon.simulate import rtplan, rtrecord, trajectory_log
from qa_daemon.simulate.plan_shapes import FIELDS, sequence
from qa_daemon.simulate.trajectory_log import IDENTITY
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.schema import incidents, notifications, recorded_beams
from tests.alerts.clinic import Recorder
from tests.ingest import clinic as clinics
from tests.ingest.clinic import Clinic

FIELD: dict[str, Any] = {"field": "static", "mu": 60.0}
TREATED_AT = (clinics.NOW - timedelta(hours=5)).replace(tzinfo=None)
REAL = load()
TOLD = [f"ACTION TB1: {NO_LOG}"]
NO_NUMBER = replace(IDENTITY, beam_number=None)
NAMELESS = replace(NO_NUMBER, plan_uid=None, patient_id=None)


class Ward:
    """A clinic with its alerts, stepped by hand on a clock of its own."""

    def __init__(self, folder: Path, text: str = clinics.SITE) -> None:
        self.clinic = Clinic(folder, catalogue=REAL, settle_time=0.0, text=text)
        self.now = clinics.NOW
        site, store, queries = self.clinic.site, self.clinic.store, self.clinic.queries
        self.treated = Treated(store, queries, Wording(site, {}), lambda: self.now)
        box = Outbox(store, "alerts")
        self.engine = AlertEngine(store, queries, box, site, Recorder(), lambda: self.now, {})

    def log(self, at: datetime = TREATED_AT, identity: Identity | None = None, **more: Any) -> None:
        log = self.clinic.top / f"x_{at:%Y%m%d%H%M%S}.bin"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trajectory_log, "IDENTITY", identity or IDENTITY)
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

    def record(
        self,
        *delivered_mu: float,
        at: datetime = TREATED_AT,
        edit: Callable[[Any], object] = id,
        folder: str = "",
        **more: Any,
    ) -> None:
        path = self.clinic.top / f"record_{at:%H%M}.dcm"
        beams = [("Beam", mu, mu) for mu in delivered_mu or (60.0,)]
        rtrecord.write_rtrecord(path, beams, performed_at=at, **more)
        data = pydicom.dcmread(path)
        for beam in data.TreatmentSessionBeamSequence:
            edit(beam)
        data.save_as(path)
        self.clinic.drop(folder + path.name, path.read_bytes())
        self.look()

    def records(self) -> list[tuple[int | None, str]]:
        with self.clinic.store.read() as connection:
            query = select(recorded_beams.c.number, recorded_beams.c.state)
            rows = connection.execute(query.order_by(recorded_beams.c.id))
            return [(row.number, row.state) for row in rows]

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


def test_a_record_of_a_machine_that_nobody_watches_needs_no_log(ward: Ward) -> None:
    machines = ward.clinic.site.file.machine
    known = ward.clinic.site.file.model_copy(
        update={"machine": (machines[0].model_copy(update={"serial": "77"}),)}
    )
    object.__setattr__(ward.clinic.pipeline, "site", replace(ward.clinic.site, file=known))
    ward.record()
    ward.later(hours=2)
    assert ward.titles() == []


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


def test_a_fraction_that_goes_on_is_not_missing_anything(ward: Ward) -> None:
    """A beam at 0 h and the next at 2 h, with a gap of 3 h: over 5 h after the first."""
    ward.now = clinics.NOW - timedelta(hours=4)
    ward.plan(beams=2)
    ward.log()
    ward.log(TREATED_AT + timedelta(hours=2), seed=3, interrupted_at_mu=20.0)
    ward.later(hours=2.5)
    assert NO_LOG not in ward.open()
    ward.later(hours=3)
    assert NO_LOG in ward.open()


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


def test_a_log_that_names_no_beam_is_one_beam_alone(ward: Ward) -> None:
    ward.log(identity=NO_NUMBER)
    ward.record(60.0, 40.0)
    ward.later(hours=2)
    assert ward.records() == [(1, "found"), (2, "told")]
    assert ward.titles() == TOLD


def test_a_matched_log_is_no_other_beam(ward: Ward) -> None:
    ward.now = clinics.NOW - timedelta(hours=4)
    ward.plan(beams=2)
    ward.log(identity=NO_NUMBER)
    ward.record(60.0, 40.0)
    ward.later(hours=6)
    assert ward.titles() == TOLD
    assert ward.records() == [(1, "found"), (2, "told")]


def test_a_log_with_nothing_but_a_meterset_is_one_beam_alone(ward: Ward) -> None:
    ward.log(identity=NAMELESS)
    ward.record(60.0, 60.0)
    ward.later(hours=2)
    assert ward.records() == [(1, "found"), (2, "told")]
    ward.log(TREATED_AT + timedelta(minutes=5), identity=NAMELESS, seed=3)
    ward.look()
    assert ward.records() == [(1, "found"), (2, "found")]
    assert ward.open() == []


@pytest.mark.parametrize("plan_uid", [None, IDENTITY.plan_uid])
def test_the_log_of_another_patient_is_not_the_records(ward: Ward, plan_uid: str | None) -> None:
    ward.log(identity=replace(NO_NUMBER, plan_uid=plan_uid, patient_id="SOMEBODY ELSE"))
    ward.record()
    ward.later(hours=2)
    assert ward.titles() == TOLD


def test_a_log_of_another_machine_is_not_the_records(tmp_path: Path) -> None:
    (tmp_path / "in" / "tb2").mkdir(parents=True)
    other = '[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\nfolders = ["in/tb2"]\n'
    ward = Ward(tmp_path, clinics.SITE + other)
    ward.log()
    ward.record(folder="tb2/")
    ward.later(hours=2)
    assert ward.titles() == [f"ACTION TB2: {NO_LOG}"]
    ward.clinic.close()


def test_two_records_of_a_beam_need_two_logs(ward: Ward) -> None:
    later = TREATED_AT + timedelta(hours=2)
    ward.plan()
    ward.log()
    ward.record()
    ward.record(at=later, fraction=2)
    ward.later(hours=2)
    assert ward.records() == [(1, "found"), (1, "told")]
    assert ward.titles() == TOLD
    ward.log(later, seed=3)
    ward.later(minutes=1)
    assert ward.records() == [(1, "found"), (1, "found")]
    assert NO_LOG not in ward.open()


def test_a_log_goes_to_the_record_that_has_no_other(ward: Ward) -> None:
    ward.record()
    ward.log(TREATED_AT + timedelta(hours=2, minutes=30))
    ward.later(hours=1, minutes=1)
    assert ward.records() == [(1, "found")]
    ward.log(TREATED_AT, seed=3)
    ward.record(at=TREATED_AT + timedelta(hours=4), fraction=2)
    ward.later(hours=2)
    assert ward.records() == [(1, "found"), (1, "found")]
    assert ward.titles() == []


def test_the_record_that_lacks_its_log_is_told_not_the_one_whose_log_it_had(ward: Ward) -> None:
    later = TREATED_AT + timedelta(hours=2)
    ward.record()
    ward.log(later)
    ward.later(hours=2)
    assert ward.records() == [(1, "found")]
    ward.record(at=later, fraction=2)
    ward.look()
    assert ward.records() == [(1, "told"), (1, "found")]
    assert ward.titles() == TOLD


def test_a_log_that_is_known_later_to_be_another_beam_is_the_records_no_more(ward: Ward) -> None:
    ward.record(60.0, edit=lambda beam: setattr(beam, "ReferencedBeamNumber", 2))
    ward.log(identity=NO_NUMBER)
    ward.later(hours=2)
    assert ward.records() == [(2, "found")]
    ward.plan(beams=2)
    ward.look()
    assert ward.records() == [(2, "told")]
    assert NO_LOG in ward.open()


def without_meterset(beam: Any) -> None:
    del beam.DeliveredPrimaryMeterset
    for point in beam.ControlPointDeliverySequence:
        del point.DeliveredMeterset


@pytest.mark.parametrize(
    "edit",
    [without_meterset, lambda beam: setattr(beam, "TreatmentDeliveryType", "CONTINUATION")],
)
def test_what_a_record_does_not_say_was_none_needs_a_log(
    ward: Ward, edit: Callable[[Any], object]
) -> None:
    ward.record(edit=edit)
    ward.later(hours=2)
    assert ward.titles() == TOLD
    ward.log()
    ward.later(minutes=1)
    assert ward.open() == []


def test_both_logs_of_an_interrupted_beam_serve_both_its_records(ward: Ward) -> None:
    at = TREATED_AT + timedelta(minutes=5)
    ward.plan()
    ward.log(interrupted_at_mu=20.0)
    ward.record(20.0)
    ward.record(
        40.0, at=at, edit=lambda beam: setattr(beam, "TreatmentDeliveryType", "CONTINUATION")
    )
    ward.later(hours=2)
    assert sorted(ward.records()) == [(1, "found"), (1, "told")]
    ward.log(at, resumed_at_mu=20.0, seed=3)
    ward.look()
    assert ward.records() == [(1, "found"), (1, "found")]
    assert NO_LOG not in ward.open()


def test_a_record_that_comes_after_its_fraction_was_told_is_no_second_message(ward: Ward) -> None:
    ward.now = clinics.NOW - timedelta(hours=4)
    ward.plan(beams=2)
    ward.log()
    ward.later(hours=3)
    assert ward.titles() == TOLD
    # What was treated says so itself, and arrives late.
    ward.clinic.store._clock = lambda: ward.now
    ward.later(hours=2)
    ward.record(60.0, 40.0)
    ward.later(hours=2)
    assert ward.titles() == TOLD
    assert ward.records() == [(1, "found"), (2, "settled")]
    assert ward.open() == [NO_LOG]


def test_a_fraction_does_not_repeat_what_a_record_told(ward: Ward) -> None:
    ward.now = clinics.NOW - timedelta(hours=4)
    ward.plan(beams=2)
    ward.log()
    ward.record(60.0, 40.0)
    ward.later(hours=8)
    assert ward.titles() == TOLD


def test_a_fraction_tells_what_no_record_asks_a_log_for(ward: Ward) -> None:
    ward.now = clinics.NOW - timedelta(hours=4)
    ward.plan(beams=2)
    ward.log()
    ward.record(60.0, 40.0)
    with ward.clinic.store.write() as connection:  # a record that tells no machine
        connection.execute(update(recorded_beams).values(machine=None))
    ward.later(hours=8)
    assert ward.records() == [(1, "found"), (2, "found")]
    assert ward.titles() == TOLD


def test_nothing_is_written_while_nothing_changes(ward: Ward) -> None:
    ward.record()
    ward.later(hours=2)
    ward.later(minutes=1)
    before = ward.clinic.store.version
    ward.treated.look()
    ward.treated.look()
    assert ward.clinic.store.version == before


def test_a_fraction_more_than_planned_is_told_once(ward: Ward) -> None:
    ward.plan()
    for day in range(7, 2, -1):
        ward.log(TREATED_AT - timedelta(days=day), seed=day)
    assert ward.titles() == []
    for day in (2, 1):
        ward.log(TREATED_AT - timedelta(days=day), seed=day)
    assert ward.titles() == [f"ACTION TB1: {TOO_MANY}"]
    assert ward.open() == [TOO_MANY]


def test_a_record_of_a_fraction_more_than_planned_is_told(ward: Ward) -> None:
    ward.plan()
    for day in range(6, 1, -1):
        ward.log(TREATED_AT - timedelta(days=day), seed=day)
    ward.record(0.0)
    assert ward.titles() == []
    ward.record(at=TREATED_AT + timedelta(minutes=1))
    assert ward.titles() == [f"ACTION TB1: {TOO_MANY}"]
