"""JSON that a person or a script wrote, read strictly: whole, or refused with its place.

One set of rules for every format of ours in JSON.  UTF-8, with or without a byte order mark; no key
twice, no NaN, no Infinity, no deeper than the schema goes.  A number that no float holds is read as
infinite, so that the range of its key refuses it.  Messages name keys of the schema and count the
entries of lists from 1; they repeat no text and no key that the schema does not have: either may be
a person's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from analyzers.core import ReadError, TruncatedError
from analyzers.regular_file import opened

LONGEST_WHOLE = 18
"""Digits of a whole number that is kept as one; a longer one is no count of anything."""
LARGEST_OFFSET = timedelta(hours=14)
FIRST_YEAR, LAST_YEAR = 2000, 2199
# A string, closed or not, or a bracket outside of strings.  Each character is looked at once: an
# unclosed string runs to the end, instead of being tried again from every quote inside it.
STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z)|[\[\]{}]', re.DOTALL)
Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Schema:
    """What a document has to say of itself, and what it may hold at most.

    `keys` are all keys of all its objects: these alone are named in messages.  `code`, `text_code`
    and `size_code` are the codes of a document that is no such document, no JSON, and too large.
    """

    name: str
    version: str
    keys: frozenset[str]
    most_bytes: int
    deepest: int
    hint: str = "write the file again"
    code: str = "SRT_SCHEMA"
    text_code: str = "SRT_TEXT"
    size_code: str = "SRT_SIZE"

    def at(self, path: Path) -> dict[str, Any]:
        """The outermost object of a file.  Raises `ReadError`."""
        with opened(path) as (stream, size):
            if size > self.most_bytes:
                raise ReadError(self.size_code, f"{size} bytes, at most {self.most_bytes} expected")
            return self.of(stream.read(size))

    def of(self, content: bytes) -> dict[str, Any]:
        """The outermost object of a file's bytes.

        Raises `ReadError`; `TruncatedError` where the text is sound as far as it goes.
        """
        told = self._parsed(self._decoded(content))
        if not isinstance(told, dict):
            raise ReadError(self.code, "an object with schema, version and more expected")
        if told.get("schema") != self.name:
            raise ReadError(self.code, f"the schema is not {self.name}")
        if told.get("version") != self.version:
            raise ReadError(
                self.code,
                f"only version {self.version} of the schema is known: version "
                f'"{self.version}" expected, in quotes',
            )
        return told

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as why:
            is_cut = why.reason == "unexpected end of data"
            raise (TruncatedError if is_cut else ReadError)(
                self.text_code, f"not UTF-8 from byte {why.start + 1} on; {self.hint} as UTF-8"
            ) from None

    def _parsed(self, text: str) -> object:
        self._refuse_nested(text)
        reading = _Reading(self.keys)
        try:
            told: object = json.loads(
                text,
                object_pairs_hook=reading.of_pairs,
                parse_int=_number_of,
                parse_float=float,
                parse_constant=reading.of_constant,
            )
        except json.JSONDecodeError as why:
            is_cut = why.pos >= len(text.rstrip()) or why.msg.startswith("Unterminated string")
            raise (TruncatedError if is_cut else ReadError)(
                self.text_code,
                f"not JSON in line {why.lineno}, column {why.colno}: {why.msg}; {self.hint}",
            ) from None
        if reading.has_fault:
            place, fault = _first_fault(told, self.keys, "")
            raise ReadError(self.code, f"{place}: {fault}" if place else fault)
        return told

    def _refuse_nested(self, text: str) -> None:
        # Before the parser, which would run out of stack.
        depth = 0
        for found in STRING_OR_BRACKET.finditer(text):
            mark = found[0]
            depth += (mark in "[{") - (mark in "]}")
            if depth > self.deepest:
                line = text.count("\n", 0, found.start()) + 1
                raise ReadError(self.code, f"line {line}: nested deeper than {self.deepest} levels")


@dataclass(frozen=True, slots=True)
class _Fault:
    """Stands in the document where something cannot be taken."""

    said: str


class _Reading:
    """What the parser asks back while it reads one document."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = keys
        self.has_fault = False

    def of_pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Fault:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        self.has_fault = True
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        said = twice if twice in self._keys else "a key"
        return _Fault(f"{said} is there twice in one object; leave one of them out")

    def of_constant(self, name: str) -> _Fault:
        self.has_fault = True
        return _Fault(f"{name} is no number of JSON; leave out what was not measured")


