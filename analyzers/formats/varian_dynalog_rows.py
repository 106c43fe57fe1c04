"""From the rows of a Dynalog pair to axes: IEC 61217, mm and degrees at the isocenter plane.

The controller writes the position it wants one row before the leaf can be there: of real pairs the
RMS of `actual[n] - expected[n - 1]` is 0.04 to 0.06 mm, that of the same row up to 0.75 mm.  So an
actual row is set against the expected row before it, and the first row has no partner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError
from analyzers.formats import varian_dynalog_table as table
from analyzers.records import Axis, BoolArray

ISOCENTER_PER_LEAF_PLANE = 1.96078
"""Positions at the isocenter over those at the leaf plane, by Varian's maintenance guide."""
MM_PER_COUNT = 0.01 * ISOCENTER_PER_LEAF_PLANE
LEAD_ROWS = 1
"""By so many rows expected positions lead the actual ones."""
LAGS = (0, 1, 2)
CLEARLY_SMALLER = 0.8
SMALLEST_COUNTS = 3.0
"""Below this RMS the leaves stand still with the beam on, and every lag fits."""
FULL_DOSE = 25000
MOST_DOSE_BACK = 50
SAME_ANGLE = 10
"""1 degree: a column 0 that stays this close to the gantry is the gantry."""
TURNS = 20
INSIDE, BARELY_INSIDE = 0.97, 0.9
"""Of the area between the leaves of real fields 98.7 % or more is between the X jaws; of one of
them, 71 % with the banks exchanged."""
FIELD_ROWS = 50
"""So many rows tell where a field is."""
ROWS_WITH_ANGLE = 0.99

