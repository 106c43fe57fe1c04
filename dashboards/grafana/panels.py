"""Panels of the classic dashboard schema, as plain JSON values.

What a panel is asked and how it looks are in one place each: a verdict has the same four words and
colors everywhere, and everything has a unit, a description and an end to the page it opens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboards.grafana.influxql import Select
from dashboards.grafana.units import AGE, COUNT
from qa_daemon.model import Verdict

Json = dict[str, Any]
DATASOURCE: Json = {"type": "influxdb", "uid": "${datasource}"}
COLORS = {
    Verdict.PASS: "green",
    Verdict.TOLERANCE: "yellow",
    Verdict.ACTION: "red",
    Verdict.INVALID: "purple",
}
NOTHING, NO_COLOR = "no data", "#808080"
"""What is not there has no color of a verdict, least of all that of PASS."""
TOLERANCE, ACTION = "tolerance", "action"
LINE_COLORS = {TOLERANCE: "#e0b400", ACTION: "#c4162a"}
DAY = "1d"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel without its place; `body` is what its kind adds."""

    kind: str
    title: str
    description: str
    queries: Sequence[Select]
    defaults: Json
    options: Json
    width: int = 8
    height: int = 7
    overrides: Sequence[Json] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    as_table: bool = False
    aliases: Sequence[str] = ()
    """Of the queries, where they are not called by their tags."""


def placed(panel: Panel, identity: int, x: int, y: int) -> Json:
    """A panel where it stands."""
    return {
        "id": identity,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "targets": [_target(panel, number) for number in range(len(panel.queries))],
        "fieldConfig": {"defaults": panel.defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
        **panel.body,
    }


def row(title: str, identity: int, y: int, panels: Sequence[Json] | None = None) -> Json:
    """A heading; with panels it is closed, and they are asked only when somebody opens it."""
    return {
        "id": identity,
        "type": "row",
        "title": title,
        "collapsed": panels is not None,
        "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
        "panels": list(panels or ()),
    }


def lines(
    title: str,
    description: str,
    query: Select,
    unit: str,
    *,
    thresholds: Json | None = None,
    width: int = 8,
) -> Panel:
    """Values over time; columns that are limits are dashed lines outside the legend."""
    marked = thresholds is not None
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "always",
        "pointSize": 4,
        "spanNulls": True,
        "thresholdsStyle": {"mode": "dashed" if marked else "off"},
    }
    defaults = {
        "unit": unit,
        "noValue": NOTHING,
        "color": {"mode": "palette-classic"},
        "thresholds": thresholds or {"mode": "absolute", "steps": [_step(None, "green")]},
        "custom": custom,
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    limits = [_limit_line(level) for level in (TOLERANCE, ACTION) if _has(query, level)]
    return Panel(
        "timeseries",
        title,
        description,
        (query,),
        defaults,
        options,
        width=width,
        overrides=limits,
    )


def verdicts(
    title: str, description: str, query: Select, *, height: int = 8, width: int = 24
) -> Panel:
    """Verdicts over time, a line for each series."""
    options = {
        "mergeValues": False,
        "showValue": "auto",
        "alignValue": "center",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 0}
    return Panel(
        "state-timeline",
        title,
        description,
        (query,),
        {**verdict_field(), "custom": custom},
        options,
        width=width,
        height=height,
    )


def tiles(
    title: str,
    description: str,
    query: Select,
    names: Mapping[str, str],
    reduced: str = "lastNotNull",
) -> Panel:
    """A tile for each series with one verdict of the shown span; `names` by what it is called."""
    options = {
        "reduceOptions": {"values": False, "calcs": [reduced], "fields": ""},
        "orientation": "auto",
        "textMode": "value_and_name",
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "wideLayout": True,
    }
    called = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "displayName", "value": title_}],
        }
        for name, title_ in names.items()
    ]
    return Panel(
        "stat",
        title,
        description,
        (query,),
        verdict_field(),
        options,
        width=24,
        height=7,
        overrides=called,
    )


