"""Simulated years of a superficial unit: their size, and that each error does what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyzers.core import ReadError
from analyzers.formats import srt_output_csv, srt_output_json
from analyzers.output_checks import CheckType
from analyzers.output_factors import output_of
from analyzers.output_registry import against
from qa_daemon.__main__ import app
from qa_daemon.app import open_site
from qa_daemon.simulate.srt_years import Noise, UnitErrors, live, working_days
from qa_daemon.simulate.srt_years_files import simulate
from qa_daemon.simulate.srt_years_rows import check, registered

RUNNER = CliRunner()
ON = date(2023, 5, 9)
KVP = 70.0
ISA_1600_M = 83.52 / 101.325
"""ICAO standard atmosphere, table: 835.2 hPa at 1600 m."""


def changed(errors: UnitErrors, *, altitude_m: float = 0.0) -> Iterator[tuple[date, str, float]]:
    """Day, kind and change of the output in percent, of 70 kV, where there is one."""
    right = live(1.0, 5, altitude_m=altitude_m)
    wrong = live(1.0, 5, errors, altitude_m=altitude_m)
    for day, kind, ratio in zip(
        right.at, right.kind, wrong.outputs[:, 1] / right.outputs[:, 1], strict=True
    ):
        if abs(ratio - 1.0) > 1e-9:
            yield day, kind.value, 100.0 * (ratio - 1.0)


def only(errors: UnitErrors, *, altitude_m: float = 0.0) -> float:
    """The change of the one daily check that has one."""
    ((day, kind, percent),) = changed(errors, altitude_m=altitude_m)
    assert (day, kind) == (ON, "daily")
    return percent


def test_a_seed_gives_a_life_and_another_seed_another() -> None:
    first, again, other = (live(1.0, seed).outputs for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert np.abs(first / other - 1.0).min() > 0.0


def test_largest_deviations_are_those_of_the_published_unit() -> None:
    # PMC12450352: inside of 3.0, 2.0 and 1.3 % in 3.5 years; the arithmetic of the module says 2.6,
    # 1.6 and 1.2 %, medians of units.  Of 100, the median is known to 4 % where values are few.
    bounds = {CheckType.DAILY: 3.0, CheckType.MONTHLY: 2.0, CheckType.ABSOLUTE: 1.3}
    largest: dict[CheckType, list[float]] = {kind: [] for kind in bounds}
    for seed in range(100):
        life = live(3.5, seed)
        for kind, found in largest.items():
            found.append(float(np.nanmax(np.abs(life.deviations_percent[life.of(kind)]))))
    for kind, bound in bounds.items():
        assert 0.75 * bound < np.median(largest[kind]) < bound


def test_noise_has_the_size_that_is_stated() -> None:
    still = live(10.0, 1, noise=Noise(wander_percent=0.0))
    daily = still.outputs[still.of(CheckType.DAILY)] / still.level[0]
    # 2600 days: 1.4 % of the standard deviation.
    spread = 100.0 * daily.std(axis=0) / daily.mean(axis=0)
    expected = np.sqrt(0.1**2 / 3 + (0.3 / 2.94646) ** 2 + 0.1**2 + 0.4**2 + 0.27**2)
    assert spread == pytest.approx(expected, rel=0.06)
    # What beams of a session have in common: set-up, temperature and pressure.
    common = (expected**2 - 0.1**2 / 3 - 0.27**2) / expected**2
    assert np.corrcoef(daily.T)[0, 1:] == pytest.approx(common, abs=0.06)
    ends = np.array([live(1.0, seed).level[-1] - 1.0 for seed in range(200)])
    assert 100.0 * ends.std() == pytest.approx(0.5, rel=0.1)


def test_only_working_days_have_checks_and_each_month_and_year_its_own() -> None:
    life = live(2.0, 0)
    assert {day.weekday() for day in life.at} == {0, 1, 2, 3, 4}
    days = working_days(life.at[0], 730)
    assert [life.at[n] for n in life.of(CheckType.DAILY)] == days[1:]
    assert len(life.of(CheckType.MONTHLY)) == 23
    assert [life.at[n] for n in life.of(CheckType.ABSOLUTE)] == [
        date(2023, 1, 2),
        date(2024, 1, 1),
        date(2024, 12, 30),
    ]


def test_a_step_is_there_from_its_day_on_and_at_its_potential_alone() -> None:
    found = list(changed(UnitErrors(on=ON, step_percent=3.0, kvp=KVP)))
    assert found[0][0] == ON
    # Readings have four decimals of nC.
    assert [percent for _, _, percent in found] == pytest.approx([3.0] * len(found), abs=0.01)
    assert not list(changed(UnitErrors(on=ON, step_percent=3.0, kvp=50.0)))


def test_a_step_that_was_signed_off_is_in_the_baseline() -> None:
    life = live(1.0, 5, UnitErrors(on=ON, step_percent=3.0, is_signed=True))
    before, after = (live(1.0, 5), life)
    eve = next(n for n in life.of(CheckType.ABSOLUTE) if n)
    assert life.at[eve] == date(2023, 5, 8)
    assert life.deviations_percent[eve].mean() == pytest.approx(3.0, abs=1.5)
    daily = [n for n in life.of(CheckType.DAILY) if life.at[n] >= ON]
    assert np.abs(life.deviations_percent[daily].mean()) < 1.0
    unsigned = live(1.0, 5, UnitErrors(on=ON, step_percent=3.0))
    last = before.deviations_percent[-1]
    assert unsigned.deviations_percent[-1] == pytest.approx(last * 1.03 + 3.0, abs=0.02)
    assert after.level[-1] == pytest.approx(unsigned.level[-1])


def test_a_drift_grows_by_the_month() -> None:
    found = {day: p for day, kind, p in changed(UnitErrors(on=ON, drift_percent=0.2))}
    for day, percent in found.items():
        assert percent == pytest.approx(0.2 * (day - ON).days / 30.4375, abs=0.01)
    assert len(found) > 150


@pytest.mark.parametrize(
    ("errors", "percent"),
    [
        (UnitErrors(on=ON, applicator="A15"), -4.5),
        (UnitErrors(on=ON, applicator="A50", kvp=KVP), 3.1),
        (UnitErrors(on=ON, filter_steps=1), -30.0),
        (UnitErrors(on=ON, filter_steps=-1), 100.0 * (1.0 / 0.7 - 1.0)),
        (UnitErrors(on=ON, n_k_of=100.0), 100.0 * (0.968 / 0.985 - 1.0)),
        # The output goes with one over the pressure that is noted.
        (UnitErrors(on=ON, pressure_unit="mmHg"), 100.0 * (101.325 / 760.0 - 1.0)),
        (UnitErrors(on=ON, pressure_unit="hPa"), -90.0),
    ],
)
def test_an_error_of_one_day_is_as_large_as_its_formula(errors: UnitErrors, percent: float) -> None:
    assert only(errors) == pytest.approx(percent, abs=0.02)


def test_a_pressure_reduced_to_sea_level_is_too_high_in_the_mountains() -> None:
    errors = UnitErrors(on=ON, is_sea_level=True)
    assert only(errors, altitude_m=1600.0) == pytest.approx(100.0 * (ISA_1600_M - 1.0), abs=0.05)
    assert not list(changed(errors))


def test_a_missed_month_has_no_monthly_check() -> None:
    life = live(1.0, 5, UnitErrors(on=ON, is_month_missed=True))
    months = [life.at[n].month for n in life.of(CheckType.MONTHLY)]
    assert months == [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 1]
    # Nothing else of that life has changed.
    assert list(life.outputs[-1]) == list(live(1.0, 5).outputs[-1])


def test_a_chamber_that_has_expired_makes_no_calibration() -> None:
    life = live(1.1, 5)
    daily, later = life.of(CheckType.DAILY)[200], life.of(CheckType.ABSOLUTE)[1]
    unit = registered(life, later, expires=ON)
    assert any("not in force" in text for text in against(check(life, daily), unit).warnings)
    with pytest.raises(ReadError, match="not in force"):
        against(check(life, later), unit)


def test_numbers_of_a_life_are_those_of_its_rows() -> None:
    life = live(0.5, 9)
    for session in (0, 40, 90):
        rates = [output_of(row).air_kerma_rate_gy_per_min for row in check(life, session).rows]
        assert rates == pytest.approx(list(life.outputs[session]), rel=1e-12)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_files_of_a_unit_in_order_are_read_without_a_remark(tmp_path: Path, form: str) -> None:
    words = ["simulate", "srt-years", "--out", str(tmp_path), "--years", "0.25", "--form", form]
    assert RUNNER.invoke(app, words).exit_code == 0
    reader = {"csv": srt_output_csv.read, "json": srt_output_json.read}[form]
    files = sorted((tmp_path / "incoming" / "SRT1").iterdir())
    assert len(files) == 64 + 2 + 1
    life = live(0.25, 0)
    for session, file in enumerate(files):
        read = reader(file)
        assert read.warnings == ()
        assert against(read, registered(life, session)).warnings == ()
        assert read.rows == check(life, session).rows
    assert (
        RUNNER.invoke(app, ["check-config", "--config", str(tmp_path / "site.toml")]).exit_code == 0
    )


def test_a_written_step_is_found_by_the_program(tmp_path: Path) -> None:
    words = ["simulate", "srt-years", "--out", str(tmp_path), "--years", "0.1", "--noise", "0"]
    wrong = ["--on-day", "20", "--step", "-3.5", "--kvp", "100"]
    assert RUNNER.invoke(app, [*words, *wrong]).exit_code == 0
    days = [f"{day:%Y-%m-%d}" for day in working_days(date(2023, 1, 2), 36)[18:20]]
    verdicts = []
    for day in days:
        path = tmp_path / "incoming" / "SRT1" / f"{day}-daily.csv"
        (result,) = json.loads(RUNNER.invoke(app, ["analyze", str(path), "--json"]).stdout)
        verdicts.append(result["verdict"])
    assert verdicts == ["PASS", "TOLERANCE"]


@pytest.mark.parametrize(
    "options",
    [
        ["--years", "0"],
        ["--step", "3"],
        ["--step", "3", "--on-day", "400"],
        ["--step", "3", "--on-day", "1", "--signed", "yes"],
        ["--applicator", "A40", "--on-day", "5"],
        ["--pressure-unit", "torr", "--on-day", "5"],
        ["--kvp", "60", "--step", "3", "--on-day", "5"],
        ["--form", "xlsx"],
        ["--begins", "soon"],
        ["--drift", "much", "--on-day", "5"],
        ["--noise", "nan"],
    ],
)
def test_what_cannot_be_lived_is_refused(tmp_path: Path, options: list[str]) -> None:
    words = ["simulate", "srt-years", "--out", str(tmp_path / "a"), *options]
    assert RUNNER.invoke(app, words).exit_code == 2
    assert not (tmp_path / "a").exists()


def test_an_error_without_its_day_asks_for_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on_day is not given"):
        simulate(tmp_path / "unit", drift=0.2)
    assert not (tmp_path / "unit").exists()


@pytest.mark.parametrize("years", [0.1, 1.0, 3.0])
def test_the_site_file_is_one_that_the_service_takes(tmp_path: Path, years: float) -> None:
    """Its certificate holds two years at most, and has a factor for each beam."""
    simulate(tmp_path / "unit", years=years)
    site = open_site(tmp_path / "unit" / "site.toml")
    chamber = next(i for i in site.file.instrument if i.kind == "chamber")
    assert chamber.n_k_at(1.15) == 0.985e9
    first = date(2023, 1, 2)
    assert (chamber.calibrated < first) is (years < 2.0)
