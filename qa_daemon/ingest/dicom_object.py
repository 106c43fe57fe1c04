"""One object that is being received: from the first byte to its place in the inbox.

Bytes go to disk as they come, never through a parser.  The file is named by its content, and what
stands before the data set depends on the object alone: the same object has the same bytes, whoever
sends it and when.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import uuid
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from qa_daemon.ingest import inbox
from qa_daemon.ingest.inbox import Origin

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
"""Answers to C-STORE, DICOM PS3.4 table B.2-1."""

IMPLEMENTATION_UID = "2.25.273178037812985212524090446083383230036"
CHECK_SPACE_EVERY = 16 << 20
UID = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,64}")


@dataclass(frozen=True, slots=True)
class Header:
    """What the sender says of an object before it sends it."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str

    @property
    def is_usable(self) -> bool:
        """Whether a file can be written with these; what they mean is for its reader to judge."""
        said = (self.sop_class, self.sop_instance, self.transfer_syntax)
        return all(UID.fullmatch(uid) for uid in said)

    def encoded(self) -> bytes:
        """Preamble and file meta information, DICOM PS3.10 7.1.

        Optional elements are left out: who sent it and when would make copies differ.
        """
        elements = b"".join(
            (
                struct.pack("<HH2sHI", 2, 0x0001, b"OB", 0, 2) + b"\x00\x01",
                _uid(0x0002, self.sop_class),
                _uid(0x0003, self.sop_instance),
                _uid(0x0010, self.transfer_syntax),
                _uid(0x0012, IMPLEMENTATION_UID),
            )
        )
        length = struct.pack("<HH2sHI", 2, 0x0000, b"UL", 4, len(elements))
        return bytes(128) + b"DICM" + length + elements


@dataclass(frozen=True, slots=True)
class Room:
    """Where objects are written, and how much of them."""

    parts: Path
    inbox: Path
    largest_bytes: int
    keep_free_bytes: int

    def is_short(self) -> bool:
        """Whether the disk has less space left than has to stay free."""
        return shutil.disk_usage(self.parts).free < self.keep_free_bytes


class Incoming:
    """An object on its way.  One that is refused takes no more space, and what comes is dropped."""

    def __init__(self, header: Header, room: Room) -> None:
        self._room = room
        self._part = room.parts / uuid.uuid4().hex
        self._digest = hashlib.sha256()
        self._written = 0
        self._checked_at = 0
        self._file: FileIO | None = None
        self.refused: int | None = None if header.is_usable else CANNOT_UNDERSTAND
        if self.refused is None:
            try:
                self._begin(header)
            except OSError:
                self.refuse(OUT_OF_RESOURCES)

    def _begin(self, header: Header) -> None:
        if self._room.is_short():
            self.refuse(OUT_OF_RESOURCES)
            return
        self._part.mkdir(mode=0o700)
        self._file = FileIO(self._part / "object", "wb")
        self._add(self._file, header.encoded())

    def write(self, data: memoryview) -> None:
        """The next bytes of the data set."""
        if self.refused is not None or self._file is None:
            return
        try:
            if self._written + len(data) > self._room.largest_bytes:
                self.refuse(CANNOT_UNDERSTAND)
                return
            if self._written - self._checked_at >= CHECK_SPACE_EVERY:
                self._checked_at = self._written
                if self._room.is_short():
                    self.refuse(OUT_OF_RESOURCES)
                    return
            self._add(self._file, data)
        except OSError:
            self.refuse(OUT_OF_RESOURCES)

    def _add(self, file: FileIO, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        self._digest.update(rest)
        self._written += len(rest)
        while rest:
            rest = rest[file.write(rest) :]

    def keep(self, origin: Origin) -> str:
        """Make it an entry of the inbox, for good; the path of the entry.

        Raises OSError, and leaves nothing behind then, unless it is in the inbox already.
        """
        assert self._file is not None
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            named = self._part / f"{self._digest.hexdigest()}.dcm"
            (self._part / "object").replace(named)
            return inbox.put(self._part, origin, self._room.inbox)
        except BaseException:
            self.discard()
            raise

    def refuse(self, status: int) -> None:
        """Take no more of it, and answer this in the end."""
        self.discard()
        self.refused = status

    def discard(self) -> None:
        """Leave nothing of it behind."""
        if self._file is not None:
            self._file.close()
        shutil.rmtree(self._part, ignore_errors=True)


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, b"UI", len(value)) + value
