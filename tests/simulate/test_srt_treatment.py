"""Simulated fractions: what is stated is what is found, from the file to the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analyzers.catalogue import load
from analyzers.srt_table_checks import check_unit
from analyzers.srt_table_files import read_table
from analyzers.srt_tables import KINDS
from qa_daemon.__main__ import app
from qa_daemon.jobs import measure
from qa_daemon.model import Job, NamedPath
from qa_daemon.output_desk import OutputDesk, registered
from qa_daemon.simulate import srt_treatment_json
from qa_daemon.simulate.srt_curves import percent
from qa_daemon.simulate.srt_session import APPLICATORS
from qa_daemon.simulate.srt_unit import factor
from qa_daemon.store import srt_tables
from tests.ingest.clinic import Clinic
from tests.srt.units import SITE, clinic_of

MORNING, FRACTION = "2026-03-02T07:31:00+01:00", "2026-03-02T09:{:02}:00+01:00"
SIMULATED = SITE.replace(
    'beams = [{kvp = 50, filter = "F1"}, {kvp = 70, filter = "F2"}]',
    'beams = [{kvp = 50, filter = "F1", hvl_mm_al = 0.52}, '
    '{kvp = 70, filter = "F2", hvl_mm_al = 1.15}, {kvp = 100, filter = "F3", hvl_mm_al = 2.2}]',
).replace(
    'applicators = [{id = "A30", diameter_cm = 3.0, ssd_cm = 15}]',
    "applicators = ["
    + ", ".join(
        f'{{id = "{name}", diameter_cm = {d}, ssd_cm = 15}}' for name, (d, _) in APPLICATORS.items()
    )
    + ']\nreference_applicator = "A30"',
)
EPS_S = 0.3


def run(*words: str) -> None:
    answer = CliRunner().invoke(app, ["simulate", *words])
    assert answer.exit_code == 0, answer.output


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The simulated unit, its tables signed and its output checked that morning."""
    top = tmp_path_factory.mktemp("clinic")
    clinic = clinic_of(top, SIMULATED)
    unit = clinic.site.machine_named("SRT1")
    assert unit is not None
    for kind in KINDS:
        run("srt-table", "--out", str(top / "t.json"), "--kind", kind)
        table = read_table(top / "t.json")
        check_unit(table, registered(clinic.site, unit))
        srt_tables.sign(
            clinic.store, "SRT1", srt_tables.enter(clinic.store, "SRT1", table, "A"), "P", "ok"
        )
    run("srt-output-csv", "--out", str(clinic.incoming / "c.csv"), "--begun-at", MORNING)
    clinic.process()
    yield clinic
    clinic.assert_sound()
    clinic.close()


def found(clinic: Clinic, number: int, **said: Any) -> dict[str, float]:
    """The numbers of one fraction, by metric where there is but one place."""
    at = FRACTION.format(number)
    words = ["--fraction", str(number), "--begun-at", at]
    for name, value in said.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    run("srt-treatment-json", "--out", str(clinic.incoming / f"{number}.json"), *words)
    clinic.process()
    (result,) = (r for r in clinic.queries.results_since() if r.performed_at == at)
    (analysis,) = result.analyses
    assert analysis.failure is None
    return {m.metric: m.value for m in analysis.measurements}


@pytest.mark.parametrize(
    ("number", "said", "error"),
    [
        (1, {}, 0.0),
        (2, {"kvp": 50, "applicator": "A15", "depth": 1.0}, 0.0),
        (3, {"kvp": 100, "applicator": "A50", "depth": 5.0, "gap": 1.0}, 0.0),
        (4, {"cutout": 2.5, "depth": 0}, 0.0),
        (5, {"shield": 0.8, "dose": 6.0}, 0.0),
        (6, {"time_error": 4.0}, 4.0),
        (7, {"time_error": -6.0, "depth": 0}, -6.0),
    ],
)
def test_the_dose_is_off_by_what_was_stated(
    clinic: Clinic, number: int, said: dict[str, Any], error: float
) -> None:
    assert found(clinic, number, **said)["dose_error"] == pytest.approx(error, abs=2e-3)


def test_a_time_for_another_applicator_is_found(clinic: Clinic) -> None:
    numbers = found(clinic, 10, applicator="A15", wrong_applicator="A50")
    given = factor("A15", 70.0) * percent(2.0, 1.5, 70.0)
    meant = factor("A50", 70.0) * percent(2.0, 5.0, 70.0)
    assert numbers["dose_error"] == pytest.approx(100.0 * (given / meant - 1.0), abs=2e-3)


def test_each_interruption_adds_the_end_effect_once_more(clinic: Clinic) -> None:
    numbers = found(clinic, 11, interrupted=3)
    beam_s = numbers["time_needed"] + EPS_S
    assert numbers["dose_error"] == pytest.approx(100.0 * 3 * EPS_S / beam_s, abs=2e-3)
    assert numbers["time_difference"] == pytest.approx(3 * EPS_S, abs=1e-3)


def test_the_depth_of_the_day_is_another_dose(clinic: Clinic) -> None:
    numbers = found(clinic, 12, ultrasound_depth=3.0)
    ratio = percent(3.0, 3.0, 70.0) / percent(2.0, 3.0, 70.0)
    assert numbers["ultrasound_depth_dose"] == pytest.approx(2.65 * ratio, rel=1e-5)


@pytest.mark.parametrize(
    "said",
    [
        {"applicator": "A99"},
        {"wrong_applicator": "A99"},
        {"kvp": 60},
        {"interrupted": 20},
        {"begun_at": "2026-03-02T09:00:00"},
        {"time_error": float("nan")},
        {"dose": "much"},
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(said))):
        srt_treatment_json.simulate(tmp_path / "x.json", **said)


STEEPEST = percent(1.0, 3.0, 50.0) - percent(1.5, 3.0, 50.0)
"""Half a millimeter deeper than written: most at the first depth below the surface."""


@pytest.mark.parametrize(
    ("check", "options", "metric", "expected"),
    [
        ("pdd", (), "pdd_change", 0.0),
        ("pdd", ("--depth-error", "0.5"), "pdd_change", STEEPEST),
        ("applicator_factor", (), "applicator_factor_deviation", 0.0),
    ],
)
def test_a_check_is_held_against_the_tables_of_the_unit(
    tmp_path: Path,
    clinic: Clinic,
    check: str,
    options: tuple[str, ...],
    metric: str,
    expected: float,
) -> None:
    """Readings have six decimals: 1e-4 % of the smallest."""
    path = tmp_path / "check.json"
    run("srt-output-json", "--out", str(path), "--check", check, "--kvp", "50", *options)
    unit = clinic.site.machine_named("SRT1")
    assert unit is not None
    desk = OutputDesk(clinic.site, clinic.store)
    job = Job(file=NamedPath(path=str(path), name=path.name, folder="SRT1"), machine_class="srt")
    (analysis,) = measure(desk.beside(job, unit), load()).analyses
    values = [v.value for v in analysis.values if v.metric == metric]
    assert values and values == pytest.approx([expected] * len(values), abs=1e-3)
