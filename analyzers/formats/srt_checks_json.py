"""Routine checks of a kV unit as JSON, schema `qa_srt_checks` 1.0: what a form or a script writes.

    {"schema": "qa_srt_checks", "version": "1.0", "unit_id": "SRT1",
     "datetime": "2026-02-03T07:31:00+01:00", "operator": "AB", "comment": "",
     "items": [{"id": "SRT.D.SAF.DOOR", "passed": true},
               {"id": "SRT.M.US.SPATIAL", "value": 0.1, "unit": "mm"}]}

`unit` has to be the test's own: a number is never taken in a unit that was not meant.  The whole
file is read or refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from analyzers.core import Format, NamedFile, ReadError
from analyzers.regular_file import opened
from analyzers.routine_checks import RoutineChecks
from analyzers.srt_routine import BY_ID, RoutineTest

SCHEMA, VERSION = "qa_srt_checks", "1.0"
MOST_BYTES = 1 << 20
LONGEST_NAME, LONGEST_COMMENT = 64, 500
LARGEST = 1e6
KEYS = {"schema", "version", "unit_id", "datetime", "operator", "comment", "items"}
FILL_IN = "correct the file, or use the form on the unit's page"


def recognize(head: bytes) -> bool:
    """A JSON object that names the schema near its beginning."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"{") and b'"qa_srt_checks"' in text[:400]


def read(path: Path | str) -> RoutineChecks:
    """Read one list of checks.  Raises `ReadError`."""
    return _read(NamedFile.at(Path(path)), ())


def _read(file: NamedFile, _: Sequence[NamedFile]) -> RoutineChecks:
    with opened(file.path) as (stream, size):
        if size > MOST_BYTES:
            _refuse("SRT_SCHEMA", f"more than {MOST_BYTES} bytes: one list of checks is far less")
        content = stream.read(MOST_BYTES)
    try:
        told = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        _refuse("SRT_SCHEMA", f"this is no whole JSON text in UTF-8; {FILL_IN}")
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        _refuse("SRT_SCHEMA", f"the schema is not {SCHEMA}")
    if told.get("version") != VERSION:
        _refuse("SRT_SCHEMA", f"only version {VERSION} of the schema is known")
    _only(told, KEYS, "the file")
    return RoutineChecks(
        unit_id=_text(told, "unit_id", LONGEST_NAME),
        performed_at=_instant(told),
        answers=_answers(told.get("items")),
        operator=_text(told, "operator", LONGEST_NAME),
        comment=_text(told, "comment", LONGEST_COMMENT, needed=False),
    )


def _answers(items: object) -> dict[str, bool | float]:
    if not isinstance(items, list) or not items:
        _refuse("SRT_SCHEMA", "items is to be a list of at least one check")
    found: dict[str, bool | float] = {}
    for number, item in enumerate(items, 1):
        where = f"item {number}"
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


def _answer(test: RoutineTest, item: dict[str, Any], where: str) -> bool | float:
    if test.is_functional:
        _only(item, {"id", "passed"}, where)
        passed = item.get("passed")
        if not isinstance(passed, bool):
            _refuse("SRT_SCHEMA", f"{where}: {test.id} needs passed, true or false")
        return passed
    _only(item, {"id", "value", "unit"}, where)
    value = item.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("SRT_SCHEMA", f"{where}: {test.id} needs value, a number in {test.unit}")
    if item.get("unit") != test.unit:
        _refuse("SRT_UNIT", f"{where}: {test.id} is in {test.unit}; say so with unit")
    if not math.isfinite(value) or abs(value) > LARGEST:
        _refuse("SRT_UNIT", f"{where}: {test.id} is no number that can be")
    return float(value)


def _instant(told: dict[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(str(told.get("datetime")))
    except ValueError:
        _refuse("SRT_TIME", "datetime is to be written like 2026-02-03T07:31:00+01:00")
    if at.tzinfo is None:
        _refuse("SRT_TIME", "datetime has no offset from UTC: write it like …T07:31:00+01:00")
    if not 2000 <= at.year < 2200:
        _refuse("SRT_TIME", "datetime lies before 2000 or far ahead")
    return at


def _text(told: dict[str, Any], key: str, longest: int, *, needed: bool = True) -> str:
    value = told.get(key, None if needed else "")
    if not isinstance(value, str) or len(value) > longest or (needed and not value.strip()):
        _refuse("SRT_SCHEMA", f"{key} is to be a text of at most {longest} characters")
    if not value.isprintable():
        _refuse("SRT_SCHEMA", f"{key} holds characters that cannot be printed")
    return value.strip()


def _only(told: dict[str, Any], keys: set[str], where: str) -> None:
    if set(told) - keys:
        _refuse("SRT_SCHEMA", f"{where} has keys besides {', '.join(sorted(keys))}")


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
    name="srt-checks-json",
    yields=RoutineChecks,
    recognize=recognize,
    read=_read,
    machine_class="srt",
)
