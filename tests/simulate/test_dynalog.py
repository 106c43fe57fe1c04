"""Simulated Dynalogs: what is written is what is read, to half a count."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from analyzers.formats.varian_dynalog import read
from analyzers.machine import beam_holds, delivered_fluence, meterset, mlc_positions
from analyzers.records import Delivery, Meterset
from qa_daemon.__main__ import app
from qa_daemon.simulate.dynalog import IDENTITY, ONE_LAYER, simulate, write_dynalog
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS
from tests.machine.judging import measured, verdict

HALF_A_COUNT_MM = 0.0098040


def pair_of(path_a: Path) -> Delivery:
    return read(path_a, path_a.with_name("B" + path_a.name[1:]))


def written_and_read(delivery: Delivery, **options: Any) -> Delivery:
    with tempfile.TemporaryDirectory() as folder:
        path_a = Path(folder) / "A_x.dlg"
        write_dynalog(path_a, delivery, **options)
        return pair_of(path_a)


@settings(max_examples=25, deadline=None)
@given(
    field=st.sampled_from(sorted(FIELDS)),
    mlc=st.sampled_from(ONE_LAYER),
    mu=st.floats(2.0, 30.0),
    seed=st.integers(0, 10),
    bank_a_mm=st.floats(-5.0, 5.0),
    at_mu=st.none() | st.floats(1.0, 2.0),
    scale=st.sampled_from([0, 1]),
    dose=st.sampled_from(["fraction", "gantry"]),
)
def test_what_is_read_is_what_was_written(
    field: str,
    mlc: str,
    mu: float,
    seed: int,
    bank_a_mm: float,
    at_mu: float | None,
    scale: int,
    dose: str,
) -> None:
    errors = Errors(bank_a_mm=bank_a_mm, interrupted_at_mu=at_mu)
    made = deliver(FIELDS[field](mlc, mu), errors, seed=seed, identity=IDENTITY, interval_s=0.05)
    found = written_and_read(made, scale=scale, dose=dose)
    assert found.samples == made.samples
    for bank in ("bank_a_mm", "bank_b_mm"):
        for kind in ("expected", "actual"):
            written, was_read = (getattr(getattr(d.mlc[0], bank), kind) for d in (made, found))
            assert np.abs(was_read - written).max() <= HALF_A_COUNT_MM + 1e-9
    for name, axis in made.jaws_mm.items():
        assert np.abs(found.jaws_mm[name].actual - axis.actual).max() <= 0.5
    for name in ("gantry_deg", "collimator_deg"):
        error_deg = getattr(found, name).actual - getattr(made, name).actual
        assert np.abs((error_deg + 180.0) % 360.0 - 180.0).max() <= 0.05 + 1e-9
    assert made.beam_hold is not None
    np.testing.assert_array_equal(found.beam_on, made.beam_hold == 0)
    is_arc = dose == "gantry" and field == "vmat" and found.meterset is Meterset.NONE
    if not is_arc and dose == "fraction":
        assert found.meterset_percent is not None
        share = np.clip(100.0 * made.meterset_mu.actual / mu, 0.0, 100.0)
        assert np.abs(found.meterset_percent.actual - share).max() <= 0.002 + 1e-9
    assert found.identity.patient_id == IDENTITY.patient_id
    assert found.identity.plan_uid == IDENTITY.plan_uid


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("A_1.dlg", "A_2.dlg"):
        simulate(tmp_path / name, seed=3, mu=30)
    assert (tmp_path / "A_1.dlg").read_bytes() == (tmp_path / "A_2.dlg").read_bytes()
    assert (tmp_path / "B_1.dlg").read_bytes() == (tmp_path / "B_2.dlg").read_bytes()


def test_an_arc_has_no_dose_unless_told(tmp_path: Path) -> None:
    assert pair_of(simulate(tmp_path / "A1.dlg", field="vmat")).meterset is Meterset.NONE
    with_dose = simulate(tmp_path / "A2.dlg", field="vmat", dose="fraction")
    assert pair_of(with_dose).meterset is Meterset.SHARE


@pytest.mark.parametrize(
    ("errors", "analyzer", "metric", "value", "said"),
    [
        ({"bank_a_mm": 2.0}, mlc_positions, "bank_a_mean_error", 2.0, "ACTION"),
        ({"bank_a_mm": 2.0}, mlc_positions, "worst_leaf_rms", 2.0, "ACTION"),
        ({"leaf": "B30=-4"}, mlc_positions, "largest_error", 4.0, "ACTION"),
        ({"interrupted_at_mu": 15.0}, meterset, "planned_error_percent", -50.0, None),
        ({"interrupted_at_mu": 15.0}, meterset, "complete", 0.0, "ACTION"),
        ({"mu_percent": -10.0}, meterset, "planned_error_percent", -10.0, None),
        ({}, meterset, "complete", 1.0, "PASS"),
        ({}, meterset, "planned_error_percent", 0.0, None),
        ({}, delivered_fluence, "fluence_error", 0.0, "PASS"),
        ({"hold": "10=2"}, beam_holds, "held_time", 2.0, None),
    ],
)
def test_a_stated_error_is_found(
    errors: dict[str, Any],
    analyzer: Any,
    metric: str,
    value: float,
    said: str | None,
    tmp_path: Path,
) -> None:
    delivery = pair_of(simulate(tmp_path / "A_x.dlg", mu=30.0, noise=False, **errors))
    found = measured(analyzer.ANALYZER, delivery, "clinac")[metric]
    # Positions come in counts of 0.02 mm, the dose in steps; a sample is 50 ms, 0.5 MU.
    assert found.value == pytest.approx(value, abs=2.0 if metric.endswith("percent") else 0.1)
    assert verdict(found, "clinac") == said


def test_a_gap_5_mm_too_wide_is_seen_in_the_fluence(tmp_path: Path) -> None:
    delivery = pair_of(simulate(tmp_path / "A_x.dlg", mu=30.0, noise=False, bank_a_mm=5.0))
    found = measured(delivered_fluence.ANALYZER, delivery, "clinac")
    # A gap of 20 mm that is 25 mm wide lets a quarter more through.
    assert found["fluence_error"].value == pytest.approx(25.0, abs=0.5)
    assert verdict(found["gamma_pass"], "clinac") == "ACTION"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mlc": "halcyon"}, "mlc"),
        ({"field": "x"}, "field"),
        ({"mu": 0.0}, "mu"),
        ({"scale": 2}, "scale"),
        ({"dose": "x"}, "dose"),
        ({"leaf": "A17"}, "NAME=NUMBER"),
        ({"leaf": "A99=1"}, "no leaf A99"),
    ],
)
def test_an_unknown_word_is_refused(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        simulate(tmp_path / "A_x.dlg", **options)


def test_the_command_writes_a_pair_and_needs_a_name_that_tells_the_bank(tmp_path: Path) -> None:
    words = ["simulate", "dynalog", "--out", str(tmp_path), "--mu", "20", "--mlc", "millennium80"]
    assert CliRunner().invoke(app, words).exit_code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["A20260105073000_QA_SIM_1.dlg", "B20260105073000_QA_SIM_1.dlg"]
    assert pair_of(tmp_path / names[0]).mlc_model == "millennium80"
    words[3] = str(tmp_path / "x.dlg")
    assert CliRunner().invoke(app, words).exit_code == 2


def test_a_delivery_without_a_plan_cannot_be_written(tmp_path: Path) -> None:
    made = deliver(FIELDS["static"]("millennium120", 10.0), interval_s=0.05)
    with pytest.raises(ValueError, match="planned meterset"):
        write_dynalog(tmp_path / "A_x.dlg", replace(made, planned_mu=None))
