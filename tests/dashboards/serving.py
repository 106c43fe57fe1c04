"""Pages behind a real HTTP server on a free port."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from tests.dashboards.clinic import Clinic
from tests.servers import free_port


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Served:
    """A clinic's pages at `url`; `ids` are the results that tests know by name."""

    clinic: Clinic
    url: str
    ids: Mapping[str, int] = field(default_factory=dict)

    def get(self, path: str, method: str = "GET") -> Answer:
        request = urllib.request.Request(self.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read().decode())
        except urllib.error.HTTPError as why:
            with why:
                return Answer(why.code, dict(why.headers), why.read().decode())

    def result(self, name: str, more: str = "") -> Answer:
        return self.get(f"/results/{self.ids[name]}{more}")


@contextmanager
def serving(clinic: Clinic, ids: Mapping[str, int] | None = None) -> Iterator[Served]:
    port = free_port()
    config = uvicorn.Config(clinic.app(), port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Served(clinic, f"http://127.0.0.1:{port}", ids or {})
    finally:
        server.should_exit = True
        thread.join()
