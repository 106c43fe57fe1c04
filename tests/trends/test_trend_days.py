"""Trends by day: what is kept of each, whatever came in which order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from qa_daemon.model import Verdict
from qa_daemon.store import trend_days
from qa_daemon.store.trend_series import SeriesName
from tests.store.stores import TestStore

ZONE = ZoneInfo("Europe/Berlin")
NAME = SeriesName("TB1", "mlc_positions", "largest_error")
NOON = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)


def _save(
    made: TestStore,
    number: float,
    at: datetime = NOON,
    name: str = "",
    energy: str | None = None,
    technique: str | None = None,
) -> int:
    file = made.arrive(name or f"{number}{at}{energy}.bin")
    result = made.judge(file, number, at=at, energy=energy, technique=technique)
    assert result is not None
    return result


def _look(made: TestStore, *results: int) -> None:
    found = made.queries.results_of(results)
    trend_days.rebuild(made.store, trend_days.days_touched(made.store, found, ZONE), ZONE)


def test_a_day_has_its_lowest_middle_and_highest_value_and_its_worst_result(
    tmp_path: Path,
) -> None:
    made = TestStore(tmp_path)
    values = [0.2, 0.7, 0.3, 0.1]
    ids = [_save(made, v, NOON + timedelta(minutes=k)) for k, v in enumerate(values)]
    _look(made, *ids)
    (day,) = trend_days.days_of(made.store, NAME)
    assert (day.day, day.n) == (date(2026, 3, 1), 4)
    assert (day.lowest, day.median, day.highest) == (0.1, pytest.approx(median(values)), 0.7)
    assert (day.verdict, day.result) == (Verdict.TOLERANCE, ids[1])
    assert (day.limits.tolerance_high, day.limits.action_high, day.unit) == (0.5, 1.0, "mm")


def test_looked_at_twice_and_out_of_order_it_is_the_same(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    ids = [_save(made, v, NOON + timedelta(minutes=k)) for k, v in enumerate((0.2, 0.4))]
    for order in ([ids[1]], [ids[0], ids[1]], [ids[1], ids[0]]):
        _look(made, *order)
        (day,) = trend_days.days_of(made.store, NAME)
        assert (day.n, day.median) == (2, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 3, 1, 22, 59, 59, tzinfo=UTC), date(2026, 3, 1)),
        (datetime(2026, 3, 1, 23, 0, 0, tzinfo=UTC), date(2026, 3, 2)),
        # The clocks go forward on 29 March: that day has 23 hours.
        (datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 0, 0, tzinfo=UTC), date(2026, 3, 30)),
    ],
)
def test_days_are_those_of_the_clinic(tmp_path: Path, at: datetime, day: date) -> None:
    made = TestStore(tmp_path)
    _look(made, _save(made, 0.2, at))
    assert [d.day for d in trend_days.days_of(made.store, NAME)] == [day]


def test_energies_are_series_of_their_own(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    _look(made, _save(made, 0.2, energy="6 MV"), _save(made, 0.3, energy="15 MV"))
    names = trend_days.series_of(made.store, "TB1", "mlc_positions", "largest_error")
    assert [name.energy for name in names] == ["15 MV", "6 MV"]
    assert [trend_days.days_of(made.store, name)[0].median for name in names] == [0.3, 0.2]


def test_techniques_are_series_of_their_own(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    ids = [_save(made, 0.2, name=f"{word}.bin", technique=word) for word in ("vmat", "static")]
    _look(made, *ids)
    names = trend_days.series_of(made.store, "TB1", "mlc_positions", "largest_error")
    assert [name.technique for name in names] == ["static", "vmat"]
    assert names[0].said == "static"


def test_a_result_that_moved_to_another_day_leaves_none_behind(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    _look(made, _save(made, 0.2, NOON, "a.bin"))
    _look(made, _save(made, 0.2, NOON + timedelta(days=2), "a.bin"))
    assert [d.day for d in trend_days.days_of(made.store, NAME)] == [date(2026, 3, 3)]


def test_a_span_has_its_days_only(tmp_path: Path) -> None:
    made = TestStore(tmp_path)
    _look(made, *(_save(made, 0.2, NOON + timedelta(days=k)) for k in range(5)))
    found = trend_days.days_of(made.store, NAME, date(2026, 3, 2), date(2026, 3, 4))
    assert [d.day.day for d in found] == [2, 3, 4]
