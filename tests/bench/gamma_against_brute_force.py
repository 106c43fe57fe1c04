"""Gamma, certified and fast, against brute force: the error, and whether any point flips.

300 random points of each case, and the 100 hardest: those 50 nearest to gamma 1, and those 50 for
which the search gained most over the dose difference at the point itself.  An error is ours minus
brute force.  Certified must stay within its tolerance and may not flip a point that is farther from
1 than that.  White noise puts a saddle into most cells: there fast, one start per cell, may miss,
and brute force needs a finer lattice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.gamma_inputs import Floats, Pair, plane, poor_volume, volume, white_noise
from tests.bench.gamma_oracle import STEP_MM, BruteForce
from tests.bench.gamma_targets import at_most
from tests.bench.gamma_timing import CERTIFIED, FAST, ours

TOLERANCE = 1e-3
RANDOM, HARDEST = 300, 100
NOISE_PERCENT = (2.0, 5.0, 10.0, 20.0)
NOISE_POINTS, NOISE_STEP_MM = 120, 0.05
SEED = 20240605
DOSE_FRACTION = 0.03

Indices = NDArray[np.int64]


def measure() -> dict[str, Any]:
    """Errors against brute force, for each case and mode."""
    cases = {"volume": volume(), "poor_volume": poor_volume(), "plane": plane()}
    found: dict[str, Any] = {name: _case(pair) for name, pair in cases.items()}
    for noise_percent in NOISE_PERCENT:
        found[f"white_noise_{noise_percent:g}_percent"] = _noise(white_noise(noise_percent))
    certified = [one[CERTIFIED] for one in _compared(found)]
    found["targets"] = {
        "certified_error": at_most(TOLERANCE, max(one["largest_error"] for one in certified)),
        "certified_flips": at_most(0, sum(one["flips_beyond_tolerance"] for one in certified)),
    }
    return found


def _compared(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every set of points, in a case or as a case."""
    for one in found.values():
        yield from [one] if CERTIFIED in one else one.values()


def _case(pair: Pair) -> dict[str, Any]:
    maps = {mode: ours(pair, mode).map for mode in (CERTIFIED, FAST)}
    judged = np.flatnonzero(np.isfinite(maps[CERTIFIED]))
    chosen = {
        "random": np.random.default_rng(SEED).choice(judged, RANDOM, replace=False),
        "hardest": _hardest(pair, maps[CERTIFIED], judged),
    }
    return {name: _errors(pair, maps, points) for name, points in chosen.items()}


def _noise(pair: Pair) -> dict[str, Any]:
    maps = {mode: ours(pair, mode).map for mode in (CERTIFIED, FAST)}
    judged = np.flatnonzero(np.isfinite(maps[CERTIFIED]))
    points = np.random.default_rng(SEED).choice(judged, NOISE_POINTS, replace=False)
    return _errors(pair, maps, points, NOISE_STEP_MM)


def _hardest(pair: Pair, gamma: Floats, judged: Indices) -> Indices:
    values = gamma.ravel()[judged]
    difference = (pair.evaluated - pair.reference).ravel()[judged]
    at_the_point = np.abs(difference) / (DOSE_FRACTION * pair.reference.max())
    # A point at the cap has nothing to find.
    gain = np.where(values < gamma[np.isfinite(gamma)].max(), at_the_point - values, 0.0)
    near_1 = np.argsort(np.abs(values - 1))[: HARDEST // 2]
    gained = np.argsort(-gain)[: HARDEST // 2]
    return judged[np.concatenate([near_1, gained])]


def _errors(
    pair: Pair, maps: dict[str, Floats], points: Indices, step_mm: float = STEP_MM
) -> dict[str, Any]:
    oracle = BruteForce(pair, step_mm=step_mm)
    shape = pair.reference.shape
    true = np.array([oracle.gamma(tuple(np.unravel_index(p, shape))) for p in points])
    found: dict[str, Any] = {"points": len(points)}
    for mode, gamma in maps.items():
        values = gamma.ravel()[points]
        flips = (values <= 1) != (true <= 1)
        found[mode] = {
            "smallest_error": (values - true).min(),
            "largest_error": (values - true).max(),
            "points_above_tolerance": int(np.count_nonzero(values - true > TOLERANCE)),
            "flips": int(flips.sum()),
            "flips_beyond_tolerance": int((flips & (np.abs(true - 1) > TOLERANCE)).sum()),
        }
    return found
