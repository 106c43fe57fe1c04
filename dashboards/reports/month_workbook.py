"""The month as a workbook: a sheet for each question, heads frozen, with filters.

Every text is inert: no cell is a formula.  Identical months give identical bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dashboards.reports.month_charts import place_in
from dashboards.reports.month_data import MonthData
from dashboards.reports.month_form import (
    BOUNDS,
    Form,
    at,
    carried_form,
    change_form,
    limits_forms,
    limits_set_forms,
    out_form,
)
from dashboards.reports.month_words import inert_row
from dashboards.web.about import ABOUT
from qa_daemon.model import SOFTWARE, Verdict

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first instant that the archive's format knows: its entries tell no time."""
TIMES = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(<)")
LONGEST_CELL = 32_000
Row = Sequence[object]


def write_workbook(data: MonthData, path: Path) -> None:
    """Write it to a file."""
    from openpyxl import Workbook  # loaded when somebody exports

    book = Workbook(write_only=True)
    book.properties.creator = f"QA Daemon {SOFTWARE}"
    for title, head, widths, rows in _sheets(data):
        _sheet(book, title, head, widths, rows)
    made = io.BytesIO()
    book.save(made)
    _pack_again(made, path, data.month.until)


def _sheet(
    book: Any, title: str, head: Sequence[str], widths: Sequence[int], rows: Iterable[Row]
) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for k in range(len(head)):
        width = widths[k] if k < len(widths) else 14
        sheet.column_dimensions[get_column_letter(k + 1)].width = width
    cells = []
    for text in head:
        cell = WriteOnlyCell(sheet, value=text)
        cell.font = Font(bold=True)
        cells.append(cell)
    sheet.append(cells)
    count = 1
    for row in rows:
        sheet.append([_short(cell) for cell in inert_row(row)])
        count += 1
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(head))}{count}"


def _short(cell: object) -> object:
    return cell[:LONGEST_CELL] if isinstance(cell, str) else cell


def _sheets(
    data: MonthData,
) -> Iterator[tuple[str, Sequence[str], Sequence[int], Iterable[Row]]]:
    verdicts = [verdict.name for verdict in Verdict]
    counted = ("results", *verdicts, "unreadable files", "days without QA")
    yield "Month", ("what", "value"), (34, 90), _month(data)
    yield "Machines", ("machine", *counted), (24,), _machines(data)
    yield "Tests", ("machine", "test", "versions", *verdicts), (24, 24), _tests(data)
    yield "Tests by day", ("machine", "test", "day", *verdicts), (24, 24, 14), _tests_by_day(data)
    bounds = [bound.replace("_", " ") for bound in BOUNDS]
    head = ("machine", "time", "result", "test", "metric", "value", "unit", "place", "energy")
    told = ("verdict", *bounds, "why", "told", "within limits again", "by result")
    yield "Out of limits", (*head, *told), (24, 26, 10, 20, 28), _out(data)
    when = ("verdict", "time", "result", "within limits again", "by result")
    yield "Open before", ("machine", "test", "kind of check", *when), (24, 26, 18), _carried(data)
    of = ("machine", "test", "metric", "place", "energy", "technique", "judged as", "unit")
    numbers = ("days", "mean", "standard deviation", "center", "sigma", "Cpk", "Ppk")
    outside = ("days outside", "days with average outside", "signed by")
    yield "Processes", (*of, *numbers, *outside), (24, 20, 28, 18), _processes(data)
    daily = ("day", "results", "lowest", "median", "highest", "verdict", "version")
    yield "Days", (*of, *daily), (24, 20, 28, 18), _days(data)
    limits = ("machine", "test", "metric", "judged as", "unit", *bounds)
    said = ("source", "first record", "last record", "numbers")
    yield "Limits", (*limits, *said), (24, 20, 28), _limits(data)
    whose = ("from", "metric", "unit", "machine", "machine class", "plan class")
    percents = ("or tolerance percent", "or action percent")
    own = (*whose, *bounds, *percents, "by", "reason")
    yield "Limits set", own, (12, 36, 10, 24), _limits_set(data)
    acts = ("machine", "time (UTC)", "what", "said", "by", "reason", "audit row")
    yield "Changes", acts, (24, 26, 28, 50, 24, 40), _changes(data)
    made = ("machine", "software", "settings", "first record", "last record", "results")
    yield "Software", made, (24, 14, 20, 26, 26), _software(data)
    yield "Days without QA", ("machine", "day"), (24, 14), _idle(data)


