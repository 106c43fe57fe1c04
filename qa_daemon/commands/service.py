"""`qa-daemon run` and `qa-daemon ingest`."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import sleep

import typer

from qa_daemon.app import Core, Service, open_site, open_store, set_up_logging
from qa_daemon.failures import Unavailable
from qa_daemon.ingest.names import as_text
from qa_daemon.lock import AlreadyRunning
from qa_daemon.site.site import Site
from qa_daemon.store.queries import PAGE, Queries

UNREADABLE = 65


def run(config: Path) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    serve(open_site(config))


def serve(site: Site) -> None:
    """Run the whole service for a checked site."""
    set_up_logging()
    service = Service(site)
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
    check_user(site)
    files = list(_files(paths))
    drop(site, files)
    if not wait:
        typer.echo(f"{len(files)} files are in the inbox")
        return 0
    while not _is_processed(site):
        try:
            core = Core(site)
        except AlreadyRunning:
            sleep(0.2)  # the daemon does it, or dies and leaves it to us
            continue
        try:
            process_all(core)
        finally:
            core.close()
    typer.echo(f"{len(files)} files are processed")
    return UNREADABLE if _any_unreadable(site, files) else 0


def process_all(core: Core) -> None:
    """Take in and process all that is there, then return."""
    core.dispatcher.start()
    try:
        core.scanner.run_until_settled()
        core.dispatcher.wait_idle(timeout=None)
        # Nothing more comes: sets of images are what is here now.
        while core.pipeline.end_waiting(at_once=True):
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


def check_user(site: Site) -> None:
    """Refuse to leave files that the service, which runs as another user, could not read."""
    folder = site.state_dir
    if folder.is_dir() and folder.stat().st_uid != os.geteuid():
        owner = pwd.getpwuid(folder.stat().st_uid).pw_name
        raise Unavailable(f"the state folder belongs to {owner}: run this with sudo -u {owner}")


def _is_processed(site: Site) -> bool:
    inbox = site.state_dir / "inbox"
    counts = Queries(open_store(site)).counts()
    return not any(inbox.iterdir()) and not counts.get("files.queued", 0)


def _any_unreadable(site: Site, files: Sequence[Path]) -> bool:
    queries = Queries(open_store(site))
    paths = [as_text(str(file.absolute())) for file in files]
    pages = [paths[n : n + PAGE] for n in range(0, len(paths), PAGE)]
    return any(r.error_code for page in pages for r in queries.results_at(page))
