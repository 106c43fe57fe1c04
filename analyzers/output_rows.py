"""From cells to sessions: the rules of the schema `qa_srt_output` that every format of it shares.

A file is accepted as a whole or refused as a whole.  What only a clinic or a clock can tell (a time
to come, a unit that is not registered, a certificate that has run out) is not judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from analyzers.core import ReadError
from analyzers.output_checks import CheckType, Mode, OutputCheck, ReadingGroup, sessions
from analyzers.output_columns import COLUMNS, PRIVATE, REQUIRED, SCHEMA, VERSION, checked

MOST_BYTES = 5 << 20
MOST_ROWS = 10_000
MOST_COLUMNS = 100
WIDE_SPREAD = 1.05
"""Largest over smallest reading of a row from which a warning is given."""
WIDEST_SPREAD = 1.2
FIRST_YEAR, LAST_YEAR = 2000, 2100
LARGEST_OFFSET = timedelta(hours=14)
LONGEST_NAME = 64
USUAL_PRESSURE_KPA = (70.0, 110.0)
USUAL_TEMPERATURE_C = (15.0, 35.0)
TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)", re.ASCII
)
PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ ().%/-]{0,39}", re.ASCII)

POINTS = (
    ("depth_mm", (CheckType.PDD,), (CheckType.PDD, CheckType.PROFILE)),
    ("position_mm", (CheckType.PROFILE,), (CheckType.PROFILE,)),
    ("profile_axis", (CheckType.PROFILE,), (CheckType.PROFILE,)),
)
"""Columns of points, the kinds of check that need them, and those that may have them."""

Cells = Mapping[str, object]
"""Values of a row by column, already of the column's type; an empty cell is not there."""


def check_columns(names: Iterable[str], where: str) -> None:
    """Raise `ReadError` for a column that the schema does not have."""
    for place, name in enumerate(names, start=1):
        if name not in COLUMNS:
            near = get_close_matches(name[:LONGEST_NAME].casefold(), COLUMNS, n=1)
            # Unlike any column it may be a cell of a row without a header, and so a person.
            is_typing_error = near and PLAIN_NAME.fullmatch(name)
            shown = f"column {name!r}" if is_typing_error else f"column {place}"
            hint = f"if {near[0]} is meant, rename it, else" if near else "rename it, or"
            raise ReadError(
                "SRT_SCHEMA",
                f"{where}: {shown} is none of the schema {SCHEMA} {VERSION}; {hint} leave it out",
            )


def accepted(rows: Iterable[tuple[str, Cells]]) -> tuple[OutputCheck, ...]:
    """The sessions of a file from its rows, each with what a message calls it (`row 3`).

    Raises `ReadError` for the first row that breaks a rule.
    """
    found: list[ReadingGroup] = []
    warnings: list[tuple[str, str]] = []
    records: dict[str, str] = {}
    measured: dict[tuple[object, ...], str] = {}
    for where, cells in rows:
        row = reading_group(cells, where)
        if row.record_id in records:
            raise ReadError(
                "SRT_TIME",
                f"{where}, record_id: the same as in {records[row.record_id]}; give every row its "
                "own, and leave out rows that were copied",
            )
        same = measured.setdefault(_occasion(row), where)
        if same != where:
            raise ReadError(
                "SRT_TIME",
                f"{where}, datetime: the same set-up at the same time as in {same}; one of them is "
                "a copy, or its time is wrong",
            )
        records[row.record_id] = where
        found.append(row)
        warnings += [(row.record_id, f"{where}, {text}") for text in _remarks(row)]
    if not found:
        raise ReadError("SRT_READINGS", "the file holds no row; write one for each set-up measured")
    return sessions(found, warnings)


def only_session(found: tuple[OutputCheck, ...]) -> OutputCheck:
    """The session of a file that holds one; `ReadError` for a file of several."""
    if len(found) > 1:
        units = {session.rows[0].unit_id for session in found}
        raise ReadError(
            "SRT_SESSIONS",
            f"the file holds {len(found)} sessions of {len(units)} "
            f"{'unit' if len(units) == 1 else 'units'} (more than 4 h apart is another session); "
            "write a file for each",
        )
    return found[0]


def reading_group(cells: Cells, where: str) -> ReadingGroup:
    """One row, held against every rule for a row.  Raises `ReadError`."""
    private = frozenset(str(cells[name]) for name in PRIVATE if name in cells)
    values: dict[str, Any] = {}
    for name, column in COLUMNS.items():
        if name in cells:
            values[name] = checked(column, cells[name], where, private)
    missing = [name for name in REQUIRED if name not in values]
    if missing:
        code = "SRT_READINGS" if missing == ["readings_nc"] else "SRT_SCHEMA"
        raise ReadError(code, f"{where}, {missing[0]}: empty, and every row has to say it")
    values["performed_at"] = _time(values.pop("datetime"), where)
    values["check_type"] = CheckType(values["check_type"])
    values["mode"] = Mode(values["mode"])
    row = ReadingGroup(**values)
    _check_together(row, where)
    return row


