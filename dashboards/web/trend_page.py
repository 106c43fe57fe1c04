"""The page of one trend: what its values say of the process, in numbers and in sentences."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np

from analyzers.core import Limits
from analyzers.numerics.capability import ProcessLimits, capability, process_limits
from analyzers.numerics.change_points import change_points
from analyzers.numerics.cumulative_sum import cumulative_sums
from dashboards.web.clinic import Clinic
from dashboards.web.history import SignalView, views
from dashboards.web.spans import RANGES, AskedTime
from dashboards.web.trend_data import TrendData
from dashboards.web.wording import number, plural, quantity
from qa_daemon.store import trend_days, trend_signals
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.trends.signals import HORIZON_D, SURE, line_of

FEWEST = 2


@dataclass(frozen=True, slots=True)
class Fact:
    """A number of the process and what it means."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Another series of the quantity, or another machine: what to call it, and its address."""

    word: str
    query: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class LimitsView:
    """Control limits with the time from which on they hold."""

    limits: ChartLimits
    since: str
    low: str
    high: str
    center: str


@dataclass(frozen=True, slots=True)
class TrendView:
    """Everything on the page."""

    title: str
    query: str
    signals: list[SignalView]
    facts: list[Fact]
    limits: list[LimitsView]
    choices: list[Choice]
    machines: list[Choice]
    ranges: list[Choice]
    hidden: list[tuple[str, str]]
    left_out: str


def view(clinic: Clinic, data: TrendData, asked: AskedTime, others: Sequence[str]) -> TrendView:
    """The page of a trend."""
    name = data.name
    return TrendView(
        title=f"{data.metric.meaning}{f' ({name.said})' if name.said else ''}",
        query=query_of(name, asked, others),
        signals=views(clinic, [s for s in _signals(clinic, name) if s.series == name]),
        facts=[*_process(data), *_shape(data), *_forecast(data)],
        limits=[_limits(clinic, data, each) for each in reversed(data.laid.limits)],
        choices=_choices(clinic, name, asked),
        machines=_machines(clinic, name, asked, others),
        ranges=_ranges(name, asked, others),
        hidden=_fields(name, others),
        left_out=_left_out(data),
    )


def query_of(name: SeriesName, asked: AskedTime, others: Sequence[str] = ()) -> str:
    """The address of a series behind the `?`."""
    return urlencode([*_fields(name, others), *asked.query.items()])


def _fields(name: SeriesName, others: Sequence[str]) -> list[tuple[str, str]]:
    said = {
        "machine": name.machine,
        "metric": f"{name.analyzer}.{name.metric}",
        "place": name.place,
        "energy": name.energy,
        "judged_as": name.judged_as,
        "technique": name.technique,
    }
    return [*((k, v) for k, v in said.items() if v), *(("beside", o) for o in others)]


