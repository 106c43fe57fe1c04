"""The other commands: quick help, light imports, the catalogue, the simulator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from analyzers import catalogue as physics
from qa_daemon.__main__ import app
from qa_daemon.commands.catalogue import markdown

RUNNER = CliRunner()


def modules_after(statement: str) -> set[str]:
    words = [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"]
    return set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after("import qa_daemon.__main__")
    heavy = {"numpy", "pydantic", "sqlalchemy", "fastapi", "apprise", "h5py", "numba"}
    assert loaded.isdisjoint(heavy)


def test_the_service_parent_never_loads_what_belongs_to_workers() -> None:
    loaded = modules_after("import qa_daemon.app, analyzers.catalogue as c; c.load()")
    assert loaded.isdisjoint({"numba", "pylinac", "matplotlib", "scipy", "skimage", "plotly"})


def test_the_catalogue_names_what_the_contract_promises() -> None:
    form = json.loads(RUNNER.invoke(app, ["catalogue", "--json"]).stdout)
    assert "varian-trajectory-log" in [f["name"] for f in form["formats"]]
    metrics = {a["name"]: {m["name"]: m["unit"] for m in a["metrics"]} for a in form["analyzers"]}
    assert {"srt-output-csv", "srt-output-json"} <= {f["name"] for f in form["formats"]}
    promised = {
        "srt_output": {
            "output": "Gy/min",
            "output_deviation": "%",
            "timer_linearity": "%",
            "end_effect": "s",
            "hvl": "mm Al",
            "hvl_deviation": "%",
            "repeatability": "%",
        },
        "mlc_positions": {
            "worst_leaf_rms": "mm",
            "error_p95": "mm",
            "largest_error": "mm",
            "bank_a_mean_error": "mm",
            "bank_b_mean_error": "mm",
        },
        "axes": {
            "gantry_largest_error": "deg",
            "gantry_rms_error": "deg",
            "collimator_largest_error": "deg",
            "jaw_largest_error": "mm",
            "couch_rotation_largest_error": "deg",
            "couch_largest_error": "mm",
        },
        "meterset": {
            "delivered_error": "MU",
            "delivered_error_percent": "%",
            "planned_error": "MU",
            "planned_error_percent": "%",
        },
        "beam_holds": {"count": "1", "held_time": "s"},
        "delivered_fluence": {"gamma_pass": "%", "gamma_mean": "1", "fluence_error": "%"},
        "plan_agreement": {
            "worst_leaf_rms": "mm",
            "gantry_largest_error": "deg",
            "meterset_error_percent": "%",
            "gamma_pass": "%",
        },
    }
    for analyzer, expected in promised.items():
        for metric, unit in expected.items():
            assert metrics[analyzer][metric] == unit, (analyzer, metric)


def test_the_reference_page_is_what_the_code_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "catalogue.md"
    assert page.read_text() == "\n".join(markdown(physics.load())) + "\n"


def test_simulate_writes_what_it_is_told(tmp_path: Path) -> None:
    out = tmp_path / "x.bin"
    words = ["simulate", "trajectory-log", "--out", str(out), "--mlc", "hd120", "--bank-a-mm", "2"]
    assert RUNNER.invoke(app, words).exit_code == 0
    assert out.read_bytes().startswith(b"VOSTL")
    for wrong in (["--colour", "red"], ["--mlc", "none"], ["--mlc"], ["5"]):
        assert RUNNER.invoke(app, [*words[:4], *wrong]).exit_code == 2
    assert RUNNER.invoke(app, ["simulate", "nothing", "--out", str(out)]).exit_code == 2
