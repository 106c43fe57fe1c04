"""The settings in force, to be read: machines, limits, charts, who is told, what is sent where.

Anybody who reaches the pages reads this: it shows no path, no address and nothing secret.  It is
made of the site file as it was read at the start, and of the last month's values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from analyzers.numerics.control_chart import FEWEST
from analyzers.numerics.weighted_average import WEIGHT, WIDTH
from dashboards.web import settings_limits, trends_overview
from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.wording import plural
from qa_daemon.site.settings import Machine, Person, PlanClass
from qa_daemon.site.srt_rules import RULES
from qa_daemon.trends import signals
from qa_daemon.trends.chart import PHASE_ONE, SIGMAS

KIND = re.compile(r"([a-z][a-z0-9+.-]{0,19})://")
UNITS_S = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
SIMULATION = "python -m tests.bench run_lengths"


@dataclass(frozen=True, slots=True)
class MachineRow:
    """One machine of the site file."""

    name: str
    machine_class: str
    mlc: str
    folders: int
    more: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Who is told, by which kinds of channel, and what this person may do."""

    name: str
    channels: str
    signs_in: str
    role: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A setting in words."""

    name: str
    value: str
    meaning: str = ""


def router(clinic: Clinic) -> APIRouter:
    """The page."""
    routes = APIRouter()
    routes.add_api_route("/settings", _page(clinic), methods=["GET", "HEAD"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Callable[..., Response]:
    def show(request: Request) -> Response:
        today = clinic.clock().astimezone(clinic.site.zone).date()
        watched = trends_overview.machines(clinic)
        file = clinic.site.file
        return page(
            clinic,
            request,
            "settings.html",
            rules=list(_clinic(clinic)),
            machines=[_machine(machine) for machine in file.machine],
            own_limits=settings_limits.own(clinic, today),
            classes=settings_limits.of_classes(clinic, today),
            trend_only=sum(not metric.limits for metric in clinic.meanings.values()),
            chart_rules=list(_charts()),
            watched=watched,
            values=sum(one.values for one in watched),
            expected=sum(one.expected for one in watched),
            run_length=trends_overview.RUN_LENGTH,
            simulation=SIMULATION,
            people=[_person(person) for person in file.person],
            rota=[(entry.from_, entry.person) for entry in file.rota.weekly] if file.rota else [],
            times=list(_times(clinic)),
            sent=list(_sent(clinic)),
            analyzers=list(_analyzers(clinic)),
        )

    return show


def _clinic(clinic: Clinic) -> Iterator[Rule]:
    site = clinic.site
    yield Rule("Clinic", site.name)
    yield Rule("Time zone", site.file.site.time_zone, "machine logs carry local time")
    yield Rule(
        "Hash of settings",
        site.fingerprint,
        "of all that can change a number or a verdict; each result names the one it was judged by",
    )
    yield Rule("Printed reports", site.file.site.paper)
    yield Rule(
        "Kept",
        "everything",
        "files, results and the audit trail: the daemon has no setting that deletes them",
    )


def _machine(machine: Machine) -> MachineRow:
    said = []
    if machine.radiosurgery:
        said.append("treats by radiosurgery")
    if machine.imager_model:
        said.append(f"{plural(len(machine.imager_model), 'model')} of its imager")
    if machine.ae_title is not None:
        said.append(f"sends as {machine.ae_title}")
    if machine.srt is not None:
        rules = RULES[machine.srt.rules]
        said.append(f"{plural(len(machine.srt.beams), 'beam')}, rules: {rules.title}")
    return MachineRow(
        machine.name,
        machine.machine_class,
        machine.mlc or "",
        len(machine.folders),
        "; ".join(said),
    )


def _charts() -> Iterator[Rule]:
    yield Rule(
        "Control chart",
        f"{SIGMAS:g} sigma, and EWMA({WEIGHT:g}, {WIDTH:g})",
        "single values, and their weighted average; shown on pages, nobody is called",
    )
    yield Rule(
        "What is usual",
        f"the first {FEWEST} to {PHASE_ONE} days",
        "of a process, then held; or limits that a physicist signed",
    )
    yield Rule(
        "Steady process speaks",
        f"once in about {trends_overview.RUN_LENGTH} values",
        "by simulation; 3 sigma alone once in 370",
    )
    yield Rule(
        "Step",
        f"{signals.STEP_SIGMAS:g} sigma",
        f"from the {signals.LEVEL_OF} values before, and more than "
        f"{100 * signals.WORTH_SAYING:g} % of the way to its limit; told once",
    )
    yield Rule(
        "Drift",
        f"p < {signals.SURE:g}",
        f"a line of the newest {signals.WINDOW} values that leaves tolerance within "
        f"{signals.HORIZON_D:g} days; told once",
    )
    yield Rule("Calls", "limits alone", "people are called for what is out of its limits")


def _person(person: Person) -> PersonRow:
    kinds = [
        found[1] if (found := KIND.match(c.lower())) else "unknown kind" for c in person.channels
    ]
    if person.channels_file is not None:
        kinds.append("kept in a file of their own")
    return PersonRow(
        person.name,
        ", ".join(kinds) or "none",
        "yes" if person.password_file is not None else "no",
        person.role,
    )


def _times(clinic: Clinic) -> Iterator[Rule]:
    file = clinic.site.file
    ingest, plans, images = file.ingest, file.plans, file.images
    yield Rule("File is taken", _span(ingest.settle_time), "after it changed last")
    yield Rule("Folders are looked through", f"every {_span(ingest.rescan_every)}")
    yield Rule("Worker", _span(ingest.job_time_limit), f"at most; {ingest.workers} at a time")
    yield Rule("Largest file", f"{ingest.largest_file_mb:g} MB", "larger ones are quarantined")
    meaning = "then it is INVALID" if plans.required else "it is judged by itself meanwhile"
    yield Rule("Log waits for its plan", _span(plans.arrive_within), meaning)
    yield Rule("Log of a treatment record", _span(plans.log_within), "later, people are told")
    yield Rule("Set of images is whole", _span(images.complete_after), "after its last image")
    for each in file.plan_class:
        yield Rule(f"Plans of class {each.name}", "; ".join(_told_by(each)), "radiosurgery")


def _told_by(plans: PlanClass) -> Iterator[str]:
    if plans.label_contains:
        yield f"label has {', '.join(plans.label_contains)}"
    if plans.dose_per_fraction_gy is not None:
        yield f"at least {plans.dose_per_fraction_gy:g} Gy a fraction"
    if plans.techniques:
        yield f"technique {', '.join(plans.techniques)}"


def _sent(clinic: Clinic) -> Iterator[Rule]:
    influx, dicom = clinic.site.file.influx, clinic.site.file.dicom
    if influx is None:
        yield Rule("Time-series database", "none")
    else:
        of = f"database {influx.database}" if influx.api == "v1" else f"bucket {influx.bucket}"
        address = "/write" if influx.api == "v1" else "/api/v2/write"
        leaves = "with every leaf" if influx.leaves else "without single leaves"
        yield Rule("Time-series database", f"{influx.api}, {address}, {of}", leaves)
    if dicom is None:
        yield Rule("Objects over the network", "none are received")
    else:
        tls = "with TLS" if dicom.certificate_file is not None else "without TLS"
        yield Rule(
            "Objects over the network",
            f"received as {dicom.ae_title}",
            f"from {plural(len(dicom.peer), 'sender')}, {tls}",
        )


def _analyzers(clinic: Clinic) -> Iterator[Rule]:
    """The clinic's own settings of analyzers: numbers; of a text, that there is one."""
    for analyzer, settings in clinic.site.analyzer_settings.items():
        for key, value in settings.items():
            is_number = isinstance(value, bool | int | float)
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            yield Rule(f"{analyzer}.{key}", shown if is_number else "set", clinic.title(analyzer))


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    for size, name in UNITS_S:
        if seconds >= size and seconds % size == 0:
            return plural(int(seconds // size), name)
    return f"{seconds:g} seconds"
