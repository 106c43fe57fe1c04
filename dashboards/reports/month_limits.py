"""The chapter of limits: by which each quantity was judged, on which machines, since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from analyzers.core import Limits
from dashboards.reports.document import Block, Cell, Column, Heading, Paragraph, Table
from dashboards.reports.month_data import MachineMonth, MonthData
from dashboards.reports.month_tally import InForce, MetricKey, width
from dashboards.web.wording import action_of, instant, tolerance_of

NONE = "\N{EN DASH}"
ALL_MONTH = "all month"
BY_REFERENCE = "by the reference value of each: "
Row = tuple[str, str, str, str]
"""Tolerance, action, days, source."""


def limits_blocks(data: MonthData) -> Iterator[Block]:
    """One table for the clinic: machines that are judged alike share a row."""
    found: dict[tuple[MetricKey, Row], list[str]] = {}
    begins: dict[tuple[MetricKey, Row], int] = {}
    for machine in data.machines:
        for key, row, first_ns in _rows(data, machine):
            found.setdefault((key, row), []).append(machine.name)
            begins.setdefault((key, row), first_ns if row[2] != ALL_MONTH else 0)
    if not found:
        return
    of_class: dict[str, list[str]] = {}
    for one in data.machines:
        if one.tally.judged and one.machine is not None:
            of_class.setdefault(one.machine.machine_class, []).append(one.name)
    yield Heading("Limits in force", level=1, on_new_page=True)
    yield Paragraph(
        "As numbers of the month were judged by them. Limits that changed have a row for each, "
        "with the first and last day of records that were judged so."
    )
    rows: list[list[Cell]] = []
    for ((test, metric, judged_as), row), machines in sorted(
        found.items(), key=lambda item: (item[0][0], begins[item[0]], item[1], item[0][1])
    ):
        declared = data.site.metrics.get(f"{test}.{metric}")
        meaning = declared.meaning if declared else metric.replace("_", " ")
        of = f" ({judged_as.replace('_', ' ')})" if judged_as else ""
        tolerance, action, span, source = row
        days = "" if span == ALL_MONTH else f"; {span}"
        on = ", ".join(_together(machines, of_class))
        title = data.titles.get(test, test.replace("_", " "))
        rows.append([f"{title}: {meaning}{of}", tolerance, action, f"{on}{days}", source])
    yield Table(
        [
            Column("Quantity", share=3),
            Column("Tolerance", share=1),
            Column("Action", share=1),
            Column("Machines", share=1.1),
            Column("Source", share=2),
        ],
        rows,
    )


def _together(machines: Sequence[str], of_class: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Machines by name; all of a class, where they are several, by its name."""
    left = list(machines)
    for name, members in of_class.items():
        if len(members) > 1 and set(members) <= set(left):
            yield f"all {name}"
            left = [one for one in left if one not in members]
    yield from left


def own_limits_table(data: MonthData) -> Table:
    """Limits of the site file that took effect in the month."""
    rows: list[list[Cell]] = []
    for entry in data.limits_set:
        analyzer, _, metric = entry.metric.partition(".")
        declared = data.site.metrics[entry.metric]
        limits = data.site.own_limits(entry)
        title = data.titles.get(analyzer, analyzer.replace("_", " "))
        narrower = (entry.machine, entry.machine_class, entry.plan_class)
        rows.append(
            [
                entry.effective_from.isoformat(),
                f"{title}: {declared.meaning or metric.replace('_', ' ')}",
                ", ".join(part for part in narrower if part) or "all",
                _or_percent(tolerance_of(limits, declared.unit), entry.tolerance_percent),
                _or_percent(action_of(limits, declared.unit), entry.action_percent),
                f"{entry.author}: {data.scrub(entry.reason)}",
            ]
        )
    return Table(
        [
            Column("From"),
            Column("Quantity", share=2),
            Column("Of", share=1),
            Column("Tolerance", share=1),
            Column("Action", share=1),
            Column("By, and why", share=2),
        ],
        rows,
    )


def _or_percent(said: str, percent: float | None) -> str:
    return said if percent is None else f"{said} or {percent:g} % of the reference"


def _rows(data: MonthData, machine: MachineMonth) -> Iterator[tuple[MetricKey, Row, int]]:
    """Rows with the instant of the first number that was judged so."""
    for key, known in machine.tally.limits.items():
        by_source: dict[str, list[InForce]] = {}
        for each in known.values():
            if each.is_rest:
                continue
            by_source.setdefault(each.limits.source, []).append(each)
        is_one = len(by_source) == 1
        for source, found in by_source.items():
            found.sort(key=lambda one: (one.first_ns, one.last_ns))
            overlap = any(a.last_ns >= b.first_ns for a, b in pairwise(found))
            said = data.scrub(source)
            if overlap:
                span = ALL_MONTH if is_one else _span(data, found)
                yield key, (*_between(found), span, said), found[0].first_ns
                continue
            for one in found:
                span = ALL_MONTH if is_one and len(found) == 1 else _span(data, [one])
                yield key, (*_words(one.limits, one.unit), span, said), one.first_ns


def _between(found: Sequence[InForce]) -> tuple[str, str]:
    """Limits that follow a reference value, from the narrowest to the widest."""
    unit = found[0].unit
    ordered = sorted((one.limits for one in found), key=width)
    low, high = _words(ordered[0], unit), _words(ordered[-1], unit)
    both = [a if a == b else f"{BY_REFERENCE}{a} to {b}" for a, b in zip(low, high, strict=True)]
    return both[0], both[1]


def _words(limits: Limits, unit: str) -> tuple[str, str]:
    return tolerance_of(limits, unit) or NONE, action_of(limits, unit) or NONE


def _span(data: MonthData, found: Sequence[InForce]) -> str:
    zone = data.month.zone
    first = instant(min(one.first_ns for one in found)).astimezone(zone)
    last = instant(max(one.last_ns for one in found)).astimezone(zone)
    return f"{first:%m-%d} to {last:%m-%d}"
