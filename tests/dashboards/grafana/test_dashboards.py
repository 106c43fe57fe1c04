"""What a dashboard must be to be shown: its keys, places, units, colors and limits.

The keys are those of `Dashboard`, `Panel`, `RowPanel` and each panel's `Options` and `FieldConfig`
in @grafana/schema 13.2.3, against which the committed files were typed once; here a key that is not
among those in use fails.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from analyzers.catalogue import Catalogue
from analyzers.core import Analyzer, Limits, Metric
from dashboards.grafana.files import files, render
from dashboards.grafana.metric_panels import Shown, threshold_steps
from dashboards.grafana.panels import COLORS, verdict_field
from dashboards.grafana.subjects import every_dashboard
from dashboards.grafana.units import unit_of
from qa_daemon.model import Verdict
from qa_daemon.site.site import Site, without_file
from tests.dashboards.grafana.queries import panels_of
from tests.dashboards.grafana.whole_store import MACHINES, every_analyzer, site_of

Json = dict[str, Any]
DASHBOARD = {
    "uid": str,
    "title": str,
    "description": str,
    "tags": list,
    "schemaVersion": int,
    "version": int,
    "editable": bool,
    "graphTooltip": int,
    "timezone": str,
    "refresh": str,
    "time": dict,
    "timepicker": dict,
    "fiscalYearStartMonth": int,
    "links": list,
    "annotations": dict,
    "templating": dict,
    "panels": list,
}
PANEL = {
    "id": int,
    "type": str,
    "title": str,
    "description": str,
    "datasource": dict,
    "gridPos": dict,
    "targets": list,
    "fieldConfig": dict,
    "options": dict,
}
ROW = {"id": int, "type": str, "title": str, "collapsed": bool, "gridPos": dict, "panels": list}
OPTIONS = {
    "timeseries": {"legend", "tooltip"},
    "state-timeline": {
        "mergeValues",
        "showValue",
        "alignValue",
        "rowHeight",
        "legend",
        "tooltip",
    },
    "stat": {
        "reduceOptions",
        "orientation",
        "textMode",
        "colorMode",
        "graphMode",
        "justifyMode",
        "wideLayout",
    },
    "table": {"showHeader", "cellHeight", "sortBy"},
    "heatmap": {
        "calculate",
        "cellGap",
        "cellValues",
        "color",
        "exemplars",
        "filterValues",
        "legend",
        "rowsFrame",
        "showValue",
        "tooltip",
        "yAxis",
    },
}
MORE = {"interval", "repeat", "repeatDirection"}
TARGET = {"refId", "datasource", "rawQuery", "query", "alias", "resultFormat"}
SOURCE = {"type": "influxdb", "uid": "${datasource}"}


def nobody() -> Site:
    return without_file(every_analyzer(), lambda: datetime(2026, 1, 1, tzinfo=UTC))


def rendered(site: Site) -> dict[str, Json]:
    found = files(Catalogue((), every_analyzer()), site)
    return {n: json.loads(t) for n, t in found.items() if n.endswith(".json")}


@pytest.fixture(scope="module", params=["any site", "a site"])
def dashboards(request: pytest.FixtureRequest, tmp_path_factory: Any) -> list[Json]:
    site = nobody() if request.param == "any site" else site_of(tmp_path_factory.mktemp("site"))
    return list(rendered(site).values())


def test_a_dashboard_has_the_keys_of_the_schema_and_no_other(dashboards: list[Json]) -> None:
    for dashboard in dashboards:
        assert _typed(dashboard, DASHBOARD) == set()
        for panel in panels_of(dashboard):
            assert _typed(panel, PANEL) <= MORE, panel["title"]
            assert set(panel["options"]) == OPTIONS[panel["type"]]
            assert set(panel["fieldConfig"]) == {"defaults", "overrides"}
            for target in panel["targets"]:
                assert set(target) == TARGET and target["datasource"] == SOURCE
            assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])
            assert panel["datasource"] == SOURCE
        for row in dashboard["panels"]:
            if row["type"] == "row":
                assert _typed(row, ROW) == set()
                assert row["collapsed"] == bool(row["panels"])


def test_names_and_numbers_are_unique(dashboards: list[Json]) -> None:
    for many in ([d["uid"] for d in dashboards], [d["title"] for d in dashboards]):
        assert len(set(many)) == len(many)
    for dashboard in dashboards:
        assert dashboard["uid"].startswith("qa-") and len(dashboard["uid"]) <= 40
        rows = [p for p in dashboard["panels"] if p["type"] == "row"]
        ids = [p["id"] for p in [*panels_of(dashboard), *rows]]
        assert sorted(ids) == list(range(1, len(ids) + 1))
        titles = Counter(p["title"] for p in panels_of(dashboard))
        assert titles.most_common(1)[0][1] == 1, titles.most_common(1)


def test_no_panel_lies_on_another_or_outside(dashboards: list[Json]) -> None:
    for dashboard in dashboards:
        for shown in (dashboard["panels"], *(p.get("panels", []) for p in dashboard["panels"])):
            taken: dict[tuple[int, int], str] = {}
            for panel in shown:
                at = panel["gridPos"]
                assert at["x"] >= 0 and at["w"] > 0 and at["h"] > 0 and at["x"] + at["w"] <= 24
                for x in range(at["x"], at["x"] + at["w"]):
                    for y in range(at["y"], at["y"] + at["h"]):
                        other = taken.setdefault((x, y), panel["title"])
                        assert other == panel["title"], f"{panel['title']} on {other}"


def test_every_panel_has_a_unit_a_description_and_something_to_say_of_nothing(
    dashboards: list[Json],
) -> None:
    for dashboard in dashboards:
        assert dashboard["description"]
        for panel in panels_of(dashboard):
            assert panel["description"].strip(), panel["title"]
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"] and defaults["noValue"] == "no data", panel["title"]


def test_every_metric_of_the_catalogue_is_on_a_dashboard_in_its_unit(
    dashboards: list[Json],
) -> None:
    shown: dict[tuple[str, str], set[str]] = {}
    for dashboard in dashboards:
        for panel in panels_of(dashboard):
            if panel["type"] == "timeseries":
                text = panel["targets"][0]["query"]
                for analyzer, metric in _named(text):
                    unit = panel["fieldConfig"]["defaults"]["unit"]
                    shown.setdefault((analyzer, metric), set()).add(unit)
    wanted = {(a.name, m.name): {unit_of(m.unit)} for a in every_analyzer() for m in a.metrics}
    assert shown == wanted


def test_what_is_judged_is_never_averaged(dashboards: list[Json]) -> None:
    """A mean of a leaf at 0.1 mm and one at 2 mm may pass; so may a mean of verdicts."""
    for dashboard in dashboards:
        for panel in panels_of(dashboard):
            for target in panel["targets"]:
                text = target["query"]
                assert 'mean("verdict")' not in text
                if "mean(" in text:
                    for analyzer, metric in _named(text):
                        assert not _metric(analyzer, metric).is_judged, (analyzer, metric)


def test_a_metric_that_only_the_site_judges_is_shown_as_judged(tmp_path: Path) -> None:
    logs = rendered(site_of(tmp_path))["dashboards/qa-logs.json"]
    (text,) = [t["query"] for p in panels_of(logs) for t in p["targets"] if "'count'" in t["query"]]
    assert text.startswith('SELECT max("value") AS "highest", min("tolerance_high")')


def test_the_sides_of_the_limits_are_those_of_the_metric(dashboards: list[Json]) -> None:
    """A pass rate is shown at its lowest, a magnitude at its highest, a signed error at both."""
    (logs,) = [d for d in dashboards if d["uid"] == "qa-logs"]
    (gamma,) = [d for d in dashboards if d["uid"] == "qa-fluence-gamma"]
    texts = {p["title"]: p["targets"][0]["query"] for d in (logs, gamma) for p in panels_of(d)}
    rms = texts["MLC leaf positions: worst_leaf_rms"]
    passing = texts["Delivered fluence: gamma_pass"]
    signed = texts["Meterset: delivered_error"]
    assert 'max("value")' in rms and 'min("value")' not in rms and "_low" not in rms
    assert 'min("value")' in passing and 'max("value")' not in passing and "_high" not in passing
    assert signed.startswith(
        'SELECT max("value") AS "highest", min("value") AS "lowest", '
        'min("tolerance_high") AS "tolerance high", min("action_high") AS "action high", '
        'max("tolerance_low") AS "tolerance low", max("action_low") AS "action low" FROM "qa"'
    )


def test_the_lines_of_limits_are_dashed_in_the_colors_of_their_level(
    dashboards: list[Json],
) -> None:
    (logs,) = [d for d in dashboards if d["uid"] == "qa-logs"]
    (panel,) = [p for p in panels_of(logs) if p["title"] == "Meterset: delivered_error"]
    rules = panel["fieldConfig"]["overrides"]
    looks = {
        name: [
            {p["id"]: p["value"] for p in rule["properties"]}
            for rule in rules
            if re.search(rule["matcher"]["options"].strip("/"), f"TB1 6x {name}")
        ]
        for name in ("highest", "lowest", "tolerance high", "action high", "tolerance low")
    }
    assert looks["highest"] == looks["lowest"] == []
    (tolerance,), (action,) = looks["tolerance high"], looks["action high"]
    assert looks["tolerance low"] == [tolerance]
    assert tolerance["color"]["fixedColor"] == "#e0b400"
    assert action["color"]["fixedColor"] == "#c4162a"
    assert tolerance["custom.lineStyle"]["fill"] == action["custom.lineStyle"]["fill"] == "dash"


def test_only_a_whole_verdict_has_its_word_and_nothing_looks_like_pass() -> None:
    field = verdict_field()
    words, nothing = field["mappings"]
    assert {k: v["text"] for k, v in words["options"].items()} == {
        str(int(v)): v.name for v in Verdict
    }
    assert nothing["options"]["result"]["color"] != COLORS[Verdict.PASS]
    base, *steps = field["thresholds"]["steps"]
    assert base["value"] is None and base["color"] not in COLORS.values()
    assert [s["value"] for s in steps] == [0, 1, 2, 3]
    assert len({s["color"] for s in steps}) == 4


def test_a_dashboard_for_any_site_has_no_fixed_limits() -> None:
    for dashboard in rendered(nobody()).values():
        for panel in panels_of(dashboard):
            style = panel["fieldConfig"]["defaults"].get("custom", {}).get("thresholdsStyle")
            assert style in (None, {"mode": "off"})


@pytest.mark.parametrize("machine_class", ["truebeam", "halcyon", "clinac", "elekta"])
def test_fixed_limits_are_those_that_judge_every_machine_of_the_class(
    tmp_path: Path, machine_class: str
) -> None:
    site = site_of(tmp_path)
    dashboard = rendered(site)[f"dashboards/qa-class-{machine_class}.json"]
    machine = next(v for v in dashboard["templating"]["list"] if v["name"] == "machine")
    named = [name for name, of in MACHINES.items() if of == machine_class]
    assert machine["regex"] == {
        "truebeam": r"/^(TB1|Room\ 2\ \(TB\.2/x\))$/",
    }.get(machine_class, f"/^({named[0]})$/")
    seen = 0
    for panel in panels_of(dashboard):
        found = _named(panel["targets"][0]["query"])
        if panel["type"] != "timeseries" or len(found) != 1:
            continue
        ((analyzer, metric),) = found
        limits = [
            site.limits_for(
                f"{analyzer}.{metric}",
                machine_class,
                site.machine_named(name),
                site.today().date(),
            )
            for name in named
        ]
        defaults = panel["fieldConfig"]["defaults"]
        drawn = [s["value"] for s in defaults["thresholds"]["steps"] if s["value"] is not None]
        if defaults["custom"]["thresholdsStyle"]["mode"] == "off":
            first = limits[0]
            assert first is not None
            assert (
                any(x != first for x in limits)
                or first.tolerance_percent is not None
                or _metric(analyzer, metric).radiosurgery is not None
            ), (analyzer, metric)
            continue
        seen += 1
        for one in limits:
            assert one is not None
            assert drawn == sorted(one.bounds), (analyzer, metric)
    assert seen > 30


def test_machines_with_other_limits_share_no_line(tmp_path: Path) -> None:
    """TB1 has a limit of its own for gantry_rms_error, the other TrueBeam the product's."""
    shown = Shown(site_of(tmp_path), "truebeam")
    by_name = {a.name: a for a in every_analyzer()}
    assert shown.thresholds(by_name["axes"], _metric("axes", "gantry_rms_error")) is None
    own = shown.thresholds(by_name["mlc_positions"], _metric("mlc_positions", "error_p95"))
    assert own is not None
    assert [s["value"] for s in own["steps"]] == [None, 0.11, 9.0]


