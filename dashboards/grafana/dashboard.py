"""A dashboard: its sections laid out, its variables, its service events, and who leads to whom."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.influxql import CHOSEN, tag_values
from dashboards.grafana.panels import DATASOURCE, Json, Panel, placed, row

SCHEMA_VERSION = 39
"""Of Grafana 10.4; later ones read it and bring it up to date themselves."""
TAG = "qa"
WIDTH = 24
EVENTS = (
    'SELECT "in_force", "kind", "machine", "analyzer" FROM "qa_event" '  # noqa: S608 - constants
    f'WHERE $timeFilter AND {" AND ".join(CHOSEN)} AND "in_force" = 1'
)
"""Not a panel: an annotation needs the rows themselves."""


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a heading; a closed one is asked only when somebody opens it."""

    title: str
    panels: Sequence[Panel]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels; `only`: a regular expression that its values have to match."""

    name: str
    label: str
    query: str
    multiple: bool = True
    only: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: str
    description: str
    sections: Sequence[Section]
    span: str = "now-90d"
    machines: Sequence[str] = ()
    """Those to choose from; empty: all there are."""
    more: Sequence[Variable] = ()

    def json(self) -> Json:
        """The classic dashboard JSON; ids, places and order follow from the declaration alone."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "5m",
            "time": {"from": self.span, "to": "now"},
            "timepicker": {},
            "fiscalYearStartMonth": 0,
            "links": [_to_others()],
            "annotations": {"list": [_service_events()]},
            "templating": {"list": [_datasource(), *map(_variable, self._variables())]},
            "panels": _laid_out(self.sections),
        }

    def _variables(self) -> list[Variable]:
        only = "|".join(map(re.escape, self.machines))
        return [
            Variable("site", "Site", tag_values("site")),
            Variable(
                "machine",
                "Machine",
                tag_values("machine", where=CHOSEN[0]),
                only=f"/^({only})$/" if only else "",
            ),
            *self.more,
        ]


def _laid_out(sections: Sequence[Section]) -> list[Json]:
    """Sections below one another; inside, panels from left to right, line by line."""
    placed_: list[Json] = []
    y, identity = 0, 1
    for section in sections:
        heading = identity
        inside, below = _flow(section.panels, heading + 1, y + 1)
        identity += 1 + len(inside)
        if section.closed:
            placed_.append(row(section.title, heading, y, inside))
            y += 1
        else:
            placed_ += [row(section.title, heading, y), *inside]
            y = below
    return placed_


def _flow(panels: Sequence[Panel], identity: int, y: int) -> tuple[list[Json], int]:
    x, tallest, found = 0, 0, []
    for number, panel in enumerate(panels):
        if x + panel.width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        found.append(placed(panel, identity + number, x, y))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return found, y + tallest


def _variable(variable: Variable) -> Json:
    chosen: Any = ["$__all"] if variable.multiple else ""
    said: Any = ["All"] if variable.multiple else ""
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": DATASOURCE,
        "query": variable.query,
        "regex": variable.only,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": True,  # always: then Grafana escapes what it fills in
        "includeAll": variable.multiple,
        "current": {"selected": False, "text": said, "value": chosen},
        "options": [],
        "skipUrlSync": False,
    }


def _datasource() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "influxdb",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "current": {"selected": False, "text": "QA", "value": "qa-influx"},
        "options": [],
        "skipUrlSync": False,
    }


def _service_events() -> Json:
    return {
        "name": "Service events",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "target": {
            "refId": "Anno",
            "query": EVENTS,
            "rawQuery": True,
            "resultFormat": "table",
            "fromAnnotations": True,
            "textColumn": "kind",
            "tagsColumn": "machine,analyzer",
            "titleColumn": "",
            "timeEndColumn": "",
            "limit": 1000,
            "matchAny": False,
            "tags": [],
            "type": "dashboard",
        },
    }


def _to_others() -> Json:
    return {
        "type": "dashboards",
        "title": "QA",
        "icon": "external link",
        "tooltip": "",
        "url": "",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": False,
        "targetBlank": False,
    }
