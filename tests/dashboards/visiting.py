"""A browser without a window: keeps its cookies, and sends forms as browsers do."""

from __future__ import annotations

import html
import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from qa_daemon.site import passwords
from tests.dashboards.clinic import Clinic
from tests.dashboards.serving import Answer, Served, serving

PASSWORD = "twelve leaves in a row"
PEOPLE = """
[[person]]
name = "Physicist A"
password_file = "a.password"
[[person]]
name = "Reader B"
password_file = "b.password"
role = "reader"
[[person]]
name = "Physicist C"
channels = ["mailto://c@example.org"]
"""
LINE = passwords.line_of(PASSWORD)


class Visitor:
    """One browser; `said` are headers that it adds to what it sends."""

    def __init__(self, served: Served) -> None:
        self._address = urlsplit(served.url).netloc
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None, {"Sec-Fetch-Site": "same-origin"})

    def post(
        self, path: str, fields: Mapping[str, str], said: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": "null"} if said is None else said
        return self._ask("POST", path, urlencode(fields).encode(), headers)

    def sign_in(
        self, name: str = "Physicist A", password: str = PASSWORD, back: str = "/"
    ) -> Answer:
        return self.post("/sign-in", {"name": name, "password": password, "next": back})

    def token(self) -> str:
        """The token that forms carry, out of a page."""
        found = re.search(r'name="token" value="([^"]+)"', self.get("/about").text)
        return html.unescape(found[1]) if found else ""

    def name(self) -> str | None:
        """Who the pages say is signed in."""
        found = re.search(r"<span>([^<]*)</span> <button>Sign out", self.get("/about").text)
        return html.unescape(found[1]) if found else None

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": kept} if kept else {}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self._address, timeout=60)
        connection.request(method, path, body, sent | dict(headers))
        got = connection.getresponse()
        answer = Answer(
            got.status, {k.lower(): v for k, v in got.headers.items()}, got.read().decode()
        )
        for line in got.headers.get_all("set-cookie") or []:
            self.set_cookies.append(line)
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
            if not self.cookies[name]:
                del self.cookies[name]
        connection.close()
        return answer


@contextmanager
def clinic_with_people(folder: Path, more: str = "") -> Iterator[Served]:
    """A clinic in which two people can sign in, served."""
    clinic = Clinic(folder, more=PEOPLE + more)
    for file in ("a.password", "b.password"):
        (folder / file).write_text(LINE + "\n")
    with serving(clinic) as served:
        yield served
