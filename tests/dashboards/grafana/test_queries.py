"""Every query of every panel against a real InfluxDB 1.x: its rows are those of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzers import catalogue
from dashboards.grafana.dashboard import EVENTS
from dashboards.grafana.subjects import every_dashboard
from qa_daemon.sinks.drain import Drain
from qa_daemon.sinks.influx import InfluxSink
from qa_daemon.site.site import without_file
from tests.dashboards.grafana import queries
from tests.dashboards.grafana.whole_store import DAYS, FIRST, MACHINES, Row, WholeStore, rows_of
from tests.servers import InfluxServer, influx_server

pytestmark = pytest.mark.xdist_group("grafana")
START_NS = int(FIRST.timestamp()) * 10**9
SPAN_NS = (START_NS - 10**9 * 86400, START_NS + DAYS * 86400 * 10**9)
ASKED: set[tuple[object, ...]] = set()
EVERYTHING = {"site": ["Sample Clinic"], "machine": list(MACHINES)}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InfluxServer, WholeStore]]:
    folder = tmp_path_factory.mktemp("grafana")
    server = folder / "influx"
    server.mkdir()
    with influx_server(server) as influx:
        influx.query("CREATE DATABASE qa")
        filled = WholeStore(folder, influx.url)
        sink = InfluxSink(filled.site, filled.store)
        Drain(filled.store, filled.box, filled.queries, sink).drain()
        assert filled.box.pending(1) == []
        yield influx, filled


@pytest.fixture(scope="module")
def rows(clinic: tuple[InfluxServer, WholeStore]) -> list[Row]:
    return rows_of(clinic[1].folder, clinic[1].site)


def dashboards() -> list[dict[str, Any]]:
    found = catalogue.load()
    return [d.json() for d in every_dashboard(found, without_file(found.analyzers, lambda: FIRST))]


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: str(d["uid"]))
@pytest.mark.parametrize("machines", [list(MACHINES), ["Room 2 (TB.2/x)", "SRT-1"]])
def test_every_panel_shows_what_the_store_holds(
    clinic: tuple[InfluxServer, WholeStore],
    rows: list[Row],
    dashboard: dict[str, Any],
    machines: list[str],
) -> None:
    chosen: dict[str, Sequence[str]] = {
        "site": ["Sample Clinic"],
        "machine": machines,
        "analyzer": ["mlc_positions", "srt_output"],
        "metric": ["worst_leaf_rms", "output", "output_deviation"],
    }
    by_name = queries.Rows(rows)
    every = queries.queries_of(dashboard, interval_s=6 * 3600)
    # What stands on several dashboards is asked once.
    asked = [q for q in every if (q.text, q.interval_s, *machines) not in ASKED]
    ASKED.update((q.text, q.interval_s, *machines) for q in asked)
    choices = [{**chosen, "machine": machines[-1:]} if q.one_machine else chosen for q in asked]
    texts = [
        queries.filled_in(q.text, choice, SPAN_NS, q.interval_s)
        for q, choice in zip(asked, choices, strict=True)
    ]
    answers = queries.ask(clinic[0], texts)
    for query, choice, series in zip(asked, choices, answers, strict=True):
        wanted = queries.expected(query, by_name, choice, SPAN_NS)
        assert wanted or machines != list(MACHINES), f"nothing to see: {query.where}"
        queries.compare(queries.returned(series, query), wanted, query)


def test_the_choices_are_the_machines_and_metrics_of_the_store(
    clinic: tuple[InfluxServer, WholeStore], rows: list[Row]
) -> None:
    for dashboard in dashboards():
        for variable in dashboard["templating"]["list"][1:]:
            assert queries.TAG_VALUES.fullmatch(variable["query"]), variable["query"]
            chosen = {**EVERYTHING, "analyzer": ["axes"]}
            text = queries.filled_in(variable["query"], chosen, SPAN_NS, 60)
            (series,) = queries.ask(clinic[0], [text])
            found = {value for one in series for _, value in one["values"]}
            key = variable["name"]
            axes_only = key == "metric"
            wanted = {
                row.tags[key]
                for row in rows
                if key in row.tags
                and (row.measurement == "qa" or key in ("site", "machine"))
                and (not axes_only or row.tags["analyzer"] == "axes")
            }
            assert found == wanted, (dashboard["uid"], key)


def test_service_events_in_force_are_shown_and_withdrawn_ones_are_not(
    clinic: tuple[InfluxServer, WholeStore], rows: list[Row]
) -> None:
    (series,) = queries.ask(clinic[0], [queries.filled_in(EVENTS, EVERYTHING, SPAN_NS, 60)])
    (one,) = series
    assert one["columns"] == ["time", "in_force", "kind", "machine", "analyzer"]
    wanted = {
        (r.at_ns, 1, r.tags["kind"], r.tags["machine"], r.tags["analyzer"])
        for r in rows
        if r.measurement == "qa_event" and r.fields["in_force"]
    }
    assert len(wanted) == 2
    assert {tuple(row) for row in one["values"]} == wanted


def test_everything_again_changes_no_answer(
    clinic: tuple[InfluxServer, WholeStore], rows: list[Row]
) -> None:
    """A replay through a sink that has just started, into the same database."""
    influx, filled = clinic
    measurements = ("qa", "qa_analysis", "qa_result", "qa_leaf", "qa_event")
    before = [influx.rows(m, "qa") for m in measurements]
    filled.results.enqueue_again("influx", [r.id for r in filled.queries.results_since()])
    Drain(filled.store, filled.box, filled.queries, InfluxSink(filled.site, filled.store)).drain()
    assert [influx.rows(m, "qa") for m in measurements] == before
    counted = {m: len(b) for m, b in zip(measurements, before, strict=True)}
    assert counted == {m: sum(r.measurement == m for r in rows) for m in measurements}


def test_the_store_and_the_panels_are_of_the_same_folder(tmp_path: Path) -> None:
    """The comparison itself can fail: a row that the store does not have is seen."""
    query = next(queries.queries_of(dashboards()[0], 3600))
    row = Row("qa_result", {"site": "Sample Clinic", "machine": "TB1"}, {"verdict": 2}, START_NS)
    wanted = queries.expected(query, queries.Rows([row]), EVERYTHING, SPAN_NS)
    assert wanted == {("TB1",): {START_NS // (3600 * 10**9) * 3600 * 10**9: {"verdict": 2}}}
    assert queries.expected(query, queries.Rows([]), EVERYTHING, SPAN_NS) == {}
