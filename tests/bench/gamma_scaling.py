"""How gamma's time grows with the number of points, over 64-fold ranges, and the first call's time.

Two ways to more points.  *Larger*: the middle of the volume beside its own mirror images, at the
same 2.5 mm: the time per point should stay, the exponent of the fit is 1.  *Finer*: the same field
sampled at 5, 2.5 and 1.25 mm (cubic splines): now a sphere of the distance criterion holds 8 times
the cells each time, so points that fail must look at more of them and the exponent may exceed 1.
Each for a good and a poor agreement, for all dose missing and for all dose doubled.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from tests.bench.gamma_inputs import Floats, Pair, plane, poor_volume, portal_image, volume
from tests.bench.gamma_targets import at_most
from tests.bench.gamma_timing import load_average, median_s, ours, warm_up

ROOT = Path(__file__).parents[2]
MIDDLE = (slice(37, 63), slice(48, 80), slice(48, 80))
TIMES = (1, 2, 4)
"""Along each of three axes: 64-fold in all."""
PLANE_PIXELS = (160, 320, 640, 1280)
ROUNDS = 3
FIRST_CALL = """
import time; start = time.perf_counter()
import numpy as np
from analyzers.numerics.gamma import gamma_index
dose = np.random.default_rng(1).random((24, 24, 24))
gamma_index(dose, 1.01 * dose, (2.5, 2.5, 2.5))
print(time.perf_counter() - start)
"""


def measure() -> dict[str, Any]:
    """Seconds, seconds per million points, and the exponents of the fits."""
    warm_up()
    portal = portal_image()
    portal_s = median_s(lambda: ours(portal))
    cold = _cold_start()
    return {
        "load_average": load_average(),
        "larger": {name: _series([_larger(p, n) for n in TIMES]) for name, p in _pairs().items()},
        "finer": {name: _series([_finer(p, n) for n in TIMES]) for name, p in _pairs().items()},
        "finer_plane": _series([plane(pixels) for pixels in PLANE_PIXELS]),
        "portal_image": {"points": portal.points, "s": portal_s},
        "cold_start": cold,
        "targets": {
            "portal_image_s": at_most(1.0, portal_s),
            "cold_start_s": at_most(2.0, cold["import_to_result_s"]),
        },
    }


def _pairs() -> dict[str, Pair]:
    good, poor = volume(), poor_volume()
    reference, spacing_mm = good.reference, good.spacing_mm
    return {
        "good": good,
        "poor": poor,
        "missing": Pair(reference, np.zeros_like(reference), spacing_mm),
        "doubled": Pair(reference, 2 * reference, spacing_mm),
    }


def _larger(pair: Pair, times: int) -> Pair:
    """The middle of the volume, `times` as long along each axis by mirroring."""
    reference, evaluated = (
        np.pad(dose[MIDDLE], [(0, (times - 1) * n) for n in dose[MIDDLE].shape], mode="symmetric")
        for dose in (pair.reference, pair.evaluated)
    )
    return Pair(reference, evaluated, pair.spacing_mm)


def _finer(pair: Pair, times: int) -> Pair:
    """At 5 mm over `times`, sampled from splines through the volume of 2.5 mm."""
    spacing_mm = tuple(2 * h / times for h in pair.spacing_mm)
    return Pair(
        _resampled(pair.reference, times / 2), _resampled(pair.evaluated, times / 2), spacing_mm
    )


def _resampled(dose: Floats, factor: float) -> Floats:
    if factor == 1:
        return dose
    # Voxel faces, not voxel centers, stay where they are: the volume is the same.
    finer = ndimage.zoom(dose, factor, order=3, mode="grid-mirror", grid_mode=True)
    clipped: Floats = np.clip(finer, 0, None)
    return clipped


def _series(pairs: list[Pair]) -> dict[str, Any]:
    points, seconds, passed = [], [], []
    for pair in pairs:
        result = ours(pair)
        points.append(result.points)
        passed.append(result.pass_percent)
        seconds.append(median_s(lambda pair=pair: ours(pair), ROUNDS))
    exponent = np.polyfit(np.log(points), np.log(seconds), 1)[0]
    return {
        "points": points,
        "s": seconds,
        "s_per_million": [s / n * 1e6 for s, n in zip(seconds, points, strict=True)],
        "pass_percent": passed,
        "exponent": float(exponent),
    }


def _cold_start() -> dict[str, float]:
    """A fresh process whose compiled kernels lie in the cache; the first run fills it."""
    command = [sys.executable, "-c", FIRST_CALL]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {
        "import_to_result_s": float(done.stdout),
        "process_s": time.perf_counter() - start,
    }
