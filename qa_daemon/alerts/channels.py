"""Reaching a person through apprise: one address at a time until one of them accepts.

Addresses may hold passwords: they are read anew for each message, and appear in no log and no
error.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from qa_daemon.site.settings import Person
from qa_daemon.site.site import Site

LOG = logging.getLogger(__name__)
LONGEST_S = 10.0


class Channels(Protocol):
    """A way to reach people."""

    def send(self, person: str, title: str, body: str) -> str | None:
        """Send to a person; the kind of channel that accepted, None when none did."""


class AppriseChannels:
    """The addresses of the site file, in their order."""

    def __init__(self, site: Site, longest_s: float = LONGEST_S) -> None:
        self._site = site
        self._longest_s = longest_s

    def send(self, person: str, title: str, body: str) -> str | None:
        """Send to a person; the kind of channel that accepted, None when none did."""
        for number, address in enumerate(self._addresses(person), start=1):
            kind = address.partition("://")[0].lower()
            if _within(self._longest_s, lambda to=address: _notify(to, title, body)):  # type: ignore[misc]
                return kind
            LOG.warning("alerts: channel %d (%s) of %s did not accept", number, kind, person)
        return None

    def _addresses(self, name: str) -> list[str]:
        people: dict[str, Person] = {p.name: p for p in self._site.file.person}
        person = people[name]
        addresses = list(person.channels)
        if person.channels_file is not None:
            try:
                text = self._site.resolve(person.channels_file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                LOG.error("alerts: the channels_file of %s cannot be read", name)
                text = ""
            lines = (line.strip() for line in text.splitlines())
            addresses += [line for line in lines if line and not line.startswith("#")]
        return addresses


def _notify(address: str, title: str, body: str) -> bool:
    # Imported here: it takes a while, and few commands send anything.
    from apprise import Apprise, NotifyFormat

    service = Apprise.instantiate(address)
    if service is None and address.startswith(("http://", "https://")):
        # A webhook that is no service apprise knows gets plain JSON.
        service = Apprise.instantiate(address.replace("http", "json", 1))
    if service is None:
        LOG.warning("alerts: this address is of no kind that apprise knows")
        return False
    everybody = Apprise()
    everybody.add(service)
    return bool(everybody.notify(title=title, body=body, body_format=NotifyFormat.TEXT))


def _within(seconds: float, send: Callable[[], bool]) -> bool:
    """Whether it succeeded in time; a server that trickles cannot hold up the next channel."""
    accepted: list[bool] = []

    def attempt() -> None:
        try:
            accepted.append(send())
        except Exception as why:  # noqa: BLE001
            # A boundary: the library's many services may raise anything, and its words may hold
            # the address.
            LOG.warning("alerts: a channel failed: %s", type(why).__name__)

    thread = threading.Thread(target=attempt, name="alert channel", daemon=True)
    thread.start()
    thread.join(seconds)
    return accepted == [True]
