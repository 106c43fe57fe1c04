"""TRF items: order, signs and units to IEC 61217, counters, states and clocks, on small logs."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers.core import ReadError
from analyzers.formats.elekta_trf import CLOCKS
from analyzers.machine import delivered_fluence, meterset, mlc_positions
from analyzers.mlc_geometry import LEAF_EDGES_MM
from qa_daemon.simulate.elekta_trf_bytes import encode
from tests.formats.small_trfs import (
    COLLIMATOR,
    CONTROL_POINT,
    FIELD,
    FIRST_LEAF,
    GANTRY,
    GANTRY_ERROR,
    MACHINE,
    NUMBERS,
    RAW_DOSE,
    STATE,
    STEP_DOSE,
    X1_DIAPHRAGM,
    X2_DIAPHRAGM,
    items_of,
    patched,
    read_back,
    refused,
    rows_of,
    samples_of,
    small_delivery,
    small_trf,
    stamp,
    with_column,
    with_stamp,
    with_value,
    without_item,
)
from tests.machine.judging import measured, verdict

LOG = small_trf()
ROWS = samples_of(LOG)
ERRORS_LATER = 160
NULL = -32767


@pytest.mark.parametrize(
    ("raw_leaf", "bank", "pair"),
    [(1, "b", 80), (80, "b", 1), (17, "b", 64), (81, "a", 80), (160, "a", 1), (97, "a", 64)],
)
def test_leaves_are_turned_round_and_keep_their_sign(
    raw_leaf: int, bank: str, pair: int, tmp_path: Path
) -> None:
    """Raw Y2 leaf k is the X1 side of pair 81 - k, raw Y1 leaf k the X2 side."""
    column = FIRST_LEAF + raw_leaf - 1
    content = with_value(with_value(LOG, 5, column, -321), 5, column + ERRORS_LATER, 12)
    (layer,) = read_back(content, tmp_path).mlc
    found = layer.bank_a_mm if bank == "a" else layer.bank_b_mm
    assert found.actual[5, pair - 1] == np.float32(-32.1)
    assert found.expected[5, pair - 1] == np.float32(-30.9)
    (sound,) = read_back(LOG, tmp_path).mlc
    changed = np.count_nonzero(layer.bank_a_mm.actual != sound.bank_a_mm.actual)
    changed += np.count_nonzero(layer.bank_b_mm.actual != sound.bank_b_mm.actual)
    assert changed == 1


def test_diaphragms_are_the_y_jaws_and_there_are_no_others(tmp_path: Path) -> None:
    content = with_value(LOG, 5, X1_DIAPHRAGM, 401)
    content = with_value(content, 5, X1_DIAPHRAGM + 2, -6)
    content = with_value(content, 5, X2_DIAPHRAGM, -53)
    content = with_value(content, 5, X2_DIAPHRAGM + 2, 8)
    jaws = read_back(content, tmp_path).jaws_mm
    assert set(jaws) == {"Y1", "Y2"}
    assert (jaws["Y2"].actual[5], jaws["Y2"].expected[5]) == (np.float32(40.1), np.float32(39.5))
    assert (jaws["Y1"].actual[5], jaws["Y1"].expected[5]) == (np.float32(5.3), np.float32(4.5))


@pytest.mark.parametrize(
    ("raw", "error", "actual_deg", "expected_deg"),
    [
        (0, 0, 0.0, 0.0),
        (-1, 0, 359.9, 359.9),
        (-3, 3, 359.7, 0.0),
        (1812, -24, 181.2, 178.8),
        (-1800, 0, 180.0, 180.0),
        (-1795, -10, 180.5, 179.5),
        (3600, 0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("column", [GANTRY, COLLIMATOR])
def test_bipolar_angles_become_0_to_360(
    column: int, raw: int, error: int, actual_deg: float, expected_deg: float, tmp_path: Path
) -> None:
    content = with_value(with_value(LOG, 5, column, raw), 5, column + 1, error)
    delivery = read_back(content, tmp_path)
    axis = delivery.gantry_deg if column == GANTRY else delivery.collimator_deg
    assert axis is not None
    assert axis.actual[5] == np.float32(actual_deg)
    assert axis.expected[5] == np.float32(expected_deg)


@pytest.mark.parametrize("mlc", ["agility", "mlci"])
def test_boundaries(mlc: str) -> None:
    """80 pairs of 5 mm, 40 of 10 mm: both 400 mm."""
    edges_mm = LEAF_EDGES_MM[mlc][""]
    pairs, width_mm = {"agility": (80, 5.0), "mlci": (40, 10.0)}[mlc]
    np.testing.assert_array_equal(edges_mm, -200.0 + width_mm * np.arange(pairs + 1))


def test_a_head_of_40_pairs_is_told_by_its_leaf_items(tmp_path: Path) -> None:
    content = small_trf(mlc="mlci")
    delivery = read_back(content, tmp_path)
    assert (delivery.mlc_model, delivery.mlc[0].pairs) == ("mlci", 40)
    assert "no real log was checked" in delivery.warnings[0]
    first = items_of(content).index((2380, 129))
    delivery = read_back(with_value(content, 5, first, -77), tmp_path)
    assert delivery.mlc[0].bank_b_mm.actual[5, 39] == np.float32(-7.7)


def test_items_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """The same log with its columns in another order reads the same."""
    listed = items_of(LOG)
    order = np.random.default_rng(3).permutation(len(listed))
    begin, _, _ = rows_of(LOG)
    body = np.frombuffer(LOG[begin:], "<i2").reshape(ROWS, -1)
    head = LOG[: begin - 4 * len(listed)]
    head += b"".join(struct.pack("<HH", *listed[k]) for k in order)
    found = read_back(head + body[:, order].tobytes(), tmp_path)
    wanted = read_back(LOG, tmp_path)
    np.testing.assert_array_equal(found.mlc[0].bank_a_mm.actual, wanted.mlc[0].bank_a_mm.actual)
    np.testing.assert_array_equal(found.mlc[0].bank_b_mm.expected, wanted.mlc[0].bank_b_mm.expected)
    np.testing.assert_array_equal(found.meterset_mu.actual, wanted.meterset_mu.actual)
    assert found.planned_mu == wanted.planned_mu == 5.0


def test_steps_add_up(tmp_path: Path) -> None:
    """Two fields of 3 and 2 MU: the counters begin again, the meterset does not."""
    mu = read_back(LOG, tmp_path).meterset_mu
    assert mu.actual[-1] == pytest.approx(5.0)
    assert mu.expected is mu.actual
    assert (np.diff(mu.actual) >= 0.0).all()


def test_a_restart_that_already_delivered_counts(tmp_path: Path) -> None:
    """0, 2, 4 … then 1: the tenth after the restart is beam, and so are 64ths of the raw dose."""
    content = _with_doses([0, 2, 4, 6, 1, 3, 3], [0, 12, 25, 38, 7, 20, 20])
    content = with_column(content, CONTROL_POINT, [1] * 4 + [2] * (ROWS - 4))
    assert read_back(content, tmp_path).meterset_mu.actual[-1] == pytest.approx(0.9)


def test_the_raw_dose_wraps_at_1024_mu(tmp_path: Path) -> None:
    """65500 and 60 more are 1024.375 MU: 36 to the wrap, and 24."""
    content = _with_doses([10200, 10209], [65500, 65560 - 65536])
    assert read_back(content, tmp_path).meterset_mu.actual[-1] == pytest.approx(1020.9)


def test_a_counter_that_flickers_is_no_restart(tmp_path: Path) -> None:
    content = _with_doses([90, 92, 91, 93], [576, 589, 589, 595])
    assert read_back(content, tmp_path).meterset_mu.actual[-1] == pytest.approx(9.3)


def _with_doses(step: list[int], raw: list[int]) -> bytes:
    """The small log with these counts at its start, radiation on, and off after them."""
    states = [42] * len(step) + [41] * (ROWS - len(step) - 2) + [45, 46]
    on = with_column(LOG, STATE, states)
    signed = [v - 65536 if v > 32767 else v for v in raw]
    steps = step + [step[-1]] * (ROWS - len(step))
    raws = signed + [signed[-1]] * (ROWS - len(raw))
    return with_column(with_column(on, STEP_DOSE, steps), RAW_DOSE, raws)


def test_a_log_that_lost_its_beginning_is_not_whole(tmp_path: Path) -> None:
    begin, row_bytes, _ = rows_of(LOG)
    delivery = read_back(LOG[:begin] + LOG[begin + 8 * row_bytes :], tmp_path)
    complete = measured(meterset.ANALYZER, delivery, "elekta")["complete"]
    assert complete.value == 0.0
    assert "begins at" in (complete.at or "")


def test_an_interrupted_delivery_is_never_passed(tmp_path: Path) -> None:
    delivery = replace(small_delivery(interrupted_at_mu=3.5), planned_mu=5.0)
    found = measured(meterset.ANALYZER, read_back(encode(delivery), tmp_path), "elekta")
    assert (found["complete"].value, verdict(found["complete"], "elekta")) == (0.0, "ACTION")
    assert found["planned_error"].value == pytest.approx(-1.5, abs=0.45)


def test_no_expected_meterset_is_judged(tmp_path: Path) -> None:
    """The log has none: an error of zero would say nothing."""
    found = measured(meterset.ANALYZER, read_back(LOG, tmp_path), "elekta")
    assert set(found) == {"planned_error", "planned_error_percent", "complete"}
    assert verdict(found["complete"], "elekta") == "PASS"


def test_a_field_without_its_prescription_is_not_passed(tmp_path: Path) -> None:
    delivery = read_back(patched(LOG, NUMBERS, "d", 0.0), tmp_path)
    assert (delivery.planned_mu, delivery.not_judged) == (None, None)
    complete = measured(meterset.ANALYZER, delivery, "elekta")["complete"]
    assert (complete.value, complete.at) == (0.0, "no planned meterset to compare with")


def test_a_service_beam_is_judged_without_a_prescription(tmp_path: Path) -> None:
    content = patched(LOG, NUMBERS, "d", 0.0)
    delivery = read_back(content[:FIELD] + b"\0" + content[MACHINE:], tmp_path)
    assert (delivery.identity.beam_name, delivery.identity.beam_label) == (None, None)
    found = measured(meterset.ANALYZER, delivery, "elekta")
    assert {name: m.value for name, m in found.items()} == {"complete": 1.0}


def test_a_log_without_beam(tmp_path: Path) -> None:
    """Prescribed and not delivered is judged; a service log that only moves is not."""
    states = np.full(ROWS, 39)
    states[-1] = 46
    content = with_column(with_column(LOG, STATE, states), STEP_DOSE, 0)
    content = with_column(content, RAW_DOSE, 0)
    prescribed = read_back(content, tmp_path)
    assert prescribed.not_judged is None
    found = measured(meterset.ANALYZER, prescribed, "elekta")
    assert verdict(found["planned_error"], "elekta") == "ACTION"
    assert verdict(found["complete"], "elekta") == "ACTION"
    service = read_back(patched(content, NUMBERS, "d", 0.0), tmp_path)
    assert "not irradiated" in (service.not_judged or "")


@pytest.mark.parametrize(
    ("text", "label", "name"),
    [
        ("", None, None),
        ("0x10", None, "0x10"),
        ("1-2/3 FIELD IMRT", "1-2", "3 FIELD IMRT"),
        ("1-2/LAO/RPO", "1-2", "LAO/RPO"),
        ("/LAO", None, "LAO"),
        ("1-2/", "1-2", None),
        ("[ICOM: 7/03/2018 15:16:23] D Abut.", None, "D Abut."),
        ("[ICOM: 7/03/2018 15:16:23] 1-2/LAO", "1-2", "LAO"),
        ("[ICOM: 7/03/2018", "[ICOM: 7", "03/2018"),
    ],
)
def test_the_field_is_parted_at_its_first_slash(
    text: str, label: str | None, name: str | None, tmp_path: Path
) -> None:
    content = LOG[:FIELD] + bytes([len(text)]) + text.encode() + LOG[MACHINE:]
    identity = read_back(content, tmp_path).identity
    assert (identity.beam_label, identity.beam_name) == (label, name)


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        (b"+10:00", "2026-01-05T07:30:00"),
        (b"-03:30", "2026-01-04T18:00:00"),
        (b"+00:00", "2026-01-04T21:30:00"),
    ],
)
def test_performed_at_is_local_time(zone: bytes, at: str, tmp_path: Path) -> None:
    content = LOG.replace(b"+10:00", zone, 1)
    performed_at = read_back(content, tmp_path).performed_at
    assert performed_at is not None
    assert performed_at.isoformat() == at


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_clocks(version: int, tmp_path: Path) -> None:
    """Rows are 40 ms apart; stamped ones tell how far their clock is from the header's."""
    delivery = read_back(small_trf(version), tmp_path)
    assert delivery.interval_s == pytest.approx(0.04)
    wanted = {} if version == 1 else {CLOCKS: 430.0}
    assert delivery.machine_parameters == wanted


