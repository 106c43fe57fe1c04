"""How every format opens a file: regular ones alone, and never waiting for one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from analyzers.core import ReadError


@contextmanager
def opened(path: Path) -> Iterator[tuple[FileIO, int]]:
    """The file open for reading, without a buffer, and its size in bytes.

    What cannot be opened or read is a `ReadError` that does not say the path: UNREADABLE, or
    NOT_A_FILE for a folder, a pipe or a device.
    """
    try:
        with open(path, "rb", 0, opener=_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ReadError("NOT_A_FILE", "this is not a regular file")
            yield stream, status.st_size
    except OSError as why:
        raise ReadError("UNREADABLE", f"the file cannot be read: {why.strerror}") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open so that a pipe without a writer does not hold us up."""
    return os.open(path, flags | os.O_NONBLOCK)
