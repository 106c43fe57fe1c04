"""Every real trajectory log: read, and compared with what peer tools read from the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analyzers.core import NamedFile, TruncatedError
from analyzers.formats.varian_trajectory_log import FORMAT, read
from analyzers.formats.varian_trajectory_log_layout import read_raw
from analyzers.records import Axis, Delivery
from tests import real_data
from tests.formats.small_logs import RECORDS, patched

FLT_MAX = float(np.finfo(np.float32).max)
LOGS = real_data.files("tlog", "*/*.bin")
TEXTS = real_data.files("tlog", "*/*.txt")
pytestmark = real_data.skip_without("tlog")
each_log = pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")


def companions_of(path: Path) -> list[NamedFile]:
    """As the service pairs them: equal prefix, nearest stamp within reach."""
    assert FORMAT.companions is not None
    own = FORMAT.companions.key(path.name)
    near = []
    for text in TEXTS:
        key = FORMAT.companions.key(text.name)
        if own and key and key[0] == own[0] and text.parent == path.parent:
            near.append((abs(key[1] - own[1]), text))
    near = sorted(pair for pair in near if pair[0] <= FORMAT.companions.reach)
    return [NamedFile(text, text.name) for _, text in near[:1]]


def read_with_companion(path: Path) -> Delivery:
    return FORMAT.read(NamedFile(path, path.name), companions_of(path))


@each_log
def test_reads_without_a_warning(path: Path) -> None:
    assert FORMAT.recognize(path.read_bytes()[:4096])
    assert read_with_companion(path).warnings == ()


@each_log
def test_header_and_last_meterset_as_the_peer_read_them(path: Path) -> None:
    peer = real_data.peer_reads("tlog")[f"tlog/{path.parent.name}/{path.name}"]
    with path.open("rb") as content:
        header = read_raw(content, path.stat().st_size).header
    delivery = read(path)
    assert float(".".join(map(str, header.version))) == peer["version"]
    assert peer["header_size"] == 1024
    assert list(header.samples_per_axis) == peer["axis_enum"]
    assert list(header.samples_per_axis.values()) == peer["samples_per_axis"]
    assert len(header.samples_per_axis) == peer["num_axes"]
    assert header.scale == peer["axis_scale"]
    assert header.interval_ms == peer["sampling_ms"]
    assert len(delivery.sub_beams) == peer["num_subbeams"]
    assert delivery.samples == peer["num_snapshots"]
    assert delivery.truncated == bool(peer["truncated"])
    assert header.mlc_model == peer["mlc_model"]
    assert (delivery.mlc_model == "hd120") == peer["is_hdmlc"]
    assert 2 * delivery.mlc[0].pairs == peer["num_mlc_leaves"]
    assert float(delivery.meterset_mu.actual[-1]) == peer["mu_last"]
    assert float(delivery.meterset_mu.expected[-1]) == peer["mu_expected_last"]


@each_log
def test_axes_as_the_peer_read_them(path: Path) -> None:
    """The peer keeps machine scale and cm, we give IEC 61217 and mm."""
    peer = real_data.peer_reads("tlog")[f"tlog/{path.parent.name}/{path.name}"]
    delivery = read(path)
    assert delivery.gantry_deg is not None
    assert delivery.collimator_deg is not None
    iec_deg = np.mod(180.0 - np.array(peer["gantry_first_last"]), 360.0)
    assert_close_turns(delivery.gantry_deg.actual[[0, -1]], iec_deg)
    collimator_deg = np.mod(180.0 - peer["coll"], 360.0)
    assert_close_turns(delivery.collimator_deg.actual[:1], np.array([collimator_deg]))
    # The peer lists X1, X2, Y1, Y2 as distances from the beam axis, at the first snapshot.
    signs = {"X1": -1.0, "X2": 1.0, "Y1": -1.0, "Y2": 1.0}
    for (name, sign), jaw_cm in zip(signs.items(), peer["jaws_cm"], strict=True):
        axis = delivery.jaws_mm[name]
        assert axis.actual[0] == pytest.approx(10.0 * sign * jaw_cm, abs=2e-5)


@each_log
def test_leaf_errors_as_the_peer_computed_them(path: Path) -> None:
    """The peer counts the samples whose beam hold is 0, and parked leaves like all others.

    Where no sample has beam hold 0 (setup pairs) it reports zeros and fails at the percentile.
    """
    peer = real_data.peer_reads("tlog")[f"tlog/{path.parent.name}/{path.name}"]
    delivery = read(path)
    assert delivery.beam_hold is not None
    assert int(np.sum(np.diff(delivery.beam_hold) > 0)) == peer["num_beamholds"]
    counted = delivery.beam_hold == 0
    if not counted.any():
        assert (peer["rms_max_mm"], "mlc_error" in peer) == (0.0, True)
        return
    (layer,) = delivery.mlc
    banks = (layer.bank_a_mm, layer.bank_b_mm)
    actual_mm = np.hstack([bank.actual for bank in banks])[counted].astype(np.float64)
    error_mm = actual_mm - np.hstack([bank.expected for bank in banks])[counted]
    rms_mm = np.sqrt(np.mean(error_mm**2, axis=0))
    assert rms_mm.mean() == pytest.approx(peer["rms_avg_mm"], abs=2e-5)
    assert rms_mm.max() == pytest.approx(peer["rms_max_mm"], abs=2e-5)
    assert np.percentile(np.abs(error_mm), 95) == pytest.approx(peer["err95_mm"], abs=2e-5)
    # A leaf moves when its actual position spreads by more than 0.01 cm.
    assert np.count_nonzero(actual_mm.std(axis=0) > 0.1) == peer["n_moving_leaves"]


@each_log
def test_what_the_peer_takes_for_imaging_is_not_judged(path: Path) -> None:
    """Except that the peer takes a double exposure of 3 MU without planned meterset for a field."""
    peer = real_data.peer_reads("tlog")[f"tlog/{path.parent.name}/{path.name}"]
    if "Double_Exposure" in path.name:
        assert peer["treatment_type"] == "Dynamic IMRT"
        assert read(path).not_judged is not None
    else:
        assert (peer["treatment_type"] == "Imaging") == (read(path).not_judged is not None)


@each_log
def test_a_companion_the_peer_finds_is_found(path: Path) -> None:
    """The peer wants equal names; with our second of reach more are found."""
    peer = real_data.peer_reads("tlog")[f"tlog/{path.parent.name}/{path.name}"]
    if peer["has_txt"]:
        assert [c.name for c in companions_of(path)] == [path.with_suffix(".txt").name]


def assert_close_turns(found: Any, wanted: Any) -> None:
    """Angles that agree to 32 bits, across 0 and 360."""
    assert np.all(np.abs((found - wanted + 180.0) % 360.0 - 180.0) < 6e-5)


@each_log
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_every_axis_and_leaf_as_pylinac_reads_it(path: Path) -> None:
    """Side by side, all samples.

    pylinac addresses columns by position and keeps the machine's scale.  Its leaves 1 to 60 are our
    bank A, 61 to 120 our bank B; it has couch pitch and roll from version 3 on.
    """
    log_analyzer = pytest.importorskip("pylinac.log_analyzer")
    data = log_analyzer.TrajectoryLog(str(path)).axis_data
    ours = read(path)
    assert_same_leaves(ours, data.mlc.leaf_axes)
    same = {"meterset_mu": data.mu, "control_point": data.control_point}
    for name, axis in same.items():
        for kind in ("expected", "actual"):
            assert_array_equal(getattr(getattr(ours, name), kind), getattr(axis, kind))
    assert_array_equal(ours.beam_hold, data.beam_hold.actual)
    turns = {
        "gantry_deg": data.gantry,
        "collimator_deg": data.collimator,
        "couch_rotation_deg": data.couch.rotn,
    }
    for name, axis in turns.items():
        for kind in ("expected", "actual"):
            iec_deg = np.mod(180.0 - getattr(axis, kind).astype(np.float64), 360.0)
            assert_close_turns(getattr(getattr(ours, name), kind), iec_deg)
    for name, axis in (("couch_pitch_deg", data.couch.pitch), ("couch_roll_deg", data.couch.roll)):
        our_axis = getattr(ours, name)
        assert (our_axis is None) == (axis is None)
        if axis is not None:
            assert_array_equal(our_axis.actual, axis.actual)
    for name, axis, iec_mm in linear_axes(data):
        for kind in ("expected", "actual"):
            wanted_mm = iec_mm(getattr(axis, kind).astype(np.float64))
            found_mm = getattr(getattr(ours, name), kind)
            np.testing.assert_allclose(found_mm, wanted_mm, rtol=1.2e-7, atol=4e-5)


def linear_axes(data: Any) -> list[tuple[str, Any, Any]]:
    """Our name, pylinac's axis in cm, and the way from one to the other."""
    return [
        ("jaw_x1_mm", data.jaws.x1, lambda v: -10.0 * v),
        ("jaw_x2_mm", data.jaws.x2, lambda v: 10.0 * v),
        ("jaw_y1_mm", data.jaws.y1, lambda v: -10.0 * v),
        ("jaw_y2_mm", data.jaws.y2, lambda v: 10.0 * v),
        ("couch_vertical_mm", data.couch.vert, lambda v: 10.0 * (100.0 - v)),
        ("couch_longitudinal_mm", data.couch.long, lambda v: 10.0 * v),
        ("couch_lateral_mm", data.couch.latl, lambda v: 10.0 * (v - 100.0)),
    ]


