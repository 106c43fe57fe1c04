"""The address of a machine's leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import Response

from dashboards.web import leaf_page
from dashboards.web.answers import figure_json, figure_svg, page
from dashboards.web.clinic import Clinic
from dashboards.web.leaf_page import Asked, Leaves
from dashboards.web.machine_page import is_known
from dashboards.web.spans import RANGES, AskedTime, newest_days
from dashboards.web.wording import quantity as worded
from qa_daemon.store.leaf_medians import LeafSeries

Wanted = Annotated[AskedTime, Depends(newest_days(90))]
Word = Annotated[str, Query(max_length=200)]
Choice = Annotated[str | None, Query(max_length=200)]
USUAL = ("leaf_trust", "rms_error_mm")


def router(clinic: Clinic) -> APIRouter:
    """The page, and its map as data, as picture and as table."""
    routes = APIRouter()
    for path, serve in (
        ("/leaves", _page(clinic)),
        ("/leaves.json", _map(clinic, lambda found: figure_json(found.figure))),
        ("/leaves.svg", _map(clinic, lambda found: figure_svg(found.figure))),
        ("/leaves.csv", _map(clinic, _csv)),
    ):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Callable[..., Response]:
    def show(
        request: Request,
        machine: Word,
        time: Wanted,
        analyzer: Choice = None,
        quantity: Choice = None,
        technique: Choice = None,
        energy: Choice = None,
    ) -> Response:
        if not is_known(clinic, machine):
            raise HTTPException(404)
        kinds = leaf_page.quantities(clinic, machine)
        usual = USUAL if USUAL in kinds or not kinds else kinds[0]
        of = (analyzer or usual[0], quantity or usual[1])
        asked = Asked(machine, *of, time, technique, energy)
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
            ranges=[AskedTime(days) for days in RANGES],
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
        time: Wanted,
        analyzer: Word = USUAL[0],
        quantity: Word = USUAL[1],
        technique: Choice = None,
        energy: Choice = None,
    ) -> Response:
        asked = Asked(machine, analyzer, quantity, time, technique, energy)
        series = leaf_page.chosen(asked, leaf_page.series(clinic, asked))
        found = leaf_page.read(clinic, asked, series)
        if found is None:
            raise HTTPException(404)
        return answer(found)

    return draw


def _address(
    of: tuple[str, str], time: AskedTime, machine: str, series: LeafSeries | None = None
) -> dict[str, str]:
    """The fields of an address; without a series, that with the most days."""
    said = {"machine": machine, "analyzer": of[0], "quantity": of[1]}
    if series is not None:
        said |= {"technique": series.technique, "energy": series.energy}
    return said | time.query


def _csv(found: Leaves) -> Response:
    named = {"Content-Disposition": 'attachment; filename="leaves.csv"'}
    return Response(leaf_page.as_csv(found), media_type="text/csv; charset=utf-8", headers=named)
