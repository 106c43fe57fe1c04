"""A small sound TRF, places in it, and ways to spoil it.

The header's strings are 19, 6, 13 and 4 bytes long, so that its numbers stand at fixed offsets.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers.core import ReadError
from analyzers.formats.elekta_trf import read
from analyzers.records import Delivery
from qa_daemon.simulate.elekta_trf import deliver_on_elekta
from qa_daemon.simulate.elekta_trf_bytes import encode
from qa_daemon.simulate.motion import Errors
from qa_daemon.simulate.plan_shapes import sequence, static

DATE, ZONE, FIELD, MACHINE, NUMBERS = 0, 20, 27, 41, 46
VERSION, ITEMS, LIST = NUMBERS + 8, NUMBERS + 12, NUMBERS + 16
ROW_BYTES = {1: 2, 2: 2, 3: 2, 4: 4}
CONTROL_POINT, STATE, DOSE_RATE, STEP_DOSE, RAW_DOSE = 0, 2, 3, 4, 5
GANTRY, GANTRY_ERROR, COLLIMATOR = 8, 9, 10
X1_DIAPHRAGM, X2_DIAPHRAGM = 20, 21
FIRST_LEAF = 30


def small_delivery(*, mlc: str = "agility", **errors: float) -> Delivery:
    """Two fields of 3 MU and 2 MU without noise, the second smaller."""
    plan = sequence(static(mlc, 3.0), static(mlc, 2.0, half_width_mm=30.0))
    delivery = deliver_on_elekta(plan, Errors(noise=False, **errors))  # type: ignore[arg-type]
    return replace(delivery, machine_serial="2694", performed_at=delivery.performed_at)


def small_trf(version: int = 1, *, mlc: str = "agility") -> bytes:
    """The small delivery as a log of that version."""
    return encode(small_delivery(mlc=mlc), version=version)


def items_of(content: bytes) -> list[tuple[int, int]]:
    """The item list."""
    (count,) = struct.unpack_from("<i", content, ITEMS)
    return list(struct.iter_unpack("<HH", content[LIST : LIST + 4 * count]))


def rows_of(content: bytes) -> tuple[int, int, int]:
    """Where the rows begin, bytes of a row, bytes of its stamp."""
    (version, count) = struct.unpack_from("<ii", content, VERSION)
    stamp = 0 if version == 1 else 8
    return LIST + 4 * count, stamp + ROW_BYTES[version] * count, stamp


def samples_of(content: bytes) -> int:
    begin, row_bytes, _ = rows_of(content)
    return (len(content) - begin) // row_bytes


def patched(content: bytes, offset: int, layout: str, *values: object) -> bytes:
    """The content with other bytes at `offset`."""
    changed = struct.pack("<" + layout, *values)
    return content[:offset] + changed + content[offset + len(changed) :]


def with_value(content: bytes, row: int, column: int, value: int) -> bytes:
    """One value of one row changed; rows count from 0, from the end if negative."""
    begin, row_bytes, stamp = rows_of(content)
    (version,) = struct.unpack_from("<i", content, VERSION)
    row = row % samples_of(content)
    offset = begin + row * row_bytes + stamp + ROW_BYTES[version] * column
    return patched(content, offset, "i" if version == 4 else "h", value)


def with_column(content: bytes, column: int, values: object) -> bytes:
    """All values of one item changed."""
    for row, value in enumerate(np.broadcast_to(np.asarray(values), samples_of(content))):
        content = with_value(content, row, column, int(value))
    return content


def with_stamp(content: bytes, row: int, stamp_ms: int) -> bytes:
    begin, row_bytes, _ = rows_of(content)
    return patched(content, begin + (row % samples_of(content)) * row_bytes, "q", stamp_ms)


def stamp(content: bytes, row: int) -> int:
    begin, row_bytes, _ = rows_of(content)
    (found,) = struct.unpack_from("<q", content, begin + (row % samples_of(content)) * row_bytes)
    return int(found)


def without_item(content: bytes, *gone: tuple[int, int]) -> bytes:
    """The log as a machine writes it that lacks these items."""
    listed = items_of(content)
    begin, row_bytes, stamp_bytes = rows_of(content)
    (version,) = struct.unpack_from("<i", content, VERSION)
    width = ROW_BYTES[version]
    kept = [k for k, item in enumerate(listed) if item not in gone]
    body = np.frombuffer(content[begin:], np.uint8).reshape(-1, row_bytes)
    columns = [*range(stamp_bytes)]
    for k in kept:
        columns += range(stamp_bytes + width * k, stamp_bytes + width * (k + 1))
    head = content[:ITEMS] + struct.pack("<i", len(kept))
    head += b"".join(struct.pack("<HH", *listed[k]) for k in kept)
    return head + body[:, columns].tobytes()


def refused(content: bytes, folder: Path) -> ReadError:
    """The error that this content is refused with."""
    path = folder / "x.trf"
    path.write_bytes(content)
    with pytest.raises(ReadError) as raised:
        read(path)
    return raised.value


def read_back(content: bytes, folder: Path) -> Delivery:
    path = folder / "x.trf"
    path.write_bytes(content)
    return read(path)
