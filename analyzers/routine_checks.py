"""A list of routine checks of a kV unit, ticked or measured by a person: vendor-neutral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from analyzers.records import Identity
from analyzers.srt_routine import BY_ID, RoutineTest


@dataclass(frozen=True, slots=True, eq=False)
class RoutineChecks:
    """What was checked on one unit at one time.

    `answers` maps a test of the routine to what was found: true or false for one of function, a
    number in the test's unit for the others.  Tests that are not in it were not done.  Operator
    and comments stay inside the store.
    """

    unit_id: str
    performed_at: datetime
    answers: Mapping[str, bool | float]
    operator: str = field(repr=False, default="")
    comment: str = field(repr=False, default="")
    warnings: tuple[str, ...] = ()
    identity: Identity = field(default_factory=Identity)
    not_judged: str | None = None
    machine_class: str = "srt"
    energy: str | None = None

    @property
    def machine_serial(self) -> str:
        """What the file calls the unit."""
        return self.unit_id

    @property
    def machine_name(self) -> str:
        """The same: a clinic may write the unit's name or its serial number."""
        return self.unit_id

    @property
    def tests(self) -> list[RoutineTest]:
        """The tests that were done, in the order of the routine."""
        return [test for name, test in BY_ID.items() if name in self.answers]

    @property
    def series(self) -> str:
        """Daily, monthly and annual lists say nothing of one another."""
        return "+".join(dict.fromkeys(test.frequency.value for test in self.tests))
