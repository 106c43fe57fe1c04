"""What a worker does with the plans of a log, and with the further logs of its beam.

Plans are read once for the many logs that they came with.  Nothing is decided here about which
plans a log may be of: the job says that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from analyzers.catalogue import Catalogue
from analyzers.core import AnalysisError, NamedFile, ReadError
from analyzers.plan_choice import CHOOSE, with_plan
from analyzers.plan_matching import MachineNames
from analyzers.plan_records import Plan, PlanMatch, Rival
from analyzers.records import Delivery
from analyzers.resumed import put_together
from qa_daemon.keys import match_report
from qa_daemon.model import Job, MatchReport, MatchState, NamedPath

OTHER_FITS = "another plan here fits as well as the one that was chosen for this field"


def as_named_file(file: NamedPath) -> NamedFile:
    """A file as readers take it."""
    return NamedFile(Path(file.path), file.name, file.folder)


def with_the_rest(first: Delivery, job: Job, catalogue: Catalogue) -> Delivery:
    """The delivery of an interrupted beam, out of all its logs in the order of their time."""
    logs = [first]
    for more in job.resumed_by:
        log = catalogue.read(as_named_file(more.file), [as_named_file(c) for c in more.companions])
        if not isinstance(log, Delivery):
            raise ReadError("RESUMED", "what was put together with this log is no log")
        logs.append(log)
    try:
        return put_together(sorted(logs, key=_begins_at))
    except AnalysisError as why:
        raise ReadError("RESUMED", f"{why}; reprocess its parts") from None


def _begins_at(delivery: Delivery) -> tuple[bool, datetime]:
    at = delivery.performed_at
    return at is None, at or datetime.min  # noqa: DTZ901 - a machine's wall time has no zone


def beside_plans(
    delivery: Delivery, job: Job, catalogue: Catalogue
) -> tuple[Delivery, MatchReport | None]:
    """The delivery with its planned beams, and what was found of them.

    A chosen plan that cannot be read is a failure, never no plan; of others their own result says
    that they cannot be read.
    """
    if delivery.not_judged is not None:
        return delivery, None
    if job.no_plan is not None:
        return _without_plan(delivery, job)
    plans: list[Plan | None] = []
    for file in job.plans:
        try:
            plans.append(read_plan(file, catalogue))
        except ReadError as why:
            if job.plan_is_chosen:
                failure = f"the plan cannot be read: {why.code}: {why}"
                planned = replace(delivery, planned=PlanMatch(failure=failure))
                return planned, match_report(planned, ())
            plans.append(None)
    machines = MachineNames(
        frozenset(job.machine_names), frozenset(job.other_machine_names), job.machine_names_are_all
    )
    readable = [plan for plan in plans if plan is not None]
    if job.plan_is_chosen:
        planned = with_plan(delivery, readable[:1], chosen=True, machines=machines)
        is_found = planned.planned is not None and bool(planned.planned.parts)
        others = readable[1:] if job.is_chosen_for_field and is_found else []
        if that_fit := _that_fit(delivery, others):
            planned = _unsure(planned, OTHER_FITS, that_fit)
    else:
        planned = with_plan(delivery, readable, chosen=False, machines=machines)
        if job.doubt is not None:
            planned = _unsure(planned, job.doubt)
    return planned, match_report(planned, plans)


def _that_fit(delivery: Delivery, others: Sequence[Plan]) -> list[PlanMatch]:
    """What a choice for the field would hide: other plans that fit this log too."""
    found = (with_plan(delivery, [other], chosen=True).planned for other in others)
    return [match for match in found if match is not None and match.parts]


def _unsure(planned: Delivery, why: str, also: Sequence[PlanMatch] = ()) -> Delivery:
    """The same, for a person to decide: what was found is offered, and not taken."""
    found = planned.planned or PlanMatch(absent=why)
    if found.failure is not None or found.other_shape is not None:
        return planned
    fitting = [
        Rival(match.plan, part.beam.number, 1.0, "; ".join(match.evidence))
        for match in (found, *also)
        if match.plan is not None
        for part in match.parts
    ]
    failure = f"{MatchState.NEEDS_A_MATCH}: {why}; {CHOOSE}"
    rivals = (*fitting, *found.rivals)
    return replace(planned, planned=PlanMatch(failure=failure, needs_a_match=True, rivals=rivals))


def _without_plan(delivery: Delivery, job: Job) -> tuple[Delivery, MatchReport]:
    """The delivery, with why the plan that it names is not here."""
    failed = job.no_plan_is is MatchState.FAILED
    found = PlanMatch(failure=job.no_plan) if failed else PlanMatch(absent=job.no_plan)
    match = MatchReport(state=job.no_plan_is, reason=job.no_plan)
    return replace(delivery, planned=found), match


def read_plan(file: NamedPath, catalogue: Catalogue) -> Plan:
    """A plan; read once for all that it came with.  Raises `ReadError`."""
    named = as_named_file(file)
    plan_format = catalogue.recognize(named.path, named.name).format
    if not issubclass(plan_format.yields, Plan):
        raise ReadError("NOT_A_PLAN", "this is not a plan; give an RT plan")
    try:
        status = named.path.stat()
    except OSError as why:
        raise ReadError("UNREADABLE", f"the file cannot be read: {why.strerror}") from None
    return _read_plan(plan_format.read, named, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _read_plan(
    read: Callable[[NamedFile, tuple[NamedFile, ...]], Plan],
    file: NamedFile,
    changed_ns: int,  # noqa: ARG001 - a file that changed is read again
    size: int,  # noqa: ARG001 - likewise
) -> Plan:
    """A plan that came with many logs is read once."""
    return read(file, ())
