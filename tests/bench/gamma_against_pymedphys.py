"""Gamma beside pymedphys 0.41.0: time, memory and result, on the same inputs in one run.

3 % / 2 mm global, 10 % threshold, gamma at most 2; pymedphys with its default of ten samples per
distance criterion.  It samples and we do not, so its gamma is never below ours.  Our time is the
median of several calls, pymedphys' the faster of its first and its second call, and only ours
includes certifying each value to 1e-3.  The poor case takes pymedphys minutes: it is compiled on a
small plane before and then timed once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analyzers.numerics.gamma import GammaCriteria, GammaResult, gamma_indices
from tests.bench import gamma_inputs
from tests.bench.gamma_inputs import Pair
from tests.bench.gamma_peer import BENCHMARK, VERSION, PeerCall, pymedphys_gamma
from tests.bench.gamma_targets import at_least, at_most
from tests.bench.gamma_timing import (
    CERTIFIED,
    FAST,
    extra_mb_alone,
    load_average,
    median_s,
    ours,
    warm_up,
)

SEVERAL = {
    "two_ratios": ((3, 2), (2, 2), (1, 1)),
    "one_ratio": ((3, 3), (2, 2), (1, 1)),
}
"""Dose in % and distance in mm; of one ratio, criteria are one search."""
FIRST_PASS_OF_COMPILER = {**BENCHMARK, "random_subset": 1}
"""The same code on one point."""
PASSES = 1.0
MODES = (CERTIFIED, FAST)


def measure() -> dict[str, Any]:
    """Seconds, ratios, percent, MB."""
    for mode in MODES:
        warm_up(mode)
    good = _case("volume", [BENCHMARK, BENCHMARK])
    poor = _case("poor_volume", [FIRST_PASS_OF_COMPILER, BENCHMARK], compiled=True)
    return {
        "pymedphys": VERSION,
        "load_average": load_average(),
        "volume": good,
        "poor_volume": poor,
        "plane": _case("plane", [BENCHMARK, BENCHMARK]),
        "several_criteria": {
            name: _several_criteria(
                gamma_inputs.volume(),
                [GammaCriteria(dose_percent=p, distance_mm=d) for p, d in several],
            )
            for name, several in SEVERAL.items()
        },
        "targets": {
            "volume_certified_ratio": at_least(10.0, good[CERTIFIED]["ratio"], aim=20.0),
            "volume_fast_ratio": at_least(40.0, good[FAST]["ratio"], aim=60.0),
            "poor_volume_certified_ratio": at_least(60.0, poor[CERTIFIED]["ratio"], aim=100.0),
            "extra_mb": at_most(
                100.0, max(case[mode]["extra_mb"] for case in (good, poor) for mode in MODES)
            ),
        },
    }


def _case(name: str, calls: list[dict[str, Any]], compiled: bool = False) -> dict[str, Any]:
    pair: Pair = getattr(gamma_inputs, name)()
    theirs = pymedphys_gamma(pair, calls)[1 if compiled else 0 :]
    peer_s = min(call.seconds for call in theirs)
    found: dict[str, Any] = {
        "points": pair.points,
        "pymedphys": {
            **_result(theirs[-1]),
            "calls_s": [call.seconds for call in theirs],
            "extra_mb": theirs[-1].extra_mb,
        },
    }
    for mode in MODES:
        result = ours(pair, mode)
        time_s = median_s(lambda mode=mode: ours(pair, mode))
        found[mode] = {
            **_result(result),
            "s": time_s,
            "ratio": peer_s / time_s,
            "extra_mb": extra_mb_alone(name, mode),
            **_differences(result, theirs[-1]),
        }
    return found


def _result(result: GammaResult | PeerCall) -> dict[str, float]:
    return {"pass_percent": result.pass_percent, "mean": result.mean}


def _differences(result: GammaResult, peer: PeerCall) -> dict[str, Any]:
    """How far pymedphys is above ours, and the points on which the two do not agree to pass."""
    judged = np.isfinite(result.map)
    if not np.array_equal(judged, np.isfinite(peer.map)):
        raise AssertionError("pymedphys and we judge different points")
    values, excess = result.map[judged], (peer.map - result.map)[judged]
    differs = (values <= PASSES) != (peer.map[judged] <= PASSES)
    distances = np.sort(np.abs(values[differs] - 1))
    return {
        "pymedphys_above_ours": {
            "mean": excess.mean(),
            "percentile_99": np.percentile(excess, 99),
            "largest": excess.max(),
            "smallest": excess.min(),
        },
        "differently_judged": int(differs.sum()),
        "we_pass_they_fail": int(np.count_nonzero(values[differs] <= PASSES)),
        "their_distance_from_1": {
            "median": float(np.median(distances)) if distances.size else 0.0,
            "largest": float(distances.max(initial=0.0)),
            "each": distances.tolist(),
        },
    }


def _several_criteria(pair: Pair, several: list[GammaCriteria]) -> dict[str, Any]:
    """In one call, and one after the other."""

    def at(criteria: list[GammaCriteria]) -> list[GammaResult]:
        return gamma_indices(pair.reference, pair.evaluated, pair.spacing_mm, criteria)

    one_s = [median_s(lambda criterion=criterion: at([criterion])) for criterion in several]
    together_s = median_s(lambda: at(several))
    return {
        "each_alone_s": one_s,
        "together_s": together_s,
        "together_over_first": together_s / one_s[0],
        "together_over_sum": together_s / sum(one_s),
        "pass_percent": [result.pass_percent for result in at(several)],
    }
