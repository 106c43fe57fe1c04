"""Routine checks of a kV unit as JSON, schema `qa_srt_checks` 1.0: what a form or a script writes.

    {"schema": "qa_srt_checks", "version": "1.0", "unit_id": "SRT1",
     "datetime": "2026-02-03T07:31:00+01:00", "operator": "AB", "comment": "",
     "items": [{"id": "SRT.D.SAF.DOOR", "passed": true},
               {"id": "SRT.M.US.SPATIAL", "value": 0.1, "unit": "mm"}]}

`unit` has to be the test's own: a number is never taken in a unit that was not meant.  The whole
file is read or refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from analyzers.core import Format, NamedFile, ReadError
from analyzers.routine_checks import RoutineChecks
from analyzers.srt_routine import BY_ID, RoutineTest
from analyzers.strict_json import Schema, instant, is_number, number, only, text

SCHEMA, VERSION = "qa_srt_checks", "1.0"
MOST_BYTES = 1 << 20
LONGEST_NAME, LONGEST_COMMENT = 64, 500
LARGEST = 1e6
NEEDED = ("schema", "version", "unit_id", "datetime", "operator", "items")
OPTIONAL = ("comment",)
FILL_IN = "correct the file, or use the form on the unit's page"
DOCUMENT = Schema(
    SCHEMA,
    VERSION,
    keys=frozenset({*NEEDED, *OPTIONAL, "id", "passed", "value", "unit"}),
    most_bytes=MOST_BYTES,
    deepest=3,
    hint=FILL_IN,
)


def recognize(head: bytes) -> bool:
    """A JSON object that names the schema near its beginning."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"{") and b'"qa_srt_checks"' in start[:400]


def read(path: Path | str) -> RoutineChecks:
    """Read one list of checks.  Raises `ReadError`."""
    return _read(NamedFile.at(Path(path)), ())


def _read(file: NamedFile, _: Sequence[NamedFile]) -> RoutineChecks:
    told = DOCUMENT.at(file.path)
    only(told, NEEDED, OPTIONAL, "the file")
    return RoutineChecks(
        unit_id=text(told["unit_id"], "unit_id", LONGEST_NAME),
        performed_at=instant(told["datetime"], "datetime"),
        answers=_answers(told["items"]),
        operator=text(told["operator"], "operator", LONGEST_NAME),
        comment=text(told.get("comment", ""), "comment", LONGEST_COMMENT, needed=False),
    )


def _answers(items: object) -> dict[str, bool | float]:
    if not isinstance(items, list) or not items:
        _refuse("SRT_SCHEMA", "items is to be a list of at least one check")
    found: dict[str, bool | float] = {}
    for place, item in enumerate(items, 1):
        where = f"item {place}"
        if not isinstance(item, dict):
            _refuse("SRT_SCHEMA", f"{where} is no object")
        name = item.get("id")
        test = BY_ID.get(name) if isinstance(name, str) else None
        if test is None:
            _refuse("SRT_SCHEMA", f"{where}: this id is no test of the routine; {FILL_IN}")
        if test.check_type is not None:
            _refuse(
                "SRT_SCHEMA",
                f"{where}: {test.id} is worked out from readings: write it as an output check "
                f"of type {test.check_type}",
            )
        if test.id in found:
            _refuse("SRT_SCHEMA", f"{where}: {test.id} stands here twice")
        found[test.id] = _answer(test, item, where)
    return found


def _answer(test: RoutineTest, item: Mapping[str, Any], where: str) -> bool | float:
    if test.is_functional:
        only(item, ("id",), ("passed",), where)
        passed = item.get("passed")
        if not isinstance(passed, bool):
            _refuse("SRT_SCHEMA", f"{where}: {test.id} needs passed, true or false")
        return passed
    only(item, ("id",), ("value", "unit"), where)
    value = item.get("value")
    if not is_number(value):
        _refuse("SRT_SCHEMA", f"{where}: {test.id} needs value, a number in {test.unit}")
    if item.get("unit") != test.unit:
        _refuse("SRT_UNIT", f"{where}: {test.id} is in {test.unit}; say so with unit")
    fewest = 0.0 if test.unit == "element" else -LARGEST
    return number(value, f"{where}, {test.id}", fewest, LARGEST, test.unit or "")


def _refuse(code: str, message: str) -> NoReturn:
    raise ReadError(code, message)


FORMAT = Format(
    name="srt-checks-json",
    yields=RoutineChecks,
    recognize=recognize,
    read=_read,
    machine_class="srt",
)
