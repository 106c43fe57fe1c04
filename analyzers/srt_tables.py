"""Tables that a treatment on a kV unit is calculated with: entered by the clinic, one unit's own.

Schema `qa_srt_table` 1.0.  A table is its unit, its kind, the day from which it counts, where its
numbers come from, and rows of named columns.  Its SHA-256 is over the canonical text, in which the
rows stand in the order of their keys: the same numbers have the same hash however they were typed.
None is shipped, and one unit's is never another's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

SCHEMA, VERSION = "qa_srt_table", "1.0"
BEAM = ("kvp", "filter_id")

Cell: TypeAlias = float | str


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column; `low` and `high` are inside, in `unit`.  Without a unit and bounds: a name."""

    name: str
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def is_text(self) -> bool:
        """Whether it names something; else it is a number."""
        return self.low is None


KVP = TableColumn("kvp", "kV", 10.0, 320.0)
FILTER, APPLICATOR = TableColumn("filter_id"), TableColumn("applicator_id")
SSD = TableColumn("ssd_cm", "cm", 2.0, 100.0)
HVL = TableColumn("hvl_mm_al", "mm Al", 0.01, 20.0)


@dataclass(frozen=True, slots=True)
class TableKind:
    """A kind of table: its last column is the value, the others say of what."""

    name: str
    title: str
    columns: tuple[TableColumn, ...]

    @property
    def value(self) -> TableColumn:
        """The column of the values."""
        return self.columns[-1]


APPLICATOR_FACTOR = TableKind(
    "applicator_factor",
    "Applicator factors",
    (KVP, FILTER, APPLICATOR, TableColumn("factor", "", 0.2, 5.0)),
)
"""Dose rate to water at the surface over that of the reference applicator."""
BACKSCATTER = TableKind(
    "backscatter",
    "Backscatter factors B_w",
    (SSD, TableColumn("diameter_cm", "cm", 0.3, 30.0), HVL, TableColumn("b_w", "", 1.0, 1.7)),
)
MU_EN_RATIO = TableKind(
    "mu_en_ratio",
    "Mass energy-absorption coefficients, water to air",
    (HVL, TableColumn("ratio", "", 1.0, 1.12)),
)
DEPTH_DOSE = TableKind(
    "pdd",
    "Percent depth doses",
    (
        *(KVP, FILTER, APPLICATOR, SSD),
        TableColumn("depth_mm", "mm", 0.0, 300.0),
        TableColumn("pdd_percent", "%", 0.01, 110.0),
    ),
)
EFFECTIVE_SSD = TableKind(
    "effective_ssd",
    "Effective source distances",
    (KVP, FILTER, APPLICATOR, TableColumn("effective_ssd_cm", "cm", 2.0, 150.0)),
)
"""From the inverse square fitted to readings over the gap."""
KINDS: Mapping[str, TableKind] = {
    kind.name: kind
    for kind in (APPLICATOR_FACTOR, BACKSCATTER, MU_EN_RATIO, DEPTH_DOSE, EFFECTIVE_SSD)
}


@dataclass(frozen=True, slots=True)
class UnitTable:
    """One table: `rows` hold a cell for each column of the kind, in the order of their keys.

    It counts for treatments from `valid_from` on, the unit's own day.
    """

    kind: str
    unit_id: str
    valid_from: date
    source: str
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """The columns of its kind."""
        return KINDS[self.kind].columns

    @property
    def canonical(self) -> str:
        """The one text of this content."""
        told = {
            "schema": SCHEMA,
            "version": VERSION,
            "kind": self.kind,
            "unit_id": self.unit_id,
            "valid_from": self.valid_from.isoformat(),
            "source": self.source,
            "rows": [
                {column.name: cell for column, cell in zip(self.columns, row, strict=True)}
                for row in self.rows
            ],
        }
        return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical text in UTF-8, in hex."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()
