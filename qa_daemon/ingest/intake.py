"""From a settled file to a row of the ledger: copy into the archive, recognize, pair, enter.

Nothing is judged here and no file is refused here: what is of no known format is queued like any
other, and the worker's report says what is wrong with it.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analyzers.catalogue import Catalogue, Recognized
from analyzers.core import ReadError
from qa_daemon.ingest.names import as_text
from qa_daemon.ingest.settle import Look
from qa_daemon.site.site import Site
from qa_daemon.store.archive import Archive
from qa_daemon.store.ledger import Arrival, Fingerprint, Ledger

MEGABYTE = 1_000_000
LOG = logging.getLogger("qa_daemon.ingest")


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a watched folder: where its bytes are, and what it is known as.

    `folder` and `name` are text, `source` keeps the bytes of the path.
    """

    source: str
    folder: str
    name: str
    machine: str | None

    @property
    def path(self) -> str:
        """The path it is known by."""
        return f"{self.folder}/{self.name}"


def found_at(source: str, machine: str | None) -> Found:
    """A file that is known by the place where it lies."""
    folder, name = os.path.split(source)
    return Found(source, as_text(folder), as_text(name), machine)


def fingerprint(found: Found, look: Look) -> Fingerprint:
    """What the ledger remembers of a file's look."""
    inode = f"{look.inode}.{look.ctime_ns}"
    return Fingerprint(found.path, look.size, look.mtime_ns, inode)


class Intake:
    """Takes settled files in."""

    def __init__(self, archive: Archive, ledger: Ledger, catalogue: Catalogue, site: Site) -> None:
        self._archive = archive
        self._ledger = ledger
        self._catalogue = catalogue
        self._largest_bytes = site.file.ingest.largest_file_mb * MEGABYTE

    def known(self) -> dict[str, Fingerprint]:
        """Every path of the ledger as it was last seen."""
        return self._ledger.known()

    def take(self, found: Found, look: Look) -> Arrival:
        """Copy a settled file into the archive.

        Raises `Unsettled` when it has changed since that look, `Forbidden` when we may not read it,
        and OSError.  A file that is empty or too large is not copied.
        """
        if not 0 < look.size <= self._largest_bytes:
            return self.without_bytes(found, look)
        sha256, status = self._archive.take(
            Path(found.source), lambda status: Look.of(status) == look
        )
        arrival = _arrival(found, Look.of(status), sha256)
        try:
            kept = self._archive.path_of(sha256)
            return _described(arrival, self._catalogue.recognize(kept, arrival.name))
        except ReadError:
            return arrival
        except Exception as why:  # noqa: BLE001 - a plug-in's bug must not cost the file
            LOG.error("a format's recognize or key failed: %s", type(why).__name__)
            return arrival

    def enter(self, arrivals: Sequence[Arrival]) -> None:
        """Enter files that were taken, all at once."""
        if arrivals:
            self._ledger.add_all(arrivals)

    def without_bytes(self, found: Found, look: Look) -> Arrival:
        """Enter a file that is not in the archive, so that it is seen and not tried for ever.

        What stands for its content is its path and its look.
        """
        seen = fingerprint(found, look)
        told = f"{seen.path}\0{seen.size}\0{seen.mtime_ns}\0{seen.inode}"
        return _arrival(found, look, hashlib.sha256(b"unreadable\0" + told.encode()).hexdigest())


def _arrival(found: Found, look: Look, sha256: str) -> Arrival:
    return Arrival(fingerprint(found, look), found.folder, found.name, found.machine, sha256)


def _described(arrival: Arrival, recognized: Recognized) -> Arrival:
    known = replace(
        arrival,
        format=recognized.format.name,
        is_companion=recognized.is_companion,
        occasion=recognized.format.occasion(arrival.folder.rpartition("/")[2]),
    )
    companions = recognized.format.companions
    if companions is None:
        return known
    return replace(known, pair=companions.key(arrival.name), reach=companions.reach)
