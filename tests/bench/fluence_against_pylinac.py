"""Log fluence, expected and actual, side by side with pylinac's log analyzer.

Both get the same arrays: a two-minute arc at 20 ms, 60 pairs that move like a VMAT beam, jaws wide
open.  Both make maps of one row per leaf and 400 mm in the direction of the leaves.  pylinac is fed
through its own classes, in its own units: cm, bank A to the right, bank B to the left.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.numerics.fluence import delivered_fluence

Floats = NDArray[np.float64]

SAMPLES, PAIRS = 6000, 60
METERSET_MU = np.linspace(0.0, 500.0, SAMPLES)
MILLENNIUM_120_MM = np.concatenate(
    [np.arange(-200.0, -100.0, 10.0), np.arange(-100.0, 100.0, 5.0), np.arange(100.0, 201.0, 10.0)]
)
JAW_X_MM = np.tile([-180.0, 180.0], (SAMPLES, 1))
JAW_Y_MM = np.tile([-200.0, 200.0], (SAMPLES, 1))
RESOLUTIONS_MM = (1.0, 0.1)
OURS, THEIRS = 9, 3
"""How often each is timed."""


def measure() -> dict[str, Any]:
    """Times in seconds for both maps, and how far the rows are from what was delivered."""
    positions = leaf_positions()
    analytic = [row_integrals(left, right) for left, right in positions]
    cases = []
    for resolution_mm in RESOLUTIONS_MM:

        def ours(resolution_mm: float = resolution_mm) -> list[Floats]:
            return [our_map(left, right, resolution_mm) for left, right in positions]

        def theirs(resolution_mm: float = resolution_mm) -> list[Floats]:
            return their_maps(positions, resolution_mm)

        # Once before the clock runs: compiling, and first use of memory.
        own_maps, peer_maps = ours(), theirs()
        own_s, peer_s = seconds(ours, OURS), seconds(theirs, THEIRS)
        cases.append(
            {
                "resolution_mm": resolution_mm,
                "ours_s": own_s,
                "pylinac_s": peer_s,
                "ratio": peer_s / own_s,
                "ours_row_error": row_error(own_maps, analytic, resolution_mm),
                "pylinac_row_error": row_error(peer_maps, analytic, resolution_mm),
            }
        )
    return {
        "samples": SAMPLES,
        "pairs": PAIRS,
        "pylinac": version("pylinac"),
        "maps": "expected and actual",
        "cases": cases,
    }


def leaf_positions() -> list[tuple[Floats, Floats]]:
    """Left and right edges in mm, expected and actual: a wandering gap of 10 to 70 mm."""
    rng = np.random.default_rng(20240603)
    along = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    phase = rng.uniform(0, 2 * np.pi, PAIRS)
    middle_mm = 60 * np.sin(2 * np.pi * 3 * along + phase / 4)
    gap_mm = 40 + 30 * np.cos(2 * np.pi * 5 * along + phase)
    expected = (middle_mm - gap_mm / 2, middle_mm + gap_mm / 2)
    left, right = (edge + rng.normal(0, 0.03, edge.shape) for edge in expected)
    return [expected, (left, right)]


def row_integrals(left_mm: Floats, right_mm: Floats) -> Floats:
    """MU x mm of each pair: the gap is straight between samples and never closes."""
    gap_mm = right_mm - left_mm
    return np.diff(METERSET_MU) @ ((gap_mm[1:] + gap_mm[:-1]) / 2)


def our_map(left_mm: Floats, right_mm: Floats, resolution_mm: float) -> Floats:
    return delivered_fluence(
        METERSET_MU,
        left_mm,
        right_mm,
        MILLENNIUM_120_MM,
        x_edges_mm=np.linspace(-200.0, 200.0, round(400 / resolution_mm) + 1),
        y_edges_mm=MILLENNIUM_120_MM,
        jaw_x_mm=JAW_X_MM,
        jaw_y_mm=JAW_Y_MM,
    )


def their_maps(positions: list[tuple[Floats, Floats]], resolution_mm: float) -> list[Floats]:
    from pylinac import log_analyzer as peer

    (expected_left, expected_right), (actual_left, actual_right) = positions
    jaws = peer.JawStruct(
        *(
            peer.HeadAxis(opening_mm / 10, opening_mm / 10)
            for opening_mm in (-JAW_X_MM[:, 0], -JAW_Y_MM[:, 0], JAW_X_MM[:, 1], JAW_Y_MM[:, 1])
        )
    )
    mlc = peer.MLC(peer.TrajectoryLog, np.arange(SAMPLES), jaws)
    for pair in range(PAIRS):
        right = peer.LeafAxis(actual_right[:, pair] / 10, expected_right[:, pair] / 10)
        left = peer.LeafAxis(-actual_left[:, pair] / 10, -expected_left[:, pair] / 10)
        mlc.add_leaf_axis(right, pair + 1)
        mlc.add_leaf_axis(left, pair + 1 + PAIRS)
    fluence = peer.FluenceStruct(mlc, peer.BeamAxis(METERSET_MU, METERSET_MU), jaws)
    return [fluence.expected.calc_map(resolution_mm), fluence.actual.calc_map(resolution_mm)]


def seconds(run: Callable[[], object], times: int) -> float:
    """Median time of a run."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def row_error(maps: list[Floats], analytic: list[Floats], resolution_mm: float) -> float:
    """Largest relative error of the integral along a row."""
    return max(
        float(np.abs(found.sum(axis=1, dtype=float) * resolution_mm / wanted - 1).max())
        for found, wanted in zip(maps, analytic, strict=True)
    )


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
