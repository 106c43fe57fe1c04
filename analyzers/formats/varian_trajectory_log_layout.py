"""The bytes of a Varian trajectory log: header, sub-beam records, size, checksum.

All numbers are little-endian.  A file is a header of 1024 bytes, the sub-beam records, the
snapshots (for each axis in header order, for each sample, expected then actual as 32-bit floats)
and a checksum of two bytes: CRC-16, polynomial 0x1021, start value 0xFFFF, over all bytes before.
Checked on real machine files of versions 2.1 and 3.0: all of them (6 and 40) carry the checksum,
so that below version 4 a file without it is cut.  Versions 4 and 5 follow public readers, and there
its absence is only told.  Nothing is allocated by a count before the count fits the file's size.
"""

from __future__ import annotations

import binascii
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from analyzers.core import ReadError, TruncatedError

SIGNATURE = b"VOSTL"
HEADER_BYTES = 1024
HEADER_START = struct.Struct("<16s16siii")  # signature, version, header size, interval, axes
HEADER_END = struct.Struct("<iiiii")  # scale, sub-beams, truncated, snapshots, MLC model
SUB_BEAM = struct.Struct("<iffi")  # control point, MU, radiation time, sequence number
METADATA_BYTES = 745
CRC_BYTES = 2
LARGEST_FILE = 512 * 1024 * 1024
METERSET = 40
SEVERAL_SAMPLES = range(50, 65)  # MLC and tracking axes; every other known axis has one sample
COPY_AGAIN = "copy the file from the machine again"


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 1024 bytes say; every count is checked."""

    version: tuple[int, int]
    interval_ms: int
    samples_per_axis: dict[int, int]
    scale: int
    sub_beams: int
    truncated: bool
    snapshots: int
    mlc_model: int
    metadata: bytes

    @property
    def name_bytes(self) -> int:
        """Length of a sub-beam's name."""
        return 512 if self.version >= (3, 0) else 32

    @property
    def record_bytes(self) -> int:
        """Length of a sub-beam record: numbers, name, 32 reserved bytes."""
        return SUB_BEAM.size + self.name_bytes + 32

    @property
    def samples(self) -> int:
        """Samples of all axes in one snapshot."""
        return sum(self.samples_per_axis.values())

    @property
    def data_offset(self) -> int:
        """Where the snapshots begin."""
        return HEADER_BYTES + self.sub_beams * self.record_bytes

    @property
    def data_end(self) -> int:
        """Where the snapshots end and the checksum begins."""
        return self.data_offset + 8 * self.samples * self.snapshots

    @property
    def columns(self) -> dict[int, slice]:
        """Axis code -> samples of that axis within a snapshot."""
        start, columns = 0, {}
        for code, count in self.samples_per_axis.items():
            columns[code] = slice(start, start + count)
            start += count
        return columns


