"""`qa-daemon srt mapping`: drafts what the columns of a clinic's own table mean."""

from __future__ import annotations

import csv
from pathlib import Path

import typer

from analyzers.core import NamedFile, ReadError
from analyzers.formats import srt_spreadsheet
from analyzers.sheet_cells import SheetTable, Spreadsheet
from analyzers.sheet_text import read_table
from analyzers.sheet_workbook import read_sheet
from qa_daemon.commands.sheet_draft import draft

REFUSED = 65


def mapping(path: Path, sheet: str | None, header_row: int | None, out: Path | None) -> int:
    """Write the draft to a new file, or print it; the exit code."""
    if out is not None and out.exists():
        raise typer.BadParameter(f"{out} is there: give the draft a name of its own")
    try:
        table, separator = _table(path, sheet)
        text = draft(table, sheet, header_row, separator)
    except ReadError as why:
        typer.echo(f"no mapping was drafted: {why}", err=True)
        return REFUSED
    if out is None:
        typer.echo(text, nl=False)
        return 0
    out.write_text(text, "utf-8")
    typer.echo(f'written; fill in every ?; in the site file: mapping = "{out}"')
    return 0


def _table(path: Path, sheet: str | None) -> tuple[SheetTable, str]:
    """The table, and its separator where it is a text."""
    file = srt_spreadsheet.FORMAT.read(NamedFile.at(path), ())
    assert isinstance(file, Spreadsheet)
    if not file.is_text:
        return read_sheet(file.content, sheet), ""
    try:
        start = file.content[:65536].decode("utf-8-sig", "ignore")
        separator = csv.Sniffer().sniff(start, ",;\t").delimiter
    except csv.Error:
        raise ReadError("SRT_TEXT", "neither a workbook nor a table with separators") from None
    return read_table(file.content, separator, "utf-8"), separator
