"""Files that set Grafana up: its data source, where the dashboards lie, and alert rules to take.

A secret is never in a file: Grafana reads it from one of its own (`$__file{}`).  A dollar that is
not meant so is written twice.  A source is written for each version of InfluxDB; one is named
`.yaml`, the others `.yaml.example`, which Grafana leaves alone.
"""

from __future__ import annotations

from string import Template

from qa_daemon.site.settings import Influx

FOLDER = "Radiotherapy QA"
FOLDER_UID = "qa-folder"
SOURCE_UID = "qa-influx"
WHERE = "provisioning"
READER = "grafana"
"""A user of its own: the one of `[influx]` may write."""
SECRET_FILE = "/run/secrets/qa-influx"  # noqa: S105 - a place, not a secret

_V1 = """\
# Written by `qa-daemon grafana render`.  InfluxDB 1.x: a user who may read the database.
apiVersion: 1
datasources:
  - name: QA
    uid: $uid
    type: influxdb
    access: proxy
    url: $url
    user: $user
    jsonData:
      version: InfluxQL
      dbName: $database
      httpMode: POST
    secureJsonData:
      password: $$__file{$secret}
    isDefault: false
    editable: false
"""
_V2 = """\
# Written by `qa-daemon grafana render`.  InfluxDB $versions: InfluxQL with a token that may read.
# $remark
apiVersion: 1
datasources:
  - name: QA
    uid: $uid
    type: influxdb
    access: proxy
    url: $url
    jsonData:
      version: InfluxQL
      dbName: $database
      httpMode: $mode
      httpHeaderName1: Authorization
    secureJsonData:
      httpHeaderValue1: Token $$__file{$secret}
    isDefault: false
    editable: false
"""
_REMARKS = {
    "2.x": "The bucket answers as a database through its DBRP mapping.",
    "3.x": "The database is what /api/v2/write calls a bucket.",
}
_PROVIDER = f"""\
# Written by `qa-daemon grafana render`.
apiVersion: 1
providers:
  - name: qa
    orgId: 1
    type: file
    folder: {FOLDER}
    folderUid: {FOLDER_UID}
    allowUiUpdates: false
    disableDeletion: false
    updateIntervalSeconds: 30
    options:
      path: /etc/grafana/qa-dashboards
"""
_RULE = """\
      - uid: $uid
        title: "$title"
        condition: B
        for: 0s
        noDataState: $no_data
        execErrState: Error
        annotations:
          summary: "$summary"
        data:
          - refId: A
            datasourceUid: qa-influx
            relativeTimeRange: {from: $seconds, to: 0}
            model:
              refId: A
              rawQuery: true
              resultFormat: time_series
              alias: $$$$tag_machine
              query: >-
                SELECT $select FROM "qa_result" WHERE $$$$timeFilter
                GROUP BY time($$$$__interval), "machine" fill(none)
          - refId: W
            datasourceUid: __expr__
            relativeTimeRange: {from: $seconds, to: 0}
            model: {refId: W, type: reduce, reducer: $reducer, expression: A}
          - refId: B
            datasourceUid: __expr__
            relativeTimeRange: {from: $seconds, to: 0}
            model:
              refId: B
              type: math
              expression: $$$$W $condition
"""
_RULES_HEAD = f"""\
# Written by `qa-daemon grafana render`.  Off: rename it to .yaml to take it.
# These follow the time series, which lag behind and can be away.  They come in addition to the
# messages of QA Daemon, which follow the store, and never in their place.
apiVersion: 1
groups:
  - orgId: 1
    name: qa
    folder: {FOLDER}
    interval: 5m
    rules:
"""


def provisioning(influx: Influx | None) -> dict[str, str]:
    """The files by name; `influx` None: written for a database of the usual name."""
    return {
        f"{WHERE}/dashboards/qa.yaml": _PROVIDER,
        **dict(_sources(influx)),
        f"{WHERE}/alerting/qa.yaml.example": _RULES_HEAD + _rules(),
    }


def _sources(influx: Influx | None) -> list[tuple[str, str]]:
    url = influx.url if influx else "http://influxdb:8086"
    database = (influx.database or influx.bucket if influx else None) or "qa"
    common = {
        "uid": SOURCE_UID,
        "url": _quoted(url),
        "database": _quoted(database),
        "secret": SECRET_FILE,
    }
    used = "1.x" if influx is None or influx.api == "v1" else "2.x"
    texts = {"1.x": Template(_V1).substitute(common, user=READER)}
    for versions, remark in _REMARKS.items():
        mode = "POST" if versions == "2.x" else "GET"
        texts[versions] = Template(_V2).substitute(
            common, versions=versions, remark=remark, mode=mode
        )
    return [
        (f"{WHERE}/datasources/qa-influxdb-{v[0]}.yaml{'' if v == used else '.example'}", text)
        for v, text in texts.items()
    ]


def _rules() -> str:
    worst = {
        "uid": "qa-action",
        "title": "A delivery or test at ACTION or INVALID",
        "summary": "At ACTION or INVALID: see the pages of QA Daemon.",
        "select": 'max("verdict") AS "verdict"',
        "reducer": "max",
        "condition": ">= 2",
        "seconds": "3600",
        "no_data": "NoData",
    }
    silent = {
        "uid": "qa-silent",
        "title": "No judged result of any machine for three days",
        "summary": "Nothing judged came for three days: see the pages of QA Daemon.",
        "select": 'count("verdict") AS "results"',
        "reducer": "sum",
        "condition": "< 1",
        "seconds": "259200",
        "no_data": "Alerting",
    }
    return "".join(Template(_RULE).substitute(rule) for rule in (worst, silent))


def _quoted(text: str) -> str:
    """A YAML text; Grafana fills in what follows a dollar, so that one stands for itself."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'
