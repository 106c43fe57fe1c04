"""Logs and their plans: whatever comes first, the same results; and a physicist's word."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import permutations
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import select

from analyzers.catalogue import load
from analyzers.records import Identity
from qa_daemon import jobs
from qa_daemon.model import Job, Report, Verdict
from qa_daemon.simulate import elekta_trf, rtplan, rtrecord, trajectory_log
from qa_daemon.simulate.motion import deliver
from qa_daemon.simulate.plan_shapes import FIELDS
from qa_daemon.store.courses import Courses
from qa_daemon.store.plan_choices import CannotChoose, Choice, choose, newest, withdraw
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.schema import audit, deliveries, files
from tests.ingest import clinic as clinics
from tests.ingest.clinic import Clinic

FIELD: dict[str, Any] = {"field": "static", "mu": 60.0}
WAITING_SITE = clinics.SITE.replace('"0 s"', '"30 s"')
REAL = load()


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    found = Clinic(tmp_path, text=WAITING_SITE, catalogue=REAL, settle_time=0.0)
    yield found
    found.close()


@cache
def content(name: str) -> bytes:
    """The bytes of one file of the case, made once."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        if name == "log.txt":
            log = top / "log_20260105073000.bin"
            trajectory_log.simulate(log, **FIELD, companion=True)
            return log.with_suffix(".txt").read_bytes()
        makers = {
            "log.bin": lambda: trajectory_log.simulate(top / "x", **FIELD),
            "plan": lambda: rtplan.simulate(top / "x", **FIELD),
            "copy": lambda: rtplan.simulate(top / "x", **FIELD, energy="10x", plan_uid="1.2.3"),
            "record": lambda: rtrecord.simulate(top / "x", mu=60.0),
            "other": lambda: rtplan.simulate(top / "x", field="vmat", mu=60.0),
            "elekta": lambda: elekta_trf.simulate(top / "x", field="static", mu=60.0),
            "elekta-plan": lambda: elekta_plan(top / "x"),
        }
        return makers[name]().read_bytes()


def elekta_plan(path: Path) -> Path:
    rtplan.write_rtplan(path, FIELDS["static"]("agility", 60.0))
    return path


NAMES = {
    "log.bin": "log_20260105073000.bin",
    "log.txt": "log_20260105073000.txt",
    "plan": "plan.dcm",
    "copy": "copy.dcm",
    "record": "record.dcm",
    "other": "other.dcm",
    "elekta": "field.trf",
    "elekta-plan": "elekta.dcm",
}


def arrive(clinic: Clinic, *kinds: str) -> None:
    for kind in kinds:
        clinic.drop(NAMES[kind], content(kind))
    clinic.process()


def result(clinic: Clinic, kind: str = "log.bin") -> StoredResult:
    (found,) = [
        r for r in clinic.queries.results_since() if r.path.rpartition("/")[2] == NAMES[kind]
    ]
    return found


def agreement(found: StoredResult) -> Any:
    (said,) = [a for a in found.analyses if a.analyzer == "plan_agreement"]
    return said


def everything(clinic: Clinic) -> dict[str, object]:
    """All that a page can show of the active results, and what the store knows of the log."""
    found: dict[str, object] = {}
    for r in clinic.queries.results_since():
        said = list(r.analyses)
        beside = [path.rpartition("/")[2] for path in r.companions]
        found[r.path.rpartition("/")[2]] = (r.verdict, r.not_judged, beside, r.warnings, said)
    with clinic.store.read() as connection:
        rows = connection.execute(
            select(deliveries.c.state, deliveries.c.reason, deliveries.c.rivals, files.c.sha256)
            .join(files, files.c.id == deliveries.c.plan, isouter=True)
            .order_by(deliveries.c.file)
        )
        found["deliveries"] = [tuple(row) for row in rows]
    found["states"] = clinic.states()
    return found


