"""What people changed in a month: baselines, limits, service; read from the audit trail.

Of an entry only what is named here is told, so that nothing that a later version writes into the
trail leaves the clinic by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from dashboards.reports.month_words import Scrub
from dashboards.web.wording import instant, local, number
from qa_daemon.store import month_records
from qa_daemon.store.months import Month
from qa_daemon.store.schema import results

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
    """The acts of the month in order."""
    found, of_results = [], {}
    rows = month_records.acts(connection, month, tuple(TOLD))
    numbers = {n for row in rows if (n := _number(row.object, "result ")) is not None}
    query = select(results.c.id, results.c.machine).where(results.c.id.in_(sorted(numbers)))
    of_results = {row.id: row.machine for row in connection.execute(query)}
    for row in rows:
        what, told = TOLD[row.action]
        detail = json.loads(row.detail)
        result = _number(row.object, "result ")
        machine = detail.get("machine") or of_results.get(result or 0)
        if row.object.startswith("machine "):
            machine = row.object.removeprefix("machine ")
        reason = detail.get("reason") or detail.get("remark") or ""
        said = told(detail, month)
        if result is not None:
            said = f"{said}; result {result}" if said else f"result {result}"
        found.append(
            Change(row.seq, row.at, machine, what, scrub(said), row.actor, scrub(str(reason)))
        )
    return found


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
    of = ", ".join(p for p in (detail["place"], detail["energy"], detail["judged_as"]) if p)
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


def _block(detail: Detail, _month: Month) -> str:
    return str(detail["said"])


def _table(detail: Detail, _month: Month) -> str:
    return f"{detail['kind']}, SHA-256 {detail['sha256'][:16]}"


def _signed(detail: Detail, _month: Month) -> str:
    return f"{len(detail['results'])} checks"


def _nothing(_detail: Detail, _month: Month) -> str:
    return ""


TOLD: Mapping[str, tuple[str, Callable[[Detail, Month], str]]] = {
    "output baseline signed off": ("Output baseline signed", _output),
    "output baseline withdrawn": ("Output baseline withdrawn", _output),
    "baseline signed off": ("Image baseline signed", _image),
    "baseline withdrawn": ("Image baseline withdrawn", _image),
    "control limits signed": ("Control limits signed", _control),
    "service event entered": ("Service event entered", _event),
    "service event withdrawn": ("Service event withdrawn", _nothing),
    "unit table imported": ("Table of a unit imported", _table),
    "unit table signed": ("Table of a unit signed", _table),
    "unit table withdrawn": ("Table of a unit withdrawn", _table),
    "unit blocked": ("Unit blocked", _block),
    "unit cleared": ("Unit cleared", _block),
    "output checks signed": ("Output checks signed", _signed),
    "image classified": ("Image classified", _nothing),
    "classification taken back": ("Classification taken back", _nothing),
    "plan chosen": ("Plan of a log chosen", _nothing),
    "no plan chosen": ("Log said to be of no plan here", _nothing),
}
"""What each action is called, and what is told of it."""
