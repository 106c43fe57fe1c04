"""All trends of the clinic that say something, and how many would by chance alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.history import SignalView, views
from qa_daemon.store import trend_days, trend_signals

RUN_LENGTH = 220
"""Values of a steady process between two signals of its chart, by simulation
(`tests/bench/run_lengths.py`): single values beyond 3 sigma and the weighted average together."""
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class MachineTrends:
    """What trends of a machine say: to people, and on their charts."""

    name: str
    told: list[SignalView]
    charted: list[SignalView]
    values: int

    @property
    def expected(self) -> float:
        """Signals of charts in a month that chance alone makes."""
        return self.values / RUN_LENGTH


def machines(clinic: Clinic) -> list[MachineTrends]:
    """Every machine of the site file."""
    last = clinic.clock().astimezone(clinic.site.zone).date()
    found: dict[str, list[trend_signals.StoredSignal]] = {}
    for signal in trend_signals.open_of(clinic.store):
        found.setdefault(signal.series.machine, []).append(signal)
    names = [machine.name for machine in clinic.site.machines]
    return [
        MachineTrends(
            name,
            views(clinic, [s for s in found.get(name, []) if s.kind in trend_signals.TOLD]),
            views(clinic, [s for s in found.get(name, []) if s.kind not in trend_signals.TOLD]),
            trend_days.count_judged(clinic.store, name, last - MONTH),
        )
        for name in [*names, *(n for n in found if n not in names)]
    ]


def router(clinic: Clinic) -> APIRouter:
    """The page."""
    routes = APIRouter()
    routes.add_api_route("/trends", _page(clinic), methods=["GET", "HEAD"], response_model=None)
    return routes


def _page(clinic: Clinic) -> Callable[..., Response]:
    def show(request: Request) -> Response:
        every = machines(clinic)
        return page(
            clinic,
            request,
            "trends.html",
            machines=every,
            expected=sum(one.expected for one in every),
            values=sum(one.values for one in every),
            run_length=RUN_LENGTH,
        )

    return show
