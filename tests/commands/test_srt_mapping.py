"""A clinic's own table on its way: a draft of its mapping, the site file, and the results."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from analyzers.catalogue import load as load_catalogue
from analyzers.sheet_mapping import SheetMapping
from qa_daemon.__main__ import app
from qa_daemon.app import utc_now
from qa_daemon.failures import exit_code_of
from qa_daemon.site.site import SiteError
from qa_daemon.site.site import load as load_site
from tests.srt.small_sheets import DAY, HEADERS, MAPPING, changed, workbook

RUNNER = CliRunner()
SITE = """
[site]
name = "Clinic"
time_zone = "Europe/Berlin"
state_dir = "state"

[[machine]]
name = "SRT1"
machine_class = "srt"
folders = ["in"]

[[spreadsheet]]
machine = "SRT1"
mapping = "sheet.toml"
"""
DAYS = [changed(Rec=f"r{n}", Date=DAY.replace(day=3 + n)) for n in range(3)]


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "sheet.toml").write_text(MAPPING)
    (tmp_path / "site.toml").write_text(SITE)
    return tmp_path


def analyze(clinic: Path, name: str, *words: str) -> tuple[int, list[dict[str, Any]]]:
    answer = RUNNER.invoke(app, ["analyze", str(clinic / "in" / name), "--json", *words])
    return answer.exit_code, json.loads(answer.stdout)


def draft(path: Path, *words: str) -> str:
    answer = RUNNER.invoke(app, ["srt", "mapping", str(path), *words])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_every_session_of_a_sheet_has_its_result(clinic: Path) -> None:
    (clinic / "in" / "a.xlsx").write_bytes(workbook(*DAYS))
    code, results = analyze(clinic, "a.xlsx", "--config", str(clinic / "site.toml"))
    assert code == 0
    assert [r["part"] for r in results] == [
        f"2026-02-0{3 + n}T07:31:00+01:00 SRT1" for n in range(3)
    ]
    assert [r["machine"] for r in results] == ["SRT1"] * 3
    for result in results:
        (said,) = (a for a in result["analyses"] if a["analyzer"] == "srt_output")
        output = next(m for m in said["measurements"] if m["metric"] == "output")
        assert output["value"] == pytest.approx(4.79373, abs=5e-5)
        assert (result["format"], result["verdict"]) == ("srt-output-json", "PASS")


def test_without_a_mapping_it_is_refused_with_what_to_do(clinic: Path) -> None:
    (clinic / "in" / "a.xlsx").write_bytes(workbook())
    code, (result,) = analyze(clinic, "a.xlsx")
    assert (code, result["error"]["code"]) == (65, "SRT_MAPPING")
    assert "[[spreadsheet]]" in result["error"]["message"]


def test_a_bad_row_leaves_nothing_of_the_sheet(clinic: Path) -> None:
    (clinic / "in" / "a.xlsx").write_bytes(workbook(*DAYS, changed(Rec="x", P=101.3)))
    code, (result,) = analyze(clinic, "a.xlsx", "--config", str(clinic / "site.toml"))
    assert (code, result["verdict"], result["analyses"]) == (65, "INVALID", [])
    assert result["error"]["message"].startswith("sheet 'Daily', row 7, column N (P (mmHg)), ")


def test_the_notes_about_a_sheet_stand_with_its_results(clinic: Path) -> None:
    def hide(sheet: Any) -> None:
        sheet.row_dimensions[4].hidden = True

    (clinic / "in" / "a.xlsx").write_bytes(workbook(touch=hide))
    _, (result,) = analyze(clinic, "a.xlsx", "--config", str(clinic / "site.toml"))
    assert "sheet 'Daily': hidden rows were read as well, 1 of them" in result["warnings"]


def test_a_table_as_text_is_read_only_where_the_site_claims_it(clinic: Path) -> None:
    lines = (
        ";".join(HEADERS),
        "r1;2026-02-03;07:31;Daily;AB;E2;3 cm;15;0.5;2.345;2.347;2.344;70.52;747.2085;",
    )
    forms = 'date_format = "%Y-%m-%d"\ntime_format = "%H:%M"\n'
    told = MAPPING.replace('sheet = "Daily"\nheader_row = 3\n', "")
    told = told.replace("[when]\n", f"[when]\n{forms}") + '\n[csv]\nseparator = ";"\n'
    (clinic / "sheet.toml").write_text(told)
    config = clinic / "site.toml"
    with pytest.raises(SiteError, match=r"spreadsheet\.0\.files: a table as text"):
        load_site(config, load_catalogue().analyzers, utc_now)
    config.write_text(SITE + 'files = "out*.CSV"\n')
    for name in ("output.csv", "other.csv"):
        (clinic / "in" / name).write_text("\n".join(lines))
    code, (result,) = analyze(clinic, "output.csv", "--config", str(config))
    assert (code, result["verdict"], result["format"]) == (0, "PASS", "srt-output-json")
    code, (result,) = analyze(clinic, "other.csv", "--config", str(config))
    assert (code, result["error"]["code"]) == (65, "UNKNOWN_FORMAT")


def test_a_unit_that_is_not_stated_stops_the_start(clinic: Path) -> None:
    (clinic / "sheet.toml").write_text(MAPPING.replace(', unit = "mmHg"', ""))
    answer = RUNNER.invoke(app, ["check-config", "--config", str(clinic / "site.toml")])
    assert answer.exception is not None
    code, sentence = exit_code_of(answer.exception)
    assert code == 78
    assert sentence is not None and "sheet.toml: column 'P (mmHg)': pressure_kpa may be" in sentence


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('machine = "SRT1"\n', 'machine = "TB1"\n', "no [[machine]] of class srt named 'TB1'"),
        ('"sheet.toml"', '"none.toml"', "none.toml: cannot be read"),
        ('"sheet.toml"', '"site.toml"', "site.toml: readings: Field required"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(clinic: Path, old: str, new: str, said: str) -> None:
    head, entry = SITE.split("[[spreadsheet]]")
    (clinic / "site.toml").write_text(head + "[[spreadsheet]]" + entry.replace(old, new))
    with pytest.raises(SiteError) as why:
        load_site(clinic / "site.toml", load_catalogue().analyzers, utc_now)
    assert said in str(why.value)


def test_two_entries_for_one_sheet_are_refused(clinic: Path) -> None:
    second = '[[spreadsheet]]\nmachine = "SRT1"\nmapping = "sheet.toml"\n'
    (clinic / "site.toml").write_text(SITE + second)
    (clinic / "in" / "a.xlsx").write_bytes(workbook())
    _, (result,) = analyze(clinic, "a.xlsx", "--config", str(clinic / "site.toml"))
    assert "two [[spreadsheet]] entries" in result["error"]["message"]


def test_a_changed_mapping_changes_the_settings_fingerprint(clinic: Path) -> None:
    def fingerprint() -> str:
        return load_site(clinic / "site.toml", load_catalogue().analyzers, utc_now).fingerprint

    before = fingerprint()
    (clinic / "sheet.toml").write_text(MAPPING.replace('"degF"', '"degC"'))
    assert fingerprint() != before


def test_a_draft_guesses_no_unit_and_no_site_starts_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook())
    text = draft(path, "--sheet", "Daily")
    told = tomllib.loads(text)
    assert (told["sheet"], told["header_row"]) == ("Daily", 3)
    assert told["readings"] == ["Rdg1", "Rdg2", "Rdg3"]
    assert told["when"] == {"date": "Date", "time": "Time"}
    assert told["readings_unit"] == "?"
    for header, column in (
        ("Temp (F)", "temperature_c"),
        ("P (mmHg)", "pressure_kpa"),
        ("SSD (cm)", "ssd_cm"),
        ("Timer (min)", "timer_set_s"),
    ):
        assert told["columns"][header] == {"to": column, "unit": "?"}
    assert told["columns"]["Cone"] == "applicator_id"
    assert '# "Rec": not known' not in text and told["columns"]["Rec"] == "record_id"
    assert '# "Beam": not known' in text
    assert "the header says mmHg" in text
    assert set(told["constants"].values()) == {"?"}
    with pytest.raises(ValidationError, match="still"):
        SheetMapping.model_validate(told)
    filled = text.replace('readings_unit = "?"', 'readings_unit = "nC"')
    with pytest.raises(ValidationError, match="column 'SSD "):
        SheetMapping.model_validate(tomllib.loads(filled))


def test_a_draft_of_a_table_as_text_and_of_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Date;kV;T(C);Baro;Rdg1;M2;SSD\n3.2.26;70;21,4;747;2,3;2,4;15\n")
    told = tomllib.loads(draft(path))
    assert told["csv"] == {"separator": ";", "encoding": "utf-8"}
    assert told["readings"] == ["Rdg1", "M2"]
    assert told["when"] == {"date": "Date", "time_of_day": "?"}
    assert told["columns"]["Baro"] == {"to": "pressure_kpa", "unit": "?"}
    assert told["columns"]["T(C)"] == {"to": "temperature_c", "unit": "?"}
    out = tmp_path / "m.toml"
    assert "fill in every ?" in draft(path, "--out", str(out))
    again = RUNNER.invoke(app, ["srt", "mapping", str(path), "--out", str(out)])
    assert again.exit_code == 2
    path.write_text("a;b\n1;2\n")
    nothing = RUNNER.invoke(app, ["srt", "mapping", str(path)])
    assert (nothing.exit_code, "looks like a header" in nothing.stderr) == (65, True)
