"""`qa-daemon demo`: a clinic to look at, processed through the real pipeline."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import typer

from qa_daemon.app import Core, open_site, set_up_logging, utc_now
from qa_daemon.commands.demo_unit import commission
from qa_daemon.commands.people import keep_password
from qa_daemon.commands.service import process_all, serve
from qa_daemon.simulate import clinic, clinic_images, clinic_srt

COMPLETE = ".complete"
STORE = "store.sqlite3"


def demo(directory: Path, days: int, port: int, *, pages: bool) -> None:
    """Build the clinic once; then serve it, or process it all and return."""
    directory.mkdir(parents=True, exist_ok=True)
    config = clinic.write_site(directory, port, utc_now())
    _let_somebody_sign_in(config)
    _commission(directory, config)
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


def _let_somebody_sign_in(config: Path) -> None:
    """Say how to sign in; the password is told once, when it is made, and not kept."""
    site = open_site(config)
    person = site.person_named(clinic.PERSON)
    assert person is not None and person.password_file is not None
    path = site.resolve(person.password_file)
    if path.exists():
        typer.echo(
            f'sign in as "{person.name}"; to set another password: '
            f'qa-daemon people password "{person.name}" --config {config}'
        )
        return
    password = secrets.token_urlsafe(12)
    keep_password(path, password, like=config)
    typer.echo(f'sign in as "{person.name}" with the password {password} (it is not shown again)')


def _commission(directory: Path, config: Path) -> None:
    """Once: the unit's calibration is judged, and baselines and tables are signed."""
    site = open_site(config)
    if (site.state_dir / STORE).exists():
        return
    clinic_srt.write_calibration(directory, utc_now().astimezone(site.zone))
    commission(site, clinic.PERSON)


def _write(directory: Path, days: int) -> None:
    if (directory / COMPLETE).exists():
        return
    today = utc_now().astimezone(open_site(directory / "site.toml").zone)
    clinic.write_plans(directory, days, today)
    for treatment in clinic.treatments(days, today):
        clinic.write(directory, treatment)
    clinic_images.write_images(directory, days, today)
    clinic_srt.write_checks(directory, days, today)
    (directory / COMPLETE).touch()
