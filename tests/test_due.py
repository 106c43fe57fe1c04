"""When a test of a kV unit's routine is due again."""

from __future__ import annotations

from datetime import date

import pytest

from analyzers.srt_routine import ROUTINE
from qa_daemon.due import Item, LastDone, Standing, items, months_later
from qa_daemon.model import Verdict

TODAY = date(2026, 3, 31)
BEAM = "70 kV F2 A30"


def item(test: str, on: date | None, today: date = TODAY, months: int = 12) -> Item:
    last = {} if on is None else {(test, ""): LastDone(on, 1, Verdict.PASS)}
    (found,) = (i for i in items(last, [], today, months) if i.test.id == test)
    return found


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 15), 1, date(2026, 2, 15)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2023, 12, 31), 2, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
    ],
)
def test_the_same_day_of_a_later_month(day: date, months: int, later: date) -> None:
    assert months_later(day, months) == later


@pytest.mark.parametrize(
    ("test", "on", "standing", "by"),
    [
        ("SRT.D.WARMUP", None, Standing.NEVER, TODAY),
        ("SRT.D.WARMUP", date(2026, 3, 31), Standing.DONE, date(2026, 4, 1)),
        ("SRT.D.WARMUP", date(2026, 3, 30), Standing.DUE, date(2026, 3, 31)),
        ("SRT.M.US.FUNC", date(2026, 3, 8), Standing.DONE, date(2026, 4, 8)),
        ("SRT.M.US.FUNC", date(2026, 3, 7), Standing.SOON, date(2026, 4, 7)),
        ("SRT.M.US.FUNC", date(2026, 2, 28), Standing.DUE, date(2026, 3, 28)),
        ("SRT.M.US.FUNC", date(2026, 2, 24), Standing.DUE, date(2026, 3, 24)),
        ("SRT.M.US.FUNC", date(2026, 2, 23), Standing.OVERDUE, date(2026, 3, 23)),
        ("SRT.A.HVL", date(2025, 5, 1), Standing.DONE, date(2026, 5, 1)),
        ("SRT.A.HVL", date(2025, 4, 30), Standing.SOON, date(2026, 4, 30)),
        ("SRT.A.HVL", date(2025, 3, 31), Standing.DUE, date(2026, 3, 31)),
        ("SRT.A.HVL", date(2025, 3, 30), Standing.OVERDUE, date(2026, 3, 30)),
    ],
)
def test_standing(test: str, on: date | None, standing: Standing, by: date) -> None:
    found = item(test, on)
    assert (found.standing, found.by) == (standing, by)


def test_a_jurisdiction_may_ask_for_calibrations_more_often() -> None:
    assert item("SRT.A.CAL", date(2025, 9, 1), months=6).standing is Standing.OVERDUE
    assert item("SRT.A.CAL", date(2025, 9, 1), months=12).standing is Standing.DONE
    assert item("SRT.A.HVL", date(2025, 9, 1), months=6).standing is Standing.DONE


def test_each_beam_has_its_own_day_and_the_most_urgent_comes_first() -> None:
    last = {
        ("SRT.D.OUT", BEAM): LastDone(TODAY, 1, Verdict.PASS),
        ("SRT.M.US.FUNC", ""): LastDone(date(2026, 1, 1), 2, Verdict.PASS),
    }
    found = items(last, [BEAM, "50 kV F1 A30"], TODAY)
    outputs = {i.beam: i.standing for i in found if i.test.id == "SRT.D.OUT"}
    assert outputs == {BEAM: Standing.DONE, "50 kV F1 A30": Standing.NEVER}
    assert found[0].test.id == "SRT.M.US.FUNC"
    assert found[-1].standing is Standing.DONE
    assert {i.test.id for i in found} == {t.id for t in ROUTINE}
    left = items(last, [BEAM], TODAY, left_out=["SRT.D.OUT"])
    assert {i.test.id for i in left} == {t.id for t in ROUTINE} - {"SRT.D.OUT"}
