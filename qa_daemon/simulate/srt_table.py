"""Write a table of the simulated superficial unit, to be imported and signed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from analyzers.srt_tables import KINDS, SCHEMA, VERSION
from qa_daemon.simulate.options import known
from qa_daemon.simulate.srt_unit import rows

KIND = "srt-table"


def simulate(
    out: Path, *, kind: str = "pdd", unit: str = "SRT1", valid_from: str = "2026-01-01"
) -> Path:
    """Write one table of the unit as JSON.  ValueError for an unknown kind or no day."""
    known("kind", kind, KINDS)
    told = {
        "schema": SCHEMA,
        "version": VERSION,
        "kind": kind,
        "unit_id": str(unit),
        "valid_from": date.fromisoformat(str(valid_from)).isoformat(),
        "source": "simulated: made up, of no real unit",
        "rows": rows(kind),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=1), "utf-8")
    return out
