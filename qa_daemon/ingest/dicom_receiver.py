"""Receives objects over the network: C-ECHO and C-STORE, from those whom the site file names.

Every connection has threads of its own, and a bound on time and size at each step, so that no
sender holds up another or the end of the service.  A sender hears "success" when its object is in
the inbox for good; from there it goes the way of every file.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from qa_daemon.failures import Unavailable
from qa_daemon.ingest.dicom_association import Terms, association
from qa_daemon.ingest.dicom_object import (
    OUT_OF_RESOURCES,
    SUCCESS,
    Header,
    Incoming,
    Room,
)
from qa_daemon.ingest.dicom_peers import Peers
from qa_daemon.ingest.dicom_tls import tls_context
from qa_daemon.ingest.inbox import PARTS, Origin
from qa_daemon.ingest.intake import MEGABYTE
from qa_daemon.site.dicom_settings import Dicom
from qa_daemon.site.site import Site

LOG = logging.getLogger("qa_daemon.ingest")
GIGABYTE = 10**9
FOLDER = "dicom"
ACCEPT_S = 1.0
HANDSHAKE_S = 10.0
STOP_S = 5.0
TELL_AGAIN_S = 600.0
MOST_TOLD = 256


@dataclass(eq=False)
class _Connection:
    """One connection of a sender, and what became of its objects."""

    socket: socket.socket
    address: str
    thread: threading.Thread | None = None
    answers: Counter[int] = field(default_factory=Counter)
    title: str | None = None


class Receiver:
    """Listens, and serves each connection in the background."""

    def __init__(self, site: Site, dicom: Dicom, hint: Callable[[str], None]) -> None:
        """Open the port.  Raises `Unavailable`, and `SiteError` for files that TLS cannot use."""
        self._dicom, self._hint = dicom, hint
        self._peers = Peers(dicom, site)
        largest_mb = dicom.largest_object_mb or site.file.ingest.largest_file_mb
        self._room = Room(
            parts=site.state_dir / PARTS,
            inbox=site.state_dir / "inbox",
            largest_bytes=int(largest_mb * MEGABYTE),
            keep_free_bytes=int(dicom.keep_free_gb * GIGABYTE),
        )
        self._tls = tls_context(site, dicom)
        self._listener = _listen(dicom)
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._moved_at = monotonic()
        self._told: dict[tuple[str, str], float] = {}
        self._thread = threading.Thread(target=self._accept_all, name="dicom", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Take connections."""
        for folder in (self._room.parts, self._room.inbox):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._moved_at = monotonic()
        self._thread.start()
        LOG.info("receiving DICOM objects on port %d", self.port)

    def stop(self) -> None:
        """Cut every connection; an object that is not in the inbox is sent again by its sender."""
        self._ending.set()
        _shut(self._listener)
        until = monotonic() + STOP_S
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_S)
        self._listener.close()
        with self._lock:
            left = list(self._connections)
        for connection in left:
            _shut(connection.socket)
        for connection in left:
            if connection.thread is not None:
                connection.thread.join(timeout=max(0.0, until - monotonic()))

    def progress(self) -> float:
        """When it last looked for a connection; what senders do has no part in it."""
        return self._moved_at

    # -- connections -----------------------------------------------------------------------------

    def _accept_all(self) -> None:
        self._listener.settimeout(ACCEPT_S)
        while not self._ending.is_set():
            self._moved_at = monotonic()
            try:
                accepted, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as why:  # out of descriptors, gone before it was accepted, or the end
                if self._ending.is_set():
                    return
                self._tell("", f"a connection could not be accepted: {why.strerror}")
                self._ending.wait(0.1)
                continue
            try:
                self._admit(_Connection(accepted, str(address[0])))
            except Exception as why:  # noqa: BLE001 - as no thread left; others must be able to send
                self._tell("", f"a connection could not be served: {type(why).__name__}")
                accepted.close()

    def _admit(self, connection: _Connection) -> None:
        """Serve a connection in a thread of its own, if its address may have one more."""
        titles = self._peers.titles_at(connection.address)
        with self._lock:
            same = sum(c.address == connection.address for c in self._connections)
            is_full = (
                len(self._connections) >= self._dicom.associations
                or same >= self._dicom.associations_per_address
            )
            if titles and not is_full:
                self._connections.add(connection)
        if not titles or is_full:
            why = "has too many connections" if titles else "is no [[dicom.peer]]'s"
            self._tell(connection.address, f"refused a connection: the address {why}")
            connection.socket.close()
            return
        connection.thread = threading.Thread(
            target=self._serve, args=(connection, titles), name="dicom sender", daemon=True
        )
        connection.thread.start()

    def _serve(self, connection: _Connection, titles: list[str]) -> None:
        try:
            connection.socket.settimeout(HANDSHAKE_S)
            if self._tls is not None:
                secured = self._tls.wrap_socket(
                    connection.socket, server_side=True, do_handshake_on_connect=False
                )
                connection.socket = secured
                secured.do_handshake()
            self._associate(connection, titles)
        except OSError as why:
            name = type(why).__name__
            self._tell(connection.address, f"a connection failed before its first message: {name}")
        except Exception as why:  # noqa: BLE001 - the boundary: one sender's fault is its own
            self._tell(connection.address, f"a connection failed: {type(why).__name__}")
        finally:
            _shut(connection.socket)
            connection.socket.close()
            with self._lock:
                self._connections.discard(connection)
            self._sum_up(connection)

    def _associate(self, connection: _Connection, titles: list[str]) -> None:
        made, messages = association(
            connection.socket,
            Terms(
                our_title=self._dicom.ae_title,
                titles=titles,
                idle_timeout_s=self._dicom.idle_timeout.total_seconds(),
                begin=self._begin,
                finish=lambda incoming, title: self._finish(connection, incoming, title),
                rejected=lambda title: self._reject(connection, title),
                broken=lambda how: self._tell(connection.address, f"aborted: {how}"),
            ),
        )
        made.start()
        made.join()
        _shut(connection.socket)  # ends the thread that reads, whatever it waits for
        made.dul.join(timeout=STOP_S)
        messages.discard()

    # -- objects ---------------------------------------------------------------------------------

    def _begin(self, header: Header) -> Incoming:
        return Incoming(header, self._room)

    def _finish(self, connection: _Connection, incoming: Incoming, title: str) -> int:
        """Put an object into the inbox; the answer to its sender."""
        connection.title = title
        answer = incoming.refused
        if answer is None:
            origin = Origin(folder=f"{FOLDER}/{title}", machine=self._peers.machine_of(title))
            try:
                self._hint(incoming.keep(origin))
                answer = SUCCESS
            except OSError:
                answer = OUT_OF_RESOURCES
        connection.answers[answer] += 1
        return answer

    # -- what people are told --------------------------------------------------------------------

    def _reject(self, connection: _Connection, title: str) -> None:
        """Who called, if it is a name; a sender's text could be anything."""
        shown = title if re.fullmatch(r"[A-Za-z0-9_. -]{1,16}", title) else "an unusual name"
        self._tell(
            connection.address,
            f"refused an association: {shown} does not call {self._dicom.ae_title}, or may not "
            "send from this address",
        )

    def _tell(self, address: str, what: str) -> None:
        """Log it, but the same of one address only now and then."""
        now = monotonic()
        with self._lock:
            if now - self._told.get((address, what), -TELL_AGAIN_S) < TELL_AGAIN_S:
                return
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told[address, what] = now
        LOG.warning("dicom %s: %s", address, what)

    def _sum_up(self, connection: _Connection) -> None:
        stored = connection.answers.pop(SUCCESS, 0)
        if stored:
            LOG.info("dicom %s: received objects=%d", connection.title, stored)
        for answer in connection.answers:
            little = answer == OUT_OF_RESOURCES
            why = "the disk takes no more" if little else "too large, or without an identity"
            self._tell(connection.address, f"refused objects: {why}")


def _listen(dicom: Dicom) -> socket.socket:
    family = socket.AF_INET6 if ":" in dicom.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((dicom.host, dicom.port))
        listener.listen()
    except OSError as why:
        listener.close()
        raise Unavailable(
            f"port {dicom.port} on {dicom.host} cannot be opened ({why.strerror}): stop what uses "
            "it, or set [dicom] port to one above 1023 that is free, and host to an address of "
            "this computer"
        ) from None
    return listener


def _shut(connection: socket.socket) -> None:
    """End every wait for this connection, in whatever thread."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
