"""The pages as an ASGI application: made of the parts of the service, knowing nothing else.

Every page is built on the server and reads the store alone.  Nothing is changed by any request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from fastapi import FastAPI

from analyzers.core import Metric
from dashboards.web import answers, files, pages
from dashboards.web.clinic import Clinic
from dashboards.web.headers import SecurityHeaders
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.queries import Queries


def create_app(
    site: Site,
    queries: Queries,
    archive: Archive,
    status: Callable[[], dict[str, object]],
    ready: Callable[[], bool],
    clock: Callable[[], datetime],
    titles: Mapping[str, str],
    meanings: Mapping[str, Metric],
) -> FastAPI:
    """The application.

    `status` says how the service stands and `ready` whether it takes files in; `titles` are the
    analyzers' names for people, `meanings` their metrics by `analyzer.metric`.
    """
    clinic = Clinic(site, queries, archive, status, ready, clock, titles, meanings)
    app = FastAPI(
        title="QA Daemon",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(SecurityHeaders)
    app.include_router(files.router())
    app.include_router(pages.router(clinic))
    answers.add_error_pages(app, clinic)
    return app
