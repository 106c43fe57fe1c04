"""One session of a plan, as the alerts look at it: what its logs and treatment records say.

A session holds the deliveries of a plan that are less than the site's gap apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from qa_daemon.alerts.incidents import Finding
from qa_daemon.alerts.messages import REPEATED, TOO_MANY
from qa_daemon.fractions import NANO, BeamState, Fraction
from qa_daemon.model import Verdict
from qa_daemon.site.site import Site
from qa_daemon.store.courses import fractions_around, sessions_of
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import delivered_beams, deliveries, plan_uids, plans, recorded_beams


def gap_ns(site: Site) -> int:
    """How far apart deliveries of one fraction may be."""
    return int(site.file.plans.fraction_gap.total_seconds() * NANO)


def session(connection: Connection, plan: int, point_ns: int, site: Site) -> Fraction | None:
    """The fraction of a plan that was going on at an instant."""
    gap = gap_ns(site)
    around = fractions_around(connection, plan, point_ns, gap)
    return next((f for f in around if f.first_ns <= point_ns <= f.last_ns), None)


def repeated(connection: Connection, result: StoredResult, site: Site) -> Iterator[Finding]:
    """Whether this log shows a beam that its fraction has had already."""
    query = (
        select(delivered_beams.c.plan, delivered_beams.c.number)
        .join(deliveries, deliveries.c.file == delivered_beams.c.file)
        .where(deliveries.c.result == result.id)
    )
    for row in connection.execute(query).all():
        found = session(connection, row.plan, result.point_ns, site)
        beams = () if found is None else found.beams
        state = next((beam.state for beam in beams if beam.number == row.number), None)
        if state is None:
            continue
        yield Finding(
            key=f"{result.machine or 'unknown'} | {REPEATED} | {row.plan}.{row.number}",
            machine=result.machine,
            test=REPEATED,
            verdict=Verdict.ACTION if state is BeamState.REPEATED else Verdict.PASS,
            result=result.id,
            point_ns=result.point_ns,
        )


def too_many(connection: Connection, result: StoredResult, site: Site) -> Iterator[Finding]:
    """Whether the plan of this log or treatment record had more sessions than it has fractions.

    A fraction that was completed in another session counts twice: somebody has to look at that.
    """
    by_log = (
        select(delivered_beams.c.plan)
        .join(deliveries, deliveries.c.file == delivered_beams.c.file)
        .where(deliveries.c.result == result.id)
    )
    by_record = (
        select(plan_uids.c.file)
        .join(recorded_beams, recorded_beams.c.plan_uid == plan_uids.c.uid)
        .where(recorded_beams.c.file == result.file, plan_uids.c.is_own)
    )
    of = by_log.union(by_record)
    query = select(plans.c.file, plans.c.fractions).where(
        plans.c.file.in_(of), plans.c.fractions.is_not(None)
    )
    for row in connection.execute(query).all():
        is_over = sessions_of(connection, row.file, gap_ns(site)) > row.fractions
        yield Finding(
            key=f"{TOO_MANY} | {row.file}",
            machine=result.machine,
            test=TOO_MANY,
            verdict=Verdict.ACTION if is_over else Verdict.PASS,
            result=result.id,
            point_ns=result.point_ns,
        )
