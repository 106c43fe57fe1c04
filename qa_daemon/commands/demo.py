"""`qa-daemon demo`: a clinic to look at, processed through the real pipeline."""

from __future__ import annotations

import threading
from pathlib import Path

import typer

from qa_daemon.app import Core, open_site, set_up_logging, utc_now
from qa_daemon.commands.service import process_all, serve
from qa_daemon.simulate import clinic

COMPLETE = ".complete"


def demo(directory: Path, days: int, port: int, *, pages: bool) -> None:
    """Build the clinic once; then serve it, or process it all and return."""
    directory.mkdir(parents=True, exist_ok=True)
    config = clinic.write_site(directory, port)
    if pages:
        threading.Thread(target=_write, args=(directory, days), daemon=True).start()
        serve(open_site(config))
        return
    _write(directory, days)
    set_up_logging()
    core = Core(open_site(config))
    try:
        process_all(core)
    finally:
        core.close()
    typer.echo("the demo clinic is processed")


def _write(directory: Path, days: int) -> None:
    if (directory / COMPLETE).exists():
        return
    today = utc_now().astimezone(open_site(directory / "site.toml").zone)
    for treatment in clinic.treatments(days, today):
        clinic.write(directory, treatment)
    (directory / COMPLETE).touch()
