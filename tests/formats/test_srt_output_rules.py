"""Rules that a table and a JSON file of output checks have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from analyzers import catalogue
from analyzers.core import Bundle, NamedFile, ReadError
from analyzers.formats import srt_output_csv, srt_output_json
from analyzers.formats.srt_output_json import sessions_of
from analyzers.output_checks import CheckType, OutputCheck, escaped
from analyzers.output_columns import COLUMNS, PRIVATE, REQUIRED
from analyzers.output_text import as_csv, as_json
from tests.output_tables import EXAMPLE, document, row, table

Rows = dict[str, str]
Read = Callable[..., tuple[OutputCheck, ...]]


@pytest.fixture(params=["csv", "json"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Read:
    """The sessions of a file with these rows, in either format."""

    def read(*rows: Rows) -> tuple[OutputCheck, ...]:
        path = tmp_path / f"file.{request.param}"
        if request.param == "csv":
            path.write_text(table(*rows), "utf-8", newline="")
            return srt_output_csv.read_sessions(path)
        path.write_text(document(*rows), "utf-8")
        return srt_output_json.read_sessions(path)

    return read


def refusal(sessions: Read, *rows: Rows) -> ReadError:
    with pytest.raises(ReadError) as caught:
        sessions(*rows)
    said = str(caught.value)
    assert "file." not in said
    assert not any(each[name] in said.split() for each in rows for name in PRIVATE if each[name])
    return caught.value


def test_a_row_is_read_with_its_types(sessions: Read) -> None:
    (session,) = sessions(EXAMPLE)
    (found,) = session.rows
    assert found.performed_at == datetime(2026, 2, 3, 7, 31, tzinfo=timezone(timedelta(hours=1)))
    assert (found.check_type, found.kvp, found.n_k_gy_per_c) == (CheckType.DAILY, 70.0, 1e9)
    assert found.readings_nc == (2.345, 2.347, 2.344)
    assert (found.chamber_sn, found.comment, found.timer_end_effect_s) == ("0123", None, None)
    assert (session.machine_serial, session.energy) == ("SRT1", "70 kV")
    assert (session.series, session.warnings) == ("daily 70 kV", ())


def test_private_cells_are_not_in_what_is_printed(sessions: Read) -> None:
    (session,) = sessions(row(operator="NIGHTSHIFT", comment="called him", chamber_sn="SN99"))
    assert not any(word in repr(session) for word in ("NIGHTSHIFT", "called", "SN99", "4567"))


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"pressure_kpa": "760"}, "SRT_UNIT", "760 in pressure_kpa looks like mmHg: 760 mmHg are"),
        ({"pressure_kpa": "760"}, "SRT_UNIT", "are 101.325 kPa"),
        ({"pressure_kpa": "996.2"}, "SRT_UNIT", "996.2 hPa are 99.62 kPa"),
        ({"pressure_kpa": "29.92"}, "SRT_UNIT", "29.92 inHg are 101.321 kPa"),
        ({"pressure_kpa": "59.9"}, "SRT_UNIT", "60 to 110 kPa"),
        ({"temperature_c": "70.5"}, "SRT_UNIT", "70.5 °F are 21.3889 °C"),
        ({"temperature_c": "294.5"}, "SRT_UNIT", "294.5 K are 21.35 °C"),
        ({"temperature_c": "9.99"}, "SRT_UNIT", "10 to 40 °C"),
        ({"kvp": "70000"}, "SRT_UNIT", "70000 V are 70 kV"),
        ({"kvp": "9"}, "SRT_UNIT", "10 to 320 kV"),
        ({"tube_current_ma": "0"}, "SRT_UNIT", "tube_current_ma"),
        ({"hvl_mm_al": "21"}, "SRT_UNIT", "hvl_mm_al"),
        ({"hvl_mm_cu": "6"}, "SRT_UNIT", "hvl_mm_cu"),
        ({"applicator_diameter_cm": "31"}, "SRT_UNIT", "applicator_diameter_cm"),
        ({"ssd_cm": "150"}, "SRT_UNIT", "2 to 100 cm"),
        ({"timer_set_s": "0.5"}, "SRT_UNIT", "0.6 to 3600 s"),
        ({"n_k_gy_per_c": "1"}, "SRT_UNIT", "1 Gy/nC are 1e+09 Gy/C"),
        ({"p_ion": "1.06"}, "SRT_UNIT", "0.95 to 1.05"),
        ({"t_ref_c": "21"}, "SRT_UNIT", "20 or 22"),
        ({"p_ref_kpa": "1013.25"}, "SRT_UNIT", "1013.25 hPa are 101.325 kPa"),
        ({"timer_end_effect_s": "6"}, "SRT_UNIT", "-5 to 5 s"),
        ({"bsf": "1.9", "mu_en_ratio": "1.02"}, "SRT_UNIT", "bsf"),
        ({"reference_output": "0"}, "SRT_UNIT", "reference_output"),
        ({"tolerance_pct": "5", "action_pct": "3"}, "SRT_UNIT", "tighter than tolerance_pct"),
        ({"exposures": "1.5"}, "SRT_UNIT", "a whole number"),
        ({"bsf": "1.1"}, "SRT_SCHEMA", "mu_en_ratio: empty while bsf is given"),
        ({"mu_en_ratio": "1.02"}, "SRT_SCHEMA", "bsf: empty while mu_en_ratio is given"),
        ({"unit_model": "SRT-200"}, "SRT_SCHEMA", "one of SRT-100, SRT-100+"),
        ({"check_type": "Daily"}, "SRT_SCHEMA", "check_type: one of warmup, daily"),
        ({"mode": "manual"}, "SRT_SCHEMA", "one of timer, mu"),
        ({"record_id": "r" * 65}, "SRT_SCHEMA", "65 characters, at most 64"),
        ({"comment": "c" * 501}, "SRT_SCHEMA", "501 characters, at most 500"),
        ({"filter_id": "F\x07"}, "SRT_SCHEMA", "cannot be printed"),
        ({"operator": ""}, "SRT_SCHEMA", "operator: empty"),
        ({"filter_id": ""}, "SRT_SCHEMA", "filter_id: empty"),
        ({"t_ref_c": ""}, "SRT_SCHEMA", "t_ref_c: empty"),
        ({"applicator_diameter_cm": ""}, "SRT_SCHEMA", "diameter of a round applicator"),
        ({"applicator_x_cm": "3"}, "SRT_SCHEMA", "given together"),
        (
            {"applicator_diameter_cm": "", "applicator_x_cm": "3"},
            "SRT_SCHEMA",
            "applicator_y_cm: empty",
        ),
        ({"readings_nc": ""}, "SRT_READINGS", "readings_nc: empty"),
        ({"readings_nc": "2.3;0"}, "SRT_READINGS", "reading 2"),
        ({"readings_nc": "2.3;-2.3"}, "SRT_READINGS", "reading 2"),
        ({"readings_nc": ";".join(["2.3"] * 21)}, "SRT_READINGS", "21 readings, at most 20"),
        ({"readings_nc": "2.0;2.41"}, "SRT_READINGS", "1.205 times the smallest"),
        ({"check_type": "absolute", "n_k_gy_per_c": ""}, "SRT_CAL", "n_k_gy_per_c: empty"),
        ({"timer_set_s": "2", "timer_end_effect_s": "2"}, "SRT_TIMER", "not longer than"),
        ({"timer_set_s": "2", "timer_end_effect_s": "-2.5"}, "SRT_TIMER", "not longer than"),
        ({"datetime": "2026-02-03T07:31:00"}, "SRT_TIME", "with the offset from UTC"),
        ({"datetime": "03.02.2026 07:31"}, "SRT_TIME", "with the offset from UTC"),
        ({"datetime": "2026-02-30T07:31:00+01:00"}, "SRT_TIME", "does not exist"),
        ({"datetime": "2026-02-03T07:31:00+15:00"}, "SRT_TIME", "no place has"),
        ({"datetime": "1999-12-31T23:59:59Z"}, "SRT_TIME", "the year 1999"),
        ({"datetime": "9999-12-31T23:59:59-14:00"}, "SRT_TIME", "the year 9999"),
    ],
)
def test_what_breaks_a_rule_is_refused(
    sessions: Read, changed: Rows, code: str, words: str
) -> None:
    why = refusal(sessions, row(1), row(2, **changed))
    assert (why.code, words in str(why)) == (code, True), str(why)
    assert str(why).startswith(("row 4, ", "record 2, "))


@pytest.mark.parametrize(
    "changed",
    [
        {"pressure_kpa": "60"},
        {"temperature_c": "40"},
        {"t_ref_c": "22"},
        {"readings_nc": "2.0;2.4"},
        {"tolerance_pct": "3", "action_pct": "3"},
        {"applicator_diameter_cm": "", "applicator_x_cm": "3", "applicator_y_cm": "4"},
        {"n_k_gy_per_c": "", "reference_output": ""},
        {"check_type": "absolute"},
        {"bsf": "1.1", "mu_en_ratio": "1.02"},
        {"datetime": "2026-02-03T07:31:00.5Z"},
        {"datetime": "2026-02-03T07:31+0100"},
        {"filter_id": "none"},
        {"comment": 'two lines,\nwith a comma and a "quote"'},
    ],
)
def test_what_keeps_the_rules_is_accepted(sessions: Read, changed: Rows) -> None:
    assert len(sessions(row(**changed))[0].rows) == 1


def test_rows_are_told_apart(sessions: Read) -> None:
    why = refusal(sessions, row(1), row(2, record_id="R1"))
    assert (why.code, "record_id: the same as in" in str(why)) == ("SRT_TIME", True)
    why = refusal(sessions, row(1), row(1, record_id="R2"))
    assert (why.code, "datetime: the same set-up" in str(why)) == ("SRT_TIME", True)
    assert len(sessions(row(1), row(1, record_id="R2", kvp="50"))[0].rows) == 2


def test_a_spread_and_an_unusual_room_are_remarked(sessions: Read) -> None:
    (session,) = sessions(row(readings_nc="2.0;2.101", temperature_c="36", pressure_kpa="69"))
    assert [text.partition(", ")[2].partition(":")[0] for text in session.warnings] == [
        "readings_nc",
        "pressure_kpa",
        "temperature_c",
    ]
    assert sessions(row(readings_nc="2.0;2.1"))[0].warnings == ()


def test_a_serial_number_that_slipped_into_a_number_is_not_repeated(sessions: Read) -> None:
    why = refusal(sessions, row(electrometer_sn="4567", ssd_cm="4567"))
    assert str(why).endswith("ssd_cm: 2 to 100 cm expected")
    assert "150 found" in str(refusal(sessions, row(electrometer_sn="4567", ssd_cm="150")))


def test_sessions_are_split_by_unit_and_by_four_hours(sessions: Read) -> None:
    found = sessions(
        row(1, datetime="2026-02-03T12:00:01+01:00"),
        row(2, datetime="2026-02-03T08:00:00+01:00", kvp="50"),
        row(3, datetime="2026-02-03T04:00:00+01:00", check_type="warmup"),
        row(4, datetime="2026-02-03T08:00:00+01:00", unit_id="SRT2"),
    )
    told = [[each.record_id for each in session.rows] for session in found]
    assert told == [["R3", "R2"], ["R4"], ["R1"]]
    assert found[0].energy is None
    assert found[0].series == "daily+warmup 50+70 kV"


@pytest.mark.parametrize("name", ["srt-output-csv", "srt-output-json"])
def test_a_file_of_several_sessions_is_a_bundle_of_them(name: str, tmp_path: Path) -> None:
    rows = (row(1), row(2, unit_id="SRT2"), row(3, datetime="2026-02-04T07:31:00+01:00"))
    path = tmp_path / "file"
    path.write_text(table(*rows) if name.endswith("csv") else document(*rows), "utf-8")
    bundle = catalogue.load().read(NamedFile.at(path))
    assert isinstance(bundle, Bundle)
    assert [part.name.partition(" ")[2] for part in bundle.parts] == ["SRT1", "SRT2", "SRT1"]
    assert len({part.name for part in bundle.parts}) == 3
    alone = [session for part in bundle.parts for session in sessions_of(part.content)]
    assert [session.rows[0].record_id for session in alone] == ["R1", "R2", "R3"]
    reader = srt_output_csv.read if name.endswith("csv") else srt_output_json.read
    with pytest.raises(ReadError, match="3 sessions of 2 units") as caught:
        reader(path)
    assert caught.value.code == "SRT_SESSIONS"


def test_one_content_is_one_text_whatever_it_came_from(tmp_path: Path) -> None:
    rows = [row(1), row(2, kvp="50", comment='ö, "x"'), row(3, exposures="4")]
    turned = [dict(reversed(each.items())) for each in reversed(rows)]
    turned[0]["n_k_gy_per_c"] = "1000000000"
    turned[0]["datetime"] = turned[0]["datetime"].replace("+01:00", "+0100")
    found = set()
    for number, text in enumerate((table(*rows), table(*turned, comment=False))):
        path = tmp_path / f"{number}.csv"
        path.write_text(text, "utf-8-sig" if number else "utf-8", newline="")
        found.add(as_json(srt_output_csv.read(path).rows))
    for number, text in enumerate((document(*rows), document(*turned))):
        path = tmp_path / f"{number}.json"
        path.write_text(text, "utf-8")
        found.add(as_json(srt_output_json.read(path).rows))
    (content,) = found
    (again,) = srt_output_json.sessions_of(content)
    assert as_json(again.rows) == content


def test_a_factor_that_nobody_stated_stays_unstated() -> None:
    (session,) = srt_output_json.sessions_of(document(row(p_ion="")).encode())
    assert b"p_ion" not in as_json(session.rows)
    assert b'"p_pol": 1.0' in as_json(session.rows)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-x", "@SUM(A1)"])
def test_what_looks_like_a_formula_is_text_and_leaves_as_text(
    sessions: Read, tmp_path: Path, text: str
) -> None:
    (session,) = sessions(row(unit_id=text, comment=text, filter_id=text))
    assert session.rows[0].unit_id == session.rows[0].comment == text
    assert session.machine_serial == escaped(text) == f"'{text}"
    written = as_csv(session.rows)
    (tmp_path / "again.csv").write_bytes(written)
    again = srt_output_csv.read(tmp_path / "again.csv").rows[0]
    assert (again.unit_id, again.comment, again.filter_id) == (f"'{text}",) * 3
    assert as_csv([again]) == written


def test_the_page_on_the_schema_lists_every_column_and_no_other() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "srt-output.md"
    columns = page.read_text("utf-8").partition("## Columns")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (\w*)", columns, re.MULTILINE)
    assert [name for name, _ in listed] == list(COLUMNS)
    assert {name for name, word in listed if word == "yes"} == set(REQUIRED)