@cache
def measured_once(job: str) -> Report:
    return jobs.measure(KNOWN[job], REAL)


KNOWN: dict[str, Job] = {}


def once(job: Job) -> Report:
    """The same files in the same roles give the same report, wherever the archive lies."""
    job = job.model_copy(update={"scratch": None})
    paths = job.model_dump(include={"file", "companions", "plans"})
    key = job.model_dump_json(exclude={"file", "companions", "plans"}) + repr(
        {
            role: str(named).replace(job.file.path.partition("archive")[0], "")
            for role, named in paths.items()
        }
    )
    KNOWN.setdefault(key, job)
    return measured_once(key)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder where making a transaction durable costs nothing, if there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def test_every_order_of_arrival_gives_the_same_results(in_memory: Path) -> None:
    case = ("log.bin", "log.txt", "plan", "copy", "record")
    first: dict[str, object] | None = None
    for number, order in enumerate(permutations(case)):
        top = in_memory / str(number)
        top.mkdir()
        found = Clinic(top, text=WAITING_SITE, catalogue=REAL, settle_time=0.0, measure=once)
        try:
            for kind in order:
                arrive(found, kind)
            seen = everything(found)
            found.assert_sound_states()
        finally:
            found.close()
        if first is None:
            first = seen
            assert result_of(seen)[0] is Verdict.PASS
            assert seen["deliveries"][0][0] == "matched"  # type: ignore[index]
        assert seen == first, order


def result_of(seen: dict[str, object]) -> Any:
    return seen[NAMES["log.bin"]]


def test_a_log_waits_for_the_plan_that_it_names_and_is_judged_meanwhile(clinic: Clinic) -> None:
    arrive(clinic, "log.bin", "log.txt")
    assert clinic.states()[NAMES["log.bin"]] == "waiting"
    before = result(clinic)
    assert before.verdict is Verdict.PASS
    assert "has not arrived" in agreement(before).not_applicable
    arrive(clinic, "plan")
    assert clinic.states()[NAMES["log.bin"]] == "done"
    after = result(clinic)
    assert agreement(after).verdict is Verdict.PASS
    assert after.id != before.id


def eventually(holds: Callable[[], bool]) -> None:
    """The dispatcher ends the waiting by itself, when it has nothing else to do."""
    until = monotonic() + 20.0
    while not holds():
        assert monotonic() < until
        sleep(0.02)


@pytest.mark.parametrize("required", [False, True])
def test_a_plan_that_does_not_come_is_waited_for_no_longer_than_said(
    tmp_path: Path, required: bool
) -> None:
    text = WAITING_SITE + ("required = true\n" if required else "")
    clinic = Clinic(tmp_path, text=text, catalogue=REAL, settle_time=0.0)
    try:
        arrive(clinic, "log.bin", "log.txt")
        assert clinic.pipeline.end_waiting() == 0
        late = replace(clinic.site, clock=lambda: clinics.NOW + timedelta(seconds=31))
        object.__setattr__(clinic.pipeline, "site", late)
        object.__setattr__(clinic.pipeline.plans, "site", late)
        eventually(lambda: clinic.states()[NAMES["log.bin"]] == "done")
        assert result(clinic).verdict is (Verdict.INVALID if required else Verdict.PASS)
        arrive(clinic, "plan")
        assert result(clinic).verdict is Verdict.PASS
        assert agreement(result(clinic)).verdict is Verdict.PASS
    finally:
        clinic.close()


def test_another_shape_than_its_own_plan_is_an_action_of_its_own_kind(clinic: Clinic) -> None:
    arrive(clinic, "other", "log.bin", "log.txt")
    found = agreement(result(clinic))
    (said,) = found.measurements
    assert (said.metric, said.value, found.verdict) == ("shape_agrees", 0.0, Verdict.ACTION)