def as_csv(days: Sequence[TrendDay]) -> str:
    """One row a day; numbers, words of ours and ISO dates alone, so that no cell is a formula."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    bounds = ("tolerance_low", "tolerance_high", "action_low", "action_high")
    columns = ("day", "results", "lowest", "median", "highest", "unit", "verdict", *bounds)
    rows.writerow(columns)
    for day in days:
        verdict = "" if day.verdict is None else day.verdict.name
        limits = [_cell(getattr(day.limits, bound)) for bound in bounds]
        values = [_cell(v) for v in (day.lowest, day.median, day.highest)]
        rows.writerow([day.day.isoformat(), day.n, *values, _unit(day.unit), verdict, *limits])
    return text.getvalue()


def _signals(clinic: Clinic, name: SeriesName) -> list[trend_signals.StoredSignal]:
    return trend_signals.open_of(clinic.store, name.machine)


def _process(data: TrendData) -> Iterator[Fact]:
    """What is usual, and how much room it leaves to the limits."""
    values, limits = data.of_now, data.laid.in_force
    unit = data.metric.unit
    if limits is None:
        yield Fact("Usual", "not known yet", "20 days are needed since the last event")
    else:
        sigma = quantity(limits.sigma, unit)
        widened = "; neighbors are alike, so of all values" if limits.widened else ""
        by = f"signed by {limits.signed_by}" if limits.signed_by else f"of {limits.n} first days"
        center = quantity(limits.center, unit)
        yield Fact("Usual", f"{center} ± {sigma}", f"center and one sigma, {by}{widened}")
        yield Fact("Likeness of neighbors", f"{limits.alike:.2f}", "lag-1 correlation; 0 is best")
    newest = data.days[-1].limits if data.days else Limits()
    low, high = newest.tolerance_low, newest.tolerance_high
    found = capability(values, low, high, _target(low, high))
    if found is not None:
        said = [("Cp", found.cp), ("Cpk", found.cpk), ("Pp", found.pp), ("Ppk", found.ppk)]
        text = ", ".join(f"{n} {v:.2f}" for n, v in [*said, ("Cpm", found.cpm)] if v is not None)
        least = min(v for _, v in said if v is not None)
        enough = "enough room" if least >= 1.0 else "control limits reach beyond tolerance"
        yield Fact("Capability", text, f"{enough}; below 1 the process cannot keep its limits")


def _shape(data: TrendData) -> Iterator[Fact]:
    """Where the level changed, a small shift that lasts, and limits after TG-218."""
    values, days, limits = data.of_now, data.days_of_now, data.laid.in_force
    if limits is not None and limits.sigma > 0.0 and values.size >= FEWEST:
        changes = change_points(values, limits.sigma)
        on = ", ".join(days[k].day.isoformat() for k in changes[-6:])
        yield Fact("Changes of level", on or "none", "best cut of the days shown, penalty 2 log n")
        sums = cumulative_sums(values, limits.center, limits.sigma)
        if sums.signal is not None and sums.change is not None:
            begun = days[min(sums.change, len(days) - 1)].day
            yield Fact("Cumulative sum", f"a shift since {begun}", "slack 0.5, threshold 5 sigma")
        else:
            yield Fact("Cumulative sum", "no lasting shift", "slack 0.5, threshold 5 sigma")
    made = _process_limits(data, values)
    if made is not None:
        low, high = quantity(made.tolerance_low, data.metric.unit), number(made.tolerance_high)
        skewed = "" if made.skewed_low is None else f"; skew-aware {number(made.skewed_low)}"
        yield Fact("Limits of the process", f"{low} to {high}{skewed}", "tolerance after TG-218")
        act = f"{number(made.action_low)} to {number(made.action_high)}"
        yield Fact("Action of the process", act, "the width of C_pm = 1 about the target, TG-218")


def _forecast(data: TrendData) -> Iterator[Fact]:
    if data.now is None:
        yield Fact("Drift", "not asked", "a forecast is made from the newest days")
        return
    line = line_of(data.now)
    if line is None or line.p_value >= SURE:
        yield Fact("Drift", "none that is sure", "line of the newest 90 days, p < 0.01")
        return
    month = quantity(line.slope * 365.25 / 12.0, data.metric.unit)
    yield Fact(
        "Drift", f"{month} a month", f"told if it leaves tolerance within {HORIZON_D:g} days"
    )


def _process_limits(data: TrendData, values: np.ndarray) -> ProcessLimits | None:
    if values.size < 20:
        return None
    newest = data.days[-1].limits
    is_rate = data.metric.unit == "%" and newest.tolerance_high is None
    target = 100.0 if is_rate else _target(newest.tolerance_low, newest.tolerance_high)
    if target is None:
        return None
    return process_limits(values, target, 100.0 if is_rate else None)


def _target(low: float | None, high: float | None) -> float | None:
    """Midway between two limits; of a magnitude, which has an upper one alone, nobody says."""
    return None if low is None or high is None else (low + high) / 2.0


def _limits(clinic: Clinic, data: TrendData, each: ChartLimits) -> LimitsView:
    unit, reach = data.metric.unit, 3.0 * each.sigma
    return LimitsView(
        each,
        clinic.when(each.since_ns).exact,
        quantity(each.center - reach, unit),
        quantity(each.center + reach, unit),
        quantity(each.center, unit),
    )


def _choices(clinic: Clinic, name: SeriesName, asked: AskedTime) -> list[Choice]:
    known = trend_days.series_of(clinic.store, name.machine, name.analyzer, name.metric)
    return [
        Choice(
            each.said or "all",
            query_of(each, asked),
            each == name,
        )
        for each in known
    ]


def _ranges(name: SeriesName, asked: AskedTime, others: Sequence[str]) -> list[Choice]:
    is_newest = asked.since is None and asked.until is None
    return [
        Choice(
            f"{days} days",
            query_of(name, AskedTime(days), others),
            is_newest and days == asked.days,
        )
        for days in RANGES
    ]


def _left_out(data: TrendData) -> str:
    if not data.left_out:
        return ""
    unit = data.metric.unit if data.metric.unit != "1" else "no unit"
    return (
        f"{plural(data.left_out, 'day')} with values in another unit than the newest ({unit}) "
        "are left out; the results themselves have them."
    )


def _machines(
    clinic: Clinic, name: SeriesName, asked: AskedTime, beside: Sequence[str]
) -> list[Choice]:
    of_class = clinic.site.machine_named(name.machine)
    found = []
    for machine in clinic.site.machines:
        if of_class is None or machine.name == name.machine:
            continue
        if machine.machine_class == of_class.machine_class:
            chosen = [o for o in beside if o != machine.name]
            is_shown = machine.name in beside
            others = chosen if is_shown else [*chosen, machine.name]
            found.append(Choice(machine.name, query_of(name, asked, others), is_shown))
    return found


def _cell(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
