"""Days of the demo clinic, read and measured as the service does, on the dashboards of its site."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from analyzers import catalogue
from analyzers.core import NamedFile
from dashboards.grafana.files import files
from qa_daemon.jobs import measure
from qa_daemon.model import Job, NamedPath
from qa_daemon.pipeline import judge
from qa_daemon.simulate import clinic
from qa_daemon.sinks.drain import Drain
from qa_daemon.sinks.influx import InfluxSink
from qa_daemon.site.site import Site, load
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.queries import Queries
from qa_daemon.store.results import Provenance, Results
from qa_daemon.store.store import Store, url_of
from tests.dashboards.grafana import queries
from tests.dashboards.grafana.whole_store import Row, rows_of
from tests.servers import InfluxServer, influx_server
from tests.store.stores import put_empty_store

pytestmark = pytest.mark.xdist_group("grafana")
TODAY = datetime(2026, 11, 6, 18, tzinfo=UTC)
DAYS = 3
SPAN_NS = (
    int(TODAY.timestamp() - DAYS * 86400) * 10**9,
    int(TODAY.timestamp() + 86400) * 10**9,
)


@dataclass(frozen=True, slots=True)
class Demo:
    """The clinic, its server, and the rows of its store."""

    influx: InfluxServer
    site: Site
    rows: list[Row]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "influx").mkdir()
    (folder / "state").mkdir()
    with influx_server(folder / "influx") as influx:
        influx.query("CREATE DATABASE qa")
        config = clinic.write_site(folder, 8765, TODAY)
        with config.open("a") as more:
            more.write(f'\n[influx]\nurl = "{influx.url}"\napi = "v1"\ndatabase = "qa"\n')
        found = catalogue.load()
        site = load(config, found.analyzers, lambda: TODAY)
        for treatment in clinic.treatments(DAYS, TODAY):
            if treatment.beam != 1:
                clinic.write(folder, treatment)
        put_empty_store(folder / "state")
        store = Store(url_of(folder / "state"), lambda: TODAY)
        for log in sorted(folder.rglob("*.bin")):
            _put(store, site, NamedFile.at(log), found)
        box, answers = Outbox(store, "influx"), Queries(store)
        Drain(store, box, answers, InfluxSink(site, store)).drain()
        assert box.pending(1) == []
        yield Demo(influx, site, rows_of(folder / "state", site))
        store.close()


def _put(store: Store, site: Site, log: NamedFile, found: catalogue.Catalogue) -> None:
    machine = site.machine_of_path(log.path)
    assert machine is not None
    job = Job(file=NamedPath(path=str(log.path), name=log.name), mlc=machine.mlc)
    report = measure(job, found)
    made_at = site.zoned(report.performed_at)
    seen = Fingerprint(str(log.path), log.path.stat().st_size, log.path.stat().st_mtime_ns, "1")
    content = hashlib.sha256(log.path.read_bytes()).hexdigest()
    file = Ledger(store).add(Arrival(seen, "in", log.name, machine.name, content))
    made = Provenance("0", "site", machine.name, machine.machine_class, made_at)
    Results(store, ["influx"]).save(file, [], report, judge(report, site, machine), made)


@pytest.mark.parametrize(
    "uid", ["qa-overview", "qa-class-truebeam", "qa-logs", "qa-mlc-leaves", "qa-health"]
)
def test_the_dashboards_of_the_site_show_what_its_store_holds(demo: Demo, uid: str) -> None:
    text = files(catalogue.load(), demo.site)[f"dashboards/{uid}.json"]
    by_name = queries.Rows(demo.rows)
    asked = list(queries.queries_of(json.loads(text), interval_s=3600))
    chosen: list[dict[str, Sequence[str]]] = [
        {"site": ["Demo Clinic"], "machine": ["TB2"] if q.one_machine else ["TB1", "TB2"]}
        for q in asked
    ]
    texts = [
        queries.filled_in(q.text, c, SPAN_NS, q.interval_s)
        for q, c in zip(asked, chosen, strict=True)
    ]
    seen = 0
    for query, choice, series in zip(asked, chosen, queries.ask(demo.influx, texts), strict=True):
        wanted = queries.expected(query, by_name, choice, SPAN_NS)
        queries.compare(queries.returned(series, query), wanted, query)
        seen += bool(wanted)
    assert seen >= 3


def test_the_worn_leaf_stands_out_on_the_map(demo: Demo) -> None:
    """Half a millimeter was put into A31 of TB2 on the last day, which grew from 0.05 mm."""
    text = files(catalogue.load(), demo.site)["dashboards/qa-mlc-leaves.json"]
    (query,) = [q for q in queries.queries_of(json.loads(text), 60) if "rms_error_mm" in q.text]
    only = {"site": ["Demo Clinic"], "machine": ["TB2"]}
    asked = queries.filled_in(query.text, only, SPAN_NS, query.interval_s)
    (series,) = queries.ask(demo.influx, [asked])
    of_leaf = queries.returned(series, query)
    days = sorted({day for by_day in of_leaf.values() for day in by_day})
    assert len(days) == DAYS
    last = {leaf: by_day[days[-1]]["worst"] for (leaf,), by_day in of_leaf.items()}
    assert max(last, key=lambda leaf: last[leaf]) == "A31"
    assert last["A31"] == pytest.approx(clinic.WEAR_TO_MM, abs=0.03)
    assert of_leaf["A31",][days[0]]["worst"] < 0.1
    assert sorted(last.values())[-2] < 0.1
