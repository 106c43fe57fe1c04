"""The two texts of a Varian Dynalog, made from a `Delivery`.

Shares no code with the reader, so that one checks the other.  Layout as seen in real pairs: six
header lines, CR LF, one row each 50 ms; the expected leaf positions lead the actual ones by a row.
The first row has no expected row before it, so that there is one more row than samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.records import Axis, Delivery

ISOCENTER_PER_LEAF_PLANE = 1.96078
MM_PER_COUNT = ISOCENTER_PER_LEAF_PLANE / 100.0
FULL_DOSE = 25000
TOLERANCE_COUNTS = 102
CARRIAGE_COUNTS = 3923
VARIAN_SCALE, IEC_SCALE = 0, 1
DOSES = ("fraction", "gantry")
NEWLINE = b"\r\n"
Counts = NDArray[np.int64]


def encode(
    delivery: Delivery, *, scale: int = IEC_SCALE, dose: str = "fraction", lag: int = 1
) -> tuple[bytes, bytes]:
    """The A and the B file of one delivery.

    `dose` says what stands where the dose should be: its fraction, or the gantry angle as in arcs.
    `lag` is by how many rows expected positions lead.  Raises ValueError for a delivery with more
    than one layer of leaves, without jaws, or without a planned meterset.
    """
    if scale not in (VARIAN_SCALE, IEC_SCALE):
        raise ValueError(f"Clinac scale {scale}: 0 or 1 expected")
    if dose not in DOSES:
        raise ValueError(f"dose {dose!r}: one of {', '.join(DOSES)} expected")
    if len(delivery.mlc) != 1 or len(delivery.jaws_mm) != 4 or not delivery.planned_mu:
        raise ValueError("a Dynalog has one layer of leaves, four jaws and a planned meterset")
    (layer,) = delivery.mlc
    rows = delivery.samples + 1
    segment = _segments(delivery, rows)
    machine = _machine(delivery, segment, scale, dose)
    plan = _plan(segment, machine[:, 0], turns=dose == "gantry")
    head = _header(delivery, layer.pairs, scale)
    return (
        head + _text(machine, _bank(layer.bank_a_mm, 1.0, plan, lag)),
        head + _text(machine, _bank(layer.bank_b_mm, -1.0, plan, lag)),
    )


def _header(delivery: Delivery, pairs: int, scale: int) -> bytes:
    identity = delivery.identity
    beam = 1 if identity.beam_number is None else identity.beam_number
    lines = [
        "B",
        f"Simulated,Patient,{identity.patient_id or ''}",
        f"{identity.plan_uid or '1.2.3'},{beam}",
        f"   {TOLERANCE_COUNTS}",
        f"{pairs}",
        f" {scale}",
    ]
    return b"".join(line.encode("latin-1") + NEWLINE for line in lines)


def _machine(delivery: Delivery, segment: Counts, scale: int, dose: str) -> Counts:
    """The twelve columns that both files have in common, `(rows, 12)`."""
    hold = np.zeros(delivery.samples) if delivery.beam_hold is None else delivery.beam_hold
    held = _with_first(np.asarray(hold != 0, dtype=np.float64))
    gantry = _tenths(delivery.gantry_deg, delivery.samples, scale)
    collimator = _tenths(delivery.collimator_deg, delivery.samples, scale)
    share = np.asarray(delivery.meterset_mu.actual, np.float64) / (delivery.planned_mu or 1.0)
    fraction = np.clip(np.rint(share * FULL_DOSE), 0, FULL_DOSE).astype(np.int64)
    fraction = np.concatenate([[0], fraction])
    column = gantry if dose == "gantry" else fraction
    first, following = _neighbors(segment)
    jaws_mm = {name: _with_first(axis.actual) for name, axis in delivery.jaws_mm.items()}
    return np.column_stack(
        [
            column,
            segment,
            held,
            1 - held,
            column[first],
            column[following],
            gantry,
            collimator,
            -np.rint(jaws_mm["Y1"]),
            np.rint(jaws_mm["Y2"]),
            -np.rint(jaws_mm["X1"]),
            np.rint(jaws_mm["X2"]),
        ]
    ).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Of each row the first row of its segment and of the next, and the share it has done."""

    first: Counts
    following: Counts
    done: NDArray[np.float64]


def _plan(segment: Counts, column: Counts, *, turns: bool) -> _Plan:
    """Shares are of dose, or of the angle where the first column `turns`."""
    first, following = _neighbors(segment)
    at = np.unwrap(column.astype(np.float64), period=3600.0) if turns else column
    span = at[following] - at[first]
    done = np.where(span == 0, 0.0, (at - at[first]) / np.where(span == 0, 1, span))
    return _Plan(first, following, np.asarray(done, dtype=np.float64))


def _bank(axis: Axis, sign: float, plan: _Plan, lag: int) -> Counts:
    """Carriage and leaves of one bank, `(rows, 2 + 4 * pairs)`.

    The controller wants a leaf on the line between the ends of the row's segment, as far along as
    the row is.  A simulated leaf need not move so: the line of a row goes through what it wants, as
    far as the leaf goes in the whole segment.
    """
    expected = np.rint(sign * np.asarray(axis.expected, np.float64) / MM_PER_COUNT)
    actual = np.rint(sign * np.asarray(axis.actual, np.float64) / MM_PER_COUNT)
    rows = len(plan.done)
    wanted = expected[np.clip(np.arange(rows) - 1 + lag, 0, rows - 2)]
    goes = wanted[plan.following] - wanted[plan.first]
    before = np.rint(wanted - plan.done[:, np.newaxis] * goes)
    was = np.vstack([actual[:1], actual])
    columns = np.stack([wanted, was, before, before + goes], axis=2)
    carriage = np.full((rows, 2), CARRIAGE_COUNTS)
    return np.hstack([carriage, columns.reshape(rows, -1)]).astype(np.int64)


def _segments(delivery: Delivery, rows: int) -> Counts:
    """Number of the segment that was passed last, from the control point."""
    if delivery.control_point is None:
        return np.zeros(rows, dtype=np.int64)
    return _with_first(np.floor(delivery.control_point.actual)).astype(np.int64)


def _neighbors(segment: Counts) -> tuple[Counts, Counts]:
    """For every row the first row of its segment and of the next one."""
    following = np.searchsorted(segment, segment, side="right")
    return np.searchsorted(segment, segment), np.minimum(following, len(segment) - 1)


def _with_first(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.concatenate([values[:1], values]).astype(np.float64)


def _tenths(axis: Axis | None, samples: int, scale: int) -> Counts:
    angle_deg = _with_first(np.zeros(samples) if axis is None else axis.actual)
    if scale == VARIAN_SCALE:
        angle_deg = 180.0 - angle_deg
    return np.mod(np.rint(angle_deg * 10.0), 3600).astype(np.int64)


def _text(machine: Counts, bank: Counts) -> bytes:
    rows = np.hstack([machine, bank]).tolist()
    return b"".join(",".join(map(str, row)).encode("ascii") + NEWLINE for row in rows)