@dataclass(frozen=True, slots=True)
class SubBeamRecord:
    """One sub-beam as planned; its radiation time is a limit, not what it took, and is left out."""

    control_point: int
    planned_mu: float
    sequence: int
    name: bytes


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log's content in the maker's own axes and units.

    `snapshots` has the shape `(snapshots, samples, 2)`: expected, actual.
    """

    header: Header
    sub_beams: tuple[SubBeamRecord, ...]
    snapshots: NDArray[np.float32]
    has_crc: bool


def read_raw(file: BinaryIO, size: int) -> RawLog:
    """Read and check a whole log of `size` bytes; raises `ReadError` with a TLOG code."""
    header = read_header(file.read(HEADER_BYTES), size)
    has_crc = _check_size(header, size)
    file.seek(0)
    content = file.read(header.data_end + (CRC_BYTES if has_crc else 0))
    if len(content) < header.data_end + (CRC_BYTES if has_crc else 0):
        raise TruncatedError(
            "TLOG_SIZE", f"the file became shorter while it was read ({len(content)} bytes left)"
        )
    if has_crc:
        _check_crc(content)
    snapshots = np.frombuffer(
        content, "<f4", 2 * header.samples * header.snapshots, header.data_offset
    ).reshape(header.snapshots, header.samples, 2)
    return RawLog(header, _sub_beams(content, header), snapshots, has_crc)


def read_header(head: bytes, size: int) -> Header:
    """Read and check the header of a file of `size` bytes."""
    _check_signature(head, size)
    _, version_text, header_bytes, interval_ms, axes = HEADER_START.unpack_from(head)
    version = _version(version_text)
    if header_bytes == 0x00040000:
        raise ReadError(
            "TLOG_ENDIAN",
            "the header size at offset 32 has its bytes swapped; "
            "a tool has rewritten this file: take the machine's original",
        )
    if header_bytes != HEADER_BYTES:
        raise ReadError(
            "TLOG_HEADERSIZE",
            f"header size {header_bytes} at offset 32, {HEADER_BYTES} expected; {COPY_AGAIN}",
        )
    if not 1 <= interval_ms <= 1000:
        raise ReadError(
            "TLOG_INTERVAL",
            f"sampling interval {interval_ms} ms at offset 36, 1 to 1000 expected; {COPY_AGAIN}",
        )
    samples_per_axis = _samples_per_axis(head, version, axes)
    scale, sub_beams, truncated, snapshots, mlc_model = HEADER_END.unpack_from(head, 44 + 8 * axes)
    if scale not in (1, 2, 3):
        raise ReadError(
            "TLOG_SCALE",
            f"axis scale {scale} at offset {44 + 8 * axes}, 1, 2 or 3 known; "
            "positions cannot be converted: report this machine's software version to us",
        )
    _check_counts(sub_beams, snapshots, offset=48 + 8 * axes)
    end = 64 + 8 * axes
    metadata = head[end : end + METADATA_BYTES] if version >= (4, 0) else b""
    return Header(
        version=version,
        interval_ms=interval_ms,
        samples_per_axis=samples_per_axis,
        scale=scale,
        sub_beams=sub_beams,
        truncated=truncated != 0,
        snapshots=snapshots,
        mlc_model=mlc_model,
        metadata=metadata,
    )


def _check_signature(head: bytes, size: int) -> None:
    if not head:
        raise TruncatedError("TLOG_EMPTY", f"the file is empty; {COPY_AGAIN}")
    if head.startswith(b"VOSTLC"):
        raise ReadError(
            "TLOG_COMPRESSED",
            "a third-party tool has compressed this log; give the machine's original file",
        )
    if not head.startswith(SIGNATURE[: len(head)]):
        raise ReadError(
            "TLOG_SIGNATURE", "the file does not begin with VOSTL: it is not a trajectory log"
        )
    if len(head) < HEADER_BYTES:
        raise TruncatedError(
            "TLOG_SHORT",
            f"{size} bytes, the header alone has {HEADER_BYTES}; "
            f"wait for the copy to end or {COPY_AGAIN}",
        )
    if head[len(SIGNATURE) : 16].strip(b"\0"):
        raise ReadError(
            "TLOG_SIGNATURE", f"bytes other than zero after VOSTL at offset 5; {COPY_AGAIN}"
        )


def _version(text: bytes) -> tuple[int, int]:
    found = re.fullmatch(rb"(\d{1,4})\.(\d{1,4})[\0 ]*", text)
    if found is None:
        raise ReadError("TLOG_VERSION", f"no version number at offset 16; {COPY_AGAIN}")
    major, minor = int(found[1]), int(found[2])
    if not 1 <= major <= 5:
        raise ReadError(
            "TLOG_VERSION",
            f"version {major}.{minor}, 1.5 to 5.x known; ask us to add this version",
        )
    return major, minor


def _samples_per_axis(head: bytes, version: tuple[int, int], axes: int) -> dict[int, int]:
    """Axis code -> samples, in the order of the file."""
    most = 26 if version >= (4, 0) else 120
    if not 1 <= axes <= most:
        raise ReadError(
            "TLOG_AXES", f"{axes} axes at offset 40, 1 to {most} expected; {COPY_AGAIN}"
        )
    codes = struct.unpack_from(f"<{axes}i", head, 44)
    counts = struct.unpack_from(f"<{axes}i", head, 44 + 4 * axes)
    samples_per_axis = dict(zip(codes, counts, strict=True))
    if len(samples_per_axis) < axes:
        raise ReadError("TLOG_AXES", f"an axis code occurs twice at offset 44; {COPY_AGAIN}")
    for k, (code, count) in enumerate(samples_per_axis.items()):
        most = 512 if code in SEVERAL_SAMPLES or code not in range(43) else 1
        if not 1 <= count <= most:
            raise ReadError(
                "TLOG_AXES",
                f"axis {code}: {count} samples at offset {44 + 4 * (axes + k)}, "
                f"1 to {most} expected; {COPY_AGAIN}",
            )
    if sum(counts) > 4096:
        raise ReadError(
            "TLOG_AXES", f"{sum(counts)} samples in a snapshot, 4096 at most; {COPY_AGAIN}"
        )
    if METERSET not in samples_per_axis:
        raise ReadError(
            "TLOG_AXES", "no meterset axis (code 40) is announced at offset 44: nothing to judge"
        )
    return samples_per_axis


def _check_counts(sub_beams: int, snapshots: int, *, offset: int) -> None:
    if not 0 <= sub_beams <= 1000:
        raise ReadError(
            "TLOG_COUNTS",
            f"{sub_beams} sub-beams at offset {offset}, 0 to 1000 expected; {COPY_AGAIN}",
        )
    if not 1 <= snapshots <= 2_000_000:
        raise ReadError(
            "TLOG_COUNTS",
            f"{snapshots} snapshots at offset {offset + 8}, 1 to 2000000 expected; {COPY_AGAIN}",
        )


def _check_size(header: Header, size: int) -> bool:
    """True when the file has exactly its announced size, False when only the checksum is absent.

    The latter is possible from version 4 on; every real log below it carries the checksum.
    """
    announced = header.data_end + CRC_BYTES
    if announced > LARGEST_FILE:
        raise ReadError(
            "TLOG_SIZE", f"{announced} bytes announced, {LARGEST_FILE} at most; {COPY_AGAIN}"
        )
    if size == announced:
        return True
    if size == announced - CRC_BYTES and header.version >= (4, 0):
        return False
    found = (
        f"{size} bytes, {announced} announced ({header.sub_beams} sub-beams, "
        f"{header.snapshots} snapshots of {header.samples} samples)"
    )
    if size < announced:
        raise TruncatedError("TLOG_SIZE", f"{found}; wait for the copy to end or {COPY_AGAIN}")
    raise ReadError("TLOG_SIZE", f"{found}; the rest is of no known kind: {COPY_AGAIN}")


def _sub_beams(content: bytes, header: Header) -> tuple[SubBeamRecord, ...]:
    records: list[SubBeamRecord] = []
    for k in range(header.sub_beams):
        offset = HEADER_BYTES + k * header.record_bytes
        control_point, planned_mu, _, sequence = SUB_BEAM.unpack_from(content, offset)
        if not 0.0 <= planned_mu <= 1e6:
            raise ReadError(
                "TLOG_RANGE",
                f"sub-beam {k + 1}: planned meterset {planned_mu:g} MU at offset {offset + 4}; "
                f"{COPY_AGAIN}",
            )
        before = records[-1].control_point if records else 0
        if control_point < before:
            raise ReadError(
                "TLOG_RANGE",
                f"sub-beam {k + 1}: it begins at control point {control_point} (offset {offset}), "
                f"{before} or more expected: control points are not negative and do not fall from "
                f"one sub-beam to the next; {COPY_AGAIN}",
            )
        name = content[offset + SUB_BEAM.size : offset + SUB_BEAM.size + header.name_bytes]
        # The number was a 32-bit float: more digits than seven are not the plan's.
        records.append(SubBeamRecord(control_point, round(planned_mu, 4), sequence, name))
    return tuple(records)


def _check_crc(content: bytes) -> None:
    stored = int.from_bytes(content[-CRC_BYTES:], "little")
    found = crc16(memoryview(content)[:-CRC_BYTES])
    if stored != found:
        raise ReadError(
            "TLOG_CRC",
            f"checksum {stored:#06x} at offset {len(content) - CRC_BYTES}, but the content gives "
            f"{found:#06x}: bytes have changed since the machine wrote them; {COPY_AGAIN}",
        )


PERIOD = 32767


def crc16(content: bytes | memoryview) -> int:
    """CRC-16/CCITT-FALSE of `content`, at the speed of memory.

    The polynomial's period is 32767 bits: x**32767 = 1, so x**(8 * 32767) = 1 and bytes that are
    32767 apart weigh the same in the remainder.  Such bytes are added (exclusive or) first, and the
    byte-wise algorithm runs over the 32767 sums.  The start value 0xFFFF is the same as inverting
    the first two bytes; zeros in front change nothing.
    """
    values = np.frombuffer(content, np.uint8)
    if len(values) < 2 * PERIOD:
        return binascii.crc_hqx(content, 0xFFFF)
    rest = len(values) % PERIOD
    sums = np.bitwise_xor.reduce(values[rest:].reshape(-1, PERIOD), axis=0)
    first = PERIOD - rest
    sums[first:] ^= values[:rest]
    sums[[first % PERIOD, (first + 1) % PERIOD]] ^= 0xFF
    return binascii.crc_hqx(sums.data, 0)
