"""The page of a trend, its chart and its numbers; what a physicist signs there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from dashboards import figures
from dashboards.figures import Figure
from dashboards.web import draw_chart, trend_data, trend_page
from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal
from dashboards.web.machine_page import RANGES_D
from dashboards.web.people import form_of
from dashboards.web.picture import svg
from dashboards.web.reasons import LONGEST_REASON, reason_of
from dashboards.web.trend_data import MOST_OTHERS, TrendData
from qa_daemon.store import chart_limits, trend_days
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.trends.chart import usual_of

TREND = "/trend"
TEN_YEARS_D = 3653
DAYS = re.compile(r"[0-9]{1,4}")
Days = Annotated[int, Query(ge=1, le=TEN_YEARS_D)]
Word = Annotated[str, Query(max_length=200)]
Words = Annotated[list[str], Query(max_length=MOST_OTHERS)]
Serve = Callable[..., Response]


def router(clinic: Clinic) -> APIRouter:
    """Addresses of trends."""
    routes = APIRouter()
    for path, serve in (
        (TREND, _page(clinic)),
        (f"{TREND}.json", _chart(clinic, _json)),
        (f"{TREND}.svg", _chart(clinic, _svg)),
        (f"{TREND}.csv", _csv(clinic)),
    ):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    routes.add_api_route(TREND, _sign(clinic), methods=["POST"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Serve:
    def show(
        request: Request,
        machine: Word,
        metric: Word,
        place: Word = "",
        energy: Word = "",
        judged_as: Word = "",
        technique: Word = "",
        days: Days = 365,
        beside: Words = [],  # noqa: B006 - read only
    ) -> Response:
        data = _data(clinic, (machine, metric, place, energy, judged_as, technique), days)
        return page(
            clinic,
            request,
            "trend.html",
            charts=True,
            name=data.name,
            days=days,
            ranges=(*RANGES_D, TEN_YEARS_D),
            view=trend_page.view(clinic, data, days, beside),
            drawn=draw_chart.chart_figure(data),
            beside=beside,
            is_physicist=clinic.people.is_physicist(request),
            notice=clinic.people.take_notice(request),
            longest_reason=LONGEST_REASON,
        )

    return show


def _chart(clinic: Clinic, answer: Callable[[Figure], Response]) -> Serve:
    def draw(
        machine: Word,
        metric: Word,
        place: Word = "",
        energy: Word = "",
        judged_as: Word = "",
        technique: Word = "",
        days: Days = 365,
        beside: Words = [],  # noqa: B006 - read only
    ) -> Response:
        data = _data(clinic, (machine, metric, place, energy, judged_as, technique), days)
        if not beside:
            return answer(draw_chart.chart_figure(data))
        since = data.span.since.astimezone(data.span.zone).date()
        others = trend_data.others(clinic, data.name, beside, since)
        return answer(draw_chart.compared(data, others))

    return draw


def _csv(clinic: Clinic) -> Serve:
    def export(
        machine: Word,
        metric: Word,
        place: Word = "",
        energy: Word = "",
        judged_as: Word = "",
        technique: Word = "",
        days: Days = 365,
    ) -> Response:
        data = _data(clinic, (machine, metric, place, energy, judged_as, technique), days)
        headers = {"Content-Disposition": 'attachment; filename="trend.csv"'}
        return Response(trend_page.as_csv(data.days), media_type="text/csv", headers=headers)

    return export


def _sign(clinic: Clinic) -> Serve:
    def sign(request: Request) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        reason = reason_of(form, "")
        names = ("machine", "metric", "place", "energy", "judged_as", "technique")
        said = [form.get(name, "") for name in names]
        days = form.get("days", "")
        if not (DAYS.fullmatch(days) and 1 <= int(days) <= TEN_YEARS_D):
            raise Refusal(400, "Not understood", "Nothing was done: the form is not whole.")
        machine, metric, place, energy, judged_as, technique = said
        data = _data(clinic, (machine, metric, place, energy, judged_as, technique), int(days))
        limits = _signed(data, form.get("do", ""))
        chart_limits.sign(
            clinic.store, data.name, replace(limits, signed_by=person.name, reason=reason)
        )
        clinic.people.tell(request, "The control limits are signed; earlier days keep theirs.")
        return RedirectResponse(f"{TREND}?{trend_page.query_of(data.name, int(days))}", 303)

    return sign


def _signed(data: TrendData, what: str) -> ChartLimits:
    """Limits as they stand, or those of the days shown, from the first of them on."""
    if what == "stand" and data.limits:
        return data.limits[-1]
    usual = usual_of(data.values) if what == "shown" else None
    if usual is None:
        raise Refusal(
            409, "Not signed", "Nothing was done: 20 days are needed to say what is usual."
        )
    since_ns = data.days[0].point_ns
    return ChartLimits(
        since_ns, usual.center, usual.sigma, usual.values, usual.alike, usual.widened
    )


def _data(clinic: Clinic, said: tuple[str, str, str, str, str, str], days: int) -> TrendData:
    machine, metric, place, energy, judged_as, technique = said
    declared = clinic.meanings.get(metric)
    if declared is None:
        raise HTTPException(404)
    analyzer, _, name = metric.partition(".")
    known = trend_days.series_of(clinic.store, machine, analyzer, name)
    asked = SeriesName(machine, analyzer, name, place, energy, judged_as, technique)
    if asked not in known:
        # Without place and energy, the first there is: what a link from elsewhere means.
        if not known or place or energy or judged_as or technique:
            raise HTTPException(404)
        asked = known[0]
    return trend_data.load(clinic, asked, declared, days)


def _json(drawn: Figure) -> Response:
    text = json.dumps(figures.plotly(drawn), separators=(",", ":"), allow_nan=False)
    return Response(text, media_type="application/json")


def _svg(drawn: Figure) -> Response:
    return Response(svg(drawn), media_type="image/svg+xml")
