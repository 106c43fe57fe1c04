"""How our gamma is timed and its memory measured, the same way in every gamma measurement.

`python -m tests.bench.gamma_timing volume certified` prints the extra peak memory in MB of one call
in a process that did nothing else before.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analyzers.numerics.gamma import GammaResult, gamma_index
from tests.bench import gamma_inputs
from tests.bench.gamma_inputs import Pair
from tests.bench.peers.peak_memory import extra_megabytes

ROOT = Path(__file__).parents[2]
CERTIFIED, FAST = "certified", "fast"
ROUNDS = 7


def ours(pair: Pair, mode: str = CERTIFIED) -> GammaResult:
    """3 % / 2 mm global, 10 % threshold, at most gamma 2: the settings of the benchmark."""
    return gamma_index(pair.reference, pair.evaluated, pair.spacing_mm, certified=mode == CERTIFIED)


def warm_up(mode: str = CERTIFIED) -> None:
    """Compile, and start the threads."""
    small = np.ones((4, 4, 4))
    ours(Pair(small, small, (1.0, 1.0, 1.0)), mode)


def median_s(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median time of a call that was made once before."""
    call()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def load_average() -> list[float]:
    """Of 1, 5 and 15 minutes, our own included; above the number of processors times are long."""
    return list(os.getloadavg())


def extra_mb_alone(pair: str, mode: str) -> float:
    """Extra peak memory of one call, in a process of its own, which compiled before."""
    command = [sys.executable, "-m", "tests.bench.gamma_timing", pair, mode]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    named, wanted = sys.argv[1:]
    given: Pair = getattr(gamma_inputs, named)()
    warm_up(wanted)
    print(extra_megabytes(lambda: ours(given, wanted)))
