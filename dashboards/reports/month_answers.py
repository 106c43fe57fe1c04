"""The judged tests of a machine's month in order of time: how many, on which days, back when."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from analyzers.core import Limits
from dashboards.reports.month_tally import Out
from qa_daemon.model import Verdict
from qa_daemon.store.months import Month

UNREADABLE = "unreadable file"
NO_ANSWER = "could not be answered; the page of the result says why"


@dataclass(frozen=True, slots=True)
class Settled:
    """When a test at ACTION or INVALID was within its limits again, and by which result."""

    point_ns: int
    result: int


@dataclass(frozen=True, slots=True)
class Carried:
    """A test whose last answer before the month was at ACTION or INVALID."""

    analyzer: str
    series: str
    verdict: Verdict
    point_ns: int
    result: int
    settled: Settled | None = None


def carried_over(rows: Iterable[Any]) -> list[Carried]:
    """What was open when a month began, by the answers before it in order of time."""
    newest = {(row.analyzer, row.series or ""): row for row in rows}
    return [
        Carried(analyzer, series, Verdict(row.verdict), row.point_ns, row.result)
        for (analyzer, series), row in sorted(newest.items())
        if row.verdict >= Verdict.ACTION
    ]


class Answers:
    """`counts` by analyzer and verdict, `by_day` the same of each day.

    `days` have at least one judged test that was answered.
    """

    def __init__(self, month: Month, carried: Sequence[Carried] = ()) -> None:
        self._month = month
        self._carried = carried
        self.counts: dict[str, Counter[int]] = {}
        self.versions: dict[str, set[str]] = {}
        self.days: set[date] = set()
        self.by_day: dict[str, dict[date, Counter[int]]] = {}
        self.unanswered: list[Out] = []
        self._open: dict[tuple[str, str], list[int]] = {}
        self._settled: dict[tuple[int, str], Settled] = {}
        for one in carried:
            self._open[one.analyzer, one.series] = [one.result]

    def add(self, row: Any) -> None:
        """The next answer: `result, point_ns, series, analyzer, version, verdict, failed`."""
        self.counts.setdefault(row.analyzer, Counter())[row.verdict] += 1
        self.versions.setdefault(row.analyzer, set()).add(row.version)
        verdict = Verdict(row.verdict)
        day = self._month.days[bisect_right(self._month.starts_ns, row.point_ns) - 1]
        self.by_day.setdefault(row.analyzer, {}).setdefault(day, Counter())[verdict] += 1
        if verdict is not Verdict.INVALID:
            self.days.add(day)
        if row.failed:
            self.unanswered.append(_without_value(row, row.analyzer, verdict, NO_ANSWER))
        # As alerts have it: one kind of check in order is no all-clear for another.
        key = (row.analyzer, row.series or "")
        if verdict >= Verdict.ACTION:
            self._open.setdefault(key, []).append(row.result)
            return
        for result in self._open.pop(key, ()):
            self._settled[result, row.analyzer] = Settled(row.point_ns, row.result)

    @property
    def carried(self) -> list[Carried]:
        """What was open when the month began, and what ended it."""
        found = self._settled
        return [
            replace(one, settled=found.get((one.result, one.analyzer))) for one in self._carried
        ]

    def settled(self, out: Out) -> Settled | None:
        """What ended it; None: nothing in this month."""
        return self._settled.get((out.result, out.analyzer))


def unreadable(row: Any) -> Out:
    """A file that could not be read: `result, point_ns, error_code`."""
    return _without_value(row, UNREADABLE, Verdict.INVALID, f"code {row.error_code}")


def _without_value(row: Any, test: str, verdict: Verdict, why: str) -> Out:
    return Out(
        result=row.result,
        point_ns=row.point_ns,
        analyzer=test,
        metric="",
        value=None,
        unit="",
        place="",
        energy="",
        verdict=verdict,
        limits=Limits(source=""),
        why=why,
    )
