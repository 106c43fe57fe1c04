"""What people changed in a month: baselines, limits, service; read from the audit trail.

Of an entry only what is named here is told, so that nothing that a later version writes into the
trail leaves the clinic by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from dashboards.reports.month_words import Scrub
from dashboards.web.wording import instant, local, number
from qa_daemon.store import month_records
from qa_daemon.store.months import Month
from qa_daemon.store.schema import results
from qa_daemon.store.schema_trends import service_events

Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One act: `seq` is its row of the audit trail, `machine` None where it is of no single one."""

    seq: int
    at: str
    machine: str | None
    what: str
    said: str
    actor: str
    reason: str


def changes(connection: Connection, month: Month, scrub: Scrub) -> list[Change]:
    """The acts of the month in order; one on several machines is told of each."""
    acts = [
        (row, json.loads(row.detail)) for row in month_records.acts(connection, month, tuple(TOLD))
    ]
    known = _Known.of(connection, acts)
    found = []
    for row, detail in acts:
        what, told = TOLD[row.action]
        reason = detail.get("reason") or detail.get("remark") or ""
        event = known.events.get(detail.get("event"))
        said = told(detail | event if event else detail, month)
        for machine, of in known.machines(row.object, detail).items():
            found.append(
                Change(
                    row.seq,
                    row.at,
                    machine,
                    what,
                    scrub("; ".join(part for part in (said, _numbers(of)) if part)),
                    row.actor,
                    scrub(str(reason)),
                )
            )
    return found


def _numbers(of: Sequence[int]) -> str:
    if not of:
        return ""
    return f"{'result' if len(of) == 1 else 'results'} {', '.join(map(str, of))}"


@dataclass(frozen=True, slots=True)
class _Known:
    """What the acts name by number alone: results by number and content, and service events."""

    by_number: Mapping[int, str | None]
    by_content: Mapping[str, tuple[str | None, int]]
    events: Mapping[int, Detail]

    @classmethod
    def of(cls, connection: Connection, acts: Sequence[tuple[Any, Detail]]) -> _Known:
        """Looked up, each at once."""
        numbers = {n for row, detail in acts for n in _results(row.object, detail)}
        logs = {str(detail["log"]) for _, detail in acts if detail.get("log")}
        withdrawn = {int(detail["event"]) for _, detail in acts if detail.get("event")}
        numbered = select(results.c.id, results.c.machine).where(results.c.id.in_(sorted(numbers)))
        contents = select(results.c.sha256, results.c.machine, results.c.id).where(
            results.c.sha256.in_(sorted(logs)), results.c.active
        )
        events = select(service_events).where(service_events.c.id.in_(sorted(withdrawn)))
        return cls(
            {row.id: row.machine for row in connection.execute(numbered)},
            {row.sha256: (row.machine, row.id) for row in connection.execute(contents)},
            {row["id"]: dict(row) for row in connection.execute(events).mappings()},
        )

    def machines(self, subject: str, detail: Detail) -> Mapping[str | None, Sequence[int]]:
        """The machines of an act, each with the results that it was about."""
        if subject.startswith("machine "):
            return {subject.removeprefix("machine "): []}
        found: dict[str | None, list[int]] = {}
        for number_ in _results(subject, detail):
            found.setdefault(self.by_number.get(number_), []).append(number_)
        if not found and detail.get("log") in self.by_content:
            machine, number_ = self.by_content[detail["log"]]
            found[machine] = [number_]
        return found or {detail.get("machine"): []}


def _results(subject: str, detail: Detail) -> list[int]:
    number_ = _number(subject, "result ")
    return [int(n) for n in detail.get("results", ())] if number_ is None else [number_]


def _number(subject: str, word: str) -> int | None:
    text = subject.removeprefix(word)
    return int(text) if text != subject and text.isdigit() else None


def _output(detail: Detail, month: Month) -> str:
    kind = "dose to water" if detail["to_water"] else "air kerma"
    since = local(detail["since"], month.zone)
    if detail["gy_per_min"] is None:
        return f"{detail['beam']} ({kind}): none from {since}"
    return f"{detail['beam']} ({kind}): {detail['gy_per_min']:.5g} Gy/min from {since}"


def _image(detail: Detail, _month: Month) -> str:
    count = len(detail["images"])
    return f"{detail['kind']}: {count} {'image' if count == 1 else 'images'}"


def _control(detail: Detail, month: Month) -> str:
    names = ("place", "energy", "technique", "judged_as")
    of = ", ".join(detail[name] for name in names if detail.get(name))
    since = local(instant(detail["since_ns"]), month.zone)
    center, sigma = number(detail["center"]), number(detail["sigma"])
    return (
        f"{detail['analyzer']}.{detail['metric']}{f' ({of})' if of else ''}: "
        f"center {center}, sigma {sigma}, from {since}"
    )


def _event(detail: Detail, month: Month) -> str:
    of = f" ({detail['analyzer']})" if detail["analyzer"] else ""
    at = local(instant(detail["point_ns"]), month.zone)
    return f"{detail['kind']}{of}, {at}: {detail['said']}"


def _withdrawn(detail: Detail, month: Month) -> str:
    return _event(detail, month) if "point_ns" in detail else ""


def _block(detail: Detail, _month: Month) -> str:
    return str(detail["said"])


def _table(detail: Detail, _month: Month) -> str:
    return f"{detail['kind']}, SHA-256 {detail['sha256'][:16]}"


def _kind(detail: Detail, _month: Month) -> str:
    return str(detail.get("kind") or "")


def _nothing(_detail: Detail, _month: Month) -> str:
    return ""


TOLD: Mapping[str, tuple[str, Callable[[Detail, Month], str]]] = {
    "output baseline signed off": ("Output baseline signed", _output),
    "output baseline withdrawn": ("Output baseline withdrawn", _output),
    "baseline signed off": ("Image baseline signed", _image),
    "baseline withdrawn": ("Image baseline withdrawn", _image),
    "control limits signed": ("Control limits signed", _control),
    "service event entered": ("Service event entered", _event),
    "service event withdrawn": ("Service event withdrawn", _withdrawn),
    "unit table imported": ("Table of a unit imported", _table),
    "unit table signed": ("Table of a unit signed", _table),
    "unit table withdrawn": ("Table of a unit withdrawn", _table),
    "unit blocked": ("Unit blocked", _block),
    "unit cleared": ("Unit cleared", _block),
    "output checks signed": ("Output checks signed", _nothing),
    "image classified": ("Image classified", _kind),
    "classification taken back": ("Classification taken back", _nothing),
    "plan chosen": ("Plan of a log chosen", _nothing),
    "choice of plan taken back": ("Choice of plan taken back", _nothing),
    "no plan chosen": ("Log said to be of no plan here", _nothing),
}
"""What each action is called, and what is told of it."""
