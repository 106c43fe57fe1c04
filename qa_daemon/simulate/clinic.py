"""A demo clinic: two linacs, plans and days of logs as they would be left there, and a few faults.

The faults are the kind that clinics see: a leaf motor of TB2 that wears out, a beam that was
interrupted, a jaw that drifts once, a log cut off while it was copied, a treatment whose log never
arrived, and a log that two plans fit.  Patients are invented.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from analyzers.records import Identity
from qa_daemon.simulate import clinic_srt
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS, Plan
from qa_daemon.simulate.rtplan import PlanOptions, write_rtplan
from qa_daemon.simulate.rtrecord import write_rtrecord
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
folders = ["exported-plans/TB1", "incoming/TB1"]

[[machine]]
name = "TB2"
machine_class = "truebeam"
mlc = "hd120"
folders = ["exported-plans/TB2", "incoming/TB2"]

[[person]]
name = "{person}"
password_file = "demo-physicist.password"

[ingest]
settle_time = "1 s"

[web]
port = {port}
"""
PLANS = "exported-plans"
"""Before `incoming` by name too: files that settle together are taken in that order, and a log
whose plan is here is judged once."""
PERSON = "Demo Physicist"
UID = "1.2.826.0.1.3680043.8.498"
MLC = {"TB1": "millennium120", "TB2": "hd120"}
BEAMS = (
    ("07:10", "QA_MORNING", "Morning QA", "picket-fence", 100.0),
    ("08:35", "DEMO_0001", "Spine SBRT", "vmat", 220.0),
    ("10:20", "DEMO_0002", "Pelvis", "sliding-window", 120.0),
)
COPIED = ("TB2", 1)
"""Machine and beam of which there are two plans with the same shape."""
RECORDED_DAYS = 5
WORN_LEAF = "A31"
WEAR_FROM_MM, WEAR_TO_MM = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Treatment:
    """One beam of one day, with the error put into it.

    `fraction` is what the treatment record counts, None where there is no record; a log that does
    not name its plan says whose it is all the same.
    """

    machine: str
    at: datetime
    beam: int
    errors: Errors
    seed: int
    cut_off: bool = False
    has_log: bool = True
    names_plan: bool = True
    fraction: int | None = None

    @property
    def identity(self) -> Identity:
        """What the log says of whose it is."""
        told = identity(self.machine, self.beam)
        return told if self.names_plan else replace(told, plan_label=None, plan_uid=None)


def write_site(folder: Path, port: int, today: datetime) -> Path:
    """Write the site file and make the machines' folders; the site file's path.

    One that is there already keeps all but its port: the days in it are those of its clinic.
    """
    for machine in MLC:
        for kind in (PLANS, "incoming"):
            (folder / kind / machine).mkdir(parents=True, exist_ok=True)
    (folder / "incoming" / clinic_srt.UNIT).mkdir(parents=True, exist_ok=True)
    path = folder / "site.toml"
    if path.exists():
        text = re.sub(r"(?m)^port = \d+$", f"port = {port}", path.read_text())
    else:
        text = SITE_TOML.format(port=port, person=PERSON) + clinic_srt.site_text(today)
    path.write_text(text)
    return path


def treatments(days: int, today: datetime) -> Iterator[Treatment]:
    """Every beam of the last `days` days, oldest first; weekends are left out, but not today."""
    dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
    worked = [date for date in dates if date.weekday() < 5 or date is dates[-1]]
    for day, date in enumerate(worked):
        for machine in MLC:
            for number, (clock, *_) in enumerate(BEAMS):
                hour, minute = map(int, clock.split(":"))
                at = date.replace(hour=hour, minute=minute, second=7 * day % 60, microsecond=0)
                if at > today:
                    at = today - timedelta(minutes=30 - number)
                errors, cut_off = _fault(machine, number, day, len(worked))
                seed = 1000 * day + 10 * number + list(MLC).index(machine)
                left = len(worked) - day
                is_recorded = machine == "TB1" and number > 0 and left <= RECORDED_DAYS
                yield Treatment(
                    machine,
                    at,
                    number,
                    errors,
                    seed,
                    cut_off=cut_off,
                    has_log=(machine, number, left) != ("TB1", 2, 2),
                    names_plan=(machine, number) != COPIED or left != 2,
                    fraction=day + 1 if is_recorded else None,
                )


def identity(machine: str, beam: int) -> Identity:
    """Whose beam it is, and of which plan: one patient and plan for each machine and beam."""
    _, patient, label, _, _ = BEAMS[beam]
    return Identity(
        patient_id=f"{patient}_{machine}",
        plan_label=label,
        plan_uid=f"{UID}.{list(MLC).index(machine) + 1}.{beam + 1}",
        beam_number=1,
    )


@cache
def shape(machine: str, beam: int) -> Plan:
    """What a beam asks of its machine."""
    *_, field, mu = BEAMS[beam]
    return FIELDS[field](MLC[machine], mu)


def write_plans(folder: Path, days: int, today: datetime) -> None:
    """Write every plan, dated before its first fraction."""
    written = (today - timedelta(days=days)).timestamp()
    for machine in MLC:
        options = PlanOptions(fractions=days, machine=machine)
        for beam in range(len(BEAMS)):
            mine = identity(machine, beam)
            found = [mine]
            if (machine, beam) == COPIED:
                copy = replace(mine, plan_uid=f"{mine.plan_uid}.1", plan_label="Spine SBRT copy")
                found.append(copy)
            for one in found:
                path = folder / PLANS / machine / f"RP.{one.plan_uid}.dcm"
                write_rtplan(path, shape(machine, beam), one, options)
                os.utime(path, (written, written))


def write(folder: Path, treatment: Treatment) -> None:
    """Write one log with its text file and the treatment record, as far as they arrived."""
    incoming = folder / "incoming" / treatment.machine
    plan = shape(treatment.machine, treatment.beam)
    written = []
    if treatment.fraction is not None:
        written.append(_write_record(incoming, treatment, plan))
    if treatment.has_log:
        delivery = deliver(plan, treatment.errors, seed=treatment.seed, identity=treatment.identity)
        delivery = replace(delivery, performed_at=treatment.at.replace(tzinfo=None))
        log = incoming / file_name(delivery)
        write_trajectory_log(log, delivery)
        if treatment.cut_off:
            log.write_bytes(log.read_bytes()[: log.stat().st_size // 3])
        beside = incoming / file_name(delivery, ".txt")
        write_companion(beside, delivery)
        written += [log, beside]
    for path in written:
        os.utime(path, (treatment.at.timestamp(), treatment.at.timestamp()))


def _write_record(incoming: Path, treatment: Treatment, plan: Plan) -> Path:
    (beam,) = plan.beams
    planned_mu = float(beam.meterset_mu[-1])
    stopped_mu = treatment.errors.interrupted_at_mu
    told = identity(treatment.machine, treatment.beam)
    path = incoming / f"RT_{told.patient_id}_{treatment.at:%Y%m%d%H%M%S}.dcm"
    write_rtrecord(
        path,
        [(beam.name, planned_mu, planned_mu if stopped_mu is None else stopped_mu)],
        identity=told,
        uid=f"{told.plan_uid}.{treatment.seed}.9",
        fraction=treatment.fraction or 1,
        termination="NORMAL" if stopped_mu is None else "MACHINE",
        performed_at=treatment.at.replace(tzinfo=None),
    )
    return path


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