def test_a_log_that_names_neither_plan_nor_patient_needs_a_person(clinic: Clinic) -> None:
    arrive(clinic, "elekta", "elekta-plan")
    found = result(clinic, "elekta")
    assert found.verdict is Verdict.INVALID
    assert "needs a match" in agreement(found).failure


def test_a_physicists_choice_is_audited_and_holds_for_the_field(clinic: Clinic) -> None:
    arrive(clinic, "elekta", "elekta-plan")
    log = result(clinic, "elekta")
    plan = result(clinic, "elekta-plan")
    with pytest.raises(CannotChoose, match="no longer here"):
        choose(clinic.store, Choice(log.id, "0" * 64, "A", "because", of_field=True))
    assert choose(clinic.store, Choice(log.id, plan.sha256, "A", "same field", of_field=True)) == 1
    clinic.judge()
    judged = result(clinic, "elekta")
    assert agreement(judged).verdict is not None
    assert agreement(judged).failure is None
    with pytest.raises(CannotChoose, match="look again"):
        choose(clinic.store, Choice(log.id, None, "A", "too late"))
    with clinic.store.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "plan chosen")).all()
    assert [(row.actor, row.object) for row in rows] == [("A", f"result {log.id}")]
    # The next fraction: another log of the same field.
    later = elekta_trf.simulate(clinic.top / "later.trf", field="static", mu=60.0, bank_a_mm=0.1)
    clinic.drop("later.trf", later.read_bytes())
    clinic.process()
    next_fraction = [r for r in clinic.queries.results_since() if r.path.endswith("later.trf")]
    assert agreement(next_fraction[0]).failure is None
    # Of the first log alone somebody says more.
    choose(clinic.store, Choice(judged.id, None, "B", "it was a phantom"))
    clinic.judge()
    assert "none of the plans" in agreement(result(clinic, "elekta")).not_applicable
    # Taken back, the word on the field holds for it again.
    (made,) = newest(clinic.store)
    assert (made.actor, made.plan, made.of_field) == ("B", None, False)
    assert withdraw(clinic.store, made.id, "B") == 1
    clinic.judge()
    assert agreement(result(clinic, "elekta")).failure is None
    assert agreement(result(clinic, "elekta")).not_applicable is None
    with pytest.raises(CannotChoose, match="not in force"):
        withdraw(clinic.store, made.id, "B")


def test_a_choice_for_a_field_that_is_taken_back_holds_for_none_of_its_logs(clinic: Clinic) -> None:
    arrive(clinic, "elekta", "elekta-plan")
    log, plan = result(clinic, "elekta"), result(clinic, "elekta-plan")
    choose(clinic.store, Choice(log.id, plan.sha256, "A", "same field", of_field=True))
    later = elekta_trf.simulate(clinic.top / "later.trf", field="static", mu=60.0, bank_a_mm=0.1)
    clinic.drop("later.trf", later.read_bytes())
    clinic.process()
    (made,) = newest(clinic.store)
    assert withdraw(clinic.store, made.id, "A") == 2
    clinic.judge()
    for found in clinic.queries.results_since():
        if found.path.endswith(".trf"):
            assert "needs a match" in agreement(found).failure


def test_a_choice_for_the_field_does_not_hide_another_plan_that_fits(clinic: Clinic) -> None:
    arrive(clinic, "elekta", "elekta-plan")
    log, plan = result(clinic, "elekta"), result(clinic, "elekta-plan")
    choose(clinic.store, Choice(log.id, plan.sha256, "A", "same field", of_field=True))
    clinic.judge()
    other = clinic.top / "b.dcm"
    identity = Identity(patient_id="SOMEBODY ELSE", plan_uid="1.2.9")
    rtplan.write_rtplan(other, FIELDS["static"]("agility", 60.0), identity)
    clinic.drop("b.dcm", other.read_bytes())
    later = elekta_trf.simulate(clinic.top / "later.trf", field="static", mu=60.0, bank_a_mm=0.1)
    clinic.drop("later.trf", later.read_bytes())
    clinic.process()
    (found,) = [r for r in clinic.queries.results_since() if r.path.endswith("later.trf")]
    assert "another plan here fits" in agreement(found).failure
    (unsure,) = Courses(clinic.store).unmatched()
    assert {rival.plan_sha256 for rival in unsure.rivals} == {
        plan.sha256,
        hashlib.sha256(other.read_bytes()).hexdigest(),
    }
    # What was said of the first log itself holds.
    assert agreement(result(clinic, "elekta")).failure is None


