"""Write DICOM RT Plans: the plans that simulated logs deliver, and the kinds no log can show.

A plan written with the identity of a log (`trajectory_log.IDENTITY`) and the same shapes is that
log's plan: same UID, metersets, control points.  Patients and plans are invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.records import Identity
from qa_daemon.simulate.dicom_file import ROOT, decimal, decimals, new_object, write_object
from qa_daemon.simulate.options import is_on, known
from qa_daemon.simulate.plan_shapes import FIELDS, Array, Beam, Plan
from qa_daemon.simulate.trajectory_log import IDENTITY
from qa_daemon.simulate.trajectory_log_bytes import MODEL_CODES

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KIND = "dicom-rtplan"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.5"
WEDGES = {
    "none": None,
    "physical": "STANDARD",
    "motorized": "MOTORIZED",
    "dynamic": "DYNAMIC",
}
RADIATIONS = {"photon": "PHOTON", "electron": "ELECTRON"}


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a plan says beyond its shapes.

    `group_mu` gives further fraction groups, each with its meterset for every beam in MU.
    """

    fff: bool = False
    wedge: str = "none"
    radiation: str = "photon"
    set_up_beam: bool = False
    group_mu: tuple[float, ...] = ()
    fractions: int = 5
    machine: str = "SIM"
    symmetric_y: bool = False
    approval: str = "APPROVED"


def write_rtplan(
    path: Path,
    plan: Plan,
    identity: Identity = IDENTITY,
    options: PlanOptions | None = None,
    *,
    preamble: bool = True,
    explicit: bool = False,
) -> None:
    """Write one plan; beams are numbered from 1 in the order of delivery."""
    data = dataset(plan, identity, options or PlanOptions())
    write_object(path, data, preamble=preamble, explicit=explicit)


def dataset(plan: Plan, identity: Identity, options: PlanOptions) -> Dataset:
    """The plan as a pydicom data set."""
    data = new_object(
        SOP_CLASS, identity.plan_uid or f"{ROOT}.1", "RTPLAN", identity.patient_id or ""
    )
    data.RTPlanLabel = identity.plan_label or "Simulated"
    data.RTPlanName = identity.plan_label or "Simulated"
    data.RTPlanDate, data.RTPlanTime = "20260105", "070000"
    data.RTPlanGeometry = "TREATMENT_DEVICE"
    beams = [_beam(plan, beam, number, options) for number, beam in enumerate(plan.beams, start=1)]
    if options.set_up_beam:
        beams.append(_set_up(plan, len(beams) + 1, options))
    metersets = [float(beam.meterset_mu[-1]) for beam in plan.beams]
    groups = [metersets, *([mu] * len(metersets) for mu in options.group_mu)]
    data.FractionGroupSequence = [
        _group(number, metersets, options) for number, metersets in enumerate(groups, start=1)
    ]
    data.BeamSequence = beams
    data.ApprovalStatus = options.approval
    return data


def _group(number: int, metersets: Sequence[float], options: PlanOptions) -> Dataset:
    group = _item(FractionGroupNumber=number, NumberOfFractionsPlanned=options.fractions)
    group.NumberOfBeams, group.NumberOfBrachyApplicationSetups = len(metersets), 0
    group.ReferencedBeamSequence = [
        _item(BeamMeterset=decimal(mu), ReferencedBeamNumber=beam)
        for beam, mu in enumerate(metersets, start=1)
    ]
    return group


