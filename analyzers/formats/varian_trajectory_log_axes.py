"""From the axes of a Varian trajectory log to IEC 61217, mm and degrees.

The header's axis scale decides.  1, "machine scale": rotations run the other way from 180 degrees;
X1, Y1 and bank B count away from the beam axis, so their sign turns; couch vertical and lateral are
100 cm at the isocenter.  2, "modified IEC": gantry and collimator are IEC, couch rotation is
mirrored, couch vertical and lateral wrap at 1000 cm.  3, "machine scale isocentric": as 1.  Jaws,
leaves, gantry and collimator of scale 1 as checked on real machine files and their plans (bank A is
the X2 side and leaf k the plan's pair k: shown by a plan with single leaves off); scales 2 and 3
follow public readers.

Couch vertical grows downwards in machine scale: real treatments log 108 to 127 cm, and no patient
lies above the isocenter.  A position that is not available is written as the largest float: an axis
that has no other is missing, a couch axis that has some is NaN there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError
from analyzers.formats.varian_trajectory_log_layout import COPY_AGAIN, METERSET
from analyzers.mlc_geometry import LEAF_EDGES_MM
from analyzers.records import Axis, MlcLayer

Samples = NDArray[np.float32]
NOT_AVAILABLE = float(np.finfo(np.float32).max)
BEAM_HOLD, CONTROL_POINT, LEAVES = 41, 42, 50


@dataclass(frozen=True, slots=True)
class Kind:
    """How an axis is called in `Delivery` and in messages, and which raw values are possible."""

    field: str
    lowest: float = -1e6
    highest: float = 1e6
    may_drop_out: bool = False
    """An axis that is not available in some samples is NaN there instead of refused."""

    @property
    def title(self) -> str:
        """`jaw_x1_mm` -> `jaw x1`."""
        return self.field.rpartition("_")[0].replace("_", " ")


KINDS = {
    0: Kind("collimator_deg", -1.0, 361.0),
    1: Kind("gantry_deg", -1.0, 361.0),
    2: Kind("jaw_y1_mm", -50.0, 50.0),
    3: Kind("jaw_y2_mm", -50.0, 50.0),
    4: Kind("jaw_x1_mm", -50.0, 50.0),
    5: Kind("jaw_x2_mm", -50.0, 50.0),
    6: Kind("couch_vertical_mm", may_drop_out=True),
    7: Kind("couch_longitudinal_mm", may_drop_out=True),
    8: Kind("couch_lateral_mm", may_drop_out=True),
    9: Kind("couch_rotation_deg", -1.0, 361.0, may_drop_out=True),
    10: Kind("couch_pitch_deg", may_drop_out=True),
    11: Kind("couch_roll_deg", may_drop_out=True),
    METERSET: Kind("meterset_mu", -1e6, 1e6),
    BEAM_HOLD: Kind("beam_hold_state"),
    CONTROL_POINT: Kind("control_point_index"),
    LEAVES: Kind("leaf_mm", -30.0, 30.0),
}


def _turn(angle_deg: Samples) -> Samples:
    """Into [0, 360)."""
    turned = np.mod(angle_deg, np.float32(360.0))
    # -1e-6 modulo 360 rounds up to 360 in 32 bits.
    turned[turned >= 360.0] = 0.0
    return turned


def _machine_rotation(v: Samples) -> Samples:
    return _turn(np.float32(180.0) - v)


def _mirrored_rotation(v: Samples) -> Samples:
    return _turn(-v)


def _signed(v: Samples) -> Samples:
    """Small tilts: (-180, 180], so that -0.1 degrees stays -0.1."""
    return np.where(v > 180.0, v - np.float32(360.0), v)


def _same(v: Samples) -> Samples:
    return v


def _mm(v: Samples) -> Samples:
    return v * np.float32(10.0)


def _mm_turned(v: Samples) -> Samples:
    return v * np.float32(-10.0)


def _below_100_cm(v: Samples) -> Samples:
    return (np.float32(100.0) - v) * np.float32(10.0)


def _above_100_cm(v: Samples) -> Samples:
    return (v - np.float32(100.0)) * np.float32(10.0)


def _wrapped_vertical(v: Samples) -> Samples:
    return np.where(v >= 1000.0, v - np.float32(1000.0), -v) * np.float32(10.0)


def _wrapped_lateral(v: Samples) -> Samples:
    return np.where(v > 500.0, v - np.float32(1000.0), v) * np.float32(10.0)


_EVERY_SCALE: dict[int, Callable[[Samples], Samples]] = {
    2: _mm_turned,
    3: _mm,
    4: _mm_turned,
    5: _mm,
    7: _mm,
    10: _signed,
    11: _signed,
    METERSET: _same,
    BEAM_HOLD: _same,
    CONTROL_POINT: _same,
}
_MACHINE = _EVERY_SCALE | {
    0: _machine_rotation,
    1: _machine_rotation,
    6: _below_100_cm,
    8: _above_100_cm,
    9: _machine_rotation,
}
_MODIFIED_IEC = _EVERY_SCALE | {
    0: _turn,
    1: _turn,
    6: _wrapped_vertical,
    8: _wrapped_lateral,
    9: _mirrored_rotation,
}
TO_IEC = {1: _MACHINE, 2: _MODIFIED_IEC, 3: _MACHINE}


def available(
    snapshots: Samples, columns: Mapping[int, slice], warnings: list[str]
) -> dict[int, slice]:
    """The columns of the axes that hold positions, all of them within their range.

    A couch axis may lack some of its positions: its warning says how many.  Axes nobody interprets
    are passed on unchecked.  Raises `ReadError` TLOG_NAN or TLOG_RANGE.
    """
    lowest = _extreme(np.minimum, snapshots)
    highest = _extreme(np.maximum, snapshots)
    usable = {}
    for code, column in columns.items():
        kind = KINDS.get(code)
        low, high = lowest[column], highest[column]
        if kind is None or (low.min() >= kind.lowest and high.max() <= kind.highest):
            usable[code] = column
        elif low.min() == NOT_AVAILABLE and code != METERSET:
            continue
        else:
            values = snapshots[:, column]
            _check(kind, values, first_sample=column.start)
            lacking = np.count_nonzero((values == NOT_AVAILABLE).any(axis=(1, 2)))
            warnings.append(
                f"{kind.title}: not available in {lacking} of {len(values)} snapshots, "
                "unknown there"
            )
            usable[code] = column
    return usable


def _extreme(of: np.ufunc, snapshots: Samples) -> Samples:
    """Lowest or highest value of every sample, NaN where one is; shape `(samples, 2)`.

    Eight snapshots are taken as one long row first, which halves the time.
    """
    whole = len(snapshots) // 8 * 8
    flat = snapshots.reshape(len(snapshots), -1)
    long_rows = of.reduce(flat[:whole].reshape(whole // 8, -1), axis=0) if whole else flat[0]
    rows = np.concatenate([long_rows.reshape(-1, flat.shape[1]), flat[whole:]])
    extreme: Samples = of.reduce(rows, axis=0).reshape(-1, 2)
    return extreme


def _check(kind: Kind, values: Samples, first_sample: int) -> None:
    """Refuse the first value that is impossible; comparisons with NaN are false."""
    possible = (values >= kind.lowest) & (values <= kind.highest)
    if kind.may_drop_out:
        possible |= values == NOT_AVAILABLE
    if possible.all():
        return
    row, sample, which = np.argwhere(~possible)[0]
    value = float(values[row, sample, which])
    where = (
        f"{kind.title}: {('expected', 'actual')[which]} value {value:g} "
        f"in snapshot {row + 1}, sample {first_sample + sample + 1}"
    )
    if not np.isfinite(value) or abs(value) > 1e6:
        raise ReadError("TLOG_NAN", f"{where} is not a position; {COPY_AGAIN}")
    raise ReadError(
        "TLOG_RANGE",
        f"{where}, {kind.lowest:g} to {kind.highest:g} possible; {COPY_AGAIN}",
    )


def single(
    snapshots: Samples, columns: Mapping[int, slice], scale: int
) -> tuple[dict[int, Axis], dict[int, Axis]]:
    """The axes that are converted to IEC 61217, and those nobody interprets, by code.

    Converted axes have one sample, arrays of shape `(snapshots,)`; the others stay in the maker's
    unit, `(snapshots, samples)` where they have several.  The leaves are not among them.
    """
    convert = TO_IEC[scale]
    known = {code: column.start for code, column in columns.items() if code in convert}
    first, last = min(known.values()), max(known.values())
    # One copy for all: taken one by one, each axis would walk through the whole log.
    together = np.ascontiguousarray(snapshots[:, first : last + 1].transpose(1, 2, 0))
    converted = {
        code: Axis(*convert[code](_where_available(KINDS[code], together[at - first])))
        for code, at in known.items()
    }
    others = {
        code: unchanged(snapshots, column)
        for code, column in columns.items()
        if code not in convert and code != LEAVES
    }
    return converted, others


def _where_available(kind: Kind, values: Samples) -> Samples:
    """The values of an axis, NaN where it was not available."""
    if not kind.may_drop_out:
        return values
    lacking = values == NOT_AVAILABLE
    return np.where(lacking, np.float32(np.nan), values) if lacking.any() else values


def unchanged(snapshots: Samples, column: slice) -> Axis:
    """An axis nobody interprets, in the maker's unit."""
    values = snapshots[:, column]
    if values.shape[1] == 1:
        values = values[:, 0]
    return Axis(values[..., 0], values[..., 1])


