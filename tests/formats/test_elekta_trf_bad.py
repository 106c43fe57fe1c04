"""Bad TRFs: each refused with its code and a sentence, at once and in little memory."""

from __future__ import annotations

import math
import os
import random
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from analyzers.core import HEAD_BYTES, ReadError, TruncatedError
from analyzers.formats.elekta_trf import read, recognize
from analyzers.records import Delivery
from tests.formats.small_trfs import (
    COLLIMATOR,
    DATE,
    DOSE_RATE,
    FIELD,
    FIRST_LEAF,
    GANTRY,
    GANTRY_ERROR,
    ITEMS,
    LIST,
    MACHINE,
    NUMBERS,
    RAW_DOSE,
    STATE,
    STEP_DOSE,
    VERSION,
    X1_DIAPHRAGM,
    ZONE,
    items_of,
    patched,
    read_back,
    refused,
    rows_of,
    samples_of,
    small_trf,
    stamp,
    with_column,
    with_stamp,
    with_value,
    without_item,
)

LOG = small_trf()
BEGIN, ROW, _ = rows_of(LOG)
ROWS = samples_of(LOG)
LEAVES = [item for item in items_of(LOG) if 2380 <= item[0] < 2540 and item[1] in (129, 220)]
DIAPHRAGMS = [item for item in items_of(LOG) if item[0] in (2060, 2061)]


def test_the_small_log_is_sound(tmp_path: Path) -> None:
    delivery = read_back(LOG, tmp_path)
    assert (delivery.warnings, delivery.truncated, delivery.not_judged) == ((), False, None)
    assert delivery.samples == ROWS


@pytest.mark.parametrize(
    ("content", "code", "early"),
    [
        (b"", "TRF_HEADER", True),
        (LOG[:1], "TRF_HEADER", True),
        (LOG[:20], "TRF_HEADER", True),
        (LOG[: BEGIN - 1], "TRF_HEADER", True),
        (LOG[:BEGIN], "TRF_ROWS", True),
        (LOG[: BEGIN + ROW - 1], "TRF_ROWS", True),
        (LOG[:-1], "TRF_ROWS", True),
        (LOG + b"\0", "TRF_ROWS", True),
        (LOG[:-ROW], "TRF_END", True),
        (LOG[: BEGIN + ROW], "TRF_END", True),
        (b"not a log" * 1000, "TRF_HEADER", False),
        (b"\x13" + b"x" * 2000, "TRF_HEADER", False),
        (b"VOSTL" + LOG, "TRF_HEADER", False),
    ],
)
def test_broken_files(content: bytes, code: str, early: bool, tmp_path: Path) -> None:
    """What ends early may still be growing; anything else stays wrong."""
    error = refused(content, tmp_path)
    assert (error.code, isinstance(error, TruncatedError)) == (code, early)


def test_the_rest_of_a_row_is_told(tmp_path: Path) -> None:
    error = refused(LOG[:-100], tmp_path)
    assert f"{ROW - 100} bytes left over after {ROWS - 1} rows of {ROW} bytes" in str(error)


def test_every_cut_is_an_early_end(tmp_path: Path) -> None:
    """At every byte of the header, at every border of a row, and inside rows."""
    cuts = [*range(BEGIN + 1), *range(BEGIN, len(LOG), ROW), *range(BEGIN, len(LOG), 997)]
    for cut in cuts:
        error = refused(LOG[:cut], tmp_path)
        assert isinstance(error, TruncatedError), cut


