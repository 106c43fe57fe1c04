"""Months to take away: the page that lists them, the document and the whole package of each."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from dashboards.reports.month_package import month_pdf, stem_of, write_package, write_zip
from dashboards.web.answers import page
from dashboards.web.clinic import Clinic
from dashboards.web.forms import Refusal
from qa_daemon.store import month_records
from qa_daemon.store.months import Month

EXPORT = "/export"
PRIVATE = "private, no-store"
PIECE = 1 << 20
Serve = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Listed:
    """A month on the page."""

    name: str
    title: str
    is_over: bool


def router(clinic: Clinic) -> APIRouter:
    """Addresses of months; for physicists, who hand them on."""
    routes = APIRouter()
    making = threading.Lock()
    routes.add_api_route(EXPORT, _list(clinic), methods=["GET", "HEAD"], response_model=None)
    for path, serve in (
        (f"{EXPORT}/{{name}}.pdf", _document(clinic, making)),
        (f"{EXPORT}/{{name}}.zip", _package(clinic, making)),
    ):
        routes.add_api_route(path, serve, methods=["GET"], response_model=None)
    return routes


def _list(clinic: Clinic) -> Serve:
    def show(request: Request) -> Response:
        clinic.people.physicist(request)
        return page(clinic, request, "months.html", months=_months(clinic))

    return show


# Requests are served by worker threads: while a month is made, other pages are answered.
def _document(clinic: Clinic, making: threading.Lock) -> Serve:
    def download(request: Request, name: str) -> Response:
        clinic.people.physicist(request)
        month = _called(clinic, name)
        with _alone(making):
            content = month_pdf(clinic.site, clinic.store, month, clinic.titles)
        return Response(content, media_type="application/pdf", headers=_as(month, "pdf"))

    return download


def _package(clinic: Clinic, making: threading.Lock) -> Serve:
    def download(request: Request, name: str) -> Response:
        clinic.people.physicist(request)
        month = _called(clinic, name)
        with _alone(making), tempfile.TemporaryDirectory(prefix="qa-month-") as folder:
            path = Path(folder, "package.zip")
            files = write_package(clinic.site, clinic.store, month, Path(folder), clinic.titles)
            write_zip(files, path)
            stream = path.open("rb")  # its name goes with the folder, whoever hangs up
        size = str(os.fstat(stream.fileno()).st_size)
        headers = {**_as(month, "zip"), "Content-Length": size}
        return StreamingResponse(_pieces(stream), media_type="application/zip", headers=headers)

    return download


@contextmanager
def _alone(making: threading.Lock) -> Iterator[None]:
    """One at a time: a large month takes a processor for a minute."""
    if not making.acquire(blocking=False):
        raise Refusal(
            503, "One moment", "A month is being put together already: try again in a minute."
        )
    try:
        yield
    finally:
        making.release()


def _months(clinic: Clinic) -> list[Listed]:
    now = clinic.clock()
    with clinic.store.read() as connection:
        found = month_records.months(connection, clinic.site.zone)
    return [Listed(month.name, month.title, month.until <= now) for month in reversed(found)]


def _called(clinic: Clinic, name: str) -> Month:
    try:
        return Month.called(name, clinic.site.zone)
    except ValueError:
        raise HTTPException(404) from None


def _as(month: Month, ending: str) -> dict[str, str]:
    called = f'attachment; filename="{stem_of(month)}.{ending}"'
    return {"Content-Disposition": called, "Cache-Control": PRIVATE}


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(PIECE):
            yield piece
