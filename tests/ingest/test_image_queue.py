"""An image is judged again when what it is held against changes, and never without end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from analyzers.catalogue import Catalogue
from analyzers.core import Analysis, Context, Settings
from analyzers.formats import dicom_rtimage, dicom_rtplan
from analyzers.portal_images import ImageKind, PortalImage
from analyzers.records import Identity
from qa_daemon import image_sets
from qa_daemon.ingest import dispatch
from qa_daemon.model import Event
from qa_daemon.pipeline import Pipeline
from qa_daemon.requests import Request, carry_out
from qa_daemon.simulate.rtimage import write_rtimage
from qa_daemon.simulate.rtplan import write_rtplan
from qa_daemon.store import baselines, image_kinds
from qa_daemon.store.ledger import Group
from qa_daemon.store.schema import deliveries, files, images, results
from tests.formats.small_plans import shapes
from tests.ingest.clinic import Clinic
from tests.ingest.test_images import (
    ANALYZER,
    AT,
    CATALOGUE,
    SET,
    arrive,
    beam,
    found,
    image,
    look,
    notes,
    seen,
    site,
)

SECOND = 10**9


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path, text=site(), catalogue=CATALOGUE, settle_time=0.0)
    yield made
    made.close()


def add_logs(clinic: Clinic, *seconds: int) -> None:
    """Logs of the machine that nobody can read, so long after the first image."""
    at_ns = int(AT.replace(tzinfo=UTC).timestamp()) * SECOND
    with clinic.store.write() as connection:
        result = connection.execute(select(results.c.id).limit(1)).scalar_one()
        like = dict(connection.execute(select(files).limit(1)).mappings().one())
        del like["id"]
        for number, after in enumerate(seconds):
            said = {"path": f"/log{number}", "name": f"log{number}", "sha256": f"{number:064}"}
            file = connection.execute(
                insert(files).values(**{**like, **said}).returning(files.c.id)
            ).scalar_one()
            connection.execute(
                insert(deliveries).values(
                    file=file,
                    result=result,
                    machine="TB1",
                    patient_is_told=False,
                    point_ns=at_ns + after * SECOND,
                )
            )


def test_two_of_one_second_are_not_judged_without_end(clinic: Clinic) -> None:
    arrive(clinic, "first.dcm", image("FLAT", 0.0))
    add_logs(clinic, -60, 60)
    # The point of its trend lies beside the instant, where one of the logs would be nearer.
    arrive(clinic, "second.dcm", beam("CLINIC", 0.0))
    assert clinic.states()["second.dcm"] == "done"
    with clinic.store.read() as connection:
        instants = set(connection.execute(select(images.c.point_ns)).scalars())
    assert len(instants) == 1


def test_what_a_physicist_calls_something_else_is_no_partner_any_more(clinic: Clinic) -> None:
    arrive(clinic, "open.dcm", image("VOPEN", 0.0))
    arrive(clinic, "test.dcm", image("DRGS", 5.0))
    for day in range(3):
        arrive(clinic, f"{day}.dcm", beam("CLINIC", 1440.0 * day, 1000.0 * (day + 1)))
    before = found(clinic)
    assert notes(before["test.dcm"])[0].startswith("open,")
    for name in ("open.dcm", "0.dcm"):
        said = (ImageKind.OTHER, None, "A", "the beam was cut")
        image_kinds.say(clinic.store, before[name].id, *said)
    clinic.judge()
    after = found(clinic)
    assert notes(after["test.dcm"])[0].startswith("no open,")
    assert notes(after["1.dcm"])[0].endswith("no baseline")
    second = beam("CLINIC", 1440.0, 2000.0).values.mean()
    assert notes(after["2.dcm"])[-1] == f"baseline of {second:.1f}"


def test_a_partner_that_is_written_over_is_one_no_more(clinic: Clinic) -> None:
    arrive(clinic, "open.dcm", image("VOPEN", 0.0))
    arrive(clinic, "test.dcm", image("DRGS", 5.0))
    clinic.drop("open.dcm", b"\0" * 128 + b"DICM, and then nothing that is an image")
    clinic.process()
    assert clinic.states() == {"open.dcm": "quarantined", "test.dcm": "done"}
    assert notes(found(clinic)["test.dcm"])[0].startswith("no open,")


def test_a_baseline_that_is_signed_off_or_withdrawn_changes_no_older_verdict(
    clinic: Clinic,
) -> None:
    for day in range(3):
        arrive(clinic, f"{day}.dcm", beam("CLINIC", 1440.0 * day, 1000.0 * (day + 1)))
    first = found(clinic)
    baselines.sign(clinic.store, first["1.dcm"].id, "A", "the set-up was corrected")
    arrive(clinic, "3.dcm", beam("CLINIC", 3 * 1440.0, 4000.0))
    signed = found(clinic)
    assert signed["2.dcm"].id == first["2.dcm"].id
    baselines.withdraw(clinic.store, signed["3.dcm"].id, "A", "it was not")
    arrive(clinic, "4.dcm", beam("CLINIC", 4 * 1440.0, 5000.0))
    assert found(clinic)["3.dcm"].id == signed["3.dcm"].id
    # What else changes is looked at all the same.
    arrive(clinic, "predicted.dcm", beam("PREDICTION", 0.0))
    assert notes(found(clinic)["3.dcm"])[0].startswith("no open, predicted")


def numbers(clinic: Clinic) -> dict[str, float | None]:
    return {name: seen(result) for name, result in found(clinic).items()}


def test_a_set_whose_first_image_is_called_something_else_is_judged_without_it(
    clinic: Clinic, tmp_path: Path
) -> None:
    for name, one in SET.items():
        arrive(clinic, name, one)
    (result,) = found(clinic).values()
    clinic.close()
    rule = '[[image_rule]]\nkind = "open_field"\nlabel_contains = ["WL 0"]\n'
    text = site().replace("[[image_rule]]", f"{rule}[[image_rule]]", 1)
    again = Clinic(tmp_path, text=text, catalogue=CATALOGUE, settle_time=0.0)
    try:
        again.ledger.release([result.file], "A")
        again.judge()
        assert numbers(again) == {"wl0.dcm": 1, "wl1.dcm": 3}
        assert set(again.states().values()) == {"done"}
        again.assert_sound()
    finally:
        again.close()


@pytest.mark.parametrize(
    ("wait", "rule", "expected"),
    [
        ("", "", {"wl0.dcm": 4}),
        ('set_gap = "1 min"\n', "", {f"wl{n}.dcm": 1 for n in range(4)}),
        ("", "WL 2", {"wl0.dcm": 3, "wl2.dcm": 1}),
        ("", "WL 0", {"wl0.dcm": 1, "wl1.dcm": 3}),
    ],
)
def test_a_set_is_put_together_anew_by_other_rules_when_it_is_reprocessed(
    clinic: Clinic, tmp_path: Path, wait: str, rule: str, expected: dict[str, float]
) -> None:
    for name, one in SET.items():
        arrive(clinic, name, one)
    clinic.close()
    text = site().replace("[images]\n", f"[images]\n{wait}", 1)
    if rule:
        pin = f'[[image_rule]]\nkind = "open_field"\nlabel_contains = ["{rule}"]\n'
        text = text.replace("[[image_rule]]", f"{pin}[[image_rule]]", 1)
    again = Clinic(tmp_path, text=text, catalogue=CATALOGUE, settle_time=0.0)
    try:
        assert carry_out(again.store, Request(action="reprocess", actor="A")) == 1
        again.judge()
        assert numbers(again) == expected
        assert set(again.states().values()) == {"done"}
        again.assert_sound()
    finally:
        again.close()


def test_sets_that_part_are_whole_at_once_and_come_together_again(
    clinic: Clinic, tmp_path: Path
) -> None:
    for number, minutes in enumerate((0.0, 1.0, 4.0, 5.0)):
        arrive(clinic, f"{number}.dcm", image(f"WL {number}", minutes))
    clinic.close()
    for gap, expected in (("2 min", {"0.dcm": 2, "2.dcm": 2}), ("4 min", {"0.dcm": 4})):
        text = site().replace("[images]\n", f'[images]\nset_gap = "{gap}"\n', 1)
        again = Clinic(tmp_path, text=text, catalogue=CATALOGUE, settle_time=0.0)
        try:
            last = again.queries.last_result_id()
            carry_out(again.store, Request(action="reprocess", actor="A"))
            again.judge()
            assert numbers(again) == expected
            made = [again.queries.result(n) for n in range(last + 1, last + 9)]
            # Nobody is told of half a set meanwhile.
            assert {seen(result) for result in made if result is not None} <= {2, 4}
            again.assert_sound()
        finally:
            again.close()


def test_a_set_is_found_among_the_many_images_of_a_day(clinic: Clinic) -> None:
    arrive(clinic, "other.dcm", image("FLAT", -170.0))
    with clinic.store.write() as connection:
        row = dict(connection.execute(select(files)).mappings().one())
        shown = dict(connection.execute(select(images)).mappings().one())
        del row["id"]
        for number in range(310):
            said = {"path": f"/{number}", "name": f"{number}", "sha256": f"{number:064}"}
            file = connection.execute(
                insert(files).values(**{**row, **said}).returning(files.c.id)
            ).scalar_one()
            at = {"kind": "portal", "point_ns": shown["point_ns"] + number * SECOND}
            connection.execute(insert(images).values(**{**shown, **at, "file": file}))
    for name, one in SET.items():
        arrive(clinic, name, one)
    assert numbers(clinic)["wl0.dcm"] == 4
    assert len(numbers(clinic)) == 2


def test_more_than_a_set_can_be_is_not_judged_without_end(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_sets, "MOST_OF_A_SET", 3)
    for name, one in SET.items():
        arrive(clinic, name, one)
    assert numbers(clinic) == {"wl0.dcm": 3, "wl3.dcm": 1}
    assert set(clinic.states().values()) == {"done"}


def test_a_set_that_waits_as_one_has_waited_as_one(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, text=site("30 s"), catalogue=CATALOGUE, settle_time=0.0)
    try:
        for name, one in SET.items():
            arrive(clinic, name, one)
        clinic.pipeline.end_waiting(at_once=True)
        clinic.judge()
        with clinic.store.write() as connection:
            connection.execute(update(images).values(has_waited=False))
        clinic.ledger.release([result.file for result in found(clinic).values()], "A")
        clinic.judge()
        assert clinic.states()["wl0.dcm"] == "waiting"
        assert clinic.pipeline.end_waiting(at_once=True) == 1
        clinic.judge()
        assert clinic.pipeline.end_waiting(at_once=True) == 0
        assert numbers(clinic) == {"wl0.dcm": 4}
    finally:
        clinic.close()


@pytest.mark.parametrize(
    ("plan_first", "label"),
    [(True, "CLINIC"), (False, "CLINIC"), (True, "PICKETS"), (False, "PICKETS")],
)
def test_an_image_is_judged_with_its_plan_whatever_comes_first(
    tmp_path: Path, *, plan_first: bool, label: str
) -> None:
    told: list[bool] = []

    def planned(shown: PortalImage, context: Context[Settings]) -> Analysis:
        told.append(shown.beside.planned is not None)
        return look(shown, context)

    analyzer = replace(ANALYZER, analyze=planned)
    catalogue = Catalogue((dicom_rtimage.FORMAT, dicom_rtplan.FORMAT), (analyzer,))
    clinic = Clinic(tmp_path, text=site(), catalogue=catalogue, settle_time=0.0)
    try:
        whose = Identity(patient_id="CANARY", plan_uid="1.2.9", beam_number=1)

        def send_plan() -> None:
            write_rtplan(clinic.incoming / "plan.dcm", shapes(), whose)
            clinic.process()

        if plan_first:
            send_plan()
        arrive(clinic, "image.dcm", beam(label, 0.0))
        if not plan_first:
            assert told == [False]
            send_plan()
        assert told[-1]
        assert set(clinic.states().values()) == {"done"}
    finally:
        clinic.close()


def test_the_same_exposure_twice_is_no_baseline_of_itself(clinic: Clinic) -> None:
    arrive(clinic, "folder.dcm", beam("CLINIC", 0.0))
    # As a program exports it anew: equal pixels under a UID of their own.
    arrive(clinic, "export.dcm", beam("CLINIC", 0.0, sop_instance_uid="1.2.4"))
    assert len(found(clinic)) == 2
    for result in found(clinic).values():
        assert "the first image of this beam" in notes(result)[1]


def test_the_first_of_a_beam_is_looked_up_among_its_own(clinic: Clinic) -> None:
    asked: list[tuple[str, Any]] = []
    engine = clinic.store._engine

    def listen(*said: Any) -> None:
        asked.append((said[2], said[3]))

    event.listen(engine, "before_cursor_execute", listen)
    arrive(clinic, "one.dcm", beam("CLINIC", 0.0))
    event.remove(engine, "before_cursor_execute", listen)
    of_images = [q for q in asked if "images.rows =" in q[0] and "images.plan_uid =" in q[0]]
    assert of_images
    with engine.connect() as connection:
        for text, values in of_images:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
            assert "images_by_beam" in " ".join(str(row) for row in rows)


def test_what_has_waited_is_looked_for_though_the_queue_is_never_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "WAITING_EVERY_S", 0.02)
    clinic = Clinic(tmp_path, text=site("30 s"), catalogue=CATALOGUE, settle_time=0.0)
    queued: list[int] = []

    class Busy(Pipeline):
        """Nothing that is queued is ever done, until a look for what waits was seen."""

        def process(self, group: Group) -> int | None:
            if not queued:
                self.ledger.move(group.main, Event.RELEASED)
                return None
            return Pipeline.process(self, group)

        def end_waiting(self, *, at_once: bool = False) -> int:
            queued.append(len(self.ledger.queued(10)))
            return Pipeline.end_waiting(self, at_once=at_once)

    parts = {f.name: getattr(clinic.pipeline, f.name) for f in fields(Pipeline)}
    clinic.dispatcher._pipeline = Busy(**parts)
    monkeypatch.setattr(clinic.dispatcher, "_put_off", lambda _: None)
    try:
        for name, one in SET.items():
            write_rtimage(clinic.incoming / name, one)
        clinic.process()
        assert queued[0] == len(SET)
        assert set(clinic.states().values()) == {"waiting"}
    finally:
        clinic.close()


def test_looking_for_what_has_waited_writes_nothing_and_uses_an_index(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, text=site("30 s"), catalogue=CATALOGUE, settle_time=0.0)
    try:
        arrive(clinic, "wl0.dcm", SET["wl0.dcm"])
        clinic.dispatcher.stop()
        version = clinic.store.version
        asked: list[tuple[str, Any]] = []
        engine = clinic.store._engine
        event.listen(
            engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3]))
        )
        assert clinic.pipeline.end_waiting() == 0
        # Each write wakes all threads, and they look again.
        assert clinic.store.version == version
        (waiting, values), *_ = [q for q in asked if "images.awaits" in q[0]]
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {waiting}", values)
            assert "images_by_waiting" in " ".join(str(row) for row in rows)
    finally:
        clinic.close()
