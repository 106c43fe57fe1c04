"""The pages as an ASGI application: made of the parts of the service, knowing nothing else.

Every page is built on the server.  What a form changes is done for a person who is signed in, and
written into the audit trail; so is whose identity a page shows.  Asking changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic

from fastapi import Depends, FastAPI

from dashboards.web import (
    answers,
    checks,
    files,
    health,
    history,
    images,
    leaves,
    matches,
    months,
    pages,
    settings_page,
    sign_in,
    treatments,
    trends,
    trends_overview,
    units,
)
from dashboards.web.clinic import Clinic
from dashboards.web.headers import SecurityHeaders
from dashboards.web.people import People
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.courses import Courses
from qa_daemon.store.pseudonyms import Pseudonyms
from qa_daemon.store.queries import Queries
from qa_daemon.store.store import Store


def create_app(
    site: Site,
    store: Store,
    queries: Queries,
    archive: Archive,
    status: Callable[[], dict[str, object]],
    ready: Callable[[], bool],
    clock: Callable[[], datetime],
    titles: Mapping[str, str],
    timer: Callable[[], float] = monotonic,
    hint: Callable[[str], None] = lambda _: None,
) -> FastAPI:
    """The application.

    `status` says how the service stands and `ready` whether it takes files in; `titles` are the
    analyzers' names for people; `timer`, in seconds, ends sessions; `hint` tells the scan of files
    where something has come.
    """
    people = People(site, store, timer)
    clinic = Clinic(
        site=site,
        queries=queries,
        archive=archive,
        status=status,
        ready=ready,
        clock=clock,
        titles=titles,
        people=people,
        store=store,
        courses=Courses(store),
        pseudonyms=Pseudonyms(site.state_dir, store),
    )
    app = FastAPI(
        title="QA Daemon",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # Before every route, so that none that is added later can be forgotten.
        dependencies=[Depends(people.guard)],
    )
    app.add_middleware(SecurityHeaders)
    app.include_router(files.router())
    app.include_router(pages.router(clinic))
    app.include_router(matches.router(clinic))
    app.include_router(images.router(clinic))
    app.include_router(treatments.router(clinic))
    app.include_router(health.router(clinic))
    app.include_router(history.router(clinic))
    app.include_router(leaves.router(clinic))
    app.include_router(trends_overview.router(clinic))
    app.include_router(trends.router(clinic))
    app.include_router(checks.router(clinic, hint))
    app.include_router(units.router(clinic))  # after what stands below a unit
    app.include_router(months.router(clinic))
    app.include_router(settings_page.router(clinic))
    app.include_router(sign_in.router(clinic))
    answers.add_error_pages(app, clinic)
    return app
