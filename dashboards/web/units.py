"""kV units: the page of each, and what a physicist decides there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards.figures import Figure
from dashboards.reports.check_record import CannotReport, Source
from dashboards.reports.output_report import output_report
from dashboards.web import unit_page, unit_trend
from dashboards.web.answers import figure_json, figure_svg, page
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal, whole_number
from dashboards.web.history import signals_of
from dashboards.web.people import SignInNeeded, back_to, form_of
from dashboards.web.reasons import LONGEST_REASON, reason_of
from dashboards.web.spans import RANGES, Days
from qa_daemon.site.settings import Machine
from qa_daemon.store import check_signatures, output_baselines, srt_tables, unit_blocks

UNITS = "/units"
Serve = Callable[..., Response]
Beam = Annotated[str, Query(max_length=80)]


def router(clinic: Clinic) -> APIRouter:
    """The page of a unit, its charts and its forms."""
    routes = APIRouter()
    shown = [
        (f"{UNITS}/{{name:path}}/output.json", _chart(clinic, figure_json)),
        (f"{UNITS}/{{name:path}}/output.svg", _chart(clinic, figure_svg)),
        (f"{UNITS}/{{name:path}}/report/{{result:int}}.pdf", _report(clinic)),
        # The last: a name may hold a slash.
        (f"{UNITS}/{{name:path}}", _page(clinic)),
    ]
    for path, serve in shown:
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    for path, serve in (
        (f"{UNITS}/{{name:path}}/clear", _clear(clinic)),
        (f"{UNITS}/{{name:path}}/sign", _sign(clinic)),
        (f"{UNITS}/{{name:path}}/baseline", _baseline(clinic)),
        (f"{UNITS}/{{name:path}}/table", _table(clinic)),
    ):
        routes.add_api_route(path, serve, methods=["POST"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Serve:
    def show(request: Request, name: str, days: Days = 365) -> HTMLResponse:
        unit = unit_called(clinic, name)
        return page(
            clinic,
            request,
            "unit.html",
            charts=True,
            view=unit_page.view(clinic, unit),
            signals=signals_of(clinic, unit.name).get(unit.name, []),
            days=days,
            ranges=RANGES,
            is_physicist=clinic.people.is_physicist(request),
            notice=clinic.people.take_notice(request),
            longest_reason=LONGEST_REASON,
        )

    return show


def _chart(clinic: Clinic, answer: Callable[[Figure], Response]) -> Serve:
    def draw(name: str, beam: Beam, days: Days = 365) -> Response:
        return answer(unit_trend.figure(clinic, unit_called(clinic, name).name, beam, days))

    return draw


def _report(clinic: Clinic) -> Serve:
    """For people who are signed in: it names who performed the check, and instruments."""

    def show(request: Request, name: str, result: int) -> Response:
        unit = unit_called(clinic, name)
        if clinic.people.person(request) is None:
            raise SignInNeeded(back_to(request))
        number = _result(clinic, unit, str(result))
        source = Source(clinic.site, clinic.store, clinic.queries, clinic.archive)
        try:
            content = output_report(source, number, clinic.site.file.site.paper)
        except CannotReport as why:
            raise Refusal(409, "No report", f"There is no report: {why}.") from None
        called = f'inline; filename="output-check-{number}.pdf"'
        return Response(
            content,
            media_type="application/pdf",
            headers={"Content-Disposition": called, "Cache-Control": "private, no-store"},
        )

    return show


def _clear(clinic: Clinic) -> Serve:
    def clear(request: Request, name: str) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        unit, reason = unit_called(clinic, name), reason_of(form, "")
        try:
            unit_blocks.clear(
                clinic.store, whole_number(form.get("block", "")), person.name, reason
            )
        except unit_blocks.CannotClear as why:
            raise Refusal(409, "Not cleared", f"Nothing was done: {why}.") from None
        clinic.people.tell(request, f"Cleared by {person.name}; it is in the audit trail.")
        return RedirectResponse(_address(unit), 303)

    return clear


def _sign(clinic: Clinic) -> Serve:
    def sign(request: Request, name: str) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        unit, remark = unit_called(clinic, name), reason_of(form, "")
        listed = {one.result for one in check_signatures.unsigned(clinic.store, unit.name)}
        chosen = [whole_number(text) for text in form.get("results", "").split(",")]
        if not set(chosen) <= listed:
            raise Refusal(
                409, "Not signed", "Nothing was done: a check was judged again: look again."
            )
        count = check_signatures.sign(clinic.store, chosen, person.name, remark)
        clinic.people.tell(request, f"{count} checks signed by {person.name}.")
        return RedirectResponse(_address(unit), 303)

    return sign


def _baseline(clinic: Clinic) -> Serve:
    def change(request: Request, name: str) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        unit, reason = unit_called(clinic, name), reason_of(form, "")
        what = form.get("do", "")
        try:
            if what == "withdraw":
                number = whole_number(form.get("baseline", ""))
                output_baselines.withdraw(clinic.store, unit.name, number, person.name, reason)
                said = "The baseline is withdrawn."
            elif what == "sign":
                result = _result(clinic, unit, form.get("result", ""))
                beams = output_baselines.outputs_at(clinic.store, result)
                count = output_baselines.sign(clinic.store, result, beams, person.name, reason)
                said = f"Baselines of {count} beams are signed, from that check on."
            else:
                raise Refusal(400, "Not taken", "Nothing was done: choose what to do.")
        except output_baselines.CannotSign as why:
            raise Refusal(409, "Not signed off", f"Nothing was done: {why}.") from None
        clinic.people.tell(request, said)
        return RedirectResponse(_address(unit), 303)

    return change


def _table(clinic: Clinic) -> Serve:
    def decide(request: Request, name: str) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        unit, reason = unit_called(clinic, name), reason_of(form, "")
        number, what = whole_number(form.get("table", "")), form.get("do", "")
        try:
            if what == "sign":
                srt_tables.sign(clinic.store, unit.name, number, person.name, reason)
            elif what == "withdraw":
                srt_tables.withdraw(clinic.store, unit.name, number, person.name, reason)
            else:
                raise Refusal(400, "Not taken", "Nothing was done: choose what to do.")
        except srt_tables.CannotDecide as why:
            raise Refusal(409, "Not done", f"Nothing was done: {why}.") from None
        done = "signed" if what == "sign" else "withdrawn"
        clinic.people.tell(request, f"Table {number} is {done}; it is in the audit trail.")
        return RedirectResponse(_address(unit), 303)

    return decide


def unit_called(clinic: Clinic, name: str) -> Machine:
    """The kV unit of that name; not found where there is none."""
    machine = clinic.site.machine_named(name)
    if machine is None or machine.machine_class != "srt":
        raise HTTPException(404)
    return machine


def _result(clinic: Clinic, unit: Machine, text: str) -> int:
    found = clinic.queries.result(whole_number(text))
    if found is None or found.machine != unit.name:
        raise HTTPException(404)
    return found.id


def _address(unit: Machine) -> str:
    return f"{UNITS}/{quote(unit.name, safe='')}"
