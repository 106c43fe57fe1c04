"""Every leaf by itself: one known fault in one leaf is found in that leaf and in no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analyzers import catalogue
from analyzers.core import AnalysisError, LeafTable, NamedFile, NotApplicable, ReadError
from analyzers.formats.varian_trajectory_log import FORMAT
from analyzers.machine import mlc_positions
from analyzers.machine.leaf_trust import ANALYZER
from analyzers.records import Axis, Delivery
from qa_daemon.jobs import measure
from qa_daemon.model import Job, NamedPath
from qa_daemon.simulate.trajectory_log import simulate
from tests import real_data
from tests.deliveries import (
    CENTRAL_PAIRS,
    delivery,
    dual_layer_field,
    layer,
    static_field,
    sweeping_field,
)
from tests.machine.judging import measured, run, verdict

LOGS = real_data.files("tlog", "**/*.bin")
A20 = 19  # column of leaf A20 in its bank


def to_and_fro(samples: int = 1001) -> Delivery:
    """A gap of 20 mm that 40 pairs move as a sine of 30 mm, two turns in 20 s; the rest is closed.

    Its speed goes up to 2 pi 30 / 10 = 18.8 mm/s.
    """
    x_mm = 30.0 * np.sin(4.0 * np.pi * np.arange(samples) / (samples - 1))
    right_mm, left_mm = np.zeros((2, samples, 60))
    right_mm[:, CENTRAL_PAIRS] = x_mm[:, np.newaxis] + 10.0
    left_mm[:, CENTRAL_PAIRS] = x_mm[:, np.newaxis] - 10.0
    return delivery(np.linspace(0.0, 200.0, samples), (layer(right_mm, left_mm),))


def speed_mm_s(of: Delivery) -> np.ndarray:
    """Of leaf A20, by central differences, 0 at the ends."""
    expected_mm = of.mlc[0].bank_a_mm.expected[:, A20]
    return np.gradient(expected_mm, of.interval_s) * np.pad(np.ones(of.samples - 2), 1)


def table(of: Delivery) -> dict[str, dict[str, float]]:
    """The table by column and leaf."""
    leaves = run(ANALYZER, of).leaves
    assert isinstance(leaves, LeafTable)
    return {
        name: dict(zip(leaves.leaves, column.tolist(), strict=True))
        for name, column in leaves.columns.items()
    }


def test_a_perfect_delivery_has_no_error_and_no_lag() -> None:
    found = measured(ANALYZER, to_and_fro())
    for name in ("largest_mean_error", "worst_leaf_rms", "longest_lag", "median_lag"):
        assert found[name].value == pytest.approx(0.0, abs=1e-12)
    assert (found["reversing_leaves"].value, found["counted_leaves"].value) == (80.0, 80.0)
    assert all(verdict(m) is None for m in found.values())


def test_a_leaf_that_lags_is_off_by_minus_v_tau_and_is_named() -> None:
    late = to_and_fro()
    late.mlc[0].bank_a_mm.actual[:, A20] -= 0.06 * speed_mm_s(late)
    found = measured(ANALYZER, late)
    assert found["longest_lag"].value == pytest.approx(60.0)
    assert found["steepest_speed_slope"].value == pytest.approx(-0.06)
    assert found["longest_lag"].at == found["steepest_speed_slope"].at == "A20"
    assert found["median_lag"].value == pytest.approx(0.0, abs=1e-9)
    others = [value for leaf, value in table(late)["lag_ms"].items() if leaf != "A20"]
    assert np.nanmax(np.abs(others)) == pytest.approx(0.0, abs=1e-9)


def test_all_leaves_late_by_one_row_are_late_by_one_interval() -> None:
    late = to_and_fro()
    for bank in (late.mlc[0].bank_a_mm, late.mlc[0].bank_b_mm):
        bank.actual[1:] = bank.expected[:-1]
    # A delayed sine: 20 ms to the 1 in 1000 that the closed form of test_following says.
    assert measured(ANALYZER, late)["median_lag"].value == pytest.approx(20.0, rel=1e-3)


def test_an_offset_is_the_mean_error_with_its_sign() -> None:
    off = to_and_fro()
    off.mlc[0].bank_b_mm.actual[:, A20] -= 0.4
    found = measured(ANALYZER, off)
    assert (found["largest_mean_error"].value, found["largest_mean_error"].at) == (
        pytest.approx(-0.4),
        "B20",
    )
    assert (found["worst_leaf_rms"].value, found["worst_leaf_rms"].at) == (
        pytest.approx(0.4),
        "B20",
    )
    assert found["longest_lag"].value == pytest.approx(0.0, abs=1e-9)


def test_an_error_that_grows_with_the_speed_either_way_is_no_lag() -> None:
    fast = to_and_fro()
    fast.mlc[0].bank_a_mm.actual[:, A20] += 0.01 * np.abs(speed_mm_s(fast))
    found = measured(ANALYZER, fast)
    assert found["steepest_magnitude_slope"].value == pytest.approx(0.01)
    assert found["steepest_magnitude_slope"].at == "A20"
    assert found["longest_lag"].value == pytest.approx(0.0, abs=1e-9)


def test_travel_is_what_was_wanted_while_the_beam_was_on() -> None:
    # Two turns of a sine of 30 mm are 8 x 30 mm.
    moved = to_and_fro(1001)
    assert measured(ANALYZER, moved)["longest_travel"].value == pytest.approx(240.0, rel=1e-4)
    by_leaf = table(moved)["travel_mm"]
    assert by_leaf["A1"] == 0.0
    assert by_leaf["A20"] == pytest.approx(by_leaf["B20"])


def test_with_the_beam_off_nothing_counts() -> None:
    paused = to_and_fro()
    paused.mlc[0].bank_a_mm.actual[:300] += 9.0
    paused.meterset_mu.actual[:300] = paused.meterset_mu.actual[300]
    found = measured(ANALYZER, paused)
    assert found["worst_leaf_rms"].value == pytest.approx(0.0, abs=1e-12)
    assert set(table(paused)["samples"].values()) == {np.count_nonzero(paused.beam_on)}


def test_one_way_gives_no_lag_and_says_so() -> None:
    analysis = run(ANALYZER, sweeping_field())
    names = {m.metric.name for m in analysis.measurements}
    assert not {"longest_lag", "median_lag"} & names
    assert "no leaf that shapes the field moved both ways: no lag" in analysis.notes


def test_the_table_holds_every_leaf_of_every_layer() -> None:
    assert list(table(static_field())["mean_error_mm"]) == [
        f"{bank}{k}" for bank in "AB" for k in range(1, 61)
    ]
    assert list(table(dual_layer_field())["samples"]) == [
        f"{pairs}{bank}{k}" for pairs in (28, 29) for bank in "AB" for k in range(1, pairs + 1)
    ]


def test_a_parked_leaf_is_in_the_table_and_names_no_metric() -> None:
    parked = to_and_fro()
    parked.mlc[0].bank_a_mm.actual[:, 0] += 0.1
    assert measured(ANALYZER, parked)["largest_mean_error"].value == pytest.approx(0.0, abs=1e-12)
    said = table(parked)
    assert said["mean_error_mm"]["A1"] == pytest.approx(0.1)
    assert (said["shapes_field"]["A1"], said["shapes_field"]["A20"]) == (0.0, 1.0)


def test_where_the_log_says_only_where_the_leaves_were_it_does_not_apply() -> None:
    moved = to_and_fro()
    (mlc,) = moved.mlc
    alone = replace(mlc, bank_b_mm=Axis.actual_only(mlc.bank_b_mm.actual))
    with pytest.raises(NotApplicable, match="wanted"):
        run(ANALYZER, replace(moved, mlc=(alone,)))


def test_a_leaf_without_a_position_is_no_answer() -> None:
    lost = to_and_fro()
    lost.mlc[0].bank_a_mm.actual[500, A20] = np.nan
    with pytest.raises(AnalysisError, match="A20 has no position"):
        run(ANALYZER, lost)


def test_a_beam_that_is_too_short_or_without_leaves_is_refused() -> None:
    with pytest.raises(AnalysisError, match="only"):
        run(ANALYZER, sweeping_field(samples=4))
    with pytest.raises(AnalysisError, match="no leaf positions"):
        run(ANALYZER, replace(to_and_fro(), mlc=()))
    with pytest.raises(NotApplicable, match="no leaf positions"):
        run(ANALYZER, replace(to_and_fro(), mlc=()), "elekta")


def test_the_worker_s_report_carries_the_table(tmp_path) -> None:
    mean_mm = []
    for error in ("", "A30=0.5"):
        log = simulate(tmp_path / "x.bin", field="sliding-window", mu=60.0, leaf=error)
        report = measure(Job(file=NamedPath(path=str(log), name=log.name)), catalogue.load())
        (said,) = [a for a in report.analyses if a.analyzer == "leaf_trust"]
        assert said.leaves is not None
        assert len(said.leaves.leaves) == 120
        mean_mm.append(said.leaves.columns["mean_error_mm"][said.leaves.leaves.index("A30")])
    # The simulated leaf moves one way and comes late, with the error put in and without it.
    assert mean_mm[1] - mean_mm[0] == pytest.approx(0.5, abs=1e-4)
    assert None in said.leaves.columns["lag_ms"]  # one way: no lag, and no number in its place
    assert type(report).model_validate_json(report.model_dump_json()) == report
    assert [a.leaves for a in report.analyses if a.analyzer != "leaf_trust"].count(None) > 3


@real_data.skip_without("tlog")
def test_real_logs_agree_with_the_judge() -> None:
    compared = 0
    for log in real_logs():
        found, judged = measured(ANALYZER, log), measured(mlc_positions.ANALYZER, log)
        assert ("worst_leaf_rms" in found) == ("worst_leaf_rms" in judged)
        for name in {"worst_leaf_rms", "counted_leaves"} & found.keys():
            assert found[name].value == judged[name].value
            assert found[name].at == judged[name].at
            compared += 1
    assert compared > 60


@real_data.skip_without("tlog")
def test_the_lag_of_real_leaves_is_the_delay_that_fits_best() -> None:
    """Found another way: shift the wanted motion in time until the errors scatter least."""
    differences_ms = []
    for log in real_logs():
        (mlc,) = log.mlc
        for leaf, lag_ms in table(log)["lag_ms"].items():
            if np.isfinite(lag_ms):
                bank = mlc.bank_a_mm if leaf[0] == "A" else mlc.bank_b_mm
                found_ms = best_delay_ms(log, bank, int(leaf[1:]) - 1)
                differences_ms.append(lag_ms - found_ms)
    # The lags themselves are 2 to 5 ms.
    assert len(differences_ms) >= 70
    assert np.abs(np.median(differences_ms)) < 0.1
    assert np.max(np.abs(differences_ms)) < 0.5


def best_delay_ms(log: Delivery, bank: Axis, column: int) -> float:
    expected_mm = bank.expected[:, column].astype(np.float64)
    actual_mm = bank.actual[:, column].astype(np.float64)

    def scatter_mm2(delay_s: float) -> float:
        delayed_mm = np.interp(log.time_s - delay_s, log.time_s, expected_mm)
        return float((actual_mm - delayed_mm)[log.beam_on].var())

    found = minimize_scalar(scatter_mm2, bounds=(-0.1, 0.1), method="bounded")
    return float(1000.0 * found.x)


def real_logs() -> Iterator[Delivery]:
    """Every real log that is judged and has leaves."""
    for path in LOGS:
        try:
            log = FORMAT.read(NamedFile.at(path), ())
        except ReadError:
            continue  # one of the files is empty
        if not log.not_judged and log.mlc and log.beam_on.any():
            yield log
