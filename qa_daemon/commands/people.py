"""Commands about people: who is on call, a test message, and a password."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from qa_daemon.alerts import rota
from qa_daemon.alerts.channels import AppriseChannels
from qa_daemon.app import open_site, utc_now
from qa_daemon.failures import Unavailable
from qa_daemon.site import passwords
from qa_daemon.site.site import Site


def who(config: Path) -> None:
    """`qa-daemon oncall who`"""
    site = open_site(config)
    if site.file.rota is None:
        names = ", ".join(person.name for person in site.reachable)
        typer.echo(f"there is no rota; messages go to: {names or 'nobody'}")
        return
    weekly, now = site.file.rota.weekly, utc_now()
    until = rota.next_hand_over(weekly, site.zone, now).astimezone(site.zone)
    typer.echo(f"{rota.on_call(weekly, site.zone, now)} until {until:%a %Y-%m-%d %H:%M}")


def send_test(config: Path, person: str | None) -> None:
    """`qa-daemon alerts test`"""
    site = open_site(config)
    name = person or _on_call(site)
    if site.person_named(name) is None:
        raise typer.BadParameter(f"there is no [[person]] named {name!r}")
    sent = AppriseChannels(site).send(
        name,
        f"Test message from QA Daemon at {site.name}",
        "This is a test. Nothing is wrong. Messages about results come this way.",
    )
    if sent is None:
        raise Unavailable(f"no channel of {name} took the message; check the addresses")
    typer.echo(f"{name} was sent a test message by {sent}")


def set_password(config: Path, name: str) -> None:
    """`qa-daemon people password`: asks on a terminal, else reads the first line of the input."""
    site = open_site(config)
    person = site.person_named(name)
    if person is None:
        raise typer.BadParameter(f"there is no [[person]] named {name!r}")
    if person.password_file is None:
        raise typer.BadParameter(
            f"the [[person]] {name!r} has no password_file: name one in the site file, such as "
            'password_file = "physicist-a.password"'
        )
    path = site.resolve(person.password_file)
    try:
        keep_password(path, _asked(), like=site.path)
    except passwords.PasswordError as why:
        raise typer.BadParameter(str(why)) from None
    typer.echo(f"{name} can sign in with the new password; where signed in, no longer")


def _asked() -> str:
    if sys.stdin.isatty():
        said: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more")
        return said
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise typer.BadParameter("the password is not UTF-8 text") from None


def keep_password(path: Path, password: str, like: Path) -> None:
    """Write a password file anew, at once and whole; whoever may read the site file may read it.

    Raises `PasswordError` for a password that is not a fit one.
    """
    line = passwords.line_of(password)
    model = like.stat()
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(made, "w", encoding="ascii") as stream:
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), model.st_uid, model.st_gid)
        os.fchmod(stream.fileno(), model.st_mode & 0o640)
        stream.write(f"{line}\n")
    new.replace(path)


def _on_call(site: Site) -> str:
    if site.file.rota is not None:
        return rota.on_call(site.file.rota.weekly, site.zone, utc_now())
    if not site.reachable:
        raise typer.BadParameter("the site file names no [[person]] with channels")
    return site.reachable[0].name
