"""A beam that was interrupted and resumed is one delivery, in whatever order its logs come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
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
from qa_daemon.fractions import NANO, BeamState
from qa_daemon.model import Verdict
from qa_daemon.simulate import rtplan, trajectory_log
from qa_daemon.simulate.motion import Errors, deliver
from qa_daemon.simulate.plan_shapes import FIELDS, sequence
from qa_daemon.store.courses import fractions_around
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


PARTS = {"a": (None, 12.0), "b": (12.0, 28.0), "c": (28.0, None), "again": (28.0, None)}


def drop_part(clinic: Clinic, name: str) -> None:
    begins_mu, ends_mu = PARTS[name]
    minutes = list(PARTS).index(name)
    drop_log(
        clinic,
        FIRST_AT.replace(minute=30 + 5 * minutes),
        resumed_at_mu=begins_mu,
        interrupted_at_mu=ends_mu,
        seed=minutes,
    )
    clinic.process()


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_three_parts_are_one_delivery_in_every_order(clinic: Clinic, order: str) -> None:
    arrive(clinic, "plan")
    for name in order:
        drop_part(clinic, name)
    (result,) = logs(clinic)
    assert result.verdict is Verdict.PASS
    assert value(result, "meterset", "planned_error") == pytest.approx(0.0, abs=0.05)
    assert len(result.companions) == 5


@pytest.mark.parametrize("order", [("b", "again", "a", "c"), ("c", "b", "a", "again")])
def test_a_part_that_was_given_twice_is_told(clinic: Clinic, order: tuple[str, ...]) -> None:
    arrive(clinic, "plan")
    for name in order:
        drop_part(clinic, name)
    assert len(logs(clinic)) == 2
    with clinic.store.read() as connection:
        (plan,) = {row.plan for row in connection.execute(select(delivered_beams))}
        at_ns = logs(clinic)[0].point_ns
        (found,) = fractions_around(connection, plan, at_ns, 3 * 3600 * NANO)
    assert [beam.state for beam in found.beams] == [BeamState.REPEATED]


@pytest.mark.parametrize("off_mu", [-0.35, 0.35])
def test_what_is_lost_or_twice_between_two_logs_counts(clinic: Clinic, off_mu: float) -> None:
    """Of 40 MU, joined within 0.4; a sample holds up to 0.2 MU, and a beam stops at one."""
    arrive(clinic, "plan")
    arrive(clinic, "first")
    drop_log(clinic, LATER_AT, resumed_at_mu=STOP_MU + off_mu, seed=5)
    clinic.process()
    (result,) = logs(clinic)
    assert value(result, "meterset", "planned_error") == pytest.approx(-off_mu, abs=0.2)
    assert result.verdict is not Verdict.PASS


def test_logs_that_overlap_in_time_are_no_delivery(tmp_path: Path) -> None:
    """Both halves of 20 s: the second cannot have begun 15 s after the first."""
    field = {"field": "static", "mu": 400.0}
    first = read(trajectory_log.simulate(tmp_path / "a.bin", **field, interrupted_at_mu=200.0))
    rest = read(trajectory_log.simulate(tmp_path / "b.bin", **field, resumed_at_mu=200.0))
    for seconds, is_sound in ((15, False), (25, True)):
        halves = [
            replace(first, performed_at=FIRST_AT),
            replace(rest, performed_at=FIRST_AT + timedelta(seconds=seconds)),
        ]
        if is_sound:
            assert put_together(halves).meterset_mu.actual[-1] == pytest.approx(400.0, abs=0.05)
        else:
            with pytest.raises(AnalysisError, match="overlap in time"):
                put_together(halves)


def test_the_rest_alone_is_short_of_what_it_does_not_show(clinic: Clinic) -> None:
    for what in ("plan", "rest"):
        arrive(clinic, what)
    (result,) = logs(clinic)
    error_mu = value(result, "plan_agreement", "meterset_error")
    assert error_mu == pytest.approx(-STOP_MU, abs=0.1)


def test_a_revised_half_is_forgotten_before_the_rest_comes(clinic: Clinic) -> None:
    arrive(clinic, "plan")
    arrive(clinic, "first")
    drop_log(clinic, FIRST_AT, seed=9)
    clinic.process()
    arrive(clinic, "rest")
    found = {result.path[-10:-4]: result.verdict for result in logs(clinic)}
    assert found == {"073000": Verdict.PASS, "074200": Verdict.ACTION}


def test_a_sequence_that_was_interrupted_is_judged_log_by_log(clinic: Clinic) -> None:
    shapes = sequence(
        FIELDS["sliding-window"]("millennium120", MU), FIELDS["static"]("millennium120", 20.0)
    )
    rtplan.write_rtplan(clinic.top / "plan.dcm", shapes)
    clinic.drop("plan.dcm", (clinic.top / "plan.dcm").read_bytes())
    for at, errors in ((FIRST_AT, Errors(interrupted_at_mu=STOP_MU)), (LATER_AT, Errors())):
        delivery = deliver(shapes, errors, identity=trajectory_log.IDENTITY)
        log = clinic.top / f"x_{at:%Y%m%d%H%M%S}.bin"
        trajectory_log.write_trajectory_log(log, delivery)
        trajectory_log.write_companion(log.with_suffix(".txt"), delivery)
        for path in (log, log.with_suffix(".txt")):
            clinic.drop(path.name, path.read_bytes())
    clinic.process()
    assert [result.error_code for result in logs(clinic)] == [None, None]


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