def test_slow_rows_are_timed_by_their_stamps(tmp_path: Path) -> None:
    """Stamps 250 ms apart, as older machines log."""
    log = small_trf(3)
    begin, row_bytes, _ = rows_of(log)
    first = stamp(log, 0)
    for row in range(samples_of(log)):
        log = patched(log, begin + row * row_bytes, "q", first + 250 * row)
    assert read_back(log, tmp_path).interval_s == 0.25


@pytest.mark.parametrize("state", [41, 43])
def test_dose_without_radiation_on_is_refused(state: int, tmp_path: Path) -> None:
    """Between segments, or interrupted, and the dose rises on."""
    content = LOG
    for row in np.flatnonzero(read_back(LOG, tmp_path).increment_mu)[1:]:
        content = with_value(content, int(row), STATE, state)
    assert refused(content, tmp_path).code == "TRF_STATE"


def test_a_fault_on_the_way_is_not_a_whole_delivery(tmp_path: Path) -> None:
    delivery = read_back(with_value(LOG, -2, STATE, 47), tmp_path)
    complete = measured(meterset.ANALYZER, delivery, "elekta")["complete"]
    assert (complete.value, verdict(complete, "elekta")) == (0.0, "ACTION")


@pytest.mark.parametrize(("later_ms", "whole"), [(0, 1.0), (900, 0.0)])
def test_rows_lost_with_the_radiation_on_are_not_a_whole_delivery(
    later_ms: int, whole: float, tmp_path: Path
) -> None:
    content = small_trf(3)
    first = int(np.flatnonzero(read_back(content, tmp_path).increment_mu)[2])
    for row in range(first, samples_of(content)):
        content = with_stamp(content, row, stamp(content, row) + later_ms)
    delivery = read_back(content, tmp_path)
    assert measured(meterset.ANALYZER, delivery, "elekta")["complete"].value == whole


