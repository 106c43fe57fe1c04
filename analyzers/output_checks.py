"""Output checks of superficial kV units: what was set up and read, vendor-neutral.

The rows are those of the schema `qa_srt_output` 1.0: what is needed to work a number out again, and
never the number alone.  Readings in nC, kPa, degrees Celsius, seconds, mm Al and Gy.  Operator,
comment and serial numbers stay inside the store: never in a log line, alert, error or metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from analyzers.numerics.kv_treatment import DepthDose
from analyzers.records import Identity

SESSION_GAP = timedelta(hours=4)
"""Rows of a unit further apart than this are of different sessions."""
LONGEST_SERIES = 100
FORMULA_STARTS = ("=", "+", "-", "@")


class CheckType(StrEnum):
    """What a row was measured for."""

    WARMUP = "warmup"
    DAILY = "daily"
    MONTHLY = "monthly"
    ANNUAL = "annual"
    ABSOLUTE = "absolute"
    APPLICATOR_FACTOR = "applicator_factor"
    TIMER = "timer"
    LINEARITY = "linearity"
    HVL = "hvl"
    REPRODUCIBILITY = "reproducibility"
    ANGLE = "angle"
    PDD = "pdd"
    PROFILE = "profile"


class Mode(StrEnum):
    """What ends the exposure."""

    TIMER = "timer"
    MU = "mu"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingGroup:
    """One row: readings of one set-up.  Fields are the columns of the schema, None where empty.

    `performed_at` is the column `datetime` and has an offset.  `timer_end_effect_s` is eps, the
    charge being proportional to t + eps.  `exposures` is the number of exposures of `timer_set_s`
    each that add up to a reading, `absorber_mm_al` what was put into the beam for a half-value
    layer, `head_angle_deg` the turn of the tube head.  `depth_mm` is below the surface,
    `position_mm` from the beam axis along `profile_axis`, x or y.
    """

    record_id: str
    unit_id: str
    unit_model: str
    performed_at: datetime
    check_type: CheckType
    operator: str = field(repr=False)
    kvp: float
    tube_current_ma: float | None = None
    filter_id: str
    hvl_mm_al: float | None = None
    hvl_mm_cu: float | None = None
    applicator_id: str
    applicator_diameter_cm: float | None = None
    applicator_x_cm: float | None = None
    applicator_y_cm: float | None = None
    ssd_cm: float
    timer_set_s: float
    timer_measured_s: float | None = None
    mode: Mode
    chamber_model: str
    chamber_sn: str = field(repr=False)
    electrometer_sn: str = field(repr=False)
    n_k_gy_per_c: float | None = None
    n_k_hvl_mm_al: float | None = None
    p_elec: float | None = None
    p_ion: float | None = None
    p_pol: float | None = None
    readings_nc: tuple[float, ...]
    bias_v: float | None = None
    temperature_c: float
    pressure_kpa: float
    t_ref_c: float
    p_ref_kpa: float | None = None
    timer_end_effect_s: float | None = None
    bsf: float | None = None
    mu_en_ratio: float | None = None
    stem_factor: float | None = None
    reference_output: float | None = None
    tolerance_pct: float | None = None
    action_pct: float | None = None
    absorber_mm_al: float | None = None
    exposures: float | None = None
    head_angle_deg: float | None = None
    depth_mm: float | None = None
    position_mm: float | None = None
    profile_axis: str | None = None
    comment: str | None = field(default=None, repr=False)

    @property
    def beam(self) -> str:
        """`70 kV F2 A30`: tube potential, filter and applicator, which never mix."""
        return f"{self.kvp:g} kV {self.filter_id} {self.applicator_id}"


@dataclass(frozen=True, slots=True)
class Signed:
    """What ratios of a session's rows are held against, by `ReadingGroup.beam`: the unit's own.

    `factors` are those of the applicators, of dose to water; `factors_in_air` the same of air
    kerma.  `hvl_mm_al` is as commissioned.  A beam of which nothing is signed is not there.
    """

    reference_applicator: str | None = None
    hvl_mm_al: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    factors_in_air: Mapping[str, float] = field(default_factory=dict)
    depth_doses: Mapping[str, DepthDose] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class OutputCheck:
    """One session on one unit: its rows in the order of time.

    `is_registered`: beams and instruments were held against what the clinic has registered.
    """

    rows: tuple[ReadingGroup, ...]
    warnings: tuple[str, ...] = ()
    identity: Identity = field(default_factory=Identity)
    not_judged: str | None = None
    machine_class: str = "srt"
    is_registered: bool = False
    signed: Signed = field(default_factory=Signed)

    @property
    def machine_serial(self) -> str:
        """What the file calls the unit."""
        return escaped(self.rows[0].unit_id)

    @property
    def machine_name(self) -> str:
        """The same: a clinic may write the unit's name or its serial number."""
        return self.machine_serial

    @property
    def performed_at(self) -> datetime:
        """When the session began, with the offset that the file says."""
        return self.rows[0].performed_at

    @property
    def last_at(self) -> datetime:
        """When its last row was measured."""
        return self.rows[-1].performed_at

    @property
    def energy(self) -> str | None:
        """The tube potential, where all rows have the same."""
        potentials = {row.kvp for row in self.rows}
        return f"{potentials.pop():g} kV" if len(potentials) == 1 else None

    @property
    def series(self) -> str:
        """Kinds and tube potentials: a check of 50 kV in order does not clear one of 70 kV."""
        kinds = "+".join(sorted({row.check_type.value for row in self.rows}))
        potentials = "+".join(f"{kvp:g}" for kvp in sorted({row.kvp for row in self.rows}))
        return f"{kinds} {potentials} kV"[:LONGEST_SERIES]


def sessions(
    rows: Iterable[ReadingGroup], warnings: Iterable[tuple[str, str]] = ()
) -> tuple[OutputCheck, ...]:
    """The rows of a file as sessions, the earliest first.

    A session is what was measured on one unit with no more than `SESSION_GAP` between a row and
    the next, whatever it was measured for.  `warnings` are remarks by `record_id`.
    """
    found: list[list[ReadingGroup]] = []
    latest: dict[str, list[ReadingGroup]] = {}
    for row in sorted(rows, key=lambda r: (r.performed_at, r.record_id)):
        current = latest.get(row.unit_id)
        if current is None or row.performed_at - current[-1].performed_at > SESSION_GAP:
            current = latest[row.unit_id] = []
            found.append(current)
        current.append(row)
    said = list(warnings)
    return tuple(_session(session, said) for session in found)


def _session(rows: list[ReadingGroup], said: list[tuple[str, str]]) -> OutputCheck:
    own = {row.record_id for row in rows}
    return OutputCheck(tuple(rows), tuple(text for record, text in said if record in own))


def escaped(text: str) -> str:
    """The text as it may be written for a spreadsheet: what looks like a formula is none there."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