def check_meterset(meterset: Axis) -> None:
    """A meterset starts at zero and does not run backwards."""
    actual_mu = np.asarray(meterset.actual, dtype=np.float64)
    if actual_mu.min() < -0.5:
        row = int(actual_mu.argmin())
        raise ReadError(
            "TLOG_RANGE", f"meterset {actual_mu[row]:g} MU in snapshot {row + 1}; {COPY_AGAIN}"
        )
    step_mu = np.diff(actual_mu)
    if len(step_mu) and step_mu.min() < -0.5:
        row = int(step_mu.argmin())
        raise ReadError(
            "TLOG_RANGE",
            f"the meterset falls by {-step_mu[row]:g} MU in snapshot {row + 2}; {COPY_AGAIN}",
        )


MODELS = {0: "millennium80", 2: "millennium120", 3: "hd120", 6: "halcyon"}
MODEL_OF_SAMPLES = {54: "millennium52", 116: "halcyon"}  # where the code is not in MODELS
CARRIAGES = 2


def mlc_model(code: int, samples: int) -> str | None:
    """The model that fits both the header's code and the number of samples, or None."""
    model = MODELS.get(code) or MODEL_OF_SAMPLES.get(samples)
    if model is None:
        return None
    pairs = sum(len(edges_mm) - 1 for edges_mm in LEAF_EDGES_MM[model].values())
    return model if samples == CARRIAGES + 2 * pairs else None


def leaf_layers(snapshots: Samples, column: slice, model: str) -> tuple[MlcLayer, ...]:
    """The leaves in mm, IEC X: two carriages, all of bank A (X2 side), all of bank B (X1 side).

    A head with two layers writes the layer with fewer pairs first within each bank (after a public
    reader; no real file seen).
    """
    layers = []
    pairs_of_bank = (column.stop - column.start - CARRIAGES) // 2
    start = column.start + CARRIAGES
    for name, edges_mm in LEAF_EDGES_MM[model].items():
        stop = start + len(edges_mm) - 1
        bank_a = _bank(snapshots, slice(start, stop), np.float32(10.0))
        bank_b = _bank(
            snapshots, slice(start + pairs_of_bank, stop + pairs_of_bank), np.float32(-10.0)
        )
        layers.append(MlcLayer(name, edges_mm, bank_a, bank_b))
        start = stop
    return tuple(layers)


def _bank(snapshots: Samples, column: slice, mm_per_unit: np.float32) -> Axis:
    # One pass each: numpy would walk a combined view along its axis of two.
    return Axis(snapshots[:, column, 0] * mm_per_unit, snapshots[:, column, 1] * mm_per_unit)
