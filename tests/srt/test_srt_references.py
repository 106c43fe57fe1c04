"""Ratios of a session against what the unit has signed: applicators, half-value layers, curves.

Expected values are worked by hand from the tables of `tests.srt.treating`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzers.core import Context, ReadError
from analyzers.formats.srt_output_json import sessions_of
from analyzers.output_curves import Profile
from analyzers.output_references import counting, with_references
from analyzers.output_registry import (
    Baseline,
    RegisteredApplicator,
    RegisteredBeam,
    RegisteredUnit,
    against,
)
from analyzers.srt.srt_output import ANALYZER, SrtOutputSettings
from analyzers.srt_table_files import table_of
from qa_daemon.model import Verdict
from qa_daemon.store import routine_done, srt_tables
from qa_daemon.verdict import judge
from tests.output_tables import document
from tests.output_tables import row as written
from tests.srt.treating import TREATING, tables
from tests.srt.units import clinic_of, days_ago

UNIT = RegisteredUnit(
    names=("SRT1",),
    beams=(RegisteredBeam(70.0, "F2", 1.15),),
    applicators=tuple(
        RegisteredApplicator(name, 15.0, diameter)
        for name, diameter in (("A20", 2.0), ("A30", 3.0), ("A50", 5.0))
    ),
    reference_applicator="A30",
    tables=tuple(table_of(json.dumps(told).encode()) for told in tables().values()),
)
SIZES = {"A20": "2.0", "A30": "3.0", "A50": "5.0"}
WATER = {"bsf": "1.085", "mu_en_ratio": "1.0185"}
IN_AIR = 0.98 / (1.07 / 1.085)
"""0.98 to water; B_w of 2 and 3 cm halfway between 1.0 and 1.3 mm Al are 1.07 and 1.085."""
AF = "70 kV F2 A20/A30"
BEAM = "70 kV F2 A30"
Row = dict[str, str]


class Found:
    """What the analyzer says of rows, with the unit's knowledge laid beside them."""

    def __init__(self, *rows: Row, unit: RegisteredUnit = UNIT) -> None:
        (check,) = sessions_of(document(*rows).encode())
        check = with_references(against(check, unit), unit)
        analysis = ANALYZER.analyze(check, Context("srt", SrtOutputSettings()))
        self.measured = {(m.metric.name, m.at): m for m in analysis.measurements}
        self.notes = "\n".join(analysis.notes)
        self.not_judged = analysis.not_judged

    def value(self, metric: str, at: str | None) -> float:
        return self.measured[metric, at].value

    def verdict(self, metric: str, at: str | None) -> Verdict:
        found = self.measured[metric, at]
        return judge(found.value, found.metric.limits["srt"])

    def __contains__(self, metric: str) -> bool:
        return any(name == metric for name, _ in self.measured)


def row(number: int, applicator: str = "A30", **changed: str) -> Row:
    own = {"check_type": "applicator_factor", "reference_output": ""}
    size = {"applicator_id": applicator, "applicator_diameter_cm": SIZES[applicator]}
    return written(number, **(size | own | changed))


def pair(factor: float, **changed: str) -> tuple[Row, Row]:
    """A30 comes second: the reference is the registered one, and not the first."""
    return (
        row(1, "A20", readings_nc=repr(2.0 * factor), **changed),
        row(2, "A30", readings_nc="2.0", **changed),
    )


@pytest.mark.parametrize(
    ("off_percent", "verdict"),
    [(0.0, "PASS"), (1.99, "PASS"), (-2.01, "TOLERANCE"), (2.99, "TOLERANCE"), (-3.01, "ACTION")],
)
def test_a_factor_to_water_is_held_against_the_signed_table(
    off_percent: float, verdict: str
) -> None:
    found = Found(*pair(0.98 * (1.0 + off_percent / 100.0), **WATER))
    assert found.value("applicator_factor_deviation", AF) == pytest.approx(off_percent, abs=1e-9)
    assert found.verdict("applicator_factor_deviation", AF).name == verdict
    assert "against 0.98, the signed table" in found.notes


def test_a_factor_in_air_differs_by_the_backscatter() -> None:
    found = Found(*pair(IN_AIR))
    assert found.value("applicator_factor", AF) == pytest.approx(IN_AIR, rel=1e-12)
    assert found.value("applicator_factor_deviation", AF) == pytest.approx(0.0, abs=1e-9)
    # Without the table of B_w an air kerma is not held against a dose to water.
    unit = replace(UNIT, tables=tuple(t for t in UNIT.tables if t.kind != "backscatter"))
    bare = Found(*pair(IN_AIR), unit=unit)
    assert "applicator_factor_deviation" not in bare
    assert "not judged, no applicator factor and no two outputs are signed" in bare.notes
    assert bare.not_judged is not None


