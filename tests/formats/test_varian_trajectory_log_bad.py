"""Bad trajectory logs: each refused with its code and a sentence, at once and in little memory."""

from __future__ import annotations

import binascii
import os
import random
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers.core import ReadError, TruncatedError
from analyzers.formats.varian_trajectory_log import read, recognize
from analyzers.formats.varian_trajectory_log_layout import PERIOD, crc16
from analyzers.records import Delivery
from tests.formats.small_logs import (
    ACTUAL,
    AXES,
    CODES,
    COUCH_VERTICAL,
    DATA,
    EXPECTED,
    FIRST_LEAF,
    GANTRY,
    HEADER_SIZE,
    INTERVAL,
    JAW_Y1,
    METERSET,
    MLC_MODEL,
    PITCH,
    RECORDS,
    SAMPLES,
    SCALE,
    SNAPSHOTS,
    SUB_BEAMS,
    TRUNCATED,
    VERSION,
    patched,
    refused,
    small_log,
    with_crc,
    with_value,
)

LOG = small_log()
FLT_MAX = float(np.finfo(np.float32).max)


def test_the_small_log_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(LOG)
    assert read(path).warnings == ()


@pytest.mark.parametrize(
    ("content", "code", "early"),
    [
        (b"", "TLOG_EMPTY", True),
        (b"V", "TLOG_SHORT", True),
        (b"VOSTL", "TLOG_SHORT", True),
        (LOG[:1023], "TLOG_SHORT", True),
        (LOG[:1024], "TLOG_SIZE", True),
        (LOG[:-1], "TLOG_SIZE", True),
        (LOG[:-2], "TLOG_SIZE", True),
        (LOG[:-3], "TLOG_SIZE", True),
        (LOG + b"\0", "TLOG_SIZE", False),
        (LOG + LOG, "TLOG_SIZE", False),
        (b"not a log" * 1000, "TLOG_SIGNATURE", False),
        (b"VMS.XI" + bytes(2000), "TLOG_SIGNATURE", False),
        (b"VOSTL 3.0" + LOG[9:], "TLOG_SIGNATURE", False),
        (b"VOSTLC" + LOG[6:], "TLOG_COMPRESSED", False),
        (b"\x1f\x8b" + LOG[2:], "TLOG_SIGNATURE", False),
        (LOG[:-2] + bytes([LOG[-2] ^ 1, LOG[-1]]), "TLOG_CRC", False),
        (LOG[:DATA] + bytes([LOG[DATA] ^ 1]) + LOG[DATA + 1 :], "TLOG_CRC", False),
    ],
)
def test_broken_files(content: bytes, code: str, early: bool, tmp_path: Path) -> None:
    """What ends early may still be growing; anything else stays wrong."""
    error = refused(content, tmp_path)
    assert error.code == code
    assert isinstance(error, TruncatedError) == early


