"""The queries of a dashboard's JSON: read by a grammar that allows no other, filled in, answered.

The grammar is the whole language that panels may speak.  `expected` answers from the store's rows.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.dashboards.grafana.whole_store import Row
from tests.servers import InfluxServer, fetch

Json = dict[str, Any]
CONDITION = r"""(?:"\w+" =~ /\^\$\w+\$/|"\w+" =~ /\^\([\w|]+\)\$/|"\w+" = '\w+'|"verdict" = \d)"""
COLUMN = r'(?:mean|max|min|last|count)\("\w+"\) AS "[\w ]+"'
SELECT = re.compile(
    rf"SELECT (?P<columns>{COLUMN}(?:, {COLUMN})*) "
    r'FROM "(?P<measurement>qa\w*)" '
    rf"WHERE \$timeFilter(?P<conditions>(?: AND {CONDITION})+) "
    r'GROUP BY (?P<time>time\(\$__interval\), )?(?P<tags>"\w+"(?:, "\w+")*)(?P<fill> fill\(none\))?'
)
TAG_VALUES = re.compile(
    rf'SHOW TAG VALUES(?: FROM "qa\w*")? WITH KEY = "(?P<key>\w+)"'
    rf"(?: WHERE {CONDITION}(?: AND {CONDITION})*)?"
)
Answer = dict[tuple[str, ...], dict[int, dict[str, float]]]
"""By the tags of a series: by time (ns), by column."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a panel, taken apart."""

    where: str
    text: str
    columns: tuple[tuple[str, str, str], ...]
    measurement: str
    conditions: tuple[str, ...]
    by: tuple[str, ...]
    by_time: bool
    interval_s: int
    one_machine: bool
    """The panel is there once for each machine."""


def panels_of(dashboard: Json) -> Iterator[Json]:
    """Every panel that is no heading, of closed sections too."""
    for panel in dashboard["panels"]:
        yield from panel.get("panels", [])
        if panel["type"] != "row":
            yield panel


def queries_of(dashboard: Json, interval_s: int) -> Iterator[Query]:
    """Every query of every panel; a text outside the grammar fails."""
    for panel in panels_of(dashboard):
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            found = SELECT.fullmatch(target["query"])
            assert found, target["query"]
            assert bool(found["time"]) == bool(found["fill"])
            columns = re.findall(r'(\w+)\("(\w+)"\) AS "([\w ]+)"', found["columns"])
            step_s = 86400 if panel.get("interval") == "1d" else interval_s
            yield Query(
                f"{dashboard['uid']}: {panel['title']}",
                target["query"],
                tuple(columns),
                found["measurement"],
                tuple(found["conditions"].removeprefix(" AND ").split(" AND ")),
                tuple(re.findall(r'"(\w+)"', found["tags"])),
                bool(found["time"]),
                max(step_s, interval_s),
                panel.get("repeat") == "machine",
            )


def filled_in(text: str, chosen: dict[str, Sequence[str]], span_ns: tuple[int, int], s: int) -> str:
    """As Grafana fills in macros and variables of several values."""
    text = text.replace("$timeFilter", f"time >= {span_ns[0]} and time <= {span_ns[1]}")
    text = text.replace("$__interval", f"{s}s")
    for name, values in chosen.items():
        text = text.replace(f"${name}", f"({'|'.join(map(_escaped, values))})")
    return text


class Rows:
    """Rows by measurement, test and metric, so that a query looks at few."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._by: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda r: r.at_ns):
            analyzer, metric = row.tags.get("analyzer", ""), row.tags.get("metric", "")
            for key in itertools.product({"", analyzer}, {"", metric}):
                self._by[row.measurement, *key].append(row)

    def of(self, query: Query) -> list[Row]:
        """Those that it may be about, in the order of their times."""
        found = dict(re.findall(r"\"(analyzer|metric)\" = '(\w+)'", query.text))
        return self._by[query.measurement, found.get("analyzer", ""), found.get("metric", "")]


def ask(influx: InfluxServer, statements: Sequence[str]) -> list[list[dict[str, Any]]]:
    """All statements in one request."""
    if not statements:
        return []
    form = {"q": "; ".join(statements), "db": "qa", "epoch": "ns"}
    answers = json.loads(fetch(f"{influx.url}/query", form))["results"]
    assert not [a["error"] for a in answers if "error" in a]
    return [list(a.get("series", [])) for a in answers]


def compare(found: Answer, wanted: Answer, query: Query) -> None:
    """Equal, but for the last digit of a mean."""
    if found != wanted:
        close = {
            tags: {at: pytest.approx(values, rel=1e-12) for at, values in by_time.items()}
            for tags, by_time in wanted.items()
        }
        assert found == close, query.where


def expected(
    query: Query, rows: Rows, chosen: dict[str, Sequence[str]], span_ns: tuple[int, int]
) -> Answer:
    """What the store's rows say to it."""
    groups: dict[tuple[tuple[str, ...], int], list[Row]] = defaultdict(list)
    step_ns = query.interval_s * 10**9
    tests = [_test(condition, chosen) for condition in query.conditions]
    for row in rows.of(query):
        in_span = span_ns[0] <= row.at_ns <= span_ns[1]
        if in_span and all(test(row) for test in tests):
            tags = tuple(row.tags.get(tag, "") for tag in query.by)
            groups[tags, row.at_ns // step_ns * step_ns if query.by_time else 0].append(row)
    answer: Answer = {}
    for (tags, at_ns), inside in groups.items():
        values = {
            name: value
            for function, field, name in query.columns
            if (value := _of(function, [r.fields[field] for r in inside if field in r.fields]))
            is not None
        }
        if values:
            answer.setdefault(tags, {})[at_ns if query.by_time else inside[-1].at_ns] = values
    return answer


def returned(series: Sequence[Json], query: Query) -> Answer:
    """What InfluxDB answered, nulls left out."""
    answer: Answer = {}
    for one in series:
        tags = tuple(one["tags"][tag] for tag in query.by)
        for at, *values in one["values"]:
            pairs = zip(one["columns"][1:], values, strict=True)
            numbers = {name: float(value) for name, value in pairs if value is not None}
            if numbers:
                answer.setdefault(tags, {})[at] = numbers
    return answer


def _test(condition: str, chosen: dict[str, Sequence[str]]) -> Callable[[Row], bool]:
    name, operator, value = condition.split(" ", 2)
    name = name.strip('"')
    if name == "verdict":
        return lambda row: row.fields.get("verdict") == int(value)
    if operator == "=":
        return lambda row: row.tags.get(name) == value.strip("'")
    inside = value.removeprefix("/^").removesuffix("$/")
    allowed = chosen[inside[1:]] if inside.startswith("$") else inside.strip("()").split("|")
    return lambda row: row.tags.get(name) in allowed


def _of(function: str, values: list[float]) -> float | None:
    if not values:
        return None
    if function == "mean":
        return math.fsum(values) / len(values)
    return {"max": max, "min": min, "count": len, "last": lambda v: v[-1]}[function](values)


def _escaped(value: str) -> str:
    """What Grafana's data source makes of a value inside a regular expression."""
    return re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\1", value)