def test_rows_a_second_apart_are_refused(tmp_path: Path) -> None:
    content = small_trf(3)
    begin = stamp(content, 0)
    for row in range(samples_of(content)):
        content = with_stamp(content, row, begin + 1000 * row)
    assert refused(content, tmp_path).code == "TRF_TIME"


def test_states_are_holds_and_unknown_ones_are_kept(tmp_path: Path) -> None:
    content = _with_doses([0], [0])
    for row, state in enumerate((42, 40, 41, 39, 43, 44, 47, 16, 34, 77, NULL)):
        content = with_value(content, row, STATE, state)
    delivery = read_back(content, tmp_path)
    assert delivery.beam_hold is not None
    assert delivery.beam_hold[:11].tolist() == [0, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    assert delivery.beam_hold[-2:].tolist() == [3, 3]
    assert delivery.other_axes[2543].actual[9] == 77


def test_a_null_control_point_repeats_the_one_before(tmp_path: Path) -> None:
    """Real logs have one in their last row."""
    wanted = read_back(LOG, tmp_path).control_point
    found = read_back(with_value(LOG, -1, CONTROL_POINT, NULL), tmp_path).control_point
    assert wanted is not None
    assert found is not None
    np.testing.assert_array_equal(found.actual, wanted.actual)
    nowhere = read_back(with_column(LOG, CONTROL_POINT, NULL), tmp_path)
    assert nowhere.control_point is None


@pytest.mark.parametrize(
    ("column", "lacks"), [(FIRST_LEAF, (True, True)), (FIRST_LEAF + ERRORS_LATER, (True, False))]
)
def test_a_null_position_is_unknown_and_never_passed(
    column: int, lacks: tuple[bool, bool], tmp_path: Path
) -> None:
    """Without an actual value nothing is known; without an error, what was wanted is not."""
    delivery = read_back(with_value(LOG, 6, column, NULL), tmp_path)
    bank = delivery.mlc[0].bank_b_mm
    assert (np.isnan(bank.expected[6, 79]), np.isnan(bank.actual[6, 79])) == lacks
    assert np.count_nonzero(np.isnan(bank.expected)) == 1
    assert delivery.beam_on[6]
    with pytest.raises(Exception, match="no position"):
        measured(mlc_positions.ANALYZER, delivery, "elekta")
    with pytest.raises(Exception, match="no value"):
        measured(delivered_fluence.ANALYZER, delivery, "elekta")


@pytest.mark.parametrize("column", [GANTRY, GANTRY_ERROR, X1_DIAPHRAGM])
def test_a_null_angle_or_diaphragm_is_unknown(column: int, tmp_path: Path) -> None:
    delivery = read_back(with_value(LOG, 6, column, NULL), tmp_path)
    axis = delivery.jaw_y2_mm if column == X1_DIAPHRAGM else delivery.gantry_deg
    assert axis is not None
    assert np.isnan(axis.expected[6])
    assert np.isnan(axis.actual[6]) == (column != GANTRY_ERROR)
    assert np.count_nonzero(np.isnan(axis.expected)) == 1


def test_what_is_not_interpreted_is_kept_in_the_makers_unit(tmp_path: Path) -> None:
    delivery = read_back(LOG, tmp_path)
    assert delivery.couch_rotation_deg is None
    assert delivery.other_axes[2226].actual[0] == 0
    assert delivery.other_axes[2064].actual[0] == 1000
    assert delivery.other_axes[2541].actual[0] == 2
    assert delivery.couch_longitudinal_mm is not None
    assert delivery.couch_longitudinal_mm.actual[0] == 87.5


def test_items_that_are_not_needed_may_be_missing(tmp_path: Path) -> None:
    gone = [(2240, 111), (2542, 111), (2162, 101), (2227, 129), (2064, 129), (2541, 111)]
    delivery = read_back(without_item(LOG, *gone), tmp_path)
    assert delivery.control_point is None
    assert delivery.couch_longitudinal_mm is None
    assert delivery.couch_lateral_mm is not None
    assert {2064, 2541, 2542}.isdisjoint(delivery.other_axes)
    assert delivery.warnings == ("the raw dose is not logged: nothing confirms the step dose",)


def test_a_wrong_file_is_refused_with_its_own_error(tmp_path: Path) -> None:
    """Bytes of a row are not taken for a header's."""
    begin, _, _ = rows_of(LOG)
    assert isinstance(refused(LOG[begin:], tmp_path), ReadError)
