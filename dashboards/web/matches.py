"""Logs that need a match: everybody sees them, a physicist says which plan each is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards.web.answers import page
from dashboards.web.clinic import Clinic, When
from dashboards.web.forms import Refusal
from dashboards.web.identity import of_patient, plan_label
from dashboards.web.people import form_of
from dashboards.web.reasons import LONGEST_REASON, reason_of
from dashboards.web.wording import THIN_SPACE, match_reason, plural, quantity
from qa_daemon.store.courses import MOST_UNMATCHED, PlanRival, UnmatchedLog
from qa_daemon.store.plan_choices import CannotChoose, Choice, choose, newest, withdraw

MATCHES = "/matches"
NONE = "none"

Named = tuple[str, Mapping[int, str]]
"""What a plan is called, and its beams by number."""


@dataclass(frozen=True, slots=True)
class RivalView:
    """A planned beam that a log may be of."""

    beam: int
    beam_name: str
    score: str
    said: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan that may be chosen, with those of its beams that were compared."""

    sha256: str
    result: int
    label: str
    rivals: list[RivalView]


@dataclass(frozen=True, slots=True)
class MatchView:
    """One log that needs a match; `who` is empty for everybody but a physicist."""

    result: int
    machine: str
    when: When
    planned: str
    reason: str
    patient: str | None
    names_field_only: bool
    who: list[tuple[str, str]]
    plans: list[PlanView]


def router(clinic: Clinic) -> APIRouter:
    """The list, and the form on it."""

    def show(request: Request) -> HTMLResponse:
        logs = clinic.courses.unmatched()
        may_see = clinic.people.may_see(request, [_subject(log) for log in logs])

        @cache  # for this page: many logs may be of the same few plans
        def named(plan: int) -> Named:
            return plan_label(clinic, plan), clinic.courses.beam_names(plan)

        return page(
            clinic,
            request,
            "matches.html",
            made=newest(clinic.store) if may_see else [],
            when=clinic.local,
            logs=[_view(clinic, log, named if may_see else None) for log in logs],
            may_choose=may_see,
            is_cut=len(logs) == MOST_UNMATCHED,
            notice=clinic.people.take_notice(request),
            none_of_these=NONE,
            longest_reason=LONGEST_REASON,
        )

    def decide(request: Request, result: int) -> Response:
        person = clinic.people.physicist(request)
        log = clinic.courses.unmatched_log(result) if result < 2**63 else None
        if log is None:
            raise HTTPException(404)
        form = form_of(request)
        chosen = Choice(
            result=result,
            plan=_plan(form, log),
            actor=person.name,
            reason=reason_of(form, clinic.queries.identity_of(result).get("patient_id", "")),
            of_field=log.names_field_only and "of_field" in form,
        )
        try:
            queued = choose(clinic.store, chosen)
        except CannotChoose as why:
            sentence = str(why)
            raise Refusal(
                409, "Not chosen", f"Nothing was done: {sentence}. Open the list again."
            ) from None
        again = f"{plural(queued, 'log is', 'logs are')} judged again"
        clinic.people.tell(request, f"Your choice for result {result} is written down; {again}.")
        return RedirectResponse(MATCHES, 303)

    def take_back(request: Request, made: int) -> Response:
        person = clinic.people.physicist(request)
        try:
            queued = withdraw(clinic.store, made, person.name)
        except CannotChoose as why:
            raise Refusal(409, "Not taken back", f"Nothing was done: {why}.") from None
        clinic.people.tell(
            request,
            f"The choice is taken back; {plural(queued, 'log is', 'logs are')} judged again.",
        )
        return RedirectResponse(MATCHES, 303)

    routes = APIRouter()
    routes.add_api_route(MATCHES, show, methods=["GET", "HEAD"], response_model=None)
    routes.add_api_route(f"{MATCHES}/{{result:int}}", decide, methods=["POST"], response_model=None)
    back = f"{MATCHES}/choices/{{made:int}}/back"
    routes.add_api_route(back, take_back, methods=["POST"], response_model=None)
    return routes


def _subject(log: UnmatchedLog) -> str:
    return f"patient {log.patient}" if log.patient else f"result {log.result}"


def _view(clinic: Clinic, log: UnmatchedLog, named: Callable[[int], Named] | None) -> MatchView:
    """`named` gives the names of a plan and its beams; None: they are not shown."""
    return MatchView(
        result=log.result,
        machine=log.machine or "unknown machine",
        when=clinic.when(log.point_ns),
        planned="not known" if log.planned_mu is None else quantity(log.planned_mu, "MU"),
        reason=match_reason(log.reason),
        patient=log.patient,
        names_field_only=log.names_field_only,
        who=_who(clinic, log) if named else [],
        plans=_plans(log, named or (lambda _: ("", {}))),
    )


def _who(clinic: Clinic, log: UnmatchedLog) -> list[tuple[str, str]]:
    label = plan_label(clinic, log.result)
    return [*of_patient(clinic, log.result), *([("Plan by the log", label)] if label else [])]


def _plans(log: UnmatchedLog, named: Callable[[int], Named]) -> list[PlanView]:
    of_plan: dict[tuple[str, int], list[PlanRival]] = {}
    for rival in log.rivals:
        of_plan.setdefault((rival.plan_sha256, rival.result), []).append(rival)
    found = []
    for (sha256, result), rivals in of_plan.items():
        label, beams = named(result)
        told = [
            RivalView(
                rival.beam_number,
                beams.get(rival.beam_number, ""),
                # Rounded down: what does not wholly agree never looks as if it did.
                f"{int(100.0 * rival.score)}{THIN_SPACE}%",
                rival.said.removeprefix("planned beam found by ").lstrip("; "),
            )
            for rival in rivals
        ]
        found.append(PlanView(sha256, result, label, told))
    return found


def _plan(form: Mapping[str, str], log: UnmatchedLog) -> str | None:
    """The plan that was chosen.  Raises `Refusal` for one that is not on the list."""
    plan = form.get("plan", "")
    if plan == NONE:
        return None
    if plan not in {rival.plan_sha256 for rival in log.rivals}:
        raise Refusal(400, "Not chosen", "Nothing was done: choose one of the plans, or none.")
    return plan