def assert_same_leaves(ours: Delivery, leaves: Any) -> None:
    (layer,) = ours.mlc
    banks: list[tuple[Axis, int, float]] = [
        (layer.bank_a_mm, 0, 10.0),
        (layer.bank_b_mm, 60, -10.0),
    ]
    for bank, before, mm_per_cm in banks:
        for kind in ("expected", "actual"):
            theirs_cm = np.stack([getattr(leaves[before + k], kind) for k in range(1, 61)], axis=1)
            # Exact in 64 bits and rounded once on either side: equal to the last bit.
            wanted_mm = (theirs_cm.astype(np.float64) * mm_per_cm).astype(np.float32)
            assert_array_equal(getattr(bank, kind), wanted_mm)


def test_imaging_logs_and_no_others_are_not_judged() -> None:
    """Setup pairs, port images and double exposures plan no meterset; their names say so."""
    for path in LOGS:
        imaging = any(word in path.name for word in ("KVKV", "Planned_"))
        assert (read(path).not_judged is not None) == imaging, path.stem


def test_an_interrupted_delivery_keeps_its_planned_meterset() -> None:
    """173 of 480 MU, header not truncated, and the expected meterset ends with the actual one."""
    (path,) = [path for path in LOGS if "T1.1_PF_RA_20181227133049" in path.name]
    delivery = read(path)
    assert delivery.planned_mu == 480.0
    assert float(delivery.meterset_mu.actual[-1]) == pytest.approx(173.289, abs=1e-3)
    assert not delivery.truncated
    assert delivery.not_judged is None


