"""The alert engine: follows the store, keeps the incidents and tells the people on call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from qa_daemon.alerts.channels import Channels
from qa_daemon.alerts.delivery import IDLE_S, Delivery, Patience
from qa_daemon.alerts.evaluate import (
    close_unreadable,
    evaluate,
    is_waiting,
    notify,
    take_off,
)
from qa_daemon.alerts.messages import Wording
from qa_daemon.alerts.outages import Outages
from qa_daemon.alerts.treated import Treated
from qa_daemon.alerts.trend_news import TrendNews
from qa_daemon.alerts.unit_reminders import UnitReminders
from qa_daemon.site.site import Site
from qa_daemon.store.outbox import Outbox
from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.store import Store

LOG = logging.getLogger(__name__)
AT_ONCE = 200
AFTER_A_FAULT_S = 2.0


class AlertEngine:
    """A thread that looks through each new result in order and sends the messages it calls for.

    `clock` gives the current UTC time; `titles` the names of the analyzers as people know them.
    """

    def __init__(
        self,
        store: Store,
        queries: Queries,
        outbox: Outbox,
        site: Site,
        channels: Channels,
        clock: Callable[[], datetime],
        titles: Mapping[str, str],
        patience: Patience | None = None,
        outages: Outages | None = None,
        reminders: UnitReminders | None = None,
        trend_news: TrendNews | None = None,
    ) -> None:
        self._store = store
        self._queries = queries
        self._outbox = outbox
        self._outages = outages
        self._reminders = reminders
        self._trend_news = trend_news
        self._wording = Wording(site, titles)
        self._treated = Treated(store, queries, self._wording, clock)
        self._delivery = Delivery(store, outbox, site, channels, clock, patience)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._moved_at = monotonic()
        self._is_sending = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; what was not sent is sent after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3.0)

    def progress(self) -> float:
        """When it last moved, on the monotonic clock; waiting for a channel is no standstill."""
        return monotonic() if self._is_sending else self._moved_at

    def look_through(self) -> None:
        """Bring the incidents up to date with every result that is new."""
        while not self._stopping.is_set() and (items := self._outbox.pending(AT_ONCE)):
            for item in items:
                self._moved_at = monotonic()
                self._look_at(item.result)

    def deliver(self) -> float:
        """Try to send one message; how many seconds there is nothing more to do."""
        self._is_sending = True
        try:
            return self._delivery.send_next()
        finally:
            self._moved_at = monotonic()
            self._is_sending = False

    def _look_at(self, identity: int) -> None:
        """Look at a result or, when it is superseded, at what took its place, once for all."""
        passed, result = [identity], self._queries.result(identity)
        while result is not None and not result.active and result.superseded_by is not None:
            passed.append(result.superseded_by)
            result = self._queries.result(result.superseded_by)
        if result is None or not result.active:
            with self._store.write() as connection:
                take_off(connection, passed)
            return
        try:
            self._record(result, passed)
        except SQLAlchemyError:
            raise
        except Exception:
            # A boundary: a fault of ours in one result must not silence the alerts of all others.
            LOG.exception("alerts: result %d could not be looked through", result.id)
            with self._store.write() as connection:
                text = self._wording.last_resort(result)
                notify(connection, result.id, text, self._store.now())
                take_off(connection, passed)

    def _record(self, result: StoredResult, passed: list[int]) -> None:
        with self._store.write() as connection:
            if is_waiting(connection, result.id):
                evaluate(connection, result, self._wording, self._store.now())
            else:
                close_unreadable(connection, result, self._wording, self._store.now())
            take_off(connection, passed)

    def _follow_treatments(self) -> None:
        try:
            self._treated.look()
        except SQLAlchemyError:
            raise
        except Exception:
            # A boundary: what fails here must not keep the messages that wait from being sent.
            LOG.exception("alerts: treatments could not be looked through")

    def _run(self) -> None:
        while not self._stopping.is_set():
            seen = self._store.version
            self._moved_at = monotonic()
            try:
                self.look_through()
                if self._outages is not None:
                    self._outages.look()
                self._follow_treatments()
                if self._reminders is not None:
                    self._reminders.look()
                if self._trend_news is not None:
                    self._trend_news.look()
                idle_s = self.deliver()
            except Exception:
                # The boundary of the thread: whatever happens, it goes on and nothing is lost.
                LOG.exception("alerts: unexpected")
                self._stopping.wait(AFTER_A_FAULT_S)
                continue
            if idle_s:
                self._store.wait_for_change(seen, min(idle_s, IDLE_S))
