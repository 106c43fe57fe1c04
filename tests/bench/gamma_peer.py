"""pymedphys' gamma, run in an environment of its own that `make bench` creates.

A peer never enters our own environment: its versions would be ours, and what it imports would be
in our timings.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.gamma_inputs import Floats, Pair

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SCRIPT = Path(__file__).parent / "peers" / "pymedphys_gamma.py"
VERSION = "0.41.0"
BENCHMARK: dict[str, Any] = {
    "dose_percent_threshold": 3.0,
    "distance_mm_threshold": 2.0,
    "lower_percent_dose_cutoff": 10.0,
    "interp_fraction": 10,
    "max_gamma": 2.0,
}


@dataclass(frozen=True, eq=False)
class PeerCall:
    """One call of pymedphys.gamma."""

    map: Floats
    """NaN where nothing was evaluated."""
    seconds: float
    extra_mb: float

    @property
    def pass_percent(self) -> float:
        values = self.map[np.isfinite(self.map)]
        return 100.0 * float(np.count_nonzero(values <= 1)) / values.size

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.map))


def pymedphys_gamma(pair: Pair, calls: list[dict[str, Any]]) -> list[PeerCall]:
    """One process that makes these calls in turn; the first also compiles."""
    if not PYTHON.exists():
        raise RuntimeError("pymedphys has no environment here: `make bench` creates .venv-peers")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            source,
            reference=pair.reference,
            evaluated=pair.evaluated,
            spacing_mm=pair.spacing_mm,
            calls=json.dumps(calls),
        )
        subprocess.run([PYTHON, SCRIPT, source, target], check=True)
        with np.load(target, allow_pickle=False) as found:
            report = json.loads(str(found["report"]))
            maps = [found[f"map_{number}"] for number in range(len(calls))]
    if report["version"] != VERSION:
        raise RuntimeError(f"pymedphys {report['version']} is not {VERSION}: run `make bench`")
    return [
        PeerCall(*call) for call in zip(maps, report["seconds"], report["extra_mb"], strict=True)
    ]
