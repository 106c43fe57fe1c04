"""InfluxDB, and what speaks its line protocol: `/write` of 1.x, `/api/v2/write` of all newer ones.

Every write is synchronous and acknowledged with 204, or it did not happen.  Precision is
nanoseconds; VictoriaMetrics keeps milliseconds.  Addresses and secrets appear in no message.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from qa_daemon.sinks.day_points import DayPoints
from qa_daemon.sinks.drain import Misconfigured, Rejected, SinkError, Unreachable
from qa_daemon.sinks.points import lines_of
from qa_daemon.sinks.superseded import Place, Superseded
from qa_daemon.site.settings import Influx
from qa_daemon.site.site import Site
from qa_daemon.store.queries import StoredResult
from qa_daemon.store.store import Store

LOG = logging.getLogger(__name__)
OK, NO_CONTENT, NOT_IMPLEMENTED = 200, 204, 501
NO_ANSWER = 0  # influxdb-client's word for a failure of TLS
BAD_POINTS = (400, 413, 422)
PASSING = (408, 425, 429)
# These say 400 too, but every point would be refused: setting all aside would help nobody.
BAD_REQUEST = re.compile(r"is required|either orgID or org|organization|bucket .*not found", re.I)
LONGEST_QUOTE = 200
AT_ONCE = 50
"""So many places are looked at with one request to a 1.x."""
LONGEST_DELETE_S = 120


class Unauthorized(Misconfigured):
    """The secret is wrong, or was changed."""


class Wire(Protocol):
    """One way to send lines."""

    def post(self, lines: bytes) -> None:
        """Send; raises `SinkError` unless all of it was taken."""

    def take_off(self, places: Sequence[Place]) -> None:
        """Empty places; raises `SinkError` unless all of them are."""


class InfluxSink:
    """Writes results as points; with the store, also their days and their machines' events."""

    def __init__(self, site: Site, store: Store | None = None) -> None:
        if site.file.influx is None:
            raise ValueError("the site file has no [influx] section")
        self._settings = site.file.influx
        self._site = site.name
        is_v1 = self._settings.api == "v1"
        named = self._settings.password_file if is_v1 else self._settings.token_file
        self._secret_file = site.resolve(named) if named else None
        self._secret: str | None = None
        self._wire: Wire | None = None
        with_leaves = self._settings.leaves
        self._days = None if store is None else DayPoints(site, store, with_leaves=with_leaves)
        self._superseded = None if store is None else Superseded(store, site.name)

    def write(self, results: Sequence[StoredResult]) -> None:
        """Write the points of results; raises `SinkError`."""
        found = [line for r in results for line in lines_of(r, self._site)]
        if self._superseded is not None and self._days is not None:
            places, others = self._superseded.of(results, found)
            places += self._days.left(places)
            self._take_off(places)
            found += [*others, *self._days.lines(results, places)]
        if found:
            self._send("\n".join(found).encode())
        if self._days is not None:
            self._days.sent()

    def _take_off(self, places: Sequence[Place]) -> None:
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            try:
                self._ask(partial(_empty, some))
            except (Unreachable, Unauthorized):
                raise
            except SinkError as why:
                # A server that cannot: what is new must not wait for ever for what is old.
                LOG.warning("influx: points of superseded results stay in the database: %s", why)
                return

    def _send(self, lines: bytes) -> None:
        self._ask(lambda wire: wire.post(lines))

    def _ask(self, request: Callable[[Wire], None]) -> None:
        if self._wire is None:
            self._connect()
        try:
            self._try(request)
        except Unauthorized:
            old = self._secret
            self._connect()
            if self._secret == old:
                raise
            self._try(request)

    def _connect(self) -> None:
        self._secret = _read_secret(self._secret_file)
        wire = V1Wire if self._settings.api == "v1" else V2Wire
        self._wire = wire(self._settings, self._secret)

    def _try(self, request: Callable[[Wire], None]) -> None:
        from urllib3.exceptions import HTTPError, LocationValueError

        assert self._wire is not None
        try:
            request(self._wire)
        except LocationValueError:
            raise Misconfigured("the url in [influx] is not an address") from None
        except HTTPError as why:
            raise Unreachable(_no_answer(why)) from None


def _empty(places: Sequence[Place], wire: Wire) -> None:
    wire.take_off(places)


