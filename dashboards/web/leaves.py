"""The address of a machine's leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from dashboards import figures
from dashboards.web import leaf_page
from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.leaf_page import Asked, Leaves
from dashboards.web.machine_page import RANGES_D, is_known
from dashboards.web.picture import svg
from dashboards.web.wording import quantity as worded
from qa_daemon.store.leaf_medians import LeafSeries

TEN_YEARS_D = 3653
Days = Annotated[int, Query(ge=1, le=TEN_YEARS_D)]
Word = Annotated[str, Query(max_length=200)]
Choice = Annotated[str | None, Query(max_length=200)]
USUAL = ("leaf_trust", "rms_error_mm")


def router(clinic: Clinic) -> APIRouter:
    """The page, and its map as data, as picture and as table."""
    routes = APIRouter()
    for path, serve in (
        ("/leaves", _page(clinic)),
        ("/leaves.json", _map(clinic, _json)),
        ("/leaves.svg", _map(clinic, _svg)),
        ("/leaves.csv", _map(clinic, _csv)),
    ):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Callable[..., Response]:
    def show(
        request: Request,
        machine: Word,
        analyzer: Choice = None,
        quantity: Choice = None,
        days: Days = 90,
        technique: Choice = None,
        energy: Choice = None,
    ) -> Response:
        if not is_known(clinic, machine):
            raise HTTPException(404)
        kinds = leaf_page.quantities(clinic, machine)
        usual = USUAL if USUAL in kinds or not kinds else kinds[0]
        of = (analyzer or usual[0], quantity or usual[1])
        asked = Asked(machine, *of, days, technique, energy)
        known = leaf_page.series(clinic, asked)
        series = leaf_page.chosen(asked, known)
        found = leaf_page.read(clinic, asked, series)
        tolerance = found.tolerance if found is not None else None
        return page(
            clinic,
            request,
            "leaves.html",
            charts=True,
            name=machine,
            asked=asked,
            ranges=(*RANGES_D, TEN_YEARS_D),
            kinds=kinds,
            titles=clinic.title,
            choices=known,
            series=series,
            found=found,
            drawn=found.figure if found is not None else None,
            ranked=found.ranked if found is not None else [],
            tolerance=worded(tolerance, found.unit) if found and tolerance is not None else "",
            address=_address,
        )

    return show


def _map(clinic: Clinic, answer: Callable[[Leaves], Response]) -> Callable[..., Response]:
    def draw(
        machine: Word,
        analyzer: Word = USUAL[0],
        quantity: Word = USUAL[1],
        days: Days = 90,
        technique: Choice = None,
        energy: Choice = None,
    ) -> Response:
        asked = Asked(machine, analyzer, quantity, days, technique, energy)
        series = leaf_page.chosen(asked, leaf_page.series(clinic, asked))
        found = leaf_page.read(clinic, asked, series)
        if found is None:
            raise HTTPException(404)
        return answer(found)

    return draw


def _address(of: tuple[str, str], days: int, machine: str, series: LeafSeries | None = None) -> str:
    """What stands behind the `?`; without a series, that with the most days."""
    said = {"machine": machine, "analyzer": of[0], "quantity": of[1], "days": str(days)}
    if series is not None:
        said |= {"technique": series.technique, "energy": series.energy}
    return urlencode(said)


def _json(found: Leaves) -> Response:
    text = json.dumps(figures.plotly(found.figure), separators=(",", ":"), allow_nan=False)
    return Response(text, media_type="application/json")


def _svg(found: Leaves) -> Response:
    return Response(svg(found.figure), media_type="image/svg+xml")


def _csv(found: Leaves) -> Response:
    named = {"Content-Disposition": 'attachment; filename="leaves.csv"'}
    return Response(leaf_page.as_csv(found), media_type="text/csv; charset=utf-8", headers=named)
