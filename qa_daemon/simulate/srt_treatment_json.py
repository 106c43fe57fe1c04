"""Write one fraction on the simulated superficial unit, with errors that are stated.

The time is worked out by closed forms from the unit's own numbers (`srt_unit`), so that without an
error the dose is the prescribed one.  Patients are invented.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from qa_daemon.simulate.options import known
from qa_daemon.simulate.srt_curves import SSD_CM, percent
from qa_daemon.simulate.srt_session import APPLICATORS, BEAMS, BEGUN_AT, S_PER_MIN
from qa_daemon.simulate.srt_unit import (
    EFFECTIVE_SSD_CM,
    b_w,
    factor,
    to_water_gy_per_min,
)

KIND = "srt-treatment-json"
DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """What was prescribed, and how it was set up.  No cutout is 0, no shield is 1."""

    kvp: float
    applicator: str
    gap_cm: float
    cutout_cm: float
    shield: float
    dose_gy: float
    depth_mm: float

    def time_with_beam_s(self, applicator: str | None = None) -> float:
        """Time that gives the dose, with the applicator, or another that was taken by mistake."""
        name = applicator or self.applicator
        diameter_cm, hvl_mm = APPLICATORS[name][0], BEAMS[self.kvp].hvl_mm_al
        rate = to_water_gy_per_min(self.kvp) * factor(name, self.kvp) * self.shield
        rate *= (EFFECTIVE_SSD_CM / (EFFECTIVE_SSD_CM + self.gap_cm)) ** 2
        if self.cutout_cm:
            rate *= b_w(self.cutout_cm, hvl_mm) / b_w(diameter_cm, hvl_mm)
        at_depth = percent(self.depth_mm, self.cutout_cm or diameter_cm, self.kvp)
        return S_PER_MIN * self.dose_gy / (rate * at_depth / 100.0)


def simulate(
    out: Path,
    *,
    unit: str = "SRT1",
    begun_at: str = BEGUN_AT,
    patient: str = "SIM-0001",
    course: str = "1",
    lesion: str = "L1",
    fraction: int = 1,
    fractions_planned: int = 20,
    kvp: float = 70,
    applicator: str = "A30",
    gap: float = 0.0,
    cutout: float = 0.0,
    shield: float = 1.0,
    dose: float = 2.65,
    depth: float = 2.0,
    ultrasound_depth: float | None = None,
    end_effect: float = 0.3,
    time_error: float = 0.0,
    wrong_applicator: str = "",
    interrupted: int = 0,
) -> Path:
    """Write one fraction.

    Lengths `gap` and `cutout` in cm, `depth` and `ultrasound_depth` in mm, `dose` in Gy.  Errors:
    `time_error` in percent of the time with beam; `wrong_applicator` is the one that the time was
    calculated for, `applicator` the one that is recorded; `interrupted` is how often the beam was
    interrupted and the rest of the timer given, which each time adds the end effect once more.
    Raises ValueError for what is unknown or no number.
    """
    known("applicator", applicator, APPLICATORS)
    known("kvp", f"{float(kvp):g}", [f"{one:g}" for one in BEAMS])
    if wrong_applicator:
        known("wrong_applicator", wrong_applicator, APPLICATORS)
    if not 0 <= interrupted < 20:
        raise ValueError(f"interrupted {interrupted!r}: 0 to 19 expected")
    at = datetime.fromisoformat(str(begun_at))
    if at.tzinfo is None:
        raise ValueError(f"begun_at {begun_at!r}: written with its offset, as {BEGUN_AT}")
    given = Fraction(
        kvp=float(kvp),
        applicator=applicator,
        gap_cm=_finite("gap", gap),
        cutout_cm=_finite("cutout", cutout),
        shield=_finite("shield", shield),
        dose_gy=_finite("dose", dose),
        depth_mm=_finite("depth", depth),
    )
    beam_s = given.time_with_beam_s(wrong_applicator or None)
    beam_s *= 1.0 + _finite("time_error", time_error) / 100.0
    timer_s = beam_s - _finite("end_effect", end_effect)
    told = {
        "schema": "qa_srt_treatment",
        "version": "1.0",
        "unit_id": str(unit),
        "datetime": at.isoformat(),
        "patient_id": str(patient),
        "course_id": str(course),
        "lesion": str(lesion),
        "fraction": int(fraction),
        "fractions_planned": int(fractions_planned),
        "kvp": given.kvp,
        "filter_id": BEAMS[given.kvp].filter_id,
        "applicator_id": applicator,
        "ssd_cm": SSD_CM,
        "gap_cm": given.gap_cm,
        "prescribed_dose_gy": given.dose_gy,
        "prescribed_depth_mm": given.depth_mm,
        "parts_s": [round(timer_s / (interrupted + 1), DECIMALS)] * (interrupted + 1),
        "timer_end_effect_s": float(end_effect),
    }
    told |= {"cutout_diameter_cm": given.cutout_cm} if given.cutout_cm else {}
    told |= {"shield_factor": given.shield} if given.shield != 1.0 else {}
    if ultrasound_depth is not None:
        told["ultrasound_depth_mm"] = _finite("ultrasound_depth", ultrasound_depth)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=1), "utf-8")
    return out


def _finite(option: str, value: float) -> float:
    if isinstance(value, str) or not math.isfinite(value):
        raise ValueError(f"{option} {value!r}: a number expected")
    return float(value)
