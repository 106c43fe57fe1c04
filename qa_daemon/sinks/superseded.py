"""What has to be taken off a server because a result in it was superseded.

A database writes a point over field by field: a number that the successor does not give, a
verdict it withdraws, a machine or an instant it corrects would stay there, and an old PASS beside
a new INVALID.  Such a place (a machine at an instant) is emptied and written anew.  Most
successors give all that their predecessors gave, and nothing is taken off for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from qa_daemon.sinks.points import lines_of
from qa_daemon.site.settings import OF_NO_MACHINE
from qa_daemon.store.queries import PAGE, Queries, StoredResult
from qa_daemon.store.schema import results
from qa_daemon.store.store import Store

MEASUREMENTS = ("qa", "qa_analysis", "qa_result")
STORED = str.maketrans({"\n": r"\n", "\t": r"\t", "\r": r"\r"})


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """The points of one machine at one instant; at most one result in force has them."""

    site: str
    machine: str
    point_ns: int
    measurements: tuple[str, ...] = MEASUREMENTS

    def influxql(self) -> tuple[str, list[str]]:
        """What 1.x is asked to know whether anything is there, and the statements that empty it."""
        where = (
            f'"machine" = {_text(self.machine)} AND "site" = {_text(self.site)} '
            f"AND time = {self.point_ns}"
        )
        names = [f'"{name}"' for name in self.measurements]
        sources = ", ".join(names)
        return (
            f"SELECT * FROM {sources} WHERE {where} LIMIT 1",  # noqa: S608 - quoted
            [f"DELETE FROM {name} WHERE {where}" for name in names],  # noqa: S608
        )

    def predicates(self) -> list[str]:
        """The predicates of 2.x that, with the instant, empty it."""
        machine, site = _quoted(self.machine), _quoted(self.site)
        return [
            f'_measurement="{name}" AND machine={machine} AND site={site}'
            for name in self.measurements
        ]


class Superseded:
    """Finds the places that a batch of results leaves wrong."""

    def __init__(self, store: Store, site: str) -> None:
        self._store, self._site = store, site
        self._queries = Queries(store)

    def of(
        self, batch: Sequence[StoredResult], lines: Iterable[str]
    ) -> tuple[list[Place], list[str]]:
        """Places to be emptied, and the lines of other results in force that have one of them."""
        before = self._before([r.id for r in batch])
        if not before:
            return [], []
        given = dict(map(_fields, lines))
        wrong: dict[Place, str | None] = {}
        for start in range(0, len(before), PAGE):
            for old in self._queries.results_of(before[start : start + PAGE]):
                said = map(_fields, lines_of(old, self._site))
                if any(not names <= given.get(place, set()) for place, names in said):
                    place = Place(self._site, old.machine or OF_NO_MACHINE, old.point_ns)
                    wrong[place] = old.machine
        mine = {r.id for r in batch}
        others = [
            line
            for place, machine in wrong.items()
            for result in self._in_force(machine, place.point_ns)
            if result.id not in mine
            for line in lines_of(result, self._site)
        ]
        return sorted(wrong), others

    def _before(self, of: Sequence[int]) -> list[int]:
        """All that these took the place of, however long ago."""
        found: set[int] = set()
        generation = list(of)
        with self._store.read() as connection:
            while generation:
                query = select(results.c.id).where(results.c.superseded_by.in_(generation[:PAGE]))
                older = set(connection.execute(query).scalars()) - found
                found |= older
                generation = [*generation[PAGE:], *older]
        return sorted(found)

    def _in_force(self, machine: str | None, point_ns: int) -> Iterator[StoredResult]:
        query = select(results.c.id).where(
            results.c.machine.is_not_distinct_from(machine),
            results.c.active,
            results.c.point_ns == point_ns,
        )
        with self._store.read() as connection:
            found = list(connection.execute(query).scalars())
        yield from self._queries.results_of(found)


def _fields(line: str) -> tuple[tuple[str, str], set[str]]:
    """Series and instant of a line, and the names of its fields, which are numbers."""
    series, fields, at = line.rsplit(" ", 2)
    return (series, at), {field.split("=", 1)[0] for field in fields.split(",")}


def _stored(tag: str) -> str:
    """A tag as the server has it: a backslash at its end escapes the blank that is put there."""
    text = tag.translate(STORED)
    return f"{text[:-1]} " if text.endswith("\\") else text


def _text(tag: str) -> str:
    return "'" + _stored(tag).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(tag: str) -> str:
    return '"' + _stored(tag).replace("\\", "\\\\").replace('"', '\\"') + '"'
