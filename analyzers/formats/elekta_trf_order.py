"""Whether the rows of an Elekta TRF follow one another as one delivery does.

The format has no checksum and does not say how many rows there are, and version 1 has no stamps:
what is repeated or out of order shows by what cannot be.  In the five real logs checked, 6 694 rows
of 350 values, no two rows in a row are the same, the control point begins at 1 and never falls,
nothing but the termination follows the check of it, the step dose begins again only with another
control point or after the end, and no row brings more than 1.03 times the dose that the log's
largest dose rate does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError
from analyzers.formats import elekta_trf_dose as dose
from analyzers.formats import elekta_trf_items as items
from analyzers.formats.elekta_trf_layout import COPY_AGAIN, RawLog

FIRST_POINT = 1
FEW_REPEATS = 3
REPEATED_SHARE = 0.05
"""Of the rows with the radiation on; in a log whose rows are doubled it is a half."""
STEEPEST = 1.5
"""Times the dose of a row at the log's largest rate: two rows in one bring twice as much."""
FEW_PULSES = 4
"""In 64ths of an MU: one pulse is about 1.6."""
CHECKING = 45
GOES_ON = (39, 40, dose.INTERSEGMENT, dose.RADIATION_ON)


def check_order(
    raw: RawLog, states: dose.Counts, interval_ms: NDArray[np.float64], warnings: list[str]
) -> bool:
    """Whether the log lost rows; refuses rows that are repeated or out of order."""
    _check_end_is_last(states)
    _check_repeated(raw, states, warnings)
    lost = _is_dose_missing(raw, interval_ms, warnings)
    points = items.control_point(raw)
    if points is None:
        return lost
    point = points.actual.astype(np.int64)
    _check_points(point)
    _check_restarts(raw, states, point)
    if point[0] != FIRST_POINT:
        warnings.append(f"the log begins at control point {point[0]}, not at {FIRST_POINT}")
    return lost or bool(point[0] != FIRST_POINT)


def _is_dose_missing(raw: RawLog, interval_ms: NDArray[np.float64], warnings: list[str]) -> bool:
    """Whether more dose comes in a row than in one: what was delivered meanwhile, nobody saw."""
    raw_dose, rate = items.column(raw, items.RAW), items.column(raw, items.DOSE_RATE)
    if raw_dose is None or rate is None or not len(interval_ms) or rate.max() <= 0:
        return False
    counts: dose.Counts = raw_dose.astype(np.int64)
    counts[counts < 0] += dose.RAW_WRAP
    most = float(rate.max()) * interval_ms / 60_000.0 * dose.RAW_PER_MU
    places = np.flatnonzero(np.diff(counts) > STEEPEST * most + FEW_PULSES)
    if places.size:
        warnings.append(
            f"rows are missing in {places.size} places, first before row {places[0] + 2}: "
            "more dose comes there than the dose rate gives"
        )
    return bool(places.size)


def _check_end_is_last(states: dose.Counts) -> None:
    """Nothing follows the end: a log given twice over would go on."""
    for end, after in ((CHECKING, GOES_ON), (dose.COMPLETED, (*GOES_ON, 43, 44, CHECKING))):
        ended = np.maximum.accumulate(states == end)
        wrong = ended & np.isin(states, after)
        if wrong.any():
            row = int(wrong.argmax())
            raise ReadError(
                "TRF_STATE",
                f"state {states[row]} ({dose.STATES[int(states[row])]}) in row {row + 1} comes "
                f"after {end} ({dose.STATES[end]}): rows are repeated or out of order; "
                f"{COPY_AGAIN}",
            )


def _check_repeated(raw: RawLog, states: dose.Counts, warnings: list[str]) -> None:
    on = states == dose.RADIATION_ON
    both_on = np.flatnonzero(on[:-1] & on[1:])
    same = (raw.values[both_on] == raw.values[both_on + 1]).all(axis=1)
    repeated = int(np.count_nonzero(same))
    if repeated > max(FEW_REPEATS, REPEATED_SHARE * np.count_nonzero(on)):
        raise ReadError(
            "TRF_ROWS",
            f"{repeated} rows with the radiation on repeat the row before in every value, first "
            f"row {both_on[same.argmax()] + 2}: no machine stands so still; {COPY_AGAIN}",
        )
    if repeated:
        warnings.append(f"{repeated} rows with the radiation on repeat the row before")


def _check_points(point: NDArray[np.int64]) -> None:
    wrong = np.flatnonzero((np.diff(point) < 0) | (point[1:] < 0))
    if wrong.size:
        row = int(wrong[0])
        raise ReadError(
            "TRF_POINT",
            f"the control point goes from {point[row]} to {point[row + 1]} in row {row + 2}: rows "
            f"are repeated or out of order; {COPY_AGAIN}",
        )


def _check_restarts(raw: RawLog, states: dose.Counts, point: NDArray[np.int64]) -> None:
    """Refuse a step dose that begins again within a control point, without an interruption."""
    step_dose = items.column(raw, items.STEP_DOSE)
    assert step_dose is not None, "the item list was checked"
    step = np.diff(step_dose.astype(np.int64))
    rises = np.flatnonzero(step > 0) + 1
    for restart in np.flatnonzero(dose.begins_again(raw)) + 1:
        before, after = rises[rises < restart], rises[rises >= restart]
        if not (before.size and after.size) or point[after[0]] != point[before[-1]]:
            continue
        if not np.isin(states[before[-1] : after[0]], dose.STOPPED).any():
            raise ReadError(
                "TRF_DOSE",
                f"the step dose begins again in row {restart + 1} within control point "
                f"{point[restart]}: rows are repeated or missing; {COPY_AGAIN}",
            )