Rows = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The rows that both files hold, and what the two headers say."""

    header: table.Header
    bank_a: Rows
    bank_b: Rows
    lost: tuple[str, ...]
    """Parts of the delivery that the files are known to lack, in words."""
    remarks: tuple[str, ...] = ()


def paired(a: table.Table, b: table.Table) -> Pair:
    """Put the two files together.  Raises `ReadError` DLG_LEAVES or DLG_MISMATCH."""
    if a.header.pairs != b.header.pairs:
        raise ReadError(
            "DLG_LEAVES",
            f"the A file has {a.header.pairs} leaf pairs, the B file {b.header.pairs}; "
            "they are not of one delivery",
        )
    same = {
        2: a.header.patient == b.header.patient,
        3: a.header.plan == b.header.plan,
        4: a.header.tolerance == b.header.tolerance,
        6: a.header.scale == b.header.scale,
    }
    differing = [str(line) for line, is_same in same.items() if not is_same]
    if differing:
        raise ReadError(
            "DLG_MISMATCH",
            f"header line {', '.join(differing)} differs between the A and the B file; "
            "they are not of one delivery",
        )
    rows = min(len(a.rows), len(b.rows))
    if abs(len(a.rows) - len(b.rows)) > 2:
        raise ReadError(
            "DLG_MISMATCH",
            f"the A file has {len(a.rows)} rows, the B file {len(b.rows)}; {table.COPY_AGAIN}",
        )
    differs = a.rows[:rows, table.SAME_IN_BOTH] != b.rows[:rows, table.SAME_IN_BOTH]
    if differs.any():
        row, column = np.argwhere(differs)[0]
        raise ReadError(
            "DLG_MISMATCH",
            f"{table.named(int(column))[0]} differs between the A and the B file in row "
            f"{row + 1}; they are not of one delivery",
        )
    if rows > LEAD_ROWS and _is_one_bank_twice(a.rows[:rows], b.rows[:rows]):
        raise ReadError(
            "DLG_MISMATCH",
            "every leaf of the B file is where that of the A file is in every row: one bank was "
            f"saved twice; {table.COPY_AGAIN}",
        )
    cut = [
        f"the last row of the {name} file was cut" for name, t in (("A", a), ("B", b)) if t.is_cut
    ]
    remarks = []
    if len(a.rows) != len(b.rows):
        remarks.append(
            f"the A file has {len(a.rows)} rows, the B file {len(b.rows)}: {rows} are used"
        )
    return Pair(a.header, a.rows[:rows], b.rows[:rows], tuple(cut), tuple(remarks))


def _is_one_bank_twice(a: Rows, b: Rows) -> bool:
    """Whether both hold the same leaves, wanted and actual; of real pairs 0.6 % of cells agree.

    A field that stays closed is no evidence: both banks stand at the axis.
    """
    for part in (0, 1):
        first = table.LEAVES + part
        if not np.array_equal(a[:, first::4], b[:, first::4]):
            return False
    leaves = a[:, table.LEAVES + 1 :: 4]
    return bool((leaves > 0).any() or (leaves != leaves[0]).any())


def check_banks(pair: Pair) -> None:
    """Raises `ReadError` DLG_PAIR where the names of the two files were exchanged, as far as shows.

    Inside nothing tells one bank from the other.  But exchanged, a field is its own mirror image,
    and one that is not symmetric lies under a jaw then.
    """
    on = np.flatnonzero(beam_on(pair.bank_a))
    if not on.size:
        return
    chosen = on[:: len(on) // FIELD_ROWS + 1]
    jaws = pair.bank_a[chosen]
    x1, x2 = -jaws[:, table.X1, np.newaxis], jaws[:, table.X2, np.newaxis]
    a, b = (
        bank[chosen, table.LEAVES + 1 :: 4] * MM_PER_COUNT for bank in (pair.bank_a, pair.bank_b)
    )
    open_mm = np.maximum(a + b, 0.0).sum()
    if not open_mm:
        return
    as_named, exchanged = (
        np.maximum(np.minimum(right, x2) - np.maximum(-left, x1), 0.0).sum() / open_mm
        for right, left in ((a, b), (b, a))
    )
    if as_named < BARELY_INSIDE and exchanged > INSIDE:
        raise ReadError(
            "DLG_PAIR",
            f"{100.0 * (1.0 - as_named):.0f} % of the open field lies under the X jaws, and none "
            "if the A and the B file exchange their names; give both files their own names again",
        )


def has_gantry_for_dose(rows: Rows) -> bool:
    """Whether column 0 follows a gantry that turns, as arcs have it, and holds no dose then.

    A gantry that stands is no evidence: a dose fraction that stopped at its angle must not hide.
    """
    gantry = rows[:, table.GANTRY]
    apart = np.abs(rows[:, table.DOSE] - gantry)
    follows = np.minimum(apart, 3600 - apart) <= SAME_ANGLE
    turned = np.abs(gantry - gantry[0])
    return bool(
        follows.mean() >= ROWS_WITH_ANGLE and np.minimum(turned, 3600 - turned).max() > TURNS
    )


def dose_percent(rows: Rows) -> NDArray[np.float64]:
    """The share of the planned meterset in percent, `(rows,)`.  Raises `ReadError` DLG_VALUE."""
    dose = rows[:, table.DOSE]
    if dose.min() < 0:
        row = int(dose.argmin())
        raise ReadError(
            "DLG_VALUE",
            f"row {row + 1}: dose fraction {dose[row]}, 0 to {FULL_DOSE} possible; "
            f"{table.COPY_AGAIN}",
        )
    step = np.diff(dose)
    if len(step) and step.min() < -MOST_DOSE_BACK:
        row = int(step.argmin())
        raise ReadError(
            "DLG_VALUE",
            f"the dose fraction falls by {-step[row]} in row {row + 2}; {table.COPY_AGAIN}",
        )
    return dose.astype(np.float64) * (100.0 / FULL_DOSE)


def check_angle_for_dose(rows: Rows) -> None:
    """Where column 0 is the gantry it is an angle.  Raises `ReadError` DLG_VALUE."""
    low, high = table.ANGLE
    outside = (rows[:, table.DOSE] < low) | (rows[:, table.DOSE] > high)
    if outside.any():
        row = int(outside.argmax())
        raise ReadError(
            "DLG_VALUE",
            f"row {row + 1}: column 1 holds the gantry angle and is outside {low} to {high}; "
            f"{table.COPY_AGAIN}",
        )


def beam_on(rows: Rows) -> BoolArray:
    """Rows with the beam on and no hold-off asserted, `(rows,)`."""
    return np.asarray((rows[:, table.HOLD_OFF] == 0) & (rows[:, table.BEAM_ON] == 1))


def beam_hold(rows: Rows) -> NDArray[np.int64]:
    """The state as other logs have it: 0 normal, 2 held (hold-off, or a carriage in transition)."""
    return np.where(rows[:, table.HOLD_OFF] == 0, 0, 2).astype(np.int64)


def leaves_mm(rows: Rows, sign: float) -> Axis:
    """One bank as IEC X at the isocenter, `(rows - 1, pairs)`; `sign` is that of its side."""
    mm = sign * MM_PER_COUNT
    return Axis(
        expected=rows[:-LEAD_ROWS, table.LEAVES :: 4] * mm,
        actual=rows[LEAD_ROWS:, table.LEAVES + 1 :: 4] * mm,
    )


def single_axes(rows: Rows, scale: int) -> dict[str, Axis]:
    """Gantry, collimator and jaws by the record's names, `(rows - 1,)`; only actual is logged."""
    logged = rows[LEAD_ROWS:]
    rotations = {
        "gantry_deg": logged[:, table.GANTRY] / 10.0,
        "collimator_deg": logged[:, table.COLLIMATOR] / 10.0,
    }
    if scale == 0:
        rotations = {name: 180.0 - angle_deg for name, angle_deg in rotations.items()}
    # In both scales a jaw counts away from the axis.
    jaws = {
        "jaw_x1_mm": -1.0 * logged[:, table.X1],
        "jaw_x2_mm": 1.0 * logged[:, table.X2],
        "jaw_y1_mm": -1.0 * logged[:, table.Y1],
        "jaw_y2_mm": 1.0 * logged[:, table.Y2],
    }
    turned = {name: np.mod(angle_deg, 360.0) for name, angle_deg in rotations.items()}
    return {name: Axis.actual_only(values) for name, values in (turned | jaws).items()}


def lag_warning(pair: Pair) -> str | None:
    """A warning where another lag than the known one fits the leaves clearly better."""
    from analyzers.numerics.integer_table_kernel import lagged_square_sums

    on = beam_on(pair.bank_a)
    on[: max(LAGS)] = False
    chosen = np.flatnonzero(on)
    if not len(chosen):
        return None
    sums = np.zeros(len(LAGS))
    for rows in (pair.bank_a, pair.bank_b):
        expected, actual = rows[:, table.LEAVES :: 4], rows[:, table.LEAVES + 1 :: 4]
        sums += lagged_square_sums(expected, actual, chosen, np.array(LAGS))
    rms = np.sqrt(sums / (2 * pair.header.pairs * len(chosen)))
    best = int(rms.argmin())
    known_rms = rms[LAGS.index(LEAD_ROWS)]
    if known_rms <= SMALLEST_COUNTS or rms[best] > CLEARLY_SMALLER * known_rms:
        return None
    return (
        f"actual leaf positions follow the expected ones by {LAGS[best]} rows "
        f"(RMS {rms[best] * MM_PER_COUNT:.3f} mm), not by {LEAD_ROWS} "
        f"({known_rms * MM_PER_COUNT:.3f} mm): errors hold this shift"
    )
