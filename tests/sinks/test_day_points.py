"""Each leaf's worst of the day and the service events, as lines; the worst reckoned in the test."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from qa_daemon.model import AnalysisReport, LeafNumbers, Value
from qa_daemon.sinks.day_points import DayPoints
from qa_daemon.sinks.points import lines_of
from qa_daemon.store import service_events
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.service_events import EventKind, ServiceEvent
from tests.alerts.clinic import CANARY, MORNING, Clinic

Numbers = tuple[float | None, ...]


def leaves(
    mean_mm: Numbers,
    shapes: Numbers | None = None,
    names: tuple[str, ...] = ("A1", "28B9"),
    analyzer: str = "leaf_trust",
) -> AnalysisReport:
    columns: dict[str, Numbers] = {"mean_error_mm": mean_mm, "samples": (50.0,) * len(mean_mm)}
    if shapes is not None:
        columns["shapes_field"] = shapes
    return AnalysisReport(
        analyzer=analyzer,
        version="1",
        values=(Value(metric="counted_leaves", value=1.0, unit="1"),),
        leaves=LeafNumbers(leaves=names, columns=columns),
    )


def put(clinic: Clinic, said: AnalysisReport, minutes: float = 0.0) -> StoredResult:
    result = clinic.queries.result(clinic.put(said, minutes=minutes))
    assert result is not None
    return result


def of(clinic: Clinic, *results: StoredResult, with_leaves: bool = True) -> list[str]:
    return DayPoints(clinic.site, clinic.store, with_leaves=with_leaves).lines(results)


def noon_ns(days: int = 0) -> int:
    """Noon in Berlin of the day of `MORNING`, in winter."""
    day = datetime.fromisoformat("2026-11-02T12:00:00+01:00") + timedelta(days=days)
    return int(day.timestamp()) * 10**9


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


def test_a_leaf_has_one_point_a_day_the_worst_with_its_sign(clinic: Clinic) -> None:
    put(clinic, leaves((0.125, -0.5)))
    second = put(clinic, leaves((-0.25, 0.375)), minutes=60)
    tags = r"machine=TB1,site=Sample\ Clinic"
    assert of(clinic, second) == [
        rf"qa_leaf,analyzer=leaf_trust,leaf=A01,{tags} mean_error_mm=-0.25 {noon_ns()}",
        rf"qa_leaf,analyzer=leaf_trust,leaf=28B09,{tags} mean_error_mm=-0.5 {noon_ns()}",
    ]


def test_a_leaf_counts_only_where_it_shaped_the_field(clinic: Clinic) -> None:
    put(clinic, leaves((9.0, 9.0), shapes=(0.0, 0.0)))
    second = put(clinic, leaves((0.5, 9.0), shapes=(1.0, 0.0)), minutes=60)
    (line,) = of(clinic, second)
    assert "leaf=A01" in line and "mean_error_mm=0.5 " in line


def test_a_leaf_without_a_number_has_no_point(clinic: Clinic) -> None:
    (line,) = of(clinic, put(clinic, leaves((None, 1.0))))
    assert "leaf=28B09" in line


def test_days_are_the_clinic_s_own(clinic: Clinic) -> None:
    """23:30 in Berlin is this day, 00:30 the next, though both are one day of UTC."""
    late = put(clinic, leaves((1.0, 1.0)), minutes=(23 - 9) * 60 + 16)
    early = put(clinic, leaves((2.0, 2.0)), minutes=(24 - 9) * 60 + 16)
    assert [line.split(" ")[-1] for line in of(clinic, late)] == [str(noon_ns())] * 2
    assert [line.split(" ")[-1] for line in of(clinic, early)] == [str(noon_ns(1))] * 2
    assert all("mean_error_mm=1 " in line for line in of(clinic, late))


def test_a_superseded_result_counts_no_more(clinic: Clinic) -> None:
    file = clinic.file()
    clinic.put(leaves((9.0, 9.0)), file=file)
    result = clinic.queries.result(clinic.put(leaves((1.0, 1.0)), file=clinic.judge_again(file)))
    assert result is not None
    assert all("mean_error_mm=1 " in line for line in of(clinic, result))


def test_a_site_may_do_without_leaves(clinic: Clinic) -> None:
    assert of(clinic, put(clinic, leaves((1.0, 1.0))), with_leaves=False) == []


def event(days: float = 0.0, kind: EventKind = EventKind.REPAIR) -> ServiceEvent:
    at = int((MORNING + timedelta(days=days)).timestamp()) * 10**9
    return ServiceEvent("TB1", kind, f"{CANARY} said", at, None)


def test_events_go_with_the_next_result_and_say_nothing_that_was_typed(clinic: Clinic) -> None:
    service_events.enter(clinic.store, [event(-200.0)], "a person")
    days = DayPoints(clinic.site, clinic.store, with_leaves=True)
    result = put(clinic, leaves((None, None)))
    assert days.lines([result]) == [
        r"qa_event,analyzer=all,kind=repair,machine=TB1,site=Sample\ Clinic in_force=1i "
        f"{event(-200.0).point_ns}"
    ]
    assert days.lines([result])  # nobody said that the server has it
    days.sent()
    assert days.lines([result]) == []
    service_events.enter(clinic.store, [event(-100.0)], "a person")
    assert len(days.lines([result])) == 2


def test_an_event_near_a_result_is_sent_again_for_a_replay(clinic: Clinic) -> None:
    service_events.enter(clinic.store, [event(-5.0), event(-200.0)], "a person")
    days = DayPoints(clinic.site, clinic.store, with_leaves=True)
    result = put(clinic, leaves((None, None)))
    days.lines([result])
    days.sent()
    (line,) = days.lines([result])
    assert line.endswith(str(event(-5.0).point_ns))


def test_a_withdrawn_event_is_taken_back_unless_entered_again(clinic: Clinic) -> None:
    days = DayPoints(clinic.site, clinic.store, with_leaves=True)
    result = put(clinic, leaves((None, None)))
    service_events.enter(clinic.store, [event()], "a person")
    service_events.withdraw(clinic.store, "TB1", 1, "a person", "another machine")
    assert ["in_force=0i" in line for line in days.lines([result])] == [True]
    service_events.enter(clinic.store, [event()], "a person")
    assert ["in_force=1i" in line for line in days.lines([result])] == [True]


def test_a_batch_of_a_day_makes_each_leaf_once(clinic: Clinic) -> None:
    """Sixty deliveries of 120 leaves: a replay sends 120 points of them, not 7,200."""
    names = tuple(f"{bank}{k}" for bank in "AB" for k in range(1, 61))
    numbers = tuple(np.linspace(-1.0, 1.0, 120).tolist())
    results = [put(clinic, leaves(numbers, names=names), minutes=k) for k in range(60)]
    begin = time.perf_counter()
    lines = of(clinic, *results)
    took_s = time.perf_counter() - begin
    begin = time.perf_counter()
    own = [line for result in results for line in lines_of(result, "S")]
    own_s = time.perf_counter() - begin
    print(f"{len(lines)} leaf lines in {took_s * 1e3:.1f} ms, {len(own)} others {own_s * 1e3:.1f}")
    assert len(lines) == 120
    assert took_s < 0.25
