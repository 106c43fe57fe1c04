"""A small clinic that receives over the network, images to send, and senders: whole and spoiled."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from qa_daemon.ingest.dicom_receiver import Receiver
from qa_daemon.ingest.inbox import PARTS
from qa_daemon.store.schema import files
from tests.ingest.clinic import SITE, Clinic
from tests.servers import installed

RT_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"
EXPLICIT = "1.2.840.10008.1.2.1"
CANARY_UID = "1.2.826.0.1.3680043.10.511.77"
PEERS = """
[dicom]
port = 0
keep_free_gb = 0
[[dicom.peer]]
ae_title = "STORESCU"
addresses = ["127.0.0.1"]
[[dicom.peer]]
ae_title = "ELSEWHERE"
addresses = ["10.1.2.0/24"]
[[dicom.peer]]
ae_title = "LINAC1"
addresses = ["127.0.0.0/8"]
"""


def pixels(number: int, size: int = 32) -> NDArray[np.uint16]:
    return np.random.default_rng(number).integers(0, 65536, (size, size), dtype=np.uint16)


def write_images(folder: Path, numbers: range) -> Path:
    """Small images, each made from the first: its number in the UIDs and its pixels are its own."""
    folder.mkdir()
    first = write_image(folder / "first", 100_000)
    template = first.read_bytes()
    first.unlink()
    for number in numbers:
        content = template.replace(b".100000", f".{100_000 + number}".encode())
        content = content.replace(pixels(100_000).tobytes(), pixels(100_000 + number).tobytes())
        (folder / f"{number}.dcm").write_bytes(content)
    return folder


def write_image(
    path: Path,
    number: int,
    *,
    size: int = 32,
    uid: str | None = None,
    sop_class: str = RT_IMAGE,
    transfer_syntax: str = EXPLICIT,
) -> Path:
    """An RT image with random pixels; the same number, the same bytes."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(uid or f"{CANARY_UID}.{number}")
    meta.TransferSyntaxUID = UID(transfer_syntax)
    image = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    image.is_implicit_VR = meta.TransferSyntaxUID.is_implicit_VR
    image.is_little_endian = meta.TransferSyntaxUID.is_little_endian
    image.SOPClassUID, image.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    image.PatientName, image.PatientID = "CANARY^NAME", "CANARY-ID"
    image.StudyInstanceUID, image.SeriesInstanceUID = f"{CANARY_UID}.0.1", f"{CANARY_UID}.0.2"
    image.Modality, image.PhotometricInterpretation = "RTIMAGE", "MONOCHROME2"
    image.Rows = image.Columns = size
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.SamplesPerPixel, image.PixelRepresentation = 15, 1, 0
    image.PixelData = pixels(number, size).tobytes()
    if meta.TransferSyntaxUID.is_compressed:  # in name alone: nobody here decodes it
        image.PixelData = encapsulate([image.PixelData])
        image["PixelData"].is_undefined_length = True
    image.save_as(path, write_like_original=False)
    return path


class Reception:
    """A clinic with its receiver listening; what was received is taken in by `taken`."""

    def __init__(self, top: Path, more: str = "", peers: str = PEERS) -> None:
        # `more` comes last, and belongs to the last peer or is a table of its own.
        self.clinic = Clinic(top, settle_time=3600.0, text=SITE + peers + more)
        assert self.clinic.site.file.dicom is not None
        self.hints: list[str] = []
        self.receiver = Receiver(self.clinic.site, self.clinic.site.file.dicom, self.hints.append)
        self.inbox = self.clinic.site.state_dir / "inbox"
        self.parts = self.clinic.site.state_dir / PARTS

    @property
    def port(self) -> int:
        return self.receiver.port

    def taken(self) -> dict[str, Path]:
        """Name by name, the archived bytes of all that the ledger holds; one row for each."""
        self.clinic.scanner.run_once()
        with self.clinic.store.read() as connection:
            rows = connection.execute(select(files)).all()
        found = {
            f"{row.folder}/{row.name}": self.clinic.archive.path_of(row.sha256) for row in rows
        }
        assert len(found) == len(rows)
        assert list(self.inbox.iterdir()) == []
        return found


@contextmanager
def reception(top: Path, more: str = "", peers: str = PEERS) -> Iterator[Reception]:
    made = Reception(top, more, peers)
    made.receiver.start()
    try:
        yield made
    finally:
        made.receiver.stop()
        made.clinic.close()


def storescu(
    port: int, *what: Path | str, aet: str = "STORESCU", aec: str = "QA_DAEMON"
) -> subprocess.CompletedProcess[str]:
    """dcmtk's sender; options go before paths."""
    options = [str(w) for w in what if str(w).startswith(("+", "-"))]
    rest = [str(w) for w in what if not str(w).startswith(("+", "-"))]
    command = [installed("storescu"), "-v", "-aet", aet, "-aec", aec, *options]
    command += ["127.0.0.1", str(port), *rest]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def echoscu(
    port: int, *options: str, aet: str = "STORESCU", aec: str = "QA_DAEMON"
) -> subprocess.CompletedProcess[str]:
    command = [installed("echoscu"), "-v", "-to", "10", "-aet", aet, "-aec", aec, *options]
    return subprocess.run(
        [*command, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=60
    )


@contextmanager
def proxy(port: int, after: int, *, then_cut: bool) -> Iterator[int]:
    """A port that passes so many bytes on to another, then cuts the line or falls silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_ends: list[socket.socket] = [listener]

    def pump(source: socket.socket, target: socket.socket, limit: float) -> None:
        passed = 0
        with suppress(OSError):
            while passed < limit and (data := source.recv(4096)):
                data = data[: int(min(limit - passed, len(data)))]
                target.sendall(data)
                passed += len(data)
            if passed >= limit and not then_cut:
                return
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                open_ends.extend((near, far))
                Thread(target=pump, args=(near, far, after), daemon=True).start()
                Thread(target=pump, args=(far, near, float("inf")), daemon=True).start()

    Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        for end in open_ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def until(condition: Callable[[], bool], what: str, patience_s: float = 20.0) -> None:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < patience_s, f"not {what} in {patience_s:.0f} s"
        time.sleep(0.02)


def is_closed(connection: socket.socket, patience_s: float) -> bool:
    """Whether the other side ends the connection within that time, whatever it says before."""
    connection.settimeout(patience_s)
    end = time.monotonic() + patience_s
    try:
        while time.monotonic() < end:
            if not connection.recv(4096):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def pdu(kind: int, length: int, content: bytes = b"") -> bytes:
    return struct.pack(">BBI", kind, 0, length) + content
