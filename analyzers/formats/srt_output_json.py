"""Output checks of an SRT unit as JSON: schema `qa_srt_output` 1.0.

`{"schema": "qa_srt_output", "version": "1.0", "records": [{...}]}` with the names and types of the
table's columns.  Nothing else is in it: no other key, no key twice, no number as a text, no NaN.
A cell without a value is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from analyzers.core import Bundle, Format, NamedFile, ReadError, TruncatedError
from analyzers.output_checks import OutputCheck
from analyzers.output_columns import COLUMNS, SCHEMA, VERSION, Kind
from analyzers.output_rows import (
    MOST_BYTES,
    MOST_COLUMNS,
    MOST_ROWS,
    Cells,
    accepted,
    check_columns,
    only_session,
)
from analyzers.output_text import one_or_bundle
from analyzers.regular_file import opened

KEYS = ("schema", "version", "records")
DEEPEST = 4
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKETS = re.compile(r"[\[\]{}]")


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    """What the parser's own hooks found."""


def recognize(head: bytes) -> bool:
    """An object that names the schema, or columns that no other format has."""
    text = head.decode("utf-8-sig", "replace").lstrip()
    if not text.startswith("{"):
        return False
    return f'"{SCHEMA}"' in text or ('"records"' in text and '"readings_nc"' in text)


def read(path: Path | str) -> OutputCheck:
    """Read a file of one session.  Raises `ReadError`."""
    return only_session(read_sessions(Path(path)))


def read_sessions(path: Path) -> tuple[OutputCheck, ...]:
    """All sessions of a file, the earliest first.  Raises `ReadError`."""
    with opened(path) as (stream, size):
        if size > MOST_BYTES:
            raise ReadError("SRT_SIZE", f"{size} bytes, at most {MOST_BYTES} expected")
        content = stream.read(size)
    return sessions_of(content)


def sessions_of(content: bytes) -> tuple[OutputCheck, ...]:
    """All sessions of such a file's bytes.  Raises `ReadError`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ReadError("SRT_TEXT", "the file is not UTF-8; write it as UTF-8") from None
    return accepted(_rows(_records(_parsed(text))))


def _read(
    file: NamedFile,
    companions: Sequence[NamedFile],  # noqa: ARG001
) -> OutputCheck | Bundle:
    return one_or_bundle(read_sessions(file.path))


def _parsed(text: str) -> object:
    depth = deepest = 0
    for bracket in BRACKETS.findall(STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise ReadError("SRT_SCHEMA", f"the file is nested deeper than {DEEPEST} levels")
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=float,
            parse_float=float,
            parse_constant=_constant,
        )
    except _Wrong as why:
        raise ReadError("SRT_SCHEMA", str(why)) from None
    except json.JSONDecodeError as why:
        is_cut = why.pos >= len(text.rstrip()) or why.msg.startswith("Unterminated string")
        raise (TruncatedError if is_cut else ReadError)(
            "SRT_TEXT", f"not JSON in line {why.lineno}, column {why.colno}: {why.msg}"
        ) from None
    except (RecursionError, ValueError):
        raise ReadError("SRT_TEXT", "not JSON that can be read") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        said = twice if twice in COLUMNS or twice in KEYS else "a key"
        raise _Wrong(f"{said} is there twice in one object")
    return found


def _constant(name: str) -> object:
    raise _Wrong(f"{name} is no number of JSON; leave out what was not measured")


def _records(form: object) -> list[object]:
    if not isinstance(form, dict):
        raise ReadError("SRT_SCHEMA", f"an object with {', '.join(KEYS)} expected")
    if set(form) != set(KEYS):
        lacking = [key for key in KEYS if key not in form]
        said = f"lacks {', '.join(lacking)}" if lacking else "has a key that the schema does not"
        raise ReadError(
            "SRT_SCHEMA", f"the outermost object {said}; it has {', '.join(KEYS)} and no other"
        )
    if form["schema"] != SCHEMA or form["version"] != VERSION:
        raise ReadError("SRT_SCHEMA", f'schema "{SCHEMA}", version "{VERSION}" expected')
    records = form["records"]
    if not isinstance(records, list):
        raise ReadError("SRT_SCHEMA", "records: a list expected")
    if len(records) > MOST_ROWS:
        raise ReadError("SRT_SIZE", f"more than {MOST_ROWS} records; write several files")
    return records


def _rows(records: Sequence[object]) -> Iterator[tuple[str, Cells]]:
    for number, record in enumerate(records, start=1):
        where = f"record {number}"
        if not isinstance(record, dict):
            raise ReadError("SRT_SCHEMA", f"{where}: an object expected")
        if len(record) > MOST_COLUMNS:
            raise ReadError("SRT_SIZE", f"{where}: {len(record)} keys, at most {MOST_COLUMNS}")
        check_columns(record, where)
        yield (
            where,
            {
                name: _value(name, value, where)
                for name, value in record.items()
                if value != "" or COLUMNS[name].kind is not Kind.TEXT or COLUMNS[name].required
            },
        )


def _value(name: str, value: object, where: str) -> object:
    kind, at = COLUMNS[name].kind, f"{where}, {name}"
    if kind is Kind.NUMBER:
        if isinstance(value, float):
            return value
        raise ReadError("SRT_SCHEMA", f"{at}: {_called(value)}, a number expected")
    if kind is Kind.READINGS:
        if isinstance(value, list) and all(isinstance(reading, float) for reading in value):
            return tuple(value)
        raise ReadError("SRT_SCHEMA", f"{at}: a list of numbers expected")
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ReadError("SRT_SCHEMA", f"{at}: {_called(value)}, a text expected")


def _called(value: object) -> str:
    if value is None:
        return "null (leave out what was not measured)"
    if isinstance(value, str):
        return "a text in quotes" if value.strip() else "an empty text"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, float) else "a list or an object"


FORMAT = Format(
    name="srt-output-json",
    yields=OutputCheck,
    recognize=recognize,
    read=_read,
    machine_class="srt",
    may_bundle=True,
)
