"""Every leaf by day: the median of its deliveries, what trends of leaves are read from.

A row is of one machine, analyzer, technique, energy and version of the analyzer, and says from when
to when its deliveries were made: one with a service event in between is of no process, whenever the
event is entered or withdrawn.  A machine's day is always made anew from its deliveries.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select

from qa_daemon.store.leaf_days import SHAPES_FIELD
from qa_daemon.store.leaf_errors import STORED
from qa_daemon.store.schema import analyses, leaf_errors, results
from qa_daemon.store.schema_trends import leaf_days
from qa_daemon.store.store import Store

MOST_ROWS = 20_000
OF_LARGEST = ("largest_", "worst_")
"""Quantities that are of the worst of several: their sign changes by chance, and medians of signed
values would call a leaf good that is out to either side in turn.  Their magnitudes are kept."""

Table = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LeafSeries:
    """Which deliveries of a machine an analyzer saw; empty where they do not say it."""

    machine: str
    analyzer: str
    technique: str = ""
    energy: str = ""

    @property
    def said(self) -> str:
        """What tells it from others, in words; empty where nothing does."""
        return ", ".join(part for part in (self.technique, self.energy) if part)


@dataclass(frozen=True, slots=True, eq=False)
class LeafDay:
    """One quantity of every leaf on one day, `values` of shape (leaves,), NaN where none.

    The deliveries were made from `since_ns` to `point_ns`, both included.
    """

    day: date
    n: int
    since_ns: int
    point_ns: int
    version: str
    leaves: tuple[str, ...]
    values: Table


def days_of(
    store: Store,
    series: LeafSeries,
    quantity: str,
    since: date,
    until: date,
    most: int = MOST_ROWS,
) -> list[LeafDay]:
    """The newest `most` rows that have a quantity, ends included, in order of time."""
    query = (
        select(leaf_days)
        .where(*_of(series), leaf_days.c.day.between(since.isoformat(), until.isoformat()))
        .order_by(leaf_days.c.day.desc(), leaf_days.c.point_ns.desc(), leaf_days.c.id.desc())
        .limit(most)
    )
    with store.read() as connection:
        found = [_leaf_day(row, quantity) for row in connection.execute(query)]
    return [day for day in reversed(found) if day is not None]


def series_of(
    store: Store, machine: str, analyzer: str, since: date, until: date
) -> list[LeafSeries]:
    """Every series of a machine's leaves in a time, that with the most days first."""
    here = leaf_days.c
    query = (
        select(here.technique, here.energy)
        .where(here.machine == machine, here.analyzer == analyzer)
        .where(here.day.between(since.isoformat(), until.isoformat()))
        .group_by(here.technique, here.energy)
        .order_by(func.count(here.day.distinct()).desc(), here.technique, here.energy)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [LeafSeries(machine, analyzer, row.technique, row.energy) for row in rows]


def quantities_of(store: Store, machine: str, analyzer: str) -> tuple[str, ...]:
    """What is kept of a machine's leaves, by its newest day; empty where there is none."""
    here = leaf_days.c
    query = (
        select(here.quantities)
        .where(here.machine == machine, here.analyzer == analyzer)
        .order_by(here.day.desc())
        .limit(1)
    )
    with store.read() as connection:
        text = connection.execute(query).scalar_one_or_none()
    return _names(text) if text is not None else ()


def rebuild(connection: Connection, machine: str, day: date, since_ns: int, until_ns: int) -> None:
    """Make a machine's day, `[since_ns, until_ns)`, anew from its deliveries."""
    here = (leaf_days.c.machine == machine, leaf_days.c.day == day.isoformat())
    connection.execute(delete(leaf_days).where(*here))
    version = (
        select(func.max(analyses.c.version))
        .where(analyses.c.result == leaf_errors.c.result)
        .where(analyses.c.analyzer == leaf_errors.c.analyzer)
        .scalar_subquery()
    )
    query = (
        select(leaf_errors, results.c.technique, results.c.energy, version.label("version"))
        .join(results, results.c.id == leaf_errors.c.result)
        .where(leaf_errors.c.machine == machine, leaf_errors.c.active)
        .where(leaf_errors.c.point_ns >= since_ns, leaf_errors.c.point_ns < until_ns)
        .order_by(leaf_errors.c.point_ns, leaf_errors.c.id)
    )
    grouped: dict[tuple[LeafSeries, str, str], list[Row[tuple[object, ...]]]] = {}
    for row in connection.execute(query):
        series = LeafSeries(machine, row.analyzer, row.technique or "", row.energy or "")
        grouped.setdefault((series, row.version or "", row.quantities), []).append(row)
    for (series, of_version, quantities), rows in grouped.items():
        columns = _names(quantities)
        leaves = _leaves([row.leaves for row in rows])
        tables = [_table(row, columns, leaves) for row in rows]
        connection.execute(
            insert(leaf_days).values(
                machine=machine,
                analyzer=series.analyzer,
                technique=series.technique,
                energy=series.energy,
                version=of_version,
                day=day.isoformat(),
                since_ns=rows[0].point_ns,
                point_ns=rows[-1].point_ns,
                n=len(rows),
                leaves=json.dumps(leaves),
                quantities=quantities,
                numbers=_medians(np.stack(tables)).tobytes(),
            )
        )


def _of(series: LeafSeries) -> tuple[ColumnElement[bool], ...]:
    here = leaf_days.c
    return (
        here.machine == series.machine,
        here.analyzer == series.analyzer,
        here.technique == series.technique,
        here.energy == series.energy,
    )


def _leaves(texts: Sequence[str]) -> tuple[str, ...]:
    """The leaves of all deliveries: an image may show some of them alone."""
    longest_first = sorted(dict.fromkeys(texts), key=len, reverse=True)
    return tuple(dict.fromkeys(name for text in longest_first for name in _names(text)))


def _table(
    row: Row[tuple[object, ...]], columns: tuple[str, ...], leaves: tuple[str, ...]
) -> Table:
    """One delivery, shape (quantities, leaves): what counts for a trend, else NaN."""
    names = _names(row.leaves)
    found = np.frombuffer(row.numbers, STORED).reshape(len(columns), len(names)).copy()
    if SHAPES_FIELD in columns:
        shapes = found[columns.index(SHAPES_FIELD)].copy()
        found[:, ~(shapes > 0.0)] = np.nan
    of_largest = [k for k, name in enumerate(columns) if name.startswith(OF_LARGEST)]
    found[of_largest] = np.abs(found[of_largest])
    if names == leaves:
        return found
    whole = np.full((len(columns), len(leaves)), np.nan, dtype=STORED)
    whole[:, [leaves.index(name) for name in names]] = found
    return whole


def _medians(tables: Table) -> Table:
    """Over deliveries, of those in which a leaf has a number."""
    known = np.isfinite(tables)
    ordered = np.sort(np.where(known, tables, np.inf), axis=0)
    count = known.sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(tables) - 1)[None], axis=0)[0]
    with np.errstate(invalid="ignore"):
        middle = np.where(count > 0, (low + high) / 2.0, np.nan)
    return np.asarray(middle, dtype=STORED)


def _leaf_day(row: Row[tuple[object, ...]], quantity: str) -> LeafDay | None:
    quantities, leaves = _names(row.quantities), _names(row.leaves)
    if quantity not in quantities:
        return None
    start = quantities.index(quantity) * len(leaves) * STORED.itemsize
    values = np.frombuffer(row.numbers, STORED, len(leaves), start)
    day = date.fromisoformat(row.day)
    return LeafDay(day, row.n, row.since_ns, row.point_ns, row.version, leaves, values)


@lru_cache(maxsize=64)
def _names(text: str) -> tuple[str, ...]:
    """A JSON list of names; the days of a machine have the same."""
    return tuple(json.loads(text))