@pytest.mark.parametrize(
    ("limits", "colors"),
    [
        (Limits.at_most(tolerance=1, action=2), ["green", "yellow", "red"]),
        (Limits.at_least(tolerance=95, action=90), ["red", "yellow", "green"]),
        (Limits.within(tolerance=1, action=2), ["red", "yellow", "green", "yellow", "red"]),
        (Limits(action_high=2.0), ["green", "red"]),
        (Limits(tolerance_low=1.0), ["yellow", "green"]),
        (Limits(action_low=1.0), ["red", "green"]),
    ],
)
def test_the_color_of_a_step_is_that_of_its_values(limits: Limits, colors: list[str]) -> None:
    steps = threshold_steps(
        limits.tolerance_low, limits.tolerance_high, limits.action_low, limits.action_high
    )["steps"]
    assert [s["color"] for s in steps] == colors
    assert [s["value"] for s in steps[1:]] == sorted(limits.bounds)


def test_a_new_analyzer_is_on_a_dashboard_without_being_named() -> None:
    old = next(a for a in every_analyzer() if a.name == "axes")
    new: Analyzer[Any, Any] = Analyzer(
        "couch_walk",
        "Couch walk",
        "1",
        old.accepts,
        old.settings,
        (Metric("walk", "mm", "Walk", {"truebeam": Limits.at_most(tolerance=1, action=2)}),),
        old.analyze,
    )
    more = (*every_analyzer(), new)
    site = without_file(more, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    found = every_dashboard(Catalogue((), more), site)
    on = {d.uid for d in found if "'couch_walk'" in json.dumps(d.json())}
    assert on == {"qa-class-truebeam", "qa-logs"}


def test_a_folder_is_written_once_and_what_is_no_more_is_removed(tmp_path: Path) -> None:
    found = Catalogue((), every_analyzer())
    (tmp_path / "dashboards").mkdir()
    mine, stale = tmp_path / "dashboards/mine.json", tmp_path / "dashboards/qa-old.json"
    for path in (mine, stale):
        path.write_text("{}")
    written, removed = render(tmp_path, found, nobody())
    assert (written, removed) == (len(files(found, nobody())), 1)
    assert mine.exists() and not stale.exists()
    assert render(tmp_path, found, nobody()) == (0, 0)


def _typed(value: Json, wanted: dict[str, type]) -> set[str]:
    """The keys that are more than wanted; a key that is not there or of another type fails."""
    for key, kind in wanted.items():
        assert type(value[key]) is kind, key
    return set(value) - set(wanted)


def _named(query: str) -> list[tuple[str, str]]:
    """The metrics that a query names."""
    analyzer = re.search(r"\"analyzer\" = '(\w+)'", query)
    one = re.search(r"\"metric\" = '(\w+)'", query)
    several = re.search(r'"metric" =~ /\^\(([\w|]+)\)\$/', query)
    names = [one[1]] if one else several[1].split("|") if several else []
    return [(analyzer[1], name) for name in names] if analyzer else []


def _metric(analyzer: str, metric: str) -> Metric:
    return next(
        m for a in every_analyzer() if a.name == analyzer for m in a.metrics if m.name == metric
    )
