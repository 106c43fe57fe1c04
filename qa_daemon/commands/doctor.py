"""`qa-daemon check-config` and `qa-daemon doctor`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import typer

from qa_daemon.app import open_site
from qa_daemon.site import imager_models, passwords
from qa_daemon.site.dicom_settings import Dicom
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site, SiteError

LITTLE_SPACE = 0.05
FIXED_SQLITE = (3, 51, 3)


def check_config(config: Path) -> None:
    """Print the values in force; addresses that may hold a password are left out."""
    site = open_site(config)
    form = site.file.model_dump(mode="json", by_alias=True)
    for person in form["person"]:
        person["channels"] = [f"{urlsplit(c).scheme}://…" for c in person["channels"]]
    typer.echo(json.dumps(form, indent=1))


def doctor(config: Path) -> int:
    """Check the surroundings; 0 when all is well, else 69."""
    site = open_site(config)
    faults = 0
    for good, sentence in _checks(site):
        typer.echo(f"{'ok     ' if good else 'PROBLEM'} {sentence}")
        faults += not good
    return 69 if faults else 0


def _checks(site: Site) -> Iterator[tuple[bool, str]]:
    yield bool(site.machines), f"{len(site.machines)} machines in the site file"
    for machine in site.machines:
        if machine.folders or site.file.dicom is None or machine.ae_title is None:
            folders = len(machine.folders)
            yield bool(folders), f"{machine.name} has {folders} watched folders"
        else:
            yield True, f"{machine.name} sends over the network"
        for number, folder in enumerate(site.folders_of(machine), start=1):
            good = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
            yield good, f"{machine.name}: folder {number} can be read"
        yield from _imagers(site, machine)
    yield from _state(site)
    yield bool(site.reachable), f"{len(site.reachable)} people can be told"
    yield site.file.rota is not None, "a weekly rota says who is on call"
    for named in _secret_files(site):
        yield named.is_file() and os.access(named, os.R_OK), f"secret file {named.name} can be read"
    yield from _passwords(site)
    for person in site.reachable:
        known = all(map(_is_known, person.channels))
        yield known, f"the addresses of {person.name} are of a kind that is known"
    if site.file.dicom is not None:
        yield from _dicom(site, site.file.dicom)
    if site.file.influx is not None:
        yield _answers(site.file.influx.url), "the time-series database answers"


def _imagers(site: Site, machine: Machine) -> Iterator[tuple[bool, str]]:
    for number in range(1, len(machine.imager_model) + 1):
        try:
            model = imager_models.read(site, machine, number - 1)
        except SiteError as why:
            yield False, str(why)
        else:
            yield True, f"{machine.name}: imager model {number} is of {model.energy}"


def _dicom(site: Site, dicom: Dicom) -> Iterator[tuple[bool, str]]:
    from qa_daemon.ingest.dicom_tls import tls_context

    yield True, f"{len(dicom.peer)} senders may send DICOM objects to port {dicom.port}"
    try:
        tls_context(site, dicom)
    except SiteError as why:
        yield False, str(why)
    nearest = next(p for p in (site.state_dir, *site.state_dir.parents) if p.exists())
    room = shutil.disk_usage(nearest).free > dicom.keep_free_gb * 10**9
    yield room, f"more than [dicom] keep_free_gb = {dicom.keep_free_gb:g} is free"


def _state(site: Site) -> Iterator[tuple[bool, str]]:
    nearest = next(p for p in (site.state_dir, *site.state_dir.parents) if p.exists())
    yield os.access(nearest, os.W_OK), "the state folder can be written"
    usage = shutil.disk_usage(nearest)
    free = usage.free / usage.total
    yield free > LITTLE_SPACE, f"{free:.0%} of the state folder's disk is free"
    version = ".".join(map(str, sqlite3.sqlite_version_info))
    fixed = sqlite3.sqlite_version_info >= FIXED_SQLITE
    yield True, f"SQLite {version}" + ("" if fixed else " (used with one writing connection)")


def _secret_files(site: Site) -> Iterator[Path]:
    influx = site.file.influx
    named = [influx.password_file, influx.token_file] if influx else []
    named += [person.channels_file for person in site.file.person]
    return (site.resolve(path) for path in named if path is not None)


def _passwords(site: Site) -> Iterator[tuple[bool, str]]:
    for person in site.file.person:
        if person.password_file is not None:
            path = site.resolve(person.password_file)
            try:
                passwords.read(path)
                private = not path.stat().st_mode & 0o007
            except (OSError, passwords.PasswordError):
                yield False, f"{person.name} cannot sign in: set a password, and let us read it"
            else:
                yield private, f"{person.name} can sign in, and not everybody can read how"


def _is_known(address: str) -> bool:
    from apprise import Apprise

    return address.startswith(("http://", "https://")) or Apprise.instantiate(address) is not None


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=3):
            return True
    except OSError:
        return False
