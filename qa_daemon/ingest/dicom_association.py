"""One association with a sender, by pynetdicom: C-ECHO and C-STORE, and bounds on all of it.

pynetdicom reads as much as a sender announces, gathers messages in memory, waits for ever in the
middle of one and writes chunked objects to a folder of the system's, where a cut leaves them.  What
reads the socket and what puts messages together are therefore ours.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import cast

from pydicom import config as pydicom_config
from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA
from pynetdicom.transport import AssociationSocket

from qa_daemon.ingest.dicom_object import CANNOT_UNDERSTAND, Header, Incoming

VERIFICATION = "1.2.840.10008.1.1"
MAXIMUM_PDU = 128 * 1024
"""What is announced; it is also the most that dcmtk sends."""
LARGEST_PDU = 1 << 20
"""An association request is not bound by what is announced."""
LARGEST_COMMAND = 16 * 1024
MOST_PENDING = 16
LONGEST_NEGOTIATION_S = 30.0

# Private and future classes are taken like any other: what nobody can read says so in quarantine.
_config.UNRESTRICTED_STORAGE_SERVICE = True
_config.LOG_HANDLER_LEVEL = "none"
# A command is the sender's text: a warning about a value would print the value.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


class ProtocolError(Exception):
    """The sender does what no sender may; the association is aborted."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is expected of a sender, and what is done with its objects."""

    our_title: str
    titles: list[str]
    """Calling AE titles that are accepted from its address."""
    idle_timeout_s: float
    begin: Callable[[Header], Incoming]
    finish: Callable[[Incoming, str], int]
    """With the calling AE title; the answer to the sender."""
    rejected: Callable[[str], None]
    """Told the calling AE title of a sender that is turned away."""
    broken: Callable[[str], None]
    """Told how a sender broke the protocol, in words of ours."""


