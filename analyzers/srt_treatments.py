"""One fraction on a kV unit as it was given: a timer, a set-up, a prescription.

Such a unit has no machine log: the record is what the staff or the record-and-verify system wrote.
Lengths in cm and mm as the names say, times in s, doses in Gy to water.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from analyzers.output_checks import escaped
from analyzers.output_registry import RegisteredUnit
from analyzers.srt_tables import UnitTable


@dataclass(frozen=True, slots=True)
class TreatmentIdentity:
    """Whose treatment this was.  Stays inside the store: never in a log line, alert or metric."""

    patient_id: str | None = field(default=None, repr=False)
    course_id: str | None = field(default=None, repr=False)
    lesion: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The beam and what lies between the tube and the skin.

    `gap_cm` is the stand-off between the end of the applicator and the skin; `cutout_diameter_cm`
    the equivalent diameter of a cutout, None for the whole applicator; `shield` the transmission of
    what lies in the beam.
    """

    kvp: float
    filter_id: str
    applicator_id: str
    ssd_cm: float
    gap_cm: float = 0.0
    cutout_diameter_cm: float | None = None
    shield: float | None = None

    @property
    def beam(self) -> str:
        """`70 kV F2 A30`, as output checks call it."""
        return f"{self.kvp:g} kV {self.filter_id} {self.applicator_id}"


@dataclass(frozen=True, slots=True)
class AcceptedOutput:
    """The newest output of a beam with the reference applicator that was in its limits.

    `result` is the number of its check, `k1_percent` its uncertainty (k = 1) where that is known.
    """

    gy_per_min: float
    to_water: bool
    at: datetime
    result: int
    k1_percent: float | None = None


@dataclass(frozen=True, slots=True)
class AcceptedEndEffect:
    """The newest end effect of a beam that was in its limits."""

    seconds: float
    at: datetime
    result: int


@dataclass(frozen=True, slots=True)
class OtherPart:
    """Another record of the same fraction: what it gave at the prescribed depth, and its result.

    `dose_gy` is None where that is not known.
    """

    dose_gy: float | None
    result: int


@dataclass(frozen=True, slots=True)
class TreatmentInputs:
    """What the clinic knew of the unit when it treated.

    `tables` are those that a physicist signed and that count on that day, one of a kind.  `blocked`
    says why the unit must not have treated, None where it might.  `copies` is the number of other
    records of the fraction that are of the same second, which are not counted.
    """

    unit: RegisteredUnit
    tables: tuple[UnitTable, ...] = ()
    output: AcceptedOutput | None = None
    end_effect: AcceptedEndEffect | None = None
    blocked: str | None = None
    other_parts: tuple[OtherPart, ...] = ()
    copies: int = 0

    @property
    def others_gy(self) -> float:
        """What the other records gave together; NaN where one does not say."""
        return math.fsum(math.nan if o.dose_gy is None else o.dose_gy for o in self.other_parts)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SrtTreatment:
    """One record of one fraction.

    `parts_s` are the timer's settings as they ran out, more than one where the beam was
    interrupted: each pays its own end effect.  `timer_end_effect_s` is None where the record leaves
    it to the unit's own measurement.  No reader sets `inputs`.
    """

    unit_id: str
    performed_at: datetime
    fraction: int
    fractions_planned: int
    setup: Setup
    prescribed_gy: float
    prescribed_depth_mm: float
    ultrasound_depth_mm: float | None = None
    parts_s: tuple[float, ...]
    timer_end_effect_s: float | None = None
    identity: TreatmentIdentity = field(default_factory=TreatmentIdentity)
    inputs: TreatmentInputs | None = None
    warnings: tuple[str, ...] = ()
    not_judged: str | None = None
    machine_class: str = "srt"

    @property
    def machine_serial(self) -> str:
        """What the file calls the unit."""
        return escaped(self.unit_id)

    @property
    def machine_name(self) -> str:
        """The same: a clinic may write the unit's name or its serial number."""
        return self.machine_serial

    @property
    def energy(self) -> str:
        """The tube potential."""
        return f"{self.setup.kvp:g} kV"

    @property
    def series(self) -> str:
        """Treatments say nothing of checks."""
        return f"treatment {self.setup.kvp:g} kV"
