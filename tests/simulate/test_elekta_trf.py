"""Simulated TRFs: what is written is what is read."""

from __future__ import annotations

import struct
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
from analyzers.formats.elekta_trf import FORMAT, read
from analyzers.machine import axes, meterset, mlc_positions
from analyzers.records import Axis, Delivery, Identity
from qa_daemon.simulate.elekta_trf import (
    deliver_on_elekta,
    file_name,
    simulate,
    write_elekta_trf,
)
from qa_daemon.simulate.elekta_trf_bytes import PAIRS, VERSIONS, encode
from qa_daemon.simulate.motion import Errors
from qa_daemon.simulate.plan_shapes import FIELDS, sequence, static
from tests.machine.judging import measured, verdict, worst

HALF_A_TENTH = 0.05 + 1e-4
names = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/"), max_size=20)


def written_and_read(delivery: Delivery, **options: Any) -> Delivery:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.trf"
        write_elekta_trf(path, delivery, **options)
        return FORMAT.read(NamedFile(path, path.name), ())


def assert_same_axis(found: Axis | None, written: Axis | None, turn: float | None = None) -> None:
    """Within the rounding to tenths."""
    assert found is not None
    assert written is not None
    for kind in ("expected", "actual"):
        error = np.asarray(getattr(found, kind), dtype=np.float64) - getattr(written, kind)
        if turn is not None:
            error = (error + turn / 2.0) % turn - turn / 2.0
        assert np.abs(error).max() <= HALF_A_TENTH


deliveries = st.builds(
    lambda field, mlc, mu, seed, bank_a_mm, gantry_deg, at_mu, label, name: replace(
        deliver_on_elekta(
            sequence(FIELDS[field](mlc, mu), static(mlc, 1.0)),
            Errors(bank_a_mm=bank_a_mm, gantry_deg=gantry_deg, interrupted_at_mu=at_mu),
            seed=seed,
        ),
        identity=Identity(beam_label=label or None, beam_name=name or None),
    ),
    field=st.sampled_from(sorted(FIELDS)),
    mlc=st.sampled_from(sorted(PAIRS)),
    mu=st.floats(0.5, 30.0),
    seed=st.integers(0, 10),
    bank_a_mm=st.floats(-5.0, 5.0),
    gantry_deg=st.floats(-2.0, 2.0),
    at_mu=st.none() | st.floats(0.0, 40.0),
    label=names,
    name=names,
)


@settings(max_examples=60, deadline=None)
@given(deliveries, st.sampled_from(VERSIONS), st.integers(-12 * 60, 14 * 60))
def test_what_is_written_is_read(delivery: Delivery, version: int, offset_minutes: int) -> None:
    found = written_and_read(delivery, version=version, offset_minutes=offset_minutes)
    assert found.samples == delivery.samples
    assert found.interval_s == pytest.approx(0.04, abs=0.001)  # stamps jitter
    assert found.performed_at == delivery.performed_at
    assert found.machine_serial == delivery.machine_serial
    assert found.mlc_model == delivery.mlc_model
    assert found.planned_mu == pytest.approx(delivery.planned_mu)
    assert found.truncated == delivery.truncated
    assert (found.identity.beam_label, found.identity.beam_name) == (
        delivery.identity.beam_label,
        delivery.identity.beam_name,
    )
    assert_same_axis(found.gantry_deg, delivery.gantry_deg, 360.0)
    assert_same_axis(found.collimator_deg, delivery.collimator_deg, 360.0)
    assert_same_axis(found.jaw_y1_mm, delivery.jaw_y1_mm)
    assert_same_axis(found.jaw_y2_mm, delivery.jaw_y2_mm)
    assert set(found.jaws_mm) == {"Y1", "Y2"}
    (layer,), (written,) = found.mlc, delivery.mlc
    assert_same_axis(layer.bank_a_mm, written.bank_a_mm)
    assert_same_axis(layer.bank_b_mm, written.bank_b_mm)
    # Each of at most two steps loses what is less than a tenth.
    lost_mu = delivery.meterset_mu.actual - found.meterset_mu.actual
    assert lost_mu.min() > -0.1
    assert lost_mu.max() < 0.2 + 1e-6


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mlc", sorted(PAIRS))
def test_bytes_by_a_second_look(version: int, mlc: str) -> None:
    """The layout by hand: strings, numbers, list; rows of the version's size to the end."""
    delivery = deliver_on_elekta(static(mlc, 5.0), Errors(noise=False))
    content = encode(delivery, version=version)
    assert content[:20] == b"\x1326/01/04 21:30:00 Z"
    assert content[20:27] == b"\x06+10:00"
    assert content[27:41] == b"\x0d1-1/SIM FIELD"
    assert content[41:46] == b"\x049999"
    mu, said, items = struct.unpack_from("<dii", content, 46)
    assert (mu, said) == (50.0, version)
    assert items == 30 + 4 * PAIRS[mlc] + (version == 4)
    stamp, width = (0 if version == 1 else 8), (4 if version == 4 else 2)
    rows, rest = divmod(len(content) - 62 - 4 * items, stamp + width * items)
    assert (rows, rest) == (delivery.samples, 0)
    if version >= 2:
        (first_ms,) = struct.unpack_from("<q", content, 62 + 4 * items)
        # 4 January 2026, 21:30:00 UTC, and 430 s.
        assert first_ms == 1_767_562_200_000 + 430_000


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_no_error_without_one(field: str, tmp_path: Path) -> None:
    delivery = read(simulate(tmp_path / "x.trf", field=field, mu=20.0, noise=False))
    (layer,) = delivery.mlc
    for axis in (delivery.gantry_deg, layer.bank_a_mm, *delivery.jaws_mm.values()):
        assert axis is not None
        np.testing.assert_array_equal(axis.actual, axis.expected)


