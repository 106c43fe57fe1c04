"""A CT series in a watched folder: kept slice by slice, and nobody is told or shown a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from analyzers import catalogue
from analyzers.catalogue import Catalogue
from qa_daemon.alerts.channels import AppriseChannels
from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.model import Verdict
from qa_daemon.simulate import ct, rtdose, rtstruct
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.schema import identities, notifications
from tests.ingest.clinic import ANALYZER, FORMAT, NOW, Clinic

SLICES = 12


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    known = Catalogue((FORMAT, *catalogue.load().formats), (ANALYZER,))
    found = Clinic(tmp_path, catalogue=known, settle_time=0.0)
    yield found
    found.close()


def look_through(clinic: Clinic) -> list[str]:
    """Let the alerts see everything; the titles of their messages."""
    box = Outbox(clinic.store, "alerts")
    channels = AppriseChannels(clinic.site)
    engine = AlertEngine(
        clinic.store, clinic.queries, box, clinic.site, channels, lambda: NOW, {"tiny": "Tiny"}
    )
    engine.look_through()
    engine._follow_treatments()
    with clinic.store.read() as connection:
        return list(connection.execute(select(notifications.c.title)).scalars())


def test_a_series_is_kept_and_raises_no_alert(clinic: Clinic) -> None:
    ct.simulate(clinic.incoming, slices=SLICES, size=16, spacing_mm=10.0)
    rtstruct.simulate(clinic.incoming, points=12)
    rtdose.simulate(clinic.incoming, size=8, frames=4)
    clinic.process()
    assert clinic.states() == dict.fromkeys(clinic.states(), "done")
    found = list(clinic.queries.every_result(0, None))
    assert sorted({str(r.format) for r in found}) == ["dicom-ct", "dicom-rtdose", "dicom-rtstruct"]
    assert len(found) == SLICES + 2
    assert {(r.verdict, r.error_code, r.analyses) for r in found} == {(None, None, ())}
    assert {r.machine for r in found} == {"TB1"}
    # Two hundred slices would push all else off the pages.
    listed = clinic.queries.results_since(limit=1000)
    assert sorted(str(r.format) for r in listed) == ["dicom-rtdose", "dicom-rtstruct"]
    assert look_through(clinic) == []
    assert clinic.queries.open_incidents() == 0
    assert clinic.queries.board() == []
    assert clinic.queries.last_result("TB1") is None
    with clinic.store.read() as connection:
        told = connection.execute(select(identities.c.fields)).scalars().all()
    assert len([fields for fields in told if "QA_SIM_1" in fields]) == SLICES + 2
    clinic.assert_sound_states()


def test_a_series_does_not_hide_what_was_judged_before(clinic: Clinic) -> None:
    clinic.drop("a_1.bin", b"MAIN 20")
    clinic.process()
    tiles = clinic.queries.board()
    said = look_through(clinic)
    assert said
    ct.simulate(clinic.incoming, slices=4, size=16, spacing_mm=10.0)
    clinic.process()
    assert clinic.queries.board() == tiles
    last = clinic.queries.last_result("TB1")
    assert last is not None
    assert (last.format, last.verdict) == ("tiny", Verdict.ACTION)
    assert look_through(clinic) == said
