"""Simulated trajectory logs: what is written is what is read, by us and by pylinac."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzers.core import NamedFile
from analyzers.formats.varian_trajectory_log import FORMAT, read
from analyzers.records import Axis, Delivery
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS, sequence, sliding_window, static, vmat
from qa_daemon.simulate.trajectory_log import (
    IDENTITY,
    file_name,
    simulate,
    write_companion,
    write_trajectory_log,
)
from qa_daemon.simulate.trajectory_log_bytes import MODEL_CODES

MLC_MODELS = sorted(MODEL_CODES)
AXES = (
    "meterset_mu",
    "control_point",
    "gantry_deg",
    "collimator_deg",
    "couch_rotation_deg",
    "couch_vertical_mm",
    "couch_longitudinal_mm",
    "couch_lateral_mm",
    "jaw_x1_mm",
    "jaw_x2_mm",
    "jaw_y1_mm",
    "jaw_y2_mm",
)


def written_and_read(delivery: Delivery, **options: Any) -> Delivery:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name(delivery)
        write_trajectory_log(path, delivery, **options)
        return read(path)


def assert_same_axis(found: Axis | None, written: Axis | None, turn: float | None = None) -> None:
    """Within a 32-bit float of the raw value: 1000 cm come in steps of 6e-4 mm."""
    assert (found is None) == (written is None)
    if found is None or written is None:
        return
    for kind in ("expected", "actual"):
        error = np.asarray(getattr(found, kind), dtype=np.float64) - getattr(written, kind)
        if turn is not None:
            error = (error + turn / 2.0) % turn - turn / 2.0
        assert np.abs(error).max() < 7e-4


deliveries = st.builds(
    lambda field, mlc, mu, seed, bank_a_mm, mu_percent, at_mu: replace(
        deliver(
            FIELDS[field](mlc, mu),
            Errors(bank_a_mm=bank_a_mm, mu_percent=mu_percent, interrupted_at_mu=at_mu),
            seed=seed,
            identity=IDENTITY,
        ),
        performed_at=datetime(2026, 1, 5, 7, 30),  # noqa: DTZ001
    ),
    field=st.sampled_from(sorted(FIELDS)),
    mlc=st.sampled_from(MLC_MODELS),
    mu=st.floats(0.5, 30.0),
    seed=st.integers(0, 10),
    bank_a_mm=st.floats(-5.0, 5.0),
    mu_percent=st.floats(-50.0, 5.0),
    at_mu=st.none() | st.floats(0.0, 40.0),
)


@settings(max_examples=60, deadline=None)
@given(
    deliveries,
    st.sampled_from(["1.5", "2.0", "2.1", "3.0", "4.0", "5.0"]),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
)
def test_what_is_written_is_read(delivery: Delivery, version: str, scale: int, crc: bool) -> None:
    crc = crc or version < "4.0"  # every older log carries one, and none is read without
    found = written_and_read(delivery, version=version, scale=scale, crc=crc)
    for name in AXES:
        turn = 360.0 if name.endswith("_deg") else None
        assert_same_axis(getattr(found, name), getattr(delivery, name), turn)
    assert found.beam_hold is not None
    np.testing.assert_array_equal(found.beam_hold, delivery.beam_hold)
    for layer, written in zip(found.mlc, delivery.mlc, strict=True):
        assert layer.name == written.name
        assert_same_axis(layer.bank_a_mm, written.bank_a_mm)
        assert_same_axis(layer.bank_b_mm, written.bank_b_mm)
    assert found.mlc_model == delivery.mlc_model
    assert found.planned_mu == pytest.approx(delivery.planned_mu, abs=1e-4)
    assert [(s.start, s.stop, s.delivered) for s in found.sub_beams] == [
        (s.start, s.stop, s.delivered) for s in delivery.sub_beams
    ]
    assert found.performed_at == delivery.performed_at
    assert found.identity.beam_names == delivery.identity.beam_names
    if float(version) >= 4.0:
        assert found.identity.patient_id == delivery.identity.patient_id
        assert found.energy == delivery.energy
    assert len(found.warnings) == (not crc)


@pytest.mark.parametrize("version", ["2.1", "3.0", "4.0", "5.0"])
@pytest.mark.parametrize("mlc", ["millennium80", "millennium120", "hd120"])
@pytest.mark.parametrize("field", ["static", "vmat"])
def test_pylinac_reads_the_same(version: str, mlc: str, field: str, tmp_path: Path) -> None:
    """An independent reader, in its own terms: machine scale, cm, leaves 1 to n of bank A first.

    Dual-layer logs are left out: pylinac addresses axes by position and wants jaws.
    """
    log_analyzer = pytest.importorskip("pylinac.log_analyzer")
    delivery = deliver(
        sequence(FIELDS[field](mlc, 20.0), static(mlc, 5.0)),
        Errors(bank_b_mm=1.5, leaf_mm={"A7": 2.0}, jaw_mm={"Y1": -3.0}, gantry_deg=0.5),
        identity=IDENTITY,
    )
    path = tmp_path / "x.bin"
    write_trajectory_log(path, delivery, version=version)
    theirs = log_analyzer.TrajectoryLog(str(path))
    ours = read(path)
    header, data = theirs.header, theirs.axis_data
    assert (header.version, header.num_snapshots) == (float(version), ours.samples)
    assert [beam.beam_name for beam in theirs.subbeams.subbeams] == list(ours.identity.beam_names)
    np.testing.assert_array_equal(data.mu.actual, ours.meterset_mu.actual)
    np.testing.assert_array_equal(data.beam_hold.actual, ours.beam_hold)
    assert ours.gantry_deg is not None
    assert ours.couch_vertical_mm is not None
    error_deg = (180.0 - data.gantry.actual - ours.gantry_deg.actual + 180.0) % 360.0 - 180.0
    assert np.abs(error_deg).max() < 7e-5
    signs_mm = {"x1": -10.0, "x2": 10.0, "y1": -10.0, "y2": 10.0}
    for name, mm in signs_mm.items():
        theirs_mm = getattr(data.jaws, name).actual * mm
        np.testing.assert_allclose(ours.jaws_mm[name.upper()].actual, theirs_mm, atol=4e-5)
    vertical_mm = 10.0 * (100.0 - data.couch.vert.actual)
    np.testing.assert_allclose(ours.couch_vertical_mm.actual, vertical_mm, atol=2e-4)
    (layer,) = ours.mlc
    for bank, before, mm in ((layer.bank_a_mm, 0, 10.0), (layer.bank_b_mm, layer.pairs, -10.0)):
        for k in range(layer.pairs):
            leaf = data.mlc.leaf_axes[before + k + 1]
            np.testing.assert_allclose(bank.expected[:, k], leaf.expected * mm, atol=4e-5)
            np.testing.assert_allclose(bank.actual[:, k], leaf.actual * mm, atol=4e-5)


@pytest.mark.parametrize("version", ["4.0", "5.0"])
def test_pylinac_reads_the_same_metadata(version: str, tmp_path: Path) -> None:
    log_analyzer = pytest.importorskip("pylinac.log_analyzer")
    path = tmp_path / "x.bin"
    simulate(path, version=version, field="static", mu=12.5)
    metadata = log_analyzer.TrajectoryLog(str(path)).header.metadata
    identity = read(path).identity
    assert metadata.patient_id == identity.patient_id
    assert metadata.plan_name == identity.plan_label
    assert metadata.sop_instance_uid == identity.plan_uid
    assert metadata.beam_name == identity.beam_name
    assert (metadata.mu_planned, metadata.energy) == (12.5, "6x")


def error_of(axis: Axis) -> np.ndarray[Any, Any]:
    return np.asarray(axis.actual, dtype=np.float64) - axis.expected


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_no_error_without_one(field: str, tmp_path: Path) -> None:
    delivery = read(simulate(tmp_path / "x.bin", field=field, mu=20.0, noise=False))
    (layer,) = delivery.mlc
    axes = [delivery.meterset_mu, delivery.gantry_deg, layer.bank_a_mm, layer.bank_b_mm]
    for axis in [*axes, *delivery.jaws_mm.values()]:
        assert axis is not None
        assert not error_of(axis).any()


def test_stated_errors_are_in_the_actual_axes(tmp_path: Path) -> None:
    path = simulate(
        tmp_path / "x.bin",
        noise=False,
        bank_a_mm=1.0,
        bank_b_mm=-0.5,
        leaf="A17=5, B3=-2",
        jaw="X1=40",
        mu_percent=-10.0,
        gantry_deg=0.7,
        collimator_deg=-0.3,
        couch_vertical_mm=2.0,
    )
    delivery = read(path)
    (layer,) = delivery.mlc
    # Bank A +1 everywhere and +5 more at leaf 17; bank B -0.5 and -2 more at leaf 3.
    a_mm, b_mm = np.full(60, 1.0), np.full(60, -0.5)
    a_mm[16] += 5.0
    b_mm[2] -= 2.0
    np.testing.assert_allclose(error_of(layer.bank_a_mm)[[0, 700]], [a_mm, a_mm], atol=2e-5)
    np.testing.assert_allclose(error_of(layer.bank_b_mm)[[0, 700]], [b_mm, b_mm], atol=2e-5)
    assert error_of(delivery.jaws_mm["X1"]) == pytest.approx(40.0, abs=2e-5)
    assert error_of(delivery.jaws_mm["X2"]) == pytest.approx(0.0)
    assert delivery.meterset_mu.expected[-1] == 200.0
    assert delivery.meterset_mu.actual[-1] == 180.0
    assert delivery.gantry_deg is not None
    assert delivery.collimator_deg is not None
    assert delivery.couch_vertical_mm is not None
    turned = (error_of(delivery.gantry_deg) + 180.0) % 360.0 - 180.0
    assert turned == pytest.approx(0.7, abs=1e-4)
    assert error_of(delivery.collimator_deg) == pytest.approx(-0.3, abs=1e-4)
    assert error_of(delivery.couch_vertical_mm) == pytest.approx(2.0, abs=1e-3)


def test_noise_is_of_the_size_of_real_logs(tmp_path: Path) -> None:
    """A clean log must pass at any clinic's limits: leaf RMS below 0.05 mm, meterset 0.01 MU."""
    delivery = read(simulate(tmp_path / "x.bin"))
    (layer,) = delivery.mlc
    rms_mm = np.sqrt(np.mean(error_of(layer.bank_a_mm)[delivery.beam_on] ** 2, axis=0))
    assert 0.005 < rms_mm.max() < 0.05
    assert 0.0 < np.abs(error_of(delivery.meterset_mu)).max() < 0.01
    assert np.diff(delivery.meterset_mu.actual).min() >= 0.0


