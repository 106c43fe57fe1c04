"""Which tests of a kV unit's routine were done, when, and with what verdict.

Rows are written with the result that holds them; a result that was superseded counts no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, insert, select

from analyzers.srt_routine import ROUTINE
from qa_daemon.model import Verdict
from qa_daemon.store.schema import results, routine_done
from qa_daemon.store.store import Store
from qa_daemon.store.unit_blocks import Check
from qa_daemon.verdict import Judged, Outcome

LOOKED_BACK = timedelta(days=800)
"""What was done longer ago is overdue whatever its day."""
OUTPUTS = {
    None: "SRT.D.OUT",
    "output_deviation_monthly": "SRT.M.OUT",
    "output_deviation_annual": "SRT.A.CAL",
}
"""By whose limits an output was judged: a daily, a monthly or an absolute check."""
OF_A_BEAM = (*OUTPUTS.values(), "SRT.A.HVL")
BY_METRIC = {
    ("srt_output", "hvl_deviation"): "SRT.A.HVL",
    ("srt_output", "timer_linearity"): "SRT.A.LIN",
    ("srt_output", "end_effect"): "SRT.A.TIMER.END",
    ("srt_output", "timer_accuracy"): "SRT.M.TIMER.ACC",
    ("srt_output", "repeatability"): "SRT.A.REPRO",
    ("srt_output", "angle_dependence"): "SRT.M.HEAD",
    ("srt_output", "applicator_factor_deviation"): "SRT.A.AF",
    **{("srt_checks", test.metric): test.id for test in ROUTINE if test.check_type is None},
}


@dataclass(frozen=True, slots=True)
class Done:
    """The newest time that a test was done; `beam` is empty for one of the unit as a whole."""

    test: str
    beam: str
    point_ns: int
    result: int
    verdict: Verdict


def keep(connection: Connection, check: Check, outcomes: Sequence[Outcome]) -> None:
    """Write down which tests a result holds."""
    found: dict[tuple[str, str], Verdict] = {}
    for outcome in outcomes:
        for test, judged in _tests(outcome):
            key = (test, _beam(judged.value.at) if test in OF_A_BEAM else "")
            verdict = judged.verdict if judged.verdict is not None else Verdict.PASS
            found[key] = max(found.get(key, Verdict.PASS), verdict)
    for (test, beam), verdict in found.items():
        connection.execute(
            insert(routine_done).values(
                result=check.result,
                machine=check.machine,
                test=test,
                at_beam=beam,
                verdict=int(verdict),
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
        return [Done(r.test, r.at_beam, r.point_ns, r.result, Verdict(r.verdict)) for r in rows]


def _beam(at: str | None) -> str:
    return (at or "").removesuffix(" water")


def _tests(outcome: Outcome) -> Iterator[tuple[str, Judged]]:
    analyzer = outcome.report.analyzer
    for judged in outcome.judged:
        value = judged.value
        if (analyzer, value.metric) == ("srt_output", "output_deviation"):
            yield OUTPUTS[value.judged_as], judged
        elif (analyzer, value.metric) in BY_METRIC:
            yield BY_METRIC[analyzer, value.metric], judged
