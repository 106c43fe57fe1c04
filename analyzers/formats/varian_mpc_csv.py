"""Varian Machine Performance Check, `Results.csv`: one self-test of a TrueBeam or Halcyon class.

A text table `Name [Unit], Value, Threshold, Evaluation Result`, comma or semicolon, UTF-8 or
Windows-1252.  Serial, time, kind and energy stand in the name of its folder alone,
`NDS-WKS-SN{serial}-YYYY-MM-DD-hh-mm-ss-{sequence}-{Template}`; in another folder the table is read
without them.  A table of nothing but the header is a check that was aborted.

Written after public descriptions of the layout; no file of a machine was at hand.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from analyzers.core import Format, NamedFile, ReadError, TruncatedError
from analyzers.machine_checks import CheckItem, Evaluation, MachineCheck
from analyzers.regular_file import opened

HEADER = ["name [unit]", "value", "threshold", "evaluation result"]
DELIMITERS = (",", ";")
MOST_BYTES = 1 << 20
MOST_ROWS = 5000
LONGEST_NAME = 120
LONGEST_WORD = 40
LARGEST = 1e6
FOLDER = re.compile(
    r"NDS-WKS-SN(?P<serial>[A-Za-z0-9]{1,20})-(?P<time>\d{4}(?:-\d\d){5})-\d{4}"
    r"-(?P<template>[A-Za-z0-9]{1,80})",
    re.ASCII,
)
ENERGY = re.compile(r"Template(\d{1,2}(?:x(?:FFF|SRS)?|e(?:HDTSE)?))")
NAME = re.compile(r"(?P<name>[^\[\]]*[^\[\]\s])\s*(?:\[\s*(?P<unit>[^\[\]]{0,20}?)\s*\])?")
NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?", re.ASCII)
MISSING = {"", "-", "n.a.", "n/a", "na", "nan", "none", "not available"}
UNITS = {"cm": ("mm", 10.0), "°": ("deg", 1.0), "degree": ("deg", 1.0), "degrees": ("deg", 1.0)}
"""Units written another way here: name and factor."""
HALCYON_GROUP = "BeamOutputGroup"
EXPORT_AGAIN = "copy the folder of this check from the machine again"


def recognize(head: bytes) -> bool:
    """A table whose first line is the header, whatever the file's name."""
    first = head.partition(b"\n")[0]
    return len(first) < 200 and _delimiter(first.decode("utf-8-sig", "replace")) is not None


def read(path: Path | str) -> MachineCheck:
    """Read one check.  Raises `ReadError`, for a table that ends early `TruncatedError`."""
    return _read(NamedFile.at(Path(path)), ())


def occasion(folder: str) -> str | None:
    """Of which check a table in this folder is; None where the folder's name does not say."""
    return folder if FOLDER.fullmatch(folder) else None


def _read(file: NamedFile, companions: Sequence[NamedFile]) -> MachineCheck:  # noqa: ARG001
    items = _items(_text(file.path))
    told = FOLDER.fullmatch(file.folder or "")
    template = told["template"] if told else None
    energy = ENERGY.search(template or "")
    warnings = []
    if told is None:
        warnings.append(
            "the folder's name does not say machine, time and kind of the check, as the machine "
            "writes it (NDS-WKS-SN...): none of them is known"
        )
    performed_at = _time(told["time"]) if told else None
    if told and performed_at is None:
        warnings.append("the folder's name holds a time that does not exist: it is not known")
    is_halcyon = any(HALCYON_GROUP in item.group.split("/") for item in items)
    return MachineCheck(
        items=items,
        template=template,
        energy=energy[1] if energy else None,
        performed_at=performed_at,
        machine_serial=told["serial"] if told else None,
        machine_class="halcyon" if is_halcyon else None,
        warnings=tuple(warnings),
    )


def _text(path: Path) -> str:
    with opened(path) as (stream, size):
        if size > MOST_BYTES:
            raise ReadError(
                "MPC_SIZE", f"{size} bytes, at most {MOST_BYTES} expected; check what was put here"
            )
        content = stream.read(size)
    if b"\0" in content:
        raise ReadError("MPC_TEXT", f"the table holds bytes that are no text; {EXPORT_AGAIN}")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ReadError("MPC_TEXT", f"the table is neither UTF-8 nor Windows-1252; {EXPORT_AGAIN}")