SINCE = datetime(2026, 1, 1, tzinfo=UTC)
BASELINES = (
    Baseline("70 kV F2 A30", False, SINCE, 4.0),
    Baseline("70 kV F2 A20", False, SINCE, 3.9),
)


def test_without_a_table_the_signed_outputs_of_both_beams_say_the_factor() -> None:
    unit = replace(UNIT, tables=(), baselines=BASELINES)
    found = Found(*pair(0.975 * 1.025), unit=unit)
    assert found.value("applicator_factor_deviation", AF) == pytest.approx(2.5, abs=1e-9)
    assert "against 0.975, the ratio of the two reference outputs" in found.notes
    one = Found(*pair(0.975), unit=replace(unit, baselines=BASELINES[:1]))
    assert "applicator_factor_deviation" not in one
    # A30 was judged: what was not is counted beside it, and is no pass.
    assert one.verdict("rows_without_reference", None) is Verdict.TOLERANCE


def test_the_reference_may_be_measured_by_another_check_of_the_session() -> None:
    daily = row(2, "A30", check_type="daily", readings_nc="2.0", **WATER)
    found = Found(pair(0.98, **WATER)[0], daily)
    assert found.value("applicator_factor_deviation", AF) == pytest.approx(0.0, abs=1e-9)


def test_without_the_reference_applicator_there_is_no_factor() -> None:
    found = Found(row(1, "A20"), row(2, "A50"))
    assert np.isnan(found.value("applicator_factor", "70 kV F2"))
    assert "the reference applicator was not measured" in found.notes
    # Air kerma of one and dose to water of the other make no factor either.
    mixed = Found(row(1, "A20", **WATER), row(2, "A30"))
    assert np.isnan(mixed.value("applicator_factor", AF))


def test_a_table_counts_from_its_own_day_on() -> None:
    old, new = (
        replace(UNIT.tables[0], valid_from=day) for day in (date(2026, 1, 1), date(2026, 3, 1))
    )
    again = replace(old, source="entered later for the same day")
    assert counting([new, old, again], date(2026, 2, 3)) == [again]
    assert counting([new, old], date(2026, 3, 1)) == [new]
    assert counting([new, old], date(2025, 12, 31)) == []
    late = replace(UNIT, tables=tuple(replace(t, valid_from=date(2026, 2, 4)) for t in UNIT.tables))
    assert "applicator_factor_deviation" not in Found(*pair(0.98, **WATER), unit=late)
    other = replace(UNIT, tables=tuple(replace(t, unit_id="SRT2") for t in UNIT.tables))
    assert "applicator_factor_deviation" not in Found(*pair(0.98, **WATER), unit=other)


def absorbed(stated: str) -> list[Row]:
    """Half-value layer 1.15 mm Al · 1.12 by closed form: one exponential."""
    hvl_mm = 1.15 * 1.12
    return [
        row(
            number,
            check_type="hvl",
            hvl_mm_al=stated,
            absorber_mm_al=repr(mm),
            readings_nc=repr(2.0 * 0.5 ** (mm / hvl_mm)),
        )
        for number, mm in enumerate((0.0, 1.0, 2.0, 3.0), start=1)
    ]


@pytest.mark.parametrize("stated", ["", "1.288"])
def test_a_half_value_layer_is_held_against_the_registered_one(stated: str) -> None:
    """Rows that state what they measured would always pass."""
    found = Found(*absorbed(stated))
    assert found.value("hvl_deviation", BEAM) == pytest.approx(12.0, rel=1e-9)
    assert found.verdict("hvl_deviation", BEAM) is Verdict.TOLERANCE
    assert ("registered with 1.15 mm Al, which was taken" in found.notes) is bool(stated)
    unknown = replace(UNIT, beams=(RegisteredBeam(70.0, "F2"),))
    assert ("hvl_deviation" in Found(*absorbed(stated), unit=unknown)) is bool(stated)


def depths(percents: dict[float, float], **changed: str) -> list[Row]:
    return [
        row(k, check_type="pdd", depth_mm=repr(mm), readings_nc=repr(0.02 * percent), **changed)
        for k, (mm, percent) in enumerate(percents.items(), start=1)
    ]


