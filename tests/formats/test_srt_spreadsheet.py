"""Workbooks as files: what is recognized, what is refused, and what a hostile one costs."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from analyzers import sheet_container
from analyzers.catalogue import load
from analyzers.core import HEAD_BYTES, NamedFile, ReadError
from analyzers.formats.srt_spreadsheet import FORMAT
from analyzers.sheet_cells import Broken, Serial, Spreadsheet
from analyzers.sheet_container import MOST_UNPACKED, OLE_START, Container
from analyzers.sheet_text import read_table
from analyzers.sheet_workbook import read_sheet
from tests.srt.small_sheets import repacked, saved, with_shared_texts, workbook

SHEET = "xl/worksheets/sheet2.xml"
WORKBOOK = workbook()
SHARED = with_shared_texts(WORKBOOK)


def spoiled(old: bytes, new: bytes, part: str = SHEET) -> bytes:
    def change(name: str, content: bytes) -> bytes:
        if name != part:
            return content
        assert old in content
        return content.replace(old, new, 1)

    return repacked(workbook(), change)


def refused(content: bytes) -> str:
    with pytest.raises(ReadError) as why:
        read_sheet(content, "Daily")
    return f"{why.value.code}: {why.value}"


def test_a_workbook_is_told_by_its_bytes_and_no_other_format_claims_it(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(workbook())
    assert load().recognize(path, "a.bin").format.name == "srt-spreadsheet"
    path.write_bytes(OLE_START + bytes(512))
    assert load().recognize(path, "a.xlsx").format.name == "srt-spreadsheet"
    assert not FORMAT.recognize(b"PK\x03\x04" + bytes(HEAD_BYTES))
    assert not FORMAT.recognize(b"record;unit\n1;2\n")


def test_a_file_is_opened_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, is_text in ((workbook(), False), (b"a;b\n1;2\n", True)):
        path.write_bytes(content)
        record = FORMAT.read(NamedFile.at(path), ())
        assert isinstance(record, Spreadsheet)
        assert (record.content, record.is_text) == (content, is_text)


def test_values_as_they_are_stored() -> None:
    book = Workbook()
    book.active.title = "Daily"
    book.active.append(["a", " ", None, 2.5, True, "=1", "#N/A"])
    book.active["D1"].number_format = "hh:mm"
    ((row),) = read_sheet(saved(book), "daily").rows
    assert row.cells[1] == "a"
    assert row.cells[2] == " "
    assert 3 not in row.cells
    assert row.cells[4] == Serial(2.5, since_1904=False)
    assert row.cells[5] is True
    assert isinstance(row.cells[6], Broken) and isinstance(row.cells[7], Broken)


def test_texts_of_a_part_of_their_own_as_another_program_reads_them() -> None:
    ours = read_sheet(SHARED, "Daily").rows
    theirs = load_workbook(io.BytesIO(SHARED))["Daily"]
    texts = 0
    for row in ours:
        for column, value in row.cells.items():
            if isinstance(value, str):
                assert value == theirs.cell(row.number, column).value
                texts += 1
    assert texts == 21  # a title, 15 headers, 5 texts in the row
    assert ours == read_sheet(WORKBOOK, "Daily").rows


def test_a_stored_value_of_a_formula_counts() -> None:
    content = spoiled(b"<v>15</v>", b"<f>10+5</f><v>15</v>")
    row = read_sheet(content, "Daily").rows[-1]
    assert row.cells[8] == 15.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: OLE_START + bytes(600), "SRT_SHEET: an encrypted workbook"),
        (lambda: workbook()[:-40], "SRT_SHEET: the workbook's archive has no end"),
        (lambda: workbook()[:3000], "SRT_SHEET: the workbook's archive has no end"),
        (lambda: bytes(6 << 20), "SRT_SIZE: 6291456 bytes"),
        (
            lambda: repacked(workbook(), lambda n, c: None if n == "xl/workbook.xml" else c),
            "SRT_SHEET: an office file that is no .xlsx workbook",
        ),
        (
            lambda: repacked(workbook(), lambda n, c: None if n == SHEET else c),
            "SRT_SHEET: the workbook lacks one of its parts",
        ),
        (lambda: spoiled(b"</sheetData>", b"</sheetDat>"), "SRT_SHEET: the workbook is damaged"),
        (lambda: spoiled(b'<row r="4"', b'<row r="2"'), "SRT_SHEET: the sheet is damaged"),
        (lambda: spoiled(b'r="B4"', b'r="B5"'), "SRT_SHEET: the sheet is damaged"),
        (lambda: spoiled(b'r="B4"', b'r="A4"'), "SRT_SHEET: the sheet is damaged"),
        (lambda: spoiled(b"<v>15</v>", b"<v>NaN</v>"), "SRT_SHEET: the sheet is damaged"),
        (lambda: spoiled(b"<v>15</v>", b"<v>1e999</v>"), "SRT_SHEET: the sheet is damaged"),
        (
            lambda: spoiled(b't="n"><v>15</v>', b't="s"><v>15</v>'),
            "SRT_SHEET: the sheet is damaged",
        ),
    ],
)
def test_damaged_workbooks_are_refused_with_a_sentence(
    content: Callable[[], bytes], said: str
) -> None:
    assert refused(content()).startswith(said)


BOMB = b'<!DOCTYPE a [<!ENTITY x "%s">]>' % (b"y" * 100)
OUTSIDE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    "part", [SHEET, "xl/workbook.xml", "xl/styles.xml", "xl/sharedStrings.xml"]
)
@pytest.mark.parametrize("doctype", [BOMB, OUTSIDE, b"<!DOCTYPE a>"])
def test_xml_with_a_document_type_is_refused(part: str, doctype: bytes) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != part:
            return content
        _, declared, rest = content.rpartition(b"?>")
        return b'<?xml version="1.0"?>' + doctype + (rest if declared else content)

    assert "document type or an entity" in refused(repacked(SHARED, change))


def test_an_archive_that_unpacks_to_too_much_is_refused_unread() -> None:
    bomb = repacked(workbook(), lambda n, c: bytes(MOST_UNPACKED) if n == SHEET else c)
    assert len(bomb) < 200_000
    before = process_time()
    assert refused(bomb).startswith("SRT_SIZE: the workbook is 67")
    assert process_time() - before < 0.5
    dense = repacked(workbook(), lambda n, c: bytes(8 << 20) if n == SHEET else c)
    assert "unpacks to more than 250 times" in refused(dense)


def test_a_directory_that_lies_about_sizes_gives_no_more_than_it_says() -> None:
    content = workbook()
    info = zipfile.ZipFile(io.BytesIO(content)).getinfo(SHEET)
    directory = content.index(b"PK\x01\x02")
    at = content.index(SHEET.encode(), directory) - 46
    lied = bytearray(content)
    assert struct.unpack_from("<I", lied, at + 24)[0] == info.file_size
    struct.pack_into("<I", lied, at + 24, info.file_size // 2)
    assert refused(bytes(lied)).startswith("SRT_SHEET: the workbook is damaged")


def test_many_parts_two_of_a_name_and_other_packings_are_refused() -> None:
    stream = io.BytesIO(workbook())
    with zipfile.ZipFile(stream, "a") as archive:
        for number in range(1001):
            archive.writestr(f"x{number}", b"")
    assert refused(stream.getvalue()).startswith("SRT_SIZE: the workbook has 10")
    stream = io.BytesIO(workbook())
    with zipfile.ZipFile(stream, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(SHEET, b"<a/>")
    assert "there twice" in refused(stream.getvalue())
    stream = io.BytesIO(workbook())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x", b"y" * 100)
    assert "unusual way" in refused(stream.getvalue())


def test_a_hundred_thousand_rows_are_refused_soon_and_in_little_memory() -> None:
    row = b'<row r="%d"><c r="A%d"><v>1</v></c><c r="B%d"><v>46056</v></c></row>'
    rows = b"".join(row % (n, n, n) for n in range(5, 100_005))
    content = repacked(workbook(), lambda _, c: c.replace(b"</sheetData>", rows + b"</sheetData>"))
    before = process_time()
    said = refused(content)
    took = process_time() - before
    assert said.startswith("SRT_SIZE: sheet 'Daily', row 10002: more than 10000 rows")
    tracemalloc.start()
    refused(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 5.0 and peak < 50e6, (took, peak)


def test_a_part_of_countless_elements_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_container, "MOST_ELEMENTS", 60)
    crowd = b'<row r="5">' + b"<c/>" * 61
    content = repacked(
        WORKBOOK, lambda _, c: c.replace(b"</sheetData>", crowd + b"</row></sheetData>")
    )
    assert refused(content).startswith("SRT_SIZE: a part of the workbook has more than 60 elements")


def test_rows_that_only_have_a_style_are_none() -> None:
    rows = b"".join(b'<row r="%d"><c r="A%d" s="1"/></row>' % (n, n) for n in range(5, 20_005))
    content = repacked(workbook(), lambda _, c: c.replace(b"</sheetData>", rows + b"</sheetData>"))
    assert len(read_sheet(content, "Daily").rows) == 3


def test_macros_are_not_looked_at() -> None:
    stream = io.BytesIO(workbook())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"rubbish")
    assert len(read_sheet(stream.getvalue(), "Daily").rows) == 3


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_spoiled_workbook_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(SHARED)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_sheet(bytes(content), "Daily")
    except ReadError as why:
        assert str(why)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_spoiled_xml_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    part = data.draw(
        st.sampled_from([SHEET, "xl/workbook.xml", "xl/styles.xml", "xl/sharedStrings.xml"])
    )

    def change(name: str, content: bytes) -> bytes:
        if name != part:
            return content
        place = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.sampled_from([b"", b"<", b"-1", b"99999999999", b'"', b"&x;", b"\xff"]))
        return content[:place] + new + content[place + data.draw(st.integers(0, 9)) :]

    try:
        read_sheet(repacked(SHARED, change), "Daily")
    except ReadError as why:
        assert str(why)


def test_a_table_as_text_is_bounded_and_whole() -> None:
    with pytest.raises(ReadError, match="row 10001: more than 10000 rows"):
        read_table(b"1;2\n" * 10_002, ";", "utf-8")
    with pytest.raises(ReadError, match="not utf-8, as its mapping says"):
        read_table("ä".encode("cp1252"), ";", "utf-8")
    with pytest.raises(ReadError, match="NUL"):
        read_table(b"a\0;b", ";", "utf-8")
    with pytest.raises(ReadError, match="row 2: quotes"):
        read_table(b'a;b\n"a', ";", "utf-8")


def test_a_container_says_what_it_holds() -> None:
    assert SHEET in Container(workbook()).names
