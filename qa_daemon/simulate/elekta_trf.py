"""Write Elekta TRFs with stated errors.  `simulate` is what the command calls.

Fields and machines are invented.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from analyzers.records import Delivery, Identity
from qa_daemon.simulate.elekta_trf_bytes import INTERVAL_S, PAIRS, VERSIONS, encode
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.options import is_on, known, offsets
from qa_daemon.simulate.plan_shapes import FIELDS, Plan

KIND = "elekta-trf"
IDENTITY = Identity(beam_label="1-1", beam_name="SIM FIELD")
PERFORMED_AT = datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001 - a machine's wall time has no zone
SERIAL = "9999"


def deliver_on_elekta(plan: Plan, errors: Errors | None = None, *, seed: int = 0) -> Delivery:
    """Deliver a plan on an Elekta head: rows every 40 ms, no jaws along X.

    The expected meterset is the actual one, as in its logs.  An interrupted delivery is told so by
    the machine.  Raises ValueError for an error in a leaf or jaw the head does not have.
    """
    errors = errors or Errors()
    lacking = sorted(set(errors.jaw_mm) - {"Y1", "Y2"})
    if lacking:
        raise ValueError(f"{plan.mlc_model} has no jaw {', '.join(lacking)}")
    delivery = deliver(plan, errors, seed=seed, identity=IDENTITY, interval_s=INTERVAL_S)
    return replace(
        delivery,
        jaw_x1_mm=None,
        jaw_x2_mm=None,
        meterset_expected=False,
        truncated=errors.interrupted_at_mu is not None,
        performed_at=PERFORMED_AT,
        machine_serial=SERIAL,
    )


def write_elekta_trf(
    path: Path, delivery: Delivery, *, version: int = 1, offset_minutes: int = 600
) -> None:
    """Write one delivery as a log of that version; local time is so far ahead of UTC.

    Raises ValueError where the delivery cannot be written so.
    """
    path.write_bytes(encode(delivery, version=version, offset_minutes=offset_minutes))


def file_name(delivery: Delivery, *, offset_minutes: int = 600) -> str:
    """`YY_MM_DD hh_mm_ss Z {label}_{name}.trf`, the time in UTC, as the machine names its logs."""
    utc = (delivery.performed_at or PERFORMED_AT) - timedelta(minutes=offset_minutes)
    identity = delivery.identity
    field = f"{identity.beam_label or ''}_{identity.beam_name or ''}".replace("/", "_")
    return f"{utc:%y_%m_%d %H_%M_%S} Z {field}.trf"


def simulate(
    out: Path,
    *,
    version: int = 1,
    mlc: str = "agility",
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
    interrupted_at_mu: float | None = None,
    hold: str = "",
    service: bool | str = False,
    noise: bool | str = True,
) -> Path:
    """Write one log with stated errors (actual minus expected, IEC) and return its path.

    `out` is the file, or a folder in which the machine's own naming is used.  `jaw` and `leaf` list
    offsets in mm (`Y1=4`, `A17=5,B3=-2`), `hold` seconds by meterset (`50=2`).  A `service` beam
    has no field name and no prescription.  The same options and seed give the same bytes; numbers
    may come as text.  Raises ValueError for an unknown version, field, MLC, leaf or jaw.
    """
    known("version", str(int(version)), [str(number) for number in VERSIONS])
    known("mlc", mlc, PAIRS)
    known("field", field, FIELDS)
    mu = float(mu)
    if not 0.0 < mu <= 3000.0:
        raise ValueError(f"mu {mu:g}: above 0 and at most 3000 expected")
    errors = Errors(
        bank_a_mm=float(bank_a_mm),
        bank_b_mm=float(bank_b_mm),
        leaf_mm=offsets(leaf),
        jaw_mm=offsets(jaw),
        mu_percent=float(mu_percent),
        gantry_deg=float(gantry_deg),
        collimator_deg=float(collimator_deg),
        interrupted_at_mu=None if interrupted_at_mu is None else float(interrupted_at_mu),
        held=tuple((float(at_mu), seconds) for at_mu, seconds in offsets(hold).items()),
        noise=is_on("noise", noise),
    )
    delivery = deliver_on_elekta(FIELDS[field](mlc, mu), errors, seed=int(seed))
    if is_on("service", service):
        delivery = replace(delivery, identity=Identity(), planned_mu=None)
    path = out / file_name(delivery) if out.is_dir() else out
    write_elekta_trf(path, delivery, version=int(version))
    return path
