"""Leaves over days: what is read from the store for the heat map and the ranking.

Deliveries of another technique, energy or version of the analyzer are never laid on one line, nor
those before and after a service event.  A log is the controller's own word: a leaf that slips
unseen shows in `leaf_log_check`, which reads images.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from itertools import pairwise

import numpy as np

from dashboards.figures import Figure
from dashboards.web.clinic import Clinic
from dashboards.web.draw_leaf_days import leaf_map
from dashboards.web.draw_trend import Span
from dashboards.web.leaf_ranking import LeafTable, RankedLeaf, enough, ranked
from dashboards.web.spans import AskedTime
from dashboards.web.wording import instant, plural
from qa_daemon.store import leaf_medians, service_events
from qa_daemon.store.leaf_medians import LeafDay, LeafSeries
from qa_daemon.store.service_events import ServiceEvent
from qa_daemon.trends.signals import WINDOW

ANALYZERS = ("leaf_trust", "leaf_log_check", "picket_fence")
SOME_LEAVES = ("picket_fence",)
"""Their images may show some of the leaves alone; elsewhere other leaves are another MLC."""
MLC = "mlc_positions"
"""What was done to the MLC is entered for this test, or for all: it cuts every trend of leaves."""
LIMITS = {
    ("leaf_trust", "rms_error_mm"): "mlc_positions.worst_leaf_rms",
    ("leaf_log_check", "offset_mm"): "leaf_log_check.largest_disagreement",
    ("picket_fence", "largest_error_mm"): "picket_fence.max_error",
}
"""The metric whose tolerance a leaf's own number is held against."""
LOOKED_BACK_D = 400
"""Days among which the newest are ranked, and series are chosen from."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page shows; technique or energy None: the series with the most days."""

    machine: str
    analyzer: str
    quantity: str
    time: AskedTime
    technique: str | None = None
    energy: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Leaves:
    """`shown` is drawn and `newest` ranked: the newest process alone, None where it has no day.

    `said` are sentences on what is ranked and what is not; `marks` are local times in ms.
    """

    series: LeafSeries
    unit: str
    tolerance: float | None
    today: date
    shown: LeafTable
    newest: LeafTable | None
    said: list[str]
    marks: list[tuple[float, str]]

    @property
    def figure(self) -> Figure:
        """The heat map."""
        return leaf_map(self.shown, self.unit, self.tolerance, self.marks)

    @property
    def ranked(self) -> list[RankedLeaf]:
        """The leaves that are likely to fail next, the likeliest first."""
        if self.newest is None:
            return []
        return ranked(self.newest, self.tolerance, self.unit, self.today)


def series(clinic: Clinic, asked: Asked) -> list[LeafSeries]:
    """The series to choose from, that with the most days first."""
    today = _today(clinic)
    since = min(_span(clinic, asked).first, today - timedelta(days=LOOKED_BACK_D))
    return leaf_medians.series_of(clinic.store, asked.machine, asked.analyzer, since, today)


def chosen(asked: Asked, known: Sequence[LeafSeries]) -> LeafSeries | None:
    """The series that is asked for, or the first; None where there is none such."""
    fits = (
        each
        for each in known
        if asked.technique in (None, each.technique) and asked.energy in (None, each.energy)
    )
    return next(fits, None)


def quantities(clinic: Clinic, machine: str) -> list[tuple[str, str]]:
    """What is kept of a machine's leaves, by analyzer; costs the same whatever there is."""
    return [
        (analyzer, of)
        for analyzer in ANALYZERS
        for of in leaf_medians.quantities_of(clinic.store, machine, analyzer)
        if of.endswith(("_mm", "_ms"))
    ]


def read(clinic: Clinic, asked: Asked, of: LeafSeries | None) -> Leaves | None:
    """The days of a series; None where there are none, or no such quantity.

    Days that are still to come are those of a clock that is wrong, and are left out.
    """
    if of is None:
        return None
    today = _today(clinic)
    span = _span(clinic, asked)
    rows = leaf_medians.days_of(clinic.store, of, asked.quantity, span.first, span.last)
    if not rows:
        return None
    alike = [row for row in rows if _is_alike(row, rows[-1], of)]
    of_day = {row.day: row.version for row in alike}
    alike = [row for row in alike if row.version == of_day[row.day]]
    events = _events(clinic, of)
    cut = events[-1] if events else None
    newest = _newest(clinic, asked, of, cut.point_ns if cut else 0)
    said = [*_ranking_said(clinic, newest, cut), *_left_out(rows, alike)]
    return Leaves(
        series=of,
        unit=asked.quantity.rsplit("_", 1)[-1],
        tolerance=_tolerance(clinic, asked, today),
        today=today,
        shown=_table(alike),
        newest=_table(newest) if newest else None,
        said=said,
        marks=sorted([*_event_marks(clinic, events), *_version_marks(clinic, alike)]),
    )


