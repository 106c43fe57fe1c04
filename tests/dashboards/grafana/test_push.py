"""Pushing to a server that speaks Grafana's HTTP API as far as it is used: folders, dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from analyzers.catalogue import Catalogue
from dashboards.grafana.dashboard import Dashboard
from dashboards.grafana.push import BadAddress, Pushed, push, read_token
from dashboards.grafana.subjects import every_dashboard
from qa_daemon.__main__ import app
from qa_daemon.failures import Unavailable
from qa_daemon.site.site import without_file
from tests.dashboards.grafana.whole_store import FIRST, every_analyzer
from tests.servers import free_port

pytest.importorskip("grafana_api")
TOKEN = "glsa_CANARYtoken"


@dataclass
class Grafana:
    """What it holds, and how it answers."""

    url: str
    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0
    role: str = "Editor"
    provisioned: bool = False
    says: bytes | None = None
    """Instead of an answer of Grafana's."""


class Handler(BaseHTTPRequestHandler):
    """Answers as a `Grafana` does; there is one class of it for each self.grafana."""

    grafana: Grafana
    prefix: str

    def do_GET(self) -> None:
        self._answer(*self._get(self.path.removeprefix(f"{self.prefix}/api")))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(*self._post(self.path.removeprefix(f"{self.prefix}/api"), body))

    def _refused(self) -> tuple[int, dict[str, Any]] | None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        return None

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        refused = self._refused()
        kind, _, uid = path.strip("/").rpartition("/")
        if refused is not None:
            return refused
        if kind == "folders" and uid in self.grafana.folders:
            return 200, {"uid": uid, "title": self.grafana.folders[uid]}
        if kind == "dashboards/uid" and uid in self.grafana.dashboards:
            return 200, self.grafana.dashboards[uid]
        return 404, {"message": "not found"}

    def _post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        refused = self._refused()
        if refused is not None:
            return refused
        if self.grafana.role == "Viewer":
            return 403, {"message": "You'll need additional permissions"}
        if path == "/folders":
            assert body["uid"] not in self.grafana.folders
            self.grafana.folders[body["uid"]] = body["title"]
            return 200, body
        assert path == "/dashboards/db"
        if self.grafana.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        board = body["dashboard"]
        assert board["id"] is None and body["overwrite"] is True
        assert body["folderUid"] in self.grafana.folders
        old = self.grafana.dashboards.get(board["uid"])
        version = old["dashboard"]["version"] + 1 if old else 1
        kept = {**board, "id": 17, "version": version}
        self.grafana.dashboards[board["uid"]] = {
            "dashboard": kept,
            "meta": {"folderUid": body["folderUid"]},
        }
        self.grafana.writes += 1
        return 200, {"uid": board["uid"], "version": version, "status": "success"}

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = self.grafana.says if self.grafana.says is not None else json.dumps(content).encode()
        self.send_response(200 if self.grafana.says is not None else status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def grafana_server(prefix: str = "") -> Iterator[Grafana]:
    own = type("OwnHandler", (Handler,), {"prefix": prefix})
    http = ThreadingHTTPServer(("127.0.0.1", 0), own)
    server = Grafana(f"http://127.0.0.1:{http.server_port}{prefix}")
    own.grafana = server
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture(scope="module")
def boards() -> list[Dashboard]:
    found = Catalogue((), every_analyzer())
    return every_dashboard(found, without_file(found.analyzers, lambda: FIRST))


@pytest.mark.parametrize("prefix", ["", "/grafana"])
def test_a_push_puts_every_dashboard_into_our_folder(boards: list[Dashboard], prefix: str) -> None:
    with grafana_server(prefix) as server:
        assert push(server.url, TOKEN, boards) == Pushed(len(boards), 0)
        assert server.folders == {"qa-folder": "Radiotherapy QA"}
        for board in boards:
            kept = server.dashboards[board.uid]["dashboard"]
            assert {**kept, "version": 1, "id": None} == {**board.json(), "id": None}


def test_the_same_again_writes_nothing_and_a_change_only_itself(boards: list[Dashboard]) -> None:
    with grafana_server() as server:
        push(server.url, TOKEN, boards)
        assert push(server.url, TOKEN, boards) == Pushed(0, len(boards))
        assert server.writes == len(boards)
        changed = server.dashboards["qa-health"]["dashboard"]
        changed["title"] = "changed by hand"
        assert push(server.url, TOKEN, boards) == Pushed(1, len(boards) - 1)
        assert server.dashboards["qa-health"]["dashboard"]["title"] == "Alerts and service"
        server.dashboards["qa-overview"]["meta"]["folderUid"] = "elsewhere"
        assert push(server.url, TOKEN, boards) == Pushed(1, len(boards) - 1)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "does not know this token (401)"),
        ({"role": "Viewer"}, "has to be Editor"),
        ({"provisioned": True}, "from files (400)"),
        ({"says": b"<html>sign in</html>"}, "does not speak as Grafana does"),
        ({"says": b"[1, 2]"}, "does not speak as Grafana does"),
    ],
)
def test_what_is_refused_is_said_with_what_to_do(
    boards: list[Dashboard], how: dict[str, Any], said: str
) -> None:
    with grafana_server() as server:
        for name, value in how.items():
            setattr(server, name, value)
        with pytest.raises(Unavailable) as why:
            push(server.url, TOKEN if how else "glsa_CANARYother", boards)
    assert said in str(why.value)
    assert "CANARY" not in str(why.value) and "127.0.0.1" not in str(why.value)


def test_nobody_there_is_said_without_the_address(boards: list[Dashboard]) -> None:
    with pytest.raises(Unavailable, match="is it running") as why:
        push(f"http://127.0.0.1:{free_port()}", TOKEN, boards)
    assert "127.0.0.1" not in str(why.value)


@pytest.mark.parametrize(
    "url", ["grafana:3000", "ftp://g", "http://a:b@g:3000", "http://g:99999999", "http://g?x=1", ""]
)
def test_an_address_that_is_none_is_refused(boards: list[Dashboard], url: str) -> None:
    with pytest.raises(BadAddress):
        push(url, TOKEN, boards)


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"a\nb"])
def test_a_token_file_without_one_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "CANARY"
    path.write_bytes(content)
    with pytest.raises(BadAddress) as why:
        read_token(path)
    assert "CANARY" not in str(why.value)
    with pytest.raises(BadAddress):
        read_token(tmp_path / "absent")


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with grafana_server() as server:
        for said in ("14 dashboards written, 0 unchanged", "0 dashboards written, 14 unchanged"):
            done = CliRunner().invoke(
                app, ["grafana", "push", "--url", server.url, "--token-file", str(token)]
            )
            assert (done.exit_code, done.output.strip()) == (0, said)
        server.dashboards.clear()
        wrong = CliRunner().invoke(
            app, ["grafana", "push", "--url", "nowhere", "--token-file", str(token)]
        )
        assert wrong.exit_code == 2
    done = CliRunner().invoke(app, ["grafana", "render", str(tmp_path / "mount")])
    assert (done.exit_code, done.output.strip()) == (0, "19 files written, 0 removed")
