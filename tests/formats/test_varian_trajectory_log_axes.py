"""Scales, leaves and sub-beams of trajectory logs, each number worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzers.formats.varian_trajectory_log import read
from analyzers.formats.varian_trajectory_log_axes import TO_IEC, mlc_model
from analyzers.mlc_geometry import LEAF_EDGES_MM
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import sequence, sliding_window, static
from qa_daemon.simulate.trajectory_log import write_trajectory_log
from tests.formats.small_logs import (
    CONTROL_POINT,
    DATA,
    RECORDS,
    SUB_BEAMS,
    patched,
    small_log,
    with_crc,
)


@pytest.mark.parametrize(
    ("scale", "code", "raw", "iec"),
    [
        # Machine scale: a real plan from gantry 170 to 32 is logged as 10 to 148.
        (1, 1, 10.0, 170.0),
        (1, 1, 148.0, 32.0),
        (1, 1, 359.9, 180.1),
        (1, 1, 181.0, 359.0),
        (1, 0, 180.0, 0.0),
        (1, 9, 179.0, 1.0),
        (1, 2, 8.0, -80.0),
        (1, 3, 8.0, 80.0),
        (1, 4, 4.0, -40.0),
        (1, 4, -2.0, 20.0),
        (1, 5, 9.0, 90.0),
        (1, 6, 125.0, -250.0),
        (1, 7, 90.0, 900.0),
        (1, 8, 95.0, -50.0),
        (1, 10, -0.002, -0.002),
        # Modified IEC.
        (2, 1, 359.0, 359.0),
        (2, 1, 360.0, 0.0),
        (2, 0, 90.0, 90.0),
        (2, 9, 90.0, 270.0),
        (2, 9, 0.0, 0.0),
        (2, 6, 16.0, -160.0),
        (2, 6, 1005.0, 50.0),
        (2, 8, 985.0, -150.0),
        (2, 8, 15.0, 150.0),
        (2, 4, 5.0, -50.0),
        (2, 11, 359.5, -0.5),
        # Machine scale isocentric is machine scale.
        (3, 1, 10.0, 170.0),
        (3, 6, 99.0, 10.0),
    ],
)
def test_from_the_machines_scale(scale: int, code: int, raw: float, iec: float) -> None:
    converted = TO_IEC[scale][code](np.array([raw], dtype=np.float32))
    assert converted.dtype == np.float32
    assert converted[0] == pytest.approx(iec, abs=1e-4)


def test_an_angle_just_below_zero_does_not_become_360() -> None:
    just_above_180 = np.nextafter(np.float32(180.0), np.float32(181.0), dtype=np.float32)
    turned = TO_IEC[1][1](np.array([180.0, just_above_180], dtype=np.float32))
    assert np.all((turned >= 0.0) & (turned < 360.0))


@pytest.mark.parametrize(
    ("code", "samples", "model"),
    [
        (0, 82, "millennium80"),
        (2, 122, "millennium120"),
        (3, 122, "hd120"),
        (6, 116, "halcyon"),
        (99, 116, "halcyon"),
        (1, 54, "millennium52"),
        (2, 116, None),
        (0, 122, None),
        (4, 122, None),
        (6, 122, None),
        (2, 1, None),
    ],
)
def test_model_of_the_leaves(code: int, samples: int, model: str | None) -> None:
    assert mlc_model(code, samples) == model


@pytest.mark.parametrize(
    ("model", "layer", "pairs", "half_mm", "narrowest_mm"),
    [
        ("millennium52", "", 26, 130.0, 10.0),
        ("millennium80", "", 40, 200.0, 10.0),
        ("millennium120", "", 60, 200.0, 5.0),
        ("hd120", "", 60, 110.0, 2.5),
        ("halcyon", "28", 28, 140.0, 10.0),
        ("halcyon", "29", 29, 145.0, 10.0),
    ],
)
def test_leaf_boundaries(
    model: str, layer: str, pairs: int, half_mm: float, narrowest_mm: float
) -> None:
    edges_mm = LEAF_EDGES_MM[model][layer]
    assert len(edges_mm) == pairs + 1
    assert (edges_mm[0], edges_mm[-1]) == (-half_mm, half_mm)
    assert np.diff(edges_mm).min() == narrowest_mm
    np.testing.assert_array_equal(edges_mm, -edges_mm[::-1])


def test_boundaries_between_wide_and_narrow_leaves() -> None:
    assert LEAF_EDGES_MM["millennium120"][""][[10, 50]].tolist() == [-100.0, 100.0]
    assert LEAF_EDGES_MM["hd120"][""][[14, 46]].tolist() == [-40.0, 40.0]


def test_both_banks_and_every_leaf_stand_where_they_were_put(tmp_path: Path) -> None:
    """Every leaf gets an offset of its own, in a head with two layers: nothing is interchanged."""
    offsets_mm = {
        f"{layer}{bank}{k}": 0.1 * k + (5.0 if bank == "A" else 0.0) + int(layer)
        for layer in ("28", "29")
        for bank in ("A", "B")
        for k in range(1, int(layer) + 1)
    }
    plan = static("halcyon", 1.0)
    delivery = deliver(plan, Errors(leaf_mm=offsets_mm, noise=False))
    write_trajectory_log(tmp_path / "x.bin", delivery)
    layers = read(tmp_path / "x.bin").mlc
    assert [layer.name for layer in layers] == ["28", "29"]
    for layer in layers:
        for bank, axis in (("A", layer.bank_a_mm), ("B", layer.bank_b_mm)):
            error_mm = axis.actual[0] - axis.expected[0]
            wanted_mm = [offsets_mm[name] for name in layer.leaf_names(bank)]
            np.testing.assert_allclose(error_mm, wanted_mm, atol=2e-5)


def test_a_dual_layer_log_has_no_jaws(tmp_path: Path) -> None:
    write_trajectory_log(tmp_path / "x.bin", deliver(static("halcyon", 1.0)))
    delivery = read(tmp_path / "x.bin")
    assert (delivery.jaws_mm, delivery.mlc_model) == ({}, "halcyon")


def test_sub_beams_begin_at_their_control_point(tmp_path: Path) -> None:
    """Two control points each; the second record says 1, the last control point of the first."""
    plan = sequence(static("millennium120", 2.0), sliding_window("millennium120", 3.0))
    write_trajectory_log(tmp_path / "x.bin", deliver(plan))
    delivery = read(tmp_path / "x.bin")
    first, second = delivery.sub_beams
    assert delivery.control_point is not None
    reached = delivery.control_point.actual >= 1.0
    assert (first.start, first.stop) == (0, int(np.argmax(reached)))
    assert (second.start, second.stop) == (first.stop, delivery.samples)
    assert [s.planned_mu for s in delivery.sub_beams] == [2.0, 3.0]
    assert [s.sequence for s in delivery.sub_beams] == [0, 1]
    assert (delivery.planned_mu, delivery.planned_mu_source) == (5.0, "sub-beam records")


def test_a_sub_beam_that_was_not_reached_is_not_delivered(tmp_path: Path) -> None:
    plan = sequence(static("millennium120", 2.0), static("millennium120", 3.0))
    write_trajectory_log(tmp_path / "x.bin", deliver(plan, Errors(interrupted_at_mu=1.0)))
    delivery = read(tmp_path / "x.bin")
    assert [s.delivered for s in delivery.sub_beams] == [True, False]
    assert delivery.sub_beams[1].start == delivery.sub_beams[1].stop == delivery.samples
    assert delivery.planned_mu == 5.0
    assert not delivery.truncated


def test_a_sub_beam_that_ends_where_it_begins_is_not_delivered(tmp_path: Path) -> None:
    """Two records with the same control point: no sample belongs to the first."""
    path = tmp_path / "x.bin"
    path.write_bytes(patched(small_log(beams=2), RECORDS + 560, "i", 0))
    delivery = read(path)
    assert [(s.start, s.stop, s.delivered) for s in delivery.sub_beams] == [
        (0, 0, False),
        (0, delivery.samples, True),
    ]
    assert delivery.planned_mu == 2.0


def test_control_points_that_stay_at_zero(tmp_path: Path) -> None:
    """As in the logs of some static fields."""
    content = bytearray(small_log())
    for snapshot in range((len(content) - DATA - 2) // 1096):
        offset = DATA + 8 * (137 * snapshot + CONTROL_POINT)
        content[offset : offset + 8] = bytes(8)
    path = tmp_path / "x.bin"
    path.write_bytes(with_crc(bytes(content)))
    delivery = read(path)
    (sub_beam,) = delivery.sub_beams
    assert (sub_beam.start, sub_beam.stop, sub_beam.delivered) == (0, delivery.samples, True)


def test_a_log_without_sub_beams(tmp_path: Path) -> None:
    content = small_log()
    path = tmp_path / "x.bin"
    path.write_bytes(patched(content[:RECORDS] + content[RECORDS + 560 :], SUB_BEAMS, "i", 0))
    delivery = read(path)
    assert (delivery.sub_beams, delivery.planned_mu, delivery.not_judged) == ((), None, None)


def planned(sub_beam_mu: float, *, delivered: bool) -> bytes:
    plan = static("millennium120", 10.0)
    return patched(
        small_log() if delivered else _before_the_beam(plan.mlc_model),
        RECORDS + 4,
        "f",
        sub_beam_mu,
    )


def _before_the_beam(model: str) -> bytes:
    from qa_daemon.simulate.trajectory_log_bytes import encode

    return encode(deliver(static(model, 10.0), Errors(interrupted_at_mu=0.0)))


@pytest.mark.parametrize(
    ("sub_beam_mu", "delivered", "imaging"),
    [
        (0.0, True, True),  # a port image of 1 MU
        (0.0, False, True),  # a kV pair
        (100.0, False, False),  # stopped before the first MU
        (1.0, True, False),
    ],
)
def test_only_logs_without_planned_meterset_are_imaging(
    sub_beam_mu: float, delivered: bool, imaging: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(planned(sub_beam_mu, delivered=delivered))
    delivery = read(path)
    reason = "imaging or setup log: no planned meterset"
    assert delivery.not_judged == (reason if imaging else None)
    assert delivery.planned_mu == (sub_beam_mu or None)


def test_much_meterset_without_a_plan_is_judged(tmp_path: Path) -> None:
    write_trajectory_log(tmp_path / "x.bin", deliver(static("millennium120", 21.0)))
    path = tmp_path / "x.bin"
    path.write_bytes(patched(path.read_bytes(), RECORDS + 4, "f", 0.0))
    assert read(path).not_judged is None
