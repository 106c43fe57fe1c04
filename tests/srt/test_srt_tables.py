"""Tables of a kV unit: read whole or refused with the row, signed before they are used."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from analyzers.core import ReadError
from analyzers.output_registry import RegisteredApplicator, RegisteredBeam, RegisteredUnit
from analyzers.srt_own_values import B_W_BY_SSD, compared
from analyzers.srt_table_checks import check_unit
from analyzers.srt_table_files import table_of
from analyzers.srt_tables import KINDS
from qa_daemon.__main__ import app
from qa_daemon.store import srt_tables
from tests.dashboards.visiting import LINE, PEOPLE, Visitor
from tests.ingest.clinic import NOW
from tests.srt.treating import TREATING, as_csv, table, tables, written
from tests.srt.units import clinic_of
from tests.srt.visited import Pages, serving

UNIT = RegisteredUnit(
    names=("SRT1", "77"),
    beams=(RegisteredBeam(70.0, "F2", 1.15),),
    applicators=tuple(RegisteredApplicator(a, 15.0, 3.0) for a in ("A20", "A30", "A50")),
    reference_applicator="A30",
)


def read(told: object) -> Any:
    return table_of((told if isinstance(told, str) else json.dumps(told)).encode())


def changed(kind: str, row: int, **cells: object) -> dict[str, Any]:
    told = tables()[kind]
    told["rows"][row - 1] |= cells
    return told


@pytest.mark.parametrize("kind", list(KINDS))
def test_json_csv_and_any_order_of_the_rows_have_one_hash(kind: str) -> None:
    told = tables()[kind]
    found = read(told)
    assert found.kind == kind and found.valid_from == date(2026, 1, 15)
    turned = told | {"rows": told["rows"][::-1]}
    assert read(as_csv(told)).sha256 == read(turned).sha256 == found.sha256
    assert read(found.canonical) == found
    other = read(told | {"unit_id": "SRT2"})
    assert other.sha256 != found.sha256
    check_unit(found, UNIT)
    with pytest.raises(ReadError, match="another unit's"):
        check_unit(other, UNIT)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (changed("pdd", 1, pdd_percent=99.0), "row 1: the curve starts at 0 mm"),
        (changed("pdd", 1, depth_mm=1.0), "row 1: the curve starts at 1 mm"),
        (changed("pdd", 4, pdd_percent=74.0), "row 4, pdd_percent: 74 % at 10 mm does not fall"),
        (changed("pdd", 2, pdd_percent=-1.0), "row 2, pdd_percent: -1 %, 0.01 to 110 % expected"),
        (changed("pdd", 3, depth_mm=2.0), "row 3: says of the same as row 2"),
        (changed("backscatter", 3, b_w=1.05), "row 3, b_w: 1.05 at 3 cm is less than 1.06"),
        (changed("backscatter", 3, hvl_mm_al=1.2), "every diameter of an SSD needs every HVL"),
        (changed("backscatter", 1, b_w=0.99), "row 1, b_w: 0.99, 1 to 1.7 expected"),
        (changed("mu_en_ratio", 2, ratio=1.05), "row 2, ratio: 1.05 at 1.3 mm Al jumps"),
        (changed("applicator_factor", 2, factor=98.0), "row 2, factor: 98, 0.2 to 5 expected"),
        (changed("applicator_factor", 2, factor="0.98"), "factor: a text in quotes, a number"),
        (changed("applicator_factor", 2, factor=True), "row 2, factor: true or false, a number"),
        (changed("applicator_factor", 2, note="x"), "row 2 has a column that the kind does not"),
        (changed("applicator_factor", 2, kvp=7.0), "row 2, kvp: 7 kV, 10 to 320 kV expected"),
        (changed("applicator_factor", 2, filter_id=""), "row 2, filter_id: a text of 1 to 64"),
        (tables()["pdd"] | {"rows": []}, "0 rows"),
        (tables()["pdd"] | {"kind": "x"}, "kind is none of"),
        (tables()["pdd"] | {"version": "2.0"}, 'version "1.0" expected'),
        (tables()["pdd"] | {"more": "x"}, "and nothing else"),
        (tables()["pdd"] | {"valid_from": "15.1.2026"}, "a day like"),
        (tables()["pdd"] | {"source": " "}, "source: a text of 1 to 300"),
        (as_csv(tables()["pdd"]).replace("78.0", '"78,0"'), "decimals need a point"),
        (as_csv(tables()["pdd"]).replace("78.0", "78,0"), "row 7: 7 cells, 6 expected"),
        (as_csv(tables()["pdd"]).replace("78.0", "=1+1"), "row 7, pdd_percent: no number"),
        (as_csv(tables()["pdd"]).replace("78.0", ""), "row 7, pdd_percent: no number"),
        (as_csv(tables()["pdd"]).replace(",", ";"), "commas are needed"),
        (json.dumps(tables()["pdd"]).replace("78.0", "NaN"), "pdd_percent: NaN is no number"),
        (json.dumps(tables()["pdd"]).replace("78.0", "1e999"), "a number that is too large"),
        (json.dumps(tables()["pdd"])[:-9], "not JSON in line 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(told: object, sentence: str) -> None:
    with pytest.raises(ReadError, match=sentence) as why:
        read(told)
    assert why.value.code == "SRT_TABLE"


def test_a_depth_dose_may_build_up_before_it_falls() -> None:
    told = tables()["pdd"]
    told["rows"][1]["pdd_percent"] = 101.0
    assert read(told)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (changed("applicator_factor", 2, filter_id="F9"), "70 kV with that filter is no beam"),
        (changed("applicator_factor", 2, applicator_id="A99"), "an applicator of 70 kV is none"),
        (changed("applicator_factor", 1, factor=1.01), "the reference applicator has to be there"),
        (changed("pdd", 1, ssd_cm=20.0) | {"rows": tables()["pdd"]["rows"]}, ""),
        (
            table("pdd", [r | {"ssd_cm": 20.0} for r in tables()["pdd"]["rows"]]),
            "the applicator's is 15 cm",
        ),
        (changed("effective_ssd", 1, effective_ssd_cm=20.0), "more than 30 % off"),
    ],
)
def test_a_table_of_what_the_unit_has_not_is_refused(told: object, sentence: str) -> None:
    if not sentence:
        check_unit(read(told), UNIT)
        return
    with pytest.raises(ReadError, match=sentence):
        check_unit(read(told), UNIT)


def test_backscatter_is_shown_beside_our_own_values() -> None:
    """A table of our own values times 1.02 is 2 % off, whatever the point."""
    rows = [
        {"ssd_cm": 20.0, "diameter_cm": d, "hvl_mm_al": 1.15, "b_w": round(1.02 * b_w, 6)}
        for d, (_, b_w, _) in zip((1.0, 2.0, 3.0, 5.0, 10.0), B_W_BY_SSD[20.0], strict=True)
    ]
    found = compared(read(table("backscatter", rows)))
    assert found is not None and (found.rows, found.compared) == (5, 5)
    assert (found.mean_percent, found.largest_percent) == (
        pytest.approx(2.0, abs=1e-3),
        pytest.approx(2.0, abs=1e-3),
    )
    far = compared(read(table("backscatter", [rows[0] | {"b_w": 1.3}])))
    assert far is not None and "look at that row" in far.said
    outside = compared(read(table("backscatter", [rows[0] | {"ssd_cm": 60.0}])))
    assert outside is not None and outside.compared == 0 and "not compared" in outside.said
    assert compared(read(tables()["pdd"])) is None


@pytest.mark.xdist_group("monte_carlo")  # so that its kernel is compiled once
def test_our_own_values_are_those_of_the_computation() -> None:
    """One point computed again, with another seed and fewer histories."""
    from analyzers.numerics.kv_monte_carlo import Field, scattering
    from analyzers.numerics.kv_spectrum import spectrum_of_quality

    again = scattering(spectrum_of_quality(70.0, 1.15), Field(15.0, 1.5), histories=4000, seed=6)
    assert B_W_BY_SSD[15.0][2][1] == pytest.approx(again.b_w, rel=0.008)


@given(st.integers(0, 300), st.binary(max_size=6))
def test_whatever_the_bytes_only_a_read_error(at: int, mutated: bytes) -> None:
    for whole in (json.dumps(tables()["mu_en_ratio"]), as_csv(tables()["mu_en_ratio"])):
        content = bytearray(whole.encode())
        content[at : at + len(mutated)] = mutated
        with contextlib.suppress(ReadError):
            table_of(bytes(content))


def test_a_table_is_used_from_its_day_once_it_is_signed_and_until_it_is_withdrawn(
    tmp_path: Path,
) -> None:
    clinic = clinic_of(tmp_path, TREATING)
    old, new = (
        read(tables()["pdd"]),
        read(changed("pdd", 2, pdd_percent=91.0) | {"valid_from": "2026-02-15"}),
    )
    numbers = [srt_tables.enter(clinic.store, "SRT1", one, "A") for one in (old, new)]

    def used(on: date) -> int | None:
        found = srt_tables.in_use(clinic.store, "SRT1", on).get("pdd")
        return found.id if found else None

    late, early = date(2026, 3, 1), date(2026, 2, 1)
    assert used(late) is None
    with pytest.raises(srt_tables.CannotDecide, match="here already"):
        srt_tables.enter(clinic.store, "SRT1", old, "A")
    for number in numbers:
        srt_tables.sign(clinic.store, "SRT1", number, "P", "checked")
    assert [used(late), used(early), used(date(2026, 1, 14))] == [numbers[1], numbers[0], None]
    assert srt_tables.in_use(clinic.store, "SRT2", late) == {}
    with pytest.raises(srt_tables.CannotDecide, match="no such table"):
        srt_tables.withdraw(clinic.store, "SRT2", numbers[1], "P", "r")
    srt_tables.withdraw(clinic.store, "SRT1", numbers[1], "P", "wrong film")
    assert used(late) == numbers[0]
    with pytest.raises(srt_tables.CannotDecide, match="already"):
        srt_tables.sign(clinic.store, "SRT1", numbers[1], "P", "again")
    clinic.assert_sound()
    clinic.close()


def test_the_command_imports_and_the_page_signs(tmp_path: Path) -> None:
    for file in ("a.password", "b.password"):
        (tmp_path / file).write_text(LINE + "\n")
    clinic = clinic_of(tmp_path, TREATING + PEOPLE)
    config = str(tmp_path / "site.toml")

    def imported(name: str, told: dict[str, Any], unit: str = "SRT1") -> Any:
        path = written(tmp_path / name, told)
        return CliRunner().invoke(
            app, ["srt", "table", "import", str(path), "--config", config, "--unit", unit]
        )

    answer = imported("b.json", tables()["backscatter"])
    assert answer.exit_code == 0, answer.output
    assert "6 of 6 rows held against our own computed values" in answer.output
    assert read(tables()["backscatter"]).sha256 in answer.output
    assert imported("b.json", tables()["backscatter"]).exit_code == 2
    assert imported("c.json", tables()["pdd"] | {"unit_id": "SRT2"}).exit_code == 65
    assert imported("c.json", tables()["pdd"], "TB9").exit_code == 2
    with serving(Pages(clinic)) as served:  # type: ignore[arg-type]
        assert "not signed: it is not used" in served.get("/units/SRT1").text
        reader, physicist = Visitor(served), Visitor(served)
        reader.sign_in("Reader B")
        physicist.sign_in()
        form = {"do": "sign", "table": "1", "reason": "checked against TG-61"}
        assert reader.post("/units/SRT1/table", form | {"token": reader.token()}).status == 403
        assert srt_tables.in_use(clinic.store, "SRT1", NOW.date()) == {}
        token = {"token": physicist.token()}
        assert physicist.post("/units/SRT1/table", form | token).status == 303
        assert srt_tables.in_use(clinic.store, "SRT1", NOW.date())["backscatter"].id == 1
        assert "in use, signed by Physicist A" in physicist.get("/units/SRT1").text
        assert physicist.post("/units/SRT1/table", form | token).status == 409
        assert physicist.post("/units/SRT1/table", form | token | {"do": ""}).status == 400
        assert physicist.post("/units/SRT1/table", form | token | {"table": "9"}).status == 409
    clinic.assert_sound()
    clinic.close()