@pytest.mark.parametrize(
    ("offset", "layout", "values", "code"),
    [
        (DATE + 1, "8s", (b"26.01.04",), "TRF_HEADER"),
        (DATE + 1, "8s", (b"26/13/04",), "TRF_HEADER"),
        (DATE + 1, "8s", (b"26/02/30",), "TRF_HEADER"),
        (DATE + 10, "8s", (b"25:00:00",), "TRF_HEADER"),
        (DATE + 19, "1s", (b"X",), "TRF_HEADER"),
        (DATE, "B", (18,), "TRF_HEADER"),
        (ZONE + 1, "6s", (b"+1000 ",), "TRF_HEADER"),
        (ZONE + 1, "6s", (b"+15:00",), "TRF_HEADER"),
        (ZONE + 1, "6s", (b"+10:61",), "TRF_HEADER"),
        (ZONE, "B", (5,), "TRF_HEADER"),
        (FIELD, "BB", (0x81, 0x02), "TRF_HEADER"),
        (FIELD, "BBB", (0x80, 0x80, 0x01), "TRF_HEADER"),
        (FIELD, "BB", (0xFF, 0xFF), "TRF_HEADER"),
        (FIELD + 3, "B", (7,), "TRF_HEADER"),
        (MACHINE + 1, "B", (0,), "TRF_HEADER"),
        *((NUMBERS, "d", (mu,), "TRF_MU") for mu in (-1.0, math.nan, math.inf, -math.inf, 1e6 + 1)),
        *((VERSION, "i", (n,), "TRF_VERSION") for n in (-1, 0, 5, 2**31 - 1)),
        *((ITEMS, "i", (n,), "TRF_ITEMS") for n in (-1, 0, 1, 7, 2001, 2**31 - 1, -(2**31))),
        (LIST, "HH", (2543, 111), "TRF_ITEMS"),
    ],
)
def test_impossible_header_fields(
    offset: int, layout: str, values: tuple[object, ...], code: str, tmp_path: Path
) -> None:
    assert refused(patched(LOG, offset, layout, *values), tmp_path).code == code


def test_a_text_of_256_bytes_is_read_and_its_length_takes_two(tmp_path: Path) -> None:
    name = "1-1/" + "N" * 252
    content = LOG[:FIELD] + bytes([0x80, 0x02]) + name.encode() + LOG[MACHINE:]
    assert read_back(content, tmp_path).identity.beam_name == "N" * 252


def test_other_letters_and_dashes_are_read(tmp_path: Path) -> None:
    """One machine writes dashes into the date; names may hold letters of any country."""
    dashed = patched(LOG, DATE + 1, "8s", b"26-01-04")
    assert read_back(dashed, tmp_path).performed_at == read_back(LOG, tmp_path).performed_at
    assert recognize(dashed[:HEAD_BYTES])
    for raw in ("Bl\u00e4schen/ab".encode(), "Blasch\u00e4n/ab".encode("latin-1") + b"c"):
        content = LOG[:FIELD] + bytes([len(raw)]) + raw + LOG[MACHINE:]
        assert "\u00e4" in (read_back(content, tmp_path).identity.beam_label or "")


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ([(2238, 111)], "step dose"),
        ([(2543, 111)], "linac state"),
        ([(2224, 129)], "gantry"),
        ([(2224, 220)], "gantry"),
        ([(2225, 129)], "collimator"),
        ([(2060, 129)], "3 of 4 diaphragm items"),
        (DIAPHRAGMS, "0 of 4 diaphragm items"),
        (LEAVES, "0 whole pairs"),
        ([LEAVES[7]], "0 whole pairs"),
        ([LEAVES[-1]], "0 whole pairs"),
        ([(2226, 129), (2226, 220), (2228, 129), (2228, 220)], "an MR-linac"),
    ],
)
def test_item_lists_that_lack_what_is_judged(
    gone: list[tuple[int, int]], said: str, tmp_path: Path
) -> None:
    error = refused(without_item(LOG, *gone), tmp_path)
    assert error.code == "TRF_ITEMS"
    assert said in str(error)


def test_a_beam_modulator_is_told_and_not_read_as_an_mlci(tmp_path: Path) -> None:
    error = refused(without_item(small_trf(mlc="mlci"), *DIAPHRAGMS), tmp_path)
    assert (error.code, "a Beam Modulator" in str(error)) == ("TRF_ITEMS", True)


@pytest.mark.parametrize("version", [1, 4])
@pytest.mark.parametrize(
    ("column", "value", "code", "said"),
    [
        (FIRST_LEAF, 4001, "TRF_RANGE", "leaf: actual value 400.1"),
        (FIRST_LEAF + 159, -4001, "TRF_RANGE", "leaf: actual value -400.1"),
        (FIRST_LEAF + 160, 9000, "TRF_RANGE", "leaf: prescribed value"),
        (GANTRY, 3701, "TRF_RANGE", "gantry: actual value 370.1"),
        (GANTRY_ERROR, -3702, "TRF_RANGE", "gantry: prescribed value -370.2"),
        (COLLIMATOR, -3701, "TRF_RANGE", "collimator"),
        (X1_DIAPHRAGM, 4001, "TRF_RANGE", "X1 diaphragm"),
        (DOSE_RATE, 4001, "TRF_RANGE", "dose rate 4001"),
        (DOSE_RATE, -1, "TRF_RANGE", "dose rate -1"),
        (STEP_DOSE, -1, "TRF_DOSE", "is no dose"),
        (STEP_DOSE, -32767, "TRF_DOSE", "is no dose"),
    ],
)
def test_impossible_values(
    version: int, column: int, value: int, code: str, said: str, tmp_path: Path
) -> None:
    error = refused(with_value(small_trf(version), 5, column, value), tmp_path)
    assert error.code == code
    assert said in str(error)
    assert "row 6" in str(error)


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31), 2**31 - 2000])
@pytest.mark.parametrize("column", [GANTRY, GANTRY_ERROR, FIRST_LEAF, FIRST_LEAF + 160])
def test_32_bit_values_do_not_wrap_into_range(column: int, value: int, tmp_path: Path) -> None:
    assert refused(with_value(small_trf(4), 5, column, value), tmp_path).code == "TRF_RANGE"