def test_an_interruption_stops_both_axes_and_says_nothing(tmp_path: Path) -> None:
    delivery = read(simulate(tmp_path / "x.bin", interrupted_at_mu=50.0))
    assert 49.5 < delivery.meterset_mu.expected[-1] <= 50.0
    assert delivery.meterset_mu.actual[-1] == pytest.approx(50.0, abs=0.5)
    assert delivery.planned_mu == 200.0
    assert not delivery.truncated
    assert delivery.warnings == ()


def test_a_held_beam_waits(tmp_path: Path) -> None:
    """Two seconds at 50 MU: 100 samples without meterset, state 2."""
    held = read(simulate(tmp_path / "a.bin", hold="50=2", field="static"))
    whole = read(simulate(tmp_path / "b.bin", field="static"))
    assert held.samples - whole.samples == 100
    assert held.beam_hold is not None
    assert whole.beam_hold is not None
    waiting = (held.beam_hold == 2) & (np.abs(held.meterset_mu.expected - 50.0) < 0.5)
    assert np.count_nonzero(waiting) == 100
    assert not held.increment_mu[waiting].any()
    assert np.count_nonzero(held.beam_hold == 2) - np.count_nonzero(whole.beam_hold == 2) == 100


@pytest.mark.parametrize("field", sorted(FIELDS))
@pytest.mark.parametrize("mlc", MLC_MODELS)
def test_fields_are_deliverable(field: str, mlc: str) -> None:
    """Open pairs, within the speed of the axes and 20 cm of travel, 15 to 60 s long."""
    delivery = deliver(FIELDS[field](mlc, 200.0), Errors(noise=False))
    assert 750 <= delivery.samples <= 3000
    for layer in delivery.mlc:
        assert np.all(layer.bank_a_mm.actual >= layer.bank_b_mm.actual)
        for bank in (layer.bank_a_mm, layer.bank_b_mm):
            assert np.abs(bank.actual).max() <= 200.0
            assert np.abs(np.diff(bank.actual, axis=0)).max() <= 25.0 * 0.02 + 1e-6
    assert delivery.gantry_deg is not None
    step_deg = (np.diff(delivery.gantry_deg.actual) + 180.0) % 360.0 - 180.0
    assert np.abs(step_deg).max() <= 6.0 * 0.02 + 1e-6
    assert delivery.increment_mu.max() <= 10.0 * 0.02 + 1e-6


