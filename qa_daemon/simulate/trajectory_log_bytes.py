"""The bytes of a Varian trajectory log, made from a `Delivery`.

Shares no code with the reader, so that one checks the other.  Layout as seen in real machine files
(2.1, 3.0) and public readers (4.0, 5.0): axes in the machine's order, expected before actual,
checksum at the end.  Carriages stand still; other axes of the record are not written.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analyzers.records import Axis, Delivery

VERSIONS = ("1.5", "2.0", "2.1", "3.0", "4.0", "5.0")
MODEL_CODES = {"millennium80": 0, "millennium52": 1, "millennium120": 2, "hd120": 3, "halcyon": 6}
MACHINE_SCALE, MODIFIED_IEC, MACHINE_SCALE_ISOCENTRIC = 1, 2, 3
NOT_AVAILABLE = np.finfo(np.float32).max
CARRIAGE_CM = 6.25
Column = NDArray[np.float64]
Conversion = Callable[[Column], Column]


def encode(delivery: Delivery, *, version: str = "3.0", scale: int = 1, crc: bool = True) -> bytes:
    """One log.  An axis the delivery lacks is not announced; couch tilts are as not available.

    Raises ValueError for an unknown version, scale or MLC model.
    """
    if version not in VERSIONS:
        raise ValueError(f"version {version!r}: one of {', '.join(VERSIONS)} expected")
    if scale not in (MACHINE_SCALE, MODIFIED_IEC, MACHINE_SCALE_ISOCENTRIC):
        raise ValueError(f"axis scale {scale}: 1, 2 or 3 expected")
    has_tilts = float(version) >= 3.0
    axes = {
        code: values
        for code, values in _axes(delivery, scale).items()
        if values is not None and (has_tilts or code not in (10, 11))
    }
    snapshots = np.concatenate(list(axes.values()), axis=1).astype("<f4")
    samples = {code: values.shape[1] for code, values in axes.items()}
    content = (
        _header(delivery, version, scale, samples)
        + _sub_beams(delivery, name_bytes=512 if has_tilts else 32)
        + snapshots.tobytes()
    )
    return content + struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) if crc else content


def _header(delivery: Delivery, version: str, scale: int, samples: dict[int, int]) -> bytes:
    axes = len(samples)
    interval_ms = round(delivery.interval_s * 1000.0)
    code = MODEL_CODES.get(delivery.mlc_model or "", 99)
    header = struct.pack("<16s16siii", b"VOSTL", version.encode(), 1024, interval_ms, axes)
    header += struct.pack(f"<{axes}i{axes}i", *samples, *samples.values())
    header += struct.pack(
        "<iiiii",
        scale,
        len(delivery.sub_beams),
        int(delivery.truncated),
        delivery.samples,
        code,
    )
    if float(version) >= 4.0:
        header += _metadata(delivery)
    return header.ljust(1024, b"\0")


def _metadata(delivery: Delivery) -> bytes:
    identity = delivery.identity
    planned_mu = delivery.planned_mu or 0.0
    rows = [
        ("Patient ID", identity.patient_id or ""),
        ("Plan Name", identity.plan_label or ""),
        ("SOP Instance UID", identity.plan_uid or ""),
        ("MU Planned", f"{planned_mu:.10g}"),
        ("MU Remaining", f"{planned_mu:.10g}"),
        ("Energy", delivery.energy or ""),
        ("BeamName", identity.beam_name or ""),
    ]
    block = "\r\n".join(f"{key}:\t{value}" for key, value in rows).encode("utf-8")
    if len(block) > 745:
        raise ValueError(f"names take {len(block)} bytes, the metadata block has 745")
    return block.ljust(745, b"\0")


def _sub_beams(delivery: Delivery, *, name_bytes: int) -> bytes:
    names = delivery.identity.beam_names
    records = []
    for k, sub_beam in enumerate(delivery.sub_beams):
        name = names[k] if k < len(names) else ""
        # Real names hold `_` as UTF-7 writes it, and the reserved bytes repeat the name.
        written = name.replace("_", "+AF8-").encode("utf-8")[:name_bytes]
        seconds = sub_beam.planned_mu / 10.0 * 1.2
        numbers = (sub_beam.control_point, sub_beam.planned_mu, seconds, sub_beam.sequence)
        records.append(struct.pack(f"<iffi{name_bytes}s32s", *numbers, written, written[:32]))
    return b"".join(records)


def _axes(delivery: Delivery, scale: int) -> dict[int, NDArray[np.float64] | None]:
    """Raw values by axis code in the machine's order, shape `(snapshots, samples, 2)`."""
    d = delivery
    machine = scale != MODIFIED_IEC
    rotation = _half_turn_minus if machine else _unchanged
    state = None if d.beam_hold is None else d.beam_hold.astype(np.float64)
    hold = None if state is None else Axis(state, state)
    return {
        0: _pair(d.collimator_deg, rotation),
        1: _pair(d.gantry_deg, rotation),
        2: _pair(d.jaw_y1_mm, _minus_cm),
        3: _pair(d.jaw_y2_mm, _cm),
        4: _pair(d.jaw_x1_mm, _minus_cm),
        5: _pair(d.jaw_x2_mm, _cm),
        6: _pair(d.couch_vertical_mm, _down_from_100 if machine else _wrapped_down),
        7: _pair(d.couch_longitudinal_mm, _cm),
        8: _pair(d.couch_lateral_mm, _right_from_100 if machine else _wrapped_right),
        9: _pair(d.couch_rotation_deg, _half_turn_minus if machine else _full_turn_minus),
        10: _tilt(d.couch_pitch_deg, d.samples),
        11: _tilt(d.couch_roll_deg, d.samples),
        40: _pair(d.meterset_mu, _unchanged),
        41: _pair(hold, _unchanged),
        42: _pair(d.control_point, _unchanged),
        50: _leaves(delivery),
    }


