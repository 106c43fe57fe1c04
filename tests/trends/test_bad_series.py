"""Series with faults in them: no signal without a cause, whatever came in which order."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from qa_daemon.store import chart_limits, service_events, trend_days, trend_signals
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.schema import measurements
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.store.trend_signals import StoredSignal
from qa_daemon.trends.follower import TrendFollower
from tests.store.stores import NOW, TestStore

NAME = SeriesName("TB1", "mlc_positions", "largest_error")
ZONE = ZoneInfo("Europe/Berlin")
DAYS = 50


class Machine:
    """Results of one linac, about the clock of the store."""

    def __init__(self, folder: Path) -> None:
        self.made = TestStore(folder)
        self.follower = TrendFollower(self.made.store, [("mlc_positions", "largest_error")], ZONE)
        self._count = itertools.count()

    def save(
        self, number: float, days_ago: float, name: str = "", technique: str | None = None
    ) -> int:
        at = NOW - timedelta(days=days_ago)
        file = self.made.arrive(name or f"{next(self._count)}.bin")
        result = self.made.judge(file, number, at=at, technique=technique)
        assert result is not None
        return result

    def follow(self, *results: int) -> list[StoredSignal]:
        self.follower.write(self.made.queries.results_of(results))
        return trend_signals.open_of(self.made.store, "TB1")

    def days(self) -> list[trend_days.TrendDay]:
        return trend_days.days_of(self.made.store, NAME)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@cache
def _steady_store() -> bytes:
    """Fifty steady days, looked at; made once."""
    with TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        noise = np.random.default_rng(1).normal(0.2, 0.01, DAYS)
        ids = [machine.save(float(v), DAYS - k + 0.3, f"steady{k}") for k, v in enumerate(noise)]
        assert machine.follow(*ids) == []
        machine.made.store.close()
        with closing(sqlite3.connect(Path(folder, "store.sqlite3"))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(folder, "store.sqlite3").read_bytes()


@pytest.fixture
def steady(tmp_path: Path) -> Machine:
    """After fifty steady days."""
    Path(tmp_path, "store.sqlite3").write_bytes(_steady_store())
    return Machine(tmp_path)


def _event(days_ago: float) -> ServiceEvent:
    at = service_events.instant_of(NOW - timedelta(days=days_ago))
    return ServiceEvent("TB1", EventKind.CALIBRATION, "leaves calibrated", at)


def test_a_real_step_of_a_linac_speaks(steady: Machine) -> None:
    """Without it, silence below would prove nothing."""
    assert "step" in {s.kind for s in steady.follow(steady.save(0.46, 0.3))}


def test_one_value_and_equal_values_say_nothing(machine: Machine) -> None:
    assert machine.follow(machine.save(0.3, 60.0)) == []
    assert machine.follow(*(machine.save(0.3, 40.0 - k) for k in range(40))) == []


def test_a_gap_says_nothing(steady: Machine) -> None:
    early = [steady.save(float(v), 500.0 - k) for k, v in enumerate(np.full(5, 0.2))]
    assert steady.follow(*early, steady.save(0.2, 0.1)) == []


def test_a_file_that_comes_twice_counts_once(steady: Machine) -> None:
    steady.follow(steady.save(0.2, 0.3, "same.bin"))
    assert steady.follow(steady.save(0.2, 0.3, "same.bin")) == []
    assert steady.days()[-1].n == 1


def test_a_clock_that_jumped_ahead_stops_no_trend(steady: Machine) -> None:
    """A value dated ten years ahead would be the newest for ten years."""
    assert steady.follow(steady.save(0.45, -3650.0)) == []
    assert "step" in {s.kind for s in steady.follow(steady.save(0.46, 0.3))}
    assert "step" not in {s.kind for s in steady.follow(steady.save(0.2, -0.9))}


def test_a_clock_that_jumped_back_says_nothing_of_today(steady: Machine) -> None:
    assert steady.follow(steady.save(0.46, 4000.0), steady.save(0.46, 20.4)) == []


def test_values_in_another_unit_are_on_no_line_with_the_others(steady: Machine) -> None:
    """The same numbers in centimeters, until the newest ones."""
    with steady.made.store.write() as connection:
        connection.execute(measurements.update().values(unit="cm"))
    steady.follow(*(r.id for r in steady.made.queries.results_since(limit=100)))
    (of_cm,) = chart_limits.of(steady.made.store, NAME)
    assert of_cm.unit == "cm"
    assert steady.follow(steady.save(0.46, 0.3)) == []
    assert {day.unit for day in steady.days()} == {"cm", "mm"}


def test_units_of_one_day_are_rows_of_their_own(machine: Machine) -> None:
    first = machine.save(2.0, 1.3)
    with machine.made.store.write() as connection:
        connection.execute(measurements.update().values(unit="cm"))
    machine.follow(first, machine.save(0.4, 1.2))
    assert [(day.unit, day.median) for day in machine.days()] == [
        ("cm", pytest.approx(2.0)),
        ("mm", pytest.approx(0.4)),
    ]


def test_the_day_of_an_event_is_cut_where_it_was(machine: Machine) -> None:
    """Entered before or after the values came; its withdrawal makes one day of it again."""
    before = [machine.save(v, 2.0 + k / 100) for k, v in enumerate((0.4, 0.42, 0.41))]
    after = machine.save(0.1, 1.9)
    machine.follow(*before, after)
    assert [day.n for day in machine.days()] == [4]
    service_events.enter(machine.made.store, [_event(1.95)], "A. Physicist")
    _drain(machine)
    assert [(day.n, day.median) for day in machine.days()] == [
        (3, pytest.approx(0.41)),
        (1, pytest.approx(0.1)),
    ]
    (stored,) = service_events.every(machine.made.store, "TB1")
    service_events.withdraw(machine.made.store, "TB1", stored.id, "A. Physicist", "wrong")
    _drain(machine)
    assert [day.n for day in machine.days()] == [4]


def test_an_event_lets_its_machine_be_looked_at_once_more(steady: Machine) -> None:
    assert steady.follow(steady.save(0.46, 0.3)) != []
    service_events.enter(steady.made.store, [_event(0.4)], "A. Physicist")
    _drain(steady)
    assert trend_signals.open_of(steady.made.store, "TB1") == []


def test_an_event_reaches_a_series_that_is_older_than_many_results_of_others(
    machine: Machine,
) -> None:
    """A check every third day, and after the last one a week of many deliveries."""
    noise = np.random.default_rng(1).normal(0.2, 0.01, 30)
    rare = [machine.save(float(v), 100 - 3 * k, technique="static") for k, v in enumerate(noise)]
    stepped = machine.save(0.46, 9.0, technique="static")
    others = [machine.save(0.2 + 0.01 * (k % 3), 6 - k / 12, technique="vmat") for k in range(60)]
    assert "step" in {s.kind for s in machine.follow(*rare, stepped, *others)}
    service_events.enter(machine.made.store, [_event(11.5)], "A. Physicist")
    _drain(machine)
    assert trend_signals.open_of(machine.made.store, "TB1") == []


def test_a_file_that_becomes_a_copy_of_another_leaves_the_trend(steady: Machine) -> None:
    """Its result is superseded by one that is there already, and that nobody saves anew."""
    stepped = steady.save(0.46, 0.3, "one.bin")
    assert steady.follow(stepped) != []
    newest = steady.days()[-1].day
    steady.made.arrive("one.bin", f"steady{DAYS - 1}")
    _drain(steady)
    assert trend_signals.open_of(steady.made.store, "TB1") == []
    assert steady.days()[-1].day < newest


def test_what_is_asked_for_again_while_it_is_taken_is_not_lost(machine: Machine) -> None:
    outbox = Outbox(machine.made.store, "trends")
    result = machine.save(0.2, 1.0)
    machine.made.results.enqueue_again("trends", [result])
    taken = outbox.pending(10)
    machine.made.results.enqueue_again("trends", [result])
    outbox.done(taken)
    assert [item.result for item in outbox.pending(10)] == [result]


def test_a_result_that_moved_to_another_series_leaves_no_signal(steady: Machine) -> None:
    stepped = steady.save(0.46, 0.3, "one.bin")
    assert steady.follow(stepped) != []
    assert steady.follow(steady.save(0.46, 0.3, "one.bin", technique="vmat")) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_signals_and_limits_do_not_depend_on_the_order_of_arrival(
    tmp_path: Path, seed: int
) -> None:
    """Values, an event and a step, one by one in order, and shuffled in parts."""
    values = np.random.default_rng(4).normal(0.2, 0.01, DAYS)
    values[25:] += 0.1
    values[-1] = 0.47
    found = []
    for shuffled in (False, True):
        machine = Machine(tmp_path / str(shuffled))
        order = list(range(DAYS))
        if shuffled:
            np.random.default_rng(seed).shuffle(order)
        for part in np.split(np.array(order), 10):
            if 17 in part:
                service_events.enter(machine.made.store, [_event(25.4)], "A. Physicist")
            machine.follow(*(machine.save(float(values[k]), DAYS - k + 0.3) for k in part.tolist()))
        _drain(machine)
        signals = trend_signals.open_of(machine.made.store, "TB1")
        limits = chart_limits.of(machine.made.store, NAME)
        days = [(d.day, d.n, d.median, d.point_ns) for d in machine.days()]
        now = [c for c in limits if c.since_ns > _event(25.4).point_ns]
        found.append((sorted((s.kind, s.point_ns, str(s.numbers)) for s in signals), days, now))
    assert found[0] == found[1]
    assert "step" in {kind for kind, *_ in found[0][0]}


def _drain(machine: Machine) -> None:
    """What the service does with the outbox."""
    outbox = Outbox(machine.made.store, "trends")
    items = outbox.pending(1000)
    machine.follow(*(item.result for item in items))
    outbox.done(items)
