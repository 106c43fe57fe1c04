"""Charts of series in the store: limits that are found once, or signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from qa_daemon.store import chart_limits, service_events, trend_cuts, trend_days
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.schema import audit
from qa_daemon.store.service_events import EventKind, ServiceEvent
from qa_daemon.store.trend_series import Point, SeriesName
from qa_daemon.trends.charting import Older, laid, stretches
from tests.trends.histories import BEAM, START, History, quiet

NAME = SeriesName("SRT1", "srt_output", "output_deviation", BEAM)


def _ns(day: float) -> int:
    return service_events.instant_of(START + timedelta(days=day))


def test_limits_are_found_from_the_first_thirty_values_and_stay(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.follow(history.last)
    (found,) = chart_limits.of(history.store, NAME)
    first = quiet(60)[:30]
    assert found.center == pytest.approx(sum(first) / 30)
    assert (found.n, found.since_ns, found.signed_by) == (30, _ns(0), None)
    history.follow(history.save_all([x + 1.5 for x in quiet(20, 3)], first_day=60))
    assert chart_limits.of(history.store, NAME) == [found]
    assert sorted(s.kind for s in history.charted())[0] == "average"


def test_a_value_of_the_first_that_comes_late_is_among_them(tmp_path: Path) -> None:
    """As if they had come in time."""
    early, late = History(tmp_path / "a", empty=True), History(tmp_path / "b", empty=True)
    values = quiet(40)
    early.follow(early.save_all(values))
    late.follow(late.save_all(values[6:], first_day=6))
    late.save_all(values[:5])
    late.follow(late.save(5, values[5]))
    assert chart_limits.of(late.store, NAME)[-1] == chart_limits.of(early.store, NAME)[-1]


def test_after_an_event_limits_are_found_anew(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.follow(history.last)
    event = ServiceEvent("SRT1", EventKind.REPAIR, "tube", _ns(59.5))
    service_events.enter(history.store, [event], "A. Physicist")
    history.follow(history.save_all([x + 2.0 for x in quiet(35, 4)], first_day=60))
    before, after = chart_limits.of(history.store, NAME)
    assert (before.since_ns, after.since_ns) == (_ns(0), _ns(60))
    assert after.center == pytest.approx(2.0, abs=0.3)
    assert history.charted() == []


def test_limits_that_a_physicist_signed_hold_from_their_day_on(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.follow(history.last)
    (found,) = chart_limits.of(history.store, NAME)
    signed = replace(
        found, since_ns=_ns(40), center=-2.0, signed_by="A. Physicist", reason="as commissioned"
    )
    chart_limits.sign(history.store, NAME, signed)
    history.follow(history.last)
    assert chart_limits.in_force(chart_limits.of(history.store, NAME), _ns(39)) == found
    assert chart_limits.in_force(chart_limits.of(history.store, NAME), _ns(41)) == signed
    assert sorted(s.kind for s in history.charted()) == ["average", "beyond"]
    with history.store.read() as connection:
        actions = [row.action for row in connection.execute(audit.select())]
    assert actions[-1] == "control limits signed"


def test_of_limits_of_one_instant_the_last_that_was_signed_counts(tmp_path: Path) -> None:
    history = History(tmp_path)
    one = ChartLimits(_ns(1), 0.0, 1.0, 30, signed_by="A", reason="x")
    chart_limits.sign(history.store, NAME, one)
    chart_limits.sign(history.store, NAME, replace(one, center=1.0))
    limits = chart_limits.of(history.store, NAME)
    found = chart_limits.in_force(limits, _ns(2))
    assert found is not None
    assert found.center == 1.0
    assert chart_limits.in_force(limits, _ns(0)) is None


def test_what_was_signed_stays_when_the_first_values_go_on(tmp_path: Path) -> None:
    """Signed as they stand after 22 values; the next one changes what was found."""
    history = History(tmp_path, empty=True)
    history.follow(history.save_all(quiet(22)))
    (found,) = chart_limits.of(history.store, NAME)
    signed = replace(found, signed_by="A. Physicist", reason="as commissioned")
    chart_limits.sign(history.store, NAME, signed)
    history.follow(history.save(22, 0.3))
    limits = chart_limits.of(history.store, NAME)
    assert [one.n for one in limits] == [23, 22]
    assert chart_limits.in_force(limits, _ns(23)) == signed


OLD = ChartLimits(_ns(-900), 0.0, 0.4, 25, version="1", unit="%")
"""Found from values that are older than what signals look back on."""


def test_a_version_keeps_its_limits_when_only_the_next_is_looked_back_on(tmp_path: Path) -> None:
    history = History(tmp_path, empty=True)
    history.follow(history.save_all(quiet(25), first_day=-900))
    chart_limits.keep_found(history.store, NAME, OLD, 1)
    ids = [history.save(k, x, version="2") for k, x in enumerate(quiet(25, 2))]
    history.follow(*ids)
    before, after = chart_limits.of(history.store, NAME)
    assert before == OLD
    assert (after.since_ns, after.version) == (_ns(0), "2")


def test_limits_found_after_an_event_go_with_it_from_an_old_process(tmp_path: Path) -> None:
    history = History(tmp_path, empty=True)
    ids = [history.save(k - 900, x) for k, x in enumerate(quiet(25))]
    chart_limits.keep_found(history.store, NAME, OLD, 1)
    ids += [history.save(k, x) for k, x in enumerate(quiet(50, 5))]
    history.follow(*ids)
    assert chart_limits.of(history.store, NAME) == [OLD]
    event = ServiceEvent("SRT1", EventKind.REPAIR, "tube", _ns(24.5))
    service_events.enter(history.store, [event], "A. Physicist")
    history.follow(ids[-1])
    assert [one.since_ns for one in chart_limits.of(history.store, NAME)] == [_ns(-900), _ns(25)]
    (stored,) = service_events.every(history.store, "SRT1")
    service_events.withdraw(history.store, "SRT1", stored.id, "A. Physicist", "wrong")
    history.follow(ids[-1])
    assert chart_limits.of(history.store, NAME) == [OLD]


@pytest.mark.parametrize("changed", [{"unit": "cGy"}, {"version": "2"}])
def test_signed_limits_hold_in_their_unit_and_for_their_version_alone(
    changed: dict[str, str],
) -> None:
    """Signed while values in another unit came, which are left out; or all are judged anew."""
    points = [Point(k, _ns(k), 0.0, -3.0, 3.0, "1", "%") for k in range(9)]
    found = ChartLimits(_ns(0), 0.0, 0.4, 25, version="1", unit="%")
    signed = replace(found, since_ns=_ns(4.5), center=9.0, signed_by="A", reason="x")
    process = np.zeros(9, dtype=np.int64)
    for one, held in ((signed, [found, signed]), (replace(signed, **changed), [found])):
        made = stretches([found, one], points, process, Older(0))
        assert [stretch.limits for stretch in made] == held


def test_first_values_are_counted_from_those_that_limits_were_found_from(tmp_path: Path) -> None:
    """Values of another version before them are none of them."""
    history = History(tmp_path)
    ids = [history.save(k, x, version="2") for k, x in enumerate(quiet(40, 2), 60)]
    history.follow(*range(1, ids[-1] + 1))
    cuts, since = trend_cuts.read(history.store, "SRT1"), (START + timedelta(days=70)).date()
    (held,) = laid(
        history.store, NAME, cuts, trend_days.days_of(history.store, NAME, since)
    ).stretches
    assert (held.limits.since_ns, held.judged) == (_ns(60), 20)
