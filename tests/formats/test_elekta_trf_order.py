"""Rows of a TRF that are repeated, out of order or lost, and clocks that contradict each other."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from analyzers.core import ReadError
from analyzers.formats.elekta_trf import read
from analyzers.formats.elekta_trf_layout import read_header
from analyzers.machine import meterset
from qa_daemon.simulate.elekta_trf import deliver_on_elekta
from qa_daemon.simulate.elekta_trf_bytes import encode
from qa_daemon.simulate.motion import Errors
from qa_daemon.simulate.plan_shapes import sequence, static
from tests.formats.small_trfs import (
    CONTROL_POINT,
    FIELD,
    MACHINE,
    NUMBERS,
    RAW_DOSE,
    STATE,
    STEP_DOSE,
    X1_DIAPHRAGM,
    X2_DIAPHRAGM,
    patched,
    read_back,
    refused,
    rows_of,
    samples_of,
    small_delivery,
    small_trf,
    with_column,
    with_value,
)
from tests.machine.judging import measured
from tests.real_data import files, skip_without

LOG = small_trf()
BEGIN, ROW, _ = rows_of(LOG)
ROWS = samples_of(LOG)
FILES = files("trf", "*/*.trf")
REAL_V1 = [path for path in FILES if "integrity4" not in path.name]


def column(content: bytes, at: int) -> list[int]:
    begin, _, _ = rows_of(content)
    return np.frombuffer(content[begin:], "<i2").reshape(samples_of(content), -1)[:, at].tolist()


def service(content: bytes) -> bytes:
    """As a service beam: no field, and no dose in the header that would tell."""
    content = patched(content, NUMBERS, "d", 0.0)
    return content[:FIELD] + b"\0" + content[MACHINE:]


def with_rows(content: bytes, rows: list[int]) -> bytes:
    """The log with these rows of its own, in this order."""
    begin, row_bytes, _ = rows_of(content)
    body = np.frombuffer(content[begin:], np.uint8).reshape(-1, row_bytes)
    return content[:begin] + body[rows].tobytes()


def test_a_log_given_twice_over_is_refused(tmp_path: Path) -> None:
    read_back(service(LOG), tmp_path)
    error = refused(service(with_rows(LOG, [*range(ROWS), *range(ROWS)])), tmp_path)
    assert (error.code, "comes after" in str(error)) == ("TRF_STATE", True)


def test_a_beginning_given_twice_over_is_refused(tmp_path: Path) -> None:
    """Cut anywhere with the beam on or after it, and begun again: dose that was not delivered."""
    first = next(k for k, step in enumerate(column(LOG, STEP_DOSE)) if step > 3)
    for cut in range(first + 1, ROWS):
        error = refused(service(with_rows(LOG, [*range(cut), *range(ROWS)])), tmp_path)
        assert error.code in {"TRF_STATE", "TRF_DOSE", "TRF_POINT"}, cut


def test_doubled_rows_are_refused(tmp_path: Path) -> None:
    """Every row twice, as no stamp of a version-1 log would tell."""
    for times in (2, 3):
        rows = [row for row in range(ROWS) for _ in range(times)]
        error = refused(with_rows(LOG, rows), tmp_path)
        assert (error.code, "repeat the row before" in str(error)) == ("TRF_ROWS", True)


def test_one_row_that_repeats_is_warned_of(tmp_path: Path) -> None:
    row = column(LOG, STATE).index(42) + 3
    doubled = with_rows(LOG, [*range(row + 1), *range(row, ROWS)])
    delivery = read_back(doubled, tmp_path)
    assert delivery.warnings == ("1 rows with the radiation on repeat the row before",)
    assert delivery.meterset_mu.actual[-1] == pytest.approx(5.0)


@pytest.mark.parametrize(("lost", "whole"), [(0, True), (1, False), (3, False), (5, False)])
def test_rows_lost_with_the_beam_on_are_told_by_the_dose_rate(
    lost: int, whole: bool, tmp_path: Path
) -> None:
    """Without stamps: two rows' dose comes in one, at 500 MU/min."""
    row = column(LOG, STATE).index(42) + 2
    delivery = read_back(with_rows(LOG, [*range(row), *range(row + lost, ROWS)]), tmp_path)
    assert delivery.truncated is not whole
    if not whole:
        assert f"in 1 places, first before row {row + 1}" in delivery.warnings[0]


@pytest.mark.parametrize("mu", [600.0, 1100.0])
def test_a_step_of_many_mu_that_begins_again_lost_nothing(mu: float, tmp_path: Path) -> None:
    """Past 512 MU, and past the wrap at 1024 MU."""
    log = encode(deliver_on_elekta(sequence(*[static("agility", mu)] * 2), Errors(noise=False)))
    delivery = read_back(log, tmp_path)
    assert (delivery.truncated, delivery.warnings) == (False, ())
    assert delivery.meterset_mu.actual[-1] == pytest.approx(2.0 * mu, abs=0.11)


