"""A share that is away for long: one message, and one when it is back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from qa_daemon.alerts.engine import AlertEngine
from qa_daemon.alerts.outages import Outages
from tests.alerts.alarms import PEOPLE, engine_of, messages, run
from tests.alerts.clinic import TITLES, Clinic, Recorder
from tests.sinks.sending import wait_until

AWAY, BACK = "TB1: watched folder cannot be reached", "TB1: watched folder can be reached again"


@dataclass
class Folder:
    """A watched folder as the scanner says it is."""

    machine: str | None = "TB1"
    is_reachable: bool = True
    last_scan_s_ago: float | None = 1.0


class Watch:
    """Outages stepped by hand, on a clock of their own."""

    def __init__(self, clinic: Clinic, *folders: Folder) -> None:
        self.now_s, self.folders = 1000.0, folders
        self.outages = Outages(clinic.store, clinic.site, lambda: self.folders, lambda: self.now_s)

    def look(self, after_s: float = 1.0) -> None:
        self.now_s += after_s
        self.outages.look()


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path, PEOPLE)


def titles(clinic: Clinic) -> list[str]:
    return [message["title"] for message in messages(clinic)]


def test_one_message_when_it_lasts_and_one_when_it_is_back(clinic: Clinic) -> None:
    folder = Folder()
    watch = Watch(clinic, folder, Folder("TB2"))
    watch.look()
    folder.is_reachable = False
    watch.look()
    watch.look(300.0)
    assert titles(clinic) == []
    for _ in range(5):
        watch.look()
    assert titles(clinic) == [AWAY]
    folder.is_reachable = True
    watch.look(1.5)
    watch.look()
    assert titles(clinic) == [AWAY, BACK]
    folder.is_reachable = False
    watch.look(), watch.look(301.0)
    assert titles(clinic) == [AWAY, BACK, AWAY]


def test_a_short_outage_is_no_message(clinic: Clinic) -> None:
    folder = Folder()
    watch = Watch(clinic, folder)
    for _ in range(9):
        folder.is_reachable = not folder.is_reachable
        watch.look(200.0)
    assert titles(clinic) == []


def test_two_folders_of_a_machine_are_told_together(clinic: Clinic) -> None:
    first, second = Folder(is_reachable=False), Folder(is_reachable=False)
    watch = Watch(clinic, first, second)
    watch.look(), watch.look(301.0)
    first.is_reachable = True
    watch.look()
    assert titles(clinic) == [AWAY]
    second.is_reachable = True
    watch.look()
    assert titles(clinic) == [AWAY, BACK]


def test_a_restart_neither_forgets_nor_repeats(clinic: Clinic) -> None:
    folder = Folder(is_reachable=False)
    watch = Watch(clinic, folder)
    watch.look(), watch.look(301.0)
    again = Watch(clinic, folder)
    again.look(), again.look(301.0)
    # Nobody has looked yet: that is no sign of life.
    folder.is_reachable, folder.last_scan_s_ago = True, None
    after = Watch(clinic, folder)
    after.look()
    assert titles(clinic) == [AWAY]
    folder.last_scan_s_ago = 0.5
    after.look()
    assert titles(clinic) == [AWAY, BACK]


def test_a_share_that_answers_but_was_not_looked_through_is_not_back(clinic: Clinic) -> None:
    folder = Folder(is_reachable=False)
    watch = Watch(clinic, folder)
    watch.look(), watch.look(301.0)
    folder.is_reachable, folder.last_scan_s_ago = True, 400.0
    watch.look()
    assert titles(clinic) == [AWAY]


def test_who_is_on_call_is_told_without_a_path(clinic: Clinic) -> None:
    channels = Recorder()
    watch = Watch(clinic, Folder(is_reachable=False), Folder(None, is_reachable=False))
    watch.look(), watch.look(301.0)
    run(engine_of(clinic, channels))
    assert [(person, title) for person, title, _ in channels.sent] == [
        ("Ben", AWAY),
        ("Ben", "Several machines: watched folder cannot be reached"),
    ]
    body = channels.sent[0][2]
    assert "Machine: TB1" in body and f"\n{clinic.site.base_url}/\n" in body
    assert "CANARY" not in body and "None" not in body


def test_the_engine_looks_by_itself(clinic: Clinic) -> None:
    channels, watch = Recorder(), Watch(clinic, Folder(is_reachable=False))
    engine = AlertEngine(
        clinic.store,
        clinic.queries,
        clinic.alerts_box,
        clinic.site,
        channels,
        clinic.clock,
        TITLES,
        outages=watch.outages,
    )
    engine.start()
    wait_until(lambda: watch.outages._since != {})
    watch.now_s += 301.0
    wait_until(lambda: channels.titles == [AWAY])
    engine.stop()
