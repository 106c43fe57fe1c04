"""The largest plans that are read: in time, and right to the last control point."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np

from analyzers.formats.dicom_rtplan import read

BEAMS, POINTS = 3, 10_000


def element(tag: int, value: bytes) -> bytes:
    """An implicit little-endian element."""
    value += b" " * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def sequence(tag: int, items: list[bytes]) -> bytes:
    return element(tag, b"".join(element(0xFFFEE000, item) for item in items))


def control_point(k: int) -> bytes:
    """The first says all, the others a gantry angle and a weight."""
    said = element(0x300A0112, b"%d" % k)
    if k == 0:
        said += element(0x300A0114, b"6") + element(0x300A0115, b"600")
        jaws = element(0x300A00B8, b"ASYMX") + element(0x300A011C, b"-50\\50")
        said += sequence(0x300A011A, [jaws]) + element(0x300A011E, b"0")
        said += element(0x300A011F, b"CW")
        for angle, direction in ((0x300A0120, 0x300A0121), (0x300A0122, 0x300A0123)):
            said += element(angle, b"0") + element(direction, b"NONE")
    else:
        said += element(0x300A011E, b"%.3f" % (k * 0.03))
    return said + element(0x300A0134, b"%.9f" % (k / (POINTS - 1)))


def beam(number: int) -> bytes:
    jaws = element(0x300A00B8, b"ASYMX") + element(0x300A00BC, b"1")
    return b"".join(
        [
            element(0x300A00B2, b"SIM"),
            element(0x300A00B3, b"MU"),
            element(0x300A00B4, b"1000"),
            sequence(0x300A00B6, [jaws]),
            element(0x300A00C0, b"%d" % number),
            element(0x300A00C4, b"DYNAMIC"),
            element(0x300A00C6, b"PHOTON"),
            element(0x300A010E, b"1"),
            element(0x300A0110, b"%d" % POINTS),
            sequence(0x300A0111, [control_point(k) for k in range(POINTS)]),
        ]
    )


def test_the_most_control_points_a_beam_may_have(tmp_path: Path) -> None:
    """30 000 in three beams; a second on an idle machine."""
    references = [
        element(0x300A0086, b"100") + element(0x300C0006, b"%d" % n) for n in range(1, BEAMS + 1)
    ]
    group = element(0x300A0071, b"1") + sequence(0x300C0004, references)
    content = b"".join(
        [
            element(0x00080016, b"1.2.840.10008.5.1.4.1.1.481.5\0"),
            element(0x00080018, b"1.2.3\0"),
            sequence(0x300A0070, [group]),
            sequence(0x300A00B0, [beam(n) for n in range(1, BEAMS + 1)]),
        ]
    )
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    began = time.monotonic()
    plan = read(path)
    assert time.monotonic() - began < 10.0
    for found in plan.beams:
        points = found.control_points
        np.testing.assert_allclose(points.gantry_deg, np.arange(POINTS) * 0.03, atol=5e-4)
        np.testing.assert_allclose(points.meterset_share, np.arange(POINTS) / (POINTS - 1))
        assert points.jaws_x_mm is not None
        assert (points.jaws_x_mm == [-50.0, 50.0]).all()
        assert (found.technique, found.meterset_mu, found.not_judged) == ("arc", 100.0, None)