def _month(data: MonthData) -> Iterator[Row]:
    yield "clinic", data.site.name
    yield "month", data.month.name
    yield "time zone", data.site.file.site.time_zone
    as_of = data.as_of.astimezone(data.month.zone).isoformat() if data.as_of else "no result yet"
    yield "complete", "yes" if data.is_over else f"INCOMPLETE, as of {as_of}"
    yield "files not read yet", data.queued
    if data.only:
        yield "machine", data.only
    yield "software", f"QA Daemon {SOFTWARE}"
    if data.sealed:
        yield "newest audit row", data.sealed.seq
        yield "its hash", data.sealed.hash
    yield "days", "Medians of days; a result with several values of a series counts its worst."
    for statement in ABOUT:
        yield "limits of use", statement


def _machines(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        counts = [machine.count(verdict) for verdict in Verdict]
        yield machine.name, machine.records, *counts, machine.unreadable, len(machine.idle)


def _tests(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for test, counts in sorted(machine.answers.items()):
            versions = ", ".join(machine.versions[test])
            yield machine.name, test, versions, *(counts[verdict] for verdict in Verdict)


def _tests_by_day(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for test, days in sorted(machine.by_day.items()):
            for day, counts in days.items():
                yield machine.name, test, day.isoformat(), *(counts[v] for v in Verdict)


def _out(data: MonthData) -> Iterator[Row]:
    names = ("time", "result", "test", "metric", "value", "unit", "place", "energy", "verdict")
    for machine in data.machines:
        for one in machine.out:
            said = out_form(data.month, one)
            told = "; ".join(
                f"{m.sent_to}, {m.sent_at}" if m.sent_to else "waits to be sent"
                for m in one.messages
            )
            back = said["within_limits_again"], said["within_limits_by"]
            numbers = [said[name] for name in names]
            yield machine.name, *numbers, *_bounds(said["limits"]), said["why"], told, *back


def _carried(data: MonthData) -> Iterator[Row]:
    names = ("test", "kind_of_check", "verdict", "time", "result")
    for machine in data.machines:
        for one in machine.carried:
            said = carried_form(data.month, one)
            back = said["within_limits_again"], said["within_limits_by"]
            yield machine.name, *(said[name] for name in names), *back


def _processes(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for p in machine.processes:
            limits = p.limits
            usual = (limits.center, limits.sigma) if limits else (None, None)
            signed = limits.signed_by if limits else None
            name = p.name
            yield (
                *(machine.name, name.analyzer, name.metric, place_in(machine, name)),
                *(name.energy, name.technique, name.judged_as, p.unit),
                *(p.n, p.mean, p.sd, *usual, p.cpk, p.ppk),
                *(p.beyond, p.average_beyond, signed),
            )


def _days(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for p in machine.processes:
            name = p.name
            of = (machine.name, name.analyzer, name.metric, place_in(machine, name))
            for day in p.days:
                verdict = day.verdict.name if day.verdict is not None else None
                numbers = (day.n, day.lowest, day.median, day.highest, verdict, day.version)
                more = (name.energy, name.technique, name.judged_as, p.unit, day.day.isoformat())
                yield *of, *more, *numbers


def _limits(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for said in limits_forms(data, machine):
            of = [said[name] for name in ("test", "metric", "judged_as", "unit")]
            more = [said[name] for name in ("source", "first", "last", "numbers")]
            yield machine.name, *of, *_bounds(said["limits"]), *more


def _limits_set(data: MonthData) -> Iterator[Row]:
    names = ("effective_from", "metric", "unit", "machine", "machine_class", "plan_class")
    more = ("tolerance_percent", "action_percent", "author", "reason")
    for said in limits_set_forms(data):
        of, rest = ([said[name] for name in part] for part in (names, more))
        yield *of, *_bounds(said["limits"]), *rest


def _changes(data: MonthData) -> Iterator[Row]:
    told = [(machine.name, act) for machine in data.machines for act in machine.changes]
    told += [("", act) for act in data.changes]
    names = ("time", "what", "said", "by", "reason", "audit_row")
    for machine_name, act in sorted(told, key=lambda one: one[1].seq):
        said = change_form(act)
        yield machine_name, *(said[name] for name in names)


def _software(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for row in machine.made_with:
            span = at(data.month, row.first_ns), at(data.month, row.last_ns)
            yield machine.name, row.software, row.site_hash, *span, row.n


def _idle(data: MonthData) -> Iterator[Row]:
    for machine in data.machines:
        for day in machine.idle:
            yield machine.name, day.isoformat()


def _bounds(limits: Form) -> list[object]:
    return [limits[bound] for bound in BOUNDS]


def _pack_again(made: io.BytesIO, path: Path, until: datetime) -> None:
    """The same workbook with no time of writing in it."""
    told = f"{until:%Y-%m-%dT00:00:00Z}".encode()
    with (
        zipfile.ZipFile(made) as written,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in written.namelist():
            content = written.read(name)
            if name == "docProps/core.xml":
                content = TIMES.sub(rb"\g<1>" + told + rb"\g<2>", content)
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            packed.writestr(entry, content)