class BoundedSocket(AssociationSocket):
    """Reads a part of a message within the time-out, and none that is larger than any should be."""

    timeout_s = 60.0

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly so many bytes, or fewer when the sender has gone.  Raises OSError."""
        found = bytearray()
        try:
            found = self._read(nr_bytes)
            return found
        finally:
            if len(found) < nr_bytes:
                self._end_waiting()

    def close(self) -> None:
        """End the connection."""
        super().close()
        self._end_waiting()

    def _end_waiting(self) -> None:
        """No request will come any more: else the association would wait for it."""
        if self.assoc.requestor.primitive is None and self.assoc.dul.to_user_queue.empty():
            nothing = cast("A_ASSOCIATE", None)  # what `receive_pdu` hands on as a time-out
            self.assoc.dul.to_user_queue.put(nothing)

    def _read(self, nr_bytes: int) -> bytearray:
        if nr_bytes > LARGEST_PDU:
            raise OSError(errno.EMSGSIZE, "larger than any message part")
        connection = self.socket
        if connection is None:
            return bytearray()
        # A sender that waits for our acknowledgment between command and data would else wait for
        # 40 ms each time; the system forgets the wish, so it is told again.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        buffer = bytearray(nr_bytes)
        view, got, until = memoryview(buffer), 0, monotonic() + self.timeout_s
        while got < nr_bytes:
            left = until - monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            count = connection.recv_into(view[got:])
            if not count:
                break
            got += count
        view.release()
        del buffer[got:]
        return buffer


class Messages(DIMSEServiceProvider):
    """Puts the messages of a sender together; data sets go to an `Incoming` as they come."""

    def __init__(self, assoc: Association, terms: Terms) -> None:
        super().__init__(assoc)
        self._terms = terms
        self._command = bytearray()
        self._store: DIMSEMessage | None = None
        self._incoming: Incoming | None = None

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take some parts of a message.  Nothing is raised: the thread that calls must live on."""
        try:
            for context_id, part in primitive.presentation_data_value_list:
                self._take_part(context_id, part)
        except Exception as why:  # noqa: BLE001 - whatever it is, the sender caused it
            self._terms.broken(str(why) if isinstance(why, ProtocolError) else type(why).__name__)
            self.dul.event_queue.put("Evt19")

    def take(self) -> Incoming | None:
        """The object of the C-STORE that is being served."""
        incoming, self._incoming = self._incoming, None
        return incoming

    def discard(self) -> None:
        """Leave nothing behind of an object that is not complete."""
        incoming = self.take()
        if incoming is not None:
            incoming.discard()

    def _take_part(self, context_id: int, part: bytes) -> None:
        is_command, is_last = part[0] & 1, part[0] & 2
        if is_command:
            self._command += part[1:]
            if self._store is not None:
                raise ProtocolError("a command in the middle of an object")
            if len(self._command) > LARGEST_COMMAND:
                raise ProtocolError("a command that is too long")
            if is_last:
                command, self._command = bytes(self._command), bytearray()
                self._take_command(context_id, command)
            return
        if self._store is None or self._incoming is None or context_id != self._store.context_id:
            raise ProtocolError("data that no command announced")
        self._incoming.write(memoryview(part)[1:])
        if is_last:
            message, self._store = self._store, None
            self._serve(message)

    def _take_command(self, context_id: int, command: bytes) -> None:
        whole = P_DATA()
        whole.presentation_data_value_list = [
            cast("tuple[int, bytes]", [context_id, b"\x03" + command])
        ]
        message = DIMSEMessage()
        is_complete = message.decode_msg(whole)
        if isinstance(message, C_ECHO_RQ) and is_complete:
            self._serve(message)
            return
        if not isinstance(message, C_STORE_RQ) or is_complete:
            raise ProtocolError("something other than C-ECHO, and C-STORE with an object")
        if self._incoming is not None:
            raise ProtocolError("an object before the last one was answered")
        contexts = {c.context_id: c.transfer_syntax[0] for c in self.assoc.accepted_contexts}
        said = message.command_set
        header = Header(
            str(said.get("AffectedSOPClassUID", "")),
            str(said.get("AffectedSOPInstanceUID", "")),
            str(contexts[context_id]),
        )
        self._incoming, self._store = self._terms.begin(header), message

    def _serve(self, message: DIMSEMessage) -> None:
        if self.msg_queue.qsize() >= MOST_PENDING:
            raise ProtocolError("too many commands at once")
        assert message.context_id is not None
        request = cast("C_ECHO | C_STORE", message.message_to_primitive())
        if not request.is_valid_request:  # it would not be answered
            raise ProtocolError("a command that lacks something")
        self.msg_queue.put((message.context_id, request))


def association(connection: socket.socket, terms: Terms) -> tuple[Association, Messages]:
    """An association that waits for a sender's request; `start` begins it."""
    ae = ApplicationEntity(terms.our_title)
    ae.require_called_aet = True
    ae.require_calling_aet = terms.titles
    ae.maximum_pdu_size = MAXIMUM_PDU
    ae.acse_timeout = min(terms.idle_timeout_s, LONGEST_NEGOTIATION_S)
    ae.network_timeout = ae.dimse_timeout = terms.idle_timeout_s
    ae.add_supported_context(VERIFICATION)

    made = Association(ae, "acceptor")
    made.acceptor.ae_title = terms.our_title
    made.acceptor.maximum_length = MAXIMUM_PDU
    made.acceptor.supported_contexts = ae.supported_contexts
    reading = BoundedSocket(made, client_socket=connection)
    reading.timeout_s = terms.idle_timeout_s
    made.set_socket(reading)
    made.dul.daemon = True  # a sender must not keep the process from ending
    messages = made.dimse = Messages(made, terms)

    def store(_event: evt.Event) -> int:
        incoming = messages.take()
        if incoming is None:
            return CANNOT_UNDERSTAND
        return terms.finish(incoming, made.requestor.ae_title.strip())

    made.bind(evt.EVT_C_STORE, store)
    made.bind(evt.EVT_REJECTED, lambda _event: terms.rejected(made.requestor.ae_title.strip()))
    return made, messages
