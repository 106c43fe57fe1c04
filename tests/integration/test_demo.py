"""The demo clinic, processed: what its pages have to show, and how somebody signs in to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from qa_daemon.app import open_site, open_store
from qa_daemon.commands import demo
from qa_daemon.fractions import BeamState
from qa_daemon.simulate import clinic, clinic_images
from qa_daemon.site import passwords
from qa_daemon.store import output_baselines, srt_tables
from qa_daemon.store.courses import Courses
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.queries import Queries
from qa_daemon.store.schema import kv_fractions

FRIDAY = datetime(2026, 11, 6, 20, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(demo, "utc_now", lambda: FRIDAY)
    monkeypatch.setattr(clinic_images, "IMAGED_DAYS", 1)  # images take the time of this test
    return tmp_path / "demo"


def test_the_demo_shows_every_kind_of_fraction(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    demo.demo(folder, 3, 8765, pages=False)
    judged = [r.getMessage() for r in caplog.records if "file judged" in r.getMessage()]
    site = open_site(folder / "site.toml")
    store = open_store(site)
    courses = Courses(store)
    try:
        # Plans are taken in first: nothing is judged twice.
        images = len(list(folder.glob("incoming/*/RI.*.dcm")))
        assert images == 2 * (1 + 1 + 4 + 2) + 1 + 6
        checks = len(list(folder.glob("incoming/SRT1/*")))
        others = ("format=dicom-rtimage", "machine=SRT1")
        logs_and_plans = [line for line in judged if not any(word in line for word in others)]
        # A fraction is judged again when the check comes that it counts from.
        of_unit = [line for line in judged if "machine=SRT1" in line]
        assert len({re.search(r"file=\d+", line)[0] for line in of_unit}) == checks
        baselines = output_baselines.every(store, "SRT1")
        assert [b.beam for b in baselines] == ["50 kV F1 A30", "70 kV F2 A30", "100 kV F3 A30"]
        assert all(one.is_in_use for one in srt_tables.every(store, "SRT1"))
        with store.read() as connection:
            doses = connection.execute(select(kv_fractions.c.dose_gy)).scalars().all()
        assert doses == pytest.approx([2.65, 2.68], abs=0.03)
        assert len(logs_and_plans) == 17 + 7 + 6
        # The four images of each Winston-Lutz test are one result.
        assert Queries(store).counts()["results"] == 17 + 7 + 6 + images - 2 * 3 + checks
        (unsure,) = courses.unmatched()
        assert "2 planned beams fit about as well" in unsure.reason and len(unsure.rivals) == 2
        assert courses.of_result(unsure.result).patient == unsure.patient
        (loose,) = courses.loose_logs(unsure.patient or "")
        assert loose.result == unsure.result and loose.needs_a_match
        seen: dict[str, list[tuple[BeamState, float | None]]] = {}
        names = Pseudonyms(site.state_dir, store)
        for machine in clinic.MLC:
            for beam in range(3):
                patient = names.of(clinic.identity(machine, beam).patient_id) or ""
                seen[f"{machine}.{beam}"] = [
                    (delivered.state, delivered.delivered_mu and round(delivered.delivered_mu))
                    for plan in courses.course(patient, timedelta(hours=3).total_seconds())
                    for fraction in plan.fractions
                    for delivered in fraction.beams
                ]
    finally:
        store.close()
    whole = BeamState.DELIVERED
    assert seen == {
        "TB1.0": [(whole, 100)] * 3,
        "TB1.1": [(BeamState.PARTIAL, 134), (whole, 220), (whole, 220)],
        "TB1.2": [(whole, 120), (BeamState.NO_LOG, 120), (whole, 120)],
        "TB2.0": [(whole, 100)] * 3,
        "TB2.1": [(whole, 220)] * 2,  # and the log that needs a match
        "TB2.2": [(whole, 120)] * 2,  # and the one that was cut off
    }


def test_the_password_is_told_once_and_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "serve", lambda _site: None)
    monkeypatch.setattr(demo, "_write", lambda *_: None)
    demo.demo(folder, 3, 8765, pages=True)
    told = re.search(
        r'sign in as "Demo Physicist" with the password (\S+)', capsys.readouterr().out
    )
    assert told is not None
    kept = folder / "demo-physicist.password"
    assert passwords.fits(told[1], passwords.read(kept))
    assert not kept.stat().st_mode & 0o007
    assert not any(told[1].encode() in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    line = kept.read_text()
    demo.demo(folder, 3, 8765, pages=True)
    said = capsys.readouterr().out
    assert told[1] not in said and "qa-daemon people password" in said
    assert kept.read_text() == line
