"""The control chart of a metric whose values are one process."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analyzers.core import Limits, Metric
from dashboards.figures import Figure
from dashboards.web.draw_trend import COLUMNS, Span, outermost, summary, trend
from dashboards.web.machine_page import worst_by_metric
from qa_daemon.model import Verdict
from qa_daemon.store.queries import StoredMeasurement, TrendPoint

LIMITS = Limits.within(tolerance=2.2, action=5.0)
SPAN = Span(
    datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin")
)
ONE_PROCESS = Metric("mean_signal_change", "%", "Change")


def drawn(values: list[float], metric: Metric = ONE_PROCESS) -> Figure:
    start_ns = int(SPAN.since.timestamp()) * 10**9
    points = [
        TrendPoint(k, start_ns + k * 86_400 * 10**9, value, Verdict.PASS, LIMITS, None, "%")
        for k, value in enumerate(values)
    ]
    return trend(metric, points, SPAN)


@pytest.mark.parametrize("turn", [1, -1])
def test_of_a_result_with_a_number_for_each_beam_the_worst_is_told(turn: int) -> None:
    at_ns = int(SPAN.since.timestamp()) * 10**9
    beams = [("50 kV", 0.1, Verdict.PASS), ("70 kV", -6.0, Verdict.ACTION), ("100 kV", 0.2, None)]
    metric = Metric("output_deviation", "%", "Change")
    points = [
        TrendPoint(1, at_ns, value, verdict, LIMITS, at, "%")
        for at, value, verdict in beams[::turn]
    ]
    assert "newest \N{MINUS SIGN}6\u202f% (ACTION)" in summary(metric, points, cut=False)
    measured = [
        StoredMeasurement("output_deviation", value, "%", at, verdict, LIMITS)
        for at, value, verdict in beams[::turn]
    ]
    assert worst_by_metric(measured)["output_deviation"].at == "70 kV"


def test_of_many_points_the_outermost_are_drawn() -> None:
    count = 10_000
    x = np.linspace(0.0, 1000.0, count)
    y = np.sin(np.arange(count) * 2.4)
    y[[0, 1234, 5678, count - 1]] = 3.0, 9.0, -9.0, -3.0
    kept = outermost(np.arange(count), x, y, (0.0, 1000.0))
    assert len(kept) <= 2 * COLUMNS and kept == sorted(set(kept))
    assert {0, 1234, 5678, count - 1} <= set(kept)
    # Each stretch keeps its own lowest and highest, counted here one by one.
    edges = np.linspace(0.0, 1000.0, COLUMNS + 1)
    edges[-1] = np.inf  # the last point belongs to the last stretch
    for column in range(COLUMNS):
        inside = [k for k in range(count) if edges[column] <= x[k] < edges[column + 1]]
        drawn = [k for k in kept if edges[column] <= x[k] < edges[column + 1]]
        assert min(y[inside]) == min(y[drawn]) and max(y[inside]) == max(y[drawn])
    few = np.arange(0, count, 8)
    assert outermost(few, x, y, (0.0, 1000.0)) == few.tolist()


def test_a_trend_of_many_points_says_how_many_are_drawn() -> None:
    start_ns = int(SPAN.since.timestamp()) * 10**9
    points = [
        TrendPoint(k, start_ns + k * 10**12, 0.001 * (k % 7), Verdict.PASS, LIMITS, None, "%")
        for k in range(5000)
    ]
    figure = trend(Metric("largest_error", "mm", "Error"), points, SPAN)
    (panel,) = figure.panels
    (marks,) = (s for s in panel.series if s.links)
    assert len(marks.x) <= 2 * COLUMNS and len(marks.links) == len(marks.x) == len(marks.hover)
    assert figure.summary.startswith("5000 values")
    assert f" {len(marks.x)} are drawn: the lowest and highest" in figure.summary
    limits = [s for s in panel.series if s.name == "tolerance"]
    assert all(set(line.x) == {SPAN.at(SPAN.since), SPAN.at(SPAN.until)} for line in limits)


def test_limits_step_where_they_change() -> None:
    start_ns = int(SPAN.since.timestamp()) * 10**9
    wider = Limits.within(tolerance=3.0, action=5.0)
    points = [
        TrendPoint(k, start_ns + k * 10**14, 0.1, Verdict.PASS, limits, None, "%")
        for k, limits in enumerate([LIMITS] * 5 + [wider] * 5)
    ]
    (panel,) = trend(Metric("largest_error", "mm", "Error"), points, SPAN).panels
    (upper,) = (s for s in panel.series if s.name == "tolerance" and s.y[0] > 0)
    turn = SPAN.at(SPAN.since) + 5 * 10**8
    assert list(upper.x) == [SPAN.at(SPAN.since), turn, SPAN.at(SPAN.until)]
    assert list(upper.y) == [2.2, 3.0, 3.0]
