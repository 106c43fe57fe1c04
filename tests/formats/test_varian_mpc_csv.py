"""Machine performance checks: what the table and its folder say, and what is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers import catalogue
from analyzers.core import NamedFile, ReadError, TruncatedError
from analyzers.formats.varian_mpc_csv import FORMAT, MOST_BYTES, occasion, read, recognize
from analyzers.machine_checks import CheckItem, Evaluation, MachineCheck

HEADER = "Name [Unit], Value, Threshold, Evaluation Result\r\n"
OUTPUT = "BeamGroup/BeamOutputChange [%], -0.17, 2, Pass\r\n"
FOLDER = "NDS-WKS-SN4711-2025-11-03-06-41-09-0002-BeamCheckTemplate10xFFF"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / FOLDER
    folder.mkdir()
    return folder / "Results.csv"


def of(table: Path, text: str | bytes) -> MachineCheck:
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(table)


def code_of(table: Path, text: str | bytes) -> str:
    with pytest.raises(ReadError) as caught:
        of(table, text)
    assert str(table) not in str(caught.value)
    return caught.value.code


def test_a_row_is_an_item(table: Path) -> None:
    check = of(table, HEADER + OUTPUT)
    assert check.items == (
        CheckItem("BeamGroup/BeamOutputChange", "%", -0.17, 2.0, Evaluation.PASSED, "Pass"),
    )
    assert (check.items[0].group, check.items[0].own_name) == ("BeamGroup", "BeamOutputChange")
    assert check.warnings == ()


def test_the_folder_says_machine_time_kind_and_energy(table: Path) -> None:
    check = of(table, HEADER + OUTPUT)
    assert check.machine_serial == "4711"
    assert check.performed_at == datetime(2025, 11, 3, 6, 41, 9)  # noqa: DTZ001
    assert (check.template, check.energy) == ("BeamCheckTemplate10xFFF", "10xFFF")


@pytest.mark.parametrize(
    ("template", "energy"),
    [
        ("BeamCheckTemplate6x", "6x"),
        ("BeamCheckTemplate18x", "18x"),
        ("BeamCheckTemplate6xFFF", "6xFFF"),
        ("BeamCheckTemplate9e", "9e"),
        ("BeamCheckTemplate6eHDTSE", "6eHDTSE"),
        ("GeometryCheckTemplate6xMVkV", "6x"),
        ("GeometryCheckTemplate6xMVkVEnhancedCouch", "6x"),
        ("EnhancedMLCCheckTemplate6x", "6x"),
        ("SomethingElse", None),
    ],
)
def test_the_energy_stands_in_the_template(
    tmp_path: Path, template: str, energy: str | None
) -> None:
    path = tmp_path / "Results.csv"
    path.write_text(HEADER + OUTPUT)
    name = FOLDER.replace("BeamCheckTemplate10xFFF", template)
    assert FORMAT.read(NamedFile(path, "Results.csv", name), ()).energy == energy


@pytest.mark.parametrize("folder", ["Monday", "", None, FOLDER + "/", FOLDER[4:], FOLDER[:-24]])
def test_another_folder_says_nothing_and_the_check_says_so(
    tmp_path: Path, folder: str | None
) -> None:
    path = tmp_path / "Results.csv"
    path.write_text(HEADER + OUTPUT)
    check = FORMAT.read(NamedFile(path, "Results.csv", folder), ())
    assert (check.machine_serial, check.performed_at, check.template) == (None, None, None)
    assert len(check.warnings) == 1 and "none of them is known" in check.warnings[0]
    assert occasion(folder or "") is None


def test_a_time_that_does_not_exist_is_none(tmp_path: Path) -> None:
    path = tmp_path / "Results.csv"
    path.write_text(HEADER + OUTPUT)
    folder = FOLDER.replace("2025-11-03", "2025-02-30")
    check = FORMAT.read(NamedFile(path, "Results.csv", folder), ())
    assert check.performed_at is None and check.machine_serial == "4711"
    assert "does not exist" in check.warnings[0]


def test_the_folder_tells_checks_of_equal_tables_apart() -> None:
    other = FOLDER.replace("06-41-09", "06-52-30")
    assert occasion(FOLDER) == FOLDER
    assert occasion(other) not in (None, occasion(FOLDER))


def test_semicolons_and_decimal_commas(table: Path) -> None:
    text = HEADER.replace(",", ";") + "BeamGroup/BeamOutputChange [%]; -0,17; 2,0; Pass\r\n"
    assert of(table, text).items == of(table, HEADER + OUTPUT).items


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_the_degree_sign_in_either_encoding(table: Path, encoding: str) -> None:
    text = HEADER + "GantryGroup/GantryAbsolute [°], 0.1, 0.3, Pass\r\n"
    assert recognize(text.encode(encoding))
    (item,) = of(table, text.encode(encoding)).items
    assert (item.name, item.unit, item.value) == ("GantryGroup/GantryAbsolute", "deg", 0.1)


def test_centimeters_become_millimeters(table: Path) -> None:
    (item,) = of(table, HEADER + "A/B [cm], 0.02, 0.05, Pass\r\n").items
    assert (item.unit, item.value, item.threshold) == ("mm", 0.2, 0.5)


def test_spaces_quotes_and_line_ends_do_not_matter(table: Path) -> None:
    spaced = '"Name [Unit]" ,Value,  Threshold ,Evaluation  Result\n'
    row = ' "BeamGroup/BeamOutputChange  [ % ]",-0.17,2 , Pass '
    assert of(table, f"{spaced}\n{row}").items == of(table, HEADER + OUTPUT).items


@pytest.mark.parametrize("value", ["", "N.A.", "n/a", "NaN", "Not Available", "-"])
def test_a_value_may_be_missing(table: Path, value: str) -> None:
    (item,) = of(table, f"{HEADER}A/B [mm], {value}, 0.5, Pass\r\n").items
    assert item.value is None and not item.is_beyond and item.share is None


def test_a_threshold_may_be_missing(table: Path) -> None:
    (item,) = of(table, f"{HEADER}A/B [mm], 9, , Pass\r\n").items
    assert item.threshold is None and not item.is_beyond and item.share is None


def test_words_are_allowed_where_there_is_no_unit(table: Path) -> None:
    (item,) = of(table, f"{HEADER}A/State, in place, , Pass\r\n").items
    assert (item.unit, item.value) == ("", None)


@pytest.mark.parametrize(
    ("said", "evaluation"),
    [
        ("Pass", Evaluation.PASSED),
        ("PASS", Evaluation.PASSED),
        ("Fail", Evaluation.FAILED),
        ("Warning", Evaluation.UNKNOWN),
        ("Not Available", Evaluation.UNKNOWN),
        ("Passed", Evaluation.UNKNOWN),
        ("Pas", Evaluation.UNKNOWN),
        ("unknown", Evaluation.UNKNOWN),
        ("", Evaluation.UNKNOWN),
    ],
)
def test_only_pass_is_a_pass(table: Path, said: str, evaluation: Evaluation) -> None:
    (item,) = of(table, f"{HEADER}A/B [mm], 0.1, 0.5, {said}\r\n").items
    assert (item.evaluation, item.said) == (evaluation, said)


@pytest.mark.parametrize(
    ("value", "threshold", "beyond"),
    [(0.5, 0.5, False), (-0.5, 0.5, False), (0.51, 0.5, True), (-0.51, 0.5, True), (0.1, 0, True)],
)
def test_beyond_the_threshold_by_magnitude(
    table: Path, value: float, threshold: float, beyond: bool
) -> None:
    (item,) = of(table, f"{HEADER}A/B [mm], {value}, {threshold}, Pass\r\n").items
    assert item.is_beyond is beyond


def test_an_aborted_check_has_no_items(table: Path) -> None:
    assert of(table, HEADER).items == ()
    assert of(table, HEADER.strip()).items == ()


def test_halcyon_is_told_by_its_group(table: Path) -> None:
    assert of(table, HEADER + OUTPUT).machine_class is None
    of_halcyon = OUTPUT.replace("BeamGroup", "BeamOutputGroup")
    assert of(table, HEADER + of_halcyon).machine_class == "halcyon"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "MPC_HEADER"),
        ("Name, Value, Threshold, Evaluation Result\r\n", "MPC_HEADER"),
        ("Name [Unit], Value, Threshold\r\n", "MPC_HEADER"),
        (HEADER + "A/B [mm], 0.1, 0.5\r\n", "MPC_ROW"),
        (HEADER + "A/B [mm], 0.1, 0.5, Pass, x\r\n", "MPC_ROW"),
        (HEADER + 'A/B [mm], "0.1, 0.5, Pass\r\n', "MPC_ROW"),
        (HEADER + "A/B [mm], 0.1, 0.5", "MPC_SHORT"),
        (HEADER + OUTPUT + OUTPUT, "MPC_DUPLICATE"),
        (HEADER + ", 0.1, 0.5, Pass\r\n", "MPC_NAME"),
        (HEADER + "A]B [mm], 0.1, 0.5, Pass\r\n", "MPC_NAME"),
        (HEADER + "A\x1bB [mm], 0.1, 0.5, Pass\r\n", "MPC_NAME"),
        (HEADER + "A" * 121 + " [mm], 0.1, 0.5, Pass\r\n", "MPC_NAME"),
        (HEADER + "A/B [mm], wide, 0.5, Pass\r\n", "MPC_VALUE"),
        (HEADER + "A/B [mm], 0x10, 0.5, Pass\r\n", "MPC_VALUE"),
        (HEADER + "A/B [mm], inf, 0.5, Pass\r\n", "MPC_VALUE"),
        (HEADER + "A/B [mm], 1e9, 0.5, Pass\r\n", "MPC_RANGE"),
        (HEADER + "A/B [mm], 0.1, 1e300, Pass\r\n", "MPC_RANGE"),
        (HEADER + "A/B [mm], 0.1, 1e999, Pass\r\n", "MPC_RANGE"),
        (HEADER + "A/B [mm], 0.1, -0.5, Pass\r\n", "MPC_THRESHOLD"),
        (HEADER + "A/B [mm], 0.1, low, Pass\r\n", "MPC_THRESHOLD"),
        (HEADER + "A/B [mm], 0.1, 0.5, " + "P" * 41 + "\r\n", "MPC_RESULT"),
        (HEADER + "\0", "MPC_TEXT"),
        (HEADER.encode() + b"A [\x81], 1, 2, Pass\r\n", "MPC_TEXT"),
        (HEADER + "".join(f"A{k} [mm], 0, 1, Pass\n" for k in range(5001)), "MPC_ROWS"),
        (HEADER + " " * MOST_BYTES, "MPC_SIZE"),
    ],
)
def test_what_is_refused(table: Path, text: str | bytes, code: str) -> None:
    assert code_of(table, text) == code


def test_a_table_cut_within_a_row_may_still_be_growing(table: Path) -> None:
    with pytest.raises(TruncatedError):
        of(table, HEADER + OUTPUT + "BeamGroup/BeamUnif")


def test_the_catalogue_knows_it_by_its_bytes(table: Path) -> None:
    table.with_name("1").write_text(HEADER)
    found = catalogue.load().recognize(table.with_name("1"), "1")
    assert found.format.name == "varian-mpc-csv"
    assert not recognize(b"Name, Value\r\n")
    assert not recognize(b"")


@given(st.binary(max_size=400), st.integers(0, len(HEADER + OUTPUT)))
def test_only_read_errors_come_out(tmp_path_factory: pytest.TempPathFactory, junk, at) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    good = (HEADER + OUTPUT).encode()
    for content in (HEADER.encode() + junk, good[:at] + junk + good[at:], good[:at]):
        path.write_bytes(content)
        try:
            check = read(path)
        except ReadError:
            continue
        assert all(i.value is None or abs(i.value) <= 1e7 for i in check.items)