AGREES = {0.0: 100.0, 2.0: 92.0, 3.5: 85.0, 7.5: 69.0, 10.0: 60.0}
"""The signed curve of A30 and points linear between 2, 5 and 10 mm: 92, 78, 60 %."""


@pytest.mark.parametrize(
    ("at_mm", "more", "verdict"),
    [
        (3.5, 0.0, "PASS"),
        (7.5, -2.99, "PASS"),
        (7.5, 3.01, "TOLERANCE"),
        (3.5, -5.01, "ACTION"),
    ],
)
def test_a_depth_dose_is_held_against_the_signed_one(
    at_mm: float, more: float, verdict: str
) -> None:
    found = Found(*depths(AGREES | {at_mm: AGREES[at_mm] + more}))
    assert found.value("pdd_change", BEAM) == pytest.approx(abs(more), abs=1e-9)
    assert found.verdict("pdd_change", BEAM).name == verdict
    assert found.value("pdd", f"{BEAM} {at_mm:g} mm") == pytest.approx(AGREES[at_mm] + more)
    assert "output_deviation" not in found and "output" not in found


def test_without_a_reading_at_the_surface_the_signed_one_holds_at_the_first_depth() -> None:
    deeper = {mm: percent * 0.7 for mm, percent in AGREES.items() if mm}
    found = Found(*depths(deeper))
    assert found.value("pdd", f"{BEAM} 7.5 mm") == pytest.approx(69.0)
    assert found.value("pdd_change", BEAM) == pytest.approx(0.0, abs=1e-9)
    bare = Found(*depths(deeper), unit=replace(UNIT, tables=()))
    assert np.isnan(bare.value("pdd_change", BEAM)) and "no reading at 0 mm" in bare.notes


def test_depths_beyond_the_signed_curve_are_not_compared_and_too_few_are_none() -> None:
    found = Found(*depths(AGREES | {20.0: 1.0, 30.0: 0.9}))
    assert found.value("pdd_change", BEAM) == pytest.approx(0.0, abs=1e-9)
    assert "ends at 10 mm; 2 depths beyond are not compared" in found.notes
    for few in ({0.0: 100.0, 2.0: 92.0}, {0.0: 100.0, 2.0: 92.0, 20.0: 1.0, 30.0: 0.9}):
        assert np.isnan(Found(*depths(few)).value("pdd_change", BEAM))
    deep = Found(*depths({20.0: 30.0, 25.0: 25.0, 30.0: 20.0}))
    assert np.isnan(deep.value("pdd_change", BEAM))


def test_a_depth_dose_without_a_signed_one_is_for_the_trend_and_no_pass() -> None:
    bare = Found(*depths(AGREES), unit=replace(UNIT, tables=()))
    assert bare.value("pdd", f"{BEAM} 10 mm") == pytest.approx(60.0)
    assert "pdd_change" not in bare and bare.not_judged is not None
    assert "no depth dose of it is signed" in bare.notes


def test_a_depth_dose_of_water_and_kerma_mixed_is_none() -> None:
    rows = depths(AGREES)
    assert np.isnan(Found(*rows[:-1], rows[-1] | WATER).value("pdd_change", BEAM))


def trapezoid(position_mm: float) -> float:
    """1 from -12 to 12 mm, 0.5 at -15 and 15 mm, 0 from 18 mm on."""
    return min(1.0, max(0.0, (18.0 - abs(position_mm)) / 6.0))


def across(tilt: float = 0.0, shift: float = 0.0, step: float = 1.5, axis: str = "x") -> list[Row]:
    places = np.arange(-21.0, 21.01, step)
    values = [max(1e-6, trapezoid(float(x) - shift) * (1.0 + tilt * (x - shift))) for x in places]
    return [
        row(
            k,
            check_type="profile",
            position_mm=repr(float(x)),
            profile_axis=axis,
            readings_nc=repr(float(2.0 * value)),
        )
        for k, (x, value) in enumerate(zip(places, values, strict=True), start=1)
    ]


