"""One quantity of one process out of the store: what may be laid on one line.

Values of another machine, energy, technique, beam, version of the analyzer, or kind of check
(judged by other limits) are of another process.  A query looks back a bounded time, whatever the
archive's age.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import analyses, measurements, results
from qa_daemon.store.store import Store

BY_BEAM = ("srt_output",)
"""Analyzers of which a result holds a number for each beam, told apart by `at`.

The beam names its energy; a result's own is that of the whole session, if it has but one.
"""
LOOKED_BACK = timedelta(days=800)
MOST = 400


@dataclass(frozen=True, slots=True)
class SeriesName:
    """Which quantity; empty is what it does not have.

    `place` is the beam, `judged_as` the metric whose limits apply where they are not its own.
    """

    machine: str
    analyzer: str
    metric: str
    place: str = ""
    energy: str = ""
    judged_as: str = ""
    technique: str = ""

    @property
    def said(self) -> str:
        """What tells it from others of the metric, in words; empty where nothing does."""
        parts = (self.place, self.energy, self.technique, self.judged_as.replace("_", " "))
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Point:
    """One value, with the tolerance limits that judged it."""

    result: int
    point_ns: int
    value: float
    low: float | None
    high: float | None
    version: str
    unit: str


def name_of(
    quantity: tuple[str, str, str],
    at: str | None,
    judged_as: str | None,
    energy: str | None,
    technique: str | None,
) -> SeriesName:
    """The series of a measurement; `quantity` is (machine, analyzer, metric), `at` its place."""
    by_beam = quantity[1] in BY_BEAM
    return SeriesName(
        *quantity,
        place=(at or "") if by_beam else "",
        energy="" if by_beam else energy or "",
        judged_as=judged_as or "",
        technique="" if by_beam else technique or "",
    )


def names_in(result: StoredResult, metrics: Iterable[tuple[str, str]]) -> list[SeriesName]:
    """The series that a result has values of, among those quantities (analyzer, metric)."""
    wanted = set(metrics)
    found: dict[SeriesName, None] = {}
    for analysis in result.analyses:
        for measured in analysis.measurements:
            if (analysis.analyzer, measured.metric) not in wanted or result.machine is None:
                continue
            quantity = (result.machine, analysis.analyzer, measured.metric)
            name = name_of(
                quantity, measured.at, measured.judged_as, result.energy, result.technique
            )
            found[name] = None
    return list(found)


def points_of(store: Store, name: SeriesName, until_ns: int, most: int = MOST) -> list[Point]:
    """The newest values of a series up to an instant, oldest first.

    A result with several values of it (the worst of each of several fields) gives its worst.
    """
    here = measurements.c
    query = (
        select(here.result, here.point_ns, here.value, here.tolerance_low, here.tolerance_high)
        .add_columns(here.verdict, here.unit, analyses.c.version)
        .join(analyses, analyses.c.id == here.analysis)
        .where(here.machine == name.machine, here.analyzer == name.analyzer)
        .where(here.metric == name.metric, here.active, here.point_ns <= until_ns)
        .where(here.point_ns > until_ns - int(LOOKED_BACK.total_seconds()) * 10**9)
        .where(here.judged_as.is_not_distinct_from(name.judged_as or None))
        .order_by(here.point_ns.desc(), here.verdict.desc(), here.id.desc())
        .limit(most)
    )
    if name.analyzer in BY_BEAM:
        query = query.where(here.at == name.place)
    else:
        query = query.join(results, results.c.id == here.result).where(
            results.c.energy.is_not_distinct_from(name.energy or None),
            results.c.technique.is_not_distinct_from(name.technique or None),
        )
    with store.read() as connection:
        rows = connection.execute(query).all()
    newest_first: dict[int, Point] = {}
    for row in rows:
        point = Point(
            row.result,
            row.point_ns,
            row.value,
            row.tolerance_low,
            row.tolerance_high,
            row.version,
            row.unit,
        )
        newest_first.setdefault(row.result, point)
    return of_one_unit(list(reversed(newest_first.values())))


class InUnit(Protocol):
    """What has a value in a unit."""

    @property
    def unit(self) -> str:
        """As it is stored."""


U = TypeVar("U", bound=InUnit)


def of_one_unit(values: Sequence[U]) -> list[U]:
    """Those in the unit of the last one: numbers in two units are on no line together."""
    return [value for value in values if value.unit == values[-1].unit]


class Made(Protocol):
    """What was made by a version of an analyzer, and is of an instant."""

    @property
    def point_ns(self) -> int:
        """Nanoseconds since 1970."""

    @property
    def version(self) -> str:
        """Of the analyzer."""


def processes(points: Sequence[Made], events_ns: Iterable[int]) -> NDArray[np.int64]:
    """How many changes lie before each point, shape (n,): events, and other analyzer versions.

    A value made at the very instant of an event is of the process before it: a baseline holds from
    the check that set it on, and that check was held against the one before.
    """
    at = np.array([point.point_ns for point in points], dtype=np.int64)
    before = np.searchsorted(np.sort(np.array(list(events_ns), dtype=np.int64)), at, side="left")
    versions = np.array([point.version for point in points])
    changed = np.concatenate([[0], np.cumsum(versions[1:] != versions[:-1])])
    counted: NDArray[np.int64] = np.asarray(before + changed[: at.size], dtype=np.int64)
    return counted
