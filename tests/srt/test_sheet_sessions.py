"""A clinic's own table, its mapping, and the sessions that come of both."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904, to_excel
from openpyxl.workbook import Workbook

from analyzers.core import Analysis, Context, ReadError
from analyzers.formats.srt_output_csv import read_sessions as read_csv
from analyzers.formats.srt_output_json import sessions_of as read_json
from analyzers.output_text import as_csv, as_json
from analyzers.srt.srt_output import ANALYZER
from tests.srt.small_sheets import (
    DAY,
    HEADERS,
    MAPPING,
    ROW,
    WORKED,
    WORKED_HEADER,
    bundle,
    changed,
    mapping,
    read,
    repacked,
    saved,
    workbook,
)


def refused(content: bytes, *changes: tuple[str, str]) -> str:
    with pytest.raises(ReadError) as why:
        read(content, mapping(*changes))
    return f"{why.value.code}: {why.value}"


def analyzed(session: Any) -> Analysis:
    return ANALYZER.analyze(session, Context("srt", ANALYZER.settings()))


def test_three_ways_in_give_the_same_record_and_the_worked_example(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{WORKED_HEADER}\n{WORKED}\n")
    (of_csv,) = read_csv(path)
    names, values = WORKED_HEADER.split(","), WORKED.split(",")
    record: dict[str, Any] = dict(zip(names, values, strict=True))
    for name in names:
        if name not in ("chamber_sn", "electrometer_sn"):
            try:
                record[name] = float(record[name])
            except ValueError:
                continue
    record["readings_nc"] = [2.345, 2.347, 2.344]
    form = {"schema": "qa_srt_output", "version": "1.0", "records": [record]}
    (of_json,) = read_json(json.dumps(form).encode())
    # 747.2085 mmHg are 99.62 kPa to 1e-5; what the sheet has is exact in the unit of the schema.
    in_kpa = ('{ to = "pressure_kpa", unit = "mmHg" }', '{ to = "pressure_kpa", unit = "kPa" }')
    (of_sheet,) = read(workbook(changed(P=99.62)), mapping(in_kpa))
    assert as_json(of_sheet.rows) == as_json(of_csv.rows) == as_json(of_json.rows)
    for session in (of_csv, of_json, of_sheet):
        found = {m.metric.name: m.value for m in analyzed(session).measurements}
        # By hand: 2.345333 nC x 1.021972 x 1e9 Gy/C in 30 s
        assert found["output"] == pytest.approx(4.79373, abs=5e-6)
    (in_mmhg,) = read(workbook())
    found = {m.metric.name: m.value for m in analyzed(in_mmhg).measurements}
    assert found["output"] == pytest.approx(4.79373, abs=5e-5)


def test_units_are_converted_as_stated() -> None:
    ((row,),) = (session.rows for session in read(workbook()))
    assert row.temperature_c == pytest.approx(21.4, abs=1e-9)
    assert row.pressure_kpa == pytest.approx(747.2085 * 101.325 / 760.0, rel=1e-6)
    assert row.timer_set_s == 30.0
    exposure = mapping(
        ("n_k_gy_per_c = 1.0e9\n", ""),
        ("[columns]", '[columns]\n"Nx" = { to = "n_k_gy_per_c", unit = "R/C" }'),
        ("header_row = 3", "header_row = 3\nair_kerma_gy_per_r = 0.00876"),
    )

    def nx(sheet: Any) -> None:
        sheet["P3"], sheet["P4"] = "Nx", 1e9

    ((row,),) = (session.rows for session in read(workbook(touch=nx), exposure))
    assert row.n_k_gy_per_c == 8.76e6


@pytest.mark.parametrize(
    ("column", "unit", "told", "expected"),
    [
        ("pressure_kpa", "mmHg", 760.0, 101.325),
        ("pressure_kpa", "hPa", 1013.25, 101.325),
        ("pressure_kpa", "mbar", 1013.25, 101.325),
        ("pressure_kpa", "inHg", 29.9213, 101.325),
        ("temperature_c", "degF", 71.6, 22.0),
        ("temperature_c", "K", 295.15, 22.0),
        ("timer_set_s", "min", 0.5, 30.0),
        ("ssd_cm", "mm", 150.0, 15.0),
        ("readings_nc", "pC", 2345.0, 2.345),
        ("readings_nc", "uC", 0.002345, 2.345),
        ("n_k_gy_per_c", "cGy/nC", 100.0, 1e9),
        ("n_k_gy_per_c", "R/C", 1e9, 8.76e6),
        ("reference_output", "cGy/min", 479.0, 4.79),
        ("reference_output", "R/min", 500.0, 4.38),
        ("tolerance_pct", "fraction", 0.03, 3.0),
    ],
)
def test_every_conversion_against_a_value_by_hand(
    column: str, unit: str, told: float, expected: float
) -> None:
    by_rule = mapping(("header_row = 3", "header_row = 3\nair_kerma_gy_per_r = 0.00876"))
    found = by_rule.conversion(column, unit).apply(told, by_rule.air_kerma_gy_per_r)
    assert found == pytest.approx(expected, rel=2e-6)
    if unit in ("degF", "min", "mm", "pC", "fraction"):
        assert found == expected  # a reference temperature of 71.6 °F is 22 °C, not almost


def test_serials_and_texts_of_dates_mean_the_same() -> None:
    expected = read(workbook())[0].rows
    forms = (
        'time = "Time"',
        'time = "Time"\ndate_format = "%d.%m.%Y"\ntime_format = "%H:%M"',
    )
    assert read(workbook(changed(Date="03.02.2026", Time="07:31")), mapping(forms))[0].rows == (
        expected
    )
    together = ('date = "Date"\ntime = "Time"', 'datetime = "Date"')
    moment = datetime.combine(DAY, time(7, 31))
    assert read(workbook(changed(Date=moment)), mapping(together))[0].rows == expected
    bare = ('time = "Time"', 'time = "Time"\ndate_format = "serial"\ntime_format = "serial"')
    content = workbook(changed(Date=float(to_excel(DAY)), Time=0.3131944444444445))
    assert read(content, mapping(bare))[0].rows == expected
    stated = ('time = "Time"', 'time_of_day = "07:31"')
    assert read(workbook(), mapping(stated))[0].rows == expected
    assert "bare number" in refused(workbook(changed(Date=float(to_excel(DAY)))))
    assert "state its form" in refused(workbook(changed(Date="03.02.2026")))
    assert "not of the form" in refused(workbook(changed(Date="2026-02-03", Time="07:31")), forms)
    assert "time of day as well" in refused(workbook(changed(Date=moment)))


def test_a_workbook_that_counts_from_1904() -> None:
    book = Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.active.title = "Daily"
    for row in ((), (), HEADERS, ROW):
        book.active.append(list(row))
    assert read(saved(book))[0].rows == read(workbook())[0].rows


def test_the_offset_is_of_the_clinic_s_zone() -> None:
    summer = changed(Date=date(2026, 7, 3))
    assert read(workbook(summer))[0].performed_at.isoformat() == "2026-07-03T07:31:00+02:00"
    west = read(workbook(summer), zone="America/Chicago")[0]
    assert west.performed_at.isoformat() == "2026-07-03T07:31:00-05:00"


def test_an_hour_that_comes_twice_and_one_that_never_comes() -> None:
    twice = workbook(changed(Date=date(2025, 10, 26), Time=time(2, 30)))
    said = refused(twice)
    assert said.startswith("SRT_TIME: sheet 'Daily', row 4, column C (Time): ")
    for word, offset in (("first", "+02:00"), ("second", "+01:00")):
        told = mapping(("[when]", f'[when]\nambiguous_hour = "{word}"'))
        assert read(twice, told)[0].performed_at.isoformat() == f"2025-10-26T02:30:00{offset}"
    never = workbook(changed(Date=date(2026, 3, 29), Time=time(2, 30)))
    assert "skipped" in refused(never, ("[when]", '[when]\nambiguous_hour = "first"'))


def test_decimal_commas_only_where_the_mapping_says_so() -> None:
    content = workbook(changed(Temp="70,52"))
    said = refused(content)
    assert "row 4, column M (Temp (F)): a text with a decimal comma" in said
    comma = ("header_row = 3", 'header_row = 3\ndecimal = ","')
    assert read(content, mapping(comma))[0].rows[0].temperature_c == pytest.approx(21.4)
    assert "decimal point" in refused(workbook(changed(Temp="70.52")), comma)
    for grouped in ("1.070,52", "70 F", "=1+1"):
        assert "column M" in refused(workbook(changed(Temp=grouped)), comma)


def test_rows_that_are_none_and_rows_that_lack_their_date() -> None:
    blank = changed(*([[None] * len(HEADERS)]), Remarks="a note below")
    assert len(read(workbook(ROW, blank))[0].rows) == 1
    lacking = workbook(ROW, changed(Date=None))
    assert "row 5, column B (Date): empty, and the row holds readings" in refused(lacking)
    skip = ("header_row = 3", 'header_row = 3\nskip_where_empty = ["Date"]')
    found = bundle(lacking, mapping(skip))
    assert len(found.parts) == 1
    assert found.warnings == ("sheet 'Daily': 1 rows that the mapping leaves out hold readings",)
    mean = workbook(ROW, changed(Date=None, By="Mean"))
    words = ("header_row = 3", 'header_row = 3\nskip_where = { "By" = ["mean"] }')
    assert len(read(mean, mapping(words))[0].rows) == 1
    before = ("header_row = 3", "header_row = 3\nnot_before = 2026-02-04")
    assert "no row" in refused(workbook(), before)


def test_hidden_rows_are_read_and_noted() -> None:
    def hide(sheet: Any) -> None:
        sheet.row_dimensions[4].hidden = True
        sheet.sheet_state = "hidden"

    found = bundle(workbook(touch=hide))
    assert found.warnings == (
        "sheet 'Daily' is hidden and was read",
        "sheet 'Daily': hidden rows were read as well, 1 of them",
    )
    assert bundle(workbook()).warnings == ()


def test_merged_cells_are_refused_where_they_matter() -> None:
    rows = (ROW, changed(Rec="b", Date=None, Time=time(7, 35)))
    said = refused(workbook(*rows, touch=lambda s: s.merge_cells("B4:B5")))
    assert "SRT_SHEET: sheet 'Daily', row 4: the cells B4:B5 are merged" in said
    assert read(workbook(touch=lambda s: s.merge_cells("A1:H1")))
    assert read(workbook(touch=lambda s: s.merge_cells("X4:Z5")))


def test_formulas_count_by_what_is_stored_with_them() -> None:
    said = refused(workbook(changed(Temp="=70+0.52")))
    assert "row 4, column M (Temp (F)): a formula without a stored value" in said
    # A formula where nobody looks is no fault.
    assert read(workbook([*ROW, "=A1"]))


def test_what_begins_like_a_formula_stays_a_text_and_leaves_escaped() -> None:
    def as_texts(sheet: Any) -> None:
        for place, text in (("O4", '=HYPERLINK("x")'), ("E4", "@AB"), ("A4", "+1")):
            sheet[place].value = text
            sheet[place].data_type = "s"

    (session,) = read(workbook(touch=as_texts))
    (row,) = session.rows
    assert (row.comment, row.operator, row.record_id) == ('=HYPERLINK("x")', "@AB", "+1")
    cells = as_csv(session.rows).decode()
    assert "'=HYPERLINK" in cells and "'@AB" in cells and "'+1" in cells


CANARY = "CANARY-7431"


@pytest.mark.parametrize(
    ("cells", "code", "where"),
    [
        ({"P": 101.3}, "SRT_UNIT", "row 4, column N (P (mmHg)), pressure_kpa: "),
        ({"Temp": None}, "SRT_SCHEMA", "row 4, column M (Temp (F)), temperature_c: empty"),
        ({"Rdg2": 3.0}, "SRT_READINGS", "row 4, columns J (Rdg1), K (Rdg2), L (Rdg3), readings_nc"),
        ({"Rdg2": -2.3}, "SRT_READINGS", "row 4, column K (Rdg2): not a charge above 0"),
        ({"Rdg2": "n/a"}, "SRT_SCHEMA", "row 4, column K (Rdg2): a text that is no number"),
        ({"Timer": time(0, 30)}, "SRT_SCHEMA", "column I (Timer (min)): a date or a time, a num"),
        ({"Timer": True}, "SRT_SCHEMA", "column I (Timer (min)): true or false, a number"),
        ({"Temp": "#DIV/0!"}, "SRT_SCHEMA", "column M (Temp (F)): an error of the spreadsheet"),
        ({"Beam": CANARY}, "SRT_MAPPING", "row 4, column F (Beam): a text that the mapping's"),
        ({"Date": CANARY}, "SRT_TIME", "row 4, column B (Date): a text, a date expected"),
        ({"Date": date(1999, 1, 1)}, "SRT_TIME", "column C (Time): the year 1999"),
        ({"By": CANARY * 9}, "SRT_SCHEMA", "row 4, column E (By), operator: 99 characters"),
        ({"Remarks": CANARY}, "SRT_SCHEMA", "column O (Remarks), comment: "),
    ],
)
def test_a_message_names_the_cell_and_never_repeats_its_text(
    cells: dict[str, Any], code: str, where: str
) -> None:
    content = workbook(changed(**cells))
    if "Remarks" in cells:  # the library itself writes no character that cannot be printed
        spoiled = CANARY.encode() + "\u200b".encode()
        content = repacked(content, lambda _, part: part.replace(CANARY.encode(), spoiled))
    said = refused(content)
    assert said.startswith(f"{code}: sheet 'Daily', row 4")
    assert where in said
    assert CANARY not in said


def test_one_bad_row_refuses_the_whole_file() -> None:
    good = [changed(Rec=f"r{n}", Date=DAY + timedelta(days=n)) for n in range(5)]
    assert len(bundle(workbook(*good)).parts) == 5
    said = refused(workbook(*good, changed(Rec="bad", Date=date(2026, 3, 1), P=None)))
    assert "row 9, column N (P (mmHg)), pressure_kpa: empty" in said


def test_parts_are_files_of_a_session_and_keep_their_names() -> None:
    rows = [changed(Rec=None, Date=DAY + timedelta(days=n)) for n in range(3)]
    first = bundle(workbook(*rows[:2]))
    later = bundle(workbook(rows[2], *rows[:2]))
    assert [part.name for part in first.parts] == [
        "2026-02-03T07:31:00+01:00 SRT1",
        "2026-02-04T07:31:00+01:00 SRT1",
    ]
    assert {p.name: p.content for p in first.parts}.items() < {
        p.name: p.content for p in later.parts
    }.items()
    for part in later.parts:
        (session,) = read_json(part.content)
        assert len(session.rows) == 1


def test_a_table_as_text() -> None:
    lines = (
        "Output checks;;;;;;;;;;;;;;",
        ";" * 14,
        ";".join(HEADERS),
        "2026-02-03-D1;03.02.2026;07:31;Daily;AB;E2;3 cm;15;0,5;2,345;2,347;2,344;70,52;747,2085;ä",
    )
    told = mapping(
        ('sheet = "Daily"\n', 'decimal = ","\n'),
        ('time = "Time"', 'time = "Time"\ndate_format = "%d.%m.%Y"\ntime_format = "%H:%M"'),
        text=MAPPING + '\n[csv]\nseparator = ";"\nencoding = "cp1252"\n',
    )
    (session,) = read("\r\n".join(lines).encode("cp1252"), told)
    assert as_json(session.rows) == as_json(read(workbook(changed(Remarks="ä")))[0].rows)
    with pytest.raises(ReadError, match=r"^row 4, column N \(P \(mmHg\)\), pressure_kpa: "):
        read("\r\n".join(lines).replace("747,2085", "101,3").encode("cp1252"), told)


def test_the_header_has_to_be_the_mapping_s() -> None:
    def rename(sheet: Any) -> None:
        sheet["N3"] = "P (kPa)"

    said = refused(workbook(touch=rename))
    assert said.startswith(
        "SRT_MAPPING: sheet 'Daily', row 3: the column 'P (mmHg)' of the mapping"
    )
    twice = refused(workbook(touch=lambda s: s.cell(3, 20, "p (MMHG) ")))
    assert "is there 2 times" in twice
    assert "no sheet 'Weekly'" in refused(workbook(), ('sheet = "Daily"', 'sheet = "Weekly"'))
    hidden_first = ('sheet = "Daily"\n', "")
    assert "first sheet, row 3" in refused(workbook(), hidden_first)