def _time(text: str, where: str) -> datetime:
    at = f"{where}, datetime"
    example = "written as 2026-02-03T07:31:00+01:00, with the offset from UTC"
    if not TIME.fullmatch(text):
        raise ReadError("SRT_TIME", f"{at}: not {example}")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ReadError("SRT_TIME", f"{at}: a time that does not exist; {example}") from None
    offset = found.utcoffset()
    if offset is None or abs(offset) > LARGEST_OFFSET:
        raise ReadError("SRT_TIME", f"{at}: an offset that no place has; {example}")
    if not FIRST_YEAR <= found.year < LAST_YEAR:
        raise ReadError(
            "SRT_TIME", f"{at}: the year {found.year}, {FIRST_YEAR} to {LAST_YEAR - 1} expected"
        )
    return found


def _check_together(row: ReadingGroup, where: str) -> None:
    """What cells say of one another."""
    _check_applicator(row, where)
    _check_point(row, where)
    if row.check_type is CheckType.ABSOLUTE and row.n_k_gy_per_c is None:
        raise ReadError(
            "SRT_CAL",
            f"{where}, n_k_gy_per_c: empty, and an absolute output needs the chamber's calibration "
            "factor",
        )
    if row.timer_set_s <= abs(row.timer_end_effect_s or 0.0):
        raise ReadError(
            "SRT_TIMER",
            f"{where}, timer_set_s: {row.timer_set_s:g} s is not longer than the end effect of "
            f"{row.timer_end_effect_s:g} s; check both",
        )
    tolerance, action = row.tolerance_pct, row.action_pct
    if tolerance is not None and action is not None and action < tolerance:
        raise ReadError(
            "SRT_UNIT",
            f"{where}, action_pct: {action:g} % is tighter than tolerance_pct, {tolerance:g} %",
        )
    if (row.bsf is None) != (row.mu_en_ratio is None):
        given, lacking = ("bsf", "mu_en_ratio") if row.bsf else ("mu_en_ratio", "bsf")
        raise ReadError(
            "SRT_SCHEMA",
            f"{where}, {lacking}: empty while {given} is given; dose to water needs both, and air "
            "kerma neither",
        )
    smallest, largest = min(row.readings_nc), max(row.readings_nc)
    if largest > WIDEST_SPREAD * smallest:
        raise ReadError(
            "SRT_READINGS",
            f"{where}, readings_nc: the largest is {largest / smallest:.4g} times the smallest, at "
            f"most {WIDEST_SPREAD:g} accepted; measure again, or correct the one mistyped",
        )


def _check_point(row: ReadingGroup, where: str) -> None:
    """A reading in a depth is none of the output, and one without its place is no point."""
    kind = row.check_type
    for name, needed_by, taken_by in POINTS:
        value = getattr(row, name)
        if value is None and kind in needed_by:
            raise ReadError(
                "SRT_SCHEMA",
                f"{where}, {name}: empty, and every row of {kind.value} has to say it",
            )
        if value is not None and kind not in taken_by:
            raise ReadError(
                "SRT_SCHEMA",
                f"{where}, {name}: given in a row of {kind.value}; it belongs to "
                f"{' and '.join(taker.value for taker in taken_by)}",
            )


def _check_applicator(row: ReadingGroup, where: str) -> None:
    sides = (row.applicator_x_cm, row.applicator_y_cm)
    is_round, has_side = row.applicator_diameter_cm is not None, any(side for side in sides)
    if is_round and has_side:
        raise ReadError(
            "SRT_SCHEMA",
            f"{where}, applicator_diameter_cm: given together with applicator_x_cm or "
            "applicator_y_cm; a round applicator has a diameter, a rectangular one two sides",
        )
    if not is_round and not all(sides):
        lacking = "applicator_y_cm" if sides[0] else "applicator_x_cm"
        name = lacking if has_side else "applicator_diameter_cm"
        raise ReadError(
            "SRT_SCHEMA",
            f"{where}, {name}: empty; write the diameter of a round applicator, or both sides of a "
            "rectangular one",
        )


def _remarks(row: ReadingGroup) -> list[str]:
    """What is accepted and ought to be looked at."""
    said = []
    spread = max(row.readings_nc) / min(row.readings_nc)
    if spread > WIDE_SPREAD:
        said.append(f"readings_nc: the largest is {spread:.4g} times the smallest")
    for name, value, (low, high) in (
        ("pressure_kpa", row.pressure_kpa, USUAL_PRESSURE_KPA),
        ("temperature_c", row.temperature_c, USUAL_TEMPERATURE_C),
    ):
        if not low <= value <= high:
            said.append(f"{name}: {value:g} is unusual, {low:g} to {high:g} expected")
    return said


def _occasion(row: ReadingGroup) -> tuple[object, ...]:
    """What no two rows have in common."""
    return (
        *(row.unit_id, row.performed_at, row.check_type, row.beam, row.ssd_cm, row.mode),
        *(row.timer_set_s, row.exposures, row.absorber_mm_al, row.head_angle_deg, row.chamber_sn),
        *(row.depth_mm, row.position_mm, row.profile_axis),
    )
