"""A clinic's own table as text with separators: every cell is a text or empty."""

from __future__ import annotations

import csv
import io

from analyzers.core import ReadError, TruncatedError
from analyzers.sheet_cells import MOST_COLUMNS, MOST_ROWS, SheetRow, SheetTable, Value

MOST_BYTES = 5 << 20


def read_table(content: bytes, separator: str, encoding: str) -> SheetTable:
    """The table.  Quotes as RFC 4180 has them.  Raises `ReadError`."""
    if len(content) > MOST_BYTES:
        raise ReadError("SRT_SIZE", f"{len(content)} bytes, at most {MOST_BYTES} expected")
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        raise ReadError(
            "SRT_TEXT", f"the table is not {encoding}, as its mapping says; correct encoding there"
        ) from None
    if "\0" in text:
        raise ReadError("SRT_TEXT", "the table holds NUL bytes; export it once more")
    rows: list[SheetRow] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            texts = next(reader)
        except StopIteration:
            return SheetTable("", rows)
        except csv.Error as why:
            # The text of the error is the module's own and holds no cell.
            is_cut = "unexpected end" in str(why)
            raise (TruncatedError if is_cut else ReadError)(
                "SRT_TEXT", f"row {number}: quotes or line breaks are not as RFC 4180 has them"
            ) from None
        cells: dict[int, Value] = {
            column: cell
            for column, cell in enumerate(texts[:MOST_COLUMNS], start=1)
            if cell.strip()
        }
        if cells:
            rows.append(SheetRow(number, cells))
        if len(rows) > MOST_ROWS:
            raise ReadError(
                "SRT_SIZE",
                f"row {number}: more than {MOST_ROWS} rows hold something; begin a new file, for "
                "instance every year",
            )
