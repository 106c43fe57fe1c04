"""The month as plain data: what the JSON file holds, by a schema that has a name and a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analyzers.core import Limits
from dashboards.reports.month_answers import Carried, Settled
from dashboards.reports.month_changes import Change
from dashboards.reports.month_charts import place_in
from dashboards.reports.month_data import MachineMonth, MonthData, OutOfLimits
from dashboards.reports.month_process import Process
from dashboards.web.wording import instant
from qa_daemon.model import SOFTWARE, Verdict
from qa_daemon.store.months import Month
from qa_daemon.store.service_events import StoredEvent

SCHEMA, SCHEMA_VERSION = "qa-daemon-month", 1
BOUNDS = ("tolerance_low", "tolerance_high", "action_low", "action_high")
Form = dict[str, Any]


def form(data: MonthData) -> Form:
    """The whole month; times are ISO with the clinic's offset, numbers unrounded."""
    sealed = data.sealed
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": SOFTWARE,
        "clinic": data.site.name,
        "settings": data.site.fingerprint,
        "month": data.month.name,
        "since": data.month.since.isoformat(),
        "until": data.month.until.isoformat(),
        "time_zone": data.site.file.site.time_zone,
        "machine": data.only,
        "complete": data.is_over,
        "as_of": data.as_of.astimezone(data.month.zone).isoformat() if data.as_of else None,
        "audit": {"row": sealed.seq, "hash": sealed.hash} if sealed else None,
        "files_not_read_yet": data.queued,
        "results_behind_in_trends": data.behind,
        "machines": [_machine(data, machine) for machine in data.machines],
        "changes": [change_form(act) for act in data.changes],
        "limits_set": list(limits_set_forms(data)),
    }


def _machine(data: MonthData, machine: MachineMonth) -> Form:
    return {
        "name": machine.name,
        "machine_class": machine.machine.machine_class if machine.machine else None,
        "results": machine.records,
        "judged_numbers": machine.tally.judged,
        "unreadable_files": machine.unreadable,
        "out_of_limits_count": machine.out_count,
        "days_without_qa": [day.isoformat() for day in machine.idle],
        "tests": [
            {
                "test": test,
                "versions": list(machine.versions[test]),
                **_counts(counts),
                "days": {
                    day.isoformat(): _counts(of_day) for day, of_day in machine.by_day[test].items()
                },
            }
            for test, counts in sorted(machine.answers.items())
        ],
        "numbers": [
            {"test": test, "metric": metric, "judged_as": judged_as or None, **_counts(counts)}
            for (test, metric, judged_as), counts in sorted(machine.tally.counts.items())
        ],
        "out_of_limits": [out_form(data.month, one) for one in machine.out],
        "open_before": [carried_form(data.month, one) for one in machine.carried],
        "series": [series_form(machine, process) for process in machine.processes],
        "limits": list(limits_forms(data, machine)),
        "changes": [change_form(act) for act in machine.changes],
        "service_events": [_event(data, stored) for stored in machine.events],
        "made_with": [
            {
                "software": row.software,
                "settings": row.site_hash,
                "first": at(data.month, row.first_ns),
                "last": at(data.month, row.last_ns),
                "results": row.n,
            }
            for row in machine.made_with
        ],
    }


def out_form(month: Month, one: OutOfLimits) -> Form:
    """A number out of limits, who was told, and when the test was back."""
    out = one.out
    return {
        "time": at(month, out.point_ns),
        "result": out.result,
        "test": out.analyzer,
        "metric": out.metric or None,
        "value": out.value,
        "unit": out.unit or None,
        "place": out.place or None,
        "energy": out.energy or None,
        "verdict": out.verdict.name,
        "limits": limits_form(out.limits),
        "why": out.why or None,
        "messages": [
            {"sent_to": said.sent_to, "sent_at": said.sent_at, "title": said.title}
            for said in one.messages
        ],
        **_settled_form(month, one.settled),
    }


def carried_form(month: Month, one: Carried) -> Form:
    """A test that was open when the month began."""
    return {
        "test": one.analyzer,
        "kind_of_check": one.series or None,
        "verdict": one.verdict.name,
        "time": at(month, one.point_ns),
        "result": one.result,
        **_settled_form(month, one.settled),
    }


def _settled_form(month: Month, settled: Settled | None) -> Form:
    return {
        "within_limits_again": at(month, settled.point_ns) if settled else None,
        "within_limits_by": settled.result if settled else None,
    }


def series_form(machine: MachineMonth, process: Process) -> Form:
    """A series with its days and what they say of the process."""
    name, limits = process.name, process.limits
    return {
        "test": name.analyzer,
        "metric": name.metric,
        "place": place_in(machine, name) or None,
        "energy": name.energy or None,
        "technique": name.technique or None,
        "judged_as": name.judged_as or None,
        "unit": process.unit,
        "days_since_last_change": process.n,
        "changed_in_month": process.cut,
        "mean": process.mean,
        "standard_deviation": process.sd,
        "cpk": process.cpk,
        "ppk": process.ppk,
        "center": limits.center if limits else None,
        "sigma": limits.sigma if limits else None,
        "control_limits_signed_by": limits.signed_by if limits else None,
        "days_outside": process.beyond,
        "days_with_average_outside": process.average_beyond,
        "days": [
            {
                "day": day.day.isoformat(),
                "results": day.n,
                "lowest": day.lowest,
                "median": day.median,
                "highest": day.highest,
                "verdict": day.verdict.name if day.verdict is not None else None,
                "version": day.version,
                "limits": limits_form(day.limits),
            }
            for day in process.days
        ],
    }


def limits_forms(data: MonthData, machine: MachineMonth) -> Iterator[Form]:
    """The limits that numbers were judged by, and from which record to which."""
    for (test, metric, judged_as), known in sorted(machine.tally.limits.items()):
        for each in known.values():
            yield {
                "test": test,
                "metric": metric,
                "judged_as": judged_as or None,
                "unit": each.unit,
                "limits": limits_form(each.limits),
                "source": data.scrub(each.limits.source),
                "first": at(data.month, each.first_ns),
                "last": at(data.month, each.last_ns),
                "numbers": each.n,
            }


def limits_set_forms(data: MonthData) -> Iterator[Form]:
    """Limits of the site file that took effect in the month, as they stand there."""
    for entry in data.limits_set:
        more = {
            "unit": data.site.metrics[entry.metric].unit,
            "reason": data.scrub(entry.reason),
            "limits": limits_form(data.site.own_limits(entry)),
        }
        yield entry.model_dump(mode="json") | more


def change_form(act: Change) -> Form:
    """An act of the audit trail."""
    return {
        "audit_row": act.seq,
        "time": act.at,
        "what": act.what,
        "said": act.said or None,
        "by": act.actor,
        "reason": act.reason or None,
    }


def limits_form(limits: Limits) -> Form:
    """The four bounds."""
    return {bound: getattr(limits, bound) for bound in BOUNDS}


def at(month: Month, point_ns: int) -> str:
    """An instant with the clinic's offset."""
    return instant(point_ns).astimezone(month.zone).isoformat(timespec="seconds")


def _event(data: MonthData, stored: StoredEvent) -> Form:
    return {
        "time": at(data.month, stored.event.point_ns),
        "kind": str(stored.event.kind),
        "test": stored.event.analyzer,
        "said": data.scrub(stored.event.said),
        "by": stored.actor,
        "withdrawn_by": stored.withdrawn_by,
    }


def _counts(counts: Mapping[int, int]) -> Form:
    return {verdict.name: counts.get(verdict, 0) for verdict in Verdict}
