"""The demo clinic's superficial unit: a check each morning, one a month, the year's, and a course.

What is wrong with it is what clinics see: 100 kV drifts until it is beyond tolerance, and one
morning somebody wrote the pressure in mmHg into a column of kPa.  Of the fractions of the course
one was interrupted, one was given a little too long, one with another applicator.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from analyzers.output_checks import CheckType, ReadingGroup
from analyzers.output_text import as_csv
from analyzers.srt_routine import ROUTINE, Frequency
from qa_daemon.simulate import srt_treatment_json
from qa_daemon.simulate.srt_session import BEAMS, N_K_GY_PER_C, Faults, rows_of, settings_of

UNIT = "SRT1"
SITE_TOML = """
[[machine]]
name = "SRT1"
machine_class = "srt"
folders = ["incoming/SRT1"]
[machine.srt]
model = "SRT-100 Vision"
beams = [
  {{ kvp = 50, filter = "F1", hvl_mm_al = 0.52 }},
  {{ kvp = 70, filter = "F2", hvl_mm_al = 1.15 }},
  {{ kvp = 100, filter = "F3", hvl_mm_al = 2.20 }},
]
applicators = [
  {{ id = "A15", diameter_cm = 1.5, ssd_cm = 15 }},
  {{ id = "A20", diameter_cm = 2.0, ssd_cm = 15 }},
  {{ id = "A30", diameter_cm = 3.0, ssd_cm = 15 }},
  {{ id = "A50", diameter_cm = 5.0, ssd_cm = 15 }},
]
reference_applicator = "A30"
rules = "oregon"

[[instrument]]
kind = "chamber"
model = "PTW 23342"
serial = "0123"
calibrated = {calibrated}
expires = {chamber_until}
t_ref_c = 20.0
n_k_gy_per_c = {n_k_gy_per_c}

[[instrument]]
kind = "electrometer"
model = "Electrometer"
serial = "4567"
calibrated = {calibrated}
expires = {electrometer_until}
"""
TREATED_ON = (0, 1, 3)
FRACTIONS: dict[int, dict[str, Any]] = {
    2: {"interrupted": 1},
    4: {"time_error": 4.0},
    6: {"wrong_applicator": "A20"},
}
"""What went wrong, by the number of the fraction."""
DRIFT_PERCENT = 3.6
NOISE_PERCENT = 0.15
CALIBRATED = CheckType.ABSOLUTE
YEARLY = (
    CALIBRATED,
    CheckType.HVL,
    CheckType.APPLICATOR_FACTOR,
    CheckType.LINEARITY,
    CheckType.TIMER,
    CheckType.REPRODUCIBILITY,
)


def site_text(today: datetime) -> str:
    """The unit's part of the site file; a chamber's calibration runs out in 45 days."""
    day = today.date()
    return SITE_TOML.format(
        calibrated=day - timedelta(days=500),
        n_k_gy_per_c=N_K_GY_PER_C,
        chamber_until=day + timedelta(days=45),
        electrometer_until=day + timedelta(days=200),
    )


def write_calibration(folder: Path, today: datetime) -> None:
    """The checks of the year, which the unit's baselines are of."""
    incoming = folder / "incoming" / UNIT
    incoming.mkdir(parents=True, exist_ok=True)
    yearly_at = (today - timedelta(days=120)).replace(hour=17, minute=10, second=0, microsecond=0)
    for number, check in enumerate(YEARLY):
        # Hours apart, so that each is a session of its own.
        _write(incoming, [check], yearly_at + timedelta(days=number), 100 + number)