@pytest.mark.parametrize(
    ("offset", "layout", "values", "code"),
    [
        (VERSION, "16s", (b"three",), "TLOG_VERSION"),
        (VERSION, "16s", (b"3",), "TLOG_VERSION"),
        (VERSION, "16s", (b"3.0beta",), "TLOG_VERSION"),
        (VERSION, "16s", (b"0.9",), "TLOG_VERSION"),
        (VERSION, "16s", (b"6.0",), "TLOG_VERSION"),
        (VERSION, "16s", (b"99999.0",), "TLOG_VERSION"),
        (HEADER_SIZE, "i", (0x00040000,), "TLOG_ENDIAN"),
        *((HEADER_SIZE, "i", (n,), "TLOG_HEADERSIZE") for n in (-1, 0, 1023, 2**31 - 1)),
        *((INTERVAL, "i", (n,), "TLOG_INTERVAL") for n in (-1, 0, 1001, 2**31 - 1)),
        *((AXES, "i", (n,), "TLOG_AXES") for n in (-1, 0, 121, 2**31 - 1)),
        (CODES, "ii", (1, 1), "TLOG_AXES"),
        (CODES + 4 * METERSET, "i", (77,), "TLOG_AXES"),
        *((SAMPLES, "i", (n,), "TLOG_AXES") for n in (-1, 0, 2, 2**31 - 1)),
        *((SAMPLES + 60, "i", (n,), "TLOG_AXES") for n in (-1, 0, 513, 2**31 - 1)),
        *((SCALE, "i", (n,), "TLOG_SCALE") for n in (-1, 0, 4, 2**31 - 1)),
        *((SUB_BEAMS, "i", (n,), "TLOG_COUNTS") for n in (-1, 1001, 2**31 - 1)),
        *((SNAPSHOTS, "i", (n,), "TLOG_COUNTS") for n in (-1, 0, 2_000_001, 2**31 - 1)),
        (SUB_BEAMS, "i", (0,), "TLOG_SIZE"),
        (SUB_BEAMS, "i", (1000,), "TLOG_SIZE"),
        (SNAPSHOTS, "i", (1,), "TLOG_SIZE"),
        (SNAPSHOTS, "i", (2_000_000,), "TLOG_SIZE"),
        *((RECORDS + 4, "f", (mu,), "TLOG_RANGE") for mu in (-1.0, 2e6, np.nan, np.inf)),
    ],
)
def test_impossible_header_fields(
    offset: int, layout: str, values: tuple[float, ...], code: str, tmp_path: Path
) -> None:
    assert refused(patched(LOG, offset, layout, *values), tmp_path).code == code


def test_version_4_leaves_room_for_its_metadata(tmp_path: Path) -> None:
    """26 axes at most: 64 + 8 * 26 + 745 bytes fit into the header, one axis more does not."""
    content = patched(small_log("4.0"), AXES, "i", 27)
    assert refused(content, tmp_path).code == "TLOG_AXES"


def test_too_many_samples_in_a_snapshot(tmp_path: Path) -> None:
    """Nine unknown axes of 512 samples are more than 4096."""
    content = patched(LOG, CODES, "9i", *range(1000, 1009))
    content = patched(content, SAMPLES, "9i", *[512] * 9)
    assert refused(content, tmp_path).code == "TLOG_AXES"


@pytest.mark.parametrize(
    ("sample", "value", "code"),
    [
        *((METERSET, v, "TLOG_NAN") for v in (np.nan, np.inf, -np.inf, FLT_MAX, 1e7)),
        *((GANTRY, v, "TLOG_NAN") for v in (np.nan, np.inf, FLT_MAX, -1e7)),
        *((FIRST_LEAF, v, "TLOG_NAN") for v in (np.nan, -np.inf, FLT_MAX)),
        *((JAW_Y1, v, "TLOG_NAN") for v in (np.nan, FLT_MAX)),
        (COUCH_VERTICAL, np.nan, "TLOG_NAN"),
        (GANTRY, -1.1, "TLOG_RANGE"),
        (GANTRY, 361.1, "TLOG_RANGE"),
        (JAW_Y1, 50.1, "TLOG_RANGE"),
        (FIRST_LEAF, -30.1, "TLOG_RANGE"),
    ],
)
@pytest.mark.parametrize("which", [EXPECTED, ACTUAL])
def test_impossible_positions(
    sample: int, value: float, code: str, which: int, tmp_path: Path
) -> None:
    error = refused(with_value(LOG, 5, sample, which, value), tmp_path)
    assert error.code == code
    assert "snapshot 6" in str(error)
    assert ("expected value", "actual value")[which] in str(error)


def test_a_meterset_that_runs_backwards(tmp_path: Path) -> None:
    error = refused(with_value(LOG, 3, METERSET, ACTUAL, 5.0), tmp_path)
    assert error.code == "TLOG_RANGE"
    assert "falls by" in str(error)