@pytest.mark.parametrize("version", [2, 3, 4])
def test_time_stamps_that_are_no_clock(version: int, tmp_path: Path) -> None:
    log = small_trf(version)
    for row, stamp_ms in (
        (5, stamp(log, 4)),
        (5, stamp(log, 4) - 1),
        (-1, stamp(log, -2) + 1001),
        (0, 946_684_799_999),
        (-1, 4_102_444_800_001),
        (0, -(2**63)),
        (-1, 2**63 - 1),
    ):
        assert refused(with_stamp(log, row, stamp_ms), tmp_path).code == "TRF_TIME"


def test_a_gap_of_a_second_is_told(tmp_path: Path) -> None:
    log = small_trf(3)
    delivery = read_back(with_stamp(log, -1, stamp(log, -2) + 1000), tmp_path)
    assert delivery.warnings == ("rows are missing in 1 places, for at most 1000 ms",)
    assert delivery.interval_s == 0.04


@pytest.mark.parametrize(
    ("state", "stopped"),
    [(43, True), (44, True), (47, True), *((s, False) for s in (16, 34, 39, 40, 41, 42, 45, 99))],
)
def test_a_log_that_does_not_end_in_a_termination(
    state: int, stopped: bool, tmp_path: Path
) -> None:
    """What the machine says it stopped is judged and never whole; a log that just ends is cut."""
    content = with_value(LOG, -1, STATE, state)
    if stopped:
        delivery = read_back(content, tmp_path)
        assert delivery.truncated
        assert f"its last state is {state}" in delivery.warnings[0]
    else:
        error = refused(content, tmp_path)
        assert (error.code, type(error)) == ("TRF_END", TruncatedError)


def test_dose_without_radiation_is_refused(tmp_path: Path) -> None:
    states = np.full(ROWS, 41)
    states[-1] = 46
    assert refused(with_column(LOG, STATE, states), tmp_path).code == "TRF_STATE"


