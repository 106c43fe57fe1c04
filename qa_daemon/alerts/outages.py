"""Watched folders that cannot be reached: one message when that lasts, one when they are back.

What was told is stored, so that a restart neither forgets nor repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import Protocol

from sqlalchemy import delete, insert, select

from qa_daemon.alerts.evaluate import notify
from qa_daemon.alerts.messages import folder_away, folder_back
from qa_daemon.site.site import Site
from qa_daemon.store.schema import outages
from qa_daemon.store.store import Store

TOLD_AFTER_S = 300.0


class Watched(Protocol):
    """How a watched folder is; `machine` None: it belongs to no single one."""

    @property
    def machine(self) -> str | None:
        """Whose it is."""

    @property
    def is_reachable(self) -> bool:
        """Whether it, and all in it, could be listed."""

    @property
    def last_scan_s_ago(self) -> float | None:
        """When all of it was looked through; None: not yet."""


class Outages:
    """Follows the watched folders of each machine; `folders` says how they are now."""

    def __init__(
        self,
        store: Store,
        site: Site,
        folders: Callable[[], Sequence[Watched]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._site = site
        self._folders = folders
        self._clock = clock
        self._since: dict[str, float] = {}
        with store.read() as connection:
            self._told = set(connection.execute(select(outages.c.machine)).scalars())

    def look(self) -> None:
        """Tell what has to be told now."""
        now = self._clock()
        watched: dict[str, list[Watched]] = {}
        for folder in self._folders():
            watched.setdefault(folder.machine or "", []).append(folder)
        for machine, folders in watched.items():
            if not all(folder.is_reachable for folder in folders):
                lasts_s = now - self._since.setdefault(machine, now)
                if lasts_s > TOLD_AFTER_S and machine not in self._told:
                    self._tell_away(machine)
            elif _all_looked_through(folders, now - self._since.get(machine, -inf)):
                self._since.pop(machine, None)
                if machine in self._told:
                    self._tell_back(machine)

    def _tell_away(self, machine: str) -> None:
        now = self._store.now()
        with self._store.write() as connection:
            notify(connection, None, folder_away(self._site, machine), now)
            connection.execute(insert(outages).values(machine=machine, told_at=now))
        self._told.add(machine)

    def _tell_back(self, machine: str) -> None:
        with self._store.write() as connection:
            notify(connection, None, folder_back(self._site, machine), self._store.now())
            connection.execute(delete(outages).where(outages.c.machine == machine))
        self._told.discard(machine)


def _all_looked_through(folders: Sequence[Watched], within_s: float) -> bool:
    """Whether it is known that they are well: not after a start, nor while a share still hangs."""
    scans = [folder.last_scan_s_ago for folder in folders]
    return all(ago is not None and ago < within_s for ago in scans)
