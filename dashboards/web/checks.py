"""Typing in a check of a kV unit: the form, its verdict before anything is stored, and saving."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from dashboards.web import check_entry, check_page, check_verdict, unit_page
from dashboards.web.answers import page
from dashboards.web.check_entry import Entry
from dashboards.web.check_kinds import DAILY, KINDS, MOST_ROWS, Kind
from dashboards.web.check_setting import Setting
from dashboards.web.check_verdict import STORED, VerdictView
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal
from dashboards.web.people import form_of
from dashboards.web.units import UNITS, unit_called
from dashboards.web.wording import LOOKS
from qa_daemon.check_desk import CheckDesk
from qa_daemon.due import Standing
from qa_daemon.site.settings import Machine, Person

FORM = f"{UNITS}/{{name:path}}/check"
SHA256S = re.compile(r"[0-9a-f]{64}(,[0-9a-f]{64})?", re.ASCII)
SECTIONS = {"srt-output-json": "Output", "srt-checks-json": "Tests of the routine"}
Serve = Callable[..., Response]
KindName = Annotated[str, Query(max_length=30)]
Rows = Annotated[int | None, Query(ge=1, le=MOST_ROWS)]
NOT_SAVED = (
    "The check is not saved: the disk of the server takes no more. Everything typed is still here. "
    "Call the physicist, then save again."
)


def router(clinic: Clinic, hint: Callable[[str], None]) -> APIRouter:
    """The form, and what became of what was sent; `hint` has the inbox looked at."""
    desk = CheckDesk(clinic.site, clinic.store, clinic.queries, clinic.archive, hint)
    routes = APIRouter()
    for path, serve, methods in (
        (FORM, _show(clinic, desk), ["GET", "HEAD"]),
        (FORM, _take(clinic, desk), ["POST"]),
        (f"{FORM}/saved", _saved(clinic, desk), ["GET", "HEAD"]),
    ):
        routes.add_api_route(path, serve, methods=methods, response_model=None)
    return routes


def _show(clinic: Clinic, desk: CheckDesk) -> Serve:
    def show(
        request: Request, name: str, kind: KindName = DAILY.name, rows: Rows = None
    ) -> Response:
        person = clinic.people.enterer(request)
        of, setting = _kind(kind), _setting(clinic, desk, name)
        values = check_page.first_values(of, setting, rows or of.rows)
        return _form(clinic, request, person, of, setting, values)

    return show


def _take(clinic: Clinic, desk: CheckDesk) -> Serve:
    def take(request: Request, name: str) -> Response:
        person, form = clinic.people.enterer(request), form_of(request)
        of, setting = _kind(form.get("kind", "")), _setting(clinic, desk, name)
        do = form.get("do", "")
        if do not in ("check", "save"):
            values = check_page.changed(do, form, of)
            return _form(clinic, request, person, of, setting, values)
        entry = check_entry.read(form, of, setting, operator_of(clinic, person))
        if not entry.errors and do == "save":
            try:
                return _save(desk, setting, entry, person)
            except OSError:
                entry.errors["form"] = NOT_SAVED
        verdict = None
        if not entry.errors:
            verdict = check_verdict.view(clinic, desk, setting, entry, dict(form))
        return _form(clinic, request, person, of, setting, dict(form), entry, verdict)

    return take


def _save(desk: CheckDesk, setting: Setting, entry: Entry, person: Person) -> Response:
    files = [each for each in (entry.output(), entry.checks()) if each is not None]
    desk.keep(setting.machine, files, person.name)
    query = {
        "of": ",".join(each.sha256 for each in files),
        "kind": entry.kind.name,
        "key": entry.key,
    }
    return RedirectResponse(f"{_address(setting)}/check/saved?{urlencode(query)}", 303)


def _saved(clinic: Clinic, desk: CheckDesk) -> Serve:
    def show(
        request: Request, name: str, of: str, kind: KindName = DAILY.name, key: KindName = ""
    ) -> Response:
        unit = unit_called(clinic, name)
        if not SHA256S.fullmatch(of):
            raise HTTPException(404)
        sha256s = of.split(",")
        found = [r for r in desk.stored(sha256s) if r.machine in (unit.name, None)]
        person, of_kind = clinic.people.person(request), _kind(kind)
        return page(
            clinic,
            request,
            "check_saved.html",
            unit=unit.name,
            kind=of_kind,
            key=key,
            operator=operator_of(clinic, person) if person is not None else "",
            results=[
                (SECTIONS.get(r.format or "", "Check"), LOOKS[r.verdict], STORED[r.verdict], r)
                for r in found
            ],
            address=f"{request.url.path}?{request.url.query}",
            waits=len(found) < len(sha256s),
            due=_still_due(clinic, unit, of_kind),
        )

    return show


def _still_due(clinic: Clinic, unit: Machine, kind: Kind) -> list[str]:
    """What the routine asks beside this check: half a check is not to look like a whole one."""
    return [
        f"{item.title}{f' ({item.beam})' if item.beam else ''}"
        for item in unit_page.view(clinic, unit).due
        if kind.routine is not None
        and item.frequency == kind.routine.value
        and item.standing != Standing.DONE.value
    ]


def operator_of(clinic: Clinic, person: Person) -> str:
    """What a check calls whoever entered it: initials of the site file, else a pseudonym."""
    return person.initials or clinic.pseudonyms.of_person(person.name)


def _form(
    clinic: Clinic,
    request: Request,
    person: Person,
    kind: Kind,
    setting: Setting,
    values: dict[str, str],
    entry: Entry | None = None,
    verdict: VerdictView | None = None,
) -> Response:
    errors = entry.errors if entry is not None else {}
    return page(
        clinic,
        request,
        "check.html",
        status=422 if errors else 200,
        unit=setting.machine.name,
        operator=operator_of(clinic, person),
        form=check_page.view(kind, setting, values),
        errors=errors,
        verdict=verdict,
    )


def _kind(name: str) -> Kind:
    kind = KINDS.get(name)
    if kind is None:
        raise Refusal(404, "Not found", "There is no such kind of check here.")
    return kind


def _setting(clinic: Clinic, desk: CheckDesk, name: str) -> Setting:
    unit = unit_called(clinic, name)
    now = clinic.clock().astimezone(clinic.site.zone)
    return Setting(desk, unit, clinic.site.file.instrument, now)


def _address(setting: Setting) -> str:
    return f"{UNITS}/{quote(setting.machine.name, safe='')}"
