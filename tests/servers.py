"""Real servers on free loopback ports, each ended by its own handle, with its data in a folder.

A server that is not installed skips its tests with a reason; with `QA_DAEMON_REQUIRE_SERVERS=1` it
fails them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def installed(*names: str) -> str:
    """The path of the first program there is; else the test is skipped, or fails."""
    places = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    found = next((path for name in names if (path := shutil.which(name, path=places))), None)
    if found is None:
        why = f"{names[0]} is not installed"
        if os.environ.get("QA_DAEMON_REQUIRE_SERVERS") == "1":
            pytest.fail(f"{why}, and QA_DAEMON_REQUIRE_SERVERS=1 asks for it")
        pytest.skip(why)
    return found


def fetch(url: str, form: dict[str, str] | None = None) -> bytes:
    data = urlencode(form).encode() if form is not None else None
    with urllib.request.urlopen(url, data, timeout=10) as answer:
        content: bytes = answer.read()
    return content


class Program:
    """A server process that can be stopped and started again on the same port and data."""

    def __init__(self, command: list[str], ready: str, log: Path) -> None:
        self._command, self._ready, self._log = command, ready, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while True:
            with suppress(OSError):
                fetch(self._ready)
                return
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                pytest.fail(f"{self._command[0]} did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@dataclass
class InfluxServer:
    """InfluxDB 1.x."""

    url: str
    program: Program
    login: dict[str, str] = field(default_factory=dict)

    def query(self, text: str, database: str = "") -> list[dict[str, Any]]:
        """The series of an InfluxQL statement."""
        form = {"q": text, "db": database, "epoch": "ns"}
        answer = json.loads(fetch(f"{self.url}/query?{urlencode(self.login)}", form))["results"][0]
        assert "error" not in answer, answer
        return list(answer.get("series", []))

    def rows(self, measurement: str, database: str) -> list[dict[str, Any]]:
        """Every point of a measurement."""
        return [
            dict(zip(series["columns"], row, strict=True))
            for series in self.query(f'SELECT * FROM "{measurement}"', database)
            for row in series["values"]
        ]


@contextmanager
def influx_server(folder: Path, *, auth: bool = False) -> Iterator[InfluxServer]:
    binary, port = installed("influxd"), free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        f'reporting-enabled = false\nbind-address = "127.0.0.1:{free_port()}"\n'
        f'[meta]\ndir = "{folder}/meta"\n'
        f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nauth-enabled = {str(auth).lower()}\n'
        "log-enabled = false\n[monitor]\nstore-enabled = false\n"
    )
    url = f"http://127.0.0.1:{port}"
    program = Program([binary, "-config", str(config)], f"{url}/ping", folder / "log")
    program.start()
    try:
        yield InfluxServer(url, program)
    finally:
        program.stop()


@dataclass
class OrthancServer:
    """Orthanc, an image archive that forwards to a peer named `qa`."""

    url: str
    dicom_port: int

    def send_all(self, modality: str = "qa") -> int:
        """Forward everything it holds; how many objects."""
        stored = json.loads(fetch(f"{self.url}/instances"))
        request = urllib.request.Request(
            f"{self.url}/modalities/{modality}/store", json.dumps(stored).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.loads(answer.read())
        assert said["FailedInstancesCount"] == 0, said
        return int(said["InstancesCount"])


@contextmanager
def orthanc_server(folder: Path, qa_port: int) -> Iterator[OrthancServer]:
    binary, http, dicom = installed("Orthanc"), free_port(), free_port()
    config = folder / "orthanc.json"
    settings = {
        "Name": "sender",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
        "DicomModalities": {"qa": ["QA_DAEMON", "127.0.0.1", qa_port]},
    }
    config.write_text(json.dumps(settings))
    url = f"http://127.0.0.1:{http}"
    program = Program([binary, str(config)], f"{url}/system", folder / "log")
    program.start()
    try:
        yield OrthancServer(url, dicom)
    finally:
        program.stop()


@dataclass
class VictoriaServer:
    """VictoriaMetrics."""

    url: str
    program: Program

    def series(self) -> list[dict[str, Any]]:
        """Every series with all its values and times (ms), duplicates removed."""
        fetch(f"{self.url}/internal/force_flush")
        query = urlencode({"match[]": '{__name__=~"qa.*"}', "reduce_mem_usage": "0"})
        lines = fetch(f"{self.url}/api/v1/export?{query}").splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def victoria_server(folder: Path) -> Iterator[VictoriaServer]:
    binary, port = installed("victoria-metrics"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        binary,
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder}/data",
        "-retentionPeriod=100y",
        "-dedup.minScrapeInterval=1ms",
        "-memory.allowedBytes=64MB",
        "-search.latencyOffset=0s",
    ]
    program = Program(command, f"{url}/health", folder / "log")
    program.start()
    try:
        yield VictoriaServer(url, program)
    finally:
        program.stop()


@dataclass
class MailServer:
    """An SMTP server that keeps what it receives."""

    port: int
    raw: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuse: str | None = None
    """An SMTP answer such as `550 no` instead of accepting."""

    @property
    def mails(self) -> list[EmailMessage]:
        parsed = [message_from_bytes(raw, policy=policy.default) for raw in self.raw]
        return [mail for mail in parsed if isinstance(mail, EmailMessage)]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuse is not None:
            return self.refuse
        self.raw.append(envelope.content)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 accepted"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    from aiosmtpd.controller import Controller

    server = MailServer(free_port())
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@dataclass
class Stub:
    """An HTTP server that answers as told, 204 when nothing is told, and keeps what it was sent."""

    url: str
    script: list[str | tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Next answers: a status with headers and body, `reset`, `cut` or `silence`."""
    always: str | tuple[int, dict[str, str], bytes] = (204, {}, b"")
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    let_go: Event = field(default_factory=Event)


@contextmanager
def stub_server() -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            stub.requests.append((self.path, dict(self.headers), body))
            answer = stub.script.pop(0) if stub.script else stub.always
            self.close_connection = True
            if answer == "reset":
                linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            elif answer == "cut":
                self.wfile.write(b"HTTP/1.1 20")
            elif answer == "silence":
                stub.let_go.wait(30)
            elif isinstance(answer, tuple):
                status, headers, content = answer
                self.send_response(status)
                self.send_header("Connection", "close")
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A connection that was reset on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    stub = Stub(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
