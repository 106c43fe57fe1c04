"""A table of whole numbers from text, at the speed of memory: lines of values between commas.

The grammar is strict: spaces, an optional minus, one to nine digits, spaces; then a comma, or the
end of the line (LF or CR LF).  The first byte that does not follow it ends the reading.

All in one file: numba's cache notices changes only in the file that a compiled function is in.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

kernel = njit(cache=True, nogil=True, error_model="numpy")

Bytes = NDArray[np.uint8]
Integers = NDArray[np.signedinteger]
Ending = tuple[int, int, int]
"""How the reading ended, and the line and column (0-based) where it did."""

WHOLE, NOT_A_NUMBER, TOO_FEW, TOO_MANY, OUT_OF_RANGE, TOO_LONG = range(6)
MOST_DIGITS = 9
MINUS, COMMA, LINE_FEED, CARRIAGE_RETURN, SPACE, ZERO = 45, 44, 10, 13, 32, 48


@kernel
def careful_value(text: Bytes, at: int) -> tuple[int, int, int, int]:
    """Any value with what may stand around it: value, its digits, what ends it, and where that is.

    The end is a comma, a line feed (after a carriage return or not), or what does not belong there.
    """
    while text[at] == SPACE:
        at += 1
    is_negative = text[at] == MINUS
    if is_negative:
        at += 1
    first, value = at, 0
    while ZERO <= text[at] <= ZERO + 9:
        value = value * 10 + (int(text[at]) - ZERO)
        at += 1
    digits = at - first
    while text[at] == SPACE:
        at += 1
    if text[at] == CARRIAGE_RETURN and at + 1 < len(text) and text[at + 1] == LINE_FEED:
        at += 1
    if digits == 0 and is_negative:
        return 0, 0, MINUS, at  # a sign alone is no empty value
    return (-value if is_negative else value), digits, int(text[at]), at


@kernel
def read_table(
    text: Bytes, lowest: Integers, highest: Integers, longest_line: int, table: Integers
) -> Ending:
    """Fill `table` (rows, columns) from the lines of `text`, which ends with a line feed.

    `lowest` and `highest` (columns,) bound the values and have to fit the table's type.  On `WHOLE`
    the line is the number of lines that were read; reading also ends there when the table is full.
    """
    # Unsigned throughout: a signed index is checked for counting from the end, byte by byte.
    one, ten, most = np.uintp(1), np.uintp(10), np.uintp(MOST_DIGITS)
    zero, minus = np.uintp(ZERO), np.uintp(MINUS)
    comma, line_feed = np.uintp(COMMA), np.uintp(LINE_FEED)
    rows, columns, size = table.shape[0], np.uintp(table.shape[1]), np.uintp(len(text))
    at, row = np.uintp(0), 0
    while at < size and row < rows:
        line, line_start, column = table[row], at, np.uintp(0)
        while True:
            # Most values are a number and a comma: that way is short, any other begins again.
            start, value, end = at, np.uintp(0), np.uintp(text[at])
            is_negative = end == minus
            if is_negative:
                at += one
                end = np.uintp(text[at])
            first, digit = at, end - zero  # below zero it is very large
            while digit < ten:
                value = value * ten + digit
                at += one
                end = np.uintp(text[at])
                digit = end - zero
            number = -np.int64(value) if is_negative else np.int64(value)
            if end != comma or at - first - one >= most:
                careful, digits, ending, stop = careful_value(text, int(np.int64(start)))
                number, end, at = np.int64(careful), np.uintp(ending), np.uintp(stop)
                if digits == 0 and end == line_feed:
                    return (
                        TOO_FEW,
                        row,
                        int(np.int64(column)),
                    )  # an empty line, or a comma at its end
                if digits == 0 or digits > MOST_DIGITS or (end != comma and end != line_feed):
                    return NOT_A_NUMBER, row, int(np.int64(column))
            if column >= columns:
                return TOO_MANY, row, int(np.int64(column))
            if number < lowest[column] or number > highest[column]:
                return OUT_OF_RANGE, row, int(np.int64(column))
            line[column] = number
            column += one
            at += one
            if end == line_feed:
                break
        if column < columns:
            return TOO_FEW, row, int(np.int64(column))
        if at - line_start > np.uintp(longest_line):
            return TOO_LONG, row, int(np.int64(column))
        row += 1
    return WHOLE, row, 0


@kernel
def lagged_square_sums(
    expected: Integers, actual: Integers, chosen: NDArray[np.int64], lags: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum over the chosen rows n and all columns of (actual[n] - expected[n - lag])^2, by lag.

    Both are `(rows, columns)`; every `n - lag` has to be a row.
    """
    sums = np.zeros(len(lags))
    for k in range(len(lags)):
        total = 0.0
        for n in chosen:
            wanted, was = expected[n - lags[k]], actual[n]
            row_total = np.int64(0)
            for column in range(expected.shape[1]):
                error = np.int64(was[column]) - np.int64(wanted[column])
                row_total += error * error
            total += row_total
        sums[k] = total
    return sums


@kernel
def leaf_extremes(
    table: Integers, first: int, fraction: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The leaf that is furthest off in every row of `table`, `(rows,)` each, in its own counts.

    From the column `first` on, four columns each hold what a leaf wanted, where it was, and where
    the segment begins and ends.  First, wanted against the line between those two at `fraction`
    (NaN: not compared, 0); second, how far the leaf went since the row before.
    """
    rows, columns = table.shape
    off_line = np.zeros(rows)
    step = np.zeros(rows, dtype=np.int64)
    for row in range(rows):
        share, furthest, farthest = fraction[row], 0.0, np.int64(0)
        is_told = not np.isnan(share)
        before = table[max(row - 1, 0)]
        now = table[row]
        for leaf in range(first, columns, 4):
            if is_told:
                begin, end = np.float64(now[leaf + 2]), np.float64(now[leaf + 3])
                furthest = max(furthest, abs(now[leaf] - (begin + (end - begin) * share)))
            went = abs(np.int64(now[leaf + 1]) - np.int64(before[leaf + 1]))
            farthest = max(farthest, went)
        off_line[row], step[row] = furthest, farthest
    return off_line, step


@kernel
def leaf_following(table: Integers, first: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the leaves follow what they want in every row of `table`: two sums over them, `(rows,)`.

    Columns as in `leaf_extremes`.  First, of the error's change since the row before times the way,
    second, of the way squared: the error of row n is from what was wanted in row n - 1, the way is
    what was wanted from row n - 2 to n.  A change counts up to the way of its leaf, so that no
    single leaf tells.  Rows 0 and 1: zeros.
    """
    rows, columns = table.shape
    product, square = np.zeros(rows), np.zeros(rows)
    for row in range(2, rows):
        before, last, now = table[row - 2], table[row - 1], table[row]
        product_sum, square_sum = np.int64(0), np.int64(0)
        for leaf in range(first, columns, 4):
            way = np.int64(now[leaf]) - np.int64(before[leaf])
            went = np.int64(now[leaf + 1]) - np.int64(last[leaf + 1])
            change = went - (np.int64(last[leaf]) - np.int64(before[leaf]))
            product_sum += max(-abs(way), min(abs(way), change)) * way
            square_sum += way * way
        product[row], square[row] = product_sum, square_sum
    return product, square
