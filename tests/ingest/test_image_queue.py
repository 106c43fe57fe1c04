"""An image is judged again when what it is held against changes, and never without end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from analyzers.portal_images import ImageKind
from qa_daemon.store import baselines, image_kinds
from qa_daemon.store.schema import deliveries, files, images, results
from tests.ingest.clinic import Clinic
from tests.ingest.test_images import (
    AT,
    CATALOGUE,
    arrive,
    beam,
    found,
    image,
    notes,
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
