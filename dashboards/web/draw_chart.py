"""A trend as a control chart: values, what is usual, average, ranges, and a forecast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.forecast import Line
from dashboards.figures import Figure, Numbers, Panel, Series
from dashboards.web.draw_trend import Span, trend, y_range
from dashboards.web.trend_data import TrendData
from dashboards.web.wording import instant, local, quantity
from qa_daemon.store.queries import TrendPoint
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.trends.chart import RANGE_LIMIT, SIGMAS
from qa_daemon.trends.series import NS_PER_DAY
from qa_daemon.trends.signals import HORIZON_D, SURE, line_of

USUAL, AVERAGE, RANGE, CUT, AHEAD = "#5b6b7a", "#1f6f8b", "#77838f", "#552480", "#8a4b08"
SPREAD = "#c9d2da"
OTHERS = ("#1f6f8b", "#8a4b08", "#552480", "#3a7d34", "#b3141c", "#5b6b7a", "#0b6e99")
RANGE_CENTER = 2.0 / np.sqrt(np.pi)


def chart_figure(data: TrendData) -> Figure:
    """Values with their limits, the weighted average, and moving ranges."""
    base = trend(data.metric, _points(data), data.span)
    (panel,) = base.panels
    assert isinstance(panel, Panel)
    x = _x(data.days, data.span)
    series = [*_spread(data, x), *_usual(data), *panel.series, *_ahead(data)]
    reach = y_range(series) or (0.0, 1.0)
    until = panel.x_range
    if until is not None and any(one.name == "forecast" for one in series):
        until = (until[0], data.span.at(data.span.until + timedelta(days=HORIZON_D)))
    unit = panel.y_title
    marks = list(_events(data, reach))
    panels = [
        Panel("Values", "", unit, [*marks, *series], True, until, reach),
        Panel("Weighted average (EWMA 0.1)", "", unit, list(_average(data)), True, until),
        Panel("Moving range", "", unit, list(_ranges(data)), True, until),
    ]
    return Figure(base.title, base.summary, panels, row_height=260, width=1100)


def compared(data: TrendData, others: Mapping[str, Sequence[TrendDay]]) -> Figure:
    """One quantity of several machines."""
    rows: dict[str, Sequence[TrendDay]] = {data.name.machine: data.days, **others}
    series = [
        Series(machine, _x(days, data.span), _medians(days), color, "line")
        for (machine, days), color in zip(rows.items(), OTHERS, strict=False)
    ]
    unit = "" if data.metric.unit == "1" else data.metric.unit
    said = ", ".join(
        f"{name} {np.median(_medians(days)):.3g}" for name, days in rows.items() if days
    )
    panel = Panel("", "", unit, series, True)
    title = f"{data.metric.meaning}, machine against machine"
    return Figure(title, f"Medians: {said or 'none'}.", [panel], row_height=300, width=1100)


def _points(data: TrendData) -> list[TrendPoint]:
    return [
        TrendPoint(d.result, d.point_ns, d.median, d.verdict, d.limits, None, d.unit)
        for d in data.days
    ]


def _spread(data: TrendData, x: Numbers) -> Iterator[Series]:
    """The lowest and highest of days that have several results."""
    if any(day.n > 1 for day in data.days):
        yield Series("lowest", x, np.array([d.lowest for d in data.days]), SPREAD)
        yield Series("highest", x, np.array([d.highest for d in data.days]), SPREAD)


def _usual(data: TrendData) -> Iterator[Series]:
    """Center line and control limits, for as long as each was in force."""
    begin, end = data.span.at(data.span.since), data.span.at(data.span.until)
    every = data.laid.stretches
    for one, after in zip_longest(every, every[1:]):
        is_followed = after is not None and after.since_ns == one.since_ns
        until_ns = after.limits.since_ns if is_followed else one.until_ns
        since = max(begin, _at(max(one.since_ns, one.limits.since_ns), data.span))
        until = min(end, _at(until_ns, data.span)) if until_ns is not None else end
        if until <= since:
            continue
        x, reach, center = np.array([since, until]), SIGMAS * one.limits.sigma, one.limits.center
        yield Series("center line", x, np.full(2, center), USUAL)
        for level in (center - reach, center + reach):
            yield Series("control limit", x, np.full(2, level), USUAL, dash="dot")


def _average(data: TrendData) -> Iterator[Series]:
    values = data.laid.values
    for one in data.laid.stretches:
        days, made = data.laid.days[one.rows], one.chart(values)
        shown = np.arange(one.first, one.end) >= data.run_in
        x = _x(days, data.span)
        center, reach = made.usual.center, made.average_reach
        yield Series("weighted average", x[shown], made.average[shown], AVERAGE)
        for sign in (-1.0, 1.0):
            level = center + sign * reach
            yield Series("limit of the average", x[shown], level[shown], USUAL, dash="dot")
        beyond = shown & made.average_beyond
        if beyond.any():
            hover = [
                f"{local(instant(d.point_ns), data.span.zone)}: average "
                f"{quantity(float(a), data.metric.unit)}, outside"
                for d, a, b in zip(days, made.average, beyond, strict=True)
                if b
            ]
            yield Series(
                "average outside",
                x[beyond],
                made.average[beyond],
                "#b3141c",
                "points",
                symbol="circle-open",
                hover=hover,
            )


def _ranges(data: TrendData) -> Iterator[Series]:
    """Differences of neighbors of one process."""
    values, process = data.laid.values, data.laid.process
    at = np.array([_at(day.point_ns, data.span) for day in data.laid.days])
    shown = np.arange(values.size)[data.run_in :]
    for number in np.unique(process[shown]):
        own = shown[process[shown] == number]
        if own.size > 1:
            yield Series("moving range", at[own][1:], np.abs(np.diff(values[own])), RANGE)
    for one in data.laid.stretches:
        first = max(one.first, data.run_in)
        if one.end - first > 1:
            top = RANGE_LIMIT * RANGE_CENTER * one.limits.sigma
            x = at[[first, one.end - 1]]
            yield Series("limit of ranges", x, np.full(2, top), USUAL, dash="dot")


def _ahead(data: TrendData) -> Iterator[Series]:
    """The line of the newest values and where it leads, where it is one."""
    if data.now is None or data.now.values.size == 0:
        return
    line = line_of(data.now)
    if line is None or line.p_value >= SURE:
        return
    last = float(data.now.times_d[-1])
    t = np.linspace(last - min(line.span, 180.0), last + HORIZON_D, 60)
    yield from _cone(line, t, data.span)


def _cone(line: Line, t: NDArray[np.float64], span: Span) -> Iterator[Series]:
    x = np.array([_at(int(day * NS_PER_DAY), span) for day in t])
    y = np.array([line.at(float(day)) for day in t])
    half = np.array([line.half_width(float(day)) for day in t])
    yield Series("forecast", x, y, AHEAD)
    yield Series("95 % of values", x, y - half, AHEAD, dash="dot")
    yield Series("95 % of values", x, y + half, AHEAD, dash="dot")


def _events(data: TrendData, reach: tuple[float, float]) -> Iterator[Series]:
    marks = [(event.point_ns, "service event") for event in data.events]
    marks += [(ns, "baseline signed") for ns in data.baselines_ns]
    for ns, name in sorted(marks):
        at = _at(ns, data.span)
        yield Series(name, np.array([at, at]), np.array(reach), CUT, dash="dot")


def _x(days: Sequence[TrendDay], span: Span) -> Numbers:
    return np.array([_at(day.point_ns, span) for day in days])


def _at(ns: int, span: Span) -> float:
    return span.at(instant(ns))


def _medians(days: Sequence[TrendDay]) -> NDArray[np.float64]:
    return np.array([day.median for day in days])
