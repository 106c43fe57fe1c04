"""What is stored of a file that no worker could read, and how a fault is named without its text.

The text of a foreign exception may hold a patient's data or a path; its type and place do not.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection

from qa_daemon.ingest.intake import MEGABYTE
from qa_daemon.jobs import WorkersLost
from qa_daemon.model import SOFTWARE, Report
from qa_daemon.pipeline import MOST_CRASHES, Pipeline
from qa_daemon.site.site import Site
from qa_daemon.store.ledger import Group, LedgerFile
from qa_daemon.store.results import Provenance

REMOTE_PLACE = re.compile(r'File "([^"\n]+)", line (\d+)')


def without_bytes(file: LedgerFile, site: Site) -> Report:
    """Why a file of the ledger is not in the archive."""
    largest_mb = site.file.ingest.largest_file_mb
    if file.size == 0:
        code = "EMPTY"
        message = "the file is empty; copy it from the machine again"
    elif file.size > largest_mb * MEGABYTE:
        code = "TOO_LARGE"
        message = (
            f"the file has {file.size / MEGABYTE:.0f} MB, more than the {largest_mb:g} MB that "
            "[ingest] largest_file_mb allows; check what was put here"
        )
    else:
        code = "UNREADABLE"
        message = (
            "the service may not read this file; allow its user to read it, "
            "and it is taken in by itself"
        )
    return Report(error_code=code, error_message=message)


def bug(why: Exception) -> Report:
    """A file on which our own code fails."""
    kind, place = place_of(why)
    return Report(
        error_code="BUG",
        error_message=(
            f"the program failed on this file {MOST_CRASHES} times ({kind} at {place}); "
            "this is our error: report it, and release the file after an update"
        ),
    )


def save(pipeline: Pipeline, group: Group, report: Report) -> int | None:
    """Store such a report; the file is in quarantine then, with what it was read with."""
    file = group.main
    machine = pipeline.site.machine_named(file.machine)
    made = Provenance(
        software=SOFTWARE,
        site_hash=pipeline.site.fingerprint,
        machine=file.machine,
        machine_class=machine.machine_class if machine else None,
        performed_at=None,
    )
    return pipeline.results.save(file, group.others, report, [], made)


def is_passing(why: Exception) -> bool:
    """Whether a fault is the computer's, not the file's: it passes, and the file is tried again."""
    if isinstance(why, DBAPIError):
        return not isinstance(why, IntegrityError | DataError | ProgrammingError)
    return isinstance(why, OSError | WorkersLost | NoConnection)


def place_of(why: BaseException) -> tuple[str, str]:
    """Type and place of a fault, in a worker or here; never its text."""
    remote = REMOTE_PLACE.findall(str(why.__cause__)) if why.__cause__ is not None else []
    if remote:
        file, line = remote[-1]
        return type(why).__name__, f"{Path(file).name}:{line}"
    frames = traceback.extract_tb(why.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    return type(why).__name__, place
