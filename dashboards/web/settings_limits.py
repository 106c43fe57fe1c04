"""Limits as they are in force today: what judges each number, for whom, and by whose word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from analyzers.core import Limits, Metric
from dashboards.web.clinic import Clinic
from dashboards.web.wording import action_of, tolerance_of
from qa_daemon.pipeline import RADIOSURGERY
from qa_daemon.site.settings import LimitsEntry, Machine
from qa_daemon.site.site import Site


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One metric's limits; `whose` is a machine or a class of plans, empty: all of the class."""

    test: str
    metric: str
    meaning: str
    whose: str
    tolerance: str
    action: str
    source: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class OwnRow:
    """An entry of the site file, and whether it holds today."""

    entry: LimitsEntry
    whose: str
    meaning: str
    tolerance: str
    action: str
    state: str


@dataclass(frozen=True, slots=True)
class ClassLimits:
    """The limits of one class of machines; a judged metric that is not listed has none there."""

    machine_class: str
    machines: list[str]
    rows: list[LimitRow]


def of_classes(clinic: Clinic, today: date) -> list[ClassLimits]:
    """Of every class that the clinic has a machine of, in the order of the site file."""
    by_class: dict[str, list[Machine]] = {}
    for machine in clinic.site.machines:
        by_class.setdefault(machine.machine_class, []).append(machine)
    return [
        ClassLimits(name, [m.name for m in machines], list(_rows(clinic, name, machines, today)))
        for name, machines in by_class.items()
    ]


def own(clinic: Clinic, today: date) -> list[OwnRow]:
    """What the site file says of limits, in its order."""
    return [
        OwnRow(
            entry=entry,
            whose=_whose(entry),
            meaning=clinic.meaning(*entry.metric.split(".", 1)),
            tolerance=_number(entry.tolerance, entry.tolerance_percent),
            action=_number(entry.action, entry.action_percent),
            state=_state(entry, clinic.site, today),
        )
        for entry in clinic.site.file.limits
    ]


def _rows(
    clinic: Clinic, machine_class: str, machines: list[Machine], today: date
) -> Iterator[LimitRow]:
    site = clinic.site
    for name, metric in site.metrics.items():
        usual = site.limits_for(name, machine_class, None, today)
        if usual is not None and usual.bounds:
            yield _row(clinic, name, metric, "", usual)
        said = {usual}
        for whose, machine, plans in _exceptions(site, name, metric, machines):
            found = site.limits_for(name, machine_class, machine, today, plans)
            if found is not None and found.bounds and found not in said:
                yield _row(clinic, name, metric, whose, found)
            if plans is None or machine is None:
                said.add(found)


def _exceptions(
    site: Site, name: str, metric: Metric, machines: list[Machine]
) -> Iterator[tuple[str, Machine | None, str | None]]:
    """For whom other limits may hold than for the class: machines, plans, plans on machines."""
    entries = [entry for entry in site.file.limits if entry.metric == name]
    named = {entry.machine for entry in entries}
    of_plans = {entry.plan_class for entry in entries}
    own_limits = [machine for machine in machines if machine.name in named]
    classes = [
        each.name
        for each in site.file.plan_class
        if metric.radiosurgery is not None or each.name in of_plans
    ]
    yield from ((machine.name, machine, None) for machine in own_limits)
    yield from ((f"plans of class {plans}", None, plans) for plans in classes)
    for machine in own_limits:
        yield from ((f"{machine.name}, plans of class {p}", machine, p) for p in classes)
    if metric.radiosurgery is not None:
        for machine in machines:
            if machine.radiosurgery:
                yield f"{machine.name}, tests on images", machine, RADIOSURGERY


def _row(clinic: Clinic, name: str, metric: Metric, whose: str, limits: Limits) -> LimitRow:
    share = limits.tolerance_percent, limits.action_percent
    return LimitRow(
        test=clinic.title(name.partition(".")[0]),
        metric=name,
        meaning=metric.meaning,
        whose=whose,
        tolerance=tolerance_of(limits, metric.unit) + _or_share(share[0]),
        action=action_of(limits, metric.unit) + _or_share(share[1]),
        source=limits.source,
        is_own=limits.source.startswith("site:"),
    )


def _number(value: float, percent: float | None) -> str:
    return f"{value:g}{_or_share(percent)}"


def _or_share(percent: float | None) -> str:
    return "" if percent is None else f" or {percent:g} %, the greater"


def _whose(entry: LimitsEntry) -> str:
    whose = entry.machine or entry.machine_class or "all machines"
    return f"{whose}, plans of class {entry.plan_class}" if entry.plan_class else whose


def _state(entry: LimitsEntry, site: Site, today: date) -> str:
    if entry.effective_from > today:
        return "to come"
    replaced = any(
        other.metric == entry.metric
        and other.machine == entry.machine
        and other.plan_class == entry.plan_class
        and other.machine_class in (None, entry.machine_class)
        and entry.effective_from < other.effective_from <= today
        for other in site.file.limits
    )
    return "replaced" if replaced else "in force"
