"""Templates, and the answers made with them: pages, and errors in the same style."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from dashboards.web.clinic import Clinic
from dashboards.web.headers import HEADERS, WITH_CHARTS
from dashboards.web.wording import CONTROLLER_REPORTED, LOOKS
from qa_daemon.model import SOFTWARE

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
    405: ("Not allowed", "These pages can be read, not written to."),
    422: ("Not understood", "The address holds a number that is none, or one out of range."),
    500: (
        "This page failed",
        "An error of QA Daemon, written to its log. Results and alerts are not affected by it. "
        "Try again; if it stays, report it.",
    ),
}


def page(
    clinic: Clinic, template: str, *, charts: bool = False, status: int = 200, **values: object
) -> HTMLResponse:
    """A page; `charts` lets plotly.js style what it draws."""
    text = TEMPLATES.get_template(template).render(
        site=clinic.site.name,
        now=clinic.local(clinic.clock()),
        software=SOFTWARE,
        controller_reported=CONTROLLER_REPORTED,
        looks=LOOKS,
        charts=charts,
        **values,
    )
    headers = {"Content-Security-Policy": WITH_CHARTS} if charts else {}
    return HTMLResponse(text, status, headers)


def add_error_pages(app: FastAPI, clinic: Clinic) -> None:
    """Say what went wrong in a sentence: never a trace, never what the request held."""

    def answer(status: int) -> Response:
        title, sentence = ERRORS.get(status, ("Not possible", "This request cannot be answered."))
        return page(
            clinic, "error.html", status=status, code=status, title=title, sentence=sentence
        )

    async def refused(_request: Request, why: Exception) -> Response:
        return answer(why.status_code if isinstance(why, HTTPException) else 500)

    async def not_understood(_request: Request, _why: Exception) -> Response:
        return answer(422)

    async def failed(_request: Request, why: Exception) -> Response:
        frame = traceback.extract_tb(why.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        LOG.error("page failed error=%s at=%s", type(why).__name__, place)
        response = answer(500)
        response.headers.update(HEADERS)  # made outside of the middleware that adds them
        return response

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, not_understood)
    app.add_exception_handler(Exception, failed)
