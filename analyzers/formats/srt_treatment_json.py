"""One fraction on a kV unit as JSON, schema `qa_srt_treatment` 1.0.

    {"schema": "qa_srt_treatment", "version": "1.0", "unit_id": "SRT1",
     "datetime": "2026-02-03T09:12:00+01:00", "patient_id": "…", "course_id": "…", "lesion": "…",
     "fraction": 3, "fractions_planned": 20, "kvp": 70, "filter_id": "F2", "applicator_id": "A30",
     "ssd_cm": 15.0, "gap_cm": 0.0, "prescribed_dose_gy": 2.65, "prescribed_depth_mm": 2.0,
     "parts_s": [31.2]}

and, where they apply, `cutout_diameter_cm`, `shield_factor`, `ultrasound_depth_mm`,
`timer_end_effect_s`.  Units are in the names.  The whole file is read or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analyzers.core import Format, NamedFile, ReadError
from analyzers.srt_treatments import Setup, SrtTreatment, TreatmentIdentity
from analyzers.strict_json import Schema, instant, number, only, text, whole

SCHEMA, VERSION = "qa_srt_treatment", "1.0"
MOST_BYTES = 1 << 16
LONGEST = 64
MOST_PARTS = 20
TEXTS = ("unit_id", "datetime", "patient_id", "course_id", "lesion", "filter_id", "applicator_id")
COUNTS = {"fraction": 100, "fractions_planned": 100}
NUMBERS = {
    "kvp": (10.0, 320.0, "kV"),
    "ssd_cm": (2.0, 100.0, "cm"),
    "gap_cm": (-2.0, 20.0, "cm"),
    "prescribed_dose_gy": (0.05, 30.0, "Gy"),
    "prescribed_depth_mm": (0.0, 100.0, "mm"),
}
OPTIONAL = {
    "cutout_diameter_cm": (0.3, 30.0, "cm"),
    "shield_factor": (0.001, 1.0, ""),
    "ultrasound_depth_mm": (0.0, 100.0, "mm"),
    "timer_end_effect_s": (-5.0, 5.0, "s"),
}
PART_S = (0.6, 3600.0, "s")
NEEDED = {"schema", "version", *TEXTS, *COUNTS, *NUMBERS, "parts_s"}
DOCUMENT = Schema(
    SCHEMA, VERSION, keys=frozenset({*NEEDED, *OPTIONAL}), most_bytes=MOST_BYTES, deepest=2
)


def recognize(head: bytes) -> bool:
    """A JSON object that names the schema near its beginning."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"{") and b'"qa_srt_treatment"' in start[:400]


def read(path: Path | str) -> SrtTreatment:
    """Read one record.  Raises `ReadError`."""
    return _read(NamedFile.at(Path(path)), ())


def _read(file: NamedFile, _: Sequence[NamedFile]) -> SrtTreatment:
    told = DOCUMENT.at(file.path)
    only(told, NEEDED, OPTIONAL, "the record")
    texts = {name: text(told[name], name, LONGEST) for name in TEXTS}
    counts = {name: whole(told[name], name, 1, most) for name, most in COUNTS.items()}
    numbers = {name: number(told[name], name, *span) for name, span in NUMBERS.items()}
    more = {
        name: number(told[name], name, *span) if name in told else None
        for name, span in OPTIONAL.items()
    }
    return SrtTreatment(
        unit_id=texts["unit_id"],
        performed_at=instant(texts["datetime"], "datetime"),
        fraction=counts["fraction"],
        fractions_planned=counts["fractions_planned"],
        setup=Setup(
            kvp=numbers["kvp"],
            filter_id=texts["filter_id"],
            applicator_id=texts["applicator_id"],
            ssd_cm=numbers["ssd_cm"],
            gap_cm=numbers["gap_cm"],
            cutout_diameter_cm=more["cutout_diameter_cm"],
            shield=more["shield_factor"],
        ),
        prescribed_gy=numbers["prescribed_dose_gy"],
        prescribed_depth_mm=numbers["prescribed_depth_mm"],
        ultrasound_depth_mm=more["ultrasound_depth_mm"],
        parts_s=_parts(told["parts_s"]),
        timer_end_effect_s=more["timer_end_effect_s"],
        identity=TreatmentIdentity(texts["patient_id"], texts["course_id"], texts["lesion"]),
    )


def _parts(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PARTS:
        raise ReadError("SRT_SCHEMA", f"parts_s is to be a list of 1 to {MOST_PARTS} times in s")
    return tuple(
        number(part, f"parts_s, part {place}", *PART_S) for place, part in enumerate(value, 1)
    )


FORMAT = Format(
    name="srt-treatment-json",
    yields=SrtTreatment,
    recognize=recognize,
    read=_read,
    machine_class="srt",
)