def _number_of(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_WHOLE else float(digits)


def _first_fault(told: object, keys: Collection[str], at: str) -> tuple[str, str]:
    """Where the first fault stands, in keys and numbers, and what it is; empty: none below."""
    if isinstance(told, _Fault):
        return at, told.said
    inside: list[tuple[str, object]] = []
    if isinstance(told, dict):
        inside = [(name if name in keys else "a key", value) for name, value in told.items()]
    elif isinstance(told, list):
        inside = [(f"number {number}", value) for number, value in enumerate(told, 1)]
    for name, value in inside:
        place, said = _first_fault(value, keys, f"{at}, {name}" if at else name)
        if said:
            return place, said
    return "", ""


def only(told: Told, needed: Collection[str], optional: Collection[str], where: str) -> None:
    """Raise `ReadError` for an object that lacks a key, or has one that the schema does not."""
    lacking = [name for name in sorted(needed) if name not in told]
    if lacking:
        _refuse("SRT_SCHEMA", f"{where} lacks {', '.join(lacking)}")
    if set(told) - set(needed) - set(optional):
        known = ", ".join(sorted({*needed, *optional}))
        _refuse(
            "SRT_SCHEMA",
            f"{where} has a key that the schema does not; leave out keys besides {known}",
        )


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number of JSON: true and false are none, nor is a text in quotes."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: object, at: str, low: float, high: float, unit: str = "") -> float:
    """A number from `low` to `high`, both inside, in `unit`.  Raises `ReadError`."""
    if not is_number(value):
        _refuse(
            "SRT_SCHEMA",
            f"{at}: {called(value)}, a number expected; leave out what does not apply",
        )
    found = float(value)
    if not low <= found <= high:
        after = f" {unit}" if unit else ""
        _refuse("SRT_UNIT", f"{at}: {low:g} to {high:g}{after} expected, this lies outside")
    return found


def whole(value: object, at: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, written without a point.  Raises `ReadError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _refuse("SRT_SCHEMA", f"{at}: a whole number from {low} to {high} expected")
    return value


def text(value: object, at: str, longest: int, *, needed: bool = True) -> str:
    """A text in one line, without the blanks around it.  Raises `ReadError`."""
    if not isinstance(value, str) or len(value) > longest or (needed and not value.strip()):
        fewest = "1 to" if needed else "at most"
        _refuse("SRT_SCHEMA", f"{at}: a text of {fewest} {longest} characters expected")
    if not value.isprintable():
        _refuse("SRT_SCHEMA", f"{at}: holds characters that cannot be printed")
    return value.strip()


def instant(value: object, at: str) -> datetime:
    """A time with its offset from UTC.  Raises `ReadError`."""
    example = "written like 2026-02-03T07:31:00+01:00"
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        _refuse("SRT_TIME", f"{at}: to be {example}")
    offset = found.utcoffset()
    if offset is None or abs(offset) > LARGEST_OFFSET:
        _refuse("SRT_TIME", f"{at}: no offset from UTC that a place has; to be {example}")
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        _refuse("SRT_TIME", f"{at}: lies before {FIRST_YEAR} or far ahead")
    return found


def called(value: object) -> str:
    """What kind of value it is, for a message; never the value."""
    if value is None:
        return "null (leave out what was not measured)"
    if isinstance(value, str):
        return "a text in quotes" if value.strip() else "an empty text"
    if isinstance(value, bool):
        return "true or false"
    if is_number(value):
        return "a number" if math.isfinite(value) else "a number that is too large"
    return "a list or an object"


def _refuse(code: str, message: str) -> NoReturn:
    raise ReadError(code, message)