def as_csv(leaves: Leaves) -> str:
    """What the map shows, signed: a row a day, a column a leaf, empty where it has no number.

    No cell begins with a sign that makes it a formula, whatever a file calls its leaves.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(["day", *(f"leaf {name} / {leaves.unit}" for name in leaves.shown.names)])
    for day, column in zip(leaves.shown.days, leaves.shown.values.T, strict=True):
        rows.writerow([day.isoformat(), *(f"{v:.7g}" if v == v else "" for v in column.tolist())])
    return text.getvalue()


def _newest(clinic: Clinic, asked: Asked, of: LeafSeries, cut_ns: int) -> list[LeafDay]:
    """The newest days of one version and MLC, all delivered after an instant, in order.

    What was delivered at the very instant of an event is of the process before it.
    """
    today = _today(clinic)
    rows = leaf_medians.days_of(
        clinic.store,
        of,
        asked.quantity,
        today - timedelta(days=LOOKED_BACK_D),
        today,
        most=2 * WINDOW,
    )
    found: list[LeafDay] = []
    for row in reversed(rows):
        if row.since_ns <= cut_ns or not _is_alike(row, rows[-1], of):
            break
        if row.version == rows[-1].version:
            found.append(row)
    return found[::-1]


def _table(rows: Sequence[LeafDay]) -> LeafTable:
    """Rows as one table; of a day with two, what the newer one has."""
    names = rows[-1].leaves
    if any(row.leaves != names for row in rows):
        names = tuple(sorted({name for row in rows for name in row.leaves}, key=_by_number))
    at = {name: k for k, name in enumerate(names)}
    days = {day: k for k, day in enumerate(dict.fromkeys(row.day for row in rows))}
    values = np.full((len(names), len(days)), np.nan)
    for row in rows:
        where = slice(None) if row.leaves == names else [at[name] for name in row.leaves]
        column = values[where, days[row.day]]
        values[where, days[row.day]] = np.where(np.isfinite(row.values), row.values, column)
    return LeafTable(names, list(days), values)


def _by_number(name: str) -> tuple[object, ...]:
    """`A2` stands before `A10`."""
    return tuple(int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", name))


def _is_alike(row: LeafDay, newest: LeafDay, of: LeafSeries) -> bool:
    return of.analyzer in SOME_LEAVES or row.leaves == newest.leaves


def _span(clinic: Clinic, asked: Asked) -> Span:
    return asked.time.span(clinic.clock(), clinic.site.zone)


def _events(clinic: Clinic, of: LeafSeries) -> list[ServiceEvent]:
    """What changed the machine up to now, in order."""
    stored = service_events.every(clinic.store, of.machine)
    now_ns = service_events.instant_of(clinic.clock())
    found = {
        event: None
        for analyzer in (of.analyzer, MLC)
        for event in service_events.in_force(stored, analyzer)
        if event.point_ns <= now_ns
    }
    return sorted(found, key=lambda event: event.point_ns)


def _ranking_said(
    clinic: Clinic, newest: Sequence[LeafDay], cut: ServiceEvent | None
) -> Iterator[str]:
    since = f" since the service event of {clinic.when(cut.point_ns).exact}" if cut else ""
    if not newest:
        yield f"Nothing is ranked: there is no day whose deliveries were all made{since}."
        return
    table = _table(newest)
    version = f", version {newest[-1].version} of the analyzer" if newest[-1].version else ""
    yield (
        f"Ranked: {plural(len(table.days), 'day')}{since}, {table.days[0]} to "
        f"{table.days[-1]}{version}."
    )
    if len(table.days) > WINDOW:
        yield f"The newest {WINDOW} that a leaf has make its line."
    if not enough(table):
        yield "Too few for a line: until then leaves are ranked by size alone."
    if cut is not None:
        yield (
            "A day with deliveries before and after an event is drawn, and is not ranked. "
            "Entering an event, or withdrawing one, changes the ranking at once."
        )


def _left_out(rows: Sequence[LeafDay], alike: Sequence[LeafDay]) -> Iterator[str]:
    if len(alike) < len(rows):
        left = len({row.day for row in rows} - {row.day for row in alike})
        yield f"{plural(left, 'day')} of an MLC with other leaves are left out."


def _event_marks(clinic: Clinic, events: Iterable[ServiceEvent]) -> Iterator[tuple[float, str]]:
    for event in events:
        yield _local_ms(clinic, event.point_ns), event.kind.value


def _version_marks(clinic: Clinic, rows: Sequence[LeafDay]) -> Iterator[tuple[float, str]]:
    for before, after in pairwise(rows):
        if before.version != after.version:
            yield _local_ms(clinic, after.since_ns), f"version {after.version}"


def _local_ms(clinic: Clinic, point_ns: int) -> float:
    at = instant(point_ns).astimezone(clinic.site.zone)
    return at.replace(tzinfo=UTC).timestamp() * 1000.0


def _tolerance(clinic: Clinic, asked: Asked, today: date) -> float | None:
    """The clinic's tolerance for the worst leaf, where a leaf's own number can be held to it."""
    metric = LIMITS.get((asked.analyzer, asked.quantity))
    machine = clinic.site.machine_named(asked.machine)
    if metric is None or metric not in clinic.meanings or machine is None:
        return None
    limits = clinic.site.limits_for(metric, machine.machine_class, machine, today)
    return limits.tolerance_high if limits is not None else None


def _today(clinic: Clinic) -> date:
    return clinic.clock().astimezone(clinic.site.zone).date()