def test_a_chosen_plan_that_was_revised_is_asked_for_again(clinic: Clinic) -> None:
    arrive(clinic, "elekta", "elekta-plan")
    log, plan = result(clinic, "elekta"), result(clinic, "elekta-plan")
    choose(clinic.store, Choice(log.id, plan.sha256, "A", "it is this one"))
    clinic.judge()
    path = clinic.top / "x.dcm"
    rtplan.write_rtplan(path, FIELDS["vmat"]("agility", 60.0))
    clinic.drop(NAMES["elekta-plan"], path.read_bytes())
    clinic.process()
    assert "chosen for it is not here any more" in agreement(result(clinic, "elekta")).failure


@pytest.mark.parametrize("overwritten_by", ["other patient", "cut copy"])
def test_a_plan_whose_file_was_overwritten_stays_the_plan_of_its_logs(
    clinic: Clinic, overwritten_by: str
) -> None:
    arrive(clinic, "other")
    path = clinic.top / "x.dcm"
    identity = Identity(patient_id="SOMEBODY ELSE", plan_uid="1.2.9")
    rtplan.write_rtplan(path, FIELDS["static"]("millennium120", 60.0), identity)
    new = path.read_bytes() if overwritten_by == "other patient" else content("other")[:1500]
    clinic.drop(NAMES["other"], new)
    clinic.process()
    arrive(clinic, "log.bin", "log.txt")
    (said,) = agreement(result(clinic)).measurements
    assert (said.metric, said.verdict) == ("shape_agrees", Verdict.ACTION)


def test_more_plans_than_are_looked_at_are_a_doubt(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa_daemon.store.plans.MOST_PLANS", 3)
    for number in range(5):
        path = clinic.top / f"{number}.dcm"
        identity = Identity(patient_id=f"patient {number}", plan_uid=f"1.2.{number}")
        rtplan.write_rtplan(path, FIELDS["vmat"]("agility", 60.0), identity)
        clinic.drop(f"{number}.dcm", path.read_bytes())
    arrive(clinic, "elekta")
    assert "plans may be its plan" in agreement(result(clinic, "elekta")).failure


def test_a_plan_that_fits_among_too_many_is_offered_and_not_taken(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another that fits as well may be among those that were not looked at."""
    monkeypatch.setattr("qa_daemon.store.plans.MOST_PLANS", 2)
    for number, field in enumerate(("vmat", "sliding-window", "static")):
        path = clinic.top / f"{number}.dcm"
        identity = replace(trajectory_log.IDENTITY, plan_uid=f"1.2.{number}")
        rtplan.write_rtplan(path, FIELDS[field]("millennium120", 60.0), identity)
        clinic.drop(f"{number}.dcm", path.read_bytes())
    nameless = replace(trajectory_log.IDENTITY, plan_uid=None)
    delivery = deliver(FIELDS["static"]("millennium120", 60.0), identity=nameless)
    log = clinic.top / NAMES["log.bin"]
    trajectory_log.write_trajectory_log(log, delivery)
    trajectory_log.write_companion(log.with_suffix(".txt"), delivery)
    for path in (log, log.with_suffix(".txt")):
        clinic.drop(path.name, path.read_bytes())
    clinic.process()
    assert "plans may be its plan" in agreement(result(clinic)).failure
    (unsure,) = Courses(clinic.store).unmatched()
    assert [rival.beam_number for rival in unsure.rivals] == [1]
