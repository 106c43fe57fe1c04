"""`qa-daemon grafana render|push`."""

from __future__ import annotations

from pathlib import Path

import typer

from analyzers import catalogue as physics
from dashboards.grafana import push as pushing
from dashboards.grafana.files import render as render_into
from dashboards.grafana.subjects import every_dashboard
from qa_daemon.app import open_site, utc_now
from qa_daemon.site.site import Site, without_file


def render(folder: Path, config: Path | None) -> None:
    """Write the folder that Grafana mounts."""
    site = _site(config)
    written, removed = render_into(folder, physics.load(), site)
    typer.echo(f"{written} files written, {removed} removed")


def push(url: str, token_file: Path, config: Path | None) -> None:
    """Write the dashboards over HTTP."""
    try:
        token = pushing.read_token(token_file)
        done = pushing.push(url, token, every_dashboard(physics.load(), _site(config)))
    except pushing.BadAddress as why:
        raise typer.BadParameter(str(why)) from None
    typer.echo(f"{done.written} dashboards written, {done.unchanged} unchanged")


def _site(config: Path | None) -> Site:
    if config is not None:
        return open_site(config)
    return without_file(physics.load().analyzers, utc_now)
