"""`qa-daemon events`: what was done to machines, from a table of the service department."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import typer

from qa_daemon.app import open_site, open_store
from qa_daemon.commands.service import check_user
from qa_daemon.requests import EventRow, Request, hand_in
from qa_daemon.site.site import Site
from qa_daemon.store.service_events import EventKind, instant_of

ACTOR = "command line"
UNREADABLE = 65
COLUMNS = ("machine", "kind", "at", "said")
OPTIONAL = ("analyzer",)
MOST_BYTES, MOST_ROWS, LONGEST = 5 * 2**20, 20_000, 400
AHEAD = timedelta(hours=1)


class BadTable(Exception):  # noqa: N818 - an answer for a person
    """The table is refused whole; the sentence names row and column."""


def import_events(file: Path, config: Path) -> int:
    """`qa-daemon events import`: the whole table or nothing of it."""
    site = open_site(config)
    try:
        rows = read(file, site)
    except BadTable as why:
        typer.echo(f"EVENTS: {why}", err=True)
        return UNREADABLE
    check_user(site)
    request = Request(action="enter events", actor=ACTOR, events=tuple(rows))
    done = hand_in(site.state_dir, open_store(site), request)
    if done is None:
        typer.echo(f"the running daemon has been asked to enter {len(rows)} events")
    else:
        typer.echo(f"{done} events entered; {len(rows) - done} were there already")
    return 0


def read(file: Path, site: Site) -> list[EventRow]:
    """The events of a CSV table with a header.  Raises `BadTable`."""
    try:
        content = file.read_bytes()
    except OSError as why:
        raise BadTable(f"the table cannot be read: {why.strerror}") from None
    if len(content) > MOST_BYTES:
        raise BadTable(f"the table is larger than {MOST_BYTES // 2**20} MiB")
    try:
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise BadTable("the table is not CSV in UTF-8") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2 or len(rows) > MOST_ROWS:
        raise BadTable(f"{max(0, len(rows) - 1)} rows: a header and 1 to {MOST_ROWS} are needed")
    header = [cell.strip().lower() for cell in rows[0]]
    unknown = [name for name in header if name not in (*COLUMNS, *OPTIONAL)]
    missing = [name for name in COLUMNS if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise BadTable(
            f"the header is not {', '.join(COLUMNS)} and, at will, {', '.join(OPTIONAL)}, "
            "each once, separated by commas"
        )
    return [_event(number, header, row, site) for number, row in enumerate(rows[1:], start=2)]


def _event(number: int, header: list[str], row: list[str], site: Site) -> EventRow:
    if len(row) != len(header):
        raise BadTable(f"row {number}: {len(row)} cells, the header has {len(header)}")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    if site.machine_named(cells["machine"]) is None:
        raise BadTable(f"row {number}, column machine: no machine of the site file")
    analyzer = cells.get("analyzer", "")
    if analyzer and not any(name.startswith(f"{analyzer}.") for name in site.metrics):
        raise BadTable(f"row {number}, column analyzer: no such test")
    if not cells["said"] or len(cells["said"]) > LONGEST or not cells["said"].isprintable():
        raise BadTable(f"row {number}, column said: one line of up to {LONGEST} characters")
    return EventRow(
        machine=cells["machine"],
        kind=_kind(number, cells),
        said=cells["said"],
        point_ns=_instant_ns(number, cells["at"], site),
        analyzer=analyzer or None,
    )


def _kind(number: int, cells: Mapping[str, str]) -> EventKind:
    try:
        return EventKind(cells["kind"].lower())
    except ValueError:
        kinds = ", ".join(kind.value for kind in EventKind)
        raise BadTable(f"row {number}, column kind: one of {kinds}") from None


def _instant_ns(number: int, text: str, site: Site) -> int:
    try:
        at = site.zoned(datetime.fromisoformat(text))
        is_known = at is not None and at.year >= 1990 and at <= site.today() + AHEAD
    except (ValueError, OverflowError):
        is_known, at = False, None
    if not is_known or at is None:
        raise BadTable(
            f"row {number}, column at: a time in the past as 2026-03-01T14:30, local or with offset"
        )
    return instant_of(at)
