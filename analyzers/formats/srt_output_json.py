"""Output checks of an SRT unit as JSON: schema `qa_srt_output` 1.0.

`{"schema": "qa_srt_output", "version": "1.0", "records": [{...}]}` with the names and types of the
table's columns.  Nothing else is in it: no other key, no key twice, no number as a text, no NaN.
A cell without a value is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from analyzers.core import Bundle, Format, NamedFile, ReadError
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
from analyzers.strict_json import Schema, called, is_number, number, only

KEYS = ("schema", "version", "records")
DOCUMENT = Schema(
    SCHEMA, VERSION, keys=frozenset({*KEYS, *COLUMNS}), most_bytes=MOST_BYTES, deepest=4
)


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
    return accepted(_rows(_records(DOCUMENT.at(path))))


def sessions_of(content: bytes) -> tuple[OutputCheck, ...]:
    """All sessions of such a file's bytes.  Raises `ReadError`."""
    return accepted(_rows(_records(DOCUMENT.of(content))))


def _read(
    file: NamedFile,
    companions: Sequence[NamedFile],  # noqa: ARG001
) -> OutputCheck | Bundle:
    return one_or_bundle(read_sessions(file.path))


def _records(form: Mapping[str, object]) -> list[object]:
    only(form, KEYS, (), "the outermost object")
    records = form["records"]
    if not isinstance(records, list):
        raise ReadError("SRT_SCHEMA", "records: a list expected")
    if len(records) > MOST_ROWS:
        raise ReadError("SRT_SIZE", f"more than {MOST_ROWS} records; write several files")
    return records


def _rows(records: Sequence[object]) -> Iterator[tuple[str, Cells]]:
    for place, record in enumerate(records, start=1):
        where = f"record {place}"
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
        return number(value, at, -math.inf, math.inf)
    if kind is Kind.READINGS:
        if isinstance(value, list) and all(map(is_number, value)):
            return tuple(map(float, value))
        raise ReadError("SRT_SCHEMA", f"{at}: a list of numbers expected")
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ReadError("SRT_SCHEMA", f"{at}: {called(value)}, a text expected")


FORMAT = Format(
    name="srt-output-json",
    yields=OutputCheck,
    recognize=recognize,
    read=_read,
    machine_class="srt",
    may_bundle=True,
)
