"""Senders that are slow, silent, mad or many: bounded each, and no bother to anybody else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from qa_daemon.ingest.dicom_object import Incoming
from tests.ingest.receiving import (
    CANARY_UID,
    PEERS,
    RT_IMAGE,
    Reception,
    echoscu,
    is_closed,
    pdu,
    proxy,
    reception,
    storescu,
    until,
    write_image,
)

QUICK = PEERS.replace("port = 0", 'port = 0\nidle_timeout = "1 s"')


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Reception]:
    with reception(tmp_path, peers=QUICK) as made:
        yield made


def connect(desk: Reception) -> socket.socket:
    return socket.create_connection(("127.0.0.1", desk.port), timeout=10)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: qa\r\n\r\n",
        bytes(4096),
        pdu(1, 0xFFFFFFFF, bytes(100_000)),  # 4 GB announced
        pdu(1, 68, bytes(68)),
        pdu(1, 10, b"\xff" * 10),
        pdu(4, 10, b"\xff" * 10),
        pdu(5, 4, bytes(4)),
        b"\x01",
        pdu(1, 2000, b"half"),
        b"",
    ],
    ids=["http", "zeros", "4-gb", "empty-request", "short-request", "data", "release", "one-byte",
         "half-a-request", "silence"],
)  # fmt: skip
def test_rubbish_and_silence_end_the_connection_and_nothing_else(
    desk: Reception, said: bytes
) -> None:
    with connect(desk) as connection:
        connection.sendall(said)
        assert is_closed(connection, 5.0)
    until(lambda: not desk.receiver._connections, "let go", 5.0)
    assert echoscu(desk.port).returncode == 0


def test_a_sender_that_falls_silent_holds_up_nobody_and_is_cut(
    desk: Reception, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "1.dcm", 1, size=450)
    with proxy(desk.port, 300_000, then_cut=False) as through:
        sending = threading.Thread(target=storescu, args=(through, image), daemon=True)
        sending.start()
        until(lambda: any(desk.parts.iterdir()), "begun")
        assert storescu(desk.port, write_image(tmp_path / "2.dcm", 2)).returncode == 0
        until(lambda: not desk.receiver._connections, "cut", 5.0)
    assert list(desk.parts.iterdir()) == []
    assert len(desk.taken()) == 1
    sending.join(10.0)


def test_the_end_does_not_wait_for_a_sender_that_hangs(tmp_path: Path) -> None:
    made = Reception(tmp_path)  # it may be idle for a minute
    made.receiver.start()
    image = write_image(tmp_path / "1.dcm", 1, size=450)
    before = threading.active_count()
    with proxy(made.port, 300_000, then_cut=False) as through, connect(made):
        sending = threading.Thread(target=storescu, args=(through, image), daemon=True)
        sending.start()
        until(lambda: any(made.parts.iterdir()), "begun")
        until(lambda: len(made.receiver._connections) == 2, "connected")
        begin = time.monotonic()
        made.receiver.stop()
        assert time.monotonic() - begin < 3.0
        assert list(made.parts.iterdir()) == []
    sending.join(10.0)
    until(lambda: threading.active_count() <= before, "ended all threads")
    made.clinic.close()


def test_one_address_cannot_take_all_connections(tmp_path: Path) -> None:
    few = PEERS.replace("port = 0", "port = 0\nassociations_per_address = 3")
    with reception(tmp_path, peers=few) as desk:
        held = [connect(desk) for _ in range(3)]
        until(lambda: len(desk.receiver._connections) == 3, "held")
        with connect(desk) as one_more:
            assert is_closed(one_more, 5.0)
        with socket.create_connection(
            ("127.0.0.1", desk.port), timeout=10, source_address=("127.0.0.2", 0)
        ) as other:
            until(lambda: len(desk.receiver._connections) == 4, "let in")
            other.close()
        for connection in held:
            connection.close()
        until(lambda: not desk.receiver._connections, "let go")
        assert echoscu(desk.port).returncode == 0


def test_a_tls_port_waits_for_no_handshake(
    tmp_path: Path, desk: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    monkeypatch.setattr("qa_daemon.ingest.dicom_receiver.HANDSHAKE_S", 0.5)
    desk.receiver._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with connect(desk) as silent, connect(desk) as plain:
        plain.sendall(pdu(1, 100, bytes(100)))
        assert is_closed(plain, 0.4)
        assert is_closed(silent, 5.0)


# -- those that speak DICOM, and should not say what they say --------------------------------------


@pytest.fixture
def talking(desk: Reception) -> Iterator[Any]:
    """An association as LINAC1, for verification and RT images."""
    from pynetdicom.ae import ApplicationEntity

    sender = ApplicationEntity("LINAC1")
    sender.add_requested_context("1.2.840.10008.1.1")
    sender.add_requested_context(RT_IMAGE)
    made = sender.associate("127.0.0.1", desk.port, ae_title="QA_DAEMON")
    assert made.is_established
    yield made
    made.abort()


def store_request() -> Any:
    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = RT_IMAGE, f"{CANARY_UID}.1"
    request.DataSet = BytesIO(b"\x08\x00\x60\x00\x02\x00\x00\x00OT")
    return request


def test_other_commands_are_not_served(desk: Reception, talking: Any) -> None:
    from pynetdicom.dimse_primitives import C_FIND

    query = C_FIND()
    query.MessageID, query.Priority, query.AffectedSOPClassUID = 1, 2, RT_IMAGE
    query.Identifier = BytesIO(bytes(10))
    talking.dimse.send_msg(query, 3)
    until(lambda: talking.is_aborted, "aborted")


def test_an_object_before_the_answer_to_the_last_is_too_much(
    desk: Reception, talking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    keep = Incoming.keep

    def slowly(self: Incoming, origin: Any) -> str:
        let_go.wait(10)
        return keep(self, origin)

    monkeypatch.setattr(Incoming, "keep", slowly)
    talking.dimse.send_msg(store_request(), 3)
    talking.dimse.send_msg(store_request(), 3)
    talking.dimse.send_msg(store_request(), 3)
    until(lambda: talking.is_aborted, "aborted")
    let_go.set()
    until(lambda: not desk.receiver._connections, "let go")
    assert list(desk.parts.iterdir()) == []


def test_a_command_without_end_is_cut_short(desk: Reception, talking: Any) -> None:
    from pynetdicom.pdu_primitives import P_DATA

    for _ in range(20):
        part = P_DATA()
        part.presentation_data_value_list = [[1, b"\x01" + bytes(1000)]]
        talking.dul.send_pdu(part)
    until(lambda: talking.is_aborted, "aborted")


def test_data_without_a_command_is_refused(desk: Reception, talking: Any) -> None:
    from pynetdicom.pdu_primitives import P_DATA

    part = P_DATA()
    part.presentation_data_value_list = [[3, b"\x00" + bytes(1000)]]
    talking.dul.send_pdu(part)
    until(lambda: talking.is_aborted, "aborted")


def test_a_context_that_was_not_agreed_is_refused(desk: Reception, talking: Any) -> None:
    talking.dimse.send_msg(store_request(), 7)
    until(lambda: talking.is_aborted, "aborted")
    assert desk.taken() == {}


@pytest.mark.parametrize("lacking", ["DataSet", "AffectedSOPInstanceUID"])
def test_a_store_that_lacks_something_is_not_waited_for(
    desk: Reception, talking: Any, lacking: str
) -> None:
    request = store_request()
    setattr(request, lacking, None)
    talking.dimse.send_msg(request, 3)
    until(lambda: talking.is_aborted, "aborted", 0.8)  # sooner than by the time-out
    assert desk.taken() == {}
