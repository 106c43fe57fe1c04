"""The reader of whole numbers against a slow twin: regular expressions and `int`."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analyzers.numerics import integer_table_kernel as kernel

COLUMNS = 3
LONGEST = 60
LOW, HIGH = (np.full(COLUMNS, bound, dtype=np.int32) for bound in (-500, 99_999))
Answer = tuple[int, int, int, list[list[int]]]


def slow(text: bytes) -> Answer:
    """How it ends, at which line and column, and the lines before."""
    rows: list[list[int]] = []
    for number, line in enumerate(text.split(b"\n")[:-1]):
        row: list[int] = []
        values = line.removesuffix(b"\r").split(b",")
        for column, value in enumerate(values):
            found = re.fullmatch(rb" *(-?)([0-9]{1,9}) *", value)
            # What follows the comma last in a line is nothing; what follows others is a fault.
            is_last = column == len(values) - 1
            if found is None:
                ending = (
                    kernel.TOO_FEW if is_last and not value.strip(b" ") else kernel.NOT_A_NUMBER
                )
                return ending, number, column, rows
            if column >= COLUMNS:
                return kernel.TOO_MANY, number, column, rows
            parsed = int(found[1] + found[2])
            if not LOW[column] <= parsed <= HIGH[column]:
                return kernel.OUT_OF_RANGE, number, column, rows
            row.append(parsed)
        if len(row) < COLUMNS:
            return kernel.TOO_FEW, number, len(row), rows
        if len(line) + 1 > LONGEST:
            return kernel.TOO_LONG, number, len(row), rows
        rows.append(row)
    return kernel.WHOLE, len(rows), 0, rows


def fast(text: bytes) -> Answer:
    table = np.zeros((text.count(b"\n"), COLUMNS), dtype=np.int32)
    codes = np.frombuffer(text, dtype=np.uint8)
    ending, row, column = kernel.read_table(codes, LOW, HIGH, LONGEST, table)
    return ending, row, column, table[:row].tolist()


TEXTS = st.lists(
    st.lists(
        st.sampled_from(["0", "7", "-7", " 12", "99999", "-500", "-501", "100000", "3 ", "  -4  "])
        | st.sampled_from(["", " ", "-", "--1", "1-", "1 2", "+1", "1.0", "x", "1234567890", "\r"])
        | st.text("0123456789 -,\r", max_size=8),
        min_size=2,
        max_size=4,
    ).map(",".join),
    max_size=6,
).map(lambda lines: "".join(f"{line}\n" for line in lines).encode())


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_it_reads_and_refuses_as_the_slow_twin_does(text: bytes) -> None:
    assert fast(text) == slow(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(-500, 99_999), min_size=3, max_size=3), max_size=8))
def test_good_lines_are_read_with_either_end(rows: list[list[int]]) -> None:
    for end in ("\n", "\r\n"):
        text = "".join(",".join(map(str, row)) + end for row in rows).encode()
        assert fast(text) == (kernel.WHOLE, len(rows), 0, rows)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_end_somewhere(text: bytes) -> None:
    assert fast(text + b"\n") == slow(text + b"\n")


def slow_sums(
    expected: NDArray[np.int32], actual: NDArray[np.int32], chosen: list[int], lags: list[int]
) -> list[int]:
    columns = range(expected.shape[1])
    return [
        sum((int(actual[n, c]) - int(expected[n - lag, c])) ** 2 for n in chosen for c in columns)
        for lag in lags
    ]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(1, 5))
def test_lagged_squares_are_those_of_two_loops(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    # Columns of a wider table, as the reader hands them over.
    table = rng.integers(-20000, 20001, (rows, 4 * columns), dtype=np.int32)
    expected, actual = table[:, ::4], table[:, 1::4]
    chosen = np.flatnonzero(rng.random(rows) < 0.5)
    chosen = chosen[chosen >= 2]
    found = kernel.lagged_square_sums(expected, actual, chosen, np.array([0, 1, 2]))
    assert found.tolist() == slow_sums(expected, actual, chosen.tolist(), [0, 1, 2])


@pytest.mark.parametrize("seed", range(5))
def test_leaf_extremes_are_those_of_two_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, leaves, first = int(random.integers(1, 9)), int(random.integers(1, 7)), 2
    table = random.integers(-20000, 20001, (rows, first + 4 * leaves)).astype(np.int16)
    fraction = np.where(random.random(rows) < 0.2, np.nan, random.random(rows))
    off_line, step = kernel.leaf_extremes(table, first, fraction)
    for row in range(rows):
        off, went = [0.0], []
        for leaf in range(leaves):
            wanted, was, begin, end = (int(v) for v in table[row, first + 4 * leaf :][:4])
            on_line = begin * (1.0 - fraction[row]) + end * fraction[row]
            off.append(0.0 if np.isnan(on_line) else abs(wanted - on_line))
            went.append(abs(was - int(table[max(row - 1, 0), first + 4 * leaf + 1])))
        assert off_line[row] == pytest.approx(max(off))
        assert step[row] == max(went)


@pytest.mark.parametrize("seed", range(5))
def test_leaf_following_is_that_of_two_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, leaves, first = int(random.integers(1, 9)), int(random.integers(1, 7)), 2
    table = random.integers(-20000, 20001, (rows, first + 4 * leaves)).astype(np.int16)
    product, square = kernel.leaf_following(table, first)
    for row in range(rows):
        expected = [0.0, 0.0]
        for leaf in range(leaves if row >= 2 else 0):
            at = first + 4 * leaf
            way = int(table[row, at]) - int(table[row - 2, at])
            errors = [int(table[n, at + 1]) - int(table[n - 1, at]) for n in (row - 1, row)]
            change = errors[1] - errors[0]
            expected[0] += min(abs(change), abs(way)) * (1 if change >= 0 else -1) * way
            expected[1] += way * way
        assert [product[row], square[row]] == expected