def test_a_fall_by_a_digit_is_no_restart_at_the_begin_of_a_step_either(tmp_path: Path) -> None:
    """0.8 MU, 0.6 MU and on to 1.0 MU: 1 MU, and not 1.6 MU."""
    steps, raws = [0, 3, 6, 8, 6, 8, 10], [0, 19, 38, 51, 51, 52, 64]
    states = [42] * 7 + [41] * (ROWS - 9) + [45, 46]
    content = with_column(with_column(LOG, STATE, states), CONTROL_POINT, 1)
    content = with_column(content, STEP_DOSE, steps + [10] * (ROWS - 7))
    content = with_column(content, RAW_DOSE, raws + [64] * (ROWS - 7))
    assert read_back(content, tmp_path).meterset_mu.actual[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(("next_point", "sound"), [(2, True), (1, False)])
def test_a_small_fall_of_both_counters_is_a_restart(
    next_point: int, sound: bool, tmp_path: Path
) -> None:
    """A step of 0.5 MU, and 0.3 MU of the next in its first row: 1.1 MU with the rest."""
    content = with_column(LOG, STATE, [42] * 5 + [41] * (ROWS - 7) + [45, 46])
    content = with_column(content, CONTROL_POINT, [1] * 3 + [next_point] * (ROWS - 3))
    content = with_column(content, STEP_DOSE, [0, 3, 5, 3, 6] + [6] * (ROWS - 5))
    content = with_column(content, RAW_DOSE, [0, 20, 32, 21, 42] + [42] * (ROWS - 5))
    if sound:
        assert read_back(content, tmp_path).meterset_mu.actual[-1] == pytest.approx(1.1)
    else:
        assert refused(content, tmp_path).code == "TRF_DOSE"


def test_a_control_point_never_falls(tmp_path: Path) -> None:
    points = column(LOG, CONTROL_POINT)
    assert sorted(points) == points
    error = refused(with_value(LOG, -3, CONTROL_POINT, points[-3] - 1), tmp_path)
    assert (error.code, "out of order" in str(error)) == ("TRF_POINT", True)
    assert refused(with_value(LOG, -1, CONTROL_POINT, -2), tmp_path).code == "TRF_POINT"


def test_a_log_that_begins_at_a_later_control_point_is_not_whole(tmp_path: Path) -> None:
    """Lost with all of its first field: the header's meterset may be lost as well."""
    points = np.array(column(LOG, CONTROL_POINT))
    later = read_back(service(with_column(LOG, CONTROL_POINT, points + 4)), tmp_path)
    assert later.truncated
    assert "begins at control point 5, not at 1" in later.warnings[0]
    assert measured(meterset.ANALYZER, later, "elekta")["complete"].value == 0.0


@pytest.mark.parametrize(("state", "sound"), [(43, True), (44, True), (40, False), (41, False)])
def test_a_step_begins_again_only_where_the_beam_was_interrupted(
    state: int, sound: bool, tmp_path: Path
) -> None:
    """0.6 MU, a pause, and 0.6 MU more within the same control point."""
    steps, raws = [0, 3, 6, 6, 0, 3, 6], [0, 20, 39, 39, 0, 20, 39]
    states = [42, 42, 42, state, state, 42, 42] + [41] * (ROWS - 9) + [45, 46]
    content = with_column(with_column(LOG, STATE, states), CONTROL_POINT, 1)
    content = with_column(content, STEP_DOSE, steps + [6] * (ROWS - 7))
    content = with_column(content, RAW_DOSE, raws + [39] * (ROWS - 7))
    if sound:
        assert read_back(content, tmp_path).meterset_mu.actual[-1] == pytest.approx(1.2)
    else:
        error = refused(content, tmp_path)
        assert (error.code, "begins again in row 5" in str(error)) == ("TRF_DOSE", True)


@pytest.mark.parametrize(
    ("item", "value", "mlc", "sound"),
    [
        (X1_DIAPHRAGM, 2100, "agility", True),
        (X1_DIAPHRAGM, 2101, "agility", False),
        (X2_DIAPHRAGM, -2101, "agility", False),
        (X2_DIAPHRAGM, 2870, "agility", False),
        (X1_DIAPHRAGM, 2870, "mlci", False),
    ],
)
def test_a_diaphragm_beyond_the_leaves_is_another_heads(
    item: int, value: int, mlc: str, sound: bool, tmp_path: Path
) -> None:
    """A field of 574 mm has leaves of 7.175 mm: read as 5 mm, all of it would be wrong."""
    content = with_value(small_trf(mlc=mlc), 5, item, value)
    if sound:
        read_back(content, tmp_path)
    else:
        assert refused(content, tmp_path).code == "TRF_RANGE"


@pytest.mark.parametrize(
    ("late_s", "known", "warned"),
    [
        (430.0, True, False),
        (-430.0, True, False),
        (3600.0, True, False),
        (3601.0, True, True),
        (-80000.0, True, True),
        (86401.0, False, True),
        (400.0 * 86400.0, False, True),
        (-400.0 * 86400.0, False, True),
    ],
)
def test_clocks_that_disagree_do_not_decide_when_it_was(
    late_s: float, known: bool, warned: bool, tmp_path: Path
) -> None:
    log = encode(small_delivery(), version=3, rows_late_s=late_s)
    delivery = read_back(log, tmp_path)
    assert (delivery.performed_at is not None, bool(delivery.warnings)) == (known, warned)
    if warned:
        assert f"{abs(late_s):.0f} s off" in delivery.warnings[0]


@skip_without("trf")
@pytest.mark.parametrize("path", REAL_V1, ids=lambda path: path.name[:20])
def test_blocks_of_a_real_log_given_twice_are_refused_or_change_nothing(
    path: Path, tmp_path: Path
) -> None:
    content, delivered_mu = path.read_bytes(), read(path).meterset_mu.actual[-1]
    header = read_header(content)
    body = np.frombuffer(content[header.bytes :], np.uint8).reshape(-1, header.row_bytes)
    rng, harmless = random.Random(20), 0
    for _ in range(60):
        first, last = sorted(rng.sample(range(len(body) + 1), 2))
        twice = np.concatenate([body[:last], body[first:]])
        (tmp_path / "x.trf").write_bytes(content[: header.bytes] + twice.tobytes())
        try:
            delivery = read(tmp_path / "x.trf")
        except ReadError:
            continue
        harmless += 1
        assert delivery.truncated or delivery.meterset_mu.actual[-1] == delivered_mu, (first, last)
    assert harmless < 20
