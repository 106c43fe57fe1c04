"""What a worker does with a clinic's own table: the mapping of the job makes records of it."""

from __future__ import annotations

from pathlib import Path

from analyzers.catalogue import Catalogue, Recognized
from analyzers.core import Bundle, ReadError
from analyzers.formats import srt_spreadsheet
from analyzers.sheet_cells import Spreadsheet
from analyzers.sheet_sessions import bundle_of
from qa_daemon.model import Job

NO_MAPPING = (
    "nobody has said what the columns of this table mean: put it into a folder of its unit, and "
    "name its mapping in a [[spreadsheet]] entry of the site file; qa-daemon srt mapping drafts one"
)


def as_claimed(job: Job, catalogue: Catalogue) -> Recognized:
    """The format of the job's file.

    Any format that knows its bytes goes first; what none knows is the clinic's own table where a
    mapping for tables as text claims it.  Raises `ReadError`.
    """
    try:
        return catalogue.recognize(Path(job.file.path), job.file.name)
    except ReadError as why:
        is_claimed = any(sheet.mapping.csv is not None for sheet in job.sheets)
        if why.code != "UNKNOWN_FORMAT" or not is_claimed:
            raise
        return Recognized(catalogue.format_named(srt_spreadsheet.FORMAT.name), is_companion=False)


def mapped(table: Spreadsheet, job: Job) -> Bundle:
    """The records of a table, by the mappings of its kind.  Raises `ReadError`."""
    sheets = [s for s in job.sheets if (s.mapping.csv is not None) == table.is_text]
    if not sheets:
        raise ReadError("SRT_MAPPING", NO_MAPPING)
    return bundle_of(table, sheets)