def test_sub_beams_are_added_up_where_the_companion_knows_only_the_first() -> None:
    (path,) = [path for path in LOGS if "1.5_TX_20151015101452" in path.name]
    delivery = read_with_companion(path)
    assert [s.planned_mu for s in delivery.sub_beams] == [107.0, 9.0]
    assert (delivery.planned_mu, delivery.planned_mu_source) == (116.0, "sub-beam records")
    assert delivery.identity.beam_names == ("1.5:TX", "1.6:TX")
    assert [(s.start, s.stop) for s in delivery.sub_beams] == [(0, 1068), (1068, 1450)]


def spoiled(path: Path, folder: Path, offset: int, layout: str, value: float) -> Path:
    """A copy of a real log with another number and the checksum that goes with it."""
    copy = folder / "x.bin"
    copy.write_bytes(patched(path.read_bytes(), offset, layout, value))
    return copy


def test_a_real_companion_that_disagrees_does_not_hide_an_overdose(tmp_path: Path) -> None:
    """218 MU delivered; the record says 200, the companion 218."""
    (path,) = [path for path in LOGS if "1.1_TX_20151015100142" in path.name]
    copy = spoiled(path, tmp_path, RECORDS + 4, "f", 200.0)
    delivery = FORMAT.read(NamedFile(copy, path.name), companions_of(path))
    assert (delivery.planned_mu, delivery.planned_mu_source) == (200.0, "sub-beam records")
    assert "companion 218, sub-beam records 200" in delivery.warnings[0]


