"""A clinic's month as it is told: put together from the store, machine by machine.

One view of the store serves all of it.  Patients, people's files and their names are not in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from dashboards.reports.month_answers import Answers, Carried, Settled, carried_over, unreadable
from dashboards.reports.month_changes import Change, changes
from dashboards.reports.month_process import Process, process_of
from dashboards.reports.month_tally import Out, Tally
from dashboards.reports.month_words import Scrub, places_of
from dashboards.web.wording import instant
from qa_daemon.model import Verdict
from qa_daemon.site.settings import LimitsEntry, Machine
from qa_daemon.site.site import Site
from qa_daemon.store import month_records, trend_cuts
from qa_daemon.store.month_records import Message, Sealed
from qa_daemon.store.months import Month
from qa_daemon.store.service_events import StoredEvent
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
from qa_daemon.store.trend_series import SeriesName

CLEARED, NOT_EXAMINED = "Cleared", "result not examined"
"""Titles of messages, as alerts write them."""
OF_NO_MACHINE = "no machine of the site file"
Write = Callable[[str, Any, str], None]
"""Takes each judged number as it is read: machine, row, and the place that may be told."""


@dataclass(frozen=True, slots=True)
class OutOfLimits:
    """One number that was out, who was told, and when the test was back; None: not in this month.

    `messages` are those about this test of this result; while an incident is open, further
    breaches raise none.
    """

    out: Out
    messages: Sequence[Message]
    settled: Settled | None

    @property
    def calls(self) -> bool:
        """Whether it is of a kind that people are told of."""
        return self.out.verdict >= Verdict.ACTION


@dataclass(frozen=True, slots=True)
class MachineMonth:
    """Everything of a machine; `machine` is None where the site file does not name it.

    `carried` are the tests that were open when the month began, by the three months before;
    `answers` count the judged tests of each analyzer by verdict, `tally` the single numbers.
    """

    name: str
    machine: Machine | None
    records: int
    answers: Mapping[str, Counter[int]]
    by_day: Mapping[str, Mapping[date, Counter[int]]]
    versions: Mapping[str, Sequence[str]]
    tally: Tally
    out: Sequence[OutOfLimits]
    out_count: int
    carried: Sequence[Carried]
    unreadable: int
    idle: Sequence[date]
    made_with: Sequence[Any]
    processes: Sequence[Process]
    changes: Sequence[Change]
    events: Sequence[StoredEvent]

    def count(self, verdict: Verdict) -> int:
        """Judged tests at a verdict."""
        return sum(counted[verdict] for counted in self.answers.values())


@dataclass(frozen=True, slots=True)
class MonthData:
    """The month.  `as_of` is the instant of the newest result where the month is not over.

    `scrub` takes what identifies somebody out of a typed text; `titles` name the analyzers.
    """

    site: Site
    month: Month
    only: str | None
    is_over: bool
    as_of: datetime | None
    sealed: Sealed | None
    queued: int
    behind: int
    scrub: Scrub
    titles: Mapping[str, str]
    machines: Sequence[MachineMonth] = field(default_factory=list)
    changes: Sequence[Change] = field(default_factory=list)
    """Those that are of no machine of its own."""
    limits_set: Sequence[LimitsEntry] = field(default_factory=list)
    """Limits of the site file that took effect in the month."""

    @property
    def clinic_days(self) -> Sequence[date]:
        """The days that are over, or have begun by the newest result."""
        return _days(self.month, self.is_over, self.as_of)


def gather(
    site: Site,
    store: Store,
    month: Month,
    titles: Mapping[str, str],
    only: str | None = None,
    write: Write | None = None,
) -> MonthData:
    """Read a month; `only` one machine of it.  `write` is handed every judged number.

    `titles` are the analyzers' names as messages have them.
    """
    is_over = site.clock() >= month.until
    with store.read() as connection:
        newest = month_records.newest_ns(connection, month)
        as_of = None if newest is None or is_over else instant(newest)
        days = _days(month, is_over, as_of)
        scrub = Scrub.of(month_records.identity_words(connection, month))
        acts = changes(connection, month, scrub)
        names = [only] if only is not None else _names(site, connection, month)
        told = list(_labels(site, names))
        source = _Source(site, store, connection, titles, month, days)
        machines = [_machine(source, one, acts, write) for one in told]
        shown = {name for name, _ in told}
        return MonthData(
            site=site,
            month=month,
            only=only,
            is_over=is_over,
            as_of=as_of,
            sealed=month_records.sealed(connection),
            queued=month_records.queued_files(connection),
            behind=month_records.behind_in_trends(connection),
            scrub=scrub,
            machines=machines,
            changes=[] if only else [act for act in acts if act.machine not in shown],
            limits_set=_limits_set(site, month, only),
            titles=titles,
        )


def _names(site: Site, connection: Connection, month: Month) -> list[str | None]:
    """The machines of the site file in its order, then what else has results."""
    found = month_records.machines(connection, month)
    own: list[str | None] = [machine.name for machine in site.machines]
    return own + [name for name in found if name not in own]


def _labels(site: Site, names: Sequence[str | None]) -> Iterator[tuple[str | None, str]]:
    """Names and what to call them: a name that only a file knows stays inside."""
    others = 0
    for name in names:
        if site.machine_named(name) is not None:
            assert name is not None
            yield name, name
            continue
        others += 1
        yield name, f"{OF_NO_MACHINE} ({others})" if others > 1 else OF_NO_MACHINE


@dataclass(frozen=True, slots=True)
class _Source:
    site: Site
    store: Store
    connection: Connection
    titles: Mapping[str, str]
    month: Month
    days: Sequence[date]


def _machine(
    source: _Source,
    named: tuple[str | None, str],
    acts: Iterable[Change],
    write: Write | None,
) -> MachineMonth:
    (name, label), month, connection = named, source.month, source.connection
    machine = source.site.machine_named(name)
    tally = Tally(month, name or "", places_of(machine))
    for row in month_records.judged(connection, month, name):
        tally.add(row)
        if write is not None:
            write(label, row, tally.place_of(row.at))
    tally.close()
    before = month_records.answers_before(connection, month, name)
    answered = Answers(month, carried_over(before))
    for row in month_records.answers(connection, month, name):
        answered.add(row)
    unread = month_records.unreadable(connection, month, name)
    out = [*tally.out, *answered.unanswered, *(unreadable(row) for row in unread)]
    out.sort(key=lambda one: (one.point_ns, one.result, one.analyzer, one.metric))
    cuts = trend_cuts.read(source.store, name) if name else Cuts([], [])
    return MachineMonth(
        name=label,
        machine=machine,
        records=month_records.records(connection, month, name),
        answers=answered.counts,
        by_day=answered.by_day,
        versions={test: sorted(known) for test, known in sorted(answered.versions.items())},
        tally=tally,
        out=_with_messages(source, label, out, answered),
        carried=answered.carried,
        out_count=sum(tally.out_count.values()) + len(out) - len(tally.out),
        unreadable=len(unread),
        idle=[day for day in source.days if day not in answered.days],
        made_with=month_records.made_with(connection, month, name),
        processes=[
            process_of(source.store, month, series, found, cuts)
            for series, found in sorted(
                tally.days.items(), key=lambda item: _order(source.site, item[0])
            )
        ],
        changes=[act for act in acts if act.machine == name and name is not None],
        events=[
            stored
            for stored in cuts.stored
            if month.since_ns <= stored.event.point_ns < month.until_ns
        ],
    )


def _with_messages(
    source: _Source, label: str, out: Sequence[Out], answered: Answers
) -> list[OutOfLimits]:
    about = [one.result for one in out if one.verdict >= Verdict.ACTION]
    said = month_records.messages(source.connection, about)
    found = []
    for one in out:
        calls = one.verdict >= Verdict.ACTION
        test = source.titles.get(one.analyzer, one.analyzer)
        mine = [
            replace(m, title=_title_of(m.title, label, test))
            for m in said.get(one.result, ())
            if _is_about(m.title, test)
        ]
        found.append(
            OutOfLimits(one, mine if calls else (), answered.settled(one) if calls else None)
        )
    return found


def _is_about(title: str, test: str) -> bool:
    """Whether a message told of a test that went wrong: its title names the tests it is about."""
    named = re.search(f"(?:: |, )(?:{re.escape(test)}|{NOT_EXAMINED})(?:, |$)", title)
    return not title.startswith(CLEARED) and named is not None


def _title_of(title: str, machine: str, test: str) -> str:
    """The title without other tests; the machine by what it may be called outside."""
    said = test if not title.endswith(f": {NOT_EXAMINED}") else NOT_EXAMINED
    return f"{title.partition(' ')[0]} {machine}: {said}"


def _limits_set(site: Site, month: Month, only: str | None) -> list[LimitsEntry]:
    """What the site file says took effect in the month."""
    first, last = month.days[0], month.days[-1]
    return [
        entry
        for entry in site.file.limits
        if first <= entry.effective_from <= last and (only is None or entry.machine in (None, only))
    ]


def _days(month: Month, is_over: bool, as_of: datetime | None) -> list[date]:
    if is_over:
        return list(month.days)
    last = as_of.astimezone(month.zone).date() if as_of is not None else None
    return [day for day in month.days if last is not None and day <= last]


def _order(site: Site, name: SeriesName) -> tuple[object, ...]:
    """Analyzers by name, their metrics as they are declared."""
    declared = list(site.metrics)
    key = f"{name.analyzer}.{name.metric}"
    place = declared.index(key) if key in declared else len(declared)
    return (
        name.analyzer,
        place,
        name.metric,
        name.place,
        name.energy,
        name.judged_as,
        name.technique,
    )
