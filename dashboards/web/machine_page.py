"""A machine's page: a chart for each metric, and its newest results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from analyzers.core import Metric
from dashboards.figures import Figure
from dashboards.web.clinic import Clinic, When
from dashboards.web.draw_trend import Span, summary, trend
from dashboards.web.wording import LOOKS, Look, badness, quantity
from qa_daemon.store.queries import StoredAnalysis, StoredMeasurement, StoredResult

RANGES_D = (7, 30, 90, 365)
MOST_POINTS = 4000
PAGE = 50


class Placed(Protocol):
    """What has an instant."""

    @property
    def point_ns(self) -> int:
        """Nanoseconds since 1970."""


P = TypeVar("P", bound=Placed)


@dataclass(frozen=True, slots=True)
class ChartView:
    """One chart's addresses and its key numbers in words."""

    metric: str
    address: str
    query: str
    summary: str
    page: str


@dataclass(frozen=True, slots=True)
class TestView:
    """One test: its headline chart, and the others to unfold."""

    title: str
    name: str
    headline: ChartView
    others: list[ChartView]


@dataclass(frozen=True, slots=True)
class RowView:
    """One row of a table of results."""

    id: int
    machine: str
    when: When
    look: Look
    remark: str
    energy: str
    tests: list[tuple[str, Look]]


def tests(
    clinic: Clinic, machine: str, days: int, newest: Sequence[StoredResult]
) -> list[TestView]:
    """The tests that this machine's newest results hold, or its tiles on the board."""
    said: dict[str, StoredAnalysis] = {
        tile.analysis.analyzer: tile.analysis
        for tile in clinic.queries.board()
        if tile.machine == machine
    }
    for result in newest:
        for analysis in result.analyses:
            said.setdefault(analysis.analyzer, analysis)
    known = [name for name in clinic.titles if name in said]
    return [
        view
        for name in [*known, *(n for n in said if n not in clinic.titles)]
        if (view := _test(clinic, machine, days, said[name])) is not None
    ]


def figure(clinic: Clinic, machine: str, metric: str, days: int) -> Figure | None:
    """The trend of `analyzer.metric`; None where there is no such metric."""
    declared = clinic.meanings.get(metric)
    if declared is None:
        return None
    now = clinic.clock()
    span = Span(now - timedelta(days=days), now, clinic.site.zone)
    analyzer, _, name = metric.partition(".")
    points = clinic.queries.trend(
        machine, analyzer, name, int(span.since.timestamp()) * 10**9, MOST_POINTS
    )
    return trend(declared, points, span, cut=len(points) == MOST_POINTS)


def rows(clinic: Clinic, found: Sequence[StoredResult]) -> list[RowView]:
    """Results as rows of a table."""
    return [
        RowView(
            id=result.id,
            machine=result.machine or "unknown machine",
            when=clinic.when(result.point_ns),
            look=LOOKS[result.verdict],
            remark=_remark(result),
            energy=result.energy or "",
            tests=[(clinic.title(a.analyzer), LOOKS[a.verdict]) for a in result.analyses],
        )
        for result in found
    ]


def page_of(found: Sequence[P], size: int) -> tuple[list[P], int | None]:
    """The first `size` of `size + 1` rows, and the instant before which the next page begins.

    Results of several machines may share an instant: they are kept on one page.
    """
    if len(found) <= size:
        return list(found), None
    first_left_out = found[size].point_ns
    shown = [r for r in found[:size] if r.point_ns > first_left_out] or list(found[:size])
    return shown, shown[-1].point_ns


def _test(clinic: Clinic, machine: str, days: int, said: StoredAnalysis) -> TestView | None:
    metrics = clinic.metrics_of(said.analyzer)
    if not metrics:
        return None
    numbers = worst_by_metric(said.measurements)
    judged = [m for m in metrics if m.name in numbers and numbers[m.name].verdict is not None]
    headline = next(iter([*judged, *(m for m in metrics if m.limits), *metrics]))
    drawn = figure(clinic, machine, f"{said.analyzer}.{headline.name}", days)
    others = [
        _chart(machine, days, said.analyzer, m, _newest(numbers.get(m.name)))
        for m in metrics
        if m is not headline
    ]
    sentence = drawn.summary if drawn else summary(headline, [], cut=False)
    return TestView(
        clinic.title(said.analyzer),
        said.analyzer,
        _chart(machine, days, said.analyzer, headline, sentence),
        others,
    )


def worst_by_metric(found: Sequence[StoredMeasurement]) -> dict[str, StoredMeasurement]:
    """One number for each metric: where a result has several (one for each beam), the worst."""
    worst: dict[str, StoredMeasurement] = {}
    for measured in found:
        known = worst.setdefault(measured.metric, measured)
        if badness(measured.verdict) > badness(known.verdict):
            worst[measured.metric] = measured
    return worst


def _chart(machine: str, days: int, analyzer: str, metric: Metric, sentence: str) -> ChartView:
    address = f"/trends/{analyzer}/{metric.name}"
    query = urlencode({"machine": machine, "days": days})
    of = {"machine": machine, "metric": f"{analyzer}.{metric.name}", "days": days}
    return ChartView(metric.meaning, address, query, sentence, f"/trend?{urlencode(of)}")


def _newest(measured: StoredMeasurement | None) -> str:
    if measured is None:
        return "Not measured in the newest result."
    value = quantity(measured.value, measured.unit, measured.limits)
    return f"Newest: {value} ({LOOKS[measured.verdict].word})."


def _remark(result: StoredResult) -> str:
    if result.error_code is not None:
        return f"could not be read ({result.error_code})"
    return result.not_judged or ""


def is_known(clinic: Clinic, machine: str) -> bool:
    """Whether there is such a machine, in the site file or in a result."""
    if clinic.site.machine_named(machine) is not None:
        return True
    return bool(clinic.queries.results_since(machine=machine, limit=1))


def newest_first(
    clinic: Clinic, machine: str | None, before_ns: int | None
) -> tuple[list[StoredResult], int | None]:
    """A page of results and where the next one begins."""
    found = clinic.queries.results_since(machine=machine, limit=PAGE + 1, before_ns=before_ns)
    return page_of(found, PAGE)
