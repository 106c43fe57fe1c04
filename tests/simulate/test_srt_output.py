"""Simulated output checks: what is stated is what is found, from the file to the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analyzers.formats import srt_output_csv, srt_output_json
from analyzers.output_checks import CheckType
from analyzers.output_text import as_json
from qa_daemon.__main__ import app

RUNNER = CliRunner()
BEAM = "70 kV F2 A30"


def analyzed(folder: Path, *options: str) -> dict[str, Any]:
    """The result of one session at 70 kV with these options."""
    path = folder / "check.csv"
    words = ["simulate", "srt-output-csv", "--out", str(path), "--kvp", "70", *options]
    assert RUNNER.invoke(app, words).exit_code == 0
    (result,) = json.loads(RUNNER.invoke(app, ["analyze", str(path), "--json"]).stdout)
    return dict(result)


def value(result: dict[str, Any], metric: str) -> float:
    (analysis,) = result["analyses"]
    return float(next(m["value"] for m in analysis["measurements"] if m["metric"] == metric))


@pytest.mark.parametrize("check", [kind.value for kind in CheckType])
def test_a_unit_in_order_is_never_at_fault(tmp_path: Path, check: str) -> None:
    result = analyzed(tmp_path, "--check", check)
    is_judged = check not in ("warmup", "pdd", "profile")
    assert (result["verdict"], result["error"]) == ("PASS" if is_judged else None, None)


@pytest.mark.parametrize(
    ("options", "metric", "expected", "verdict"),
    [
        ("--output-error 2.9", "output_deviation", 2.9, "PASS"),
        ("--output-error -3.1", "output_deviation", -3.1, "TOLERANCE"),
        ("--output-error 5.1", "output_deviation", 5.1, "ACTION"),
        ("--check absolute --output-error 2.1", "output_deviation", 2.1, "ACTION"),
        # 1 s more than the 30 s that the row says.
        ("--end-effect 1", "output_deviation", 100.0 / 30.0, "TOLERANCE"),
        # A15 has 0.955 of the output of A30.
        ("--swapped yes", "output_deviation", -4.5, "TOLERANCE"),
        # (273.15 + 26.4) / (273.15 + 21.4)
        ("--temperature-error 5", "output_deviation", 1.697505, "PASS"),
        ("--check timer --end-effect 0.2", "end_effect", 0.2, "PASS"),
        ("--check linearity --end-effect -0.2", "end_effect", -0.2, "PASS"),
        ("--check timer --end-effect 3.1", "end_effect", 3.1, "ACTION"),
        ("--check hvl --hvl-error -12", "hvl_deviation", -12.0, "TOLERANCE"),
        ("--check angle --angle-error -2.1", "angle_dependence", 2.1, "ACTION"),
    ],
)
def test_a_stated_error_is_found(
    tmp_path: Path, options: str, metric: str, expected: float, verdict: str
) -> None:
    result = analyzed(tmp_path, *options.split())
    assert value(result, metric) == pytest.approx(expected, abs=1e-4)
    assert result["verdict"] == verdict


def test_a_profile_is_as_wide_as_its_applicator(tmp_path: Path) -> None:
    """Edges by the line between points 1.5 mm apart: 30 mm, and the heel of 2 % along y alone."""
    result = analyzed(tmp_path, "--check", "profile", "--kvp", "70")
    (analysis,) = result["analyses"]
    found = {(m["metric"], m["at"]): m["value"] for m in analysis["measurements"]}
    for axis, heel in (("x", 0.0), ("y", 2 * 0.02 * 0.8)):
        at = f"70 kV F2 A30 {axis}"
        assert found["field_width", at] == pytest.approx(30.0, abs=0.1)
        assert found["symmetry", at] == pytest.approx(100.0 * heel, abs=0.2)


@pytest.mark.parametrize("unit", ["mmHg", "hPa", "inHg"])
def test_a_pressure_in_another_unit_is_told(tmp_path: Path, unit: str) -> None:
    error = analyzed(tmp_path, "--pressure-unit", unit)["error"]
    assert error["code"] == "SRT_UNIT"
    assert f"looks like {unit}" in error["message"]
    assert "are 99.62 kPa" in error["message"]


def test_noise_has_the_spread_that_is_stated_and_a_seed(tmp_path: Path) -> None:
    spreads = []
    for seed in range(40):
        path = srt_output_csv_simulated(tmp_path, noise=0.5, seed=seed)
        readings = srt_output_csv.read(path).rows[0].readings_nc
        mean = sum(readings) / len(readings)
        spreads.append(sum((r / mean - 1.0) ** 2 for r in readings) / (len(readings) - 1))
    # 80 degrees of freedom: the standard deviation is known to 8 %.
    assert 100.0 * (sum(spreads) / len(spreads)) ** 0.5 == pytest.approx(0.5, rel=0.25)
    again = [srt_output_csv_simulated(tmp_path, noise=0.5, seed=7).read_bytes() for _ in range(2)]
    assert again[0] == again[1]


def srt_output_csv_simulated(folder: Path, **options: Any) -> Path:
    from qa_daemon.simulate.srt_output_csv import simulate

    return Path(simulate(folder / "noise.csv", **options))


def test_both_formats_hold_the_same_session(tmp_path: Path) -> None:
    for kind in ("csv", "json"):
        words = ["simulate", f"srt-output-{kind}", "--out", str(tmp_path / f"a.{kind}")]
        assert RUNNER.invoke(app, [*words, "--noise", "0.3", "--seed", "4"]).exit_code == 0
    rows = srt_output_csv.read(tmp_path / "a.csv").rows
    assert len(rows) == 3
    assert as_json(rows) == (tmp_path / "a.json").read_bytes()
    assert as_json(srt_output_json.read(tmp_path / "a.json").rows) == as_json(rows)


@pytest.mark.parametrize(
    "options",
    [
        ["--check", "weekly"],
        ["--kvp", "60"],
        ["--pressure-unit", "torr"],
        ["--swapped", "perhaps"],
        ["--output-error", "much"],
        ["--noise", "nan"],
        ["--begun-at", "2026-02-03T07:31:00"],
        ["--begun-at", "yesterday"],
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path: Path, options: list[str]) -> None:
    out = tmp_path / "a.csv"
    words = ["simulate", "srt-output-csv", "--out", str(out), *options]
    assert RUNNER.invoke(app, words).exit_code == 2
    assert not out.exists()
