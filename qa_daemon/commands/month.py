"""`qa-daemon export monthly`: the compliance package of a month, as on the pages."""

from __future__ import annotations

from pathlib import Path

import typer

from analyzers import catalogue
from dashboards.reports.month_package import write_package
from qa_daemon.app import open_site, open_store
from qa_daemon.commands.service import check_user
from qa_daemon.store.months import Month

LAST = "last"


def monthly(config: Path, name: str, machine: str | None, out: Path) -> None:
    """Write the files; `name` is a month such as 2026-03, or `last`."""
    site = open_site(config)
    check_user(site)
    try:
        this = Month.of(site.clock(), site.zone)
        month = this.before if name == LAST else Month.called(name, site.zone)
    except ValueError:
        raise typer.BadParameter("a month is written like 2026-03; or last") from None
    if machine is not None and site.machine_named(machine) is None:
        raise typer.BadParameter("the site file has no machine of this name")
    titles = {analyzer.name: analyzer.title for analyzer in catalogue.load().analyzers}
    store = open_store(site)
    try:
        for path in write_package(site, store, month, out, titles, machine):
            typer.echo(f"written: {path}")
    finally:
        store.close()
