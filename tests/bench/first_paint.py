"""When a browser shows something of a page: first contentful paint in Chromium, in milliseconds."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.dashboards.test_browser import FLAGS
from tests.servers import free_port, installed

VISITS = 7
PAINT = "() => performance.getEntriesByName('first-contentful-paint').map((e) => e.startTime)"


def first_paint(app: Any, path: str) -> dict[str, float]:
    """Of the first visit of a new browser, and the median of later ones, each in a new window.

    `app` is served on this machine; the browser is on it too.
    """
    from playwright.sync_api import sync_playwright

    found = []
    with _served(app) as url, sync_playwright() as playwright:
        executable = installed("chromium", "chromium-browser")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for _ in range(VISITS + 1):
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(url + path, wait_until="load")
                while not (paint := page.evaluate(PAINT)):
                    page.wait_for_timeout(20)
                found.append(float(paint[0]))
        browser.close()
    return {"first_ms": round(found[0], 1), "ms": round(statistics.median(found[1:]), 1)}


@contextmanager
def _served(app: Any) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
