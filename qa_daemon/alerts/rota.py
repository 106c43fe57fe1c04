"""Who is on call: the weekly rota, in the clinic's wall-clock time, resolved at an instant.

A hand-over whose wall-clock time comes twice happens at the first; one whose time is skipped
happens at the first instant after the gap.  Shifts are what lies between consecutive hand-overs, so
that daylight saving can open no hole and make no overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from qa_daemon.site.settings import HandOver

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A week and more each way: a zone has skipped a whole day (Samoa, 30 December 2011).
LOOK_BACK, LOOK_AHEAD = 9, 17


@dataclass(frozen=True, slots=True)
class Shift:
    """From this instant (UTC) on, this person."""

    start: datetime
    person: str


def on_call(weekly: Sequence[HandOver], zone: ZoneInfo, now: datetime) -> str:
    """The one person who is on call."""
    return _begun(_shifts(weekly, zone, now), now)[-1].person


def next_hand_over(weekly: Sequence[HandOver], zone: ZoneInfo, now: datetime) -> datetime:
    """When somebody else takes over (UTC); with one person alone, their own next hand-over."""
    shifts = _shifts(weekly, zone, now)
    person = _begun(shifts, now)[-1].person
    later = [shift for shift in shifts if shift.start > now]
    return next((s.start for s in later if s.person != person), later[0].start)


def in_turn(
    weekly: Sequence[HandOver], zone: ZoneInfo, now: datetime, people: Sequence[str]
) -> list[str]:
    """Everybody, each once: who is on call, who follows in the rota, then the rest."""
    shifts = _shifts(weekly, zone, now)
    rota = [shift.person for shift in shifts[len(_begun(shifts, now)) - 1 :]]
    return list(dict.fromkeys([*rota, *people]))


def _begun(shifts: Sequence[Shift], now: datetime) -> list[Shift]:
    return [shift for shift in shifts if shift.start <= now]


def _shifts(weekly: Sequence[HandOver], zone: ZoneInfo, now: datetime) -> list[Shift]:
    """The shifts around an instant; of hand-overs that fall together the last one counts."""
    in_order = sorted(_wall_times(weekly, zone, now), key=lambda hand_over: hand_over[0])
    found = {_instant(wall, zone): person for wall, person in in_order}
    return [Shift(start, person) for start, person in sorted(found.items())]


def _wall_times(
    weekly: Sequence[HandOver], zone: ZoneInfo, now: datetime
) -> Iterator[tuple[datetime, str]]:
    today = now.astimezone(zone).date()
    for days in range(-LOOK_BACK, LOOK_AHEAD):
        date = today + timedelta(days=days)
        for hand_over in weekly:
            day, at = hand_over.from_.split()
            if day == DAYS[date.weekday()]:
                yield datetime.combine(date, time.fromisoformat(at)), hand_over.person


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks first show this time or, where they skip it, a later one (UTC)."""
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(after, zone) == wall:
        return after
    # In a gap, fold 0 reckons from before it and so lands behind it, and fold 1 the other way.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while (seconds := int((after - before).total_seconds())) > 1:
        middle = before + timedelta(seconds=seconds // 2)
        if _wall(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return after


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)