def test_a_real_companion_that_fits_no_sub_beam_is_told(tmp_path: Path) -> None:
    """Records of 107 and 9 MU, 116 delivered, companion 107; now the first record says 100."""
    (path,) = [path for path in LOGS if "1.5_TX_20151015101452" in path.name]
    copy = spoiled(path, tmp_path, RECORDS + 4, "f", 100.0)
    delivery = FORMAT.read(NamedFile(copy, path.name), companions_of(path))
    assert (delivery.planned_mu, delivery.planned_mu_source) == (107.0, "companion")
    assert "companion 107, sub-beam records 109" in delivery.warnings[0]


def test_a_real_log_without_its_checksum_is_cut(tmp_path: Path) -> None:
    for path in LOGS:
        content = path.read_bytes()
        (tmp_path / "x.bin").write_bytes(content[:-2])
        with pytest.raises(TruncatedError) as raised:
            read(tmp_path / "x.bin")
        assert raised.value.code == "TLOG_SIZE"


def test_a_real_couch_that_drops_out_keeps_its_other_samples(tmp_path: Path) -> None:
    (path,) = [path for path in LOGS if "1.1_TX_20151015100142" in path.name]
    with path.open("rb") as content:
        header = read_raw(content, path.stat().st_size).header
    sample = header.samples * 1000 + header.columns[6].start
    copy = spoiled(path, tmp_path, header.data_offset + 8 * sample + 4, "f", FLT_MAX)
    wanted, found = read(path).couch_vertical_mm, read(copy).couch_vertical_mm
    assert wanted is not None
    assert found is not None
    assert np.flatnonzero(np.isnan(found.actual)).tolist() == [1000]
    known = np.arange(header.snapshots) != 1000
    assert_array_equal(found.actual[known], wanted.actual[known])
    assert_array_equal(found.expected, wanted.expected)


def test_companions_are_paired_across_a_second() -> None:
    paired = [path for path in LOGS if companions_of(path)]
    later = [path for path in paired if companions_of(path)[0].name[:-4] != path.stem]
    # 29 logs have a text, 23 of equal name and 6 a second later; 17 texts stand alone.
    assert (len(paired), len(later), len(TEXTS)) == (29, 6, 46)


def test_companion_gives_identity_energy_and_machine_parameters() -> None:
    (path,) = [path for path in LOGS if "1.1_TX_20151015100142" in path.name]
    delivery = read_with_companion(path)
    assert delivery.identity.beam_number == 1
    assert delivery.identity.beam_name == "1.1:TX"
    assert delivery.identity.plan_label == "4DC Treatment"
    assert delivery.energy == "6x"
    assert (delivery.planned_mu, delivery.planned_mu_source) == (218.0, "companion")
    # Keys with their unit, stray colons and spaces taken out; the numbers as written.
    assert delivery.machine_parameters["Gun High Voltage (V)"] == -14886.0
    assert delivery.machine_parameters["Trim (A)"] == -0.03611755
    assert delivery.machine_parameters["Negative 12V dc"] == 12.32178
    assert delivery.machine_states == {"Water Level": "Normal"}
    assert len(delivery.machine_parameters) == 44


def test_every_real_companion_is_recognized_and_no_log_is() -> None:
    assert FORMAT.companions is not None
    for path in TEXTS:
        assert FORMAT.companions.recognize(path.read_bytes()[:4096])
        assert not FORMAT.recognize(path.read_bytes()[:4096])
    for path in LOGS:
        assert not FORMAT.companions.recognize(path.read_bytes()[:4096])


def test_beam_names_lose_their_utf7() -> None:
    (path,) = [path for path in LOGS if "T1.1_PF_RA_20181227133049" in path.name]
    assert read(path).identity.beam_names == ("T1.1_PF_RA",)
