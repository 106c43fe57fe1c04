"""Control charts of a month for paper: of each test its headline, and what else stood out."""

from __future__ import annotations

from dataclasses import replace

from analyzers.core import Metric
from dashboards.figures import FONT, Figure, Panel
from dashboards.reports.document import Picture
from dashboards.reports.month_data import MachineMonth, MonthData
from dashboards.reports.month_process import Process
from dashboards.web.draw_chart import chart_figure
from dashboards.web.draw_trend import Span
from dashboards.web.picture import svg
from dashboards.web.trend_data import TrendData
from qa_daemon.model import Verdict
from qa_daemon.store.trend_series import BY_BEAM, SeriesName

PAPER_FONT = "Libertinus Serif"
WIDTH, VALUES_HEIGHT, PANEL_HEIGHT = 900, 220, 195
SHORT = {"weighted average": "average", "limit of the average": "control limit"}
MOST_BEHIND = 8
"""Of one machine, beside its headlines; the page of each trend has them all."""


def headlines(machine: MachineMonth) -> list[Process]:
    """Of each test the first judged quantity that it declares, in the beam with most days.

    A count or a yes and no makes no chart, unless the test has nothing else.
    """
    by_test: dict[str, list[Process]] = {}
    for process in machine.processes:
        by_test.setdefault(process.name.analyzer, []).append(process)
    found = []
    for processes in by_test.values():
        measured = [p for p in processes if p.unit != "1"] or processes
        first = [p for p in measured if p.name.metric == measured[0].name.metric]
        found.append(max(first, key=lambda p: len(p.days)))
    return found


def behind(machine: MachineMonth) -> list[Process]:
    """What else was out of limits or not as usual, the worst first; and never more than fit."""
    shown = [process.name for process in headlines(machine)]
    odd = [p for p in machine.processes if p.name not in shown and badness(p) > (0, 0)]
    return sorted(odd, key=badness, reverse=True)[:MOST_BEHIND]


def badness(process: Process) -> tuple[int, int]:
    """The worst verdict, and the days outside control limits."""
    worst = process.worst or Verdict.PASS
    return int(worst), process.beyond + process.average_beyond


def picture(
    data: MonthData, process: Process, called: tuple[str, str], *, average: bool
) -> Picture:
    """The chart of the month; with `average`, the weighted one below its values.

    `called` are the words for its test and its place.
    """
    test, place = called
    metric = metric_of(data, process)
    drawn = chart_figure(
        TrendData(
            name=process.name,
            metric=metric,
            span=Span(data.month.since, data.month.until, data.month.zone),
            laid=process.laid,
            run_in=process.run_in,
            events=process.events,
            baselines_ns=process.baselines_ns,
            now=None,
        )
    )
    values, averages = drawn.panels[:2]
    assert isinstance(values, Panel)
    assert isinstance(averages, Panel)
    panels = [replace(values, title="")]
    if average and averages.series and _has_spread(process):
        series = [replace(one, name=SHORT.get(one.name, one.name)) for one in averages.series]
        panels.append(replace(averages, title="Weighted average (EWMA 0.1)", series=series))
    height = VALUES_HEIGHT if len(panels) == 1 else PANEL_HEIGHT
    said = f"{test}: {title(metric, process.name, place)}"
    figure = Figure(said, drawn.summary, panels, 1, height, WIDTH)
    return Picture(said, svg(figure).replace(FONT, PAPER_FONT), f"{said}. {drawn.summary}")


def _has_spread(process: Process) -> bool:
    """Whether the limits of an average are more than rounding."""
    limits = process.limits
    return limits is not None and limits.sigma > 1e-9 * max(1.0, abs(limits.center))


def title(metric: Metric, name: SeriesName, place: str) -> str:
    """What a chart is of."""
    parts = (place, name.energy, name.technique, name.judged_as.replace("_", " "))
    of = ", ".join(part for part in parts if part)
    return f"{metric.meaning}{f' ({of})' if of else ''}"


def metric_of(data: MonthData, process: Process) -> Metric:
    """What a quantity means; one that no analyzer declares any more is called by its name."""
    name = process.name
    known = data.site.metrics.get(f"{name.analyzer}.{name.metric}")
    return known or Metric(name.metric, process.unit, name.metric.replace("_", " "))


def place_in(machine: MachineMonth, name: SeriesName) -> str:
    """The beam of a series, as far as it may be told."""
    return machine.tally.place_of(name.place) if name.analyzer in BY_BEAM else ""
