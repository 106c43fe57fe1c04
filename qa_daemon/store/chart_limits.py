"""What control charts hold values against: found from first values, or signed by a physicist.

Limits that were signed count from their day on and are written beside the old ones: nothing that a
chart said before is said otherwise afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, delete, insert, select

from qa_daemon.store import audit
from qa_daemon.store.schema_trends import chart_limits
from qa_daemon.store.store import Store
from qa_daemon.store.trend_series import SeriesName

MOST = 500


@dataclass(frozen=True, slots=True)
class ChartLimits:
    """Center and standard deviation of single values, in force from `since_ns` on.

    `n` is from how many values, `alike` the correlation of neighbors, `widened` whether it made the
    spread of all values take the place of moving ranges.  `signed_by` None: nobody signed.
    """

    since_ns: int
    center: float
    sigma: float
    n: int
    alike: float = 0.0
    widened: bool = False
    signed_by: str | None = None
    reason: str | None = None
    version: str = ""
    unit: str = ""


def of(store: Store, name: SeriesName) -> list[ChartLimits]:
    """Those of a series, the oldest first; of one instant what was signed last, if anything was.

    What was found may be written anew after somebody signed: its first values were not all there.
    """
    here = chart_limits.c
    query = (
        select(chart_limits)
        .where(_is(name))
        .order_by(here.since_ns.desc(), here.signed_by.is_(None), here.id.desc())
        .limit(MOST)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    names = ChartLimits.__slots__
    return [ChartLimits(**{n: getattr(row, n) for n in names}) for row in reversed(rows)]


def in_force(limits: Sequence[ChartLimits], point_ns: int) -> ChartLimits | None:
    """What a value of an instant is held against; None where nothing is known yet."""
    return next((each for each in reversed(limits) if each.since_ns <= point_ns), None)


def keep_found(store: Store, name: SeriesName, found: ChartLimits, floor_ns: int) -> None:
    """Write down what the first values of the newest process say.

    What was found since `floor_ns`, after which that process begins, is no longer true: an earlier
    value came, the first one was taken back, or the event between them was withdrawn.
    """
    unsigned = and_(
        _is(name),
        chart_limits.c.since_ns >= floor_ns,
        chart_limits.c.signed_by.is_(None),
    )
    columns = asdict(found)
    with store.read() as connection:
        rows = connection.execute(select(chart_limits).where(unsigned)).all()
    if len(rows) == 1 and all(getattr(rows[0], key) == value for key, value in columns.items()):
        return
    with store.write() as connection:
        connection.execute(delete(chart_limits).where(unsigned))
        connection.execute(insert(chart_limits).values(**asdict(name), **columns, at=store.now()))


def drop_found(store: Store, name: SeriesName, known: Sequence[ChartLimits], since_ns: int) -> None:
    """Take back what was found since an instant within the newest process, which is older.

    It is of a process that began there by an event that was withdrawn.  `known` are those of `of`.
    """
    if any(one.signed_by is None and one.since_ns >= since_ns for one in known):
        unsigned = and_(
            _is(name), chart_limits.c.since_ns >= since_ns, chart_limits.c.signed_by.is_(None)
        )
        with store.write() as connection:
            connection.execute(delete(chart_limits).where(unsigned))


def sign(store: Store, name: SeriesName, limits: ChartLimits) -> None:
    """Write down limits that a physicist signed; `signed_by` and `reason` are in them."""
    with store.write() as connection:
        connection.execute(
            insert(chart_limits).values(**asdict(name), **asdict(limits), at=store.now())
        )
        audit.record(
            connection,
            at=store.now(),
            actor=limits.signed_by or "",
            action="control limits signed",
            subject=f"machine {name.machine}",
            detail=asdict(name) | asdict(limits),
        )


def _is(name: SeriesName) -> ColumnElement[bool]:
    return and_(*(chart_limits.c[key] == value for key, value in asdict(name).items()))
