"""Write Varian trajectory logs with stated errors, and the text files beside them.

`simulate` is what the command calls.  Patients and plans are invented.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from analyzers.records import Axis, Delivery, Identity
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.options import is_on, known, offsets
from qa_daemon.simulate.plan_shapes import FIELDS
from qa_daemon.simulate.trajectory_log_bytes import MODEL_CODES, VERSIONS, encode

KIND = "trajectory-log"
IDENTITY = Identity(
    patient_id="QA_SIM_1",
    plan_label="Simulated",
    plan_uid="1.2.826.0.1.3680043.8.498.1",
    beam_number=1,
)
PERFORMED_AT = datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001 - a machine's wall time has no zone


def write_trajectory_log(
    path: Path, delivery: Delivery, *, version: str = "3.0", scale: int = 1, crc: bool = True
) -> None:
    """Write one delivery as a log of that version and axis scale.

    From version 4.0 on the file holds identity, planned meterset and energy; before, they stand in
    the companion only.  Raises ValueError where the delivery cannot be written so.
    """
    path.write_bytes(encode(delivery, version=version, scale=scale, crc=crc))


def write_companion(path: Path, delivery: Delivery) -> None:
    """Write the text file that the machine puts beside a log, with keys spelled as it does."""
    identity = delivery.identity
    middle = delivery.samples // 2
    rows = [
        ("Patient ID:", identity.patient_id or ""),
        ("Plan Name:", identity.plan_label or ""),
        ("Plan UID:", identity.plan_uid or ""),
        ("Beam Number :", "" if identity.beam_number is None else str(identity.beam_number)),
        ("Beam Name :", identity.beam_name or ""),
        # Of several sub-beams, the machine gives the first one's meterset.
        ("Original MU :", f"{delivery.sub_beams[0].planned_mu:g}" if delivery.sub_beams else "0"),
        None,
        ("Logging Scale :", "IEC"),
    ]
    for name, axis in delivery.jaws_mm.items():
        away_cm = abs(float(axis.actual[middle])) / 10.0
        rows.append((f"{name} (Cms):", f"{away_cm:.2f}"))
    if delivery.gantry_deg is not None:
        gantry_deg = float(delivery.gantry_deg.actual[middle])
        rows.append(("Gantry Rotation Angle (deg):", f"{gantry_deg:.2f}"))
    rows += [
        ("Energy :", delivery.energy or ""),
        ("MU1 :", f"{float(delivery.meterset_mu.actual[middle]):.2f}"),
    ]
    rows += [(f"{key}:", f"{value:g}") for key, value in delivery.machine_parameters.items()]
    rows += [(f"{key} :", state) for key, state in delivery.machine_states.items()]
    lines = ["" if row is None else f"{row[0]}\t{row[1]}" for row in rows]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("utf-8"))


def file_name(delivery: Delivery, suffix: str = ".bin") -> str:
    """`{patient}_{plan}_{beam}_{YYYYMMDDhhmmss}.bin`, as the machine names its logs."""
    identity, at = delivery.identity, delivery.performed_at or PERFORMED_AT
    parts = [identity.patient_id, identity.plan_label, identity.beam_name]
    return "_".join([*(part or "" for part in parts), f"{at:%Y%m%d%H%M%S}"]) + suffix


def _counting_anew(delivery: Delivery) -> Delivery:
    """The meterset from 0, and of the plan no more than what is left."""
    axis = delivery.meterset_mu
    before_mu = float(axis.expected[0])
    beams = tuple(
        replace(beam, planned_mu=beam.planned_mu - before_mu) for beam in delivery.sub_beams
    )
    return replace(
        delivery,
        meterset_mu=Axis(axis.expected - before_mu, axis.actual - before_mu),
        planned_mu=None if delivery.planned_mu is None else delivery.planned_mu - before_mu,
        sub_beams=beams,
    )


def simulate(
    out: Path,
    *,
    version: str | float = "3.0",
    mlc: str = "millennium120",
    field: str = "vmat",
    mu: float = 200.0,
    seed: int = 0,
    bank_a_mm: float = 0.0,
    bank_b_mm: float = 0.0,
    mu_percent: float = 0.0,
    jaw: str = "",
    leaf: str = "",
    gantry_deg: float = 0.0,
    collimator_deg: float = 0.0,
    couch_vertical_mm: float = 0.0,
    interrupted_at_mu: float | None = None,
    resumed_at_mu: float | None = None,
    counts_anew: bool | str = False,
    hold: str = "",
    noise: bool | str = True,
    companion: bool | str = False,
) -> Path:
    """Write one log with stated errors (actual minus expected, IEC) and return its path.

    `out` is the file, or a folder in which the machine's own naming is used.  `jaw` and `leaf` list
    offsets in mm (`X1=40`, `A17=5,B3=-2`), `hold` seconds by meterset (`50=2`).  A log that is
    resumed holds the rest of a beam; it counts on, or anew with the rest as planned.  The same
    options and seed give the same bytes; numbers may come as text.  Raises ValueError for an
    unknown version, field, MLC, leaf or jaw.
    """
    version = f"{float(version):.1f}"
    known("version", version, VERSIONS)
    known("mlc", mlc, MODEL_CODES)
    known("field", field, FIELDS)
    mu = float(mu)
    if not 0.0 < mu <= 10000.0:
        raise ValueError(f"mu {mu:g}: above 0 and at most 10000 expected")
    errors = Errors(
        bank_a_mm=float(bank_a_mm),
        bank_b_mm=float(bank_b_mm),
        leaf_mm=offsets(leaf),
        jaw_mm=offsets(jaw),
        mu_percent=float(mu_percent),
        gantry_deg=float(gantry_deg),
        collimator_deg=float(collimator_deg),
        couch_vertical_mm=float(couch_vertical_mm),
        interrupted_at_mu=None if interrupted_at_mu is None else float(interrupted_at_mu),
        resumed_at_mu=None if resumed_at_mu is None else float(resumed_at_mu),
        held=tuple((float(at_mu), seconds) for at_mu, seconds in offsets(hold).items()),
        noise=is_on("noise", noise),
    )
    delivery = deliver(FIELDS[field](mlc, mu), errors, seed=int(seed), identity=IDENTITY)
    delivery = replace(delivery, performed_at=PERFORMED_AT)
    if is_on("counts_anew", counts_anew):
        delivery = _counting_anew(delivery)
    path = out / file_name(delivery) if out.is_dir() else out
    write_trajectory_log(path, delivery, version=version)
    if is_on("companion", companion):
        write_companion(path.with_suffix(".txt"), delivery)
    return path
