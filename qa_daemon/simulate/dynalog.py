"""Write Varian Dynalogs, an A and a B file each, with stated errors.

`simulate` is what the command calls.  Patients and plans are invented.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.records import Axis, Delivery, Identity
from qa_daemon.simulate.dynalog_bytes import encode
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.options import is_on, known, offsets
from qa_daemon.simulate.plan_shapes import FIELDS
from qa_daemon.simulate.trajectory_log_bytes import MODEL_CODES

KIND = "dynalog"
INTERVAL_S = 0.05
ONE_LAYER = tuple(model for model in MODEL_CODES if "" in LEAF_EDGES_MM[model])
IDENTITY = Identity(patient_id="QA_SIM_1", plan_uid="1.2.826.0.1.3680043.8.498.1", beam_number=1)
PERFORMED_AT = datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001 - a machine's wall time has no zone


def write_dynalog(
    path_a: Path, delivery: Delivery, *, scale: int = 1, dose: str = "fraction", lag: int = 1
) -> Path:
    """Write the pair: `path_a`, and beside it the B file, whose path is returned.

    Raises ValueError where the name does not begin with A or the delivery cannot be written so.
    """
    if path_a.name[:1].upper() != "A" or path_a.suffix.casefold() != ".dlg":
        raise ValueError("the A file of a Dynalog is named A….dlg, and its B file B….dlg")
    bank_b = "B" if path_a.name[0] == "A" else "b"
    path_b = path_a.with_name(bank_b + path_a.name[1:])
    content_a, content_b = encode(delivery, scale=scale, dose=dose, lag=lag)
    path_a.write_bytes(content_a)
    path_b.write_bytes(content_b)
    return path_b


def file_name(delivery: Delivery) -> str:
    """`A{YYYYMMDDhhmmss}_{patient id}.dlg`, as the machine names the A file."""
    at = delivery.performed_at or PERFORMED_AT
    return f"A{at:%Y%m%d%H%M%S}_{delivery.identity.patient_id or ''}.dlg"


def simulate(
    out: Path,
    *,
    mlc: str = "millennium120",
    field: str = "sliding-window",
    mu: float = 200.0,
    seed: int = 0,
    bank_a_mm: float = 0.0,
    bank_b_mm: float = 0.0,
    leaf: str = "",
    mu_percent: float = 0.0,
    interrupted_at_mu: float | None = None,
    hold: str = "",
    noise: bool | str = True,
    scale: int = 1,
    dose: str = "",
    lag: int = 1,
) -> Path:
    """Write one pair with stated errors (actual minus expected, IEC); the path of the A file.

    `out` is the A file, or a folder in which the machine's own naming is used.  `leaf` lists
    offsets in mm (`A17=5,B3=-2`), `hold` seconds by meterset (`50=2`); `dose` is `fraction`, or
    `gantry` as the machine does it in arcs and as is the default for `vmat`.  The same options and
    seed give the same bytes; numbers may come as text.  Raises ValueError for an unknown word.
    """
    known("mlc", mlc, ONE_LAYER)
    known("field", field, FIELDS)
    mu = float(mu)
    if not 0.0 < mu <= 10000.0:
        raise ValueError(f"mu {mu:g}: above 0 and at most 10000 expected")
    errors = Errors(
        bank_a_mm=float(bank_a_mm),
        bank_b_mm=float(bank_b_mm),
        leaf_mm=offsets(leaf),
        mu_percent=float(mu_percent),
        interrupted_at_mu=None if interrupted_at_mu is None else float(interrupted_at_mu),
        held=tuple((float(at_mu), seconds) for at_mu, seconds in offsets(hold).items()),
        noise=is_on("noise", noise),
    )
    delivery = deliver(
        FIELDS[field](mlc, mu), errors, seed=int(seed), identity=IDENTITY, interval_s=INTERVAL_S
    )
    delivery = _without_drift(replace(delivery, performed_at=PERFORMED_AT), errors)
    path = out / file_name(delivery) if out.is_dir() else out
    chosen = dose or ("gantry" if field == "vmat" else "fraction")
    write_dynalog(path, delivery, scale=int(scale), dose=chosen, lag=int(lag))
    return path


def _without_drift(delivery: Delivery, errors: Errors) -> Delivery:
    """A Clinac counts up to the whole fraction exactly: its dose has no noise."""
    expected_mu = delivery.meterset_mu.expected
    actual_mu = expected_mu * (1.0 + errors.mu_percent / 100.0)
    return replace(delivery, meterset_mu=Axis(expected_mu, actual_mu))
