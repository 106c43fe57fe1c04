"""A clinic's own workbook of output checks, built by the library that is not ours, and its mapping.

The numbers are those of the worked example of the schema: 4.79373 Gy/min.
"""

from __future__ import annotations

import io
import re
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, time
from typing import Any

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from analyzers.core import Bundle
from analyzers.output_checks import OutputCheck
from analyzers.sheet_cells import Spreadsheet
from analyzers.sheet_mapping import SheetMapping
from analyzers.sheet_sessions import ClinicSheet, bundle_of, sessions_of

HEADERS = (
    *("Rec", "Date", "Time", "Check", "By", "Beam", "Cone", "SSD (cm)", "Timer (min)"),
    *("Rdg1", "Rdg2", "Rdg3", "Temp (F)", "P (mmHg)", "Remarks"),
)
DAY = date(2026, 2, 3)
ROW: tuple[Any, ...] = (
    *("2026-02-03-D1", DAY, time(7, 31), "Daily", "AB", "E2", "3 cm", 15.0, 0.5),
    *(2.345, 2.347, 2.344, 70.52, 747.2085, None),  # 21.4 °C; 99.62 kPa
)
MAPPING = """
sheet = "Daily"
header_row = 3
readings = ["Rdg1", "Rdg2", "Rdg3"]
readings_unit = "nC"

[when]
date = "Date"
time = "Time"

[columns]
"Rec" = "record_id"
"Check" = { to = "check_type", values = { "Daily" = "daily", "Monthly" = "monthly" } }
"By" = "operator"
"Beam" = [
  { to = "kvp", values = { "E1" = 50, "E2" = 70 } },
  { to = "filter_id", values = { "E1" = "F1", "E2" = "F2" } },
]
"Cone" = { to = "applicator_id", values = { "3 cm" = "A30", "5 cm" = "A50" } }
"SSD (cm)" = { to = "ssd_cm", unit = "cm" }
"Timer (min)" = { to = "timer_set_s", unit = "min" }
"Temp (F)" = { to = "temperature_c", unit = "degF" }
"P (mmHg)" = { to = "pressure_kpa", unit = "mmHg" }
"Remarks" = "comment"

[constants]
unit_model = "SRT-100 Vision"
tube_current_ma = 10
mode = "timer"
chamber_model = "PTW 23342"
chamber_sn = "0123"
electrometer_sn = "4567"
n_k_gy_per_c = 1.0e9
p_elec = 1.0
p_ion = 1.0
p_pol = 1.0
t_ref_c = 20.0
p_ref_kpa = 101.325
reference_output = 4.79
tolerance_pct = 3
action_pct = 5

[[constants_for]]
when = { applicator_id = "A30" }
values = { applicator_diameter_cm = 3.0 }

[[constants_for]]
when = { applicator_id = "A50" }
values = { applicator_diameter_cm = 5.0 }

[[constants_for]]
when = { filter_id = "F2" }
values = { hvl_mm_al = 1.10 }
"""
WORKED = (
    "2026-02-03-D1,SRT1,SRT-100 Vision,2026-02-03T07:31:00+01:00,daily,AB,70,10,F2,1.10,A30,3.0,"
    "15.0,30.0,timer,PTW 23342,0123,4567,1.0e9,1.000,1.000,1.000,2.345;2.347;2.344,21.4,99.62,20.0,"
    "101.325,4.79,3,5"
)
WORKED_HEADER = (
    "record_id,unit_id,unit_model,datetime,check_type,operator,kvp,tube_current_ma,filter_id,"
    "hvl_mm_al,applicator_id,applicator_diameter_cm,ssd_cm,timer_set_s,mode,chamber_model,"
    "chamber_sn,electrometer_sn,n_k_gy_per_c,p_elec,p_ion,p_pol,readings_nc,temperature_c,"
    "pressure_kpa,t_ref_c,p_ref_kpa,reference_output,tolerance_pct,action_pct"
)


def changed(row: Sequence[Any] = ROW, **cells: Any) -> list[Any]:
    """The row with other cells, by header without blanks and brackets: `Temp=None`."""
    names = [header.partition(" ")[0] for header in HEADERS]
    return [cells.get(name, value) for name, value in zip(names, row, strict=True)]


def workbook(*rows: Sequence[Any], touch: Callable[[Worksheet], object] = lambda _: None) -> bytes:
    """A workbook whose second sheet, `Daily`, has a title, its headers in row 3, and these rows."""
    book = Workbook()
    book.active.title = "Cover"
    sheet = book.create_sheet("Daily")
    sheet.append(["Output checks"])
    sheet.append([])
    sheet.append(list(HEADERS))
    for row in rows or (ROW,):
        sheet.append(list(row))
    touch(sheet)
    return saved(book)


def saved(book: Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def repacked(content: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The archive with parts changed, or (None) left out."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            part = change(name, old.read(name))
            if part is not None:
                new.writestr(name, part)
    return stream.getvalue()


def with_shared_texts(content: bytes) -> bytes:
    """The same workbook as most programs write it: texts in a part of their own, by number.

    Every other text is of two runs, with a note on how to say it.
    """
    texts: list[bytes] = []

    def number(match: re.Match[bytes]) -> bytes:
        texts.append(match[1])
        return b't="s"><v>%d</v>' % (len(texts) - 1)

    def change(name: str, part: bytes) -> bytes:
        if name == "[Content_Types].xml":
            kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
            more = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % kind
            return part.replace(b"</Types>", more)
        if not name.startswith("xl/worksheets/"):
            return part
        return re.sub(rb't="inlineStr"><is><t>([^<]*)</t></is>', number, part)

    changed_parts = repacked(content, change)
    stream = io.BytesIO(changed_parts)
    runs = (
        b"<si><r><t>%s</t></r><r><rPr><b/></rPr><t>%s</t></r><rPh sb='0' eb='1'><t>x</t></rPh></si>"
    )
    items = [
        runs % (text[:1], text[1:]) if place % 2 else b"<si><t>%s</t></si>" % text
        for place, text in enumerate(texts)
    ]
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "xl/sharedStrings.xml", b'<sst xmlns="%s">%s</sst>' % (space, b"".join(items))
        )
    return stream.getvalue()


def mapping(*changes: tuple[str, str], text: str = MAPPING) -> SheetMapping:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return SheetMapping.model_validate(tomllib.loads(text))


def clinic_sheet(told: SheetMapping, zone: str = "Europe/Berlin") -> ClinicSheet:
    return ClinicSheet(mapping=told, time_zone=zone, unit_id="SRT1")


def read(content: bytes, told: SheetMapping | None = None, **more: Any) -> tuple[OutputCheck, ...]:
    told = told or mapping()
    return sessions_of(_file(content, told), [clinic_sheet(told, **more)])


def bundle(content: bytes, told: SheetMapping | None = None) -> Bundle:
    told = told or mapping()
    return bundle_of(_file(content, told), [clinic_sheet(told)])


def _file(content: bytes, told: SheetMapping) -> Spreadsheet:
    return Spreadsheet(content, is_text=told.csv is not None)
