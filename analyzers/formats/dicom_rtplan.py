"""DICOM RT Plan (SOP class 1.2.840.10008.5.1.4.1.1.481.5): beams, control points, metersets.

PS3.3 A.20 and C.8.8.9 to C.8.8.14.  Bytes and values are checked in `analyzers.dicom`, control
points are read there.  A plan that contradicts itself is refused, never repaired; a beam that no
log can be held against (electrons, wedges, set-up fields) is kept and says why.  Checked on real
plans of two makers, with and without preamble.  Units: IEC 61217, mm, degrees, MU.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analyzers.core import Format, NamedFile, ReadError, TruncatedError
from analyzers.dicom import control_points as points_of
from analyzers.dicom import prescription
from analyzers.dicom.items import UNKNOWN, Item, Reading, last_tag, open_file
from analyzers.dicom.structure import EXPORT_AGAIN, sop_class
from analyzers.plan_records import (
    KEPT_FOR_MATCHING,
    Beam,
    FractionGroup,
    LimitingDevice,
    Plan,
    PlanIdentity,
    agreed_meterset_mu,
)

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.5"
CODES = "RTPLAN"
MOST_BEAMS = prescription.MOST_BEAMS
MOST_CONTROL_POINTS = 10_000
MOST_POSITIONS = 16_000_000  # 128 MiB: control points that inherit take no bytes in the file
MOST_MV = 50.0
MOST_DEVICES = 1000
SAD_MM = (500.0, 2000.0)
BEAM_SEQUENCE, STRUCTURE_SET = 0x300A00B0, 0x300C0060
TREATMENTS = ("TREATMENT", "CONTINUATION")
RADIATIONS = ("PHOTON", "ELECTRON", "NEUTRON", "PROTON", "ION")
APPROVALS = ("APPROVED", "UNAPPROVED", "REJECTED")
INTENTS = (  # PS3.3 C.8.8.9
    *("CURATIVE", "PALLIATIVE", "PROPHYLACTIC", "VERIFICATION"),
    *("MACHINE_QA", "RESEARCH", "SERVICE"),
)


def recognize(head: bytes) -> bool:
    """True for a file of this SOP class, with or without preamble, whatever its name."""
    return sop_class(head) == SOP_CLASS


def read(path: Path | str) -> Plan:
    """Read one plan.

    Every beam is there, in the file's order; each has the meterset on which all fraction groups
    agree, see `Plan.in_group`.  Raises `ReadError`, for a file that ends early `TruncatedError`.
    """
    root, reading = open_file(Path(path), CODES, SOP_CLASS)
    beam_items = root.items("BeamSequence", "beam", most=MOST_BEAMS)
    groups = prescription.fraction_groups(root)
    brachy = bool(root.items("ApplicationSetupSequence", "setup", most=MOST_BEAMS))
    if not beam_items and not brachy:
        raise _without_beams(root)
    numbers = _beam_numbers(beam_items)
    for group in groups:
        if not group.meterset_mu.keys() <= set(numbers):
            raise root.error("REFERENCE", "a fraction group names a beam that is not in the plan")
    _check_end(root)
    _check_extent(beam_items)
    beams = tuple(
        _beam(item, number, groups) for item, number in zip(beam_items, numbers, strict=True)
    )
    approval = _said(root, "ApprovalStatus", APPROVALS)
    return Plan(
        beams=beams,
        fraction_groups=groups,
        identity=_identity(root, beams),
        approval=approval,
        intent=_said(root, "PlanIntent", INTENTS),
        dose_references=prescription.dose_references(root),
        warnings=_warnings(reading, beams, groups, approval),
        not_judged=KEPT_FOR_MATCHING if beams else "a brachytherapy plan: it has no beams",
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> Plan:  # noqa: ARG001 - has none
    return read(file.path)


def _without_beams(root: Item) -> ReadError:
    """A file that was cut between two elements ends before its beams."""
    if last_tag(root) < BEAM_SEQUENCE:
        return TruncatedError(
            f"{CODES}_SHORT",
            f"the file ends before its beams; wait for the copy to end or {EXPORT_AGAIN}",
        )
    return root.error("BEAMS", "the plan holds no beam")


def _check_end(root: Item) -> None:
    """Refuse a plan on a patient that was cut between two elements after its beams.

    Nothing announces the end of a file; such a plan has to name its structure set there (PS3.3
    C.8.8.9).  A plan without patient need not hold anything after its beams.
    """
    if root.code("RTPlanGeometry") == "PATIENT" and last_tag(root) < STRUCTURE_SET:
        raise TruncatedError(
            f"{CODES}_SHORT",
            "the file ends before the structure set that a plan on a patient names; "
            f"wait for the copy to end or {EXPORT_AGAIN}",
        )


def _beam_numbers(items: Sequence[Item]) -> list[int]:
    numbers: list[int] = []
    for item in items:
        number = item.integer("BeamNumber")
        if number is None:
            raise item.missing("BeamNumber")
        numbers.append(number)
    if len(set(numbers)) < len(numbers):
        raise ReadError(
            f"{CODES}_DUPLICATE", f"two beams have the same beam number; {EXPORT_AGAIN}"
        )
    return numbers


def _check_extent(beams: Sequence[Item]) -> None:
    """Count what the arrays will hold before there are any."""
    positions = 0
    for beam in beams:
        points = len(beam.items("ControlPointSequence", "control point", most=MOST_CONTROL_POINTS))
        pairs = sum(device.pairs for device in points_of.devices(beam))
        positions += 2 * points * (pairs + 16)
        if positions > MOST_POSITIONS:
            raise beam.error("COUNTS", f"more than {MOST_POSITIONS} positions up to here")


def _beam(item: Item, number: int, groups: Sequence[FractionGroup]) -> Beam:
    delivery_type = item.code("TreatmentDeliveryType") or "TREATMENT"
    given = [group.meterset_mu.get(number) for group in groups]
    has_meterset = delivery_type in TREATMENTS and any(given)
    points = item.items("ControlPointSequence", "control point", most=MOST_CONTROL_POINTS)
    said = item.integer("NumberOfControlPoints")
    fewest = 2 if has_meterset else 1
    if said != len(points) or len(points) < fewest:
        raise item.error(
            "COUNTS", f"{len(points)} control points, {said} announced, {fewest} or more expected"
        )
    sad_mm = item.number("SourceAxisDistance")
    if sad_mm is None and has_meterset:
        raise item.missing("SourceAxisDistance")
    if sad_mm is not None and not SAD_MM[0] <= sad_mm <= SAD_MM[1]:
        raise item.error("RANGE", f"SourceAxisDistance {sad_mm:g} mm, 500 to 2000 expected")
    heads = points_of.devices(item)
    beam = Beam(
        number=number,
        beam_type=item.word("BeamType", ("STATIC", "DYNAMIC")),
        radiation_type=item.word("RadiationType", RADIATIONS),
        delivery_type=delivery_type,
        sad_mm=sad_mm,
        devices=tuple(LimitingDevice(d.kind, d.pairs, d.distance_mm) for d in heads),
        control_points=points_of.control_points(item, points, heads, has_meterset=has_meterset),
        name=item.text("BeamName"),
        machine_name=item.text("TreatmentMachineName"),
        fluence_mode=_fluence_mode(item),
        meterset_mu=agreed_meterset_mu(number, tuple(groups)),
    )
    return replace(beam, not_judged=_not_judged(item, points, beam, has_meterset=has_meterset))


def _said(item: Item, keyword: str, words: Sequence[str]) -> str | None:
    """As `Item.word`; None where nothing is said."""
    return None if item.code(keyword) is None else item.word(keyword, words)


def _fluence_mode(item: Item) -> str | None:
    modes = item.items("PrimaryFluenceModeSequence", "fluence mode", most=4)
    words = {mode.code("FluenceMode") for mode in modes}
    if not words <= {"STANDARD", "NON_STANDARD"} or len(words) > 1:
        return UNKNOWN
    if words != {"NON_STANDARD"}:
        return None
    mode = modes[0].text("FluenceModeID") or ""
    # Shown with the energy, so that nothing but a short word may stand there.
    return mode if re.fullmatch(r"[A-Za-z0-9_-]{1,16}", mode) else "NON_STANDARD"


def _not_judged(
    item: Item, points: Sequence[Item], beam: Beam, *, has_meterset: bool
) -> str | None:
    """Why no log can be held against this beam; None when one can."""
    if beam.delivery_type not in TREATMENTS:
        return "a set-up or imaging field, not a treatment"
    if not has_meterset:
        return "no fraction group gives this beam a meterset"
    if (item.code("PrimaryDosimeterUnit") or "MU") != "MU":
        return "its meterset is not in MU"
    if beam.radiation_type != "PHOTON":
        return "no photons: what shapes such a beam is not in the log"
    if UNKNOWN in (beam.beam_type, beam.radiation_type):
        return "neither static nor dynamic"
    if item.items("ApplicatorSequence", "applicator", most=100):
        return "an applicator shapes the beam, which is not in the log"
    for number, sequence, what in (
        ("NumberOfBlocks", "BlockSequence", "a block"),
        ("NumberOfCompensators", "CompensatorSequence", "a compensator"),
    ):
        if item.integer(number) or item.items(sequence, "device", most=MOST_DEVICES):
            return f"{what} shapes the beam, which is not in the log"
    if any(layer.along == "Y" for layer in beam.control_points.mlc):
        return "its leaves move along Y, which no log read here has"
    return _wedge(item, points) or _energy(beam)


def _energy(beam: Beam) -> str | None:
    """Why the energy, or what it is filtered with, is not known."""
    energy_mv = beam.control_points.energy_mv
    if not np.isfinite(energy_mv).all():
        return "its energy is not given"
    if np.ptp(energy_mv) > 0.0:
        return "its energy changes within the beam"
    if not 0.0 < energy_mv[0] <= MOST_MV:
        return f"its energy is not above 0 and at most {MOST_MV:g} MV"
    if beam.fluence_mode == UNKNOWN:
        return "its fluence mode is neither standard nor non-standard"
    return None


def _wedge(item: Item, points: Sequence[Item]) -> str | None:
    """A wedge matters unless every control point says that it is out."""
    wedges = item.items("WedgeSequence", "wedge", most=100)
    out = {
        position.code("WedgePosition") == "OUT"
        for point in points
        for position in point.items("WedgePositionSequence", "wedge", most=100)
    }
    if not item.integer("NumberOfWedges") and not wedges and False not in out:
        return None
    kinds = {
        "STANDARD": "a physical wedge is in the beam, which is not in the log",
        "MOTORIZED": "a motorized wedge is in the beam, which is not in the log",
        "DYNAMIC": "a dynamic wedge: its jaw motion is not in the plan",
    }
    if out == {True} and points[0].items("WedgePositionSequence", "wedge", most=100):
        return None
    kind = wedges[0].code("WedgeType") if wedges else None
    return kinds.get(kind or "", "a wedge is in the beam, which is not in the log")


def _identity(root: Item, beams: Sequence[Beam]) -> PlanIdentity:
    earlier = [
        item.code("ReferencedSOPInstanceUID")
        for item in root.items("ReferencedRTPlanSequence", "plan reference", most=100)
    ]
    uid = root.code("SOPInstanceUID")
    if uid is None:
        raise root.missing("SOPInstanceUID")
    return PlanIdentity(
        patient_id=root.text("PatientID"),
        plan_label=root.text("RTPlanLabel"),
        plan_name=root.text("RTPlanName"),
        plan_uid=uid,
        plan_date=root.code("RTPlanDate"),
        beam_names=tuple(beam.name or "" for beam in beams),
        earlier_plan_uids=tuple(filter(None, earlier)),
    )


def _warnings(
    reading: Reading,
    beams: Sequence[Beam],
    groups: Sequence[FractionGroup],
    approval: str | None,
) -> tuple[str, ...]:
    """What a reader of the plan should know; beams are told by their place in the file."""
    if approval not in ("APPROVED", None):
        reading.warn(f"the plan is not approved: its status is {approval}")
    for place, beam in enumerate(beams, start=1):
        given = [g.meterset_mu.get(beam.number) for g in groups]
        if beam.meterset_mu is None and any(given):
            reading.warn(
                f"beam {place} has another meterset in each fraction group: one is to be chosen"
            )
        if beam.not_judged is not None:
            reading.warn(f"beam {place} is not judged: {beam.not_judged}")
    return tuple(reading.warnings)


FORMAT = Format(
    name="dicom-rtplan",
    yields=Plan,
    recognize=recognize,
    read=_read,
    machine_class="",  # a plan is of no machine
)
