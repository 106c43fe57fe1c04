"""Small Dynalogs whose every number is known: conversion, lag, dose, identity, pairing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from analyzers.core import NamedFile, ReadError
from analyzers.formats.varian_dynalog import FORMAT, name_key, performed
from analyzers.records import Axis, Meterset
from tests.formats.small_dynalogs import (
    COLLIMATOR,
    DOSE,
    GANTRY,
    HEADER,
    HOLD,
    NEXT,
    ON,
    PRIOR,
    X1,
    Y1,
    Rows,
    in_segments_of_its_own,
    read_rows,
    read_texts,
    small_rows,
    text_of,
)

MM = 0.0196078
"""One count at the leaf plane, 0.01 mm, at the isocenter."""
A, B = text_of(small_rows("A")), text_of(small_rows("B"))


def actual(axis: Axis | None) -> list[float]:
    assert axis is not None
    assert not axis.has_expected
    assert np.isnan(axis.expected).all()
    return [float(value) for value in axis.actual]


def test_leaves_are_iec_x_at_the_isocenter_and_a_row_late(tmp_path: Path) -> None:
    delivery = read_texts(tmp_path, A, B)
    (layer,) = delivery.mlc
    edge = np.arange(10) * 10.0
    # Row n of the file wants 500 + 10 n for bank A and is where row n - 1 wanted it; bank B counts
    # from the other side.
    np.testing.assert_allclose(layer.bank_a_mm.actual[:, 0], (500 + edge) * MM)
    np.testing.assert_allclose(layer.bank_b_mm.actual[:, 25], (-500 + edge) * MM)
    np.testing.assert_array_equal(layer.bank_a_mm.expected, layer.bank_a_mm.actual)
    np.testing.assert_array_equal(layer.bank_b_mm.expected, layer.bank_b_mm.actual)
    assert (delivery.samples, delivery.interval_s) == (10, 0.05)
    assert delivery.mlc_model == "millennium52"
    assert layer.leaf_edges_mm[0] == -130.0


def test_a_leaf_that_is_off_is_off_by_as_much(tmp_path: Path) -> None:
    a = small_rows("A")
    a[5][14 + 4 * 3 + 1] += 51
    delivery = read_texts(tmp_path, text_of(a), B)
    error_mm = delivery.mlc[0].bank_a_mm.actual - delivery.mlc[0].bank_a_mm.expected
    expected_mm = np.zeros((10, 26))
    expected_mm[4, 3] = 51 * MM  # 1 mm
    np.testing.assert_allclose(error_mm, expected_mm, atol=1e-12)


def test_jaws_and_rotations_of_the_iec_scale(tmp_path: Path) -> None:
    delivery = read_texts(tmp_path, A, B)
    assert set(actual(delivery.gantry_deg)) == {90.0}
    assert set(actual(delivery.collimator_deg)) == {270.0}
    jaws = {name: set(actual(axis)) for name, axis in delivery.jaws_mm.items()}
    assert jaws == {"Y1": {-50.0}, "Y2": {60.0}, "X1": {-70.0}, "X2": {80.0}}


def test_rotations_of_the_varian_scale(tmp_path: Path) -> None:
    header = [*HEADER[:5], "0"]
    delivery = read_texts(
        tmp_path, text_of(small_rows("A"), header), text_of(small_rows("B"), header)
    )
    # IEC = 180 - Varian: 90 stays, 270 is -90.
    assert set(actual(delivery.gantry_deg)) == {90.0}
    assert set(actual(delivery.collimator_deg)) == {270.0}

    def turn(rows: Rows) -> None:
        for row in rows:
            row[GANTRY], row[COLLIMATOR] = 1800, 100

    texts = []
    for bank in "AB":
        rows = small_rows(bank)
        turn(rows)
        texts.append(text_of(rows, header))
    turned = read_texts(tmp_path, *texts)
    assert set(actual(turned.gantry_deg)) == {0.0}
    assert set(actual(turned.collimator_deg)) == {170.0}


def test_a_jaw_over_the_axis_is_negative(tmp_path: Path) -> None:
    def over(rows: Rows) -> None:
        for row in rows:
            row[X1], row[Y1] = -20, -30

    delivery = read_rows(tmp_path, over)
    assert set(actual(delivery.jaw_x1_mm)) == {20.0}
    assert set(actual(delivery.jaw_y1_mm)) == {30.0}


def test_dose_is_a_share_of_the_planned_meterset_and_no_mu(tmp_path: Path) -> None:
    delivery = read_texts(tmp_path, A, B)
    assert delivery.meterset is Meterset.SHARE
    assert np.isnan(delivery.meterset_mu.actual).all()
    np.testing.assert_allclose(actual(delivery.meterset_percent), np.arange(10.0, 101.0, 10.0))
    assert delivery.weight is delivery.meterset_percent
    assert delivery.planned_mu is None
    assert not delivery.truncated
    assert delivery.warnings == ()


def arc(rows: Rows) -> None:
    """Gantry angle instead of dose, through 0: 359.0, 359.5, 0.0 …"""
    for n, row in enumerate(rows):
        row[GANTRY] = row[DOSE] = (3590 + 5 * n) % 3600
        row[PRIOR], row[NEXT] = 3590, 40  # where the last row is
        in_segments_of_its_own(row)


def test_gantry_in_place_of_dose_is_no_dose(tmp_path: Path) -> None:
    delivery = read_rows(tmp_path, arc)
    assert delivery.meterset is Meterset.NONE
    assert delivery.weight is None
    assert delivery.meterset_percent is None
    np.testing.assert_allclose(actual(delivery.gantry_deg)[:3], [359.5, 0.0, 0.5])
    assert any("no dose is known" in warning for warning in delivery.warnings)


@pytest.mark.parametrize("dose", [0, 900])
def test_a_dose_that_stands_at_the_angle_of_a_gantry_that_stands_is_a_dose(
    tmp_path: Path, dose: int
) -> None:
    # Interrupted at 3.6 %, and the gantry at 90.0 degrees: this must not read as an arc.
    def stopped(rows: Rows) -> None:
        for row in rows[1:]:
            row[DOSE], row[GANTRY] = dose, dose
        rows[0][DOSE], rows[0][GANTRY] = 0, dose

    delivery = read_rows(tmp_path, stopped)
    assert delivery.meterset is Meterset.SHARE
    assert actual(delivery.meterset_percent)[-1] == dose / 250.0


def test_beam_on_is_beam_on_without_hold_off(tmp_path: Path) -> None:
    def hold(rows: Rows) -> None:
        rows[3][HOLD], rows[4][HOLD], rows[5][ON] = 1, 2, 0

    delivery = read_rows(tmp_path, hold)
    # Rows 1 to 10 are samples 0 to 9; the last row is off.
    assert np.flatnonzero(~delivery.beam_on).tolist() == [2, 3, 4, 9]
    assert delivery.beam_hold is not None
    assert delivery.beam_hold.tolist() == [0, 0, 2, 2, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("lag", [0, 2])
def test_another_lag_is_told_and_nothing_is_shifted_by_it(tmp_path: Path, lag: int) -> None:
    def lead(rows: Rows) -> None:
        wanted = [row[14] for row in rows]
        for n, row in enumerate(rows):
            row[15::4] = [wanted[max(n - lag, 0)]] * 26

    delivery = read_rows(tmp_path, lead)
    (warning,) = delivery.warnings
    assert f"by {lag} rows" in warning
    error_mm = delivery.mlc[0].bank_a_mm.actual - delivery.mlc[0].bank_a_mm.expected
    # 10 counts a row, one row off.
    np.testing.assert_allclose(error_mm[1:, 0], (1 - lag) * 10 * MM)


def test_leaves_at_rest_tell_no_lag(tmp_path: Path) -> None:
    texts = []
    for bank, off in (("A", 2), ("B", 1)):
        rows = small_rows(bank)
        for row in rows:
            row[14::4], row[15::4] = [500] * 26, [500 + off] * 26
            in_segments_of_its_own(row)
        texts.append(text_of(rows))
    assert read_texts(tmp_path, *texts).warnings == ()


def test_identity_is_kept_apart(tmp_path: Path) -> None:
    delivery = read_texts(tmp_path, A, B)
    identity = delivery.identity
    assert (identity.patient_id, identity.plan_uid, identity.beam_number) == (
        "CANARY_ID",
        "1.2.3.4",
        7,
    )
    assert delivery.performed_at == datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001
    assert "CANARY" not in repr(delivery.warnings)
    header = [*HEADER[:2], "SLIDING 10x10.mlc", *HEADER[3:]]
    alone = read_texts(tmp_path, text_of(small_rows("A"), header), text_of(small_rows("B"), header))
    assert (alone.identity.plan_label, alone.identity.plan_uid) == ("SLIDING 10x10.mlc", None)


@pytest.mark.parametrize(("letter", "told"), [("A", False), ("B", False), ("C", True)])
def test_the_version_letter_is_not_the_bank(tmp_path: Path, letter: str, told: bool) -> None:
    header = [letter, *HEADER[1:]]
    delivery = read_texts(
        tmp_path, text_of(small_rows("A"), header), text_of(small_rows("B"), header)
    )
    assert bool(delivery.warnings) == told
    assert delivery.mlc[0].bank_a_mm.actual[0, 0] == pytest.approx(500 * MM)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("after", ["", "\r\n", " \n\n"])
def test_either_line_end_and_empty_lines_at_the_end(tmp_path: Path, end: str, after: str) -> None:
    texts = [text_of(small_rows(bank), end=end) + after.encode() for bank in "AB"]
    delivery = read_texts(tmp_path, *texts)
    assert (delivery.samples, delivery.truncated, delivery.warnings) == (10, False, ())


def test_latin_1_names_are_read(tmp_path: Path) -> None:
    header = [HEADER[0], "M\u00fcller,J\u00f6rg,\u00c4 1", *HEADER[2:]]
    texts = [text_of(small_rows(bank), header) for bank in "AB"]
    assert read_texts(tmp_path, *texts).identity.patient_id == "\u00c4 1"


def test_a_cut_last_row_is_left_out_and_told(tmp_path: Path) -> None:
    for cut in (1, 3, 200):
        delivery = read_texts(tmp_path, A[:-cut], B)
        assert delivery.truncated
        assert any("last row of the A file was cut" in w for w in delivery.warnings)
    # 200 bytes and one are in the last row: ten rows are left, nine samples.
    assert delivery.samples == 9


def arc_without_its_last_row(rows: Rows) -> None:
    arc(rows)
    rows.pop()


def test_a_log_that_ends_or_begins_within_the_beam_is_not_whole(tmp_path: Path) -> None:
    assert read_rows(tmp_path, lambda rows: rows.__delitem__(slice(6, None))).truncated
    assert read_rows(tmp_path, lambda rows: rows.__delitem__(slice(0, 3))).truncated
    arc_without_end = read_rows(tmp_path, arc_without_its_last_row)
    assert arc_without_end.truncated
    assert not read_rows(tmp_path, arc).truncated


@pytest.mark.parametrize(
    ("segment_ends_at", "whole"),
    [(40, True), (50, True), (30, True), (51, False), (29, False), (3580, False), (25000, True)],
)
def test_an_arc_that_ends_within_a_segment_is_not_whole(
    tmp_path: Path, segment_ends_at: int, whole: bool
) -> None:
    def stopped(rows: Rows) -> None:
        arc(rows)
        for row in rows:
            row[NEXT] = segment_ends_at

    delivery = read_rows(tmp_path, stopped)
    assert delivery.truncated != whole
    assert any("before its segment" in warning for warning in delivery.warnings) != whole


def test_a_row_more_in_one_file_is_left_out(tmp_path: Path) -> None:
    longer = small_rows("A")
    longer.append(longer[-1])
    delivery = read_texts(tmp_path, text_of(longer), B)
    assert delivery.samples == 10
    assert any("12 rows" in warning for warning in delivery.warnings)


# -- which file is which ---------------------------------------------------------------------------


def named(folder: Path, name: str, content: bytes) -> NamedFile:
    """As the archive keeps it: the path says nothing, the name does."""
    path = folder / f"{len(list(folder.iterdir()))}.kept"
    path.write_bytes(content)
    return NamedFile(path, name)


@pytest.mark.parametrize(
    ("name", "beside"),
    [("AQA.dlg", "BQA.dlg"), ("aQA.DLG", "bQA.dlg"), ("A2026_x.y.dlg", "B2026_x.y.DLG")],
)
def test_the_name_tells_the_bank(tmp_path: Path, name: str, beside: str) -> None:
    a, b = named(tmp_path, name, A), named(tmp_path, beside, B)
    assert FORMAT.read(a, [b]).mlc[0].bank_a_mm.actual[0, 0] == pytest.approx(500 * MM)
    assert FORMAT.companions is not None
    assert FORMAT.companions.is_side_by_name(beside)
    assert not FORMAT.companions.is_side_by_name(name)
    assert name_key(name) == name_key(beside) is not None


@pytest.mark.parametrize(
    ("name", "beside", "says"),
    [
        ("AQA.dlg", [], "B file of the same name is not here"),
        ("BQA.dlg", [], "A file of the same name is not here"),
        ("BQA.dlg", ["AQA.dlg"], "A file of the same name is not here"),
        ("AQA.dlg", ["AQA.dlg"], "is not its B file"),
        ("AQA.dlg", ["AQB.dlg"], "is not its B file"),
        ("AQA.dlg", ["BQB.dlg"], "is not its B file"),
        ("AQA.dlg", ["BQB.dlg", "BQC.dlg"], "2 B files"),
        ("CQA.dlg", ["BQA.dlg"], "cannot be told"),
        ("AQA.txt", ["BQA.txt"], "cannot be told"),
    ],
)
def test_what_is_no_pair_is_refused(
    tmp_path: Path, name: str, beside: list[str], says: str
) -> None:
    companions = [named(tmp_path, other, B) for other in beside]
    with pytest.raises(ReadError, match=says) as caught:
        FORMAT.read(named(tmp_path, name, A), companions)
    assert caught.value.code == "DLG_PAIR"
    assert "QA" not in str(caught.value)


def test_a_b_file_that_came_twice_is_one_file_and_two_are_two(tmp_path: Path) -> None:
    a, b, copy = (named(tmp_path, n, c) for n, c in (("A1.dlg", A), ("B1.dlg", B), ("B2.dlg", B)))
    one = FORMAT.read(a, [b])
    for beside in ([copy, b], [b, copy], [b, b]):
        np.testing.assert_array_equal(
            FORMAT.read(a, beside).mlc[0].bank_b_mm.actual, one.mlc[0].bank_b_mm.actual
        )
    other = named(tmp_path, "B2.dlg", B.replace(b"\r\n", b"\n"))
    for beside in ([b, other], [other, b], [b, copy, other]):
        with pytest.raises(ReadError, match="B files claim to belong") as caught:
            FORMAT.read(a, beside)
        assert caught.value.code == "DLG_PAIR"
    with pytest.raises(ReadError) as caught:
        FORMAT.read(a, [b, NamedFile(tmp_path / "gone", "B2.dlg")])
    assert caught.value.code == "UNREADABLE"


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("A20260105073000_X.dlg", datetime(2026, 1, 5, 7, 30)),  # noqa: DTZ001
        ("B20260105073000.dlg", datetime(2026, 1, 5, 7, 30)),  # noqa: DTZ001
        ("A20261305073000_X.dlg", None),
        ("A202601050730001_X.dlg", None),
        ("A_vmat.dlg", None),
        ("x.bin", None),
    ],
)
def test_the_name_tells_the_time(name: str, at: datetime | None) -> None:
    assert performed(name) == at


@pytest.mark.parametrize(
    ("head", "is_dynalog"),
    [
        (A, True),
        (B[:4096], True),
        (A[:300], True),
        (text_of([]), True),
        # One line spoiled: still told as what it is.
        (text_of(small_rows(), [*HEADER[:4], "many", HEADER[5]]), True),
        (text_of([["x"] * 30]), True),
        (text_of([["x"] * 30], [*HEADER[:4], "many", HEADER[5]]), False),
        (b"", False),
        (b"B\n", False),
        (b"BB" + A[1:], False),
        (b"VOSTL" + bytes(100), False),
        (b"Patient ID:\tx\r\n" * 9, False),
        (b"A\nB\nC\nD\nE\nF\nG\n", False),
        (A.decode("latin-1").encode("utf-16"), False),
        (A.replace(b"\r\n", b"\r"), False),
    ],
)
def test_what_is_recognized(head: bytes, is_dynalog: bool) -> None:
    assert FORMAT.recognize(head[:4096]) == is_dynalog
