"""Panels of an analyzer, from its declaration: what the catalogue says, and nothing beside it.

A metric that is judged has a panel of its own, with the limits that judged each point, and shows
its extremes: the worst of a span cannot hide behind the others.  Metrics for the trend alone share
a panel with those of the same unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzers.core import Analyzer, Limits, Metric
from dashboards.grafana.dashboard import Section
from dashboards.grafana.influxql import Column, Select, equals, one_of
from dashboards.grafana.panels import ACTION, TOLERANCE, Json, Panel, lines, verdicts
from dashboards.grafana.units import unit_of
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store.trend_series import BY_BEAM

HIGHEST = Column("max", "value", "highest")
LOWEST = Column("min", "value", "lowest")
MEAN = Column("mean", "value", "mean")
WORST = Column("max", "verdict", "verdict")
ABOVE = (
    Column("min", "tolerance_high", f"{TOLERANCE} high"),
    Column("min", "action_high", f"{ACTION} high"),
)
BELOW = (
    Column("max", "tolerance_low", f"{TOLERANCE} low"),
    Column("max", "action_low", f"{ACTION} low"),
)
"""Where limits differ within a span (another plan class), the line is the tighter one."""
SHARED = 12
"""At most so many metrics share a panel."""


@dataclass(frozen=True, slots=True)
class Shown:
    """For whom panels are drawn: a site's limits, and one class of its machines or all of them."""

    site: Site
    machine_class: str | None = None

    def is_judged(self, analyzer: Analyzer[Any, Any], metric: Metric) -> bool:
        """Whether there are limits for it (in this class)."""
        if self.machine_class is None:
            return bool(self._every_limits(analyzer, metric))
        return bool(self._limits(analyzer, metric, self.machine_class))

    def has_sides(self, analyzer: Analyzer[Any, Any], metric: Metric) -> tuple[bool, bool]:
        """Whether any of its limits are below a value, and above it."""
        found = self._every_limits(analyzer, metric)
        return (
            any(x.action_low is not None or x.tolerance_low is not None for x in found),
            any(x.action_high is not None or x.tolerance_high is not None for x in found),
        )

    def thresholds(self, analyzer: Analyzer[Any, Any], metric: Metric) -> Json | None:
        """The limits in force as lines of the panel; None where there is not one set of them.

        A site that is not known has none: its own limits may be others than the product's.
        """
        if self.machine_class is None or not self.machines or self._by_plan(analyzer, metric):
            return None
        found = self._limits(analyzer, metric, self.machine_class)
        shares = [x for x in found if x.tolerance_percent or x.action_percent]
        bounds = {(x.tolerance_low, x.tolerance_high, x.action_low, x.action_high) for x in found}
        is_one = len(bounds) == 1 and len(found) == len(self.machines) and not shares
        return threshold_steps(*bounds.pop()) if is_one else None

    @property
    def machines(self) -> list[str]:
        """Those of the site that are of the class."""
        return [m.name for m in self.site.machines if self.machine_class == m.machine_class]

    def _by_plan(self, analyzer: Analyzer[Any, Any], metric: Metric) -> bool:
        name = f"{analyzer.name}.{metric.name}"
        mine = any(e.metric == name and e.plan_class for e in self.site.file.limits)
        return mine or metric.radiosurgery is not None

    def _limits(self, analyzer: Analyzer[Any, Any], metric: Metric, of: str) -> list[Limits]:
        """Those in force today on each machine of a class; without machines, on any such."""
        name, today = f"{analyzer.name}.{metric.name}", self.site.today().date()
        mine: list[Machine | None] = [m for m in self.site.machines if m.machine_class == of]
        found = (self.site.limits_for(name, of, machine, today) for machine in mine or [None])
        return [limits for limits in found if limits is not None and limits.bounds]

    def _every_limits(self, analyzer: Analyzer[Any, Any], metric: Metric) -> list[Limits]:
        classes = {m.machine_class for m in self.site.machines} | set(metric.limits)
        found = [x for of in sorted(classes) for x in self._limits(analyzer, metric, of)]
        return [*found, metric.radiosurgery] if metric.radiosurgery is not None else found


