"""Sending what is to be told: to who is on call at this instant, else to whoever can be reached.

A message is marked as sent after a channel has accepted it.  A crash in between sends it again;
it then carries the same number, so that a person sees a repeat as a repeat.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from sqlalchemy import select, update

from qa_daemon.alerts import rota, storm
from qa_daemon.alerts.channels import Channels
from qa_daemon.site.site import Site
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.schema import notifications
from qa_daemon.store.store import Store

LOG = logging.getLogger(__name__)
NOBODY = "there is no [[person]] in the site file, so messages reach nobody"
NO_CHANNEL = "no channel of any person accepts messages"
IDLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that nobody has accepted yet."""

    number: int
    title: str
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before messages that nobody accepted are tried again."""

    first_s: float = 2.0
    longest_s: float = 300.0

    def pause_s(self, failures: int) -> float:
        """Doubling, with jitter."""
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Delivery:
    """Sends waiting messages one by one; new ones at once, failed ones after a pause."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        site: Site,
        channels: Channels,
        clock: Callable[[], datetime],
        patience: Patience | None = None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._site = site
        self._channels = channels
        self._clock = clock
        self._patience = patience or Patience()
        self._failures = 0
        self._again_at = 0.0
        self._has_complained = False
        self._joined_at = -storm.EVERY_S

    def send_next(self) -> float:
        """Try one message; how many seconds there is nothing more to do."""
        message = self._next()
        if message is None:
            return IDLE_S
        people = self.recipients()
        if not people:
            self._complain(NOBODY)
            return IDLE_S
        left_s = self._again_at - monotonic()
        if message.attempts and left_s > 0.0:
            return left_s
        if storm.is_on(self._store, self._clock()):
            pile = storm.pile(self._store, self._site.base_url)
            early_s = self._joined_at + storm.EVERY_S - monotonic()
            if early_s > 0.0:
                return early_s
            if pile is not None:
                return self._send_pile(message, pile, people)
        to = self._told(people, message.title, _numbered(message))
        if to is None:
            self._failed(message)
        else:
            self._sent([message.number], to)
        return 0.0

    def _send_pile(self, first: Waiting, pile: storm.Pile, people: Sequence[str]) -> float:
        to = self._told(people, pile.title, f"{pile.body}\n\nMessages from {pile.numbers[0]}")
        if to is None:
            self._failed(first)
        else:
            self._joined_at = monotonic()
            self._sent(pile.numbers, to)
        return 0.0

    def _told(self, people: Sequence[str], title: str, body: str) -> str | None:
        """Who accepted it first, and how."""
        for person in people:
            kind = self._channels.send(person, title, body)
            if kind is not None:
                return f"{person} by {kind}"
        return None

    def recipients(self) -> list[str]:
        """Everybody, in the order in which they are tried now."""
        people = [person.name for person in self._site.reachable]
        weekly = self._site.file.rota.weekly if self._site.file.rota else ()
        return rota.in_turn(weekly, self._site.zone, self._clock(), people) if weekly else people

    def _next(self) -> Waiting | None:
        # What was tried least goes first, so that a message nobody takes never holds up another.
        query = (
            select(notifications)
            .where(notifications.c.state == "pending")
            .order_by(notifications.c.attempts, notifications.c.id)
            .limit(1)
        )
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return Waiting(row.id, row.title, row.body, row.attempts) if row else None

    def _sent(self, numbers: Sequence[int], to: str) -> None:
        self._update(numbers, state="sent", sent_to=to, sent_at=self._store.now())
        self._outbox.done([])  # remembers the success
        self._failures, self._again_at, self._has_complained = 0, 0.0, False
        LOG.info("alerts: %d messages from %d sent to %s", len(numbers), numbers[0], to)

    def _failed(self, message: Waiting) -> None:
        self._update([message.number])
        self._failures += 1
        self._again_at = monotonic() + self._patience.pause_s(self._failures)
        self._complain(NO_CHANNEL)

    def _update(self, numbers: Sequence[int], **values: object) -> None:
        with self._store.write() as connection:
            connection.execute(
                update(notifications)
                .where(notifications.c.id.in_(numbers))
                .values(attempts=notifications.c.attempts + 1, **values)
            )

    def _complain(self, why: str) -> None:
        if not self._has_complained:
            LOG.error("alerts: %s", why)
            self._outbox.failed(why)
        self._has_complained = True


def _numbered(message: Waiting) -> str:
    return f"{message.body}\n\nMessage {message.number}"
