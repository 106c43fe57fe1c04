"""An object on its way to the inbox: the bytes of its file, bounds, and a fault at each step."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from qa_daemon.ingest.dicom_object import (
    CANNOT_UNDERSTAND,
    OUT_OF_RESOURCES,
    Header,
    Incoming,
    Room,
)
from qa_daemon.ingest.inbox import Origin, clear_parts, entries
from tests.ingest.receiving import CANARY_UID, EXPLICIT, RT_IMAGE

HEADER = Header(RT_IMAGE, f"{CANARY_UID}.1", EXPLICIT)
ORIGIN = Origin(folder="dicom/LINAC1", machine="TB1")
DATA = b"\x08\x00\x16\x00UI\x02\x001\x00"


def room(top: Path, *, largest: int = 1000, keep_free: int = 0) -> Room:
    made = Room(top / "inbox-parts", top / "inbox", largest, keep_free)
    made.parts.mkdir(exist_ok=True)
    made.inbox.mkdir(exist_ok=True)
    return made


def received(top: Path, header: Header = HEADER) -> bytes:
    incoming = Incoming(header, room(top))
    incoming.write(memoryview(DATA[:3]))
    incoming.write(memoryview(DATA[3:]))
    entry = Path(incoming.keep(ORIGIN))
    (file,) = [path for path in entry.iterdir() if path.suffix == ".dcm"]
    content = file.read_bytes()
    assert file.name == hashlib.sha256(content).hexdigest() + ".dcm"
    return content


def test_the_file_is_what_pydicom_writes_of_the_same(tmp_path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_file_meta_info

    from qa_daemon.ingest.dicom_object import IMPLEMENTATION_UID

    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RT_IMAGE, HEADER.sop_instance
    meta.TransferSyntaxUID, meta.ImplementationClassUID = EXPLICIT, IMPLEMENTATION_UID
    meta.FileMetaInformationGroupLength = 0
    written = DicomBytesIO()
    write_file_meta_info(written, meta, enforce_standard=False)  # it counts the length itself
    assert received(tmp_path) == bytes(128) + b"DICM" + written.getvalue() + DATA


def test_the_same_object_has_the_same_bytes_and_another_has_not(tmp_path: Path) -> None:
    assert received(tmp_path) == received(tmp_path)
    other = Header(RT_IMAGE, f"{CANARY_UID}.2", EXPLICIT)
    assert received(tmp_path) != received(tmp_path, other)


def test_the_inbox_knows_where_it_came_from(tmp_path: Path) -> None:
    received(tmp_path)
    (entry,) = entries(str(tmp_path / "inbox"))
    (found,) = entry.files
    assert (found.folder, found.machine) == ("dicom/LINAC1", "TB1")
    assert json.loads(Path(entry.path, ".origin.json").read_text())["machine"] == "TB1"


@pytest.mark.parametrize("uid", ["", "1.2\n3", "1" * 65, "1.2\\1.3", "1.2.ä"])
def test_without_a_usable_identity_it_is_refused(tmp_path: Path, uid: str) -> None:
    incoming = Incoming(Header(RT_IMAGE, uid, EXPLICIT), room(tmp_path))
    incoming.write(memoryview(DATA))
    assert incoming.refused == CANNOT_UNDERSTAND
    assert list((tmp_path / "inbox-parts").iterdir()) == []


def test_what_is_too_large_takes_no_more_space(tmp_path: Path) -> None:
    incoming = Incoming(HEADER, room(tmp_path, largest=500))
    incoming.write(memoryview(bytes(100)))
    assert incoming.refused is None
    incoming.write(memoryview(bytes(300)))
    assert incoming.refused == CANNOT_UNDERSTAND
    assert list((tmp_path / "inbox-parts").iterdir()) == []
    incoming.write(memoryview(bytes(300)))  # the sender goes on


def test_a_disk_that_fills_up_meanwhile_is_noticed(tmp_path: Path) -> None:
    incoming = Incoming(HEADER, room(tmp_path, largest=1 << 30))
    megabyte = memoryview(bytes(1 << 20))
    with mock.patch.object(Room, "is_short", lambda _: True):
        for _ in range(18):
            incoming.write(megabyte)
    assert incoming.refused == OUT_OF_RESOURCES
    assert list((tmp_path / "inbox-parts").iterdir()) == []


def test_a_disk_that_takes_no_more_is_no_crash(tmp_path: Path) -> None:
    incoming = Incoming(HEADER, room(tmp_path))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch("qa_daemon.ingest.dicom_object.Incoming._add", side_effect=full):
        incoming.write(memoryview(DATA))
    assert incoming.refused == OUT_OF_RESOURCES


class Killed(BaseException):
    """The process is no more."""


CALLS = ("fsync", "replace")


def strike(top: Path, call: str, at: int, why: BaseException) -> bool | None:
    """Receive with the k-th call failing, and all later ones too when killed.

    Whether the sender was told success; None where there is no such call any more.
    """
    count = 0
    has_struck = False

    def or_fail(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal count, has_struck
            count += name == call
            if (has_struck and isinstance(why, Killed)) or (name == call and count == at):
                has_struck = True
                raise why
            return real(*args, **kwargs)

        return run

    names = (*CALLS, "rmdir", "unlink")
    patches = [mock.patch.object(os, n, or_fail(n, getattr(os, n))) for n in names]
    try:
        with patches[0], patches[1], patches[2], patches[3]:
            received_under_fault(top)
    except (OSError, Killed):
        return False
    return True if has_struck else None


def received_under_fault(top: Path) -> None:
    incoming = Incoming(HEADER, room(top))
    incoming.write(memoryview(DATA))
    assert incoming.refused is None
    incoming.keep(ORIGIN)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["killed", "error"])
def test_after_a_fault_at_any_step_it_is_there_whole_or_not_at_all(
    tmp_path: Path, call: str, kind: str
) -> None:
    (tmp_path / "good").mkdir()
    whole = received(tmp_path / "good")
    steps = 0
    for at in range(1, 20):
        top = tmp_path / str(at)
        top.mkdir()
        why = Killed() if kind == "killed" else OSError(errno.EIO, os.strerror(errno.EIO))
        told = strike(top, call, at, why)
        if told is None:
            break
        steps += 1
        assert not told
        if kind == "error":
            assert list((top / "inbox-parts").iterdir()) == []
        clear_parts(top)
        assert not (top / "inbox-parts").exists()
        contents = [
            Path(f.source).read_bytes() for e in entries(str(top / "inbox")) for f in e.files
        ]
        assert contents in ([], [whole])
        assert len(list((top / "inbox").iterdir())) == len(contents)
    assert steps == {"fsync": 4, "replace": 2}[call]
