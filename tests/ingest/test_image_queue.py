"""An image is judged again when what it is held against changes, and never without end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from qa_daemon.store.schema import deliveries, files, images, results
from tests.ingest.clinic import Clinic
from tests.ingest.test_images import (
    AT,
    CATALOGUE,
    SET,
    arrive,
    beam,
    found,
    image,
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