def test_an_arc_passes_gantry_zero() -> None:
    delivery = deliver(vmat("millennium120"))
    assert delivery.gantry_deg is not None
    assert 359.0 < delivery.gantry_deg.expected.max() < 360.0
    assert 0.0 <= delivery.gantry_deg.expected.min() < 1.0


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        simulate(tmp_path / name, seed=seed).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other


def test_options_may_come_as_a_command_gives_them(tmp_path: Path) -> None:
    """Numbers where a word looks like one, words elsewhere."""
    path = tmp_path / "x.bin"
    simulate(path, version=4.0, mu=10, seed=3, noise="false", interrupted_at_mu=5)
    by_command = path.read_bytes()
    simulate(path, version="4.0", mu=10.0, seed=3, noise=False, interrupted_at_mu=5.0)
    assert path.read_bytes() == by_command


def test_a_folder_gets_the_machines_names_and_the_companion(tmp_path: Path) -> None:
    path = simulate(tmp_path, companion=True)
    assert path.name == "QA_SIM_1_Simulated_Arc_20260105073000.bin"
    text = path.with_suffix(".txt")
    delivery = FORMAT.read(NamedFile(path, path.name), [NamedFile(text, text.name)])
    assert delivery.warnings == ()
    assert delivery.identity.beam_number == 1
    assert delivery.planned_mu_source == "companion"
    assert FORMAT.companions is not None
    assert FORMAT.companions.key(path.name) == FORMAT.companions.key(text.name)


