"""The pages of a clinic with a kV unit, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI

from analyzers.catalogue import load
from dashboards.web.app import create_app
from qa_daemon.status import status_form
from tests.dashboards.serving import Served, serving
from tests.dashboards.visiting import LINE, PEOPLE
from tests.ingest.clinic import NOW, Clinic
from tests.srt.units import SITE, clinic_of


class Pages:
    """What a server of pages needs of a clinic."""

    def __init__(self, clinic: Clinic) -> None:
        self.unit = clinic
        self.site, self.store, self.queries = clinic.site, clinic.store, clinic.queries

    def app(self) -> FastAPI:
        return create_app(
            site=self.unit.site,
            store=self.unit.store,
            queries=self.unit.queries,
            archive=self.unit.archive,
            status=lambda: {**status_form(self.unit.site, self.unit.store), "folders": []},
            ready=lambda: True,
            clock=lambda: NOW,
            titles={a.name: a.title for a in load().analyzers},
            timer=lambda: 0.0,
        )


@contextmanager
def pages_of(
    tmp_path: Path, *tables: bytes, more: str = "", site: str = SITE
) -> Iterator[tuple[Clinic, Served]]:
    """A unit whose tables were taken in one after another."""
    for file in ("a.password", "b.password"):
        (tmp_path / file).write_text(LINE + "\n")
    clinic = clinic_of(tmp_path, site + PEOPLE + more)
    try:
        for number, content in enumerate(tables):
            clinic.drop(f"{number}.csv", content)
            clinic.process()
        with serving(Pages(clinic)) as served:  # type: ignore[arg-type]
            yield clinic, served
    finally:
        clinic.close()
