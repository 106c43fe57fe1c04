"""Treated, and no log arrived: told once, and once more when the log is there after all.

Two things say that a beam was treated: a treatment record, and the other beams of its fraction.
What was told is stored, so that a restart neither forgets nor repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from qa_daemon.alerts.evaluate import take_in
from qa_daemon.alerts.incidents import Finding
from qa_daemon.alerts.messages import NO_LOG, Wording
from qa_daemon.alerts.sessions import gap_ns, session
from qa_daemon.fractions import NANO, BeamState
from qa_daemon.model import MatchState, Verdict
from qa_daemon.store.queries import Queries, StoredResult
from qa_daemon.store.schema import (
    delivered_beams,
    deliveries,
    plan_uids,
    recorded_beams,
    results,
)
from qa_daemon.store.store import Store

AT_ONCE = 100
OLDEST = timedelta(days=7)
"""Of fractions that ended longer ago nobody is told: an archive may be read in."""
SAME_MU, SAME_MU_SHARE = 0.5, 0.01


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
        self._seen = -1

    def look(self) -> None:
        """Tell what has to be told now."""
        now = self._clock()
        due = self._due_records(now)
        late = self._told() if self._store.version != self._seen else []
        over = self._over(now)
        self._seen = self._store.version
        for file in {row.file for row in (*due, *late)}:
            self._look_at_record(file, [row for row in (*due, *late) if row.file == file])
        for row in over:
            self._look_at_fraction(row)

    # -- records ---------------------------------------------------------------------------------

    def _due_records(self, now: datetime) -> Sequence[Row[Any]]:
        before = (now - self._rules.log_within).astimezone(UTC).isoformat(timespec="milliseconds")
        return self._rows(recorded_beams.c.state == "open", recorded_beams.c.arrived_at <= before)

    def _told(self) -> Sequence[Row[Any]]:
        return self._rows(recorded_beams.c.state == "told")

    def _rows(self, *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
        query = select(recorded_beams).where(*where).order_by(recorded_beams.c.id).limit(AT_ONCE)
        with self._store.read() as connection:
            return connection.execute(query).all()

    def _look_at_record(self, file: int, rows: Sequence[Row[Any]]) -> None:
        result = self._result_of(file)
        with self._store.write() as connection:
            for row in rows:
                is_here = _needs_no_log(row) or _has_log(connection, row, self._gap_ns)
                state = "found" if is_here else "told"
                connection.execute(
                    update(recorded_beams).where(recorded_beams.c.id == row.id).values(state=state)
                )
            told = recorded_beams.c.state == "told"
            missing = select(recorded_beams.c.id).where(recorded_beams.c.file == file, told)
            is_missing = connection.execute(missing.limit(1)).first() is not None
            if result is not None:
                of = f"record {result.sha256[:16]}"
                self._tell(connection, result, of, result.point_ns, is_missing)

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
        with self._store.write() as connection:
            done = (
                update(delivered_beams).where(delivered_beams.c.id == row.id).values(checked=True)
            )
            connection.execute(done)
            found = session(connection, row.plan, row.point_ns, self._wording.site)
            if found is None or result is None or not result.active:
                return
            now_ns = int(self._clock().timestamp()) * NANO
            if now_ns - found.last_ns > OLDEST.total_seconds() * NANO:
                return
            is_missing = any(beam.state is BeamState.MISSING for beam in found.beams)
            of = f"fraction {row.plan}.{found.first_ns}"
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


def _needs_no_log(row: Row[Any]) -> bool:
    """Nothing was delivered, or by a machine whose logs do not come here."""
    return not row.delivered_mu or row.machine is None


def _has_log(connection: Connection, row: Row[Any], gap: int) -> bool:
    """Whether a log of the recorded beam is here: by its plan, by its name, or by its meterset."""
    near = (row.point_ns - gap, row.point_ns + gap)
    own = select(plan_uids.c.file).where(plan_uids.c.uid == row.plan_uid, plan_uids.c.is_own)
    by_plan = select(delivered_beams.c.id).where(
        delivered_beams.c.plan.in_(own),
        delivered_beams.c.number == row.number,
        delivered_beams.c.point_ns.between(*near),
    )
    reach_mu = max(SAME_MU, SAME_MU_SHARE * row.delivered_mu)
    # An Elekta log that nobody has chosen a plan for yet tells no more than its meterset.
    unknown = and_(
        deliveries.c.plan_uid.is_(None),
        deliveries.c.machine == row.machine,
        deliveries.c.state.is_distinct_from(MatchState.MATCHED.value),
        deliveries.c.planned_mu.between(row.delivered_mu - reach_mu, row.delivered_mu + reach_mu),
    )
    named = and_(
        deliveries.c.plan_uid == row.plan_uid,
        or_(deliveries.c.beam_number == row.number, deliveries.c.beam_number.is_(None)),
    )
    by_name = select(deliveries.c.file).where(
        deliveries.c.point_ns.between(*near), or_(unknown, named)
    )
    return any(connection.execute(q.limit(1)).first() is not None for q in (by_plan, by_name))
