"""What a record-and-verify system says was treated: vendor-neutral, MU and local time.

A control point a segment at best: good for meterset, termination and identity, not for motion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

KEPT_FOR_MATCHING = "a treatment record: kept for matching with the logs of its deliveries"


@dataclass(frozen=True, slots=True, eq=False)
class TreatedBeam:
    """One beam as recorded; a beam that was interrupted and resumed stands there twice.

    Metersets are cumulative, MU, None or NaN where not recorded; arrays have the shape `(points,)`.
    `termination` is NORMAL, OPERATOR, MACHINE or UNKNOWN, `verification` VERIFIED, VERIFIED_OVR or
    NOT_VERIFIED, None where the record does not say.
    """

    number: int | None
    termination: str
    fraction_number: int | None = None
    verification: str | None = None
    specified_mu: float | None = None
    delivered_mu: float | None = None
    control_point_specified_mu: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    control_point_delivered_mu: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    control_point_times: tuple[datetime | None, ...] = ()
    delivery_type: str = "TREATMENT"
    name: str | None = field(default=None, repr=False)
    not_judged: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the beam is recorded as having ended by itself."""
        return self.termination == "NORMAL"


@dataclass(frozen=True, slots=True)
class RecordIdentity:
    """Whose treatment this was.  Stays inside the store: never in a log line, alert or metric."""

    patient_id: str | None = field(default=None, repr=False)
    plan_uid: str | None = field(default=None, repr=False)
    beam_names: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class TreatmentRecord:
    """One session's record.  `performed_at` is local wall time without a zone.

    There is nothing in it to judge by itself.
    """

    beams: tuple[TreatedBeam, ...]
    performed_at: datetime | None = None
    fraction_group: int | None = None
    fractions_planned: int | None = None
    machine_name: str | None = None
    machine_serial: str | None = None
    identity: RecordIdentity = field(default_factory=RecordIdentity)
    warnings: tuple[str, ...] = ()
    not_judged: str | None = KEPT_FOR_MATCHING
    machine_class: None = None
    energy: None = None

    @property
    def fraction_number(self) -> int | None:
        """The fraction that all beams are of; None where it is not said, or they differ."""
        numbers = {beam.fraction_number for beam in self.beams}
        return numbers.pop() if len(numbers) == 1 else None
