"""The regular files below a folder; a link, FIFO, socket or device is passed over, never opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from qa_daemon.ingest.names import is_ignored

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR)


def files_below(
    top: str, apart: Collection[str], faults: set[str]
) -> Iterator[tuple[str, os.stat_result]]:
    """Every file with what `lstat` says of it.  Folders named in `apart` are left out.

    A folder that cannot be listed is passed over, and why is added to `faults`: the next pass tries
    again.
    """
    stack = [top]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    if is_ignored(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if entry.path not in apart:
                            stack.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        status = _status(entry, faults)
                        if status is not None:
                            yield entry.path, status
        except OSError as why:
            _remember(why, faults)


def device_of(folder: str, before: int | None) -> int:
    """The device a watched folder is on.

    Raises OSError when it is not there, or when its file system was mounted before and is not now:
    an empty mount point is an outage, not an empty share.
    """
    device = Path(folder).stat().st_dev
    with os.scandir(folder):
        pass  # it must answer, not only exist
    if before not in (None, device) and device == Path(folder).parent.stat().st_dev:
        raise OSError(errno.ENOTCONN, "its file system is not mounted")
    return device


def _status(entry: os.DirEntry[str], faults: set[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError as why:
        _remember(why, faults)
        return None


def _remember(why: OSError, faults: set[str]) -> None:
    if why.errno not in GONE:
        faults.add(str(why.strerror))