class V1Wire:
    """`/write` of InfluxDB 1.x, which knows databases, users and passwords."""

    def __init__(self, settings: Influx, password: str | None) -> None:
        import urllib3

        seconds = settings.timeout.total_seconds()
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(seconds, seconds))
        query = urlencode({"db": settings.database or "", "precision": "ns"})
        self._url = f"{settings.url.rstrip('/')}/write?{query}"
        self._database = settings.database or ""
        self._query_url = f"{settings.url.rstrip('/')}/query"
        self._headers = {"Content-Type": "text/plain; charset=utf-8"}
        if settings.user is not None:
            both = f"{settings.user}:{password or ''}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"

    def post(self, lines: bytes) -> None:
        """Send lines."""
        answer = self._pool.request(
            "POST", self._url, body=lines, headers=self._headers, redirect=False
        )
        check(answer.status, answer.headers, answer.data)

    def take_off(self, places: Sequence[Place]) -> None:
        """Empty places where anything is; a user who may write may do so.

        A DELETE goes through every shard, a week each: seconds in an archive of years.  To look
        first costs next to nothing, and a replay into an empty database finds nothing.  A user who
        may not read deletes unseen.
        """
        asked = [place.influxql() for place in places]
        for (_, statements), is_there in zip(
            asked, self._found([q for q, _ in asked]), strict=True
        ):
            for statement in statements if is_there else ():
                answers = self._answers(statement)
                if said := next((a["error"] for a in answers if "error" in a), None):
                    said = " ".join(str(said).split())[:LONGEST_QUOTE]
                    raise Rejected(f"the server answered: {said}")

    def _found(self, queries: Sequence[str]) -> list[bool]:
        try:
            answers = self._answers("; ".join(queries))
        except (Rejected, Misconfigured) as why:
            if isinstance(why, Unauthorized):
                raise
            answers = []
        if len(answers) != len(queries):
            return [True] * len(queries)
        return ["series" in a or "error" in a for a in answers]

    def _answers(self, statements: str) -> list[dict[str, object]]:
        """One for each statement: 1.x answers 200 whatever it says of them."""
        answer = self._pool.request(
            "POST",
            self._query_url,
            body=urlencode({"db": self._database, "q": statements}).encode(),
            headers={**self._headers, "Content-Type": "application/x-www-form-urlencoded"},
            timeout=LONGEST_DELETE_S,
            redirect=False,
        )
        if answer.status != OK:
            check(answer.status, answer.headers, answer.data)
            raise Misconfigured("the server answered 204 to a query")
        try:
            return [dict(a) for a in json.loads(answer.data)["results"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Misconfigured("what answers to a query is no InfluxDB 1") from None


class V2Wire:
    """`/api/v2/write` through influxdb-client, which knows organizations, buckets and tokens.

    This is the call its synchronous `WriteApi` makes; made directly, it also tells the status:
    a proxy's sign-in page that answers 200 must not pass for a server that took the points.
    """

    def __init__(self, settings: Influx, token: str | None) -> None:
        from influxdb_client.client.influxdb_client import InfluxDBClient
        from influxdb_client.service.delete_service import DeleteService
        from influxdb_client.service.write_service import WriteService

        milliseconds = int(settings.timeout.total_seconds() * 1000)
        client = InfluxDBClient(settings.url, token or "", org=settings.org, timeout=milliseconds)
        service: Callable[..., Any] = WriteService
        deleting: Callable[..., Any] = DeleteService
        self._service = service(client.api_client)
        self._deleting = deleting(client.api_client)
        self._org, self._bucket = settings.org, settings.bucket

    def post(self, lines: bytes) -> None:
        """Send lines."""
        self._ask(
            self._service.post_write_with_http_info, self._org, self._bucket, lines, precision="ns"
        )

    def take_off(self, places: Sequence[Place]) -> None:
        """Empty places, which only 2.x can."""
        for place in places:
            for predicate in place.predicates():
                body = {
                    "start": _rfc3339(place.point_ns),
                    "stop": _rfc3339(place.point_ns + 1),
                    "predicate": predicate,
                }
                delete = self._deleting.post_delete_with_http_info
                self._ask(
                    delete,
                    body,
                    org=self._org,
                    bucket=self._bucket,
                    _request_timeout=LONGEST_DELETE_S * 1000,
                )

    def _ask(self, call: Callable[..., Any], *of: object, **more: object) -> None:
        """The answer is taken as it came: the client would stumble over what is not UTF-8."""
        from influxdb_client.rest import ApiException

        raw = {"_preload_content": False, "_return_http_data_only": True}
        try:
            answer = call(*of, **more, **raw)
        except ApiException as why:
            check(why.status or NO_ANSWER, why.headers or {}, why.body or b"")
        else:
            check(answer.status, answer.headers, answer.data)


def check(status: int, headers: Mapping[str, str], body: bytes | str) -> None:
    """Nothing when the server took everything; else the `SinkError` its answer stands for."""
    if status == NO_CONTENT:
        return
    if status == NO_ANSWER:
        raise Unreachable("the server's certificate is not accepted")
    said = _said(body)
    why = f"the server answered {status}{f': {said}' if said else ''}"
    raise _error(status, said, why, _retry_after_s(headers))


def _error(status: int, said: str, why: str, retry_after_s: float) -> SinkError:
    if status in BAD_POINTS and not BAD_REQUEST.search(said):
        return Rejected(why)
    if status in PASSING or (status >= 500 and status != NOT_IMPLEMENTED):
        return Unreachable(why, retry_after_s)
    if status == 401:
        return Unauthorized(why)
    return Misconfigured(why)


def _said(body: bytes | str) -> str:
    """The server's own sentence; a page in HTML says nothing."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    words = (answer.get("error") or answer.get("message")) if isinstance(answer, dict) else None
    return " ".join(str(words or "").split())[:LONGEST_QUOTE]


def _rfc3339(point_ns: int) -> str:
    seconds, rest = divmod(point_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _retry_after_s(headers: Mapping[str, str]) -> float:
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return float(Retry().parse_retry_after(headers.get("Retry-After", "0")))
    except InvalidHeader:
        return 0.0


def _no_answer(why: Exception) -> str:
    """A sentence of our own: the library's holds the address."""
    from urllib3 import exceptions

    sentences: tuple[tuple[type[Exception], str], ...] = (
        (exceptions.NameResolutionError, "the server's name is not known"),
        (exceptions.NewConnectionError, "the server refuses the connection"),
        (exceptions.ConnectTimeoutError, "the server does not answer"),
        (exceptions.TimeoutError, "the server took too long to answer"),
        (exceptions.SSLError, "the server's certificate is not accepted"),
        (exceptions.ProtocolError, "the connection was cut"),
    )
    found = (words for kind, words in sentences if isinstance(why, kind))
    return next(found, f"the server cannot be reached ({type(why).__name__})")


def _read_secret(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as why:
        reason = why.strerror if isinstance(why, OSError) else "not UTF-8"
        raise Misconfigured(f"the secret's file in [influx] cannot be read: {reason}") from None