def test_counters_that_disagree_are_refused(tmp_path: Path) -> None:
    """5 MU are logged; the raw dose in 64ths says half of it, or none."""
    raw = np.frombuffer(LOG[BEGIN:], "<i2").reshape(ROWS, -1)[:, RAW_DOSE]
    for wrong in (raw // 2, raw * 0, raw * 2):
        error = refused(with_column(LOG, RAW_DOSE, wrong), tmp_path)
        assert error.code == "TRF_DOSE"
        assert "5.0 MU by the step dose" in str(error)


def test_a_step_dose_that_jumps_and_falls_back_is_refused(tmp_path: Path) -> None:
    """To 2.8 MU, which no beam delivers in 40 ms: the counter did not begin again."""
    dose = np.frombuffer(LOG[BEGIN:], "<i2").reshape(ROWS, -1)[:, STEP_DOSE]
    row = int(np.flatnonzero(dose == 28)[0]) - 1
    error = refused(with_value(LOG, row, STEP_DOSE, 600), tmp_path)
    assert (error.code, "neither a restart nor a wrap" in str(error)) == ("TRF_DOSE", True)
    assert f"in row {row + 2}" in str(error)


def test_no_message_tells_who(tmp_path: Path) -> None:
    """Neither label, name and machine of the header, nor the file's name."""
    rng = random.Random(7)
    path = tmp_path / "SECRET^PATIENT.trf"
    secret = LOG[:FIELD] + bytes([14]) + b"SECRET/PATIENT" + LOG[MACHINE:]
    for _ in range(300):
        content = bytearray(secret)
        content[rng.randrange(rng.choice((60, 1500, len(content))))] = rng.randrange(256)
        path.write_bytes(bytes(content[: rng.choice((len(content), rng.randrange(len(content))))]))
        try:
            said = " ".join(read(path).warnings)
        except ReadError as why:
            said = str(why)
        assert not {"SECRET", "PATIENT", "2694"} & set(said.replace(".", " ").split())
        assert "SECRET" not in said


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.trf"
    os.mkfifo(pipe)
    for path, code in (
        (pipe, "NOT_A_FILE"),
        (tmp_path, "UNREADABLE"),
        (tmp_path / "no", "UNREADABLE"),
    ):
        with pytest.raises(ReadError) as raised:
            read(path)
        assert raised.value.code == code


def test_only_a_date_is_recognized() -> None:
    assert recognize(LOG[:HEAD_BYTES])
    assert recognize(LOG[:20])
    assert not recognize(LOG[:19])
    assert not recognize(b"\x13" + b"26.01.04 21:30:00 Z" + LOG[20:])
    assert not recognize(b"\x14" + LOG[1:])
    assert not recognize(b"")


@pytest.mark.parametrize(("bytes_of_file", "rows"), [(300 * 2**20, 0), (100 * 2**20, 2_000_001)])
def test_an_absurd_size_costs_neither_time_nor_memory(
    bytes_of_file: int, rows: int, tmp_path: Path
) -> None:
    """A sparse file beyond 256 MiB; and one of 8 items, 16 bytes a row, that has too many rows."""
    path = tmp_path / "x.trf"
    content = LOG if not rows else without_item(LOG, *items_of(LOG)[8:])
    with path.open("wb") as file:
        file.write(content)
        file.truncate(bytes_of_file)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ReadError) as raised:
        read(path)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raised.value.code == "TRF_ROWS"
    assert peak < 1_000_000
    assert seconds < 0.5


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.filterwarnings("error")
def test_changed_bytes_are_refused_or_harmless(version: int, tmp_path: Path) -> None:
    """1000 random changes each: a sound delivery or a refusal, nothing else."""
    rng = random.Random(20260105 + version)
    sound = small_trf(version)
    begin, row_bytes, stamp_bytes = rows_of(sound)
    path = tmp_path / "x.trf"
    read_well = 0
    for _ in range(1000):
        content = bytearray(sound)
        for _ in range(rng.choice((1, 1, 2, 8))):
            # Strings and numbers, the item list, the first items of a row, or anywhere.
            row = begin + rng.randrange(samples_of(sound)) * row_bytes
            first, last = rng.choice(
                ((0, LIST), (LIST, begin), (row, row + stamp_bytes + 60), (0, len(content)))
            )
            content[rng.randrange(first, min(last, len(content)))] = rng.choice(
                (0, 0x7F, 0x80, 0xFF, rng.randrange(256))
            )
        path.write_bytes(bytes(content[: rng.choice((len(content), len(content) - row_bytes))]))
        try:
            delivery = read(path)
        except ReadError:
            continue
        read_well += 1
        assert_holds_together(delivery)
    assert 0 < read_well < 1000


def assert_holds_together(delivery: Delivery) -> None:
    samples = delivery.samples
    (layer,) = delivery.mlc
    for axis in (delivery.gantry_deg, delivery.collimator_deg, *delivery.jaws_mm.values()):
        assert axis is not None
        assert axis.actual.shape == axis.expected.shape == (samples,)
    for bank in (layer.bank_a_mm, layer.bank_b_mm):
        assert bank.actual.shape == bank.expected.shape == (samples, layer.pairs)
    meterset_mu = delivery.meterset_mu.actual
    assert np.isfinite(meterset_mu).all()
    # A flicker of the counter's last digits may take a fifth of an MU back, no more.
    assert (np.diff(meterset_mu) >= -0.2 - 1e-9).all()
    assert delivery.interval_s > 0.0
    assert delivery.performed_at is not None


def test_the_small_logs_offsets_are_right() -> None:
    """The tests above change what they say they change."""
    assert LOG[DATE] == 19
    assert LOG[ZONE] == 6
    assert LOG[FIELD] == 13
    assert LOG[MACHINE] == 4
    assert struct.unpack_from("<dii", LOG, NUMBERS) == (50.0, 1, 350)
    listed = items_of(LOG)
    assert listed[STATE] == (2543, 111)
    assert listed[STEP_DOSE] == (2238, 111)
    assert listed[RAW_DOSE] == (2162, 101)
    assert listed[GANTRY] == (2224, 129)
    assert listed[X1_DIAPHRAGM] == (2060, 129)
    assert listed[FIRST_LEAF] == (2380, 129)
