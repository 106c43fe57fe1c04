"""`qa-daemon srt table`: tables that treatments on a kV unit are calculated with."""

from __future__ import annotations

from pathlib import Path

import typer

from analyzers.core import ReadError
from analyzers.srt_own_values import compared
from analyzers.srt_table_checks import check_unit
from analyzers.srt_table_files import read_table
from analyzers.srt_tables import KINDS
from qa_daemon.app import open_site, open_store
from qa_daemon.commands.service import check_user
from qa_daemon.output_desk import CLASS, registered
from qa_daemon.requests import Request, hand_in
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store import srt_tables

ACTOR = "command line"
UNREADABLE = 65


def import_table(file: Path, config: Path, unit: str) -> int:
    """`qa-daemon srt table import`: unsigned, so not used until a physicist signs it."""
    site = open_site(config)
    machine = unit_named(site, unit)
    try:
        table = read_table(file)
        check_unit(table, registered(site, machine))
    except ReadError as why:
        typer.echo(f"{why.code}: {why}", err=True)
        return UNREADABLE
    check_user(site)
    store = open_store(site)
    waiting = [one for one in srt_tables.every(store, machine.name) if not one.withdrawn_by]
    if table.sha256 in {one.sha256 for one in waiting}:
        raise typer.BadParameter("this very table is here already")
    request = Request(
        action="import table", actor=ACTOR, machine=machine.name, table=table.canonical
    )
    done = hand_in(site.state_dir, store, request)
    typer.echo(
        f"{KINDS[table.kind].title}, {len(table.rows)} rows, from {table.valid_from}, "
        f"SHA-256 {table.sha256}"
    )
    comparison = compared(table)
    if comparison is not None:
        typer.echo(comparison.said)
    if done is None:
        typer.echo("the running daemon has been asked to take it in")
    typer.echo(f"It is not used until a physicist signs it on the page of {machine.name}.")
    return 0


def unit_named(site: Site, name: str) -> Machine:
    """A kV unit of the site file.  Raises `BadParameter`."""
    machine = site.machine_named(name)
    if machine is None or machine.machine_class != CLASS:
        raise typer.BadParameter(f"the site file has no superficial unit {name!r}")
    return machine
