"""Trends as a part of the running service."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from qa_daemon import app
from qa_daemon.sinks.drain import Drain
from qa_daemon.store import trend_days
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.schema import outbox
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.trends.follower import TrendFollower
from tests.trends.histories import History, quiet


def test_a_result_that_makes_a_fault_is_set_aside_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path, empty=True)
    ids = [history.save(day, value) for day, value in enumerate(quiet(5))]
    history.made.results.enqueue_again("trends", ids)
    seen: list[int] = []

    def write(self: TrendFollower, results: list[object]) -> None:
        numbers = [result.id for result in results]  # type: ignore[attr-defined]
        if ids[2] in numbers:
            raise ZeroDivisionError("somebody's name")
        seen.extend(numbers)

    monkeypatch.setattr(TrendFollower, "write", write)
    follower = app._Trends(history.follower)
    Drain(history.store, Outbox(history.store, "trends"), history.made.queries, follower).drain()
    assert sorted(seen) == [ids[0], ids[1], ids[3], ids[4]]
    with history.store.read() as connection:
        (parked,) = connection.execute(select(outbox).where(outbox.c.sink == "trends")).all()
    assert (parked.result, parked.state) == (ids[2], "parked")
    assert "ZeroDivisionError" in parked.why and "name" not in parked.why


def test_of_a_long_series_the_newest_days_are_read(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.follow(*range(1, history.last + 1))
    name = SeriesName("SRT1", "srt_output", "output_deviation", "70 kV F2 A30")
    assert len(trend_days.days_of(history.store, name, most=10)) == 10
    assert trend_days.days_of(history.store, name, most=10)[-1].result == history.last
