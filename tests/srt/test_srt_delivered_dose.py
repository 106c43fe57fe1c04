"""Delivered dose of a fraction: closed forms, and everything that must not pass."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analyzers.core import Analysis, AnalysisError, Context
from analyzers.output_registry import RegisteredApplicator, RegisteredBeam, RegisteredUnit
from analyzers.srt.srt_delivered_dose import ANALYZER
from analyzers.srt_dose import DeliveredDoseSettings
from analyzers.srt_table_files import table_of
from analyzers.srt_treatments import (
    AcceptedEndEffect,
    AcceptedOutput,
    OtherPart,
    Setup,
    SrtTreatment,
    TreatmentInputs,
)
from qa_daemon.model import Verdict
from qa_daemon.verdict import judge
from tests.ingest.clinic import NOW
from tests.srt.treating import tables
from tests.srt.units import days_ago

UNIT = RegisteredUnit(
    names=("SRT1",),
    beams=(RegisteredBeam(50.0, "F1", 0.52), RegisteredBeam(70.0, "F2", 1.15)),
    applicators=(
        RegisteredApplicator("A30", 15.0, 3.0),
        RegisteredApplicator("A20", 15.0, 2.0),
        RegisteredApplicator("A50", 15.0, 5.0),
        RegisteredApplicator("R", 15.0, None, 2.0, 3.0),
    ),
    reference_applicator="A30",
)
OUTPUT = AcceptedOutput(5.0, True, days_ago(0.1), 7, 3.5)
TABLES = {kind: table_of(json.dumps(told).encode()) for kind, told in tables().items()}
INPUTS = TreatmentInputs(UNIT, tuple(TABLES.values()), OUTPUT)
SETUP = Setup(kvp=70.0, filter_id="F2", applicator_id="A30", ssd_cm=15.0)


def treatment(setup: dict[str, Any] | None = None, **said: Any) -> SrtTreatment:
    """2.3 Gy to 2 mm: 2.5 Gy at the surface, 30 s at 5 Gy/min."""
    whole: dict[str, Any] = {
        "unit_id": "SRT1",
        "performed_at": NOW,
        "fraction": 1,
        "fractions_planned": 20,
        "setup": replace(SETUP, **(setup or {})),
        "prescribed_gy": 2.3,
        "prescribed_depth_mm": 2.0,
        "parts_s": (29.5,),
        "timer_end_effect_s": 0.5,
        "inputs": INPUTS,
    }
    return SrtTreatment(**(whole | said))


def analyzed(record: SrtTreatment, **settings: float) -> Analysis:
    return ANALYZER.analyze(record, Context("srt", DeliveredDoseSettings(**settings)))


def numbers(record: SrtTreatment, **settings: float) -> dict[tuple[str, str | None], float]:
    return {(m.metric.name, m.at): m.value for m in analyzed(record, **settings).measurements}


def value(record: SrtTreatment, metric: str, at: str = "70 kV F2 A30") -> float:
    return numbers(record)[metric, at]


def verdict(record: SrtTreatment) -> Verdict | None:
    (one,) = (m for m in analyzed(record).measurements if m.metric.name == "dose_error")
    return judge(one.value, one.metric.limits["srt"])


def test_the_closed_form_at_surface_depth_and_ultrasound_depth() -> None:
    found = numbers(treatment(ultrasound_depth_mm=5.0))
    at = "70 kV F2 A30"
    assert found["surface_dose", at] == pytest.approx(2.5, rel=1e-12)
    assert found["prescribed_depth_dose", at] == pytest.approx(2.3, rel=1e-12)
    assert found["ultrasound_depth_dose", at] == pytest.approx(2.5 * 0.78, rel=1e-12)
    assert found["ultrasound_dose_difference", at] == pytest.approx(100 * (1.95 / 2.3 - 1))
    assert found["dose_error", at] == pytest.approx(0.0, abs=1e-9)
    assert found["time_needed", at] == pytest.approx(29.5, rel=1e-12)
    assert found["time_difference", at] == pytest.approx(0.0, abs=1e-9)
    assert found["output_age", at] == pytest.approx(0.1)


def test_between_the_depths_the_curve_is_read_and_at_the_surface_it_is_not() -> None:
    halfway = treatment(prescribed_depth_mm=3.5)
    assert value(halfway, "prescribed_depth_dose") == pytest.approx(2.5 * 0.85)
    surface = treatment(prescribed_depth_mm=0.0, prescribed_gy=2.5)
    assert value(surface, "dose_error") == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("said", "factor"),
    [
        ({"setup": {"applicator_id": "A20"}}, 0.98),
        ({"setup": {"shield": 0.8}}, 0.8),
        ({"setup": {"gap_cm": 1.0}}, (14.5 / 15.5) ** 2),
        ({"setup": {"gap_cm": -0.5}}, (14.5 / 14.0) ** 2),
        # HVL 1.15 lies halfway between 1.0 and 1.3 mm Al.
        ({"setup": {"cutout_diameter_cm": 2.0}}, 1.07 / 1.085),
        ({"setup": {"cutout_diameter_cm": 2.5}}, 1.0775 / 1.085),
        ({"parts_s": (14.5,)}, 0.5),
        ({"parts_s": (14.5, 14.5)}, 1.0),
        ({"parts_s": (9.5, 9.5, 9.5)}, 1.0),
        ({"timer_end_effect_s": -0.5}, 29.0 / 30.0),
    ],
)
def test_every_factor_counts(said: dict[str, Any], factor: float) -> None:
    record = treatment(**said)
    beam = record.setup.beam
    assert value(record, "surface_dose", beam) == pytest.approx(2.5 * factor, rel=1e-9)


def test_a_cutout_has_less_dose_at_depth_than_its_applicator() -> None:
    found = numbers(treatment({"cutout_diameter_cm": 2.5}))
    at = "70 kV F2 A30"
    # Halfway between the curves of A20 and A30: 90 and 92 % at 2 mm.
    assert found["prescribed_depth_dose", at] / found["surface_dose", at] == pytest.approx(0.91)


def test_air_kerma_becomes_dose_to_water_by_the_units_tables() -> None:
    kerma = AcceptedOutput(5.0, False, days_ago(0.1), 7, 2.9)
    record = treatment(inputs=replace(INPUTS, output=kerma))
    assert value(record, "surface_dose") == pytest.approx(2.5 * 1.085 * 1.0185, rel=1e-9)
    said = " ".join(analyzed(record).notes)
    assert "air kerma, result 7" in said
    for kind in ("backscatter", "mu_en_ratio", "pdd", "applicator_factor"):
        assert f"SHA-256 {TABLES[kind].sha256}" in said


def test_the_hash_of_every_table_that_was_used_is_in_the_record() -> None:
    said = " ".join(analyzed(treatment({"gap_cm": 1.0})).notes)
    assert TABLES["effective_ssd"].sha256 in said
    assert TABLES["backscatter"].sha256 not in said


def test_uncertainty_is_in_quadrature() -> None:
    """Output 3.5, factor 0.5, gap 2·0.1/15, timer 0.1/30; PDD 2, slope 4.667 %/mm over 92 %."""
    found = numbers(treatment())
    surface = 3.5**2 + 0.5**2 + (20.0 / 15.0) ** 2 + (10.0 / 30.0) ** 2
    assert found["uncertainty_k1", "surface"] == pytest.approx(surface**0.5)
    slope = max(8.0 / 2.0, 14.0 / 3.0)
    deep = surface + 2.0**2 + (100.0 * slope * 0.2 / 92.0) ** 2
    assert found["uncertainty_k1", "prescribed depth"] == pytest.approx(deep**0.5)
    assert found["uncertainty_k2", "prescribed depth"] == pytest.approx(2.0 * deep**0.5)
    wide = numbers(treatment(), pdd_percent=5.0)["uncertainty_k1", "prescribed depth"]
    assert wide == pytest.approx((deep + 21.0) ** 0.5)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (0.0, Verdict.PASS),
        (2.9, Verdict.PASS),
        (3.1, Verdict.TOLERANCE),
        (-4.9, Verdict.TOLERANCE),
        (5.1, Verdict.ACTION),
        (-5.1, Verdict.ACTION),
    ],
)
def test_limits_of_the_dose(percent: float, expected: Verdict) -> None:
    beam_s = 30.0 * (1.0 + percent / 100.0)
    record = treatment(parts_s=(beam_s - 0.5,))
    assert value(record, "dose_error") == pytest.approx(percent, abs=1e-9)
    assert value(record, "time_difference") == pytest.approx(beam_s - 30.0, abs=1e-9)
    assert verdict(record) is expected


def test_other_records_of_the_fraction_count_with_it() -> None:
    half = treatment(parts_s=(14.5,), inputs=replace(INPUTS, other_parts=(OtherPart(1.15, 11),)))
    assert value(half, "dose_error") == pytest.approx(0.0, abs=1e-9)
    assert value(half, "time_needed") == pytest.approx(14.5)
    assert "results 11" in " ".join(analyzed(half).notes)
    again = treatment(inputs=replace(INPUTS, other_parts=(OtherPart(2.3, 11),)))
    assert value(again, "dose_error") == pytest.approx(100.0)
    assert verdict(again) is Verdict.ACTION
    assert "gave the whole dose already" in " ".join(analyzed(again).notes)


def test_the_end_effect_is_the_records_or_the_units_and_never_zero_by_silence() -> None:
    measured = replace(INPUTS, end_effect=AcceptedEndEffect(0.5, days_ago(100), 3))
    record = treatment(timer_end_effect_s=None, inputs=measured)
    assert value(record, "surface_dose") == pytest.approx(2.5)
    old = replace(measured, end_effect=AcceptedEndEffect(0.5, days_ago(500), 3))
    aged = analyzed(treatment(timer_end_effect_s=None, inputs=old))
    assert "500 days before" in " ".join(aged.notes)
    apart = analyzed(treatment(timer_end_effect_s=1.2, inputs=measured))
    assert "own measurement is 0.5 s, result 3" in " ".join(apart.notes)
    with pytest.raises(AnalysisError, match="end effect"):
        analyzed(treatment(timer_end_effect_s=None))


def test_an_output_grows_old() -> None:
    def aged(days: float) -> SrtTreatment:
        return treatment(inputs=replace(INPUTS, output=replace(OUTPUT, at=days_ago(days))))

    assert "days old" not in " ".join(analyzed(aged(6.9)).notes)
    assert "8 days old" in " ".join(analyzed(aged(8.0)).notes)
    for days in (31.1, -0.1):
        with pytest.raises(AnalysisError, match="days old, at most 31 allowed"):
            analyzed(aged(days))


def without(kind: str) -> TreatmentInputs:
    return replace(INPUTS, tables=tuple(t for name, t in TABLES.items() if name != kind))


FOREIGN = replace(TABLES["pdd"], unit_id="SRT2")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"inputs": None}, "without the clinic's store"),
        ({"inputs": replace(INPUTS, output=None)}, "no output check of this beam"),
        ({"inputs": replace(INPUTS, blocked="by result 4: x")}, "was blocked at that time .by res"),
        ({"inputs": without("applicator_factor")}, "no table of applicator factors is signed"),
        ({"inputs": without("pdd")}, "no table of percent depth doses is signed"),
        (
            {"inputs": replace(without("pdd"), tables=(*without("pdd").tables, FOREIGN))},
            "another unit's",
        ),
        ({"inputs": without("effective_ssd"), "setup": {"gap_cm": 0.5}}, "effective source"),
        ({"inputs": without("backscatter"), "setup": {"cutout_diameter_cm": 2.0}}, "backscatter"),
        (
            {"inputs": replace(without("mu_en_ratio"), output=replace(OUTPUT, to_water=False))},
            "mass energy-absorption",
        ),
        ({"prescribed_depth_mm": 10.1}, "depth .mm. 10.1 is 0.1 above the table"),
        ({"ultrasound_depth_mm": 12.0}, "depth .mm. 12 is 2 above the table"),
        ({"setup": {"cutout_diameter_cm": 1.9}}, "diameter .cm. 1.9 is 0.1 below the table"),
        ({"setup": {"cutout_diameter_cm": 3.5}}, "B_w of the cutout is"),
        ({"setup": {"kvp": 60.0}}, "60 kV with this filter is no beam"),
        ({"setup": {"filter_id": "F1"}}, "70 kV with this filter is no beam"),
        ({"setup": {"applicator_id": "A99"}}, "applicator is none of the unit's"),
        ({"setup": {"applicator_id": "R"}}, "applicator factors has none of 70 kV with this"),
        ({"setup": {"kvp": 50.0, "filter_id": "F1"}}, "has none of 50 kV"),
        ({"setup": {"ssd_cm": 25.0}}, "ssd_cm is 25, and the applicator sets 15 cm"),
        ({"setup": {"gap_cm": -15.0}}, "SSD and gap"),
        ({"timer_end_effect_s": -30.0}, "timer and end effect of part 1"),
        (
            {"inputs": replace(INPUTS, unit=replace(UNIT, reference_applicator=None))},
            "names no reference_applicator",
        ),
        (
            {"inputs": replace(INPUTS, unit=replace(UNIT, reference_applicator="A20"))},
            "do not refer to the reference applicator",
        ),
    ],
)
def test_what_is_missing_is_said_and_never_guessed(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AnalysisError, match=sentence):
        analyzed(treatment(**said))


def test_the_half_value_layer_is_needed_where_it_is_looked_up() -> None:
    beams = (RegisteredBeam(70.0, "F2"),)
    bare = replace(INPUTS, unit=replace(UNIT, beams=beams))
    assert analyzed(treatment(inputs=bare))
    with pytest.raises(AnalysisError, match="no hvl_mm_al of 70 kV"):
        analyzed(treatment({"cutout_diameter_cm": 2.0}, inputs=bare))


def test_a_fraction_too_many_is_noted() -> None:
    surplus = analyzed(treatment(fraction=21))
    assert "a fraction more than planned" in surplus.notes


def test_the_gap_widens_the_uncertainty_at_depth() -> None:
    """Inverse square from 14.5 cm: the table is of no gap."""
    found = numbers(treatment({"gap_cm": 1.0}))
    surface, deep = (found["uncertainty_k1", at] for at in ("surface", "prescribed depth"))
    of_gap = 100.0 * abs((15.5 / 15.7 * 14.7 / 14.5) ** 2 - 1.0)
    slope = 100.0 * (14.0 / 3.0) * 0.2 / 92.0
    assert deep**2 - surface**2 == pytest.approx(4.0 + slope**2 + of_gap**2, rel=1e-6)
