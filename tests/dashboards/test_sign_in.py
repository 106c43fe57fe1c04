"""Signing in and out over HTTP, and every way of being refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import select
from starlette.responses import PlainTextResponse, Response

from dashboards.web import forms, people
from dashboards.web.people import form_of
from qa_daemon.site import passwords
from qa_daemon.store import audit
from qa_daemon.store.schema import audit as audit_rows
from tests.dashboards.clinic import Clinic
from tests.dashboards.serving import Answer, Served, serving
from tests.dashboards.visiting import LINE, PASSWORD, PEOPLE, Visitor, clinic_with_people

HTTPS = '[web]\npublic_url = "https://qa.example.org"\n'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with clinic_with_people(tmp_path) as pages:
        yield pages


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For what changes nothing but the count of failed tries."""
    with clinic_with_people(tmp_path_factory.mktemp("clinic")) as pages:
        yield pages


class ClinicWithMore(Clinic):
    """Has a page and a form for physicists, as later pages do."""

    def app(self) -> FastAPI:
        made = super().app()
        door = _people_of(made)

        def ask(request: Request) -> Response:
            return PlainTextResponse(f"for {door.physicist(request).name}")

        def decide(request: Request) -> Response:
            return PlainTextResponse(f"{door.physicist(request).name}: {form_of(request)['plan']}")

        made.add_api_route("/decisions", ask, methods=["GET"], response_model=None)
        made.add_api_route("/decisions", decide, methods=["POST"], response_model=None)
        return made


def _people_of(app: FastAPI) -> people.People:
    guard: Any = app.router.dependencies[0].dependency
    door: people.People = guard.__self__
    return door


@pytest.fixture
def decisions(tmp_path: Path) -> Iterator[Served]:
    clinic = ClinicWithMore(tmp_path, more=PEOPLE)
    for file in ("a.password", "b.password"):
        (tmp_path / file).write_text(LINE)
    with serving(clinic) as pages:
        yield pages


def trail(served: Served) -> list[tuple[str, str, str, dict[str, str]]]:
    """Who did what to what, oldest first; the chain is whole."""
    with served.clinic.store.read() as connection:
        assert audit.verify(connection) is None
        rows = connection.execute(select(audit_rows).order_by(audit_rows.c.seq)).all()
    return [(r.actor, r.action, r.object, json.loads(r.detail)) for r in rows]


def test_signing_in_shows_the_name_until_signing_out(served: Served) -> None:
    visitor = Visitor(served)
    assert visitor.name() is None
    assert 'href="/sign-in?next=%2Fabout">Sign in' in visitor.get("/about").text
    answer = visitor.sign_in(back="/results?before=9")
    assert (answer.status, answer.headers["location"]) == (303, "/results?before=9")
    assert visitor.name() == "Physicist A"
    kept = dict(visitor.cookies)
    answer = visitor.post("/sign-out", {"token": visitor.token()})
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert visitor.cookies == {} and visitor.name() is None
    visitor.cookies = kept
    assert visitor.name() is None


