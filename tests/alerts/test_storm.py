"""Years of old logs copied in at once: the physicist on call gets one message for many."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from qa_daemon.alerts import storm
from qa_daemon.alerts.evaluate import notify
from qa_daemon.alerts.messages import folder_away
from qa_daemon.model import Verdict
from tests.alerts.alarms import PEOPLE, engine_of, messages
from tests.alerts.clinic import Clinic, Recorder, analysis


def flap(clinic: Clinic, turns: int) -> None:
    """Every turn is a message: out of limits, and back."""
    for minute in range(turns):
        verdict = Verdict.PASS if minute % 2 else Verdict.ACTION
        clinic.put(analysis(verdict), minutes=minute)


def test_after_twenty_messages_the_rest_is_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, channels = Clinic(tmp_path, PEOPLE), Recorder()
    engine = engine_of(clinic, channels)
    flap(clinic, 100)
    engine.look_through()
    for _ in range(60):
        engine.deliver()
    assert len(channels.titles) == storm.MANY + 1
    assert channels.titles[-1] == "80 messages together"
    assert all(m["state"] == "sent" for m in messages(clinic))
    # Half a minute passes before the next pile, and nothing of it is lost.
    flap(clinic, 0)
    clinic.put(analysis(Verdict.ACTION), minutes=200)
    clinic.put(analysis(Verdict.PASS), minutes=201)
    engine.look_through()
    assert engine.deliver() > 0.0
    assert len(channels.titles) == storm.MANY + 1
    monkeypatch.setattr(storm, "EVERY_S", 0.0)
    engine.deliver()
    assert channels.titles[-1] == "2 messages together"


def test_twenty_messages_on_different_days_are_no_storm(tmp_path: Path) -> None:
    clinic, channels = Clinic(tmp_path, PEOPLE), Recorder()
    engine = engine_of(clinic, channels)
    flap(clinic, storm.MANY)
    engine.look_through()
    for _ in range(storm.MANY):
        engine.deliver()
    now = clinic.clock()
    assert storm.is_on(clinic.store, now)
    assert not storm.is_on(clinic.store, now + storm.WITHIN + timedelta(seconds=1))


def test_a_lost_folder_comes_first_and_links_to_the_board(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, PEOPLE)
    engine = engine_of(clinic, Recorder())
    clinic.put(analysis(Verdict.INVALID))
    engine.look_through()
    with clinic.store.write() as connection:
        notify(connection, None, folder_away(clinic.site, "TB2"), clinic.store.now())
    pile = storm.pile(clinic.store, "http://qa")
    assert pile is not None
    assert pile.body.splitlines()[2] == "TB2: watched folder cannot be reached: http://qa/"


def test_the_worst_comes_first_and_what_is_cut_is_counted(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, PEOPLE)
    engine = engine_of(clinic, Recorder())
    flap(clinic, 50)
    clinic.put(analysis(Verdict.INVALID, "axes"), minutes=60)
    engine.look_through()
    pile = storm.pile(clinic.store, "http://qa")
    assert pile is not None and len(pile.numbers) == 51
    lines = pile.body.splitlines()
    assert lines[2].startswith("INVALID")
    assert "and 31 more" in lines
    assert sum("/results/" in line for line in lines) == storm.LINES
