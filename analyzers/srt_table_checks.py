"""What rows of a table cannot all be true, and what is no table of a unit: said with the row.

Rows are numbered as in the file, from 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NoReturn

from analyzers.core import ReadError
from analyzers.output_registry import SAME_CM, RegisteredUnit
from analyzers.srt_tables import (
    APPLICATOR_FACTOR,
    BACKSCATTER,
    DEPTH_DOSE,
    MU_EN_RATIO,
    Cell,
    TableKind,
    UnitTable,
)

CODE = "SRT_TABLE"
BUILD_UP_MM = 3.0
"""Deeper than this a depth dose of a kV beam only falls."""
LARGEST_STEP = 0.02
"""From one row to the next the mu_en ratio of real beams moves by far less."""
NEAR_NOMINAL = 0.3
"""An effective distance is that of the applicator within this share."""

Rows = Sequence[tuple[int, tuple[Cell, ...]]]
"""Rows with their numbers."""


def check_rows(kind: TableKind, rows: Sequence[tuple[Cell, ...]]) -> None:
    """Raise `ReadError` for the first row that the others contradict."""
    seen: dict[tuple[Cell, ...], int] = {}
    for number, row in enumerate(rows, 1):
        first = seen.setdefault(row[:-1], number)
        if first != number:
            _refuse(f"row {number}: says of the same as row {first}; leave one of them out")
    numbered = sorted(enumerate(rows, 1), key=lambda one: one[1])
    if kind.name in CHECKS:
        CHECKS[kind.name](numbered)


def check_unit(table: UnitTable, unit: RegisteredUnit) -> None:
    """Raise `ReadError` for a table that is not this unit's, or of what the unit has not."""
    if table.unit_id.casefold() not in {name.casefold() for name in unit.names}:
        _refuse("unit_id is another unit's: a table is never used for any but its own")
    names = [column.name for column in table.columns]
    for row in table.rows:
        told = dict(zip(names, row, strict=True))
        if "kvp" in told:
            _check_beam(told, unit)
        if "applicator_id" in told:
            _check_applicator(told, unit)
    if table.kind == APPLICATOR_FACTOR.name:
        _check_reference(table, unit)


def _check_beam(told: Mapping[str, Cell], unit: RegisteredUnit) -> None:
    if not any(
        beam.kvp == told["kvp"] and beam.filter_id == told["filter_id"] for beam in unit.beams
    ):
        _refuse(f"{told['kvp']:g} kV with that filter is no beam of this unit in the site file")


def _check_applicator(told: Mapping[str, Cell], unit: RegisteredUnit) -> None:
    found = [a for a in unit.applicators if a.id == told["applicator_id"]]
    if not found:
        _refuse(f"an applicator of {told['kvp']:g} kV is none of this unit in the site file")
    ssd_cm = found[0].ssd_cm
    if "ssd_cm" in told and abs(float(told["ssd_cm"]) - ssd_cm) > SAME_CM:
        _refuse(
            f"ssd_cm {told['ssd_cm']:g} at {told['kvp']:g} kV: the applicator's is {ssd_cm:g} cm "
            "in the site file"
        )
    if "effective_ssd_cm" in told:
        f_cm = float(told["effective_ssd_cm"])
        if abs(f_cm / ssd_cm - 1.0) > NEAR_NOMINAL:
            _refuse(
                f"effective_ssd_cm {f_cm:g} at {told['kvp']:g} kV: more than "
                f"{100 * NEAR_NOMINAL:g} % off the applicator's {ssd_cm:g} cm"
            )


def _check_reference(table: UnitTable, unit: RegisteredUnit) -> None:
    """Every beam refers to the applicator of the output checks, which is 1 by definition."""
    if unit.reference_applicator is None:
        _refuse("the site file names no reference_applicator of this unit, to which factors refer")
    factors: dict[tuple[Cell, Cell], Cell | None] = {}
    for kvp, filter_id, applicator, factor in table.rows:
        factors.setdefault((kvp, filter_id), None)
        if applicator == unit.reference_applicator:
            factors[kvp, filter_id] = factor
    for (kvp, _), of_reference in factors.items():
        if of_reference != 1.0:
            _refuse(f"{kvp:g} kV: the reference applicator has to be there with the factor 1")


def _falls(rows: Rows) -> None:
    """Each curve: 100 % at the surface, then nothing but falling."""
    curves: dict[tuple[Cell, ...], list[tuple[int, float, float]]] = defaultdict(list)
    for number, (*of, depth_mm, percent) in rows:
        curves[tuple(of)].append((number, float(depth_mm), float(percent)))
    for points in curves.values():
        first, depth_mm, percent = points[0]
        if depth_mm != 0.0 or percent != 100.0:
            _refuse(f"row {first}: the curve starts at {depth_mm:g} mm; 0 mm with 100 % is needed")
        if len(points) < 2:
            _refuse(f"row {first}: a curve of one point")
        for (_, _, before), (number, depth_mm, after) in pairwise(points):
            if depth_mm > BUILD_UP_MM and after >= before:
                _refuse(
                    f"row {number}, pdd_percent: {after:g} % at {depth_mm:g} mm does not fall from "
                    f"{before:g} % at the depth before"
                )


def _is_grid(rows: Rows) -> None:
    """At each SSD every diameter has every half-value layer; scatter rises with the diameter."""
    layers: dict[float, dict[tuple[float, float], tuple[int, float]]] = defaultdict(dict)
    for number, cells in rows:
        ssd_cm, diameter_cm, hvl_mm, b_w = map(float, cells)
        layers[ssd_cm][diameter_cm, hvl_mm] = number, b_w
    for ssd_cm, layer in layers.items():
        diameters = sorted({diameter for diameter, _ in layer})
        for hvl_mm in sorted({hvl for _, hvl in layer}):
            before = 1.0
            for diameter_cm in diameters:
                if (diameter_cm, hvl_mm) not in layer:
                    _refuse(
                        f"SSD {ssd_cm:g} cm, {diameter_cm:g} cm: the row of HVL {hvl_mm:g} mm Al "
                        "is missing; every diameter of an SSD needs every HVL of it"
                    )
                number, b_w = layer[diameter_cm, hvl_mm]
                if b_w < before:
                    _refuse(
                        f"row {number}, b_w: {b_w:g} at {diameter_cm:g} cm is less than {before:g} "
                        "of a smaller field"
                    )
                before = b_w


def _is_smooth(rows: Rows) -> None:
    for (_, (_, before)), (number, (hvl_mm, ratio)) in pairwise(rows):
        if abs(float(ratio) - float(before)) > LARGEST_STEP:
            _refuse(
                f"row {number}, ratio: {ratio:g} at {hvl_mm:g} mm Al jumps from {before:g} at the "
                "half-value layer before"
            )


CHECKS: Mapping[str, Callable[[Rows], None]] = {
    DEPTH_DOSE.name: _falls,
    BACKSCATTER.name: _is_grid,
    MU_EN_RATIO.name: _is_smooth,
}


def _refuse(message: str) -> NoReturn:
    raise ReadError(CODE, message)
