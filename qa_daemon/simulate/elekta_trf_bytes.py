"""The bytes of an Elekta TRF, made from a `Delivery`.

Shares no code with the reader, so that one checks the other.  Items in the order of real machine
files, positions rounded to tenths as there, rows 38 to 42 ms apart, both dose counters starting
again with each sub-beam.  Couch and leaf guides stand still.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from analyzers.records import Axis, Delivery

VERSIONS = (1, 2, 3, 4)
PAIRS = {"agility": 80, "mlci": 40}
INTERVAL_S = 0.04
RADIATION_ON, INTERSEGMENT, CHECKING, COMPLETED, FAULT = 42, 41, 45, 46, 47
JITTER_MS = (0, 0, 1, -1, -1, 0, 1, 0)
Tenths = NDArray[np.int64]
Columns = dict[tuple[int, int], Tenths]


def encode(
    delivery: Delivery, *, version: int = 1, offset_minutes: int = 600, rows_late_s: float = 430.0
) -> bytes:
    """One log.  `performed_at` is local time, `offset_minutes` ahead of UTC.

    `rows_late_s` is how far the rows' clock is ahead of the header's, which only stamped rows show.
    Raises ValueError for an unknown version or MLC model, and for a delivery that cannot be logged.
    """
    if version not in VERSIONS:
        raise ValueError(f"version {version}: one of 1, 2, 3, 4 expected")
    if delivery.mlc_model not in PAIRS:
        raise ValueError(f"mlc {delivery.mlc_model!r}: one of {', '.join(PAIRS)} expected")
    if delivery.performed_at is None:
        raise ValueError("a TRF's header holds the time of the delivery: performed_at is needed")
    utc = (delivery.performed_at - timedelta(minutes=offset_minutes)).replace(tzinfo=UTC)
    columns = _columns(delivery)
    if version == 4:
        columns[2170, 111] = np.zeros(delivery.samples, dtype=np.int64)
    values = np.stack(list(columns.values()), axis=1)
    if version < 4:
        # The raw dose has no sign, every other item has one: the bytes are the same.
        rows = values.astype(np.uint16).view(np.uint8).reshape(len(values), -1)
    else:
        rows = values.astype("<i4").view(np.uint8).reshape(len(values), -1)
    if version >= 2:
        start_ms = round(utc.timestamp() * 1000.0 + rows_late_s * 1000.0)
        stamps = _stamps_ms(start_ms, delivery.samples).astype("<i8").view(np.uint8)
        rows = np.hstack([stamps.reshape(len(values), 8), rows])
    return _header(delivery, version, utc, offset_minutes, list(columns)) + rows.tobytes()


def _header(
    delivery: Delivery,
    version: int,
    utc: datetime,
    offset_minutes: int,
    items: list[tuple[int, int]],
) -> bytes:
    identity = delivery.identity
    name = identity.beam_name or ""
    field = name if identity.beam_label is None else f"{identity.beam_label}/{name}"
    hours, minutes = divmod(abs(offset_minutes), 60)
    zone = f"{'-' if offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}"
    texts = (f"{utc:%y/%m/%d %H:%M:%S} Z", zone, field, delivery.machine_serial or "")
    numbers = struct.pack("<dii", 10.0 * (delivery.planned_mu or 0.0), version, len(items))
    listed = b"".join(struct.pack("<HH", *item) for item in items)
    return b"".join(map(_text, texts)) + numbers + listed


def _text(text: str) -> bytes:
    """A string with its length in front, seven bits a byte."""
    raw = text.encode("utf-8")
    if len(raw) > 256:
        raise ValueError(f"a text of {len(raw)} bytes: 256 at most")
    length = bytes([len(raw)]) if len(raw) < 128 else bytes([len(raw) % 128 + 128, len(raw) // 128])
    return length + raw


def _stamps_ms(start_ms: int, rows: int) -> Tenths:
    jitter_ms = np.resize(np.array(JITTER_MS), rows)
    return start_ms + round(INTERVAL_S * 1000.0) * np.arange(rows) + jitter_ms


def _columns(delivery: Delivery) -> Columns:
    """Raw values by item and part, in the machine's order, shape `(rows,)` each."""
    rows = delivery.samples
    still = np.zeros(rows, dtype=np.int64)
    step_dose, raw_dose = _counters(delivery)
    rise_mu = np.diff(delivery.meterset_mu.actual, prepend=delivery.meterset_mu.actual[:1])
    rate = np.rint(np.maximum(rise_mu, 0.0) / INTERVAL_S * 60.0).astype(np.int64)
    point = delivery.control_point
    columns: Columns = {
        (2240, 111): still + 1 if point is None else 1 + point.actual.astype(np.int64),
        (2177, 100): still + 1,
        (2543, 111): _states(delivery),
        (2542, 111): rate,
        (2238, 111): step_dose,
        (2162, 101): raw_dose,
        (2200, 111): still,
        (2541, 111): still + 2,
    }
    for item, axis in ((2224, delivery.gantry_deg), (2225, delivery.collimator_deg)):
        columns |= _angle(item, axis, rows)
    for item, at in ((2226, 0), (2227, 875), (2228, 50), (2229, -61)):
        columns |= {(item, 129): still + at, (item, 220): still}
    columns |= _diaphragms(delivery)
    columns |= {(2064, 129): still + 1000, (2065, 129): still + 1000}
    columns |= {(2064, 220): still, (2065, 220): still}
    pairs = PAIRS[delivery.mlc_model or ""]
    columns |= {(2380 + pairs // 2, 227): still + 10, (2460 + pairs // 2, 227): still + 10}
    return columns | _leaves(delivery)


def _counters(delivery: Delivery) -> tuple[Tenths, Tenths]:
    """Step dose in tenths and raw dose in 64ths of an MU, cut off, not rounded."""
    meterset_mu = np.asarray(delivery.meterset_mu.actual, dtype=np.float64)
    before_mu = np.zeros(len(meterset_mu))
    for beam in delivery.sub_beams[1:]:
        if beam.delivered:
            before_mu[beam.start :] = meterset_mu[beam.start - 1]
    # A part of a count that is only a rounding error of the meterset is whole.
    step_mu = np.maximum(meterset_mu - before_mu, 0.0) + 1e-9
    if step_mu.max() * 10.0 > 32767:
        raise ValueError(f"{step_mu.max():g} MU in one step: 3276.7 at most")
    return (10.0 * step_mu).astype(np.int64), (64.0 * step_mu).astype(np.int64) % 65536


def _states(delivery: Delivery) -> Tenths:
    """Intersegment around the beam, then the termination, which takes the last two rows."""
    rises = np.flatnonzero(np.diff(delivery.meterset_mu.actual, prepend=0.0) > 0.0)
    last = int(rises[-1]) if rises.size else 0
    if last > delivery.samples - 3:
        raise ValueError("the beam is on to the end: two rows are needed for the termination")
    states = np.full(delivery.samples, RADIATION_ON)
    if delivery.beam_hold is not None:
        states[delivery.beam_hold != 0] = INTERSEGMENT
    states[rises] = RADIATION_ON
    if not rises.size:
        states[:] = INTERSEGMENT
    states[last + 1 :] = CHECKING
    states[-1] = FAULT if delivery.truncated else COMPLETED
    return states


def _angle(item: int, axis: Axis | None, rows: int) -> Columns:
    """Bipolar: -180 to 180; the error goes the short way, so that prescribed may pass 180."""
    if axis is None:
        return {(item, 129): np.zeros(rows, dtype=np.int64), (item, 220): np.zeros(rows, np.int64)}
    actual, wanted = _tenths(axis.actual), _tenths(axis.expected)
    return {
        (item, 129): (actual + 1800) % 3600 - 1800,
        (item, 220): (wanted - actual + 1800) % 3600 - 1800,
    }


def _diaphragms(delivery: Delivery) -> Columns:
    if delivery.jaw_y1_mm is None or delivery.jaw_y2_mm is None:
        raise ValueError("this head has the jaws Y1 and Y2")
    columns: Columns = {}
    for part in (129, 220):
        columns[2060, part] = _part(delivery.jaw_y2_mm, part, 1)
        columns[2061, part] = _part(delivery.jaw_y1_mm, part, -1)
    return columns


def _leaves(delivery: Delivery) -> Columns:
    """Raw leaf k of both banks is pair n + 1 - k; Y1 is the X2 side, Y2 the X1 side."""
    (layer,) = delivery.mlc
    columns: Columns = {}
    for part in (129, 220):
        for first, bank in ((2380, layer.bank_b_mm), (2460, layer.bank_a_mm)):
            values = _part(bank, part, 1)
            for k in range(layer.pairs):
                columns[first + k, part] = values[:, layer.pairs - 1 - k]
    return columns


def _part(axis: Axis, part: int, sign: int) -> Tenths:
    """The actual value, or the positional error: prescribed minus actual."""
    actual, wanted = sign * _tenths(axis.actual), sign * _tenths(axis.expected)
    return actual if part == 129 else wanted - actual


def _tenths(values: NDArray[np.floating]) -> Tenths:
    return np.rint(10.0 * np.asarray(values, dtype=np.float64)).astype(np.int64)
