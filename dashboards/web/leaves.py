"""The address of a machine's leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from dashboards import figures
from dashboards.figures import Figure
from dashboards.web import leaf_page
from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.machine_page import RANGES_D, is_known
from dashboards.web.picture import svg
from dashboards.web.wording import quantity as worded

TEN_YEARS_D = 3653
Days = Annotated[int, Query(ge=1, le=TEN_YEARS_D)]
Word = Annotated[str, Query(max_length=200)]
USUAL = ("leaf_trust", "rms_error_mm")


def router(clinic: Clinic) -> APIRouter:
    """The page, and its map as data and as picture."""
    routes = APIRouter()
    for path, serve in (
        ("/leaves", _page(clinic)),
        ("/leaves.json", _map(clinic, _json)),
        ("/leaves.svg", _map(clinic, _svg)),
    ):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Callable[..., Response]:
    def show(
        request: Request,
        machine: Word,
        analyzer: Word = USUAL[0],
        quantity: Word = USUAL[1],
        days: Days = 90,
    ) -> Response:
        if not is_known(clinic, machine):
            raise HTTPException(404)
        found = leaf_page.read(clinic, machine, analyzer, quantity, days)
        tolerance = found.tolerance if found is not None else None
        return page(
            clinic,
            request,
            "leaves.html",
            charts=True,
            name=machine,
            analyzer=analyzer,
            quantity=quantity,
            days=days,
            ranges=(*RANGES_D, TEN_YEARS_D),
            kinds=leaf_page.quantities(clinic, machine),
            titles=clinic.title,
            drawn=leaf_page.figure(found) if found is not None else None,
            ranked=leaf_page.ranked(found) if found is not None else [],
            tolerance=worded(tolerance, found.unit) if found and tolerance is not None else "",
            address=lambda one, of, span: urlencode(
                {"machine": machine, "analyzer": one, "quantity": of, "days": span}
            ),
        )

    return show


def _map(clinic: Clinic, answer: Callable[[Figure], Response]) -> Callable[..., Response]:
    def draw(
        machine: Word, analyzer: Word = USUAL[0], quantity: Word = USUAL[1], days: Days = 90
    ) -> Response:
        found = leaf_page.read(clinic, machine, analyzer, quantity, days)
        if found is None:
            raise HTTPException(404)
        return answer(leaf_page.figure(found))

    return draw


def _json(drawn: Figure) -> Response:
    text = json.dumps(figures.plotly(drawn), separators=(",", ":"), allow_nan=False)
    return Response(text, media_type="application/json")


def _svg(drawn: Figure) -> Response:
    return Response(svg(drawn), media_type="image/svg+xml")
