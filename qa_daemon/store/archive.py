"""The archive of raw bytes and arrays on disk, every file named by its content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from qa_daemon.model import Job, NamedPath, Resumption
from qa_daemon.site.settings import Machine
from qa_daemon.site.site import Site
from qa_daemon.store.ledger import Group, LedgerFile

CHUNK = 1 << 20


class Unsettled(Exception):  # noqa: N818 - a fact, the scanner decides
    """The file changed while it was copied, or is gone."""


class Forbidden(Exception):  # noqa: N818 - a fact, the scanner decides
    """The service may not read the file."""


class Archive:
    """`archive/aa/bb/<sha256>` and `arrays/aa/<sha256>.h5` below the site's state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.scratch = state_dir / "scratch"
        self._durable: set[Path] = set()
        for folder in (self.scratch, state_dir / "archive", state_dir / "arrays"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def clear_scratch(self) -> None:
        """Remove what a killed run left half-written; done once at start, before any work."""
        for leftover in self.scratch.iterdir():
            leftover.unlink(missing_ok=True)

    def path_of(self, sha256: str) -> Path:
        """Where the bytes of that content are."""
        return self._state_dir / "archive" / sha256[:2] / sha256[2:4] / sha256

    def arrays_path(self, name: str) -> Path:
        """Where an array file is."""
        return self._state_dir / "arrays" / name[:2] / name

    def holds(self, sha256: str) -> bool:
        """Whether the bytes of that content are here."""
        return self.path_of(sha256).exists()

    def take(
        self, source: Path, is_settled: Callable[[os.stat_result], bool] = lambda _: True
    ) -> tuple[str, os.stat_result]:
        """Copy a regular file into the archive: copy, fsync, hash, rename, fsync the folder.

        Returns its SHA-256 and what it looked like when it was opened, which `is_settled` may
        refuse.  Raises `Unsettled` when it changed meanwhile, `Forbidden`, and OSError when source
        or archive cannot be used.  A symbolic link, FIFO or device is never read.
        """
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            raise Forbidden from None
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise Unsettled("not a regular file")
            if not is_settled(before):
                raise Unsettled("it changed after it was looked at")
            copy = self.scratch / f"{os.getpid()}-{before.st_dev}-{before.st_ino}-{id(stream)}"
            try:
                sha256 = _copy(stream, copy, before)
                self._place(copy, self.path_of(sha256))
            except BaseException:
                copy.unlink(missing_ok=True)  # on a full disk, leftovers would make it worse
                raise
        return sha256, before

    def keep_arrays(self, name: str | None) -> str | None:
        """Move a worker's array file to its place; its name by content."""
        if name is None:
            return None
        scratch = self.scratch / Path(name).name
        with scratch.open("rb") as stream:
            kept = hashlib.file_digest(stream, "sha256").hexdigest() + ".h5"
            os.fsync(stream.fileno())
        self._place(scratch, self.arrays_path(kept))
        return kept

    def job(self, group: Group, machine: Machine | None, site: Site) -> Job:
        """What a worker needs to know to read and measure the files of a group."""
        return Job(
            file=self.named(group.main),
            companions=tuple(self.named(c) for c in group.companions),
            resumed_by=tuple(
                Resumption(
                    file=self.named(more.main),
                    companions=tuple(self.named(c) for c in more.companions),
                )
                for more in group.resumed_by
            ),
            machine_class=machine.machine_class if machine else None,
            mlc=machine.mlc if machine else None,
            settings=site.analyzer_settings,
            sheets=site.sheets_for(machine, group.main.name),
            scratch=str(self.scratch),
        )

    def named(self, file: LedgerFile) -> NamedPath:
        """Where the bytes of a file are, and what it was called."""
        folder = file.folder.rpartition("/")[2] or None
        return NamedPath(path=str(self.path_of(file.sha256)), name=file.name, folder=folder)

    def _place(self, scratch: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch.chmod(0o400)
        scratch.replace(target)
        sync_folder(target.parent)
        # A folder on the way may be new, or left by a run that was killed: its name in the folder
        # above is made durable once in every run.
        folder = target.parent
        while folder != self._state_dir and folder not in self._durable:
            sync_folder(folder.parent)
            self._durable.add(folder)
            folder = folder.parent


def _copy(stream: BinaryIO, to: Path, before: os.stat_result) -> str:
    """Copy what was there when the file was opened; its SHA-256."""
    digest, copied = hashlib.sha256(), 0
    with to.open("wb") as out:
        while copied <= before.st_size and (chunk := stream.read(CHUNK)):
            digest.update(chunk)
            out.write(chunk)
            copied += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    now = os.fstat(stream.fileno())
    if copied != before.st_size or _stamp(now) != _stamp(before):
        raise Unsettled("it changed while it was copied")
    return digest.hexdigest()


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