def test_a_profile_has_the_width_flatness_and_symmetry_of_its_closed_form() -> None:
    at = f"{BEAM} x"
    flat = Found(*across())
    assert flat.value("field_width", at) == pytest.approx(30.0, abs=1e-9)
    assert flat.value("flatness", at) == pytest.approx(0.0, abs=1e-9)
    assert flat.value("symmetry", at) == pytest.approx(0.0, abs=1e-9)
    assert flat.not_judged is not None  # for the trend: no profile is signed
    # A line of 0.1 %/mm over the middle 24 mm of 30: ±1.2 % at its ends, but for the tilted edges.
    tilted = Found(*across(tilt=0.001))
    middle = (tilted.value("field_width", at), tilted.value("symmetry", at))
    assert middle == pytest.approx((30.0, 2.4), abs=0.02)
    assert tilted.value("flatness", at) == pytest.approx(1.2, abs=0.01)
    # Off the axis by 3 mm it is as wide, as flat and as symmetric about its own middle.
    off = Found(*across(shift=3.0, axis="y"))
    assert off.value("field_width", f"{BEAM} y") == pytest.approx(30.0, abs=1e-9)
    assert off.value("symmetry", f"{BEAM} y") == pytest.approx(0.0, abs=1e-9)


def test_both_axes_and_depths_are_profiles_of_their_own() -> None:
    x, y = across(), across(tilt=0.002, axis="y")
    deep = [one | {"depth_mm": "5"} for one in x]
    rows = [one | {"record_id": str(k)} for k, one in enumerate([*x, *y, *deep])]
    found = Found(*rows)
    assert found.value("symmetry", f"{BEAM} x") < 0.01 < found.value("symmetry", f"{BEAM} y")
    assert found.value("field_width", f"{BEAM} x 5 mm") == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("positions", "values"),
    [
        ([0.0, 5.0, 10.0], [1.0, 0.4, 0.1]),
        ([-5.0, 0.0, 5.0], [1.0, 1.0, 1.0]),
        ([-10.0, -5.0, 5.0], [0.1, 1.0, 1.0]),
        ([-5.0, -1.0, 1.0, 5.0], [0.2, 1.0, 1.0, 0.2]),
    ],
)
def test_too_little_of_a_profile_is_no_profile(positions: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="needed"):
        Profile.of(np.array(positions), np.array(values)).flatness_percent()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"check_type": "pdd"}, "depth_mm: empty, and every row of pdd"),
        ({"check_type": "profile", "profile_axis": "x"}, "position_mm: empty"),
        ({"check_type": "profile", "position_mm": "1.0"}, "profile_axis: empty"),
        ({"depth_mm": "5.0", "check_type": "daily"}, "it belongs to pdd and profile"),
        ({"check_type": "pdd", "depth_mm": "-1.0"}, "0 to 300 mm expected"),
        ({"check_type": "pdd", "depth_mm": "1.0", "position_mm": "1"}, "it belongs to profile"),
        (
            {"check_type": "profile", "profile_axis": "z", "position_mm": "0"},
            "profile_axis: one of x, y",
        ),
    ],
)
def test_a_point_without_its_place_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ReadError, match=said) as why:
        sessions_of(document(row(1, **changed)).encode())
    assert why.value.code in ("SRT_SCHEMA", "SRT_UNIT")


def test_in_the_service_signed_tables_answer_tests_of_the_routine(tmp_path: Path) -> None:
    clinic = clinic_of(tmp_path, TREATING)
    try:
        stored: list[Any] = []
        for told in tables().values():
            content = json.dumps(told).encode()
            number = srt_tables.enter(clinic.store, "SRT1", table_of(content), "A")
            stored.append(srt_tables.sign(clinic.store, "SRT1", number, "P", "checked"))
        at = {"datetime": days_ago(1).isoformat(), "t_ref_c": "20", "electrometer_sn": "1"}
        clinic.drop("af.json", document(*pair(0.98 * 1.01, **WATER, **at)).encode())
        clinic.drop("pdd.json", document(*depths(AGREES, **at)).encode())
        clinic.process()
        done = {d.test: d.verdict for d in routine_done.newest(clinic.store, "SRT1")}
        assert done == {"SRT.A.AF": Verdict.PASS, "SRT.A.PDD": Verdict.PASS}
        # A table that was withdrawn, or never signed, is held against nothing.
        for table in stored:
            srt_tables.withdraw(clinic.store, "SRT1", table.id, "P", "wrong")
        later = at | {"datetime": days_ago(0.5).isoformat()}
        clinic.drop("later.json", document(*depths(AGREES, **later)).encode())
        clinic.process()
        found = max(clinic.queries.results_since(), key=lambda result: result.id)
        assert (found.verdict, bool(found.not_judged)) == (None, True)
        clinic.assert_sound()
    finally:
        clinic.close()
