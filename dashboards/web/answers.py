"""Templates, and the answers made with them: pages, and errors in the same style."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards import figures
from dashboards.figures import Figure
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal
from dashboards.web.headers import HEADERS, WITH_CHARTS
from dashboards.web.people import BOARD, SignInNeeded, back_to, sign_in_address
from dashboards.web.picture import svg
from dashboards.web.wording import CONTROLLER_REPORTED, LOOKS
from qa_daemon.model import SOFTWARE
from qa_daemon.store.unit_blocks import open_blocks

LOG = logging.getLogger(__name__)
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
ERRORS = {
    404: ("Not found", "There is no such page, machine or result here."),
    405: ("Not allowed", "This page can be read, not written to."),
    422: ("Not understood", "The address holds a number that is none, or one out of range."),
    500: (
        "This page failed",
        "An error of QA Daemon, written to its log. Results and alerts are not affected by it. "
        "Try again; if it stays, report it.",
    ),
}


def page(
    clinic: Clinic,
    request: Request,
    template: str,
    *,
    charts: bool = False,
    status: int = 200,
    **values: object,
) -> HTMLResponse:
    """A page for whoever asks; `charts` lets plotly.js style what it draws."""
    session = clinic.people.session(request)
    text = TEMPLATES.get_template(template).render(
        site=clinic.site.name,
        now=clinic.local(clinic.clock()),
        software=SOFTWARE,
        controller_reported=CONTROLLER_REPORTED,
        looks=LOOKS,
        charts=charts,
        person=session.person if session else None,
        form_token=session.form_token if session else "",
        sign_in_address=sign_in_address(back_to(request)),
        blocked=dict.fromkeys(block.machine for block in open_blocks(clinic.store)),
        **values,
    )
    headers = {"Content-Security-Policy": WITH_CHARTS} if charts else {}
    return HTMLResponse(text, status, headers)


def figure_json(drawn: Figure) -> Response:
    """A figure as plotly.js takes it."""
    text = json.dumps(figures.plotly(drawn), separators=(",", ":"), allow_nan=False)
    return Response(text, media_type="application/json")


def figure_svg(drawn: Figure) -> Response:
    """A figure as a picture."""
    return Response(svg(drawn), media_type="image/svg+xml")


def add_error_pages(app: FastAPI, clinic: Clinic) -> None:
    """Say what went wrong in a sentence: never a trace, never what the request held."""

    def answer(request: Request, status: int, why: Exception | None = None) -> Response:
        title, sentence = ERRORS.get(status, ("Not possible", "This request cannot be answered."))
        if isinstance(why, Refusal):
            title, sentence = why.title, why.sentence
        said = {"code": str(status), "title": title, "sentence": sentence}
        return page(clinic, request, "error.html", charts=False, status=status, **said)

    async def refused(request: Request, why: Exception) -> Response:
        return answer(request, why.status_code if isinstance(why, HTTPException) else 500, why)

    async def to_sign_in(_request: Request, why: Exception) -> Response:
        back = why.back if isinstance(why, SignInNeeded) else BOARD
        return RedirectResponse(sign_in_address(back), 303)

    async def not_understood(request: Request, _why: Exception) -> Response:
        return answer(request, 422)

    async def failed(request: Request, why: Exception) -> Response:
        frame = traceback.extract_tb(why.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        LOG.error("page failed error=%s at=%s", type(why).__name__, place)
        response = answer(request, 500)
        response.headers.update(HEADERS)  # made outside of the middleware that adds them
        return response

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(SignInNeeded, to_sign_in)
    app.add_exception_handler(RequestValidationError, not_understood)
    app.add_exception_handler(Exception, failed)
