"""A demo clinic: two linacs, days of logs as their machines would leave them, and a few faults.

The faults are the kind that clinics see: a leaf motor of TB2 that wears out, a beam that was
interrupted, a jaw that drifts once, and a log cut off while it was copied.  Patients are invented.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from analyzers.records import Identity
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS
from qa_daemon.simulate.trajectory_log import file_name, write_companion, write_trajectory_log

SITE_TOML = """\
# The demo clinic.  A real site file looks the same; see docs/how-to/install-at-a-clinic.md.
[site]
name = "Demo Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"

[[machine]]
name = "TB1"
machine_class = "truebeam"
mlc = "millennium120"
folders = ["incoming/TB1"]

[[machine]]
name = "TB2"
machine_class = "truebeam"
mlc = "hd120"
folders = ["incoming/TB2"]

[ingest]
settle_time = "1 s"

[web]
port = {port}
"""
MLC = {"TB1": "millennium120", "TB2": "hd120"}
BEAMS = (
    ("07:10", "QA_MORNING", "Morning QA", "picket-fence", 100.0),
    ("08:35", "DEMO_0001", "Spine SBRT", "vmat", 220.0),
    ("10:20", "DEMO_0002", "Pelvis", "sliding-window", 120.0),
)
WORN_LEAF = "A31"
WEAR_FROM_MM, WEAR_TO_MM = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Treatment:
    """One beam of one day, with the error put into it."""

    machine: str
    at: datetime
    patient: str
    plan: str
    field: str
    mu: float
    errors: Errors
    seed: int
    cut_off: bool = False


def write_site(folder: Path, port: int) -> Path:
    """Write the site file and make the machines' folders; the site file's path."""
    for machine in MLC:
        (folder / "incoming" / machine).mkdir(parents=True, exist_ok=True)
    path = folder / "site.toml"
    path.write_text(SITE_TOML.format(port=port))
    return path


def treatments(days: int, today: datetime) -> Iterator[Treatment]:
    """Every beam of the last `days` days, oldest first; weekends are left out, but not today."""
    dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
    worked = [date for date in dates if date.weekday() < 5 or date is dates[-1]]
    for day, date in enumerate(worked):
        for machine in MLC:
            for number, (clock, patient, plan, field, mu) in enumerate(BEAMS):
                hour, minute = map(int, clock.split(":"))
                at = date.replace(hour=hour, minute=minute, second=7 * day % 60, microsecond=0)
                if at > today:
                    at = today - timedelta(minutes=30 - number)
                errors, cut_off = _fault(machine, number, day, len(worked))
                seed = 1000 * day + 10 * number + list(MLC).index(machine)
                yield Treatment(
                    machine, at, patient, plan, field, mu, errors, seed, cut_off=cut_off
                )


def write(folder: Path, treatment: Treatment) -> None:
    """Write one log with its text file, dated as the machine would date them."""
    plan = FIELDS[treatment.field](MLC[treatment.machine], treatment.mu)
    identity = Identity(
        patient_id=treatment.patient,
        plan_label=treatment.plan,
        plan_uid=f"1.2.826.0.1.3680043.8.498.{treatment.seed}",
        beam_number=1,
    )
    delivery = deliver(plan, treatment.errors, seed=treatment.seed, identity=identity)
    delivery = replace(delivery, performed_at=treatment.at.replace(tzinfo=None))
    incoming = folder / "incoming" / treatment.machine
    log = incoming / file_name(delivery)
    write_trajectory_log(log, delivery)
    if treatment.cut_off:
        log.write_bytes(log.read_bytes()[: log.stat().st_size // 3])
    beside = incoming / file_name(delivery, ".txt")
    write_companion(beside, delivery)
    for path in (log, beside):
        os.utime(path, (treatment.at.timestamp(), treatment.at.timestamp()))


def _fault(machine: str, beam: int, day: int, days: int) -> tuple[Errors, bool]:
    age = day / max(days - 1, 1)
    if machine == "TB2":
        wear_mm = WEAR_FROM_MM + (WEAR_TO_MM - WEAR_FROM_MM) * age**3
        return Errors(leaf_mm={WORN_LEAF: wear_mm}), beam == 2 and day == days // 3
    if beam == 1 and day == max(days - 3, 0):
        return Errors(interrupted_at_mu=134.0), False
    if beam == 0 and day == days // 2:
        return Errors(jaw_mm={"X1": 1.3}), False
    return Errors(), False
