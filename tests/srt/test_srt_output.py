"""Output checks from the file to the verdict: the published vectors, and what must never pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analyzers.formats.srt_output_json import sessions_of
from analyzers.output_metrics import METRICS
from analyzers.srt.srt_output import ANALYZER
from qa_daemon.__main__ import app
from tests.machine.judging import run
from tests.output_tables import EXAMPLE, document, row, table

RUNNER = CliRunner()
BEAM = "70 kV F2 A30"
Result = dict[str, Any]
Analyze = Callable[..., Result]


@pytest.fixture
def analyze(tmp_path: Path) -> Analyze:
    """The result of a table with these rows."""

    def of(*rows: dict[str, str]) -> Result:
        path = tmp_path / "check.csv"
        path.write_text(table(*rows), "utf-8", newline="")
        answer = RUNNER.invoke(app, ["analyze", str(path), "--json"])
        (result,) = json.loads(answer.stdout)
        bad = {"ACTION": 1, "INVALID": 1}
        assert answer.exit_code == (65 if result["error"] else bad.get(result["verdict"], 0))
        return dict(result)

    return of


def numbers(result: Result) -> dict[tuple[str, str | None], dict[str, Any]]:
    """The measurements by metric and place; no place is named twice."""
    (analysis,) = result["analyses"]
    found = {(m["metric"], m["at"]): m for m in analysis["measurements"]}
    assert len(found) == len(analysis["measurements"])
    return found


def value(result: Result, metric: str, at: str | None = BEAM) -> float:
    return float(numbers(result)[metric, at]["value"])


def notes(result: Result) -> str:
    return "\n".join(result["analyses"][0]["notes"])


def test_the_worked_example_of_the_schema(analyze: Analyze) -> None:
    result = analyze(dict(EXAMPLE))
    assert (result["format"], result["machine"]) == ("srt-output-csv", "SRT1")
    assert (result["verdict"], result["not_judged"]) == ("PASS", None)
    assert result["performed_at"] == "2026-02-03T07:31:00+01:00"
    assert f"{value(result, 'output'):.5f}" == "4.79373"
    assert f"{value(result, 'output_deviation'):+.2f}" == "+0.08"
    assert numbers(result)["output", BEAM]["verdict"] is None
    assert "M_raw 2.345333 nC (mean of 3), P_TP 1.021972 (21.4 °C" in notes(result)
    assert "air kerma 4.79373 Gy/min" in notes(result)
    k1, k2 = value(result, "uncertainty_k1"), value(result, "uncertainty_k2")
    # The components of air kerma as budgeted, and 3 readings of 2.345, 2.347, 2.344.
    components = [0.7, 2.0, 1.0, 0.3, 0.3, 0.5, 1.35, 0.0651304 / 3**0.5]
    assert k1 == pytest.approx(sum(c**2 for c in components) ** 0.5, rel=1e-6)
    assert k2 == 2.0 * k1


def test_both_formats_give_the_same_numbers(analyze: Analyze, tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    path.write_text(document(EXAMPLE))
    (result,) = json.loads(RUNNER.invoke(app, ["analyze", str(path), "--json"]).stdout)
    assert result["format"] == "srt-output-json"
    assert result["analyses"] == analyze(dict(EXAMPLE))["analyses"]


@pytest.mark.parametrize(("t_ref", "p_tp"), [("22", "1.03565"), ("20", "1.04272")])
def test_air_density_by_the_certificates_own_temperature(
    analyze: Analyze, t_ref: str, p_tp: str
) -> None:
    """Worked by hand: T = 24.0 °C, P = 98.5 kPa; without a p_ref_kpa it is 101.325."""
    result = analyze(row(temperature_c="24.0", pressure_kpa="98.5", t_ref_c=t_ref, p_ref_kpa=""))
    rate = 2.3453333333 * 1e-9 * 1e9 * 2.0  # in 30 s
    assert f"{value(result, 'output') / rate:.5f}" == p_tp


def test_the_dose_to_water_of_the_end_to_end_vector(analyze: Analyze) -> None:
    """Worked by hand: 2.000e-9 C in air make 0.10806 Gy at the surface; here in a minute."""
    result = analyze(
        row(
            readings_nc="2.000",
            temperature_c="24.0",
            pressure_kpa="98.5",
            t_ref_c="22",
            p_ion="1.001",
            n_k_gy_per_c="4.5e7",
            stem_factor="1.000",
            bsf="1.137125",
            mu_en_ratio="1.0185",
            timer_set_s="60",
            reference_output="0.10806",
        )
    )
    assert f"{value(result, 'output', f'{BEAM} water'):.5f}" == "0.10806"
    assert ("output", BEAM) not in numbers(result)
    assert abs(value(result, "output_deviation", f"{BEAM} water")) < 0.005
    assert "B_w 1.137125, mu_en 1.0185" in notes(result)
    assert result["verdict"] == "PASS"


@pytest.mark.parametrize(
    ("changed", "factor"),
    [
        ({"p_elec": "1.01"}, 1.01),
        ({"p_ion": "1.01"}, 1.01),
        ({"p_pol": "0.99"}, 0.99),
        ({"stem_factor": "1.02"}, 1.02),
        ({"n_k_gy_per_c": "1.02e9"}, 1.02),
        ({"timer_end_effect_s": "0.5"}, 30.0 / 30.5),
        ({"timer_end_effect_s": "-0.5"}, 30.0 / 29.5),
        ({"timer_set_s": "60"}, 0.5),
        ({"exposures": "2"}, 0.5),
        ({"exposures": "2", "timer_end_effect_s": "0.5"}, 15.0 / 30.5),
        ({"mode": "mu", "timer_measured_s": "31"}, 30.0 / 31.0),
    ],
)
def test_every_factor_counts(analyze: Analyze, changed: dict[str, str], factor: float) -> None:
    result = analyze(row(**changed))
    assert value(result, "output") == pytest.approx(4.79373227303494 * factor, rel=1e-12)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("479", "reference_output looks like cGy/min, Gy/min expected"),
        ("0.0479", "the output looks like cGy/min, Gy/min expected"),
        ("47.9", None),
    ],
)
def test_a_reference_in_another_unit_is_told(
    analyze: Analyze, reference: str, said: str | None
) -> None:
    result = analyze(row(reference_output=reference))
    assert result["verdict"] == "ACTION"
    assert ("a hundredfold" in notes(result)) == (said is not None)
    assert (said or "") in notes(result)


@pytest.mark.parametrize("byte_order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [table(EXAMPLE), document(EXAMPLE)])
def test_text_in_utf_16_is_told(tmp_path: Path, text: str, byte_order: str) -> None:
    path = tmp_path / "check"
    path.write_bytes(f"\ufeff{text}".encode(byte_order))
    answer = RUNNER.invoke(app, ["analyze", str(path), "--json"])
    (result,) = json.loads(answer.stdout)
    assert (answer.exit_code, result["error"]["code"]) == (65, "UNKNOWN_FORMAT")
    assert "save the table or JSON as UTF-8" in result["error"]["message"]


@pytest.mark.parametrize(
    ("check", "percent", "verdict"),
    [
        ("daily", 2.9, "PASS"),
        ("daily", 3.1, "TOLERANCE"),
        ("daily", -5.1, "ACTION"),
        ("monthly", 1.9, "PASS"),
        ("monthly", -2.1, "TOLERANCE"),
        ("monthly", 3.1, "ACTION"),
        ("annual", 0.9, "PASS"),
        ("annual", 1.1, "TOLERANCE"),
        ("absolute", -2.1, "ACTION"),
        ("applicator_factor", 2.1, "TOLERANCE"),
        ("warmup", 3.1, "TOLERANCE"),
    ],
)
def test_each_kind_of_check_has_its_own_limits(
    analyze: Analyze, check: str, percent: float, verdict: str
) -> None:
    reference = repr(4.79373227303494 / (1.0 + percent / 100.0))
    none = {"tolerance_pct": "", "action_pct": ""}
    result = analyze(row(check_type=check, reference_output=reference, **none))
    number = numbers(result)["output_deviation", BEAM]
    assert number["value"] == pytest.approx(percent, abs=1e-9)
    assert (number["verdict"], result["verdict"]) == (verdict, verdict)


@pytest.mark.parametrize(
    ("tolerance", "action", "verdict"),
    [
        ("", "", "PASS"),
        ("2.5", "", "PASS"),
        ("1.9", "", "TOLERANCE"),
        ("", "1.9", "ACTION"),
        ("1", "1.9", "ACTION"),
        ("50", "60", "PASS"),
    ],
)
def test_a_row_can_make_the_limits_tighter(
    analyze: Analyze, tolerance: str, action: str, verdict: str
) -> None:
    reference = repr(4.79373227303494 / 1.02)
    result = analyze(row(reference_output=reference, tolerance_pct=tolerance, action_pct=action))
    assert numbers(result)["output_deviation", BEAM]["verdict"] == verdict


def test_a_row_cannot_make_the_limits_wider(analyze: Analyze) -> None:
    result = analyze(row(reference_output="4", tolerance_pct="50", action_pct="60"))
    number = numbers(result)["output_deviation", BEAM]
    assert (number["verdict"], number["limits"]["action_high"]) == ("ACTION", 5.0)


def test_an_output_without_a_reference_is_for_the_trend(analyze: Analyze) -> None:
    result = analyze(row(reference_output=""))
    assert (result["verdict"], result["error"]) == (None, None)
    assert "no row names a reference output" in result["not_judged"]
    assert f"{value(result, 'output'):.5f}" == "4.79373"


def test_an_output_without_a_reference_does_not_hide_behind_another(analyze: Analyze) -> None:
    result = analyze(row(1), row(2, kvp="100", filter_id="F3", reference_output=""))
    assert numbers(result)["output_deviation", BEAM]["verdict"] == "PASS"
    assert numbers(result)["rows_without_reference", None]["value"] == 1.0
    assert result["verdict"] == "TOLERANCE"
    assert "not judged: 100 kV F3 A30" in notes(result)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_k_gy_per_c": ""}, "n_k_gy_per_c is empty"),
        ({"n_k_gy_per_c": "", "reference_output": ""}, "n_k_gy_per_c is empty"),
        ({"mode": "mu"}, "timer_measured_s is needed"),
        ({"temperature_c": "38"}, "temperature is 38"),
        ({"pressure_kpa": "65"}, "pressure is 65"),
        ({"p_ion": "0.96"}, "P_ion is 0.96"),
        ({"stem_factor": "1.5"}, "P_stem is 1.5"),
        ({"bsf": "0.9", "mu_en_ratio": "1.02"}, "B_w is 0.9"),
    ],
)
def test_a_factor_that_is_absent_or_wrong_never_passes(
    analyze: Analyze, changed: dict[str, str], words: str
) -> None:
    result = analyze(row(1, kvp="50"), row(2, **changed))
    assert result["verdict"] == "INVALID"
    assert result["analyses"][0]["failure"] == "output could not be computed"
    assert words in notes(result)
    assert ("output_deviation", "50 kV F2 A30") in numbers(result)  # the other row has its number


def test_a_row_measured_again_is_a_number_of_its_own(analyze: Analyze) -> None:
    result = analyze(row(1, reference_output="4.5"), row(2))
    assert numbers(result)["output_deviation", BEAM]["verdict"] == "ACTION"
    assert numbers(result)["output_deviation", f"{BEAM} (2)"]["verdict"] == "PASS"
    assert result["verdict"] == "ACTION"


def timed(number: int, set_s: float, reading: float, **changed: str) -> dict[str, str]:
    """A row of a timer test in which nothing else is to be corrected."""
    reference = {"temperature_c": "20", "pressure_kpa": "101.325", "reference_output": ""}
    shown = {"timer_set_s": repr(set_s), "readings_nc": repr(reading)}
    return row(number, **({"check_type": "timer"} | reference | shown | changed))


def test_the_end_effect_of_two_times(analyze: Analyze) -> None:
    """Worked by hand: M(1 min) = 24.00 and M(2 min) = 48.02 give -0.000833 min."""
    result = analyze(timed(1, 60.0, 24.0), timed(2, 120.0, 48.02))
    assert f"{value(result, 'end_effect') / 60.0:.6f}" == "-0.000833"
    assert result["verdict"] == "PASS"


def test_the_end_effect_of_one_exposure_against_four(analyze: Analyze) -> None:
    """Worked by hand: Ms = 24.00, Mm = 24.08, n = 4, t = 1 min give +0.001112 min."""
    result = analyze(timed(1, 60.0, 24.0), timed(2, 15.0, 24.08, exposures="4"))
    assert f"{value(result, 'end_effect', f'{BEAM} by 4 exposures') / 60.0:.6f}" == "0.001112"


@pytest.mark.parametrize(
    ("rows", "metric", "words"),
    [
        ([timed(1, 60.0, 24.0)], "end_effect", "two different times"),
        ([timed(1, 60.0, 24.0), timed(2, 60.0, 24.1)], "end_effect", "two different times"),
        ([timed(1, 15.0, 24.08, exposures="4")], "end_effect", "no single exposure of 60 s"),
        (
            [timed(1, 30.0, 24.0), timed(2, 60.0, 24.0)],
            "end_effect",
            "more time reads more",
        ),
        (
            [timed(1, 60.0, 24.0), timed(2, 120.0, 48.0, check_type="linearity")],
            "timer_linearity",
            "3 different times are needed",
        ),
        ([row(check_type="reproducibility", readings_nc="2.3")], "repeatability", "no spread"),
        ([row(check_type="angle", reference_output="")], "angle_dependence", "one angle alone"),
        (
            [row(check_type="applicator_factor", reference_output="")],
            "applicator_factor",
            "one applicator alone",
        ),
        ([row(check_type="hvl", hvl_mm_al="")], "hvl", "no hvl_mm_al either"),
    ],
)
def test_a_question_that_the_rows_cannot_answer_is_invalid(
    analyze: Analyze, rows: list[dict[str, str]], metric: str, words: str
) -> None:
    result = analyze(*rows)
    assert result["verdict"] == "INVALID"
    assert metric in result["analyses"][0]["failure"]
    assert words in notes(result)


def test_linearity_is_the_largest_distance_from_the_line(analyze: Analyze) -> None:
    """M = 0.8 (t + 0.1) at 10, 20, 30, 40 s, with 1.2, -1.2, -1.2, 1.2 % of a constant beside.

    The errors d, -d, -d, d have no mean and no slope, so the line is M itself.
    """
    errors = (0.12, -0.12, -0.12, 0.12)
    rows = [
        timed(k, 10.0 * k, 0.8 * (10.0 * k + 0.1) + error, check_type="linearity")
        for k, error in enumerate(errors, start=1)
    ]
    result = analyze(*rows)
    assert value(result, "end_effect") == pytest.approx(0.1, abs=1e-9)
    assert value(result, "timer_linearity") == pytest.approx(100 * 0.12 / 8.08, rel=1e-9)
    assert result["verdict"] == "ACTION"


def test_the_end_effect_is_judged(analyze: Analyze) -> None:
    result = analyze(timed(1, 30.0, 33.1), timed(2, 60.0, 63.1))
    assert value(result, "end_effect") == pytest.approx(3.1, abs=1e-9)
    assert result["verdict"] == "ACTION"


@pytest.mark.parametrize(
    ("set_s", "measured_s", "verdict"),
    [
        ("30", "31", "PASS"),
        ("30", "28.9", "TOLERANCE"),
        ("100", "101.1", "TOLERANCE"),
        ("200", "202", "PASS"),
        ("200", "197.9", "TOLERANCE"),
        ("200", "204.1", "ACTION"),
    ],
)
def test_a_timer_is_a_second_or_a_percent_wrong(
    analyze: Analyze, set_s: str, measured_s: str, verdict: str
) -> None:
    result = analyze(timed(1, float(set_s), 24.0, timer_measured_s=measured_s))
    assert value(result, "timer_accuracy", f"{BEAM} {float(set_s):g} s") == pytest.approx(
        float(measured_s) - float(set_s)
    )
    assert result["verdict"] == verdict


def absorbed(*shares: tuple[str, float], **changed: str) -> list[dict[str, str]]:
    own = {"check_type": "hvl", "hvl_mm_al": "", "reference_output": ""} | changed
    return [
        row(k, absorber_mm_al=mm, readings_nc=repr(share / 40.0), **own)
        for k, (mm, share) in enumerate(shares, start=1)
    ]


SHARES = (("0", 100.0), ("0.5", 71.5), ("1.0", 54.2), ("1.5", 42.9))


def test_the_half_value_layer_by_log_interpolation(analyze: Analyze) -> None:
    """Worked by hand: 0/0.5/1.0/1.5 mm Al leave 100/71.5/54.2/42.9, so the layer is 1.1725 mm."""
    result = analyze(*absorbed(*SHARES))
    assert f"{value(result, 'hvl'):.4f}" == "1.1725"
    assert (result["verdict"], ("hvl_deviation", BEAM) in numbers(result)) == (None, False)


@pytest.mark.parametrize(
    ("stated", "verdict"), [("1.10", "PASS"), ("1.05", "TOLERANCE"), ("1.0", "ACTION")]
)
def test_a_half_value_layer_is_held_against_the_one_stated(
    analyze: Analyze, stated: str, verdict: str
) -> None:
    result = analyze(*absorbed(*SHARES, hvl_mm_al=stated))
    assert value(result, "hvl_deviation") == pytest.approx(
        100.0 * (1.1725 / float(stated) - 1.0), abs=0.01
    )
    assert result["verdict"] == verdict


def test_the_homogeneity_where_a_quarter_is_left(analyze: Analyze) -> None:
    """Half at 1 mm and a quarter at 3 mm: layers of 1 and 2 mm."""
    result = analyze(*absorbed(("0", 100.0), ("1", 50.0), ("3", 25.0)))
    assert value(result, "homogeneity") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (absorbed(("0", 100.0), ("0.5", 71.5)), "thicker absorber"),
        (absorbed(("0.5", 71.5), ("1.5", 42.9)), "without absorber"),
        ([*absorbed(("0", 100.0)), row(9, check_type="hvl", absorber_mm_al="2", ssd_cm="30",
             readings_nc="1")], "differ in ssd_cm"),
        ([*absorbed(("0", 100.0)), row(9, check_type="hvl", absorber_mm_al="2",
             tube_current_ma="8", readings_nc="1")], "differ in tube_current_ma"),
        ([*absorbed(("0", 100.0)), row(9, check_type="hvl", absorber_mm_al="2", chamber_sn="9",
             readings_nc="1")], "differ in chamber_sn"),
        (absorbed(("0", 100.0), ("0.5", 40.0), ("1", 45.0)), "does not fall"),
        (
            [*absorbed(("0", 100.0)), row(9, check_type="hvl", hvl_mm_al="2", absorber_mm_al="2"),
             row(8, check_type="hvl", hvl_mm_al="1", absorber_mm_al="1")],
            "different half-value layers",
        ),
    ],
)  # fmt: skip
def test_a_half_value_layer_without_its_points_is_invalid(
    analyze: Analyze, rows: list[dict[str, str]], words: str
) -> None:
    result = analyze(*rows)
    assert result["verdict"] == "INVALID"
    assert words in notes(result)


def test_a_stated_half_value_layer_is_kept_for_the_trend(analyze: Analyze) -> None:
    result = analyze(row(check_type="hvl", reference_output=""))
    assert (value(result, "hvl"), result["verdict"]) == (1.10, None)
    assert "as stated, not measured" in notes(result)


def test_a_stated_half_value_layer_does_not_hide_behind_an_output(analyze: Analyze) -> None:
    """1.9 mm Al where the beam has 1.1: stated and not measured, it is no pass."""
    stated = row(2, check_type="hvl", hvl_mm_al="1.9", reference_output="")
    result = analyze(row(), stated)
    assert (value(result, "rows_without_reference", None), result["verdict"]) == (1.0, "TOLERANCE")


def test_repeatability_pools_the_rows_and_corrects_them(analyze: Analyze) -> None:
    """Readings of 1.00, 1.01, 1.02 spread by 0.01; a room 3 % denser does not add to that."""
    own = {"check_type": "reproducibility", "reference_output": "", "pressure_kpa": "98"}
    denser = {**own, "pressure_kpa": "100.94"}
    result = analyze(row(1, readings_nc="1.00;1.01", **own), row(2, readings_nc="1.0506", **denser))
    assert value(result, "repeatability", f"{BEAM} 30 s") == pytest.approx(100 * 0.01 / 1.01)
    assert result["verdict"] == "PASS"


def test_a_change_with_the_angle_is_counted_from_upright(analyze: Analyze) -> None:
    own = {"check_type": "angle", "reference_output": ""}
    result = analyze(
        row(1, head_angle_deg="-90", readings_nc="1.005", **own),
        row(2, head_angle_deg="0", readings_nc="1.000", **own),
        row(3, head_angle_deg="90", readings_nc="0.985", **own),
    )
    assert value(result, "angle_dependence", f"{BEAM} 90 deg") == pytest.approx(1.5)
    assert result["verdict"] == "TOLERANCE"


def test_applicator_factors_are_counted_from_the_first(analyze: Analyze) -> None:
    own = {"check_type": "applicator_factor", "reference_output": ""}
    result = analyze(
        row(1, **own),
        row(2, applicator_id="A20", applicator_diameter_cm="2", readings_nc="2.26", **own),
    )
    found = value(result, "applicator_factor", "70 kV F2 A20/A30")
    assert found == pytest.approx(2.26 / 2.345333333, rel=1e-9)
    mixed = analyze(row(1, **own), row(2, kvp="70.0", bsf="1.1", mu_en_ratio="1.02", **own))
    assert mixed["verdict"] == "INVALID"


def test_warm_up_is_recorded_and_not_judged(analyze: Analyze) -> None:
    result = analyze(row(check_type="warmup", reference_output=""))
    assert (value(result, "warmup_rows", None), result["verdict"]) == (1.0, None)
    assert ("output", BEAM) not in numbers(result)


def test_a_large_spread_warns_and_a_larger_one_is_refused(analyze: Analyze) -> None:
    result = analyze(row(readings_nc="2.3;2.42"))
    assert "1.052 times the smallest" in result["warnings"][0]
    assert analyze(row(readings_nc="2.0;2.5"))["error"]["code"] == "SRT_READINGS"


def test_private_cells_are_not_in_the_result(analyze: Analyze) -> None:
    result = analyze(
        row(operator="NIGHTSHIFT", comment="called him", chamber_sn="CH77", electrometer_sn="EL88")
    )
    assert not any(w in json.dumps(result) for w in ("NIGHTSHIFT", "called", "CH77", "EL88"))


def test_a_time_to_come_is_refused(analyze: Analyze) -> None:
    result = analyze(row(1), row(2, datetime="2099-02-03T07:31:00+01:00"))
    assert result["error"]["code"] == "SRT_TIME"
    result = analyze(row(datetime="2099-02-03T07:31:00+01:00"))
    assert (result["verdict"], result["error"]["code"]) == ("INVALID", "SRT_TIME")


def test_only_a_superficial_unit_has_limits(analyze: Analyze) -> None:
    declared = {name for metric in METRICS for name in metric.limits}
    assert declared == {"srt"}


def test_many_rows_are_measured_in_a_reasonable_time() -> None:
    rows = [row(1, record_id=str(k), timer_set_s=str(10 + k / 100)) for k in range(1000)]
    (session,) = sessions_of(document(*rows).encode())
    assert len({(m.metric.name, m.at) for m in run(ANALYZER, session, "srt").measurements}) > 4999
