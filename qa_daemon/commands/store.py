"""Commands that read or ask for something in the store."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import typer

from qa_daemon.app import open_site, open_store
from qa_daemon.commands import forms
from qa_daemon.failures import Damaged
from qa_daemon.model import State
from qa_daemon.requests import ALL, Request, hand_in
from qa_daemon.site.site import Site
from qa_daemon.status import followers_of, status_form
from qa_daemon.store import audit
from qa_daemon.store.archive import Archive
from qa_daemon.store.queries import Queries

ACTOR = "command line"


def status(config: Path, *, as_json: bool) -> None:
    """`qa-daemon status`"""
    site = open_site(config)
    form = status_form(site, open_store(site))
    typer.echo(json.dumps(form) if as_json else _as_lines(form))


def results(config: Path, machine: str | None, since: str | None, *, as_json: bool) -> None:
    """`qa-daemon results`"""
    site = open_site(config)
    found = Queries(open_store(site)).results_since(_instant_ns(site, since), machine, ALL)
    if as_json:
        typer.echo(json.dumps([forms.stored(r) for r in found], indent=1))
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
    if sink not in followers_of(site) or sink == "alerts":
        raise typer.BadParameter(f"this site has no sink {sink!r}")
    since_ns = _instant_ns(site, since)
    _hand_in(site, Request(action="replay", actor=ACTOR, sink=sink, since_ns=since_ns))


def quarantine_list(config: Path, *, as_json: bool) -> None:
    """`qa-daemon quarantine list`"""
    found = Queries(open_store(open_site(config))).quarantined()
    if as_json:
        typer.echo(json.dumps([forms.stored(r) for r in found], indent=1))
        return
    for result in found:
        typer.echo(f"{result.id:6} {result.machine or '-'}: {result.error_code}")
        typer.echo(f"       {result.error_message}")


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
    part = to.with_name(to.name + ".part")
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(part)) as copy:
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
    for result in Queries(store).results_since(limit=ALL):
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


def _hand_in(site: Site, request: Request) -> None:
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
    return int(instant.timestamp()) * 1_000_000_000


def _as_lines(form: dict[str, object]) -> str:
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in form.items())