def _leaves(delivery: Delivery) -> NDArray[np.float64] | None:
    """Two carriages, bank A of every layer, bank B of every layer, in cm away from the X1 side."""
    if not delivery.mlc:
        return None
    carriage = Axis(*np.full((2, delivery.samples, 1), CARRIAGE_CM * 10.0))
    blocks = [_pair(carriage, _cm), _pair(carriage, _cm)]
    blocks += [_pair(layer.bank_a_mm, _cm) for layer in delivery.mlc]
    blocks += [_pair(layer.bank_b_mm, _minus_cm) for layer in delivery.mlc]
    return np.concatenate([block for block in blocks if block is not None], axis=1)


def _pair(axis: Axis | None, raw: Conversion) -> NDArray[np.float64] | None:
    if axis is None:
        return None
    both = [raw(np.asarray(values, dtype=np.float64)) for values in (axis.expected, axis.actual)]
    return np.stack([v.reshape(len(v), -1) for v in both], axis=2)


def _tilt(axis: Axis | None, samples: int) -> NDArray[np.float64] | None:
    if axis is None:
        return np.full((samples, 1, 2), NOT_AVAILABLE, dtype=np.float64)
    return _pair(axis, _unchanged)


def _unchanged(iec: Column) -> Column:
    return iec


def _half_turn_minus(iec_deg: Column) -> Column:
    return np.mod(180.0 - iec_deg, 360.0)


def _full_turn_minus(iec_deg: Column) -> Column:
    return np.mod(360.0 - iec_deg, 360.0)


def _cm(iec_mm: Column) -> Column:
    return iec_mm / 10.0


def _minus_cm(iec_mm: Column) -> Column:
    return -iec_mm / 10.0


def _down_from_100(iec_mm: Column) -> Column:
    return 100.0 - iec_mm / 10.0


def _right_from_100(iec_mm: Column) -> Column:
    return 100.0 + iec_mm / 10.0


def _wrapped_down(iec_mm: Column) -> Column:
    """Below the isocenter as positive cm, above it as 1000 cm and more."""
    return np.where(iec_mm >= 0.0, 1000.0 + iec_mm / 10.0, -iec_mm / 10.0)


def _wrapped_right(iec_mm: Column) -> Column:
    return np.where(iec_mm >= 0.0, iec_mm / 10.0, 1000.0 + iec_mm / 10.0)
