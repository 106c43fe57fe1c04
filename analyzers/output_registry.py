"""What a clinic knows of a kV unit, and an output check held against it.

Beams, applicators and instruments are those of the site file, baselines those that a physicist
signed.  All of it is one unit's and never another's: units of one model differ by 2 to 9 % (Sheu et
al., J Appl Clin Med Phys 16(2), 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from analyzers.core import ReadError
from analyzers.output_checks import CheckType, OutputCheck, ReadingGroup
from analyzers.srt_tables import UnitTable

ABSOLUTE = (CheckType.ABSOLUTE, CheckType.ANNUAL)
TRACEABLE = (*ABSOLUTE, CheckType.MONTHLY, CheckType.HVL)
"""Checks that say nothing with an instrument whose calibration has run out."""
SAME_CM = 0.051
SAME_C = 0.05
SAME_KPA = 0.005
SAME_FACTOR = 0.001
APART_PERCENT = 0.5
"""A reference in the file that differs from the signed baseline by more is worth a remark."""


@dataclass(frozen=True, slots=True)
class RegisteredBeam:
    """A tube potential and the filter that goes with it."""

    kvp: float
    filter_id: str
    hvl_mm_al: float | None = None
    """As commissioned."""


@dataclass(frozen=True, slots=True)
class RegisteredApplicator:
    """An applicator, its size and the distance that it sets, in cm."""

    id: str
    ssd_cm: float
    diameter_cm: float | None = None
    x_cm: float | None = None
    y_cm: float | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """An instrument's calibration: in force from one day until before another."""

    kind: str
    serial: str
    calibrated: date
    expires: date
    t_ref_c: float | None = None
    p_ref_kpa: float | None = None
    n_k_gy_per_c: tuple[float, float] | None = None
    """The smallest and the largest factor of a chamber's certificate."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The output that a beam's checks are held against from an instant on.

    `gy_per_min` None: withdrawn.  Of one instant the last in a list counts.
    """

    beam: str
    to_water: bool
    since: datetime
    gy_per_min: float | None


