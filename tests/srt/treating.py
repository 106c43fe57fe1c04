"""A unit that treats: its site file, its tables, and treatment records, in plain numbers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.ingest.clinic import NOW
from tests.srt.units import SITE

TREATING = SITE.replace(
    'beams = [{kvp = 50, filter = "F1"}, {kvp = 70, filter = "F2"}]',
    'beams = [{kvp = 50, filter = "F1", hvl_mm_al = 0.52}, '
    '{kvp = 70, filter = "F2", hvl_mm_al = 1.15}]',
).replace(
    'applicators = [{id = "A30", diameter_cm = 3.0, ssd_cm = 15}]',
    'applicators = [{id = "A30", diameter_cm = 3.0, ssd_cm = 15}, '
    '{id = "A20", diameter_cm = 2.0, ssd_cm = 15}, {id = "A50", diameter_cm = 5.0, ssd_cm = 15}]\n'
    'reference_applicator = "A30"',
)
BEAM = {"kvp": 70.0, "filter_id": "F2"}
FACTORS = {"A30": 1.0, "A20": 0.98, "A50": 1.02}
DEPTH_DOSES = {
    "A20": {0.0: 100.0, 2.0: 90.0, 5.0: 74.0, 10.0: 55.0},
    "A30": {0.0: 100.0, 2.0: 92.0, 5.0: 78.0, 10.0: 60.0},
    "A50": {0.0: 100.0, 2.0: 94.0, 5.0: 82.0, 10.0: 66.0},
}
B_W = {2.0: (1.06, 1.08), 3.0: (1.07, 1.10), 5.0: (1.08, 1.13)}
"""At HVL 1.0 and 1.3 mm Al; SSD 15 cm."""
MU_EN = {1.0: 1.020, 1.3: 1.017}


def table(kind: str, rows: list[dict[str, Any]], **said: Any) -> dict[str, Any]:
    """A table as JSON holds it."""
    return {
        "schema": "qa_srt_table",
        "version": "1.0",
        "kind": kind,
        "unit_id": "SRT1",
        "valid_from": "2026-01-15",
        "source": "measured at commissioning",
        "rows": rows,
    } | said


def tables() -> dict[str, dict[str, Any]]:
    """One of each kind, by kind."""
    of_appl = [BEAM | {"applicator_id": name} for name in FACTORS]
    return {
        "applicator_factor": table(
            "applicator_factor",
            [of | {"factor": FACTORS[str(of["applicator_id"])]} for of in of_appl],
        ),
        "backscatter": table(
            "backscatter",
            [
                {"ssd_cm": 15.0, "diameter_cm": d, "hvl_mm_al": hvl, "b_w": value}
                for d, values in B_W.items()
                for hvl, value in zip((1.0, 1.3), values, strict=True)
            ],
        ),
        "mu_en_ratio": table(
            "mu_en_ratio", [{"hvl_mm_al": hvl, "ratio": r} for hvl, r in MU_EN.items()]
        ),
        "pdd": table(
            "pdd",
            [
                BEAM | {"applicator_id": name, "ssd_cm": 15.0, "depth_mm": z, "pdd_percent": p}
                for name, curve in DEPTH_DOSES.items()
                for z, p in curve.items()
            ],
        ),
        "effective_ssd": table(
            "effective_ssd", [of | {"effective_ssd_cm": 14.5} for of in of_appl]
        ),
    }


def as_csv(told: dict[str, Any]) -> str:
    """The same table as CSV."""
    head = ("schema", "version", "kind", "unit_id", "valid_from", "source")
    names = list(told["rows"][0])
    lines = [",".join(head), ",".join(told[name] for name in head), ",".join(names)]
    lines += [",".join(str(row[name]) for name in names) for row in told["rows"]]
    return "\n".join(lines) + "\n"


def written(path: Path, told: dict[str, Any]) -> Path:
    """A table or a record in a file."""
    path.write_text(json.dumps(told))
    return path


def record(at: datetime = NOW, **said: Any) -> dict[str, Any]:
    """2.5 Gy to 2 mm in 70 kV with A30, as a record; the patient's names are canaries."""
    whole = {
        "schema": "qa_srt_treatment",
        "version": "1.0",
        "unit_id": "SRT1",
        "datetime": at.isoformat(),
        "patient_id": "CANARY-PATIENT",
        "course_id": "CANARY-COURSE",
        "lesion": "CANARY-LESION",
        "fraction": 1,
        "fractions_planned": 20,
        "kvp": 70,
        "filter_id": "F2",
        "applicator_id": "A30",
        "ssd_cm": 15.0,
        "gap_cm": 0.0,
        "prescribed_dose_gy": 2.5,
        "prescribed_depth_mm": 2.0,
        "parts_s": [30.0],
        "timer_end_effect_s": 0.5,
    } | said
    return {name: value for name, value in whole.items() if value is not None}
