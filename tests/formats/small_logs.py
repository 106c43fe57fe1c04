"""Small simulated trajectory logs and ways to spoil them."""

from __future__ import annotations

import binascii
import struct
from functools import cache
from pathlib import Path

import pytest

from analyzers.core import ReadError
from analyzers.formats.varian_trajectory_log import read
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import sequence, static
from qa_daemon.simulate.trajectory_log import IDENTITY
from qa_daemon.simulate.trajectory_log_bytes import encode

# Offsets of a log with 16 axes, as in real files.
VERSION, HEADER_SIZE, INTERVAL, AXES, CODES, SAMPLES = 16, 32, 36, 40, 44, 108
SCALE, SUB_BEAMS, TRUNCATED, SNAPSHOTS, MLC_MODEL, METADATA = 172, 176, 180, 184, 188, 192
RECORDS, DATA = 1024, 1584
COLLIMATOR, GANTRY, JAW_Y1, COUCH_VERTICAL, PITCH, METERSET, HOLD, CONTROL_POINT = (
    *range(3),
    6,
    10,
    12,
    13,
    14,
)
FIRST_LEAF = 17
EXPECTED, ACTUAL = 0, 1


@cache
def small_log(version: str = "3.0", mlc: str = "millennium120", beams: int = 1) -> bytes:
    """A static field of 1 MU: some ten snapshots."""
    plan = sequence(*(static(mlc, 1.0) for _ in range(beams)))
    return encode(deliver(plan, Errors(), identity=IDENTITY), version=version)


def with_crc(content: bytes) -> bytes:
    """The content with its last two bytes replaced by its checksum."""
    return content[:-2] + struct.pack("<H", binascii.crc_hqx(content[:-2], 0xFFFF))


def patched(content: bytes, offset: int, layout: str, *values: float) -> bytes:
    """The content with other numbers at `offset`, and the checksum that goes with it."""
    size = struct.calcsize("<" + layout)
    changed = content[:offset] + struct.pack("<" + layout, *values) + content[offset + size :]
    return with_crc(changed)


def with_value(content: bytes, snapshot: int, sample: int, which: int, value: float) -> bytes:
    """A 3.0 log of 137 samples and one sub-beam with another position."""
    offset = DATA + 8 * (137 * snapshot + sample) + 4 * which
    return patched(content, offset, "f", value)


def refused(content: bytes, folder: Path) -> ReadError:
    """The error that reading these bytes gives; the sentence names no file and no patient."""
    path = folder / "Mustermann_Prostata_1_20260102030405.bin"
    path.write_bytes(content)
    with pytest.raises(ReadError) as raised:
        read(path)
    assert "Mustermann" not in str(raised.value)
    assert len(str(raised.value)) > 20
    return raised.value
