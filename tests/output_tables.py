"""Output checks of superficial units to test with: rows as texts, written as table or as JSON.

The row is the worked example of the schema: 4.79373 Gy/min, +0.08 % of its reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

EXAMPLE: Mapping[str, str] = {
    "record_id": "2026-02-03-D1",
    "unit_id": "SRT1",
    "unit_model": "SRT-100 Vision",
    "datetime": "2026-02-03T07:31:00+01:00",
    "check_type": "daily",
    "operator": "AB",
    "kvp": "70",
    "tube_current_ma": "10",
    "filter_id": "F2",
    "hvl_mm_al": "1.10",
    "applicator_id": "A30",
    "applicator_diameter_cm": "3.0",
    "ssd_cm": "15.0",
    "timer_set_s": "30.0",
    "mode": "timer",
    "chamber_model": "PTW 23342",
    "chamber_sn": "0123",
    "electrometer_sn": "4567",
    "n_k_gy_per_c": "1.0e9",
    "p_elec": "1.000",
    "p_ion": "1.000",
    "p_pol": "1.000",
    "readings_nc": "2.345;2.347;2.344",
    "temperature_c": "21.4",
    "pressure_kpa": "99.62",
    "t_ref_c": "20.0",
    "p_ref_kpa": "101.325",
    "reference_output": "4.79",
    "tolerance_pct": "3",
    "action_pct": "5",
    "comment": "",
}
TEXTS = (
    *("record_id", "unit_id", "unit_model", "datetime", "check_type", "operator", "filter_id"),
    *("applicator_id", "mode", "chamber_model", "chamber_sn", "electrometer_sn", "comment"),
    "profile_axis",
)


def row(number: int = 1, **changed: str) -> dict[str, str]:
    """The example with its own record, a few minutes after the first, and cells changed."""
    own = {"record_id": f"R{number}", "datetime": f"2026-02-03T07:{30 + number:02d}:00+01:00"}
    return {**EXAMPLE, **own, **changed}


def table(*rows: Mapping[str, str], comment: bool = True) -> str:
    """A table with all columns that any row has; a cell is quoted where it has to be."""
    names = list(dict.fromkeys(name for each in rows for name in each))
    lines = ["#schema=qa_srt_output/1.0"] if comment else []
    lines.append(",".join(names))
    lines += [",".join(_cell(each.get(name, "")) for name in names) for each in rows]
    return "".join(f"{line}\r\n" for line in lines)


def document(*rows: Mapping[str, str]) -> str:
    """The same rows as JSON, numbers as numbers; empty cells are left out."""
    records = [{n: _value(n, t) for n, t in each.items() if t} for each in rows]
    return json.dumps({"schema": "qa_srt_output", "version": "1.0", "records": records})


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _value(name: str, text: str) -> str | float | Sequence[float]:
    if name == "readings_nc":
        return [float(part) for part in text.split(";")]
    return text if name in TEXTS else float(text)
