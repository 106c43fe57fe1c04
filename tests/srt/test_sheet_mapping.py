"""Mappings of a clinic's own table: what is refused before any file comes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from analyzers.output_columns import COLUMNS
from analyzers.sheet_mapping import SheetMapping
from analyzers.sheet_units import UNITS
from tests.srt.small_sheets import MAPPING, mapping


def refused(*changes: tuple[str, str]) -> str:
    with pytest.raises(ValidationError) as why:
        mapping(*changes)
    (error,) = why.value.errors()
    return str(error["msg"])


def test_the_whole_mapping_is_accepted() -> None:
    assert isinstance(mapping(), SheetMapping)
    assert SheetMapping.model_validate_json(mapping().model_dump_json()) == mapping()


@pytest.mark.parametrize(
    ("old", "header"),
    [
        (', unit = "degF"', "Temp (F)"),
        (', unit = "mmHg"', "P (mmHg)"),
        (', unit = "min"', "Timer (min)"),
        (', unit = "cm"', "SSD (cm)"),
    ],
)
def test_a_column_of_several_units_without_its_own_is_refused_by_name(
    old: str, header: str
) -> None:
    assert f"column {header!r}: " in refused((old, ""))
    assert "several units" in refused((old, ""))
    assert 'still "?"' in refused((old, ', unit = "?"'))
    said = refused((old, ', unit = "furlong"'))
    assert "column" in said and "'furlong' is no unit" in said


def test_the_readings_have_a_unit_as_well() -> None:
    assert "readings_unit: readings_nc may be in several" in refused(('readings_unit = "nC"', ""))


def test_every_quantity_that_people_write_in_several_units_needs_one() -> None:
    several = {"kPa", "°C", "s", "cm", "mm", "nC", "Gy/C", "Gy/min", "%"}
    assert {name for name, column in COLUMNS.items() if column.unit in several} == set(UNITS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"By" = "operator"', '"By" = { to = "operator", unit = "s" }'), "in one unit alone"),
        (('"By" = "operator"', '"By" = "operatr"'), "'operatr' is no column of the schema"),
        (('"By" = "operator"', ""), "nothing gives operator"),
        (('"By" = "operator"', '"By" = "comment"'), "comment comes from more than one"),
        (('"By" = "operator"', '"By" = "datetime"'), "datetime is mapped by when"),
        (('"By" = "operator"', '"Rdg1" = "operator"'), "'Rdg1' is a reading and something else"),
        (('"By" = "operator"', '"?" = "operator"'), 'still called "?"'),
        (('"Daily" = "daily"', '"Daily" = "dayly"'), "column 'Check', check_type: one of warmup"),
        (('"E1" = 50', '"E1" = "50"'), "column 'Beam': kvp is a number"),
        (('"E1" = 50', '"E1" = 5000'), "column 'Beam', kvp: 5000 found, 10 to 320 kV expected"),
        (('"E1" = 50', '"e2 " = 50'), "stands twice in values"),
        (('mode = "timer"', 'mode = "?"'), 'constants: mode is still "?"'),
        (("t_ref_c = 20.0", 't_ref_c = "?"'), 'constants: t_ref_c is still "?"'),
        (("t_ref_c = 20.0", "t_ref_c = 21.0"), "t_ref_c: 20 or 22 °C expected"),
        (("t_ref_c = 20.0", ""), "nothing gives t_ref_c"),
        (('chamber_sn = "0123"', "chamber_sn = 123"), "chamber_sn is a text"),
        (("p_ion = 1.0", "p_ion = true"), "a number or a text, not true or false"),
        (("p_ion = 1.0", "hvl_mm_al = 1.0"), "hvl_mm_al comes from constants_for and from"),
        (('time = "Time"', ""), "a date goes with time"),
        (('time = "Time"', 'time_of_day = "7:30"'), 'written like "07:30"'),
        (('time = "Time"', 'time = "Time"\ntime_format = "%Q"'), "'%Q' is no form"),
        (('date = "Date"', ""), "give date and time, or datetime"),
        (("header_row = 3", "header_row = 0"), "greater than or equal to 1"),
        (("header_row = 3", "header = 3"), "Extra inputs"),
        (("header_row = 3", "header_row = 3\nair_kerma_gy_per_r = 0.876"), "less than or equal"),
        (
            ("[columns]", '[columns]\n"R" = { to = "bsf", values = { "a" = 1.1 }, unit = "x" }'),
            "leave unit out",
        ),
    ],
)
def test_what_is_refused(change: tuple[str, str], said: str) -> None:
    assert said in refused(change)


def test_roentgen_only_by_a_stated_rule() -> None:
    in_r = (
        ("n_k_gy_per_c = 1.0e9\n", ""),
        ("[columns]", '[columns]\n"Nx" = { to = "n_k_gy_per_c", unit = "R/C" }'),
    )
    assert "state by which rule" in refused(*in_r)
    assert mapping(*in_r, ("header_row = 3", "header_row = 3\nair_kerma_gy_per_r = 0.00876"))


def test_the_mapping_in_the_document_is_one() -> None:
    document = Path(__file__).parents[2] / "docs" / "how-to" / "srt-spreadsheet.md"
    (block,) = (
        text
        for text in re.findall(r"^```toml\n(.*?)^```$", document.read_text("utf-8"), re.M | re.S)
        if "header_row" in text
    )
    assert SheetMapping.model_validate(tomllib.loads(block)).sheet == "Daily"


def test_a_table_as_text_says_its_separator() -> None:
    told = mapping(text=MAPPING + '\n[csv]\nseparator = ";"\n')
    assert told.csv is not None and told.csv.encoding == "utf-8"
    with pytest.raises(ValidationError):
        mapping(text=MAPPING + '\n[csv]\nencoding = "utf-8"\n')
