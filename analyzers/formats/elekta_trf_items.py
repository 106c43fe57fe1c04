"""From the items of an Elekta TRF to IEC 61217, mm and degrees.

Items are found by their code in the header's list, wherever they stand.  Positions are tenths of a
mm or degree, and what was wanted is the actual value plus the positional error.  The maker's frame
is turned: leaves run along the maker's Y, which is IEC X.  Leaf k of raw bank Y1 is the X2 side
(bank A) and of raw bank Y2 the X1 side (bank B) of pair n + 1 - k, neither with a change of sign;
the X1 diaphragm is jaw Y2 and the X2 diaphragm, negated, jaw Y1.  Checked on a real log and its
plan.  An Agility has no jaws along X: its dynamic leaf guides follow the leaves and are kept as the
maker's own items, uninterpreted, as is the couch's rotation, whose unit is in dispute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError
from analyzers.formats.elekta_trf_layout import COPY_AGAIN, Code, RawLog, Values
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.records import Axis, FloatArray, MlcLayer

ACTUAL, ERROR, PLAIN, SET, RAW_DOSE = 129, 220, 111, 100, 101
NULL = -32767
PER_UNIT = 10

CONTROL_POINT: Code = (2240, PLAIN)
STATE: Code = (2543, PLAIN)
STEP_DOSE: Code = (2238, PLAIN)
DOSE_RATE: Code = (2542, PLAIN)
RAW: Code = (2162, RAW_DOSE)
GANTRY, COLLIMATOR = 2224, 2225
X1_DIAPHRAGM, X2_DIAPHRAGM = 2060, 2061
COUCH_ROTATION, COUCH_LONGITUDINAL, COUCH_LATERAL, COUCH_HEIGHT = 2226, 2227, 2228, 2229
LEAF_GUIDES = (2064, 2065)
UNINTERPRETED = (COUCH_ROTATION, *LEAF_GUIDES)
PLAIN_ITEMS = ((2177, SET), DOSE_RATE, (2200, PLAIN), (2541, PLAIN), STATE)
BANKS = {"Y2": 2380, "Y1": 2460}
LEAVES_OF_A_BANK = 80
MODEL_OF_PAIRS = {80: "agility", 40: "mlci"}
NEEDED: Mapping[str, Sequence[Code]] = {
    "step dose": (STEP_DOSE,),
    "linac state": (STATE,),
    "gantry": ((GANTRY, ACTUAL), (GANTRY, ERROR)),
    "collimator": ((COLLIMATOR, ACTUAL), (COLLIMATOR, ERROR)),
}
DIAPHRAGMS = [(item, part) for item in (X1_DIAPHRAGM, X2_DIAPHRAGM) for part in (ACTUAL, ERROR)]
BEYOND_LEAVES_MM = 10
FURTHEST_MM, FURTHEST_DEG, FURTHEST_COUCH_MM, FASTEST_MU_PER_MIN = 400, 370, 5000, 4000


def check_items(columns: Mapping[Code, int]) -> str:
    """The model of the head; refuses a list that lacks what is judged, and a head not known."""
    missing = [name for name, codes in NEEDED.items() if any(c not in columns for c in codes)]
    if missing:
        raise ReadError("TRF_ITEMS", f"the item list lacks {', '.join(missing)}: nothing to judge")
    pairs = _pairs(columns)
    diaphragms = sum(code in columns for code in DIAPHRAGMS)
    if pairs == 40 and diaphragms == 0:
        raise ReadError(
            "TRF_ITEMS",
            "40 leaf pairs and no diaphragms: a Beam Modulator, whose log nobody has checked "
            "against its plan; send us such a log",
        )
    # An MR-linac's couch neither turns nor moves sideways.
    if pairs == 80 and not {COUCH_ROTATION, COUCH_LATERAL} & {item for item, _ in columns}:
        raise ReadError(
            "TRF_ITEMS",
            "80 leaf pairs and no couch rotation or lateral: an MR-linac, whose leaves are wider "
            "and whose log nobody has checked against its plan; send us such a log",
        )
    if pairs not in MODEL_OF_PAIRS or diaphragms < len(DIAPHRAGMS):
        raise ReadError(
            "TRF_ITEMS",
            f"leaf items of {pairs} whole pairs and {diaphragms} of {len(DIAPHRAGMS)} diaphragm "
            "items fit no known head (80 or 40 pairs, each leaf with its actual value and error)",
        )
    return MODEL_OF_PAIRS[pairs]


def _pairs(columns: Mapping[Code, int]) -> int:
    """Leaf pairs, numbered from 1 without a gap in both banks and in both parts; else 0."""
    listed = [
        {k for k in range(LEAVES_OF_A_BANK) if (first + k, part) in columns}
        for first in BANKS.values()
        for part in (ACTUAL, ERROR)
    ]
    pairs = len(listed[0])
    return pairs if all(leaves == set(range(pairs)) for leaves in listed) else 0


def column(raw: RawLog, code: Code) -> Values | None:
    """One item over the rows, in the maker's unit; None when it is not logged."""
    at = raw.header.columns.get(code)
    return None if at is None else raw.values[:, at]


def diaphragm(raw: RawLog, item: int, model: str) -> Axis:
    """A diaphragm as a Y jaw in mm, shape `(rows,)`; NaN where the machine wrote no value.

    Refuses one that stands beyond the leaves: a head with wider leaves (an MR-linac's field is
    574 mm long) would be taken for this one.
    """
    name, sign = {X1_DIAPHRAGM: ("X1 diaphragm", 1), X2_DIAPHRAGM: ("X2 diaphragm", -1)}[item]
    furthest = int(LEAF_EDGES_MM[model][""][-1]) + BEYOND_LEAVES_MM
    return _millimeters(*_both(raw, [item], name, furthest), sign=sign, shape=(-1,))


