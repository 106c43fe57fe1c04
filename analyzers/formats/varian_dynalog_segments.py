"""The plan that a Dynalog carries: in which segment every row is, and how far through.

Each row says where its segment begins and ends, in the unit of its first column: counts of dose, or
in an arc tenths of a degree.  Segments follow each other without a gap; in fields of step and shoot
those that only move leaves, and hold no dose, are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.formats import varian_dynalog_table as table
from analyzers.formats.varian_dynalog_rows import SAME_ANGLE, Rows
from analyzers.records import BoolArray

INDICES, TURN, HALF_TURN = 65536, 3600, 1800


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """How far each row is into its segment, and how long that is, `(rows,)`.

    In the unit of the first column: counts of dose, or tenths of a degree on the way the gantry
    turns.  Indices are told as unsigned: the last ones overflow.
    """

    done: NDArray[np.int64]
    span: NDArray[np.int64]
    is_known: BoolArray
    reach: int
    """A row may be so far outside: a gantry overshoots, a dose does not."""

    @property
    def outside(self) -> BoolArray:
        """Rows that are not in their own segment."""
        inside = (self.done >= -self.reach) & (self.done <= self.span + self.reach)
        return np.asarray(self.is_known & ~inside)

    @property
    def fraction(self) -> NDArray[np.float64]:
        """The share of the segment that is done; NaN where nothing tells."""
        is_told = self.is_known & (self.span > 0)
        return np.where(is_told, self.done / np.where(is_told, self.span, 1), np.nan)


def segments_of(rows: Rows, *, has_dose: bool) -> Segments:
    """The segment of every row, by dose or, where there is none, by angle."""
    at, begin, end = (
        rows[:, column].astype(np.int64)
        for column in (table.DOSE, table.PRIOR_INDEX, table.NEXT_INDEX)
    )
    if has_dose:
        begin, end = begin % INDICES, end % INDICES
        return Segments(at - begin, end - begin, np.full(len(rows), True), 0)
    _, way = turned(rows)
    overshoot = 2 * SAME_ANGLE
    done = np.mod(way * (at - begin) + overshoot, TURN) - overshoot
    low, high = table.ANGLE
    is_angle = (np.minimum(begin, end) >= low) & (np.maximum(begin, end) <= high)
    return Segments(done, np.mod(way * (end - begin), TURN), is_angle, SAME_ANGLE)


def faults(rows: Rows, segments: Segments) -> list[str]:
    """Segments that do not follow each other, and rows that are outside their own."""
    found = []
    number = rows[:, table.SEGMENT]
    begin, end = rows[:, table.PRIOR_INDEX], rows[:, table.NEXT_INDEX]
    goes_on = np.where(
        number[1:] == number[:-1],
        (begin[1:] == begin[:-1]) & (end[1:] == end[:-1]),
        (begin[1:] == end[:-1]) & (number[1:] > number[:-1]),
    )
    if not goes_on.all():
        row = int(np.argmin(goes_on)) + 1
        found.append(
            f"row {row + 1}, in segment {number[row]}, does not go on from the row before it, in "
            f"segment {number[row - 1]}"
        )
    outside = segments.outside
    if outside.any():
        row = int(np.argmax(outside))
        found.append(f"row {row + 1} is outside its own segment {number[row]}")
    return found


def turned(rows: Rows) -> tuple[NDArray[np.int64], int]:
    """By how much the gantry turns from row to row, and which way it does on the whole."""
    step = np.diff(rows[:, table.GANTRY].astype(np.int64))
    steps = np.mod(step + HALF_TURN, TURN) - HALF_TURN
    return steps, -1 if steps.sum() < 0 else 1
