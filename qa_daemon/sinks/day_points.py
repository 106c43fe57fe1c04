"""What is sent beside results: each leaf's worst of the day, and what was done to the machines.

| measurement | tags | fields |
|---|---|---|
| `qa_leaf` | site, machine, analyzer, leaf | one for each quantity in mm or ms |
| `qa_event` | site, machine, analyzer, kind | in_force: 1, or 0 for one that was withdrawn |

A leaf has one point a day, at the clinic's noon, written anew with each delivery of the day: one
for each delivery would be most of the database.  What a person wrote about an event stays in the
store.  Both follow from the store alone, so that a replay writes the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from qa_daemon.sinks.points import line_of
from qa_daemon.sinks.superseded import Place
from qa_daemon.site.site import Site
from qa_daemon.store import service_events
from qa_daemon.store.leaf_days import worst_of
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.service_events import StoredEvent
from qa_daemon.store.store import Store

QUANTITY = re.compile(r"[a-z_]+_(mm|ms)")
LEAF = re.compile(r"(\d*[A-Z])(\d{1,3})")
AROUND_NS = 31 * 86400 * 10**9
EVERY_TEST = "all"
Stamp = tuple[int, int, int]


class DayPoints:
    """Makes the lines that go with a batch of results."""

    def __init__(self, site: Site, store: Store, *, with_leaves: bool) -> None:
        self._site = site
        self._store = store
        self._with_leaves = with_leaves
        self._known: dict[str, Stamp] = {}
        self._told: dict[str, Stamp] = {}

    def left(self, places: Sequence[Place]) -> list[Place]:
        """The points of leaves that what stood at these places may have left."""
        if not self._with_leaves:
            return []
        found = {
            Place(p.site, p.machine, self._ns(self._day(p.point_ns), time(12)), ("qa_leaf",))
            for p in places
        }
        return sorted(found)

    def lines(self, results: Sequence[StoredResult], emptied: Sequence[Place] = ()) -> list[str]:
        """The days of their deliveries and of emptied places, and the events of their machines."""
        at_ns: dict[str, list[int]] = {}
        for result in results:
            if result.machine is not None:
                at_ns.setdefault(result.machine, []).append(result.point_ns)
        for place in emptied:
            at_ns.setdefault(place.machine, []).append(place.point_ns)
        lines: list[str] = []
        for machine, instants in at_ns.items():
            if self._with_leaves:
                for day in sorted({self._day(instant) for instant in instants}):
                    lines += self._of_day(machine, day)
            lines += self._events(machine, min(instants) - AROUND_NS, max(instants) + AROUND_NS)
        return lines

    def sent(self) -> None:
        """The server has these: from now on only what changes, or lies near a result, is sent."""
        self._known.update(self._told)

    def _day(self, point_ns: int) -> date:
        return datetime.fromtimestamp(point_ns // 10**9, UTC).astimezone(self._site.zone).date()

    def _of_day(self, machine: str, day: date) -> Iterator[str]:
        with self._store.read() as connection:
            found = list(
                worst_of(connection, machine, self._ns(day), self._ns(day + timedelta(days=1)))
            )
        noon_ns = self._ns(day, time(12))
        for one in found:
            fields = {n: v for n, v in one.values.items() if QUANTITY.fullmatch(n)}
            name = LEAF.fullmatch(one.leaf)
            if fields and name is not None:
                tags = {
                    "analyzer": one.analyzer,
                    "leaf": f"{name[1]}{int(name[2]):02}",
                    "machine": machine,
                    "site": self._site.name,
                }
                yield line_of("qa_leaf", tags, fields, noon_ns)

    def _events(self, machine: str, from_ns: int, until_ns: int) -> Iterator[str]:
        """All when something changed since they were last sent, else those near the results."""
        found = service_events.every(self._store, machine)
        self._told[machine] = _stamp(found)
        is_new = self._known.get(machine) != self._told[machine]
        in_force: dict[tuple[str, str, int], bool] = {}
        for stored in found:
            event = stored.event
            if is_new or from_ns <= event.point_ns <= until_ns:
                key = (event.analyzer or EVERY_TEST, event.kind.value, event.point_ns)
                # One that was withdrawn may have been entered again.
                in_force[key] = in_force.get(key, False) or stored.withdrawn_by is None
        for (analyzer, kind, point_ns), is_so in in_force.items():
            tags = {
                "analyzer": analyzer,
                "kind": kind,
                "machine": machine,
                "site": self._site.name,
            }
            yield line_of("qa_event", tags, {"in_force": int(is_so)}, point_ns)

    def _ns(self, day: date, clock: time = time(0)) -> int:
        local = datetime.combine(day, clock, tzinfo=self._site.zone)
        return int(local.timestamp()) * 10**9


def _stamp(events: Sequence[StoredEvent]) -> Stamp:
    withdrawn = sum(e.withdrawn_by is not None for e in events)
    return len(events), max((e.id for e in events), default=0), withdrawn