def test_machine_parameters_are_written_into_the_companion(tmp_path: Path) -> None:
    plan = sequence(static("millennium120", 2.0), sliding_window("millennium120", 3.0))
    delivery = replace(
        deliver(plan, identity=IDENTITY),
        machine_parameters={"Gun Current (A)": 0.61},
        machine_states={"Water Level": "LowWarning"},
    )
    write_trajectory_log(tmp_path / "x.bin", delivery)
    write_companion(tmp_path / "x.txt", delivery)
    found = FORMAT.read(
        NamedFile(tmp_path / "x.bin", "x.bin"), [NamedFile(tmp_path / "x.txt", "x.txt")]
    )
    assert found.machine_parameters["Gun Current (A)"] == 0.61
    assert found.machine_states == {"Water Level": "LowWarning"}
    # The companion knows the first sub-beam only, as the machine's does.
    assert (found.planned_mu, found.planned_mu_source) == (5.0, "sub-beam records")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": "6.0"}, "version '6.0'"),
        ({"mlc": "agility"}, "mlc 'agility'"),
        ({"field": "square"}, "field 'square'"),
        ({"mu": 0.0}, "mu 0"),
        ({"noise": "perhaps"}, "noise 'perhaps'"),
        ({"bank_a_mm": "one"}, "one"),
        ({"leaf": "A17"}, "NAME=NUMBER"),
        ({"leaf": "A61=1"}, "no leaf A61"),
        ({"mlc": "halcyon", "jaw": "X1=1"}, "no jaw X1"),
        ({"hold": "300=1"}, "held at 300 MU"),
        ({"interrupted_at_mu": -1.0}, "interrupted at -1 MU"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(tmp_path / "x.bin", **options)
    assert not (tmp_path / "x.bin").exists()
