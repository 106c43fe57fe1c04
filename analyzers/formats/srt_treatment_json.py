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

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from analyzers.core import Format, NamedFile, ReadError
from analyzers.regular_file import opened
from analyzers.srt_treatments import Setup, SrtTreatment, TreatmentIdentity

SCHEMA, VERSION = "qa_srt_treatment", "1.0"
MOST_BYTES = 1 << 16
LONGEST = 64
MOST_PARTS = 20
LARGEST_OFFSET = timedelta(hours=14)
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


def recognize(head: bytes) -> bool:
    """A JSON object that names the schema near its beginning."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"{") and b'"qa_srt_treatment"' in text[:400]


def read(path: Path | str) -> SrtTreatment:
    """Read one record.  Raises `ReadError`."""
    return _read(NamedFile.at(Path(path)), ())


def _read(file: NamedFile, _: Sequence[NamedFile]) -> SrtTreatment:
    told = _told(file.path)
    texts = {name: _text(told, name) for name in TEXTS}
    counts = {name: _count(told, name, most) for name, most in COUNTS.items()}
    numbers = {name: _number(told[name], name, *span) for name, span in NUMBERS.items()}
    more = {
        name: _number(told[name], name, *span) if name in told else None
        for name, span in OPTIONAL.items()
    }
    return SrtTreatment(
        unit_id=texts["unit_id"],
        performed_at=_instant(texts["datetime"]),
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


def _told(path: Path) -> Mapping[str, Any]:
    with opened(path) as (stream, size):
        if size > MOST_BYTES:
            _refuse("SRT_SCHEMA", f"more than {MOST_BYTES} bytes: one fraction is far less")
        content = stream.read(MOST_BYTES)
    try:
        told = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError):
        _refuse("SRT_SCHEMA", "this is no whole JSON text in UTF-8; write the file again")
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        _refuse("SRT_SCHEMA", f"the schema is not {SCHEMA}")
    if told.get("version") != VERSION:
        _refuse("SRT_SCHEMA", f"only version {VERSION} of the schema is known")
    lacking = sorted(NEEDED - set(told))
    if lacking:
        _refuse("SRT_SCHEMA", f"the record lacks {', '.join(lacking)}")
    if set(told) - NEEDED - set(OPTIONAL):
        _refuse("SRT_SCHEMA", "the record has a key that the schema does not; leave it out")
    return told


def _parts(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PARTS:
        _refuse("SRT_SCHEMA", f"parts_s is to be a list of 1 to {MOST_PARTS} times in s")
    return tuple(
        _number(part, f"parts_s, part {number}", *PART_S) for number, part in enumerate(value, 1)
    )


def _number(value: object, name: str, low: float, high: float, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("SRT_SCHEMA", f"{name}: a number expected; leave out what does not apply")
    after = f" {unit}" if unit else ""
    if not low <= value <= high:
        _refuse("SRT_UNIT", f"{name}: {low:g} to {high:g}{after} expected, this lies outside")
    return float(value)


def _count(told: Mapping[str, Any], name: str, most: int) -> int:
    value = told[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        _refuse("SRT_SCHEMA", f"{name}: a whole number from 1 to {most} expected")
    return value


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told[name]
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
        _refuse("SRT_SCHEMA", f"{name}: a text of 1 to {LONGEST} characters expected")
    if not value.isprintable():
        _refuse("SRT_SCHEMA", f"{name}: holds characters that cannot be printed")
    return value.strip()


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        _refuse("SRT_TIME", "datetime is to be written like 2026-02-03T07:31:00+01:00")
    offset = at.utcoffset()
    if offset is None or abs(offset) > LARGEST_OFFSET:
        _refuse("SRT_TIME", "datetime has no offset from UTC: write it like …T07:31:00+01:00")
    if not 2000 <= at.year < 2200:
        _refuse("SRT_TIME", "datetime lies before 2000 or far ahead")
    return at


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("SRT_SCHEMA", "a key stands twice in one object")
    return found


def _no_number(_: str) -> NoReturn:
    _refuse("SRT_UNIT", "NaN and Infinity are no numbers")


def _refuse(code: str, message: str) -> NoReturn:
    raise ReadError(code, message)


FORMAT = Format(
    name="srt-treatment-json",
    yields=SrtTreatment,
    recognize=recognize,
    read=_read,
    machine_class="srt",
)
