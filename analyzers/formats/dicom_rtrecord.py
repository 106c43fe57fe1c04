"""DICOM RT Beams Treatment Record (SOP class 1.2.840.10008.5.1.4.1.1.481.4).

PS3.3 A.29 and C.8.8.21.  Meterset, termination, verification and times of each beam, and the plan
they were of.  A record that names neither a patient nor a plan is refused; one that lacks one of
them is read with a warning.  Nothing announces the end of a file: the reference to a plan, which
may be empty but not absent and comes after all that is read here but the fraction group, shows that
it was not cut between two elements before.  Metersets in MU, times local.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.core import Format, NamedFile, ReadError, TruncatedError
from analyzers.dicom.items import Item, last_tag, open_file
from analyzers.dicom.structure import EXPORT_AGAIN, sop_class
from analyzers.treatment_records import RecordIdentity, TreatedBeam, TreatmentRecord

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.4"
CODES = "RTRECORD"
SESSION_BEAMS, PLAN_REFERENCE = 0x30080020, 0x300C0002
MOST_BEAMS = 500
MOST_CONTROL_POINTS = 10_000
MOST_FRACTIONS = 1000
MOST_MU = 1e6
ROUNDED_MU = 1.0
"""Systems round what they record, to whole MU at most."""
ONE_SESSION = timedelta(days=1)
TERMINATIONS = ("NORMAL", "OPERATOR", "MACHINE", "UNKNOWN")
VERIFICATIONS = ("VERIFIED", "VERIFIED_OVR", "NOT_VERIFIED")
DELIVERIES = (
    "TREATMENT",
    "CONTINUATION",
    "OPEN_PORTFILM",
    "TRMT_PORTFILM",
    "SETUP",
)


def recognize(head: bytes) -> bool:
    """True for a file of this SOP class, with or without preamble, whatever its name."""
    return sop_class(head) == SOP_CLASS


def read(path: Path | str) -> TreatmentRecord:
    """Read one record.  Raises `ReadError`, for a file that ends early `TruncatedError`."""
    root, reading = open_file(Path(path), CODES, SOP_CLASS)
    items = root.items("TreatmentSessionBeamSequence", "beam", most=MOST_BEAMS)
    if not items:
        raise _without_beams(root)
    if last_tag(root) < PLAN_REFERENCE:
        raise TruncatedError(
            f"{CODES}_SHORT",
            "the file ends before the reference to a plan, which may be empty but not absent; "
            f"wait for the copy to end or {EXPORT_AGAIN}",
        )
    unit = root.code("PrimaryDosimeterUnit")
    beams = tuple(_beam(item, item.code("PrimaryDosimeterUnit") or unit) for item in items)
    _check_repeats(items, beams)
    performed_at = root.moment("TreatmentDate", "TreatmentTime")
    if performed_at is not None and _on_another_day(performed_at, beams):
        reading.warn("the control points' times are more than a day off the treatment's")
    identity = _identity(root, beams)
    if identity.patient_id is None or identity.plan_uid is None:
        lacking = "patient" if identity.patient_id is None else "plan"
        reading.warn(f"the record does not say of which {lacking} it is")
    machine = next(iter(root.items("TreatmentMachineSequence", "machine", most=10)), None)
    return TreatmentRecord(
        beams=beams,
        performed_at=performed_at,
        fraction_group=root.count("ReferencedFractionGroupNumber", most=MOST_FRACTIONS),
        fractions_planned=root.count("NumberOfFractionsPlanned", most=MOST_FRACTIONS),
        machine_name=machine.text("TreatmentMachineName") if machine else None,
        machine_serial=machine.text("DeviceSerialNumber") if machine else None,
        identity=identity,
        warnings=tuple(reading.warnings),
    )


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> TreatmentRecord:  # noqa: ARG001
    return read(file.path)


def _without_beams(root: Item) -> ReadError:
    """A file that was cut between two elements ends before its beams."""
    if last_tag(root) < SESSION_BEAMS:
        return TruncatedError(
            f"{CODES}_SHORT",
            f"the file ends before its beams; wait for the copy to end or {EXPORT_AGAIN}",
        )
    return root.error("BEAMS", "the record holds no beam")


def _identity(root: Item, beams: Sequence[TreatedBeam]) -> RecordIdentity:
    plans = root.items("ReferencedRTPlanSequence", "plan reference", most=10)
    if len(plans) > 1:
        raise root.error("REFERENCE", f"{len(plans)} plans are referred to, one expected")
    identity = RecordIdentity(
        patient_id=root.text("PatientID"),
        plan_uid=plans[0].code("ReferencedSOPInstanceUID") if plans else None,
        beam_names=tuple(beam.name or "" for beam in beams),
    )
    if identity.patient_id is None and identity.plan_uid is None:
        raise root.error("REFERENCE", "the record names neither a patient nor a plan")
    return identity


def _check_repeats(items: Sequence[Item], beams: Sequence[TreatedBeam]) -> None:
    """Refuse a beam that stands there twice with the same times: it was not resumed, but copied."""
    seen = set()
    for item, beam in zip(items, beams, strict=True):
        if not any(beam.control_point_times):
            continue
        told = beam.number, beam.delivered_mu, beam.control_point_times
        if told in seen:
            raise item.error("DUPLICATE", "a beam stands there twice with the same times")
        seen.add(told)


def _on_another_day(performed_at: datetime, beams: Sequence[TreatedBeam]) -> bool:
    times = [at for beam in beams for at in beam.control_point_times if at is not None]
    return any(abs(at - performed_at) > ONE_SESSION for at in times)


def _word(item: Item, keyword: str, words: Sequence[str]) -> str | None:
    """One of the standard's words; None, with a warning where there is another."""
    word = item.code(keyword)
    if word is not None and word not in words:
        item.reading.warn(f"{item.place}: {keyword} is none of the standard's words")
        return None
    return word


