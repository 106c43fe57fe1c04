"""A mapping drafted from the header of a clinic's own table, to be completed by a physicist.

Usual headers are recognized and what they may mean is written down; units never are: each stands
there as "?", which no site starts with, and beside it what the header itself says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analyzers.core import ReadError
from analyzers.output_columns import COLUMNS, REQUIRED, Kind
from analyzers.sheet_cells import SheetTable
from analyzers.sheet_mapping import FROM_ELSEWHERE
from analyzers.sheet_units import READINGS, UNITS

ALIASES = {
    "record_id": ("rec", "record", "recordid"),
    "unit_id": ("unit", "unitid", "machine"),
    "unit_model": ("model", "unitmodel"),
    "check_type": ("check", "checktype", "type", "test"),
    "operator": ("operator", "initials", "by", "user", "physicist", "therapist", "measuredby"),
    "kvp": ("kv", "kvp", "tubevoltage", "potential", "energy"),
    "tube_current_ma": ("ma", "current", "tubecurrent"),
    "filter_id": ("filter", "filterid"),
    "hvl_mm_al": ("hvl", "hvlmmal"),
    "applicator_id": ("cone", "applicator", "applicatorid", "tube"),
    "applicator_diameter_cm": ("diameter", "diam", "conesize", "applicatordiameter"),
    "ssd_cm": ("ssd", "fsd", "tsd", "ffd"),
    "timer_set_s": ("timer", "settime", "timeset", "timerset", "exposuretime", "exptime"),
    "timer_measured_s": ("measuredtime", "timermeasured", "stopwatch"),
    "mode": ("mode",),
    "chamber_model": ("chamber", "chambermodel", "ionchamber"),
    "chamber_sn": ("chambersn", "chamberserial", "chamberno"),
    "electrometer_sn": ("electrometer", "electrometersn", "electrometerserial"),
    "n_k_gy_per_c": ("nk", "nx", "calfactor", "calibrationfactor", "ncal"),
    "p_elec": ("pelec", "kelec"),
    "p_ion": ("pion", "ks", "ksat"),
    "p_pol": ("ppol", "kpol"),
    "bias_v": ("bias", "hv", "voltage"),
    "temperature_c": ("temp", "t", "temperature", "tempc", "tempf", "tc", "tf"),
    "pressure_kpa": ("press", "p", "pressure", "baro", "barometer", "pkpa", "pmmhg", "phpa"),
    "t_ref_c": ("tref", "referencetemperature"),
    "p_ref_kpa": ("pref", "referencepressure"),
    "timer_end_effect_s": ("endeffect", "timerend", "shutter", "shuttererror"),
    "bsf": ("bsf", "bw", "backscatter"),
    "mu_en_ratio": ("muen", "muenratio", "muenrho"),
    "reference_output": ("reference", "baseline", "expected", "referenceoutput"),
    "tolerance_pct": ("tolerance", "tol"),
    "action_pct": ("action", "actionlevel"),
    "comment": ("comment", "comments", "notes", "remarks", "remark"),
}
"""Headers in use, without case, blanks, marks and what stands in brackets."""
DATES = ("date", "day", "datum", "measuredon")
TIMES = ("time", "timeofday", "clock", "uhrzeit")
READING = re.compile(r"(?:rdg|rdng|reading|read|m|r|q)0*\d{1,2}", re.ASCII)
LOOKED_AT = 30
"""Rows among which the header is looked for."""
FEWEST = 3
_KNOWN = {alias: column for column, aliases in ALIASES.items() for alias in aliases}


@dataclass(frozen=True, slots=True)
class _Header:
    row: int
    texts: tuple[str, ...]


def draft(table: SheetTable, sheet: str | None, header_row: int | None, separator: str) -> str:
    """The mapping as TOML.  `separator` is of a table as text, empty for a workbook.

    Raises `ReadError` where no row looks like a header.
    """
    header = _header(table, header_row)
    readings = [text for text in header.texts if READING.fullmatch(_key(text))]
    when = list(_when(header.texts))
    used = {*readings, *(text for _, text in when)}
    columns: dict[str, str] = {}
    for text in header.texts:
        column = _KNOWN.get(_key(text)) or (_key(text) in COLUMNS and _key(text)) or None
        if text not in used and column is not None and column not in columns.values():
            columns[text] = column
    rest = [text for text in header.texts if text not in used and text not in columns]
    lines = [
        "# A draft.  The site does not start with it before every ? is filled in; what the",
        "# draft takes a column for is to be checked as well.",
        *([f"sheet = {_quoted(sheet)}"] if sheet else []),
        f"header_row = {header.row}",
        *(['decimal = "."', ""] if separator else [""]),
        f"readings = [{', '.join(map(_quoted, readings or ['?']))}]",
        f'readings_unit = "?"  # {", ".join(UNITS[READINGS])}{_in_brackets(readings)}',
        *_when_lines(when),
        *_column_lines(columns),
        *(f"# {_quoted(text)}: not known; map it, or leave it out" for text in rest),
        *_constant_lines(columns),
        *(
            ["", "[csv]", f"separator = {_quoted(separator)}", 'encoding = "utf-8"']
            * bool(separator)
        ),
    ]
    return "\n".join(lines) + "\n"


def _header(table: SheetTable, header_row: int | None) -> _Header:
    found = [
        _Header(row.number, tuple(_plain(v) for v in row.cells.values() if isinstance(v, str)))
        for row in table.rows
        if (row.number <= LOOKED_AT if header_row is None else row.number == header_row)
    ]
    best = max(found, key=lambda header: _hits(header.texts), default=None)
    if best is None or (header_row is None and _hits(best.texts) < FEWEST):
        raise ReadError(
            "SRT_MAPPING",
            f"no row among the first {LOOKED_AT} looks like a header; say which it is with "
            "--header-row",
        )
    return _Header(best.row, tuple(dict.fromkeys(text for text in best.texts if text)))


def _hits(texts: Sequence[str]) -> int:
    keys = [_key(text) for text in texts]
    return sum(k in _KNOWN or k in DATES or bool(READING.fullmatch(k)) for k in keys)


def _plain(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:200]


def _key(text: str) -> str:
    """`P (mmHg)` is `p`; a header of the schema stays as it is."""
    if text in COLUMNS:
        return text
    bare = re.sub(r"[(\[][^)\]]*[)\]]", "", text)
    return "".join(c for c in bare.casefold() if c.isalnum())


def _when(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, keys in (("date", DATES), ("time", TIMES)):
        text = next((text for text in texts if _key(text) in keys), None)
        if text is not None:
            yield name, text


def _when_lines(when: Sequence[tuple[str, str]]) -> Iterator[str]:
    named = dict(when)
    yield from ("", "[when]  # date_format and time_format are for cells that are texts")
    yield f"date = {_quoted(named.get('date', '?'))}"
    if "time" in named:
        yield f"time = {_quoted(named['time'])}  # the time of day, or the time of exposure?"
    else:
        yield 'time_of_day = "?"  # the table has no time: state one, such as 07:30'


def _column_lines(columns: dict[str, str]) -> Iterator[str]:
    yield from ("", "[columns]")
    for text, column in columns.items():
        if column in UNITS:
            units = ", ".join(UNITS[column])
            yield (
                f'{_quoted(text)} = {{ to = "{column}", unit = "?" }}  # {units}'
                f"{_in_brackets([text])}"
            )
        else:
            yield f'{_quoted(text)} = "{column}"'


def _constant_lines(columns: dict[str, str]) -> Iterator[str]:
    yield from ("", "[constants]  # what every row has and the table does not say")
    for name in REQUIRED:
        if name in columns.values() or name in FROM_ELSEWHERE:
            continue
        column = COLUMNS[name]
        told = {
            Kind.WORD: f"one of {', '.join(column.words)}",
            Kind.NUMBER: f"a number in {column.unit}",
        }.get(column.kind, "a text")
        yield f'{name} = "?"  # {told}'


def _in_brackets(texts: Sequence[str]) -> str:
    """What the headers say in brackets, for a person to look at."""
    found = dict.fromkeys(m for text in texts for m in re.findall(r"[(\[]([^)\]]+)[)\]]", text))
    return f"; the header says {', '.join(found)}" if found else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