def _beam(plan: Plan, beam: Beam, number: int, options: PlanOptions) -> Dataset:
    item = _item(
        BeamNumber=number,
        BeamName=beam.name,
        BeamType="STATIC" if _is_static(beam) else "DYNAMIC",
        RadiationType=RADIATIONS[options.radiation],
        TreatmentMachineName=options.machine,
        PrimaryDosimeterUnit="MU",
        SourceAxisDistance="1000",
        TreatmentDeliveryType="TREATMENT",
        NumberOfWedges=0 if options.wedge == "none" else 1,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        FinalCumulativeMetersetWeight="1",
        NumberOfControlPoints=len(beam.meterset_mu),
    )
    mode = {"FluenceMode": "NON_STANDARD", "FluenceModeID": "FFF"}
    item.PrimaryFluenceModeSequence = [
        _item(**(mode if options.fff else {"FluenceMode": "STANDARD"}))
    ]
    if options.wedge != "none":
        item.WedgeSequence = [_item(WedgeNumber=1, WedgeType=WEDGES[options.wedge])]
    if options.radiation == "electron":
        item.ApplicatorSequence = [_item(ApplicatorID="A10", ApplicatorType="ELECTRON_SQUARE")]
    item.BeamLimitingDeviceSequence = _devices(plan, beam, options)
    item.ControlPointSequence = [
        _control_point(plan, beam, k, options) for k in range(len(beam.meterset_mu))
    ]
    return item


def _set_up(plan: Plan, number: int, options: PlanOptions) -> Dataset:
    """A set-up field: the first beam's first shape, without a meterset."""
    first = plan.beams[0]
    still = replace(
        first,
        name="Setup",
        meterset_mu=np.array([0.0, 1.0]),
        gantry_deg=first.gantry_deg[[0, 0]],
        collimator_deg=first.collimator_deg[[0, 0]],
        jaws_mm=None if first.jaws_mm is None else first.jaws_mm[[0, 0]],
        bank_a_mm=tuple(layer[[0, 0]] for layer in first.bank_a_mm),
        bank_b_mm=tuple(layer[[0, 0]] for layer in first.bank_b_mm),
    )
    item = _beam(plan, still, number, options)
    item.TreatmentDeliveryType = "SETUP"
    item.FinalCumulativeMetersetWeight = "0"
    for point in item.ControlPointSequence:
        point.CumulativeMetersetWeight = "0"
    return item


def _is_static(beam: Beam) -> bool:
    changing = [beam.gantry_deg, beam.collimator_deg, *beam.bank_a_mm, *beam.bank_b_mm]
    return not any(np.ptp(values, axis=0).any() for values in changing)


def _devices(plan: Plan, beam: Beam, options: PlanOptions) -> list[Dataset]:
    devices = []
    if beam.jaws_mm is not None:
        devices += [
            _item(RTBeamLimitingDeviceType=kind, NumberOfLeafJawPairs=1)
            for kind in ("ASYMX", _y_jaws(options))
        ]
    for kind, edges_mm in _layers(plan):
        device = _item(RTBeamLimitingDeviceType=kind, NumberOfLeafJawPairs=len(edges_mm) - 1)
        device.LeafPositionBoundaries = decimals(edges_mm)
        devices.append(device)
    return devices


def _y_jaws(options: PlanOptions) -> str:
    return "Y" if options.symmetric_y else "ASYMY"


def _layers(plan: Plan) -> list[tuple[str, Array]]:
    """Each layer's DICOM name; MLCX1 is the one of fewer pairs."""
    layers = LEAF_EDGES_MM[plan.mlc_model]
    names = ["MLCX"] if len(layers) == 1 else ["MLCX1", "MLCX2"]
    return list(zip(names, (np.asarray(edges) for edges in layers.values()), strict=True))


