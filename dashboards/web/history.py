"""What trends of a machine say, and what was done to it: calibrations, repairs, changed parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.clinic import Clinic, When
from dashboards.web.forms import Refusal, whole_number
from dashboards.web.machine_page import is_known
from dashboards.web.people import form_of
from dashboards.web.reasons import reason_of
from qa_daemon.store import service_events, trend_signals
from qa_daemon.store.service_events import EventKind, NoSuchEvent, ServiceEvent, StoredEvent
from qa_daemon.store.trend_signals import StoredSignal
from qa_daemon.trend_sentences import sentence

FIRST_YEAR, END_YEAR = 1980, 2200
"""No trend reaches back so far, and times beyond are no numbers for a store."""
AHEAD = timedelta(hours=1)
"""Clocks of a clinic differ; what is further ahead was not done yet."""


@dataclass(frozen=True, slots=True)
class SignalView:
    """What one trend says, with the newest result that says it."""

    kind: str
    said: str
    result: int
    when: When


@dataclass(frozen=True, slots=True)
class EventView:
    """One service event."""

    stored: StoredEvent
    test: str
    when: When


def signals_of(clinic: Clinic, machine: str | None = None) -> dict[str, list[SignalView]]:
    """Open signals that people are told of by machine: of one, or of all."""
    return _views(clinic, machine, told=True)


def charted(clinic: Clinic, machine: str) -> list[SignalView]:
    """What control charts of a machine say besides."""
    return _views(clinic, machine, told=False).get(machine, [])


def views(clinic: Clinic, signals: Iterable[StoredSignal]) -> list[SignalView]:
    """Signals of one machine as sentences."""
    return [view for signal in signals if (view := _view(clinic, signal)) is not None]


def _view(clinic: Clinic, signal: StoredSignal) -> SignalView | None:
    series = signal.series
    metric = clinic.meanings.get(f"{series.analyzer}.{series.metric}")
    if metric is None:
        return None
    said = f"{clinic.title(series.analyzer)}, {sentence(signal, metric, clinic.site.zone)}"
    return SignalView(signal.kind, said, signal.result, clinic.when(signal.point_ns))


def _views(clinic: Clinic, machine: str | None, *, told: bool) -> dict[str, list[SignalView]]:
    found: dict[str, list[SignalView]] = {}
    for signal in trend_signals.open_of(clinic.store, machine):
        if (signal.kind in trend_signals.TOLD) is told:
            found.setdefault(signal.series.machine, []).extend(views(clinic, [signal]))
    return found


def events_of(clinic: Clinic, machine: str) -> list[EventView]:
    """Service events of a machine, the newest first."""
    return [
        EventView(
            stored,
            clinic.title(stored.event.analyzer) if stored.event.analyzer else "every test",
            clinic.when(stored.event.point_ns),
        )
        for stored in reversed(service_events.every(clinic.store, machine))
    ]


def router(clinic: Clinic) -> APIRouter:
    """The form of service events."""

    def change(request: Request, name: str) -> Response:
        person, form = clinic.people.physicist(request), form_of(request)
        if not is_known(clinic, name):
            raise HTTPException(404)
        reason = reason_of(form, "")
        if form.get("do") == "enter":
            event = _event(clinic, name, form.get, reason)
            entered = service_events.enter(clinic.store, [event], person.name)
            said = "It is entered; trends are cut there." if entered else "It was there already."
        elif form.get("do") == "withdraw":
            try:
                number = whole_number(form.get("event", ""))
                service_events.withdraw(clinic.store, name, number, person.name, reason)
            except NoSuchEvent as why:
                raise Refusal(409, "Not withdrawn", f"Nothing was done: {why}.") from None
            said = "It is withdrawn and cuts no trend."
        else:
            raise Refusal(400, "Not taken", "Nothing was done: choose what to do.")
        clinic.people.tell(request, said)
        return RedirectResponse(f"/machines/{quote(name, safe='')}#events", 303)

    routes = APIRouter()
    path = "/machines/{name:path}/events"
    routes.add_api_route(path, change, methods=["POST"], response_model=None)
    return routes


def _event(
    clinic: Clinic, machine: str, field: Callable[[str, str], str], said: str
) -> ServiceEvent:
    try:
        kind = EventKind(field("kind", ""))
        at = datetime.fromisoformat(field("at", ""))
    except ValueError:
        raise Refusal(
            400, "Not entered", "Nothing was done: choose what was done, and when."
        ) from None
    analyzer = field("analyzer", "")
    if analyzer and analyzer not in clinic.titles:
        raise Refusal(400, "Not entered", "Nothing was done: there is no such test.")
    if not FIRST_YEAR <= at.year < END_YEAR:
        raise Refusal(400, "Not entered", "Nothing was done: there is a mistake in the year.")
    when = clinic.site.zoned(at)
    if when is None or when > clinic.clock() + AHEAD:
        raise Refusal(400, "Not entered", "Nothing was done: that time is still to come.")
    return ServiceEvent(machine, kind, said, service_events.instant_of(when), analyzer or None)
