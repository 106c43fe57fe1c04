"""Dynalogs that are not what they say: each reject rule, and whatever a broken disk makes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzers.core import ReadError, TruncatedError
from analyzers.formats import varian_dynalog_table as table
from analyzers.formats.varian_dynalog import read
from tests.formats.small_dynalogs import (
    COLLIMATOR,
    COLUMNS,
    DOSE,
    GANTRY,
    HEADER,
    HOLD,
    ON,
    X1,
    X2,
    Y1,
    Rows,
    read_texts,
    refused,
    small_rows,
    text_of,
    written,
)

A, B = text_of(small_rows("A")), text_of(small_rows("B"))


def header_with(line: int, value: str) -> list[str]:
    return [value if number == line else text for number, text in enumerate(HEADER, start=1)]


@pytest.mark.parametrize(
    ("line", "value", "code"),
    [
        (1, "", "DLG_HEADER"),
        (1, "1", "DLG_HEADER"),
        (1, "BB", "DLG_HEADER"),
        (1, "\u00c4", "DLG_HEADER"),
        (4, "", "DLG_HEADER"),
        (4, "CANARY", "DLG_HEADER"),
        (4, "1.5", "DLG_HEADER"),
        (4, "-1", "DLG_HEADER"),
        (4, "9" * 5000, "DLG_HEADER"),
        (4, "\u00b2", "DLG_HEADER"),
        (5, "sixty", "DLG_HEADER"),
        *((5, str(n), "DLG_LEAVES") for n in (0, 1, 25, 27, 61, 120, 999999)),
        (5, str(2**31 - 1), "DLG_HEADER"),
        (6, "2", "DLG_HEADER"),
        (6, "IEC", "DLG_HEADER"),
    ],
)
def test_impossible_header_lines(line: int, value: str, code: str, tmp_path: Path) -> None:
    header = header_with(line, value)
    a, b = text_of(small_rows("A"), header), text_of(small_rows("B"), header)
    assert refused(tmp_path, a, b).code == code


@pytest.mark.parametrize("lines", range(6))
def test_a_header_that_ends_early_may_still_be_growing(lines: int, tmp_path: Path) -> None:
    content = text_of([], HEADER[:lines])
    for cut in (content, content + b"12"):
        error = refused(tmp_path, cut, B)
        assert (error.code, type(error)) == ("DLG_HEADER", TruncatedError)


@pytest.mark.parametrize("rest", [b"", b"\r\n", b"0,0,0", b" \n" * 9000])
def test_a_log_without_a_row_is_empty(rest: bytes, tmp_path: Path) -> None:
    error = refused(tmp_path, text_of([]) + rest, B)
    assert (error.code, type(error)) == ("DLG_EMPTY", TruncatedError)


def test_one_row_is_no_delivery(tmp_path: Path) -> None:
    a, b = text_of(small_rows("A")[:1]), text_of(small_rows("B")[:1])
    assert refused(tmp_path, a, b).code == "DLG_EMPTY"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((DOSE, value) for value in (-11, -1, 25001, 999999999, 9999999999)),
        *((HOLD, value) for value in (-1, 3, 255)),
        *((ON, value) for value in (-1, 2)),
        *((GANTRY, value) for value in (-11, 3611, 36000)),
        *((COLLIMATOR, value) for value in (-11, 3611)),
        *((Y1, value) for value in (-401, 401, 2**31 - 1)),
        (X2, 2**32 + 80),
        *((14, value) for value in (-20001, 20001, 2**31, -(2**31), 2**63)),
        *((15, value) for value in (-20001, 20001)),
        (COLUMNS - 1, 20001),
        *((15, value) for value in ("", " ", "-", "--5", "5-", "1.5", "1e3", "nan", "inf", "0x5")),
        *((15, value) for value in ("1 2", "\t5", "+5", "CANARY", "\u00b2", "1" * 100000, "\0")),
    ],
)
def test_impossible_values(column: int, value: object, tmp_path: Path) -> None:
    texts = []
    for bank in "AB":
        rows: list[list[object]] = [list(row) for row in small_rows(bank)]
        rows[4][column] = value
        texts.append(text_of(rows))
    error = refused(tmp_path, *texts)
    assert error.code == "DLG_VALUE"
    assert "row 5" in str(error)


def test_a_dose_may_fall_a_little_but_not_much(tmp_path: Path) -> None:
    def falling(by: int) -> tuple[bytes, bytes]:
        texts = []
        for bank in "AB":
            rows = small_rows(bank)
            rows[5][DOSE] = rows[4][DOSE] - by
            texts.append(text_of(rows))
        return texts[0], texts[1]

    assert read_texts(tmp_path, *falling(50)).samples == 10
    error = refused(tmp_path, *falling(51))
    assert error.code == "DLG_VALUE"
    assert "falls by 51 in row 6" in str(error)


def test_an_arc_with_an_impossible_angle_in_place_of_dose_is_refused(tmp_path: Path) -> None:
    texts = []
    for bank in "AB":
        rows = small_rows(bank, 220)
        for n, row in enumerate(rows):
            row[GANTRY] = row[DOSE] = 10 * n
        rows[100][DOSE] = 20000
        texts.append(text_of(rows))
    assert refused(tmp_path, *texts).code == "DLG_VALUE"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop(),
        lambda row: row.append(5),
        lambda row: row.__delitem__(slice(None)),
        lambda row: row.__delitem__(slice(1, None)),
        lambda row: row.extend([1] * COLUMNS),
    ],
)
def test_a_row_of_another_length_is_refused(
    spoil: Callable[[list[int]], None], tmp_path: Path
) -> None:
    rows = small_rows("A")
    spoil(rows[4])
    error = refused(tmp_path, text_of(rows), B)
    assert error.code == "DLG_COLS"
    assert "row 5 (line 11)" in str(error)


def test_a_short_last_line_is_one_that_was_cut(tmp_path: Path) -> None:
    rows = small_rows("A")
    rows[-1] = rows[-1][:30]
    delivery = read_texts(tmp_path, text_of(rows), B)
    assert (delivery.samples, delivery.truncated) == (9, True)


@pytest.mark.parametrize("line", [2, 3, 4, 6])
def test_headers_that_differ_are_not_of_one_delivery(line: int, tmp_path: Path) -> None:
    other = {2: "CANARY_OTHER,x,y", 3: "9.9.9,1", 4: "51", 6: "0"}[line]
    error = refused(tmp_path, A, text_of(small_rows("B"), header_with(line, other)))
    assert error.code == "DLG_MISMATCH"
    assert f"line {line} " in str(error)


def test_other_numbers_of_pairs_are_not_of_one_delivery(tmp_path: Path) -> None:
    rows = [[*row[:14], *([0] * 160)] for row in small_rows("B")]
    error = refused(tmp_path, A, text_of(rows, header_with(5, "40")))
    assert error.code == "DLG_LEAVES"


def test_rows_may_differ_by_two_but_not_by_three(tmp_path: Path) -> None:
    rows = small_rows("A", 20)
    b = small_rows("B", 20)
    for fewer, is_read in ((18, True), (17, False)):
        if is_read:
            assert read_texts(tmp_path, text_of(rows), text_of(b[:fewer])).samples == 17
        else:
            assert refused(tmp_path, text_of(rows), text_of(b[:fewer])).code == "DLG_MISMATCH"


@pytest.mark.parametrize("column", range(12))
def test_what_the_machine_writes_into_both_must_agree(column: int, tmp_path: Path) -> None:
    rows = small_rows("B")
    rows[7][column] += -1 if column == ON else 1
    error = refused(tmp_path, A, text_of(rows))
    assert error.code == "DLG_MISMATCH"
    assert "row 8" in str(error)


@pytest.mark.parametrize("fewer", [0, 1])
def test_one_bank_saved_twice_is_no_delivery(fewer: int, tmp_path: Path) -> None:
    error = refused(tmp_path, A, text_of(small_rows("A")[: 11 - fewer]))
    assert (error.code, "saved twice" in str(error)) == ("DLG_MISMATCH", True)


def test_banks_that_are_closed_at_the_axis_may_be_alike(tmp_path: Path) -> None:
    closed = [[*row[:14], *([0] * 4 * 26)] for row in small_rows("A")]
    assert read_texts(tmp_path, text_of(closed), text_of(closed)).samples == 10


def off_axis(bank: str, x1_mm: int = -10) -> bytes:
    """A gap from -10 to 30 mm, between jaws that fit around it, or not."""
    rows = small_rows(bank)
    for row in rows:
        row[X1], row[X2] = -x1_mm, 34
    if bank == "A":
        for row in rows:
            row[14:] = [value + 1020 for value in row[14:]]
    return text_of(rows)


def test_banks_that_exchanged_their_names_are_refused_where_the_jaws_tell(tmp_path: Path) -> None:
    a, b = off_axis("A"), off_axis("B")
    assert read_texts(tmp_path, a, b).samples == 10
    error = refused(tmp_path, b, a)
    assert error.code == "DLG_PAIR"
    assert "exchange their names" in str(error)
    # Half of a field under a jaw either way: nothing is told.
    a, b = off_axis("A", 20), off_axis("B", 20)
    assert read_texts(tmp_path, a, b).samples == read_texts(tmp_path, b, a).samples == 10


def test_two_a_files_or_a_b_file_of_another_delivery_are_no_pair(tmp_path: Path) -> None:
    other = small_rows("A")
    for row in other:
        row[GANTRY] = 1800
    assert refused(tmp_path, A, text_of(other)).code == "DLG_MISMATCH"
    other = small_rows("B")
    for row in other[:-1]:
        row[DOSE] += 1
    assert refused(tmp_path, A, text_of(other)).code == "DLG_MISMATCH"


def test_too_many_rows_are_refused_and_do_not_hold_us_up(tmp_path: Path) -> None:
    row = b",".join([b"0"] * COLUMNS) + b"\n"
    began = time.monotonic()
    error = refused(tmp_path, text_of([]) + row * 100_001, B)
    assert (error.code, "at most 100000 rows" in str(error)) == ("DLG_COLS", True)
    # A row fewer is read, and only then held against the other file.
    assert refused(tmp_path, text_of([]) + row * 100_000, B).code == "DLG_MISMATCH"
    assert refused(tmp_path, text_of([]) + b"0\n" * 100_001, B).code == "DLG_COLS"
    # Lines that are all empty but the last: no table is made for them.
    assert refused(tmp_path, text_of([]) + b"\n" * 99_999 + b"0\n", B).code == "DLG_COLS"
    assert time.monotonic() - began < 5.0


def test_a_file_or_line_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path, _ = written(tmp_path, A, B)
    os.truncate(path, table.LARGEST_FILE + 1)
    with pytest.raises(ReadError) as caught:
        table.read_table(path)
    assert caught.value.code == "DLG_COLS"
    long_name = text_of(small_rows("A"), header_with(2, "x" * (table.LONGEST_LINE + 1)))
    assert refused(tmp_path, long_name, B).code == "DLG_HEADER"
    rows: list[list[object]] = [list(row) for row in small_rows("A")]
    rows[3][20] = " " * table.LONGEST_LINE + "5"
    assert refused(tmp_path, text_of(rows), B).code == "DLG_COLS"


def test_what_is_no_file_does_not_hold_us_up(tmp_path: Path) -> None:
    path_a, path_b = written(tmp_path, A, B)
    for bad, code in ((os.mkfifo, "NOT_A_FILE"), (os.mkdir, "UNREADABLE"), (None, "UNREADABLE")):
        path_b.rmdir() if path_b.is_dir() else path_b.unlink(missing_ok=True)
        if bad is not None:
            bad(path_b)
        with pytest.raises(ReadError) as caught:
            read(path_a, path_b)
        assert caught.value.code == code


# -- anything at all -------------------------------------------------------------------------------


@cache
def folder_for_fuzzing() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="dynalog"))


def only_read_errors(a: bytes, b: bytes) -> str:
    """The code it is refused with, or an empty text."""
    try:
        delivery = read(*written(folder_for_fuzzing(), a, b))
    except ReadError as why:
        assert why.code.startswith("DLG_")
        assert "CANARY" not in str(why)
        return why.code
    assert 1 <= delivery.samples <= 10
    return ""


@pytest.mark.parametrize("share", range(200))
def test_cut_anywhere_it_never_reads_as_whole(share: int) -> None:
    cut = len(A) * share // 200
    try:
        delivery = read(*written(folder_for_fuzzing(), A[:cut], B[: len(B) * share // 200]))
    except ReadError:
        return
    assert delivery.truncated


@given(st.integers(0, len(A) - 1), st.integers(0, 255), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_byte_changed_raises_read_errors_only(at: int, byte: int, in_both: bool) -> None:
    a = A[:at] + bytes([byte]) + A[at + 1 :]
    b = B[:at] + bytes([byte]) + B[at + 1 :] if in_both else B
    only_read_errors(a, b)


@given(
    st.lists(
        st.tuples(st.integers(0, len(A)), st.integers(0, 400), st.binary(max_size=40)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_pieces_replaced_raise_read_errors_only(changes: list[tuple[int, int, bytes]]) -> None:
    a = A
    for at, length, piece in changes:
        a = a[:at] + piece + a[at + length :]
    only_read_errors(a, B)


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_anything_after_a_good_header_raises_read_errors_only(body: bytes) -> None:
    only_read_errors(text_of([]) + body, B)
    only_read_errors(body, B)


@given(
    st.integers(0, 10),
    st.integers(0, COLUMNS - 1),
    st.sampled_from([-1, 0, 1, 2**31 - 1, -(2**31), 25000, -15536, 10**18]),
)
@settings(max_examples=300, deadline=None)
def test_a_number_changed_in_both_raises_read_errors_only(
    row: int, column: int, value: int
) -> None:
    texts = []
    for bank in "AB":
        rows: Rows = small_rows(bank)
        rows[row][column] = value
        texts.append(text_of(rows))
    only_read_errors(*texts)
