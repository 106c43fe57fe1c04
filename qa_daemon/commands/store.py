"""Commands that read or ask for something in the store."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import typer

from qa_daemon.app import open_site, open_store
from qa_daemon.commands import forms
from qa_daemon.commands.service import check_user
from qa_daemon.failures import Damaged
from qa_daemon.model import State
from qa_daemon.requests import Request, hand_in
from qa_daemon.site.site import Site
from qa_daemon.status import sinks_of, status_form
from qa_daemon.store import audit
from qa_daemon.store.archive import Archive
from qa_daemon.store.queries import Queries, StoredResult

ACTOR = "command line"


def status(config: Path, *, as_json: bool) -> None:
    """`qa-daemon status`"""
    site = open_site(config)
    form = status_form(site, open_store(site))
    typer.echo(json.dumps(form) if as_json else _as_lines(form))


def results(config: Path, machine: str | None, since: str | None, *, as_json: bool) -> None:
    """`qa-daemon results`"""
    site = open_site(config)
    found = Queries(open_store(site)).every_result(_instant_ns(site, since), machine)
    if as_json:
        _print_array(forms.stored(r) for r in found)
        return
    for r in found:
        verdict = r.verdict.name if r.verdict is not None else "not judged"
        typer.echo(f"{r.id:6} {r.performed_at or '-':25} {r.machine or '-':12} {verdict}")


def reprocess(config: Path, machine: str | None, since: str | None) -> None:
    """`qa-daemon reprocess`"""
    site = open_site(config)
    since_ns = _instant_ns(site, since)
    _hand_in(site, Request(action="reprocess", actor=ACTOR, machine=machine, since_ns=since_ns))


def replay(config: Path, sink: str, since: str) -> None:
    """`qa-daemon replay`"""
    site = open_site(config)
    if sink not in sinks_of(site):
        raise typer.BadParameter(f"this site has no sink {sink!r}")
    since_ns = _instant_ns(site, since)
    _hand_in(site, Request(action="replay", actor=ACTOR, sink=sink, since_ns=since_ns))


def quarantine_list(config: Path, *, as_json: bool) -> None:
    """`qa-daemon quarantine list`"""
    found = _every_quarantined(Queries(open_store(open_site(config))))
    if as_json:
        _print_array(forms.stored(r) for r in found)
        return
    for result in found:
        typer.echo(f"{result.id:6} {result.machine or '-'}: {result.error_code}")
        typer.echo(f"       {result.error_message}")
        typer.echo(f"       {result.path}")


def quarantine_release(config: Path, result: int) -> None:
    """`qa-daemon quarantine release`"""
    site = open_site(config)
    found = Queries(open_store(site)).result(result)
    if found is None or found.file_state is not State.QUARANTINED:
        raise typer.BadParameter(f"result {result} is not in quarantine")
    _hand_in(site, Request(action="release", actor=ACTOR, result=result))


def audit_verify(config: Path) -> None:
    """`qa-daemon audit verify`"""
    with open_store(open_site(config)).read() as connection:
        fault = audit.verify(connection)
    if fault is not None:
        raise Damaged(f"the audit trail is not whole: {fault}")
    typer.echo("the audit trail is whole")


def upgrade(config: Path) -> None:
    """`qa-daemon db upgrade`"""
    open_store(open_site(config)).close()
    typer.echo("the store is up to date")


def backup(config: Path, to: Path) -> None:
    """`qa-daemon db backup`: SQLite's own online copy, checked before it gets its name."""
    site = open_site(config)
    if to.exists():
        raise typer.BadParameter("the backup must be a new file")
    source = site.state_dir / "store.sqlite3"
    if not source.is_file():
        raise Damaged("there is no store to copy in this site's state folder")
    part = to.with_name(to.name + ".part")
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as original,
        closing(sqlite3.connect(part)) as copy,
    ):
        original.backup(copy)
        _check_integrity(copy)
    part.rename(to)
    typer.echo("the store is copied and the copy is whole")


def verify(config: Path) -> None:
    """`qa-daemon db verify`"""
    site = open_site(config)
    store = open_store(site)
    with closing(sqlite3.connect(site.state_dir / "store.sqlite3")) as connection:
        _check_integrity(connection)
    audit_verify(config)
    archive = Archive(site.state_dir)
    for result in Queries(store).every_result(0, None):
        path = archive.path_of(result.sha256)
        if result.error_code in ("EMPTY", "UNREADABLE", "TOO_LARGE"):
            continue
        if not path.exists():
            raise Damaged(f"the archive lacks the file of result {result.id}")
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != result.sha256:
                raise Damaged(f"the archived file of result {result.id} has changed")
    typer.echo("store and archive are whole")


def _check_integrity(connection: sqlite3.Connection) -> None:
    answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if answer != "ok":
        raise Damaged("the store's file is damaged: restore the last backup")


def _print_array(items: Iterator[forms.Form]) -> None:
    """A JSON array, written as it comes: a store of years does not fit into memory."""
    typer.echo("[", nl=False)
    for number, item in enumerate(items):
        typer.echo((",\n" if number else "\n") + json.dumps(item, indent=1), nl=False)
    typer.echo("\n]")


def _every_quarantined(queries: Queries) -> Iterator[StoredResult]:
    page = queries.quarantined()
    while page:
        yield from page
        page = queries.quarantined(before=page[-1].file)


def _hand_in(site: Site, request: Request) -> None:
    check_user(site)
    done = hand_in(site.state_dir, open_store(site), request)
    if done is None:
        typer.echo("the running daemon has been asked to do it")
    else:
        typer.echo(f"done for {done} results; the daemon will take it from here when it starts")


def _instant_ns(site: Site, text: str | None) -> int:
    if text is None:
        return 0
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time is written like 2026-03-01 or 2026-03-01T08:00") from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=site.zone)
    instant_ns = int(instant.timestamp()) * 1_000_000_000
    if not 0 <= instant_ns < 2**63:
        raise typer.BadParameter("this time lies outside what the store can hold")
    return instant_ns


def _as_lines(form: dict[str, object]) -> str:
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in form.items())