def degrees(raw: RawLog, item: int, name: str) -> Axis:
    """An angle in [0, 360), shape `(rows,)`; the maker's is bipolar and may pass 180."""
    actual, wanted, lacking = _both(raw, [item], name, FURTHEST_DEG)
    # In whole tenths: no rounding can make 360 of it.
    turned = (np.mod(values[:, 0], 360 * PER_UNIT) for values in (wanted, actual))
    expected_deg, actual_deg = (
        values.astype(np.float32) / np.float32(PER_UNIT) for values in turned
    )
    if lacking is not None:
        expected_deg[lacking[0][:, 0]] = np.nan
        actual_deg[lacking[1][:, 0]] = np.nan
    return Axis(expected_deg, actual_deg)


def leaf_layer(raw: RawLog, model: str) -> MlcLayer:
    """All leaves in mm, IEC X, pair 1 at the most negative boundary."""
    edges_mm = LEAF_EDGES_MM[model][""]
    banks = {
        name: _millimeters(
            *_both(raw, range(first + len(edges_mm) - 2, first - 1, -1), "leaf", FURTHEST_MM)
        )
        for name, first in BANKS.items()
    }
    return MlcLayer("", edges_mm, bank_a_mm=banks["Y1"], bank_b_mm=banks["Y2"])


def couch(raw: RawLog, item: int) -> Axis | None:
    """One translation of the couch in mm, shape `(rows,)`, sign as logged; None if not logged.

    Public tables call the unit degrees; the numbers of real logs make sense only as tenths of a mm.
    """
    columns = raw.header.columns
    if (item, ACTUAL) not in columns or (item, ERROR) not in columns:
        return None
    return _millimeters(*_both(raw, [item], "couch", FURTHEST_COUCH_MM), shape=(-1,))


def uninterpreted(raw: RawLog) -> dict[int, Axis]:
    """Items that nobody here interprets, in the maker's unit, by item."""
    columns = raw.header.columns
    kept = {}
    for item in UNINTERPRETED:
        if (item, ACTUAL) in columns and (item, ERROR) in columns:
            actual, wanted, _ = _both(raw, [item], "item", None)
            kept[item] = Axis(wanted[:, 0].astype(np.float64), actual[:, 0].astype(np.float64))
    for code in PLAIN_ITEMS:
        values = column(raw, code)
        if values is not None:
            kept[code[0]] = Axis(values.astype(np.float64), values.astype(np.float64))
    return kept


def control_point(raw: RawLog) -> Axis | None:
    """The control point as logged, from 1; where there is none, the last one before stays."""
    values = column(raw, CONTROL_POINT)
    if values is None or not (known := values != NULL).any():
        return None
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), int(known.argmax())))
    points = values[last].astype(np.float64)
    return Axis(points, points)


def check_dose_rate(raw: RawLog) -> None:
    """Refuse a dose rate that no machine has."""
    rate = column(raw, DOSE_RATE)
    if rate is None:
        return
    wrong = ((rate < 0) | (rate > FASTEST_MU_PER_MIN)) & (rate != NULL)
    if wrong.any():
        row = int(wrong.argmax())
        raise ReadError(
            "TRF_RANGE",
            f"dose rate {rate[row]} MU/min in row {row + 1}, 0 to {FASTEST_MU_PER_MIN} possible; "
            f"{COPY_AGAIN}",
        )


Lacking = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _both(
    raw: RawLog, items: Iterable[int], name: str, furthest: int | None
) -> tuple[NDArray[np.int32], NDArray[np.int32], Lacking | None]:
    """Actual and wanted positions in tenths, shape `(rows, items)`, and where they lack.

    Refuses what lies beyond `furthest` whole units (None: anything goes).
    """
    items = list(items)
    actual, error = (
        np.take(raw.values, [raw.header.columns[i, part] for i in items], axis=1).astype(np.int32)
        for part in (ACTUAL, ERROR)
    )
    lacking = None
    if min(actual.min(), error.min()) <= NULL and furthest is not None:
        no_actual = actual == NULL
        lacking = (no_actual | (error == NULL), no_actual)
        actual[no_actual] = 0
        error[lacking[0]] = 0
    wanted = actual + error
    if furthest is not None:
        for which, values in (("actual", actual), ("prescribed", wanted)):
            _check(values, which, name, furthest)
    return actual, wanted, lacking


def _check(values: NDArray[np.int32], which: str, name: str, furthest: int) -> None:
    if max(int(values.max()), -int(values.min())) <= furthest * PER_UNIT:
        return
    far = np.abs(values.astype(np.int64)) > furthest * PER_UNIT
    row, at = np.argwhere(far)[0]
    raise ReadError(
        "TRF_RANGE",
        f"{name}: {which} value {values[row, at] / PER_UNIT:g} in row {row + 1}, "
        f"-{furthest} to {furthest} possible; {COPY_AGAIN}",
    )


def _millimeters(
    actual: NDArray[np.int32],
    wanted: NDArray[np.int32],
    lacking: Lacking | None,
    *,
    sign: int = 1,
    shape: tuple[int, ...] | None = None,
) -> Axis:
    found: list[FloatArray] = []
    for k, values in enumerate((wanted, actual)):
        position_mm = values.astype(np.float32)
        position_mm /= np.float32(sign * PER_UNIT)
        if lacking is not None:
            position_mm[lacking[k]] = np.nan
        found.append(position_mm if shape is None else position_mm.reshape(shape))
    return Axis(found[0], found[1])
