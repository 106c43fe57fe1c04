"""Dynalogs that lack a part, or whose columns cannot all be true, are never whole.

Changes are made to small pairs in which everything agrees, and to both banks alike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzers.core import ReadError
from analyzers.records import Delivery, Meterset
from tests.formats.small_dynalogs import (
    COLLIMATOR,
    DOSE,
    GANTRY,
    HOLD,
    NEXT,
    ON,
    PRIOR,
    SEGMENT,
    X1,
    Y2,
    Rows,
    in_segments_of_its_own,
    read_rows,
    read_texts,
    small_rows,
    text_of,
)


def long_arc(tmp_path: Path, change: Callable[[Rows], None] = lambda _: None) -> Delivery:
    """60 rows of 0.5 degrees in segments of 10 rows, with the same change made to both banks."""
    texts = []
    for bank in "AB":
        rows = small_rows(bank, 60)
        for n, row in enumerate(rows):
            row[GANTRY] = row[DOSE] = 1000 + 5 * n
            segment = n // 10
            row[SEGMENT], row[PRIOR] = segment, 1000 + 50 * segment
            row[NEXT] = min(row[PRIOR] + 50, 1295)
            in_segments_of_its_own(row)
        change(rows)
        texts.append(text_of(rows))
    return read_texts(tmp_path, *texts)


def test_a_log_that_does_not_begin_in_segment_0_is_cut(tmp_path: Path) -> None:
    assert not long_arc(tmp_path).truncated
    delivery = long_arc(tmp_path, lambda rows: rows.__delitem__(slice(0, 10)))
    assert delivery.truncated
    assert "begins in segment 1" in delivery.warnings[0]


@pytest.mark.parametrize(
    ("first", "end", "is_whole"),
    [
        (20, 23, True),
        (12, 18, False),
        (18, 22, False),
        (0, 60, False),
        (0, 9, True),
        (0, 15, False),
        (45, 60, False),
        (52, 60, True),
    ],
)
@pytest.mark.parametrize(("column", "value"), [(ON, 0), (HOLD, 1)])
def test_an_arc_that_goes_on_with_the_beam_off_is_not_whole(
    first: int, end: int, is_whole: bool, column: int, value: int, tmp_path: Path
) -> None:
    def off(rows: Rows) -> None:
        for row in rows[first:end]:
            row[column] = value

    delivery = long_arc(tmp_path, off)
    assert delivery.meterset is Meterset.NONE
    assert delivery.truncated is not is_whole
    assert any("with the beam off" in said for said in delivery.warnings) is not is_whole


def test_an_arc_that_is_held_where_it_stands_is_whole(tmp_path: Path) -> None:
    def hold(rows: Rows) -> None:
        held = [list(rows[15]) for _ in range(20)]
        for row in held:
            row[HOLD] = 1
        rows[16:16] = held

    assert not long_arc(tmp_path, hold).truncated


@pytest.mark.parametrize("row", [1, 6])
def test_a_dose_that_leaps_over_half_of_the_plan_is_cut(tmp_path: Path, row: int) -> None:
    def leap(rows: Rows) -> None:
        for n, values in enumerate(rows):
            values[DOSE] = 0 if n < row else 25000

    delivery = read_rows(tmp_path, leap)
    assert delivery.truncated
    assert "leaps from 0 to 100.0 %" in delivery.warnings[0]


# -- flags against the dose ------------------------------------------------------------------------


def faults(delivery: Delivery) -> list[str]:
    """What is said to be missing; the record says so too."""
    said = [w for w in delivery.warnings if w.startswith("the delivery is not whole")]
    assert delivery.truncated is bool(said)
    return said


def long_field(folder: Path, change: Callable[[Rows], None] = lambda _: None) -> Delivery:
    """61 rows of a fixed field, with the same change made to both banks."""
    texts = []
    for bank in "AB":
        rows = small_rows(bank, 61)
        change(rows)
        texts.append(text_of(rows))
    return read_texts(folder, *texts)


def flagged(rows: Rows, chosen: range, column: int, value: int) -> None:
    for n in chosen:
        rows[n][column] = value


def test_a_field_in_which_everything_agrees_is_whole(tmp_path: Path) -> None:
    assert faults(long_field(tmp_path)) == []


@pytest.mark.parametrize(
    ("column", "value", "rows_off", "told"),
    [
        (HOLD, 1, 3, None),
        (HOLD, 1, 4, 4),
        (HOLD, 1, 59, 60),
        # Without a hold-off the last row counts, in which the beam is off already.
        (ON, 0, 2, None),
        (ON, 0, 3, 4),
        (ON, 0, 59, 60),
    ],
)
def test_a_dose_that_rises_on_and_on_with_the_beam_off_is_not_whole(
    column: int, value: int, rows_off: int, told: int | None, tmp_path: Path
) -> None:
    off = range(1, 1 + rows_off)
    said = faults(long_field(tmp_path, lambda rows: flagged(rows, off, column, value)))
    assert (said == []) is (told is None)
    assert told is None or f"rises over {told} rows with the beam off" in said[0]


@pytest.mark.parametrize(("rows_off", "is_whole"), [(2, True), (3, False), (12, False)])
def test_flags_that_are_off_here_and_there_without_a_hold_are_told_together(
    rows_off: int, is_whole: bool, tmp_path: Path
) -> None:
    # The last row, in which the dose rises to all of it, is off already.
    off = range(2, 2 + 4 * rows_off, 4)
    said = faults(long_field(tmp_path, lambda rows: flagged(rows, off, ON, 0)))
    assert (said == []) is is_whole


def test_a_dose_that_rises_after_every_hold_off_is_that_of_real_logs(tmp_path: Path) -> None:
    def hold(rows: Rows) -> None:
        for start in range(2, 50, 6):
            flagged(rows, range(start, start + 3), HOLD, 1)
            flagged(rows, range(start + 1, start + 3), ON, 0)

    assert faults(long_field(tmp_path, hold)) == []


def test_an_arc_that_is_off_in_every_third_row_is_not_whole(tmp_path: Path) -> None:
    delivery = long_arc(tmp_path, lambda rows: flagged(rows, range(1, 59, 3), ON, 0))
    assert "turns in 21 of 60 rows with the beam off" in faults(delivery)[0]
    assert faults(long_arc(tmp_path, lambda rows: flagged(rows, range(1, 59, 6), ON, 0))) == []


# -- what no machine does --------------------------------------------------------------------------


def paused(rows: Rows) -> None:
    """Ten rows with the beam off in the middle, in which the leaves are where they were."""
    row = [*rows[30]]
    row[ON], row[HOLD] = 0, 1
    row[15::4] = rows[30][14::4]
    rows[31:31] = [list(row) for _ in range(10)]


@pytest.mark.parametrize(("counts", "is_whole"), [(153, True), (154, False), (-400, False)])
def test_leaves_that_leap_while_the_beam_is_off_tell_of_missing_rows(
    counts: int, is_whole: bool, tmp_path: Path
) -> None:
    def leap(rows: Rows) -> None:
        paused(rows)
        # Away at once, and back at the pace of a leaf.
        for row, by in zip(rows[34:40], (1.0, 0.7, 0.5, 0.3, 0.2, 0.1), strict=True):
            row[15 + 4 * 7] += round(counts * by)

    said = faults(long_field(tmp_path, leap))
    assert (said == []) is is_whole
    assert is_whole or ("leaps by" in said[0] and "to row 35" in said[0])


@pytest.mark.parametrize(
    ("column", "most", "name"),
    [
        (GANTRY, 6, "gantry angle"),
        (COLLIMATOR, 10, "collimator angle"),
        (X1, 5, "jaw X1"),
        (Y2, 5, "jaw Y2"),
    ],
)
def test_axes_that_leap_while_the_beam_is_off_tell_of_missing_rows(
    column: int, most: int, name: str, tmp_path: Path
) -> None:
    def leap(rows: Rows, by: int) -> None:
        paused(rows)
        for row in rows[35:]:
            row[column] += by

    assert faults(long_field(tmp_path, lambda rows: leap(rows, most))) == []
    assert faults(long_field(tmp_path, lambda rows: leap(rows, -most))) == []
    said = faults(long_field(tmp_path, lambda rows: leap(rows, most + 1)))
    assert f"the {name} leaps to row 36" in said[0]


def test_a_gantry_that_goes_through_zero_does_not_leap(tmp_path: Path) -> None:
    def through(rows: Rows) -> None:
        for n, row in enumerate(rows):
            row[GANTRY] = (3598 + n // 10) % 3600

    assert faults(long_field(tmp_path, through)) == []


# -- the plan that every row carries ---------------------------------------------------------------


@pytest.mark.parametrize(("counts", "is_whole"), [(2, True), (-2, True), (3, False), (-46, False)])
@pytest.mark.parametrize("part", [14, 16, 17], ids=["wanted", "segment begins", "segment ends"])
def test_a_leaf_wanted_off_the_way_between_its_segments_is_a_contradiction(
    counts: int, is_whole: bool, part: int, tmp_path: Path
) -> None:
    # In the middle row a leaf's own position counts in full, either end of its segment by half.
    by = counts if part == 14 else 2 * counts

    def shift(rows: Rows) -> None:
        rows[30][part + 4 * 9] += by

    said = faults(long_field(tmp_path, shift))
    assert (said == []) is is_whole
    assert is_whole or "off the way between its segments in row 31" in said[0]


def test_a_whole_bank_that_was_wanted_elsewhere_is_a_contradiction(tmp_path: Path) -> None:
    # 0.9 mm in what was wanted and in what was: no error shows, and the field is another one.
    def shift(rows: Rows) -> None:
        for row in rows:
            for column in (14, 15):
                row[column::4] = [value + 46 for value in row[column::4]]

    assert "bank A was wanted 0.90 mm off" in faults(long_field(tmp_path, shift))[0]


def test_a_dose_that_was_changed_is_a_contradiction(tmp_path: Path) -> None:
    def change(rows: Rows) -> None:
        rows[30][DOSE] -= 300  # 1.2 % of the plan, 7 counts of the leaf's way

    assert "off the way between its segments" in faults(long_field(tmp_path, change))[0]


def in_segments(rows: Rows) -> None:
    """Six segments of ten rows, in which the leaves stand."""
    for n, row in enumerate(rows):
        segment = min(n // 10, 5)
        row[SEGMENT] = segment
        row[PRIOR] = rows[10 * segment][DOSE]
        row[NEXT] = rows[min(10 * segment + 10, 60)][DOSE]
        in_segments_of_its_own(row)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.__delitem__(slice(20, 30)), "does not go on"),
        (lambda rows: rows.__delitem__(slice(15, 35)), "does not go on"),
        (lambda rows: rows[25].__setitem__(NEXT, 24000), "does not go on"),
        (lambda rows: rows[25].__setitem__(PRIOR, 0), "does not go on"),
        (lambda rows: rows[25].__setitem__(SEGMENT, 1), "does not go on"),
        (lambda rows: rows[25].__setitem__(DOSE, rows[31][DOSE]), "falls"),
        (lambda rows: flagged(rows, range(20, 30), NEXT, rows[22][DOSE]), "does not go on"),
        (lambda rows: flagged(rows, range(29, 30), DOSE, rows[30][DOSE] + 1), "outside its own"),
    ],
)
def test_segments_that_do_not_follow_each_other_are_a_contradiction(
    change: Callable[[Rows], None], says: str, tmp_path: Path
) -> None:
    assert faults(long_field(tmp_path, in_segments)) == []

    def spoiled(rows: Rows) -> None:
        in_segments(rows)
        change(rows)

    try:
        said = faults(long_field(tmp_path, spoiled))
    except ReadError as why:
        said = [str(why)]
    assert any(says in one for one in said)


def test_segments_without_dose_may_be_passed_over(tmp_path: Path) -> None:
    # As in a field of step and shoot: every other segment only moves leaves.
    def doubled(rows: Rows) -> None:
        in_segments(rows)
        for row in rows:
            row[SEGMENT] *= 2

    assert faults(long_field(tmp_path, doubled)) == []


@pytest.mark.parametrize("index", [-15536, 25000])
def test_the_last_index_may_overflow(index: int, tmp_path: Path) -> None:
    def last(rows: Rows) -> None:
        rows[-1][SEGMENT], rows[-1][PRIOR], rows[-1][NEXT] = 1, 25000, index
        in_segments_of_its_own(rows[-1])

    assert faults(long_field(tmp_path, last)) == []


@pytest.mark.parametrize("way", [1, -1])
def test_an_arc_carries_its_plan_by_angle_and_either_way(way: int, tmp_path: Path) -> None:
    def turned(rows: Rows, counts: int = 0) -> None:
        for n, row in enumerate(rows):
            row[GANTRY] = row[DOSE] = (3590 + way * 5 * n) % 3600
            row[PRIOR], row[NEXT] = 3590, (3590 + way * 5 * 60) % 3600
        rows[30][14] += counts

    delivery = long_field(tmp_path, turned)
    assert (delivery.meterset, faults(delivery)) == (Meterset.NONE, [])
    said = faults(long_field(tmp_path, lambda rows: turned(rows, 3)))
    assert "bank A was wanted 0.06 mm off" in said[0]


def test_an_arc_that_is_outside_its_segment_is_a_contradiction(tmp_path: Path) -> None:
    def ahead(rows: Rows, tenths: int) -> None:
        # Segment 1 ends so much earlier than its last row, and segment 2 begins there.
        for row in rows[10:20]:
            row[NEXT] -= 5 + tenths
        for row in rows[20:30]:
            row[PRIOR] -= 5 + tenths

    assert faults(long_arc(tmp_path, lambda rows: ahead(rows, 10))) == []
    said = faults(long_arc(tmp_path, lambda rows: ahead(rows, 11)))
    assert any("row 20 is outside its own segment 1" in one for one in said)


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize(
    ("begins", "back", "says"),
    [
        (0, 0, None),
        (5, 3, None),
        (6, 0, "begins 0.6 deg after its first segment"),
        (0, 4, "turns back in row 31"),
    ],
)
def test_an_arc_begins_with_its_segment_and_does_not_turn_back(
    way: int, begins: int, back: int, says: str | None, tmp_path: Path
) -> None:
    def course(rows: Rows) -> None:
        for n, row in enumerate(rows):
            at = 5 * n - (5 + back if n >= 30 else 0)
            row[GANTRY] = row[DOSE] = (3590 + way * at) % 3600
            row[PRIOR] = (3590 - way * begins) % 3600
            row[NEXT] = (3590 + way * (295 - back)) % 3600
            in_segments_of_its_own(row)

    said = faults(long_field(tmp_path, course))
    assert (said == []) is (says is None)
    assert says is None or says in said[0]


# -- how the leaves follow -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "is_whole"),
    [
        (lambda _: None, True),
        (lambda rows: rows.__delitem__(30), False),
        (lambda rows: rows.insert(30, list(rows[30])), False),
        (lambda rows: rows[30].__setitem__(slice(15, None, 4), rows[31][15::4]), False),
        # One leaf that is far off is off, and no row is missing.
        (lambda rows: rows[30].__setitem__(15, rows[30][15] + 120), True),
    ],
)
def test_a_row_that_is_missing_or_repeated_puts_all_leaves_out_of_step(
    change: Callable[[Rows], None], is_whole: bool, tmp_path: Path
) -> None:
    said = faults(long_field(tmp_path, change))
    assert any("out of step in row 3" in one for one in said) is not is_whole
    assert is_whole is (said == [])


def test_leaves_that_follow_by_two_rows_throughout_are_not_out_of_step(tmp_path: Path) -> None:
    def late(rows: Rows) -> None:
        wanted = [row[14] for row in rows]
        for n, row in enumerate(rows):
            row[15::4] = [wanted[max(n - 2, 0)]] * 26

    assert faults(long_field(tmp_path, late)) == []
