"""A beam that was interrupted and resumed is one delivery, in whatever order its logs come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from analyzers.catalogue import load
from analyzers.core import AnalysisError
from analyzers.formats.varian_trajectory_log import read
from analyzers.resumed import put_together
from qa_daemon.model import Verdict
from qa_daemon.simulate import rtplan, trajectory_log
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import delivered_beams
from tests.ingest.clinic import SITE, Clinic

MU, STOP_MU = 40.0, 24.7
FIELD: dict[str, Any] = {"field": "sliding-window", "mu": MU}
REAL = load()
FIRST_AT = datetime(2026, 1, 5, 7, 30)  # noqa: DTZ001 - a machine's wall time
LATER_AT = datetime(2026, 1, 5, 7, 42)  # noqa: DTZ001


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    text = SITE.replace("largest_file_mb = 0.5", "largest_file_mb = 50")
    found = Clinic(tmp_path, text=text, catalogue=REAL, settle_time=0.0)
    yield found
    found.close()


def drop_log(clinic: Clinic, at: datetime, **more: Any) -> None:
    """A log and its text file, of the same plan and beam."""
    log = clinic.top / f"x_{at:%Y%m%d%H%M%S}.bin"
    trajectory_log.simulate(log, **FIELD | more, companion=True)
    for path in (log, log.with_suffix(".txt")):
        clinic.drop(path.name, path.read_bytes())


def arrive(clinic: Clinic, what: str, *, counts_anew: bool = False) -> None:
    if what == "plan":
        path = rtplan.simulate(clinic.top / "plan.dcm", **FIELD)
        clinic.drop("plan.dcm", path.read_bytes())
    elif what == "first":
        drop_log(clinic, FIRST_AT, interrupted_at_mu=STOP_MU)
    else:
        drop_log(clinic, LATER_AT, resumed_at_mu=STOP_MU, counts_anew=counts_anew, seed=5)
    clinic.process()


def logs(clinic: Clinic) -> list[StoredResult]:
    return [r for r in clinic.queries.results_since() if r.path.endswith(".bin")]


def value(result: StoredResult, analyzer: str, metric: str) -> float:
    (found,) = [
        m.value
        for a in result.analyses
        if a.analyzer == analyzer
        for m in a.measurements
        if m.metric == metric
    ]
    return found


@pytest.mark.parametrize("counts_anew", [False, True])
@pytest.mark.parametrize("order", list(permutations(("plan", "first", "rest"))))
def test_both_logs_are_judged_as_one(
    clinic: Clinic, order: tuple[str, ...], counts_anew: bool
) -> None:
    for what in order:
        arrive(clinic, what, counts_anew=counts_anew)
    (result,) = logs(clinic)
    assert result.path.endswith(f"{FIRST_AT:%H%M%S}.bin")
    assert result.verdict is Verdict.PASS
    assert any("2 logs of a beam" in warning for warning in result.warnings)
    beside = sorted(path[-10:] for path in result.companions)
    assert beside == ["073000.txt", "074200.bin", "074200.txt"]
    assert value(result, "meterset", "planned_error") == pytest.approx(0.0, abs=0.05)
    assert value(result, "plan_agreement", "meterset_error") == pytest.approx(0.0, abs=0.05)
    assert value(result, "plan_agreement", "gamma_pass") == 100.0
    with clinic.store.read() as connection:
        (beam,) = connection.execute(select(delivered_beams)).all()
    assert (beam.from_mu, beam.to_mu) == (pytest.approx(0.0, abs=0.1), pytest.approx(MU, abs=0.1))
    assert set(clinic.states().values()) == {"done"}
    clinic.assert_sound_states()


@pytest.mark.parametrize("alone", ["first", "rest"])
def test_half_a_beam_is_at_action(clinic: Clinic, alone: str) -> None:
    for what in ("plan", alone):
        arrive(clinic, what)
    (result,) = logs(clinic)
    assert result.verdict is Verdict.ACTION


def test_a_rest_with_a_fault_does_not_pass(clinic: Clinic) -> None:
    arrive(clinic, "plan")
    arrive(clinic, "first")
    drop_log(clinic, LATER_AT, resumed_at_mu=STOP_MU, leaf="A30=1.5")
    clinic.process()
    (result,) = logs(clinic)
    assert result.verdict is Verdict.ACTION
    assert value(result, "mlc_positions", "largest_error") > 1.4


@pytest.mark.parametrize(
    "other",
    [
        {"resumed_at_mu": STOP_MU + 5.0},
        {"interrupted_at_mu": STOP_MU},
        {},
    ],
    ids=["a part is missing", "the same part again", "the whole beam again"],
)
def test_what_does_not_go_on_is_not_joined(clinic: Clinic, other: dict[str, Any]) -> None:
    arrive(clinic, "plan")
    arrive(clinic, "first")
    drop_log(clinic, LATER_AT, seed=5, **other)
    clinic.process()
    found = logs(clinic)
    assert len(found) == 2
    assert Verdict.ACTION in {result.verdict for result in found}


def test_the_next_day_is_another_fraction(clinic: Clinic) -> None:
    arrive(clinic, "plan")
    arrive(clinic, "first")
    drop_log(clinic, LATER_AT.replace(day=6), resumed_at_mu=STOP_MU, seed=5)
    clinic.process()
    assert [result.verdict for result in logs(clinic)] == [Verdict.ACTION] * 2


def test_a_revised_first_log_sets_the_rest_free(clinic: Clinic) -> None:
    for what in ("plan", "first", "rest"):
        arrive(clinic, what)
    drop_log(clinic, FIRST_AT, seed=9)  # it turns out to be another beam's, whole
    clinic.process()
    found = {result.path[-10:-4]: result for result in logs(clinic)}
    assert found["073000"].verdict is Verdict.PASS
    assert found["074200"].verdict is Verdict.ACTION


def test_samples_and_meterset_follow_each_other(tmp_path: Path) -> None:
    first = trajectory_log.simulate(tmp_path / "a.bin", **FIELD, interrupted_at_mu=STOP_MU)
    for anew in (False, True):
        rest = trajectory_log.simulate(
            tmp_path / f"b{anew}.bin", **FIELD, resumed_at_mu=STOP_MU, counts_anew=anew
        )
        halves = [read(first), read(rest)]
        whole = put_together(halves)
        assert whole.samples == sum(half.samples for half in halves)
        assert np.diff(whole.meterset_mu.actual).min() > -0.05
        assert whole.meterset_mu.actual[-1] == pytest.approx(MU, abs=0.05)
        assert whole.sub_beams[0].stop == whole.samples
        assert whole.planned_mu == MU
        uninterrupted = read(trajectory_log.simulate(tmp_path / "c.bin", **FIELD))
        assert whole.mlc[0].bank_a_mm.expected[-1] == pytest.approx(
            uninterrupted.mlc[0].bank_a_mm.expected[-1]
        )


def test_logs_of_other_heads_or_of_several_beams_are_not_put_together(tmp_path: Path) -> None:
    log = read(trajectory_log.simulate(tmp_path / "a.bin", **FIELD))
    other = read(trajectory_log.simulate(tmp_path / "b.bin", **FIELD, mlc="hd120"))
    with pytest.raises(AnalysisError, match="different kinds"):
        put_together([log, other])
