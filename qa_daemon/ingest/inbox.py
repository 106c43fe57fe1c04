"""The inbox: files handed over by a command or the network, with the place they came from.

`inbox/<id>/.origin.json` says folder and machine; `<id>` is renamed into place when all files are
in it.  A file is removed once it is in the archive and the ledger.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from qa_daemon.ingest.intake import Found
from qa_daemon.ingest.names import as_text
from qa_daemon.model import Message
from qa_daemon.store.archive import sync_folder

ORIGIN = ".origin.json"
PARTS = "inbox-parts"
"""Beside the inbox: entries that are still being written."""


class Origin(Message):
    """Where the files of an entry came from."""

    folder: str
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder of the inbox."""

    path: str
    files: tuple[Found, ...]


def entries(inbox: str) -> Iterator[Entry]:
    """Every complete entry; what follows no such form is left to the settle rule."""
    for path in sorted(_inside(inbox)):
        try:
            found = entry(path)
        except FileNotFoundError:
            continue
        if found is not None:
            yield found
        else:
            tidy(path)  # a kill between the removal of form and folder leaves an empty one


def entry(path: str) -> Entry | None:
    """One complete entry; None where this is none.  Raises OSError when it cannot be listed."""
    origin = _origin(path)
    if origin is None:
        Path(path).lstat()
        return None
    files = [file for file in sorted(_inside(path)) if _name(file) != ORIGIN]
    found = (Found(f, origin.folder, as_text(_name(f)), origin.machine) for f in files)
    return Entry(path, tuple(found))


def put(part: Path, origin: Origin, inbox: Path) -> str:
    """Make a folder of complete, synced files an entry: it is there whole, for good, or not at all.

    Returns the path of the entry.  Raises OSError; whether `part` is still there says how far it
    came.
    """
    with (part / ORIGIN).open("w") as form:
        form.write(origin.model_dump_json())
        form.flush()
        os.fsync(form.fileno())
    sync_folder(part)
    entry = inbox / uuid.uuid4().hex
    part.replace(entry)
    sync_folder(inbox)
    return str(entry)


def clear_parts(state_dir: Path) -> None:
    """Remove what a killed run left half-written; only while nobody else works on the folder."""
    shutil.rmtree(state_dir / PARTS, ignore_errors=True)


def is_entry(folder: str) -> bool:
    """Whether a folder is an entry of the inbox."""
    return _origin(folder) is not None


def remove(source: str) -> None:
    """Take a file out of the inbox, and its entry when it was the last."""
    with contextlib.suppress(OSError):  # the next pass tries again
        Path(source).unlink(missing_ok=True)
    tidy(source.rpartition("/")[0])


def tidy(entry: str) -> None:
    """Remove an entry that holds no file any more."""
    with contextlib.suppress(OSError):
        left = [_name(path) for path in _inside(entry)]
        if left == [ORIGIN]:
            Path(entry, ORIGIN).unlink()
        if left in ([ORIGIN], []):
            Path(entry).rmdir()


def _inside(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _origin(path: str) -> Origin | None:
    try:
        text = json.loads(Path(path, ORIGIN).read_text())
        return Origin.model_validate(text)
    except (OSError, ValueError, ValidationError):
        return None
