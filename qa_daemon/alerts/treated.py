"""Treated, and no log arrived: told once, and once more when the log is there after all.

Two things say that a beam was treated: a treatment record, and the other beams of its fraction.
A beam whose record asks for a log is the record's to tell; the fraction tells the others.  Where
the record comes after its fraction was told, it is told already.  What was told is stored, so that
a restart neither forgets nor repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from qa_daemon.alerts.evaluate import take_in
from qa_daemon.alerts.incidents import Finding
from qa_daemon.alerts.logs_of_records import find_logs
from qa_daemon.alerts.messages import NO_LOG, Wording
from qa_daemon.alerts.sessions import gap_ns, session
from qa_daemon.fractions import NANO, BeamState, Fraction
from qa_daemon.model import Verdict
from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.schema import (
    delivered_beams,
    deliveries,
    incidents,
    plan_uids,
    plans,
    recorded_beams,
    results,
)
from qa_daemon.store.store import Store

AT_ONCE = 100
OLDEST = timedelta(days=7)
"""Of fractions that ended longer ago nobody is told: an archive may be read in.

Records that arrived longer ago keep the log that was found.
"""


class Treated:
    """Looks for beams that were treated and have no log."""

    def __init__(
        self, store: Store, queries: Queries, wording: Wording, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._queries = queries
        self._wording = wording
        self._clock = clock
        self._rules = wording.site.file.plans
        self._machines = frozenset(machine.name for machine in wording.site.machines)
        self._seen = -1

    def look(self) -> None:
        """Tell what has to be told now."""
        now = self._clock()
        rows = [*self._due(now)]
        if self._store.version != self._seen:
            rows += [*self._told(), *self._lost(now)]
        rows.sort(key=lambda row: (row.point_ns, row.id))
        over = self._over(now)
        self._seen = self._store.version
        for file in dict.fromkeys(row.file for row in rows):
            self._look_at_record(file, [row for row in rows if row.file == file])
        for row in over:
            self._look_at_fraction(row)

    # -- records ---------------------------------------------------------------------------------

    def _due(self, now: datetime) -> Sequence[Row[Any]]:
        before = _text(now - self._rules.log_within)
        return self._rows(recorded_beams.c.state == "open", recorded_beams.c.arrived_at <= before)

    def _told(self) -> Sequence[Row[Any]]:
        return self._rows(recorded_beams.c.state.in_(("told", "settled")))

    def _lost(self, now: datetime) -> Sequence[Row[Any]]:
        """Those whose log was judged again: it may be known now to show another beam."""
        stands = select(results.c.active).where(results.c.id == recorded_beams.c.log)
        return self._rows(
            recorded_beams.c.state == "found",
            recorded_beams.c.arrived_at >= _text(now - OLDEST),
            stands.scalar_subquery().is_(False),
        )

    def _rows(self, *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
        # The newest first: what stays without a log for ever must not keep others from their turn.
        query = select(recorded_beams).where(*where).order_by(recorded_beams.c.id.desc())
        with self._store.read() as connection:
            return connection.execute(query.limit(AT_ONCE)).all()

    def _look_at_record(self, file: int, rows: Sequence[Row[Any]]) -> None:
        with self._store.read() as connection:
            news = self._news(connection, rows)
        if not news:
            return  # a write would wake whoever waits for one, and that is this thread as well
        result = self._result_of(file)
        with self._store.write() as connection:
            for beam, values in news.items():
                here = recorded_beams.c.id == beam
                connection.execute(update(recorded_beams).where(here).values(**values))
            told = recorded_beams.c.state == "told"
            missing = select(recorded_beams.c.id).where(recorded_beams.c.file == file, told)
            is_missing = connection.execute(missing.limit(1)).first() is not None
            if result is not None:
                of = f"record {result.sha256[:16]}"
                self._tell(connection, result, of, result.point_ns, is_missing)

    def _news(self, connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, dict[str, Any]]:
        """What is known now of recorded beams, as far as it changes: state and log by the id."""
        asked = [row for row in rows if not _needs_no_log(row, self._machines)]
        logs = find_logs(connection, asked, self._gap_ns) if asked else {}
        news: dict[int, dict[str, Any]] = {}
        for beam, log in logs.items():
            # One that lost its log to a beam that it fits better is asked anew, with its record.
            news[beam] = {"state": "open" if log is None else "found", "log": log}
        for row in rows:
            if logs.get(row.id) is None:
                state = self._state_without(connection, row) if row in asked else "found"
                news[row.id] = {"state": state, "log": None}
            if news[row.id] == {"state": row.state, "log": row.log}:
                del news[row.id]
        return news

    def _state_without(self, connection: Connection, row: Row[Any]) -> str:
        """Settled as long as a message about its fraction, from before the record came, stands."""
        if row.state == "told":
            return "told"
        own = select(plan_uids.c.file).where(plan_uids.c.uid == row.plan_uid, plan_uids.c.is_own)
        near = (row.point_ns - self._gap_ns, row.point_ns + self._gap_ns)
        for plan in connection.execute(own).scalars().all():
            before = _told_of(connection, plan, near)
            if before is not None and before.opened_at <= row.arrived_at:
                return "settled"
        return "told"

    # -- fractions -------------------------------------------------------------------------------

    def _over(self, now: datetime) -> Sequence[Row[Any]]:
        """The deliveries of fractions that are over and have not been looked at."""
        last_ns = int(now.timestamp()) * NANO - self._gap_ns
        query = (
            select(delivered_beams, deliveries.c.result)
            .join(deliveries, deliveries.c.file == delivered_beams.c.file)
            .where(delivered_beams.c.checked.is_(False), delivered_beams.c.point_ns < last_ns)
            .order_by(delivered_beams.c.point_ns)
            .limit(AT_ONCE)
        )
        with self._store.read() as connection:
            return connection.execute(query).all()

    def _look_at_fraction(self, row: Row[Any]) -> None:
        result = self._queries.result(row.result)
        now_ns = int(self._clock().timestamp()) * NANO
        with self._store.read() as connection:
            going_on = session(connection, row.plan, row.point_ns, self._wording.site)
        if going_on is not None and going_on.last_ns + self._gap_ns > now_ns:
            return  # what is missing may still come
        with self._store.write() as connection:
            done = (
                update(delivered_beams).where(delivered_beams.c.id == row.id).values(checked=True)
            )
            connection.execute(done)
            found = session(connection, row.plan, row.point_ns, self._wording.site)
            if found is None or result is None or not result.active:
                return
            if now_ns - found.last_ns > OLDEST.total_seconds() * NANO:
                return
            without = {
                beam.number
                for beam in found.beams
                if beam.state in (BeamState.MISSING, BeamState.NO_LOG)
            }
            is_missing = bool(
                without - _told_by_records(connection, row.plan, found, self._machines)
            )
            near = (found.first_ns - self._gap_ns, found.last_ns + self._gap_ns)
            before = _told_of(connection, row.plan, near)
            # What is known of a fraction may begin earlier than it did when it was told.
            of = f"{_fraction(row.plan)}{found.first_ns}"
            if before is not None:
                of = before.key.removeprefix(f"{NO_LOG} | ")
            self._tell(connection, result, of, found.last_ns, is_missing)

    # -- telling ---------------------------------------------------------------------------------

    def _tell(
        self, connection: Connection, result: StoredResult, of: str, point_ns: int, is_missing: bool
    ) -> None:
        finding = Finding(
            key=f"{NO_LOG} | {of}",
            machine=result.machine,
            test=NO_LOG,
            verdict=Verdict.ACTION if is_missing else Verdict.PASS,
            result=result.id,
            point_ns=point_ns,
        )
        take_in(connection, result, [finding], self._wording, self._store.now())

    @property
    def _gap_ns(self) -> int:
        return gap_ns(self._wording.site)

    def _result_of(self, file: int) -> StoredResult | None:
        query = select(results.c.id).where(results.c.file == file, results.c.active)
        with self._store.read() as connection:
            identity = connection.execute(query.limit(1)).scalar_one_or_none()
        return None if identity is None else self._queries.result(identity)


def _needs_no_log(row: Row[Any], machines: frozenset[str]) -> bool:
    """Nothing was delivered, or by a machine whose logs do not come here.

    Where the record does not say how much was delivered, something was.
    """
    return row.delivered_mu == 0.0 or row.machine not in machines


def _told_by_records(
    connection: Connection, plan: int, of: Fraction, machines: frozenset[str]
) -> set[int | None]:
    """Beams of a fraction that records ask a log for: those have messages of their own."""
    query = (
        select(recorded_beams)
        .join(plans, plans.c.plan_uid == recorded_beams.c.plan_uid)
        .join(results, results.c.file == recorded_beams.c.file)
        .where(plans.c.file == plan, results.c.active, recorded_beams.c.state != "settled")
        .where(recorded_beams.c.point_ns.between(of.first_ns, of.last_ns))
    )
    rows = connection.execute(query).all()
    return {row.number for row in rows if not _needs_no_log(row, machines)}


def _told_of(connection: Connection, plan: int, within_ns: tuple[int, int]) -> Row[Any] | None:
    """The incident that stands open of a fraction of a plan."""
    query = select(incidents).where(
        incidents.c.open,
        incidents.c.key.startswith(f"{NO_LOG} | {_fraction(plan)}", autoescape=True),
        incidents.c.point_ns.between(*within_ns),
    )
    return connection.execute(query.limit(1)).first()


def _fraction(plan: int) -> str:
    return f"fraction {plan}."


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
