"""Write DICOM RT Beams Treatment Records of simulated deliveries.  Patients are invented."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from analyzers.records import Identity
from qa_daemon.simulate.dicom_file import ROOT, decimal, new_object, write_object
from qa_daemon.simulate.trajectory_log import IDENTITY, PERFORMED_AT

KIND = "dicom-rtrecord"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.4"
TERMINATIONS = ("NORMAL", "OPERATOR", "MACHINE", "UNKNOWN")
VERIFICATIONS = ("VERIFIED", "VERIFIED_OVR", "NOT_VERIFIED")


def write_rtrecord(
    path: Path,
    beams: list[tuple[str, float, float]],
    *,
    identity: Identity = IDENTITY,
    uid: str = f"{ROOT}.4",
    fraction: int = 1,
    termination: str = "NORMAL",
    verification: str = "VERIFIED",
    points: int = 2,
    performed_at: datetime = PERFORMED_AT,
    machine_serial: str = "1234",
    preamble: bool = True,
    explicit: bool = False,
) -> None:
    """Write one session's record of the plan and patient that `identity` names.

    `beams` are (name, specified MU, delivered MU), numbered from 1; the delivered meterset is
    spread evenly over `points` control points, one second apart.
    """
    from pydicom.dataset import Dataset

    data = new_object(SOP_CLASS, uid, "RTRECORD", identity.patient_id or "")
    data.TreatmentDate = f"{performed_at:%Y%m%d}"
    data.TreatmentTime = f"{performed_at:%H%M%S}"
    plan, machine = Dataset(), Dataset()
    plan.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.5"
    plan.ReferencedSOPInstanceUID = identity.plan_uid
    machine.TreatmentMachineName, machine.DeviceSerialNumber = "SIM", machine_serial
    data.ReferencedRTPlanSequence, data.TreatmentMachineSequence = [plan], [machine]
    data.ReferencedFractionGroupNumber, data.NumberOfFractionsPlanned = 1, 5
    data.PrimaryDosimeterUnit = "MU"
    session = []
    for number, (name, specified_mu, delivered_mu) in enumerate(beams, start=1):
        beam = Dataset()
        beam.ReferencedBeamNumber, beam.BeamName = number, name
        beam.RadiationType, beam.TreatmentDeliveryType = "PHOTON", "TREATMENT"
        beam.CurrentFractionNumber = fraction
        beam.TreatmentTerminationStatus = termination
        beam.TreatmentVerificationStatus = verification
        beam.SpecifiedPrimaryMeterset = decimal(specified_mu)
        beam.DeliveredPrimaryMeterset = decimal(delivered_mu)
        beam.NumberOfControlPoints = points
        beam.ControlPointDeliverySequence = []
        for k, share in enumerate(np.linspace(0.0, 1.0, points)):
            point, at = Dataset(), performed_at + timedelta(seconds=k)
            point.ReferencedControlPointIndex = k
            point.TreatmentControlPointDate = f"{at:%Y%m%d}"
            point.TreatmentControlPointTime = f"{at:%H%M%S}"
            point.SpecifiedMeterset = decimal(share * specified_mu)
            point.DeliveredMeterset = decimal(share * delivered_mu)
            beam.ControlPointDeliverySequence.append(point)
        session.append(beam)
    data.TreatmentSessionBeamSequence = session
    write_object(path, data, preamble=preamble, explicit=explicit)


def simulate(
    out: Path,
    *,
    mu: float = 200.0,
    delivered_mu: float | None = None,
    fraction: int = 1,
    termination: str = "NORMAL",
    verification: str = "VERIFIED",
) -> Path:
    """Write the record of a simulated log's beam and return its path; `out` is a file or a folder.

    Raises ValueError for a status the standard does not have, or a negative meterset.
    """
    if termination not in TERMINATIONS:
        raise ValueError(f"termination {termination!r}: one of {', '.join(TERMINATIONS)} expected")
    if verification not in VERIFICATIONS:
        raise ValueError(
            f"verification {verification!r}: one of {', '.join(VERIFICATIONS)} expected"
        )
    delivered = float(mu) if delivered_mu is None else float(delivered_mu)
    if min(float(mu), delivered) < 0.0:
        raise ValueError("a meterset is 0 MU or more")
    path = out / "RT.dcm" if out.is_dir() else out
    write_rtrecord(
        path,
        [("Arc", float(mu), delivered)],
        fraction=int(fraction),
        termination=termination,
        verification=verification,
    )
    return path
