"""Output checks as a table: how spreadsheets write them, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzers import catalogue
from analyzers.core import ReadError, TruncatedError
from analyzers.formats import srt_output_csv
from analyzers.formats.srt_output_csv import MOST_BYTES, read, recognize
from analyzers.output_checks import OutputCheck
from tests.output_tables import EXAMPLE, row, table


def of(folder: Path, text: str | bytes) -> OutputCheck:
    path = folder / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def refusal(folder: Path, text: str | bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        of(folder, text)
    return caught.value


def with_header(old: str, new: str) -> str:
    return table(EXAMPLE).replace(old, new, 1)


def test_the_example_of_the_schema_is_recognized(tmp_path: Path) -> None:
    for text in (table(EXAMPLE), table(EXAMPLE, comment=False), "\ufeff" + table(EXAMPLE)):
        path = tmp_path / "no-extension"
        path.write_text(text, "utf-8", newline="")
        assert catalogue.load().recognize(path, path.name).format.name == "srt-output-csv"
        assert len(read(path).rows) == 1


@pytest.mark.parametrize("head", [b"", b"record_id,unit_id", b"#schema=other/1.0", b"\xff\xfe#\0s"])
def test_other_files_are_not_recognized(head: bytes) -> None:
    assert not recognize(head)


def test_spreadsheets_pad_lines_and_leave_empty_ones(tmp_path: Path) -> None:
    text = table(EXAMPLE).replace("1.0\r\n", "1.0,,,\r\n", 1)
    width = len(EXAMPLE)
    check = of(tmp_path, text + "\r\n" + "," * (width - 1) + "\r\n")
    assert len(check.rows) == 1
    spaced = table(row(kvp=" 70 ", filter_id="\u00a0F2 "))
    assert (of(tmp_path, spaced).rows[0].kvp, of(tmp_path, spaced).rows[0].filter_id) == (70, "F2")


def test_rows_are_counted_as_the_spreadsheet_counts_them(tmp_path: Path) -> None:
    text = table(row(1, comment="a\r\nb"), row(2, kvp="5"))
    assert str(refusal(tmp_path, text)).startswith("row 4, kvp: 5 found")
    assert str(refusal(tmp_path, text.partition("\r\n")[2])).startswith("row 3, kvp")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (with_header("/1.0", "/2.0"), "SRT_SCHEMA", "row 1: #schema=qa_srt_output/1.0 expected"),
        (with_header("ssd_cm", "fsd_cm"), "SRT_SCHEMA", "column 'fsd_cm' is none of the schema"),
        (with_header("pressure_kpa", "pressure_kPa"), "SRT_SCHEMA", "if pressure_kpa is meant"),
        (with_header("comment", ""), "SRT_SCHEMA", "column 31 is none"),
        (with_header("comment", "=HYPERLINK(x)"), "SRT_SCHEMA", "column 31 is none"),
        (with_header("comment", "kvp"), "SRT_SCHEMA", "column kvp is there twice"),
        (with_header("t_ref_c", "exposures"), "SRT_SCHEMA", "the header lacks t_ref_c"),
        (table(EXAMPLE).replace(",", ";"), "SRT_SCHEMA", "separated by semicolons"),
        (
            table(EXAMPLE, comment=False).replace(";", "|").replace(",", ";"),
            "SRT_SCHEMA",
            "separated by semicolons",
        ),
        (table(EXAMPLE).replace(",", "\t"), "SRT_SCHEMA", "separated by tabs"),
        (table(row(temperature_c="21,4")), "SRT_SCHEMA", "a comma in a number"),
        (table(row(readings_nc="2,345;2,347")), "SRT_SCHEMA", "a comma in a number"),
        (table(row(n_k_gy_per_c="1,000,000,000")), "SRT_SCHEMA", "a thousands separator"),
        (table(row(n_k_gy_per_c="1'000'000'000")), "SRT_SCHEMA", "a thousands separator"),
        (table(row(n_k_gy_per_c="1\u202f000\u202f000")), "SRT_SCHEMA", "a thousands separator"),
        (table(row(reference_output="1,234.5")), "SRT_SCHEMA", "a thousands separator"),
        (table(row(reference_output="=4.7+0.1")), "SRT_SCHEMA", "a formula"),
        (table(row(kvp="70 kV")), "SRT_SCHEMA", "not a number"),
        (table(row(kvp="nan")), "SRT_SCHEMA", "not a number"),
        (table(row(kvp="inf")), "SRT_SCHEMA", "not a number"),
        (table(row(kvp="\u0667\u0660")), "SRT_SCHEMA", "not a number"),
        (table(row(kvp="1e999")), "SRT_UNIT", "10 to 320 kV"),
        (table(row(readings_nc="2.3;2.4;")), "SRT_SCHEMA", "an empty reading"),
        (table(EXAMPLE).replace("F2", "F2,", 1), "SRT_SCHEMA", "32 cells, 31 expected"),
        (table(EXAMPLE).replace(",5,\r\n", ",5\r\n"), "SRT_SCHEMA", "30 cells, 31 expected"),
        (table(EXAMPLE).replace(",F2,", ',"F"2,'), "SRT_TEXT", "RFC 4180"),
        (table(EXAMPLE).replace(",F2,", ',"F2,'), "SRT_TEXT", "RFC 4180"),
        (table(EXAMPLE).encode().replace(b"AB", b"\xe4B"), "SRT_TEXT", "not UTF-8"),
        (table(EXAMPLE).encode() + b"\0", "SRT_TEXT", "NUL"),
        (table(), "SRT_SCHEMA", "lacks record_id"),
        (table(EXAMPLE).rpartition("2026-02-03-D1")[0], "SRT_READINGS", "no row"),
        (b"#schema=qa_srt_output/1.0" + b" " * MOST_BYTES, "SRT_SIZE", "at most 5242880"),
        ("#schema=qa_srt_output/1.0\n" + "kvp," * 100 + "kvp\n", "SRT_SIZE", "101 columns"),
    ],
)
def test_what_is_no_such_table_is_refused(
    tmp_path: Path, text: str | bytes, code: str, words: str
) -> None:
    why = refusal(tmp_path, text)
    assert (why.code, words in str(why)) == (code, True), str(why)


def test_a_quote_that_is_never_closed_may_still_come(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path, table(EXAMPLE)[:-2] + '"open'), TruncatedError)


def test_ten_thousand_rows_are_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert srt_output_csv.MOST_ROWS == 10_000
    monkeypatch.setattr(srt_output_csv, "MOST_ROWS", 5)
    rows = [row(k) for k in range(6)]
    assert len(of(tmp_path, table(*rows[1:])).rows) == 5
    why = refusal(tmp_path, table(*rows))
    assert (why.code, str(why)) == ("SRT_SIZE", "more than 5 rows; write several files")


CONTENT = table(row(1), row(2, kvp="50", comment='a, "b"\nc'))
CELLS = st.one_of(
    st.text(max_size=20),
    st.floats().map(repr),
    st.sampled_from(["", '"', ";", ",", "=1", "1e309", "\r", "\0", "-0", "2;;3", "1" * 4000]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    column=st.sampled_from(sorted(EXAMPLE)),
    cell=CELLS,
    end=st.integers(0, len(CONTENT)),
    place=st.integers(0, len(CONTENT)),
    byte=st.integers(0, 255),
)
def test_spoiled_tables_give_a_check_or_a_read_error(
    column: str, cell: str, end: int, place: int, byte: int
) -> None:
    spoiled = CONTENT.encode()
    for text in (
        table(row(**{column: cell})).encode("utf-8", "surrogatepass"),
        table(row()).replace(column, cell, 1).encode("utf-8", "surrogatepass"),
        spoiled[:end],
        spoiled[:place] + bytes([byte]) + spoiled[place + 1 :],
    ):
        with tempfile.TemporaryDirectory() as folder:
            recognize(text[:4096])
            try:
                assert of(Path(folder), text).rows
            except ReadError as why:
                assert why.code.startswith("SRT_")
