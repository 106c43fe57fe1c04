"""The page of a trend, its chart and its numbers; what a physicist signs there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from dashboards.figures import Figure
from dashboards.web import draw_chart, trend_data, trend_page
from dashboards.web.answers import figure_json, figure_svg, page
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal, whole_number
from dashboards.web.machine_page import is_known
from dashboards.web.people import form_of
from dashboards.web.reasons import LONGEST_REASON, reason_of
from dashboards.web.spans import TEN_YEARS_D, AskedTime, asked_time, newest_days
from dashboards.web.trend_data import MOST_OTHERS, TrendData
from qa_daemon.store import chart_limits, trend_cuts, trend_days
from qa_daemon.store.chart_limits import ChartLimits
from qa_daemon.store.service_events import instant_of
from qa_daemon.store.trend_days import TrendDay
from qa_daemon.store.trend_series import SeriesName
from qa_daemon.trends.chart import usual_of
from qa_daemon.trends.charting import limits_from

TREND = "/trend"
NAMES = ("machine", "metric", "place", "energy", "judged_as", "technique")
Word = Annotated[str, Query(max_length=200)]
Words = Annotated[list[str], Query(max_length=MOST_OTHERS)]
Serve = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class AskedSeries:
    """What an address or a form says of a series; `metric` is `analyzer.metric`."""

    machine: str
    metric: str
    place: str
    energy: str
    judged_as: str
    technique: str


def asked_series(
    machine: Word,
    metric: Word,
    place: Word = "",
    energy: Word = "",
    judged_as: Word = "",
    technique: Word = "",
) -> AskedSeries:
    """The series of an address."""
    return AskedSeries(machine, metric, place, energy, judged_as, technique)


Wanted = Annotated[AskedTime, Depends(newest_days(365))]
SeriesWanted = Annotated[AskedSeries, Depends(asked_series)]


def router(clinic: Clinic) -> APIRouter:
    """Addresses of trends."""
    routes = APIRouter()
    for path, serve in (
        (TREND, _page(clinic)),
        (f"{TREND}.json", _chart(clinic, figure_json)),
        (f"{TREND}.svg", _chart(clinic, figure_svg)),
        (f"{TREND}.csv", _csv(clinic)),
    ):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_model=None)
    routes.add_api_route(TREND, _sign(clinic), methods=["POST"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Serve:
    def show(
        request: Request,
        series: SeriesWanted,
        asked: Wanted,
        beside: Words = [],  # noqa: B006 - read only
    ) -> Response:
        data = _data(clinic, series, asked)
        return page(
            clinic,
            request,
            "trend.html",
            charts=True,
            name=data.name,
            asked=asked,
            view=trend_page.view(clinic, data, asked, beside),
            drawn=draw_chart.chart_figure(data),
            beside=beside,
            is_physicist=clinic.people.is_physicist(request),
            notice=clinic.people.take_notice(request),
            longest_reason=LONGEST_REASON,
        )

    return show


def _chart(clinic: Clinic, answer: Callable[[Figure], Response]) -> Serve:
    def draw(
        series: SeriesWanted,
        asked: Wanted,
        beside: Words = [],  # noqa: B006 - read only
    ) -> Response:
        data = _data(clinic, series, asked)
        if not beside:
            return answer(draw_chart.chart_figure(data))
        return answer(draw_chart.compared(data, trend_data.others(clinic, data, beside)))

    return draw


def _csv(clinic: Clinic) -> Serve:
    def export(series: SeriesWanted, asked: Wanted) -> Response:
        data = _data(clinic, series, asked)
        headers = {"Content-Disposition": 'attachment; filename="trend.csv"'}
        return Response(trend_page.as_csv(data.days), media_type="text/csv", headers=headers)

    return export


def _sign(clinic: Clinic) -> Serve:
    def sign(request: Request) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        reason = reason_of(form, "")
        days = whole_number(form.get("days", ""))
        if not 1 <= days <= TEN_YEARS_D:
            raise Refusal(400, "Not understood", "Nothing was done: the form is not whole.")
        asked = asked_time(days, form.get("since", ""), form.get("until", ""))
        data = _data(clinic, AskedSeries(*(form.get(name, "") for name in NAMES)), asked)
        limits = _signed(clinic, data, form.get("do", ""))
        chart_limits.sign(
            clinic.store, data.name, replace(limits, signed_by=person.name, reason=reason)
        )
        clinic.people.tell(request, "The control limits are signed; earlier days keep theirs.")
        return RedirectResponse(f"{TREND}?{trend_page.query_of(data.name, asked)}", 303)

    return sign


def _signed(clinic: Clinic, data: TrendData, what: str) -> ChartLimits:
    """Limits as they stand, or from now on those of the first days shown."""
    if what == "stand" and data.laid.in_force is not None:
        return data.laid.in_force
    usual = usual_of(data.of_now) if what == "shown" else None
    if usual is None:
        raise Refusal(
            409,
            "Not signed",
            "Nothing was done: 20 days since the last event are needed to say what is usual.",
        )
    newest, now_ns = data.days_of_now[-1], instant_of(clinic.clock())
    if _is_over(clinic, data.name, newest, now_ns):
        raise Refusal(
            409,
            "Not signed",
            "Nothing was done: after the days shown something was done to the machine, or the unit "
            "or the version of the analyzer changed; they do not say what is usual from now on.",
        )
    return limits_from(usual, now_ns, newest.version, newest.unit)


def _is_over(clinic: Clinic, name: SeriesName, newest: TrendDay, now_ns: int) -> bool:
    """Whether the process of a day ended after it."""
    cuts_ns = trend_cuts.read(clinic.store, name.machine).of(name)
    if any(newest.point_ns <= ns <= now_ns for ns in cuts_ns):
        return True
    today = clinic.clock().astimezone(clinic.site.zone).date()
    since = trend_days.days_of(clinic.store, name, newest.day, today)
    after = (day for day in since if day.point_ns > newest.point_ns)
    return any((day.version, day.unit) != (newest.version, newest.unit) for day in after)


def _data(clinic: Clinic, said: AskedSeries, asked: AskedTime) -> TrendData:
    declared = clinic.meanings.get(said.metric)
    if declared is None or not is_known(clinic, said.machine):
        raise HTTPException(404)
    analyzer, _, name = said.metric.partition(".")
    known = trend_days.series_of(clinic.store, said.machine, analyzer, name)
    wanted = SeriesName(
        said.machine, analyzer, name, said.place, said.energy, said.judged_as, said.technique
    )
    if wanted not in known:
        # Without place and energy, the first there is: what a link from elsewhere means.
        if said.place or said.energy or said.judged_as or said.technique:
            raise HTTPException(404)
        if not known:
            raise Refusal(
                404,
                "No trend yet",
                "There is no day with a value of this quantity. A trend begins with the first "
                "result that holds one; results themselves are on the page of the machine.",
            )
        wanted = known[0]
    return trend_data.load(clinic, wanted, declared, asked)
