"""Fractions of a course: what was delivered of each planned beam, put together from its logs.

A beam that was interrupted and resumed has several logs; together they are one delivery, before
anybody compares it with the plan.  Deliveries of a plan less than a gap apart are one fraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

NANO = 1_000_000_000
SAME_MU, SAME_MU_SHARE = 0.5, 0.01
"""Metersets that differ by less, or by less than this share, are the same."""


RESUMED_MU, RESUMED_MU_SHARE, RESUMED_LEAST_MU = 1.0, 0.01, 0.1
"""A beam that was interrupted goes on where it stopped: within this share of it, but no more than
the first, and no less than the last, the step in which some logs count."""


class BeamState(StrEnum):
    """What became of a planned beam in one fraction."""

    DELIVERED = "delivered"
    RESUMED = "delivered in parts"
    PARTIAL = "not all of it"
    REPEATED = "more than once"
    NO_LOG = "treated, no log arrived"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DeliveredPart:
    """What one log says of one planned beam: MU `from_mu` up to `to_mu` of it."""

    number: int
    planned_mu: float
    from_mu: float
    to_mu: float
    point_ns: int
    result: int


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """What a treatment record says of one planned beam."""

    number: int
    delivered_mu: float | None
    fraction: int | None
    point_ns: int
    result: int


@dataclass(frozen=True, slots=True)
class FractionBeam:
    """One planned beam in one fraction; `delivered_mu` None: nobody says."""

    number: int
    planned_mu: float | None
    delivered_mu: float | None
    state: BeamState
    results: tuple[int, ...]

    @property
    def is_sound(self) -> bool:
        """Whether all of it was delivered, once, and a log shows it."""
        return self.state in (BeamState.DELIVERED, BeamState.RESUMED)


@dataclass(frozen=True, slots=True)
class Fraction:
    """One session of a plan; `number` as the treatment record counts it, where there is one."""

    first_ns: int
    last_ns: int
    number: int | None
    beams: tuple[FractionBeam, ...]


class Span(Protocol):
    """From one meterset of a planned beam to another, MU."""

    @property
    def planned_mu(self) -> float:
        """All of the beam."""

    @property
    def from_mu(self) -> float:
        """Where this part begins."""

    @property
    def to_mu(self) -> float:
        """Where it ends."""


def goes_on(first: Span, rest: Span) -> bool:
    """Whether a part of a beam begins where another, which stopped early, ended."""
    share_mu = RESUMED_MU_SHARE * first.planned_mu
    same_mu = min(RESUMED_MU, max(share_mu, RESUMED_LEAST_MU))
    is_short = first.planned_mu - first.to_mu > same_mu
    return is_short and abs(rest.from_mu - first.to_mu) <= same_mu and rest.from_mu > same_mu


def fractions(
    planned: Mapping[int, float | None],
    delivered: Sequence[DeliveredPart],
    recorded: Sequence[RecordedPart],
    gap_s: float,
) -> list[Fraction]:
    """The fractions of a plan, oldest first.

    `planned` gives the meterset of each beam number in MU; a delivery more than `gap_s` after the
    one before it begins another fraction.
    """
    events: list[DeliveredPart | RecordedPart] = [*delivered, *recorded]
    events.sort(key=lambda part: (part.point_ns, part.result))
    sessions: list[list[DeliveredPart | RecordedPart]] = []
    for event in events:
        if sessions and event.point_ns - sessions[-1][-1].point_ns <= gap_s * NANO:
            sessions[-1].append(event)
        else:
            sessions.append([event])
    return [_fraction(planned, session) for session in sessions]


def _fraction(
    planned: Mapping[int, float | None], session: Sequence[DeliveredPart | RecordedPart]
) -> Fraction:
    delivered = [part for part in session if isinstance(part, DeliveredPart)]
    recorded = [part for part in session if isinstance(part, RecordedPart)]
    numbers = {part.fraction for part in recorded if part.fraction is not None}
    every_beam = sorted({*planned, *(part.number for part in session)})
    return Fraction(
        first_ns=session[0].point_ns,
        last_ns=session[-1].point_ns,
        number=numbers.pop() if len(numbers) == 1 else None,
        beams=tuple(
            _beam(
                number,
                planned.get(number),
                [part for part in delivered if part.number == number],
                [part for part in recorded if part.number == number],
            )
            for number in every_beam
        ),
    )


def _beam(
    number: int,
    planned_mu: float | None,
    delivered: Sequence[DeliveredPart],
    recorded: Sequence[RecordedPart],
) -> FractionBeam:
    seen: list[DeliveredPart | RecordedPart] = [*delivered, *recorded]
    results = tuple(dict.fromkeys(part.result for part in seen))
    if not delivered:
        told = [part.delivered_mu for part in recorded if part.delivered_mu]
        state = BeamState.NO_LOG if told else BeamState.MISSING
        return FractionBeam(number, planned_mu, sum(told) if told else None, state, results)
    total_mu = delivered[0].planned_mu if planned_mu is None else planned_mu
    given_mu = sum(part.to_mu - part.from_mu for part in delivered)
    covered_mu = _covered_mu(delivered)
    same_mu = max(SAME_MU, SAME_MU_SHARE * total_mu)
    if given_mu - covered_mu > same_mu or given_mu - total_mu > same_mu:
        state = BeamState.REPEATED
    elif total_mu - covered_mu > same_mu:
        state = BeamState.PARTIAL
    else:
        state = BeamState.DELIVERED if len(delivered) == 1 else BeamState.RESUMED
    return FractionBeam(number, total_mu, given_mu, state, results)


def _covered_mu(parts: Sequence[DeliveredPart]) -> float:
    """How much of the beam's meterset was delivered at least once."""
    covered_mu, reached_mu = 0.0, float("-inf")
    for part in sorted(parts, key=lambda p: p.from_mu):
        covered_mu += max(part.to_mu - max(part.from_mu, reached_mu), 0.0)
        reached_mu = max(reached_mu, part.to_mu)
    return covered_mu