def _beam(item: Item, unit: str | None) -> TreatedBeam:
    if item.code("TreatmentTerminationStatus") is None:
        raise item.missing("TreatmentTerminationStatus")
    delivery_type = item.code("TreatmentDeliveryType") or "TREATMENT"
    points = item.items("ControlPointDeliverySequence", "control point", most=MOST_CONTROL_POINTS)
    said = item.integer("NumberOfControlPoints")
    if said is not None and said != len(points):
        raise item.error("COUNTS", f"{len(points)} control points, {said} announced")
    delivered_mu = _metersets(points, "DeliveredMeterset")
    total_mu = _meterset(item, "DeliveredPrimaryMeterset")
    return TreatedBeam(
        number=item.integer("ReferencedBeamNumber"),
        termination=_word(item, "TreatmentTerminationStatus", TERMINATIONS) or "UNKNOWN",
        fraction_number=item.count("CurrentFractionNumber", most=MOST_FRACTIONS),
        verification=_word(item, "TreatmentVerificationStatus", VERIFICATIONS),
        specified_mu=_meterset(item, "SpecifiedPrimaryMeterset"),
        delivered_mu=_delivered(total_mu, delivered_mu),
        control_point_specified_mu=_metersets(points, "SpecifiedMeterset"),
        control_point_delivered_mu=delivered_mu,
        control_point_times=tuple(
            p.moment("TreatmentControlPointDate", "TreatmentControlPointTime") for p in points
        ),
        delivery_type=delivery_type if delivery_type in DELIVERIES else "UNKNOWN",
        name=item.text("BeamName"),
        not_judged=_not_judged(delivery_type, unit) or _contradiction(total_mu, delivered_mu),
    )


def _delivered(total_mu: float | None, at_points_mu: NDArray[np.float64]) -> float | None:
    """The delivered meterset; the last control point's where the beam itself gives none."""
    if total_mu is None and at_points_mu.size and np.isfinite(at_points_mu[-1]):
        return float(at_points_mu[-1])
    return total_mu


def _contradiction(total_mu: float | None, at_points_mu: NDArray[np.float64]) -> str | None:
    """Why the delivered metersets cannot all be true; None where they can."""
    known_mu = at_points_mu[np.isfinite(at_points_mu)]
    if (np.diff(known_mu) < 0.0).any():
        return "the meterset falls from one of its control points to the next"
    if known_mu.size and total_mu is not None and abs(known_mu[-1] - total_mu) > ROUNDED_MU:
        return "its meterset is not that of its last control point"
    return None


def _metersets(points: Sequence[Item], keyword: str) -> NDArray[np.float64]:
    given = [_meterset(point, keyword) for point in points]
    return np.array([np.nan if mu is None else mu for mu in given], dtype=np.float64)


def _meterset(item: Item, keyword: str) -> float | None:
    meterset_mu = item.number(keyword)
    if meterset_mu is not None and not 0.0 <= meterset_mu <= MOST_MU:
        raise item.error("METERSET", f"{keyword} is {meterset_mu:g}, 0 to {MOST_MU:g} expected")
    return meterset_mu


def _not_judged(delivery_type: str, unit: str | None) -> str | None:
    """Why this beam's meterset cannot be held against a log; None when it can."""
    if delivery_type not in ("TREATMENT", "CONTINUATION"):
        return "a set-up or imaging field, not a treatment"
    if unit not in (None, "MU"):
        return "its meterset is not in MU"
    return None


FORMAT = Format(
    name="dicom-rtrecord",
    yields=TreatmentRecord,
    recognize=recognize,
    read=_read,
    machine_class="",  # the record-and-verify system writes it, for any machine
)
