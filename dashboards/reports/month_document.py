"""The month as a printed document: what an inspector reads, and a physicist signs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dashboards.reports.document import (
    Block,
    Cell,
    Code,
    Column,
    Contents,
    Document,
    Facts,
    Heading,
    Items,
    Mark,
    Notice,
    Paper,
    Paragraph,
    Signature,
    Table,
)
from dashboards.reports.month_data import MonthData
from dashboards.reports.month_limits import limits_blocks, own_limits_table
from dashboards.reports.month_pages import change_table, machine_blocks
from dashboards.reports.month_process import FEWEST_DAYS
from dashboards.web.about import ABOUT
from dashboards.web.wording import LOOKS, instant, local, plural
from qa_daemon.model import SOFTWARE, Verdict

VERDICTS = tuple(Verdict)
MEANINGS = (
    "A test is one question about one record: the leaf positions of a delivery, the output of a "
    "check. It is at PASS, TOLERANCE, ACTION or INVALID; INVALID is what could not be answered or "
    "read, and never a pass. Each number is held against the limits that were in force when it was "
    "judged, unrounded, bounds included.",
    "A record that was judged again counts once, by its newest result.",
    "Results from machine logs are reported by the machine's controller; they are not an "
    "independent measurement.",
    "Control charts show one value a day, the median of its results, and hold it against what the "
    "first values of a process, or a physicist, said is usual: center and 3 sigma, and the "
    "weighted average of newest values (EWMA 0.1, 2.814 sigma). They are no verdicts.",
    f"Cpk is the room from the mean to the nearer tolerance limit in units of 3 sigma, sigma by "
    f"moving ranges of the days since the last change of the machine; it is told from "
    f"{FEWEST_DAYS} days on. Ppk takes the spread of all those days.",
    "A day without QA has no test of the machine that was answered, whether the machine treated "
    "or not.",
    "No patient is named in it, nor who performed a treatment or typed in a check. Numbers of "
    "results lead to the records inside the clinic.",
)


def document(data: MonthData, paper: Paper = "a4") -> Document:
    """The month;"""
    of = f", {data.only}" if data.only else ""
    sealed = f"audit row {data.sealed.seq}, {data.sealed.hash[:12]}…" if data.sealed else "no audit"
    return Document(
        title=f"Machine quality assurance, {data.month.title}",
        subtitle=f"{data.site.name}{of}",
        clinic=data.site.name,
        running=f"Machine QA {data.month.name}{of}{_state(data)}",
        footer=f"QA Daemon {SOFTWARE}, {sealed}",
        as_of=data.month.until,
        blocks=tuple(_blocks(data)),
        paper=paper,
    )


def _state(data: MonthData) -> str:
    return "" if data.is_over and not data.queued else " (incomplete)"


def _blocks(data: MonthData) -> Iterator[Block]:
    yield from _front(data)
    yield Heading("The month at a glance", level=1)
    yield _summary(data)
    yield from _attention(data)
    for machine in data.machines:
        yield from machine_blocks(data, machine)
    yield from limits_blocks(data)
    yield from _clinic_wide(data)
    yield Heading("How to read this document", level=1, on_new_page=True)
    yield Items(MEANINGS)
    yield Heading("Limits of use", level=1)
    yield Items(ABOUT)
    yield Heading("Seen", level=1)
    yield Signature([("Physicist, name and signature", None), ("Date", None)])


def _front(data: MonthData) -> Iterator[Block]:
    if not data.is_over:
        as_of = "There is no result yet."
        if data.as_of:
            as_of = f"As of {local(data.as_of, data.month.zone)}, the newest result."
        yield Notice(f"INCOMPLETE: this month is not over. {as_of}")
    if data.queued:
        have = "has" if data.queued == 1 else "have"
        yield Notice(
            f"INCOMPLETE: {plural(data.queued, 'file')} {have} arrived and {have} not been read "
            "yet; some may be of this month."
        )
    if data.is_over and not any(machine.records for machine in data.machines):
        yield Notice("There is no result in this month.")
    if data.behind:
        yield Notice(
            f"The trends had still to look at {plural(data.behind, 'result')}: control limits "
            "may lack what those add."
        )
    last = data.month.after.first - timedelta(days=1)
    records = sum(machine.records for machine in data.machines)
    rows: list[tuple[str, Cell]] = [
        ("Clinic", data.site.name),
        ("Month", f"{data.month.first} to {last}, {data.site.file.site.time_zone}"),
        ("Machines", data.only or str(sum(1 for m in data.machines if m.machine is not None))),
        ("Results", f"{records} ({sum(m.tally.judged for m in data.machines)} judged numbers)"),
        ("Software", f"QA Daemon {SOFTWARE}"),
        ("Settings", Code(data.site.fingerprint)),
    ]
    yield Facts(rows)
    if data.sealed:
        yield Facts([(f"Audit trail, row {data.sealed.seq}", Code(data.sealed.hash))], columns=1)
    yield Heading("Contents", listed=False)
    yield Contents()


def _summary(data: MonthData) -> Table:
    columns = [
        Column("Machine", share=1),
        Column("Results", right=True),
        *(Column(_mark(verdict), right=True) for verdict in VERDICTS),
        Column("Unreadable", right=True),
        Column("Days without QA", right=True),
    ]
    rows = []
    for machine in data.machines:
        counts = [str(machine.count(verdict)) for verdict in VERDICTS]
        idle = f"{len(machine.idle)} of {len(data.clinic_days)}" if machine.machine else ""
        rows.append([machine.name, str(machine.records), *counts, str(machine.unreadable), idle])
    return Table(columns, rows)


def _mark(verdict: Verdict) -> Mark:
    return Mark(LOOKS[verdict].name, LOOKS[verdict].word)


def _attention(data: MonthData) -> Iterator[Block]:
    """What was at ACTION or INVALID and was not within its limits again in the month."""
    found = []
    for machine in data.machines:
        for one in machine.carried:
            if one.settled is None:
                at = instant(one.point_ns).astimezone(data.month.zone)
                test = data.titles.get(one.analyzer, one.analyzer.replace("_", " "))
                found.append(
                    f"{machine.name}, {test}: open since before the month, {one.verdict.name} on "
                    f"{at:%Y-%m-%d %H:%M}"
                )
        still: dict[str, list[datetime]] = {}
        for each in machine.out:
            if each.calls and each.settled is None:
                at = instant(each.out.point_ns).astimezone(data.month.zone)
                still.setdefault(each.out.analyzer, []).append(at)
        for test, times in still.items():
            found.append(
                f"{machine.name}, {data.titles.get(test, test.replace('_', ' '))}: "
                f"{plural(len(times), 'number')} at ACTION or INVALID, "
                f"the last {max(times):%Y-%m-%d %H:%M}"
            )
    yield Heading("Not within limits again in the month")
    if found:
        yield Items(found)
    elif not any(m.carried or any(one.calls for one in m.out) for m in data.machines):
        yield Paragraph("Nothing was at ACTION or INVALID.")
    else:
        yield Paragraph("Nothing: what was at ACTION or INVALID was within its limits later on.")


def _clinic_wide(data: MonthData) -> Iterator[Block]:
    if not data.changes and not data.limits_set:
        return
    yield Heading("Changes of the clinic", level=1)
    if data.limits_set:
        yield Heading("Limits of the site file that took effect")
        yield own_limits_table(data)
    if data.changes:
        yield Heading("Changes of no single machine")
        yield change_table(data.month, data.changes)