@pytest.mark.parametrize(
    ("options", "analyzer", "metric", "value", "judged"),
    [
        ({"leaf": "A40=-2.5"}, mlc_positions, "worst_leaf_rms", 2.5, "ACTION"),
        ({"leaf": "B41=0.9"}, mlc_positions, "largest_error", 0.9, "PASS"),
        ({"bank_a_mm": 0.8}, mlc_positions, "bank_a_mean_error", 0.8, "ACTION"),
        ({"bank_b_mm": 0.8}, mlc_positions, "bank_b_mean_error", 0.8, "ACTION"),
        ({"jaw": "Y2=-4.5"}, axes, "jaw_largest_error", 4.5, "TOLERANCE"),
        ({"gantry_deg": 2.5}, axes, "gantry_largest_error", 2.5, "TOLERANCE"),
        ({"collimator_deg": -1.2}, axes, "collimator_largest_error", 1.2, "ACTION"),
        ({"mu_percent": 3.0}, meterset, "planned_error", 6.0, "ACTION"),
        ({"interrupted_at_mu": 100.0}, meterset, "complete", 0.0, "ACTION"),
    ],
)
@pytest.mark.parametrize("version", [1, 3])
def test_stated_errors_are_found(
    options: dict[str, Any],
    analyzer: Any,
    metric: str,
    value: float,
    judged: str | None,
    version: int,
    tmp_path: Path,
) -> None:
    path = simulate(tmp_path / "x.trf", field="static", noise=False, version=version, **options)
    found = measured(analyzer.ANALYZER, read(path), "elekta")
    assert found[metric].value == pytest.approx(value, abs=1e-4)
    assert verdict(found[metric], "elekta") == judged


def test_a_delivery_with_usual_noise_passes(tmp_path: Path) -> None:
    delivery = read(simulate(tmp_path / "x.trf", field="vmat"))
    for analyzer in (axes, meterset, mlc_positions):
        assert worst(measured(analyzer.ANALYZER, delivery, "elekta"), "elekta") == "PASS"


def test_holds_are_states(tmp_path: Path) -> None:
    """Two seconds are 50 rows."""
    delivery = read(simulate(tmp_path / "x.trf", field="static", hold="50=2", noise=False))
    assert delivery.beam_hold is not None
    first, last = np.flatnonzero(delivery.beam_on)[[0, -1]]
    assert np.count_nonzero(delivery.beam_hold[first:last]) == 50


def test_a_service_beam_has_no_field_and_no_prescription(tmp_path: Path) -> None:
    delivery = read(simulate(tmp_path / "x.trf", service="yes", field="static"))
    assert (delivery.planned_mu, delivery.identity.beam_name) == (None, None)
    assert delivery.meterset_mu.actual[-1] > 199.0


def test_a_folder_gets_the_machines_own_name(tmp_path: Path) -> None:
    path = simulate(tmp_path, field="static")
    assert path.name == "26_01_04 21_30_00 Z 1-1_SIM FIELD.trf"
    assert path.name == file_name(read(path))


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    first = simulate(tmp_path / "a.trf", field="vmat", mu="20", seed=3).read_bytes()
    assert simulate(tmp_path / "b.trf", field="vmat", mu=20.0, seed=3).read_bytes() == first
    assert simulate(tmp_path / "c.trf", field="vmat", mu=20.0, seed=4).read_bytes() != first


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": 5}, "version"),
        ({"mlc": "hd120"}, "mlc"),
        ({"field": "round"}, "field"),
        ({"mu": 0.0}, "mu 0"),
        ({"mu": float("nan")}, "mu nan"),
        ({"leaf": "A81=1"}, "no leaf A81"),
        ({"jaw": "X1=1"}, "no jaw X1"),
        ({"leaf": "A1"}, "NAME=NUMBER"),
        ({"service": "perhaps"}, "service"),
    ],
)
def test_what_cannot_be_written_is_refused(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(tmp_path / "x.trf", **options)
    assert not (tmp_path / "x.trf").exists()


def test_what_is_no_elekta_delivery_is_not_encoded() -> None:
    delivery = deliver_on_elekta(static("agility", 5.0))
    for wrong, said in (
        (replace(delivery, performed_at=None), "performed_at"),
        (replace(delivery, mlc_model="hd120"), "hd120"),
        (replace(delivery, jaw_y1_mm=None), "jaws"),
        (replace(delivery, performed_at=datetime(2026, 1, 5), machine_serial="9" * 257), "257"),  # noqa: DTZ001
    ):
        with pytest.raises(ValueError, match=said):
            encode(wrong)
