"""The text of one Dynalog file: six header lines, then a row of whole numbers every 50 ms.

A row has 14 columns and four for each leaf pair.  Both files of a pair begin with the same letter,
which is the version and not the bank.  Checked on real pairs with LF and with CR LF.  The segment
dose indices overflow 16 bits on the last rows: -15536 is 50000.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError
from analyzers.regular_file import opened

HEADER_LINES = 6
LINE_FEED = 10
LARGEST_FILE = 64 * 1024 * 1024
LONGEST_LINE = 1024 * 1024
MOST_ROWS = 100_000
PAIRS = (26, 40, 60)
SCALES = (0, 1)
COPY_AGAIN = "copy the file from the machine again"
DOSE_INDICES = (-32768, 32767)
ANGLE = (-10, 3610)
LEAF = (-20000, 20000)
COLUMNS = (
    ("dose fraction or gantry angle", (-10, 25000)),
    ("segment number", (0, 32767)),
    ("beam hold-off", (0, 2)),
    ("beam on", (0, 1)),
    ("prior dose index", DOSE_INDICES),
    ("next dose index", DOSE_INDICES),
    ("gantry angle", ANGLE),
    ("collimator angle", ANGLE),
    ("jaw Y1", (-400, 400)),
    ("jaw Y2", (-400, 400)),
    ("jaw X1", (-400, 400)),
    ("jaw X2", (-400, 400)),
    ("carriage, expected", LEAF),
    ("carriage, actual", LEAF),
)
OF_A_LEAF = ("expected", "actual", "previous segment", "next segment")
LEAVES = len(COLUMNS)
"""The first column of leaf 1."""
DOSE, SEGMENT, HOLD_OFF, BEAM_ON = 0, 1, 2, 3
PRIOR_INDEX, NEXT_INDEX, GANTRY, COLLIMATOR = 4, 5, 6, 7
Y1, Y2, X1, X2 = 8, 9, 10, 11
SAME_IN_BOTH = slice(0, 12)
"""Columns of the machine, not of a bank."""

# The letter and, of lines 4 to 6 and the first row, at least one part that a Dynalog has; a file
# with another line spoiled still says what it is.
START = re.compile(rb"[A-Za-z][ \t]*\r?\n([^\r\n]*\r?\n){2}([^\r\n]*\r?\n){0,3}")
NUMBERS = re.compile(rb"[ \t]*\d{1,6}[ \t]*\r?\n[ \t]*\d{1,6}[ \t]*\r?\n[ \t]*\d{1,6}[ \t]*\r?\n")
ROW = re.compile(rb"[ \t]*(-?\d{1,6}[ \t]*,[ \t]*){14}")


@dataclass(frozen=True, slots=True)
class Header:
    """The six lines; `patient` and `plan` identify and never leave the record's identity."""

    version: str
    patient: str
    plan: str
    tolerance: int
    pairs: int
    scale: int


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One file: its header and its rows, shape `(rows, 14 + 4 * pairs)`."""

    header: Header
    rows: NDArray[np.int16]
    is_cut: bool
    """The last row was not whole and is left out."""


def recognize(head: bytes) -> bool:
    """Whether a file begins as a Dynalog of either bank does."""
    start = START.match(head)
    if start is None:
        return False
    lines = [found.start() for found in re.finditer(rb"\n", head[: start.end()])]
    third = lines[2] + 1
    if NUMBERS.match(head, third):
        return True
    return len(lines) == HEADER_LINES and ROW.match(head, lines[5] + 1) is not None


def read_table(path: Path) -> Table:
    """Read one file of a pair.

    Raises `ReadError` DLG_HEADER, DLG_LEAVES, DLG_COLS, DLG_VALUE, NOT_A_FILE or UNREADABLE;
    `TruncatedError` DLG_HEADER and DLG_EMPTY where the file ends before its first row.
    """
    content = _content(path)
    begin = 0
    lines: list[bytes] = []
    while len(lines) < HEADER_LINES and (end := content.find(b"\n", begin)) >= 0:
        lines.append(content[begin:end])
        begin = end + 1
    if len(lines) < HEADER_LINES:
        raise TruncatedError(
            "DLG_HEADER",
            f"{len(lines)} whole lines where {HEADER_LINES} header lines were expected; "
            f"{COPY_AGAIN}",
        )
    header = _header(lines)
    rows, is_cut = _rows(content, begin, header.pairs)
    return Table(header, rows, is_cut)


def _content(path: Path) -> bytes:
    with opened(path) as (stream, size):
        if size > LARGEST_FILE:
            raise ReadError(
                "DLG_COLS", f"the file has {size} bytes, a Dynalog at most {LARGEST_FILE}"
            )
        return stream.read(size)


def _header(lines: list[bytes]) -> Header:
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise ReadError("DLG_HEADER", f"header line {number} is longer than {LONGEST_LINE}")
    version, patient, plan, *numbers = (line.decode("latin-1").strip() for line in lines)
    if not re.fullmatch("[A-Za-z]", version):
        raise ReadError("DLG_HEADER", "header line 1 is not the letter of a version")
    tolerance, pairs, scale = (_number(text, at) for at, text in enumerate(numbers, start=4))
    if pairs not in PAIRS:
        raise ReadError("DLG_LEAVES", f"{pairs} leaf pairs in header line 5; 26, 40 or 60 expected")
    if scale not in SCALES:
        raise ReadError(
            "DLG_HEADER", f"Clinac scale {scale} in header line 6; 0 (Varian) or 1 (IEC) expected"
        )
    return Header(version, patient, plan, tolerance, pairs, scale)


def _number(text: str, line: int) -> int:
    # A spoiled file may hold anything in this line: its text is not repeated.
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ReadError("DLG_HEADER", f"header line {line} is not a whole number; {COPY_AGAIN}")
    return int(text)


def _rows(content: bytes, begin: int, pairs: int) -> tuple[NDArray[np.int16], bool]:
    """The whole rows from the byte `begin` on, and whether a last one was cut."""
    whole = content.rfind(b"\n") + 1
    is_cut = bool(content[whole:].strip())
    end = _end_of_rows(content, begin, whole)
    body = np.frombuffer(content, dtype=np.uint8, count=end - begin, offset=begin)
    rows, is_last_short = _parsed(body, LEAVES + 4 * pairs)
    if len(rows) == 0:
        raise TruncatedError("DLG_EMPTY", f"the file has no whole row of data; {COPY_AGAIN}")
    return rows, is_cut or is_last_short


def _end_of_rows(content: bytes, begin: int, end: int) -> int:
    """The end of the last line that is not empty: empty lines at the end do no harm."""
    while end > begin:
        piece = content[max(begin, end - 4096) : end]
        kept = len(piece.rstrip())
        if kept:
            return content.find(b"\n", end - len(piece) + kept) + 1
        end -= len(piece)
    return begin


def _parsed(body: NDArray[np.uint8], columns: int) -> tuple[NDArray[np.int16], bool]:
    """The rows up to the end, or to a last one that is short."""
    # Compiled code is imported when it is needed.
    from analyzers.numerics import integer_table_kernel as kernel

    lowest, highest = _bounds(columns)
    # A value takes two bytes or more: no count of lines makes the table larger than the file.
    most = min(MOST_ROWS + 1, len(body) // (2 * columns) + 1)
    table = np.empty((most, columns), dtype=np.int16)
    ending, row, column = kernel.read_table(body, lowest, highest, LONGEST_LINE, table)
    if row > MOST_ROWS:
        raise ReadError("DLG_COLS", f"a Dynalog has at most {MOST_ROWS} rows, this file has more")
    if ending == kernel.WHOLE:
        return table[:row], False
    if ending == kernel.TOO_FEW and row == np.count_nonzero(body == LINE_FEED) - 1:
        return table[:row], True
    raise _refused(ending == kernel.NOT_A_NUMBER, ending == kernel.OUT_OF_RANGE, row, column, table)


@cache
def _bounds(columns: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    bounds = np.full((columns, 2), LEAF, dtype=np.int16)
    bounds[:LEAVES] = [limits for _, limits in COLUMNS]
    return np.ascontiguousarray(bounds[:, 0]), np.ascontiguousarray(bounds[:, 1])


def _refused(
    is_no_number: bool, is_out_of_range: bool, row: int, column: int, table: NDArray[np.int16]
) -> ReadError:
    line = f"row {row + 1} (line {row + 1 + HEADER_LINES})"
    if is_no_number:
        return ReadError(
            "DLG_VALUE", f"{line}, column {column + 1} is not a whole number; {COPY_AGAIN}"
        )
    if is_out_of_range:
        name, (low, high) = named(column)
        return ReadError("DLG_VALUE", f"{line}: {name} is outside {low} to {high}; {COPY_AGAIN}")
    return ReadError(
        "DLG_COLS",
        f"{line} does not have the {table.shape[1]} values that its leaf pairs need, "
        f"or is longer than {LONGEST_LINE} bytes; {COPY_AGAIN}",
    )


def named(column: int) -> tuple[str, tuple[int, int]]:
    """What a column (0-based) holds, and the range it is accepted in."""
    if column < LEAVES:
        return COLUMNS[column]
    leaf, part = divmod(column - LEAVES, len(OF_A_LEAF))
    return f"leaf {leaf + 1}, {OF_A_LEAF[part]}", LEAF