def test_sign_ins_and_sign_outs_are_audited(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in(password="not the right one")
    visitor.sign_in(name="PATIENT4711")
    visitor.sign_in(name="Physicist C")
    visitor.sign_in()
    visitor.post("/sign-out", {"token": visitor.token()})
    done = trail(served)
    assert [row[:3] for row in done] == [
        ("nobody", "sign-in failed", "person Physicist A"),
        ("nobody", "sign-in failed", "unknown"),
        ("nobody", "sign-in failed", "person Physicist C"),
        ("Physicist A", "signed in", "pages"),
        ("Physicist A", "signed out", "pages"),
    ]
    # A password that somebody else has set shows by its fingerprint.
    assert done[3][3] == {"password": people._seal(LINE)[:8]}


def test_the_cookie_is_out_of_reach(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    (cookie,) = visitor.set_cookies
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/", "max-age=43200"}
    assert len(visitor.cookies["qa-daemon"]) >= 43


def test_behind_tls_the_cookie_is_for_this_host_and_tls_alone(tmp_path: Path) -> None:
    with clinic_with_people(tmp_path, HTTPS) as served:
        visitor = Visitor(served)
        visitor.sign_in()
        (cookie,) = visitor.set_cookies
        assert cookie.startswith("__Host-qa-daemon=") and "Secure" in cookie
        assert "Path=/" in cookie and "domain" not in cookie.lower()
        assert visitor.name() == "Physicist A"


def test_signing_in_changes_the_token_and_ends_the_session_before(served: Served) -> None:
    visitor, other = Visitor(served), Visitor(served)
    visitor.cookies["qa-daemon"] = "chosen-by-somebody-else"
    visitor.sign_in()
    first = visitor.cookies["qa-daemon"]
    assert first != "chosen-by-somebody-else"
    visitor.sign_in(name="Reader B")
    assert visitor.cookies["qa-daemon"] != first
    other.cookies["qa-daemon"] = first
    assert other.name() is None


def test_every_failure_gives_the_same_answer_and_costs_the_same(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived = []
    derive = passwords._key

    def counted(password: str, salt: bytes) -> bytes:
        derived.append(salt)
        return derive(password, salt)

    monkeypatch.setattr(passwords, "_key", counted)
    (served.clinic.site.path.parent / "b.password").write_text("no such thing")
    answers = [
        Visitor(served).sign_in(name, password)
        for name, password in (
            ("Physicist A", "not the right one"),
            ("nobody at all", PASSWORD),
            ("Physicist C", PASSWORD),  # may not sign in
            ("Reader B", PASSWORD),  # whose file is damaged
            ("", ""),
        )
    ]
    assert {a.status for a in answers} == {403}
    assert len({a.text for a in answers}) == 1
    assert "Name and password do not belong together." in answers[0].text
    assert not any("set-cookie" in a.headers for a in answers)
    assert len(derived) == 5 and len(trail(served)) == 5
    said = [r.getMessage() for r in caplog.records]
    assert said.count("sign-in failed") == 5
    assert "nobody at all" not in caplog.text and PASSWORD not in caplog.text


def test_a_session_ends_when_unused_and_the_board_that_asks_again_by_itself_is_no_use(
    served: Served,
) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    for _ in range(2):
        served.clinic.elapsed_s += 20 * 60.0
        assert visitor.name() == "Physicist A"
    for _ in range(29):
        served.clinic.elapsed_s += 60.0
        assert "Sign out" in visitor.get("/").text
    served.clinic.elapsed_s += 60.0
    assert "Sign out" not in visitor.get("/").text
    assert visitor.name() is None


def test_a_session_ends_after_twelve_hours(served: Served) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    for _ in range(35):
        served.clinic.elapsed_s += 20 * 60.0
        assert visitor.name() == "Physicist A"
    served.clinic.elapsed_s += 20 * 60.0
    assert visitor.name() is None


@pytest.mark.parametrize("change", ["anew", "away", "damaged"])
def test_a_changed_password_file_ends_sessions(served: Served, change: str) -> None:
    visitor = Visitor(served)
    visitor.sign_in()
    file = served.clinic.site.path.parent / "a.password"
    if change == "anew":
        file.write_text(passwords.line_of("another twelve leaves"))
    elif change == "away":
        file.unlink()
    else:
        file.write_text("scrypt")
    assert visitor.name() is None
    file.write_text(LINE)
    assert visitor.name() is None


def test_too_many_failed_tries_are_refused_unseen_and_alike_for_all_names(served: Served) -> None:
    for name in ("Physicist A", "nobody at all"):
        visitor = Visitor(served)
        statuses = [visitor.sign_in(name, "not the right one").status for _ in range(5)]
        assert statuses == [403] * 5
        refused = visitor.sign_in(name, PASSWORD)
        assert (refused.status, refused.headers["retry-after"]) == (429, "900")
        assert "Too many failed tries. Try again in 15 minutes." in refused.text
    assert len(trail(served)) == 10
    assert Visitor(served).sign_in("Reader B").status == 303
    served.clinic.elapsed_s += 15 * 60.0
    assert Visitor(served).sign_in().status == 303


def test_signing_in_never_leads_elsewhere(served: Served) -> None:
    visitor = Visitor(served)
    for back in ("https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/e.example"):
        assert visitor.sign_in(back=back).headers["location"] == "/"
    assert visitor.get("/sign-in?next=%2F%2Fevil.example").headers["location"] == "/"


def test_the_sign_in_page_keeps_where_to_go_back_to_as_text(served: Served) -> None:
    visitor = Visitor(served)
    page = visitor.get('/sign-in?next=/results?a="><script>alert(1)</script>'.replace(" ", "%20"))
    assert page.status == 200 and "<script" not in page.text
    assert 'value="/results?before=3"' in visitor.get("/sign-in?next=/results%3Fbefore%3D3").text


REFUSED = (
    {},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
)


def test_a_form_of_another_site_is_refused(decisions: Served) -> None:
    visitor = Visitor(decisions)
    visitor.sign_in()
    fields = {"token": visitor.token(), "plan": "7", "name": "Reader B", "password": PASSWORD}
    for said in REFUSED:
        for path in ("/decisions", "/sign-out", "/sign-in"):
            answer = visitor.post(path, fields, said)
            assert answer.status == 403 and "Nothing was done" in answer.text, (said, path)
    assert visitor.name() == "Physicist A"
    assert [row[1] for row in trail(decisions)] == ["signed in"]


def test_a_browser_that_tells_the_origin_alone_is_served(decisions: Served) -> None:
    visitor = Visitor(decisions)
    visitor.sign_in()
    fields = {"token": visitor.token(), "plan": "7"}
    answer = visitor.post("/decisions", fields, {"Origin": decisions.url})
    assert answer.text == "Physicist A: 7"


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("https://qa.example.org", True),
        ("http://127.0.0.1:8765", True),
        ("http://qa.example.org", False),
        ("https://qa.example.org:444", False),
        ("https://qa.example.org.evil.example", False),
        ("https://127.0.0.1:8765", False),
        ("http://127.0.0.1:8766", False),
        ("", False),
    ],
)
def test_the_published_address_and_this_computer_are_ours(origin: str, is_ours: bool) -> None:
    assert forms._is_ours(origin, "127.0.0.1:8765", "https://qa.example.org/") is is_ours
    assert not forms._is_ours("http://rebound.example", "rebound.example", "https://qa.example.org")


def test_a_form_without_the_sessions_own_token_is_refused(decisions: Served) -> None:
    visitor, another = Visitor(decisions), Visitor(decisions)
    visitor.sign_in()
    another.sign_in()
    wrong: list[dict[str, str]] = [{}, {"token": ""}, {"token": "x"}, {"token": another.token()}]
    for fields in wrong:
        for path in ("/decisions", "/sign-out"):
            answer = visitor.post(path, fields | {"plan": "7"})
            assert answer.status == 403 and "Not from this session" in answer.text
    fields = {"token": visitor.token(), "plan": "7"}
    assert visitor.post("/decisions", fields).text == "Physicist A: 7"


def test_a_page_for_physicists_leads_to_the_sign_in_page_and_back(decisions: Served) -> None:
    visitor = Visitor(decisions)
    answer = visitor.get("/decisions?log=4")
    assert answer.status == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fdecisions%3Flog%3D4"
    assert 'value="/decisions?log=4"' in visitor.get(answer.headers["location"]).text
    assert visitor.sign_in(back="/decisions?log=4").headers["location"] == "/decisions?log=4"
    assert visitor.get("/decisions").text == "for Physicist A"
    # Whoever is signed in is led on at once.
    assert visitor.get("/sign-in?next=/decisions").headers["location"] == "/decisions"


def test_a_reader_is_told_that_a_page_is_for_physicists(decisions: Served) -> None:
    visitor = Visitor(decisions)
    visitor.sign_in("Reader B")
    for answer in (
        visitor.get("/decisions"),
        visitor.post("/decisions", {"token": visitor.token(), "plan": "7"}),
    ):
        assert answer.status == 403 and "For physicists" in answer.text


def test_no_route_takes_anything_from_a_visitor_or_from_another_site(decisions: Served) -> None:
    visitor = Visitor(decisions)
    paths = _taking(decisions.clinic.app().routes)
    assert paths == {
        "/sign-in",
        "/sign-out",
        "/decisions",
        "/matches/{result:int}",
        "/matches/choices/{made:int}/back",
        "/images/{result:int}/kind",
        "/images/{result:int}/baseline",
        "/treatments",
        "/machines/{name:path}/events",
        "/trend",
        "/units/{name:path}/clear",
        "/units/{name:path}/sign",
        "/units/{name:path}/baseline",
        "/units/{name:path}/table",
        "/units/{name:path}/check",
    }
    for path in paths - {"/sign-in"}:
        answer = visitor.post(re.sub(r"{\w+(:\w+)?}", "1", path), {"token": "", "plan": "7"})
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    assert trail(decisions) == []


def _taking(routes: Iterable[Any]) -> set[str]:
    """The addresses of all routes that take more than a question, with those of routers inside."""
    found = {r.path for r in routes if getattr(r, "methods", set()) - {"GET", "HEAD"}}
    inside = [r.original_router for r in routes if hasattr(r, "original_router")]
    return found.union(*(_taking(router.routes) for router in inside))


def _raw(served: Served, body: bytes, kind: str | None = forms.FORM) -> Answer:
    headers = {"Sec-Fetch-Site": "same-origin"} | ({"Content-Type": kind} if kind else {})
    return Visitor(served)._ask("POST", "/sign-in", body, headers)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"name": "A"}', "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"name=A", "text/plain", 415),
        (b"name=" + b"x" * forms.MOST_BYTES, forms.FORM, 413),
        (b"name=A&name=B&password=C", forms.FORM, 400),
        (b"&".join(b"f%d=1" % k for k in range(101)), forms.FORM, 400),
        (b"name=%ff%fe&password=C", forms.FORM, 400),
        (b"name=\xff&password=C", forms.FORM, 400),
        (b"name=A&password=C", f"{forms.FORM}; charset=utf-8", 403),
        (b"", forms.FORM, 403),
    ],
)
def test_what_is_no_form_of_ours_is_refused(
    unchanged: Served, body: bytes, kind: str, status: int
) -> None:
    answer = _raw(unchanged, body, kind)
    assert answer.status == status
    assert "Back to today" in answer.text or "do not belong together" in answer.text


def test_a_form_that_does_not_end_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(forms, "LONGEST_S", 0.2)
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(
            f"POST /sign-in HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {forms.FORM}\r\n"
            "Sec-Fetch-Site: same-origin\r\nContent-Length: 1000\r\n\r\nname=".encode()
        )
        assert line.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_all_pages_but_those_for_people_stay_readable_without_signing_in(served: Served) -> None:
    visitor = Visitor(served)
    for path in ("/", "/results", "/machines/TB1", "/quarantine", "/about", "/healthz"):
        assert visitor.get(path).status == 200
    assert visitor.set_cookies == []


def test_where_nobody_has_a_password_the_page_says_what_to_do(tmp_path: Path) -> None:
    with serving(Clinic(tmp_path)) as served:
        page = Visitor(served).get("/sign-in").text
        assert "Nobody can sign in yet" in page and "<form" not in page
        assert Visitor(served).sign_in().status == 403


def test_a_sign_in_that_cannot_be_written_down_does_not_happen(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(audit, "record", full)
    visitor = Visitor(served)
    assert visitor.sign_in().status == 500
    assert visitor.cookies == {} and visitor.name() is None
