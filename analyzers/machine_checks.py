"""What a machine's own self-test says of it: vendor-neutral, mm, degrees, percent and local time.

Names are the machine's; they differ by version and machine, and nobody here enumerates them.  A
value is what the machine itself measured against its own baseline: not an independent measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from analyzers.records import Identity


class Evaluation(StrEnum):
    """What the machine says of an item; all that is neither pass nor fail is unknown."""

    PASSED = "pass"
    FAILED = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CheckItem:
    """One line of a check.

    `name` is the path of groups and item (`BeamGroup/BeamOutputChange`), `value` and `threshold`
    are in `unit` (mm, deg, %, or as the machine says), None where there is none.  `said` is the
    evaluation in the machine's own word.
    """

    name: str
    unit: str
    value: float | None
    threshold: float | None
    evaluation: Evaluation
    said: str

    @property
    def group(self) -> str:
        """The groups the item is in, the outermost first; empty where it is in none."""
        return self.name.rpartition("/")[0]

    @property
    def own_name(self) -> str:
        """The name without groups."""
        return self.name.rpartition("/")[2]

    @property
    def is_beyond(self) -> bool:
        """Whether the value is beyond the machine's own threshold; the threshold is inside."""
        return (
            self.value is not None
            and self.threshold is not None
            and abs(self.value) > self.threshold
        )

    @property
    def share(self) -> float | None:
        """|value| over the threshold; None where either is missing, or the threshold is zero."""
        if self.value is None or not self.threshold:
            return None
        return abs(self.value) / self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class MachineCheck:
    """One self-test of a machine.

    A check that was aborted has no items.  `performed_at` is local wall time without a zone;
    `template` is the machine's name of the kind of check.
    """

    items: tuple[CheckItem, ...]
    template: str | None = None
    energy: str | None = None
    performed_at: datetime | None = None
    machine_serial: str | None = None
    machine_class: str | None = None
    """Where the items tell it; None where they do not."""
    warnings: tuple[str, ...] = ()
    identity: Identity = field(default_factory=Identity)
    not_judged: str | None = None

    @property
    def series(self) -> str | None:
        """A check of another kind says nothing of this one: 10x in order does not clear 6x."""
        return self.template