def threshold_steps(
    tolerance_low: float | None,
    tolerance_high: float | None,
    action_low: float | None,
    action_high: float | None,
) -> Json:
    """Limits as the steps of a scale: the color holds from its value upwards."""
    lowest = "red" if action_low is not None else "yellow" if tolerance_low is not None else "green"
    steps: list[Json] = [{"value": None, "color": lowest}]
    for value, color in (
        (action_low, "yellow" if tolerance_low is not None else "green"),
        (tolerance_low, "green"),
        (tolerance_high, "yellow"),
        (action_high, "red"),
    ):
        if value is not None and math.isfinite(value):
            steps.append({"value": value, "color": color})
    return {"mode": "absolute", "steps": steps}


def section_of(analyzer: Analyzer[Any, Any], shown: Shown, *, closed: bool) -> Section:
    """All that is shown of an analyzer: verdicts, then every metric."""
    judged = [m for m in analyzer.metrics if shown.is_judged(analyzer, m)]
    panels = [verdicts_of(analyzer)] if judged else []
    panels += [metric_panel(analyzer, m, shown) for m in judged]
    if shown.machine_class is None:
        panels += trend_panels(analyzer, [m for m in analyzer.metrics if m not in judged])
    return Section(analyzer.title, panels, closed)


def verdicts_of(analyzer: Analyzer[Any, Any]) -> Panel:
    """The worst verdict of each metric over time."""
    return verdicts(
        f"{analyzer.title}: verdicts",
        "The worst verdict of each metric in each step of time. "
        "A test that could not be done has no metric: see its line on the overview.",
        Select("qa", (WORST,), (equals("analyzer", analyzer.name),), ("machine", "metric")),
        height=9,
    )


def metric_panel(analyzer: Analyzer[Any, Any], metric: Metric, shown: Shown) -> Panel:
    """One judged metric over time with its limits."""
    low, high = shown.has_sides(analyzer, metric)
    columns = [
        *([HIGHEST] if high or not low else []),
        *([LOWEST] if low or not high else []),
        *(ABOVE if high else ()),
        *(BELOW if low else ()),
    ]
    where = (equals("analyzer", analyzer.name), equals("metric", metric.name))
    return lines(
        f"{analyzer.title}: {metric.name}",
        f"{metric.meaning}. Dashed: the limits that judged it.",
        Select("qa", columns, where, _by(analyzer)),
        unit_of(metric.unit),
        thresholds=shown.thresholds(analyzer, metric),
    )


def trend_panels(analyzer: Analyzer[Any, Any], metrics: Sequence[Metric]) -> list[Panel]:
    """Metrics for the trend alone, those of a unit together."""
    by_unit: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_unit.setdefault(metric.unit or "1", []).append(metric)
    return [
        _trend_panel(analyzer, unit, found[start : start + SHARED], start)
        for unit, found in by_unit.items()
        for start in range(0, len(found), SHARED)
    ]


def _trend_panel(
    analyzer: Analyzer[Any, Any], unit: str, metrics: Sequence[Metric], start: int
) -> Panel:
    names = [m.name for m in metrics]
    more = f", from {start + 1}" if start else ""
    of = names[0] if len(names) == 1 else f"trends in {'numbers' if unit == '1' else unit}{more}"
    where = (equals("analyzer", analyzer.name), one_of("metric", names))
    return lines(
        f"{analyzer.title}: {of}",
        "For the trend alone, the mean of each step of time. "
        + "; ".join(f"{m.name}: {m.meaning}" for m in metrics),
        Select("qa", (MEAN,), where, (*_by(analyzer), "metric")),
        unit_of(unit),
        width=12,
    )


def _by(analyzer: Analyzer[Any, Any]) -> tuple[str, ...]:
    """What is never on one line: machines, energies, and beams where each has a number."""
    by_beam = ("at",) if analyzer.name in BY_BEAM else ()
    return ("machine", "energy", *by_beam)
