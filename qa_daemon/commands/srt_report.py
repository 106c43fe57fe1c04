"""`qa-daemon srt report`: the printable report of a check, as on the pages."""

from __future__ import annotations

from pathlib import Path

import typer

from dashboards.reports.check_record import CannotReport, Source
from dashboards.reports.output_report import output_report
from qa_daemon.app import open_site, open_store
from qa_daemon.commands.service import check_user
from qa_daemon.store.archive import Archive
from qa_daemon.store.queries import Queries


def report(result: int, config: Path, out: Path) -> None:
    """Write it to a new file."""
    if out.exists():
        raise typer.BadParameter(f"{out} is there: give the report a name of its own")
    site = open_site(config)
    check_user(site)
    store = open_store(site)
    source = Source(site, store, Queries(store), Archive(site.state_dir))
    try:
        content = output_report(source, result, site.file.site.paper)
    except CannotReport as why:
        raise typer.BadParameter(f"result {result}: {why}") from None
    out.write_bytes(content)
    typer.echo(f"written: {out}")
