"""Whether the rows of a Dynalog pair hold a delivery from its first row to its last.

A Dynalog has no length, no clock and no checksum.  What tells that rows are missing, or that two
columns cannot both be true, is physics (no axis leaps), the flags against the dose, and the plan
that every row carries: each segment ends where the next one begins, and the controller wants every
leaf on the line between both.  Figures are those of real pairs: two fixed fields and an arc.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzers.formats import varian_dynalog_rows as rows_of
from analyzers.formats import varian_dynalog_table as table
from analyzers.formats.varian_dynalog_rows import FULL_DOSE, SAME_ANGLE, Pair, Rows, beam_on
from analyzers.formats.varian_dynalog_segments import TURN, Segments, faults, segments_of, turned

BEGINS = FULL_DOSE // 2000
"""A log begins at dose 0; every real one does exactly."""
BEGIN_ANGLE, MOST_BACK = 5, 3
"""Tenths of a degree: a real arc begins where its first segment does, and never turns back."""
END_ANGLE = 50
"""5 degrees, in which a gantry may start or come to rest with the beam off."""
MOST_OFF_ROWS = 3
"""So many rows in a row go on with the beam off in real logs: the last pulses of a segment."""
MOST_OFF_SHARE = 0.25
"""Of the rows of a real arc 2 % are flagged off, one or two at a time."""
FASTEST_LEAF = 153
"""3 mm a row at the isocenter, 60 mm/s.  Leaves go 2.3 mm a row at most, with the beam off: a row
lost at that speed shows, and none that is there."""
AXES = slice(table.GANTRY, table.X2 + 1)
ANGLES = 2
FASTEST = (6, 10, 5, 5, 5, 5)
"""What gantry, collimator and jaws never go in a row, in tenths of a degree and mm; real logs have
4, 1 and 1."""
OFF_THE_LINE = 2.0
"""Counts.  Real logs cut the position off to a whole count: they are off by less than one."""
MOVING = 5.0
"""Counts RMS over all leaves in two rows; slower than this, nothing shows."""
OUT_OF_STEP = 0.13
"""Of what two rows move.  Leaves of a real arc get ahead or behind by 0.05 at most in 798 rows; by
0.2 to 0.5 where one of its rows is left out, and by 1 where one is repeated."""


def lost(pair: Pair, *, has_dose: bool) -> list[str]:
    """What the delivery is known to lack, or says of itself against itself, in words."""
    rows = pair.bank_a
    found = [*pair.lost, *_lost_ends(rows, has_dose=has_dose)]
    if has_dose:
        found += _dose_without_beam(rows)
    else:
        found += _arc_course(rows)
        found += _arc_without_beam(rows)
    segments = segments_of(rows, has_dose=has_dose)
    found += faults(rows, segments)
    return found + _impossible_positions(pair, segments)


def _lost_ends(rows: Rows, *, has_dose: bool) -> list[str]:
    """A missing beginning or end.

    Every real log begins in segment 0 and ends with the beam off; one with a dose begins at 0, and
    an arc without one ends where its last segment does.
    """
    found = []
    first_segment = int(rows[0, table.SEGMENT])
    if first_segment != 0:
        found.append(f"the log begins in segment {first_segment}")
    first_dose = int(rows[0, table.DOSE])
    if has_dose and first_dose > BEGINS:
        percent = 100.0 * first_dose / FULL_DOSE
        found.append(f"the log begins at {percent:.1f} % of the planned meterset")
    is_complete = has_dose and rows[-1, table.DOSE] == FULL_DOSE
    if rows[-1, table.BEAM_ON] == 1 and not is_complete:
        found.append("the log ends with the beam on")
    lacks_deg = None if has_dose else _arc_lacks_deg(rows)
    if lacks_deg is not None:
        found.append(f"the arc ends {lacks_deg:.1f} deg before its segment does")
    return found


def _arc_lacks_deg(rows: Rows) -> float | None:
    """By how much an arc without dose ends before its segment does; None where it does not.

    Real arcs end within 0.3 degrees of it.  One that stopped near the end of any segment looks
    complete: nothing tells how many there are.
    """
    low, high = table.ANGLE
    wanted = int(rows[-1, table.NEXT_INDEX])
    if not low <= wanted <= high:
        return None
    apart = abs(int(rows[-1, table.GANTRY]) - wanted)
    apart = min(apart, TURN - apart)
    return apart / 10.0 if apart > SAME_ANGLE else None


def _arc_course(rows: Rows) -> list[str]:
    """An arc that begins within its first segment, or turns back."""
    found = []
    low, high = table.ANGLE
    begin = int(rows[0, table.PRIOR_INDEX])
    apart = abs(int(rows[0, table.GANTRY]) - begin)
    apart = min(apart, TURN - apart)
    if low <= begin <= high and apart > BEGIN_ANGLE:
        found.append(f"the arc begins {apart / 10.0:.1f} deg after its first segment does")
    steps, way = turned(rows)
    back = steps * way < -MOST_BACK
    if back.any():
        found.append(f"the gantry turns back in row {int(np.argmax(back)) + 2}")
    return found


def _dose_without_beam(rows: Rows) -> list[str]:
    """A dose that leaps over half of the plan, or rises where the flags say there is no beam.

    In real logs it rises in at most 3 rows after a hold-off, and in one row without any.
    """
    dose = rows[:, table.DOSE]
    found = []
    leaps = (dose[:-1] <= BEGINS) & (dose[1:] > FULL_DOSE // 2)
    if leaps.any():
        leap_percent = 100.0 * float(dose[1:][leaps][0]) / FULL_DOSE
        found.append(f"the dose leaps from 0 to {leap_percent:.1f} %")
    rises = np.diff(dose, prepend=dose[:1]) > 0
    risen = np.concatenate([[0], np.cumsum(rises)])
    starts, ends = _off_runs(rows).T
    in_a_run = int((risen[ends] - risen[starts]).max(initial=0))
    unheld = rises & (rows[:, table.BEAM_ON] == 0) & (rows[:, table.HOLD_OFF] == 0)
    without = max(in_a_run, int(np.count_nonzero(unheld)))
    if without > MOST_OFF_ROWS:
        found.append(f"the dose rises over {without} rows with the beam off")
    return found


def _arc_without_beam(rows: Rows) -> list[str]:
    """An arc that goes on with the beam off, for long or too often.

    An arc that is held goes on from where it was, so the row before is held against the row after.
    At the ends the gantry may start and come to rest.
    """
    longest = 0
    for start, end in _off_runs(rows).tolist():
        is_inside = start > 0 and end < len(rows)
        before, after = rows[max(start - 1, 0)], rows[min(end, len(rows) - 1)]
        apart = abs(int(after[table.GANTRY]) - int(before[table.GANTRY]))
        goes_on = min(apart, TURN - apart) > (SAME_ANGLE if is_inside else END_ANGLE)
        goes_on |= bool(after[table.SEGMENT] != before[table.SEGMENT])
        if end - start > MOST_OFF_ROWS and goes_on:
            longest = max(longest, end - start)
    if longest:
        return [f"the arc goes on over {longest} rows with the beam off"]
    turns = np.diff(rows[:, table.GANTRY], prepend=rows[:1, table.GANTRY]) != 0
    off = int(np.count_nonzero(turns & ~beam_on(rows)))
    if off > max(MOST_OFF_SHARE * len(rows), MOST_OFF_ROWS):
        return [f"the gantry turns in {off} of {len(rows)} rows with the beam off"]
    return []


def _off_runs(rows: Rows) -> NDArray[np.intp]:
    """First row and end of every stretch of rows without beam, `(stretches, 2)`."""
    changes = np.flatnonzero(np.diff(~beam_on(rows), prepend=False, append=False))
    return changes.reshape(-1, 2)


def _impossible_positions(pair: Pair, segments: Segments) -> list[str]:
    """Leaves and axes that leap, whether the beam is on or not, and leaves wanted off their line.

    What a controller wants may leap: the position it wants with the beam off is that of the next
    segment.  What was may not.
    """
    # Compiled code is imported when it is needed.
    from analyzers.numerics.integer_table_kernel import leaf_extremes

    found = []
    for name, bank in (("A", pair.bank_a), ("B", pair.bank_b)):
        off_line, step = leaf_extremes(bank, table.LEAVES, segments.fraction)
        if off_line.max() > OFF_THE_LINE:
            row = int(np.argmax(off_line > OFF_THE_LINE))
            found.append(
                f"bank {name} was wanted {off_line[row] * rows_of.MM_PER_COUNT:.2f} mm off the way "
                f"between its segments in row {row + 1}"
            )
        if step.max() > FASTEST_LEAF:
            row = int(np.argmax(step > FASTEST_LEAF))
            found.append(
                f"a leaf of bank {name} leaps by {step[row] * rows_of.MM_PER_COUNT:.1f} mm to "
                f"row {row + 1}"
            )
    axis_step = np.abs(np.diff(pair.bank_a[:, AXES], axis=0))
    axis_step[:, :ANGLES] = np.minimum(axis_step[:, :ANGLES], TURN - axis_step[:, :ANGLES])
    leaps = axis_step > FASTEST
    for axis in np.flatnonzero(leaps.any(axis=0)):
        name, _ = table.named(table.GANTRY + int(axis))
        found.append(f"the {name} leaps to row {int(np.argmax(leaps[:, axis])) + 2}")
    return found


def out_of_step(pair: Pair) -> list[str]:
    """A row before which one is missing, or that is there twice: all leaves get ahead, or behind.

    Told while the leaves move with the beam on, and only of leaves that follow by `LEAD_ROWS`.
    """
    # Compiled code is imported when it is needed.
    from analyzers.numerics.integer_table_kernel import leaf_following

    product, square = map(
        np.add, leaf_following(pair.bank_a, table.LEAVES), leaf_following(pair.bank_b, table.LEAVES)
    )
    on = beam_on(pair.bank_a)
    moving = square > 2 * pair.header.pairs * MOVING**2
    moving[2:] &= on[2:] & on[1:-1] & on[:-2]
    off = moving & (np.abs(product) > OUT_OF_STEP * square)
    if not off.any():
        return []
    row = int(np.argmax(off)) + 1
    return [f"all leaves are out of step in row {row}: one before it is missing, or repeated"]
