"""What an Elekta TRF says of dose, states of the machine and time.

Two counters log the dose: the step dose in tenths of an MU and the raw dose in 64ths, 16 bits
without a sign, which wraps at 1024 MU.  Both begin again with every step and after some
terminations, so that what was delivered is the sum of their rises.  In every real log each rise
falls into the state "radiation on", and both sums agree within what the coarser one cuts off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError
from analyzers.formats import elekta_trf_items as items
from analyzers.formats.elekta_trf_layout import COPY_AGAIN, WAIT, RawLog

Counts = NDArray[np.int64]

STEP_PER_MU, RAW_PER_MU = 10, 64
RAW_WRAP = 65536
FASTEST_MU_PER_S = 50.0
"""The fastest beams that are made have 40 MU/s."""
FLICKER = 2
SAME_MU = 0.2
INTERVAL_MS = 40.0
USUAL_MS = (20.0, 300.0)
"""Real rows are 38 to 42 ms apart; a slower clock would hide what happens between them."""
LONG_GAP = 3.0
"""In intervals."""
LONGEST_GAP_MS = 1000
STAMPS_MS = (946_684_800_000, 4_102_444_800_000)  # the years 2000 to 2100
STATES = {
    16: "closed",
    34: "unknown",
    39: "move only",
    40: "pause",
    41: "intersegment",
    42: "radiation on",
    43: "interrupted",
    44: "interrupted, ready",
    45: "checking the termination",
    46: "terminated",
    47: "terminated by a fault",
}
INTERSEGMENT, RADIATION_ON, COMPLETED = 41, 42, 46
FAULT = 47
STOPPED = (43, 44, FAULT)
WAITING = (39, 40, 41, 43, 44)
NORMAL, HOLD, DISABLED = 0, 2, 3


def intervals_ms(stamps_ms: Counts | None, rows: int) -> NDArray[np.float64]:
    """Milliseconds from each row to the next, shape `(rows - 1,)`; 40 where no stamps are logged.

    Refuses stamps that do not increase, lie more than a second apart, or are no time of our days.
    """
    if stamps_ms is None:
        return np.full(rows - 1, INTERVAL_MS)
    earliest, latest = int(stamps_ms.min()), int(stamps_ms.max())
    if earliest < STAMPS_MS[0] or latest > STAMPS_MS[1]:
        raise ReadError(
            "TRF_TIME",
            f"time stamps from {earliest} to {latest} ms since 1970: not the years 2000 to 2100; "
            f"{COPY_AGAIN}",
        )
    step_ms = np.diff(stamps_ms)
    wrong = (step_ms <= 0) | (step_ms > LONGEST_GAP_MS)
    if wrong.any():
        row = int(wrong.argmax())
        raise ReadError(
            "TRF_TIME",
            f"{step_ms[row]} ms from row {row + 1} to the next, above 0 and at most "
            f"{LONGEST_GAP_MS} expected: rows are missing or out of order; {COPY_AGAIN}",
        )
    usual_ms = float(np.median(step_ms)) if step_ms.size else INTERVAL_MS
    if not USUAL_MS[0] <= usual_ms <= USUAL_MS[1]:
        raise ReadError(
            "TRF_TIME",
            f"rows are {usual_ms:g} ms apart, {USUAL_MS[0]:g} to {USUAL_MS[1]:g} expected; "
            f"{COPY_AGAIN}",
        )
    return step_ms.astype(np.float64)


def delivered_mu(
    raw: RawLog, interval_ms: NDArray[np.float64], warnings: list[str]
) -> NDArray[np.float64]:
    """Cumulative meterset in MU from the step dose, shape `(rows,)`, checked by the raw dose."""
    most_mu = FASTEST_MU_PER_S * interval_ms / 1000.0
    step_dose = items.column(raw, items.STEP_DOSE)
    assert step_dose is not None, "the item list was checked"
    counts = step_dose.astype(np.int64)
    if counts.min() < 0:
        row = int((counts < 0).argmax())
        raise ReadError(
            "TRF_DOSE", f"step dose {counts[row]} in row {row + 1} is no dose; {COPY_AGAIN}"
        )
    begun = begins_again(raw)
    rises, restarts = _rises(counts, most_mu * STEP_PER_MU, "step dose", begun=begun)
    _check_raw_dose(raw, most_mu, rises.sum() / STEP_PER_MU, restarts, warnings)
    total: Counts = np.cumsum(np.append(counts[:1], rises))
    return total / STEP_PER_MU


def _check_raw_dose(
    raw: RawLog,
    most_mu: NDArray[np.float64],
    step_mu: float,
    restarts: int,
    warnings: list[str],
) -> None:
    raw_dose = items.column(raw, items.RAW)
    if raw_dose is None:
        warnings.append("the raw dose is not logged: nothing confirms the step dose")
        return
    counts = _without_sign(raw_dose)
    rises, _ = _rises(counts, most_mu * RAW_PER_MU, "raw dose", wrap=RAW_WRAP)
    raw_mu = rises.sum() / RAW_PER_MU
    # The step dose cuts off the part of a tenth that was open at each restart.
    if abs(raw_mu - step_mu) > SAME_MU + restarts / STEP_PER_MU:
        raise ReadError(
            "TRF_DOSE",
            f"the two dose counters disagree: {step_mu:.1f} MU by the step dose, {raw_mu:.2f} MU "
            f"by the raw dose; {COPY_AGAIN} and check the machine's dosimetry",
        )


def _without_sign(raw_dose: NDArray[np.signedinteger]) -> Counts:
    counts: Counts = raw_dose.astype(np.int64)
    counts[counts < 0] += RAW_WRAP
    return counts


def begins_again(raw: RawLog) -> NDArray[np.bool_]:
    """Where the step dose begins again from a row to the next, shape `(rows - 1,)`.

    A fall by a tenth or two is a flicker, unless to zero, or the raw dose falls with it, or another
    control point begins.
    """
    step_dose, raw_dose = items.column(raw, items.STEP_DOSE), items.column(raw, items.RAW)
    assert step_dose is not None, "the item list was checked"
    step = np.diff(step_dose.astype(np.int64))
    begun = (step < -FLICKER) | ((step < 0) & (step_dose[1:] == 0))
    if raw_dose is not None:
        begun |= (step < 0) & (np.diff(_without_sign(raw_dose)) < -FLICKER)
    points = items.control_point(raw)
    if points is not None:
        begun |= (step < 0) & (np.diff(points.actual) > 0.0)
    return np.asarray(begun)


def _rises(
    counts: Counts,
    most: NDArray[np.float64],
    name: str,
    *,
    wrap: int | None = None,
    begun: NDArray[np.bool_] | None = None,
) -> tuple[Counts, int]:
    """How much a counter rose from row to row, restarts and wraps put right; and its restarts.

    A counter that falls has wrapped if it rose, all told, by no more than a beam can; else it began
    again, from zero to no more than that; else it is not a counter.  `begun` says where it may have
    begun again; None: where it falls.
    """
    step = np.diff(counts)
    fallen = np.flatnonzero(step < 0)
    if wrap is not None:
        wrapped = fallen[step[fallen] + wrap <= most[fallen]]
        step[wrapped] += wrap
        fallen = np.setdiff1d(fallen, wrapped, assume_unique=True)
    after = counts[1:]
    again = after[fallen] <= most[fallen]
    restarted = fallen[again if begun is None else again & begun[fallen]]
    odd = np.setdiff1d(fallen, restarted, assume_unique=True)
    odd = odd[step[odd] < -FLICKER]
    if odd.size:
        row = int(odd[0])
        raise ReadError(
            "TRF_DOSE",
            f"the {name} falls from {counts[row]} to {counts[row + 1]} in row {row + 2}: "
            f"neither a restart nor a wrap; {COPY_AGAIN}",
        )
    step[restarted] = after[restarted]
    return step, len(restarted)


def beam_hold(states: Counts) -> NDArray[np.int64]:
    """The beam's state as `Delivery` has it: normal where radiation is on, held, or disabled."""
    held = np.where(np.isin(states, WAITING), HOLD, DISABLED)
    return np.where(states == RADIATION_ON, NORMAL, held).astype(np.int64)