def test_a_negative_meterset(tmp_path: Path) -> None:
    assert refused(with_value(LOG, 0, METERSET, ACTUAL, -0.6), tmp_path).code == "TLOG_RANGE"


def test_the_expected_meterset_may_fall(tmp_path: Path) -> None:
    """It does at the end of a real interrupted delivery."""
    path = tmp_path / "x.bin"
    path.write_bytes(with_value(LOG, 3, METERSET, EXPECTED, 5.0))
    assert float(read(path).meterset_mu.expected[3]) == 5.0


def test_every_cut_is_an_early_end(tmp_path: Path) -> None:
    """At every byte of the header, every record border and many places after."""
    cuts = [*range(1025), 1039, 1040, 1583, *range(DATA, len(LOG) - 2, 101)]
    for cut in cuts:
        error = refused(LOG[:cut], tmp_path)
        assert isinstance(error, TruncatedError), cut
        assert error.code == (
            "TLOG_EMPTY" if cut == 0 else "TLOG_SHORT" if cut < 1024 else "TLOG_SIZE"
        )


@pytest.mark.parametrize("version", ["1.5", "2.1", "3.0"])
def test_below_version_4_a_log_without_its_checksum_is_cut(version: str, tmp_path: Path) -> None:
    """Every real log of versions 2.1 and 3.0 carries it."""
    log = small_log(version)
    error = refused(log[:-2], tmp_path)
    assert (type(error), error.code) == (TruncatedError, "TLOG_SIZE")
    assert f"{len(log) - 2} bytes, {len(log)} announced" in str(error)


