"""Which tests of a kV unit's routine were done, when, and with what verdict.

Rows are written with the result that holds them; a result that was superseded counts no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from analyzers.output_checks import CheckType
from analyzers.output_metrics import DEVIATION, JUDGED_AS
from analyzers.srt_routine import ROUTINE
from qa_daemon.model import Verdict
from qa_daemon.store.schema import results, routine_done
from qa_daemon.store.store import Store
from qa_daemon.store.unit_blocks import AGAIN, Check
from qa_daemon.verdict import Judged, Outcome, worst

LOOKED_BACK = timedelta(days=800)
"""What was done longer ago is overdue whatever its day."""
OUTPUT, LISTED = "srt_output", "srt_checks"
"""The analyzers of output checks and of lists of routine checks."""
MEASURED = [(test, CheckType(test.check_type)) for test in ROUTINE if test.check_type is not None]


def _judged_as(kind: CheckType) -> str | None:
    metric = JUDGED_AS[kind]
    return metric.name if metric is not None else None


OUTPUTS = {_judged_as(kind): test.id for test, kind in MEASURED if test.metric == DEVIATION.name}
"""By whose limits an output was judged: a daily, a monthly or an absolute check; one that was
judged by others is none of the routine."""
OF_A_BEAM = (*OUTPUTS.values(), "SRT.A.HVL")
BY_METRIC = {
    **{(OUTPUT, t.metric): t.id for t, _ in MEASURED if t.metric != DEVIATION.name},
    **{(OUTPUT, test.metric): test.id for test in ROUTINE if test.also_by is not None},
    **{(LISTED, test.metric): test.id for test in ROUTINE if test.check_type is None},
}


@dataclass(frozen=True, slots=True)
class Done:
    """The newest time that a test was done; `beam` is empty for one of the unit as a whole.

    `verdict` None: it was done, and the clinic has no limits for it.
    """

    test: str
    beam: str
    point_ns: int
    result: int
    verdict: Verdict | None


def keep(connection: Connection, check: Check, outcomes: Sequence[Outcome]) -> None:
    """Write down which tests a result holds.

    An output in a test of applicators or of the timer is no test of the routine, whatever else its
    session holds: the monthly one is done by monthly rows alone, beam by beam.
    """
    found: dict[tuple[str, str], Verdict | None] = {}
    for outcome in outcomes:
        places = {judged.value.at or "" for judged in outcome.judged}
        for test, judged in _tests(outcome):
            key = (test, _beam(judged.value.at, places) if test in OF_A_BEAM else "")
            found[key] = worst((found.get(key), judged.verdict))
    for (test, beam), verdict in found.items():
        connection.execute(
            insert(routine_done).values(
                result=check.result,
                machine=check.machine,
                test=test,
                at_beam=beam,
                verdict=verdict,
                point_ns=check.point_ns,
            )
        )


def newest(store: Store, machine: str) -> list[Done]:
    """Each test and beam of a unit as it was done last."""
    since_ns = int((store.instant() - LOOKED_BACK).timestamp()) * 10**9
    # SQLite and PostgreSQL both rank; the rows are those of two years at most.
    rank = func.row_number().over(
        partition_by=(routine_done.c.test, routine_done.c.at_beam),
        order_by=(routine_done.c.point_ns.desc(), routine_done.c.id.desc()),
    )
    ranked = (
        select(routine_done, rank.label("rank"))
        .join(results, results.c.id == routine_done.c.result)
        .where(
            results.c.active,
            routine_done.c.machine == machine,
            routine_done.c.point_ns >= since_ns,
        )
        .subquery()
    )
    with store.read() as connection:
        rows = connection.execute(select(ranked).where(ranked.c.rank == 1))
        return [_done(row) for row in rows]


def times(store: Store, machine: str, test: str, since_ns: int) -> list[Done]:
    """Every time since an instant that a test was done, oldest first."""
    query = (
        select(routine_done)
        .join(results, results.c.id == routine_done.c.result)
        .where(
            results.c.active,
            routine_done.c.machine == machine,
            routine_done.c.test == test,
            routine_done.c.point_ns >= since_ns,
        )
        .order_by(routine_done.c.point_ns, routine_done.c.id)
    )
    with store.read() as connection:
        rows = connection.execute(query)
        return [_done(row) for row in rows]


def _done(row: Row[Any]) -> Done:
    verdict = None if row.verdict is None else Verdict(row.verdict)
    return Done(row.test, row.at_beam, row.point_ns, row.result, verdict)


def _beam(at: str | None, places: Collection[str]) -> str:
    """The beam of a place: what a session measured twice is one beam, and not a second one."""
    place = at or ""
    first = AGAIN.sub("", place)
    return (first if first in places else place).removesuffix(" water")


def _tests(outcome: Outcome) -> Iterator[tuple[str, Judged]]:
    analyzer = outcome.report.analyzer
    for judged in outcome.judged:
        value = judged.value
        if (analyzer, value.metric) == (OUTPUT, DEVIATION.name):
            if value.judged_as in OUTPUTS:
                yield OUTPUTS[value.judged_as], judged
        elif (analyzer, value.metric) in BY_METRIC:
            yield BY_METRIC[analyzer, value.metric], judged
