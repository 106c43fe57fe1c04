"""Which log shows a recorded beam: each log serves one, so that none hides another's absence.

A log that was matched shows the beams that were found in it, and no other.  One that was not may
name its plan, or nothing but a meterset.  The logs of an interrupted beam, joined to one delivery,
serve as many recorded parts as there are logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from qa_daemon.model import MatchState
from qa_daemon.store.copies import LIVE
from qa_daemon.store.schema import (
    delivered_beams,
    deliveries,
    files,
    plan_uids,
    recorded_beams,
    results,
)

SAME_MU, SAME_MU_SHARE = 0.5, 0.01

Place = tuple[int, int | None]
"""A result of a log, and the beam in it; None: the log was not matched with a plan."""


class Fit(NamedTuple):
    """How well a place fits a recorded beam: the lowest is best."""

    rank: int
    away_ns: int
    result: int
    number: int | None

    @property
    def place(self) -> Place:
        """Where it fits."""
        return self.result, self.number


@dataclass(frozen=True, slots=True)
class Log:
    """A delivery on the machine of the records; `beams` are (plan's file, beam number)."""

    said: Row[Any]
    beams: frozenset[tuple[int, int]]
    parts: int

    def places(self) -> list[Place]:
        """Where it has room, each for as many recorded beams as it has parts."""
        if self.beams:
            return [(self.said.result, number) for number in {number for _, number in self.beams}]
        is_matched = self.said.state == MatchState.MATCHED.value
        return [] if is_matched else [(self.said.result, None)]


@dataclass(frozen=True, slots=True)
class Served:
    """Recorded beams and the logs that show them."""

    beams: dict[int, Row[Any]]
    logs: dict[int, Log]
    plans: dict[str, set[int]]
    gap_ns: int
    held: dict[Place, list[int]] = field(default_factory=dict)

    def serve(self, beam: Row[Any], tried: set[Place]) -> bool:
        """Give a recorded beam its best log; others move where they can (augmenting paths)."""
        for fit in self._fits(beam):
            place = fit.place
            if place in tried:
                continue
            tried.add(place)
            holders = self.held.setdefault(place, [])
            if len(holders) < self.logs[place[0]].parts:
                holders.append(beam.id)
                return True
            for other in list(holders):
                if self.serve(self.beams[other], tried):
                    holders.remove(other)
                    holders.append(beam.id)
                    return True
        return False

    def displace(self, beam: Row[Any]) -> None:
        """Take a log from a recorded beam that it fits worse: it is that one's log which lacks."""
        for mine in self._fits(beam):
            for other in self.held.get(mine.place, []):
                theirs = [fit for fit in self._fits(self.beams[other]) if fit.place == mine.place]
                if not theirs or mine[:2] < theirs[0][:2]:
                    self.held[mine.place].remove(other)
                    self.held[mine.place].append(beam.id)
                    return

    def log_of(self) -> dict[int, int]:
        """The result of the log of each recorded beam that has one."""
        return {beam: place[0] for place, holders in self.held.items() for beam in holders}

    def _fits(self, beam: Row[Any]) -> list[Fit]:
        plans = self.plans.get(beam.plan_uid or "", set())
        fits = []
        for log in self.logs.values():
            away_ns = abs(log.said.point_ns - beam.point_ns)
            if away_ns > self.gap_ns or log.said.machine != beam.machine:
                continue
            for result, number in log.places():
                rank = _rank(beam, log, number, plans)
                if rank is not None:
                    fits.append(Fit(rank, away_ns, result, number))
        return sorted(fits, key=lambda fit: fit[:3])


def find_logs(
    connection: Connection, beams: Sequence[Row[Any]], gap_ns: int
) -> dict[int, int | None]:
    """The result of the log of each recorded beam, by the beam's id; None: there is none.

    `beams` are of one treatment record.  Of beams of other records those are in the answer that had
    a log, and have another one or none now.
    """
    machine, at_ns = beams[0].machine, beams[0].point_ns
    # A holder that makes room may go as far as its own gap reaches.
    logs = _logs(connection, machine, at_ns - 3 * gap_ns, at_ns + 3 * gap_ns)
    own = {beam.id for beam in beams}
    others = [row for row in _holders(connection, logs) if row.id not in own]
    every = {row.id: row for row in (*beams, *others)}
    served = Served(every, logs, _plans_of(connection, every.values()), gap_ns)
    for row in others:
        place = (row.log, row.number if logs[row.log].beams else None)
        served.held.setdefault(place, []).append(row.id)
    for beam in beams:
        if not served.serve(beam, set()):
            served.displace(beam)
    now = served.log_of()
    return {
        beam: now.get(beam) for beam in every if beam in own or now.get(beam) != every[beam].log
    }


def _rank(beam: Row[Any], log: Log, number: int | None, plans: set[int]) -> int | None:
    """How surely a log, or the beam `number` in it, is the recorded beam: 0 is best; None: not."""
    said = log.said
    if said.patient_is_told and said.patient != beam.patient:
        return None
    is_named = said.plan_uid is not None and said.plan_uid == beam.plan_uid
    if number is not None:
        of_plan = any(at == number and (plan in plans or is_named) for plan, at in log.beams)
        return 0 if of_plan and number == beam.number else None
    if said.plan_uid is None:
        return 3 if _has_meterset(said.planned_mu, beam.delivered_mu) else None
    if not is_named:
        return None
    if said.beam_number is None:
        return 2
    return 1 if said.beam_number == beam.number else None


def _has_meterset(planned_mu: float | None, delivered_mu: float | None) -> bool:
    if planned_mu is None or delivered_mu is None:
        return False
    return abs(planned_mu - delivered_mu) <= max(SAME_MU, SAME_MU_SHARE * delivered_mu)


def _logs(connection: Connection, machine: str, from_ns: int, to_ns: int) -> dict[int, Log]:
    """The deliveries on a machine in a time, by their result."""
    query = (
        select(deliveries)
        .join(results, results.c.id == deliveries.c.result)
        .join(files, files.c.id == deliveries.c.file)
        .where(deliveries.c.machine == machine, deliveries.c.point_ns.between(from_ns, to_ns))
        # The rest of an interrupted beam counts with the log that it is the rest of.
        .where(results.c.active, files.c.main_file.is_(None))
        .order_by(deliveries.c.point_ns)
    )
    rows = connection.execute(query).all()
    of = [row.file for row in rows]
    beams: dict[int, set[tuple[int, int]]] = {}
    shown = select(delivered_beams).where(delivered_beams.c.file.in_(of))
    for row in connection.execute(shown):
        beams.setdefault(row.file, set()).add((row.plan, row.number))
    resumed = (
        select(files.c.main_file, func.count().label("rests"))
        .where(files.c.main_file.in_(of), files.c.is_companion.is_(False), files.c.state.in_(LIVE))
        .group_by(files.c.main_file)
    )
    rests = {row.main_file: row.rests for row in connection.execute(resumed)}
    return {
        row.result: Log(row, frozenset(beams.get(row.file, ())), 1 + rests.get(row.file, 0))
        for row in rows
    }


def _holders(connection: Connection, logs: Iterable[int]) -> Sequence[Row[Any]]:
    """The recorded beams, of records that still stand, that these logs serve."""
    query = (
        select(recorded_beams)
        .join(results, results.c.file == recorded_beams.c.file)
        .where(recorded_beams.c.log.in_(logs), results.c.active)
        .order_by(recorded_beams.c.id)
    )
    return connection.execute(query).all()


def _plans_of(connection: Connection, beams: Iterable[Row[Any]]) -> dict[str, set[int]]:
    """The plans that are here, by their own UID."""
    uids = {beam.plan_uid for beam in beams if beam.plan_uid is not None}
    query = select(plan_uids.c.uid, plan_uids.c.file)
    found: dict[str, set[int]] = {}
    for row in connection.execute(query.where(plan_uids.c.uid.in_(uids), plan_uids.c.is_own)):
        found.setdefault(row.uid, set()).add(row.file)
    return found