@dataclass(frozen=True, slots=True)
class RegisteredUnit:
    """A unit of the clinic; of beams, applicators and certificates, none may be registered."""

    names: tuple[str, ...]
    beams: tuple[RegisteredBeam, ...] = ()
    applicators: tuple[RegisteredApplicator, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    reference_applicator: str | None = None
    """The applicator of the output checks, to which applicator factors refer."""
    tables: tuple[UnitTable, ...] = ()
    """Signed ones, of any day; a check takes those that count on its own."""


def unit_of(check: OutputCheck, units: Sequence[RegisteredUnit]) -> RegisteredUnit | None:
    """The unit that a check names; None where it is none of them, or two are called so."""
    called = check.rows[0].unit_id.strip().casefold()
    found = [u for u in units if called in {name.strip().casefold() for name in u.names}]
    return found[0] if len(found) == 1 else None


def against(check: OutputCheck, unit: RegisteredUnit) -> OutputCheck:
    """The check with the unit's baselines as references, and remarks on what is not registered.

    Filters and applicators are called as they are registered: `f2` is no beam beside `F2`.  A
    signed baseline goes before a reference that a row states.  Raises `ReadError`: SRT_ENERGY for a
    beam or applicator that the unit has not, SRT_CAL for a calibration that does not hold.
    """
    remarks: list[str] = []
    rows = []
    for number, row in enumerate(check.rows, 1):
        where = f"row {number} of the session"
        _check_beam(row, unit, where)
        _check_applicator(row, unit, where)
        remarks += _check_certificates(row, unit, where)
        referred, remark = _with_baseline(_as_registered(row, unit), unit, where)
        rows.append(referred)
        remarks += [remark] if remark else []
    kept = (*check.warnings, *dict.fromkeys(remarks))
    is_checked = bool(unit.beams and unit.certificates)
    return replace(check, rows=tuple(rows), warnings=kept, is_registered=is_checked)


def baseline_of(
    baselines: Sequence[Baseline], beam: str, at: datetime, *, to_water: bool
) -> Baseline | None:
    """The baseline in force for a beam at an instant; None: there is none, or it was withdrawn."""
    found: Baseline | None = None
    for each in baselines:
        is_same = each.beam.casefold() == beam.casefold() and each.to_water is to_water
        fits = is_same and each.since <= at
        if fits and (found is None or each.since >= found.since):
            found = each
    return found if found is not None and found.gy_per_min is not None else None


def _as_registered(row: ReadingGroup, unit: RegisteredUnit) -> ReadingGroup:
    """The row with its filter and applicator as the site file writes them, where it has them."""
    return replace(
        row,
        filter_id=_as_listed(row.filter_id, [b.filter_id for b in unit.beams if b.kvp == row.kvp]),
        applicator_id=_as_listed(row.applicator_id, [a.id for a in unit.applicators]),
    )


def _as_listed(told: str, listed: Sequence[str]) -> str:
    alike = [name for name in listed if name.casefold() == told.casefold()]
    return told if told in alike or not alike else alike[0]


def _check_beam(row: ReadingGroup, unit: RegisteredUnit, where: str) -> None:
    pairs = [(beam.kvp, beam.filter_id.casefold()) for beam in unit.beams]
    if pairs and (row.kvp, row.filter_id.casefold()) not in pairs:
        of_kvp = [beam.filter_id for beam in unit.beams if beam.kvp == row.kvp]
        has = f"has filter {', '.join(of_kvp)}" if of_kvp else "is none of this unit's potentials"
        raise ReadError(
            "SRT_ENERGY",
            f"{where}: kvp and filter_id are no beam of this unit ({row.kvp:g} kV {has}); correct "
            "the row, or register the beam in the site file",
        )


def _check_applicator(row: ReadingGroup, unit: RegisteredUnit, where: str) -> None:
    if not unit.applicators:
        return
    found = [a for a in unit.applicators if a.id.casefold() == row.applicator_id.casefold()]
    if not found:
        raise ReadError(
            "SRT_ENERGY",
            f"{where}: applicator_id is no applicator of this unit; correct the row, or register "
            "the applicator in the site file",
        )
    sizes = (
        ("applicator_diameter_cm", row.applicator_diameter_cm, found[0].diameter_cm),
        ("applicator_x_cm", row.applicator_x_cm, found[0].x_cm),
        ("applicator_y_cm", row.applicator_y_cm, found[0].y_cm),
        ("ssd_cm", row.ssd_cm, found[0].ssd_cm),
    )
    for name, told, known in sizes:
        if (told is None) != (known is None) or (
            told is not None and known is not None and abs(told - known) > SAME_CM
        ):
            raise ReadError(
                "SRT_ENERGY",
                f"{where}, {name}: this is not the applicator's as it is registered; another "
                "applicator may have been mounted: measure again, or correct the site file",
            )


def _check_certificates(row: ReadingGroup, unit: RegisteredUnit, where: str) -> list[str]:
    """Remarks; what a check of that kind cannot be made with is refused.

    An absolute output needs a certificate that is known and holds; a monthly check and a half-value
    layer are refused where it has run out.
    """
    remarks = []
    for kind, serial in (("chamber", row.chamber_sn), ("electrometer", row.electrometer_sn)):
        known = [c for c in unit.certificates if c.kind == kind]
        if not known:
            continue
        found = [c for c in known if c.serial.casefold() == serial.casefold()]
        on = row.performed_at.date()
        needing = TRACEABLE if found and on >= found[0].expires else ABSOLUTE
        fault = None
        if not found:
            fault = f"this {kind} is not registered in the site file"
        elif not found[0].calibrated <= on < found[0].expires:
            fault = f"the calibration of this {kind} was not in force on that day"
        elif kind == "chamber" and not _is_of_certificate(row.n_k_gy_per_c, found[0]):
            fault = "n_k_gy_per_c is no calibration factor of the certificate of this chamber"
        if fault and row.check_type in needing:
            raise ReadError(
                "SRT_CAL",
                f"{where}: {fault}, and a check of kind {row.check_type.value} needs one that "
                "holds; use another, or enter its certificate in the site file",
            )
        remarks += [f"{fault}"] if fault else []
        if found and kind == "chamber":
            _check_reference(row, found[0], where)
    return remarks


def _is_of_certificate(told: float | None, chamber: Certificate) -> bool:
    if told is None or chamber.n_k_gy_per_c is None:
        return True
    low, high = chamber.n_k_gy_per_c
    return low * (1.0 - SAME_FACTOR) <= told <= high * (1.0 + SAME_FACTOR)


def _check_reference(row: ReadingGroup, chamber: Certificate, where: str) -> None:
    """20 and 22 degrees differ by 0.7 %: the certificate's own is the only right one."""
    for name, told, known, same in (
        ("t_ref_c", row.t_ref_c, chamber.t_ref_c, SAME_C),
        ("p_ref_kpa", row.p_ref_kpa, chamber.p_ref_kpa, SAME_KPA),
    ):
        if told is not None and known is not None and abs(told - known) > same:
            raise ReadError(
                "SRT_CAL",
                f"{where}, {name}: {told:g}, and the certificate of this chamber says {known:g}; "
                "correct the row",
            )


def _with_baseline(
    row: ReadingGroup, unit: RegisteredUnit, where: str
) -> tuple[ReadingGroup, str | None]:
    to_water = row.bsf is not None and row.mu_en_ratio is not None
    signed = baseline_of(unit.baselines, row.beam, row.performed_at, to_water=to_water)
    if signed is None or signed.gy_per_min is None:
        return row, None
    told, known = row.reference_output, signed.gy_per_min
    remark = None
    if told is not None and abs(told / known - 1.0) * 100.0 > APART_PERCENT:
        remark = (
            f"{where}, reference_output: {told:g}, and the signed baseline of this beam is "
            f"{known:.4g} Gy/min: the baseline was taken"
        )
    return replace(row, reference_output=known), remark
