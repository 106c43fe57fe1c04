"""Small Dynalogs in text, and ways to spoil them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from analyzers.core import ReadError
from analyzers.formats.varian_dynalog import read
from analyzers.records import Delivery

HEADER = ("B", "CANARY_LAST,CANARY_FIRST,CANARY_ID", "1.2.3.4,7", "   102", "26", " 1")
PAIRS = 26
COLUMNS = 14 + 4 * PAIRS
DOSE, SEGMENT, HOLD, ON, PRIOR, NEXT, GANTRY, COLLIMATOR = range(8)
Y1, Y2, X1, X2 = 8, 9, 10, 11
Rows = list[list[int]]


def small_rows(bank: str = "A", rows: int = 11) -> Rows:
    """A gap of 1000 counts that goes 10 counts a row towards X2, at an even dose.

    The actual position follows the expected one of the row before, exactly.  All of it is one
    segment, from the first row to the last.
    """
    sign = 1 if bank == "A" else -1
    edge = 500 if bank == "A" else -500
    found = []
    for n in range(rows):
        wanted, was = sign * (edge + 10 * n), sign * (edge + 10 * max(n - 1, 0))
        dose = 25000 * n // (rows - 1)
        is_on = int(n < rows - 1)
        machine = [dose, 0, 0, is_on, 0, 25000, 900, 2700, 50, 60, 70, 80, 4000, 4000]
        found.append(machine + [wanted, was, sign * edge, sign * (edge + 10 * (rows - 1))] * PAIRS)
    return found


def in_segments_of_its_own(row: list[int]) -> None:
    """No matter what the first column says: the leaves go nowhere in the row's segment."""
    row[16::4] = row[17::4] = row[14::4]


def text_of(
    rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER, end: str = "\r\n"
) -> bytes:
    lines = [*header, *(",".join(map(str, row)) for row in rows)]
    return "".join(line + end for line in lines).encode("latin-1")


def written(folder: Path, a: bytes, b: bytes, stem: str = "20260105073000_X") -> tuple[Path, Path]:
    path_a, path_b = folder / f"A{stem}.dlg", folder / f"B{stem}.dlg"
    path_a.write_bytes(a)
    path_b.write_bytes(b)
    return path_a, path_b


def read_texts(folder: Path, a: bytes, b: bytes) -> Delivery:
    return read(*written(folder, a, b))


def read_rows(folder: Path, change: Callable[[Rows], None] = lambda _: None) -> Delivery:
    """The small pair with the same change made to the rows of both banks."""
    texts = []
    for bank in "AB":
        rows = small_rows(bank)
        change(rows)
        texts.append(text_of(rows))
    return read_texts(folder, *texts)


def refused(folder: Path, a: bytes, b: bytes) -> ReadError:
    """The error a pair is refused with, which names nobody."""
    with pytest.raises(ReadError) as caught:
        read_texts(folder, a, b)
    assert "CANARY" not in str(caught.value)
    assert "20260105" not in str(caught.value)
    assert "1.2.3" not in str(caught.value)
    return caught.value
