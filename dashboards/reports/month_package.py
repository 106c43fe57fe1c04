"""The compliance package of a month: PDF, workbook, table, JSON, and the hashes of all of them.

The same store gives the same bytes, whenever and wherever it is made: nothing in it is the time of
making.  Files get their names when all of them are whole.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dashboards.reports.document import Paper, pdf
from dashboards.reports.month_data import MonthData, Write, gather
from dashboards.reports.month_document import document
from dashboards.reports.month_form import BOUNDS, at, form
from dashboards.reports.month_words import inert
from dashboards.reports.month_workbook import EPOCH, write_workbook
from qa_daemon.model import Verdict
from qa_daemon.site.site import Site
from qa_daemon.store.months import Month
from qa_daemon.store.store import Store

COLUMNS = (
    *("machine", "time", "result", "test", "version", "metric", "value", "unit", "place"),
    *("energy", "technique", "judged_as", "verdict", *BOUNDS),
)
VERDICTS = tuple(verdict.name for verdict in Verdict)
MOST_KNOWN = 50_000
UNFINISHED = ".month-"
LONGEST_NAME = 60
NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def write_package(
    site: Site,
    store: Store,
    month: Month,
    out: Path,
    titles: Mapping[str, str],
    only: str | None = None,
) -> list[Path]:
    """Write the files of a month into a folder, over those of the same month; the manifest last.

    `only`: one machine of the site.  Raises OSError where the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem = stem_of(month, only)
    with _alone_in(out), tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=out) as part:
        made = _write(site, store, month, Path(part), stem, titles, only)
        manifest = Path(part, f"{stem}.sha256")
        manifest.write_text("".join(f"{_sha256(path)}  {path.name}\n" for path in made), "ascii")
        files = [*made, manifest]
        for path in files:
            _make_durable(path)
        # Who finds no manifest finds no package: never new files under the hashes of old ones.
        (out / manifest.name).unlink(missing_ok=True)
        return [path.replace(out / path.name) for path in files]


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """One export into a folder at a time; what others left that were ended is taken away."""
    folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        except OSError:
            # Some network drives lock no folders: unfinished ones may be somebody's.
            yield
        else:
            for left in out.glob(f"{UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        os.fsync(folder)
    finally:
        os.close(folder)


def month_pdf(site: Site, store: Store, month: Month, titles: Mapping[str, str]) -> bytes:
    """The printed document alone; the same bytes as in the package."""
    return _pdf(site, gather(site, store, month, titles))


def write_zip(files: Sequence[Path], path: Path) -> None:
    """All files of a package as one, which tells no time either."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in files:
            entry = zipfile.ZipInfo(file.name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            with file.open("rb") as source, packed.open(entry, "w", force_zip64=True) as into:
                shutil.copyfileobj(source, into, 1 << 20)


def stem_of(month: Month, only: str | None = None) -> str:
    """What the files of a month are called, without their endings."""
    if only is None:
        return f"qa-{month.name}"
    named = NO_NAME.sub("-", only)[:LONGEST_NAME]
    # Machines whose names are alike but for what no file may be called are not one.
    more = "" if named == only else f"-{hashlib.sha256(only.encode()).hexdigest()[:8]}"
    return f"qa-{month.name}-{named}{more}"


def _write(
    site: Site,
    store: Store,
    month: Month,
    folder: Path,
    stem: str,
    titles: Mapping[str, str],
    only: str | None,
) -> list[Path]:
    table, told, book, paper = (
        folder / f"{stem}.{ending}" for ending in ("csv", "json", "xlsx", "pdf")
    )
    with _measurements(table, month) as write:
        data = gather(site, store, month, titles, only, write)
    told.write_text(_json(data), "utf-8")
    write_workbook(data, book)
    paper.write_bytes(_pdf(site, data))
    return [paper, book, table, told]


def _pdf(site: Site, data: MonthData) -> bytes:
    paper: Paper = site.file.site.paper
    return pdf(document(data, paper))


def _json(data: MonthData) -> str:
    return json.dumps(form(data), indent=1, sort_keys=True, allow_nan=False) + "\n"


@contextmanager
def _measurements(path: Path, month: Month) -> Iterator[Write]:
    """A row for each judged number, written as it is read."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(_line(COLUMNS) + "\r\n")
        yield _row_writer(stream, month)


def _row_writer(stream: TextIO, month: Month) -> Write:
    # What is the same in many rows is written out once: there are a million in a large month.
    known: dict[tuple[object, ...], tuple[str, str]] = {}
    begun: tuple[int, str, str] = (-1, "", "")

    def write(machine: str, row: Any, place: str) -> None:
        nonlocal begun
        result, point_ns, value = row.result, row.point_ns, row.value
        if (result, machine) != begun[:2]:
            begun = (result, machine, _line([inert(machine), at(month, point_ns), result]))
        key = (*row[2:6], place, *row[7:8], *row[9:14], *row[15:])
        parts = known.get(key)
        if parts is None:
            if len(known) > MOST_KNOWN:
                known.clear()
            parts = known[key] = _parts(row, place)
        stream.write(f"{begun[2]},{parts[0]},{value!r},{parts[1]}\r\n")

    return write


def _parts(row: Any, place: str) -> tuple[str, str]:
    """What stands before and after the value."""
    bounds = [getattr(row, bound) for bound in BOUNDS]
    return (
        _line([inert(row.analyzer), inert(row.version), inert(row.metric)]),
        _line(
            [
                *(
                    inert(text or "")
                    for text in (row.unit, place, row.energy, row.technique, row.judged_as)
                ),
                VERDICTS[row.verdict],
                *("" if bound is None else repr(bound) for bound in bounds),
            ]
        ),
    )


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _make_durable(path: Path) -> None:
    path.chmod(0o600)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
