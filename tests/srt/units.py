"""A clinic with one kV unit, and tables of output checks as somebody types them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from analyzers.catalogue import load
from tests.ingest.clinic import NOW, Clinic

SITE = """
[site]
name = "Test"
time_zone = "Europe/Berlin"
state_dir = "state"
[[machine]]
name = "SRT1"
machine_class = "srt"
folders = ["in"]
[machine.srt]
beams = [{kvp = 50, filter = "F1"}, {kvp = 70, filter = "F2"}]
applicators = [{id = "A30", diameter_cm = 3.0, ssd_cm = 15}]
[[instrument]]
kind = "chamber"
model = "PTW 23342"
serial = "0123"
calibrated = 2025-06-01
expires = 2027-06-01
t_ref_c = 20.0
[[instrument]]
kind = "electrometer"
model = "any"
serial = "4567"
calibrated = 2024-01-01
expires = 2025-12-31
"""
HEADER = (
    "record_id,unit_id,unit_model,datetime,check_type,operator,kvp,filter_id,applicator_id,"
    "applicator_diameter_cm,ssd_cm,timer_set_s,mode,chamber_model,chamber_sn,electrometer_sn,"
    "n_k_gy_per_c,readings_nc,temperature_c,pressure_kpa,t_ref_c,reference_output"
)
FACTOR = 294.55 / 293.15 * 101.325 / 99.62
"""P_TP of 21.4 degrees and 99.62 kPa against 20 degrees and 101.325 kPa."""


def row(at: datetime, off_percent: float = 0.0, **said: object) -> str:
    """A daily check of 70 kV whose output is 4.79 Gy/min and so many percent more."""
    reading_nc = 4.79 * (1.0 + off_percent / 100.0) / 2.0 / FACTOR
    values: dict[str, object] = {
        "record_id": f"{at:%Y%m%d%H%M}-{said.get('kvp', 70)}",
        "unit_id": "SRT1",
        "unit_model": "SRT-100 Vision",
        "datetime": at.isoformat(),
        "check_type": "daily",
        "operator": "CANARY",
        "kvp": 70,
        "filter_id": "F2",
        "applicator_id": "A30",
        "applicator_diameter_cm": 3.0,
        "ssd_cm": 15.0,
        "timer_set_s": 30.0,
        "mode": "timer",
        "chamber_model": "PTW 23342",
        "chamber_sn": "0123",
        "electrometer_sn": "4567",
        "n_k_gy_per_c": 1.0e9,
        "readings_nc": repr(reading_nc),
        "temperature_c": 21.4,
        "pressure_kpa": 99.62,
        "t_ref_c": 20.0,
        "reference_output": 4.79,
    }
    if said.get("check_type") in ("monthly", "hvl"):
        values["electrometer_sn"] = "E2"  # these are refused with one that is out of calibration
    values |= said
    return ",".join(str(values[name]) for name in HEADER.split(","))


def table(*rows: str) -> bytes:
    """A file of such rows."""
    return "\n".join([HEADER, *rows, ""]).encode()


def days_ago(days: float) -> datetime:
    """An instant before the clinic's now."""
    return NOW - timedelta(days=days)


def clinic_of(tmp_path: Path, text: str = SITE) -> Clinic:
    """The clinic, with the product's own formats and analyzers."""
    return Clinic(tmp_path, text=text, catalogue=load(), settle_time=0.0)