def bars(
    title: str, description: str, queries: Mapping[Verdict, Select], *, width: int = 24
) -> Panel:
    """How many a day of each verdict, stacked."""
    defaults = {
        "unit": COUNT,
        "decimals": 0,
        "noValue": NOTHING,
        "color": {"mode": "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": [_step(None, "green")]},
        "custom": {
            "drawStyle": "bars",
            "fillOpacity": 90,
            "lineWidth": 0,
            "showPoints": "never",
            "stacking": {"mode": "normal", "group": "A"},
        },
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    colored = [
        {
            "matcher": {"id": "byFrameRefID", "options": chr(ord("A") + number)},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
        }
        for number, color in enumerate(COLORS[verdict] for verdict in queries)
    ]
    return Panel(
        "timeseries",
        title,
        description,
        tuple(queries.values()),
        defaults,
        options,
        width=width,
        overrides=colored,
        body={"interval": DAY},
        aliases=[f"$tag_machine {verdict.name}" for verdict in queries],
    )


def table(title: str, description: str, query: Select, *, width: int = 12) -> Panel:
    """One row a series: how long ago its newest point is, and the verdict then."""
    defaults = {
        "unit": COUNT,
        "noValue": NOTHING,
        "thresholds": {"mode": "absolute", "steps": [_step(None, "green")]},
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
    }
    verdict = verdict_field()
    overrides = [
        {
            "matcher": {"id": "byName", "options": "Time"},
            "properties": [
                {"id": "unit", "value": AGE},
                {"id": "displayName", "value": "newest"},
            ],
        },
        {
            "matcher": {"id": "byName", "options": "verdict"},
            "properties": [
                {"id": "mappings", "value": verdict["mappings"]},
                {"id": "thresholds", "value": verdict["thresholds"]},
                {
                    "id": "custom.cellOptions",
                    "value": {"type": "color-background", "mode": "basic"},
                },
            ],
        },
    ]
    options = {
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": "newest", "desc": False}],
    }
    return Panel(
        "table",
        title,
        description,
        (query,),
        defaults,
        options,
        width=width,
        height=9,
        overrides=overrides,
        as_table=True,
    )


def heat_map(title: str, description: str, query: Select, unit: str, scheme: str) -> Panel:
    """A row for each series, a column for each day; the color is the number itself."""
    options = {
        "calculate": False,
        "cellGap": 0,
        "cellValues": {"unit": unit},
        "color": {
            "mode": "scheme",
            "scheme": scheme,
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-orange",
            "reverse": False,
            "scale": "exponential",
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto", "value": title},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": True},
    }
    defaults = {
        "unit": unit,
        "noValue": NOTHING,
        "custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False}},
    }
    return Panel(
        "heatmap",
        title,
        description,
        (query,),
        defaults,
        options,
        width=24,
        height=20,
        body={"interval": DAY},
    )


def verdict_field() -> Json:
    """A number that is a verdict: its words and colors; a fraction between two has neither."""
    words = {
        str(int(verdict)): {"text": verdict.name, "color": COLORS[verdict], "index": int(verdict)}
        for verdict in Verdict
    }
    nothing = {"match": "null+nan", "result": {"text": NOTHING, "color": NO_COLOR, "index": 9}}
    steps = [_step(None, NO_COLOR), *(_step(int(v), COLORS[v]) for v in Verdict)]
    return {
        "unit": COUNT,
        "noValue": NOTHING,
        "color": {"mode": "thresholds"},
        "mappings": [
            {"type": "value", "options": words},
            {"type": "special", "options": nothing},
        ],
        "thresholds": {"mode": "absolute", "steps": steps},
    }


def _target(panel: Panel, number: int) -> Json:
    query = panel.queries[number]
    return {
        "refId": chr(ord("A") + number),
        "datasource": DATASOURCE,
        "rawQuery": True,
        "query": str(query),
        "alias": "" if panel.as_table else (panel.aliases or (query.alias,) * 9)[number],
        "resultFormat": "table" if panel.as_table else "time_series",
    }


def _has(query: Select, level: str) -> bool:
    return any(column.name.startswith(level) for column in query.columns)


def _limit_line(level: str) -> Json:
    """Series whose column is a limit: a dashed line of one color, not in the legend."""
    look = {
        "color": {"mode": "fixed", "fixedColor": LINE_COLORS[level]},
        "custom.lineStyle": {"fill": "dash", "dash": [6, 6]},
        "custom.lineInterpolation": "stepAfter",
        "custom.showPoints": "never",
        "custom.hideFrom": {"legend": True, "tooltip": False, "viz": False},
    }
    return {
        "matcher": {"id": "byRegexp", "options": f"/ {level}( low| high)$/"},
        "properties": [{"id": name, "value": value} for name, value in look.items()],
    }


def _step(value: float | None, color: str) -> Json:
    return {"value": value, "color": color}
