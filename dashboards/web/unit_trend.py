"""The output of one beam over time, with what happened to the unit drawn into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from dashboards.figures import Figure, Panel, Series
from dashboards.web.clinic import Clinic
from dashboards.web.draw_trend import Span, trend
from dashboards.web.unit_state import OUTPUT
from dashboards.web.wording import LOOKS, instant, plural
from qa_daemon.store import output_baselines, routine_done, unit_blocks

MOST_POINTS = 20_000
CALIBRATION = "SRT.A.CAL"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: what the legend calls it, its color, and the dash of its line."""

    name: str
    color: str


BASELINE = Kind("baseline signed", "#552480")
CALIBRATED = Kind("calibration", "#0b4f86")
BLOCKED = Kind("blocked", "#b3141c")
CLEARED = Kind("cleared", "#1a7a46")
KINDS = (BASELINE, CALIBRATED, BLOCKED, CLEARED)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `said` says more, `result` is the check that it is about."""

    kind: Kind
    at: datetime
    said: str
    result: int


def figure(clinic: Clinic, machine: str, beam: str, days: int) -> Figure:
    """The output of a beam with its limits, and the events of these days."""
    now = clinic.clock()
    span = Span(now - timedelta(days=days), now, clinic.site.zone)
    since_ns = int(span.since.timestamp()) * 10**9
    analyzer, _, metric = OUTPUT.partition(".")
    points = clinic.queries.trend(machine, analyzer, metric, since_ns, MOST_POINTS, at=beam)
    drawn = trend(clinic.meanings[OUTPUT], points, span, cut=len(points) == MOST_POINTS)
    happened = [
        event for event in events(clinic, machine, beam, since_ns) if event.at <= span.until
    ]
    (panel,) = drawn.panels
    summary = f"{drawn.summary}{_counted(happened)}"
    if isinstance(panel, Panel) and panel.y_range is not None:
        panel = replace(panel, series=[*_lines(happened, span, panel.y_range), *panel.series])
    return Figure(f"{beam}: {drawn.title}", summary, [panel], row_height=250, width=drawn.width)


def events(clinic: Clinic, machine: str, beam: str, since_ns: int) -> list[Event]:
    """What happened since an instant: of this beam baselines and calibrations, of the unit that it
    was blocked and taken into use again."""
    found = [*_baselines(clinic, machine, beam), *_calibrations(clinic, machine, beam, since_ns)]
    found += _blocks(clinic, machine)
    since = instant(since_ns)
    return sorted((e for e in found if e.at >= since), key=lambda event: event.at)


def _baselines(clinic: Clinic, machine: str, beam: str) -> Iterator[Event]:
    for one in output_baselines.every(clinic.store, machine):
        if one.beam == beam and one.gy_per_min is not None:
            said = f"{one.gy_per_min:.4g} Gy/min, {one.actor}"
            yield Event(BASELINE, one.since_at, said, one.result or 0)


def _calibrations(clinic: Clinic, machine: str, beam: str, since_ns: int) -> Iterator[Event]:
    for one in routine_done.times(clinic.store, machine, CALIBRATION, since_ns):
        if one.beam == beam:
            yield Event(CALIBRATED, instant(one.point_ns), LOOKS[one.verdict].word, one.result)


def _blocks(clinic: Clinic, machine: str) -> Iterator[Event]:
    for one in unit_blocks.history(clinic.store, machine):
        yield Event(BLOCKED, instant(one.point_ns), one.said, one.result)
        if one.cleared_at is not None:
            at = datetime.fromisoformat(one.cleared_at)
            said = f"{one.cleared_by}: {one.cleared_reason}"
            yield Event(CLEARED, at, said, one.result)


def _lines(happened: Sequence[Event], span: Span, reach: tuple[float, float]) -> Iterator[Series]:
    """A line from bottom to top for each event, and a mark at its top that says what it was."""
    low, high = reach
    for kind in KINDS:
        of_kind = [event for event in happened if event.kind is kind]
        if not of_kind:
            continue
        at = np.array([span.at(event.at) for event in of_kind])
        x = np.repeat(at, 3)
        y = np.tile([low, high, np.nan], len(of_kind))
        yield Series(kind.name, x, y, kind.color, "line", "dot")
        yield Series(
            kind.name,
            at,
            np.full(len(at), high - 0.03 * (high - low)),
            kind.color,
            "points",
            symbol="diamond",
            hover=[
                f"{event.at.astimezone(span.zone):%Y-%m-%d %H:%M}: {kind.name}, {event.said}"
                for event in of_kind
            ],
            links=[event.result for event in of_kind],
        )


def _counted(happened: Sequence[Event]) -> str:
    counts = [(kind, sum(event.kind is kind for event in happened)) for kind in KINDS]
    said = [
        plural(n, kind.name, "calibrations" if kind is CALIBRATED else kind.name)
        for kind, n in counts
        if n
    ]
    return f" {', '.join(said)}." if said else ""
