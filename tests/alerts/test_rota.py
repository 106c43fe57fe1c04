from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from qa_daemon.alerts.rota import DAYS, in_turn, next_hand_over, on_call
from qa_daemon.site.settings import HandOver

BERLIN = ZoneInfo("Europe/Berlin")
LONG_AGO = datetime.fromisoformat("1900-01-01")


def rota(**hand_overs: str) -> tuple[HandOver, ...]:
    """`A="Mon 08:00"`: from then on, A."""
    return tuple(HandOver.model_validate({"from": f, "person": p}) for p, f in hand_overs.items())


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


WEEK = rota(A="Mon 08:00", B="Wed 17:30", C="Sat 00:00")


@pytest.mark.parametrize(
    ("when", "person"),
    [
        ("2026-11-02 07:59:59", "C"),  # Monday
        ("2026-11-02 08:00", "A"),
        ("2026-11-04 17:29:59", "A"),
        ("2026-11-04 17:30", "B"),
        ("2026-11-06 23:59:59", "B"),
        ("2026-11-07 00:00", "C"),
        ("2026-11-09 08:00", "A"),
    ],
)
def test_a_shift_lasts_until_the_next_one_begins(when: str, person: str) -> None:
    assert on_call(WEEK, BERLIN, at(when)) == person


def test_one_person_alone_is_always_on_call() -> None:
    alone = rota(A="Thu 12:00")
    for hours in range(0, 400, 5):
        now = at("2026-11-02 00:00") + timedelta(hours=hours)
        assert on_call(alone, BERLIN, now) == "A"
        assert next_hand_over(alone, BERLIN, now) > now


def test_the_next_hand_over_is_when_somebody_else_takes_over() -> None:
    weekly = (*WEEK, HandOver.model_validate({"from": "Tue 08:00", "person": "A"}))
    assert next_hand_over(weekly, BERLIN, at("2026-11-02 09:00")) == at("2026-11-04 17:30")
    assert next_hand_over(weekly, BERLIN, at("2026-11-04 17:30")) == at("2026-11-07 00:00")


def test_everybody_has_a_turn_beginning_with_who_is_on_call() -> None:
    people = ("Z", "C", "B", "A")
    assert in_turn(WEEK, BERLIN, at("2026-11-05 09:00"), people) == ["B", "C", "A", "Z"]


def test_of_two_hand_overs_at_one_time_the_later_in_the_file_counts() -> None:
    assert on_call(rota(Z="Mon 08:00", A="Mon 08:00"), BERLIN, at("2026-11-02 08:00")) == "A"
    assert on_call(rota(A="Mon 08:00", Z="Mon 08:00"), BERLIN, at("2026-11-02 08:00")) == "Z"


def test_an_hour_that_comes_twice_hands_over_the_first_time() -> None:
    weekly = rota(A="Sun 02:30", B="Mon 08:00")
    assert on_call(weekly, BERLIN, at("2026-10-25 02:29")) == "B"
    assert on_call(weekly, BERLIN, at("2026-10-25 02:30")) == "A"
    assert on_call(weekly, BERLIN, at("2026-10-25 02:10", fold=1)) == "A"


def test_an_hour_that_is_skipped_hands_over_right_after_the_gap() -> None:
    weekly = rota(A="Sun 02:30", B="Mon 08:00")
    gap = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00
    assert on_call(weekly, BERLIN, gap - timedelta(seconds=1)) == "B"
    assert on_call(weekly, BERLIN, gap) == "A"
    assert next_hand_over(weekly, BERLIN, gap - timedelta(seconds=1)) == gap


def test_a_whole_day_that_is_skipped_leaves_its_last_person_on_call() -> None:
    # Samoa had no 30 December 2011, a Friday.
    apia = ZoneInfo("Pacific/Apia")
    weekly = rota(A="Fri 08:00", B="Fri 18:00", C="Mon 08:00")
    skipped = datetime(2011, 12, 30, 10, 0, tzinfo=UTC)
    assert on_call(weekly, apia, skipped - timedelta(seconds=1)) == "C"
    assert on_call(weekly, apia, skipped) == "B"


def wall_clock_reference(
    weekly: Sequence[HandOver], zone: ZoneInfo, start: datetime, minutes: int
) -> Iterator[tuple[datetime, str]]:
    """Walk through time with a clock on the wall: who took over at the latest time it has shown."""
    now, shown = start - timedelta(days=10), LONG_AGO
    while now < start + timedelta(minutes=minutes):
        shown = max(shown, now.astimezone(zone).replace(tzinfo=None))
        if now >= start:
            yield now, _last_begun(weekly, shown)
        now += timedelta(minutes=1) if now >= start else timedelta(hours=6)


def _last_begun(weekly: Sequence[HandOver], shown: datetime) -> str:
    latest, person = LONG_AGO, ""
    for hand_over in weekly:
        day, text = hand_over.from_.split()
        back = (shown.weekday() - DAYS.index(day)) % 7
        begun = datetime.combine(shown.date() - timedelta(days=back), time.fromisoformat(text))
        if begun > shown:
            begun -= timedelta(days=7)
        if begun >= latest:
            latest, person = begun, hand_over.person
    return person


CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),  # half an hour
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Africa/Casablanca", "2026-02-15"),  # Ramadan
    ("Africa/Casablanca", "2026-03-22"),
    ("Asia/Kolkata", "2026-03-29"),  # no change at all
    ("Pacific/Apia", "2011-12-29"),  # the day before the skipped one
    ("Pacific/Apia", "2011-12-31"),
]


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_every_minute_of_a_day_the_clocks_change_has_exactly_one_person(
    name: str, day: str
) -> None:
    zone = ZoneInfo(name)
    date = datetime.fromisoformat(day)
    here, before = DAYS[date.weekday()], DAYS[date.weekday() - 1]
    weekly = rota(
        A=f"{before} 20:00",
        B=f"{here} 00:00",
        C=f"{here} 01:45",
        D=f"{here} 02:00",
        E=f"{here} 02:15",
        F=f"{here} 03:00",
        G=f"{here} 12:00",
    )
    start = date.replace(tzinfo=zone).astimezone(UTC)
    previous = None
    for now, person in wall_clock_reference(weekly, zone, start, 26 * 60):
        assert on_call(weekly, zone, now) == person, now
        if previous is not None and previous[1] != person:
            assert next_hand_over(weekly, zone, previous[0]) <= now
        previous = (now, person)
