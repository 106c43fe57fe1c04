"""The chapter of one machine: what was tested and out, how its processes stand, what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from math import inf

from dashboards.reports.document import (
    Block,
    Calendar,
    Cell,
    Code,
    Column,
    Facts,
    Heading,
    Items,
    Mark,
    Paragraph,
    Table,
)
from dashboards.reports.month_answers import UNREADABLE, Carried
from dashboards.reports.month_changes import Change
from dashboards.reports.month_charts import (
    badness,
    behind,
    headlines,
    metric_of,
    picture,
    place_in,
    title,
)
from dashboards.reports.month_data import MachineMonth, MonthData, OutOfLimits
from dashboards.reports.month_process import FEWEST_DAYS, Process
from dashboards.reports.month_tally import MOST_EVENTS
from dashboards.web.wording import (
    LOOKS,
    MINUS,
    action_of,
    instant,
    number,
    plural,
    quantity,
    tolerance_of,
)
from qa_daemon.model import Verdict
from qa_daemon.store.months import Month

MOST_CALLS, MOST_TOLERANCE, MOST_PROCESSES = 300, 40, 40
"""Rows of one machine on paper; the tables beside it have all."""
NONE = "\N{EN DASH}"


def machine_blocks(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    """The chapter."""
    yield Heading(machine.name, level=1, on_new_page=True)
    yield _facts(data, machine)
    if not machine.records:
        yield Paragraph("There is no result of this machine in the month.")
    yield from _tests(data, machine)
    yield from _out(data, machine)
    yield from _processes(data, machine)
    yield from _charts(data, machine)
    yield from _changes(data, machine)
    yield from _versions(data, machine)


def _facts(data: MonthData, machine: MachineMonth) -> Facts:
    rows: list[tuple[str, Cell]] = [
        ("Class", machine.machine.machine_class if machine.machine else "unknown"),
        ("Results", str(machine.records)),
        ("Judged numbers", str(machine.tally.judged)),
        ("Out of limits", str(machine.out_count)),
        ("Unreadable files", str(machine.unreadable)),
    ]
    if machine.machine is not None:
        with_qa = len(data.clinic_days) - len(machine.idle)
        rows.append(("Days with QA", f"{with_qa} of {len(data.clinic_days)}"))
    return Facts(rows)


def _tests(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    if machine.answers:
        yield Heading("Tests by verdict")
        columns = [
            Column("Test", share=1),
            Column("Version", right=True),
            *(Column(Mark(LOOKS[v].name, LOOKS[v].word), right=True) for v in Verdict),
        ]
        rows = [
            [
                _title(data, test),
                ", ".join(machine.versions[test]),
                *(str(counts[v]) if counts[v] else NONE for v in Verdict),
            ]
            for test, counts in sorted(machine.answers.items())
        ]
        yield Table(columns, rows)
        yield Heading("Tests by day")
        yield _calendar(data, machine)
        yield Paragraph("How many tests on each day, and the worst verdict among them.")
    if machine.machine is not None and machine.idle:
        yield Heading("Days without QA")
        yield Paragraph(f"{plural(len(machine.idle), 'day')}: {_runs(machine.idle)}.")


def _calendar(data: MonthData, machine: MachineMonth) -> Calendar:
    rows: list[tuple[str, list[Mark | None]]] = []
    for test, days in sorted(machine.by_day.items()):
        marks: list[Mark | None] = []
        for day in data.month.days:
            counts = days.get(day)
            worst = LOOKS[Verdict(max(counts))] if counts else None
            marks.append(Mark(worst.name, str(counts.total())) if worst and counts else None)
        rows.append((_title(data, test), marks))
    return Calendar([f"{day:%d}" for day in data.month.days], rows)


def _out(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    if machine.carried:
        yield Heading("Open when the month began")
        yield Items([_carried(data, one) for one in machine.carried])
    calls = [one for one in machine.out if one.calls]
    others = [one for one in machine.out if not one.calls]
    if not machine.answers and not machine.out:
        return
    yield Heading("At ACTION or INVALID")
    if calls:
        yield Table(
            [
                Column("Time"),
                Column("What", share=3),
                Column("Value", right=True),
                Column("Action limit"),
                Column("Verdict"),
                Column("Told, and within limits again", share=2.4),
            ],
            list(_calls(data, calls[:MOST_CALLS])),
        )
        yield from _more(len(calls), MOST_CALLS)
    else:
        yield Paragraph("None.")
    yield Heading("At TOLERANCE")
    if len(others) > MOST_TOLERANCE:
        yield _grouped(data, others)
        yield Paragraph(f"{len(others)} numbers; the tables of this package have each of them.")
    elif others:
        columns = [
            Column("Time"),
            Column("What", share=1),
            Column("Value", right=True),
            Column("Tolerance"),
            Column("Result", right=True),
        ]
        yield Table(columns, [_tolerance(data, one) for one in others])
    else:
        yield Paragraph("None.")
    if machine.out_count > len(machine.out):
        yield Paragraph(
            f"{machine.out_count} numbers were out of limits; the first {MOST_EVENTS} are listed "
            "in the tables of this package, and all of them among the measurements."
        )


def _carried(data: MonthData, one: Carried) -> str:
    zone = data.month.zone
    at = instant(one.point_ns).astimezone(zone)
    back = "not within limits again in the month"
    if one.settled is not None:
        again = instant(one.settled.point_ns).astimezone(zone)
        back = f"within limits {again:%m-%d %H:%M}, result {one.settled.result}"
    return (
        f"{_title(data, one.analyzer)}: {one.verdict.name} on {at:%Y-%m-%d %H:%M}, "
        f"result {one.result}; {back}."
    )


def _more(count: int, most: int) -> Iterator[Block]:
    if count > most:
        yield Paragraph(
            f"The first {most} of {count}; the tables of this package have all of them."
        )


def _calls(data: MonthData, found: Sequence[OutOfLimits]) -> Iterator[list[Cell]]:
    """A row for each number; what is told of a test of a result is told once."""
    before: tuple[int, str] | None = None
    for one in found:
        out, test = one.out, (one.out.result, one.out.analyzer)
        limit = action_of(out.limits, out.unit) or tolerance_of(out.limits, out.unit)
        at = instant(out.point_ns).astimezone(data.month.zone)
        is_first = test != before
        yield [
            f"{at:%m-%d %H:%M}" if is_first else "",
            f"{_what(data, one)}; result {out.result}" if is_first else _number(data, one),
            NONE if out.value is None else quantity(out.value, out.unit, out.limits),
            limit or NONE,
            Mark(LOOKS[out.verdict].name, LOOKS[out.verdict].word),
            _told(data.month, one) if is_first else "",
        ]
        before = test


def _told(month: Month, one: OutOfLimits) -> str:
    told = [
        f"{m.sent_to}, {_when(month, m.sent_at)}" if m.sent_to else "message waits to be sent"
        for m in one.messages
    ] or ["no message of its own"]
    back = "not within limits again in the month"
    if one.out.analyzer == UNREADABLE:
        back = "not read since"
    if one.settled is not None:
        at = instant(one.settled.point_ns).astimezone(month.zone)
        back = f"within limits {at:%m-%d %H:%M}, result {one.settled.result}"
    return f"{'; '.join(dict.fromkeys(told))}; {back}"


def _tolerance(data: MonthData, one: OutOfLimits) -> list[Cell]:
    out = one.out
    return [
        f"{instant(out.point_ns).astimezone(data.month.zone):%m-%d %H:%M}",
        _what(data, one),
        NONE if out.value is None else quantity(out.value, out.unit, out.limits),
        tolerance_of(out.limits, out.unit) or NONE,
        str(out.result),
    ]


def _grouped(data: MonthData, found: Sequence[OutOfLimits]) -> Table:
    """A row for each quantity and beam: how often, on how many days, and how far out."""
    groups: dict[tuple[str, ...], list[OutOfLimits]] = {}
    for one in found:
        key = (one.out.analyzer, one.out.metric, one.out.energy)
        groups.setdefault(key, []).append(one)
    rows: list[list[Cell]] = []
    for group in groups.values():
        worst = max(group, key=_how_far)
        times = [instant(one.out.point_ns).astimezone(data.month.zone) for one in group]
        out = worst.out
        rows.append(
            [
                _what(data, worst),
                str(len(group)),
                str(len({at.date() for at in times})),
                NONE if out.value is None else quantity(out.value, out.unit, out.limits),
                tolerance_of(out.limits, out.unit) or NONE,
                f"{times[0]:%m-%d} to {times[-1]:%m-%d}",
                str(out.result),
            ]
        )
    columns = [
        Column("What, and where at its worst", share=1),
        Column("Numbers", right=True),
        Column("Days", right=True),
        Column("Worst", right=True),
        Column("Tolerance"),
        Column("From, to"),
        Column("Result", right=True),
    ]
    return Table(columns, rows)


def _how_far(one: OutOfLimits) -> float:
    """How far beyond its tolerance a number is, in its own unit."""
    value, limits = one.out.value, one.out.limits
    if value is None:
        return 0.0
    over = 0.0 if limits.tolerance_high is None else value - limits.tolerance_high
    under = 0.0 if limits.tolerance_low is None else limits.tolerance_low - value
    return max(over, under)


def _what(data: MonthData, one: OutOfLimits) -> str:
    return f"{_title(data, one.out.analyzer)}: {_number(data, one)}"


def _number(data: MonthData, one: OutOfLimits) -> str:
    out = one.out
    declared = data.site.metrics.get(f"{out.analyzer}.{out.metric}")
    meaning = declared.meaning if declared else out.metric.replace("_", " ")
    return ", ".join(part for part in (meaning, out.place, out.energy, out.why) if part)


def _processes(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    if not machine.processes:
        return
    long = [p for p in machine.processes if len(p.days) >= FEWEST_DAYS]
    worst_first = sorted(long, key=_room)[:MOST_PROCESSES]
    kept = {p.name for p in worst_first}
    told = [p for p in long if p.name in kept]
    yield Heading("Processes")
    rows: list[list[Cell]] = []
    for p in told:
        said = title(metric_of(data, p), p.name, place_in(machine, p.name))
        usual = NONE
        if p.limits is not None:
            usual = f"{number(p.limits.center)} ± {number(p.limits.sigma)}"
        rows.append(
            [
                f"{_title(data, p.name.analyzer)}: {said}",
                f"{p.n}{' *' if p.cut else ''}",
                quantity(p.mean, p.unit),
                usual,
                NONE if p.cpk is None else f"{p.cpk:.2f}".replace("-", MINUS),
                f"{p.beyond} / {p.average_beyond}" if p.limits else NONE,
            ]
        )
    if rows:
        columns = [
            Column("Quantity, medians of days", share=1),
            Column("Days", right=True),
            Column("Mean", right=True),
            Column("Center ± sigma", right=True),
            Column("Cpk", right=True),
            Column("Days outside", right=True),
        ]
        yield Table(columns, rows)
        said = "Days outside control limits: by value / by weighted average."
        if any(p.cut for p in told):
            said += " * since the last change in the month."
        yield Paragraph(said)
    if len(told) < len(long):
        yield Paragraph(
            f"The {len(told)} of {len(long)} quantities that were out, not as usual, or nearest to "
            "their limits; the workbook has all of them."
        )
    if fewer := len(machine.processes) - len(long):
        series = "1 quantity has" if fewer == 1 else f"{fewer} quantities have"
        yield Paragraph(
            f"{series} values on fewer than {FEWEST_DAYS} days, which say little of a process; "
            "they are in the workbook."
        )


def _room(process: Process) -> tuple[float, ...]:
    """What the table of a machine with many quantities begins with: the worst."""
    worst, outside = badness(process)
    return -worst, -outside, process.cpk if process.cpk is not None else inf


def _charts(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    first, more = headlines(machine), behind(machine)
    if first:
        yield Heading("Control charts")
    for process in first:
        yield from _chart(data, machine, process, average=True)
    if more:
        yield Heading("Further charts: out of limits, or not as usual")
    for process in more:
        yield from _chart(data, machine, process, average=False)


def _chart(
    data: MonthData,
    machine: MachineMonth,
    process: Process,
    *,
    average: bool,
) -> Iterator[Block]:
    test, place = _title(data, process.name.analyzer), place_in(machine, process.name)
    yield picture(data, process, (test, place), average=average)


def _changes(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    yield Heading("Changes: baselines, control limits, service")
    if machine.changes:
        yield change_table(data.month, machine.changes)
    else:
        yield Paragraph("None by the audit trail.")
    if machine.events:
        yield Heading("Service events of the month")
        rows: list[list[Cell]] = []
        for stored in machine.events:
            withdrawn = f" (withdrawn by {stored.withdrawn_by})" if stored.withdrawn_by else ""
            rows.append(
                [
                    f"{instant(stored.event.point_ns).astimezone(data.month.zone):%m-%d %H:%M}",
                    f"{stored.event.kind}{withdrawn}",
                    stored.event.analyzer or "all tests",
                    data.scrub(stored.event.said),
                    stored.actor,
                ]
            )
        columns = [
            Column("Time"),
            Column("Kind"),
            Column("Of"),
            Column("Said", share=1),
            Column("By"),
        ]
        yield Table(columns, rows)


def change_table(month: Month, changes: Sequence[Change]) -> Table:
    """Who changed what, when, and why."""
    rows: list[list[Cell]] = [
        [_when(month, act.at), act.what, act.said or NONE, act.actor, act.reason or NONE]
        for act in changes
    ]
    columns = [
        Column("Time"),
        Column("What", share=1.1),
        Column("", share=2),
        Column("By", share=0.8),
        Column("Reason", share=1.4),
    ]
    return Table(columns, rows)


def _versions(data: MonthData, machine: MachineMonth) -> Iterator[Block]:
    if not machine.made_with:
        return
    yield Heading("Software and settings in use")
    rows: list[list[Cell]] = []
    for row in machine.made_with:
        first, last = (
            instant(ns).astimezone(data.month.zone) for ns in (row.first_ns, row.last_ns)
        )
        rows.append(
            [
                f"QA Daemon {row.software}",
                Code(row.site_hash),
                f"{first:%Y-%m-%d %H:%M}",
                f"{last:%Y-%m-%d %H:%M}",
                str(row.n),
            ]
        )
    columns = [
        Column("Software", share=1),
        Column("Settings"),
        Column("First record"),
        Column("Last record"),
        Column("Results", right=True),
    ]
    yield Table(columns, rows)
    if len({row.site_hash for row in machine.made_with}) > 1:
        yield Paragraph(
            "The settings of the site file (machines, limits, analyzers) changed where their "
            "fingerprint differs; the chapter of limits has what that changed."
        )


def _runs(days: Sequence[date]) -> str:
    """Days in a row as one: `Sat 07 to Sun 08`."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    words = (
        f"{run[0]:%a %d}" if len(run) == 1 else f"{run[0]:%a %d} to {run[-1]:%a %d}" for run in runs
    )
    return ", ".join(words)


def _title(data: MonthData, test: str) -> str:
    return data.titles.get(test, test.replace("_", " "))


def _when(month: Month, text: str | None) -> str:
    if text is None:
        return NONE
    return f"{datetime.fromisoformat(text).astimezone(month.zone):%m-%d %H:%M}"
