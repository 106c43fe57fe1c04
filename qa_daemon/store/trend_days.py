"""Trends by day: what a long span, or a machine of many deliveries a day, is read from.

A machine's day is always made anew from its measurements, so that it does not matter in which order
they came, or how often they were looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, or_, select

from analyzers.core import Limits
from qa_daemon.model import Verdict
from qa_daemon.store import leaf_medians, trend_cuts
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import analyses, measurements, results
from qa_daemon.store.schema_trends import trend_days
from qa_daemon.store.store import Store
from qa_daemon.store.trend_cuts import Cuts
from qa_daemon.store.trend_series import SeriesName, name_of

MOST_DAYS = 12_000
"""Thirty years and more."""


@dataclass(frozen=True, slots=True)
class TrendDay:
    """One day of a series: how many results, their lowest, middle and highest value.

    `result` is the newest of those with the worst verdict, `limits` those of the newest.
    """

    day: date
    n: int
    lowest: float
    median: float
    highest: float
    verdict: Verdict | None
    result: int
    point_ns: int
    version: str
    unit: str
    limits: Limits


MachineDay = tuple[str, date]


def days_touched(store: Store, of: Sequence[StoredResult], zone: ZoneInfo) -> set[MachineDay]:
    """The machine-days that results are of, and those of what they took the place of."""
    with store.read() as connection:
        rows = connection.execute(
            select(results.c.machine, results.c.point_ns).where(
                results.c.superseded_by.in_([result.id for result in of])
            )
        ).all()
    found = [(row.machine, row.point_ns) for row in rows]
    found += [(result.machine, result.point_ns) for result in of]
    return {(machine, _day(ns, zone)) for machine, ns in found if machine is not None}


def rebuild(store: Store, days: Iterable[MachineDay], zone: ZoneInfo) -> None:
    """Make machine-days anew from what is in the store, all in one transaction.

    A day on which a series is cut has a row before and one after.
    """
    asked = sorted(days)
    cuts = {machine: trend_cuts.read(store, machine) for machine, _ in asked}
    with store.write() as connection:
        for machine, day in asked:
            bounds = _bounds(day, zone)
            _rebuild_numbers(connection, cuts[machine], (machine, day), bounds)
            leaf_medians.rebuild(connection, machine, day, *bounds)


def series_of(
    store: Store, machine: str, analyzer: str, metric: str, since: date = date.min
) -> list[SeriesName]:
    """Every series of a quantity: by beam, energy and kind of check."""
    here = trend_days.c
    query = (
        select(here.place, here.energy, here.judged_as, here.technique)
        .where(here.machine == machine, here.analyzer == analyzer, here.metric == metric)
        .where(here.day >= since.isoformat())
        .distinct()
        .order_by(here.place, here.energy, here.judged_as, here.technique)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [
        SeriesName(machine, analyzer, metric, r.place, r.energy, r.judged_as, r.technique)
        for r in rows
    ]


def newest_before(store: Store, name: SeriesName, point_ns: int) -> tuple[int, str]:
    """When the newest value before an instant was made, and by which version; 0: never."""
    query = (
        select(trend_days.c.point_ns, trend_days.c.version)
        .where(*_is(name), trend_days.c.day <= _utc_day(point_ns, 1))
        .where(trend_days.c.point_ns < point_ns)
        .order_by(trend_days.c.day.desc(), trend_days.c.point_ns.desc())
        .limit(1)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    return (row.point_ns, row.version) if row is not None else (0, "")


def count_between(store: Store, name: SeriesName, after_ns: int, before_ns: int, most: int) -> int:
    """How many days of a series lie between two instants, both left out; `most` at most."""
    days = trend_days.c.day.between(_utc_day(after_ns, -1), _utc_day(before_ns, 1))
    query = (
        select(trend_days.c.id)
        .where(*_is(name), days)
        .where(trend_days.c.point_ns > after_ns, trend_days.c.point_ns < before_ns)
        .limit(most)
    )
    with store.read() as connection:
        return len(connection.execute(query).all())


def count_judged(store: Store, machine: str, since: date) -> int:
    """How many values of series that have limits a machine has since a day."""
    here = trend_days.c
    has_limits = or_(here.tolerance_low.is_not(None), here.tolerance_high.is_not(None))
    query = select(func.count()).where(
        here.machine == machine, here.day >= since.isoformat(), has_limits
    )
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def days_of(
    store: Store,
    name: SeriesName,
    since: date | None = None,
    until: date | None = None,
    most: int = MOST_DAYS,
) -> list[TrendDay]:
    """The days of a series in order, ends included; the newest `most` of them."""
    query = select(trend_days).where(*_is(name))
    if since is not None:
        query = query.where(trend_days.c.day >= since.isoformat())
    if until is not None:
        query = query.where(trend_days.c.day <= until.isoformat())
    query = query.order_by(
        trend_days.c.day.desc(), trend_days.c.point_ns.desc(), trend_days.c.id.desc()
    ).limit(most)
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [_trend_day(row) for row in reversed(rows)]


def _rebuild_numbers(
    connection: Connection, cuts: Cuts, of: MachineDay, bounds: tuple[int, int]
) -> None:
    (machine, day), (since_ns, until_ns) = of, bounds
    here = (trend_days.c.machine == machine, trend_days.c.day == day.isoformat())
    connection.execute(delete(trend_days).where(*here))
    query = (
        select(measurements, results.c.energy, results.c.technique, analyses.c.version)
        .join(results, results.c.id == measurements.c.result)
        .join(analyses, analyses.c.id == measurements.c.analysis)
        .where(results.c.machine == machine, results.c.active)
        .where(results.c.point_ns >= since_ns, results.c.point_ns < until_ns)
        .where(measurements.c.active)
        .order_by(results.c.point_ns, measurements.c.id)
    )
    cut_at = cache(cuts.of)
    grouped: dict[tuple[SeriesName, str, str, int], list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        quantity = (machine, row["analyzer"], row["metric"])
        name = name_of(quantity, row["at"], row["judged_as"], row["energy"], row["technique"])
        before = bisect_left(cut_at(name), row["point_ns"])
        grouped.setdefault((name, row["version"], row["unit"], before), []).append(row)
    if grouped:
        made = [
            asdict(name) | {"version": version, "day": day.isoformat()} | _summary(rows)
            for (name, version, _, _), rows in grouped.items()
        ]
        connection.execute(insert(trend_days), made)


def _summary(rows: Sequence[RowMapping]) -> dict[str, object]:
    """The columns of a day; a result with several values of one series counts its worst."""
    by_result: dict[int, RowMapping] = {}
    for row in rows:
        known = by_result.get(row["result"])
        if known is None or _badness(row) >= _badness(known):
            by_result[row["result"]] = row
    kept = list(by_result.values())
    values = [row["value"] for row in kept]
    newest = kept[-1]
    worst = max(reversed(kept), key=_badness)
    limits = ("tolerance_low", "tolerance_high", "action_low", "action_high")
    return {
        "n": len(kept),
        "lowest": min(values),
        "median": median(values),
        "highest": max(values),
        "verdict": worst["verdict"],
        "result": worst["result"],
        "point_ns": newest["point_ns"],
        "unit": newest["unit"],
        **{name: newest[name] for name in limits},
    }


def _badness(row: RowMapping) -> int:
    return -1 if row["verdict"] is None else int(row["verdict"])


def _is(name: SeriesName) -> Iterator[ColumnElement[bool]]:
    return (trend_days.c[key] == value for key, value in asdict(name).items())


def _day(point_ns: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(point_ns // 10**9, zone).date()


def _utc_day(point_ns: int, later_d: int) -> str:
    """So many days later than an instant, which is the day after or before in any zone."""
    day = datetime.fromtimestamp(point_ns // 10**9, UTC).date() + timedelta(days=later_d)
    return day.isoformat()


def _bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The first instant of a day and of the next one, in nanoseconds."""
    begin = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return int(begin.timestamp()) * 10**9, int(end.timestamp()) * 10**9


def _trend_day(row: RowMapping) -> TrendDay:
    return TrendDay(
        day=date.fromisoformat(row["day"]),
        n=row["n"],
        lowest=row["lowest"],
        median=row["median"],
        highest=row["highest"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        result=row["result"],
        point_ns=row["point_ns"],
        version=row["version"],
        unit=row["unit"],
        limits=Limits(
            row["tolerance_low"],
            row["tolerance_high"],
            row["action_low"],
            row["action_high"],
        ),
    )
