"""What the ratios of an output check are held against: the unit's own signed tables and beams.

An applicator factor of a table is of dose to water at the surface.  The same factor of air kerma is
that over B_w(applicator)/B_w(reference), by the unit's signed backscatter factors; the mu_en ratio
is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from typing import TypeVar

from analyzers.output_checks import OutputCheck, ReadingGroup, Signed
from analyzers.output_registry import RegisteredUnit
from analyzers.srt_table_values import SignedTables, diameter_of
from analyzers.srt_tables import UnitTable
from analyzers.srt_treatments import Setup

Value = TypeVar("Value")


def with_references(check: OutputCheck, unit: RegisteredUnit) -> OutputCheck:
    """The check with what the unit's tables of its day, and its registered beams, say of its rows.

    What no table says, or says of another distance, is not there; nothing is taken from beyond a
    table.
    """
    tables = SignedTables(unit, counting(unit.tables, check.performed_at.date()))
    beams = {row.beam: row for row in check.rows}
    return replace(
        check,
        signed=Signed(
            reference_applicator=unit.reference_applicator,
            hvl_mm_al=_each(beams, lambda row: tables.hvl_mm_al(tables.beam(_setup(row)))),
            factors=_each(beams, lambda row: _factor(tables, row)),
            factors_in_air=_each(beams, lambda row: _factor_in_air(tables, row)),
            depth_doses=_each(beams, lambda row: tables.depth_dose(_setup(row))),
        ),
    )


def counting(tables: Iterable[UnitTable], on: date) -> list[UnitTable]:
    """Of each kind the table that counts on a day: of the newest day, then the last in the list."""
    found: dict[str, UnitTable] = {}
    for table in tables:
        before = found.get(table.kind)
        if table.valid_from <= on and (before is None or before.valid_from <= table.valid_from):
            found[table.kind] = table
    return list(found.values())


def _each(
    beams: dict[str, ReadingGroup], told: Callable[[ReadingGroup], Value]
) -> dict[str, Value]:
    found = {}
    for beam, row in beams.items():
        try:
            found[beam] = told(row)
        except ValueError:
            continue  # not registered, or not in the table: the check says that it is not judged
    return found


def _setup(row: ReadingGroup) -> Setup:
    return Setup(
        kvp=row.kvp,
        filter_id=row.filter_id,
        applicator_id=row.applicator_id,
        ssd_cm=row.ssd_cm,
    )


def _factor(tables: SignedTables, row: ReadingGroup) -> float:
    return tables.factor(tables.beam(_setup(row)), tables.applicator(row.applicator_id))


def _factor_in_air(tables: SignedTables, row: ReadingGroup) -> float:
    beam = tables.beam(_setup(row))
    b_w, of_reference = (
        tables.b_w(applicator.ssd_cm, diameter_of(applicator), beam)
        for applicator in (tables.applicator(row.applicator_id), tables.reference)
    )
    return _factor(tables, row) / (b_w / of_reference)
