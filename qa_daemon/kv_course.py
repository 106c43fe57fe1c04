"""A course on a kV unit from its records: fractions, what is missing, and the biological effect.

Records of one fraction on one day are parts of it.  A fraction of which a part has no dose has none
itself, and a course with such a fraction has no effect: what is not known is never counted as zero.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from analyzers.numerics.bioeffect import bed_gy, eqd2_gy, tdf

NS_PER_S = 1_000_000_000
LQ_DOUBTFUL_GY = 8.0
"""Above 8 to 10 Gy a fraction the linear-quadratic model is uncertain."""


class Record(Protocol):
    """One record of a fraction, as the store keeps it."""

    @property
    def fraction(self) -> int: ...  # noqa: D102
    @property
    def fractions_planned(self) -> int: ...  # noqa: D102
    @property
    def prescribed_gy(self) -> float: ...  # noqa: D102
    @property
    def prescribed_depth_mm(self) -> float: ...  # noqa: D102
    @property
    def day(self) -> date: ...  # noqa: D102
    @property
    def point_ns(self) -> int: ...  # noqa: D102
    @property
    def dose_gy(self) -> float | None: ...  # noqa: D102
    @property
    def result(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class KvFraction:
    """One fraction; `dose_gy` of all its parts at the prescribed depth, None where one has none.

    `copies` are records of a second of which a part is there already: no two parts begin at once.
    """

    number: int
    day: date
    parts: tuple[Record, ...]
    copies: tuple[Record, ...] = ()

    @property
    def dose_gy(self) -> float | None:
        """Of all parts together; not known where a copy says another one."""
        said = {(_second(part), part.dose_gy) for part in self.parts}
        if any((_second(copy), copy.dose_gy) not in said for copy in self.copies):
            return None
        doses = [part.dose_gy for part in self.parts if part.dose_gy is not None]
        return math.fsum(doses) if len(doses) == len(self.parts) else None

    @property
    def prescribed_gy(self) -> float:
        """As the newest part says."""
        return self.parts[-1].prescribed_gy


@dataclass(frozen=True, slots=True)
class Effect:
    """BED and EQD2 of what was given, for one alpha/beta, in Gy."""

    alpha_beta_gy: float
    bed_gy: float
    eqd2_gy: float


@dataclass(frozen=True, slots=True)
class Course:
    """Fractions, the oldest first; `remarks` are what is missing, surplus or in doubt.

    `effects` is empty where a fraction has no dose; `interval_days` is T/n, from the first to the
    last fraction, and None with `tdf` where there are fewer than two days.
    """

    fractions: tuple[KvFraction, ...]
    planned: int
    total_gy: float
    without_dose: int
    effects: tuple[Effect, ...]
    interval_days: float | None
    tdf: float | None
    remarks: tuple[str, ...]


def course_of(records: Sequence[Record], alpha_beta_gy: Sequence[float]) -> Course:
    """The course of these records, of one patient, course and lesion; at least one."""
    fractions = _fractions(records)
    doses = [one.dose_gy for one in fractions if one.dose_gy is not None]
    without = len(fractions) - len(doses)
    newest = max(records, key=lambda r: r.point_ns)
    days = [one.day for one in fractions]
    interval = None
    if len(fractions) > 1 and days[-1] > days[0]:
        interval = (days[-1] - days[0]).days / (len(fractions) - 1)
    is_whole = bool(doses) and not without
    return Course(
        fractions=tuple(fractions),
        planned=newest.fractions_planned,
        total_gy=math.fsum(doses),
        without_dose=without,
        effects=tuple(Effect(ab, bed_gy(doses, ab), eqd2_gy(doses, ab)) for ab in alpha_beta_gy)
        if is_whole
        else (),
        interval_days=interval if is_whole else None,
        tdf=tdf(doses, interval_days=interval) if is_whole and interval else None,
        remarks=tuple(_remarks(records, fractions, newest.fractions_planned)),
    )


def _fractions(records: Sequence[Record]) -> list[KvFraction]:
    grouped: dict[tuple[int, date], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda r: r.point_ns):
        grouped[record.fraction, record.day].append(record)
    found = [_fraction(number, day, of_day) for (number, day), of_day in grouped.items()]
    return sorted(found, key=lambda one: one.parts[0].point_ns)


def _fraction(number: int, day: date, records: Sequence[Record]) -> KvFraction:
    parts: dict[int, Record] = {}
    for record in records:
        parts.setdefault(_second(record), record)
    copies = tuple(record for record in records if parts[_second(record)] is not record)
    return KvFraction(number, day, tuple(parts.values()), copies)


def _second(record: Record) -> int:
    return record.point_ns // NS_PER_S


def _remarks(records: Sequence[Record], fractions: Sequence[KvFraction], planned: int) -> list[str]:
    said = []
    numbers = Counter(one.number for one in fractions)
    missing = [str(n) for n in range(1, max(numbers)) if n not in numbers]
    if missing:
        said.append(f"no record of fraction {', '.join(missing)}")
    for number, count in sorted(numbers.items()):
        if count > 1:
            said.append(f"fraction {number} was given on {count} days")
    said += [
        f"fraction {one.number}: a record of the same second is there more than once"
        for one in fractions
        if one.copies
    ]
    surplus = len(fractions) - planned
    if surplus > 0 or max(numbers) > planned:
        said.append(f"{len(fractions)} fractions were given, {planned} are planned")
    for what, values in (
        ("fractions planned", {record.fractions_planned for record in records}),
        ("prescribed doses", {record.prescribed_gy for record in records}),
        ("prescribed depths", {record.prescribed_depth_mm for record in records}),
    ):
        if len(values) > 1:
            said.append(f"the records differ in their {what}")
    in_order = [one.number for one in fractions]
    if in_order != sorted(in_order):
        said.append("the fractions are not numbered in the order in which they were given")
    if any((one.dose_gy or 0.0) > LQ_DOUBTFUL_GY for one in fractions):
        said.append(
            f"a fraction of more than {LQ_DOUBTFUL_GY:g} Gy: BED and EQD2 are uncertain there"
        )
    return said