def ended_early(states: Counts, warnings: list[str]) -> bool:
    """Whether the machine says that it stopped before the end; refuses a log that just ends."""
    if (states[:-1] == FAULT).any():
        warnings.append(f"a fault terminated the beam on the way: state {FAULT}")
        return True
    known = states[states != items.NULL]
    last = int(known[-1]) if known.size else items.NULL
    if last == COMPLETED:
        return False
    said = STATES.get(last, "no state we know")
    if last in STOPPED:
        warnings.append(f"the delivery did not complete: its last state is {last}, {said}")
        return True
    raise TruncatedError(
        "TRF_END",
        f"the last state is {last} ({said}), {COMPLETED} (terminated) expected: the log is cut; "
        f"{WAIT}",
    )


def irradiated(states: Counts, delivered_mu: NDArray[np.float64]) -> bool:
    """Whether radiation was on; refuses dose without it.

    In every real log each rise is in a row with the radiation on, or in the row after one.
    """
    on = states == RADIATION_ON
    after_on = on | np.append(False, on[:-1])
    without_mu = float(np.diff(delivered_mu, prepend=delivered_mu[:1])[~after_on].sum())
    if without_mu > SAME_MU:
        raise ReadError(
            "TRF_STATE",
            f"{without_mu:.1f} MU are metered in rows without radiation on; {COPY_AGAIN}",
        )
    return bool(on.any())


def lost_rows(states: Counts, interval_ms: NDArray[np.float64]) -> bool:
    """Whether rows are missing beside one with the radiation on."""
    if not interval_ms.size:
        return False
    on = states == RADIATION_ON
    beside = on[:-1] | on[1:]
    return bool((beside & (interval_ms > LONG_GAP * np.median(interval_ms))).any())