def _control_point(plan: Plan, beam: Beam, k: int, options: PlanOptions) -> Dataset:
    """Control point 0 says everything, later ones what has changed."""
    point = _item(ControlPointIndex=k)
    if k == 0:
        point.NominalBeamEnergy = decimal(float(plan.energy.rstrip("xXeE")))
        point.DoseRateSet = decimal(plan.dose_rate_mu_per_min)
        point.PatientSupportAngle, point.PatientSupportRotationDirection = "0", "NONE"
        point.TableTopEccentricAngle, point.TableTopEccentricRotationDirection = "0", "NONE"
        point.IsocenterPosition = ["0", "0", "0"]
        if options.wedge != "none":
            point.WedgePositionSequence = [_item(ReferencedWedgeNumber=1, WedgePosition="IN")]
    positions = _changed(plan, beam, k, options)
    if positions:
        point.BeamLimitingDevicePositionSequence = positions
    last = k == len(beam.meterset_mu) - 1
    for keyword, direction, angles_deg, rising in (
        ("GantryAngle", "GantryRotationDirection", beam.gantry_deg, "CW"),
        # Seen from the source, where the IEC angle rises counter-clockwise.
        (
            "BeamLimitingDeviceAngle",
            "BeamLimitingDeviceRotationDirection",
            beam.collimator_deg,
            "CC",
        ),
    ):
        if k == 0 or np.ptp(angles_deg):
            step_deg = 0.0 if last else float(angles_deg[k + 1] - angles_deg[k])
            falling = {"CW": "CC", "CC": "CW"}[rising]
            setattr(point, keyword, decimal(float(np.mod(angles_deg[k], 360.0))))
            word = "NONE" if step_deg == 0.0 else rising if step_deg > 0.0 else falling
            setattr(point, direction, word)
    share = beam.meterset_mu[k] / beam.meterset_mu[-1]
    # As many digits as a DS may have.
    point.CumulativeMetersetWeight = f"{share:.14f}"
    return point


def _changed(plan: Plan, beam: Beam, k: int, options: PlanOptions) -> list[Dataset]:
    tables: list[tuple[str, Array]] = []
    if beam.jaws_mm is not None:
        tables.append(("ASYMX", beam.jaws_mm[:, :2]))
        tables.append((_y_jaws(options), beam.jaws_mm[:, 2:]))
    for (kind, _), bank_a_mm, bank_b_mm in zip(
        _layers(plan), beam.bank_a_mm, beam.bank_b_mm, strict=True
    ):
        tables.append((kind, np.hstack([bank_b_mm, bank_a_mm])))
    return [
        _item(RTBeamLimitingDeviceType=kind, LeafJawPositions=decimals(table[k]))
        for kind, table in tables
        if k == 0 or not np.array_equal(table[k], table[k - 1])
    ]


def _item(**attributes: object) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def simulate(
    out: Path,
    *,
    mlc: str = "millennium120",
    field: str = "vmat",
    mu: float = 200.0,
    energy: str = "6x",
    fff: bool | str = False,
    wedge: str = "none",
    radiation: str = "photon",
    set_up_beam: bool | str = False,
    group_mu: float | str = "",
    plan_uid: str = "",
    preamble: bool | str = True,
    explicit: bool | str = False,
) -> Path:
    """Write one plan and return its path; with the same options it is a simulated log's plan.

    `out` is the file, or a folder.  `group_mu` lists the metersets of further fraction groups in MU
    (`150,120`).  Raises ValueError for an unknown MLC, field, wedge or radiation.
    """
    known("mlc", mlc, MODEL_CODES)
    known("field", field, FIELDS)
    known("wedge", wedge, WEDGES)
    known("radiation", radiation, RADIATIONS)
    if not 0.0 < float(mu) <= 10000.0:
        raise ValueError(f"mu {float(mu):g}: above 0 and at most 10000 expected")
    options = PlanOptions(
        fff=is_on("fff", fff),
        wedge=wedge,
        radiation=radiation,
        set_up_beam=is_on("set_up_beam", set_up_beam),
        group_mu=tuple(float(part) for part in str(group_mu).split(",") if part.strip()),
    )
    identity = replace(IDENTITY, plan_uid=plan_uid or IDENTITY.plan_uid)
    path = out / f"RP.{identity.plan_uid}.dcm" if out.is_dir() else out
    write_rtplan(
        path,
        replace(FIELDS[field](mlc, float(mu)), energy=str(energy)),
        identity,
        options,
        preamble=is_on("preamble", preamble),
        explicit=is_on("explicit", explicit),
    )
    return path
