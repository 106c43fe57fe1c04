"""`[[spreadsheet]]` of the site file: the clinic's own tables of output checks, and their mappings.

A mapping is a TOML file of its own, read and checked when the site file is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, ValidationError

from analyzers.sheet_mapping import SheetMapping
from qa_daemon.site.values import ONE_LINE, Model

LARGEST_BYTES = 1_000_000


class MappingError(Exception):
    """A mapping is wrong: the message names its file and what in it, and says what to do."""


class SpreadsheetEntry(Model):
    """`[[spreadsheet]]`"""

    machine: str
    """The superficial unit in whose folder the table lies."""
    mapping: Path
    """A file that says what its columns are; relative to the site file."""
    files: str | None = Field(default=None, pattern=ONE_LINE)
    """Names of the files that it is for, in any case, such as `output*.xlsx`.

    Left out: every workbook in the unit's folders; a table as text always needs it.
    """

    def claims(self, name: str) -> bool:
        """Whether a file of this name is one of them."""
        return self.files is None or fnmatchcase(name.casefold(), self.files.casefold())


def read_mappings(entries: Sequence[SpreadsheetEntry], folder: Path) -> tuple[SheetMapping, ...]:
    """The mapping of every entry.  Raises `MappingError`."""
    return tuple(_read(number, entry, folder) for number, entry in enumerate(entries))


def _read(number: int, entry: SpreadsheetEntry, folder: Path) -> SheetMapping:
    where = f"spreadsheet.{number}: {entry.mapping}"
    mapping = read_mapping(folder / entry.mapping, where)
    if mapping.csv is not None and entry.files is None:
        raise MappingError(
            f"spreadsheet.{number}.files: a table as text is told by its name alone: write which "
            'files are such tables, for instance files = "output*.csv"'
        )
    return mapping


def read_mapping(path: Path, where: str) -> SheetMapping:
    """A mapping file; `where` begins the message of a `MappingError`."""
    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST_BYTES).decode()
        return SheetMapping.model_validate(tomllib.loads(text))
    except OSError as why:
        raise MappingError(f"{where}: cannot be read: {why.strerror}") from None
    except UnicodeDecodeError:
        raise MappingError(f"{where}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as why:
        raise MappingError(f"{where}: not TOML: {why}") from None
    except ValidationError as why:
        raise MappingError("; ".join(f"{where}: {_line(e)}" for e in why.errors())) from None


def _line(error: object) -> str:
    assert isinstance(error, dict)
    place = ".".join(map(str, error["loc"]))
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
