"""Leaves over days of more than one process: what is drawn, and what alone is ranked."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import insert

from dashboards.figures import GridPanel
from qa_daemon.store import service_events
from qa_daemon.store.leaf_medians import quantities_of
from qa_daemon.store.schema_trends import leaf_days
from qa_daemon.store.service_events import EventKind, ServiceEvent
from tests.dashboards.clinic import NOW, Clinic
from tests.dashboards.serving import Served, serving
from tests.dashboards.visiting import Visitor

TODAY = NOW.date()
NAMES = tuple(f"{bank}{k}" for bank in "AB" for k in range(1, 11))
WEARING = "B4"
DAYS = 90


@dataclass(frozen=True, slots=True)
class Process:
    """Which deliveries rows are of."""

    machine: str = "TB1"
    technique: str = "vmat"
    energy: str = "6 MV"
    version: str = "1"
    leaves: tuple[str, ...] = NAMES


def _ns(day: date, hour: int) -> int:
    return int(datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()) * 10**9


def _row(of: Process, day: date, values: Sequence[float]) -> dict[str, object]:
    """A day's medians, of deliveries made from 7 to 15 o'clock UTC."""
    return {
        "machine": of.machine,
        "analyzer": "leaf_trust",
        "technique": of.technique,
        "energy": of.energy,
        "version": of.version,
        "day": day.isoformat(),
        "since_ns": _ns(day, 7),
        "point_ns": _ns(day, 15),
        "n": 3,
        "leaves": json.dumps(of.leaves),
        "quantities": '["rms_error_mm"]',
        "numbers": np.array(values, dtype="<f4").tobytes(),
    }


def _fill(clinic: Clinic, of: Process, first: int, last: int, wear_mm: float = 0.0) -> None:
    """Days `first` to `last` before today, both included; one leaf wears so much a day."""
    rows = []
    for ago in range(first, last - 1, -1):
        values = 0.03 + np.random.default_rng(1000 + ago).normal(0.0, 0.001, len(of.leaves))
        if WEARING in of.leaves:
            values[of.leaves.index(WEARING)] += wear_mm * (first - ago)
        rows.append(_row(of, TODAY - timedelta(days=ago), values))
    with clinic.store.write() as connection:
        connection.execute(insert(leaf_days), rows)


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, Served]]:
    clinic = Clinic(tmp_path_factory.mktemp("clinic"))
    _fill(clinic, Process(), DAYS, 0, wear_mm=0.0011)
    _fill(clinic, Process(technique="static"), 20, 0)
    _fill(clinic, Process("TB2"), 89, 0, wear_mm=0.0)
    _fill(clinic, Process("TB2", version="2"), 9, 0)
    _fill(clinic, Process("TB2"), -2, -4)  # of a clock that is ahead
    _fill(clinic, Process("TB3", leaves=NAMES[:8]), 60, 31)
    _fill(clinic, Process("TB3"), 30, 0, wear_mm=0.003)
    with serving(clinic) as served:
        yield clinic, served


def _page(served: Served, machine: str, more: str = "") -> str:
    return Visitor(served).get(f"/leaves?machine={machine}{more}").text


def _said(page: str) -> dict[str, str]:
    rows = re.findall(r'<th scope="row">(\w+)</th>(.*?)</tr>', page, re.S)
    return {name: re.sub(r"<[^>]+>", " ", row) for name, row in rows}


def _shape(served: Served, machine: str, more: str = "") -> list[int]:
    (trace,) = json.loads(Visitor(served).get(f"/leaves.json?machine={machine}{more}").text)["data"]
    return [int(n) for n in trace["z"]["shape"].split(",")]


def _enter(clinic: Clinic, day: date, hour: int, analyzer: str | None = None) -> int:
    """An event of TB1; its number."""
    event = ServiceEvent("TB1", EventKind.PART, "motor", _ns(day, hour), analyzer)
    assert service_events.enter(clinic.store, [event], "Physicist A") == 1
    return max(stored.id for stored in service_events.every(clinic.store, "TB1"))


def _withdraw(clinic: Clinic, event: int) -> None:
    service_events.withdraw(clinic.store, "TB1", event, "Physicist A", "entered twice")


def test_a_wearing_leaf_is_announced_until_its_motor_was_replaced(
    worn: tuple[Clinic, Served],
) -> None:
    clinic, served = worn
    assert "reaches" in _said(_page(served, "TB1"))[WEARING]
    for analyzer in (None, "leaf_trust", "mlc_positions"):
        event = _enter(clinic, TODAY - timedelta(days=5), 20, analyzer)
        page = _page(served, "TB1")
        assert not any("reaches" in said for said in _said(page).values())
        assert "Ranked: 5 days since the service event of 2026-02-25" in page
        assert "Too few for a line" in page
        _withdraw(clinic, event)
        assert "reaches" in _said(_page(served, "TB1"))[WEARING]
    event = _enter(clinic, TODAY - timedelta(days=5), 20, "srt_output")
    assert "reaches" in _said(_page(served, "TB1"))[WEARING]
    _withdraw(clinic, event)


@pytest.mark.parametrize(("hour", "days"), [(5, 6), (7, 5), (12, 5), (15, 5), (16, 5)])
def test_a_day_is_ranked_whose_deliveries_were_all_made_after_the_event(
    worn: tuple[Clinic, Served], hour: int, days: int
) -> None:
    clinic, served = worn
    event = _enter(clinic, TODAY - timedelta(days=5), hour)
    assert f"Ranked: {days} days since the service event" in _page(served, "TB1")
    _withdraw(clinic, event)


def test_right_after_an_event_nothing_is_ranked(worn: tuple[Clinic, Served]) -> None:
    clinic, served = worn
    event = _enter(clinic, TODAY, 8)
    page = _page(served, "TB1")
    assert "Nothing is ranked" in page
    assert _said(page) == {}
    assert _shape(served, "TB1") == [len(NAMES), DAYS + 1]
    _withdraw(clinic, event)


def test_events_are_lines_on_the_map(worn: tuple[Clinic, Served]) -> None:
    clinic, served = worn
    visitor = Visitor(served)
    assert json.loads(visitor.get("/leaves.json?machine=TB1").text)["layout"]["shapes"] == []
    event = _enter(clinic, TODAY - timedelta(days=5), 12)
    layout = json.loads(visitor.get("/leaves.json?machine=TB1").text)["layout"]
    (line,) = layout["shapes"]
    # 12 o'clock UTC is 13 o'clock at the clinic; charts know no zones.
    assert line["x0"] == line["x1"] == _ns(TODAY - timedelta(days=5), 13) / 1e6
    assert "part changed" in [note["text"] for note in layout["annotations"]]
    assert "part changed</text>" in visitor.get("/leaves.svg?machine=TB1").text
    _withdraw(clinic, event)


def test_techniques_are_chosen_and_the_one_with_the_most_days_is_first(
    worn: tuple[Clinic, Served],
) -> None:
    _, served = worn
    page = _page(served, "TB1")
    assert re.findall(r">(\w+, 6 MV)</a>", page) == ["vmat, 6 MV", "static, 6 MV"]
    assert re.search(r'aria-current="true">vmat, 6 MV', page)
    static = "&technique=static&energy=6+MV"
    assert static in page.replace("&amp;", "&")
    page = _page(served, "TB1", static)
    assert WEARING not in [name for name, said in _said(page).items() if "reaches" in said]
    assert _shape(served, "TB1", static) == [len(NAMES), 21]
    assert Visitor(served).get("/leaves.json?machine=TB1&technique=arc").status == 404
    assert "No leaf has a number" in _page(served, "TB1", "&technique=")


def test_one_version_alone_is_ranked_and_days_to_come_are_not_drawn(
    worn: tuple[Clinic, Served],
) -> None:
    _, served = worn
    page = _page(served, "TB2")
    assert "Ranked: 10 days, 2026-02-21 to 2026-03-02, version 2 of the analyzer" in page
    assert _shape(served, "TB2") == [len(NAMES), 90]
    layout = json.loads(Visitor(served).get("/leaves.json?machine=TB2").text)["layout"]
    assert "version 2" in [note["text"] for note in layout["annotations"]]


def test_an_mlc_with_other_leaves_is_another(worn: tuple[Clinic, Served]) -> None:
    _, served = worn
    page = _page(served, "TB3")
    assert "Ranked: 31 days" in page
    assert "30 days of an MLC with other leaves are left out." in page
    assert _shape(served, "TB3") == [len(NAMES), 31]
    assert _shape(served, "TB3", "&days=20") == [len(NAMES), 21]


def test_the_ranking_is_the_same_whatever_the_map_shows(worn: tuple[Clinic, Served]) -> None:
    _, served = worn
    assert _said(_page(served, "TB1", "&days=7")) == _said(_page(served, "TB1", "&days=3653"))


def test_the_map_as_a_table(worn: tuple[Clinic, Served]) -> None:
    _, served = worn
    answer = Visitor(served).get("/leaves.csv?machine=TB1&days=10")
    head, *rows = answer.text.split("\r\n")[:-1]
    assert answer.headers["content-type"].startswith("text/csv")
    assert head.split(",") == ["day", *(f"leaf {name} / mm" for name in NAMES)]
    assert [row.split(",")[0] for row in rows] == [
        str(TODAY - timedelta(days=ago)) for ago in range(10, -1, -1)
    ]
    newest = 0.03 + np.random.default_rng(1000).normal(0.0, 0.001, len(NAMES))
    newest[NAMES.index(WEARING)] += 0.0011 * DAYS
    assert [float(v) for v in rows[-1].split(",")[1:]] == pytest.approx(newest, rel=1e-6)


def test_labels_stay_inside_and_off_one_another() -> None:
    marks = [(0.0, "a"), (0.5, "b"), (2.0, "c"), (9.6, "d"), (9.7, "e")]
    x = np.arange(0.5, 10.0)
    panel = GridPanel("", "", np.zeros((1, 10)), x, x[:1], (), 0, 1, marks=marks, column_ms=1.0)
    assert panel.x_edges == pytest.approx(np.arange(11.0))
    assert panel.labels == [("a", False), ("", False), ("c", False), ("d", True), ("", True)]


def test_ten_years_of_160_leaves_are_drawn_in_bounds(worn: tuple[Clinic, Served]) -> None:
    clinic, served = worn
    names = tuple(f"{bank}{k}" for bank in "AB" for k in range(1, 81))
    _fill(clinic, Process("TB1", "arc", leaves=names), 3652, 0)
    visitor = Visitor(served)
    query = "machine=TB1&days=3653&technique=arc"
    begun = time.perf_counter()
    answers = [visitor.get(f"/leaves{kind}?{query}") for kind in (".json", ".svg", "")]
    elapsed_s = time.perf_counter() - begun
    assert [answer.status for answer in answers] == [200, 200, 200]
    (trace,) = json.loads(answers[0].text)["data"]
    shape = [int(n) for n in trace["z"]["shape"].split(",")]
    drawn = np.frombuffer(base64.b64decode(trace["z"]["bdata"]), "<f4").reshape(shape)
    assert shape[0] == 160
    assert not np.isnan(drawn).any()
    assert max(len(answer.text) for answer in answers) < 600_000
    assert elapsed_s < 5.0
    assert quantities_of(clinic.store, "TB1", "leaf_trust") == ("rms_error_mm",)
