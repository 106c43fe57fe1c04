"""Every address of the pages, and which view answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from dashboards.figures import Figure
from dashboards.web import board, history, leaf_page, machine_page, result_page
from dashboards.web.about import ABOUT, formats
from dashboards.web.advice import advice
from dashboards.web.answers import figure_json, figure_svg, page
from dashboards.web.clinic import Clinic
from dashboards.web.images import KINDS, PHANTOMS
from dashboards.web.machine_page import RANGES_D
from dashboards.web.reasons import LONGEST_REASON
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.service_events import EventKind

MOST_ID = 2**63 - 1
"""SQLite knows no greater number."""
Days = Annotated[int, Query(ge=1, le=3660)]
Before = Annotated[int | None, Query(ge=0, le=MOST_ID)]


def router(clinic: Clinic) -> APIRouter:
    """Routes of all pages and charts."""
    routes = APIRouter()
    for path, serve in (*_pages(clinic), *_charts(clinic), *_checks(clinic)):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    return routes


Route = tuple[str, Callable[..., Response]]


def _pages(clinic: Clinic) -> list[Route]:
    def show_board(request: Request) -> HTMLResponse:
        rows = board.machines(clinic)
        return page(clinic, request, "board.html", machines=rows, facts=list(board.facts(clinic)))

    def show_machine(
        request: Request, name: str, days: Days = 90, before: Before = None
    ) -> HTMLResponse:
        newest, following = machine_page.newest_first(clinic, name, before)
        known = clinic.site.machine_named(name)
        if known is None and not (newest or machine_page.is_known(clinic, name)):
            raise HTTPException(404)
        return page(
            clinic,
            request,
            "machine.html",
            charts=True,
            name=name,
            machine=known,
            days=days,
            ranges=RANGES_D,
            tests=machine_page.tests(clinic, name, days, newest),
            rows=machine_page.rows(clinic, newest),
            before=before,
            following=following,
            signals=history.signals_of(clinic, name).get(name, []),
            has_leaves=bool(leaf_page.quantities(clinic, name)),
            charted=history.charted(clinic, name),
            events=history.events_of(clinic, name),
            event_kinds=list(EventKind),
            is_physicist=clinic.people.is_physicist(request),
            notice=clinic.people.take_notice(request),
            longest_reason=LONGEST_REASON,
        )

    def show_results(request: Request, before: Before = None) -> HTMLResponse:
        newest, following = machine_page.newest_first(clinic, None, before)
        rows = machine_page.rows(clinic, newest)
        return page(clinic, request, "results.html", rows=rows, before=before, following=following)

    def show_result(request: Request, identity: int) -> HTMLResponse:
        result = _result(clinic, identity)
        shown = result_page.view(clinic, request, result)
        what_to_do = advice(result.error_code) if result.error_code else ""
        return page(
            clinic,
            request,
            "result.html",
            charts=bool(shown.figures),
            result=result,
            view=shown,
            when=clinic.when(result.point_ns),
            advice=what_to_do,
            kinds=KINDS,
            phantoms=PHANTOMS,
            longest_reason=LONGEST_REASON,
        )

    def show_quarantine(request: Request) -> HTMLResponse:
        found = [
            (row, result, advice(result.error_code))
            for result in clinic.queries.quarantined()
            for row in machine_page.rows(clinic, [result])
        ]
        return page(clinic, request, "quarantine.html", found=found)

    def show_about(request: Request) -> HTMLResponse:
        tests = [(n, clinic.title(n), clinic.metrics_of(n)) for n in clinic.titles]
        return page(clinic, request, "about.html", statements=ABOUT, formats=formats(), tests=tests)

    return [
        ("/", show_board),
        ("/machines/{name:path}", show_machine),
        ("/results", show_results),
        ("/results/{identity:int}", show_result),
        ("/quarantine", show_quarantine),
        ("/about", show_about),
    ]


def _charts(clinic: Clinic) -> list[Route]:
    def trend(analyzer: str, metric: str, machine: str, days: int) -> Figure:
        drawn = machine_page.figure(clinic, machine, f"{analyzer}.{metric}", days)
        if drawn is None:
            raise HTTPException(404)
        return drawn

    def trend_json(analyzer: str, metric: str, machine: str, days: Days = 90) -> Response:
        return figure_json(trend(analyzer, metric, machine, days))

    def trend_svg(analyzer: str, metric: str, machine: str, days: Days = 90) -> Response:
        return figure_svg(trend(analyzer, metric, machine, days))

    def drawn(identity: int, name: str) -> Figure:
        result = _result(clinic, identity)
        try:
            found = result_page.figure(clinic, result, name) if name in result_page.DRAWN else None
        except OSError:
            found = None
        if found is None:
            raise HTTPException(404)
        return found

    def result_json(identity: int, name: str) -> Response:
        return _kept(figure_json(drawn(identity, name)))

    def result_svg(identity: int, name: str) -> Response:
        return _kept(figure_svg(drawn(identity, name)))

    return [
        ("/trends/{analyzer}/{metric}.json", trend_json),
        ("/trends/{analyzer}/{metric}.svg", trend_svg),
        ("/results/{identity:int}/figures/{name}.json", result_json),
        ("/results/{identity:int}/figures/{name}.svg", result_svg),
    ]


def _checks(clinic: Clinic) -> list[Route]:
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    def readyz() -> PlainTextResponse:
        ready = clinic.ready()
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    return [("/healthz", healthz), ("/readyz", readyz)]


def _result(clinic: Clinic, identity: int) -> StoredResult:
    found = clinic.queries.result(identity) if identity <= MOST_ID else None
    if found is None:
        raise HTTPException(404)
    return found


def _kept(response: Response) -> Response:
    """A result never changes, but the program that draws it does: the pages name its version."""
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response
