"""Signals of series in the store: what is one process, when they open and close."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from qa_daemon.store import output_baselines, service_events, trend_signals
from qa_daemon.store.service_events import EventKind, NoSuchEvent, ServiceEvent
from tests.trends.histories import BEAM, START, History, quiet


def _event_ns(day: float) -> int:
    return service_events.instant_of(START + timedelta(days=day))


def _repair(day: float) -> ServiceEvent:
    return ServiceEvent("SRT1", EventKind.REPAIR, "tube changed", _event_ns(day))


def test_a_step_opens_a_signal_and_the_next_usual_value_closes_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert history.follow(history.last) == []
    stepped = history.save(60, 2.4)
    (signal,) = history.follow(stepped)
    assert (signal.kind, signal.result, signal.series.place) == ("step", stepped, BEAM)
    assert signal.numbers["value"] == 2.4
    assert history.follow(history.save(61, 0.1)) == []


def test_a_signal_that_comes_again_is_not_told_of_again(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.follow(history.save(60, 2.4))
    with history.store.write() as connection:
        untold = trend_signals.untold(connection)
        trend_signals.tell(connection, untold, history.store.now())
    assert len(untold) == 1
    history.follow(history.save(61, 0.1))
    assert len(history.follow(history.save(62, -2.4))) == 1
    with history.store.read() as connection:
        assert trend_signals.untold(connection) == []


def test_what_is_found_does_not_depend_on_the_order_of_arrival(tmp_path: Path) -> None:
    drift = list(0.02 * np.arange(110) + quiet(110, 5))
    told = []
    for shuffled in (False, True):
        history = History(tmp_path / str(shuffled), empty=True)
        last = history.save_all(drift, shuffled=shuffled)
        told.append([(s.kind, s.series, s.point_ns, s.numbers) for s in history.follow(last)])
    assert told[0] == told[1]
    assert [kind for kind, *_ in told[0]] == ["drift"]


def test_a_value_that_comes_late_says_nothing_of_today(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert history.follow(history.save(-30, 2.9)) == []


@pytest.mark.parametrize("other", [{"beam": "50 kV F1 A30"}, {"monthly": True}])
def test_other_processes_are_not_mixed_in(tmp_path: Path, other: dict[str, object]) -> None:
    """A value of 2.4 is a step among its own kind alone."""
    history = History(tmp_path)
    assert history.follow(history.save(60, 2.4, **other)) == []


def test_a_session_of_one_beam_is_of_the_same_process(tmp_path: Path) -> None:
    """Its result names an energy, that of a session of several beams does not."""
    history = History(tmp_path)
    assert [s.kind for s in history.follow(history.save(60, 2.4, energy="70 kV"))] == ["step"]


def test_another_version_of_the_analyzer_begins_anew(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert history.follow(history.save(60, 2.4, version="2")) == []


def test_beams_of_one_session_are_looked_at_together(tmp_path: Path) -> None:
    """A step of both stands at the unit, one of a single beam at that beam, told once."""
    history = History(tmp_path, empty=True)
    other = "50 kV F1 A30"
    both = list(zip(quiet(40), quiet(40, 2), strict=True))
    for day, (one, two) in enumerate(both):
        history.session(day, {BEAM: one + 0.2 * two, other: one - 0.2 * two})
    stepped = history.session(40, {BEAM: 2.4, other: 2.4})
    (signal,) = history.follow(stepped)
    assert (signal.kind, signal.series.place, signal.result) == ("step", "", stepped)
    (signal,) = history.follow(history.session(41, {BEAM: 0.0, other: 2.8}))
    assert (signal.kind, signal.series.place) == ("step", other)
    assert history.follow(history.session(42, {BEAM: 0.1, other: 0.1})) == []


def test_an_event_begins_anew_and_its_withdrawal_takes_that_back(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.save_all([x + 2.5 for x in quiet(5, 2)], first_day=60)
    stepped = history.save(65, 2.6)
    assert [s.kind for s in history.follow(stepped)] == ["step"]
    assert service_events.enter(history.store, [_repair(59.5)], "A. Physicist") == 1
    assert service_events.enter(history.store, [_repair(59.5)], "A. Physicist") == 0
    assert history.follow(stepped) == []
    (stored,) = service_events.every(history.store, "SRT1")
    service_events.withdraw(history.store, "SRT1", stored.id, "A. Physicist", "wrong unit")
    assert [s.kind for s in history.follow(stepped)] == ["step"]
    with pytest.raises(NoSuchEvent):
        service_events.withdraw(history.store, "SRT1", stored.id, "A. Physicist", "again")


def test_an_event_of_another_test_cuts_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    last = history.save(60, 2.6)
    event = ServiceEvent("SRT1", EventKind.PART, "new leaf", _event_ns(59.5), "mlc_positions")
    service_events.enter(history.store, [event], "A. Physicist")
    assert [s.kind for s in history.follow(last)] == ["step"]


def test_after_a_new_baseline_no_deviation_is_what_is_expected(tmp_path: Path) -> None:
    """Two values after it are few, yet 2.4 % off a baseline just signed is not as usual."""
    history = History(tmp_path, empty=True)
    history.save_all([x + 1.5 for x in quiet(60)])
    _sign(history, 59)
    assert history.follow(history.save(60, 0.1), history.save(61, -0.2)) == []
    (signal,) = history.follow(history.save(62, 2.4))
    assert signal.kind == "step"
    assert signal.numbers["usual"] == pytest.approx((0.1 - 0.2) / 6.0)


def test_the_check_that_a_baseline_was_signed_on_is_of_before(tmp_path: Path) -> None:
    history = History(tmp_path)
    stepped = history.save(60, 2.4)
    _sign(history, 60)
    assert [s.kind for s in history.follow(stepped)] == ["step"]


def test_of_a_series_that_is_gone_no_signal_stays(tmp_path: Path) -> None:
    history = History(tmp_path)
    stepped = history.save(60, 2.4)
    (signal,) = history.follow(stepped)
    history.save(60, 0.0)  # the same file again: it takes the place of the other
    assert history.follow(stepped) == []
    assert signal.result == stepped


def _sign(history: History, day: int) -> None:
    """A baseline on the day's check, as `sign` writes it, without an output to sign."""
    from sqlalchemy import insert

    from qa_daemon.store.schema import output_baselines as table

    with history.store.write() as connection:
        connection.execute(
            insert(table).values(
                machine="SRT1",
                beam=BEAM,
                to_water=False,
                gy_per_min=4.79,
                since=(START + timedelta(days=day)).isoformat(),
                actor="A. Physicist",
                reason="test",
                at=history.store.now(),
            )
        )
    assert output_baselines.every(history.store, "SRT1")
