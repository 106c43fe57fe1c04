"""`qa-daemon run` and `qa-daemon ingest`."""

from __future__ import annotations

import json
import shutil
import signal
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep

import typer

from qa_daemon.app import Core, Service, open_site, open_store, set_up_logging
from qa_daemon.failures import Unavailable
from qa_daemon.ingest.names import as_text
from qa_daemon.lock import AlreadyRunning
from qa_daemon.site.site import Site
from qa_daemon.store.queries import Queries

UNREADABLE = 65


def run(config: Path) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    serve(open_site(config))


def serve(site: Site) -> None:
    """Run the whole service for a checked site."""
    set_up_logging()
    try:
        service = Service(site)
    except AlreadyRunning as why:
        raise Unavailable(str(why)) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.ask_to_stop())
    try:
        service.start()
        service.wait()
    finally:
        service.stop()


def ingest(paths: Sequence[Path], config: Path, *, wait: bool) -> int:
    """Put files into the inbox; without a running daemon, process them here when asked to wait."""
    site = open_site(config)
    files = list(_files(paths))
    drop(site, files)
    if not wait:
        typer.echo(f"{len(files)} files are in the inbox")
        return 0
    before = _unreadable(site)
    try:
        core = Core(site)
    except AlreadyRunning:
        _wait_for_daemon(site)
    else:
        try:
            process_all(core)
        finally:
            core.close()
    typer.echo(f"{len(files)} files are processed")
    return UNREADABLE if _unreadable(site) > before else 0


def process_all(core: Core) -> None:
    """Take in and process all that is there, then return."""
    core.dispatcher.start()
    try:
        core.scanner.run_until_settled()
        core.dispatcher.wait_idle(timeout=None)
    finally:
        core.dispatcher.stop()


def drop(site: Site, files: Sequence[Path]) -> None:
    """Copy files into the inbox; each folder's files appear there at once, complete."""
    inbox = site.state_dir / "inbox"
    inbox.mkdir(parents=True, exist_ok=True, mode=0o700)
    folders = {file.parent for file in files}
    for folder in sorted(folders):
        machine = site.machine_of_path(folder)
        part = site.state_dir / f"inbox-part-{uuid.uuid4().hex}"
        part.mkdir(mode=0o700)
        origin = {
            "folder": as_text(str(folder.absolute())),
            "machine": machine.name if machine else None,
        }
        (part / ".origin.json").write_text(json.dumps(origin))
        for file in files:
            if file.parent == folder:
                shutil.copy2(file, part / file.name)
        part.rename(inbox / uuid.uuid4().hex)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        elif path.is_file():
            yield path
        else:
            raise typer.BadParameter("a path given is neither a file nor a folder")


def _wait_for_daemon(site: Site) -> None:
    inbox, store = site.state_dir / "inbox", open_store(site)
    queries, told = Queries(store), monotonic()
    while any(inbox.iterdir()) or queries.counts().get("files.queued", 0):
        sleep(0.2)
        if monotonic() - told > 30:
            told = monotonic()
            typer.echo("waiting for the running daemon", err=True)


def _unreadable(site: Site) -> int:
    return Queries(open_store(site)).counts().get("files.quarantined", 0)
