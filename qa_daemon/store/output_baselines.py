"""The output of each beam of a kV unit that later checks are held against: signed, versioned.

A new baseline counts for checks made from its day on and is written beside the old one; what was
judged before keeps what it was held against.  A unit's baselines are never another unit's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select

from analyzers.output_registry import Baseline
from qa_daemon.store import audit, service_events
from qa_daemon.store.schema import analyses, measurements, output_baselines, results
from qa_daemon.store.store import Store
from qa_daemon.store.trends_again import look_again

ANALYZER, OUTPUT = "srt_output", "output"
WATER = " water"
MOST = 2000


class CannotSign(Exception):  # noqa: N818 - an answer for a person
    """The baseline cannot be signed off; the sentence says why."""


@dataclass(frozen=True, slots=True)
class OutputBaseline:
    """What a beam gave when it was signed off.

    `beam` as `70 kV F2 A30`; `to_water` says whether it is dose to water or air kerma, which are
    never compared; `gy_per_min` is None from the day on which it was withdrawn.  `since` has an
    offset.
    """

    id: int
    beam: str
    to_water: bool
    gy_per_min: float | None
    since: str
    result: int | None
    actor: str
    reason: str
    at: str

    @property
    def since_at(self) -> datetime:
        """The instant from which on it counts."""
        return datetime.fromisoformat(self.since)


def every(store: Store, machine: str) -> list[OutputBaseline]:
    """All baselines of a unit, the oldest first, withdrawn and replaced ones too."""
    query = (
        select(output_baselines)
        .where(output_baselines.c.machine == machine)
        .order_by(output_baselines.c.id.desc())
        .limit(MOST)
    )
    with store.read() as connection:
        return [_baseline(row) for row in reversed(connection.execute(query).all())]


def registered(baselines: Sequence[OutputBaseline]) -> tuple[Baseline, ...]:
    """The same as a check is held against them, the last signed one last."""
    return tuple(
        Baseline(b.beam, b.to_water, datetime.fromisoformat(b.since), b.gy_per_min)
        for b in baselines
    )


def sign(store: Store, result: int, outputs_at: Sequence[str], actor: str, reason: str) -> int:
    """Sign off the outputs of a check as baselines from that check on; how many.

    `outputs_at` are the places of its outputs, `70 kV F2 A30` or `70 kV F2 A30 water`.  Raises
    `CannotSign` where the result is no longer the newest of its file, measured no such output, or
    could not be analyzed whole.
    """
    with store.write() as connection:
        made, outputs = _outputs_of(connection, result)
        missing = [at for at in outputs_at if at not in outputs]
        if missing or not outputs_at:
            raise CannotSign(f"this check has no single output of: {', '.join(missing) or 'any'}")
        for at in outputs_at:
            beam = at.removesuffix(WATER)
            _write(connection, store, made, (beam, beam != at), outputs[at], actor, reason)
        since = datetime.fromisoformat(made.since)
        look_again(store, connection, made.machine, [service_events.instant_of(since)])
        return len(outputs_at)


def outputs_at(store: Store, result: int) -> list[str]:
    """The places of a check's outputs that can be signed off.  Raises `CannotSign`."""
    with store.read() as connection:
        _, outputs = _outputs_of(connection, result)
        return list(outputs)


def withdraw(store: Store, machine: str, baseline: int, actor: str, reason: str) -> None:
    """From now on there is no baseline for the beam of this one, a unit's.  Raises `CannotSign`."""
    with store.write() as connection:
        row = connection.execute(
            select(output_baselines).where(
                output_baselines.c.id == baseline, output_baselines.c.machine == machine
            )
        ).one_or_none()
        if row is None or row.gy_per_min is None:
            raise CannotSign("this unit has no such baseline")
        made = _Made(row.machine, store.instant().isoformat(timespec="seconds"), row.result)
        _write(connection, store, made, (row.beam, row.to_water), None, actor, reason)


@dataclass(frozen=True, slots=True)
class _Made:
    machine: str
    since: str
    result: int | None


def _outputs_of(connection: Connection, result: int) -> tuple[_Made, dict[str, float]]:
    row = connection.execute(
        select(results).where(results.c.id == result, results.c.active)
    ).one_or_none()
    if row is None or row.machine is None or row.performed_at is None:
        raise CannotSign("this result is no longer the newest of its check: look again")
    query = (
        select(measurements.c.at, measurements.c.value)
        .join(analyses, analyses.c.id == measurements.c.analysis)
        .where(measurements.c.result == result, measurements.c.metric == OUTPUT)
        .where(analyses.c.analyzer == ANALYZER, analyses.c.failure.is_(None))
    )
    outputs: dict[str, float] = {}
    twice = set()
    for found in connection.execute(query):
        twice |= {found.at} & set(outputs)
        outputs[found.at] = found.value
    made = _Made(row.machine, row.performed_at, row.id)
    return made, {beam: value for beam, value in outputs.items() if beam not in twice}


def _write(
    connection: Connection,
    store: Store,
    made: _Made,
    of: tuple[str, bool],
    gy_per_min: float | None,
    actor: str,
    reason: str,
) -> None:
    beam, to_water = of
    connection.execute(
        insert(output_baselines).values(
            machine=made.machine,
            beam=beam,
            to_water=to_water,
            gy_per_min=gy_per_min,
            since=made.since,
            result=made.result,
            actor=actor,
            reason=reason,
            at=store.now(),
        )
    )
    audit.record(
        connection,
        at=store.now(),
        actor=actor,
        action="output baseline signed off" if gy_per_min else "output baseline withdrawn",
        subject=f"machine {made.machine}",
        detail={
            "beam": beam,
            "to_water": to_water,
            "gy_per_min": gy_per_min,
            "since": made.since,
            "reason": reason,
        },
    )


def _baseline(row: Row[tuple[object, ...]]) -> OutputBaseline:
    names = ("id", "beam", "to_water", "gy_per_min", "since", "result", "actor", "reason", "at")
    return OutputBaseline(**{name: getattr(row, name) for name in names})
