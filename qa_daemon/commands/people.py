"""Commands about people: who is on call, and a test message."""

from __future__ import annotations

from pathlib import Path

import typer

from qa_daemon.alerts import rota
from qa_daemon.alerts.channels import AppriseChannels
from qa_daemon.app import open_site, utc_now
from qa_daemon.failures import Unavailable
from qa_daemon.site.site import Site


def who(config: Path) -> None:
    """`qa-daemon oncall who`"""
    site = open_site(config)
    if site.file.rota is None:
        names = ", ".join(person.name for person in site.file.person)
        typer.echo(f"there is no rota; messages go to: {names or 'nobody'}")
        return
    weekly, now = site.file.rota.weekly, utc_now()
    until = rota.next_hand_over(weekly, site.zone, now).astimezone(site.zone)
    typer.echo(f"{rota.on_call(weekly, site.zone, now)} until {until:%a %Y-%m-%d %H:%M}")


def send_test(config: Path, person: str | None) -> None:
    """`qa-daemon alerts test`"""
    site = open_site(config)
    name = person or _on_call(site)
    if name not in [p.name for p in site.file.person]:
        raise typer.BadParameter(f"there is no [[person]] named {name!r}")
    sent = AppriseChannels(site).send(
        name,
        f"Test message from QA Daemon at {site.name}",
        "This is a test. Nothing is wrong. Messages about results come this way.",
    )
    if sent is None:
        raise Unavailable(f"no channel of {name} took the message; check the addresses")
    typer.echo(f"{name} was sent a test message by {sent}")


def _on_call(site: Site) -> str:
    if site.file.rota is not None:
        return rota.on_call(site.file.rota.weekly, site.zone, utc_now())
    if not site.file.person:
        raise typer.BadParameter("the site file names no [[person]]")
    return site.file.person[0].name
