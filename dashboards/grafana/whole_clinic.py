"""Dashboards of the whole clinic: the morning board, any metric, and how the service does."""

from __future__ import annotations

from dataclasses import replace

from analyzers.catalogue import Catalogue
from dashboards.grafana.dashboard import Dashboard, Section, Variable
from dashboards.grafana.influxql import CHOSEN, Column, Select, tag_values
from dashboards.grafana.metric_panels import ABOVE, BELOW, HIGHEST, LOWEST, WORST
from dashboards.grafana.panels import Panel, bars, lines, table, tiles, verdicts
from dashboards.grafana.units import COUNT
from qa_daemon.model import Verdict

NEWEST = Column("last", "verdict", "verdict")
COUNTED = Column("count", "verdict", "results")
CHOICE = ('"analyzer" =~ /^$analyzer$/', '"metric" =~ /^$metric$/')
IS_NO_RECORD = "The store and its pages are the record; these follow them."


def overview(catalogue: Catalogue) -> Dashboard:
    """The morning board."""
    titles = {a.name: a.title for a in catalogue.analyzers}
    by_test = ("machine", "analyzer")
    return Dashboard(
        "qa-overview",
        "Morning board",
        f"Every machine and test of the last day. {IS_NO_RECORD}",
        (
            Section(
                "Worst of the span",
                (
                    tiles(
                        "Worst verdict of each machine",
                        "The worst verdict of a delivery or test in the span that is shown.",
                        Select("qa_result", (WORST,)),
                        {},
                        reduced="max",
                    ),
                ),
            ),
            Section(
                "Newest of each machine and test",
                (
                    _tiles_of_a_machine(titles),
                    table(
                        "Newest verdict of each test",
                        "With its age. A test that was not done in the span that is shown has no "
                        "row: what is missing did not pass.",
                        Select("qa_analysis", (NEWEST,), by=by_test, by_time=False),
                        width=24,
                    ),
                ),
            ),
            Section(
                "Over the span",
                (
                    verdicts(
                        "Worst verdict of each machine and test",
                        "The worst in each step of time.",
                        Select("qa_analysis", (WORST,), by=by_test),
                        height=14,
                    ),
                ),
            ),
        ),
        span="now-24h",
    )


def _tiles_of_a_machine(titles: dict[str, str]) -> Panel:
    panel = tiles(
        "$machine",
        "The newest verdict of each test of this machine in the span that is shown.",
        Select("qa_analysis", (NEWEST,), by=("analyzer",)),
        titles,
    )
    return replace(panel, body={"repeat": "machine", "repeatDirection": "v"})


def explorer() -> Dashboard:
    """Any metric of any machine."""
    chosen = f"{CHOSEN[0]} AND {CHOSEN[1]}"
    return Dashboard(
        "qa-metric",
        "Any metric",
        "One or several metrics of chosen machines, with the limits that judged them.",
        (
            Section(
                "Chosen metrics",
                (
                    lines(
                        "$metric",
                        "Highest and lowest of each step of time. Dashed: the limits that judged "
                        "it. The unit of each is in its name.",
                        Select(
                            "qa",
                            (HIGHEST, LOWEST, *ABOVE, *BELOW),
                            CHOICE,
                            ("machine", "energy", "metric", "unit"),
                        ),
                        COUNT,
                        width=24,
                    ),
                    verdicts(
                        "$metric: verdicts",
                        "The worst verdict in each step of time.",
                        Select("qa", (WORST,), CHOICE, ("machine", "metric")),
                    ),
                ),
            ),
        ),
        more=(
            Variable("analyzer", "Test", tag_values("analyzer", source="qa", where=chosen), False),
            Variable(
                "metric",
                "Metric",
                tag_values("metric", source="qa", where=f"{chosen} AND {CHOICE[0]}"),
                False,
            ),
        ),
    )


def health() -> Dashboard:
    """Alerts and the service."""
    counted = {
        v: Select("qa_result", (COUNTED,), (f'"verdict" = {int(v)}',), ("machine",))
        for v in Verdict
    }
    failed = {
        v: Select("qa_analysis", (COUNTED,), (f'"verdict" = {int(v)}',), ("machine", "analyzer"))
        for v in (Verdict.ACTION, Verdict.INVALID)
    }
    return Dashboard(
        "qa-health",
        "Alerts and service",
        "What raised messages, and whether results still come. " + IS_NO_RECORD,
        (
            Section(
                "Verdicts",
                (
                    bars(
                        "Results a day",
                        "How many results of each verdict on each day (UTC).",
                        counted,
                    ),
                    bars(
                        "Tests at ACTION or INVALID a day",
                        "How many tests were out of limits or could not be done on each day (UTC).",
                        failed,
                    ),
                ),
            ),
            Section(
                "Do results still come?",
                (
                    table(
                        "Newest judged result of each machine",
                        "With its age. A machine that is missing sent nothing that is judged in "
                        "the span that is shown.",
                        Select("qa_result", (NEWEST,), by=("site", "machine"), by_time=False),
                    ),
                    table(
                        "Newest judged test of each machine",
                        "With its age.",
                        Select(
                            "qa_analysis",
                            (NEWEST,),
                            by=("site", "machine", "analyzer"),
                            by_time=False,
                        ),
                    ),
                ),
            ),
        ),
        span="now-30d",
    )
