"""Every format and every analyzer there is, and the one reader for a file.

A module in `formats` that exports `FORMAT`, or in `machine`, `patient` or `srt` that exports
`ANALYZER`, is found here by looking; third parties add theirs through the entry-point group
`qa_daemon.plugins`, whose entries are such modules.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import stat
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from analyzers import formats, machine, patient, srt
from analyzers.core import HEAD_BYTES, Analyzer, Format, NamedFile, ReadError

PLUGINS = "qa_daemon.plugins"


@dataclass(frozen=True, slots=True)
class Recognized:
    """Which format a file is of, and whether it is the main file or a side file of it."""

    format: Format[Any]
    is_companion: bool

    @property
    def is_required(self) -> bool:
        """Whether the format's files are a record only together."""
        return self.format.companions is not None and self.format.companions.is_required


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All formats and analyzers, in a fixed order."""

    formats: tuple[Format[Any], ...]
    analyzers: tuple[Analyzer[Any, Any], ...]

    def recognize(self, path: Path, name: str) -> Recognized:
        """Tell the format of a file from its first bytes.

        The name under which it arrived tells only which of two files that look alike it is.
        Raises `ReadError` when the file is empty, not a regular file, of no known format, or
        claimed by two formats.
        """
        head = read_head(path)
        if not head:
            raise ReadError("EMPTY", "the file is empty; copy it from the machine again")
        found = [
            Recognized(f, f.companions is not None and f.companions.is_side_by_name(name))
            for f in self.formats
            if f.recognize(head)
        ]
        found += [
            Recognized(f, True)
            for f in self.formats
            if f.companions is not None and f.companions.recognize(head)
        ]
        if len(found) > 1:
            names = ", ".join(sorted(r.format.name for r in found))
            raise ReadError("AMBIGUOUS", f"several formats claim this file: {names}")
        if not found and head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise ReadError(
                "UNKNOWN_FORMAT",
                "no known format begins with these bytes, and text in UTF-16 does: save the table "
                "or JSON as UTF-8",
            )
        if not found:
            raise ReadError(
                "UNKNOWN_FORMAT",
                "no known format begins with these bytes; "
                "check that the export wrote a machine log here",
            )
        return found[0]

    def format_named(self, name: str) -> Format[Any]:
        """The format of that name; KeyError when there is none."""
        return next(f for f in self.formats if f.name == name)

    def analyzers_for(self, record: object) -> list[Analyzer[Any, Any]]:
        """The analyzers that have a question to this record."""
        return [a for a in self.analyzers if isinstance(record, a.accepts) and a.applies(record)]

    def read(self, file: NamedFile, companions: Sequence[NamedFile] = ()) -> Any:
        """Read a main file with the one reader for it."""
        recognized = self.recognize(file.path, file.name)
        if recognized.is_companion and not recognized.is_required:
            raise ReadError("COMPANION", "this is a side file; its main file is not here")
        return recognized.format.read(file, companions)


def read_head(path: Path) -> bytes:
    """The first bytes of a regular file; a FIFO, device, folder or symbolic link is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as why:
        raise ReadError("UNREADABLE", f"the file cannot be opened: {why.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ReadError("NOT_A_FILE", "this is not a regular file")
        return os.read(descriptor, HEAD_BYTES)
    except OSError as why:
        raise ReadError("UNREADABLE", f"the file cannot be read: {why.strerror}") from None
    finally:
        os.close(descriptor)


def load() -> Catalogue:
    """Find every format and analyzer, our own and those of installed plug-ins."""
    modules = [*_modules_of(formats), *_modules_of(machine), *_modules_of(patient)]
    modules += [*_modules_of(srt), *(entry.load() for entry in entry_points(group=PLUGINS))]
    catalogue = Catalogue(
        formats=tuple(m.FORMAT for m in modules if hasattr(m, "FORMAT")),
        analyzers=tuple(m.ANALYZER for m in modules if hasattr(m, "ANALYZER")),
    )
    for declared in (catalogue.formats, catalogue.analyzers):
        names = [d.name for d in declared]
        if len(set(names)) != len(names):
            raise ValueError(f"two declarations share a name: {sorted(names)}")
    return catalogue


def _modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        yield importlib.import_module(f"{package.__name__}.{info.name}")