def _items(text: str) -> tuple[CheckItem, ...]:
    lines = re.split(r"\r?\n", text)
    delimiter = _delimiter(lines[0])
    if delimiter is None:
        raise ReadError("MPC_HEADER", f"the first line is not the table's header; {EXPORT_AGAIN}")
    if len(lines) > MOST_ROWS:
        raise ReadError("MPC_ROWS", f"{len(lines)} lines, at most {MOST_ROWS} expected")
    items: dict[str, CheckItem] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = _cells(line, delimiter, number)
        if len(cells) != len(HEADER):
            is_cut = number == len(lines) and len(cells) < len(HEADER)
            raise (TruncatedError if is_cut else ReadError)(
                "MPC_SHORT" if is_cut else "MPC_ROW",
                f"line {number} has {len(cells)} cells, {len(HEADER)} expected; {EXPORT_AGAIN}",
            )
        item = _item(cells, delimiter, number)
        if item.name in items:
            raise ReadError("MPC_DUPLICATE", f"line {number} names an item a second time")
        items[item.name] = item
    return tuple(items.values())


def _delimiter(line: str) -> str | None:
    """Between the cells of the header; None where the line is not the header."""
    for delimiter in DELIMITERS:
        cells = [cell.strip().strip('"').strip() for cell in line.strip().split(delimiter)]
        if [" ".join(cell.casefold().split()) for cell in cells] == HEADER:
            return delimiter
    return None


def _cells(line: str, delimiter: str, number: int) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error:
        raise ReadError(
            "MPC_ROW", f"line {number} is quoted in a way no table is; {EXPORT_AGAIN}"
        ) from None
    return [cell.strip() for cell in cells]


def _item(cells: list[str], delimiter: str, number: int) -> CheckItem:
    found = NAME.fullmatch(cells[0]) if len(cells[0]) <= LONGEST_NAME else None
    if found is None or not cells[0].isprintable():
        raise ReadError("MPC_NAME", f"line {number} does not begin with a name and a unit")
    if len(cells[3]) > LONGEST_WORD or not cells[3].isprintable():
        raise ReadError("MPC_RESULT", f"line {number} does not end with a short evaluation")
    unit, factor = UNITS.get(found["unit"] or "", (found["unit"] or "", 1.0))
    threshold = _number(cells[2], delimiter)
    if threshold is None and cells[2].casefold() not in MISSING:
        raise ReadError("MPC_THRESHOLD", f"the threshold in line {number} is not a number")
    if threshold is not None and threshold < 0.0:
        raise ReadError("MPC_THRESHOLD", f"the threshold in line {number} is below zero")
    value = _number(cells[1], delimiter)
    if value is None and unit and cells[1].casefold() not in MISSING:
        raise ReadError("MPC_VALUE", f"the value in line {number} has a unit and is not a number")
    for size in (value, threshold):
        if size is not None and abs(size) > LARGEST:
            raise ReadError("MPC_RANGE", f"line {number} holds a number beyond {LARGEST:g}")
    return CheckItem(
        name=found["name"].strip(),
        unit=unit,
        value=None if value is None else value * factor,
        threshold=None if threshold is None else threshold * factor,
        evaluation=_evaluation(cells[3]),
        said=cells[3],
    )


def _number(text: str, delimiter: str) -> float | None:
    """A number; with a decimal comma only where commas do not separate the cells."""
    if delimiter == ";":
        text = text.replace(",", ".", 1)
    return float(text) if NUMBER.fullmatch(text) else None


def _evaluation(said: str) -> Evaluation:
    try:
        return Evaluation(said.casefold())
    except ValueError:
        return Evaluation.UNKNOWN


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d-%H-%M-%S")  # noqa: DTZ007 - zone unknown
    except ValueError:
        return None


FORMAT = Format(
    name="varian-mpc-csv",
    yields=MachineCheck,
    recognize=recognize,
    read=_read,
    machine_class="truebeam",
    occasion=occasion,
)
