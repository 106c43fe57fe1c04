"""What is due on a kV unit: the routine's tests that have to be done again, and by when.

A daily test is due each day before the first patient; a monthly one by the same day of the next
month, and a week later it is overdue; an annual one at the latest when its months are over, which
is what the rules of most jurisdictions say.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from analyzers.srt_routine import ROUTINE, Frequency, RoutineTest
from qa_daemon.model import Verdict

OF_EACH_BEAM = ("SRT.D.OUT", "SRT.M.OUT", "SRT.A.CAL")
GRACE = timedelta(days=7)
SOON = timedelta(days=30)


class Standing(StrEnum):
    """Where a test stands; the order is that of urgency."""

    OVERDUE = "overdue"
    NEVER = "never done"
    DUE = "due"
    SOON = "due soon"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class LastDone:
    """When a test was done last, the clinic's day, with its verdict; None: it was not judged."""

    on: date
    result: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Item:
    """One test of one beam, or of the unit where `beam` is empty; `by` is the day it is due."""

    test: RoutineTest
    beam: str
    last: LastDone | None
    by: date
    standing: Standing


def items(
    last: Mapping[tuple[str, str], LastDone],
    beams: Sequence[str],
    today: date,
    calibration_months: int = 12,
    left_out: Iterable[str] = (),
) -> list[Item]:
    """Every test of the routine, the most urgent first.

    `last` maps test and beam to when it was done.  A test of the output is due for each of `beams`
    (those whose output was ever checked, or that are registered); `left_out` are tests that the
    unit does not need.
    """
    skipped = set(left_out)
    found = []
    for test in ROUTINE:
        if test.id in skipped:
            continue
        done = {beam: at for (name, beam), at in last.items() if name == test.id}
        asked = dict.fromkeys(beams) if _is_by_beam(test) else {}
        found += [
            _item(test, beam, done.get(beam), today, calibration_months)
            for beam in dict.fromkeys([*asked, *done]) or [""]
        ]
    order = list(Standing)
    return sorted(found, key=lambda item: (order.index(item.standing), item.by))


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or its last where it has no such day."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _is_by_beam(test: RoutineTest) -> bool:
    return test.id in OF_EACH_BEAM


def _item(
    test: RoutineTest, beam: str, last: LastDone | None, today: date, calibration_months: int
) -> Item:
    if last is None:
        return Item(test, beam, None, today, Standing.NEVER)
    if test.frequency is Frequency.DAILY:
        by = last.on + timedelta(days=1)
        return Item(test, beam, last, by, Standing.DONE if last.on >= today else Standing.DUE)
    if test.frequency is Frequency.MONTHLY:
        by = months_later(last.on, 1)
        return Item(test, beam, last, by, _standing(today, by, GRACE, timedelta(days=7)))
    by = months_later(last.on, calibration_months if test.id == "SRT.A.CAL" else 12)
    return Item(test, beam, last, by, _standing(today, by, timedelta(0), SOON))


def _standing(today: date, by: date, grace: timedelta, soon: timedelta) -> Standing:
    if today > by + grace:
        return Standing.OVERDUE
    if today >= by:
        return Standing.DUE
    return Standing.SOON if today >= by - soon else Standing.DONE