@pytest.mark.parametrize("version", ["4.0", "5.0"])
def test_from_version_4_on_a_log_without_its_checksum_is_read_with_a_warning(
    version: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(small_log(version)[:-2])
    (warning,) = read(path).warnings
    assert "CRC absent" in warning


@pytest.mark.parametrize(("first", "second"), [(-1, 1), (0, -1), (2, 1), (5, 0)])
def test_control_points_of_sub_beams_that_fall_or_are_negative(
    first: int, second: int, tmp_path: Path
) -> None:
    content = patched(small_log(beams=2), RECORDS, "i", first)
    error = refused(patched(content, RECORDS + 560, "i", second), tmp_path)
    assert error.code == "TLOG_RANGE"
    assert "control point" in str(error)


def test_a_log_the_machine_cut_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(patched(LOG, TRUNCATED, "i", 1))
    delivery = read(path)
    assert delivery.truncated
    assert "cut this log" in delivery.warnings[0]


def test_an_axis_that_is_not_available_is_missing(tmp_path: Path) -> None:
    """Real machines without a six-axis couch write the largest float into pitch and roll."""
    path = tmp_path / "x.bin"
    path.write_bytes(LOG)
    assert read(path).couch_pitch_deg is None


COUCH = {
    COUCH_VERTICAL: "couch_vertical_mm",
    COUCH_VERTICAL + 1: "couch_longitudinal_mm",
    COUCH_VERTICAL + 2: "couch_lateral_mm",
    COUCH_VERTICAL + 3: "couch_rotation_deg",
}


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("which", [EXPECTED, ACTUAL])
@pytest.mark.parametrize("sample", COUCH)
@pytest.mark.filterwarnings("error")
def test_a_couch_axis_that_drops_out_is_unknown_there_and_nowhere_else(
    sample: int, which: int, scale: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    sound = patched(LOG, SCALE, "i", scale)
    path.write_bytes(sound)
    wanted = getattr(read(path), COUCH[sample])
    path.write_bytes(with_value(sound, 5, sample, which, FLT_MAX))
    delivery = read(path)
    found = getattr(delivery, COUCH[sample])
    gone = np.arange(delivery.samples) == 5
    kind, other = (("expected", "actual"), ("actual", "expected"))[which]
    np.testing.assert_array_equal(np.isnan(getattr(found, kind)), gone)
    np.testing.assert_array_equal(getattr(found, kind)[~gone], getattr(wanted, kind)[~gone])
    np.testing.assert_array_equal(getattr(found, other), getattr(wanted, other))
    assert getattr(found, kind).dtype == np.float32
    (warning,) = delivery.warnings
    assert f"not available in 1 of {delivery.samples} snapshots, unknown there" in warning


@pytest.mark.filterwarnings("error")
def test_a_couch_tilt_that_is_available_once_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(with_value(LOG, 5, PITCH, ACTUAL, 0.5))
    pitch = read(path).couch_pitch_deg
    assert pitch is not None
    assert pitch.actual[5] == 0.5
    assert np.count_nonzero(np.isfinite(pitch.actual)) == 1
    assert not np.isfinite(pitch.expected).any()


@pytest.mark.parametrize(
    ("value", "code"),
    [(np.nan, "TLOG_NAN"), (np.inf, "TLOG_NAN"), (-FLT_MAX, "TLOG_NAN"), (400.0, "TLOG_RANGE")],
)
@pytest.mark.parametrize("which", [EXPECTED, ACTUAL])
def test_a_couch_axis_that_drops_out_is_checked_elsewhere(
    value: float, code: str, which: int, tmp_path: Path
) -> None:
    """The error comes after the drop-out, and is the one that is told."""
    content = with_value(LOG, 5, COUCH_VERTICAL + 3, ACTUAL, FLT_MAX)
    error = refused(with_value(content, 7, COUCH_VERTICAL + 3, which, value), tmp_path)
    assert error.code == code
    assert "snapshot 8" in str(error)


@pytest.mark.parametrize("code", [0, 1, 6, 99, -1])
def test_a_leaf_model_that_does_not_fit_is_not_guessed(code: int, tmp_path: Path) -> None:
    """122 samples are 60 pairs: Millennium 120 or HD120, which only the code tells apart."""
    path = tmp_path / "x.bin"
    path.write_bytes(patched(LOG, MLC_MODEL, "i", code))
    delivery = read(path)
    assert (delivery.mlc, delivery.mlc_model) == ((), None)
    assert "fluence unsupported" in delivery.warnings[0]
    leaves = delivery.other_axes[50]
    assert leaves.actual.shape == leaves.expected.shape == (delivery.samples, 122)
    raw = np.frombuffer(LOG, "<f4", 2 * 122, DATA + 8 * 15).reshape(122, 2)
    np.testing.assert_array_equal(leaves.expected[0], raw[:, 0])
    np.testing.assert_array_equal(leaves.actual[0], raw[:, 1])


@pytest.mark.parametrize("code", [2, 99])
def test_leaves_that_are_never_available_are_absent(code: int, tmp_path: Path) -> None:
    """Whether the model is known or not: nothing says where they are."""
    content = bytearray(patched(LOG, MLC_MODEL, "i", code))
    gone = struct.pack("<f", FLT_MAX) * (2 * 122)
    for start in range(DATA + 8 * 15, len(content) - 2, 8 * 137):
        content[start : start + len(gone)] = gone
    path = tmp_path / "x.bin"
    path.write_bytes(with_crc(bytes(content)))
    delivery = read(path)
    assert (delivery.mlc, delivery.mlc_model) == ((), None)
    assert 50 not in delivery.other_axes
    assert delivery.warnings == ("fluence unsupported: the log holds no leaf positions",)


def test_unknown_axes_are_kept_in_the_makers_unit(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(patched(LOG, CODES + 4 * PITCH, "i", 63))
    tracking = read(path).other_axes[63]
    assert tracking.actual.shape == tracking.expected.shape == (read(path).samples,)
    assert tracking.actual[0] == np.float32(FLT_MAX)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.bin"
    os.mkfifo(pipe)
    for path, code in (
        (pipe, "NOT_A_FILE"),
        (tmp_path, "UNREADABLE"),
        (tmp_path / "no", "UNREADABLE"),
    ):
        with pytest.raises(ReadError) as raised:
            read(path)
        assert raised.value.code == code


def test_only_whole_signatures_are_recognized() -> None:
    assert recognize(LOG[:4096])
    assert recognize(b"VOSTLC")
    assert not recognize(b"VOST")
    assert not recognize(b"\x1f\x8b\x08")


def test_an_absurd_count_costs_neither_time_nor_memory(tmp_path: Path) -> None:
    """2 000 000 snapshots of 137 samples would be 2.2 GB."""
    path = tmp_path / "x.bin"
    path.write_bytes(patched(LOG, SNAPSHOTS, "i", 2_000_000))
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ReadError):
        read(path)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert seconds < 0.5


@pytest.mark.parametrize(("version", "beams"), [("2.1", 1), ("3.0", 2), ("5.0", 1)])
def test_changed_bytes_are_refused_or_harmless(version: str, beams: int, tmp_path: Path) -> None:
    """1000 random changes each, checksum put right: a sound delivery or a refusal."""
    rng = random.Random(20260105)
    sound = small_log(version, beams=beams)
    path = tmp_path / "x.bin"
    read_well = 0
    for _ in range(1000):
        content = bytearray(sound)
        for _ in range(rng.choice((1, 1, 2, 8))):
            # The header and the records are small beside the snapshots: aim at them half the time.
            end = rng.choice((1200, len(content)))
            content[rng.randrange(end)] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        path.write_bytes(with_crc(bytes(content)))
        try:
            delivery = read(path)
        except ReadError:
            continue
        read_well += 1
        assert_holds_together(delivery)
    assert 0 < read_well < 1000


def assert_holds_together(delivery: Delivery) -> None:
    samples = delivery.samples
    axes = [delivery.meterset_mu, delivery.gantry_deg, delivery.control_point]
    axes += [bank for layer in delivery.mlc for bank in (layer.bank_a_mm, layer.bank_b_mm)]
    for axis in axes:
        if axis is not None:
            assert len(axis.expected) == len(axis.actual) == samples
            assert np.isfinite(axis.actual).all()
    for sub_beam in delivery.sub_beams:
        assert 0 <= sub_beam.start <= sub_beam.stop <= samples
        assert sub_beam.delivered == (sub_beam.start < sub_beam.stop)


@pytest.mark.parametrize("change", range(6))
def test_a_single_flipped_bit_is_always_noticed(change: int, tmp_path: Path) -> None:
    rng = random.Random(change)
    content = bytearray(LOG)
    content[rng.randrange(DATA, len(LOG))] ^= 1 << rng.randrange(8)
    assert refused(bytes(content), tmp_path).code == "TLOG_CRC"


@given(st.integers(0, 5 * PERIOD), st.integers(0, 2**32))
def test_fast_checksum_is_the_slow_one(length: int, seed: int) -> None:
    content = np.random.default_rng(seed).bytes(length)
    assert crc16(content) == binascii.crc_hqx(content, 0xFFFF)


@pytest.mark.parametrize(
    "length", [0, 1, 2, *(k * PERIOD + d for k in (1, 2, 3) for d in (-1, 0, 1))]
)
def test_fast_checksum_at_its_borders(length: int) -> None:
    content = np.random.default_rng(length).bytes(length)
    assert crc16(content) == binascii.crc_hqx(content, 0xFFFF)


def test_checksum_of_the_published_check_text() -> None:
    # CRC-16/CCITT-FALSE of "123456789", as every catalogue of checksums gives it.
    assert crc16(b"123456789") == 0x29B1


def test_records_are_80_bytes_before_version_3() -> None:
    old, new = small_log("2.1"), small_log("3.0")
    snapshots = struct.unpack_from("<i", new, SNAPSHOTS)[0]
    # Couch pitch and roll (two samples of two floats) come with version 3 too.
    assert len(new) - len(old) == 560 - 80 + snapshots * 2 * 2 * 4
