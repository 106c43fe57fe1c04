"""Signals of trends: opened, kept up and closed as their series goes; told of once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update

from qa_daemon.store.schema import results
from qa_daemon.store.schema_trends import trend_signals
from qa_daemon.store.store import Store
from qa_daemon.store.trend_series import SeriesName

MOST = 500
TOLD = ("step", "drift")
"""Kinds that people are told of; those of a control chart stand on its page."""
TOLD_AGAIN_AFTER = timedelta(days=7)
"""A signal that comes and goes is told of no more often."""


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal; `numbers` as its kind has them, `result` is the newest that says it."""

    id: int
    series: SeriesName
    kind: str
    result: int
    point_ns: int
    numbers: Mapping[str, float | None]
    opened_at: str
    closed_at: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a series says now."""

    kind: str
    result: int
    point_ns: int
    numbers: Mapping[str, float | None]


def keep(store: Store, series: SeriesName, found: Sequence[Found]) -> None:
    """Open what is new, bring up to date what is there, close what is over."""
    if not found:
        with store.read() as connection:
            if not _open_kinds(connection, series):
                return  # most often; nothing has to be written for it
    with store.write() as connection:
        there = _open_kinds(connection, series)
        said = {one.kind: one for one in found}
        for kind, identity in there.items():
            here = trend_signals.c.id == identity
            if kind not in said:
                over = update(trend_signals).where(here).values(closed_at=store.now())
                connection.execute(over)
            else:
                connection.execute(update(trend_signals).where(here).values(**_columns(said[kind])))
        for kind, one in said.items():
            if kind not in there:
                _open(connection, store, series, one)


def open_of(store: Store, machine: str | None = None) -> list[StoredSignal]:
    """Open signals, of one machine or of all, the newest first."""
    query = select(trend_signals).where(trend_signals.c.closed_at.is_(None))
    if machine is not None:
        query = query.where(trend_signals.c.machine == machine)
    query = query.order_by(trend_signals.c.point_ns.desc(), trend_signals.c.id.desc()).limit(MOST)
    with store.read() as connection:
        return [_signal(row) for row in connection.execute(query)]


def of_superseded(store: Store, successors: Sequence[int]) -> list[SeriesName]:
    """Series that say something by a result whose place one of these took."""
    query = (
        select(trend_signals)
        .join(results, results.c.id == trend_signals.c.result)
        .where(results.c.superseded_by.in_(successors), trend_signals.c.closed_at.is_(None))
    )
    with store.read() as connection:
        return [_signal(row).series for row in connection.execute(query)]


def untold(connection: Connection) -> list[StoredSignal]:
    """Signals that nobody was told of yet, the oldest first."""
    query = (
        select(trend_signals)
        .where(trend_signals.c.told_at.is_(None))
        .order_by(trend_signals.c.id)
        .limit(MOST)
    )
    return [_signal(row) for row in connection.execute(query)]


def tell(connection: Connection, signals: Sequence[StoredSignal], now: str) -> None:
    """People have been told of these."""
    ids = [signal.id for signal in signals]
    connection.execute(update(trend_signals).where(trend_signals.c.id.in_(ids)).values(told_at=now))


def _open_kinds(connection: Connection, series: SeriesName) -> dict[str, int]:
    query = select(trend_signals.c.id, trend_signals.c.kind)
    rows = connection.execute(query.where(_is(series), trend_signals.c.closed_at.is_(None)))
    return {row.kind: row.id for row in rows}


def _open(connection: Connection, store: Store, series: SeriesName, found: Found) -> None:
    since = (store.instant() - TOLD_AGAIN_AFTER).isoformat(timespec="seconds")
    told = connection.execute(
        select(trend_signals.c.told_at)
        .where(_is(series), trend_signals.c.kind == found.kind)
        .where(trend_signals.c.told_at >= since)
        .order_by(trend_signals.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    connection.execute(
        insert(trend_signals).values(
            **asdict(series),
            kind=found.kind,
            **_columns(found),
            opened_at=store.now(),
            told_at=told if found.kind in TOLD else store.now(),
        )
    )


def _columns(found: Found) -> dict[str, object]:
    return {
        "result": found.result,
        "point_ns": found.point_ns,
        "numbers": json.dumps(found.numbers),
    }


def _is(series: SeriesName) -> ColumnElement[bool]:
    return and_(*(trend_signals.c[name] == value for name, value in asdict(series).items()))


def _signal(row: Row[tuple[object, ...]]) -> StoredSignal:
    of = {name: getattr(row, name) for name in SeriesName.__slots__}
    return StoredSignal(
        row.id,
        SeriesName(**of),
        row.kind,
        row.result,
        row.point_ns,
        json.loads(row.numbers),
        row.opened_at,
        row.closed_at,
    )