def write_checks(folder: Path, days: int, today: datetime) -> None:
    """Every check of the last `days` days, the month's before, and a course of treatment."""
    incoming = folder / "incoming" / UNIT
    incoming.mkdir(parents=True, exist_ok=True)
    _write(incoming, [CheckType.MONTHLY], _morning(today, days + 2), 200)
    _write_list(incoming, Frequency.MONTHLY, _morning(today, days + 2))
    for ago in reversed(range(days)):
        at = _morning(today, ago)
        if at > today:
            at = today - timedelta(minutes=50)
        if at.weekday() == 6 and ago:
            continue
        age = 1.0 - ago / max(days - 1, 1)
        _write(incoming, [CheckType.DAILY], at, ago, drift_percent=DRIFT_PERCENT * age**2)
        _write_list(incoming, Frequency.DAILY, at)
        if ago == days // 2:
            wrong = Faults(noise_percent=NOISE_PERCENT, pressure_unit="mmHg")
            _put(
                incoming / f"{at:%Y-%m-%d}-again.csv", _rows([CheckType.DAILY], wrong, at, 300), at
            )
    _write_course(incoming, days, today)


def _write_course(incoming: Path, days: int, today: datetime) -> None:
    """A fraction on Mondays, Tuesdays, Thursdays and today, after the morning's check."""
    number = 0
    for ago in reversed(range(days)):
        at = _morning(today, ago) + timedelta(hours=3)
        if at.weekday() not in TREATED_ON and ago:
            continue
        if at > today:
            at = today - timedelta(minutes=20)
        number += 1
        path = incoming / f"{at:%Y-%m-%d}-fraction.json"
        srt_treatment_json.simulate(
            path, unit=UNIT, begun_at=at.isoformat(), fraction=number, **FRACTIONS.get(number, {})
        )
        os.utime(path, (at.timestamp(), at.timestamp()))


def _write(
    incoming: Path,
    checks: Sequence[CheckType],
    at: datetime,
    seed: int,
    drift_percent: float = 0.0,
) -> None:
    rows: list[ReadingGroup] = []
    for kvp in BEAMS:
        drift = drift_percent if kvp == 100.0 else 0.0
        faults = Faults(noise_percent=NOISE_PERCENT, output_error_percent=drift)
        later = at + timedelta(minutes=len(rows) * 3)
        rows += _rows(checks, faults, later, seed * 7 + int(kvp), [kvp])
    # Each potential was simulated by itself, so that it has a drift of its own.
    named = [replace(r, record_id=f"{at:%Y-%m-%d}-{k}") for k, r in enumerate(rows, 1)]
    _put(incoming / f"{at:%Y-%m-%d}-{checks[0].value}.csv", named, at)


def _rows(
    checks: Sequence[CheckType],
    faults: Faults,
    at: datetime,
    seed: int,
    potentials: Sequence[float] = tuple(BEAMS),
) -> list[ReadingGroup]:
    settings = [setting for check in checks for setting in settings_of(check, potentials)]
    return rows_of(settings, faults, unit=UNIT, at=at, seed=seed)


def _write_list(incoming: Path, frequency: Frequency, at: datetime) -> None:
    items: list[dict[str, object]] = [
        {"id": test.id, "passed": True}
        if test.is_functional
        else {"id": test.id, "value": 0.0, "unit": test.unit}
        for test in ROUTINE
        if test.frequency is frequency and test.check_type is None
    ]
    told = {
        "schema": "qa_srt_checks",
        "version": "1.0",
        "unit_id": UNIT,
        "datetime": (at - timedelta(minutes=6)).isoformat(),
        "operator": "AB",
        "items": items,
    }
    path = incoming / f"{at:%Y-%m-%d}-{frequency.value}-list.json"
    path.write_text(json.dumps(told, indent=1), "utf-8")
    os.utime(path, (at.timestamp(), at.timestamp()))


def _put(path: Path, rows: Sequence[ReadingGroup], at: datetime) -> None:
    path.write_bytes(as_csv(rows))
    os.utime(path, (at.timestamp(), at.timestamp()))


def _morning(today: datetime, ago: int) -> datetime:
    return (today - timedelta(days=ago)).replace(hour=7, minute=31, second=0, microsecond=0)
