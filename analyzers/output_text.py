"""Rows of the schema `qa_srt_output` written down: one text for one content.

The JSON is the same to the byte whatever the format, the order of columns or the way of writing a
number that the rows came from.  An empty cell stays empty: a factor that was taken as 1 is not
turned into one that somebody stated.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from analyzers.core import Bundle, Part
from analyzers.output_checks import OutputCheck, ReadingGroup, escaped
from analyzers.output_columns import COLUMNS, SCHEMA, VERSION, Kind

Written = str | float | list[float]


def as_json(rows: Iterable[ReadingGroup]) -> bytes:
    """The rows as a `srt-output-json` file, in the order of time."""
    ordered = sorted(rows, key=lambda r: (r.performed_at, r.record_id))
    form = {"schema": SCHEMA, "version": VERSION, "records": [_values(row) for row in ordered]}
    return (json.dumps(form, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def one_or_bundle(sessions: Sequence[OutputCheck]) -> OutputCheck | Bundle:
    """The session of a file, or each of several as a `srt-output-json` file."""
    return sessions[0] if len(sessions) == 1 else bundled(sessions)


def bundled(sessions: Sequence[OutputCheck], warnings: Sequence[str] = ()) -> Bundle:
    """Each session as a `srt-output-json` file; `warnings` are about them together.

    A part is named by its unit and when it began, so that a table written anew with more rows gives
    the same parts and some more.
    """
    return Bundle(
        tuple(
            Part(
                f"{session.performed_at.isoformat()} {session.rows[0].unit_id}",
                as_json(session.rows),
            )
            for session in sessions
        ),
        last_at=max(session.last_at for session in sessions),
        warnings=tuple(warnings),
    )


def as_csv(rows: Sequence[ReadingGroup], *, columns: Sequence[str] | None = None) -> bytes:
    """The rows as a `srt-output-csv` file, in the order given.

    `columns` are those to write, None: all that any row has a value of.  A text that a spreadsheet
    would take for a formula is written with an apostrophe before it.
    """
    values = [_values(row) for row in rows]
    names = list(columns or (n for n in COLUMNS if any(n in cells for cells in values)))
    text = io.StringIO(newline="")
    text.write(f"#schema={SCHEMA}/{VERSION}\r\n")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(name, cells.get(name, "")) for name in names] for cells in values)
    return text.getvalue().encode()


def _values(row: ReadingGroup) -> dict[str, Written]:
    """What the row says, by column in the order of the schema; empty cells are left out."""
    found: dict[str, Written] = {}
    for name, column in COLUMNS.items():
        value = getattr(row, "performed_at" if name == "datetime" else name)
        if value is None:
            continue
        if isinstance(value, datetime):
            found[name] = value.isoformat()
        elif column.kind is Kind.READINGS:
            found[name] = list(value)
        else:
            found[name] = value
    return found


def _cell(name: str, value: Written) -> str:
    if isinstance(value, list):
        return ";".join(map(repr, value))
    if isinstance(value, float):
        return repr(value)
    return escaped(str(value)) if COLUMNS[name].kind is Kind.TEXT else str(value)
